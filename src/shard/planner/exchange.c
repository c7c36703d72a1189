/*-------------------------------------------------------------------------
 * exchange.c
 *	  Rows that shards compute for other shards.
 *
 * A join of tables neither of which is split by the column that it is about:
 * each shard sorts its rows out by that column, as the shards of one of the
 * tables would be if it were split by it, and sends them there.  Where they
 * meet they are joined, aggregated and limited as if all had been split
 * so from the beginning.
 *
 * The relations of the query are those of ship_units.c.  Which columns they can
 * be sorted out by is found by trying: with tables that are split alike in
 * their place, shards must be able to answer (pin.c).
 *
 * What must stay true: all relations of the query that are not everywhere are
 * exchanged, by hashes that agree; no more rows are made or lost, since each
 * goes to exactly one place, those without a value too.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_func.h"
#include "utils/lsyscache.h"

#include "base/config.h"
#include "shard/planner/by_table.h"
#include "shard/planner/exchange.h"
#include "shard/planner/lift.h"
#include "shard/planner/pin.h"
#include "shard/planner/ship_units.h"
#include "shard/planner/statement.h"
#include "shard/planner/template.h"

/* So many relations are exchanged at most, and so many combinations of columns tried. */
#define MAX_RELATIONS 4
#define MAX_TRIES 200

/*
 * What a row costs, in bytes that are sent: fetched and joined here, or
 * exchanged and joined where it goes.
 */
#define FETCH_COST 32.0
#define EXCHANGE_COST 20.0

/* ... and what it takes to ask one more shard. */
#define SHARD_COST 16384.0

static bool can_call(Oid hash, Oid type);
static Expr *route_of(Expr *key, Oid hash, Oid collation, int param);
static bool is_source(const ShipUnit *unit);
static bool choose_columns(Query *query, List *units, Bitmapset *all, int number,
						   const DistributedTable *like, int *tries);
static bool pays(Query *query, List *units, char **why);

/* --- sources ------------------------------------------------------------- */

ShardPlan *
exchange_source(Query *select, int key, Oid hash, const DistributedTable *target, Oid source,
				char **why)
{
	ShardPlan *plan = shard_plan_create(TIER_PUSHDOWN, CMD_SELECT, source);
	TargetEntry *column = key > 0 ? list_nth(select->targetList, key - 1) : NULL;
	Lift lift = {0};
	ListCell *cell;

	if (column == NULL || contain_volatile_functions((Node *) column->expr))
	{
		*why = "What it gives the distribution column is not a value of a row.";
		return NULL;
	}
	if (!lift_builtin(target->key_collation) || !lift_builtin(exprType((Node *) column->expr)) ||
		!can_call(hash, exprType((Node *) column->expr)))
	{
		*why = "Not every node can hash values of the distribution column.";
		return NULL;
	}
	foreach (cell, select->targetList)
		plan->types =
			lappend_oid(plan->types, exprType((Node *) ((TargetEntry *) lfirst(cell))->expr));
	if (!lift_query(select, LIFT_EVERY_SHARD, &lift))
	{
		*why = lift.why;
		return NULL;
	}
	plan->params = statement_params(&lift);
	foreach (cell, select->targetList)
		((TargetEntry *) lfirst(cell))->resno++;
	column = list_nth(select->targetList, key - 1);
	select->targetList =
		lcons(makeTargetEntry(route_of(copyObject(column->expr), hash, target->key_collation,
									   list_length(plan->params) + 1),
							  1, pstrdup("route"), false),
			  select->targetList);
	template_make(select, plan);
	return plan;
}

/* Is the value of the type, as it is, what the hash function gets from a call in SQL? */
static bool
can_call(Oid hash, Oid type)
{
	Oid *types;
	int count;

	if (!OidIsValid(hash) || !lift_builtin(hash))
		return false;
	(void) get_func_signature(hash, &types, &count);
	return count == 1 && IsBinaryCoercible(type, types[0]);
}

/* pgcluster.exchange_route($param, hash(key)) */
static Expr *
route_of(Expr *key, Oid hash, Oid collation, int param)
{
	static const Oid types[] = {BYTEAOID, INT4OID};
	Param *routes = lift_numbered_param(param, BYTEAOID, -1, InvalidOid);
	Expr *hashed;

	if (OidIsValid(collation) && type_is_collatable(exprType((Node *) key)))
	{
		CollateExpr *collate = makeNode(CollateExpr);

		collate->arg = key;
		collate->collOid = collation;
		collate->location = -1;
		key = (Expr *) collate;
	}
	hashed = (Expr *) makeFuncExpr(hash, INT4OID, list_make1(key), InvalidOid, collation,
								   COERCE_EXPLICIT_CALL);
	return (Expr *) makeFuncExpr(
		LookupFuncName(list_make2(makeString("pgcluster"), makeString("exchange_route")),
					   lengthof(types), types, false),
		INT8OID, list_make2(routes, hashed), InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

bool
exchange_is_plain(const Query *query)
{
	return !query->hasAggs && !query->hasWindowFuncs && query->groupClause == NIL &&
		   query->groupingSets == NIL && query->havingQual == NULL &&
		   query->distinctClause == NIL && query->setOperations == NULL &&
		   query->limitCount == NULL && query->limitOffset == NULL && query->cteList == NIL &&
		   query->rowMarks == NIL;
}

/* --- joins --------------------------------------------------------------- */

Query *
exchange_relations(Query *query, List *units, PieceSet *set, char **why)
{
	Bitmapset *all = NULL;
	Query *merge;
	Piece *piece;
	ListCell *cell;
	int tries = MAX_TRIES;
	bool found = false;

	*why = "Not all of its relations can be exchanged by the columns that they are joined on.";
	if (query->cteList != NIL || list_length(units) < 2 || list_length(units) > MAX_RELATIONS ||
		config_max_exchanged_size == 0)
		return NULL;
	foreach (cell, units)
	{
		ShipUnit *unit = lfirst(cell);

		if (!is_source(unit))
			return NULL;
		all = bms_add_member(all, unit->number);
	}
	foreach (cell, units)
	{
		const DistributedTable *like = metadata_table(((ShipUnit *) lfirst(cell))->relid);

		if (like != NULL && choose_columns(query, units, all, 0, like, &tries))
		{
			found = true;
			break;
		}
	}
	if (!found || !pays(query, units, why))
		return NULL;
	merge = piece_split(ship_units_replace(query, units, all, true), set, why);
	if (merge == NULL)
		return NULL;
	piece = llast(set->pieces);
	foreach (cell, units)
	{
		ShipUnit *unit = lfirst(cell);
		Pin pin = {0};
		ShardPlan *source;

		if (!pin_to_join(unit->rows, &pin))
			elog(ERROR, "a relation is not where it was");
		source = exchange_source(copyObject(unit->rows), unit->part, unit->hash, unit->like,
								 pin.table->relid, why);
		if (source == NULL)
			return NULL;
		piece->plan->sources = lappend(piece->plan->sources, source);
	}
	if (!ship_finish_sources(merge, set, units, why))
		return NULL;
	set->replaced = lappend(set->replaced, copyObject(query));
	piece_cut_rest(merge, set);
	return merge;
}

/* Can the shards compute it each by itself? */
static bool
is_source(const ShipUnit *unit)
{
	Pin pin = {0};

	return unit->rows != NULL && !unit->from_cte && unit->may_stay && OidIsValid(unit->relid) &&
		   exchange_is_plain(unit->rows) && pin_to_join(copyObject(unit->rows), &pin);
}

/* Finds a column of each relation from number "number" on, so that shards can answer. */
static bool
choose_columns(Query *query, List *units, Bitmapset *all, int number, const DistributedTable *like,
			   int *tries)
{
	ShipUnit *unit;
	int column = 0;
	Pin pin = {0};
	ListCell *cell;

	if (number == list_length(units))
		return (*tries)-- > 0 && pin_to_join(ship_units_replace(query, units, all, true), &pin);
	unit = list_nth(units, number);
	unit->like = like;
	foreach (cell, unit->rows->targetList)
	{
		TargetEntry *tle = lfirst(cell);

		if (tle->resjunk)
			continue;
		column++;
		unit->hash = ship_hash_for(like, exprType((Node *) tle->expr));
		unit->part = column;
		if (can_call(unit->hash, exprType((Node *) tle->expr)) && *tries > 0 &&
			choose_columns(query, units, all, number + 1, like, tries))
			return true;
	}
	unit->part = 0;
	return false;
}

/* Is it cheaper than to fetch the rows of all, as far as statistics tell? */
static bool
pays(Query *query, List *units, char **why)
{
	PlanRequest request = {.query = copyObject(query), .source = ""};
	double fetched = 0;
	double exchanged = 0;
	double bytes = 0;
	double result;
	int width;
	ListCell *cell;

	foreach (cell, units)
	{
		ShipUnit *unit = lfirst(cell);

		bytes += unit->bytes;
		fetched += unit->bytes + unit->count * FETCH_COST;
		exchanged += unit->bytes + unit->count * EXCHANGE_COST +
					 unit->like->colocation->nshards * SHARD_COST;
	}
	if (config_join_strategy == JOIN_EXCHANGE)
		return true;
	if (bytes > config_max_exchanged_size * 1024.0)
	{
		*why = "More rows would be exchanged than pgcluster.max_exchanged_size allows.";
		return false;
	}
	result = by_table_estimate_size(&request, &width);
	if (exchanged + result * (width + FETCH_COST) < fetched)
		return true;
	*why = "It costs more to exchange rows than to fetch them.";
	return false;
}
