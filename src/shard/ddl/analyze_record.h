/*-------------------------------------------------------------------------
 * analyze_record.h
 *	  When the statistics of a distributed table were collected, and from how
 *	  many rows and changes.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_ANALYZE_RECORD_H
#define PGCLUSTER_SHARD_DDL_ANALYZE_RECORD_H

/* SQL for a node: changes that it has counted of the table "c". */
#define ANALYZE_CHANGES                               \
	"pg_catalog.pg_stat_get_tuples_inserted(c.oid)"   \
	" + pg_catalog.pg_stat_get_tuples_updated(c.oid)" \
	" + pg_catalog.pg_stat_get_tuples_deleted(c.oid)"

/* One row of pgcluster.table_statistics, a new one or in place of the last. */
extern void analyze_record(Oid relid, double rows, int64 changes);

#endif
