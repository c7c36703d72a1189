/*-------------------------------------------------------------------------
 * metadata.c
 *	  The cache of the catalog in every backend.
 *
 * Filled on demand from catalog.c; emptied by relcache invalidations: that
 * of a distributed table drops its entry, that of a catalog drops all.  The
 * server sends them to every backend when a transaction commits, replays
 * them here at the next command and when a (sub)transaction aborts, and
 * carries them to standbys, so the cache needs no bookkeeping of its own.
 * A write to a catalog from outside the library is announced by a trigger.
 *
 * What an invalidation takes away may still be in use further up the stack:
 * it is set aside ("retired") and freed when the transaction ends.
 *
 * Tables that are not distributed have entries too, so that a second look at
 * them is one hash probe; in a database without distributed tables, or
 * without the extension, no entry is made at all.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/transam.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "shard/metadata/catalog.h"
#include "shard/metadata/metadata.h"

PGCLUSTER_FUNCTION(pgcluster_catalog_changed);

/* What this database holds. */
typedef enum DatabaseState
{
	DATABASE_UNKNOWN, /* not looked at since something changed */
	DATABASE_PLAIN,	  /* no extension */
	DATABASE_EMPTY,	  /* no distributed table; there may be shells */
	DATABASE_DISTRIBUTED
} DatabaseState;

typedef struct TableEntry
{
	Oid relid; /* hash key */
	bool valid;
	MemoryContext context;	 /* of a distributed table: holds "table" */
	DistributedTable *table; /* NULL: not distributed */
} TableEntry;

typedef struct ColocationEntry
{
	int id; /* hash key */
	Colocation *colocation;
} ColocationEntry;

typedef struct MetadataCache
{
	MemoryContext context;
	HTAB *tables;
	HTAB *colocations;
	bool groups_known;
	List *groups; /* MemberGroupRow */
	bool functions_known;
	List *functions; /* FunctionRow */
} MetadataCache;

typedef struct Retired
{
	MemoryContext context;
	struct Retired *next;
} Retired;

static DatabaseState database_state = DATABASE_UNKNOWN;
static bool database_has_shells = false; /* when the state is known */
static bool see_shells = false;
static Oid catalog_oids[CATALOG_COUNT];
static MetadataCache *cache = NULL;
static Retired *retired = NULL;

/* Grows with every invalidation that concerns us. */
static uint64 generation = 1;

/* Of tables, as they were read. */
static uint64 versions = 0;

/* Grows when the catalogs may have changed. */
static uint64 changes = 0;

/* The catalogs changed: "cache" is only good for being retired. */
static bool cache_stale = false;

/*
 * Callbacks of the invalidation: no catalog access and no error here.
 */
static void
forget_all(void)
{
	database_state = DATABASE_UNKNOWN;
	cache_stale = true;
	generation++;
	changes++;
}

uint64
metadata_changes(void)
{
	return changes;
}

uint64
metadata_generation(void)
{
	return generation;
}

static bool
is_catalog(Oid relid)
{
	for (int i = 0; i < CATALOG_COUNT; i++)
	{
		if (catalog_oids[i] == relid)
			return true;
	}
	return false;
}

static void
on_relcache_invalidation(Datum arg, Oid relid)
{
	TableEntry *entry;

	if (!OidIsValid(relid) || is_catalog(relid))
	{
		forget_all();
		return;
	}

	/* An entry that is just being read is not in the table yet. */
	generation++;
	if (cache == NULL)
		return;
	entry = hash_search(cache->tables, &relid, HASH_FIND, NULL);
	if (entry == NULL)
		return;
	if (entry->table != NULL)
		entry->valid = false;
	else
		hash_search(cache->tables, &relid, HASH_REMOVE, NULL);
}

/*
 * A schema was made, changed or dropped: it may be ours.  This is how a
 * session learns of CREATE EXTENSION, whose catalogs it cannot know yet.
 */
static void
on_schema_invalidation(Datum arg, int cacheid, uint32 hash)
{
	forget_all();
}

/* Keeps "context" until the end of the transaction. */
static void
retire(MemoryContext context)
{
	Retired *r = MemoryContextAlloc(CacheMemoryContext, sizeof(*r));

	r->context = context;
	r->next = retired;
	retired = r;
}

static void
free_retired(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			while (retired != NULL)
			{
				Retired *r = retired;

				retired = r->next;
				MemoryContextDelete(r->context);
				pfree(r);
			}
			break;
		default:
			break;
	}
}

static void
register_callbacks(void)
{
	static bool registered = false;

	if (registered)
		return;
	CacheRegisterRelcacheCallback(on_relcache_invalidation, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, on_schema_invalidation, (Datum) 0);
	RegisterXactCallback(free_retired, NULL);
	registered = true;
}

/* The cache, made anew if the catalogs changed since. */
static MetadataCache *
current_cache(void)
{
	MemoryContext context;
	HASHCTL ctl = {0};
	MetadataCache *fresh;

	if (cache != NULL && !cache_stale)
		return cache;
	if (cache != NULL)
	{
		HASH_SEQ_STATUS all;
		TableEntry *entry;

		hash_seq_init(&all, cache->tables);
		while ((entry = hash_seq_search(&all)) != NULL)
		{
			if (entry->context != NULL)
				MemoryContextSetParent(entry->context, cache->context);
		}
		retire(cache->context);
		cache = NULL;
	}

	context =
		AllocSetContextCreate(CacheMemoryContext, "pgcluster metadata", ALLOCSET_DEFAULT_SIZES);
	fresh = MemoryContextAllocZero(context, sizeof(*fresh));
	fresh->context = context;
	ctl.hcxt = context;
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(TableEntry);
	fresh->tables =
		hash_create("pgcluster tables", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ctl.keysize = sizeof(int);
	ctl.entrysize = sizeof(ColocationEntry);
	fresh->colocations =
		hash_create("pgcluster colocations", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	cache_stale = false;
	cache = fresh;
	return cache;
}

/*
 * Looks whether the database has distributed tables.  While the extension
 * is being created its schema is there before its tables: no answer is kept
 * then, since their creation does not call on_schema_invalidation.
 */
static void
look_at_database(void)
{
	uint64 before;
	DatabaseState found;

	/* Our own script: the catalogs come into being one by one. */
	if (creating_extension && CurrentExtensionObject == get_extension_oid("pgcluster", true))
		return;
	register_callbacks();
	do
	{
		Oid schema;

		before = generation;
		found = DATABASE_PLAIN;
		schema = catalog_schema();
		if (OidIsValid(schema))
		{
			for (int i = 0; i < CATALOG_COUNT; i++)
			{
				catalog_oids[i] = catalog_relation(schema, (Catalog) i);
				if (!OidIsValid(catalog_oids[i]))
					return;
			}
			found = catalog_has_tables() ? DATABASE_DISTRIBUTED : DATABASE_EMPTY;
			database_has_shells = catalog_has_shells();
		}
	} while (generation != before);

	database_state = found;
}

/*
 * What the database holds; DATABASE_UNKNOWN in the middle of CREATE
 * EXTENSION, and where no catalog can be read: in a process without a
 * database and outside of a transaction.  While pg_upgrade rebuilds the
 * schema nothing is distributed.
 */
static DatabaseState
current_state(void)
{
	if (!OidIsValid(MyDatabaseId) || IsBinaryUpgrade || !IsTransactionState())
		return DATABASE_UNKNOWN;
	if (database_state == DATABASE_UNKNOWN)
		look_at_database();
	return database_state;
}

bool
metadata_any_table(void)
{
	if (likely(database_state == DATABASE_PLAIN))
		return false;
	return current_state() == DATABASE_DISTRIBUTED;
}

bool
metadata_any_shell(void)
{
	return metadata_present() && database_has_shells;
}

bool
metadata_see_shells(bool on)
{
	bool before = see_shells;

	see_shells = on;
	return before;
}

bool
metadata_sees_shells(void)
{
	return see_shells;
}

bool
metadata_present(void)
{
	DatabaseState state;

	if (likely(database_state == DATABASE_PLAIN))
		return false;
	state = current_state();
	return state == DATABASE_EMPTY || state == DATABASE_DISTRIBUTED;
}

static const Colocation *
find_colocation(MetadataCache *in, int id, TableKind kind)
{
	ColocationEntry *entry = hash_search(in->colocations, &id, HASH_FIND, NULL);
	ColocationRow row;
	Colocation *colocation;
	MemoryContext old;

	if (entry != NULL)
		return entry->colocation;
	if (!catalog_read_colocation(id, &row))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("colocation group %d is not in pgcluster.colocation_group", id)));

	old = MemoryContextSwitchTo(in->context);
	colocation = palloc0(sizeof(*colocation));
	colocation->id = id;
	colocation->kind = kind;
	colocation->key_type = row.key_type;
	colocation->collation = row.key_collation;
	colocation->shards = catalog_read_shards(id, &colocation->nshards);
	MemoryContextSwitchTo(old);

	if (colocation->nshards != row.shard_count)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("colocation group %d has %d shards instead of %d", id,
							   colocation->nshards, row.shard_count)));
	entry = hash_search(in->colocations, &id, HASH_ENTER, NULL);
	entry->colocation = colocation;
	return colocation;
}

/* Fills in what concerns the distribution column. */
static void
fill_key(DistributedTable *table, const char *name, MemoryContext context)
{
	TypeCacheEntry *type;

	table->key = get_attnum(table->relid, name);
	if (table->key == InvalidAttrNumber)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("distribution column \"%s\" of table %u is not there", name,
							   table->relid)));
	get_atttypetypmodcoll(table->relid, table->key, &table->key_type, &table->key_typmod,
						  &table->key_collation);
	type = lookup_type_cache(table->key_type, TYPECACHE_HASH_PROC);
	if (!OidIsValid(type->hash_proc))
		elog(ERROR, "type %u has no hash function", table->key_type);
	fmgr_info_cxt(type->hash_proc, &table->key_hash, context);
}

/* Reads one table; NULL if it is not distributed.  "context" is what holds the result. */
static DistributedTable *
read_table(MetadataCache *in, Oid relid, MemoryContext *context)
{
	TableRow row;
	DistributedTable *table;

	if (!catalog_read_table(relid, &row))
		return NULL;
	*context = AllocSetContextCreate(CurrentMemoryContext, "pgcluster table", ALLOCSET_SMALL_SIZES);
	table = MemoryContextAllocZero(*context, sizeof(*table));
	table->relid = relid;
	table->version = ++versions;
	table->kind = row.kind;
	table->key = InvalidAttrNumber;
	table->key_typmod = -1;
	if (row.kind == TABLE_HASH)
		fill_key(table, NameStr(row.column), *context);
	table->colocation = find_colocation(in, row.colocation_id, row.kind);
	return table;
}

/*
 * The shards of a shell.  Those of one colocation group share them, as far as
 * they do have the same: whoever owns a table may say anything of it.
 */
static const Colocation *
shell_colocation(MetadataCache *in, const DistributedTable *table, const ShellRow *row)
{
	/* Numbers of the coordinator's, kept apart from those of this database. */
	int id = -row->colocation_id;
	ColocationEntry *entry = hash_search(in->colocations, &id, HASH_FIND, NULL);
	MemoryContext old;
	Colocation *colocation;

	if (entry != NULL && entry->colocation->nshards == row->nshards &&
		entry->colocation->kind == row->kind &&
		memcmp(entry->colocation->shards, row->shards, row->nshards * sizeof(Shard)) == 0)
		return entry->colocation;
	old = MemoryContextSwitchTo(in->context);
	colocation = palloc0(sizeof(*colocation));
	colocation->id = id;
	colocation->kind = row->kind;
	colocation->key_type = table->key_type;
	colocation->collation = table->key_collation;
	colocation->nshards = row->nshards;
	colocation->shards = palloc(row->nshards * sizeof(Shard));
	memcpy(colocation->shards, row->shards, row->nshards * sizeof(Shard));
	MemoryContextSwitchTo(old);
	if (entry == NULL)
	{
		entry = hash_search(in->colocations, &id, HASH_ENTER, NULL);
		entry->colocation = colocation;
	}
	return colocation;
}

static DistributedTable *
read_shell(MetadataCache *in, Oid relid, MemoryContext *context)
{
	ShellRow row;
	DistributedTable *table;

	if (!catalog_read_shell(relid, &row))
		return NULL;
	*context = AllocSetContextCreate(CurrentMemoryContext, "pgcluster table", ALLOCSET_SMALL_SIZES);
	table = MemoryContextAllocZero(*context, sizeof(*table));
	table->relid = relid;
	table->version = ++versions;
	table->shell = true;
	table->kind = row.kind;
	table->key_typmod = -1;
	if (row.kind == TABLE_HASH)
		fill_key(table, get_attname(relid, row.key, false), *context);

	table->colocation = shell_colocation(in, table, &row);
	return table;
}

static const DistributedTable *
load_table(Oid relid)
{
	MetadataCache *in;
	DistributedTable *table;
	MemoryContext context;
	TableEntry *entry;
	uint64 before;
	bool found;

	/* Reading takes locks, and those let invalidations in: then read again. */
	do
	{
		CHECK_FOR_INTERRUPTS();
		in = current_cache();
		before = generation;
		context = NULL;
		table = read_table(in, relid, &context);
		if (table == NULL && database_has_shells)
			table = read_shell(in, relid, &context);
		if (generation != before && context != NULL)
			MemoryContextDelete(context);
	} while (generation != before);

	entry = hash_search(in->tables, &relid, HASH_ENTER, &found);
	if (found && entry->context != NULL)
		retire(entry->context);
	if (context != NULL)
		MemoryContextSetParent(context, CacheMemoryContext);
	entry->context = context;
	entry->table = table;
	entry->valid = true;
	return table;
}

static const DistributedTable *
find_table(Oid relid)
{
	TableEntry *entry;

	if (cache != NULL && !cache_stale)
	{
		entry = hash_search(cache->tables, &relid, HASH_FIND, NULL);
		if (entry != NULL && entry->valid)
			return entry->table;
	}
	return load_table(relid);
}

const DistributedTable *
metadata_table(Oid relid)
{
	const DistributedTable *table;

	if (relid < FirstNormalObjectId || (!metadata_any_table() && !see_shells))
		return NULL;
	table = find_table(relid);
	return table != NULL && table->shell && !see_shells ? NULL : table;
}

const DistributedTable *
metadata_shell(Oid relid)
{
	const DistributedTable *table;

	if (relid < FirstNormalObjectId || !metadata_any_shell())
		return NULL;
	table = find_table(relid);
	return table != NULL && table->shell ? table : NULL;
}

const Shard *
metadata_shard_for_key(const DistributedTable *table, Datum key)
{
	const Colocation *colocation = table->colocation;
	int32 hash = DatumGetInt32(
		FunctionCall1Coll(unconstify(FmgrInfo *, &table->key_hash), table->key_collation, key));
	int low = 0;
	int high = colocation->nshards - 1;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (hash > colocation->shards[middle].hash_max)
			low = middle + 1;
		else
			high = middle;
	}
	return &colocation->shards[low];
}

int32
metadata_hash_value(Oid type, Oid collation, Datum value)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_HASH_PROC_FINFO);

	if (!OidIsValid(entry->hash_proc_finfo.fn_oid))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("type %s has no hash function", format_type_be(type))));
	return DatumGetInt32(FunctionCall1Coll(&entry->hash_proc_finfo, collation, value));
}

List *
metadata_tables(void)
{
	List *relids = NIL;
	ListCell *lc;

	if (!metadata_any_table())
		return NIL;
	foreach (lc, catalog_read_tables(CATALOG_ALL_TABLES))
		relids = lappend_oid(relids, ((TableRow *) lfirst(lc))->relid);
	return relids;
}

/*
 * The rows of pgcluster.member_group.  They count as soon as the extension
 * is there, before any table is distributed.
 */
static List *
known_groups(void)
{
	MetadataCache *in;
	uint64 before;
	List *groups;

	if (!OidIsValid(MyDatabaseId) || !IsTransactionState())
		return NIL;
	if (cache != NULL && !cache_stale && cache->groups_known)
		return cache->groups;
	metadata_any_table();
	if (!OidIsValid(catalog_schema()))
		return NIL;
	do
	{
		MemoryContext old;

		in = current_cache();
		before = generation;
		old = MemoryContextSwitchTo(in->context);
		groups = catalog_read_groups();
		MemoryContextSwitchTo(old);
	} while (generation != before);
	in->groups = groups;
	in->groups_known = true;
	return groups;
}

List *
metadata_groups(void)
{
	List *ids = NIL;
	ListCell *lc;

	foreach (lc, known_groups())
		ids = lappend_int(ids, ((MemberGroupRow *) lfirst(lc))->group_id);
	return ids;
}

static List *
known_functions(void)
{
	MetadataCache *in;
	uint64 before;
	List *functions;

	if (cache != NULL && !cache_stale && cache->functions_known)
		return cache->functions;
	do
	{
		MemoryContext old;

		in = current_cache();
		before = generation;
		old = MemoryContextSwitchTo(in->context);
		functions = catalog_read_functions();
		MemoryContextSwitchTo(old);
	} while (generation != before);
	in->functions = functions;
	in->functions_known = true;
	return functions;
}

const FunctionRow *
metadata_function(Oid function)
{
	ListCell *lc;

	if (function < FirstNormalObjectId || !metadata_present())
		return NULL;
	foreach (lc, known_functions())
	{
		if (((FunctionRow *) lfirst(lc))->function == function)
			return lfirst(lc);
	}
	return NULL;
}

bool
metadata_group_address(int group_id, const char **host, int *port)
{
	ListCell *lc;

	foreach (lc, known_groups())
	{
		MemberGroupRow *row = lfirst(lc);

		if (row->group_id != group_id || row->host == NULL)
			continue;
		*host = row->host;
		*port = row->port;
		return true;
	}
	return false;
}

/*
 * A schema name that is too long is cut, and a hash of the whole keeps two
 * of them apart.
 */
char *
metadata_shard_schema(const char *schema, int64 shard_id)
{
	char suffix[64];
	int length = strlen(schema);
	int room;

	if (shard_id == SHELL_SHARD)
		return pstrdup(schema);
	snprintf(suffix, sizeof(suffix), "_" INT64_FORMAT, shard_id);
	room = NAMEDATALEN - 1 - strlen(suffix);
	if (length <= room)
		return psprintf("%s%s", schema, suffix);

	snprintf(suffix, sizeof(suffix), "_%08x_" INT64_FORMAT,
			 hash_bytes((const unsigned char *) schema, length), shard_id);
	room = NAMEDATALEN - 1 - strlen(suffix);
	return psprintf("%.*s%s", pg_mbcliplen(schema, length, room), schema, suffix);
}

/*
 * Trigger of the catalogs, for changes that do not come through catalog.c.
 */
Datum
pgcluster_catalog_changed(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("pgcluster.catalog_changed must be called as a trigger")));
	CacheInvalidateRelcache(data->tg_relation);
	return PointerGetDatum(NULL);
}
