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
	refuse_because(call, relid, NULL);
}

void
refuse_because(UtilityCall *call, Oid relid, const char *why)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("%s is not supported for distributed table \"%s\"",
						   CreateCommandName(call->pstmt->utilityStmt), get_rel_name(relid)),
					why ? errdetail_internal("%s", why) : 0,
					errhint("Use undistribute_table, change the table, and distribute it again.")));
}

static void
refuse_if_distributed(UtilityCall *call, RangeVar *name, const char *why)
{
	const DistributedTable *table = name != NULL ? utility_table(call, name) : NULL;

	if (table != NULL)
		refuse_because(call, table->relid, why);
}

/*
 * Publications: a reference table is written here as well, a hash table is
 * not.
 */
static const char *const publication_hint =
	"Publish the schemas of its shards on the worker groups, or only reference and local tables.";

static void
refuse_published(UtilityCall *call, RangeVar *name)
{
	const DistributedTable *table = utility_table(call, name);

	if (table == NULL || table->kind == TABLE_REFERENCE)
		return;
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot publish distributed table \"%s\"", get_rel_name(table->relid)),
					errdetail("Its rows change on the worker groups, not here."),
					errhint("%s", publication_hint)));
}

/* Tables that are published with others are left out, and the user is told. */
static void
mention_published(Oid schema)
{
	ListCell *lc;

	foreach (lc, metadata_tables())
	{
		Oid relid = lfirst_oid(lc);

		if (metadata_table(relid)->kind == TABLE_REFERENCE ||
			(OidIsValid(schema) && get_rel_namespace(relid) != schema))
			continue;
		ereport(WARNING, (errmsg("changes of distributed table \"%s\" will not be published",
								 get_rel_name(relid)),
						  errdetail("Its rows change on the worker groups, not here."),
						  errhint("%s", publication_hint)));
	}
}

static void
look_at_published(UtilityCall *call, List *objects)
{
	ListCell *lc;

	foreach (lc, objects)
	{
		PublicationObjSpec *object = lfirst(lc);
		Oid schema = InvalidOid;

		if (object->pubtable != NULL)
			refuse_published(call, object->pubtable->relation);
		else if (object->pubobjtype == PUBLICATIONOBJ_TABLES_IN_SCHEMA && object->name != NULL)
			schema = get_namespace_oid(object->name, true);
		if (OidIsValid(schema))
			mention_published(schema);
	}
}

bool
refuse_publication(UtilityCall *call)
{
	Node *stmt = call->pstmt->utilityStmt;

	if (IsA(stmt, AlterPublicationStmt))
	{
		AlterPublicationStmt *alter = (AlterPublicationStmt *) stmt;

		if (alter->action != AP_DropObjects)
			look_at_published(call, alter->pubobjects);
		return false;
	}
	look_at_published(call, ((CreatePublicationStmt *) stmt)->pubobjects);
	if (((CreatePublicationStmt *) stmt)->for_all_tables)
		mention_published(InvalidOid);
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
		refuse_if_distributed(call, lfirst(lc),
							  stmt->partbound != NULL
								  ? "A partition of it must be a table that can be distributed."
								  : NO_INHERITANCE);
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
		refuse_if_distributed(call, (RangeVar *) cmd->def, NO_INHERITANCE);
	else if (IsA(cmd->def, PartitionCmd))
		refuse_if_distributed(call, ((PartitionCmd *) cmd->def)->name,
							  "The table that it would be a partition of is not distributed.");
}

bool
refuse_alter_local_table(UtilityCall *call)
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, call->pstmt->utilityStmt);
	ListCell *lc;

	/* Part of CREATE TABLE, which was looked at; of a table that is not there the server speaks. */
	if (call->context == PROCESS_UTILITY_SUBCOMMAND ||
		!OidIsValid(RangeVarGetRelid(stmt->relation, NoLock, true)))
		return false;
	foreach (lc, stmt->cmds)
		refuse_subcommand(call, castNode(AlterTableCmd, lfirst(lc)));
	return false;
}
