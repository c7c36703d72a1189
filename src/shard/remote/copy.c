/*-------------------------------------------------------------------------
 * copy.c
 *	  COPY ... FROM STDIN on a node.
 *
 * libpq cannot copy in pipeline mode: the connection leaves it for as long
 * as the COPY lasts, and commands that are asked for meanwhile wait in the
 * list.  An error of the node shows when the data has ended.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"

#include "shard/remote/connection.h"

/* So much may wait in libpq's buffer for the network. */
#define COPY_BUFFER (1024 * 1024)

/* Everything of the COPY is over: back to pipeline mode, and on with what waits. */
static void
copy_over(RemoteConnection *c)
{
	c->copy.state = COPY_NONE;
	if (!PQenterPipelineMode(c->conn))
		connection_lost(c, NULL);
	else
		task_send_queued(c);
}

static void
copy_error(RemoteConnection *c, PGresult *result)
{
	if (PQstatus(c->conn) == CONNECTION_BAD || error_code(result) == ERRCODE_ADMIN_SHUTDOWN ||
		error_code(result) == ERRCODE_CRASH_SHUTDOWN)
	{
		connection_lost(c, result);
		PQclear(result);
		return;
	}
	if (c->pending_error == NULL)
	{
		c->pending_error = result;
		c->pending_copy = true;
	}
	else
		PQclear(result);
	c->copy.state = COPY_ENDING;
}

/* See task_receive. */
bool
copy_receive(RemoteConnection *c)
{
	PGresult *result;

	if (c->copy.state == COPY_SENDING)
		return false;
	if (PQisBusy(c->conn))
	{
		if (PQstatus(c->conn) != CONNECTION_BAD)
			return false;
		connection_lost(c, NULL);
		return true;
	}

	result = PQgetResult(c->conn);
	if (result == NULL)
	{
		if (PQstatus(c->conn) == CONNECTION_BAD)
			connection_lost(c, NULL);
		else
			copy_over(c);
		return true;
	}
	switch (PQresultStatus(result))
	{
		case PGRES_COPY_IN:
			/* Abandoned before the node asked for data? */
			if (c->copy.state == COPY_STARTING)
				c->copy.state = COPY_SENDING;
			else
				(void) PQputCopyEnd(c->conn, "abandoned");
			PQclear(result);
			return true;
		case PGRES_COMMAND_OK:
			transaction_note_done(c, c->level);
			PQclear(result);
			return true;
		default:
			copy_error(c, result);
			return true;
	}
}

static void
wait_while(RemoteConnection *c, CopyState state)
{
	while (c->copy.state == state)
	{
		if (!task_receive(c))
			connection_wait(c);
	}
}

static void
raise_errors(RemoteConnection *c)
{
	if (c->lost)
		error_raise_lost(c);
	notice_emit();
	error_raise_pending(c);
}

/* Waits for the end of a COPY whose data has ended. */
void
copy_settle(RemoteConnection *c)
{
	if (c->copy.state == COPY_SENDING)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("a COPY to group %d is still under way", c->key.group_id)));
	wait_while(c, COPY_ENDING);
	raise_errors(c);
}

/* For the end of a transaction: makes the node forget the COPY.  Neither waits nor throws. */
void
copy_abandon(RemoteConnection *c)
{
	if (c->copy.state == COPY_SENDING)
		(void) PQputCopyEnd(c->conn, "abandoned");
	c->copy.state = COPY_ENDING;
}

/* The lines of the user's data that those of the chunk are, kept until the next one. */
static void
keep_lines(RemoteConnection *c, const RemoteChunk *chunk)
{
	RemoteCopy *copy = &c->copy;

	if (chunk->nlines > copy->max_lines)
	{
		if (copy->lines != NULL)
			pfree(copy->lines);
		copy->lines = NULL;
		copy->max_lines = 0;
		copy->lines = MemoryContextAllocHuge(remote_context(), chunk->nlines * sizeof(uint64));
		copy->max_lines = chunk->nlines;
	}
	if (chunk->nlines > 0)
		memcpy(copy->lines, chunk->lines, chunk->nlines * sizeof(uint64));
	copy->nlines = chunk->nlines;
	strlcpy(copy->relation, chunk->relation, sizeof(copy->relation));
}

void
copy_forget_lines(RemoteConnection *c)
{
	if (c->copy.lines != NULL)
		pfree(c->copy.lines);
	c->copy.lines = NULL;
	c->copy.nlines = c->copy.max_lines = 0;
}

/* In any language, the first number after the table's name is the line. */
uint64
remote_copy_line(const char *context, const char *relation, const char **begin, const char **end)
{
	char *start = psprintf("COPY %s, ", relation);
	const char *at = context;
	char *after;
	uint64 line;

	while (at != NULL && strncmp(at, start, strlen(start)) != 0)
	{
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	if (at == NULL)
		return 0;
	at += strlen(start);
	at += strcspn(at, "0123456789,:\n");
	line = strtoull(at, &after, 10);
	*begin = at;
	*end = after;
	return after == at ? 0 : line;
}

/* A node counts the lines of what it was sent: its context with the line that the user knows. */
char *
copy_context(const RemoteConnection *c, const char *context)
{
	const char *begin;
	const char *end;
	uint64 line = remote_copy_line(context, c->copy.relation, &begin, &end);

	if (line == 0 || line > c->copy.nlines || c->copy.lines[line - 1] == 0)
		return pstrdup(context);
	return psprintf("%.*s" UINT64_FORMAT "%s", (int) (begin - context), context,
					c->copy.lines[line - 1], end);
}

static void
start(RemoteConnection *c, int group_id, const RemoteChunk *chunk)
{
	int level = GetCurrentTransactionNestLevel();

	task_settle(c);
	if (c->state != CONNECTION_OPEN || c->level < level || c->acting != GetUserId() ||
		!settings_told(c, chunk->names))
		remote_make_ready(group_id, true, chunk->names);
	transaction_note_write(c, level);

	keep_lines(c, chunk);
	if (!PQexitPipelineMode(c->conn) || !PQsendQuery(c->conn, chunk->sql))
		connection_lost(c, NULL);
	else
		c->copy.state = COPY_STARTING;
	wait_while(c, COPY_STARTING);
	if (c->copy.state != COPY_SENDING)
	{
		wait_while(c, COPY_ENDING);
		raise_errors(c);
		error_raise_lost(c);
	}
}

/* Hands a piece over to libpq, which may keep so much of it for the network. */
static void
send_piece(RemoteConnection *c, const char *data, int length)
{
	if (PQputCopyData(c->conn, data, length) != 1)
	{
		connection_lost(c, NULL);
		error_raise_lost(c);
	}
}

/* Waits until the network has taken what libpq keeps. */
static void
drain_buffer(RemoteConnection *c)
{
	while (c->copy.state == COPY_SENDING && PQflush(c->conn) > 0)
		connection_wait(c);
	if (PQstatus(c->conn) == CONNECTION_BAD)
		connection_lost(c, NULL);
	raise_errors(c);
}

void
remote_copy(int group_id, const RemoteChunk *chunk)
{
	RemoteConnection *c = transaction_use(group_id, false, 0);
	int sent = 0;

	start(c, group_id, chunk);
	while (chunk->length - sent > COPY_BUFFER)
	{
		send_piece(c, chunk->data + sent, COPY_BUFFER);
		sent += COPY_BUFFER;
		drain_buffer(c);
	}
	send_piece(c, chunk->data + sent, chunk->length - sent);

	if (PQputCopyEnd(c->conn, NULL) != 1)
		connection_lost(c, NULL);
	else
	{
		c->copy.state = COPY_ENDING;
		(void) PQflush(c->conn);
	}
	raise_errors(c);
}

/* Does what can be done without waiting; raises the error of a COPY that is over. */
bool
remote_copy_busy(int group_id)
{
	RemoteConnection *c = connection_find(group_id, false, 0);

	if (c->lost)
		error_raise_lost(c);
	if (c->copy.state == COPY_NONE)
		return false;
	(void) PQflush(c->conn);
	(void) PQconsumeInput(c->conn);
	while (c->copy.state != COPY_NONE && task_receive(c))
		;
	if (c->copy.state != COPY_NONE)
		return true;
	raise_errors(c);
	return false;
}

void
remote_copy_wait(List *group_ids)
{
	for (;;)
	{
		RemoteConnection *busy[REMOTE_MAX_WAIT];
		int n = 0;
		ListCell *lc;

		foreach (lc, group_ids)
		{
			if (!remote_copy_busy(lfirst_int(lc)))
				return;
			if (n < REMOTE_MAX_WAIT)
				busy[n++] = connection_find(lfirst_int(lc), false, 0);
		}
		if (n == 0)
			return;
		connection_wait_any(busy, n, -1);
	}
}
