/*-------------------------------------------------------------------------
 * catalog.h
 *	  The tables of schema pgcluster as rows to read and write.
 *
 * Reads see the latest committed state and what this transaction wrote
 * before.  Writes announce themselves to every cache; they become visible to
 * reads of the same transaction with the next CommandCounterIncrement, which
 * each of them ends with.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_METADATA_CATALOG_H
#define PGCLUSTER_SHARD_METADATA_CATALOG_H

#include "nodes/pg_list.h"

#include "shard/metadata/metadata.h"

typedef enum Catalog
{
	CATALOG_MEMBER_GROUP,
	CATALOG_COLOCATION_GROUP,
	CATALOG_SHARD,
	CATALOG_DISTRIBUTED_TABLE,
	CATALOG_SHELL,
	CATALOG_DISTRIBUTED_FUNCTION
} Catalog;

#define CATALOG_COUNT (CATALOG_DISTRIBUTED_FUNCTION + 1)

typedef struct MemberGroupRow
{
	int group_id;
	char *host; /* NULL: found through etcd */
	int port;
} MemberGroupRow;

typedef struct ColocationRow
{
	int id;
	int shard_count;
	Oid key_type;
	Oid key_collation;
} ColocationRow;

typedef struct TableRow
{
	Oid relid;
	TableKind kind;
	NameData column; /* of hash tables */
	int colocation_id;
} TableRow;

/* On a node: a table whose rows are in shards, here and elsewhere. */
typedef struct ShellRow
{
	Oid relid;
	TableKind kind;
	AttrNumber key; /* of hash tables */
	int colocation_id;
	int nshards;
	Shard *shards; /* ascending by hash_min */
} ShellRow;

/* A function that every node has. */
typedef struct FunctionRow
{
	Oid function;
	int argument; /* that says where its calls run, from 1; 0: they run here */
	int colocation_id;
} FunctionRow;

/* Oid of the schema pgcluster if the extension owns it, else InvalidOid. */
extern Oid catalog_schema(void);

/* Oid of a catalog in that schema; InvalidOid when it is not there. */
extern Oid catalog_relation(Oid schema, Catalog catalog);

/* All rows, palloc'd, ascending by id. */
extern List *catalog_read_groups(void);
extern List *catalog_read_colocations(void);

/* All tables, or those of one colocation group; TableRow, ascending by relid. */
extern List *catalog_read_tables(int colocation_id);
#define CATALOG_ALL_TABLES 0

/* False when there is no such row. */
extern bool catalog_read_table(Oid relid, TableRow *row);
extern bool catalog_read_colocation(int id, ColocationRow *row);

/* The shards of a colocation group, an array in the current context, ascending by hash_min. */
extern Shard *catalog_read_shards(int colocation_id, int *nshards);

/* True when pgcluster.distributed_table has any row. */
extern bool catalog_has_tables(void);

/* The same for shells: on a node. */
extern bool catalog_has_shells(void);
extern bool catalog_read_shell(Oid relid, ShellRow *row);
extern void catalog_insert_shell(const ShellRow *row);
extern void catalog_delete_shell(Oid relid);

extern List *catalog_read_functions(void);
extern void catalog_insert_function(const FunctionRow *row);
extern void catalog_delete_function(Oid function);

extern void catalog_insert_group(const MemberGroupRow *row);
extern void catalog_delete_group(int group_id);
extern void catalog_insert_colocation(const ColocationRow *row);
extern void catalog_insert_shard(int colocation_id, const Shard *shard);
extern void catalog_insert_table(const TableRow *row);
extern void catalog_delete_table(Oid relid);

/* Deletes a colocation group and its shards. */
extern void catalog_delete_colocation(int colocation_id);

/* Next number of a sequence of schema pgcluster; needs no privilege of the user. */
extern int64 catalog_next_id(const char *sequence);

#endif
