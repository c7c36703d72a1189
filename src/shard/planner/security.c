/*-------------------------------------------------------------------------
 * security.c
 *	  Row-level security of distributed tables.
 *
 * The server has put the policies that apply to the user into the query
 * before it is planned.  The shards of a hash distributed table have the same
 * policies, and whoever connects there is the same user: so they are taken out
 * again, and the query is planned as for a table without them.  Those of
 * reference and local tables, whose rows are read here, stay.
 *
 * What must stay true: a view's conditions, which the server keeps behind the
 * policies in the same list, are not taken out; and where the policies of
 * another role hold, that of the owner of a view, they are applied here, as the
 * shards know of the user only: to rows that are fetched as one who sees all.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/rowsecurity.h"
#include "utils/lsyscache.h"
#include "utils/acl.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/security.h"

/* The relation's conditions that are those of policies: how many, and is there any, or a check? */
static bool
policies(Query *query, RangeTblEntry *rte, int rti, int *nquals)
{
	List *quals = NIL;
	List *checks = NIL;
	bool security = false;
	bool sublinks = false;

	get_row_security_policies(query, rte, rti, &quals, &checks, &security, &sublinks);
	*nquals = list_length(quals);
	return quals != NIL || checks != NIL;
}

bool
security_is_of_another(Query *query, RangeTblEntry *rte)
{
	Oid role = compat_check_as_user(query, rte);

	return OidIsValid(role) && role != GetUserId() &&
		   (check_enable_rls(rte->relid, role, true) == RLS_ENABLED ||
			check_enable_rls(rte->relid, InvalidOid, true) == RLS_ENABLED);
}

Oid
security_reader(Oid relid, bool *trusted)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	form = (Form_pg_class) GETSTRUCT(tuple);
	owner = form->relowner;
	*trusted = !form->relforcerowsecurity || superuser_arg(owner) || has_bypassrls_privilege(owner);
	ReleaseSysCache(tuple);
	return *trusted ? owner : BOOTSTRAP_SUPERUSERID;
}

/* Such a table's rows are written as the user, whose policies may be others. */
static void
refuse_write(RangeTblEntry *rte)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("row-level security of distributed table \"%s\" cannot be applied for the "
					"owner of a view",
					get_rel_name(rte->relid)),
			 errdetail("Its shards apply the policies of user \"%s\" to what is written.",
					   GetUserNameFromId(GetUserId(), false)),
			 errhint("Use a view with security_invoker, or query the table.")));
}

static List *
without_policy_checks(List *checks)
{
	List *kept = NIL;
	ListCell *cell;

	foreach (cell, checks)
	{
		if (lfirst_node(WithCheckOption, cell)->kind == WCO_VIEW_CHECK)
			kept = lappend(kept, lfirst(cell));
	}
	return kept;
}

/* Does a policy still apply to anything in the node? */
static bool
leave_walker(Node *node, void *context)
{
	bool *remain = context;
	Query *query = (Query *) node;
	bool here = false;
	int rti = 0;
	ListCell *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, leave_walker, context);
	foreach (cell, query->hasRowSecurity ? query->rtable : NIL)
	{
		RangeTblEntry *rte = lfirst(cell);
		const DistributedTable *table;
		int nquals;

		rti++;
		if (rte->rtekind != RTE_RELATION || rte->relkind == RELKIND_VIEW)
			continue;
		table = metadata_table(rte->relid);
		if (table == NULL || table->kind != TABLE_HASH)
		{
			here |= policies(query, rte, rti, &nquals);
			continue;
		}
		if (security_is_of_another(query, rte))
		{
			if (rti == query->resultRelation)
				refuse_write(rte);
			here = true;
			continue;
		}
		(void) policies(query, rte, rti, &nquals);
		rte->securityQuals = list_copy_tail(rte->securityQuals, nquals);
		if (rti == query->resultRelation)
			query->withCheckOptions = without_policy_checks(query->withCheckOptions);
	}
	(void) query_tree_walker(query, leave_walker, &here, QTW_IGNORE_JOINALIASES);
	query->hasRowSecurity = query->hasRowSecurity && here;
	*remain |= here;
	return false;
}

void
security_leave_to_shards(Query *query)
{
	bool remain = false;

	(void) leave_walker((Node *) query, &remain);
}
