/*-------------------------------------------------------------------------
 * metadata.h
 *	  Which tables are distributed, and where their shards live.
 *
 * The catalog (schema pgcluster) as every backend sees it, kept in a local
 * cache that relcache invalidations empty.  A lookup is one hash probe, the
 * choice of a shard one binary search.
 *
 * Lifetime: a pointer from here stays valid until the end of the
 * transaction; an entry that was invalidated meanwhile is replaced for later
 * lookups but not freed before then.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_METADATA_METADATA_H
#define PGCLUSTER_SHARD_METADATA_METADATA_H

#include "access/attnum.h"
#include "fmgr.h"
#include "nodes/pg_list.h"

/* Values of pgcluster.distributed_table.kind */
typedef enum TableKind
{
	TABLE_HASH = 'h', /* rows live on the worker groups only; the local table is an empty shell */
	TABLE_REFERENCE =
		'r' /* every group has a full copy; on the coordinator it is the table itself */
} TableKind;

typedef struct Shard
{
	int64 id;
	int32 hash_min; /* inclusive; of a reference table: the whole range */
	int32 hash_max; /* inclusive */
	int group_id;	/* of a reference table: -1, every group has it */
} Shard;

/*
 * What stands for the shells of a table where shards are meant: no shard has
 * this number, its schema is the table's own, and every other server has it.
 */
#define SHELL_SHARD 0
#define SHELL_GROUPS (-2)

typedef struct Colocation
{
	int id;
	TableKind kind;
	Oid key_type; /* InvalidOid for reference tables */
	Oid collation;
	int nshards;
	Shard *shards; /* ascending by hash_min, without gaps */
} Colocation;

typedef struct DistributedTable
{
	Oid relid;
	TableKind kind;
	AttrNumber key; /* distribution column; InvalidAttrNumber for reference tables */
	Oid key_type;
	int32 key_typmod;
	Oid key_collation;
	FmgrInfo key_hash; /* the type's 32 bit hash function */
	const Colocation *colocation;
	uint64 version; /* greater each time that the table may have changed */
	bool shell;		/* on a node, which has some of its shards */
} DistributedTable;

/* NULL when the relation is not distributed (or the extension not created here). */
extern const DistributedTable *metadata_table(Oid relid);

/*
 * On a node, the same for shells, of which nobody else knows: only while
 * "metadata_see_shells" is on metadata_table gives them too.  That returns
 * the setting before; the caller puts it back, also on an error.
 */
extern bool metadata_any_shell(void);
extern const DistributedTable *metadata_shell(Oid relid);
extern bool metadata_see_shells(bool on);
extern bool metadata_sees_shells(void);

/* True when this database has any distributed table at all: the first question of every hook. */
extern bool metadata_any_table(void);

/*
 * True when the extension is there, so that any table may be distributed by
 * the time a lock on it is granted.
 */
extern bool metadata_present(void);

/*
 * Another number whenever the catalogs may have changed: for what was decided
 * by them, and is kept.  What concerns one table only its invalidation tells.
 */
extern uint64 metadata_changes(void);

/* While it stays what it is, never 0, so does all that metadata_table has returned. */
extern uint64 metadata_generation(void);

/* Of a table. */
#define MAX_SHARD_COUNT 64000

/* The shard that holds "key" (a non-null value of the key's type). */
extern const Shard *metadata_shard_for_key(const DistributedTable *table, Datum key);

/*
 * The hash of a non-null value by the type's own operator class.  An error if
 * there is none: such types come from callers who are users.
 */
extern int32 metadata_hash_value(Oid type, Oid collation, Datum value);

/* The row of a function that every node has; NULL: it is none. */
struct FunctionRow;
extern const struct FunctionRow *metadata_function(Oid function);

/* All distributed tables of this database, ascending Oids; the list is the caller's. */
extern List *metadata_tables(void);

/* The groups that take part (worker groups; never the coordinator's own), ascending ints; the list is the caller's. */
extern List *metadata_groups(void);

/*
 * Where a worker group is reached according to the catalog.  False when the
 * group is not there, or its leader is to be found through etcd.  "host" is
 * valid until the end of the transaction.
 */
extern bool metadata_group_address(int group_id, const char **host, int *port);

/* Palloc'd name of the schema that holds the shard's piece of tables of "schema". */
extern char *metadata_shard_schema(const char *schema, int64 shard_id);

#endif
