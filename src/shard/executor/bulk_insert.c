/*-------------------------------------------------------------------------
 * bulk_insert.c
 *	  INSERT of the rows of a query, many at a time: on the node that is asked.
 *
 * The server's executor writes the rows of an INSERT ... SELECT one by one.
 * Where nobody can tell the difference they are gathered and written as COPY
 * does, a page at a time: that needs one record of WAL for many rows, and
 * half of the work.  The server plans the statement; what it would write the
 * rows with is then put in place of by a node of ours, over the same SELECT.
 *
 * Decides which statements that is for: those of other nodes of ours, into a
 * plain table, where nothing that the user has made runs between two rows
 * and could look for those before.  So the SELECT and the table's checks have
 * no volatile functions (which see what their statement has written), and
 * there are no triggers but those of foreign keys and deferred constraints,
 * which wait for the end.
 *
 * Index entries are made one by one.  Of rows that come in the order of a
 * btree the server goes right to the last page, without searching, but only
 * where the tree has three levels; the smaller ones of a shard are shown it.
 *
 * What must stay true: the same rows are there afterwards, with the same
 * constraints checked and the same privileges asked for; and the SELECT sees
 * none of them.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "storage/bufmgr.h"
#include "storage/smgr.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "shard/executor/bulk_insert.h"
#include "shard/metadata/metadata.h"

/* So many rows, or bytes of them, are gathered. */
#define BATCH_ROWS 1000
#define BATCH_SIZE (64 * 1024)

/* Many a statement has no more. */
#define FEW_ROWS 16

/* An index that has had no use of its last page is shown it again after so many rows. */
#define HINT_ROWS 64

/* How sessions of other nodes are called, see twophase.h. */
#define NODE_SESSION "pgcluster_"

typedef struct BulkInsert
{
	CustomScanState css;
	ResultRelInfo *target;
	TupleDesc desc; /* of the slots */
	uint64 *hinted; /* by index: the row before which it was shown its last page */
	bool done;
	uint64 written; /* rows */
	int count;		/* rows gathered */
	Size size;
	int nslots; /* made so far, and room for more */
	int room;
	TupleTableSlot **slots;
} BulkInsert;

static planner_hook_type prev_planner = NULL;

static PlannedStmt *
pgcluster_planner(Query *query, const char *source, int cursor_options, ParamListInfo params);
static bool is_suitable(Query *query);
static bool suits_table(Oid relid);
static void take_place(PlannedStmt *statement);
static Node *bulk_create(CustomScan *scan);
static void bulk_begin(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *bulk_exec(CustomScanState *node);
static void gather(BulkInsert *bulk, TupleTableSlot *row);
static TupleTableSlot *next_slot(BulkInsert *bulk);
static void check_row(BulkInsert *bulk, TupleTableSlot *slot);
static void write_batch(BulkInsert *bulk);
static void write_entries(BulkInsert *bulk, TupleTableSlot *slot);
static void show_last_page(BulkInsert *bulk, int number);
static void bulk_end(CustomScanState *node);
static void bulk_rescan(CustomScanState *node);
static void bulk_explain(CustomScanState *node, List *ancestors, ExplainState *es);

static const CustomScanMethods scan_methods = {
	.CustomName = "pgcluster Bulk Insert",
	.CreateCustomScanState = bulk_create,
};

static const CustomExecMethods exec_methods = {
	.CustomName = "pgcluster Bulk Insert",
	.BeginCustomScan = bulk_begin,
	.ExecCustomScan = bulk_exec,
	.EndCustomScan = bulk_end,
	.ReScanCustomScan = bulk_rescan,
	.ExplainCustomScan = bulk_explain,
};

void
bulk_insert_init(void)
{
	RegisterCustomScanMethods(&scan_methods);
	prev_planner = planner_hook;
	planner_hook = pgcluster_planner;
}

/*
 * Which statements
 */
static PlannedStmt *
pgcluster_planner(Query *query, const char *source, int cursor_options, ParamListInfo params)
{
	planner_hook_type next = prev_planner ? prev_planner : standard_planner;
	bool suitable = query->commandType == CMD_INSERT && is_suitable(query);
	PlannedStmt *statement = next(query, source, cursor_options, params);

	if (suitable)
		take_place(statement);
	return statement;
}

static bool
is_suitable(Query *query)
{
	return query->jointree->fromlist != NIL && application_name != NULL &&
		   strncmp(application_name, NODE_SESSION, strlen(NODE_SESSION)) == 0 &&
		   query->onConflict == NULL && query->returningList == NIL && !query->hasModifyingCTE &&
		   query->withCheckOptions == NIL &&
		   !contain_volatile_functions_not_nextval((Node *) query) &&
		   suits_table(rt_fetch(query->resultRelation, query->rtable)->relid);
}

/* Does nothing of the user's own making happen between two rows? */
static bool
suits_table(Oid relid)
{
	Relation relation = table_open(relid, NoLock);
	const TriggerDesc *triggers = relation->trigdesc;
	const TupleConstr *constraints = RelationGetDescr(relation)->constr;
	bool suits = relation->rd_rel->relkind == RELKIND_RELATION &&
				 relation->rd_tableam == GetHeapamTableAmRoutine() && metadata_table(relid) == NULL;

	for (int i = 0; suits && triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		suits = !TRIGGER_FOR_INSERT(trigger->tgtype) ||
				(trigger->tgisinternal && TRIGGER_FOR_ROW(trigger->tgtype) &&
				 TRIGGER_FOR_AFTER(trigger->tgtype));
	}
	for (int i = 0; suits && constraints != NULL && i < constraints->num_check; i++)
		suits = !contain_volatile_functions(stringToNode(constraints->check[i].ccbin));
	table_close(relation, NoLock);
	return suits;
}

/* Puts our node in the place of the one that writes, if it is alone. */
static void
take_place(PlannedStmt *statement)
{
	ModifyTable *modify = (ModifyTable *) statement->planTree;
	CustomScan *scan;

	if (!IsA(modify, ModifyTable) || list_length(modify->resultRelations) != 1 ||
		modify->rootRelation != 0 || modify->withCheckOptionLists != NIL)
		return;
	scan = makeNode(CustomScan);
	scan->scan.plan = modify->plan;
	scan->scan.plan.type = T_CustomScan;
	scan->scan.plan.lefttree = NULL;
	scan->methods = &scan_methods;
	scan->custom_plans = list_make1(outerPlan(modify));
	scan->custom_private = list_make1_int(linitial_int(modify->resultRelations));
	statement->planTree = &scan->scan.plan;
}

/*
 * Carrying it out
 */
static Node *
bulk_create(CustomScan *scan)
{
	BulkInsert *bulk = (BulkInsert *) newNode(sizeof(BulkInsert), T_CustomScanState);

	bulk->css.methods = &exec_methods;
	return (Node *) bulk;
}

static void
bulk_begin(CustomScanState *node, EState *estate, int eflags)
{
	BulkInsert *bulk = (BulkInsert *) node;
	CustomScan *scan = (CustomScan *) node->ss.ps.plan;
	PlanState *rows;

	bulk->target = makeNode(ResultRelInfo);
	ExecInitResultRelation(estate, bulk->target, linitial_int(scan->custom_private));
	rows = ExecInitNode(linitial(scan->custom_plans), estate, eflags);
	node->custom_ps = list_make1(rows);

	bulk->room = FEW_ROWS;
	bulk->slots = palloc(bulk->room * sizeof(TupleTableSlot *));

	/* A descriptor that many slots may have without being counted. */
	bulk->desc = CreateTupleDescCopyConstr(RelationGetDescr(bulk->target->ri_RelationDesc));
	if (ExecGetResultType(rows)->natts != bulk->desc->natts)
		elog(ERROR, "plan gives %d columns of %d", ExecGetResultType(rows)->natts,
			 bulk->desc->natts);
}

static TupleTableSlot *
bulk_exec(CustomScanState *node)
{
	BulkInsert *bulk = (BulkInsert *) node;
	EState *estate = node->ss.ps.state;
	PlanState *rows = linitial(node->custom_ps);
	TupleTableSlot *row;

	if (bulk->done)
		return NULL;
	if (bulk->target->ri_RelationDesc->rd_rel->relhasindex &&
		bulk->target->ri_IndexRelationDescs == NULL)
	{
		ExecOpenIndices(bulk->target, false);
		bulk->hinted = palloc0(Max(bulk->target->ri_NumIndices, 1) * sizeof(uint64));
	}
	for (;;)
	{
		ResetPerTupleExprContext(estate);
		row = ExecProcNode(rows);
		if (TupIsNull(row))
			break;
		gather(bulk, row);
		if (bulk->count == BATCH_ROWS || bulk->size >= BATCH_SIZE)
			write_batch(bulk);
	}
	write_batch(bulk);
	bulk->done = true;
	return NULL;
}

static void
gather(BulkInsert *bulk, TupleTableSlot *row)
{
	TupleTableSlot *slot = next_slot(bulk);

	ExecCopySlot(slot, row);
	check_row(bulk, slot);
	bulk->size += ExecFetchSlotHeapTuple(slot, true, NULL)->t_len;
	bulk->count++;
}

static TupleTableSlot *
next_slot(BulkInsert *bulk)
{
	if (bulk->count == bulk->room)
	{
		bulk->room *= 2;
		bulk->slots = repalloc(bulk->slots, bulk->room * sizeof(TupleTableSlot *));
	}
	if (bulk->count == bulk->nslots)
		bulk->slots[bulk->nslots++] =
			ExecAllocTableSlot(&bulk->css.ss.ps.state->es_tupleTable, bulk->desc,
							   table_slot_callbacks(bulk->target->ri_RelationDesc));
	return bulk->slots[bulk->count];
}

/* Completes a row, and checks all that can be told by itself. */
static void
check_row(BulkInsert *bulk, TupleTableSlot *slot)
{
	EState *estate = bulk->css.ss.ps.state;
	Relation relation = bulk->target->ri_RelationDesc;
	const TupleConstr *constraints = RelationGetDescr(relation)->constr;

	slot->tts_tableOid = RelationGetRelid(relation);
	if (constraints != NULL && constraints->has_generated_stored)
		ExecComputeStoredGenerated(bulk->target, estate, slot, CMD_INSERT);
	if (constraints != NULL)
		ExecConstraints(bulk->target, slot, estate);
	if (relation->rd_rel->relispartition)
		ExecPartitionCheck(bulk->target, slot, estate, true);
}

static void
write_batch(BulkInsert *bulk)
{
	EState *estate = bulk->css.ss.ps.state;
	ResultRelInfo *target = bulk->target;
	MemoryContext old;

	if (bulk->count == 0)
		return;
	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
	table_multi_insert(target->ri_RelationDesc, bulk->slots, bulk->count, estate->es_output_cid, 0,
					   NULL);
	MemoryContextSwitchTo(old);
	for (int i = 0; i < bulk->count; i++)
	{
		ResetPerTupleExprContext(estate);
		write_entries(bulk, bulk->slots[i]);
		ExecClearTuple(bulk->slots[i]);
		CHECK_FOR_INTERRUPTS();
	}
	if (estate->es_plannedstmt->canSetTag)
		estate->es_processed += bulk->count;
	bulk->count = 0;
	bulk->size = 0;
}

/* What follows from a row that is in the table. */
static void
write_entries(BulkInsert *bulk, TupleTableSlot *slot)
{
	EState *estate = bulk->css.ss.ps.state;
	ResultRelInfo *target = bulk->target;
	List *rechecks = NIL;

	for (int i = 0; i < target->ri_NumIndices; i++)
		show_last_page(bulk, i);
	if (target->ri_NumIndices > 0)
		rechecks = compat_insert_index_entries(target, slot, estate);
	if (target->ri_TrigDesc != NULL)
		ExecARInsertTriggers(estate, target, slot, rechecks, NULL);
	list_free(rechecks);
	bulk->written++;
}

/*
 * The server looks first at the page that it remembers for an index, if it
 * remembers one, and forgets it when that was of no use.
 */
static void
show_last_page(BulkInsert *bulk, int number)
{
	Relation index = bulk->target->ri_IndexRelationDescs[number];
	Buffer buffer;

	if (bulk->written - bulk->hinted[number] < HINT_ROWS || index->rd_rel->relam != BTREE_AM_OID ||
		RelationGetTargetBlock(index) != InvalidBlockNumber)
		return;
	bulk->hinted[number] = bulk->written;
	if (_bt_getrootheight(index) != 1)
		return;
	buffer = compat_last_leaf(index);
	if (!BufferIsValid(buffer))
		return;
	RelationSetTargetBlock(index, BufferGetBlockNumber(buffer));
	_bt_relbuf(index, buffer);
}

static void
bulk_end(CustomScanState *node)
{
	ExecEndNode(linitial(node->custom_ps));
}

static void
bulk_rescan(CustomScanState *node)
{
	elog(ERROR, "an INSERT cannot be run again from its start");
}

static void
bulk_explain(CustomScanState *node, List *ancestors, ExplainState *es)
{
	Oid relid = RelationGetRelid(((BulkInsert *) node)->target->ri_RelationDesc);

	ExplainPropertyText("Table", get_rel_name(relid), es);
}
