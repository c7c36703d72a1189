/*-------------------------------------------------------------------------
 * aggregates.c
 *	  Aggregates over several shards: what each computes, and how it is put
 *	  together.
 *
 * Three ways, each a table: the parts are merged by the same aggregate (the
 * minimum of minima); they are merged by another one (a count is the sum of
 * counts); or the part is the state that the server's own aggregate keeps
 * (its sums of squares, say), and an aggregate of ours combines states.  The
 * last two kinds of functions are the server's, put together anew in the
 * extension's schema as partial_* and merge_*.
 *
 * What must stay true: whatever is split gives the value that one server
 * gives; of floating point numbers, one that it may give, since there the
 * order of the rows shows in the last digits.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "libpq/pqformat.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "base/message.h"
#include "shard/planner/aggregates.h"
#include "shard/planner/lift.h"

#define PART_PREFIX "partial_"

/* More digits, to base 10000, than a sum of squares can have. */
#define MAX_STATE_DIGITS 100000

/* Bytes that come after its two numbers: scale, how often it is the largest, three more counts. */
#define STATE_REST ((int) (sizeof(int32) + 4 * sizeof(int64)))

#define STATE "the state of a numeric aggregate"

/* How the parts of an aggregate are put together by another. */
typedef struct Merge
{
	Oid aggregate;
	Oid part;		/* what shards compute; of an average the sum, beside the count */
	Oid whole;		/* aggregate over the parts */
	Oid part_type;	/* of a part */
	Oid whole_type; /* of the aggregate over the parts */
	Oid conversion; /* to the result, or InvalidOid */
	bool zero;		/* 0 when there is nothing, instead of null */
	Oid division;	/* by the sum of the counts, or InvalidOid */
} Merge;

#define COUNTS(aggregate)                                                                       \
	{                                                                                           \
		aggregate, aggregate, F_SUM_INT8, INT8OID, NUMERICOID, F_INT8_NUMERIC, true, InvalidOid \
	}
#define AVERAGE(aggregate, sum, whole, part_type)                                      \
	{                                                                                  \
		aggregate, sum, whole, part_type, NUMERICOID, InvalidOid, false, F_NUMERIC_DIV \
	}

static const Merge merges[] = {
	COUNTS(F_COUNT_),
	COUNTS(F_COUNT_ANY),
	COUNTS(F_REGR_COUNT),
	{F_SUM_INT2, F_SUM_INT2, F_SUM_INT8, INT8OID, NUMERICOID, F_INT8_NUMERIC, false, InvalidOid},
	{F_SUM_INT4, F_SUM_INT4, F_SUM_INT8, INT8OID, NUMERICOID, F_INT8_NUMERIC, false, InvalidOid},
	{F_SUM_INT8, F_SUM_INT8, F_SUM_NUMERIC, NUMERICOID, NUMERICOID, InvalidOid, false, InvalidOid},
	AVERAGE(F_AVG_INT2, F_SUM_INT2, F_SUM_INT8, INT8OID),
	AVERAGE(F_AVG_INT4, F_SUM_INT4, F_SUM_INT8, INT8OID),
	AVERAGE(F_AVG_INT8, F_SUM_INT8, F_SUM_NUMERIC, NUMERICOID),
	AVERAGE(F_AVG_NUMERIC, F_SUM_NUMERIC, F_SUM_NUMERIC, NUMERICOID),
	{F_AVG_INTERVAL, F_SUM_INTERVAL, F_SUM_INTERVAL, INTERVALOID, INTERVALOID, InvalidOid, false,
	 F_INTERVAL_DIV},
};

/* Aggregates whose parts are merged by the same aggregate, whatever the type. */
static const char *const self_merging[] = {"min",	  "max",	 "bool_and",
										   "bool_or", "every",	 "bit_and",
										   "bit_or",  "bit_xor", "range_intersect_agg"};

/* ... and sums that add up in the type of their result. */
static const Oid self_merging_sums[] = {F_SUM_NUMERIC, F_SUM_FLOAT4, F_SUM_FLOAT8, F_SUM_MONEY,
										F_SUM_INTERVAL};

/* Aggregates whose states are combined: the name of what makes the result of them. */
static const struct
{
	const char *aggregate;
	const char *result;
} state_merging[] = {
	{"avg", "avg"},
	{"variance", "var_samp"},
	{"var_samp", "var_samp"},
	{"var_pop", "var_pop"},
	{"stddev", "stddev_samp"},
	{"stddev_samp", "stddev_samp"},
	{"stddev_pop", "stddev_pop"},
	{"covar_pop", "covar_pop"},
	{"covar_samp", "covar_samp"},
	{"corr", "corr"},
	{"regr_avgx", "regr_avgx"},
	{"regr_avgy", "regr_avgy"},
	{"regr_intercept", "regr_intercept"},
	{"regr_r2", "regr_r2"},
	{"regr_slope", "regr_slope"},
	{"regr_sxx", "regr_sxx"},
	{"regr_sxy", "regr_sxy"},
	{"regr_syy", "regr_syy"},
};

/* The states there are, by the type that the arguments are converted to. */
typedef struct StateKind
{
	const char *name;
	int arguments;
	Oid argument_type;
	Oid state_type;
} StateKind;

static const StateKind state_numeric = {"numeric", 1, NUMERICOID, BYTEAOID};
static const StateKind state_float8 = {"float8", 1, FLOAT8OID, FLOAT8ARRAYOID};
static const StateKind state_pair = {"pair", 2, FLOAT8OID, FLOAT8ARRAYOID};

static Node *merge_by_other(const Merge *merge, Aggref *aggregate, AggregateAdd add, void *arg);
static Node *merge_states(Aggref *aggregate, AggregateAdd add, void *arg);
static const StateKind *state_kind(Aggref *aggregate);
static Oid
find_function(const char *form, const char *first, const char *second, int nargs, Oid type);
static Node *merge_by(Oid function, Oid type, Oid collation, Oid input_collation, Node *part);
static bool merges_itself(Aggref *aggregate);

PGCLUSTER_FUNCTION(pgcluster_combine_numeric);

Node *
aggregate_merge(Aggref *aggregate, AggregateAdd add, void *arg)
{
	if (aggregate->aggkind != AGGKIND_NORMAL || aggregate->agglevelsup != 0 ||
		(aggregate->aggorder != NIL && aggregate->aggdistinct == NIL) ||
		!lift_builtin(aggregate->aggfnoid))
		return NULL;
	for (size_t i = 0; i < lengthof(merges); i++)
	{
		if (merges[i].aggregate == aggregate->aggfnoid)
			return merge_by_other(&merges[i], aggregate, add, arg);
	}
	if (merges_itself(aggregate))
		return merge_by(aggregate->aggfnoid, aggregate->aggtype, aggregate->aggcollid,
						aggregate->inputcollid, add(copyObject((Expr *) aggregate), arg));
	return merge_states(aggregate, add, arg);
}

bool
aggregate_is_part(Oid function)
{
	char *name;

	if (lift_builtin(function) ||
		get_func_namespace(function) != get_namespace_oid("pgcluster", true))
		return false;
	name = get_func_name(function);
	return strncmp(name, PART_PREFIX, strlen(PART_PREFIX)) == 0;
}

static void
refuse_state(void)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					errmsg("invalid state of a numeric aggregate")));
}

/* A number within such a state: digits, weight, sign, scale and the digits to base 10000. */
static void
check_number(StringInfo message)
{
	int ndigits;
	int weight;
	int sign;
	int scale;
	bool valid;

	message_need(message, 4 * sizeof(int32), STATE);
	ndigits = (int) pq_getmsgint(message, 4);
	weight = (int) pq_getmsgint(message, 4);
	sign = (int) pq_getmsgint(message, 4);
	scale = (int) pq_getmsgint(message, 4);
	valid = ndigits >= 0 && ndigits <= MAX_STATE_DIGITS && weight >= -MAX_STATE_DIGITS &&
			weight <= MAX_STATE_DIGITS && (sign == 0 || sign == 0x4000) && scale >= 0 &&
			scale <= 4 * MAX_STATE_DIGITS;
	if (valid)
		message_need(message, ndigits * (int64) sizeof(int16), STATE);
	for (int i = 0; valid && i < ndigits; i++)
		valid = pq_getmsgint(message, 2) < 10000;
	if (!valid)
		refuse_state();
}

/* The server trusts its own states, and anybody may call the aggregates over ours. */
static void
check_state(bytea *state)
{
	StringInfoData message = {.data = VARDATA_ANY(state),
							  .len = (int) VARSIZE_ANY_EXHDR(state),
							  .maxlen = (int) VARSIZE_ANY_EXHDR(state)};

	message_need(&message, sizeof(int64), STATE);
	(void) pq_getmsgint64(&message);
	check_number(&message);
	check_number(&message);
	message_need(&message, STATE_REST, STATE);
	if (message.len - message.cursor > STATE_REST)
		refuse_state();
}

/*
 * pgcluster.combine_numeric(internal, bytea): takes a state that came from a
 * shard into the one at hand.
 */
Datum
pgcluster_combine_numeric(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(call, 2);
	bytea *state;

	if (!AggCheckCallContext(fcinfo, NULL))
		elog(ERROR, "a transition function was called outside of an aggregate");
	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	InitFunctionCallInfoData(*call, NULL, 2, InvalidOid, fcinfo->context, NULL);
	state = PG_GETARG_BYTEA_PP(1);
	check_state(state);
	call->args[0].value = PointerGetDatum(state);
	call->args[0].isnull = false;
	call->args[1].value = (Datum) 0;
	call->args[1].isnull = false;
	call->args[1].value = numeric_deserialize(call);

	call->isnull = false;
	call->args[0].value = PG_ARGISNULL(0) ? (Datum) 0 : PG_GETARG_DATUM(0);
	call->args[0].isnull = PG_ARGISNULL(0);
	PG_RETURN_DATUM(numeric_combine(call));
}

static Node *
merge_by_other(const Merge *merge, Aggref *aggregate, AggregateAdd add, void *arg)
{
	Aggref *part = copyObject(aggregate);
	Node *whole;

	part->aggfnoid = merge->part;
	part->aggtype = merge->part_type;
	whole =
		merge_by(merge->whole, merge->whole_type, InvalidOid, InvalidOid, add((Expr *) part, arg));
	if (OidIsValid(merge->division))
	{
		Aggref *count = copyObject(aggregate);
		Node *counted;

		count->aggfnoid = F_COUNT_ANY;
		count->aggtype = INT8OID;
		count->aggargtypes = list_make1_oid(ANYOID);
		counted =
			merge_by(F_SUM_INT8, NUMERICOID, InvalidOid, InvalidOid, add((Expr *) count, arg));
		if (merge->division == F_INTERVAL_DIV)
			counted = (Node *) makeFuncExpr(F_FLOAT8_NUMERIC, FLOAT8OID, list_make1(counted),
											InvalidOid, InvalidOid, COERCE_IMPLICIT_CAST);
		return (Node *) makeFuncExpr(merge->division, aggregate->aggtype,
									 list_make2(whole, counted), InvalidOid, InvalidOid,
									 COERCE_EXPLICIT_CALL);
	}
	if (OidIsValid(merge->conversion))
		whole = (Node *) makeFuncExpr(merge->conversion, aggregate->aggtype, list_make1(whole),
									  InvalidOid, InvalidOid, COERCE_IMPLICIT_CAST);
	if (merge->zero)
	{
		CoalesceExpr *coalesce = makeNode(CoalesceExpr);

		coalesce->coalescetype = INT8OID;
		coalesce->args = list_make2(whole, makeConst(INT8OID, -1, InvalidOid, sizeof(int64),
													 Int64GetDatum(0), false, FLOAT8PASSBYVAL));
		coalesce->location = -1;
		return (Node *) coalesce;
	}
	return whole;
}

/* The part is the state of the transition, and a function of ours combines such states. */
static Node *
merge_states(Aggref *aggregate, AggregateAdd add, void *arg)
{
	const StateKind *kind = state_kind(aggregate);
	const char *result = NULL;
	char *name = get_func_name(aggregate->aggfnoid);
	Aggref *part;
	Oid part_function;
	Oid whole_function;
	ListCell *cell;

	for (size_t i = 0; i < lengthof(state_merging) && kind != NULL; i++)
	{
		if (strcmp(state_merging[i].aggregate, name) == 0)
			result = state_merging[i].result;
	}
	if (result == NULL)
		return NULL;
	part_function =
		find_function(PART_PREFIX "%s", kind->name, "", kind->arguments, kind->argument_type);
	whole_function = find_function("merge_%s_%s", kind->name, result, 1, kind->state_type);
	if (!OidIsValid(part_function) || !OidIsValid(whole_function))
		return NULL;

	part = copyObject(aggregate);
	part->aggfnoid = part_function;
	part->aggtype = kind->state_type;
	part->aggargtypes = NIL;
	foreach (cell, part->args)
	{
		TargetEntry *tle = lfirst(cell);

		/* Not for what DISTINCT compares, which is left to the caller. */
		tle->expr = (Expr *) coerce_to_target_type(
			NULL, (Node *) tle->expr, exprType((Node *) tle->expr), kind->argument_type, -1,
			COERCION_IMPLICIT, COERCE_EXPLICIT_CAST, -1);
		if (tle->expr == NULL || aggregate->aggdistinct != NIL)
			return NULL;
		part->aggargtypes = lappend_oid(part->aggargtypes, kind->argument_type);
	}
	return merge_by(whole_function, aggregate->aggtype, InvalidOid, InvalidOid,
					add((Expr *) part, arg));
}

static const StateKind *
state_kind(Aggref *aggregate)
{
	Oid type;

	if (list_length(aggregate->args) == 2)
		return &state_pair;
	if (list_length(aggregate->args) != 1)
		return NULL;
	type = exprType((Node *) linitial_node(TargetEntry, aggregate->args)->expr);
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
			return &state_numeric;
		case FLOAT4OID:
		case FLOAT8OID:
			return &state_float8;
		default:
			return NULL;
	}
}

/* A function of the extension's schema, InvalidOid when it is not there. */
static Oid
find_function(const char *form, const char *first, const char *second, int nargs, Oid type)
{
	char name[NAMEDATALEN];
	Oid types[] = {type, type};

	Assert(nargs <= (int) lengthof(types));
	snprintf(name, sizeof(name), form, first, second);
	return LookupFuncName(list_make2(makeString("pgcluster"), makeString(name)), nargs, types,
						  true);
}

/* An aggregate over a column of the shards' rows. */
static Node *
merge_by(Oid function, Oid type, Oid collation, Oid input_collation, Node *part)
{
	Aggref *aggregate = makeNode(Aggref);

	aggregate->aggfnoid = function;
	aggregate->aggtype = type;
	aggregate->aggcollid = collation;
	aggregate->inputcollid = input_collation;
	aggregate->aggargtypes = list_make1_oid(exprType(part));
	aggregate->args = list_make1(makeTargetEntry((Expr *) part, 1, NULL, false));
	aggregate->aggkind = AGGKIND_NORMAL;
	aggregate->aggsplit = AGGSPLIT_SIMPLE;
	aggregate->aggno = -1;
	aggregate->aggtransno = -1;
	aggregate->location = -1;
	return (Node *) aggregate;
}

static bool
merges_itself(Aggref *aggregate)
{
	char *name;

	if (list_length(aggregate->args) != 1)
		return false;
	for (size_t i = 0; i < lengthof(self_merging_sums); i++)
	{
		if (self_merging_sums[i] == aggregate->aggfnoid)
			return true;
	}
	name = get_func_name(aggregate->aggfnoid);
	for (size_t i = 0; i < lengthof(self_merging); i++)
	{
		if (strcmp(name, self_merging[i]) == 0)
			return true;
	}
	return false;
}
