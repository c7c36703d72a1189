/*-------------------------------------------------------------------------
 * shard_run.h
 *	  Runs commands on many shards side by side.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_SHARD_RUN_H
#define PGCLUSTER_SHARD_DDL_SHARD_RUN_H

#include "nodes/pg_list.h"

typedef struct ShardRun ShardRun;

/* Commands to run; everything is in the current memory context. */
extern ShardRun *shard_run_create(void);

/* From here on commands name things as the search_path of this session has them. */
extern void shard_run_use_path(ShardRun *run);

/* The same if functions of this table look for names; the path is that of when commands are added. */
extern void shard_run_use_path_of(ShardRun *run, Oid relid);

/* Adds a command, or a list of them (C strings), for one group or for each of several. */
extern void shard_run_add(ShardRun *run, int group_id, const char *sql);
extern void shard_run_add_all(ShardRun *run, List *group_ids, List *commands);

/* Adds one that cannot run in a transaction; the local session must not be in a block. */
extern void shard_run_add_alone(ShardRun *run, int group_id, const char *sql);

/* Adds one that another user runs, in the transaction of the present one. */
extern void shard_run_add_as(ShardRun *run, int group_id, const char *sql, Oid user);

/* Where the pieces of a table are that a statement is about. */
typedef enum ShardRunPlaces
{
	SHARD_RUN_SHARDS, /* the statement is about rows */
	SHARD_RUN_SHELLS  /* it changes what the table is: shells follow too */
} ShardRunPlaces;

/*
 * Adds "before", the name of the table's piece, and "after" for each piece; "alone": as
 * shard_run_add_alone.
 */
struct RelationData;
extern void shard_run_add_pieces(ShardRun *run, struct RelationData *rel, ShardRunPlaces places,
								 const char *before, const char *after, bool alone);

/* The same for several tables (Oids), as far as they are distributed, and waits for all. */
extern void shard_run_on_tables(List *relids, ShardRunPlaces places, const char *before,
								const char *after, bool alone);

/*
 * Until AtEOXact_GUC with the level that it returns, nobody is told less than
 * "least" ("warning", "error"): not here and not by the nodes, which follow
 * this setting.
 */
extern int shard_run_quietly(const char *least);

/* The shards (const Shard *) that have a schema for the tables of this one. */
extern List *shard_run_shards(Oid schema);

/* The groups that have a shard: a list of ints. */
struct Shard;
extern List *shard_run_groups(const struct Shard *shard);

/*
 * Runs the others in the remote transactions, those of one group in the order
 * added, and waits for all.
 */
extern void shard_run_finish(ShardRun *run);

#endif
