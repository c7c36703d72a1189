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
#define COPY_BUFFER (256 * 1024)

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
		c->pending_error = result;
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

RemoteCopy *
remote_copy_start(int group_id, const char *sql)
{
	RemoteConnection *c = transaction_use(group_id, false, 0);
	int level = GetCurrentTransactionNestLevel();

	task_settle(c);
	/* A command that does nothing opens the connection and the transaction. */
	if (c->state != CONNECTION_OPEN || c->level < level)
		(void) remote_execute(group_id, "SELECT");
	transaction_note_write(c, level);

	if (!PQexitPipelineMode(c->conn) || !PQsendQuery(c->conn, sql))
		connection_lost(c, NULL);
	else
		c->copy.state = COPY_STARTING;
	c->copy.connection = c;
	c->copy.unflushed = 0;
	wait_while(c, COPY_STARTING);
	if (c->copy.state != COPY_SENDING)
	{
		wait_while(c, COPY_ENDING);
		raise_errors(c);
		error_raise_lost(c);
	}
	return &c->copy;
}

void
remote_copy_send(RemoteCopy *copy, const char *data, int length)
{
	RemoteConnection *c = copy->connection;

	if (copy->state != COPY_SENDING)
	{
		raise_errors(c);
		elog(ERROR, "no COPY is under way");
	}
	if (PQputCopyData(c->conn, data, length) != 1)
	{
		connection_lost(c, NULL);
		error_raise_lost(c);
	}

	copy->unflushed += length;
	if (copy->unflushed < COPY_BUFFER)
		return;
	while (copy->state == COPY_SENDING && PQflush(c->conn) > 0)
		connection_wait(c);
	copy->unflushed = 0;
	if (PQstatus(c->conn) == CONNECTION_BAD)
		connection_lost(c, NULL);
	raise_errors(c);
}

void
remote_copy_finish(RemoteCopy *copy)
{
	RemoteConnection *c = copy->connection;

	if (copy->state != COPY_SENDING)
		raise_errors(c);
	else if (PQputCopyEnd(c->conn, NULL) != 1)
		connection_lost(c, NULL);
	else
	{
		copy->state = COPY_ENDING;
		(void) PQflush(c->conn);
	}
	raise_errors(c);
}
