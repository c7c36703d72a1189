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
 * them.  Does nothing for who may not analyze the table.
 */
extern void analyze_collect(Oid relid, List *columns);

#endif
