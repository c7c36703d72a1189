/*-------------------------------------------------------------------------
 * roles.c
 *	  Roles, the same on every node.
 *
 * Sessions reach the nodes as their own user, and shards belong to the owner
 * of their table: so a role that exists here exists there.  What a statement
 * made of a role is read from the catalog and told to the nodes in the
 * transaction of the statement: the password as it is kept, so that no clear
 * text leaves this server, and both can be asked for by the same client.
 *
 * What a role owns and may do on a node it owns and may do here: so the nodes
 * carry out DROP OWNED and REASSIGN OWNED, too, on shards and all else.
 *
 * A group that joins gets the roles that it lacks.  Those that it has stay
 * as they are: they may be of its own, such as the one that replicates.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "shard/ddl/groups.h"
#include "shard/ddl/roles.h"
#include "shard/ddl/shard_run.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/remote.h"

/* The nodes' logs shall not show what passwords are kept as. */
static const char hush[] = "SELECT pg_catalog.set_config(name, value, true) FROM (VALUES"
						   " ('log_statement', 'none'), ('log_min_duration_statement', '-1'),"
						   " ('log_min_duration_sample', '-1'),"
						   " ('log_min_error_statement', 'panic')) v (name, value)";
static const char unhush[] = "SELECT pg_catalog.set_config(name, reset_val, true)"
							 " FROM pg_catalog.pg_settings WHERE name IN ('log_statement',"
							 " 'log_min_duration_statement', 'log_min_duration_sample',"
							 " 'log_min_error_statement')";

/*
 * What is told of one role
 */

typedef enum FlagOwner
{
	FLAG_OF_SUPERUSERS, /* only they may say something of it */
	FLAG_OF_CREATEDB,	/* those who have it themselves may too */
	FLAG_OF_CREATEROLE
} FlagOwner;

static const struct
{
	const char *name;
	size_t offset; /* of the flag in the catalog's row */
	FlagOwner owner;
} flags[] = {
	{"SUPERUSER", offsetof(FormData_pg_authid, rolsuper), FLAG_OF_SUPERUSERS},
	{"REPLICATION", offsetof(FormData_pg_authid, rolreplication), FLAG_OF_SUPERUSERS},
	{"BYPASSRLS", offsetof(FormData_pg_authid, rolbypassrls), FLAG_OF_SUPERUSERS},
	{"INHERIT", offsetof(FormData_pg_authid, rolinherit), FLAG_OF_CREATEROLE},
	{"CREATEROLE", offsetof(FormData_pg_authid, rolcreaterole), FLAG_OF_CREATEROLE},
	{"CREATEDB", offsetof(FormData_pg_authid, rolcreatedb), FLAG_OF_CREATEDB},
	{"LOGIN", offsetof(FormData_pg_authid, rolcanlogin), FLAG_OF_CREATEROLE},
};

/* May the present user give flags of this kind? */
static bool
may_name(FlagOwner owner)
{
	HeapTuple tuple;
	bool may = superuser();

	if (may || owner == FLAG_OF_SUPERUSERS)
		return may;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_authid form = (Form_pg_authid) GETSTRUCT(tuple);

		may = form->rolcreaterole && (owner == FLAG_OF_CREATEROLE || form->rolcreatedb);
		ReleaseSysCache(tuple);
	}
	return may;
}

/* Does it on a node where there is such a role, or where there is none. */
static char *
command_if(bool exists, const char *role, const char *command)
{
	char *body = psprintf("BEGIN IF %s (SELECT FROM pg_catalog.pg_roles WHERE rolname = %s)"
						  " THEN %s ROLE %s; END IF; END",
						  exists ? "EXISTS" : "NOT EXISTS", quote_literal_cstr(role), command,
						  quote_identifier(role));

	return psprintf("DO %s", quote_literal_cstr(body));
}

static char *
create_command(const char *role)
{
	return command_if(false, role, "CREATE");
}

static char *
drop_command(const char *role)
{
	return command_if(true, role, "DROP");
}

/*
 * ALTER ROLE that gives a node's role everything that the one here has, as
 * far as the present user may: everybody may change his own password.
 */
static char *
alter_command(HeapTuple tuple)
{
	Form_pg_authid form = (Form_pg_authid) GETSTRUCT(tuple);
	StringInfoData sql;
	bool isnull;
	Datum value;

	initStringInfo(&sql);
	appendStringInfo(&sql, "ALTER ROLE %s", quote_identifier(NameStr(form->rolname)));
	for (size_t i = 0; i < lengthof(flags); i++)
	{
		if (may_name(flags[i].owner))
			appendStringInfo(&sql, " %s%s", *((bool *) form + flags[i].offset) ? "" : "NO",
							 flags[i].name);
	}
	if (may_name(FLAG_OF_CREATEROLE))
		appendStringInfo(&sql, " CONNECTION LIMIT %d", form->rolconnlimit);
	/* Once there is a limit it can be moved, not taken away. */
	value = SysCacheGetAttr(AUTHOID, tuple, Anum_pg_authid_rolvaliduntil, &isnull);
	if (!isnull && may_name(FLAG_OF_CREATEROLE))
		appendStringInfo(
			&sql, " VALID UNTIL %s",
			quote_literal_cstr(DatumGetCString(DirectFunctionCall1(timestamptz_out, value))));
	value = SysCacheGetAttr(AUTHOID, tuple, Anum_pg_authid_rolpassword, &isnull);
	appendStringInfo(&sql, " PASSWORD %s",
					 isnull ? "NULL" : quote_literal_cstr(TextDatumGetCString(value)));
	return sql.data;
}

/* Adds what the query gives, one command a row. */
static List *
queried_commands(List *commands, const char *query, Oid role)
{
	MemoryContext context = CurrentMemoryContext;
	Oid types[] = {OIDOID};
	Datum values[] = {ObjectIdGetDatum(role)};

	SPI_connect();
	if (SPI_execute_with_args(query, 1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read what is known of a role");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char *command = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		MemoryContext old = MemoryContextSwitchTo(context);

		commands = lappend(commands, pstrdup(command));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return commands;
}

/*
 * Memberships of the role and in it; since PostgreSQL 16 they have more options,
 * and who makes a role without being a superuser becomes a member of it, in
 * the name of the first superuser: that comes about by itself elsewhere.
 */
static List *
membership_commands(List *commands, Oid role)
{
	return queried_commands(
		commands,
		"SELECT pg_catalog.format('GRANT %I TO %I%s', r.rolname, m.rolname,"
		"  CASE WHEN j ? 'inherit_option' THEN pg_catalog.format(' WITH ADMIN %s, INHERIT %s, SET %s',"
		"    j->>'admin_option', j->>'inherit_option', j->>'set_option')"
		"  WHEN a.admin_option THEN ' WITH ADMIN OPTION' ELSE '' END)"
		" FROM pg_catalog.pg_auth_members a"
		" JOIN pg_catalog.pg_roles r ON r.oid = a.roleid"
		" JOIN pg_catalog.pg_roles m ON m.oid = a.member,"
		" pg_catalog.to_jsonb(a) j"
		" WHERE $1 IN (a.roleid, a.member)"
		" AND (a.grantor <> 10 OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user))"
		" ORDER BY 1",
		role);
}

/*
 * Settings that the role's sessions start with, for this database and for
 * all.  The server keeps lists of names the way they are written.
 */
static List *
setting_commands(List *commands, Oid role)
{
	return queried_commands(
		commands,
		"SELECT pg_catalog.format('ALTER ROLE %I %s SET %s TO %s', r.rolname,"
		"  CASE s.setdatabase WHEN 0 THEN ''"
		"  ELSE pg_catalog.format('IN DATABASE %I', pg_catalog.current_database()) END,"
		"  pg_catalog.split_part(c, '=', 1),"
		"  CASE WHEN pg_catalog.lower(pg_catalog.split_part(c, '=', 1)) = ANY ('{search_path,temp_tablespaces,"
		"session_preload_libraries,local_preload_libraries,shared_preload_libraries}')"
		"  THEN pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1)"
		"  ELSE pg_catalog.quote_literal(pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1)) END)"
		" FROM pg_catalog.pg_db_role_setting s"
		" JOIN pg_catalog.pg_roles r ON r.oid = s.setrole"
		" LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase,"
		" pg_catalog.unnest(s.setconfig) c"
		" WHERE s.setrole = $1 AND (s.setdatabase = 0 OR d.datname = pg_catalog.current_database())",
		role);
}

static HeapTuple
find_role(const char *role)
{
	return SearchSysCache1(AUTHNAME, CStringGetDatum(role));
}

/* All that makes the role on a node what it is here. */
static List *
role_commands(HeapTuple tuple)
{
	Form_pg_authid form = (Form_pg_authid) GETSTRUCT(tuple);

	return list_make2(create_command(NameStr(form->rolname)), alter_command(tuple));
}

/*
 * Statements
 */

List *
roles_hushed(List *commands)
{
	return lappend(lcons(pstrdup(hush), commands), pstrdup(unhush));
}

static void
tell(List *group_ids, List *commands)
{
	ShardRun *run = shard_run_create();

	int level = shard_run_quietly("warning");

	if (superuser())
		commands = roles_hushed(commands);
	shard_run_add_all(run, group_ids, commands);
	shard_run_finish(run);
	AtEOXact_GUC(true, level);
}

/* Adds the creation of roles that a node may lack; others are left as they are. */
static List *
made_if_missing(List *commands, List *specs)
{
	ListCell *lc;

	foreach (lc, specs)
	{
		RoleSpec *spec = lfirst(lc);
		Oid role = spec->roletype == ROLESPEC_PUBLIC ? InvalidOid : get_rolespec_oid(spec, true);

		if (OidIsValid(role) && role >= FirstNormalObjectId)
			commands = lappend(commands, create_command(GetUserNameFromId(role, false)));
	}
	return commands;
}

static List *
after_create(UtilityCall *call)
{
	CreateRoleStmt *stmt = castNode(CreateRoleStmt, call->pstmt->utilityStmt);
	HeapTuple tuple = find_role(stmt->role);
	List *commands;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "role \"%s\" was not made", stmt->role);
	commands = role_commands(tuple);
	commands = membership_commands(commands, ((Form_pg_authid) GETSTRUCT(tuple))->oid);
	ReleaseSysCache(tuple);
	return commands;
}

static List *
after_alter(UtilityCall *call)
{
	AlterRoleStmt *stmt = castNode(AlterRoleStmt, call->pstmt->utilityStmt);
	HeapTuple tuple = find_role(get_rolespec_name(stmt->role));
	List *commands;
	ListCell *lc;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "an altered role is not there");
	commands = role_commands(tuple);
	ReleaseSysCache(tuple);
	foreach (lc, stmt->options)
	{
		DefElem *option = lfirst(lc);

		/* ALTER GROUP ... ADD and DROP USER says nothing else. */
		if (strcmp(option->defname, "rolemembers") == 0)
		{
			commands = made_if_missing(NIL, list_make1(stmt->role));
			commands = made_if_missing(commands, (List *) option->arg);
			return lappend(commands, utility_statement_text(call));
		}
	}
	return commands;
}

static List *
after_set(UtilityCall *call)
{
	AlterRoleSetStmt *stmt = castNode(AlterRoleSetStmt, call->pstmt->utilityStmt);
	List *commands = stmt->role ? made_if_missing(NIL, list_make1(stmt->role)) : NIL;

	/* What is current here need not be there. */
	if (stmt->role != NULL && stmt->setstmt->kind == VAR_SET_CURRENT)
		return setting_commands(commands, get_rolespec_oid(stmt->role, false));
	return lappend(commands, utility_statement_text(call));
}

static List *
after_grant(UtilityCall *call)
{
	GrantRoleStmt *stmt = castNode(GrantRoleStmt, call->pstmt->utilityStmt);
	List *commands = made_if_missing(NIL, stmt->grantee_roles);
	ListCell *lc;

	foreach (lc, stmt->granted_roles)
	{
		AccessPriv *granted = lfirst(lc);
		Oid role = get_role_oid(granted->priv_name, true);

		if (OidIsValid(role) && role >= FirstNormalObjectId)
			commands = lappend(commands, create_command(granted->priv_name));
	}
	return lappend(commands, utility_statement_text(call));
}

static List *
after_drop(UtilityCall *call)
{
	DropRoleStmt *stmt = castNode(DropRoleStmt, call->pstmt->utilityStmt);
	List *commands = NIL;
	ListCell *lc;

	/* CURRENT_USER and the like cannot be dropped. */
	foreach (lc, stmt->roles)
		commands = lappend(commands, drop_command(((RoleSpec *) lfirst(lc))->rolename));
	return commands;
}

static List *
after_rename(UtilityCall *call)
{
	RenameStmt *stmt = castNode(RenameStmt, call->pstmt->utilityStmt);

	return list_make2(create_command(stmt->subname), utility_statement_text(call));
}

static List *
after_comment(UtilityCall *call)
{
	CommentStmt *stmt = castNode(CommentStmt, call->pstmt->utilityStmt);

	return list_make2(create_command(strVal(stmt->object)), utility_statement_text(call));
}

/* "a, b" */
static char *
role_list(List *specs)
{
	StringInfoData text;
	ListCell *lc;

	initStringInfo(&text);
	foreach (lc, specs)
		appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "",
						 quote_identifier(get_rolespec_name(lfirst(lc))));
	return text.data;
}

static List *
after_drop_owned(UtilityCall *call)
{
	DropOwnedStmt *stmt = castNode(DropOwnedStmt, call->pstmt->utilityStmt);

	return list_make1(psprintf("DROP OWNED BY %s%s", role_list(stmt->roles),
							   stmt->behavior == DROP_CASCADE ? " CASCADE" : ""));
}

static List *
after_reassign_owned(UtilityCall *call)
{
	ReassignOwnedStmt *stmt = castNode(ReassignOwnedStmt, call->pstmt->utilityStmt);

	return list_make1(psprintf("REASSIGN OWNED BY %s TO %s", role_list(stmt->roles),
							   quote_identifier(get_rolespec_name(stmt->newrole))));
}

/* What nodes are told after each kind of statement was carried out here. */
static const struct
{
	NodeTag tag;
	List *(*after)(UtilityCall *call);
} statements[] = {
	{T_CreateRoleStmt, after_create},
	{T_AlterRoleStmt, after_alter},
	{T_AlterRoleSetStmt, after_set},
	{T_GrantRoleStmt, after_grant},
	{T_DropRoleStmt, after_drop},
	{T_RenameStmt, after_rename},
	{T_CommentStmt, after_comment},
	{T_DropOwnedStmt, after_drop_owned},
	{T_ReassignOwnedStmt, after_reassign_owned},
};

static bool
is_about_roles(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_RenameStmt:
			return ((RenameStmt *) stmt)->renameType == OBJECT_ROLE;
		case T_CommentStmt:
			return ((CommentStmt *) stmt)->objtype == OBJECT_ROLE;
		default:
			return true;
	}
}

/*
 * These go through all that a role has here, shards of this server too, and
 * would wait for locks that end with this transaction, where nobody looks for
 * deadlocks.
 */
static void
check_not_used_here(Node *stmt)
{
	ListCell *lc;

	if (!IsA(stmt, DropOwnedStmt) && !IsA(stmt, ReassignOwnedStmt))
		return;
	foreach (lc, metadata_groups())
	{
		if (remote_is_used(lfirst_int(lc)) && !groups_is_elsewhere(lfirst_int(lc)))
			ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
							errmsg("cannot run %s in a transaction that has used shards of this "
								   "server",
								   IsA(stmt, DropOwnedStmt) ? "DROP OWNED" : "REASSIGN OWNED"),
							errhint("Run it in a transaction of its own.")));
	}
}

bool
roles_handle(UtilityCall *call)
{
	Node *stmt = call->pstmt->utilityStmt;

	if (!is_about_roles(stmt) || creating_extension || metadata_groups() == NIL)
		return false;
	for (size_t i = 0; i < lengthof(statements); i++)
	{
		if (statements[i].tag != nodeTag(stmt))
			continue;
		check_not_used_here(stmt);
		utility_run(call);
		CommandCounterIncrement();
		tell(groups_elsewhere(), statements[i].after(call));
		return true;
	}
	return false;
}

/*
 * Groups that join
 */

/* Names of the roles that the group has. */
static List *
roles_there(int group_id)
{
	RemoteQuery query = {.group_id = group_id, .sql = "SELECT rolname FROM pg_catalog.pg_roles"};
	RemoteTask *task = remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
	List *names = NIL;
	PGresult *row;

	while ((row = remote_task_next(task)) != NULL)
	{
		names = lappend(names, makeString(pstrdup(PQgetvalue(row, 0, 0))));
		PQclear(row);
	}
	remote_task_end(task);
	return names;
}

void
roles_join(int group_id)
{
	List *there = roles_there(group_id);
	List *first = NIL;
	List *then = NIL;
	Relation rel = table_open(AuthIdRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_authid form = (Form_pg_authid) GETSTRUCT(tuple);

		if (form->oid < FirstNormalObjectId ||
			list_member(there, makeString(NameStr(form->rolname))))
			continue;
		first = list_concat(first, role_commands(tuple));
		then = membership_commands(then, form->oid);
		then = setting_commands(then, form->oid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	if (first != NIL)
		tell(list_make1_int(group_id), list_concat(first, then));
}
