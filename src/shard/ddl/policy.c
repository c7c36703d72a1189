/*-------------------------------------------------------------------------
 * policy.c
 *	  Row-level security policies of distributed tables.
 *
 * Policies are applied where the rows are, on the shards, under the role of
 * the session.  A policy may read other tables when every node has their
 * rows: reference tables.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "shard/ddl/check.h"
#include "shard/ddl/policy.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/template.h"

static const struct
{
	char command; /* pg_policy.polcmd */
	const char *name;
} commands[] = {{'*', "ALL"},
				{ACL_SELECT_CHR, "SELECT"},
				{ACL_INSERT_CHR, "INSERT"},
				{ACL_UPDATE_CHR, "UPDATE"},
				{ACL_DELETE_CHR, "DELETE"}};

/* Calls "visit" for each policy of the table, or for one of them. */
static void
scan(Relation rel, void (*visit)(HeapTuple tuple, TupleDesc desc, void *arg), void *arg)
{
	Relation catalog = table_open(PolicyRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc found;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_policy_polrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationGetRelid(rel)));
	found = systable_beginscan(catalog, PolicyPolrelidPolnameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(found)))
		visit(tuple, RelationGetDescr(catalog), arg);
	systable_endscan(found);
	table_close(catalog, AccessShareLock);
}

static void
add_name(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Form_pg_policy form = (Form_pg_policy) GETSTRUCT(tuple);
	PolicyName *policy = palloc(sizeof(*policy));

	policy->id = form->oid;
	policy->name = pstrdup(NameStr(form->polname));
	*(List **) arg = lappend(*(List **) arg, policy);
}

List *
policy_list(Relation rel)
{
	List *policies = NIL;

	scan(rel, add_name, &policies);
	return policies;
}

/* The expression in a column of pg_policy, NULL if there is none. */
static Node *
expression(HeapTuple tuple, TupleDesc desc, AttrNumber attnum)
{
	bool isnull;
	Datum value = heap_getattr(tuple, attnum, desc, &isnull);

	return isnull ? NULL : stringToNode(TextDatumGetCString(value));
}

/* Finds a table that is not on every node. */
static bool
reads_elsewhere(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		ListCell *lc;

		foreach (lc, ((Query *) node)->rtable)
		{
			RangeTblEntry *rte = lfirst(lc);
			const DistributedTable *table =
				rte->rtekind == RTE_RELATION ? metadata_table(rte->relid) : NULL;

			if (rte->rtekind != RTE_RELATION || (table != NULL && table->kind == TABLE_REFERENCE))
				continue;
			*(Oid *) context = rte->relid;
			return true;
		}
		return query_tree_walker((Query *) node, reads_elsewhere, context, 0);
	}
	return expression_tree_walker(node, reads_elsewhere, context);
}

static void
check(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Relation rel = arg;
	Node *using = expression(tuple, desc, Anum_pg_policy_polqual);
	Node *check = expression(tuple, desc, Anum_pg_policy_polwithcheck);
	Oid other = InvalidOid;

	if (check_names_tableoid(using, NULL) || check_names_tableoid(check, NULL))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot keep policy \"%s\" on distributed table \"%s\"",
							   NameStr(((Form_pg_policy) GETSTRUCT(tuple))->polname),
							   RelationGetRelationName(rel)),
						errdetail("It uses tableoid, which is that of a shard where the rows are."),
						errhint("Leave tableoid out of it.")));
	if (!reads_elsewhere(using, &other) && !reads_elsewhere(check, &other))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot keep policy \"%s\" on distributed table \"%s\"",
					NameStr(((Form_pg_policy) GETSTRUCT(tuple))->polname),
					RelationGetRelationName(rel)),
			 errdetail("It reads \"%s\", which is not a reference table.", get_rel_name(other)),
			 errhint("Policies are applied on the worker groups: make it a reference table.")));
}

void
policy_check(Relation rel)
{
	scan(rel, check, rel);
}

/* " TO a, b" */
static void
append_roles(StringInfo sql, HeapTuple tuple, TupleDesc desc)
{
	bool isnull;
	ArrayType *array =
		DatumGetArrayTypePCopy(heap_getattr(tuple, Anum_pg_policy_polroles, desc, &isnull));
	Oid *roles = (Oid *) ARR_DATA_PTR(array);

	for (int i = 0; i < ARR_DIMS(array)[0]; i++)
		appendStringInfo(sql, "%s%s", i == 0 ? " TO " : ", ",
						 roles[i] == ACL_ID_PUBLIC
							 ? "PUBLIC"
							 : quote_identifier(GetUserNameFromId(roles[i], false)));
}

static void
append_expression(StringInfo sql, const char *keyword, Node *node, Relation rel, int64 shard_id)
{
	List *pieces;
	List *schemas;

	if (node == NULL)
		return;
	template_make_expression(node, RelationGetRelid(rel), &pieces, &schemas);
	appendStringInfo(sql, " %s (%s)", keyword, template_fill(pieces, schemas, shard_id));
}

typedef struct Making
{
	Relation rel;
	Oid policy;
	int64 shard_id;
	char *command;
} Making;

static void
make(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Making *making = arg;
	Form_pg_policy form = (Form_pg_policy) GETSTRUCT(tuple);
	const char *command = NULL;
	StringInfoData sql;

	if (form->oid != making->policy)
		return;
	for (size_t i = 0; i < lengthof(commands); i++)
	{
		if (commands[i].command == form->polcmd)
			command = commands[i].name;
	}
	if (command == NULL)
		elog(ERROR, "policy \"%s\" is for an unknown command", NameStr(form->polname));
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE POLICY %s ON %s AS %s FOR %s",
					 quote_identifier(NameStr(form->polname)),
					 shard_ddl_name(making->rel, making->shard_id),
					 form->polpermissive ? "PERMISSIVE" : "RESTRICTIVE", command);
	append_roles(&sql, tuple, desc);
	append_expression(&sql, "USING", expression(tuple, desc, Anum_pg_policy_polqual), making->rel,
					  making->shard_id);
	append_expression(&sql, "WITH CHECK", expression(tuple, desc, Anum_pg_policy_polwithcheck),
					  making->rel, making->shard_id);
	making->command = sql.data;
}

char *
policy_command(Relation rel, Oid policy, int64 shard_id)
{
	Making making = {.rel = rel, .policy = policy, .shard_id = shard_id};

	scan(rel, make, &making);
	if (making.command == NULL)
		elog(ERROR, "policy %u of table \"%s\" does not exist", policy,
			 RelationGetRelationName(rel));
	return making.command;
}
