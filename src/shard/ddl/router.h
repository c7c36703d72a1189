/*-------------------------------------------------------------------------
 * router.h
 *	  Sends rows to the shards they belong to.
 *
 * Whoever has rows for a distributed table in this process (COPY FROM, the
 * move of existing rows, INSERT ... SELECT) hands them over here one by one.
 * They are collected per shard and copied there in large pieces within the
 * remote transaction, so the groups work while the caller goes on.  Between
 * two calls no COPY is open, so the caller may use the groups for queries of
 * its own.
 *
 * Privileges are the caller's affair; so is the local copy of a reference
 * table: the router feeds the groups only.
 */
#ifndef PGCLUSTER_SHARD_DDL_ROUTER_H
#define PGCLUSTER_SHARD_DDL_ROUTER_H

#include "executor/tuptable.h"
#include "tcop/dest.h"
#include "utils/relcache.h"

#include "shard/ddl/feed.h"

typedef struct Router Router;

/*
 * A router for rows of a distributed table that the caller holds a lock on.
 * "groups" (list of ints) limits a reference table's rows to these groups;
 * NIL: all groups.  It lives in "context", and nothing need be done when an
 * error unwinds.
 */
extern Router *router_create(Relation rel, List *groups, MemoryContext context);

/* One that writes rows that will not have been written before to anyone ("freeze"). */
extern Router *router_create_frozen(Relation rel, MemoryContext context);

/*
 * One whose rows are given as bytea, the binary form of each value (see
 * router_can_be_binary), with the position of their shard.
 */
extern Router *router_create_of_bytes(Relation rel, bool freeze, MemoryContext context);
extern void
router_row_of_bytes(Router *router, int shard, const Datum *values, const bool *nulls, uint64 line);

/* Is the binary form of all columns the same on every node, and independent of the client? */
extern bool router_can_be_binary(TupleDesc desc);

/*
 * One row, as arrays over all columns of the table.  Generated and dropped
 * columns are left out.  Raises an error when the distribution column is
 * null.
 */
extern void router_row(Router *router, const Datum *values, const bool *nulls);

/* The same for a row that the user wrote in this line: errors of shards will name it. */
extern void router_row_of_line(Router *router, const Datum *values, const bool *nulls, uint64 line);

/* The feed that takes the rows to the shards. */
extern Feed *router_feed(Router *router);

/* Sends what is left and waits until the groups have it all. */
extern void router_flush(Router *router);

/* Ends the router after that; returns the number of rows. */
extern int64 router_finish(Router *router);

/*
 * A receiver that routes what a query returns: its column i is column
 * attnums[i] of the table, columns not named are null.  rShutdown finishes
 * the router; router_received then tells how many rows came.
 */
extern DestReceiver *router_receiver(Router *router, const AttrNumber *attnums, int nattnums);
extern int64 router_received(DestReceiver *receiver);

#endif
