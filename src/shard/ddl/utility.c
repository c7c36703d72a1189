/*-------------------------------------------------------------------------
 * utility.c
 *	  The hooks on utility commands, and on changes and drops of objects.
 *
 * A row of the table says who looks at a kind of statement; what is not in
 * it has nothing to do with distributed tables or is harmless on a shell.  If
 * such a statement changes one all the same, the server says so and it is
 * refused: shell and shards would differ.
 *
 * A table, or a part of it, can be dropped in many ways (its schema, a type,
 * its owner's things), so shards go where the server tells of each dropped
 * object: a table's at once, for a part its table is looked at before the
 * first drop, and followed when the statement is done.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "shard/ddl/distribute.h"
#include "shard/ddl/event_trigger.h"
#include "shard/ddl/function.h"
#include "shard/ddl/groups.h"
#include "shard/ddl/object_change.h"
#include "shard/ddl/partition.h"
#include "shard/ddl/roles.h"
#include "shard/ddl/sequence.h"
#include "shard/ddl/shape.h"
#include "shard/ddl/shell_node.h"
#include "shard/ddl/utility.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/planner.h"
#include "shard/remote/refusal.h"

static const struct
{
	NodeTag tag;
	UtilityHandler handle;
} handlers[] = {
	{T_CallStmt, call_handle},
	{T_ConstraintsSetStmt, constraints_handle},
	{T_CopyStmt, copy_handle},
	{T_TruncateStmt, truncate_handle},
	{T_AlterTableStmt, alter_handle_table},
	{T_AlterSeqStmt, sequence_handle_alter},
	{T_IndexStmt, alter_handle_index},
	{T_CreateStatsStmt, alter_handle_named},
	{T_AlterStatsStmt, alter_handle_statistics},
	{T_CreateTrigStmt, alter_handle_named},
	{T_CreatePolicyStmt, alter_handle_named},
	{T_AlterPolicyStmt, alter_handle_named},
	{T_RuleStmt, alter_handle_rule},
	{T_DropStmt, alter_handle_drop},
	{T_RenameStmt, alter_handle_rename},
	{T_AlterObjectSchemaStmt, alter_handle_set_schema},
	{T_AlterOwnerStmt, schema_handle_owner},
	{T_AlterTableMoveAllStmt, alter_handle_all},
	{T_GrantStmt, grant_handle},
	{T_VacuumStmt, vacuum_handle},
	{T_ReindexStmt, maintain_handle_reindex},
	{T_ClusterStmt, maintain_handle_cluster},
	{T_LockStmt, maintain_handle_lock},
	{T_CreateStmt, partition_handle_create},
	{T_CreateForeignTableStmt, refuse_create_table},
	{T_CreatePublicationStmt, refuse_publication},
	{T_AlterPublicationStmt, refuse_publication},
	{T_AlterRoleSetStmt, roles_handle},
	{T_AlterRoleStmt, roles_handle},
	{T_CommentStmt, roles_handle},
	{T_CreateRoleStmt, roles_handle},
	{T_DropRoleStmt, roles_handle},
	{T_GrantRoleStmt, roles_handle},
	{T_DropOwnedStmt, roles_handle},
	{T_ReassignOwnedStmt, roles_handle},
};

static ProcessUtility_hook_type prev_ProcessUtility = NULL;
static object_access_hook_type prev_object_access = NULL;

/* What the statement that runs just now has touched. */
typedef struct Touched
{
	bool known;	 /* somebody looked at the statement */
	bool direct; /* the client sent it, or it is a part of what it sent */
	UtilityCall *call;
	List *shapes;		   /* of tables that lose parts, as they were */
	MemoryContext context; /* holds them */
} Touched;

static Touched *touched = NULL;

static void
run_next(UtilityCall *call)
{
	ProcessUtility_hook_type next =
		prev_ProcessUtility ? prev_ProcessUtility : standard_ProcessUtility;

	next(call->pstmt, call->query_string, call->read_only_tree, call->context, call->params,
		 call->environment, call->dest, call->completion);
}

void
utility_run(UtilityCall *call)
{
	event_trigger_run(call, run_next);
}

char *
utility_statement_text(const UtilityCall *call)
{
	const char *text = call->query_string + Max(call->pstmt->stmt_location, 0);
	int length = call->pstmt->stmt_len > 0 ? call->pstmt->stmt_len : (int) strlen(text);

	return pnstrdup(text, length);
}

static bool
is_index(Oid relid)
{
	char kind = get_rel_relkind(relid);

	return kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX;
}

static const DistributedTable *
find_table(UtilityCall *call, RangeVar *name, uint32 flags)
{
	/*
	 * Distributing takes the strongest lock, so the weakest one waits for
	 * its end.  Kept, it would make two sessions that go on to a strong lock
	 * wait for each other.
	 */
	Oid named = RangeVarGetRelidExtended(name, AccessShareLock, flags | RVR_MISSING_OK, NULL, NULL);
	Oid relid = named;
	const DistributedTable *table;

	if (!OidIsValid(named))
		return NULL;
	if (is_index(named))
		relid = IndexGetRelation(named, true);
	table = OidIsValid(relid) ? metadata_table(relid) : NULL;
	if (table == NULL && OidIsValid(relid))
		call->local = lappend_oid(call->local, relid);
	UnlockRelationOid(named, AccessShareLock);
	return table;
}

const DistributedTable *
utility_table(UtilityCall *call, RangeVar *name)
{
	return find_table(call, name, 0);
}

const DistributedTable *
utility_table_if_free(UtilityCall *call, RangeVar *name)
{
	return find_table(call, name, RVR_SKIP_LOCKED);
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

/* Statements that only run others, or functions, are none. */
static bool
is_known(Node *stmt)
{
	return find_handler(nodeTag(stmt)) != NULL || GetCommandLogLevel(stmt) != LOGSTMT_DDL ||
		   IsA(stmt, CreateTableAsStmt) || IsA(stmt, RefreshMatViewStmt);
}

static void
handle_call(UtilityCall *call)
{
	UtilityHandler handle = find_handler(nodeTag(call->pstmt->utilityStmt));

	if (handle == NULL || !handle(call))
		utility_run(call);
}

static void
run_call(UtilityCall *call)
{
	Touched mine = {
		.known = is_known(call->pstmt->utilityStmt), .call = call, .context = CurrentMemoryContext};
	Touched *outer = touched;
	ObjectChange *change = object_change_begin(call);
	bool local = planner_local_reads();
	RefusalCall refusal;
	bool calls;

	mine.direct = call->context == PROCESS_UTILITY_TOPLEVEL ||
				  (call->context == PROCESS_UTILITY_SUBCOMMAND && outer != NULL && outer->direct);
	if (metadata_any_shell())
		shell_check_statement(call->pstmt->utilityStmt, mine.direct);
	calls = mine.direct && IsA(call->pstmt->utilityStmt, CallStmt) && metadata_any_shell() &&
			refusal_is_for_coordinator();
	if (calls)
		refusal_enter_call(&refusal);
	PG_TRY();
	{
		touched = &mine;

		/* On a node, the server checks the constraints of a shell by queries that name it. */
		if (mine.direct && IsA(call->pstmt->utilityStmt, AlterTableStmt) && metadata_any_shell())
			(void) planner_read_local(true);
		handle_call(call);
	}
	PG_FINALLY();
	{
		touched = outer;
		(void) planner_read_local(local);
		object_change_leave(change);
	}
	PG_END_TRY();
	if (calls)
		refusal_leave_call(&refusal);
	if (mine.shapes != NIL)
		alter_follow_drops(mine.shapes);
	object_change_finish(change);
	check_still_local(call);
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

	/* BEGIN, COMMIT and the like touch no object, and come with every transaction. */
	if (IsA(pstmt->utilityStmt, TransactionStmt))
		run_next(&call);
	else if (metadata_present())
		run_call(&call);
	else
		utility_run(&call);
}

/*
 * Drops
 */

/* The catalogs stay while they are needed. */
static void
keep_catalogs(Oid relid)
{
	/* Indexes go before their tables, and nothing can be read without them. */
	if (get_rel_namespace(relid) == get_namespace_oid("pgcluster", true) && !creating_extension)
		ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						errmsg("cannot drop extension \"pgcluster\" while tables are distributed"),
						errhint("Use undistribute_table or drop the tables first.")));
}

/* A column of a row of a catalog that has no cache: the table that a trigger or policy is of. */
static Oid
table_in_row(Oid catalog_id, Oid index_id, AttrNumber oid_column, AttrNumber table_column,
			 Oid object_id)
{
	Relation catalog = table_open(catalog_id, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	Oid table = InvalidOid;
	bool isnull;

	ScanKeyInit(&key, oid_column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object_id));
	scan = systable_beginscan(catalog, index_id, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		table =
			DatumGetObjectId(heap_getattr(tuple, table_column, RelationGetDescr(catalog), &isnull));
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return table;
}

static Oid
table_in_cache(int cache, AttrNumber table_column, Oid object_id)
{
	HeapTuple tuple = SearchSysCache1(cache, ObjectIdGetDatum(object_id));
	Oid table = InvalidOid;
	bool isnull;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	table = DatumGetObjectId(SysCacheGetAttr(cache, tuple, table_column, &isnull));
	ReleaseSysCache(tuple);
	return table;
}

/* The table that an object is a part of, as far as shards have such parts; InvalidOid if none. */
static Oid
table_of_part(Oid class_id, Oid object_id, int column)
{
	switch (class_id)
	{
		case RelationRelationId:
			if (is_index(object_id))
				return IndexGetRelation(object_id, true);
			return column != 0 ? object_id : InvalidOid;
		case AttrDefaultRelationId:
			return GetAttrDefaultColumnAddress(object_id).objectId;
		case ConstraintRelationId:
			return table_in_cache(CONSTROID, Anum_pg_constraint_conrelid, object_id);
		case StatisticExtRelationId:
			return table_in_cache(STATEXTOID, Anum_pg_statistic_ext_stxrelid, object_id);
		case TriggerRelationId:
			return table_in_row(TriggerRelationId, TriggerOidIndexId, Anum_pg_trigger_oid,
								Anum_pg_trigger_tgrelid, object_id);
		case PolicyRelationId:
			return table_in_row(PolicyRelationId, PolicyOidIndexId, Anum_pg_policy_oid,
								Anum_pg_policy_polrelid, object_id);
		default:
			return InvalidOid;
	}
}

/* The table loses a part: looks at it while it has that, unless done before. */
static void
before_loss(Oid relid)
{
	MemoryContext old;
	ListCell *lc;

	if (alter_follows(relid) || metadata_table(relid) == NULL)
		return;
	if (touched == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot drop parts of distributed table \"%s\" but by a statement",
						get_rel_name(relid)),
				 errhint("Use undistribute_table, change the table, and distribute it again.")));
	foreach (lc, touched->shapes)
	{
		if (shape_table(lfirst(lc)) == relid)
			return;
	}
	old = MemoryContextSwitchTo(touched->context);
	touched->shapes = lappend(touched->shapes, shape_take(relid));
	MemoryContextSwitchTo(old);
}

/* What this server drops itself nobody else can drop in between. */
static void
check_owned(Oid relid)
{
	if (touched == NULL || !IsA(touched->call->pstmt->utilityStmt, DropOwnedStmt) ||
		list_length(groups_elsewhere()) == list_length(metadata_groups()))
		return;
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot drop distributed table \"%s\" with all that its owner has",
						   get_rel_name(relid)),
					errdetail("Shards of it are on this server, and belong to the same role."),
					errhint("Use DROP TABLE first.")));
}

static void
before_drop(Oid class_id, Oid object_id, int column, const ObjectAccessDrop *drop)
{
	Oid relid;

	if (class_id == RelationRelationId)
		keep_catalogs(object_id);
	if (class_id == RelationRelationId && column == 0 && metadata_table(object_id) != NULL)
	{
		check_owned(object_id);
		distribute_drop_shards(object_id);
		return;
	}

	/* What the server drops in the course of a command it makes anew. */
	if (drop != NULL && (drop->dropflags & PERFORM_DELETION_INTERNAL) != 0)
		return;
	relid = table_of_part(class_id, object_id, column);
	if (OidIsValid(relid))
		before_loss(relid);
}

/* On a node: only the coordinator changes shells. */
static void
shell_accessed(ObjectAccessType access, Oid relid, int column)
{
	bool direct = touched != NULL && touched->direct;

	if (access != OAT_DROP && access != OAT_POST_ALTER)
		return;
	shell_check_change(relid, direct);
	if (access == OAT_DROP && column == 0)
		shell_forget(relid);
}

static void
pgcluster_object_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, class_id, object_id, sub_id, arg);
	if (class_id == RelationRelationId && metadata_any_shell())
		shell_accessed(access, object_id, sub_id);
	if (access == OAT_DROP && sub_id == 0 && object_id >= FirstNormalObjectId && metadata_present())
		object_change_dropped(class_id, object_id);
	if (access == OAT_DROP && class_id == ProcedureRelationId && metadata_present())
		function_forget(object_id);
	if (access == OAT_DROP && metadata_any_table())
		before_drop(class_id, object_id, sub_id, arg);
	if (access == OAT_POST_ALTER && class_id == RelationRelationId && touched != NULL &&
		!touched->known && metadata_table(object_id) != NULL)
		refuse_statement(touched->call, object_id);
}

List *
utility_relations(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterPolicyStmt:
			return list_make1(((AlterPolicyStmt *) stmt)->table);
		case T_CreatePolicyStmt:
			return list_make1(((CreatePolicyStmt *) stmt)->table);
		case T_CreateStatsStmt:
			return ((CreateStatsStmt *) stmt)->relations;
		case T_CreateTrigStmt:
			return list_make2(((CreateTrigStmt *) stmt)->relation,
							  ((CreateTrigStmt *) stmt)->constrrel);
		default:
			return NIL;
	}
}

void
ddl_init(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = pgcluster_ProcessUtility;
	prev_object_access = object_access_hook;
	object_access_hook = pgcluster_object_access;
}
