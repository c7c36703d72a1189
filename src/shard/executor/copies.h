/*-------------------------------------------------------------------------
 * copies.h
 *	  Writes on reference tables of which the copies get the rows.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_EXECUTOR_COPIES_H
#define PGCLUSTER_SHARD_EXECUTOR_COPIES_H

/*
 * Another statement, with these tables, is about to reach the groups: sends
 * what was captured.  Raises an error if it names a table of which the copies
 * cannot have all rows yet.
 */
extern void copies_before(const List *relids);

/* Raises the error that a group's copy differs from the one here. */
extern void copies_refuse_difference(Oid relid, int64 here, int64 there, const char *node)
	__attribute__((noreturn));

#endif
