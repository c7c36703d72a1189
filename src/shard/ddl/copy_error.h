/*-------------------------------------------------------------------------
 * copy_error.h
 *	  Which of the errors of a COPY FROM is the first one.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_COPY_ERROR_H
#define PGCLUSTER_SHARD_DDL_COPY_ERROR_H

#include "shard/ddl/copy_input.h"
#include "shard/ddl/feed.h"

/*
 * To be called in PG_CATCH: raises the error at hand, or one that this server
 * would have raised before it, had it read all values.  "line": the line that
 * was read last is one of the rows, and not in the feed if it is in the wrong.
 */
extern void
copy_find_first_error(CopyInput *input, Feed *feed, bool line) __attribute__((noreturn));

#endif
