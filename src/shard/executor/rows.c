/*-------------------------------------------------------------------------
 * rows.c
 *	  INSERT of several rows, each to its shard.
 *
 * The rows are evaluated first, then one INSERT is sent to each shard that
 * gets any.  What RETURNING gives back is put in the order in which the rows
 * were written, as one server would have it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "shard/ddl/copy_text.h"
#include "shard/executor/bundle.h"
#include "shard/executor/scan.h"

/* The rows on their way to one shard. */
typedef struct ShardRows
{
	StringInfoData bundle;
	int count;
	ShardTask *task; /* NULL: none */
} ShardRows;

static int *collect_rows(ShardScan *scan, const DistributedTable *table, ShardRows *shards);
static BundleForm *form_of(ShardScan *scan, List *row);
static void send_rows(ShardScan *scan, const DistributedTable *table, ShardRows *shards);
static void order_rows(ShardScan *scan, ShardRows *shards, const int *positions);
static bool move_row(ShardScan *scan, Tuplestorestate *from);

void
rows_start(ShardScan *scan)
{
	const DistributedTable *table = scan_table(scan);
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	ShardRows *shards = palloc0(table->colocation->nshards * sizeof(ShardRows));
	int *positions;

	scan->shards_total = table->colocation->nshards;
	positions = collect_rows(scan, table, shards);
	send_rows(scan, table, shards);
	for (int i = 0; i < scan->ntasks; i++)
		tasks_drain(&scan->tasks[i]);
	if (scan->plan->returning)
		order_rows(scan, shards, positions);
	tasks_finish(scan);
	MemoryContextSwitchTo(old);
}

/* Evaluates the rows and puts each into the bundle of its shard; returns whose each is. */
static int *
collect_rows(ShardScan *scan, const DistributedTable *table, ShardRows *shards)
{
	ShardPlan *plan = scan->plan;
	int *positions = palloc(list_length(plan->rows) * sizeof(int));
	int columns = list_length(linitial(plan->rows));
	Datum *values = palloc(Max(columns, 1) * sizeof(Datum));
	bool *nulls = palloc(Max(columns, 1) * sizeof(bool));
	BundleForm *form = form_of(scan, linitial(plan->rows));
	int level = copy_text_begin(true);
	ListCell *row;

	foreach (row, plan->rows)
	{
		ListCell *cell;
		int i = 0;
		int position;
		ShardRows *shard;

		foreach (cell, (List *) lfirst(row))
		{
			values[i] = params_value(scan, lfirst(cell), &nulls[i]);
			i++;
		}
		if (plan->key_position < 0 || nulls[plan->key_position])
			shards_refuse_null(table);
		position = shards_of_value(scan, table, values[plan->key_position]);
		positions[foreach_current_index(row)] = position;
		shard = &shards[position];
		if (shard->count++ == 0)
		{
			initStringInfo(&shard->bundle);
			bundle_begin(form, &shard->bundle);
		}
		bundle_add(form, values, nulls, &shard->bundle);
		CHECK_FOR_INTERRUPTS();
	}
	copy_text_end(level);
	return positions;
}

/* A bundle of rows of these expressions. */
static BundleForm *
form_of(ShardScan *scan, List *row)
{
	TupleDesc desc = CreateTemplateTupleDesc(list_length(row));
	List *columns = NIL;
	ListCell *cell;

	foreach (cell, row)
	{
		columns = lappend_int(columns, foreach_current_index(cell) + 1);
		TupleDescInitEntry(desc, llast_int(columns), NULL, exprType(lfirst(cell)), -1, 0);
	}
	return bundle_form(desc, columns, scan->context);
}

static void
send_rows(ShardScan *scan, const DistributedTable *table, ShardRows *shards)
{
	List *used = NIL;

	for (int i = 0; i < table->colocation->nshards; i++)
	{
		if (shards[i].count > 0)
			used = lappend_int(used, i);
	}
	tasks_create(scan, table, used);
	for (int i = 0; i < scan->ntasks; i++)
	{
		ShardRows *shard = &shards[list_nth_int(used, i)];

		shard->task = &scan->tasks[i];
		shard->task->bundle = &shard->bundle;
		if (scan->plan->returning)
			shard->task->store = tasks_new_store(scan);
		tasks_start(scan, shard->task, shards_sql(scan, table, list_nth_int(used, i)));
	}
}

/* Puts what the shards gave back into one store. */
static void
order_rows(ShardScan *scan, ShardRows *shards, const int *positions)
{
	ResourceOwner owner = CurrentResourceOwner;

	scan->store = tasks_new_store(scan);
	CurrentResourceOwner = scan->owner;
	for (int i = 0; scan->plan->in_order && i < list_length(scan->plan->rows); i++)
		(void) move_row(scan, shards[positions[i]].task->store);

	/* All that is left when a row may give none. */
	for (int i = 0; i < scan->ntasks; i++)
	{
		while (move_row(scan, scan->tasks[i].store))
			CHECK_FOR_INTERRUPTS();
		tuplestore_end(scan->tasks[i].store);
		scan->tasks[i].store = NULL;
	}
	CurrentResourceOwner = owner;
}

static bool
move_row(ShardScan *scan, Tuplestorestate *from)
{
	TupleTableSlot *slot = scan_store_slot(scan);

	if (!tuplestore_gettupleslot(from, true, false, slot))
		return false;
	tuplestore_puttupleslot(scan->store, slot);
	ExecClearTuple(slot);
	return true;
}
