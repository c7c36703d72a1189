/*-------------------------------------------------------------------------
 * steps.c
 *	  Statements whose WITH changes rows on several shards.
 *
 * Each query of WITH becomes a statement of its own, planned like any other,
 * and so does what follows WITH; where one names another it reads the rows
 * that this gave.  They are carried out in their order.
 *
 * What must stay true: all of them see what there was before the first.  What
 * is read by scans of ours is read before anything is written (see
 * executor/steps.c), so a statement that reads what one before it writes must
 * not leave the reading to the shard that does the writing, and no scan may
 * depend on values that are known only later.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"

#include "base/compat.h"
#include "shard/planner/statement.h"

/* References to queries of WITH that are steps. */
typedef struct References
{
	List *names; /* char * */
	int depth;	 /* of where the walk is, below the statement */
} References;

static Query *step_query(CommonTableExpr *cte);
static char *step_name(const char *cte);
static bool refer_to_steps(Node *node, void *context);
static void refer_to_step(RangeTblEntry *rte);
static List *tables_read(Query *query);
static bool tables_walker(Node *node, void *context);
static PlannedStmt *plan_step(const PlanRequest *request, Query *query, List **written, char **why);
static bool has_dependent_scan(PlannedStmt *statement);
static bool is_dependent(Plan *plan);
static bool depends_walker(Node *node, void *context);

PlannedStmt *
plan_steps(const PlanRequest *request, char **why)
{
	Query *query = copyObject(request->query);
	ShardPlan *plan = shard_plan_create(TIER_STEPS, CMD_UTILITY, InvalidOid);
	References references = {0};
	List *written = NIL;
	ListCell *cell;

	plan->writes = true;
	plan->refusals = request->refusals;
	*why = NULL;
	foreach (cell, query->cteList)
	{
		CommonTableExpr *cte = lfirst(cell);
		Query *step;
		PlannedStmt *planned;

		if (cte->cterefcount == 0 && castNode(Query, cte->ctequery)->commandType == CMD_SELECT)
			continue;
		step = step_query(cte);
		references.depth = cte->cterecursive ? -1 : 0;
		(void) refer_to_steps((Node *) step, &references);
		planned = plan_step(request, step, &written, why);
		if (planned == NULL)
			return NULL;
		plan->steps = lappend(plan->steps, planned);
		plan->step_names = lappend(plan->step_names, makeString(step_name(cte->ctename)));
		references.names = lappend(references.names, cte->ctename);
	}
	query->cteList = NIL;
	query->hasModifyingCTE = query->hasRecursive = false;
	references.depth = -1;
	(void) refer_to_steps((Node *) query, &references);
	plan->local = plan_step(request, query, &written, why);
	if (plan->local == NULL)
		return NULL;
	return statement_create(request, plan, plan->local->planTree->plan_rows);
}

/* The query of WITH as a statement; one that names itself does so in a WITH of its own. */
static Query *
step_query(CommonTableExpr *cte)
{
	Query *query = castNode(Query, cte->ctequery);
	RangeTblEntry *rte;
	RangeTblRef *ref;
	Query *outer;
	ListCell *name;

	if (!cte->cterecursive)
	{
		query->canSetTag = true;
		return query;
	}
	outer = makeNode(Query);
	rte = makeNode(RangeTblEntry);
	ref = makeNode(RangeTblRef);
	rte->rtekind = RTE_CTE;
	rte->ctename = pstrdup(cte->ctename);
	rte->coltypes = list_copy(cte->ctecoltypes);
	rte->coltypmods = list_copy(cte->ctecoltypmods);
	rte->colcollations = list_copy(cte->ctecolcollations);
	rte->eref = makeAlias(cte->ctename, copyObject(cte->ctecolnames));
	rte->inFromCl = true;
	ref->rtindex = 1;
	outer->commandType = CMD_SELECT;
	outer->canSetTag = true;
	outer->hasRecursive = true;
	outer->cteList = list_make1(cte);
	outer->rtable = list_make1(rte);
	outer->jointree = makeFromExpr(list_make1(ref), NULL);
	foreach (name, cte->ctecolnames)
	{
		int column = foreach_current_index(name);
		Var *var = makeVar(1, column + 1, list_nth_oid(cte->ctecoltypes, column),
						   list_nth_int(cte->ctecoltypmods, column),
						   list_nth_oid(cte->ctecolcollations, column), 0);

		outer->targetList =
			lappend(outer->targetList, makeTargetEntry((Expr *) var, column + 1,
													   pstrdup(strVal(lfirst(name))), false));
	}
	cte->cterefcount = 1;
	return outer;
}

/* Under which name the rows of the step are known. */
static char *
step_name(const char *cte)
{
	return psprintf("with %s", cte);
}

static bool
refer_to_steps(Node *node, void *context)
{
	References *references = context;
	ListCell *cell;
	ListCell *name;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, refer_to_steps, context);
	references->depth++;
	foreach (cell, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);

		if (rte->rtekind != RTE_CTE || (int) rte->ctelevelsup != references->depth)
			continue;
		foreach (name, references->names)
		{
			if (strcmp(lfirst(name), rte->ctename) == 0)
			{
				refer_to_step(rte);
				break;
			}
		}
	}
	(void) query_tree_walker((Query *) node, refer_to_steps, context, QTW_IGNORE_JOINALIASES);
	references->depth--;
	return false;
}

static void
refer_to_step(RangeTblEntry *rte)
{
	rte->rtekind = RTE_NAMEDTUPLESTORE;
	rte->enrname = step_name(rte->ctename);
	rte->enrtuples = 1000;
	rte->ctename = NULL;
	rte->ctelevelsup = 0;
	rte->self_reference = false;
}

/* Plans a step; "written" are the tables that those before it write. */
static PlannedStmt *
plan_step(const PlanRequest *request, Query *query, List **written, char **why)
{
	List *read = tables_read(query);
	bool rereads = list_length(list_difference_oid(read, *written)) < list_length(read);
	bool outer = planner_reads_first(rereads);
	PlannedStmt *planned = NULL;

	PG_TRY();
	{
		planned = planner(query, request->source, 0, request->params);
	}
	PG_FINALLY();
	{
		(void) planner_reads_first(outer);
	}
	PG_END_TRY();
	if (rereads && has_dependent_scan(planned))
	{
		*why = "It reads a table again that another part of it changes, for values that are "
			   "known only then.";
		return NULL;
	}
	if (query->resultRelation != 0)
		*written = lappend_oid(*written, rt_fetch(query->resultRelation, query->rtable)->relid);
	return planned;
}

/* The tables in a query, its target too if rows of it are looked for. */
static List *
tables_read(Query *query)
{
	List *tables = NIL;

	(void) tables_walker((Node *) query, &tables);
	if (query->commandType == CMD_INSERT)
		tables = list_delete_oid(tables, rt_fetch(query->resultRelation, query->rtable)->relid);
	return tables;
}

static bool
tables_walker(Node *node, void *context)
{
	List **tables = context;
	ListCell *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, tables_walker, context);
	foreach (cell, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);

		/* An INSERT names its target once; "excluded" of ON CONFLICT is none. */
		if (rte->rtekind == RTE_RELATION && rte->relkind != RELKIND_COMPOSITE_TYPE)
			*tables = lappend_oid(*tables, rte->relid);
	}
	return query_tree_walker((Query *) node, tables_walker, context, QTW_IGNORE_JOINALIASES);
}

/* Is there a scan of ours that cannot be begun before the plan around it is? */
static bool
has_dependent_scan(PlannedStmt *statement)
{
	ListCell *cell;

	if (is_dependent(statement->planTree))
		return true;
	foreach (cell, statement->subplans)
	{
		if (is_dependent(lfirst(cell)))
			return true;
	}
	return false;
}

static bool
is_dependent(Plan *plan)
{
	List *children = NIL;
	ListCell *cell;

	if (plan == NULL)
		return false;
	switch (nodeTag(plan))
	{
		case T_CustomScan:
			if (((CustomScan *) plan)->methods == &shard_scan_methods)
			{
				ShardPlan *ours = shard_plan_of((CustomScan *) plan);

				if (depends_walker((Node *) shard_plan_params((CustomScan *) plan), NULL))
					return true;
				return (ours->tier == TIER_FOUND || ours->tier == TIER_SELECT_ROWS) &&
					   has_dependent_scan(ours->local);
			}
			children = ((CustomScan *) plan)->custom_plans;
			break;
		case T_Append:
			children = ((Append *) plan)->appendplans;
			break;
		case T_MergeAppend:
			children = ((MergeAppend *) plan)->mergeplans;
			break;
		case T_SubqueryScan:
			children = list_make1(((SubqueryScan *) plan)->subplan);
			break;
		default:
			break;
	}
	foreach (cell, children)
	{
		if (is_dependent(lfirst(cell)))
			return true;
	}
	return is_dependent(plan->lefttree) || is_dependent(plan->righttree);
}

static bool
depends_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		return true;
	return expression_tree_walker(node, depends_walker, context);
}
