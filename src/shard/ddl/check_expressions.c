/*-------------------------------------------------------------------------
 * check_expressions.c
 *	  Refuses expressions of a table that mean something else on its shards.
 *
 * A shard is another table, with another Oid: who compares tableoid with the
 * Oid of the table, or stores it, would get something else there.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/tupdesc.h"
#include "nodes/nodeFuncs.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"

#include "shard/ddl/check.h"

bool
check_names_tableoid(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varattno == TableOidAttributeNumber;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, check_names_tableoid, context, 0);
	return expression_tree_walker(node, check_names_tableoid, context);
}

/* "what": "constraint", and its name. */
static void
check_expression(Relation rel, const char *text, const char *what, const char *name)
{
	if (text == NULL || !check_names_tableoid(stringToNode(text), NULL))
		return;
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot keep %s \"%s\" on distributed table \"%s\"", what, name,
						   RelationGetRelationName(rel)),
					errdetail("It uses tableoid, which is that of a shard where the rows are."),
					errhint("Leave tableoid out of it.")));
}

void
check_expressions(Relation rel)
{
	TupleDesc desc = RelationGetDescr(rel);
	TupleConstr *constr = desc->constr;
	TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; constr != NULL && i < constr->num_check; i++)
		check_expression(rel, constr->check[i].ccbin, "constraint", constr->check[i].ccname);
	for (int i = 0; constr != NULL && i < constr->num_defval; i++)
		check_expression(rel, constr->defval[i].adbin, "generated column",
						 NameStr(TupleDescAttr(desc, constr->defval[i].adnum - 1)->attname));
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		check_expression(rel, triggers->triggers[i].tgqual, "trigger",
						 triggers->triggers[i].tgname);
}
