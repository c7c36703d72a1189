/*-------------------------------------------------------------------------
 * concurrent.h
 *	  CREATE, DROP and REINDEX ... CONCURRENTLY on distributed tables.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_CONCURRENT_H
#define PGCLUSTER_SHARD_DDL_CONCURRENT_H

#include "utils/relcache.h"

#include "shard/ddl/utility.h"
#include "shard/metadata/metadata.h"

extern bool concurrent_create_index(UtilityCall *call, const DistributedTable *table);
/*
 * The commands (ConcurrentCommand) that make the index on each shard, with
 * "drop" after dropping what is there of it.
 */
extern List *
concurrent_create_commands(Relation rel, const DistributedTable *table, Oid index, bool drop);

extern bool concurrent_drop_index(UtilityCall *call, const DistributedTable *table, RangeVar *name);

/*
 * Ends the present transaction, in which the shell was changed, and runs the
 * commands, which live in a context that outlasts it, each by itself.  The
 * table is locked meanwhile against other changes.  "hint" tells what to do
 * when one of them fails.
 */
typedef struct ConcurrentCommand
{
	int group_id;
	char *sql;
} ConcurrentCommand;
extern void concurrent_run(Oid table, List *commands, const char *hint);

/* Adds the command for each group that has the shard. */
extern List *concurrent_add(List *commands, const Shard *shard, char *sql);

#endif
