/*-------------------------------------------------------------------------
 * sequence.h
 *	  Sequences that nodes have ranges of.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_SEQUENCE_H
#define PGCLUSTER_SHARD_DDL_SEQUENCE_H

#include "nodes/pg_list.h"
#include "utils/relcache.h"

#include "shard/ddl/utility.h"

/*
 * Makes the sequences that defaults of the table use on these groups, where
 * they are missing, each with a range of its own, above what ours can give.
 */
extern void sequence_share(Relation rel, List *groups);

/* The sequence that gives the column its default, if nodes have ranges of it. */
extern Oid sequence_shared(Relation rel, Form_pg_attribute att);

/* Its palloc'd name in SQL. */
extern char *sequence_name(Oid sequence);

/* ALTER SEQUENCE of one that nodes have ranges of keeps it below these. */
extern bool sequence_handle_alter(UtilityCall *call);

#endif
