/*-------------------------------------------------------------------------
 * prepared.c
 *	  Statements prepared on a connection, known by their text, the types of
 *	  their parameters and the version of the tables.
 *
 * At most MAX_PREPARED are kept; the one not used for longest makes room.
 * A name is never used twice on a connection, so that a statement whose
 * preparation failed, or went away, cannot be mistaken for another.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#include "shard/remote/connection.h"

#define MAX_PREPARED 256
#define BUCKETS 256

struct PreparedEntry
{
	dlist_node bucket;
	dlist_node used; /* most recently used first */
	uint32 hash;
	uint64 version;
	int nparams;
	Oid *types; /* NULL: all left to the node */
	char *sql;
	char name[24];
};

struct PreparedCache
{
	MemoryContext context;
	dlist_head buckets[BUCKETS];
	dlist_head used;
	int n;
	uint64 last_number;
};

/* Grows when an entry goes. */
static uint64 forgotten = 0;

uint32
prepared_hash(const RemoteQuery *query)
{
	uint32 hash = hash_bytes((const unsigned char *) query->sql, strlen(query->sql));

	hash = hash_combine(hash, (uint32) query->version);
	if (query->types != NULL && query->nparams > 0)
		hash = hash_combine(
			hash, hash_bytes((const unsigned char *) query->types, query->nparams * sizeof(Oid)));
	return hash;
}

static PreparedCache *
cache_create(void)
{
	MemoryContext context =
		AllocSetContextCreate(remote_context(), "prepared statements", ALLOCSET_DEFAULT_SIZES);
	PreparedCache *cache = MemoryContextAllocZero(context, sizeof(PreparedCache));

	cache->context = context;
	for (int i = 0; i < BUCKETS; i++)
		dlist_init(&cache->buckets[i]);
	dlist_init(&cache->used);
	return cache;
}

static bool
entry_matches(const PreparedEntry *entry, uint32 hash, const RemoteQuery *query)
{
	if (entry->hash != hash || entry->version != query->version ||
		entry->nparams != query->nparams ||
		(entry->types == NULL) != (query->types == NULL || query->nparams == 0))
		return false;
	if (entry->types != NULL &&
		memcmp(entry->types, query->types, sizeof(Oid) * query->nparams) != 0)
		return false;
	return strcmp(entry->sql, query->sql) == 0;
}

static PreparedEntry *
entry_create(PreparedCache *cache, uint32 hash, const RemoteQuery *query)
{
	size_t length = strlen(query->sql) + 1;
	size_t types = query->types ? sizeof(Oid) * query->nparams : 0;
	PreparedEntry *entry =
		MemoryContextAllocZero(cache->context, MAXALIGN(sizeof(*entry)) + types + length);

	entry->hash = hash;
	entry->version = query->version;
	entry->nparams = query->nparams;
	if (types > 0)
	{
		entry->types = (Oid *) ((char *) entry + MAXALIGN(sizeof(*entry)));
		memcpy(entry->types, query->types, types);
	}
	entry->sql = (char *) entry + MAXALIGN(sizeof(*entry)) + types;
	memcpy(entry->sql, query->sql, length);
	snprintf(entry->name, sizeof(entry->name), "p" UINT64_FORMAT, ++cache->last_number);
	return entry;
}

static PreparedEntry *
search(PreparedCache *cache, uint32 hash, const RemoteQuery *query)
{
	dlist_iter iter;

	dlist_foreach (iter, &cache->buckets[hash % BUCKETS])
	{
		PreparedEntry *entry = dlist_container(PreparedEntry, bucket, iter.cur);

		if (entry_matches(entry, hash, query))
		{
			dlist_move_head(&cache->used, &entry->used);
			return entry;
		}
	}
	return NULL;
}

/*
 * A slot remembers it until any entry goes.  What is found that way is not
 * moved among those used: whenever room was made, all are looked up again.
 */
PreparedEntry *
prepared_known(RemoteConnection *c, const RemoteQuery *query)
{
	PreparedSlot *slot = query->slot;
	PreparedEntry *entry;

	if (c->prepared == NULL)
		return NULL;
	if (slot != NULL && slot->cache == c->prepared && slot->forgotten == forgotten &&
		slot->entry->version == query->version)
		return slot->entry;
	entry = search(c->prepared, prepared_hash(query), query);
	if (entry != NULL && slot != NULL)
	{
		slot->cache = c->prepared;
		slot->forgotten = forgotten;
		slot->entry = entry;
	}
	return entry;
}

PreparedEntry *
prepared_command(RemoteConnection *c, const char *sql)
{
	RemoteQuery query = {.sql = sql};

	return prepared_known(c, &query);
}

bool
prepared_has_room(const RemoteConnection *c)
{
	return c->prepared == NULL || c->prepared->n < MAX_PREPARED;
}

/*
 * The statement's entry.  When *is_new, the caller must prepare it under the
 * entry's name before it is used; *drop, palloc'd, is then the name of a
 * statement to deallocate, or NULL.
 */
PreparedEntry *
prepared_find(RemoteConnection *c, const RemoteQuery *query, bool *is_new, char **drop)
{
	uint32 hash = prepared_hash(query);
	PreparedCache *cache = c->prepared;
	PreparedEntry *entry;

	*is_new = false;
	*drop = NULL;
	if (cache == NULL)
		cache = c->prepared = cache_create();

	entry = search(cache, hash, query);
	if (entry != NULL)
		return entry;

	if (cache->n == MAX_PREPARED)
	{
		PreparedEntry *oldest = dlist_container(PreparedEntry, used, dlist_tail_node(&cache->used));

		*drop = pstrdup(oldest->name);
		prepared_forget(c, oldest);
	}

	entry = entry_create(cache, hash, query);
	dlist_push_head(&cache->buckets[hash % BUCKETS], &entry->bucket);
	dlist_push_head(&cache->used, &entry->used);
	cache->n++;
	*is_new = true;
	return entry;
}

const char *
prepared_name(const PreparedEntry *entry)
{
	return entry->name;
}

/* The statement is not, or no longer, prepared on the node under this entry. */
void
prepared_forget(RemoteConnection *c, PreparedEntry *entry)
{
	dlist_iter iter;

	/* A statement under way must not come back to a freed entry. */
	dlist_foreach (iter, &c->tasks)
	{
		RemoteTask *task = dlist_container(RemoteTask, node, iter.cur);

		if (task->prepared == entry)
			task->prepared = NULL;
		if (task->command == entry)
			task->command = NULL;
	}
	dlist_delete(&entry->bucket);
	dlist_delete(&entry->used);
	c->prepared->n--;
	forgotten++;
	pfree(entry);
}

/* The connection is gone, and with it all that was prepared. */
void
prepared_reset(RemoteConnection *c)
{
	if (c->prepared != NULL)
		MemoryContextDelete(c->prepared->context);
	c->prepared = NULL;
	forgotten++;
}
