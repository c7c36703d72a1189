/*-------------------------------------------------------------------------
 * pack.c
 *	  Many rows in one message: the node that is asked.
 *
 * Decides which statements are answered that way, see pack.h.  What the
 * server writes to its client passes here: rows are gathered until there are
 * PACK_SIZE bytes or something else is to be said.
 *
 * What must stay true: no message overtakes another, and without the mark
 * nothing changes.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "port/pg_bswap.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"

/* Headers of GSSAPI, which nothing here needs, may not be there. */
#undef ENABLE_GSS
#include "libpq/libpq.h"

#include "shard/remote/explained.h"
#include "shard/remote/pack.h"

#define PACK_SIZE (32 * 1024)

void (*pack_keep)(int64 route, int columns, const char *values, size_t length) = NULL;

static ExecutorStart_hook_type prev_start = NULL;

/* What the server would call, and what it calls instead. */
static const PQcommMethods *plain = NULL;
static PQcommMethods packing;

static bool active = false;	   /* the statement that runs has the mark */
static bool splitting = false; /* ... the longer one */
static StringInfoData rows;	   /* gathered, from PACK_MAGIC on */
static uint16 ncolumns = 0;	   /* of these rows */
static StringInfoData message; /* on its way out */

static void pgcluster_start(QueryDesc *query, int eflags);
static void begin_packing(void);
static bool row_stays(int columns, const char *body, size_t length);
static int pack_message(char type, const char *body, size_t length);
static int pack_flush(void);
static int emit_rows(void);
static void forget(StringInfo buffer);

void
pack_init(void)
{
	prev_start = ExecutorStart_hook;
	ExecutorStart_hook = pgcluster_start;
}

static void
pgcluster_start(QueryDesc *query, int eflags)
{
	if (debug_query_string != NULL && debug_query_string[0] == PACK_MARK[0] &&
		debug_query_string[1] == PACK_MARK[1] &&
		strncmp(explained_skip_mark(debug_query_string), PACK_MARK, strlen(PACK_MARK)) == 0 &&
		whereToSendOutput == DestRemote && !IsParallelWorker())
	{
		begin_packing();
		splitting = strncmp(explained_skip_mark(debug_query_string), PACK_SPLIT_MARK,
							strlen(PACK_SPLIT_MARK)) == 0;
	}
	if (prev_start)
		prev_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

static void
begin_packing(void)
{
	active = true;
	if (PqCommMethods == &packing)
		return;
	if (rows.data == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		initStringInfo(&rows);
		initStringInfo(&message);
		MemoryContextSwitchTo(old);
	}
	plain = PqCommMethods;
	packing = *plain;
	packing.putmessage = pack_message;
	packing.flush = pack_flush;
	PqCommMethods = &packing;
}

static int
pack_message(char type, const char *body, size_t length)
{
	uint16 columns;
	uint32 size;

	memcpy(&columns, body, Min(length, sizeof(columns)));
	if (active && type == 'D' && length >= sizeof(columns) && columns != 0)
	{
		ncolumns = pg_ntoh16(columns);
		if (splitting && row_stays(ncolumns, body + sizeof(columns), length - sizeof(columns)))
			return 0;
		if (rows.len == 0)
			appendBinaryStringInfo(&rows, PACK_MAGIC, PACK_MAGIC_LENGTH);
		size = pg_hton32((uint32) length);
		appendBinaryStringInfo(&rows, (char *) &size, sizeof(size));
		appendBinaryStringInfo(&rows, body, length);
		return rows.len >= PACK_SIZE ? emit_rows() : 0;
	}
	if (emit_rows() != 0)
		return EOF;

	/* The statement is over, or will be asked to go on. */
	if (type == 'C' || type == 'E' || type == 's' || type == 'Z')
		active = splitting = false;
	return plain->putmessage(type, body, length);
}

/* Has a row been kept?  What follows the number of its columns is given. */
static bool
row_stays(int columns, const char *values, size_t length)
{
	int64 route;

	if (!pack_read_route(&values, &length, &route) || PACK_EXCHANGE(route) == 0)
		return false;
	pack_keep(route, columns - 1, values, length);
	return true;
}

/* Anybody may give a statement the mark. */
static void
refuse_row(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROTOCOL_VIOLATION), errmsg("a row does not say where it belongs")));
}

bool
pack_read_route(const char **values, size_t *length, int64 *route)
{
	uint32 size;
	uint64 wire;

	if (*length < sizeof(size))
		refuse_row();
	memcpy(&size, *values, sizeof(size));
	size = pg_ntoh32(size);
	*values += sizeof(size);
	*length -= sizeof(size);
	if ((int32) size < 0)
		return false;
	if (size > *length)
		refuse_row();
	if (size == sizeof(wire))
	{
		memcpy(&wire, *values, sizeof(wire));
		*route = (int64) pg_ntoh64(wire);
	}
	else
		*route = strtoi64(*values, NULL, 10);
	*values += size;
	*length -= size;
	return true;
}

static int
pack_flush(void)
{
	return emit_rows() != 0 ? EOF : plain->flush();
}

/* One message of as many columns as the client expects. */
static int
emit_rows(void)
{
	uint16 columns = pg_hton16(ncolumns);
	uint32 size = pg_hton32((uint32) rows.len);
	uint32 null = pg_hton32((uint32) -1);
	int result;

	if (rows.len == 0)
		return 0;
	resetStringInfo(&message);
	appendBinaryStringInfo(&message, (char *) &columns, sizeof(columns));
	appendBinaryStringInfo(&message, (char *) &size, sizeof(size));
	appendBinaryStringInfo(&message, rows.data, rows.len);
	for (int i = 1; i < ncolumns; i++)
		appendBinaryStringInfo(&message, (char *) &null, sizeof(null));
	forget(&rows);
	result = plain->putmessage('D', message.data, message.len);
	forget(&message);
	return result;
}

/* A buffer that one long row has made large is not kept. */
static void
forget(StringInfo buffer)
{
	resetStringInfo(buffer);
	if (buffer->maxlen > 8 * PACK_SIZE)
	{
		buffer->data = repalloc(buffer->data, 2 * PACK_SIZE);
		buffer->maxlen = 2 * PACK_SIZE;
	}
}
