/*-------------------------------------------------------------------------
 * analyze.h
 *	  Statistics of distributed tables.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_ANALYZE_H
#define PGCLUSTER_SHARD_DDL_ANALYZE_H

#include "nodes/pg_list.h"

/*
 * Puts the number of rows and the statistics of the columns (names; NIL: all)
 * of a hash distributed table into the server's catalogs, as its shards have
 * them.  Does nothing for who may not analyze the table.  False when others
 * work on the table and "skip_locked" says not to wait for them.
 */
extern bool analyze_collect(Oid relid, List *columns, bool skip_locked);

/* The number of rows only: what the server wrote down of the empty shell is undone. */
extern void analyze_count(Oid relid, bool skip_locked);

#endif
