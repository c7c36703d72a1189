/*-------------------------------------------------------------------------
 * parts.h
 *	  Rows in parts, which go to a file when they are many.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_EXECUTOR_PARTS_H
#define PGCLUSTER_SHARD_EXECUTOR_PARTS_H

#include "utils/palloc.h"
#include "utils/resowner.h"

typedef struct PartStore PartStore;

/* Where a reader of a part is. */
typedef struct PartReader
{
	PartStore *store;
	int part;
	int chunk;	/* the next one */
	char *data; /* of chunks that were in the file */
	size_t size;
} PartReader;

/*
 * For parts 0 to count - 1; lives in "context", its file belongs to "owner".
 * Not much more than "memory" bytes are kept in memory.
 */
extern PartStore *parts_create(MemoryContext context, ResourceOwner owner, int count, Size memory);

extern int parts_count(const PartStore *store);

/* Where the next row of a part can be written, of so many bytes; counts it. */
extern char *parts_add(PartStore *store, int part, Size length);

/* Takes over what another store gave as a chunk, with so many rows. */
extern void parts_add_chunk(PartStore *store, int part, const char *data, Size length, int64 rows);

extern int64 parts_rows(const PartStore *store, int part);

/* Bytes in all parts. */
extern int64 parts_size(const PartStore *store);

extern void parts_read(PartStore *store, int part, PartReader *reader);

/*
 * Next chunk, of whole rows, as they were added; false at the end.  It stays
 * until the next call, and may be scribbled on.
 */
extern bool parts_next(PartReader *reader, char **data, Size *length, int64 *rows);

/* Lets go of everything. */
extern void parts_end(PartStore *store);

#endif
