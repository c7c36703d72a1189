/*-------------------------------------------------------------------------
 * change.c
 *	  The SQL that writes rows which it is given.
 *
 *	UPDATE t SET a = r.c3 FROM pgcluster.rows($1) r(c1 tid, c2 xid, c3 integer)
 *		WHERE t.ctid = r.c1 AND t.xmin = r.c2 RETURNING t.b, r.c4
 *
 * and likewise DELETE, INSERT ... SELECT and SELECT ... FOR UPDATE.
 *
 * What must stay true: a version of a row that is not the one that was found
 * is left alone, also when it comes to light only while the statement waits
 * for whoever makes it: then xmin is looked at again.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/change.h"
#include "shard/planner/lift.h"
#include "shard/planner/statement.h"
#include "shard/planner/template.h"

/* Numbers in the range table of what is made here. */
#define TARGET 1
#define ROWS 2
#define EXCLUDED 3

static RangeTblEntry *target_entry(const ChangeForm *form, bool read);
static RangeTblEntry *no_rows_entry(ShardPlan *change, const ChangeForm *form);
static Var *row_var(ShardPlan *change, const ChangeForm *form, int column);
static Node *is_same(AttrNumber attribute, Var *column);
static void add_conditions(Query *query, ShardPlan *change, const ChangeForm *form);
static void add_assignments(Query *query, ShardPlan *change, const ChangeForm *form);
static void add_returning(Query *query, ShardPlan *change, const ChangeForm *form);
static void add_conflict(Query *query, const ChangeForm *form);
static bool names_elsewhere(Node *node, void *context);

void
change_make(ShardPlan *change, const ChangeForm *form)
{
	Query *query = makeNode(Query);
	bool locks = change->command == CMD_SELECT;
	RangeTblRef *rows = makeNode(RangeTblRef);
	Lift lift = {0};

	query->commandType = change->command;
	query->canSetTag = true;
	query->rtable = list_make2(target_entry(form, locks), no_rows_entry(change, form));
	query->resultRelation = locks ? 0 : TARGET;
	rows->rtindex = ROWS;
	query->jointree = makeFromExpr(list_make1(rows), NULL);
	if (change->command != CMD_INSERT)
		add_conditions(query, change, form);
	if (locks)
	{
		RowMarkClause *mark = makeNode(RowMarkClause);

		mark->rti = TARGET;
		mark->strength = LCS_FORUPDATE;
		mark->waitPolicy = LockWaitBlock;
		query->rowMarks = list_make1(mark);
		query->hasForUpdate = true;
		query->targetList = list_make1(
			makeTargetEntry((Expr *) row_var(change, form, 1), 1, pstrdup("found"), false));
	}
	else
	{
		add_assignments(query, change, form);
		add_returning(query, change, form);
	}
	if (change->command == CMD_INSERT)
		query->override = OVERRIDING_SYSTEM_VALUE;
	if (form->conflict != NULL)
	{
		add_conflict(query, form);
		if (!lift_query(query, LIFT_ONE_SHARD, &lift))
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("this statement on distributed tables is not supported"),
							errdetail("%s", lift.why)));
		change->params = statement_params(&lift);
	}
	if (change->command == CMD_INSERT)
		change_take_bundle(rt_fetch(ROWS, query->rtable), list_length(change->params) + 1);
	else
		change_read_bundle(rt_fetch(ROWS, query->rtable), list_length(change->params) + 1);
	change->writes = true;
	template_make(query, change);
}

static RangeTblEntry *
target_entry(const ChangeForm *form, bool read)
{
	RangeTblEntry *rte = copyObject(unconstify(RangeTblEntry *, form->target));

	rte->alias = NULL;
	rte->inh = true;
	rte->lateral = false;
	rte->inFromCl = read;
	rte->securityQuals = NIL;
	compat_forget_permissions(rte);
	return rte;
}

/* The rows, to begin with as a list of none: lift.c knows such a thing. */
static RangeTblEntry *
no_rows_entry(ShardPlan *change, const ChangeForm *form)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	List *names = NIL;
	ListCell *cell;

	foreach (cell, change->columns)
	{
		TargetEntry *tle = list_nth(form->read, lfirst_int(cell) - 1);
		Node *expr = (Node *) tle->expr;

		names = lappend(names, makeString(psprintf("c%d", list_length(names) + 1)));
		rte->coltypes = lappend_oid(rte->coltypes, exprType(expr));
		rte->coltypmods = lappend_int(rte->coltypmods, -1);
		rte->colcollations = lappend_oid(rte->colcollations, exprCollation(expr));
	}
	rte->rtekind = RTE_VALUES;
	rte->alias = makeAlias("pgcluster_rows", NIL);
	rte->eref = makeAlias("pgcluster_rows", names);
	rte->inFromCl = true;
	return rte;
}

void
change_read_bundle(RangeTblEntry *rte, int param)
{
	Oid types[] = {BYTEAOID};
	RangeTblFunction *function = makeNode(RangeTblFunction);
	Param *bundle = lift_numbered_param(param, BYTEAOID, -1, InvalidOid);
	FuncExpr *call;

	call = makeFuncExpr(
		LookupFuncName(list_make2(makeString("pgcluster"), makeString("rows")), 1, types, false),
		RECORDOID, list_make1(bundle), InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	call->funcretset = true;
	function->funcexpr = (Node *) call;
	function->funccolcount = list_length(rte->coltypes);
	function->funccolnames = copyObject(rte->eref->colnames);
	function->funccoltypes = rte->coltypes;
	for (int i = 0; i < function->funccolcount; i++)
		function->funccoltypmods = lappend_int(function->funccoltypmods, -1);
	function->funccolcollations = rte->colcollations;
	rte->rtekind = RTE_FUNCTION;
	rte->alias = makeAlias("pgcluster_rows", NIL);
	rte->values_lists = NIL;
	rte->functions = list_make1(function);
	rte->coltypes = rte->coltypmods = rte->colcollations = NIL;
}

/* An INSERT takes rows from a SELECT only. */
void
change_take_bundle(RangeTblEntry *rte, int param)
{
	RangeTblEntry *rows;
	RangeTblFunction *function;
	RangeTblRef *ref = makeNode(RangeTblRef);
	Query *query = makeNode(Query);

	change_read_bundle(rte, param);
	rows = copyObject(rte);
	function = linitial_node(RangeTblFunction, rows->functions);

	ref->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(rows);
	query->jointree = makeFromExpr(list_make1(ref), NULL);
	for (int i = 0; i < function->funccolcount; i++)
	{
		Var *var = makeVar(1, i + 1, list_nth_oid(function->funccoltypes, i), -1,
						   list_nth_oid(function->funccolcollations, i), 0);
		char *name = strVal(list_nth(rte->eref->colnames, i));

		query->targetList =
			lappend(query->targetList, makeTargetEntry((Expr *) var, i + 1, name, false));
	}
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = query;
	rte->functions = NIL;
}

/* Column "column" of the bundle. */
static Var *
row_var(ShardPlan *change, const ChangeForm *form, int column)
{
	TargetEntry *tle = list_nth(form->read, list_nth_int(change->columns, column - 1) - 1);
	Node *expr = (Node *) tle->expr;

	return makeVar(ROWS, column, exprType(expr), -1, exprCollation(expr), 0);
}

static Node *
is_same(AttrNumber attribute, Var *column)
{
	Oid type = column->vartype;
	Var *var = makeVar(TARGET, attribute, type, -1, InvalidOid, 0);
	Oid equal = OpernameGetOprid(list_make1(makeString("=")), type, type);
	Expr *same =
		make_opclause(equal, BOOLOID, false, (Expr *) var, (Expr *) column, InvalidOid, InvalidOid);

	((OpExpr *) same)->opfuncid = get_opcode(equal);
	return (Node *) same;
}

/* The version of the row that was found; its identity stands first in the bundle. */
static void
add_conditions(Query *query, ShardPlan *change, const ChangeForm *form)
{
	RangeTblRef *target = makeNode(RangeTblRef);
	List *same = list_make2(is_same(SelfItemPointerAttributeNumber, row_var(change, form, 1)),
							is_same(MinTransactionIdAttributeNumber, row_var(change, form, 2)));

	if (form->target->relkind == RELKIND_PARTITIONED_TABLE)
		same = lappend(same, is_same(TableOidAttributeNumber, row_var(change, form, 3)));
	target->rtindex = TARGET;
	query->jointree->fromlist = lcons(target, query->jointree->fromlist);
	query->jointree->quals = (Node *) make_andclause(same);
}

static void
add_assignments(Query *query, ShardPlan *change, const ChangeForm *form)
{
	int column = form->first_value;
	ListCell *cell;

	foreach (cell, form->attributes)
	{
		AttrNumber attribute = lfirst_int(cell);
		char *name = get_attname(form->target->relid, attribute, false);

		query->targetList =
			lappend(query->targetList, makeTargetEntry((Expr *) row_var(change, form, column++),
													   attribute, name, false));
	}
}

static void
add_returning(Query *query, ShardPlan *change, const ChangeForm *form)
{
	ListCell *cell;

	foreach (cell, form->returned)
	{
		AttrNumber attribute = lfirst_int(cell);
		Oid type;
		int32 typmod;
		Oid collation;
		Var *var;

		get_atttypetypmodcoll(form->target->relid, attribute, &type, &typmod, &collation);
		var = makeVar(TARGET, attribute, type, typmod, collation, 0);
		query->returningList =
			lappend(query->returningList,
					makeTargetEntry((Expr *) var, list_length(query->returningList) + 1,
									get_attname(form->target->relid, attribute, false), false));
	}
	for (int i = 0; i < form->echoes; i++)
	{
		Var *var = row_var(change, form, form->first_echo + i);

		query->returningList =
			lappend(query->returningList,
					makeTargetEntry((Expr *) var, list_length(query->returningList) + 1,
									psprintf("echo%d", i + 1), false));
	}
}

static void
add_conflict(Query *query, const ChangeForm *form)
{
	OnConflictExpr *conflict = copyObject(unconstify(OnConflictExpr *, form->conflict));
	int excluded = conflict->exclRelIndex;

	/* Out of the way first: the numbers may be those that are given here. */
	OffsetVarNodes((Node *) conflict, 1000, 0);
	ChangeVarNodes((Node *) conflict, form->conflict_target + 1000, TARGET, 0);
	if (excluded != 0)
	{
		ChangeVarNodes((Node *) conflict, excluded + 1000, EXCLUDED, 0);
		query->rtable = lappend(query->rtable, copyObject(form->excluded));
		compat_forget_permissions(llast(query->rtable));
		conflict->exclRelIndex = EXCLUDED;
	}
	query->onConflict = conflict;
	query->hasSubLinks = checkExprHasSubLink((Node *) conflict);
}

bool
change_conflict_travels(const OnConflictExpr *conflict, char **why)
{
	if (!names_elsewhere((Node *) unconstify(OnConflictExpr *, conflict), NULL))
		return true;
	*why = "A subquery of its ON CONFLICT reads rows that may be on another shard.";
	return false;
}

/* Does a subquery of it read anything but reference tables? */
static bool
names_elsewhere(Node *node, void *context)
{
	ListCell *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, names_elsewhere, context);
	foreach (cell, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);
		const DistributedTable *table =
			rte->rtekind == RTE_RELATION ? metadata_table(rte->relid) : NULL;

		if (rte->rtekind == RTE_CTE || rte->rtekind == RTE_NAMEDTUPLESTORE ||
			(rte->rtekind == RTE_RELATION && (table == NULL || table->kind != TABLE_REFERENCE)))
			return true;
	}
	return query_tree_walker((Query *) node, names_elsewhere, context, QTW_IGNORE_JOINALIASES);
}
