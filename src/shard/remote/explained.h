/*-------------------------------------------------------------------------
 * explained.h
 *	  The plan of a statement that another node runs, for EXPLAIN ANALYZE.
 *
 * A statement that begins with EXPLAINED_MARK, options and a number that
 * names it, and the end of the comment is run with instrumentation.  How it
 * went is kept in the session until pgcluster.explained(number) asks for it;
 * of many that nobody asks for the latest are kept.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_REMOTE_EXPLAINED_H
#define PGCLUSTER_SHARD_REMOTE_EXPLAINED_H

#include "executor/execdesc.h"

#define EXPLAINED_MARK "/*explained "

#define EXPLAINED_VERBOSE 1
#define EXPLAINED_COSTS 2
#define EXPLAINED_BUFFERS 4
#define EXPLAINED_WAL 8
#define EXPLAINED_TIMING 16
#define EXPLAINED_JSON 32

/*
 * How a query is planned, which has begun, or with "analyze" how it went;
 * "options" are those above.
 */
extern char *explained_text(QueryDesc *query, int options, bool analyze);

/* The statement after the mark, if it has one. */
extern const char *explained_skip_mark(const char *sql);

/* Installs the hooks of a node that is asked; called from shard_init. */
extern void explained_init(void);

#endif
