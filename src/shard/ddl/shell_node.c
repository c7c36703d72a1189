/*-------------------------------------------------------------------------
 * shell_node.c
 *	  Shells where they are: on a worker group.
 *
 * The coordinator makes them and says where their rows are; nobody else is to
 * change them, as they would differ from the tables they stand for.  Its
 * sessions are known by their name, which keeps mistakes out, not malice: who
 * owns a table can do as much harm in other ways.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "shard/ddl/shell_node.h"
#include "shard/metadata/catalog.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/refusal.h"

PGCLUSTER_FUNCTION(pgcluster_make_shell);
PGCLUSTER_FUNCTION(pgcluster_no_default);

static int
elements(FunctionCallInfo fcinfo, int argument, Oid type, int16 length, char align, Datum **values)
{
	int n;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), type, length, true, align, values, NULL, &n);
	return n;
}

static void
read_shards(FunctionCallInfo fcinfo, ShellRow *row)
{
	Datum *ids;
	Datum *maxima;
	Datum *groups;
	bool ordered = true;

	row->nshards = elements(fcinfo, 4, INT8OID, sizeof(int64), TYPALIGN_DOUBLE, &ids);
	if (row->nshards < 1 || row->nshards > MAX_SHARD_COUNT ||
		elements(fcinfo, 5, INT4OID, sizeof(int32), TYPALIGN_INT, &maxima) != row->nshards ||
		elements(fcinfo, 6, INT4OID, sizeof(int32), TYPALIGN_INT, &groups) != row->nshards)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("there must be as many shards as ranges and groups")));
	row->shards = palloc0(row->nshards * sizeof(Shard));
	for (int i = 0; i < row->nshards; i++)
	{
		row->shards[i].id = DatumGetInt64(ids[i]);
		row->shards[i].hash_max = DatumGetInt32(maxima[i]);
		row->shards[i].group_id = DatumGetInt32(groups[i]);
		ordered &= i == 0 || row->shards[i].hash_max > row->shards[i - 1].hash_max;
	}
	if (!ordered || row->shards[row->nshards - 1].hash_max != PG_INT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the ranges of shards must ascend to the greatest hash")));
}

static bool
may_be_key(Oid relid, AttrNumber column)
{
	return column > 0 &&
		   OidIsValid(
			   lookup_type_cache(get_atttype(relid, column), TYPECACHE_HASH_PROC)->hash_proc);
}

/*
 * make_shell(relation regclass, kind "char", distribution_column name,
 * colocation_id integer, shard_ids bigint[], hash_maxima integer[], group_ids
 * integer[]): what was said of the table before is forgotten.
 */
Datum
pgcluster_make_shell(PG_FUNCTION_ARGS)
{
	ShellRow row = {0};
	char relkind;

	PreventCommandIfReadOnly("make_shell()");
	for (int i = 0; i < PG_NARGS(); i++)
	{
		if (PG_ARGISNULL(i) && i != 2)
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("only the distribution column may be null")));
	}
	row.relid = PG_GETARG_OID(0);
	row.kind = (TableKind) PG_GETARG_CHAR(1);
	row.colocation_id = PG_GETARG_INT32(3);
	relkind = get_rel_relkind(row.relid);
	if (relkind == '\0')
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", row.relid)));
	if (!user_owns_relation(row.relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(relkind), get_rel_name(row.relid));
	if (row.kind == TABLE_HASH && !PG_ARGISNULL(2))
		row.key = get_attnum(row.relid, NameStr(*PG_GETARG_NAME(2)));
	if (row.colocation_id < 1 || (row.kind == TABLE_HASH && !may_be_key(row.relid, row.key)) ||
		(row.kind != TABLE_HASH && row.kind != TABLE_REFERENCE) ||
		(relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE) ||
		metadata_table(row.relid) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("table \"%s\" cannot be a shell of this kind", get_rel_name(row.relid))));
	read_shards(fcinfo, &row);
	catalog_delete_shell(row.relid);
	catalog_insert_shell(&row);
	PG_RETURN_VOID();
}

/* no_default(type anyelement, column_name text) returns anyelement */
Datum
pgcluster_no_default(PG_FUNCTION_ARGS)
{
	ereport(ERROR, (refusal_code(),
					errmsg("the default of column %s cannot be computed on a worker group",
						   PG_ARGISNULL(1) ? "?" : text_to_cstring(PG_GETARG_TEXT_PP(1))),
					errdetail("It needs something that only the coordinator has."),
					errhint("Give the column a value, for example an argument of the function: "
							"that is evaluated on the coordinator.")));
	PG_RETURN_NULL();
}

static bool
is_coordinators(bool direct)
{
	return direct && refusal_is_for_coordinator();
}

bool
shell_session_is_coordinators(void)
{
	return is_coordinators(true);
}

static const DistributedTable *
find_shell(RangeVar *name)
{
	Oid relid = name != NULL ? RangeVarGetRelid(name, NoLock, true) : InvalidOid;

	return OidIsValid(relid) ? metadata_shell(relid) : NULL;
}

static void
refuse_relations(List *relations, const char *what)
{
	ListCell *lc;

	foreach (lc, relations)
	{
		RangeVar *name = lfirst(lc);

		if (find_shell(name) != NULL)
			ereport(ERROR, (refusal_code(),
							errmsg("cannot use %s with distributed table \"%s\" on a worker group",
								   what, name->relname),
							errhint("Run this on the coordinator.")));
	}
}

/* The table that a statement gives a part, of which the server tells too late. */
static RangeVar *
changed_relation(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			return ((AlterTableStmt *) stmt)->relation;
		case T_IndexStmt:
			return ((IndexStmt *) stmt)->relation;
		case T_CreateTrigStmt:
			return ((CreateTrigStmt *) stmt)->relation;
		case T_CreatePolicyStmt:
			return ((CreatePolicyStmt *) stmt)->table;
		case T_RuleStmt:
			return ((RuleStmt *) stmt)->relation;
		case T_RenameStmt:
			return ((RenameStmt *) stmt)->relation;
		default:
			return NULL;
	}
}

void
shell_check_statement(Node *stmt, bool direct)
{
	const DistributedTable *changed = find_shell(changed_relation(stmt));

	if (changed != NULL)
		shell_check_change(changed->relid, direct);
	if (IsA(stmt, CopyStmt))
		refuse_relations(list_make1(((CopyStmt *) stmt)->relation), "COPY");
	else if (IsA(stmt, TruncateStmt))
		refuse_relations(((TruncateStmt *) stmt)->relations, "TRUNCATE");
	else if (IsA(stmt, LockStmt) && !is_coordinators(direct))
		refuse_relations(((LockStmt *) stmt)->relations, "LOCK");
}

void
shell_check_change(Oid relid, bool direct)
{
	if (metadata_shell(relid) == NULL || is_coordinators(direct))
		return;
	ereport(ERROR, (refusal_code(),
					errmsg("cannot change distributed table \"%s\" on a worker group",
						   get_rel_name(relid)),
					errhint("Run this on the coordinator.")));
}

void
shell_forget(Oid relid)
{
	if (metadata_shell(relid) != NULL)
		catalog_delete_shell(relid);
}
