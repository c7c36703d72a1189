/*-------------------------------------------------------------------------
 * exchanged.h
 *	  Rows that a node keeps for a statement which is to come, by parts.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_EXECUTOR_EXCHANGED_H
#define PGCLUSTER_SHARD_EXECUTOR_EXCHANGED_H

#include "fmgr.h"
#include "lib/stringinfo.h"

/*
 * A bundle (see bundle.h) that begins with this number of columns says where
 * its rows are, instead of having them.
 */
#define EXCHANGED_BUNDLE 0xffff
#define EXCHANGED_BUNDLE_LENGTH 11

/* Makes such a bundle, for rows that are in binary form or not. */
extern void exchanged_bundle(StringInfo out, int exchange, int part, bool binary);

/* Gives its rows, as a function that returns a set; "bundle" is behind the mark. */
extern void exchanged_rows(FunctionCallInfo fcinfo, StringInfo bundle);

/* How many they are; -1: they are not there. */
extern double exchanged_count(StringInfo bundle);

/*
 * What a node is told to sort out rows for an exchange: where the hash range
 * of each part ends, and whether it stays at the node.
 */
extern void
exchanged_routes(StringInfo out, int exchange, int count, const int32 *ends, const bool *stays);

/* Appends a row, "values" as in its message, as all readers of parts expect it. */
struct PartStore;
extern void
exchanged_add(struct PartStore *store, int part, int columns, const char *values, size_t length);

/* Installs the callbacks; called from shard_init. */
extern void exchanged_init(void);

#endif
