/*-------------------------------------------------------------------------
 * shards.c
 *	  Which shards an execution is about, and the SQL for each.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "shard/executor/scan.h"
#include "shard/planner/template.h"
#include "shard/remote/pack.h"

static Bitmapset *positions_of_array(ShardScan *scan, const DistributedTable *table, Datum array);

static Datum
key_value(ShardScan *scan, bool *isnull)
{
	const ShardPlan *plan = scan->plan;

	if (plan->key_param < 0)
		return params_value(scan, plan->key, isnull);
	*isnull = scan->param_nulls[plan->key_param];
	return scan->param_values[plan->key_param];
}

int
shards_choose_one(ShardScan *scan, const DistributedTable *table)
{
	bool isnull;
	Datum value = key_value(scan, &isnull);

	if (!isnull)
		return shards_of_value(scan, table, value);
	if (scan->plan->inserts)
		shards_refuse_null(table);

	/* No row fits, but a statement that is sent whole may still have a result. */
	return 0;
}

List *
shards_choose(ShardScan *scan, const DistributedTable *table)
{
	ShardPlan *plan = scan->plan;
	List *positions = NIL;
	Bitmapset *set;
	Datum value;
	bool isnull;
	int position = -1;

	scan->shards_total = table->colocation->nshards;
	if (plan->key == NULL)
	{
		for (int i = 0; i < scan->shards_total; i++)
			positions = lappend_int(positions, i);
		return positions;
	}
	if (!plan->key_is_array && plan->tier == TIER_SINGLE_SHARD)
		return list_make1_int(shards_choose_one(scan, table));
	value = key_value(scan, &isnull);
	if (isnull)
	{
		if (plan->inserts)
			shards_refuse_null(table);
		return plan->tier == TIER_SINGLE_SHARD ? list_make1_int(0) : NIL;
	}
	if (!plan->key_is_array)
		return list_make1_int(shards_of_value(scan, table, value));
	set = positions_of_array(scan, table, value);
	while ((position = bms_next_member(set, position)) >= 0)
		positions = lappend_int(positions, position);
	return positions;
}

void
shards_refuse_null(const DistributedTable *table)
{
	ereport(ERROR,
			(errcode(ERRCODE_NOT_NULL_VIOLATION),
			 errmsg("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
					get_attname(table->relid, table->key, false), get_rel_name(table->relid)),
			 errdetail("It is the distribution column, which says where the row lives.")));
}

int
shards_of_value(ShardScan *scan, const DistributedTable *table, Datum value)
{
	const Shard *shards = table->colocation->shards;
	int32 hash =
		DatumGetInt32(FunctionCall1Coll(&scan->cache->key_hash, scan->plan->key_collation, value));
	int low = 0;
	int high = table->colocation->nshards - 1;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (hash > shards[middle].hash_max)
			low = middle + 1;
		else
			high = middle;
	}
	if (hash < shards[low].hash_min || hash > shards[low].hash_max)
		elog(ERROR, "no shard of table %u holds hash %d", table->relid, hash);
	return low;
}

static Bitmapset *
positions_of_array(ShardScan *scan, const DistributedTable *table, Datum array)
{
	ArrayType *values = DatumGetArrayTypeP(array);
	Oid element = ARR_ELEMTYPE(values);
	Bitmapset *positions = NULL;
	int16 length;
	bool by_value;
	char align;
	Datum *elements;
	bool *nulls;
	int count;

	get_typlenbyvalalign(element, &length, &by_value, &align);
	deconstruct_array(values, element, length, by_value, align, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			positions = bms_add_member(positions, shards_of_value(scan, table, elements[i]));
	}
	return positions;
}

bool
shards_packed(ShardPlan *plan)
{
	return plan->command == CMD_SELECT && !plan->few && plan->tier != TIER_EVERY_COPY &&
		   plan->tier != TIER_SELECT_ROWS;
}

const char *
shards_sql(ShardScan *scan, const DistributedTable *table, int position)
{
	ShardPlan *plan = shard_plan_owner(scan->plan);
	ShardPlanCache *cache = scan->cache;
	int64 id = table->colocation->shards[position].id;

	if (position >= cache->nshards)
	{
		MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(plan));
		int nshards = table->colocation->nshards;
		int64 *ids = palloc0(nshards * sizeof(int64));
		char **sql = palloc0(nshards * sizeof(char *));
		PreparedSlot *slots = palloc0(nshards * sizeof(PreparedSlot));

		if (cache->nshards > 0)
		{
			memcpy(ids, cache->shard_ids, cache->nshards * sizeof(int64));
			memcpy(sql, cache->sql, cache->nshards * sizeof(char *));
		}
		cache->shard_ids = ids;
		cache->sql = sql;
		cache->slots = slots;
		cache->nshards = nshards;
		MemoryContextSwitchTo(old);
	}
	if (cache->shard_ids[position] != id)
	{
		MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(plan));

		cache->shard_ids[position] = 0;
		memset(&cache->slots[position], 0, sizeof(PreparedSlot));
		cache->sql[position] = template_fill(plan->pieces, plan->schemas, id);
		if (shards_packed(plan))
			cache->sql[position] = psprintf("%s%s", PACK_MARK, cache->sql[position]);
		cache->shard_ids[position] = id;
		MemoryContextSwitchTo(old);
	}
	return cache->sql[position];
}
