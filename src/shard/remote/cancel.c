/*-------------------------------------------------------------------------
 * cancel.c
 *	  Stops statements on nodes.
 *
 * The cancel request of libpq before 17 blocks, for as long as a frozen node
 * likes, and here that would be where nothing can be interrupted.  So the
 * node is asked over a second connection, which can be waited for with a
 * bound; all nodes at once.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <poll.h>

#include "miscadmin.h"
#include "storage/fd.h"

#include "base/clock.h"
#include "shard/remote/connection.h"

#define CANCEL_WAIT_US (3 * INT64CONST(1000000))

/* What is asked over the second connection. */
typedef struct Request
{
	RemoteConnection *c;
	PGconn *conn; /* NULL: it is over */
	PostgresPollingStatusType poll;
	bool sent;
	bool done; /* the node did it */
} Request;

/* Starts to open another connection like the first one. */
static void
request_begin(Request *r, RemoteConnection *c)
{
	PQconninfoOption *options;
	const char *keywords[64];
	const char *values[64];
	int n = 0;

	memset(r, 0, sizeof(*r));
	r->c = c;
	r->poll = PGRES_POLLING_WRITING;
	if (c->state != CONNECTION_OPEN || PQstatus(c->conn) != CONNECTION_OK ||
		connection_leader_moved(c) || !AcquireExternalFD())
		return;
	options = PQconninfo(c->conn);
	for (PQconninfoOption *o = options; o && o->keyword && n < (int) lengthof(keywords) - 2; o++)
	{
		if (o->val == NULL)
			continue;
		keywords[n] = o->keyword;
		values[n++] = o->val;
	}
	/* The very address, and no look-up of a name, which could take long. */
	if (PQhostaddr(c->conn) != NULL && PQhostaddr(c->conn)[0] != '\0')
	{
		keywords[n] = "hostaddr";
		values[n++] = PQhostaddr(c->conn);
	}
	keywords[n] = values[n] = NULL;
	r->conn = PQconnectStartParams(keywords, values, 0);
	PQconninfoFree(options);
	if (r->conn == NULL)
		ReleaseExternalFD();
}

static void
request_end(Request *r)
{
	PQfinish(r->conn);
	ReleaseExternalFD();
	r->conn = NULL;
}

/* Takes in the answer, as far as it is there. */
static void
request_answered(Request *r)
{
	PGresult *result;

	if (!PQconsumeInput(r->conn))
	{
		request_end(r);
		return;
	}
	while (!PQisBusy(r->conn))
	{
		if ((result = PQgetResult(r->conn)) == NULL)
		{
			request_end(r);
			return;
		}
		r->done = PQresultStatus(result) == PGRES_TUPLES_OK;
		PQclear(result);
	}
}

/* Goes on with one whose socket is ready. */
static void
request_advance(Request *r)
{
	char sql[100];

	if (r->sent)
	{
		request_answered(r);
		return;
	}
	r->poll = PQconnectPoll(r->conn);
	if (r->poll == PGRES_POLLING_FAILED)
		request_end(r);
	else if (r->poll == PGRES_POLLING_OK)
	{
		/* The first one's process is the user's who logged in, whatever role it has taken on. */
		snprintf(sql, sizeof(sql), "SET ROLE NONE; SELECT pg_catalog.pg_cancel_backend(%d)",
				 PQbackendPID(r->c->conn));
		r->sent = true;
		if (!PQsendQuery(r->conn, sql))
			request_end(r);
	}
}

/* Waits for news of any, and takes them in; false when all are over or "until" has passed. */
static bool
requests_advance(Request *requests, int n, int64 until)
{
	struct pollfd waits[CANCEL_MAX];
	Request *of[CANCEL_MAX];
	int nwaits = 0;
	int64 now = clock_now_us();

	for (int i = 0; i < n; i++)
	{
		Request *r = &requests[i];

		if (r->conn != NULL && (PQstatus(r->conn) == CONNECTION_BAD || PQsocket(r->conn) < 0))
			request_end(r);
		if (r->conn == NULL)
			continue;
		waits[nwaits].fd = PQsocket(r->conn);
		waits[nwaits].events = r->sent || r->poll == PGRES_POLLING_READING ? POLLIN : POLLOUT;
		waits[nwaits].revents = 0;
		of[nwaits++] = r;
	}
	if (nwaits == 0 || now >= until)
		return false;
	/* Without the latch: whoever set it will be heard later. */
	if (poll(waits, nwaits, (until - now) / 1000 + 1) < 0)
		return true;
	for (int i = 0; i < nwaits; i++)
	{
		if (waits[i].revents != 0)
			request_advance(of[i]);
	}
	return true;
}

/*
 * Asks the nodes to cancel what runs on these connections, CANCEL_MAX at
 * most.  "asked" is false where the node could not be asked within a few
 * seconds, or is not the leader any more: the connection is then best closed,
 * which ends the statement too (see client_connection_check_interval in
 * connection.c).  Never throws.
 */
void
connection_cancel_all(RemoteConnection **connections, int n, bool *asked)
{
	int64 until = clock_now_us() + CANCEL_WAIT_US;
	Request requests[CANCEL_MAX];

	for (int i = 0; i < n; i++)
		request_begin(&requests[i], connections[i]);
	while (requests_advance(requests, n, until))
		;
	for (int i = 0; i < n; i++)
	{
		if (requests[i].conn != NULL)
			request_end(&requests[i]);
		asked[i] = requests[i].done;
	}
}

/* The same for one. */
bool
connection_cancel(RemoteConnection *c)
{
	bool asked;

	connection_cancel_all(&c, 1, &asked);
	return asked;
}
