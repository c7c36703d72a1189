/*-------------------------------------------------------------------------
 * rule_made.c
 *	  INSERTs that rules have made, and the names in what else they make.
 *
 * A rule with a condition leaves an INSERT ... VALUES with a WHERE, and what
 * a rule does instead may be an INSERT of the columns of a join.  The server
 * has no syntax for either: deparsed, the condition and the join are gone, and
 * a shard would be told to insert other rows.  So what gives the rows becomes a
 * subquery, as in the INSERT ... SELECT that means the same.
 *
 * In an UPDATE or DELETE of a rule a column of NEW that was not assigned is one of
 * the row as it was, but still under the name of NEW.
 *
 * What must stay true: privileges are checked for the same tables as before.
 * Those that are read are the subquery's; what else a rule has left in the
 * list of tables stays, for nothing but that.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"

#include "base/compat.h"
#include "shard/planner/rule_made.h"

/* For a walk that finds columns under names that are gone. */
typedef struct Renaming
{
	const Bitmapset *members;
	Index depth;
} Renaming;

static void name_relations(Query *query);
static bool is_plain(Query *query);
static Query *make_source(Query *query, const Bitmapset *members);
static Bitmapset *find_members(Node *jointree, Bitmapset *members);
static bool rename_walker(Node *node, void *context);
static void forget_relation(RangeTblEntry *rte);
static void read_from(Query *query, Query *source);

void
rule_made_spell_out(Query *query)
{
	ListCell *cell;
	Bitmapset *members;
	Query *source;
	int member = -1;

	foreach (cell, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, cell);

		if (IsA(cte->ctequery, Query))
			rule_made_spell_out((Query *) cte->ctequery);
	}
	if (query->commandType == CMD_UPDATE || query->commandType == CMD_DELETE)
		name_relations(query);
	if (query->commandType != CMD_INSERT || is_plain(query))
		return;
	if (query->cteList != NIL)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("this statement on distributed tables is not supported"),
						errdetail("A rule with a condition applies to an INSERT with WITH.")));
	members = find_members((Node *) query->jointree, NULL);
	source = make_source(query, members);
	while ((member = bms_next_member(members, member)) >= 0)
		forget_relation(rt_fetch(member, query->rtable));
	read_from(query, source);
}

/* A rule's UPDATE or DELETE: columns of NEW are those of the row that there is. */
static void
name_relations(Query *query)
{
	Renaming renaming = {NULL, 0};
	Bitmapset *members = find_members((Node *) query->jointree, NULL);

	members = bms_add_member(members, query->resultRelation);
	if (bms_num_members(members) == list_length(query->rtable))
		return;
	renaming.members = members;
	(void) query_tree_walker(query, rename_walker, &renaming, 0);
}

/* Rows of constants, or those of one VALUES or SELECT: all that INSERT can say. */
static bool
is_plain(Query *query)
{
	List *from = query->jointree->fromlist;
	RangeTblEntry *rte;

	if (query->jointree->quals != NULL || list_length(from) > 1)
		return false;
	if (from == NIL)
		return true;
	if (!IsA(linitial(from), RangeTblRef))
		return false;
	rte = rt_fetch(linitial_node(RangeTblRef, from)->rtindex, query->rtable);
	return rte->rtekind == RTE_VALUES || rte->rtekind == RTE_SUBQUERY;
}

static Query *
make_source(Query *query, const Bitmapset *members)
{
	Query *source = makeNode(Query);
	Renaming renaming = {members, 0};
	int number = 0;
	ListCell *cell;

	source->commandType = CMD_SELECT;
	source->querySource = QSRC_ORIGINAL;
	source->canSetTag = true;
	source->rtable = copyObject(query->rtable);
	compat_copy_permissions(query, source);
	foreach (cell, source->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);

		/* The deparser leaves out of FROM what it takes for added by a rule. */
		if (bms_is_member(++number, members))
			rte->inFromCl = true;
		else
			forget_relation(rte);
	}
	source->jointree = query->jointree;
	source->hasSubLinks = query->hasSubLinks;
	source->hasRowSecurity = query->hasRowSecurity;
	number = 0;
	foreach (cell, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, cell);
		char *name = psprintf("c%d", ++number);

		source->targetList =
			lappend(source->targetList, makeTargetEntry(tle->expr, number, name, false));
	}
	(void) rename_walker((Node *) source->targetList, &renaming);
	(void) rename_walker((Node *) source->jointree, &renaming);
	return source;
}

/* A column of NEW that is that of the row as it was is still called NEW's. */
static bool
rename_walker(Node *node, void *context)
{
	Renaming *renaming = context;
	bool found;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;

		if (var->varlevelsup == renaming->depth && !bms_is_member(var->varnosyn, renaming->members))
		{
			var->varnosyn = var->varno;
			var->varattnosyn = var->varattno;
		}
		return false;
	}
	if (!IsA(node, Query))
		return expression_tree_walker(node, rename_walker, context);
	renaming->depth++;
	found = query_tree_walker((Query *) node, rename_walker, context, 0);
	renaming->depth--;
	return found;
}

/* Numbers of the relations that are joined, joins included. */
static Bitmapset *
find_members(Node *jointree, Bitmapset *members)
{
	ListCell *cell;

	if (IsA(jointree, RangeTblRef))
		return bms_add_member(members, ((RangeTblRef *) jointree)->rtindex);
	if (IsA(jointree, JoinExpr))
	{
		JoinExpr *join = (JoinExpr *) jointree;

		members = find_members(join->larg, find_members(join->rarg, members));
		return join->rtindex != 0 ? bms_add_member(members, join->rtindex) : members;
	}
	foreach (cell, castNode(FromExpr, jointree)->fromlist)
		members = find_members(lfirst(cell), members);
	return members;
}

/* What nobody names any more keeps its place only. */
static void
forget_relation(RangeTblEntry *rte)
{
	Alias *names = makeAlias("*RESULT*", NIL);

	memset((char *) rte + sizeof(NodeTag), 0, sizeof(RangeTblEntry) - sizeof(NodeTag));
	rte->rtekind = RTE_RESULT;
	rte->eref = names;
}

static void
read_from(Query *query, Query *source)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *reference = makeNode(RangeTblRef);
	ListCell *cell;
	int number = 0;

	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = source;
	rte->alias = makeAlias("pgcluster_source", NIL);
	rte->eref = makeAlias("pgcluster_source", NIL);
	rte->inFromCl = true;
	foreach (cell, source->targetList)
		rte->eref->colnames =
			lappend(rte->eref->colnames, makeString(lfirst_node(TargetEntry, cell)->resname));
	query->rtable = lappend(query->rtable, rte);
	reference->rtindex = list_length(query->rtable);
	query->jointree = makeFromExpr(list_make1(reference), NULL);
	foreach (cell, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, cell);

		tle->expr = (Expr *) makeVarFromTargetEntry(reference->rtindex,
													list_nth(source->targetList, number++));
	}
}
