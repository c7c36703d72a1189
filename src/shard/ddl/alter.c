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
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic_ext.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "shard/ddl/check.h"
#include "shard/ddl/concurrent.h"
#include "shard/ddl/objects.h"
#include "shard/ddl/partition.h"
#include "shard/ddl/roles.h"
#include "shard/ddl/shape.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shard_run.h"
#include "shard/ddl/utility.h"
#include "shard/metadata/catalog.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/planner.h"

/* Tables that change just now, and whose shards will follow. */
static List *changing = NIL;

bool
alter_follows(Oid relid)
{
	return list_member_oid(changing, relid);
}

/* Whether the user may change them is for the server to say; only owners get the lock before that. */
static List *
take_shapes(List *relids)
{
	List *shapes = NIL;
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
	return shapes;
}

void
alter_run(UtilityCall *call, List *relids)
{
	List *outer = changing;
	/* What the server looks at to check a constraint is the shell. */
	bool local = planner_read_local(true);

	changing = relids;
	PG_TRY();
	{
		utility_run(call);
	}
	PG_FINALLY();
	{
		changing = outer;
		planner_read_local(local);
	}
	PG_END_TRY();
}

/* Has the shards of all these follow that still are. */
static void
follow(List *shapes, ShapeChange change, List *usings)
{
	ListCell *lc;

	CommandCounterIncrement();
	foreach (lc, shapes)
	{
		TableRow row;

		/* Its distribution column may have another name by now. */
		if (catalog_read_table(shape_table(lfirst(lc)), &row))
			shape_follow(lfirst(lc), change, usings);
	}
}

/* The tables and their partitions, which the same command changes on the shards too. */
static List *
with_partitions(List *relids)
{
	List *all = list_copy(relids);
	ListCell *lc;

	foreach (lc, relids)
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_PARTITIONED_TABLE)
			all = list_concat_unique_oid(all, find_all_inheritors(lfirst_oid(lc), NoLock, NULL));
	}
	return all;
}

/* Runs the statement and has the shards of these tables follow. */
static bool
run_and_follow(UtilityCall *call, List *relids, ShapeChange change, List *usings)
{
	List *shapes = take_shapes(relids);

	alter_run(call, with_partitions(relids));
	follow(shapes, change, usings);
	return true;
}

/*
 * ALTER TABLE and ALTER INDEX
 */

/* What a subcommand means for the shards. */
typedef enum Concern
{
	CONCERNS_SHELL,	  /* nothing */
	CONCERNS_SHARDS,  /* they follow */
	CONCERNS_TYPES,	  /* they follow; what depends on a column is made anew */
	CONCERNS_TOO_MUCH /* it is refused */
} Concern;

static const struct
{
	AlterTableType type;
	Concern concern;
	const char
		*repeat; /* what the shape of a table does not tell: the subcommand itself; or why not */
} subcommands[] = {
	{AT_AddInherit, CONCERNS_TOO_MUCH, NO_INHERITANCE},
	{AT_DropInherit, CONCERNS_TOO_MUCH, NO_INHERITANCE},
	{AT_AddOf, CONCERNS_SHELL, NULL},
	{AT_DropOf, CONCERNS_SHELL, NULL},
	{AT_GenericOptions, CONCERNS_SHELL, NULL},
	{AT_AlterColumnGenericOptions, CONCERNS_SHELL, NULL},
	{AT_EnableRule, CONCERNS_SHELL, NULL},
	{AT_EnableAlwaysRule, CONCERNS_SHELL, NULL},
	{AT_EnableReplicaRule, CONCERNS_SHELL, NULL},
	{AT_DisableRule, CONCERNS_SHELL, NULL},
	{AT_DropOids, CONCERNS_SHELL, NULL},
	{AT_AddColumn, CONCERNS_SHARDS, NULL},
	{AT_DropColumn, CONCERNS_SHARDS, NULL},
	{AT_ColumnDefault, CONCERNS_SHARDS, NULL},
	{AT_SetIdentity, CONCERNS_SHARDS, NULL},
	{AT_AddIdentity, CONCERNS_SHARDS, NULL},
	{AT_DropIdentity, CONCERNS_SHARDS, NULL},
	{AT_DropExpression, CONCERNS_SHARDS, NULL},
	{AT_SetNotNull, CONCERNS_SHARDS, NULL},
	{AT_DropNotNull, CONCERNS_SHARDS, NULL},
	{AT_SetStatistics, CONCERNS_SHARDS, NULL},
	{AT_SetOptions, CONCERNS_SHARDS, NULL},
	{AT_ResetOptions, CONCERNS_SHARDS, NULL},
	{AT_SetStorage, CONCERNS_SHARDS, NULL},
	{AT_SetCompression, CONCERNS_SHARDS, NULL},
	{AT_AddConstraint, CONCERNS_SHARDS, NULL},
	{AT_AddIndexConstraint, CONCERNS_SHARDS, NULL},
	{AT_AlterConstraint, CONCERNS_SHARDS, NULL},
	{AT_DropConstraint, CONCERNS_SHARDS, NULL},
	{AT_ValidateConstraint, CONCERNS_SHARDS, NULL},
	{AT_ChangeOwner, CONCERNS_SHARDS, NULL},
	{AT_ClusterOn, CONCERNS_SHARDS, NULL},
	{AT_DropCluster, CONCERNS_SHARDS, NULL},
	{AT_SetLogged, CONCERNS_SHARDS, NULL},
	{AT_SetUnLogged, CONCERNS_SHARDS, NULL},
	{AT_SetAccessMethod, CONCERNS_SHARDS, NULL},
	{AT_SetTableSpace, CONCERNS_SHARDS, NULL},
	{AT_SetRelOptions, CONCERNS_SHARDS, NULL},
	{AT_ResetRelOptions, CONCERNS_SHARDS, NULL},
	{AT_ReplicaIdentity, CONCERNS_SHARDS, NULL},
	{AT_EnableTrig, CONCERNS_SHARDS, NULL},
	{AT_EnableAlwaysTrig, CONCERNS_SHARDS, NULL},
	{AT_EnableReplicaTrig, CONCERNS_SHARDS, NULL},
	{AT_DisableTrig, CONCERNS_SHARDS, NULL},
	{AT_EnableTrigUser, CONCERNS_SHARDS, NULL},
	{AT_DisableTrigUser, CONCERNS_SHARDS, NULL},
	{AT_EnableTrigAll, CONCERNS_SHARDS, " ENABLE TRIGGER ALL"},
	{AT_DisableTrigAll, CONCERNS_SHARDS, " DISABLE TRIGGER ALL"},
	{AT_EnableRowSecurity, CONCERNS_SHARDS, NULL},
	{AT_DisableRowSecurity, CONCERNS_SHARDS, NULL},
	{AT_ForceRowSecurity, CONCERNS_SHARDS, NULL},
	{AT_NoForceRowSecurity, CONCERNS_SHARDS, NULL},
	{AT_AlterColumnType, CONCERNS_TYPES, NULL},
};

/* Row of the subcommand; -1: not known how to repeat it. */
static int
find_subcommand(AlterTableCmd *cmd)
{
	for (size_t i = 0; i < lengthof(subcommands); i++)
	{
		if (subcommands[i].type == cmd->subtype)
			return i;
	}
	return -1;
}

static bool
add_function(Oid function, void *context)
{
	ObjectAddress *address = palloc(sizeof(*address));

	ObjectAddressSet(*address, ProcedureRelationId, function);
	*(List **) context = lappend(*(List **) context, address);
	return false;
}

static bool
add_functions(Node *node, void *context)
{
	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, add_function, context);
	return expression_tree_walker(node, add_functions, context);
}

/*
 * The expression of USING for the shards; it is kept nowhere.  What it calls
 * must be on the nodes.
 */
static ShapeUsing *
make_using(UtilityCall *call, Relation rel, TableKind kind, AlterTableCmd *cmd)
{
	ShapeUsing *using = palloc(sizeof(*using));
	ParseState *pstate = make_parsestate(NULL);
	List *functions = NIL;
	int level;
	Node *node;

	pstate->p_sourcetext = call->query_string;
	addNSItemToQuery(pstate,
					 addRangeTableEntryForRelation(pstate, rel, AccessShareLock, NULL, false, true),
					 false, true, true);
	node = transformExpr(pstate, copyObject(castNode(ColumnDef, cmd->def)->raw_default),
						 EXPR_KIND_ALTER_COL_TRANSFORM);
	assign_expr_collations(pstate, node);
	if (kind == TABLE_REFERENCE && contain_mutable_functions(node))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot change the type of column \"%s\" of reference table \"%s\"",
							   cmd->name, RelationGetRelationName(rel)),
						errdetail("USING may give something else on each copy.")));
	if (check_names_tableoid(node, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change the type of column \"%s\" of distributed table \"%s\"",
						cmd->name, RelationGetRelationName(rel)),
				 errdetail("USING uses tableoid, which is that of a shard where the rows are.")));
	(void) add_functions(node, &functions);
	objects_ensure(functions);
	using->column = get_attnum(RelationGetRelid(rel), cmd->name);
	level = shard_ddl_begin();
	using->expression = deparse_expression(
		node, deparse_context_for(RelationGetRelationName(rel), RelationGetRelid(rel)), false,
		false);
	shard_ddl_end(level);
	free_parsestate(pstate);
	return using;
}

static List *
make_usings(UtilityCall *call, const DistributedTable *table, List *cmds)
{
	Relation rel = relation_open(table->relid, AccessShareLock);
	List *usings = NIL;
	ListCell *lc;

	foreach (lc, cmds)
	{
		AlterTableCmd *cmd = castNode(AlterTableCmd, lfirst(lc));

		if (cmd->subtype == AT_AlterColumnType && user_owns_relation(table->relid) &&
			castNode(ColumnDef, cmd->def)->raw_default != NULL)
			usings = lappend(usings, make_using(call, rel, table->kind, cmd));
	}
	relation_close(rel, NoLock);
	return usings;
}

static void
repeat(const DistributedTable *table, List *repeats)
{
	Relation rel = relation_open(table->relid, NoLock);
	ShardRun *shard_run = shard_run_create();
	ListCell *lc;

	foreach (lc, repeats)
		shard_run_add_pieces(shard_run, rel, SHARD_RUN_SHELLS, "ALTER TABLE ", lfirst(lc), false);
	shard_run_finish(shard_run);
	relation_close(rel, NoLock);
}

/* Distributed tables that are declared OF the composite type. */
static List *
tables_of_type(RangeVar *name)
{
	Oid relid = RangeVarGetRelid(name, NoLock, true);
	Oid type = OidIsValid(relid) ? get_rel_type_id(relid) : InvalidOid;
	List *relids = NIL;
	ListCell *lc;

	foreach (lc, OidIsValid(type) ? metadata_tables() : NIL)
	{
		HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			continue;
		if (((Form_pg_class) GETSTRUCT(tuple))->reloftype == type)
			relids = lappend_oid(relids, lfirst_oid(lc));
		ReleaseSysCache(tuple);
	}
	return relids;
}

/* With CASCADE a change of the type changes the tables. */
static bool
alter_type(UtilityCall *call, AlterTableStmt *stmt)
{
	List *relids = tables_of_type(stmt->relation);
	ShapeChange change = SHAPE_PARTS;
	ListCell *lc;

	foreach (lc, stmt->cmds)
	{
		if (castNode(AlterTableCmd, lfirst(lc))->subtype == AT_AlterColumnType)
			change = SHAPE_TYPES;
	}
	return relids != NIL && run_and_follow(call, relids, change, NIL);
}

bool
alter_handle_table(UtilityCall *call)
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, call->pstmt->utilityStmt);
	const DistributedTable *table = utility_table(call, stmt->relation);
	List *repeats = NIL;
	bool shards = false;
	bool types = false;
	bool drops = false;
	ListCell *lc;

	if (stmt->objtype == OBJECT_TYPE)
		return alter_type(call, stmt);
	if (table == NULL)
		return refuse_alter_local_table(call);
	if (partition_handle_alter(call, table))
		return true;
	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = castNode(AlterTableCmd, lfirst(lc));
		int i = find_subcommand(cmd);

		if ((stmt->objtype != OBJECT_TABLE && stmt->objtype != OBJECT_INDEX) || i < 0)
			refuse_statement(call, table->relid);
		if (subcommands[i].concern == CONCERNS_TOO_MUCH)
			refuse_because(call, table->relid, subcommands[i].repeat);
		shards |= subcommands[i].concern == CONCERNS_SHARDS;
		types |= subcommands[i].concern == CONCERNS_TYPES;
		drops |= cmd->subtype == AT_DropConstraint;
		if (subcommands[i].repeat != NULL)
			repeats = lappend(repeats, unconstify(char *, subcommands[i].repeat));
	}
	if (drops && types)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot change types together with constraints of distributed "
							   "table \"%s\"",
							   stmt->relation->relname),
						errhint("Use one ALTER TABLE for the types and one for the rest.")));
	if (!shards && !types)
		return false;
	run_and_follow(call, list_make1_oid(table->relid), types ? SHAPE_TYPES : SHAPE_PARTS,
				   types ? make_usings(call, table, stmt->cmds) : NIL);
	if (repeats != NIL)
		repeat(table, repeats);
	return true;
}

bool
alter_handle_index(UtilityCall *call)
{
	IndexStmt *stmt = castNode(IndexStmt, call->pstmt->utilityStmt);
	const DistributedTable *table = utility_table(call, stmt->relation);

	if (table == NULL)
		return false;
	if (stmt->concurrent)
		return concurrent_create_index(call, table);
	return run_and_follow(call, list_make1_oid(table->relid), SHAPE_PARTS, NIL);
}

/*
 * Statements about one table
 */
bool
alter_handle_named(UtilityCall *call)
{
	List *relids = NIL;
	ListCell *lc;

	foreach (lc, utility_relations(call->pstmt->utilityStmt))
	{
		const DistributedTable *table = lfirst(lc) != NULL && IsA(lfirst(lc), RangeVar)
											? utility_table(call, lfirst(lc))
											: NULL;

		if (table != NULL)
			relids = list_append_unique_oid(relids, table->relid);
	}
	return relids != NIL && run_and_follow(call, relids, SHAPE_PARTS, NIL);
}

bool
alter_handle_rule(UtilityCall *call)
{
	RuleStmt *stmt = castNode(RuleStmt, call->pstmt->utilityStmt);
	const DistributedTable *table = utility_table(call, stmt->relation);

	/* Rules rewrite queries here, before they are planned. */
	if (table != NULL && stmt->event == CMD_SELECT)
		refuse_because(call, table->relid, "It would make a view of the table.");
	return false;
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
alter_handle_statistics(UtilityCall *call)
{
	const DistributedTable *table =
		table_of_statistics(castNode(AlterStatsStmt, call->pstmt->utilityStmt)->defnames);

	return table != NULL && run_and_follow(call, list_make1_oid(table->relid), SHAPE_PARTS, NIL);
}

bool
alter_handle_rename(UtilityCall *call)
{
	RenameStmt *stmt = castNode(RenameStmt, call->pstmt->utilityStmt);
	const DistributedTable *table = NULL;

	if (stmt->renameType == OBJECT_SCHEMA)
		return schema_handle_rename(call);
	if (stmt->renameType == OBJECT_ROLE)
		return roles_handle(call);
	if (stmt->renameType == OBJECT_ATTRIBUTE)
	{
		List *relids = tables_of_type(stmt->relation);

		return relids != NIL && run_and_follow(call, relids, SHAPE_RENAMES, NIL);
	}
	if (stmt->renameType == OBJECT_STATISTIC_EXT)
		table = table_of_statistics(castNode(List, stmt->object));
	else if (stmt->relation != NULL)
		table = utility_table(call, stmt->relation);
	return table != NULL && run_and_follow(call, list_make1_oid(table->relid), SHAPE_RENAMES, NIL);
}

bool
alter_handle_set_schema(UtilityCall *call)
{
	AlterObjectSchemaStmt *stmt = castNode(AlterObjectSchemaStmt, call->pstmt->utilityStmt);
	const DistributedTable *table =
		stmt->relation != NULL ? utility_table(call, stmt->relation) : NULL;

	return table != NULL && run_and_follow(call, list_make1_oid(table->relid), SHAPE_RENAMES, NIL);
}

/*
 * Drops, and what else concerns tables that the statement does not name
 */

/* ALTER ... ALL IN TABLESPACE: any table may be concerned. */
bool
alter_handle_all(UtilityCall *call)
{
	List *relids = metadata_tables();

	return relids != NIL && run_and_follow(call, relids, SHAPE_PARTS, NIL);
}

bool
alter_handle_drop(UtilityCall *call)
{
	DropStmt *stmt = castNode(DropStmt, call->pstmt->utilityStmt);
	ListCell *lc;

	/* Everything else is noticed when it is dropped. */
	if (stmt->removeType != OBJECT_INDEX || !stmt->concurrent)
		return false;
	foreach (lc, stmt->objects)
	{
		RangeVar *name = makeRangeVarFromNameList(castNode(List, lfirst(lc)));
		const DistributedTable *table = utility_table(call, name);

		if (table != NULL)
			return concurrent_drop_index(call, table, name);
	}
	return false;
}

void
alter_follow_drops(List *shapes)
{
	List *whole = NIL;
	List *partitions = NIL;
	int level = shard_run_quietly("warning");
	ListCell *lc;

	/* What goes from a partitioned table goes from its partitions with it. */
	foreach (lc, shapes)
	{
		if (get_rel_relispartition(shape_table(lfirst(lc))))
			partitions = lappend(partitions, lfirst(lc));
		else
			whole = lappend(whole, lfirst(lc));
	}
	follow(list_concat(whole, partitions), SHAPE_PARTS, NIL);
	AtEOXact_GUC(true, level);
}
