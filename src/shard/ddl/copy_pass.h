/*-------------------------------------------------------------------------
 * copy_pass.h
 *	  COPY FROM whose rows are passed on to the shards as they came.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_COPY_PASS_H
#define PGCLUSTER_SHARD_DDL_COPY_PASS_H

#include "shard/ddl/copy_input.h"
#include "shard/metadata/metadata.h"

/* How rows can be passed on. */
typedef enum PassForm
{
	PASS_ROWS,	/* not: values are read, and written again */
	PASS_LINES, /* the line as it is */
	PASS_FIELDS /* a binary row, its fields as they are */
} PassForm;

/* Decides it, and says why not the other way. */
extern PassForm
copy_pass_form(const CopyStmt *stmt, Relation rel, const DistributedTable *table, const char **why);

/* The options with which such input is opened. */
extern List *copy_pass_options(PassForm form, List *options, const char *key);

/* Copies all of it (PASS_LINES, PASS_FIELDS); returns the number of rows. */
extern uint64 copy_pass(CopyInput *input, const DistributedTable *table, PassForm form);

/*
 * The distribution column of a row is null: raises the error that the table
 * itself would, or that of a distributed table.  "slot" has all columns.
 */
extern void copy_refuse_null_key(CopyInput *input, AttrNumber key) __attribute__((noreturn));

#endif
