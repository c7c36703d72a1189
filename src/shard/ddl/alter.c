/*-------------------------------------------------------------------------
 * alter.c
 *	  Commands that change a distributed table, on shell and shards.
 *
 * Each handler says whether the statement is one that shape.c can repeat on
 * the shards; if so the server carries it out on the shell and the shards
 * follow, else it is refused.  The table is locked beforehand against other
 * changes, so that what shape.c sees is the work of this statement alone.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic_ext.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "shard/ddl/roles.h"
#include "shard/ddl/shape.h"
#include "shard/ddl/utility.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/planner.h"

/* Tables whose columns may be dropped just now. */
static List *changing = NIL;

bool
alter_allows_drop(Oid relid)
{
	return list_member_oid(changing, relid);
}

/*
 * Runs the statement and has the shards of these tables follow.  Whether the
 * user may change them is for the server to say; only owners get the lock
 * before that.
 */
static bool
run_and_follow(UtilityCall *call, List *relids, bool by_name)
{
	List *outer = changing;
	List *volatile shapes = NIL;
	volatile bool local = false;
	ListCell *lc;

	list_sort(relids, list_oid_cmp);
	foreach (lc, relids)
	{
		if (user_owns_relation(lfirst_oid(lc)))
			LockRelationOid(lfirst_oid(lc), ShareUpdateExclusiveLock);
		if (metadata_table(lfirst_oid(lc)) == NULL)
			ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
							errmsg("a table was undistributed or dropped at the same time"),
							errhint("Run the statement again.")));
		shapes = lappend(shapes, shape_take(lfirst_oid(lc)));
	}
	PG_TRY();
	{
		/* What the server looks at to check a constraint is the shell. */
		local = planner_read_local(true);
		changing = relids;
		utility_run(call);
	}
	PG_FINALLY();
	{
		changing = outer;
		planner_read_local(local);
	}
	PG_END_TRY();
	foreach (lc, shapes)
		shape_follow(lfirst(lc), by_name);
	return true;
}

/* What a subcommand of ALTER TABLE means for the shards. */
typedef enum Concern
{
	CONCERNS_SHELL,	 /* nothing */
	CONCERNS_SHARDS, /* they follow */
	CONCERNS_TYPES	 /* they follow; what depends on a column is made anew */
} Concern;

static const struct
{
	AlterTableType type;
	Concern concern;
} subcommands[] = {
	{AT_ColumnDefault, CONCERNS_SHELL},	  {AT_SetStatistics, CONCERNS_SHELL},
	{AT_SetIdentity, CONCERNS_SHELL},	  {AT_DropIdentity, CONCERNS_SHELL},
	{AT_SetTableSpace, CONCERNS_SHELL},	  {AT_AddColumn, CONCERNS_SHARDS},
	{AT_DropColumn, CONCERNS_SHARDS},	  {AT_AddConstraint, CONCERNS_SHARDS},
	{AT_DropConstraint, CONCERNS_SHARDS}, {AT_ValidateConstraint, CONCERNS_SHARDS},
	{AT_SetNotNull, CONCERNS_SHARDS},	  {AT_DropNotNull, CONCERNS_SHARDS},
	{AT_ChangeOwner, CONCERNS_SHARDS},	  {AT_AlterColumnType, CONCERNS_TYPES},
};

/* False: not known how to repeat it. */
static bool
find_concern(AlterTableCmd *cmd, Concern *concern)
{
	/* The expression of USING is not kept anywhere. */
	if (cmd->subtype == AT_AlterColumnType && castNode(ColumnDef, cmd->def)->raw_default != NULL)
		return false;
	for (size_t i = 0; i < lengthof(subcommands); i++)
	{
		if (subcommands[i].type == cmd->subtype)
		{
			*concern = subcommands[i].concern;
			return true;
		}
	}
	return false;
}

bool
alter_handle_table(UtilityCall *call)
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, call->pstmt->utilityStmt);
	const DistributedTable *table = utility_table(call, stmt->relation);
	bool shards = false;
	bool types = false;
	ListCell *lc;

	if (table == NULL)
		return refuse_alter_local_table(call);
	foreach (lc, stmt->cmds)
	{
		Concern concern;

		if (stmt->objtype != OBJECT_TABLE ||
			!find_concern(castNode(AlterTableCmd, lfirst(lc)), &concern))
			refuse_statement(call, table->relid);
		shards |= concern == CONCERNS_SHARDS;
		types |= concern == CONCERNS_TYPES;
	}
	if (shards && types)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot change types together with other changes of distributed "
							   "table \"%s\"",
							   stmt->relation->relname),
						errhint("Use one ALTER TABLE for the types and one for the rest.")));
	return (shards || types) && run_and_follow(call, list_make1_oid(table->relid), types);
}

bool
alter_handle_index(UtilityCall *call)
{
	IndexStmt *stmt = castNode(IndexStmt, call->pstmt->utilityStmt);
	const DistributedTable *table = utility_table(call, stmt->relation);

	if (table == NULL)
		return false;
	if (stmt->concurrent)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("indexes of distributed tables cannot be created concurrently"),
						errhint("Use CREATE INDEX without CONCURRENTLY.")));
	return run_and_follow(call, list_make1_oid(table->relid), false);
}

bool
alter_handle_statistics(UtilityCall *call)
{
	CreateStatsStmt *stmt = castNode(CreateStatsStmt, call->pstmt->utilityStmt);
	List *relids = NIL;
	ListCell *lc;

	foreach (lc, stmt->relations)
	{
		const DistributedTable *table =
			IsA(lfirst(lc), RangeVar) ? utility_table(call, lfirst(lc)) : NULL;

		if (table != NULL)
			relids = list_append_unique_oid(relids, table->relid);
	}
	return relids != NIL && run_and_follow(call, relids, false);
}

/* The distributed table that an extended statistics object is about. */
static const DistributedTable *
table_of_statistics(List *name)
{
	Oid id = get_statistics_object_oid(name, true);
	HeapTuple tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(id));
	Oid relid;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	relid = ((Form_pg_statistic_ext) GETSTRUCT(tuple))->stxrelid;
	ReleaseSysCache(tuple);
	return metadata_table(relid);
}

bool
alter_handle_drop(UtilityCall *call)
{
	DropStmt *stmt = castNode(DropStmt, call->pstmt->utilityStmt);
	bool statistics = stmt->removeType == OBJECT_STATISTIC_EXT;
	List *relids = NIL;
	ListCell *lc;

	if (stmt->removeType != OBJECT_INDEX && !statistics)
		return refuse_drop(call);
	foreach (lc, stmt->objects)
	{
		List *name = castNode(List, lfirst(lc));
		const DistributedTable *table = statistics
											? table_of_statistics(name)
											: utility_table(call, makeRangeVarFromNameList(name));

		if (table != NULL)
			relids = list_append_unique_oid(relids, table->relid);
	}
	if (relids == NIL)
		return false;
	if (stmt->concurrent)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("indexes of distributed tables cannot be dropped concurrently"),
						errhint("Use DROP INDEX without CONCURRENTLY.")));
	return run_and_follow(call, relids, false);
}

bool
alter_handle_rename(UtilityCall *call)
{
	RenameStmt *stmt = castNode(RenameStmt, call->pstmt->utilityStmt);
	const DistributedTable *table = NULL;

	if (stmt->renameType == OBJECT_SCHEMA)
		return refuse_schema_rename(call);
	if (stmt->renameType == OBJECT_ROLE)
		return roles_handle(call);
	if (stmt->renameType == OBJECT_STATISTIC_EXT)
		table = table_of_statistics(castNode(List, stmt->object));
	else if (stmt->relation != NULL)
		table = utility_table(call, stmt->relation);
	return table != NULL && run_and_follow(call, list_make1_oid(table->relid), false);
}
