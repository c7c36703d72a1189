/*-------------------------------------------------------------------------
 * partition.c
 *	  Partitions of distributed tables.
 *
 * A partitioned table is distributed with its partitions, all by the same
 * column: each shard holds a piece of the whole tree, and the nodes find the
 * partition that a row belongs to.  A table that becomes a partition of a
 * distributed one is distributed by that; one that is detached stays
 * distributed.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "shard/ddl/concurrent.h"
#include "shard/ddl/distribute.h"
#include "shard/ddl/groups.h"
#include "shard/ddl/partition.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shard_run.h"
#include "shard/ddl/shell.h"

bool
partition_handle_create(UtilityCall *call)
{
	CreateStmt *stmt = castNode(CreateStmt, call->pstmt->utilityStmt);
	const DistributedTable *parent;
	Oid relid;

	if (stmt->partbound == NULL)
		return refuse_create_table(call);
	parent = utility_table(call, linitial(stmt->inhRelations));
	if (parent == NULL)
		return refuse_create_table(call);
	alter_run(call, find_all_inheritors(parent->relid, NoLock, NULL));
	CommandCounterIncrement();
	relid = RangeVarGetRelid(stmt->relation, NoLock, false);

	/* With IF NOT EXISTS it may be any table that was there before. */
	if (metadata_table(relid) == NULL && get_rel_relispartition(relid))
		distribute_partition(relid);
	return true;
}

/* "ALTER TABLE parent action partition" on each shard; "bounds": with those of the partition. */
static void
run_on_shards(const DistributedTable *table, Oid partition, bool attach)
{
	Relation parent = relation_open(table->relid, NoLock);
	Relation rel = relation_open(partition, AccessShareLock);
	ShardRun *run = shard_run_create();

	shard_run_use_path_of(run, partition);
	shard_run_use_path_of(run, table->relid);
	for (int i = 0; i < shell_end(table->colocation); i++)
	{
		const Shard *shard = shell_or_shard(table->colocation, i);
		int level = shard_ddl_begin();
		List *commands = attach ? shard_ddl_attach(rel, shard->id)
								: list_make1(psprintf("ALTER TABLE %s DETACH PARTITION %s",
													  shard_ddl_name(parent, shard->id),
													  shard_ddl_name(rel, shard->id)));

		shard_ddl_end(level);
		shard_run_add_all(run, shard_run_groups(shard), commands);
	}
	shard_run_finish(run);
	relation_close(rel, NoLock);
	relation_close(parent, NoLock);
}

/* A table to be attached is distributed before, with the table it will belong to. */
static void
distribute_alike(const DistributedTable *parent, Oid partition)
{
	const DistributedTable *table = metadata_table(partition);
	bool hash = parent->kind == TABLE_HASH;
	char *column = hash ? get_attname(parent->relid, parent->key, false) : NULL;

	if (table == NULL && hash)
		distribute_by_hash(partition, column, parent->relid, false, 0);
	else if (table == NULL)
		distribute_reference(partition);
	else if (table->kind != parent->kind || table->colocation->id != parent->colocation->id ||
			 (hash && strcmp(get_attname(partition, table->key, false), column) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot attach \"%s\" to distributed table \"%s\"", get_rel_name(partition),
						get_rel_name(parent->relid)),
				 errdetail("They are not distributed alike."),
				 errhint("Use undistribute_table for \"%s\" first.", get_rel_name(partition))));
}

/* ALTER INDEX index ATTACH PARTITION index of a partition. */
static void
attach_index(UtilityCall *call, const DistributedTable *table, RangeVar *parent, RangeVar *child)
{
	Oid indexes[] = {RangeVarGetRelid(parent, NoLock, false),
					 RangeVarGetRelid(child, NoLock, false)};
	const DistributedTable *part = utility_table(call, child);
	ShardRun *run;

	alter_run(call, list_make2_oid(table->relid, part ? part->relid : InvalidOid));
	CommandCounterIncrement();
	run = shard_run_create();
	for (int i = 0; i < shell_end(table->colocation); i++)
	{
		const Shard *shard = shell_or_shard(table->colocation, i);
		char *names[2];

		for (int j = 0; j < 2; j++)
			names[j] =
				psprintf("%s.%s", shard_ddl_schema_name(get_rel_namespace(indexes[j]), shard->id),
						 quote_identifier(get_rel_name(indexes[j])));
		shard_run_add_all(
			run, shard_run_groups(shard),
			list_make1(psprintf("ALTER INDEX %s ATTACH PARTITION %s", names[0], names[1])));
	}
	shard_run_finish(run);
}

/* Where on a shard the partition stands: "t" (being detached), "f" (attached) or NULL. */
static char *
state_on_shard(Relation parent, Relation rel, const Shard *shard)
{
	char *sql = psprintf("SELECT (SELECT inhdetachpending FROM pg_catalog.pg_inherits"
						 " WHERE inhparent = %s::pg_catalog.regclass"
						 " AND inhrelid = %s::pg_catalog.regclass)",
						 quote_literal_cstr(shard_ddl_name(parent, shard->id)),
						 quote_literal_cstr(shard_ddl_name(rel, shard->id)));

	return groups_ask(shard_run_groups(shard), sql, 1)[0][0];
}

static List *
concurrent_commands(const DistributedTable *table, Relation parent, Relation rel)
{
	List *commands = NIL;

	for (int i = 0; i < shell_end(table->colocation); i++)
	{
		const Shard *shard = shell_or_shard(table->colocation, i);
		char *state = shard_run_groups(shard) != NIL ? state_on_shard(parent, rel, shard) : NULL;

		if (state != NULL)
			commands = concurrent_add(commands, shard,
									  psprintf("ALTER TABLE %s DETACH PARTITION %s %s",
											   shard_ddl_name(parent, shard->id),
											   shard_ddl_name(rel, shard->id),
											   state[0] == 't' ? "FINALIZE" : "CONCURRENTLY"));
	}
	return commands;
}

/*
 * Each shard does it by itself, and then the table here: should one fail, the
 * partition is attached here, and the command can be repeated, or finished
 * with FINALIZE, and leaves out those that are done.
 */
static void
detach_concurrently(UtilityCall *call, const DistributedTable *table, Oid partition)
{
	MemoryContext context =
		AllocSetContextCreate(PortalContext, "pgcluster detach partition", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Oid relid = table->relid;
	Relation parent = relation_open(relid, AccessShareLock);
	Relation rel = relation_open(partition, AccessShareLock);
	List *commands = NIL;

	/* What is no partition, or not his, the server refuses. */
	if (rel->rd_rel->relispartition && get_partition_parent(partition, true) == relid &&
		user_owns_relation(relid))
		commands = concurrent_commands(table, parent, rel);
	relation_close(rel, AccessShareLock);
	relation_close(parent, AccessShareLock);
	if (commands != NIL)
	{
		concurrent_run(relid, commands,
					   "Repeat the command, or, where one has begun here, end it with FINALIZE.");
		PushActiveSnapshot(GetTransactionSnapshot());
	}
	alter_run(call, list_make2_oid(relid, partition));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

bool
partition_handle_alter(UtilityCall *call, const DistributedTable *table)
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, call->pstmt->utilityStmt);
	AlterTableCmd *cmd = castNode(AlterTableCmd, linitial(stmt->cmds));
	bool attach = cmd->subtype == AT_AttachPartition;
	bool finalize = cmd->subtype == AT_DetachPartitionFinalize;
	PartitionCmd *partition;
	Oid relid;

	if (stmt->objtype == OBJECT_INDEX && attach)
	{
		attach_index(call, table, stmt->relation, castNode(PartitionCmd, cmd->def)->name);
		return true;
	}
	if (stmt->objtype != OBJECT_TABLE ||
		(!attach && !finalize && cmd->subtype != AT_DetachPartition))
		return false;
	partition = castNode(PartitionCmd, cmd->def);
	if (partition->concurrent || finalize)
		PreventInTransactionBlock(call->context == PROCESS_UTILITY_TOPLEVEL,
								  finalize ? "ALTER TABLE ... DETACH PARTITION ... FINALIZE"
										   : "ALTER TABLE ... DETACH CONCURRENTLY");
	relid = RangeVarGetRelid(partition->name, AccessShareLock, false);
	if (partition->concurrent || finalize)
	{
		UnlockRelationOid(relid, AccessShareLock);
		detach_concurrently(call, table, relid);
		return true;
	}
	if (attach)
		distribute_alike(table, relid);
	alter_run(call, list_make2_oid(table->relid, relid));
	CommandCounterIncrement();
	run_on_shards(table, relid, attach);
	return true;
}
