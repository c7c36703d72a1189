/*-------------------------------------------------------------------------
 * on_node.c
 *	  Queries on a worker group that name distributed tables.
 *
 * A function that runs here names tables as on the coordinator, where it may
 * have been written; what stands here under these names are shells.  A query
 * whose rows are all in one shard of this group is about that shard's tables,
 * and becomes a query of theirs before the server plans it: it needs no
 * connection, and sees what its transaction has done.  Reference tables are
 * read from the copy here.  Everything else is refused: no shell is ever
 * read, and no row ever goes into the wrong shard.
 *
 * The shard is chosen by the value of the key.  Where that is known only when
 * the plan runs (a plan for all values of a parameter), the plan carries the
 * query, and executor/on_node.c does the rest; its cost is such that the
 * server makes a plan for each value where it has the choice.
 *
 * An INSERT of the rows of a query is for the shard that the query reads, or
 * that of the first row; a call around the key refuses others as they come.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "shard/planner/lift.h"
#include "shard/planner/on_node.h"
#include "shard/planner/pin.h"
#include "shard/planner/statement.h"
#include "shard/remote/refusal.h"

PGCLUSTER_FUNCTION(pgcluster_keep_key);

/* More than any plan for one value costs. */
#define FOR_ALL_VALUES 1e10

#define HINT                                                                                  \
	"Compare the distribution column with the key that the function was called with, or run " \
	"this on the coordinator."

typedef struct Shells
{
	bool any;
	bool hash;
} Shells;

static bool find_shells(Node *node, void *context);
static void check_targets(Query *query);
static bool check_walker(Node *node, void *context);
static void find_key(Query *query, Pin *pin);
static Query *source_of_rows(Query *query, RangeTblEntry **values);
static Expr *key_of_rows(Query *query, const DistributedTable *table);
static Node *known_value(Node *expr, ParamListInfo params);
static const Shard *shard_of(const DistributedTable *table, const Pin *pin, const Const *value);
static bool bind_walker(Node *node, void *context);
static Oid find_piece(Oid shell, int64 shard_id);
static void check_alike(Oid shell, Oid piece);

PlannedStmt *
plan_on_node(const PlanRequest *request)
{
	PlanRequest bound = *request;
	Shells shells = {0};
	Pin pin = {0};
	Node *volatile key = NULL;
	bool saw;
	ShardPlan *plan;

	(void) find_shells((Node *) request->query, &shells);
	if (!shells.any)
		return NULL;
	bound.query = copyObject(request->query);
	check_targets(bound.query);
	if (!shells.hash)
	{
		on_node_bind(bound.query, NULL, NULL);
		return planner_server(&bound, bound.query);
	}

	saw = metadata_see_shells(true);
	PG_TRY();
	{
		find_key(bound.query, &pin);
		key = known_value((Node *) pin.key, request->params);
	}
	PG_FINALLY();
	{
		(void) metadata_see_shells(saw);
	}
	PG_END_TRY();
	if (IsA(key, Const))
	{
		on_node_bind(bound.query, pin.table, shard_of(pin.table, &pin, (Const *) key));
		return planner_server(&bound, bound.query);
	}

	plan = shard_plan_create(TIER_ON_NODE, bound.query->commandType, pin.table->relid);
	plan->writes = statement_writes(bound.query);
	plan->inserts = pin.inserts;
	plan->query = bound.query;
	plan->key = expression_planner(copyObject(pin.key));
	plan->key_hash = pin_hash_function(pin.table->key_type, pin.key_type);
	plan->key_collation = pin.table->key_collation;
	return statement_create(&bound, plan, FOR_ALL_VALUES);
}

static bool
find_shells(Node *node, void *context)
{
	Shells *shells = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		ListCell *cell;

		foreach (cell, ((Query *) node)->rtable)
		{
			RangeTblEntry *rte = lfirst(cell);
			const DistributedTable *table =
				rte->rtekind == RTE_RELATION ? metadata_shell(rte->relid) : NULL;

			shells->any |= table != NULL;
			shells->hash |= table != NULL && table->kind == TABLE_HASH;
		}
		return query_tree_walker((Query *) node, find_shells, context, QTW_IGNORE_JOINALIASES);
	}
	return expression_tree_walker(node, find_shells, context);
}

/*
 * What may not be written here.
 */
static void
check_targets(Query *query)
{
	(void) check_walker((Node *) query, NULL);
}

static bool
check_walker(Node *node, void *context)
{
	Query *query = (Query *) node;
	const DistributedTable *table;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, check_walker, context);
	table = query->resultRelation != 0
				? metadata_shell(rt_fetch(query->resultRelation, query->rtable)->relid)
				: NULL;
	if (table != NULL && table->kind == TABLE_REFERENCE)
		ereport(ERROR, (refusal_code(),
						errmsg("cannot write reference table \"%s\" on a worker group",
							   get_rel_name(table->relid)),
						errdetail("All copies have to change together."),
						errhint("Run this on the coordinator.")));
	if (table != NULL && query->commandType == CMD_MERGE)
		ereport(ERROR, (refusal_code(),
						errmsg("cannot merge into distributed table \"%s\" on a worker group",
							   get_rel_name(table->relid)),
						errhint("Use INSERT ... ON CONFLICT, or run this on the coordinator.")));
	if (table != NULL && statement_assigns_key(query, table->key))
		ereport(ERROR,
				(refusal_code(),
				 errmsg("cannot change distribution column \"%s\" of table \"%s\" on a "
						"worker group",
						get_attname(table->relid, table->key, false), get_rel_name(table->relid)),
				 errdetail("The row may have to move to another group."),
				 errhint("Run this on the coordinator.")));
	return query_tree_walker(query, check_walker, context, QTW_IGNORE_JOINALIASES);
}

/*
 * The key that all rows of the query have; an error if there is none.
 */
static void
find_key(Query *query, Pin *pin)
{
	RangeTblEntry *values = NULL;
	const DistributedTable *target = NULL;
	Query *source = NULL;
	Shells shells = {0};

	if (query->commandType == CMD_INSERT)
		target = metadata_shell(rt_fetch(query->resultRelation, query->rtable)->relid);
	if (target != NULL)
		source = source_of_rows(query, &values);
	if (source != NULL)
		(void) find_shells((Node *) source, &shells);
	if (target == NULL || (source == NULL && values == NULL))
		(void) pin_to_key(query, pin);
	else
	{
		if (shells.hash)
			(void) pin_to_key(source, pin);
		else if ((pin->key = key_of_rows(query, target)) == NULL)
			pin->why = "The distribution column of the rows gets no value that is known ahead.";
		else
			pin->key_type = target->key_type;
		if (pin->why == NULL && shells.hash && pin->table->colocation != target->colocation)
			pin->why = psprintf("Tables %s and %s are not colocated.",
								get_rel_name(pin->table->relid), get_rel_name(target->relid));
		pin->table = target;
		pin->inserts = true;
	}
	if (pin->why != NULL)
		ereport(ERROR, (refusal_code(),
						errmsg("cannot run this statement on distributed tables on a worker group"),
						errdetail("%s", pin->why), errhint(HINT)));
}

/* The query that an INSERT takes its rows from, or its VALUES of several rows. */
static Query *
source_of_rows(Query *query, RangeTblEntry **values)
{
	RangeTblRef *ref =
		list_length(query->jointree->fromlist) == 1 ? linitial(query->jointree->fromlist) : NULL;
	RangeTblEntry *rte;

	if (ref == NULL || !IsA(ref, RangeTblRef))
		return NULL;
	rte = rt_fetch(ref->rtindex, query->rtable);
	if (rte->rtekind == RTE_VALUES)
		*values = rte;
	return rte->rtekind == RTE_SUBQUERY ? rte->subquery : NULL;
}

/* What goes into the distribution column of the first row, if that is a value. */
static Expr *
key_of_rows(Query *query, const DistributedTable *table)
{
	Node *expr = NULL;
	ListCell *cell;

	foreach (cell, query->targetList)
	{
		TargetEntry *tle = lfirst(cell);

		if (!tle->resjunk && tle->resno == table->key)
			expr = (Node *) tle->expr;
	}
	while (expr != NULL)
	{
		Var *var = (Var *) expr;
		ExprFacts facts;
		RangeTblEntry *rte;

		if (IsA(expr, RelabelType))
		{
			expr = (Node *) ((RelabelType *) expr)->arg;
			continue;
		}
		if (!IsA(var, Var))
		{
			facts = expr_facts(expr);
			return facts.bound || facts.volatility == PROVOLATILE_VOLATILE ||
						   exprType(expr) != table->key_type
					   ? NULL
					   : (Expr *) expr;
		}
		rte = var->varlevelsup == 0 ? rt_fetch(var->varno, query->rtable) : NULL;
		if (rte != NULL && rte->rtekind == RTE_VALUES && var->varattno > 0)
			expr = list_nth(linitial_node(List, rte->values_lists), var->varattno - 1);
		else if (rte != NULL && rte->rtekind == RTE_SUBQUERY && var->varattno > 0 &&
				 rte->subquery->setOperations == NULL)
		{
			query = rte->subquery;
			expr = (Node *) list_nth_node(TargetEntry, query->targetList, var->varattno - 1)->expr;
		}
		else
			return NULL;
	}
	return NULL;
}

/* The expression, as a constant if the values of its parameters are there. */
static Node *
known_value(Node *expr, ParamListInfo params)
{
	PlannerGlobal *glob = makeNode(PlannerGlobal);
	PlannerInfo *root = makeNode(PlannerInfo);

	glob->boundParams = params;
	root->glob = glob;
	return eval_const_expressions(root, copyObject(expr));
}

static const Shard *
shard_of(const DistributedTable *table, const Pin *pin, const Const *value)
{
	Oid function = pin_hash_function(table->key_type, pin->key_type);
	int32 hash;

	if (value->constisnull && pin->inserts)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("null value in column \"%s\" of relation \"%s\" violates not-null "
						"constraint",
						get_attname(table->relid, table->key, false), get_rel_name(table->relid)),
				 errdetail("It is the distribution column, which says where the row "
						   "lives.")));
	if (value->constisnull)
		return on_node_any_shard(table);
	hash = DatumGetInt32(OidFunctionCall1Coll(function, table->key_collation, value->constvalue));
	for (int i = 0; i < table->colocation->nshards; i++)
	{
		if (hash <= table->colocation->shards[i].hash_max)
			return &table->colocation->shards[i];
	}
	elog(ERROR, "no shard of table %u holds hash %d", table->relid, hash);
	return NULL;
}

const Shard *
on_node_any_shard(const DistributedTable *table)
{
	for (int i = 0; i < table->colocation->nshards; i++)
	{
		if (OidIsValid(find_piece(table->relid, table->colocation->shards[i].id)))
			return &table->colocation->shards[i];
	}
	ereport(ERROR,
			(refusal_code(),
			 errmsg("this worker group has no rows of table \"%s\"", get_rel_name(table->relid)),
			 errhint("Run this on the coordinator.")));
	return NULL;
}

/*
 * From shells to shards
 */
typedef struct Binding
{
	const DistributedTable *table;
	const Shard *shard;
} Binding;

/* A call around what goes into the key, which refuses the rows of other shards. */
static void
guard_key(Query *query, const DistributedTable *table, const Shard *shard)
{
	Oid any = InvalidOid;
	Oid function = LookupFuncName(list_make2(makeString("pgcluster"), makeString("keep_key")), -1,
								  &any, false);
	ListCell *cell;

	foreach (cell, query->targetList)
	{
		TargetEntry *tle = lfirst(cell);
		Oid type = exprType((Node *) tle->expr);

		if (tle->resjunk || tle->resno != table->key)
			continue;
		tle->expr = (Expr *) makeFuncExpr(
			function, type,
			list_make3(tle->expr,
					   makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
								 Int32GetDatum(shard->hash_min), false, true),
					   makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
								 Int32GetDatum(shard->hash_max), false, true)),
			table->key_collation, table->key_collation, COERCE_EXPLICIT_CALL);
	}
}

void
on_node_bind(Query *query, const DistributedTable *table, const Shard *shard)
{
	Binding binding = {table, shard};
	RangeTblEntry *values = NULL;
	const DistributedTable *target = NULL;

	if (query->commandType == CMD_INSERT)
		target = metadata_shell(rt_fetch(query->resultRelation, query->rtable)->relid);
	if (target != NULL && (source_of_rows(query, &values) != NULL || values != NULL))
		guard_key(query, target, shard);
	(void) bind_walker((Node *) query, &binding);
}

static void
refuse_elsewhere(const DistributedTable *table, const Shard *shard)
{
	ereport(ERROR, (refusal_code(),
					errmsg("rows of table \"%s\" with this key are not on this worker group",
						   get_rel_name(table->relid)),
					errdetail("Shard " INT64_FORMAT " is on group %d.", shard->id, shard->group_id),
					errhint(HINT)));
}

static bool
bind_walker(Node *node, void *context)
{
	Binding *binding = context;
	Query *query = (Query *) node;
	ListCell *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, bind_walker, context);
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);
		const DistributedTable *table =
			rte->rtekind == RTE_RELATION ? metadata_shell(rte->relid) : NULL;
		const Shard *shard = binding->shard;
		Oid piece;

		if (table == NULL)
			continue;
		if (table->kind == TABLE_REFERENCE)
			shard = &table->colocation->shards[0];
		piece = find_piece(rte->relid, shard->id);
		if (!OidIsValid(piece))
			refuse_elsewhere(table, shard);
		LockRelationOid(piece, rte->rellockmode);
		check_alike(rte->relid, piece);
		if (query->onConflict != NULL && OidIsValid(query->onConflict->constraint) &&
			cell == list_nth_cell(query->rtable, query->resultRelation - 1))
			query->onConflict->constraint = get_relation_constraint_oid(
				piece, get_constraint_name(query->onConflict->constraint), false);
		compat_rename_permissions(query, rte, piece);
		rte->relid = piece;
	}
	return query_tree_walker(query, bind_walker, context, QTW_IGNORE_JOINALIASES);
}

/* The piece of a table in the shard; InvalidOid when it is not here. */
static Oid
find_piece(Oid shell, int64 shard_id)
{
	char *schema = metadata_shard_schema(get_namespace_name(get_rel_namespace(shell)), shard_id);
	Oid namespace = get_namespace_oid(schema, true);

	return OidIsValid(namespace) ? get_relname_relid(get_rel_name(shell), namespace) : InvalidOid;
}

/*
 * Columns are named by their numbers from here on, and policies are those of
 * the shell: anybody can call a table of his own one.
 */
static void
check_alike(Oid shell, Oid piece)
{
	Relation one = relation_open(shell, NoLock);
	Relation other = relation_open(piece, NoLock);
	TupleDesc a = RelationGetDescr(one);
	TupleDesc b = RelationGetDescr(other);
	bool alike = a->natts == b->natts && one->rd_rel->relowner == other->rd_rel->relowner &&
				 one->rd_rel->relrowsecurity == other->rd_rel->relrowsecurity &&
				 one->rd_rel->relforcerowsecurity == other->rd_rel->relforcerowsecurity;

	for (int i = 0; alike && i < a->natts; i++)
	{
		Form_pg_attribute x = TupleDescAttr(a, i);
		Form_pg_attribute y = TupleDescAttr(b, i);

		alike = x->attisdropped == y->attisdropped &&
				(x->attisdropped || (x->atttypid == y->atttypid &&
									 strcmp(NameStr(x->attname), NameStr(y->attname)) == 0));
	}
	if (!alike)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" and its shard are defined differently on this worker group",
						RelationGetRelationName(one)),
				 errhint("Run this on the coordinator.")));
	relation_close(one, NoLock);
	relation_close(other, NoLock);
}

/* keep_key(value anyelement, hash_min integer, hash_max integer) returns value */
Datum
pgcluster_keep_key(PG_FUNCTION_ARGS)
{
	int32 hash;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
						errmsg("null value in the distribution column violates not-null "
							   "constraint"),
						errdetail("It is the distribution column, which says where the row "
								  "lives.")));
	hash = metadata_hash_value(get_fn_expr_argtype(fcinfo->flinfo, 0), PG_GET_COLLATION(),
							   PG_GETARG_DATUM(0));
	if (hash < PG_GETARG_INT32(1) || hash > PG_GETARG_INT32(2))
		ereport(ERROR, (refusal_code(),
						errmsg("rows with keys of several shards cannot be inserted by one "
							   "statement on a worker group"),
						errhint(HINT)));
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}
