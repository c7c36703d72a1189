/*-------------------------------------------------------------------------
 * copy_input.h
 *	  What COPY FROM reads.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_COPY_INPUT_H
#define PGCLUSTER_SHARD_DDL_COPY_INPUT_H

#include "commands/copy.h"
#include "nodes/execnodes.h"
#include "utils/elog.h"
#include "utils/relcache.h"

#include "shard/ddl/router.h"
#include "shard/ddl/utility.h"

/* Rows as the server reads them. */
typedef struct CopyInput
{
	Relation rel;
	List *columns; /* names, as the statement has them */
	List *options;
	ParseState *pstate;
	CopyFromState state;
	EState *estate;
	TupleTableSlot *slot; /* the present row */
	ExprState *filter;	  /* of WHERE, or NULL */
	int64 excluded;		  /* rows, by it */
	ErrorContextCallback where_we_are;
} CopyInput;

/* "options" are those of the statement, or some more. */
extern CopyInput *copy_open(Relation rel, UtilityCall *call, CopyStmt *stmt, List *options);

/*
 * Reads the next row that fits WHERE into the slot; false at the end.  It is
 * valid until the next call.
 */
extern bool copy_next(CopyInput *input);

/* What goes wrong between these two does so on the present line. */
extern void copy_enter(CopyInput *input);
extern void copy_leave(CopyInput *input);

/* For the rows that are read. */
extern Router *copy_router(CopyInput *input, MemoryContext context);

extern void copy_close(CopyInput *input);

#endif
