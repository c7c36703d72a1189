/*-------------------------------------------------------------------------
 * shard_run.c
 *	  Runs commands on many shards side by side.
 *
 * All are handed to the groups' connections before the first answer is
 * waited for.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "shard/ddl/event_trigger.h"
#include "shard/ddl/groups.h"
#include "shard/ddl/names.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shard_run.h"
#include "shard/ddl/shell.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/remote.h"

struct ShardRun
{
	List *tasks;
	bool names;
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
	query.sql = psprintf("%s%s", EVENT_TRIGGER_MARK, sql);
	query.writes = in_transaction;
	query.names = run->names;
	*task = remote_task_start(&query, CurrentMemoryContext, spool, task);
	run->tasks = lappend(run->tasks, task);
}

void
shard_run_use_path(ShardRun *run)
{
	run->names = true;
}

void
shard_run_use_path_of(ShardRun *run, Oid relid)
{
	run->names |= names_sought(relid);
}

void
shard_run_add(ShardRun *run, int group_id, const char *sql)
{
	start(run, group_id, sql, true);
}

void
shard_run_add_as(ShardRun *run, int group_id, const char *sql, Oid user)
{
	Oid self;
	int context;

	GetUserIdAndSecContext(&self, &context);
	SetUserIdAndSecContext(user, context | SECURITY_LOCAL_USERID_CHANGE);
	start(run, group_id, sql, true);
	SetUserIdAndSecContext(self, context);
}

void
shard_run_add_alone(ShardRun *run, int group_id, const char *sql)
{
	/* A shard may live in this very database, and wait for what reading catalogs has left. */
	InvalidateCatalogSnapshot();
	start(run, group_id, sql, false);
	InvalidateCatalogSnapshot();
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

void
shard_run_add_pieces(ShardRun *run, Relation rel, ShardRunPlaces places, const char *before,
					 const char *after, bool alone)
{
	const Colocation *colocation = metadata_table(RelationGetRelid(rel))->colocation;
	int end = places == SHARD_RUN_SHELLS ? shell_end(colocation) : colocation->nshards;

	shard_run_use_path_of(run, RelationGetRelid(rel));
	for (int i = 0; i < end; i++)
	{
		const Shard *shard = shell_or_shard(colocation, i);
		char *sql = psprintf("%s%s%s", before, shard_ddl_name(rel, shard->id), after);
		ListCell *lc;

		foreach (lc, shard_run_groups(shard))
			start(run, lfirst_int(lc), sql, !alone);
	}
}

void
shard_run_on_tables(List *relids, ShardRunPlaces places, const char *before, const char *after,
					bool alone)
{
	ShardRun *run = shard_run_create();
	ListCell *lc;

	foreach (lc, relids)
	{
		Relation rel = relation_open(lfirst_oid(lc), AccessShareLock);

		if (metadata_table(lfirst_oid(lc)) != NULL)
			shard_run_add_pieces(run, rel, places, before, after, alone);
		relation_close(rel, NoLock);
	}
	shard_run_finish(run);
}

int
shard_run_quietly(const char *least)
{
	int level = NewGUCNestLevel();

	(void) set_config_option("client_min_messages", least, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return level;
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
