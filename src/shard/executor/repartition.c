/*-------------------------------------------------------------------------
 * repartition.c
 *	  Rows that shards find for other shards: those of an INSERT ... SELECT that
 *	  change their shard, and those of a join on columns that no side, or one
 *	  side only, is split by.
 *
 * First all nodes that have rows compute them, shard by shard, and sort them
 * out by the shards of the target.  What is for a shard of the same node stays
 * there, in the session's own memory and files (exchanged.c); the rest comes
 * here in messages, is put with the others of its shard, and goes on to the
 * node that it is for, without a value being looked at.  Only then is
 * anything written, so the query cannot see rows of its own; or joined.
 *
 * Nodes work side by side.  Each is sent so much ahead that it is never idle,
 * and no more.
 *
 * What must stay true: everything that a node is asked goes over the
 * connection that carries its transaction, since only there are its own
 * changes seen and its rows kept; and each row goes to exactly one shard, that
 * of the hash of its key.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "shard/ddl/shard_ddl.h"
#include "shard/executor/exchanged.h"
#include "shard/executor/parts.h"
#include "shard/executor/scan.h"
#include "shard/planner/template.h"
#include "shard/remote/pack.h"

/* Statements that a node has before it at most. */
#define UNDER_WAY 6

/* What a node is asked for. */
typedef enum RequestKind
{
	REQUEST_FIND,	/* rows, those that are for other nodes */
	REQUEST_INSERT, /* writing rows, and what RETURNING gives */
	REQUEST_COPY,	/* the same by COPY: their number */
	REQUEST_OTHER	/* no answer */
} RequestKind;

/* A statement under way. */
typedef struct Request
{
	RemoteTask *remote;
	RequestKind kind;
} Request;

/* What one node does. */
typedef struct NodeLane
{
	int group_id;
	List *shards; /* positions of those that it is asked about */
	int next;	  /* of them; -1: it has not begun */
	bool begun;	  /* the next one's rows are on their way */
	PartReader reader;
	List *requests; /* oldest first */
} NodeLane;

typedef struct Repartition
{
	ShardScan *scan;
	ShardPlan *source;
	const DistributedTable *target;
	bool inserts; /* the rows are written, not only sent */
	bool sending; /* rows have been found */
	int number;	  /* of the exchange */
	bool binary;
	PartStore *store; /* rows that have come here */
	NodeLane *lanes;
	int nlanes;
	MemoryContext request_context; /* what a request is made of */
	MemoryContext result_context;  /* a row that is given back */
	MemoryContextCallback callback;

	/* Parameters of the source; the last are the routes. */
	int nparams;
	Oid *types;
	const char **values;
	int *lengths;
	int *formats;

	/* Of the statement that writes a part; the last is the bundle. */
	Relation relation;
	char *columns; /* for COPY, in binary form: an array */
	int columns_length;
	int64 affected;
} Repartition;

/* Numbers of exchanges that are under way in this session. */
static Bitmapset *numbers = NULL;

static Repartition *make_run(ShardScan *scan, ShardPlan *source);
static void take_number(Repartition *run);
static void give_number(void *arg);
static void evaluate_source(Repartition *run);
static void encode_columns(Repartition *run);
static void make_lanes(Repartition *run);
static NodeLane *lane_for(Repartition *run, int group_id);
static void run_lanes(Repartition *run, const DistributedTable *table);
static bool start_request(Repartition *run, NodeLane *lane);
static bool start_write(Repartition *run, NodeLane *lane);
static void ask(Repartition *run, NodeLane *lane, RemoteQuery *query, RequestKind kind);
static void ask_simple(Repartition *run, NodeLane *lane, const char *sql);
static void ask_source(Repartition *run, NodeLane *lane, int position);
static void
ask_put(Repartition *run, NodeLane *lane, int part, char *data, Size length, int64 rows);
static void ask_copy(Repartition *run, NodeLane *lane, int part);
static void ask_insert(Repartition *run, NodeLane *lane, int part);
static bool receive(Repartition *run, NodeLane *lane);
static void take_found(Repartition *run, PGresult *result);
static void take_returned(Repartition *run, PGresult *result);

/* An INSERT. */
void
repartition_start(ShardScan *scan)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	Repartition *run = make_run(scan, linitial(scan->plan->sources));

	run->inserts = true;
	run->relation = table_open(scan->plan->relid, NoLock);
	scan->shards_total = run->target->colocation->nshards;
	if (scan->plan->returning)
		scan->store = tasks_new_store(scan);
	encode_columns(run);
	run_lanes(run, metadata_table(run->source->relid));
	run->sending = true;
	run_lanes(run, run->target);
	parts_end(run->store);
	table_close(run->relation, NoLock);
	scan_count_affected(scan, run->affected);
	MemoryContextSwitchTo(old);
}

void
repartition_prepare(ShardScan *scan)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	ListCell *cell;

	foreach (cell, scan->plan->sources)
	{
		Repartition *run = make_run(scan, lfirst(cell));

		run_lanes(run, metadata_table(run->source->relid));
		run->sending = true;
		run_lanes(run, run->target);
		parts_end(run->store);
		scan->exchanges = lappend(scan->exchanges, run);
	}
	MemoryContextSwitchTo(old);
}

void
repartition_bundle(ShardScan *scan, int source, int position, const char **value, int *length)
{
	Repartition *run = list_nth(scan->exchanges, source);
	StringInfoData bundle;

	initStringInfo(&bundle);
	exchanged_bundle(&bundle, run->number, position, run->binary);
	*value = bundle.data;
	*length = bundle.len;
}

static Repartition *
make_run(ShardScan *scan, ShardPlan *source)
{
	Repartition *run = palloc0(sizeof(Repartition));

	run->scan = scan;
	run->source = source;
	run->target = scan_table(scan);
	take_number(run);
	run->request_context =
		AllocSetContextCreate(scan->context, "pgcluster request", ALLOCSET_DEFAULT_SIZES);
	run->result_context =
		AllocSetContextCreate(scan->context, "pgcluster row", ALLOCSET_SMALL_SIZES);
	run->store = parts_create(scan->context, scan->owner, run->target->colocation->nshards,
							  (Size) work_mem * 1024);
	evaluate_source(run);
	make_lanes(run);
	return run;
}

/* A number that no other scan uses; what nodes still keep under it goes. */
static void
take_number(Repartition *run)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	run->number = 1;
	while (bms_is_member(run->number, numbers))
		run->number++;
	numbers = bms_add_member(numbers, run->number);
	MemoryContextSwitchTo(old);
	run->callback.func = give_number;
	run->callback.arg = run;
	MemoryContextRegisterResetCallback(run->scan->context, &run->callback);
}

static void
give_number(void *arg)
{
	numbers = bms_del_member(numbers, ((Repartition *) arg)->number);
}

/* Evaluates the parameters of the source. */
static void
evaluate_source(Repartition *run)
{
	List *params = run->source->params;
	int count = list_length(params);
	bool safe = codec_binary_is_safe();
	TupleDesc desc = CreateTemplateTupleDesc(list_length(run->source->types));
	RowCodec rows = {0};
	ListCell *cell;
	int i = 0;

	foreach (cell, run->source->types)
		TupleDescInitEntry(desc, foreach_current_index(cell) + 1, NULL, lfirst_oid(cell), -1, 0);
	codec_init_row(&rows, desc, true, NIL, safe, run->scan->context);
	run->binary = rows.binary;
	run->nparams = count + 1;
	run->types = palloc0((count + 1) * sizeof(Oid));
	run->values = palloc0((count + 1) * sizeof(char *));
	run->lengths = palloc0((count + 1) * sizeof(int));
	run->formats = palloc0((count + 1) * sizeof(int));
	foreach (cell, params)
	{
		ValueCodec codec = {0};
		bool isnull;
		Datum value = params_value(run->scan, lfirst(cell), &isnull);

		codec_init_param(&codec, exprType(lfirst(cell)), safe, run->scan->context);
		run->types[i] = codec.wire_type;
		codec_encode(&codec, value, isnull, &run->values[i], &run->lengths[i], &run->formats[i]);
		i++;
	}
	run->types[count] = BYTEAOID;
	run->formats[count] = 1;
}

/* Names of the columns that COPY fills. */
static void
encode_columns(Repartition *run)
{
	List *columns = run->scan->plan->columns;
	Datum *names = palloc(Max(list_length(columns), 1) * sizeof(Datum));
	ValueCodec codec = {0};
	const char *data;
	int format;
	ListCell *cell;

	foreach (cell, columns)
	{
		Form_pg_attribute attribute =
			TupleDescAttr(RelationGetDescr(run->relation), lfirst_int(cell) - 1);

		names[foreach_current_index(cell)] = CStringGetTextDatum(NameStr(attribute->attname));
	}
	codec_init_param(&codec, TEXTARRAYOID, true, run->scan->context);
	codec_encode(&codec,
				 PointerGetDatum(construct_array(names, list_length(columns), TEXTOID, -1, false,
												 TYPALIGN_INT)),
				 false, &data, &run->columns_length, &format);
	run->columns = unconstify(char *, data);
}

/* --- nodes side by side -------------------------------------------------- */

/* All nodes that have rows, and all that get some. */
static void
make_lanes(Repartition *run)
{
	const Colocation *source = metadata_table(run->source->relid)->colocation;
	const Colocation *target = run->target->colocation;

	run->lanes = palloc0((source->nshards + target->nshards) * sizeof(NodeLane));
	for (int i = 0; i < source->nshards; i++)
		(void) lane_for(run, source->shards[i].group_id);
	for (int i = 0; i < target->nshards; i++)
		(void) lane_for(run, target->shards[i].group_id);
}

static NodeLane *
lane_for(Repartition *run, int group_id)
{
	for (int i = 0; i < run->nlanes; i++)
	{
		if (run->lanes[i].group_id == group_id)
			return &run->lanes[i];
	}
	run->lanes[run->nlanes].group_id = group_id;
	return &run->lanes[run->nlanes++];
}

/* Has the nodes do what there is to do with the shards of a table. */
static void
run_lanes(Repartition *run, const DistributedTable *table)
{
	for (int i = 0; i < run->nlanes; i++)
	{
		run->lanes[i].shards = NIL;
		run->lanes[i].next = run->sending ? 0 : -1;
	}
	for (int i = 0; i < table->colocation->nshards; i++)
	{
		NodeLane *lane = lane_for(run, table->colocation->shards[i].group_id);

		lane->shards = lappend_int(lane->shards, i);
	}
	for (;;)
	{
		RemoteTask *waiting[REMOTE_MAX_WAIT];
		int nwaiting = 0;
		bool moved = false;

		for (int i = 0; i < run->nlanes; i++)
		{
			NodeLane *lane = &run->lanes[i];

			while (list_length(lane->requests) < UNDER_WAY && start_request(run, lane))
				moved = true;
			while (lane->requests != NIL && receive(run, lane))
				moved = true;
			if (lane->requests != NIL && nwaiting < REMOTE_MAX_WAIT)
				waiting[nwaiting++] = ((Request *) linitial(lane->requests))->remote;
		}
		CHECK_FOR_INTERRUPTS();
		if (moved)
			continue;
		if (nwaiting == 0)
			return;
		remote_wait_any(waiting, nwaiting, -1);
	}
}

/* The next statement for the node; false when there is none. */
static bool
start_request(Repartition *run, NodeLane *lane)
{
	int count = list_length(lane->shards);

	if (lane->next > count || (lane->next == count && !run->sending))
		return false;
	if (lane->next < 0)
	{
		ask_simple(run, lane,
				   psprintf("SELECT pgcluster.exchange_begin(%d, %d)", run->number,
							parts_count(run->store)));
		lane->next++;
	}
	else if (lane->next == count && !run->inserts)
		return false;
	else if (lane->next == count)
	{
		ask_simple(run, lane, psprintf("SELECT pgcluster.exchange_end(%d)", run->number));
		lane->next++;
	}
	else if (run->sending)
		return start_write(run, lane);
	else
		ask_source(run, lane, list_nth_int(lane->shards, lane->next++));
	MemoryContextReset(run->request_context);
	return true;
}

/* Sends what a shard gets from elsewhere, and then has it written; false when all is sent. */
static bool
start_write(Repartition *run, NodeLane *lane)
{
	for (; lane->next < list_length(lane->shards); lane->next++, lane->begun = false)
	{
		int part = list_nth_int(lane->shards, lane->next);
		char *data;
		Size length;
		int64 rows;

		if (!lane->begun)
			parts_read(run->store, part, &lane->reader);
		lane->begun = true;
		if (parts_next(&lane->reader, &data, &length, &rows))
		{
			ask_put(run, lane, part, data, length, rows);
			return true;
		}
		if (!run->inserts)
			continue;
		if (run->scan->plan->copied && run->binary)
			ask_copy(run, lane, part);
		else
			ask_insert(run, lane, part);
		lane->next++;
		lane->begun = false;
		MemoryContextReset(run->request_context);
		return true;
	}
	return false;
}

/* --- what a node is asked ------------------------------------------------ */

static void
ask(Repartition *run, NodeLane *lane, RemoteQuery *query, RequestKind kind)
{
	Request *request = MemoryContextAlloc(run->scan->context, sizeof(Request));
	MemoryContext old;

	request->kind = kind;
	query->group_id = lane->group_id;
	query->writes = run->inserts;
	query->keeps = true;
	query->version = run->scan->version;
	query->snapshot = run->scan->snapshot;
	request->remote = remote_task_start(query, run->scan->context, NULL, NULL);
	old = MemoryContextSwitchTo(run->scan->context);
	lane->requests = lappend(lane->requests, request);
	MemoryContextSwitchTo(old);
}

static void
ask_simple(Repartition *run, NodeLane *lane, const char *sql)
{
	RemoteQuery query = {.sql = sql};

	ask(run, lane, &query, REQUEST_OTHER);
}

/* Has a shard find its rows, and keep those that are for this node. */
static void
ask_source(Repartition *run, NodeLane *lane, int position)
{
	MemoryContext old = MemoryContextSwitchTo(run->request_context);
	const Colocation *target = run->target->colocation;
	int64 id = metadata_table(run->source->relid)->colocation->shards[position].id;
	int32 *ends = palloc(target->nshards * sizeof(int32));
	bool *stays = palloc(target->nshards * sizeof(bool));
	StringInfoData routes;
	RemoteQuery query = {.binary = run->binary, .prepare = true};

	initStringInfo(&routes);
	for (int i = 0; i < target->nshards; i++)
	{
		ends[i] = target->shards[i].hash_max;
		stays[i] = target->shards[i].group_id == lane->group_id;
	}
	exchanged_routes(&routes, run->number, target->nshards, ends, stays);
	run->values[run->nparams - 1] = routes.data;
	run->lengths[run->nparams - 1] = routes.len;
	query.sql = psprintf(PACK_SPLIT_MARK "%s",
						 template_fill(run->source->pieces, run->source->schemas, id));
	query.nparams = run->nparams;
	query.types = run->types;
	query.values = run->values;
	query.lengths = run->lengths;
	query.formats = run->formats;
	ask(run, lane, &query, REQUEST_FIND);
	MemoryContextSwitchTo(old);
}

/* A value that goes along. */
typedef struct Argument
{
	Oid type;
	const char *value;
	int length;
	int format;
} Argument;

#define PART_ARGUMENTS 4

/* Calls a function that is told which part of the exchange is meant, and two things more. */
static void
ask_about_part(Repartition *run, NodeLane *lane, int part, const char *sql, const Argument *more,
			   RequestKind kind)
{
	uint32 number = pg_hton32((uint32) run->number);
	uint32 place = pg_hton32((uint32) part);
	const Argument arguments[PART_ARGUMENTS] = {
		{INT4OID, (char *) &number, sizeof(number), 1},
		{INT4OID, (char *) &place, sizeof(place), 1},
		more[0],
		more[1],
	};
	Oid types[PART_ARGUMENTS];
	const char *values[PART_ARGUMENTS];
	int lengths[PART_ARGUMENTS];
	int formats[PART_ARGUMENTS];
	RemoteQuery query = {.sql = sql,
						 .prepare = true,
						 .names = run->scan->plan->names,
						 .nparams = PART_ARGUMENTS,
						 .types = types,
						 .values = values,
						 .lengths = lengths,
						 .formats = formats};

	for (int i = 0; i < PART_ARGUMENTS; i++)
	{
		types[i] = arguments[i].type;
		values[i] = arguments[i].value;
		lengths[i] = arguments[i].length;
		formats[i] = arguments[i].format;
	}
	ask(run, lane, &query, kind);
}

/* Sends rows of a part that have come here. */
static void
ask_put(Repartition *run, NodeLane *lane, int part, char *data, Size length, int64 rows)
{
	uint64 count = pg_hton64((uint64) rows);
	const Argument more[] = {{BYTEAOID, data, (int) length, 1},
							 {INT8OID, (char *) &count, sizeof(count), 1}};

	ask_about_part(run, lane, part, "SELECT pgcluster.exchange_put($1, $2, $3, $4)", more,
				   REQUEST_OTHER);
}

static void
ask_copy(Repartition *run, NodeLane *lane, int part)
{
	char *name = shard_ddl_name(run->relation, run->target->colocation->shards[part].id);
	const Argument more[] = {{TEXTOID, name, 0, 0},
							 {TEXTARRAYOID, run->columns, run->columns_length, 1}};

	ask_about_part(run, lane, part, "SELECT pgcluster.exchange_copy($1, $2, $3, $4)", more,
				   REQUEST_COPY);
}

/* The statement itself, for the rows of one shard. */
static void
ask_insert(Repartition *run, NodeLane *lane, int part)
{
	ShardScan *scan = run->scan;
	MemoryContext old = MemoryContextSwitchTo(run->request_context);
	StringInfoData bundle;
	RemoteQuery query = {.sql = shards_sql(scan, run->target, part),
						 .binary = scan->cache->rows.binary,
						 .prepare = true,
						 .names = run->scan->plan->names,
						 .nparams = scan->cache->nparams,
						 .types = scan->cache->wire_types,
						 .values = scan->wire_values,
						 .lengths = scan->wire_lengths,
						 .formats = scan->wire_formats};

	initStringInfo(&bundle);
	exchanged_bundle(&bundle, run->number, part, run->binary);
	tasks_add_bundle(run->request_context, &bundle, &query);
	ask(run, lane, &query, REQUEST_INSERT);
	MemoryContextSwitchTo(old);
}

/* --- what a node answers ------------------------------------------------- */

/* Takes what there is of the oldest statement; false when there is nothing. */
static bool
receive(Repartition *run, NodeLane *lane)
{
	Request *request = linitial(lane->requests);
	bool done = false;
	PGresult *result = remote_task_poll(request->remote, &done);

	if (result != NULL)
	{
		PG_TRY();
		{
			if (request->kind == REQUEST_FIND)
				take_found(run, result);
			else if (request->kind == REQUEST_COPY)
				run->affected += strtoi64(PQgetvalue(result, 0, 0), NULL, 10);
			else if (request->kind == REQUEST_INSERT && run->scan->plan->returning)
				take_returned(run, result);
		}
		PG_FINALLY();
		{
			PQclear(result);
		}
		PG_END_TRY();
		return true;
	}
	if (!done)
		return false;
	if (request->kind == REQUEST_INSERT)
		run->affected += remote_task_affected(request->remote);
	remote_task_end(request->remote);
	lane->requests = list_delete_first(lane->requests);
	pfree(request);
	return true;
}

/* Puts the rows that another node gets with those that have come already. */
static void
take_found(Repartition *run, PGresult *result)
{
	ShardTask task = {.packed = true};
	RemoteRow row = {0};

	tasks_got(&task, result);
	while (task.at < task.end)
	{
		const char *values;
		size_t length;
		int64 route;
		uint16 columns;
		uint32 size;

		memcpy(&size, task.at, sizeof(size));
		row.body = task.at + sizeof(size);
		row.length = (int) pg_ntoh32(size);
		if (row.length < (int) sizeof(columns) || row.length > task.end - row.body)
			elog(ERROR, "a row of another node is too long");
		task.at = row.body + row.length;
		memcpy(&columns, row.body, sizeof(columns));
		values = row.body + sizeof(columns);
		length = row.length - sizeof(columns);
		if (!pack_read_route(&values, &length, &route))
		{
			/* It equals no other row, and is one all the same. */
			if (run->inserts)
				shards_refuse_null(run->target);
			route = PACK_ROUTE(0, 0);
		}
		exchanged_add(run->store, PACK_PART(route), pg_ntoh16(columns) - 1, values, length);
	}
}

static void
take_returned(Repartition *run, PGresult *result)
{
	ShardScan *scan = run->scan;
	TupleTableSlot *slot = scan->row_slot;
	RemoteRow row = {.result = result};

	for (row.row = 0; row.row < PQntuples(result); row.row++)
	{
		MemoryContext old = MemoryContextSwitchTo(run->result_context);

		codec_store_row(&scan->cache->rows, &row, slot);
		MemoryContextSwitchTo(old);
		tuplestore_putvalues(scan->store, slot->tts_tupleDescriptor, slot->tts_values,
							 slot->tts_isnull);
		ExecClearTuple(slot);
		MemoryContextReset(run->result_context);
	}
}
