/*-------------------------------------------------------------------------
 * compat.h
 *	  The only place that knows server versions.
 *
 * Gives PostgreSQL 15 the shape of the newest server where the two differ,
 * so that all other code is written once.  Nothing else tests
 * PG_VERSION_NUM.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BASE_COMPAT_H
#define PGCLUSTER_BASE_COMPAT_H

#include "fmgr.h"
#include "nodes/plannodes.h"

/* What EXPLAIN prints with left commands/explain.h. */
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

#if PG_VERSION_NUM < 150000
#error "pgcluster needs PostgreSQL 15 or newer"
#endif

/*
 * A WaitEventSet that lives until FreeWaitEventSet, in older servers in
 * "context".
 */
#if PG_VERSION_NUM >= 170000
#define compat_create_wait_event_set(context, nevents) CreateWaitEventSet(NULL, (nevents))
#else
#define compat_create_wait_event_set(context, nevents) CreateWaitEventSet((context), (nevents))
#endif

/* The privilege to VACUUM and the like; no bit where there is none.  The includer has nodes/parsenodes.h. */
#if PG_VERSION_NUM >= 170000
#define COMPAT_ACL_MAINTAIN ACL_MAINTAIN
#else
#define COMPAT_ACL_MAINTAIN ((AclMode) 0)
#endif

/* random() without arguments got a longer name when random(min, max) came. */
#if PG_VERSION_NUM >= 170000
#define COMPAT_F_RANDOM F_RANDOM_
#else
#define COMPAT_F_RANDOM F_RANDOM
#endif

/* Is there something of the client's that was received and not read yet? */
#if PG_VERSION_NUM >= 170000
#define compat_client_sent_more() (pq_buffer_remaining_data() > 0)
#else
#define compat_client_sent_more() pq_buffer_has_data()
#endif

/* The hook of ExecutorRun lost its last argument. */
#if PG_VERSION_NUM >= 180000
#define COMPAT_RUN_ONCE_PARAMETER
#define COMPAT_RUN_ONCE
#else
#define COMPAT_RUN_ONCE_PARAMETER , bool execute_once
#define COMPAT_RUN_ONCE , execute_once
#endif

/* The subtransaction that gave the table new storage. */
#if PG_VERSION_NUM >= 160000
#define compat_new_storage_subid(rel) ((rel)->rd_newRelfilelocatorSubid)
#else
#define compat_new_storage_subid(rel) ((rel)->rd_newRelfilenodeSubid)
#endif

/* Runs a query to its end. */
#if PG_VERSION_NUM >= 180000
#define compat_executor_run(query, direction, count) ExecutorRun((query), (direction), (count))
#else
#define compat_executor_run(query, direction, count) \
	ExecutorRun((query), (direction), (count), true)
#endif

/* Of a row that is new; gives what is to be checked later.  The includer has executor/executor.h. */
#if PG_VERSION_NUM >= 160000
#define compat_insert_index_entries(target, slot, estate) \
	ExecInsertIndexTuples((target), (slot), (estate), false, false, NULL, NIL, false)
#else
#define compat_insert_index_entries(target, slot, estate) \
	ExecInsertIndexTuples((target), (slot), (estate), false, false, NULL, NIL)
#endif

/* The last leaf of a btree, locked for reading.  The includer has access/nbtree.h. */
#if PG_VERSION_NUM >= 170000
#define compat_last_leaf(index) _bt_get_endpoint((index), 0, true)
#else
#define compat_last_leaf(index) _bt_get_endpoint((index), 0, true, NULL)
#endif

/* RETURNING learned to tell old from new.  The includer has parser/parse_relation.h. */
#if PG_VERSION_NUM >= 180000
#define compat_expand_rte(rte, rtindex, up, location, dropped, names, columns)               \
	expandRTE((rte), (rtindex), (up), VAR_RETURNING_DEFAULT, (location), (dropped), (names), \
			  (columns))
#else
#define compat_expand_rte(rte, rtindex, up, location, dropped, names, columns) \
	expandRTE((rte), (rtindex), (up), (location), (dropped), (names), (columns))
#endif

/* Is this a background worker?  The includer has miscadmin.h. */
#if PG_VERSION_NUM >= 170000
#define compat_is_background_worker() AmBackgroundWorkerProcess()
#else
#define compat_is_background_worker() IsBackgroundWorker
#endif

/* This backend and its transaction, as in the names of exported snapshots.  The includer has storage/proc.h. */
#if PG_VERSION_NUM >= 170000
#define compat_backend_number() ((int) MyProc->vxid.procNumber)
#define compat_local_xid() MyProc->vxid.lxid
#else
#define compat_backend_number() ((int) MyProc->backendId)
#define compat_local_xid() MyProc->lxid
#endif

/*
 * What switches event triggers off; before, all that fire at the origin of
 * changes.  The includer has commands/event_trigger.h and commands/trigger.h.
 */
#if PG_VERSION_NUM >= 170000
#define compat_event_triggers event_triggers
#define COMPAT_EVENT_TRIGGERS_OFF false
#else
#define compat_event_triggers SessionReplicationRole
#define COMPAT_EVENT_TRIGGERS_OFF SESSION_REPLICATION_ROLE_REPLICA
#endif

/* A message in the log that is written with its transaction.  The includer has replication/message.h. */
#if PG_VERSION_NUM >= 170000
#define compat_log_message(prefix, message, size) \
	LogLogicalMessage((prefix), (message), (size), true, false)
#else
#define compat_log_message(prefix, message, size) \
	LogLogicalMessage((prefix), (message), (size), true)
#endif

/*
 * All settings, and a number that is another one when there are others that
 * have a value.  Newer servers sort them all whenever they are listed; what
 * parallel workers are told is had for a tenth of that.
 */
#if PG_VERSION_NUM >= 160000
#include "common/hashfn.h"
#include "utils/guc_tables.h"
#define compat_guc_variables(count) get_guc_variables(count)
static inline uint32
compat_guc_state(void)
{
	Size size = EstimateGUCStateSpace();
	char *state = palloc0(size);
	uint32 hash;

	SerializeGUCState(size, state);
	hash = hash_bytes((const unsigned char *) state, (int) size);
	pfree(state);
	return hash;
}
#else
#define compat_guc_variables(count) (*(count) = GetNumConfigOptions(), get_guc_variables())
#define compat_guc_state() ((uint32) GetNumConfigOptions())
#endif

/* The status of a backend as of the local snapshot; index from 1. */
#if PG_VERSION_NUM < 160000
#define pgstat_get_local_beentry_by_index pgstat_fetch_stat_local_beentry
#endif

/* The number of this process among those that have a PGPROC, and that of none for SendProcSignal. */
#if PG_VERSION_NUM >= 170000
#define compat_proc_number() MyProcNumber
#define COMPAT_NO_BACKEND INVALID_PROC_NUMBER
#else
#define compat_proc_number() (MyProc->pgprocno)
#define COMPAT_NO_BACKEND InvalidBackendId
#endif

/*
 * Replication slots.  The includer has replication/slot.h.
 */
#if PG_VERSION_NUM >= 170000
#define compat_slot_create(name, logical, persistency) \
	ReplicationSlotCreate((name), (logical), (persistency), false, false, false)
#else
#define compat_slot_create(name, logical, persistency) \
	ReplicationSlotCreate((name), (logical), (persistency), false)
#endif
#if PG_VERSION_NUM >= 170000
#define compat_slot_cleanup() ReplicationSlotCleanup(false)
#else
#define compat_slot_cleanup() ReplicationSlotCleanup()
#endif
#if PG_VERSION_NUM >= 180000
#define compat_slot_acquire(name) ReplicationSlotAcquire((name), true, false)
#else
#define compat_slot_acquire(name) ReplicationSlotAcquire((name), true)
#endif
/* A connection to a database for queries.  The includer has replication/walreceiver.h. */
#if PG_VERSION_NUM >= 170000
#define compat_walrcv_connect(conninfo, name, reason) \
	walrcv_connect((conninfo), true, true, false, (name), (reason))
#elif PG_VERSION_NUM >= 160000
#define compat_walrcv_connect(conninfo, name, reason) \
	walrcv_connect((conninfo), true, false, (name), (reason))
#else
#define compat_walrcv_connect(conninfo, name, reason) \
	walrcv_connect((conninfo), true, (name), (reason))
#endif
#if PG_VERSION_NUM >= 160000
#define compat_slot_is_invalid(slot) ((slot)->data.invalidated != RS_INVAL_NONE)
#else
#define compat_slot_is_invalid(slot)                  \
	((slot)->data.restart_lsn == InvalidXLogRecPtr && \
	 (slot)->data.invalidated_at != InvalidXLogRecPtr)
#endif

/*
 * Do commits wait for standbys?  The flag got company in minor releases.  The
 * includer has replication/walsender_private.h.
 */
#if PG_VERSION_NUM >= 170005 || (PG_VERSION_NUM >= 160009 && PG_VERSION_NUM < 170000) || \
	(PG_VERSION_NUM >= 150013 && PG_VERSION_NUM < 160000)
#define compat_sync_standbys_defined() \
	((((volatile WalSndCtlData *) WalSndCtl)->sync_standbys_status & SYNC_STANDBY_DEFINED) != 0)
#else
#define compat_sync_standbys_defined() \
	(((volatile WalSndCtlData *) WalSndCtl)->sync_standbys_defined)
#endif

/*
 * An SQL entry point: visible although the library hides its symbols.
 */
#define PGCLUSTER_FUNCTION(name)                     \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)

/* Of the server this was built for. */
static inline int
server_major_version(void)
{
	return PG_VERSION_NUM / 10000;
}

/*
 * Relations only.  The includer has catalog/pg_class.h, miscadmin.h and
 * utils/acl.h, or commands/tablecmds.h.
 */
#if PG_VERSION_NUM >= 160000
#define user_owns_relation(relid) object_ownercheck(RelationRelationId, relid, GetUserId())
#define user_owns_function(id) object_ownercheck(ProcedureRelationId, id, GetUserId())
#define user_may_execute(id) object_aclcheck(ProcedureRelationId, id, GetUserId(), ACL_EXECUTE)
#define truncate_relations(rels, relids) \
	ExecuteTruncateGuts(rels, relids, NIL, DROP_CASCADE, false, false)
#else
#define user_owns_relation(relid) pg_class_ownercheck(relid, GetUserId())
#define user_owns_function(id) pg_proc_ownercheck(id, GetUserId())
#define user_may_execute(id) pg_proc_aclcheck(id, GetUserId(), ACL_EXECUTE)
#define truncate_relations(rels, relids) ExecuteTruncateGuts(rels, relids, NIL, DROP_CASCADE, false)
#endif

/*
 * Since 16 the permissions to check are kept apart from the range table.
 */
#if PG_VERSION_NUM >= 160000
#include "parser/parse_relation.h"

static inline void
compat_keep_permissions(PlannedStmt *statement, Query *query, RangeTblEntry *copy)
{
	if (copy->perminfoindex != 0)
	{
		RTEPermissionInfo *info = getRTEPermissionInfo(query->rteperminfos, copy);

		statement->permInfos = lappend(statement->permInfos, copyObject(info));
		copy->perminfoindex = list_length(statement->permInfos);
	}
}

static inline void
compat_forget_permissions(RangeTblEntry *rte)
{
	rte->perminfoindex = 0;
}

/* The planner wants an entry for each table, be there nothing to check. */
static inline void
compat_complete_permissions(Query *query, RangeTblEntry *rte)
{
	if (rte->perminfoindex == 0)
		(void) addRTEPermissionInfo(&query->rteperminfos, rte);
}

/* "to", in the query "into", takes over what is checked for "from". */
static inline void
compat_move_permissions(Query *query, RangeTblEntry *from, Query *into, RangeTblEntry *to)
{
	if (from->perminfoindex != 0)
	{
		RTEPermissionInfo *info = getRTEPermissionInfo(query->rteperminfos, from);

		into->rteperminfos = list_make1(copyObject(info));
		to->perminfoindex = 1;
		from->perminfoindex = 0;
		info->requiredPerms = 0;
	}
}

static inline void
compat_copy_permissions(Query *from, Query *to)
{
	to->rteperminfos = copyObject(from->rteperminfos);
}

/* Privileges are checked on another relation. */
static inline void
compat_rename_permissions(Query *query, RangeTblEntry *rte, Oid relid)
{
	if (rte->perminfoindex != 0)
		getRTEPermissionInfo(query->rteperminfos, rte)->relid = relid;
}

/* The role whose privileges and policies count; InvalidOid: the user. */
static inline Oid
compat_check_as_user(Query *query, RangeTblEntry *rte)
{
	return rte->perminfoindex != 0 ? getRTEPermissionInfo(query->rteperminfos, rte)->checkAsUser
								   : InvalidOid;
}
#else
static inline void
compat_keep_permissions(PlannedStmt *statement, Query *query, RangeTblEntry *copy)
{
}

static inline void
compat_forget_permissions(RangeTblEntry *rte)
{
}

static inline void
compat_complete_permissions(Query *query, RangeTblEntry *rte)
{
}

static inline void
compat_move_permissions(Query *query, RangeTblEntry *from, Query *into, RangeTblEntry *to)
{
	from->requiredPerms = 0;
}

static inline void
compat_copy_permissions(Query *from, Query *to)
{
}

static inline void
compat_rename_permissions(Query *query, RangeTblEntry *rte, Oid relid)
{
}

static inline Oid
compat_check_as_user(Query *query, RangeTblEntry *rte)
{
	return rte->checkAsUser;
}
#endif

/* The rows of one run belong to those of all.  The includer has nodes/execnodes.h. */
#if PG_VERSION_NUM >= 160000
#define compat_add_to_total(state) ((state)->es_total_processed += (state)->es_processed)
#else
#define compat_add_to_total(state) ((void) 0)
#endif

/* Checks those of a statement to be run.  The includer has executor/executor.h. */
#if PG_VERSION_NUM >= 160000
#define compat_check_permissions(statement) \
	((void) ExecCheckPermissions((statement)->rtable, (statement)->permInfos, true))
#else
#define compat_check_permissions(statement) ((void) ExecCheckRTPerms((statement)->rtable, true))
#endif

/*
 * Replaces columns of joins by those of the relations joined, at this level
 * of the query.  The includer has optimizer/optimizer.h.
 */
#if PG_VERSION_NUM >= 160000
#define compat_flatten(query, node) flatten_join_alias_vars(NULL, (query), (Node *) (node))
#else
#define compat_flatten(query, node) flatten_join_alias_vars((query), (Node *) (node))
#endif
#define compat_flatten_join_aliases(query)                                           \
	do                                                                               \
	{                                                                                \
		(query)->targetList = (List *) compat_flatten((query), (query)->targetList); \
		(query)->jointree = (FromExpr *) compat_flatten((query), (query)->jointree); \
		(query)->havingQual = compat_flatten((query), (query)->havingQual);          \
	} while (0)

/*
 * Since 18 what a query groups by is a relation of its own, whose columns
 * stand for the expressions: puts these back, at this level of the query.
 */
#if PG_VERSION_NUM >= 180000
#include "optimizer/optimizer.h"
#define COMPAT_GROUPS_ARE_RELATIONS true

static inline void
compat_flatten_groups(Query *query)
{
	ListCell *cell;

	if (!query->hasGroupRTE)
		return;
	query->targetList = (List *) flatten_group_exprs(NULL, query, (Node *) query->targetList);
	query->havingQual = flatten_group_exprs(NULL, query, query->havingQual);
	query->hasGroupRTE = false;
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);

		if (rte->rtekind != RTE_GROUP)
			continue;
		rte->rtekind = RTE_RESULT;
		rte->groupexprs = NIL;

		/* It comes after all others, unless a rule has added some. */
		if (lnext(query->rtable, cell) == NULL)
			query->rtable = list_delete_last(query->rtable);
		break;
	}
}
#else
#define COMPAT_GROUPS_ARE_RELATIONS false
#define compat_flatten_groups(query) ((void) (query))
#endif

/*
 * Since 16 a column knows which outer joins may have made it null: those
 * among "relations", as it is seen within them ...
 */
static inline Var *
compat_nulled_by(Var *var, Bitmapset *relations)
{
#if PG_VERSION_NUM >= 160000
	var->varnullingrels = bms_intersect(var->varnullingrels, relations);
#endif
	return var;
}

/* ... and the others, as "column" that stands for it outside. */
static inline void
compat_nulled_outside(Var *column, Var *var, Bitmapset *relations)
{
#if PG_VERSION_NUM >= 160000
	column->varnullingrels = bms_difference(var->varnullingrels, relations);
#endif
}

/*
 * Marks columns of the relation "rti" as those that an outer join, "join", may
 * have made null.
 */
#if PG_VERSION_NUM >= 160000
#define compat_null_by_join(list, rti, join)                                                \
	((list) = (List *) add_nulling_relids((Node *) (list), bms_make_singleton((int) (rti)), \
										  bms_make_singleton(join)))
#else
#define compat_null_by_join(list, rti, join) ((void) 0)
#endif

/* Which rows an action of MERGE is for, and the condition of its join. */
#if PG_VERSION_NUM >= 170000
#define compat_merge_matched(action) ((action)->matchKind == MERGE_WHEN_MATCHED)
#define compat_merge_by_source(action) ((action)->matchKind == MERGE_WHEN_NOT_MATCHED_BY_SOURCE)
#define compat_merge_condition(query) ((query)->mergeJoinCondition)
#else
#define compat_merge_matched(action) ((action)->matched)
#define compat_merge_by_source(action) false
#define compat_merge_condition(query) ((query)->jointree->quals)
#endif

/* The direction of a path key; of btrees both kinds of numbers are the same. */
#if PG_VERSION_NUM >= 180000
#define compat_pathkey_strategy(key) ((int16) (key)->pk_cmptype)
#define COMPAT_SORT_LESS COMPARE_LT
#else
#define compat_pathkey_strategy(key) ((int16) (key)->pk_strategy)
#define COMPAT_SORT_LESS BTLessStrategyNumber
#endif

/* The locale of ICU and the like in a row of pg_collation, of pg_database. */
#if PG_VERSION_NUM >= 170000
#define COMPAT_COLLATION_LOCALE Anum_pg_collation_colllocale
#define COMPAT_DATABASE_LOCALE Anum_pg_database_datlocale
#else
#define COMPAT_COLLATION_LOCALE Anum_pg_collation_colliculocale
#define COMPAT_DATABASE_LOCALE Anum_pg_database_daticulocale
#endif

/* Is it the row as it is after the change?  RETURNING knows others since 18. */
static inline bool
compat_var_is_current(const Var *var)
{
#if PG_VERSION_NUM >= 180000
	return var->varreturningtype == VAR_RETURNING_DEFAULT;
#else
	return true;
#endif
}

/*
 * Statistics of tables, for the includer of commands/vacuum.h: false when a
 * column is not to be looked at.
 */
#if PG_VERSION_NUM >= 180000
#define compat_update_relation_statistics(rel, pages, rows)                       \
	vac_update_relstats((rel), (pages), (rows), 0, 0, (rel)->rd_rel->relhasindex, \
						InvalidTransactionId, InvalidMultiXactId, NULL, NULL, false)
#else
#define compat_update_relation_statistics(rel, pages, rows)                    \
	vac_update_relstats((rel), (pages), (rows), 0, (rel)->rd_rel->relhasindex, \
						InvalidTransactionId, InvalidMultiXactId, NULL, NULL, false)
#endif
#if PG_VERSION_NUM >= 170000
#define compat_analyze_column(stats, column) compat_set_target((stats), (column))
#define compat_set_target(stats, column) ((stats)->attstattarget = -1, true)
#else
#define compat_analyze_column(stats, column) \
	((stats)->attr = (column), (column)->attstattarget != 0)
#endif

#endif
