/*-------------------------------------------------------------------------
 * sorted.c
 *	  Rows of several shards, sorted by the nodes and merged here.
 *
 * A node is sent one statement for all of its shards, so that its rows come in
 * one stream; a heap holds the first row of each.  Where a connection is
 * needed for something else, what is left of its stream goes into a store, and
 * is read on from there.
 *
 * Beside it the node is asked what the collations that it sorts by are there.
 * Where one is not what it is here (another version of a library is enough),
 * nothing is made of the order in which rows come: they are sorted here.
 *
 * What must stay true: rows leave in the order that the plan says, whatever
 * the nodes do.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lib/binaryheap.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/pg_locale.h"
#include "utils/sortsupport.h"
#include "utils/syscache.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "shard/executor/scan.h"
#include "shard/planner/template.h"
#include "shard/remote/pack.h"

/* What one node gives. */
typedef struct SortedStream
{
	ShardTask *task;
	MemoryContext row;
	TupleTableSlot *slot;	/* for a row that came */
	TupleTableSlot *stored; /* for one of the store */
	TupleTableSlot *at_hand;
} SortedStream;

struct SortedMerge
{
	int nkeys;
	SortSupport keys;
	int nstreams;
	SortedStream *streams;
	binaryheap *heap; /* of their numbers */
	int taken;		  /* whose row was given last, or ... */
};

/* Of "taken". */
#define MERGE_NOT_BEGUN (-1)
#define MERGE_ENDED (-2)

static void
create_tasks(ShardScan *scan, const DistributedTable *table, List *positions, List ***shards);
static char *collation_name(Oid collation);
static List *collations_of(ShardScan *scan);
static RemoteTask **ask_collations(ShardScan *scan, char **expected);
static bool collations_agree(ShardScan *scan, RemoteTask **tasks, const char *expected);
static char *attribute_text(int cache, HeapTuple tuple, AttrNumber number);
static char *collation_identity(Oid collation);
static void add_slots(ShardScan *scan);
static void merge_begin(ShardScan *scan);
static void begin_streams(ShardScan *scan);
static int compare_streams(Datum a, Datum b, void *arg);
static bool advance(ShardScan *scan, SortedStream *stream);
static bool advance_stored(ShardScan *scan, SortedStream *stream);
static void keep_merged(ShardScan *scan);
static void sort_here(ShardScan *scan);

PGCLUSTER_FUNCTION(pgcluster_collation_identity);

void
sorted_start(ShardScan *scan, const DistributedTable *table, List *positions)
{
	bool streams = scan->plan->streams && scan->may_stream && forward_runs_through();
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	char *expected = NULL;
	List **shards;
	RemoteTask **asked;

	create_tasks(scan, table, positions, &shards);
	asked = ask_collations(scan, &expected);
	for (int i = 0; i < scan->ntasks; i++)
		tasks_start(scan, &scan->tasks[i], sorted_sql(scan, scan_table(scan), shards[i], true));
	if (!collations_agree(scan, asked, expected))
		sort_here(scan);
	else
	{
		merge_begin(scan);
		if (!streams)
			keep_merged(scan);
	}
	MemoryContextSwitchTo(old);
}

/* One task for each group, and which shards (positions) it is about. */
static void
create_tasks(ShardScan *scan, const DistributedTable *table, List *positions, List ***shards)
{
	List *firsts = NIL;
	int ngroups = 0;
	int *groups = palloc(Max(list_length(positions), 1) * sizeof(int));
	ListCell *cell;

	*shards = palloc0(Max(list_length(positions), 1) * sizeof(List *));
	foreach (cell, positions)
	{
		int group_id = table->colocation->shards[lfirst_int(cell)].group_id;
		int group = 0;

		while (group < ngroups && groups[group] != group_id)
			group++;
		if (group == ngroups)
		{
			groups[ngroups++] = group_id;
			firsts = lappend_int(firsts, lfirst_int(cell));
		}
		(*shards)[group] = lappend_int((*shards)[group], lfirst_int(cell));
	}
	tasks_create(scan, table, firsts);
}

char *
sorted_sql(ShardScan *scan, const DistributedTable *table, List *positions, bool packed)
{
	ShardPlan *plan = scan->plan;
	StringInfoData sql;
	int count = scan->cache->rows.count;
	ListCell *cell;

	initStringInfo(&sql);
	if (packed && shards_packed(plan))
		appendStringInfoString(&sql, PACK_MARK);
	appendStringInfoString(&sql, "SELECT * FROM (");
	foreach (cell, positions)
	{
		char *leg = template_fill(plan->pieces, plan->schemas,
								  table->colocation->shards[lfirst_int(cell)].id);

		appendStringInfo(&sql, "%s(%s)", foreach_current_index(cell) > 0 ? " UNION ALL " : "", leg);
		pfree(leg);
	}
	appendStringInfoString(&sql, ") s(");
	for (int i = 1; i <= count; i++)
		appendStringInfo(&sql, "%sc%d", i > 1 ? ", " : "", i);
	appendStringInfoString(&sql, ") ORDER BY ");
	for (int i = 0; i < list_length(plan->sort_columns); i++)
	{
		int column = 0;

		while (scan->cache->rows.columns[column].target + 1 != list_nth_int(plan->sort_columns, i))
			column++;
		appendStringInfo(&sql, "%sc%d%s", i > 0 ? ", " : "", column + 1, sorted_clause(scan, i));
	}
	return sql.data;
}

char *
sorted_clause(ShardScan *scan, int key)
{
	ShardPlan *plan = scan->plan;
	TupleDesc desc = scan->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor;
	Form_pg_attribute attribute = TupleDescAttr(desc, list_nth_int(plan->sort_columns, key) - 1);
	Oid collation = list_nth_oid(plan->sort_collations, key);
	TypeCacheEntry *type = lookup_type_cache(attribute->atttypid, TYPECACHE_GT_OPR);
	bool descending = list_nth_oid(plan->sort_operators, key) == type->gt_opr;
	bool nulls_first = list_nth_int(plan->sort_nulls_first, key);
	StringInfoData clause;

	initStringInfo(&clause);
	if (OidIsValid(collation) && collation != attribute->attcollation)
		appendStringInfo(&clause, " COLLATE %s", collation_name(collation));
	if (descending)
		appendStringInfoString(&clause, " DESC");
	if (nulls_first != descending)
		appendStringInfoString(&clause, nulls_first ? " NULLS FIRST" : " NULLS LAST");
	return clause.data;
}

/*
 * Collations
 */

static char *
collation_name(Oid collation)
{
	HeapTuple tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	name = quote_qualified_identifier(get_namespace_name(form->collnamespace),
									  NameStr(form->collname));
	ReleaseSysCache(tuple);
	return name;
}

/* Those that rows are sorted by and that may not be the same everywhere. */
static List *
collations_of(ShardScan *scan)
{
	ShardPlan *plan = scan->plan;
	TupleDesc desc = scan->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor;
	List *collations = NIL;
	ListCell *cell;

	foreach (cell, plan->sort_collations)
	{
		Oid collation = lfirst_oid(cell);

		if (OidIsValid(collation) && collation != C_COLLATION_OID)
			collations = list_append_unique_oid(collations, collation);
	}

	/* Strings in JSON sort by that of the database. */
	foreach (cell, plan->sort_columns)
	{
		Oid type = getBaseType(TupleDescAttr(desc, lfirst_int(cell) - 1)->atttypid);

		if (type == JSONBOID || type == JSONBARRAYOID)
			collations = list_append_unique_oid(collations, DEFAULT_COLLATION_OID);
	}
	return collations;
}

/* Asks each task's node for them; NULL if there are none.  "expected": the right answer. */
static RemoteTask **
ask_collations(ShardScan *scan, char **expected)
{
	List *collations = collations_of(scan);
	RemoteTask **tasks;
	TaskRole role;
	StringInfoData sql;
	StringInfoData here;
	ListCell *cell;

	if (collations == NIL)
		return NULL;
	initStringInfo(&sql);
	initStringInfo(&here);
	foreach (cell, collations)
	{
		appendStringInfo(&sql, "%spgcluster.collation_identity(%s)",
						 foreach_current_index(cell) > 0 ? " || ' ' || " : "SELECT ",
						 quote_literal_cstr(collation_name(lfirst_oid(cell))));
		appendStringInfo(&here, "%s%s", foreach_current_index(cell) > 0 ? " " : "",
						 collation_identity(lfirst_oid(cell)));
	}
	*expected = here.data;
	tasks = palloc(scan->ntasks * sizeof(RemoteTask *));
	for (int i = 0; i < scan->ntasks; i++)
	{
		RemoteQuery query = {.group_id = scan->tasks[i].group_id,
							 .sql = sql.data,
							 .reads = true,
							 .snapshot = scan->snapshot};

		tasks_enter_role(scan, &role);
		tasks[i] = remote_task_start(&query, scan->context, NULL, NULL);
		tasks_leave_role(&role);
	}
	return tasks;
}

static bool
collations_agree(ShardScan *scan, RemoteTask **tasks, const char *expected)
{
	bool agree = true;

	for (int i = 0; i < scan->ntasks && tasks != NULL; i++)
	{
		PGresult *row;

		while ((row = remote_task_next(tasks[i])) != NULL)
		{
			agree &= strcmp(PQgetvalue(row, 0, 0), expected) == 0;
			PQclear(row);
		}
		remote_task_end(tasks[i]);
	}
	return agree;
}

static char *
attribute_text(int cache, HeapTuple tuple, AttrNumber number)
{
	bool isnull;
	Datum value = SysCacheGetAttr(cache, tuple, number, &isnull);

	return isnull ? "" : TextDatumGetCString(value);
}

/* pgcluster.collation_identity(regcollation): what it sorts by, in one word. */
Datum
pgcluster_collation_identity(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(collation_identity(PG_GETARG_OID(0))));
}

static char *
collation_identity(Oid collation)
{
	HeapTuple tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char provider;
	char *collate;
	char *locale;
	char *version;
	bool deterministic;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("collation with OID %u does not exist", collation)));
	form = (Form_pg_collation) GETSTRUCT(tuple);
	provider = form->collprovider;
	deterministic = form->collisdeterministic;
	collate = attribute_text(COLLOID, tuple, Anum_pg_collation_collcollate);
	locale = attribute_text(COLLOID, tuple, COMPAT_COLLATION_LOCALE);
	ReleaseSysCache(tuple);
	if (provider == COLLPROVIDER_DEFAULT)
	{
		tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
		provider = ((Form_pg_database) GETSTRUCT(tuple))->datlocprovider;
		collate = attribute_text(DATABASEOID, tuple, Anum_pg_database_datcollate);
		locale = attribute_text(DATABASEOID, tuple, COMPAT_DATABASE_LOCALE);
		ReleaseSysCache(tuple);
	}
	version =
		get_collation_actual_version(provider, provider == COLLPROVIDER_LIBC ? collate : locale);
	return psprintf("%c/%s/%s/%s/%d/%s", provider, GetDatabaseEncodingName(), collate, locale,
					deterministic, version ? version : "");
}

/*
 * Merging
 */

/* For one more stream: for rows as they come, and for those from a store. */
static void
add_slots(ShardScan *scan)
{
	EState *estate = scan->css.ss.ps.state;
	TupleDesc desc = scan->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	ResourceOwner owner = CurrentResourceOwner;

	CurrentResourceOwner = scan->owner;
	scan->merge_slots =
		lappend(scan->merge_slots, ExecInitExtraTupleSlot(estate, desc, &TTSOpsVirtual));
	scan->merge_slots =
		lappend(scan->merge_slots, ExecInitExtraTupleSlot(estate, desc, &TTSOpsMinimalTuple));
	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(old);
}

static void
merge_begin(ShardScan *scan)
{
	ShardPlan *plan = scan->plan;
	SortedMerge *merge = palloc0(sizeof(SortedMerge));

	merge->nkeys = list_length(plan->sort_columns);
	merge->keys = palloc0(merge->nkeys * sizeof(SortSupportData));
	for (int i = 0; i < merge->nkeys; i++)
	{
		SortSupport key = &merge->keys[i];

		key->ssup_cxt = scan->context;
		key->ssup_collation = list_nth_oid(plan->sort_collations, i);
		key->ssup_nulls_first = list_nth_int(plan->sort_nulls_first, i);
		key->ssup_attno = list_nth_int(plan->sort_columns, i);
		PrepareSortSupportFromOrderingOp(list_nth_oid(plan->sort_operators, i), key);
	}
	merge->taken = MERGE_NOT_BEGUN;
	merge->nstreams = scan->ntasks;
	merge->streams = palloc0(Max(scan->ntasks, 1) * sizeof(SortedStream));
	merge->heap = binaryheap_allocate(Max(scan->ntasks, 1), compare_streams, merge);
	for (int i = 0; i < scan->ntasks; i++)
	{
		SortedStream *stream = &merge->streams[i];

		stream->task = &scan->tasks[i];
		stream->row =
			AllocSetContextCreate(scan->context, "pgcluster sorted row", ALLOCSET_SMALL_SIZES);
		while (list_length(scan->merge_slots) <= 2 * i + 1)
			add_slots(scan);
		stream->slot = list_nth(scan->merge_slots, 2 * i);
		stream->stored = list_nth(scan->merge_slots, 2 * i + 1);
	}
	scan->merge = merge;
}

/* The first row of each: nodes sort side by side, and are waited for together. */
static void
begin_streams(ShardScan *scan)
{
	SortedMerge *merge = scan->merge;
	bool *begun = palloc0(Max(merge->nstreams, 1) * sizeof(bool));

	for (;;)
	{
		RemoteTask *waiting[REMOTE_MAX_WAIT];
		int nwaiting = 0;

		for (int i = 0; i < merge->nstreams; i++)
		{
			ShardTask *task = merge->streams[i].task;
			PGresult *result = NULL;
			bool done = task->drained;

			if (begun[i])
				continue;
			if (!done && (result = remote_task_poll(task->remote, &done)) == NULL && !done)
			{
				if (nwaiting < REMOTE_MAX_WAIT)
					waiting[nwaiting++] = task->remote;
				continue;
			}
			begun[i] = true;
			if (result != NULL)
				tasks_got(task, result);
		}
		if (nwaiting == 0)
			break;
		remote_wait_any(waiting, nwaiting, -1);
	}
	for (int i = 0; i < merge->nstreams; i++)
	{
		if (advance(scan, &merge->streams[i]))
			binaryheap_add_unordered(merge->heap, Int32GetDatum(i));
	}
	binaryheap_build(merge->heap);
	pfree(begun);
}

/* The stream whose row comes first is the greatest of the heap. */
static int
compare_streams(Datum a, Datum b, void *arg)
{
	SortedMerge *merge = arg;
	TupleTableSlot *row_a = merge->streams[DatumGetInt32(a)].at_hand;
	TupleTableSlot *row_b = merge->streams[DatumGetInt32(b)].at_hand;

	for (int i = 0; i < merge->nkeys; i++)
	{
		SortSupport key = &merge->keys[i];
		int column = key->ssup_attno - 1;
		int order = ApplySortComparator(row_a->tts_values[column], row_a->tts_isnull[column],
										row_b->tts_values[column], row_b->tts_isnull[column], key);

		if (order != 0)
			return order < 0 ? 1 : -1;
	}
	return DatumGetInt32(a) < DatumGetInt32(b) ? 1 : -1;
}

/* Has the stream another row? */
static bool
advance(ShardScan *scan, SortedStream *stream)
{
	ShardTask *task = stream->task;
	MemoryContext old;
	RemoteRow row = {0};
	PGresult *result;

	ExecClearTuple(stream->slot);
	ExecClearTuple(stream->stored);
	MemoryContextReset(stream->row);
	while (task->store == NULL && !tasks_take(task, &row))
	{
		if (task->drained)
			return false;
		result = remote_task_next(task->remote);
		if (result != NULL)
			tasks_got(task, result);
		else if (!task->drained)
		{
			task->drained = true;
			(void) tasks_end(task);
		}
	}
	if (task->store != NULL)
		return advance_stored(scan, stream);
	old = MemoryContextSwitchTo(stream->row);
	codec_store_row(&scan->cache->rows, &row, stream->slot);
	MemoryContextSwitchTo(old);
	stream->at_hand = stream->slot;
	return true;
}

/* What was left of it has been put into a store. */
static bool
advance_stored(ShardScan *scan, SortedStream *stream)
{
	if (!tuplestore_gettupleslot(stream->task->store, true, false, stream->stored))
		return false;
	slot_getallattrs(stream->stored);
	stream->at_hand = stream->stored;
	return true;
}

/* The next row, in the slot of the scan; it is empty when there is none. */
TupleTableSlot *
sorted_next(ShardScan *scan)
{
	SortedMerge *merge = scan->merge;
	TupleTableSlot *slot = scan->css.ss.ss_ScanTupleSlot;
	int columns = slot->tts_tupleDescriptor->natts;
	TupleTableSlot *row;

	ExecClearTuple(slot);
	if (merge->taken == MERGE_NOT_BEGUN)
		begin_streams(scan);
	else if (merge->taken != MERGE_ENDED)
	{
		if (advance(scan, &merge->streams[merge->taken]))
			binaryheap_replace_first(merge->heap, Int32GetDatum(merge->taken));
		else
			(void) binaryheap_remove_first(merge->heap);
	}
	merge->taken = MERGE_ENDED;
	if (binaryheap_empty(merge->heap))
		return slot;
	merge->taken = DatumGetInt32(binaryheap_first(merge->heap));
	row = merge->streams[merge->taken].at_hand;
	memcpy(slot->tts_values, row->tts_values, columns * sizeof(Datum));
	memcpy(slot->tts_isnull, row->tts_isnull, columns * sizeof(bool));
	slot->tts_tableOid = scan->plan->relid;
	return ExecStoreVirtualTuple(slot);
}

/* All rows at once, for a plan that may ask for them again. */
static void
keep_merged(ShardScan *scan)
{
	ResourceOwner owner = CurrentResourceOwner;
	TupleTableSlot *slot;

	scan->store = tasks_new_store(scan);
	for (slot = sorted_next(scan); !TupIsNull(slot); slot = sorted_next(scan))
	{
		CurrentResourceOwner = scan->owner;
		tuplestore_putvalues(scan->store, slot->tts_tupleDescriptor, slot->tts_values,
							 slot->tts_isnull);
		CurrentResourceOwner = owner;
		CHECK_FOR_INTERRUPTS();
	}
	sorted_stop(scan);
}

/* Nodes may sort in another way: their rows are sorted once more. */
static void
sort_here(ShardScan *scan)
{
	ShardPlan *plan = scan->plan;
	int nkeys = list_length(plan->sort_columns);
	AttrNumber *columns = palloc(nkeys * sizeof(AttrNumber));
	Oid *operators = palloc(nkeys * sizeof(Oid));
	Oid *collations = palloc(nkeys * sizeof(Oid));
	bool *nulls_first = palloc(nkeys * sizeof(bool));
	ResourceOwner owner = CurrentResourceOwner;
	TupleTableSlot *slot = scan_store_slot(scan);
	Tuplestorestate *unsorted;
	Tuplesortstate *sort;

	for (int i = 0; i < nkeys; i++)
	{
		columns[i] = list_nth_int(plan->sort_columns, i);
		operators[i] = list_nth_oid(plan->sort_operators, i);
		collations[i] = list_nth_oid(plan->sort_collations, i);
		nulls_first[i] = list_nth_int(plan->sort_nulls_first, i);
	}
	unsorted = tasks_new_store(scan);
	for (int i = 0; i < scan->ntasks; i++)
	{
		scan->tasks[i].store = unsorted;
		tasks_drain(&scan->tasks[i]);
		(void) tasks_end(&scan->tasks[i]);
	}
	CurrentResourceOwner = scan->owner;
	sort = tuplesort_begin_heap(slot->tts_tupleDescriptor, nkeys, columns, operators, collations,
								nulls_first, work_mem, NULL, TUPLESORT_NONE);
	while (tuplestore_gettupleslot(unsorted, true, false, slot))
		tuplesort_puttupleslot(sort, slot);
	ExecClearTuple(slot);
	tuplestore_end(unsorted);
	tuplesort_performsort(sort);
	scan->store = tasks_new_store(scan);
	while (tuplesort_gettupleslot(sort, true, true, slot, NULL))
		tuplestore_puttupleslot(scan->store, slot);
	ExecClearTuple(slot);
	tuplesort_end(sort);
	CurrentResourceOwner = owner;
}

void
sorted_stop(ShardScan *scan)
{
	SortedMerge *merge = scan->merge;

	scan->merge = NULL;
	for (int i = 0; merge != NULL && i < merge->nstreams; i++)
	{
		SortedStream *stream = &merge->streams[i];

		ExecClearTuple(stream->slot);
		ExecClearTuple(stream->stored);
		if (stream->task->store != NULL)
			tuplestore_end(stream->task->store);
		stream->task->store = NULL;
	}
}
