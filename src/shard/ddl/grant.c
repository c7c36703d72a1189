/*-------------------------------------------------------------------------
 * grant.c
 *	  GRANT and REVOKE on distributed tables and their schemas.
 *
 * The server changes the grants of the shell, or of its schema; the shards
 * then get exactly those.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

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

static List *
add_grantees(List *roles, Datum acl_datum, Oid owner)
{
	Acl *acl = DatumGetAclP(acl_datum);

	for (int i = 0; i < ACL_NUM(acl); i++)
	{
		if (ACL_DAT(acl)[i].ai_grantee != owner)
			roles = list_append_unique_oid(roles, ACL_DAT(acl)[i].ai_grantee);
	}
	return roles;
}

/* Everybody who has any privilege on the table or a column, the owner apart. */
static List *
grantees(Oid relid)
{
	Relation rel = relation_open(relid, AccessShareLock);
	Oid owner = rel->rd_rel->relowner;
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	List *roles = NIL;
	bool isnull;
	Datum acl;

	acl = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
	if (!isnull)
		roles = add_grantees(roles, acl, owner);
	ReleaseSysCache(tuple);
	for (int i = 1; i <= RelationGetNumberOfAttributes(rel); i++)
	{
		tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(i));
		if (!HeapTupleIsValid(tuple))
			continue;
		acl = SysCacheGetAttr(ATTNUM, tuple, Anum_pg_attribute_attacl, &isnull);
		if (!isnull)
			roles = add_grantees(roles, acl, owner);
		ReleaseSysCache(tuple);
	}
	relation_close(rel, NoLock);
	return roles;
}

/* Everybody who has any privilege on the schema, its owner apart. */
static List *
schema_grantees(Oid schema)
{
	HeapTuple tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	List *roles = NIL;
	bool isnull;
	Datum acl;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	acl = SysCacheGetAttr(NAMESPACEOID, tuple, Anum_pg_namespace_nspacl, &isnull);
	if (!isnull)
		roles = add_grantees(roles, acl, ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner);
	ReleaseSysCache(tuple);
	return roles;
}

/* REVOKE of everything on "object" from each role. */
static List *
revokes(const char *object, List *roles)
{
	List *commands = NIL;
	ListCell *lc;

	foreach (lc, roles)
		commands = lappend(
			commands, psprintf("REVOKE ALL ON %s FROM %s CASCADE", object,
							   lfirst_oid(lc) == ACL_ID_PUBLIC
								   ? "PUBLIC"
								   : quote_identifier(GetUserNameFromId(lfirst_oid(lc), false))));
	return commands;
}

/* Takes from all who had privileges, and gives to those who have. */
static void
follow(ShardRun *run, Oid relid, List *before)
{
	const DistributedTable *table = metadata_table(relid);
	Relation rel = relation_open(relid, NoLock);

	for (int i = 0; i < shell_end(table->colocation); i++)
	{
		const Shard *shard = shell_or_shard(table->colocation, i);
		char *object = psprintf("TABLE %s", shard_ddl_name(rel, shard->id));

		shard_run_add_all(run, shard_run_groups(shard),
						  list_concat(revokes(object, before), shard_ddl_grants(rel, shard->id)));
	}
	relation_close(rel, NoLock);
}

/* The same for the schemas of all shards that are named after this one. */
static void
follow_schema(ShardRun *run, Oid schema, List *before)
{
	List *done = NIL;
	ListCell *lc;

	foreach (lc, metadata_tables())
	{
		const Colocation *colocation = metadata_table(lfirst_oid(lc))->colocation;

		if (get_rel_namespace(lfirst_oid(lc)) != schema || list_member_int(done, colocation->id))
			continue;
		done = lappend_int(done, colocation->id);
		for (int i = 0; i < colocation->nshards; i++)
		{
			const Shard *shard = &colocation->shards[i];
			char *object = psprintf("SCHEMA %s", shard_ddl_schema_name(schema, shard->id));

			shard_run_add_all(
				run, shard_run_groups(shard),
				list_concat(revokes(object, before), shard_ddl_schema_grants(schema, shard->id)));
		}
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

static bool
handle_tables(UtilityCall *call, GrantStmt *stmt)
{
	List *relids = named_tables(call, stmt);
	List *before = NIL;
	ShardRun *run;
	ListCell *lc;
	ListCell *roles;

	if (relids == NIL)
		return false;
	foreach (lc, relids)
		before = lappend(before, grantees(lfirst_oid(lc)));
	utility_run(call);
	CommandCounterIncrement();
	run = shard_run_create();
	forboth (lc, relids, roles, before)
		follow(run, lfirst_oid(lc), lfirst(roles));
	shard_run_finish(run);
	return true;
}

/* DROP OWNED takes away what was granted to the roles, too. */
bool
grant_handle_owned(UtilityCall *call)
{
	List *relids = metadata_tables();
	List *before = NIL;
	ShardRun *run = shard_run_create();
	ListCell *lc;
	ListCell *roles;

	foreach (lc, relids)
		before = lappend(before, grantees(lfirst_oid(lc)));
	alter_run(call, NIL);
	CommandCounterIncrement();
	forboth (lc, relids, roles, before)
	{
		if (metadata_table(lfirst_oid(lc)) != NULL && lfirst(roles) != NIL)
			follow(run, lfirst_oid(lc), lfirst(roles));
	}
	shard_run_finish(run);
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
