/*-------------------------------------------------------------------------
 * codec.h
 *	  Values on their way to other nodes, and rows on their way back.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_EXECUTOR_CODEC_H
#define PGCLUSTER_SHARD_EXECUTOR_CODEC_H

#include "executor/tuptable.h"
#include "fmgr.h"
#include "libpq-fe.h"
#include "shard/remote/remote.h"

/* How values of a type travel: binary where both ends know the type alike. */
typedef struct ValueCodec
{
	Oid type;
	Oid wire_type; /* what the node is told; 0: the SQL says it */
	bool binary;
	bool names; /* an object by its name */
	FmgrInfo function;
	Oid io_param;
	int32 typmod;
	int target; /* of a row: column of the slot, from 0 */
	int width;	/* bytes of a number that is its binary form; 0: another */
	bool check; /* anybody may have made its values */

	/* Of a domain within a composite type or an array, whose conditions the input function looks at. */
	Oid domain_owner;
} ValueCodec;

typedef struct RowCodec
{
	bool binary;
	int count;
	bool partial; /* the slot has columns that no row fills */
	ValueCodec *columns;
} RowCodec;

/*
 * True when values of character types may travel binary: their functions
 * would convert them to the encoding of this session's client.
 */
extern bool codec_binary_is_safe(void);

extern void
codec_init_param(ValueCodec *codec, Oid type, bool binary_is_safe, MemoryContext context);

/* "columns": attribute numbers in the order they come; unless "all" of "desc" do. */
extern void codec_init_row(RowCodec *codec, TupleDesc desc, bool all, List *columns,
						   bool binary_is_safe, MemoryContext context);

/* Has values checked as those of any client are, as anybody may have made the rows. */
extern void codec_distrust(RowCodec *codec);

/* One parameter, encoded in the current context. */
extern void codec_encode(ValueCodec *codec, Datum value, bool isnull, const char **data,
						 int *length, int *format);

/*
 * A row as it came: one of a result, or the body of its message if "result"
 * is NULL.
 */
typedef struct RemoteRow
{
	const PGresult *result;
	int row;
	char *body;
	int length;
} RemoteRow;

/* Fills "slot" from a row; the values live in the current context. */
extern void codec_store_row(RowCodec *codec, const RemoteRow *row, TupleTableSlot *slot);

#endif
