/*-------------------------------------------------------------------------
 * grant.c
 *	  GRANT and REVOKE on distributed tables and their schemas.
 *
 * The server changes the grants of the shell, and if that changed anything
 * the shards are told the same.  Schemas of shards get exactly the grants of
 * the schema.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "shard/ddl/grant.h"
#include "shard/ddl/rights.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shard_run.h"
#include "shard/ddl/shell.h"
#include "shard/ddl/utility.h"
#include "shard/metadata/metadata.h"

/* Distributed tables that the statement names, Oids. */
static List *
named_tables(UtilityCall *call, GrantStmt *stmt)
{
	List *relids = NIL;
	ListCell *lc;

	if (stmt->objtype != OBJECT_TABLE)
		return NIL;
	if (stmt->targtype == ACL_TARGET_OBJECT)
	{
		foreach (lc, stmt->objects)
		{
			const DistributedTable *table = utility_table(call, castNode(RangeVar, lfirst(lc)));

			if (table != NULL)
				relids = list_append_unique_oid(relids, table->relid);
		}
		return relids;
	}
	foreach (lc, stmt->targtype == ACL_TARGET_ALL_IN_SCHEMA ? metadata_tables() : NIL)
	{
		char *schema = get_namespace_name(get_rel_namespace(lfirst_oid(lc)));
		ListCell *named;

		foreach (named, stmt->objects)
		{
			if (strcmp(strVal(lfirst(named)), schema) == 0)
				relids = list_append_unique_oid(relids, lfirst_oid(lc));
		}
	}
	return relids;
}

/* Everybody who has any privilege on the schema, its owner apart. */
static List *
schema_grantees(Oid schema)
{
	Oid owner;
	Acl *acl = rights_read(NamespaceRelationId, schema, &owner);
	List *roles = NIL;

	for (int i = 0; acl != NULL && i < ACL_NUM(acl); i++)
	{
		if (ACL_DAT(acl)[i].ai_grantee != owner)
			roles = list_append_unique_oid(roles, ACL_DAT(acl)[i].ai_grantee);
	}
	return roles;
}

/* REVOKE of everything on "object" from each role. */
static List *
revokes(const char *object, List *roles)
{
	List *commands = NIL;
	ListCell *lc;

	foreach (lc, roles)
		commands = lappend(commands, psprintf("REVOKE ALL ON %s FROM %s CASCADE", object,
											  rights_role(lfirst_oid(lc))));
	return commands;
}

void
grant_repeat(ShardRun *run, List *groups, Relation rel, int64 shard_id)
{
	Oid owner = rel->rd_rel->relowner;
	ListCell *lc;
	ListCell *group;

	foreach (lc, rights_of_table(rel, psprintf("TABLE %s", shard_ddl_name(rel, shard_id))))
	{
		const RightsGrant *grant = lfirst(lc);

		foreach (group, groups)
			shard_run_add_as(run, lfirst_int(group), grant->command,
							 grant->grantor == owner ? GetUserId() : grant->grantor);
	}
}

/* Takes from all who had privileges on the schemas of shards, and gives to those who have. */
static void
follow_schema(ShardRun *run, Oid schema, List *before)
{
	ListCell *lc;

	foreach (lc, shard_run_shards(schema))
	{
		const Shard *shard = lfirst(lc);
		char *object = psprintf("SCHEMA %s", shard_ddl_schema_name(schema, shard->id));

		shard_run_add_all(
			run, shard_run_groups(shard),
			list_concat(revokes(object, before), shard_ddl_schema_grants(schema, shard->id)));
	}
}

static bool
handle_schemas(UtilityCall *call, List *names)
{
	List *schemas = NIL;
	List *before = NIL;
	ShardRun *run = shard_run_create();
	ListCell *lc;
	ListCell *roles;

	foreach (lc, names)
	{
		Oid schema = get_namespace_oid(strVal(lfirst(lc)), true);

		if (!OidIsValid(schema))
			return false;
		schemas = lappend_oid(schemas, schema);
		before = lappend(before, schema_grantees(schema));
	}
	utility_run(call);
	CommandCounterIncrement();
	forboth (lc, schemas, roles, before)
		follow_schema(run, lfirst_oid(lc), lfirst(roles));
	shard_run_finish(run);
	return true;
}

/* All privileges on the table and its columns, to see whether anything has changed. */
static char *
privileges_text(Oid relid)
{
	StringInfoData text;
	Oid owner;
	ListCell *lc;

	initStringInfo(&text);
	foreach (lc, rights_read_table(relid, &owner))
		appendStringInfo(
			&text, "%s;",
			lfirst(lc) ? OidOutputFunctionCall(F_ARRAY_OUT, PointerGetDatum(lfirst(lc))) : "");
	return text.data;
}

/* "SELECT, UPDATE (a, b)" */
static char *
privilege_list(List *privileges)
{
	StringInfoData text;
	ListCell *lc;
	ListCell *column;

	initStringInfo(&text);
	foreach (lc, privileges)
	{
		AccessPriv *privilege = lfirst(lc);

		appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "",
						 privilege->priv_name ? privilege->priv_name : "ALL");
		foreach (column, privilege->cols)
			appendStringInfo(&text, "%s%s%s", foreach_current_index(column) == 0 ? " (" : ", ",
							 quote_identifier(strVal(lfirst(column))),
							 lnext(privilege->cols, column) == NULL ? ")" : "");
	}
	return privileges == NIL ? "ALL" : text.data;
}

static char *
grantee_list(List *grantees)
{
	StringInfoData text;
	ListCell *lc;

	initStringInfo(&text);
	foreach (lc, grantees)
	{
		RoleSpec *role = lfirst(lc);

		appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "",
						 role->roletype == ROLESPEC_PUBLIC
							 ? "PUBLIC"
							 : quote_identifier(get_rolespec_name(role)));
	}
	return text.data;
}

/*
 * The same on the shards and shells: who gives and takes what others gave him is known
 * there as it is here.
 */
static void
pass_on(ShardRun *run, Oid relid, GrantStmt *stmt)
{
	Relation rel = relation_open(relid, AccessShareLock);
	bool option = stmt->grant_option;
	char *before = psprintf("%s %s%s ON TABLE ", stmt->is_grant ? "GRANT" : "REVOKE",
							option && !stmt->is_grant ? "GRANT OPTION FOR " : "",
							privilege_list(stmt->privileges));
	char *after =
		psprintf(" %s %s%s%s", stmt->is_grant ? "TO" : "FROM", grantee_list(stmt->grantees),
				 option && stmt->is_grant ? " WITH GRANT OPTION" : "",
				 !stmt->is_grant && stmt->behavior == DROP_CASCADE ? " CASCADE" : "");

	shard_run_add_pieces(run, rel, SHARD_RUN_SHELLS, before, after, false);
	relation_close(rel, NoLock);
}

static bool
handle_tables(UtilityCall *call, GrantStmt *stmt)
{
	List *relids = named_tables(call, stmt);
	List *texts = NIL;
	ShardRun *run;
	int level;
	ListCell *lc;
	ListCell *text;

	if (relids == NIL)
		return false;
	foreach (lc, relids)
		texts = lappend(texts, privileges_text(lfirst_oid(lc)));
	utility_run(call);
	CommandCounterIncrement();

	/* What there is to be said the server has said about the table here. */
	level = shard_run_quietly("error");
	run = shard_run_create();
	forboth (lc, relids, text, texts)
	{
		if (strcmp(privileges_text(lfirst_oid(lc)), lfirst(text)) != 0)
			pass_on(run, lfirst_oid(lc), stmt);
	}
	shard_run_finish(run);
	AtEOXact_GUC(true, level);
	return true;
}

bool
grant_handle(UtilityCall *call)
{
	GrantStmt *stmt = castNode(GrantStmt, call->pstmt->utilityStmt);

	if (stmt->objtype == OBJECT_SCHEMA && stmt->targtype == ACL_TARGET_OBJECT)
		return handle_schemas(call, stmt->objects);
	return handle_tables(call, stmt);
}
