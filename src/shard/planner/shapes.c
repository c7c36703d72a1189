/*-------------------------------------------------------------------------
 * shapes.c
 *	  Plans of statements that differ in nothing but constants.
 *
 * A client that writes its values into the text sends the same statement
 * again and again with other constants.  The plan of a statement on one shard
 * does not depend on them where lift.c made them parameters of its SQL: such
 * a plan is kept with the query it was made for, and a later query that is
 * the same but for these constants gets it with its own in their place.
 *
 * What must stay true:
 * - A constant is taken for a free one only when it went into the plan as a
 *   parameter and nowhere else.  All others must be the same.
 * - Planning never looks at what a free constant is, but it may look at which
 *   are equal (two tables pinned to one key, GROUP BY of an expression in the
 *   result): then that belongs to the shape.
 * - A plan goes when anything that its SQL names or that it was decided by
 *   has changed; memory that a plan in use points at stays.
 *
 * A statement is kept when it comes the second time, and all that is kept has
 * a limit: a program whose statements are all different costs no memory.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "shard/metadata/metadata.h"
#include "shard/planner/insert_rows.h"
#include "shard/planner/shapes.h"

#define MAX_CONSTANTS LIFT_MAX_CONSTANTS
#define MAX_BYTES (1024 * 1024)
#define BUCKETS 64
#define SEEN 1024

/* What makes no difference to a plan on one shard. */
#define HARMLESS_OPTIONS (CURSOR_OPT_PARALLEL_OK | CURSOR_OPT_GENERIC_PLAN | CURSOR_OPT_CUSTOM_PLAN)

/* The constants of a query, in the order in which it is walked. */
typedef struct Constants
{
	uint32 hash; /* of the query without their values */
	int count;	 /* more than MAX_CONSTANTS: not all are here */
	Const *at[MAX_CONSTANTS];
	bool compared;
	int same_as[MAX_CONSTANTS]; /* if compared: the first that is equal */
} Constants;

typedef struct Shape
{
	dlist_node bucket;
	dlist_node used; /* most recently used first */
	MemoryContext context;
	size_t bytes;
	int users;	/* plans in use that point here */
	bool dead;	/* to be freed when there are none */
	bool plain; /* names nothing but relations and what is built in */

	Query *query;
	Constants constants;
	bool fixed[MAX_CONSTANTS]; /* its value must be the same */
	PlannedStmt *statement;
	int nparams;
	int *constant_of_param; /* -1: as in the plan */
} Shape;

typedef struct ShapeUse
{
	MemoryContextCallback callback;
	Shape *shape;
} ShapeUse;

static MemoryContext shapes_context = NULL;
static dlist_head buckets[BUCKETS];
static dlist_head used;
static size_t total_bytes = 0;
static uint64 metadata_seen;

/* Hashes of statements that came lately. */
static uint32 seen[SEEN];

/* Changes of these may change the SQL of what is not plain. */
static const int watched_caches[] = {PROCOID, TYPEOID,	OPEROID,	 COLLOID, CASTSOURCETARGET,
									 CLAOID,  AMOPOPID, TSCONFIGOID, ENUMOID, AGGFNOID};

static void
shape_free(Shape *shape)
{
	MemoryContextDelete(shape->context);
}

/* Not to be found any more. */
static void
shape_drop(Shape *shape)
{
	dlist_delete(&shape->bucket);
	dlist_delete(&shape->used);
	total_bytes -= shape->bytes;
	shape->dead = true;
	if (shape->users == 0)
		shape_free(shape);
}

static void
drop_all(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify (iter, &used)
		shape_drop(dlist_container(Shape, used, iter.cur));
}

static void
on_relcache_invalidation(Datum arg, Oid relid)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify (iter, &used)
	{
		Shape *shape = dlist_container(Shape, used, iter.cur);

		if (!OidIsValid(relid) || list_member_oid(shape->statement->relationOids, relid))
			shape_drop(shape);
	}
}

static void
on_object_invalidation(Datum arg, int cache, uint32 hash)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify (iter, &used)
	{
		Shape *shape = dlist_container(Shape, used, iter.cur);

		if (!shape->plain)
			shape_drop(shape);
	}
}

static void
start(void)
{
	for (int i = 0; i < BUCKETS; i++)
		dlist_init(&buckets[i]);
	dlist_init(&used);
	CacheRegisterRelcacheCallback(on_relcache_invalidation, (Datum) 0);
	for (size_t i = 0; i < lengthof(watched_caches); i++)
		CacheRegisterSyscacheCallback(watched_caches[i], on_object_invalidation, (Datum) 0);
	metadata_seen = metadata_changes();
	shapes_context =
		AllocSetContextCreate(CacheMemoryContext, "pgcluster shapes", ALLOCSET_SMALL_SIZES);
}

static void
use_ended(void *arg)
{
	Shape *shape = ((ShapeUse *) arg)->shape;

	if (--shape->users == 0 && shape->dead)
		shape_free(shape);
}

/* Until the end of the present memory context nothing of the shape goes. */
static void
shape_use(Shape *shape)
{
	ShapeUse *use = palloc(sizeof(ShapeUse));

	use->callback.func = use_ended;
	use->callback.arg = use;
	use->shape = shape;
	shape->users++;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &use->callback);
}

/*
 * Queries without their constants
 */

static void
mix(uint32 *hash, uint32 value)
{
	*hash = (((*hash << 5) | (*hash >> 27)) ^ value) * 0x9E3779B1;
}

static bool
collect_walker(Node *node, void *context)
{
	Constants *constants = context;

	if (node == NULL)
		return false;
	mix(&constants->hash, nodeTag(node));
	switch (nodeTag(node))
	{
		case T_Const:
			mix(&constants->hash, ((Const *) node)->consttype);
			if (constants->count < MAX_CONSTANTS)
				constants->at[constants->count] = (Const *) node;
			constants->count++;
			return constants->count > MAX_CONSTANTS;
		case T_Var:
			mix(&constants->hash, ((Var *) node)->varno << 16 ^ ((Var *) node)->varattno);
			return false;
		case T_Param:
			mix(&constants->hash, ((Param *) node)->paramid);
			return false;
		case T_OpExpr:
			mix(&constants->hash, ((OpExpr *) node)->opno);
			break;
		case T_FuncExpr:
			mix(&constants->hash, ((FuncExpr *) node)->funcid);
			break;
		case T_Query:
		{
			Query *query = (Query *) node;
			ListCell *cell;

			mix(&constants->hash, query->commandType);
			foreach (cell, query->rtable)
				mix(&constants->hash, lfirst_node(RangeTblEntry, cell)->relid);
			return query_tree_walker(query, collect_walker, context, QTW_IGNORE_JOINALIASES);
		}
		default:
			break;
	}
	return expression_tree_walker(node, collect_walker, context);
}

/* False when there are too many. */
static bool
collect(Query *query, Constants *constants)
{
	constants->hash = 0;
	constants->count = 0;
	constants->compared = false;
	return !collect_walker((Node *) query, constants);
}

static void
find_equals(Constants *constants)
{
	constants->compared = true;
	for (int i = 0; i < constants->count; i++)
	{
		int same = 0;

		while (same < i && !equal(constants->at[same], constants->at[i]))
			same++;
		constants->same_as[i] = same;
	}
}

static bool
same_type(const Const *a, const Const *b)
{
	return a->consttype == b->consttype && a->consttypmod == b->consttypmod &&
		   a->constcollid == b->constcollid && a->constisnull == b->constisnull;
}

/* Is the query, whose constants these are, what the shape was made of? */
static bool
shape_fits(Shape *shape, Query *query, Constants *constants)
{
	Constants *ours = &shape->constants;
	Datum values[MAX_CONSTANTS];
	int length = query->stmt_len;
	bool fits;

	if (ours->hash != constants->hash || ours->count != constants->count)
		return false;
	if (ours->compared && !constants->compared)
		find_equals(constants);
	if (ours->compared && memcmp(ours->same_as, constants->same_as, sizeof(int) * ours->count) != 0)
		return false;
	for (int i = 0; i < ours->count; i++)
	{
		if (shape->fixed[i] ? !equal(ours->at[i], constants->at[i])
							: !same_type(ours->at[i], constants->at[i]))
			return false;
	}

	/* For the time of the comparison they have the values of ours. */
	for (int i = 0; i < ours->count; i++)
	{
		values[i] = constants->at[i]->constvalue;
		constants->at[i]->constvalue = ours->at[i]->constvalue;
	}
	query->stmt_len = shape->query->stmt_len;
	fits = equal(query, shape->query);
	query->stmt_len = length;
	for (int i = 0; i < ours->count; i++)
		constants->at[i]->constvalue = values[i];
	return fits;
}

/*
 * Finding
 */

/* The kept plan with the constants of this query. */
static PlannedStmt *
shape_plan(Shape *shape, Query *query, const Constants *constants)
{
	PlannedStmt *statement = palloc(sizeof(PlannedStmt));
	CustomScan *scan = palloc(sizeof(CustomScan));
	ShardPlan *plan = palloc(sizeof(ShardPlan));
	ShardPlan *master;
	List *params = NIL;
	ListCell *cell;

	shape_use(shape);
	*statement = *shape->statement;
	statement->queryId = query->queryId;
	statement->stmt_location = query->stmt_location;
	statement->stmt_len = query->stmt_len;
	*scan = *(CustomScan *) statement->planTree;
	statement->planTree = &scan->scan.plan;
	master = shard_plan_of(scan);
	*plan = *master;
	plan->master = master;
	scan->custom_private = list_make1(plan);
	foreach (cell, master->params)
	{
		int constant = shape->constant_of_param[foreach_current_index(cell)];

		params = lappend(params, constant < 0 ? lfirst(cell) : copyObject(constants->at[constant]));
	}
	plan->params = params;
	if (plan->key_param >= 0)
		plan->key = list_nth(params, plan->key_param);
	return statement;
}

/* Might a plan of this be kept? */
static bool
is_candidate(const PlanRequest *request)
{
	ListCell *cell;

	if ((request->cursor_options & ~HARMLESS_OPTIONS) != 0 || InNoForceRLSOperation() ||
		insert_has_rows(request->query))
		return false;
	foreach (cell, request->query->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);
		const DistributedTable *table;

		if (rte->rtekind != RTE_RELATION)
			continue;
		table = metadata_table(rte->relid);
		if (table != NULL && table->kind == TABLE_HASH)
			return true;
	}
	return false;
}

PlannedStmt *
shapes_find(const PlanRequest *request)
{
	Constants constants;
	dlist_iter iter;

	if (shapes_context == NULL || dlist_is_empty(&used) || !is_candidate(request))
		return NULL;
	if (metadata_seen != metadata_changes())
	{
		drop_all();
		return NULL;
	}
	if (!collect(request->query, &constants))
		return NULL;
	dlist_foreach (iter, &buckets[constants.hash % BUCKETS])
	{
		Shape *shape = dlist_container(Shape, bucket, iter.cur);

		if (shape_fits(shape, request->query, &constants))
		{
			dlist_move_head(&used, &shape->used);
			return shape_plan(shape, request->query, &constants);
		}
	}
	return NULL;
}

/*
 * Keeping
 */

/* True for a statement that came before. */
static bool
came_before(uint32 hash)
{
	uint32 *place = &seen[hash % SEEN];
	bool before = *place == hash;

	*place = hash;
	return before;
}

/* Is there anything in it that another may rename, apart from relations? */
static bool
names_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Query:
			return query_tree_walker((Query *) node, names_walker, context, QTW_EXAMINE_SORTGROUP);
		case T_SortGroupClause:
			return !lift_builtin(((SortGroupClause *) node)->eqop) ||
				   !lift_builtin(((SortGroupClause *) node)->sortop);
		case T_Var:
			return !lift_builtin(((Var *) node)->vartype) ||
				   !lift_builtin(((Var *) node)->varcollid);
		case T_Const:
			return !lift_builtin(((Const *) node)->consttype);
		case T_Param:
			return !lift_builtin(((Param *) node)->paramtype);
		case T_OpExpr:
			if (!lift_builtin(((OpExpr *) node)->opno) ||
				!lift_builtin(((OpExpr *) node)->opresulttype))
				return true;
			break;
		case T_FuncExpr:
			if (!lift_builtin(((FuncExpr *) node)->funcid) ||
				!lift_builtin(((FuncExpr *) node)->funcresulttype))
				return true;
			break;
		case T_Aggref:
			if (!lift_builtin(((Aggref *) node)->aggfnoid) ||
				!lift_builtin(((Aggref *) node)->aggtype))
				return true;
			break;
		case T_RelabelType:
			if (!lift_builtin(((RelabelType *) node)->resulttype))
				return true;
			break;
		case T_List:
		case T_FromExpr:
		case T_JoinExpr:
		case T_RangeTblRef:
		case T_TargetEntry:
		case T_BoolExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_SubLink:
		case T_CaseExpr:
		case T_CaseWhen:
			break;
		default:
			return true;
	}
	return expression_tree_walker(node, names_walker, context);
}

/*
 * Finds out which constants are free.  Those of the lifted query and of what
 * came out of it bear the numbers that shapes_number gave them.
 */
static bool
find_fixed(Shape *shape, Query *lifted, const Lift *lift, const Pin *pin, int key_param)
{
	Constants *ours = &shape->constants;
	Constants rest = {0};
	ListCell *cell;

	if (collect_walker((Node *) lifted, &rest))
		return false;
	foreach (cell, lift->params)
	{
		if (!IsA(lfirst(cell), Const) && collect_walker(lfirst(cell), &rest))
			return false;
	}

	/* Each is either a parameter or still there; else it is not known what became of it. */
	if (rest.count + lift->nconstants != ours->count)
		return false;
	if (key_param < 0 && collect_walker((Node *) pin->key, &rest))
		return false;
	for (int i = 0; i < ours->count; i++)
		shape->fixed[i] = ours->at[i]->constisnull;
	for (int i = 0; i < rest.count; i++)
	{
		int number = rest.at[i]->location;

		if (number < 0 || number >= ours->count || !equal(rest.at[i], ours->at[number]))
			return false;
		shape->fixed[number] = true;
	}
	return true;
}

/* Which parameter is which constant. */
static bool
find_params(Shape *shape, const Lift *lift)
{
	const Constants *ours = &shape->constants;
	ListCell *cell;

	shape->nparams = list_length(lift->params);
	shape->constant_of_param = palloc(Max(shape->nparams, 1) * sizeof(int));
	foreach (cell, lift->params)
	{
		int *constant = &shape->constant_of_param[foreach_current_index(cell)];

		*constant = -1;
		if (!IsA(lfirst(cell), Const))
			continue;
		*constant = lfirst_node(Const, cell)->location;
		if (*constant < 0 || *constant >= ours->count || !equal(lfirst(cell), ours->at[*constant]))
			return false;
	}
	return true;
}

static void
make_room(size_t bytes)
{
	while (!dlist_is_empty(&used) && total_bytes + bytes > MAX_BYTES)
		shape_drop(dlist_container(Shape, used, dlist_tail_node(&used)));
}

void
shapes_number(Query *query)
{
	Constants constants;

	(void) collect(query, &constants);
	for (int i = 0; i < Min(constants.count, MAX_CONSTANTS); i++)
		constants.at[i]->location = i;
}

void
shapes_offer(const PlanRequest *request, PlannedStmt *statement, Query *lifted, const Lift *lift,
			 const Pin *pin)
{
	ShardPlan *plan;
	MemoryContext context;
	MemoryContext old;
	Shape *shape;
	Constants constants;

	if (!is_candidate(request) || !IsA(statement->planTree, CustomScan) ||
		!collect(request->query, &constants) || !came_before(constants.hash))
		return;
	if (shapes_context == NULL)
		start();
	if (metadata_seen != metadata_changes())
		drop_all();
	metadata_seen = metadata_changes();

	/* Until all is done it goes with the statement, should there be an error. */
	context = AllocSetContextCreate(CurrentMemoryContext, "pgcluster shape", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	shape = palloc0(sizeof(Shape));
	shape->context = context;
	shape->query = copyObject(request->query);
	shape->statement = copyObject(statement);
	(void) collect(shape->query, &shape->constants);
	if (!lift->apart)
		find_equals(&shape->constants);
	plan = shard_plan_of((CustomScan *) shape->statement->planTree);
	shape->plain = !names_walker((Node *) shape->query, NULL);
	if (!find_fixed(shape, lifted, lift, pin, plan->key_param) || !find_params(shape, lift))
	{
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
		return;
	}
	MemoryContextSwitchTo(old);

	/* The SQL for its shards is to come. */
	shape->bytes = 2 * MemoryContextMemAllocated(context, true);
	make_room(shape->bytes);
	MemoryContextSetParent(context, shapes_context);
	dlist_push_head(&buckets[constants.hash % BUCKETS], &shape->bucket);
	dlist_push_head(&used, &shape->used);
	total_bytes += shape->bytes;
}
