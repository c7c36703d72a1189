/*-------------------------------------------------------------------------
 * feed.h
 *	  Rows in the form of COPY on their way to shards.
 *
 * Whoever makes them appends a row to the buffer of its target; when there
 * is enough, and the target's groups have nothing else to do, it is copied
 * there within the remote transaction.  Between two calls no COPY waits for
 * data, so the caller may use the groups for queries of its own.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_FEED_H
#define PGCLUSTER_SHARD_DDL_FEED_H

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

typedef struct Feed Feed;

/*
 * For that table.  All of it lives in "context", and nothing need
 * be done when an error unwinds.  "csv": lines may be longer than a row.
 */
extern Feed *feed_create(Relation rel, int ntargets, bool binary, bool csv, MemoryContext context);

/* Where the rows of a target go, and the COPY command. */
extern void feed_set_target(Feed *feed, int target, List *groups, char *sql);

/* The buffer to which a row of the target is to be appended. */
extern StringInfo feed_begin_row(Feed *feed, int target);

/* After that; "line" is the row's (last) line in what the user copies, 0: none. */
extern void feed_end_row(Feed *feed, int target, uint64 line);

/*
 * Shows every piece of which it is not known yet that its groups have taken
 * it, with the line numbers of its lines.
 */
typedef void (*FeedPiece)(void *arg, const char *data, int length, const uint64 *lines,
						  uint64 nlines);
extern void feed_show_open(Feed *feed, FeedPiece show, void *arg);

/* Sends what is left and waits until the groups have it all. */
extern void feed_finish(Feed *feed);

#endif
