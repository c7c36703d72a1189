/*-------------------------------------------------------------------------
 * found.c
 *	  Writes rows that a query found, or made, on their shards.
 *
 * The query runs to its end before the first row is sent, so that it cannot
 * see what the statement does.  Then each row goes into a bundle for its
 * shard, DELETEs and UPDATEs before INSERTs: what a row that moves leaves
 * behind is not in the way of another.
 *
 * Another transaction may have changed a row since it was found.  Then the
 * shard, which compares the version, leaves it alone, and the count tells.
 * One server would look at the new version of this row; here, under READ
 * COMMITTED, all is undone and the statement begins anew, with a snapshot of
 * that moment, as if it had been sent a little later.  From the second time
 * on the rows that were found are locked before they are changed, and stay
 * locked when one of them has changed once more; so each turn has fewer rows
 * that can change, and it ends.  With them locked, a row that is still not
 * changed was kept by a trigger.  Under higher isolation levels the shard
 * itself raises the error that is due.  A part of a larger statement that reads
 * what another part has written cannot begin anew, and fails likewise.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "storage/itemptr.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "shard/executor/bundle.h"
#include "shard/executor/scan.h"
#include "shard/planner/template.h"

/* So many may be under way. */
#define BUNDLES_UNDER_WAY 16

/* Turns before the statement gives up. */
#define MAX_TURNS 1000

/* The rows of one change for one shard. */
typedef struct Bundle
{
	StringInfoData data;
	int rows;
	List *sources; /* MinimalTuple: what goes with what an INSERT gives back */
} Bundle;

typedef struct Change
{
	ShardPlan *plan;
	BundleForm *form;
	Bundle *bundles; /* by position of the shard */
	bool keeps_sources;

	/* Parameters of its SQL; the bundle is the last. */
	int nparams;
	Oid *types;
	const char **values;
	int *lengths;
	int *formats;

	struct Change *leaves; /* of one that may move a row: instead of it, ... */
	struct Change *enters; /* ... and this, which counts */
	bool uncounted;
} Change;

/* One bundle under way. */
typedef struct Sent
{
	RemoteTask *remote;
	Change *change;
	int rows;
	List *sources;
} Sent;

/* Which row was found. */
typedef struct Place
{
	int shard;
	Oid partition;
	ItemPointerData tid;
} Place;

typedef struct FoundRun
{
	ShardScan *scan;
	ShardPlan *plan;
	const DistributedTable *table;
	int nchanges;
	Change **changes;
	Change *lock;
	Tuplestorestate *found;
	Tuplestorestate *later; /* those of them that are inserted after all else */
	TupleDesc desc;			/* of what was found */
	TupleTableSlot *slot;
	MemoryContext row_context;

	Tuplestorestate *shown; /* what the changes gave back */
	TupleDesc shown_desc;
	TupleTableSlot *shown_slot;
	RowCodec all_shown;		/* of an UPDATE or DELETE */
	RowCodec only_of_table; /* of an INSERT */

	bool moves;		  /* a row to another shard */
	bool partitioned; /* FOUND_TABLE is there */
	HTAB *places;	  /* of rows that were found before */
	List *sent;		  /* Sent, oldest first */
	int64 affected;
	int64 missed; /* rows that were not there any more */
} FoundRun;

static FoundRun *make_run(ShardScan *scan);
static Change *make_change(FoundRun *run, ShardPlan *plan);
static void evaluate_params(FoundRun *run, Change *change);
static void find(FoundRun *run, bool again);
static bool has_latest_versions(FoundRun *run);
static bool change_in_turn(FoundRun *run, bool may_undo);
static void change_rows(FoundRun *run);
static void route(FoundRun *run);
static void put_off(FoundRun *run);
static void refuse_actions(FoundRun *run);
static bool is_known(FoundRun *run, int shard);
static int shard_of(FoundRun *run, int column);
static void add_row(FoundRun *run, Change *change, int shard);
static void flush(FoundRun *run, Change *change, int shard);
static void flush_all(FoundRun *run, Change *change);
static void finish_oldest(FoundRun *run);
static void finish_all(FoundRun *run);
static void keep_shown(FoundRun *run, Sent *sent, PGresult *result, int first);
static void add_source(FoundRun *run, MinimalTuple source);

void
found_start(ShardScan *scan)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	FoundRun *run = make_run(scan);
	bool rereads = !IsolationUsesXactSnapshot();
	int turns = 0;

	for (;;)
	{
		bool locked = false;

		if (turns++ == MAX_TURNS || (turns > 1 && scan->plan->firm))
			ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
							errmsg("could not serialize access due to concurrent update")));
		find(run, turns > 1);
		if (turns > 1)
		{
			locked = has_latest_versions(run);
			if (!locked)
				continue;
		}
		if (change_in_turn(run, rereads && !locked))
			break;
	}
	if (scan->plan->result != NULL)
	{
		scan->store = tasks_new_store(scan);
		local_run_rows(scan, scan->plan->result, run->shown, run->shown_desc, scan->store);
		tuplestore_end(run->shown);
	}
	tuplestore_end(run->found);
	scan_count_affected(scan, run->affected);
	MemoryContextSwitchTo(old);
}

static FoundRun *
make_run(ShardScan *scan)
{
	FoundRun *run = palloc0(sizeof(FoundRun));
	ShardPlan *plan = scan->plan;
	ListCell *cell;

	run->scan = scan;
	run->plan = plan;
	run->table = scan_table(scan);
	run->desc = ExecCleanTypeFromTL(plan->local->planTree->targetlist);
	run->slot = MakeSingleTupleTableSlot(run->desc, &TTSOpsMinimalTuple);
	run->row_context =
		AllocSetContextCreate(scan->context, "pgcluster row", ALLOCSET_DEFAULT_SIZES);
	scan->shards_total = run->table->colocation->nshards;
	if (plan->result != NULL)
	{
		List *of_table = NIL;

		run->shown_desc = ExecTypeFromTL(plan->shown);
		run->shown_slot = MakeSingleTupleTableSlot(run->shown_desc, &TTSOpsVirtual);
		for (int i = 1; i <= plan->shown_table; i++)
			of_table = lappend_int(of_table, i);
		codec_init_row(&run->all_shown, run->shown_desc, true, NIL, codec_binary_is_safe(),
					   scan->context);
		codec_init_row(&run->only_of_table, run->shown_desc, false, of_table,
					   codec_binary_is_safe(), scan->context);
		run->shown = tasks_new_store(scan);
	}
	run->changes = palloc0(list_length(plan->changes) * sizeof(Change *));
	foreach (cell, plan->changes)
		run->changes[run->nchanges++] = make_change(run, lfirst(cell));
	if (plan->lock != NULL)
	{
		run->lock = make_change(run, plan->lock);
		run->partitioned = list_member_int(plan->lock->columns, FOUND_TABLE);
	}
	return run;
}

static Change *
make_change(FoundRun *run, ShardPlan *plan)
{
	Change *change = palloc0(sizeof(Change));

	change->plan = plan;
	if (plan->changes != NIL)
	{
		change->leaves = make_change(run, linitial(plan->changes));
		change->leaves->uncounted = true;
		change->enters = make_change(run, lsecond(plan->changes));
	}
	change->form = bundle_form(run->desc, plan->columns, run->scan->context);
	change->bundles = palloc0(run->table->colocation->nshards * sizeof(Bundle));
	change->keeps_sources =
		plan->command == CMD_INSERT && plan->returning && run->plan->echoes != NIL;
	evaluate_params(run, change);
	return change;
}

static void
evaluate_params(FoundRun *run, Change *change)
{
	int count = list_length(change->plan->params);
	int i = 0;
	ListCell *cell;

	change->nparams = count + 1;
	change->types = palloc0((count + 1) * sizeof(Oid));
	change->values = palloc0((count + 1) * sizeof(char *));
	change->lengths = palloc0((count + 1) * sizeof(int));
	change->formats = palloc0((count + 1) * sizeof(int));
	foreach (cell, change->plan->params)
	{
		ValueCodec codec = {0};
		bool isnull;
		Datum value = params_value(run->scan, lfirst(cell), &isnull);

		codec_init_param(&codec, exprType(lfirst(cell)), codec_binary_is_safe(),
						 run->scan->context);
		change->types[i] = codec.wire_type;
		codec_encode(&codec, value, isnull, &change->values[i], &change->lengths[i],
					 &change->formats[i]);
		i++;
	}
	change->types[count] = BYTEAOID;
	change->formats[count] = 1;
}

/* Runs the query. */
static void
find(FoundRun *run, bool again)
{
	ShardScan *scan = run->scan;

	if (run->found != NULL)
		tuplestore_end(run->found);
	run->found = tuplestore_begin_heap(false, false, work_mem);
	if (!again)
	{
		(void) local_finish_reading(scan, run->found);
		scan_read_waiting();
		return;
	}
	PushActiveSnapshot(GetTransactionSnapshot());
	local_run(scan, scan->plan->local, scan->css.ss.ps.state->es_param_list_info,
			  scan->css.ss.ps.state->es_queryEnv, run->found);
	PopActiveSnapshot();
}

/* Locks the rows that were found; false when one of them is not as it was. */
static bool
has_latest_versions(FoundRun *run)
{
	Datum *values = run->slot->tts_values;

	run->missed = 0;
	tuplestore_rescan(run->found);
	while (tuplestore_gettupleslot(run->found, true, false, run->slot))
	{
		slot_getallattrs(run->slot);
		if (DatumGetInt32(values[FOUND_ACTION - 1]) != 0 && !run->slot->tts_isnull[FOUND_TID - 1])
			add_row(run, run->lock, shard_of(run, FOUND_KEY));
	}
	flush_all(run, run->lock);
	finish_all(run);
	return run->missed == 0;
}

/* True when all is done; else nothing is. */
static bool
change_in_turn(FoundRun *run, bool may_undo)
{
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext context = CurrentMemoryContext;

	if (run->lock == NULL || !may_undo)
	{
		change_rows(run);
		return true;
	}
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		change_rows(run);
	}
	PG_CATCH();
	{
		ErrorData *error;

		/* Nobody else ends what was begun here. */
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		ReThrowError(error);
	}
	PG_END_TRY();
	if (run->missed == 0)
		ReleaseCurrentSubTransaction();
	else
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return run->missed == 0;
}

static void
change_rows(FoundRun *run)
{
	run->affected = run->missed = 0;
	if (run->shown != NULL)
		tuplestore_clear(run->shown);
	if (run->later != NULL)
		tuplestore_end(run->later);
	run->later = NULL;
	if (run->places != NULL)
		hash_destroy(run->places);
	run->places = NULL;
	if (run->plan->once)
	{
		HASHCTL control = {
			.keysize = sizeof(Place), .entrysize = sizeof(Place), .hcxt = run->scan->context};

		run->places =
			hash_create("rows found", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}

	tuplestore_rescan(run->found);
	while (tuplestore_gettupleslot(run->found, true, false, run->slot))
	{
		route(run);
		CHECK_FOR_INTERRUPTS();
	}
	for (int i = 0; i < run->nchanges; i++)
	{
		flush_all(run, run->changes[i]);
		if (run->changes[i]->leaves != NULL)
			flush_all(run, run->changes[i]->leaves);
	}
	while (run->later != NULL && tuplestore_gettupleslot(run->later, true, false, run->slot))
	{
		Change *change;

		slot_getallattrs(run->slot);
		change = run->changes[DatumGetInt32(run->slot->tts_values[FOUND_ACTION - 1]) - 1];
		if (change->enters != NULL)
			change = change->enters;
		add_row(run, change, shard_of(run, change->plan->key_position));
		CHECK_FOR_INTERRUPTS();
	}
	for (int i = 0; i < run->nchanges; i++)
	{
		flush_all(run, run->changes[i]);
		if (run->changes[i]->enters != NULL)
			flush_all(run, run->changes[i]->enters);
	}
	finish_all(run);
}

/* Puts a row where it belongs. */
static void
route(FoundRun *run)
{
	int action;
	Change *change;
	int from;

	slot_getallattrs(run->slot);
	action = DatumGetInt32(run->slot->tts_values[FOUND_ACTION - 1]);
	if (action == 0)
		return;
	change = run->changes[action - 1];
	if (change->plan->command == CMD_INSERT)
	{
		if (run->lock != NULL)
			put_off(run);
		else
			add_row(run, change, shard_of(run, change->plan->key_position));
		return;
	}
	from = shard_of(run, FOUND_KEY);
	if (run->places != NULL && is_known(run, from))
	{
		if (run->plan->twice_fails)
			ereport(ERROR, (errcode(ERRCODE_CARDINALITY_VIOLATION),
							errmsg("MERGE command cannot affect row a second time"),
							errhint("Ensure that not more than one source row matches any one "
									"target row.")));
		return;
	}
	if (change->leaves == NULL || shard_of(run, change->enters->plan->key_position) == from)
		add_row(run, change, from);
	else
	{
		if (!run->moves)
			refuse_actions(run);
		run->moves = true;
		add_row(run, change->leaves, from);
		put_off(run);
	}
}

static void
put_off(FoundRun *run)
{
	ResourceOwner owner = CurrentResourceOwner;

	CurrentResourceOwner = run->scan->owner;
	if (run->later == NULL)
		run->later = tuplestore_begin_heap(false, false, work_mem);
	tuplestore_puttupleslot(run->later, run->slot);
	CurrentResourceOwner = owner;
}

/* To a shard a row that moves is deleted: what foreign keys do then is not what they should. */
static void
refuse_actions(FoundRun *run)
{
	Relation catalog = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc rows = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(rows)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype != CONSTRAINT_FOREIGN || form->confrelid != run->plan->relid)
			continue;
		if ((form->confupdtype == FKCONSTR_ACTION_NOACTION ||
			 form->confupdtype == FKCONSTR_ACTION_RESTRICT) &&
			(form->confdeltype == FKCONSTR_ACTION_NOACTION ||
			 form->confdeltype == FKCONSTR_ACTION_RESTRICT))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change the distribution column of table \"%s\"",
						get_rel_name(run->plan->relid)),
				 errdetail("The row would have to move to another shard, and foreign key \"%s\" "
						   "changes the rows that refer to it.",
						   NameStr(form->conname)),
				 errhint("Delete the row and insert it anew.")));
	}
	systable_endscan(rows);
	table_close(catalog, AccessShareLock);
}

/* Was this row found before? */
static bool
is_known(FoundRun *run, int shard)
{
	Place place;
	bool known;

	memset(&place, 0, sizeof(place));
	place.shard = shard;
	if (run->partitioned)
		place.partition = DatumGetObjectId(run->slot->tts_values[FOUND_TABLE - 1]);
	ItemPointerCopy((ItemPointer) DatumGetPointer(run->slot->tts_values[FOUND_TID - 1]),
					&place.tid);
	(void) hash_search(run->places, &place, HASH_ENTER, &known);
	return known;
}

/* The position of the shard that a value of the distribution column belongs to. */
static int
shard_of(FoundRun *run, int column)
{
	if (run->slot->tts_isnull[column - 1])
		shards_refuse_null(run->table);
	return metadata_shard_for_key(run->table, run->slot->tts_values[column - 1]) -
		   run->table->colocation->shards;
}

static void
add_row(FoundRun *run, Change *change, int shard)
{
	Bundle *bundle = &change->bundles[shard];

	if (bundle->data.data == NULL)
		initStringInfo(&bundle->data);
	if (bundle->rows++ == 0)
		bundle_begin(change->form, &bundle->data);
	bundle_add_row(change->form, run->slot->tts_values, run->slot->tts_isnull, &bundle->data,
				   run->row_context);
	if (change->keeps_sources)
		bundle->sources = lappend(bundle->sources, ExecCopySlotMinimalTuple(run->slot));
	if (bundle_is_full(bundle->rows, &bundle->data))
		flush(run, change, shard);
}

static void
flush_all(FoundRun *run, Change *change)
{
	for (int i = 0; i < run->table->colocation->nshards; i++)
		flush(run, change, i);
}

static void
flush(FoundRun *run, Change *change, int shard)
{
	Bundle *bundle = &change->bundles[shard];
	const Shard *to = &run->table->colocation->shards[shard];
	RemoteQuery query = {0};
	Sent *sent;

	if (bundle->rows == 0)
		return;
	if (list_length(run->sent) >= BUNDLES_UNDER_WAY)
		finish_oldest(run);
	change->values[change->nparams - 1] = bundle->data.data;
	change->lengths[change->nparams - 1] = bundle->data.len;
	query.group_id = to->group_id;
	query.names = change->plan->names;
	query.sql = template_fill(change->plan->pieces, change->plan->schemas, to->id);
	query.nparams = change->nparams;
	query.types = change->types;
	query.values = change->values;
	query.lengths = change->lengths;
	query.formats = change->formats;
	query.binary =
		change->plan->command == CMD_INSERT ? run->only_of_table.binary : run->all_shown.binary;
	query.prepare = true;
	query.version = run->scan->version;
	query.writes = true;
	query.whole = true;
	sent = palloc0(sizeof(Sent));
	sent->change = change;
	sent->rows = bundle->rows;
	sent->sources = bundle->sources;
	sent->remote = remote_task_start(&query, run->scan->context, NULL, NULL);
	run->sent = lappend(run->sent, sent);
	bundle->rows = 0;
	bundle->sources = NIL;
}

static void
finish_all(FoundRun *run)
{
	while (run->sent != NIL)
		finish_oldest(run);
}

static void
finish_oldest(FoundRun *run)
{
	Sent *sent = linitial(run->sent);
	ShardPlan *plan = sent->change->plan;
	PGresult *result;
	int64 affected;
	int number = 0;

	while ((result = remote_task_next(sent->remote)) != NULL)
	{
		if (plan->returning && plan->command != CMD_SELECT)
			keep_shown(run, sent, result, number);
		number += PQntuples(result);
		PQclear(result);
	}
	affected = plan->command == CMD_SELECT ? number : remote_task_affected(sent->remote);
	remote_task_end(sent->remote);
	run->sent = list_delete_first(run->sent);
	if (plan->command != CMD_INSERT)
		run->missed += sent->rows - affected;
	if (plan->command != CMD_SELECT && !sent->change->uncounted)
		run->affected += affected;
	list_free_deep(sent->sources);
	pfree(sent);
}

/* Rows that a change gave back, "first" of which came before. */
static void
keep_shown(FoundRun *run, Sent *sent, PGresult *result, int first)
{
	bool inserts = sent->change->plan->command == CMD_INSERT;
	RowCodec *codec = inserts ? &run->only_of_table : &run->all_shown;
	ResourceOwner owner = CurrentResourceOwner;

	for (int i = 0; i < PQntuples(result); i++)
	{
		RemoteRow row = {.result = result, .row = i};
		MemoryContext old = MemoryContextSwitchTo(run->row_context);

		codec_store_row(codec, &row, run->shown_slot);
		if (sent->sources != NIL)
			add_source(run, list_nth(sent->sources, first + i));
		MemoryContextSwitchTo(old);
		CurrentResourceOwner = run->scan->owner;
		tuplestore_putvalues(run->shown, run->shown_desc, run->shown_slot->tts_values,
							 run->shown_slot->tts_isnull);
		CurrentResourceOwner = owner;
		ExecClearTuple(run->shown_slot);
		MemoryContextReset(run->row_context);
	}
}

/* Fills in what comes from the row that was found: an INSERT gives rows back in their order. */
static void
add_source(FoundRun *run, MinimalTuple source)
{
	ListCell *cell;

	ExecStoreMinimalTuple(source, run->slot, false);
	foreach (cell, run->plan->echoes)
	{
		int to = run->plan->shown_table + foreach_current_index(cell);
		bool isnull;

		run->shown_slot->tts_values[to] = slot_getattr(run->slot, lfirst_int(cell), &isnull);
		run->shown_slot->tts_isnull[to] = isnull;
	}
}
