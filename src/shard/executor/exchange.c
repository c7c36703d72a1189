/*-------------------------------------------------------------------------
 * exchange.c
 *	  Rows that are sorted out by the shards of a table, on their way there.
 *
 * When one side of a join is split by the column that is joined on, the other
 * need not be everywhere: each of its rows goes to the one shard that may have
 * partners for it.  The rows come here first, in arrays for each shard, and
 * go on with the statement that joins them.
 *
 * What must stay true: a row goes to exactly one shard, that of the hash of its
 * key, so it is also there once where it is kept without a partner; and no
 * more is held than was allowed.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/config.h"
#include "shard/executor/exchange.h"

/* Beside a value, while it is here and when it is sent. */
#define VALUE_OVERHEAD 5

typedef struct Exchange
{
	MemoryContext context;
	MemoryContext rows; /* what is kept; NULL once there was too much */
	Size size;
	Size limit;
	int key;
	FmgrInfo hash;
	Oid collation;
	int ncolumns;
	Oid *types;
	int16 *lengths;
	int nshards;
	int64 *shard_ids;
	int32 *hash_max;
	int *counts;
	ArrayBuildState **building; /* by shard, then by column */
} Exchange;

static Exchange *create(MemoryContext context, Oid relid, int key, Oid hash, int ncolumns,
						const Oid *types, Size limit);
static void add_row(Exchange *exchange, const Datum *values, const bool *nulls);
static int shard_of(Exchange *exchange, Datum key);
static Datum shard_array(const Exchange *exchange, int position, int column, MemoryContext context);
static Exchange *exchange_of(ShardScan *scan, int param, int *column);

PGCLUSTER_FUNCTION(pgcluster_exchange_row);
PGCLUSTER_FUNCTION(pgcluster_exchange_done);
PGCLUSTER_FUNCTION(pgcluster_exchanged);

/*
 * For rows with these columns (types), of which number "key" (from 0) is
 * hashed by "hash" as the distribution column of the table is.  Lives in
 * "context"; holds up to "limit" bytes.
 */
static Exchange *
create(MemoryContext context, Oid relid, int key, Oid hash, int ncolumns, const Oid *types,
	   Size limit)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Exchange *exchange = palloc0(sizeof(Exchange));
	const DistributedTable *table = metadata_table(relid);

	if (table == NULL || table->kind != TABLE_HASH)
		elog(ERROR, "table %u is not distributed any more", relid);
	exchange->context = context;
	exchange->rows = AllocSetContextCreate(context, "pgcluster exchange", ALLOCSET_DEFAULT_SIZES);
	exchange->limit = limit;
	exchange->key = key;
	fmgr_info_cxt(hash, &exchange->hash, context);
	exchange->collation = table->key_collation;
	exchange->ncolumns = ncolumns;
	exchange->types = palloc(ncolumns * sizeof(Oid));
	exchange->lengths = palloc(ncolumns * sizeof(int16));
	for (int i = 0; i < ncolumns; i++)
	{
		exchange->types[i] = types[i];
		exchange->lengths[i] = get_typlen(types[i]);
	}
	exchange->nshards = table->colocation->nshards;
	exchange->shard_ids = palloc(exchange->nshards * sizeof(int64));
	exchange->hash_max = palloc(exchange->nshards * sizeof(int32));
	exchange->counts = palloc0(exchange->nshards * sizeof(int));
	exchange->building = palloc0(exchange->nshards * ncolumns * sizeof(ArrayBuildState *));
	for (int i = 0; i < exchange->nshards; i++)
	{
		exchange->shard_ids[i] = table->colocation->shards[i].id;
		exchange->hash_max[i] = table->colocation->shards[i].hash_max;
	}
	MemoryContextSwitchTo(old);
	return exchange;
}

/*
 * Takes a row in; one whose key is null goes to the first shard, since it
 * equals no row of the table.  Once there was too much nothing is kept.
 */
static void
add_row(Exchange *exchange, const Datum *values, const bool *nulls)
{
	int shard = nulls[exchange->key] ? 0 : shard_of(exchange, values[exchange->key]);
	ArrayBuildState **columns = &exchange->building[shard * exchange->ncolumns];

	if (exchange->rows == NULL)
		return;
	exchange->counts[shard]++;
	for (int i = 0; i < exchange->ncolumns; i++)
	{
		if (columns[i] == NULL)
			columns[i] = initArrayResult(exchange->types[i], exchange->rows, false);
		columns[i] =
			accumArrayResult(columns[i], values[i], nulls[i], exchange->types[i], exchange->rows);
		exchange->size += VALUE_OVERHEAD;
		if (!nulls[i])
			exchange->size += exchange_value_size(values[i], exchange->lengths[i]);
	}
	if (exchange->size >= exchange->limit)
	{
		MemoryContextDelete(exchange->rows);
		exchange->rows = NULL;
	}
}

static int
shard_of(Exchange *exchange, Datum key)
{
	int32 hash = DatumGetInt32(FunctionCall1Coll(&exchange->hash, exchange->collation, key));
	int low = 0;
	int high = exchange->nshards - 1;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (hash > exchange->hash_max[middle])
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

Size
exchange_value_size(Datum value, int16 length)
{
	if (length > 0)
		return length;
	return length == -1 ? toast_raw_datum_size(value) : strlen(DatumGetCString(value));
}

/* The values of a shard's rows in a column. */
static Datum
shard_array(const Exchange *exchange, int position, int column, MemoryContext context)
{
	ArrayBuildState *building = exchange->building[position * exchange->ncolumns + column];
	int dims[1];
	int lbs[1] = {1};

	if (exchange->counts[position] == 0)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		ArrayType *empty = construct_empty_array(exchange->types[column]);

		MemoryContextSwitchTo(old);
		return PointerGetDatum(empty);
	}
	dims[0] = building->nelems;
	return makeMdArrayResult(building, 1, dims, lbs, context, false);
}

/* --- in SQL ------------------------------------------------------------ */

/* pgcluster.exchange_row(state internal, nothing internal, relation oid, key integer, hash oid, VARIADIC columns "any") */
Datum
pgcluster_exchange_row(PG_FUNCTION_ARGS)
{
	const int first = 5;
	Exchange *exchange = PG_ARGISNULL(0) ? NULL : (Exchange *) PG_GETARG_POINTER(0);
	int ncolumns = PG_NARGS() - first;
	Datum values[FUNC_MAX_ARGS];
	bool nulls[FUNC_MAX_ARGS];
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "function pgcluster.exchange_row is for an aggregate only");
	if (exchange == NULL)
	{
		Oid types[FUNC_MAX_ARGS];

		for (int i = 0; i < ncolumns; i++)
			types[i] = get_fn_expr_argtype(fcinfo->flinfo, i + first);
		exchange =
			create(context, PG_GETARG_OID(2), PG_GETARG_INT32(3), PG_GETARG_OID(4), ncolumns, types,
				   (Size) Min(config_max_exchanged_size, CONFIG_MAX_EXCHANGED_ARRAYS) * 1024);
	}
	for (int i = 0; i < ncolumns; i++)
	{
		values[i] = PG_GETARG_DATUM(i + first);
		nulls[i] = PG_ARGISNULL(i + first);
	}
	add_row(exchange, values, nulls);
	PG_RETURN_POINTER(exchange);
}

/* pgcluster.exchange_done(state internal) */
Datum
pgcluster_exchange_done(PG_FUNCTION_ARGS)
{
	Exchange *exchange = PG_ARGISNULL(0) ? NULL : (Exchange *) PG_GETARG_POINTER(0);
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "function pgcluster.exchange_done is for an aggregate only");

	/* No rows: no shard has any. */
	if (exchange == NULL)
		PG_RETURN_POINTER(MemoryContextAllocZero(context, sizeof(Exchange)));
	if (exchange->rows == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(exchange);
}

/* pgcluster.exchanged(arrays internal, number integer, type anyarray, needed boolean): stands in plans */
Datum
pgcluster_exchanged(PG_FUNCTION_ARGS)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("function pgcluster.exchanged is for the planner only")));
	PG_RETURN_NULL();
}

/* --- for a scan -------------------------------------------------------- */

/* Where a parameter's values come from; NULL: from nowhere, and nobody will ask for what comes of it. */
static Exchange *
exchange_of(ShardScan *scan, int param, int *column)
{
	FuncExpr *call = list_nth_node(FuncExpr, scan->params, param);
	bool isnull;
	Datum exchange = params_value(scan, linitial(call->args), &isnull);

	*column = DatumGetInt32(lsecond_node(Const, call->args)->constvalue);
	return isnull ? NULL : (Exchange *) DatumGetPointer(exchange);
}

List *
exchange_choose(ShardScan *scan, List *positions)
{
	ListCell *param;

	foreach (param, scan->plan->needed_parts)
	{
		int column;
		Exchange *exchange = exchange_of(scan, lfirst_int(param), &column);
		List *left = NIL;
		ListCell *cell;

		foreach (cell, positions)
		{
			if (exchange != NULL && exchange->nshards > 0 && exchange->counts[lfirst_int(cell)] > 0)
				left = lappend_int(left, lfirst_int(cell));
		}
		positions = left;
	}
	return positions;
}

void
exchange_values(ShardScan *scan, int position, RemoteQuery *query, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	int n = query->nparams;
	const char **values = palloc(n * sizeof(char *));
	int *lengths = palloc(n * sizeof(int));
	int *formats = palloc(n * sizeof(int));
	ListCell *cell;

	memcpy(values, scan->wire_values, n * sizeof(char *));
	memcpy(lengths, scan->wire_lengths, n * sizeof(int));
	memcpy(formats, scan->wire_formats, n * sizeof(int));
	foreach (cell, scan->plan->parts)
	{
		int param = lfirst_int(cell);
		int column;
		Exchange *exchange = exchange_of(scan, param, &column);
		Oid type = get_element_type(exprType(list_nth(scan->params, param)));
		Datum array;

		if (exchange == NULL || exchange->nshards == 0)
			array = PointerGetDatum(construct_empty_array(type));
		else if (exchange->shard_ids[position] == scan_table(scan)->colocation->shards[position].id)
			array = shard_array(exchange, position, column, context);
		else
			elog(ERROR, "rows were sorted out for other shards");
		codec_encode(&scan->cache->params[param], array, false, &values[param], &lengths[param],
					 &formats[param]);
	}
	for (int i = 0; i < list_length(scan->plan->source_params); i++)
	{
		int param = list_nth_int(scan->plan->source_params, i);

		repartition_bundle(scan, i, position, &values[param], &lengths[param]);
		formats[param] = 1;
	}
	query->values = values;
	query->lengths = lengths;
	query->formats = formats;
	MemoryContextSwitchTo(old);
}

void
exchange_gather(ShardScan *scan, const DistributedTable *table, List *positions)
{
	TupleTableSlot *slot;
	RemoteRow row = {0};

	stream_start(scan, table, positions);
	if (scan->store == NULL)
		scan->store = tasks_new_store(scan);
	slot = scan->row_slot;
	while (stream_next(scan, &row))
	{
		MemoryContext old = MemoryContextSwitchTo(scan->row_context);

		codec_store_row(&scan->cache->rows, &row, slot);
		MemoryContextSwitchTo(old);
		tuplestore_putvalues(scan->store, slot->tts_tupleDescriptor, slot->tts_values,
							 slot->tts_isnull);
		ExecClearTuple(slot);
		MemoryContextReset(scan->row_context);
	}
	scan->streaming = false;
}
