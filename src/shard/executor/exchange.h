/*-------------------------------------------------------------------------
 * exchange.h
 *	  Rows that are sorted out by the shards of a table, on their way there.
 *
 * An Exchange is filled with rows of any origin and gives, for each shard
 * of the table it was made for, arrays of their columns; whoever has rows for
 * shards may use it, a join as well as an INSERT.  It holds no more than it is
 * told to.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_EXECUTOR_EXCHANGE_H
#define PGCLUSTER_SHARD_EXECUTOR_EXCHANGE_H

#include "shard/executor/scan.h"

/* Bytes of a value of a type of this length, neither compressed nor stored apart. */
extern Size exchange_value_size(Datum value, int16 length);

/* --- for a scan whose parameters are such arrays --- */

/* Those of "positions" whose shards have rows where they need some. */
extern List *exchange_choose(ShardScan *scan, List *positions);

/* Points "query" at the values of a shard; they are in "context". */
extern void
exchange_values(ShardScan *scan, int position, RemoteQuery *query, MemoryContext context);

/* Reads all rows into a store, with no more statements under way than a stream has. */
extern void exchange_gather(ShardScan *scan, const DistributedTable *table, List *positions);

#endif
