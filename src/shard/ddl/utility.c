/*-------------------------------------------------------------------------
 * utility.c
 *	  The hooks on utility commands and on drops.
 *
 * A row of the table says who looks at a kind of statement; what is not in
 * it has nothing to do with distributed tables or is harmless on a shell.
 * A table can be dropped in many ways (its schema, its owner's things), so
 * shards go where the server tells of each dropped object.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "shard/ddl/distribute.h"
#include "shard/ddl/roles.h"
#include "shard/ddl/utility.h"
#include "shard/metadata/metadata.h"

static const struct
{
	NodeTag tag;
	UtilityHandler handle;
} handlers[] = {
	{T_CopyStmt, copy_handle},
	{T_TruncateStmt, truncate_handle},
	{T_AlterTableStmt, alter_handle_table},
	{T_IndexStmt, alter_handle_index},
	{T_CreateStatsStmt, alter_handle_statistics},
	{T_DropStmt, alter_handle_drop},
	{T_RenameStmt, alter_handle_rename},
	{T_GrantStmt, grant_handle},
	{T_VacuumStmt, vacuum_handle},
	{T_CreateStmt, refuse_create_table},
	{T_CreateForeignTableStmt, refuse_create_table},
	{T_AlterObjectSchemaStmt, refuse_named},
	{T_AlterPolicyStmt, refuse_named},
	{T_AlterPublicationStmt, refuse_named},
	{T_ClusterStmt, refuse_named},
	{T_CreatePolicyStmt, refuse_named},
	{T_CreatePublicationStmt, refuse_named},
	{T_CreateTrigStmt, refuse_named},
	{T_ReindexStmt, refuse_named},
	{T_RuleStmt, refuse_named},
	{T_AlterRoleSetStmt, roles_handle},
	{T_AlterRoleStmt, roles_handle},
	{T_CommentStmt, roles_handle},
	{T_CreateRoleStmt, roles_handle},
	{T_DropRoleStmt, roles_handle},
	{T_GrantRoleStmt, roles_handle},
};

static ProcessUtility_hook_type prev_ProcessUtility = NULL;
static object_access_hook_type prev_object_access = NULL;

void
utility_run(UtilityCall *call)
{
	ProcessUtility_hook_type next =
		prev_ProcessUtility ? prev_ProcessUtility : standard_ProcessUtility;

	next(call->pstmt, call->query_string, call->read_only_tree, call->context, call->params,
		 call->environment, call->dest, call->completion);
}

char *
utility_statement_text(const UtilityCall *call)
{
	const char *text = call->query_string + Max(call->pstmt->stmt_location, 0);
	int length = call->pstmt->stmt_len > 0 ? call->pstmt->stmt_len : (int) strlen(text);

	return pnstrdup(text, length);
}

const DistributedTable *
utility_table(UtilityCall *call, RangeVar *name)
{
	/*
	 * Distributing takes the strongest lock, so the weakest one waits for
	 * its end.  Kept, it would make two sessions that go on to a strong lock
	 * wait for each other.
	 */
	Oid named = RangeVarGetRelid(name, AccessShareLock, true);
	Oid relid = named;
	const DistributedTable *table;

	if (!OidIsValid(named))
		return NULL;
	if (get_rel_relkind(named) == RELKIND_INDEX)
		relid = IndexGetRelation(named, true);
	table = OidIsValid(relid) ? metadata_table(relid) : NULL;
	if (table == NULL && OidIsValid(relid))
		call->local = lappend_oid(call->local, relid);
	UnlockRelationOid(named, AccessShareLock);
	return table;
}

/* The statement has its locks by now: what is local stays local. */
static void
check_still_local(UtilityCall *call)
{
	ListCell *lc;

	foreach (lc, call->local)
	{
		if (metadata_table(lfirst_oid(lc)) != NULL)
			ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
							errmsg("table \"%s\" was distributed at the same time",
								   get_rel_name(lfirst_oid(lc))),
							errhint("Run the statement again.")));
	}
}

static UtilityHandler
find_handler(NodeTag tag)
{
	for (size_t i = 0; i < lengthof(handlers); i++)
	{
		if (handlers[i].tag == tag)
			return handlers[i].handle;
	}
	return NULL;
}

static void
pgcluster_ProcessUtility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
						 ProcessUtilityContext context, ParamListInfo params,
						 QueryEnvironment *environment, DestReceiver *dest,
						 QueryCompletion *completion)
{
	UtilityCall call = {.pstmt = pstmt,
						.query_string = query_string,
						.read_only_tree = read_only_tree,
						.context = context,
						.params = params,
						.environment = environment,
						.dest = dest,
						.completion = completion};
	UtilityHandler handle = find_handler(nodeTag(pstmt->utilityStmt));

	if (handle == NULL || !metadata_present())
	{
		utility_run(&call);
		return;
	}
	if (!handle(&call))
		utility_run(&call);
	check_still_local(&call);
}

/*
 * A table that is about to be dropped takes its shards along; a column can
 * only go with the table.  The catalogs stay while they are needed.
 */
static void
before_drop(Oid relid, int column)
{
	/* Indexes go before their tables, and nothing can be read without them. */
	if (get_rel_namespace(relid) == get_namespace_oid("pgcluster", true) && !creating_extension)
		ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						errmsg("cannot drop extension \"pgcluster\" while tables are distributed"),
						errhint("Use undistribute_table or drop the tables first.")));
	if (metadata_table(relid) == NULL)
		return;
	if (column != 0 && alter_allows_drop(relid))
		return;
	if (column != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot drop column \"%s\" of distributed table \"%s\"",
						get_attname(relid, column, false), get_rel_name(relid)),
				 errhint("Use undistribute_table, change the table, and distribute it again.")));
	distribute_drop_shards(relid);
}

static void
pgcluster_object_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, class_id, object_id, sub_id, arg);
	if (access == OAT_DROP && class_id == RelationRelationId && metadata_any_table())
		before_drop(object_id, sub_id);
}

void
ddl_init(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = pgcluster_ProcessUtility;
	prev_object_access = object_access_hook;
	object_access_hook = pgcluster_object_access;
}
