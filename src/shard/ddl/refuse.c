/*-------------------------------------------------------------------------
 * refuse.c
 *	  Refuses commands that would leave a shell and its shards different.
 *
 * Each handler finds the distributed tables that its statement names.  What
 * can be repeated on the shards is alter.c's.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"

#include "shard/ddl/utility.h"
#include "shard/metadata/metadata.h"

void
refuse_statement(UtilityCall *call, Oid relid)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("%s is not supported for distributed table \"%s\"",
						   CreateCommandName(call->pstmt->utilityStmt), get_rel_name(relid)),
					errhint("Use undistribute_table, change the table, and distribute it again.")));
}

static void
refuse_if_distributed(UtilityCall *call, RangeVar *name)
{
	const DistributedTable *table = name != NULL ? utility_table(call, name) : NULL;

	if (table != NULL)
		refuse_statement(call, table->relid);
}

static List *
publication_tables(List *objects)
{
	List *names = NIL;
	ListCell *lc;

	foreach (lc, objects)
	{
		PublicationObjSpec *object = lfirst(lc);

		if (object->pubtable != NULL)
			names = lappend(names, object->pubtable->relation);
	}
	return names;
}

/* The relations that a statement is about. */
static List *
named_relations(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterObjectSchemaStmt:
			return list_make1(((AlterObjectSchemaStmt *) stmt)->relation);
		case T_AlterPolicyStmt:
			return list_make1(((AlterPolicyStmt *) stmt)->table);
		case T_ClusterStmt:
			return list_make1(((ClusterStmt *) stmt)->relation);
		case T_CreatePolicyStmt:
			return list_make1(((CreatePolicyStmt *) stmt)->table);
		case T_CreatePublicationStmt:
			return publication_tables(((CreatePublicationStmt *) stmt)->pubobjects);
		case T_AlterPublicationStmt:
			return publication_tables(((AlterPublicationStmt *) stmt)->pubobjects);
		case T_CreateTrigStmt:
			return list_make2(((CreateTrigStmt *) stmt)->relation,
							  ((CreateTrigStmt *) stmt)->constrrel);
		case T_ReindexStmt:
			return list_make1(((ReindexStmt *) stmt)->relation);
		case T_RuleStmt:
			return list_make1(((RuleStmt *) stmt)->relation);
		default:
			return NIL;
	}
}

bool
refuse_named(UtilityCall *call)
{
	ListCell *lc;

	foreach (lc, named_relations(call->pstmt->utilityStmt))
	{
		Node *node = lfirst(lc);

		if (node != NULL && IsA(node, RangeVar))
			refuse_if_distributed(call, (RangeVar *) node);
	}
	return false;
}

/* The hash table that a foreign key points at, NULL if none. */
static const DistributedTable *
hash_target(UtilityCall *call, Constraint *constraint)
{
	const DistributedTable *target;

	if (constraint->contype != CONSTR_FOREIGN || constraint->pktable == NULL)
		return NULL;
	target = utility_table(call, constraint->pktable);
	return target != NULL && target->kind == TABLE_HASH ? target : NULL;
}

/*
 * A foreign key of a local table may point at a reference table, whose rows
 * are here, but not at a hash table.
 */
static void
refuse_foreign_key(UtilityCall *call, Constraint *constraint)
{
	const DistributedTable *target = hash_target(call, constraint);

	if (target != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a local table cannot have a foreign key to distributed table \"%s\"",
						get_rel_name(target->relid)),
				 errhint("Undistribute \"%s\", create the foreign key, and distribute both tables, "
						 "or make it a reference table.",
						 get_rel_name(target->relid))));
}

/*
 * That of a new table may: it finds no row in the shell, so the table stays
 * empty until it is distributed too.
 */
static void
mention_foreign_key(UtilityCall *call, Constraint *constraint)
{
	const DistributedTable *target = hash_target(call, constraint);

	if (target != NULL)
		ereport(NOTICE, (errmsg("the new table takes no rows that point at \"%s\" before it is "
								"distributed too",
								get_rel_name(target->relid))));
}

static void
mention_column_constraints(UtilityCall *call, ColumnDef *column)
{
	ListCell *lc;

	foreach (lc, column->constraints)
		mention_foreign_key(call, castNode(Constraint, lfirst(lc)));
}

static void
refuse_column_constraints(UtilityCall *call, ColumnDef *column)
{
	ListCell *lc;

	foreach (lc, column->constraints)
		refuse_foreign_key(call, castNode(Constraint, lfirst(lc)));
}

bool
refuse_create_table(UtilityCall *call)
{
	Node *node = call->pstmt->utilityStmt;
	CreateStmt *stmt = IsA(node, CreateForeignTableStmt) ? &((CreateForeignTableStmt *) node)->base
														 : (CreateStmt *) node;
	ListCell *lc;

	foreach (lc, stmt->inhRelations)
		refuse_if_distributed(call, lfirst(lc));
	foreach (lc, stmt->tableElts)
	{
		if (IsA(lfirst(lc), Constraint))
			mention_foreign_key(call, lfirst(lc));
		else if (IsA(lfirst(lc), ColumnDef))
			mention_column_constraints(call, lfirst(lc));
	}
	foreach (lc, stmt->constraints)
		mention_foreign_key(call, castNode(Constraint, lfirst(lc)));
	return false;
}

/* What a subcommand on a local table says of others. */
static void
refuse_subcommand(UtilityCall *call, AlterTableCmd *cmd)
{
	if (cmd->def == NULL)
		return;
	if (IsA(cmd->def, Constraint))
		refuse_foreign_key(call, (Constraint *) cmd->def);
	else if (IsA(cmd->def, ColumnDef))
		refuse_column_constraints(call, (ColumnDef *) cmd->def);
	else if (IsA(cmd->def, RangeVar))
		refuse_if_distributed(call, (RangeVar *) cmd->def);
	else if (IsA(cmd->def, PartitionCmd))
		refuse_if_distributed(call, ((PartitionCmd *) cmd->def)->name);
}

bool
refuse_alter_local_table(UtilityCall *call)
{
	ListCell *lc;

	/* Part of CREATE TABLE, which was looked at. */
	if (call->context == PROCESS_UTILITY_SUBCOMMAND)
		return false;
	foreach (lc, castNode(AlterTableStmt, call->pstmt->utilityStmt)->cmds)
		refuse_subcommand(call, castNode(AlterTableCmd, lfirst(lc)));
	return false;
}

/* Objects that are named by their table and a name of their own. */
static bool
belongs_to_table(ObjectType type)
{
	return type == OBJECT_TRIGGER || type == OBJECT_RULE || type == OBJECT_POLICY;
}

bool
refuse_drop(UtilityCall *call)
{
	DropStmt *stmt = castNode(DropStmt, call->pstmt->utilityStmt);
	ListCell *lc;

	if (!belongs_to_table(stmt->removeType))
		return false;
	foreach (lc, stmt->objects)
	{
		List *name = list_copy(castNode(List, lfirst(lc)));

		name = list_truncate(name, list_length(name) - 1);
		if (name != NIL)
			refuse_if_distributed(call, makeRangeVarFromNameList(name));
	}
	return false;
}

/* The schemas of the shards are named after the schema. */
bool
refuse_schema_rename(UtilityCall *call)
{
	const char *schema = castNode(RenameStmt, call->pstmt->utilityStmt)->subname;
	Oid oid = get_namespace_oid(schema, true);
	ListCell *lc;

	foreach (lc, metadata_tables())
	{
		if (get_rel_namespace(lfirst_oid(lc)) == oid)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot rename schema \"%s\"", schema),
					 errdetail("Table \"%s\" in it is distributed.", get_rel_name(lfirst_oid(lc))),
					 errhint("Use undistribute_table first.")));
	}
	return false;
}
