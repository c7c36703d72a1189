/*-------------------------------------------------------------------------
 * feed.c
 *	  Rows in the form of COPY on their way to shards.
 *
 * Each target has a buffer.  Whenever some more has come, every group that
 * has nothing to do is given its largest buffer, so that all of them work
 * while the caller goes on.  Buffers that are still small wait for more, as
 * each piece is a COPY of its own.
 *
 * Memory: the buffers are bounded in all; above that the caller waits until
 * a group has nothing to do.  What a group was sent is kept until it is sent
 * more.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "nodes/nodes.h"
#include "utils/memutils.h"

#include "shard/ddl/feed.h"
#include "shard/ddl/names.h"
#include "shard/remote/remote.h"

/* So much is worth a COPY of its own, as long as its group has nothing to do. */
#define FEED_PIECE (32 * 1024)

/* After so much the groups are looked at again. */
#define FEED_STEP (64 * 1024)

/* What may be kept in all. */
#define FEED_LEAST (8 * 1024 * 1024)
#define FEED_MOST (32 * 1024 * 1024)
#define FEED_SHARE (128 * 1024)

#define FEED_HEADER_SIZE 19
static const char binary_header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";

StaticAssertDecl(sizeof(binary_header) - 1 == FEED_HEADER_SIZE, "the header has another length");

typedef struct Piece
{
	StringInfoData buffer;

	/* Of each line in the buffer: which of the user's it is, 0: unknown. */
	uint64 *lines;
	uint64 nlines;
	uint64 max_lines;
} Piece;

typedef struct Target
{
	List *groups;
	char *sql;	 /* COPY command */
	Piece piece; /* what it has to be sent */
	int begin;	 /* of the present row */
} Target;

/* What a group was sent last, and may still be at. */
typedef struct Sent
{
	List *groups;
	Piece piece;
} Sent;

struct Feed
{
	MemoryContext context;
	const char *table;
	bool names; /* functions may look for some */
	bool binary;
	bool csv;
	int ntargets;
	Target *targets;
	List *groups;  /* of all targets */
	List *sent;	   /* Sent, one for each different list of groups */
	Size buffered; /* in all buffers */
	Size limit;
	Size fresh; /* since the groups were looked at */
};

static Sent *find_sent(Feed *feed, List *groups);
static bool target_is_ready(const Target *target);
static Target *largest_ready(Feed *feed);
static void wait_for_group(Feed *feed);
static void send_target(Feed *feed, Target *target);

Feed *
feed_create(Relation rel, int ntargets, bool binary, bool csv, MemoryContext context)
{
	Feed *feed = MemoryContextAllocZero(context, sizeof(Feed));

	feed->context = context;
	feed->table = MemoryContextStrdup(context, RelationGetRelationName(rel));
	feed->names = names_sought(RelationGetRelid(rel));
	feed->binary = binary;
	feed->csv = csv;
	feed->ntargets = ntargets;
	feed->targets = MemoryContextAllocZero(context, Max(ntargets, 1) * sizeof(Target));
	feed->limit = Min(FEED_MOST, Max(FEED_LEAST, (Size) ntargets * FEED_SHARE));
	return feed;
}

void
feed_set_target(Feed *feed, int target, List *groups, char *sql)
{
	MemoryContext old = MemoryContextSwitchTo(feed->context);

	feed->targets[target].groups = groups;
	feed->targets[target].sql = sql;
	feed->groups = list_union_int(feed->groups, groups);
	if (find_sent(feed, groups) == NULL)
	{
		Sent *sent = palloc0(sizeof(Sent));

		sent->groups = groups;
		initStringInfo(&sent->piece.buffer);
		feed->sent = lappend(feed->sent, sent);
	}
	initStringInfo(&feed->targets[target].piece.buffer);
	MemoryContextSwitchTo(old);
}

StringInfo
feed_begin_row(Feed *feed, int target)
{
	StringInfo buffer = &feed->targets[target].piece.buffer;

	if (feed->binary && buffer->len == 0)
		appendBinaryStringInfo(buffer, binary_header, FEED_HEADER_SIZE);
	feed->targets[target].begin = buffer->len;
	return buffer;
}

/*
 * Lines of the row as the node's COPY will count them: those that it finds in
 * quotes count too, by the line end that it has seen before.
 */
static int
count_lines(const Feed *feed, const Target *target)
{
	char newline = target->piece.nlines == 0 ? '\r' : '\n';
	const char *at = target->piece.buffer.data + target->begin;
	const char *end = target->piece.buffer.data + target->piece.buffer.len - 1;
	int lines = 1;

	if (!feed->csv)
		return 1;
	while ((at = memchr(at, newline, end - at)) != NULL)
	{
		lines++;
		at++;
	}
	return lines;
}

void
feed_end_row(Feed *feed, int number, uint64 line)
{
	Target *target = &feed->targets[number];
	int lines = count_lines(feed, target);
	Size added = target->piece.buffer.len - target->begin + lines * sizeof(uint64);

	if (target->piece.nlines + lines > target->piece.max_lines)
	{
		uint64 wanted = Max(Max(2 * target->piece.max_lines, target->piece.nlines + lines), 64);

		if (target->piece.lines == NULL)
			target->piece.lines = MemoryContextAlloc(feed->context, wanted * sizeof(uint64));
		else
			target->piece.lines = repalloc_huge(target->piece.lines, wanted * sizeof(uint64));
		target->piece.max_lines = wanted;
	}
	while (lines-- > 0)
		target->piece.lines[target->piece.nlines++] = line;

	feed->buffered += added;
	feed->fresh += added;
	if (feed->fresh < FEED_STEP)
		return;
	feed->fresh = 0;
	while ((target = largest_ready(feed)) != NULL)
		send_target(feed, target);
	while (feed->buffered > feed->limit)
	{
		wait_for_group(feed);
		while ((target = largest_ready(feed)) != NULL)
			send_target(feed, target);
	}
}

void
feed_finish(Feed *feed)
{
	for (;;)
	{
		Target *next = NULL;
		bool left = false;

		for (int i = 0; i < feed->ntargets && next == NULL; i++)
		{
			Target *target = &feed->targets[i];

			if (target->piece.buffer.len == 0)
				continue;
			left = true;
			if (target_is_ready(target))
				next = target;
		}
		if (next != NULL)
			send_target(feed, next);
		else if (left)
			wait_for_group(feed);
		else
			break;
	}
	remote_wait_all();
}

void
feed_show_open(Feed *feed, FeedPiece show, void *arg)
{
	ListCell *cell;

	foreach (cell, feed->sent)
	{
		Piece *piece = &((Sent *) lfirst(cell))->piece;

		show(arg, piece->buffer.data, piece->buffer.len, piece->lines, piece->nlines);
	}
	for (int i = 0; i < feed->ntargets; i++)
	{
		Piece *piece = &feed->targets[i].piece;

		show(arg, piece->buffer.data, piece->buffer.len, piece->lines, piece->nlines);
	}
}

static Sent *
find_sent(Feed *feed, List *groups)
{
	ListCell *cell;

	foreach (cell, feed->sent)
	{
		if (equal(((Sent *) lfirst(cell))->groups, groups))
			return lfirst(cell);
	}
	return NULL;
}

/* Have all of its groups nothing to do? */
static bool
target_is_ready(const Target *target)
{
	ListCell *cell;

	foreach (cell, target->groups)
	{
		if (remote_copy_busy(lfirst_int(cell)))
			return false;
	}
	return true;
}

/* The largest buffer that is worth being sent and can be now; NULL: none. */
static Target *
largest_ready(Feed *feed)
{
	List *idle = NIL;
	Target *largest = NULL;
	ListCell *cell;

	foreach (cell, feed->groups)
	{
		if (!remote_copy_busy(lfirst_int(cell)))
			idle = lappend_int(idle, lfirst_int(cell));
	}
	for (int i = 0; idle != NIL && i < feed->ntargets; i++)
	{
		Target *target = &feed->targets[i];
		Size least = feed->buffered > feed->limit ? 1 : FEED_PIECE;

		if ((Size) target->piece.buffer.len >=
				(largest ? (Size) largest->piece.buffer.len + 1 : least) &&
			list_difference_int(target->groups, idle) == NIL)
			largest = target;
	}
	list_free(idle);
	return largest;
}

/* Waits until one of the groups that are to be sent more is through with what it has. */
static void
wait_for_group(Feed *feed)
{
	List *wanted = NIL;
	List *busy = NIL;
	ListCell *cell;

	for (int i = 0; i < feed->ntargets; i++)
	{
		if (feed->targets[i].piece.buffer.len > 0)
			wanted = list_concat_unique_int(wanted, feed->targets[i].groups);
	}
	foreach (cell, wanted)
	{
		if (remote_copy_busy(lfirst_int(cell)))
			busy = lappend_int(busy, lfirst_int(cell));
	}
	remote_copy_wait(busy);
	list_free(wanted);
	list_free(busy);
}

static void
send_target(Feed *feed, Target *target)
{
	Sent *sent = find_sent(feed, target->groups);
	Piece empty = sent->piece;
	RemoteChunk chunk;
	ListCell *cell;

	feed->buffered -= target->piece.buffer.len - (feed->binary ? FEED_HEADER_SIZE : 0) +
					  target->piece.nlines * sizeof(uint64);
	if (feed->binary)
		pq_sendint16(&target->piece.buffer, -1);
	sent->piece = target->piece;
	target->piece = empty;
	resetStringInfo(&target->piece.buffer);
	target->piece.nlines = 0;

	chunk.sql = target->sql;
	chunk.relation = feed->table;
	chunk.names = feed->names;
	chunk.data = sent->piece.buffer.data;
	chunk.length = sent->piece.buffer.len;
	chunk.lines = sent->piece.lines;
	chunk.nlines = sent->piece.nlines;
	foreach (cell, target->groups)
		remote_copy(lfirst_int(cell), &chunk);
}
