/*-------------------------------------------------------------------------
 * catalog.c
 *	  Reads and writes the tables of schema pgcluster.
 *
 * Rows go straight through the access methods, so no privilege of the user
 * on these tables is needed; who may change the cluster is decided by the
 * SQL functions.  Nothing is kept here: caching is metadata.c's.
 *
 * The order of the columns is that of the extension script; the enums below
 * must follow it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/sequence.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "shard/metadata/catalog.h"

enum
{
	GROUP_ID = 1,
	GROUP_HOST,
	GROUP_PORT,
	GROUP_NATTS = GROUP_PORT
};

enum
{
	COLOCATION_ID = 1,
	COLOCATION_SHARD_COUNT,
	COLOCATION_KEY_TYPE,
	COLOCATION_KEY_COLLATION,
	COLOCATION_NATTS = COLOCATION_KEY_COLLATION
};

enum
{
	SHARD_ID = 1,
	SHARD_COLOCATION_ID,
	SHARD_HASH_MIN,
	SHARD_HASH_MAX,
	SHARD_GROUP_ID,
	SHARD_NATTS = SHARD_GROUP_ID
};

enum
{
	TABLE_RELID = 1,
	TABLE_KIND,
	TABLE_COLUMN,
	TABLE_COLOCATION_ID,
	TABLE_NATTS = TABLE_COLOCATION_ID
};

enum
{
	SHELL_RELID = 1,
	SHELL_KIND,
	SHELL_KEY,
	SHELL_COLOCATION_ID,
	SHELL_SHARD_IDS,
	SHELL_HASH_MAXIMA,
	SHELL_GROUP_IDS,
	SHELL_NATTS = SHELL_GROUP_IDS
};

enum
{
	FUNCTION_ID = 1,
	FUNCTION_ARGUMENT,
	FUNCTION_COLOCATION_ID,
	FUNCTION_NATTS = FUNCTION_COLOCATION_ID
};

static const struct
{
	const char *name;
	const char *pkey;
} catalogs[] = {
	[CATALOG_MEMBER_GROUP] = {"member_group", "member_group_pkey"},
	[CATALOG_COLOCATION_GROUP] = {"colocation_group", "colocation_group_pkey"},
	[CATALOG_SHARD] = {"shard", "shard_pkey"},
	[CATALOG_DISTRIBUTED_TABLE] = {"distributed_table", "distributed_table_pkey"},
	[CATALOG_SHELL] = {"shell", "shell_pkey"},
	[CATALOG_DISTRIBUTED_FUNCTION] = {"distributed_function", "distributed_function_pkey"},
};

StaticAssertDecl(lengthof(catalogs) == CATALOG_COUNT, "every catalog has its name");

static const char shard_range_index[] = "shard_colocation_id_hash_min_key";
static const char table_colocation_index[] = "distributed_table_colocation_id_idx";

/*
 * A scan in the order of an index, optionally for one value of its first
 * column (named by its number in the table).
 */
typedef struct CatalogScan
{
	Relation relation;
	Relation index;
	SysScanDesc scan;
} CatalogScan;

/*
 * Anybody with CREATE on the database can make a schema of this name while
 * the extension is not there; only what the extension owns is believed.
 */
Oid
catalog_schema(void)
{
	Oid schema = get_namespace_oid("pgcluster", true);
	Oid extension;

	if (!OidIsValid(schema))
		return InvalidOid;
	extension = get_extension_oid("pgcluster", true);
	if (!OidIsValid(extension) || getExtensionOfObject(NamespaceRelationId, schema) != extension)
		return InvalidOid;
	return schema;
}

Oid
catalog_relation(Oid schema, Catalog catalog)
{
	/* A table without its index is still being made by CREATE EXTENSION. */
	if (!OidIsValid(get_relname_relid(catalogs[catalog].pkey, schema)))
		return InvalidOid;
	return get_relname_relid(catalogs[catalog].name, schema);
}

static Relation
open_catalog(Catalog catalog, LOCKMODE lockmode)
{
	Oid schema = get_namespace_oid("pgcluster", false);
	Oid relid = catalog_relation(schema, catalog);

	if (!OidIsValid(relid))
		elog(ERROR, "pgcluster.%s does not exist", catalogs[catalog].name);
	return table_open(relid, lockmode);
}

/* "attno" 0: all rows */
static void
begin_scan(CatalogScan *s, Catalog catalog, const char *index, AttrNumber attno, RegProcedure equal,
		   Datum value, LOCKMODE lockmode)
{
	ScanKeyData key;
	Oid index_id;

	s->relation = open_catalog(catalog, lockmode);
	index_id = get_relname_relid(index, RelationGetNamespace(s->relation));
	if (!OidIsValid(index_id))
		elog(ERROR, "index pgcluster.%s does not exist", index);
	s->index = index_open(index_id, AccessShareLock);
	if (attno != 0)
		ScanKeyInit(&key, attno, BTEqualStrategyNumber, equal, value);

	/*
	 * Without a snapshot given, this is the latest one for a relation that
	 * sends no catalog cache invalidations.  Ordered, because rows are
	 * wanted in the order of the index.
	 */
	s->scan = systable_beginscan_ordered(s->relation, s->index, NULL, attno != 0 ? 1 : 0, &key);
}

static HeapTuple
next_tuple(CatalogScan *s)
{
	return systable_getnext_ordered(s->scan, ForwardScanDirection);
}

static Datum
column(CatalogScan *s, HeapTuple tuple, int attno, bool *isnull)
{
	return heap_getattr(tuple, attno, RelationGetDescr(s->relation), isnull);
}

/* A column that is declared NOT NULL. */
static Datum
field(CatalogScan *s, HeapTuple tuple, int attno)
{
	bool isnull;
	Datum value = column(s, tuple, attno, &isnull);

	if (isnull)
		elog(ERROR, "unexpected null in column %d of pgcluster.%s", attno,
			 RelationGetRelationName(s->relation));
	return value;
}

/* The lock on the catalog is kept when it was taken for writing. */
static void
end_scan(CatalogScan *s, LOCKMODE lockmode)
{
	systable_endscan_ordered(s->scan);
	index_close(s->index, AccessShareLock);
	table_close(s->relation, lockmode == AccessShareLock ? lockmode : NoLock);
}

List *
catalog_read_groups(void)
{
	CatalogScan s;
	HeapTuple tuple;
	List *rows = NIL;

	begin_scan(&s, CATALOG_MEMBER_GROUP, catalogs[CATALOG_MEMBER_GROUP].pkey, 0, InvalidOid, 0,
			   AccessShareLock);
	while (HeapTupleIsValid(tuple = next_tuple(&s)))
	{
		MemberGroupRow *row = palloc0(sizeof(*row));
		bool isnull;
		Datum host = column(&s, tuple, GROUP_HOST, &isnull);

		row->group_id = DatumGetInt32(field(&s, tuple, GROUP_ID));
		if (!isnull)
		{
			row->host = TextDatumGetCString(host);
			row->port = DatumGetInt32(field(&s, tuple, GROUP_PORT));
		}
		rows = lappend(rows, row);
	}
	end_scan(&s, AccessShareLock);
	return rows;
}

static void
fill_colocation(CatalogScan *s, HeapTuple tuple, ColocationRow *row)
{
	bool isnull;
	Datum value;

	row->id = DatumGetInt32(field(s, tuple, COLOCATION_ID));
	row->shard_count = DatumGetInt32(field(s, tuple, COLOCATION_SHARD_COUNT));
	value = column(s, tuple, COLOCATION_KEY_TYPE, &isnull);
	row->key_type = isnull ? InvalidOid : DatumGetObjectId(value);
	value = column(s, tuple, COLOCATION_KEY_COLLATION, &isnull);
	row->key_collation = isnull ? InvalidOid : DatumGetObjectId(value);
}

List *
catalog_read_colocations(void)
{
	CatalogScan s;
	HeapTuple tuple;
	List *rows = NIL;

	begin_scan(&s, CATALOG_COLOCATION_GROUP, catalogs[CATALOG_COLOCATION_GROUP].pkey, 0, InvalidOid,
			   0, AccessShareLock);
	while (HeapTupleIsValid(tuple = next_tuple(&s)))
	{
		ColocationRow *row = palloc(sizeof(*row));

		fill_colocation(&s, tuple, row);
		rows = lappend(rows, row);
	}
	end_scan(&s, AccessShareLock);
	return rows;
}

bool
catalog_read_colocation(int id, ColocationRow *row)
{
	CatalogScan s;
	HeapTuple tuple;
	bool found;

	begin_scan(&s, CATALOG_COLOCATION_GROUP, catalogs[CATALOG_COLOCATION_GROUP].pkey, COLOCATION_ID,
			   F_INT4EQ, Int32GetDatum(id), AccessShareLock);
	tuple = next_tuple(&s);
	found = HeapTupleIsValid(tuple);
	if (found)
		fill_colocation(&s, tuple, row);
	end_scan(&s, AccessShareLock);
	return found;
}

static void
fill_table(CatalogScan *s, HeapTuple tuple, TableRow *row)
{
	bool isnull;
	Datum value;

	memset(row, 0, sizeof(*row));
	row->relid = DatumGetObjectId(field(s, tuple, TABLE_RELID));
	row->kind = (TableKind) DatumGetChar(field(s, tuple, TABLE_KIND));
	value = column(s, tuple, TABLE_COLUMN, &isnull);
	if (!isnull)
		namestrcpy(&row->column, NameStr(*DatumGetName(value)));
	row->colocation_id = DatumGetInt32(field(s, tuple, TABLE_COLOCATION_ID));
}

static int
compare_table_rows(const ListCell *a, const ListCell *b)
{
	Oid x = ((const TableRow *) lfirst(a))->relid;
	Oid y = ((const TableRow *) lfirst(b))->relid;

	return (x > y) - (x < y);
}

List *
catalog_read_tables(int colocation_id)
{
	CatalogScan s;
	HeapTuple tuple;
	List *rows = NIL;

	begin_scan(&s, CATALOG_DISTRIBUTED_TABLE, table_colocation_index,
			   colocation_id == CATALOG_ALL_TABLES ? 0 : TABLE_COLOCATION_ID, F_INT4EQ,
			   Int32GetDatum(colocation_id), AccessShareLock);
	while (HeapTupleIsValid(tuple = next_tuple(&s)))
	{
		TableRow *row = palloc(sizeof(*row));

		fill_table(&s, tuple, row);
		rows = lappend(rows, row);
	}
	end_scan(&s, AccessShareLock);
	list_sort(rows, compare_table_rows);
	return rows;
}

bool
catalog_read_table(Oid relid, TableRow *row)
{
	CatalogScan s;
	HeapTuple tuple;
	bool found;

	begin_scan(&s, CATALOG_DISTRIBUTED_TABLE, catalogs[CATALOG_DISTRIBUTED_TABLE].pkey, TABLE_RELID,
			   F_OIDEQ, ObjectIdGetDatum(relid), AccessShareLock);
	tuple = next_tuple(&s);
	found = HeapTupleIsValid(tuple);
	if (found)
		fill_table(&s, tuple, row);
	end_scan(&s, AccessShareLock);
	return found;
}

static bool
has_rows(Catalog catalog)
{
	CatalogScan s;
	bool found;

	begin_scan(&s, catalog, catalogs[catalog].pkey, 0, InvalidOid, 0, AccessShareLock);
	found = HeapTupleIsValid(next_tuple(&s));
	end_scan(&s, AccessShareLock);
	return found;
}

bool
catalog_has_tables(void)
{
	return has_rows(CATALOG_DISTRIBUTED_TABLE);
}

bool
catalog_has_shells(void)
{
	return has_rows(CATALOG_SHELL);
}

/* The elements of an array column, none of them null. */
static int
elements(CatalogScan *s, HeapTuple tuple, int attno, Oid type, Datum **values)
{
	int16 length;
	bool by_value;
	char align;
	int n;

	get_typlenbyvalalign(type, &length, &by_value, &align);
	deconstruct_array(DatumGetArrayTypePCopy(field(s, tuple, attno)), type, length, by_value, align,
					  values, NULL, &n);
	return n;
}

static void
fill_shell(CatalogScan *s, HeapTuple tuple, ShellRow *row)
{
	Datum *ids;
	Datum *maxima;
	Datum *groups;
	bool isnull;
	Datum key = column(s, tuple, SHELL_KEY, &isnull);

	row->relid = DatumGetObjectId(field(s, tuple, SHELL_RELID));
	row->kind = (TableKind) DatumGetChar(field(s, tuple, SHELL_KIND));
	row->key = isnull ? InvalidAttrNumber : DatumGetInt16(key);
	row->colocation_id = DatumGetInt32(field(s, tuple, SHELL_COLOCATION_ID));
	row->nshards = elements(s, tuple, SHELL_SHARD_IDS, INT8OID, &ids);
	if (row->nshards == 0 ||
		elements(s, tuple, SHELL_HASH_MAXIMA, INT4OID, &maxima) != row->nshards ||
		elements(s, tuple, SHELL_GROUP_IDS, INT4OID, &groups) != row->nshards)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("the row of table %u in pgcluster.shell is damaged", row->relid)));
	row->shards = palloc0(row->nshards * sizeof(Shard)); /* compared as a whole */
	for (int i = 0; i < row->nshards; i++)
	{
		row->shards[i].id = DatumGetInt64(ids[i]);
		row->shards[i].hash_min =
			i == 0 ? PG_INT32_MIN : (int32) (row->shards[i - 1].hash_max + (int64) 1);
		row->shards[i].hash_max = DatumGetInt32(maxima[i]);
		row->shards[i].group_id = DatumGetInt32(groups[i]);
	}
}

bool
catalog_read_shell(Oid relid, ShellRow *row)
{
	CatalogScan s;
	HeapTuple tuple;
	bool found;

	begin_scan(&s, CATALOG_SHELL, catalogs[CATALOG_SHELL].pkey, SHELL_RELID, F_OIDEQ,
			   ObjectIdGetDatum(relid), AccessShareLock);
	tuple = next_tuple(&s);
	found = HeapTupleIsValid(tuple);
	if (found)
		fill_shell(&s, tuple, row);
	end_scan(&s, AccessShareLock);
	return found;
}

Shard *
catalog_read_shards(int colocation_id, int *nshards)
{
	CatalogScan s;
	HeapTuple tuple;
	int room = 32;
	int n = 0;
	Shard *shards = palloc(room * sizeof(Shard));

	begin_scan(&s, CATALOG_SHARD, shard_range_index, SHARD_COLOCATION_ID, F_INT4EQ,
			   Int32GetDatum(colocation_id), AccessShareLock);
	while (HeapTupleIsValid(tuple = next_tuple(&s)))
	{
		bool isnull;
		Datum group = column(&s, tuple, SHARD_GROUP_ID, &isnull);

		if (n == room)
		{
			room *= 2;
			shards = repalloc(shards, room * sizeof(Shard));
		}
		shards[n].id = DatumGetInt64(field(&s, tuple, SHARD_ID));
		shards[n].hash_min = DatumGetInt32(field(&s, tuple, SHARD_HASH_MIN));
		shards[n].hash_max = DatumGetInt32(field(&s, tuple, SHARD_HASH_MAX));
		shards[n].group_id = isnull ? -1 : DatumGetInt32(group);
		n++;
	}
	end_scan(&s, AccessShareLock);
	*nshards = n;
	return shards;
}

List *
catalog_read_functions(void)
{
	CatalogScan s;
	HeapTuple tuple;
	List *rows = NIL;

	begin_scan(&s, CATALOG_DISTRIBUTED_FUNCTION, catalogs[CATALOG_DISTRIBUTED_FUNCTION].pkey, 0,
			   InvalidOid, 0, AccessShareLock);
	while (HeapTupleIsValid(tuple = next_tuple(&s)))
	{
		FunctionRow *row = palloc0(sizeof(*row));
		bool isnull;
		Datum argument = column(&s, tuple, FUNCTION_ARGUMENT, &isnull);

		row->function = DatumGetObjectId(field(&s, tuple, FUNCTION_ID));
		if (!isnull)
		{
			row->argument = DatumGetInt16(argument);
			row->colocation_id = DatumGetInt32(field(&s, tuple, FUNCTION_COLOCATION_ID));
		}
		rows = lappend(rows, row);
	}
	end_scan(&s, AccessShareLock);
	return rows;
}

/*
 * Tells every cache, this session's included, that a catalog changed.
 */
static void
announce(Relation relation)
{
	CacheInvalidateRelcache(relation);
	CommandCounterIncrement();
}

static void
insert_row(Catalog catalog, Datum *values, bool *nulls)
{
	Relation relation = open_catalog(catalog, RowExclusiveLock);
	HeapTuple tuple = heap_form_tuple(RelationGetDescr(relation), values, nulls);

	CatalogTupleInsert(relation, tuple);
	heap_freetuple(tuple);
	announce(relation);
	table_close(relation, NoLock);
}

static void
delete_rows(Catalog catalog, const char *index, AttrNumber attno, RegProcedure equal, Datum value)
{
	CatalogScan s;
	HeapTuple tuple;

	begin_scan(&s, catalog, index, attno, equal, value, RowExclusiveLock);
	while (HeapTupleIsValid(tuple = next_tuple(&s)))
		CatalogTupleDelete(s.relation, &tuple->t_self);
	systable_endscan_ordered(s.scan);
	index_close(s.index, AccessShareLock);
	announce(s.relation);
	table_close(s.relation, NoLock);
}

void
catalog_insert_group(const MemberGroupRow *row)
{
	Datum values[GROUP_NATTS] = {0};
	bool nulls[GROUP_NATTS] = {0};

	values[GROUP_ID - 1] = Int32GetDatum(row->group_id);
	nulls[GROUP_HOST - 1] = nulls[GROUP_PORT - 1] = row->host == NULL;
	if (row->host != NULL)
	{
		values[GROUP_HOST - 1] = CStringGetTextDatum(row->host);
		values[GROUP_PORT - 1] = Int32GetDatum(row->port);
	}
	insert_row(CATALOG_MEMBER_GROUP, values, nulls);
}

void
catalog_delete_group(int group_id)
{
	delete_rows(CATALOG_MEMBER_GROUP, catalogs[CATALOG_MEMBER_GROUP].pkey, GROUP_ID, F_INT4EQ,
				Int32GetDatum(group_id));
}

void
catalog_insert_colocation(const ColocationRow *row)
{
	Datum values[COLOCATION_NATTS] = {0};
	bool nulls[COLOCATION_NATTS] = {0};

	values[COLOCATION_ID - 1] = Int32GetDatum(row->id);
	values[COLOCATION_SHARD_COUNT - 1] = Int32GetDatum(row->shard_count);
	values[COLOCATION_KEY_TYPE - 1] = ObjectIdGetDatum(row->key_type);
	nulls[COLOCATION_KEY_TYPE - 1] = !OidIsValid(row->key_type);
	values[COLOCATION_KEY_COLLATION - 1] = ObjectIdGetDatum(row->key_collation);
	nulls[COLOCATION_KEY_COLLATION - 1] = !OidIsValid(row->key_collation);
	insert_row(CATALOG_COLOCATION_GROUP, values, nulls);
}

void
catalog_insert_shard(int colocation_id, const Shard *shard)
{
	Datum values[SHARD_NATTS] = {0};
	bool nulls[SHARD_NATTS] = {0};

	values[SHARD_ID - 1] = Int64GetDatum(shard->id);
	values[SHARD_COLOCATION_ID - 1] = Int32GetDatum(colocation_id);
	values[SHARD_HASH_MIN - 1] = Int32GetDatum(shard->hash_min);
	values[SHARD_HASH_MAX - 1] = Int32GetDatum(shard->hash_max);
	values[SHARD_GROUP_ID - 1] = Int32GetDatum(shard->group_id);
	nulls[SHARD_GROUP_ID - 1] = shard->group_id < 0;
	insert_row(CATALOG_SHARD, values, nulls);
}

void
catalog_insert_table(const TableRow *row)
{
	Datum values[TABLE_NATTS] = {0};
	bool nulls[TABLE_NATTS] = {0};

	values[TABLE_RELID - 1] = ObjectIdGetDatum(row->relid);
	values[TABLE_KIND - 1] = CharGetDatum((char) row->kind);
	values[TABLE_COLUMN - 1] = NameGetDatum(&row->column);
	nulls[TABLE_COLUMN - 1] = row->kind != TABLE_HASH;
	values[TABLE_COLOCATION_ID - 1] = Int32GetDatum(row->colocation_id);

	/* Plans of other sessions that took the table for a local one must go. */
	CacheInvalidateRelcacheByRelid(row->relid);
	insert_row(CATALOG_DISTRIBUTED_TABLE, values, nulls);
}

void
catalog_delete_table(Oid relid)
{
	CacheInvalidateRelcacheByRelid(relid);
	delete_rows(CATALOG_DISTRIBUTED_TABLE, catalogs[CATALOG_DISTRIBUTED_TABLE].pkey, TABLE_RELID,
				F_OIDEQ, ObjectIdGetDatum(relid));
}

void
catalog_insert_function(const FunctionRow *row)
{
	Datum values[FUNCTION_NATTS] = {0};
	bool nulls[FUNCTION_NATTS] = {0};

	values[FUNCTION_ID - 1] = ObjectIdGetDatum(row->function);
	values[FUNCTION_ARGUMENT - 1] = Int16GetDatum(row->argument);
	values[FUNCTION_COLOCATION_ID - 1] = Int32GetDatum(row->colocation_id);
	nulls[FUNCTION_ARGUMENT - 1] = nulls[FUNCTION_COLOCATION_ID - 1] = row->argument == 0;
	insert_row(CATALOG_DISTRIBUTED_FUNCTION, values, nulls);
}

void
catalog_delete_function(Oid function)
{
	delete_rows(CATALOG_DISTRIBUTED_FUNCTION, catalogs[CATALOG_DISTRIBUTED_FUNCTION].pkey,
				FUNCTION_ID, F_OIDEQ, ObjectIdGetDatum(function));
}

void
catalog_insert_shell(const ShellRow *row)
{
	Datum values[SHELL_NATTS] = {0};
	bool nulls[SHELL_NATTS] = {0};
	Datum *ids = palloc(row->nshards * sizeof(Datum));
	Datum *maxima = palloc(row->nshards * sizeof(Datum));
	Datum *groups = palloc(row->nshards * sizeof(Datum));

	for (int i = 0; i < row->nshards; i++)
	{
		ids[i] = Int64GetDatum(row->shards[i].id);
		maxima[i] = Int32GetDatum(row->shards[i].hash_max);
		groups[i] = Int32GetDatum(row->shards[i].group_id);
	}
	values[SHELL_RELID - 1] = ObjectIdGetDatum(row->relid);
	values[SHELL_KIND - 1] = CharGetDatum((char) row->kind);
	values[SHELL_KEY - 1] = Int16GetDatum(row->key);
	nulls[SHELL_KEY - 1] = row->kind != TABLE_HASH;
	values[SHELL_COLOCATION_ID - 1] = Int32GetDatum(row->colocation_id);
	values[SHELL_SHARD_IDS - 1] = PointerGetDatum(construct_array(
		ids, row->nshards, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[SHELL_HASH_MAXIMA - 1] = PointerGetDatum(
		construct_array(maxima, row->nshards, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	values[SHELL_GROUP_IDS - 1] = PointerGetDatum(
		construct_array(groups, row->nshards, INT4OID, sizeof(int32), true, TYPALIGN_INT));

	/* Plans that read the table itself must go. */
	CacheInvalidateRelcacheByRelid(row->relid);
	insert_row(CATALOG_SHELL, values, nulls);
}

void
catalog_delete_shell(Oid relid)
{
	delete_rows(CATALOG_SHELL, catalogs[CATALOG_SHELL].pkey, SHELL_RELID, F_OIDEQ,
				ObjectIdGetDatum(relid));
}

void
catalog_delete_colocation(int colocation_id)
{
	delete_rows(CATALOG_SHARD, shard_range_index, SHARD_COLOCATION_ID, F_INT4EQ,
				Int32GetDatum(colocation_id));
	delete_rows(CATALOG_COLOCATION_GROUP, catalogs[CATALOG_COLOCATION_GROUP].pkey, COLOCATION_ID,
				F_INT4EQ, Int32GetDatum(colocation_id));
}

int64
catalog_next_id(const char *sequence)
{
	Oid schema = get_namespace_oid("pgcluster", false);
	Oid relid = get_relname_relid(sequence, schema);

	if (!OidIsValid(relid))
		elog(ERROR, "sequence pgcluster.%s does not exist", sequence);
	return nextval_internal(relid, false);
}
