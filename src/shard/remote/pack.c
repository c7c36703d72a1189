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

static ExecutorStart_hook_type prev_start = NULL;

/* What the server would call, and what it calls instead. */
static const PQcommMethods *plain = NULL;
static PQcommMethods packing;

static bool active = false;	   /* the statement that runs has the mark */
static StringInfoData rows;	   /* gathered, from PACK_MAGIC on */
static uint16 ncolumns = 0;	   /* of these rows */
static StringInfoData message; /* on its way out */

static void pgcluster_start(QueryDesc *query, int eflags);
static void begin_packing(void);
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
		begin_packing();
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
		if (rows.len == 0)
			appendBinaryStringInfo(&rows, PACK_MAGIC, PACK_MAGIC_LENGTH);
		ncolumns = pg_ntoh16(columns);
		size = pg_hton32((uint32) length);
		appendBinaryStringInfo(&rows, (char *) &size, sizeof(size));
		appendBinaryStringInfo(&rows, body, length);
		return rows.len >= PACK_SIZE ? emit_rows() : 0;
	}
	if (emit_rows() != 0)
		return EOF;

	/* The statement is over, or will be asked to go on. */
	if (type == 'C' || type == 'E' || type == 's' || type == 'Z')
		active = false;
	return plain->putmessage(type, body, length);
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
