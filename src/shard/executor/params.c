/*-------------------------------------------------------------------------
 * params.c
 *	  The values that are known when an execution starts.
 *
 * Every expression is evaluated once per execution, so that a volatile one
 * (the next number of a sequence) gives one value wherever it is used.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "shard/executor/scan.h"

static void build_cache(ShardScan *scan);
static void find_tables(ShardScan *scan);

/* Makes scan->cache fit this session; its parts live as long as the plan. */
void
params_prepare(ShardScan *scan)
{
	ShardPlan *plan = shard_plan_owner(scan->plan);

	if (plan->cache == NULL || plan->cache->binary_is_safe != codec_binary_is_safe())
		build_cache(scan);
	scan->cache = plan->cache;
	find_tables(scan);
	scan->version = scan->cache->version;
}

/*
 * The version changes with any of the distributed tables that the statement
 * names.  Nothing is looked up again until something has changed.
 */
static void
find_tables(ShardScan *scan)
{
	ShardPlanCache *kept = scan->cache;
	uint64 version = 0;
	uint64 generation;
	ListCell *cell;

	if (likely(kept->generation == metadata_generation()))
		return;
	kept->generation = 0;
	generation = metadata_generation();

	foreach (cell, scan->css.ss.ps.state->es_range_table)
	{
		RangeTblEntry *rte = lfirst(cell);
		const DistributedTable *table = NULL;

		if (rte->rtekind == RTE_RELATION)
			table = metadata_table(rte->relid);
		if (table != NULL && table->version > version)
			version = table->version;
	}
	kept->version = version;
	kept->table = metadata_table(scan->plan->relid);
	if (generation == metadata_generation())
		kept->generation = generation;
}

static void
build_cache(ShardScan *scan)
{
	ShardPlan *plan = shard_plan_owner(scan->plan);
	MemoryContext context = GetMemoryChunkContext(plan);
	ShardPlanCache *cache = MemoryContextAllocZero(context, sizeof(ShardPlanCache));
	TupleDesc desc = scan->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor;
	ListCell *cell;
	int i = 0;

	cache->binary_is_safe = codec_binary_is_safe();
	cache->nparams = list_length(scan->params);
	cache->params = MemoryContextAllocZero(context, Max(cache->nparams, 1) * sizeof(ValueCodec));
	cache->wire_types = MemoryContextAllocZero(context, Max(cache->nparams, 1) * sizeof(Oid));
	foreach (cell, scan->params)
	{
		codec_init_param(&cache->params[i], exprType(lfirst(cell)), cache->binary_is_safe, context);
		cache->wire_types[i] = cache->params[i].wire_type;
		i++;
	}
	codec_init_row(&cache->rows, desc, !plan->some_columns, plan->columns, cache->binary_is_safe,
				   context);
	if (OidIsValid(plan->key_hash))
		fmgr_info_cxt(plan->key_hash, &cache->key_hash, context);
	plan->cache = cache;
}

/* Evaluates the parameters of the SQL into "scan". */
void
params_evaluate(ShardScan *scan)
{
	ShardPlanCache *cache = scan->cache;
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	int n = cache->nparams;
	ListCell *cell;
	int i = 0;

	if (n > 0)
	{
		scan->param_values = palloc(n * sizeof(Datum));
		scan->param_nulls = palloc(n * sizeof(bool));
		scan->wire_values = palloc(n * sizeof(char *));
		scan->wire_lengths = palloc(n * sizeof(int));
		scan->wire_formats = palloc(n * sizeof(int));
	}
	foreach (cell, scan->params)
	{
		/* Others for each shard. */
		if ((scan->plan->parts != NIL && list_member_int(scan->plan->parts, i)) ||
			(scan->plan->source_params != NIL && list_member_int(scan->plan->source_params, i)))
		{
			scan->param_nulls[i] = true;
			scan->param_values[i] = (Datum) 0;
			scan->wire_values[i++] = NULL;
			continue;
		}
		scan->param_values[i] = params_value(scan, lfirst(cell), &scan->param_nulls[i]);
		codec_encode(&cache->params[i], scan->param_values[i], scan->param_nulls[i],
					 &scan->wire_values[i], &scan->wire_lengths[i], &scan->wire_formats[i]);
		i++;
	}
	MemoryContextSwitchTo(old);
}

/* The value of an expression without columns; lives as long as the execution. */
Datum
params_value(ShardScan *scan, Expr *expr, bool *isnull)
{
	ParamListInfo params = scan->css.ss.ps.state->es_param_list_info;
	MemoryContext old;
	ExprState *state;
	Datum value;

	if (IsA(expr, Const))
	{
		*isnull = ((Const *) expr)->constisnull;
		return ((Const *) expr)->constvalue;
	}
	if (IsA(expr, Param) && ((Param *) expr)->paramkind == PARAM_EXTERN && params != NULL &&
		params->paramFetch == NULL)
	{
		Param *param = (Param *) expr;

		/* Anything odd is left to the server, which has the errors for it. */
		if (param->paramid > 0 && param->paramid <= params->numParams &&
			params->params[param->paramid - 1].ptype == param->paramtype)
		{
			*isnull = params->params[param->paramid - 1].isnull;
			return params->params[param->paramid - 1].value;
		}
	}
	old = MemoryContextSwitchTo(scan->context);
	if (scan->css.ss.ps.ps_ExprContext == NULL)
		ExecAssignExprContext(scan->css.ss.ps.state, &scan->css.ss.ps);
	state = ExecInitExpr(expr, &scan->css.ss.ps);
	value = ExecEvalExprSwitchContext(state, scan->css.ss.ps.ps_ExprContext, isnull);
	if (!*isnull)
	{
		int16 length;
		bool by_value;

		get_typlenbyval(exprType((Node *) expr), &length, &by_value);
		value = datumCopy(value, by_value, length);
	}
	MemoryContextSwitchTo(old);
	return value;
}
