/*-------------------------------------------------------------------------
 * schema.c
 *	  Schemas of distributed tables: their name and their owner.
 *
 * The schemas of shards are named after the schema of the tables, and follow
 * it.  Grants on schemas are grant.c's.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "shard/ddl/shard_run.h"
#include "shard/ddl/utility.h"
#include "shard/metadata/metadata.h"

/* "ALTER SCHEMA name action" for each schema of a shard; "renamed" is the new name or NULL. */
static void
run_on_schemas(Oid schema, const char *name, const char *renamed, const char *action)
{
	ShardRun *run = shard_run_create();
	ListCell *lc;

	foreach (lc, shard_run_shards(schema))
	{
		const Shard *shard = lfirst(lc);
		char *old = pstrdup(quote_identifier(metadata_shard_schema(name, shard->id)));
		const char *new =
			renamed ? quote_identifier(metadata_shard_schema(renamed, shard->id)) : "";

		shard_run_add_all(run, shard_run_groups(shard),
						  list_make1(psprintf("ALTER SCHEMA %s %s%s", old, action, new)));
	}
	shard_run_finish(run);
}

bool
schema_handle_rename(UtilityCall *call)
{
	RenameStmt *stmt = castNode(RenameStmt, call->pstmt->utilityStmt);
	Oid schema = get_namespace_oid(stmt->subname, true);

	if (!OidIsValid(schema) || !metadata_any_table())
		return false;
	utility_run(call);
	run_on_schemas(schema, stmt->subname, stmt->newname, "RENAME TO ");
	return true;
}

bool
schema_handle_owner(UtilityCall *call)
{
	AlterOwnerStmt *stmt = castNode(AlterOwnerStmt, call->pstmt->utilityStmt);
	char *name;
	Oid schema;

	if (stmt->objectType != OBJECT_SCHEMA || !metadata_any_table())
		return false;
	name = strVal(stmt->object);
	schema = get_namespace_oid(name, true);
	utility_run(call);
	if (OidIsValid(schema))
		run_on_schemas(
			schema, name, NULL,
			psprintf("OWNER TO %s", quote_identifier(get_rolespec_name(stmt->newowner))));
	return true;
}
