/*-------------------------------------------------------------------------
 * shard_ddl.h
 *	  The commands that make a table's piece of a shard.
 *
 * All names in them are qualified; the relation itself, and the tables its
 * foreign keys point at, stand in the schemas of the shard.  A shard's piece
 * belongs to the table's owner and carries its grants.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_SHARD_DDL_H
#define PGCLUSTER_SHARD_DDL_SHARD_DDL_H

#include "access/attnum.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

#include "shard/metadata/metadata.h"

/* Schema, table and columns, as far as rows need them: lists of C strings. */
extern List *shard_ddl_schema(Oid schema, int64 shard_id);
extern List *shard_ddl_table(Relation rel, int64 shard_id);

/*
 * What is cheaper to add when the rows are there, or must not concern them:
 * constraints, indexes, statistics, triggers, policies, grants.
 */
extern List *shard_ddl_rest(Relation rel, int64 shard_id);

/* Foreign keys: last of all, when the tables they point at are complete. */
extern List *shard_ddl_foreign_keys(Relation rel, int64 shard_id);

/* Makes the piece of a partition one of its parent's piece. */
extern List *shard_ddl_attach(Relation rel, int64 shard_id);

/*
 * The default (or generation) expression of a column as the shards have it,
 * NULL if they have none.
 */
extern char *shard_ddl_default(Relation rel, AttrNumber attnum);

/* One column, constraint, index (that no constraint makes) or statistics object. */
extern char *shard_ddl_add_column(Relation rel, AttrNumber attnum, int64 shard_id);
/* The same with this default; NULL: none, and with "not_null" if it is so. */
extern char *shard_ddl_add_column_with(Relation rel, AttrNumber attnum, const char *value,
									   bool not_null, int64 shard_id);
extern char *
shard_ddl_column_type(Relation rel, AttrNumber attnum, const char *using, int64 shard_id);
extern char *shard_ddl_constraint(Relation rel, Oid constraint, int64 shard_id);
extern char *shard_ddl_index(Relation rel, Oid index, int64 shard_id);
extern char *shard_ddl_statistics(Relation rel, Oid statistics, int64 shard_id);

/*
 * Would rows that are on the shards already get the same value in a new
 * column as they would get here?
 */
extern bool shard_ddl_fills_alike(Relation rel, AttrNumber attnum, TableKind kind);

/* Does an expression need something of the coordinator? */
extern bool shard_ddl_is_local(Node *expression);

/* Grants on the schema. */
extern List *shard_ddl_schema_grants(Oid schema, int64 shard_id);

/* "schema_id" and "schema_id"."table", quoted; the table here. */
extern char *shard_ddl_schema_name(Oid schema, int64 shard_id);
extern char *shard_ddl_name(Relation rel, int64 shard_id);
extern char *shard_ddl_shell_name(Relation rel);

/*
 * Everything that is deparsed between these two stands under a search_path
 * of pg_catalog alone, and means the same on any node.  shard_ddl_end takes what shard_ddl_begin returned;
 * an error in between needs no clean-up.
 */
extern int shard_ddl_begin(void);
extern void shard_ddl_end(int level);

#endif
