/*-------------------------------------------------------------------------
 * found.c
 *	  UPDATE and DELETE of rows that shards cannot find by themselves.
 *
 * A SELECT in the place of the statement gives, for each row to be changed,
 * its key, where it stands on its shard (ctid, with xmin as its version, and in
 * which partition), and the new values; it is planned as any SELECT is.  The shards then get the
 * rows in bundles and change those versions.  All that is odd is computed
 * here: volatile functions once for each row, functions of the user's,
 * subqueries on anything.  RETURNING is a query over what the shards give
 * back, along with columns of the other relations that went with the row.
 *
 * What must stay true: a row is only changed as it was when it was found; see
 * executor/found.c for what happens when it is another by then.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "shard/planner/change.h"
#include "shard/planner/found.h"
#include "shard/planner/lift.h"
#include "shard/planner/statement.h"

/* The walk through RETURNING. */
typedef struct Showing
{
	Found *found;
	int depth;
} Showing;

/* What says which version of a row is meant: columns from FOUND_TID on. */
static const struct
{
	AttrNumber attribute;
	Oid type;
	const char *name;
} identity[] = {
	{SelfItemPointerAttributeNumber, TIDOID, "ctid"},
	{MinTransactionIdAttributeNumber, XIDOID, "xmin"},
	{TableOidAttributeNumber, OIDOID, "tableoid"},
};

static bool check_statement(Query *query, char **why);
static bool system_walker(Node *node, void *context);
static void make_read(Found *found);
static bool is_needed(const Found *found, int i);
static List *identity_columns(const Found *found);
static void wrap_target(Found *found);
static Node *whole_row(Var *var, replace_rte_variables_context *context);
static Node *show_mutator(Node *node, void *context);
static Node *show_column(Var *var, Showing *showing);
static Node *show_other(Node *expr, Showing *showing);
static bool names_target(Node *node, Found *found);
static bool names_target_walker(Node *node, void *context);
static bool link_is_bound(Node *node, void *context);

PlannedStmt *
plan_found(const PlanRequest *request, char **why)
{
	Found found = {0};
	List *attributes = NIL;
	List *columns = NIL;
	ListCell *cell;

	if (request->query->commandType != CMD_UPDATE && request->query->commandType != CMD_DELETE)
		return NULL;
	if (!found_begin(&found, request))
	{
		*why = found.why;
		return NULL;
	}
	foreach (cell, found.query->targetList)
	{
		TargetEntry *tle = lfirst(cell);

		if (tle->resjunk || found.query->commandType == CMD_DELETE)
			continue;
		attributes = lappend_int(attributes, tle->resno);
		columns = lappend_int(columns, found_add_column(&found, tle->expr));
	}
	if (!found_returning(&found))
	{
		*why = found.why;
		return NULL;
	}
	found.plan->once = list_length(found.read->jointree->fromlist) > 1 ||
					   !IsA(linitial(found.read->jointree->fromlist), RangeTblRef);
	if (found.query->commandType == CMD_UPDATE)
		found.plan->changes = list_make1(found_update(&found, attributes, columns));
	else
		found.plan->changes = list_make1(found_change(&found, CMD_DELETE, NIL, NIL));

	/* Subqueries that several columns are assigned from. */
	foreach (cell, found.query->targetList)
	{
		TargetEntry *tle = lfirst(cell);

		if (!tle->resjunk)
			continue;
		tle->resno = list_length(found.read->targetList) + 1;
		found.read->targetList = lappend(found.read->targetList, tle);
	}
	return found_finish(&found);
}

bool
found_begin(Found *found, const PlanRequest *request)
{
	Query *query = request->query;

	found->request = request;
	found->query = copyObject(query);
	found->target = query->resultRelation;
	found->table = metadata_table(rt_fetch(found->target, query->rtable)->relid);
	if (!check_statement(query, &found->why))
		return false;
	found->plan = shard_plan_create(TIER_FOUND, query->commandType, found->table->relid);
	found->plan->writes = true;
	found->plan->firm = planner_is_read_first();
	found->plan->refusals = request->refusals;
	make_read(found);
	return true;
}

static bool
check_statement(Query *query, char **why)
{
	*why = NULL;
	if (query->withCheckOptions != NIL)
		*why = "It is checked against a view or a row security policy.";
	else if (query->hasModifyingCTE)
		*why = "It changes rows in WITH.";
	else if (system_walker((Node *) query, why))
		return false;
	return *why == NULL;
}

/* Where rows stand, and which cursor they are under, is known on their node only. */
static bool
system_walker(Node *node, void *context)
{
	char **why = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, system_walker, context, QTW_IGNORE_JOINALIASES);
	if (IsA(node, CurrentOfExpr))
		*why = "WHERE CURRENT OF has no meaning on a shard.";
	else if (IsA(node, Var) && ((Var *) node)->varattno < 0)
		*why = "It uses a system column, whose values mean nothing elsewhere.";
	else if (IsA(node, Var) && !compat_var_is_current((Var *) node))
		*why = "It returns OLD or NEW.";
	else
		return expression_tree_walker(node, system_walker, context);
	return true;
}

/* The SELECT, so far of what says which row is meant. */
static void
make_read(Found *found)
{
	Query *read = copyObject(found->query);

	found->read = read;
	read->commandType = CMD_SELECT;
	read->canSetTag = true;
	read->resultRelation = 0;
	read->returningList = NIL;
	read->override = OVERRIDING_NOT_SET;
	read->targetList = NIL;
	wrap_target(found);
	found_add_identity(found);
}

void
found_add_identity(Found *found)
{
	bool reads = found->query->commandType != CMD_INSERT;
	const DistributedTable *table = found->table;

	(void) found_add_column(found, (Expr *) makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
													  Int32GetDatum(1), false, true));
	(void) found_add_column(
		found, reads ? (Expr *) found_target_var(found, table->key)
					 : (Expr *) makeNullConst(table->key_type, -1, table->key_collation));
	for (size_t i = 0; i < lengthof(identity); i++)
	{
		if (is_needed(found, i))
			(void) found_add_column(
				found, reads ? (Expr *) found_target_var(found, identity[i].attribute)
							 : (Expr *) makeNullConst(identity[i].type, -1, InvalidOid));
	}
}

/* Rows of two partitions may be at the same place of theirs. */
static bool
is_needed(const Found *found, int i)
{
	return identity[i].attribute != TableOidAttributeNumber ||
		   rt_fetch(found->target, found->query->rtable)->relkind == RELKIND_PARTITIONED_TABLE;
}

/* The columns of the SELECT that say which version of a row is meant. */
static List *
identity_columns(const Found *found)
{
	List *columns = NIL;

	for (size_t i = 0; i < lengthof(identity); i++)
	{
		if (is_needed(found, i))
			columns = lappend_int(columns, FOUND_TID + i);
	}
	return columns;
}

/*
 * The target as a subquery that also gives what tells its rows, behind all
 * columns (dropped ones too, since the others keep their numbers).
 */
static void
wrap_target(Found *found)
{
	RangeTblEntry *rte = rt_fetch(found->target, found->read->rtable);
	RangeTblEntry *inner = copyObject(rte);
	RangeTblRef *ref = makeNode(RangeTblRef);
	Query *table = makeNode(Query);
	List *names;
	List *columns;
	ListCell *name;
	ListCell *column;

	ref->rtindex = 1;
	inner->inFromCl = true;
	inner->lateral = false;
	inner->inh = true;
	inner->alias = NULL;
	table->commandType = CMD_SELECT;
	table->canSetTag = true;
	table->rtable = list_make1(inner);
	table->jointree = makeFromExpr(list_make1(ref), NULL);
	if (inner->securityQuals != NIL)
	{
		/* What a view that is a security barrier hides, conditions from outside may not see. */
		ChangeVarNodes((Node *) inner->securityQuals, found->target, 1, 0);
		table->jointree->quals = (Node *) make_ands_explicit(inner->securityQuals);
		table->hasSubLinks = checkExprHasSubLink(table->jointree->quals);
		inner->securityQuals = NIL;
		rte->security_barrier = true;
	}
	compat_move_permissions(found->read, rte, table, inner);
	statement_columns(inner, 1, &names, &columns);
	for (size_t i = 0; i < lengthof(identity); i++)
	{
		names = lappend(names, makeString(pstrdup(identity[i].name)));
		columns = lappend(columns,
						  makeVar(1, identity[i].attribute, identity[i].type, -1, InvalidOid, 0));
	}
	forboth (name, names, column, columns)
		table->targetList = lappend(
			table->targetList, makeTargetEntry(lfirst(column), list_length(table->targetList) + 1,
											   strVal(lfirst(name)), false));
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = table;
	rte->eref = makeAlias(rte->eref->aliasname, names);
	rte->securityQuals = NIL;
	rte->relid = InvalidOid;
	rte->relkind = 0;
	rte->rellockmode = 0;
	rte->inh = false;
	rte->inFromCl = true;
}

Var *
found_target_var(Found *found, AttrNumber column)
{
	RangeTblEntry *rte = rt_fetch(found->target, found->read->rtable);
	List *targets = rte->subquery->targetList;
	TargetEntry *tle;

	for (size_t i = 0; i < lengthof(identity); i++)
	{
		if (column == identity[i].attribute)
			column = list_length(targets) - lengthof(identity) + i + 1;
	}
	tle = list_nth(targets, column - 1);
	return makeVar(found->target, column, exprType((Node *) tle->expr),
				   exprTypmod((Node *) tle->expr), exprCollation((Node *) tle->expr), 0);
}

int
found_add_column(Found *found, Expr *expr)
{
	int number = list_length(found->read->targetList) + 1;

	found->read->targetList =
		lappend(found->read->targetList,
				makeTargetEntry(expr, number, psprintf("column%d", number), false));
	return number;
}

/* A row of the target as a value: of its own columns only. */
static Node *
whole_row(Var *var, replace_rte_variables_context *context)
{
	Found *found = context->callback_arg;

	if (var->varattno == 0)
		return (Node *) lift_row_of(rt_fetch(found->target, found->query->rtable), found->target,
									var->varlevelsup, var->vartype);
	return copyObject((Node *) var);
}

/*
 * RETURNING
 */
bool
found_returning(Found *found)
{
	Showing showing = {found, 0};
	Query *result = makeNode(Query);
	RangeTblEntry *rows = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);
	List *names = NIL;
	int column = 0;
	ListCell *cell;

	if (found->query->returningList == NIL)
		return true;
	result->targetList = (List *) show_mutator(
		compat_flatten(found->query, copyObject(found->query->returningList)), &showing);
	if (found->why != NULL)
		return false;

	/* A shard gives at least something back for each row. */
	if (found->columns == NIL)
		found->columns = list_make1_int(found->table->key);
	foreach (cell, found->columns)
	{
		Oid type;
		int32 typmod;
		Oid collation;

		get_atttypetypmodcoll(found->table->relid, lfirst_int(cell), &type, &typmod, &collation);
		column++;
		found->plan->shown = lappend(
			found->plan->shown,
			makeTargetEntry((Expr *) makeVar(1, lfirst_int(cell), type, typmod, collation, 0),
							column, psprintf("column%d", column), false));
	}
	found->plan->shown_table = column;
	foreach (cell, found->plan->echoes)
	{
		TargetEntry *tle = list_nth(found->read->targetList, lfirst_int(cell) - 1);
		Var *var = makeVar(2, ++column, exprType((Node *) tle->expr), -1,
						   exprCollation((Node *) tle->expr), 0);

		found->plan->shown =
			lappend(found->plan->shown,
					makeTargetEntry((Expr *) var, column, psprintf("column%d", column), false));
	}
	foreach (cell, found->echo_vars)
		((Var *) lfirst(cell))->varattno = ((Var *) lfirst(cell))->varattnosyn +=
			found->plan->shown_table;

	foreach (cell, found->plan->shown)
	{
		TargetEntry *tle = lfirst(cell);

		names = lappend(names, makeString(tle->resname));
		rows->coltypes = lappend_oid(rows->coltypes, exprType((Node *) tle->expr));
		rows->coltypmods = lappend_int(rows->coltypmods, exprTypmod((Node *) tle->expr));
		rows->colcollations = lappend_oid(rows->colcollations, exprCollation((Node *) tle->expr));
	}
	rows->rtekind = RTE_NAMEDTUPLESTORE;
	rows->enrname = SHARD_ROWS_NAME;
	rows->enrtuples = 1000;
	rows->eref = makeAlias(SHARD_ROWS_NAME, names);
	rows->inFromCl = true;
	ref->rtindex = 1;
	result->commandType = CMD_SELECT;
	result->canSetTag = true;
	result->hasSubLinks = checkExprHasSubLink((Node *) result->targetList);
	result->rtable = list_make1(rows);
	result->jointree = makeFromExpr(list_make1(ref), NULL);
	found->plan->result = planner(result, found->request->source, 0, found->request->params);
	return true;
}

static Node *
show_mutator(Node *node, void *context)
{
	Showing *showing = context;

	if (node == NULL || showing->found->why != NULL)
		return node;
	if (IsA(node, Query))
	{
		showing->depth++;
		node = (Node *) query_tree_mutator((Query *) node, show_mutator, context,
										   QTW_IGNORE_JOINALIASES);
		showing->depth--;
		return node;
	}
	if (IsA(node, Var) && (int) ((Var *) node)->varlevelsup == showing->depth)
		return show_column((Var *) node, showing);
	if (IsA(node, SubLink) && showing->depth == 0)
	{
		if (!names_target(node, showing->found))
			return show_other(node, showing);
		if (link_is_bound(node, showing->found))
		{
			showing->found->why = "A subquery of its RETURNING reads the changed table, or a WITH "
								  "query, for each row.";
			return node;
		}
	}
	return expression_tree_mutator(node, show_mutator, context);
}

static Node *
show_column(Var *var, Showing *showing)
{
	Found *found = showing->found;
	RangeTblEntry *rte = rt_fetch(var->varno, found->query->rtable);
	int number = 0;
	ListCell *cell;

	if (var->varattno == 0)
		return show_mutator((Node *) lift_row_of(rte, var->varno, var->varlevelsup, var->vartype),
							showing);
	if (var->varno != found->target)
		return show_other((Node *) var, showing);
	foreach (cell, found->columns)
	{
		if (lfirst_int(cell) == var->varattno)
			number = foreach_current_index(cell) + 1;
	}
	if (number == 0)
	{
		found->columns = lappend_int(found->columns, var->varattno);
		number = list_length(found->columns);
	}
	return (Node *) makeVar(1, number, var->vartype, var->vartypmod, var->varcollid,
							showing->depth);
}

/* What does not depend on the change is computed when the row is found. */
static Node *
show_other(Node *expr, Showing *showing)
{
	Found *found = showing->found;
	Oid type = exprType(expr);
	int number = 0;
	Var *var;
	ListCell *cell;

	if (get_typtype(type) == TYPTYPE_PSEUDO)
	{
		found->why = "RETURNING shows something of a type that has no values of its own.";
		return expr;
	}
	expr = copyObject(expr);
	if (IsA(expr, Var))
		((Var *) expr)->varlevelsup = 0;
	foreach (cell, found->plan->echoes)
	{
		TargetEntry *tle = list_nth(found->read->targetList, lfirst_int(cell) - 1);

		if (IsA(expr, Var) && equal(tle->expr, expr))
			number = foreach_current_index(cell) + 1;
	}
	if (number == 0)
	{
		found->plan->echoes =
			lappend_int(found->plan->echoes, found_add_column(found, (Expr *) expr));
		number = list_length(found->plan->echoes);
	}
	var = makeVar(1, number, type, -1, exprCollation(expr), showing->depth);
	found->echo_vars = lappend(found->echo_vars, var);
	return (Node *) var;
}

/* Does it name a column of the target? */
static bool
names_target(Node *node, Found *found)
{
	Showing showing = {found, 0};

	return names_target_walker(node, &showing);
}

static bool
names_target_walker(Node *node, void *context)
{
	Showing *showing = context;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return (int) ((Var *) node)->varlevelsup == showing->depth &&
			   ((Var *) node)->varno == showing->found->target;
	if (IsA(node, Query))
	{
		bool named;

		showing->depth++;
		named =
			query_tree_walker((Query *) node, names_target_walker, context, QTW_IGNORE_JOINALIASES);
		showing->depth--;
		return named;
	}
	return expression_tree_walker(node, names_target_walker, context);
}

/* Would it see other rows, or none, when it is run after the change? */
static bool
link_is_bound(Node *node, void *context)
{
	Found *found = context;
	ListCell *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, link_is_bound, context);
	foreach (cell, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);

		if (rte->rtekind == RTE_CTE ||
			(rte->rtekind == RTE_RELATION && rte->relid == found->table->relid))
			return true;
	}
	return query_tree_walker((Query *) node, link_is_bound, context, QTW_IGNORE_JOINALIASES);
}

/*
 * Changes
 */
ShardPlan *
found_change(Found *found, CmdType command, List *attributes, List *columns)
{
	ShardPlan *change = shard_plan_create(TIER_FOUND, command, found->table->relid);
	ChangeForm form = {.target = rt_fetch(found->target, found->query->rtable),
					   .read = found->read->targetList,
					   .attributes = attributes,
					   .returned = found->columns};
	ListCell *attribute;
	ListCell *cell;

	change->key_position = FOUND_KEY;
	if (command != CMD_INSERT)
		change->columns = identity_columns(found);
	form.first_value = list_length(change->columns) + 1;
	forboth (attribute, attributes, cell, columns)
	{
		change->columns = lappend_int(change->columns, lfirst_int(cell));
		if (command == CMD_INSERT && lfirst_int(attribute) == found->table->key)
			change->key_position = lfirst_int(cell);
	}

	/* The RETURNING of an INSERT knows only what was inserted. */
	if (command != CMD_INSERT)
	{
		form.first_echo = list_length(change->columns) + 1;
		form.echoes = list_length(found->plan->echoes);
		change->columns = list_concat(change->columns, found->plan->echoes);
	}
	if (found->query->onConflict != NULL)
	{
		form.conflict = found->query->onConflict;
		form.conflict_target = found->target;
		if (form.conflict->exclRelIndex != 0)
			form.excluded = rt_fetch(form.conflict->exclRelIndex, found->query->rtable);
	}
	change_make(change, &form);
	change->returning = found->query->returningList != NIL;
	return change;
}

ShardPlan *
found_update(Found *found, List *attributes, List *columns)
{
	Oid relid = found->table->relid;
	ShardPlan *update;
	List *all = NIL;
	List *all_columns = NIL;
	Relation relation;

	if (list_member_int(attributes, found->table->key))
	{
		relation = table_open(relid, NoLock);
		for (int i = 0; i < RelationGetNumberOfAttributes(relation); i++)
		{
			Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), i);
			int at = 0;
			ListCell *cell;

			if (attribute->attisdropped || attribute->attgenerated != '\0')
				continue;
			foreach (cell, attributes)
			{
				if (lfirst_int(cell) == attribute->attnum)
					at = list_nth_int(columns, foreach_current_index(cell));
			}
			if (at == 0)
				at = found_add_column(found, (Expr *) found_target_var(found, attribute->attnum));
			all = lappend_int(all, attribute->attnum);
			all_columns = lappend_int(all_columns, at);
		}
		table_close(relation, NoLock);
	}
	update = found_change(found, CMD_UPDATE, attributes, columns);
	if (all != NIL)
	{
		ShardPlan *leave = shard_plan_create(TIER_FOUND, CMD_DELETE, relid);
		ChangeForm form = {.target = rt_fetch(found->target, found->query->rtable),
						   .read = found->read->targetList};

		leave->key_position = FOUND_KEY;
		leave->columns = identity_columns(found);
		change_make(leave, &form);
		update->changes = list_make2(leave, found_change(found, CMD_INSERT, all, all_columns));
	}
	return update;
}

PlannedStmt *
found_finish(Found *found)
{
	PlanRequest request = {.source = found->request->source, .params = found->request->params};
	ShardPlan *lock = shard_plan_create(TIER_FOUND, CMD_SELECT, found->table->relid);
	ChangeForm form = {.target = rt_fetch(found->target, found->query->rtable),
					   .read = found->read->targetList};
	bool outer = lift_identity(true);
	char *why = NULL;

	lock->key_position = FOUND_KEY;
	lock->columns = identity_columns(found);
	change_make(lock, &form);
	found->plan->lock = lock;
	request.query = (Query *) replace_rte_variables((Node *) found->read, found->target, 0,
													whole_row, found, NULL);
	if (found->outer_join != 0)
		compat_null_by_join(request.query->targetList, found->target, found->outer_join);
	if (found->last != NULL)
		request.query = found->last(request.query);
	PG_TRY();
	{
		found->plan->local = plan_by_table(&request, &why);
	}
	PG_FINALLY();
	{
		(void) lift_identity(outer);
	}
	PG_END_TRY();
	if (found->plan->local == NULL)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("this statement on distributed tables is not supported"),
						why ? errdetail("%s", why) : 0));
	return statement_create(found->request, found->plan, found->plan->local->planTree->plan_rows);
}
