/*-------------------------------------------------------------------------
 * parts.c
 *	  Rows in parts, which go to a file when they are many.
 *
 * A part grows in a buffer; a full one becomes a chunk of the part.  Chunks
 * stay in memory until there are too many of them, those after that go into
 * one temporary file, whatever part they are of.  What a row is made of is
 * for others to know.
 *
 * What must stay true: a chunk has whole rows only, and the chunks of a part
 * keep the order in which its rows came.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/buffile.h"
#include "utils/memutils.h"

#include "shard/executor/parts.h"

/* Bytes of a chunk, unless a row has more, or there are very many parts. */
#define CHUNK_SIZE ((Size) 128 * 1024)
#define MIN_CHUNK_SIZE ((Size) 8 * 1024)

typedef struct Chunk
{
	char *data; /* NULL: in the file */
	Size length;
	int64 rows;
	int file;
	off_t offset;
} Chunk;

typedef struct Part
{
	int64 rows;
	Chunk open; /* being filled ... */
	Size room;	/* ... up to this */
	Chunk *chunks;
	int nchunks;
	int max_chunks;
} Part;

struct PartStore
{
	MemoryContext context;
	ResourceOwner owner;
	Size memory; /* that chunks may take ... */
	Size used;	 /* ... and take */
	Size chunk_size;
	int64 size;
	BufFile *file;
	int end_file; /* where the next chunk goes */
	off_t end_offset;
	int count;
	Part *parts;
};

static void make_room(PartStore *store, Part *part, Size length);
static void close_chunk(PartStore *store, Part *part);
static void write_chunk(PartStore *store, Chunk *chunk);

PartStore *
parts_create(MemoryContext context, ResourceOwner owner, int count, Size memory)
{
	MemoryContext own = AllocSetContextCreate(context, "pgcluster parts", ALLOCSET_DEFAULT_SIZES);
	PartStore *store = MemoryContextAllocZero(own, sizeof(PartStore));

	store->context = own;
	store->owner = owner;
	store->memory = memory;
	store->chunk_size = memory / Max(count, 1) / 2;
	store->chunk_size = Max(MIN_CHUNK_SIZE, Min(CHUNK_SIZE, store->chunk_size));
	store->count = count;
	store->parts = MemoryContextAllocZero(own, Max(count, 1) * sizeof(Part));
	return store;
}

int
parts_count(const PartStore *store)
{
	return store->count;
}

char *
parts_add(PartStore *store, int number, Size length)
{
	Part *part;
	char *at;

	if (number < 0 || number >= store->count)
		elog(ERROR, "there is no part %d of %d", number, store->count);
	part = &store->parts[number];
	if (unlikely(length > part->room - part->open.length))
		make_room(store, part, length);
	at = part->open.data + part->open.length;
	part->open.length += length;
	part->open.rows++;
	part->rows++;
	store->size += length;
	return at;
}

void
parts_add_chunk(PartStore *store, int number, const char *data, Size length, int64 rows)
{
	if (length == 0)
		return;
	memcpy(parts_add(store, number, length), data, length);
	store->parts[number].rows += rows - 1;
	store->parts[number].open.rows += rows - 1;
}

/*
 * The buffer is as large as a chunk, or grows to that.  Who reads values may
 * put a zero after the last one.
 */
static void
make_room(PartStore *store, Part *part, Size length)
{
	Size wanted = part->open.length + length;
	Size room;

	if (part->open.length > 0 && wanted > store->chunk_size)
	{
		close_chunk(store, part);
		wanted = length;
	}
	if (wanted <= part->room)
		return;
	room = Max(wanted, Min(2 * part->room, store->chunk_size));
	room = Max(room, (Size) 1024);
	if (part->open.data == NULL)
		part->open.data = MemoryContextAllocHuge(store->context, room + 1);
	else
		part->open.data = repalloc_huge(part->open.data, room + 1);
	part->room = room;
}

static void
close_chunk(PartStore *store, Part *part)
{
	Chunk *chunk;

	if (part->nchunks == part->max_chunks)
	{
		part->max_chunks = Max(2 * part->max_chunks, 8);
		if (part->chunks == NULL)
			part->chunks = MemoryContextAllocHuge(store->context, part->max_chunks * sizeof(Chunk));
		else
			part->chunks = repalloc_huge(part->chunks, part->max_chunks * sizeof(Chunk));
	}
	chunk = &part->chunks[part->nchunks];
	*chunk = part->open;
	if (store->used + part->room > store->memory)
		write_chunk(store, chunk);
	else
	{
		store->used += part->room;
		part->open.data = NULL;
		part->room = 0;
	}
	part->nchunks++;
	part->open.length = 0;
	part->open.rows = 0;
	if (part->room > store->chunk_size)
	{
		/* One long row had it made larger. */
		pfree(part->open.data);
		part->open.data = NULL;
		part->room = 0;
	}
}

static void
write_chunk(PartStore *store, Chunk *chunk)
{
	if (store->file == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(store->context);
		ResourceOwner owner = CurrentResourceOwner;

		CurrentResourceOwner = store->owner;
		store->file = BufFileCreateTemp(false);
		CurrentResourceOwner = owner;
		MemoryContextSwitchTo(old);
	}
	if (BufFileSeek(store->file, store->end_file, store->end_offset, SEEK_SET) != 0)
		elog(ERROR, "could not find the end of a temporary file");
	chunk->file = store->end_file;
	chunk->offset = store->end_offset;
	BufFileWrite(store->file, chunk->data, chunk->length);
	BufFileTell(store->file, &store->end_file, &store->end_offset);
	chunk->data = NULL;
}

int64
parts_rows(const PartStore *store, int part)
{
	return store->parts[part].rows;
}

int64
parts_size(const PartStore *store)
{
	return store->size;
}

void
parts_read(PartStore *store, int part, PartReader *reader)
{
	if (part < 0 || part >= store->count)
		elog(ERROR, "there is no part %d of %d", part, store->count);
	memset(reader, 0, sizeof(PartReader));
	reader->store = store;
	reader->part = part;
}

bool
parts_next(PartReader *reader, char **data, Size *length, int64 *rows)
{
	PartStore *store = reader->store;
	Part *part = &store->parts[reader->part];
	Chunk *chunk;

	if (reader->chunk > part->nchunks || (reader->chunk == part->nchunks && part->open.rows == 0))
		return false;
	chunk = reader->chunk == part->nchunks ? &part->open : &part->chunks[reader->chunk];
	reader->chunk++;
	*data = chunk->data;
	*length = chunk->length;
	*rows = chunk->rows;
	if (chunk->data != NULL)
		return true;
	if (reader->size <= chunk->length)
	{
		if (reader->data != NULL)
			pfree(reader->data);
		reader->size = chunk->length + 1;
		reader->data = MemoryContextAllocHuge(store->context, reader->size);
	}
	if (BufFileSeek(store->file, chunk->file, chunk->offset, SEEK_SET) != 0 ||
		BufFileRead(store->file, reader->data, chunk->length) != chunk->length)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not read a temporary file")));
	*data = reader->data;
	return true;
}

void
parts_end(PartStore *store)
{
	if (store->file != NULL)
		BufFileClose(store->file);
	MemoryContextDelete(store->context);
}
