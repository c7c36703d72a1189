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

typedef struct Exchange Exchange;

/*
 * For rows with these columns (types), of which number "key" (from 0) is
 * hashed by "hash" as the distribution column of the table is.  Lives in
 * "context"; holds up to "limit" bytes.
 */
extern Exchange *exchange_create(MemoryContext context, Oid relid, int key, Oid hash, int ncolumns,
								 const Oid *types, Size limit);

/*
 * Takes a row in; one whose key is null goes to the first shard, since it
 * equals no row of the table.  Once there was too much nothing is kept.
 */
extern void exchange_add(Exchange *exchange, const Datum *values, const bool *nulls);

/* More rows than it may hold? */
extern bool exchange_is_full(const Exchange *exchange);

/* How many rows the shard at "position" has, and their values in a column: an array. */
extern int exchange_count(const Exchange *exchange, int position);
extern Datum
exchange_array(const Exchange *exchange, int position, int column, MemoryContext context);

/* --- for a scan whose parameters are such arrays --- */

/* Those of "positions" whose shards have rows where they need some. */
extern List *exchange_choose(ShardScan *scan, List *positions);

/* Points "query" at the values of a shard; they are in "context". */
extern void
exchange_values(ShardScan *scan, int position, RemoteQuery *query, MemoryContext context);

/* Reads all rows into a store, with no more statements under way than a stream has. */
extern void exchange_gather(ShardScan *scan, const DistributedTable *table, List *positions);

#endif
