/*-------------------------------------------------------------------------
 * by_table.c
 *	  Any SELECT: the server plans it, over scans that fetch from shards.
 *
 * Each hash distributed table gets one path, a scan of ours that fetches the
 * columns it needs and leaves out the rows that a filter, if it can be
 * evaluated elsewhere with the same result, removes.  All else, joins and
 * sorts and windows, is the server's.
 *
 * What must stay true: such a table never has another path, since its local
 * heap is an empty shell.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "optimizer/restrictinfo.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/by_table.h"
#include "shard/planner/order.h"
#include "shard/planner/prune.h"
#include "shard/planner/security.h"
#include "shard/planner/ship.h"
#include "shard/planner/statement.h"
#include "shard/planner/template.h"

/* Rows of a table that was never analyzed. */
#define DEFAULT_ROWS 100000

/* Cost of asking one node, in units of the planner: about a round trip. */
#define TASK_COST 100.0

static set_rel_pathlist_hook_type prev_pathlist = NULL;
static get_relation_info_hook_type prev_relation_info = NULL;

/*
 * True while a query of this tier is planned; the server also asks for a
 * relation's size when it builds an index, of our own catalogs too.
 */
static bool planning = false;

/* Why that query has no cheaper tier; copied into its scans. */
static List *planning_refusals = NIL;

static void pgcluster_pathlist(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte);
static void drop_partitioned_indexes(RelOptInfo *rel);
static void pgcluster_relation_info(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel);
static void mark_streams(Plan *plan);
static bool is_inheritance_child(PlannerInfo *root, RelOptInfo *rel);
static Plan *plan_scan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
					   List *clauses, List *custom_plans);
static void ship_sample(TableSampleClause *sample, Lift *lift);
static Node *ship_argument(Node *argument, Lift *lift);
static List *live_columns(List *columns, TupleDesc desc);
static Query *scan_query(RangeTblEntry *rte, List *columns, List *quals);
static bool refused_walker(Node *node, void *context);
static char *refused_query(Query *query, bool whole);
static bool locks_shards(PieceSet *set);
static bool wrap_walker(Node *node, void *context);
static void wrap_table(Query *query, int rti);
static RowMarkClause *find_mark(Query *query, int rti);
static bool whole_walker(Node *node, void *context);
static bool is_hash_table(RangeTblEntry *rte);
static bool is_split(RangeTblEntry *rte);

static const CustomPathMethods path_methods = {
	.CustomName = "pgcluster scan",
	.PlanCustomPath = plan_scan,
};

void
by_table_init(void)
{
	prev_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = pgcluster_pathlist;
	prev_relation_info = get_relation_info_hook;
	get_relation_info_hook = pgcluster_relation_info;
}

PlannedStmt *
plan_by_table(const PlanRequest *request, char **why)
{
	PieceSet set = {.refusals = request->refusals};

	piece_cut(request->query, &set);
	return by_table_plan(request, request->query, &set, why);
}

PlannedStmt *
by_table_plan(const PlanRequest *request, Query *query, PieceSet *set, char **why)
{
	List *outer_refusals = planning_refusals;
	bool outer_planning = planning;
	char *refused = NULL;
	PlannedStmt *statement = NULL;
	bool wraps = false;
	bool streams;

	refused = refused_query(query, true);
	if (refused == NULL)
		(void) query_tree_walker(query, refused_walker, &refused, QTW_IGNORE_JOINALIASES);
	if (refused != NULL)
	{
		*why = refused;
		return NULL;
	}
	streams = query->commandType == CMD_SELECT && !query->hasModifyingCTE &&
			  !statement_writes(query) && !locks_shards(set) &&
			  !contain_volatile_functions((Node *) query);
	(void) wrap_walker((Node *) query, &wraps);
	planning = true;
	planning_refusals = set->refusals;
	PG_TRY();
	{
		statement = piece_plan(request, query, set);
	}
	PG_FINALLY();
	{
		planning = outer_planning;
		planning_refusals = outer_refusals;
	}
	PG_END_TRY();
	if (streams)
		mark_streams(statement->planTree);
	return statement;
}

/* Does a piece lock rows? */
static bool
locks_shards(PieceSet *set)
{
	ListCell *cell;

	foreach (cell, set->pieces)
	{
		if (((Piece *) lfirst(cell))->plan->writes)
			return true;
	}
	return false;
}

/*
 * Marks the scans whose rows may be passed on as they come: no plan around
 * them asks for the rows again, and nothing that changes rows runs meanwhile.
 */
static void
mark_streams(Plan *plan)
{
	List *children = NIL;
	ListCell *cell;

	if (plan == NULL)
		return;
	switch (nodeTag(plan))
	{
		case T_CustomScan:
			if (((CustomScan *) plan)->methods == &shard_scan_methods)
				shard_plan_of((CustomScan *) plan)->streams = true;
			return;
		case T_Append:
			children = ((Append *) plan)->appendplans;
			break;
		case T_MergeAppend:
			children = ((MergeAppend *) plan)->mergeplans;
			break;
		case T_SubqueryScan:
			children = list_make1(((SubqueryScan *) plan)->subplan);
			break;
		case T_NestLoop:
			children = list_make1(plan->lefttree);
			break;
		case T_RecursiveUnion:
		case T_Gather:
		case T_GatherMerge:
			break;
		default:
			children = list_make2(plan->lefttree, plan->righttree);
			break;
	}
	foreach (cell, children)
		mark_streams(lfirst(cell));
}

/* A query that is planned, and never run, may lack what would be checked then. */
static bool
permissions_walker(Node *node, void *context)
{
	ListCell *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, permissions_walker, context);
	foreach (cell, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);

		if (rte->rtekind == RTE_RELATION)
			compat_complete_permissions((Query *) node, rte);
	}
	return query_tree_walker((Query *) node, permissions_walker, context, 0);
}

double
by_table_estimate(const PlanRequest *request)
{
	int width;

	return by_table_estimate_size(request, &width);
}

double
by_table_estimate_size(const PlanRequest *request, int *width)
{
	bool outer_planning = planning;
	volatile double rows = 0;

	(void) permissions_walker((Node *) request->query, NULL);
	planning = true;
	PG_TRY();
	{
		Plan *plan = planner_here(request, request->query)->planTree;

		rows = plan->plan_rows;
		*width = plan->plan_width;
	}
	PG_FINALLY();
	{
		planning = outer_planning;
	}
	PG_END_TRY();
	return clamp_row_est(rows);
}

static bool
is_hash_table(RangeTblEntry *rte)
{
	return !planner_local_reads() && is_split(rte);
}

/* The same, also when the query is planned as if its rows were here. */
static bool
is_split(RangeTblEntry *rte)
{
	const DistributedTable *table;

	if (rte->rtekind != RTE_RELATION || !metadata_any_table())
		return false;
	table = metadata_table(rte->relid);
	return table != NULL && table->kind == TABLE_HASH;
}

/* What the server's executor could not do with rows that are not here. */
static bool
refused_walker(Node *node, void *context)
{
	char **why = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		*why = refused_query((Query *) node, false);
		if (*why != NULL)
			return true;
		return query_tree_walker((Query *) node, refused_walker, context, QTW_IGNORE_JOINALIASES);
	}
	return expression_tree_walker(node, refused_walker, context);
}

/* The whole statement may write a reference table: the copy that is here. */
static char *
refused_query(Query *query, bool whole)
{
	const DistributedTable *target = NULL;
	ListCell *cell;

	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);

		if (!is_hash_table(rte))
			continue;
		if (rte->tablesample != NULL && !lift_builtin(rte->tablesample->tsmhandler))
			return "Its method of TABLESAMPLE is not built in, and may not exist on other nodes.";
	}
	if (query->resultRelation != 0)
		target = metadata_table(rt_fetch(query->resultRelation, query->rtable)->relid);
	if (target != NULL && (!whole || target->kind != TABLE_REFERENCE))
		return "It writes a distributed table as a part of a larger statement.";
	return NULL;
}

/*
 * Where rows of local tables are changed or locked, a row that another
 * transaction changed meanwhile is joined again with the same rows of the
 * other tables.  The server would fetch those of a table by their place in
 * its heap; those of a subquery it keeps.  So there a distributed table
 * becomes a subquery, one that is not merged into the query, and so do those
 * of subqueries in it, which may be merged.  What is said to lock its rows
 * has the shards lock all that they send.
 */
static bool
wrap_walker(Node *node, void *context)
{
	bool *wraps = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;
		bool outer = *wraps;
		bool wrap = outer || query->rowMarks != NIL ||
					(query->resultRelation != 0 && query->commandType != CMD_INSERT);

		*wraps = wrap;
		(void) query_tree_walker(query, wrap_walker, context, QTW_IGNORE_JOINALIASES);
		*wraps = outer;
		for (int i = 1; wrap && i <= list_length(query->rtable); i++)
		{
			if (is_hash_table(rt_fetch(i, query->rtable)))
				wrap_table(query, i);
		}
		return false;
	}
	return expression_tree_walker(node, wrap_walker, context);
}

/*
 * The way in which the query locks rows of a relation, or NULL.  It stays in
 * the query, where it locks nothing of a subquery, for the server to find out
 * whether such rows can be locked at all.
 */
static RowMarkClause *
find_mark(Query *query, int rti)
{
	ListCell *cell;

	foreach (cell, query->rowMarks)
	{
		if ((int) lfirst_node(RowMarkClause, cell)->rti == rti)
			return lfirst(cell);
	}
	return NULL;
}

/* Is the relation's whole row a value somewhere? */
typedef struct WholeRow
{
	int rti;
	int depth;
	RangeTblEntry *rte;
	AttrNumber there; /* a column that is null only where there is no row */
} WholeRow;

static bool
whole_row_walker(Node *node, void *context)
{
	WholeRow *whole = context;
	bool found;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varno == whole->rti && ((Var *) node)->varattno == 0 &&
			   (int) ((Var *) node)->varlevelsup == whole->depth;
	if (!IsA(node, Query))
		return expression_tree_walker(node, whole_row_walker, context);
	whole->depth++;
	found = query_tree_walker((Query *) node, whole_row_walker, context, QTW_IGNORE_JOINALIASES);
	whole->depth--;
	return found;
}

/* CASE WHEN there THEN ROW(columns)::type END */
static Node *
spell_out(Var *var, replace_rte_variables_context *context)
{
	WholeRow *whole = context->callback_arg;
	CaseExpr *choice = makeNode(CaseExpr);
	CaseWhen *when = makeNode(CaseWhen);

	if (var->varattno != 0)
		return (Node *) copyObject(var);
	when->expr =
		(Expr *) makeVar(whole->rti, whole->there, BOOLOID, -1, InvalidOid, var->varlevelsup);
	when->result = (Expr *) lift_row_of(whole->rte, whole->rti, var->varlevelsup, var->vartype);
	when->location = -1;
	choice->casetype = var->vartype;
	choice->args = list_make1(when);
	choice->defresult = (Expr *) makeNullConst(var->vartype, -1, InvalidOid);
	choice->location = -1;
	return (Node *) choice;
}

/*
 * The row of a subquery has no type of its own, and the server keeps it for
 * locked rows: beside that one of the table's type would be taken for it.
 */
static void
spell_out_rows(Query *query, int rti, RangeTblEntry *rte, AttrNumber there)
{
	WholeRow whole = {.rti = rti, .depth = -1, .rte = rte, .there = there};

	if (whole_row_walker((Node *) query, &whole))
		*query = *(Query *) replace_rte_variables((Node *) query, rti, 0, spell_out, &whole, NULL);
}

static void
wrap_table(Query *query, int rti)
{
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);
	Query *table = makeNode(Query);
	RangeTblEntry *inner = copyObject(rte);
	RangeTblRef *ref = makeNode(RangeTblRef);
	RowMarkClause *mark = find_mark(query, rti);
	List *names;
	List *columns;
	ListCell *name;
	ListCell *column;

	/* A list that only VALUES have carries the mark to the scan. */
	if (mark != NULL)
	{
		mark = copyObject(mark);
		mark->rti = 1;
		mark->pushedDown = false;
		inner->values_lists = list_make1(mark);
	}
	ref->rtindex = 1;
	inner->inFromCl = true;
	inner->lateral = false;
	inner->alias = NULL;
	table->commandType = CMD_SELECT;
	table->canSetTag = true;
	table->rtable = list_make1(inner);
	table->jointree = makeFromExpr(list_make1(ref), NULL);
	compat_move_permissions(query, rte, table, inner);

	/* Also of dropped columns, since the others keep their numbers. */
	statement_columns(inner, 1, &names, &columns);
	forboth (name, names, column, columns)
		table->targetList = lappend(
			table->targetList, makeTargetEntry(lfirst(column), list_length(table->targetList) + 1,
											   strVal(lfirst(name)), false));

	spell_out_rows(query, rti, inner, list_length(table->targetList) + 1);
	rte = rt_fetch(rti, query->rtable);
	table->targetList =
		lappend(table->targetList,
				makeTargetEntry((Expr *) makeBoolConst(true, false),
								list_length(table->targetList) + 1, pstrdup("there"), false));
	rte->eref->colnames = lappend(rte->eref->colnames, makeString(pstrdup("there")));

	/* What is said to lock rows is planned by itself, yet takes conditions in. */
	table->hasForUpdate = true;
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = table;
	rte->relid = InvalidOid;
	rte->relkind = 0;
	rte->rellockmode = 0;
	rte->tablesample = NULL;
	rte->securityQuals = NIL;
	rte->inh = false;
}

static bool
whole_walker(Node *node, void *context)
{
	ListCell *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, whole_walker, context);
	foreach (cell, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);

		if (rte->inh && rte->relkind == RELKIND_PARTITIONED_TABLE && is_hash_table(rte))
		{
			rte->inh = false;
			rte->relkind = RELKIND_RELATION;
		}
	}
	return query_tree_walker((Query *) node, whole_walker, context, QTW_IGNORE_JOINALIASES);
}

void
by_table_take_whole(Query *query)
{
	(void) whole_walker((Node *) query, NULL);
}

/*
 * Servers from 16 on list the indexes of a partitioned table, for what they
 * prove of it.  They have no costs, so none may be there for a table that is
 * planned as if it had no partitions.
 */
static void
drop_partitioned_indexes(RelOptInfo *rel)
{
	ListCell *cell;

	foreach (cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst(cell);

		if (index->amcostestimate == NULL)
			rel->indexlist = foreach_delete_current(rel->indexlist, cell);
	}
}

static void
pgcluster_relation_info(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	if (planning && is_split(root->simple_rte_array[rel->relid]))
	{
		HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
		double rows = -1;

		if (HeapTupleIsValid(tuple))
		{
			rows = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
			ReleaseSysCache(tuple);
		}
		rel->tuples = rows > 0 ? rows : DEFAULT_ROWS;
		rel->pages = Max(rel->pages, rel->tuples / 50);
		drop_partitioned_indexes(rel);
	}
	if (prev_relation_info)
		prev_relation_info(root, relid, inhparent, rel);
}

/* Members of UNION ALL are children of a query; others are partitions and the like. */
static bool
is_inheritance_child(PlannerInfo *root, RelOptInfo *rel)
{
	Index parent;

	if (rel->reloptkind == RELOPT_BASEREL)
		return false;
	parent = root->append_rel_array[rel->relid]->parent_relid;
	return root->simple_rte_array[parent]->rtekind == RTE_RELATION;
}

static void
pgcluster_pathlist(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	if (is_hash_table(rte) && !IS_DUMMY_REL(rel))
	{
		const DistributedTable *table = metadata_table(rte->relid);
		CustomPath *path;

		if (is_inheritance_child(root, rel))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("distributed table \"%s\" cannot be read through the table it is a "
							"partition or child of",
							get_rel_name(rte->relid))));
		path = ship_path(root, rel, &path_methods, TASK_COST,
						 TASK_COST * table->colocation->nshards + rel->rows * cpu_tuple_cost);

		/* Not where rows are locked, see wrap_table. */
		if (rte->values_lists == NIL)
			order_add_paths(root, rel, path);
	}
	if (prev_pathlist)
		prev_pathlist(root, rel, rti, rte);
}

static Plan *
plan_scan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses,
		  List *custom_plans)
{
	RangeTblEntry *rte = planner_rt_fetch(rel->relid, root);
	const DistributedTable *table = metadata_table(rte->relid);
	ShardPlan *plan = shard_plan_create(TIER_BY_TABLE, CMD_SELECT, rte->relid);
	CustomScan *scan = makeNode(CustomScan);
	Ship ship = {.root = root, .rel = rel};
	Lift lift = {.keeps_exec_params = true};
	Relation relation;
	ListCell *cell;

	rte = copyObject(rte);
	if (security_is_of_another(root->parse, rte))
	{
		bool trusted;

		plan->reader = security_reader(rte->relid, &trusted);
		ship.rows_only = !trusted;
	}
	ship_sample(rte->tablesample, &lift);
	ship.params = lift.params;
	ship_clauses(&ship, clauses);
	foreach (cell, ship.shipped)
		prune_by_clause(plan, table, rel->relid, table->key, lfirst(cell));
	relation = RelationIdGetRelation(rte->relid);
	plan->some_columns = true;
	plan->columns =
		live_columns(ship_columns(path, tlist, ship.local, RelationGetDescr(relation)->natts,
								  relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE),
					 RelationGetDescr(relation));
	RelationClose(relation);
	plan->columns = order_note(root, path, plan, plan->columns);
	plan->returning = true;
	plan->writes = rte->values_lists != NIL;
	plan->refusals = copyObject(planning_refusals);
	template_make(scan_query(rte, plan->columns, ship.remote), plan);

	scan->scan.plan.targetlist = tlist;
	scan->scan.plan.qual = ship.local;
	scan->scan.scanrelid = rel->relid;
	scan->flags = path->flags;
	scan->custom_private = list_make1(plan);
	scan->custom_exprs = ship.params;
	scan->methods = &shard_scan_methods;
	return &scan->scan.plan;
}

/* Those that were not dropped. */
static List *
live_columns(List *columns, TupleDesc desc)
{
	List *live = NIL;
	ListCell *cell;

	foreach (cell, columns)
	{
		if (!TupleDescAttr(desc, lfirst_int(cell) - 1)->attisdropped)
			live = lappend_int(live, lfirst_int(cell));
	}
	return live;
}

/* Each shard gives a sample of its own, by arguments that the plan evaluates. */
static void
ship_sample(TableSampleClause *sample, Lift *lift)
{
	ListCell *cell;

	if (sample == NULL)
		return;
	foreach (cell, sample->args)
		lfirst(cell) = ship_argument(lfirst(cell), lift);
	sample->repeatable = (Expr *) ship_argument((Node *) sample->repeatable, lift);
}

static Node *
ship_argument(Node *argument, Lift *lift)
{
	if (argument == NULL || IsA(argument, Const))
		return argument;
	return lift_as_param((Expr *) argument, lift);
}

/* SELECT columns FROM table WHERE quals, FOR UPDATE if the table says so, see wrap_table */
static Query *
scan_query(RangeTblEntry *rte, List *columns, List *quals)
{
	Query *query = makeNode(Query);
	RangeTblEntry *table = copyObject(rte);
	RangeTblRef *ref = makeNode(RangeTblRef);
	ListCell *cell;

	table->inh = true;
	table->inFromCl = true;
	table->lateral = false;
	table->securityQuals = NIL;
	table->values_lists = NIL;
	compat_forget_permissions(table);
	query->rowMarks = copyObject(rte->values_lists);
	query->hasForUpdate = query->rowMarks != NIL;
	ref->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(table);
	query->jointree =
		makeFromExpr(list_make1(ref), (Node *) (quals ? make_ands_explicit(quals) : NULL));
	foreach (cell, columns)
	{
		AttrNumber column = lfirst_int(cell);
		char *name = get_attname(rte->relid, column, false);
		Oid type;
		int32 typmod;
		Oid collation;

		get_atttypetypmodcoll(rte->relid, column, &type, &typmod, &collation);
		query->targetList =
			lappend(query->targetList,
					makeTargetEntry((Expr *) makeVar(1, column, type, typmod, collation, 0),
									list_length(query->targetList) + 1, name, false));
	}
	return query;
}
