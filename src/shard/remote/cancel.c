/*-------------------------------------------------------------------------
 * cancel.c
 *	  Stops a statement on a node.
 *
 * The cancel request of libpq before 17 blocks, for as long as a frozen node
 * likes, and here that would be where nothing can be interrupted.  So the
 * node is asked over a second connection, which can be waited for with a
 * bound.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/wait_event.h"

#include "base/clock.h"
#include "shard/remote/connection.h"

#define CANCEL_WAIT_US (3 * INT64CONST(1000000))

/* Waits for the socket; false when "until" has passed. */
static bool
wait_socket(PGconn *conn, int event, int64 until)
{
	int64 now = clock_now_us();

	if (now >= until || PQsocket(conn) < 0)
		return false;
	/* Without the latch: whoever set it will be heard later. */
	(void) WaitLatchOrSocket(NULL, event | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, PQsocket(conn),
							 (until - now) / 1000 + 1, PG_WAIT_EXTENSION);
	return true;
}

/* Opens another connection like the first one; NULL if that cannot be had in time. */
static PGconn *
connect_likewise(PGconn *model, int64 until)
{
	PQconninfoOption *options = PQconninfo(model);
	const char *keywords[64];
	const char *values[64];
	int n = 0;
	PGconn *conn;
	PostgresPollingStatusType poll = PGRES_POLLING_WRITING;

	for (PQconninfoOption *o = options; o && o->keyword && n < (int) lengthof(keywords) - 2; o++)
	{
		if (o->val == NULL)
			continue;
		keywords[n] = o->keyword;
		values[n++] = o->val;
	}
	/* The very address, and no look-up of a name, which could take long. */
	if (PQhostaddr(model) != NULL && PQhostaddr(model)[0] != '\0')
	{
		keywords[n] = "hostaddr";
		values[n++] = PQhostaddr(model);
	}
	keywords[n] = values[n] = NULL;
	conn = PQconnectStartParams(keywords, values, 0);
	PQconninfoFree(options);

	while (conn != NULL && poll != PGRES_POLLING_OK)
	{
		if (PQstatus(conn) == CONNECTION_BAD || poll == PGRES_POLLING_FAILED ||
			!wait_socket(conn,
						 poll == PGRES_POLLING_READING ? WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE,
						 until))
		{
			PQfinish(conn);
			return NULL;
		}
		poll = PQconnectPoll(conn);
	}
	return conn;
}

/* Runs a query for its effect; true when it succeeded in time. */
static bool
run(PGconn *conn, const char *sql, int64 until)
{
	bool succeeded = true;
	PGresult *result;

	if (!PQsendQuery(conn, sql))
		return false;
	for (;;)
	{
		while (PQisBusy(conn))
		{
			if (!wait_socket(conn, WL_SOCKET_READABLE, until) || !PQconsumeInput(conn))
				return false;
		}
		if ((result = PQgetResult(conn)) == NULL)
			return succeeded;
		succeeded &= PQresultStatus(result) == PGRES_TUPLES_OK;
		PQclear(result);
	}
}

/*
 * Asks the node to cancel what runs on the connection.  False when the node
 * could not be asked within a few seconds, or is not the leader any more: the
 * connection is then best closed, which ends the statement too (see
 * client_connection_check_interval in connection.c).  Never throws.
 */
bool
connection_cancel(RemoteConnection *c)
{
	int64 until = clock_now_us() + CANCEL_WAIT_US;
	bool asked = false;
	char sql[64];
	PGconn *conn;

	if (c->state != CONNECTION_OPEN || PQstatus(c->conn) != CONNECTION_OK ||
		connection_leader_moved(c) || !AcquireExternalFD())
		return false;
	conn = connect_likewise(c->conn, until);
	if (conn != NULL)
	{
		snprintf(sql, sizeof(sql), "SELECT pg_catalog.pg_cancel_backend(%d)",
				 PQbackendPID(c->conn));
		asked = run(conn, sql, until);
		PQfinish(conn);
	}
	ReleaseExternalFD();
	return asked;
}
