/*-------------------------------------------------------------------------
 * bundle.h
 *	  Many rows as one value: a parameter that a statement for a shard reads
 *	  as a relation, pgcluster.rows($1) AS (column type, ...).
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_EXECUTOR_BUNDLE_H
#define PGCLUSTER_SHARD_EXECUTOR_BUNDLE_H

#include "lib/stringinfo.h"

#include "shard/executor/codec.h"

/* The columns of a bundle. */
typedef struct BundleForm
{
	int count;
	ValueCodec *columns; /* "target" is the column of the row that it is taken from */
} BundleForm;

/* "from": columns of "desc", from 1. */
extern BundleForm *bundle_form(TupleDesc desc, List *from, MemoryContext context);

/* Makes "out" a bundle without rows. */
extern void bundle_begin(const BundleForm *form, StringInfo out);

/*
 * Adds a row; leaves what it needed for that in the current context.  The
 * caller has made the settings of copy_text_begin.
 */
extern void
bundle_add(const BundleForm *form, const Datum *values, const bool *nulls, StringInfo out);

/* The same by itself: "scratch" is for what it needs, and reset. */
extern void bundle_add_row(const BundleForm *form, const Datum *values, const bool *nulls,
						   StringInfo out, MemoryContext scratch);

/* A bundle that grows is sent when it has so many bytes or rows. */
static inline bool
bundle_is_full(int rows, const StringInfoData *bundle)
{
	return rows >= 2000 || bundle->len >= 256 * 1024;
}

#endif
