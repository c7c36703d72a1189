/*-------------------------------------------------------------------------
 * shard_run.c
 *	  Runs commands on many shards side by side.
 *
 * All are handed to the groups' connections before the first answer is
 * waited for.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "shard/ddl/groups.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shard_run.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/remote.h"

struct ShardRun
{
	List *tasks;
};

ShardRun *
shard_run_create(void)
{
	return palloc0(sizeof(ShardRun));
}

/* The result of such a command has no rows that anybody wants. */
static void
spool(void *arg)
{
	RemoteTask *task = *(RemoteTask **) arg;
	PGresult *row;

	while ((row = remote_task_next(task)) != NULL)
		PQclear(row);
}

static void
start(ShardRun *run, int group_id, const char *sql, bool in_transaction)
{
	RemoteQuery query = {0};
	RemoteTask **task = palloc0(sizeof(*task));

	query.group_id = group_id;
	query.sql = sql;
	query.writes = in_transaction;
	*task = remote_task_start(&query, CurrentMemoryContext, spool, task);
	run->tasks = lappend(run->tasks, task);
}

void
shard_run_add(ShardRun *run, int group_id, const char *sql)
{
	start(run, group_id, sql, true);
}

void
shard_run_add_alone(ShardRun *run, int group_id, const char *sql)
{
	start(run, group_id, sql, false);
}

void
shard_run_add_all(ShardRun *run, List *group_ids, List *commands)
{
	ListCell *group;
	ListCell *command;

	foreach (group, group_ids)
	{
		foreach (command, commands)
			shard_run_add(run, lfirst_int(group), lfirst(command));
	}
}

List *
shard_run_shards(Oid schema)
{
	List *done = NIL;
	List *shards = NIL;
	ListCell *lc;

	foreach (lc, metadata_tables())
	{
		const Colocation *colocation = metadata_table(lfirst_oid(lc))->colocation;

		if (get_rel_namespace(lfirst_oid(lc)) != schema || list_member_int(done, colocation->id))
			continue;
		done = lappend_int(done, colocation->id);
		for (int i = 0; i < colocation->nshards; i++)
			shards = lappend(shards, &colocation->shards[i]);
	}
	return shards;
}

List *
shard_run_groups(const Shard *shard)
{
	if (shard->group_id == SHELL_GROUPS)
		return groups_elsewhere();
	return shard->group_id < 0 ? metadata_groups() : list_make1_int(shard->group_id);
}

/* "before" has one %s. */
static void
add_format(ShardRun *run, Relation rel, const char *before, const char *after, bool in_transaction)
{
	const DistributedTable *table = metadata_table(RelationGetRelid(rel));
	const char *mark = strstr(before, "%s");

	Assert(mark != NULL);
	for (int i = 0; i < table->colocation->nshards; i++)
	{
		const Shard *shard = &table->colocation->shards[i];
		char *sql = psprintf("%.*s%s%s%s", (int) (mark - before), before,
							 shard_ddl_name(rel, shard->id), mark + 2, after);
		ListCell *lc;

		foreach (lc, shard_run_groups(shard))
			start(run, lfirst_int(lc), sql, in_transaction);
	}
}

void
shard_run_add_format(ShardRun *run, Relation rel, const char *before, const char *after)
{
	add_format(run, rel, before, after, true);
}

void
shard_run_add_format_alone(ShardRun *run, Relation rel, const char *before, const char *after)
{
	add_format(run, rel, before, after, false);
}

void
shard_run_finish(ShardRun *run)
{
	ListCell *lc;

	foreach (lc, run->tasks)
	{
		RemoteTask **task = lfirst(lc);

		spool(task);
		remote_task_end(*task);
	}
	list_free_deep(run->tasks);
	run->tasks = NIL;
}
