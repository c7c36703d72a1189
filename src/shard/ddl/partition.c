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
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "shard/ddl/distribute.h"
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
	int level = shard_ddl_begin();

	for (int i = 0; i < shell_end(table->colocation); i++)
	{
		const Shard *shard = shell_or_shard(table->colocation, i);
		List *commands = attach ? shard_ddl_attach(rel, shard->id)
								: list_make1(psprintf("ALTER TABLE %s DETACH PARTITION %s",
													  shard_ddl_name(parent, shard->id),
													  shard_ddl_name(rel, shard->id)));

		shard_run_add_all(run, shard_run_groups(shard), commands);
	}
	shard_ddl_end(level);
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

bool
partition_handle_alter(UtilityCall *call, const DistributedTable *table)
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, call->pstmt->utilityStmt);
	AlterTableCmd *cmd = castNode(AlterTableCmd, linitial(stmt->cmds));
	bool attach = cmd->subtype == AT_AttachPartition;
	PartitionCmd *partition;
	Oid relid;

	if (stmt->objtype != OBJECT_TABLE || (!attach && cmd->subtype != AT_DetachPartition))
		return false;
	partition = castNode(PartitionCmd, cmd->def);
	if (partition->concurrent)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("partitions of distributed tables cannot be detached concurrently"),
						errhint("Use DETACH PARTITION without CONCURRENTLY.")));
	relid = RangeVarGetRelid(partition->name, AccessShareLock, false);
	if (attach)
		distribute_alike(table, relid);
	alter_run(call, list_make2_oid(table->relid, relid));
	CommandCounterIncrement();
	run_on_shards(table, relid, attach);
	return true;
}
