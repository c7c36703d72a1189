/*-------------------------------------------------------------------------
 * wire.c
 *	  The commonest trip to a node, without libpq.
 *
 * A statement that is prepared on an idle connection, whose rows the caller
 * takes as they come, needs four messages there and four back.  They are
 * written and read here, in buffers that stay; rows are not described again,
 * and not copied.
 *
 * Whatever else happens (an error, a notice, an interrupt, silence) is the
 * business of task.c: the trip is then handed over to libpq, which is made
 * to believe that it has sent the statement, and is given what has come and
 * was not used yet.  For that the connection's socket is exchanged, for a
 * moment, for one whose other end is ours.
 *
 * What must stay true: nobody else uses the connection during a trip, and an
 * error thrown in the middle of one leaves a mark, so that the connection is
 * closed before it is used again.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/memutils.h"

#include "shard/remote/connection.h"
#include "shard/remote/replica.h"

/* Of what is sent, and of what is read at once; what is larger is libpq's. */
#define SEND_SIZE 8192
#define READ_SIZE 16384

/* What describes one column: no name, five numbers, and the format. */
#define DESCRIBED_SIZE 19

typedef struct Trip
{
	RemoteConnection *c;
	const RemoteQuery *query;
	MemoryContext context; /* of the task that it may become */
	PreparedEntry *entry;
	PreparedEntry *begin; /* goes ahead and opens the transaction; NULL: nothing does */
	bool begun;			  /* ... which it has */
	bool described;		  /* the rows were, as they are when something goes ahead */
	const char *tag;	  /* with which a command must end; NULL: any */
	bool transaction;	  /* needs the remote transaction, which is open then */
	bool commits;		  /* commits by itself */
	RemoteReceive receive;
	void *arg;
	RemoteTask *task; /* to which it was handed over */
	int64 rows;
	int64 affected;
	bool over;
} Trip;

/* Both are made at once. */
static char *send_buffer;
static char *read_buffer = NULL;

/*
 * Sending
 */

static inline char *
put16(char *at, uint16 value)
{
	value = pg_hton16(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static inline char *
put32(char *at, uint32 value)
{
	value = pg_hton32(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static inline int
length_of(const RemoteQuery *query, int i)
{
	return query->formats[i] != 0 ? query->lengths[i] : (int) strlen(query->values[i]);
}

static char *
put_name(char *at, const char *name)
{
	size_t length = strlen(name) + 1;

	*at++ = '\0'; /* the portal has none */
	memcpy(at, name, length);
	return at + length;
}

static char *
put_execute(char *at)
{
	*at++ = 'E';
	at = put32(at, 9);
	*at++ = '\0';
	return put32(at, 0);
}

static char *
put_sync(char *at)
{
	*at++ = 'S';
	return put32(at, 4);
}

/* A command without parameters and rows. */
static char *
put_command(char *at, const char *name)
{
	char *length_at = ++at;

	at[-1] = 'B';
	at = put_name(at + 4, name);
	memset(at, 0, 6);
	at += 6;
	put32(length_at, at - length_at);
	return put_execute(at);
}

/* Bind of the statement; NULL when it does not fit before "end". */
static char *
put_bind(char *at, const char *end, const RemoteQuery *query, const char *name)
{
	char *length_at = ++at;
	ptrdiff_t room;

	at[-1] = 'B';
	at = put_name(at + 4, name);
	room = end - at - 8 - (ptrdiff_t) query->nparams * 6;
	if (room < 0)
		return NULL;
	at = put16(at, query->nparams);
	for (int i = 0; i < query->nparams; i++)
		at = put16(at, query->formats[i]);
	at = put16(at, query->nparams);
	for (int i = 0; i < query->nparams; i++)
	{
		int length = query->values[i] == NULL ? -1 : length_of(query, i);

		at = put32(at, (uint32) length);
		if (length <= 0)
			continue;
		if (length > room)
			return NULL;
		room -= length;
		memcpy(at, query->values[i], length);
		at += length;
	}
	at = put16(at, 1);
	at = put16(at, query->binary);
	put32(length_at, at - length_at);
	return at;
}

/* All that is sent at once; 0 when it does not fit. */
static size_t
write_messages(const Trip *trip)
{
	const RemoteQuery *query = trip->query;
	char *at = send_buffer;

	if (trip->begin != NULL)
		at = put_command(at, prepared_name(trip->begin));
	at = put_bind(at, send_buffer + SEND_SIZE - 64, query, prepared_name(trip->entry));
	if (at == NULL)
		return 0;
	if (trip->begin != NULL && query->columns > 0)
	{
		*at++ = 'D';
		at = put32(at, 6);
		*at++ = 'P';
		*at++ = '\0';
	}
	return put_sync(put_execute(at)) - send_buffer;
}

/* Nothing is in the way of a statement that goes out at once, and alone. */
static bool
is_free(RemoteConnection *c)
{
	Assert(!c->on_wire);
	return c->by_wire && c->state == CONNECTION_OPEN && dlist_is_empty(&c->tasks) &&
		   c->copy.state == COPY_NONE && c->pending_error == NULL && !c->at_replica &&
		   connection_none_underway() && PQflush(c->conn) == 0;
}

/* Can a statement like this be sent and read here at all? */
static bool
is_simple(const RemoteConnection *c, const RemoteQuery *query)
{
	return c->acting == GetUserId() && query->prepare && query->nparams > 0 &&
		   query->formats != NULL && !query->measured && query->helper == 0;
}

/*
 * Handing over
 */

/* A description of the rows that are to come, of which only number and format count. */
static size_t
describe_rows(const RemoteQuery *query, char *to)
{
	char *at = to;

	*at++ = 'T';
	at = put32(at, 4 + 2 + query->columns * DESCRIBED_SIZE);
	at = put16(at, query->columns);
	for (int i = 0; i < query->columns; i++)
	{
		memset(at, 0, DESCRIBED_SIZE);
		at += DESCRIBED_SIZE - 2;
		at = put16(at, query->binary);
	}
	return at - to;
}

/* Gives libpq these bytes to read, by the other end of its socket. */
static bool
feed(PGconn *conn, int theirs, const char *data, size_t length)
{
	size_t given = 0;

	while (given < length)
	{
		size_t piece = Min(length - given, READ_SIZE / 2);
		ssize_t sent = send(theirs, data + given, piece, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent <= 0 || PQconsumeInput(conn) != 1)
			return false;
		given += sent;
	}
	return true;
}

/* With libpq's socket in our hands: the statement, and what the node said so far. */
static bool
retell(Trip *trip, int theirs, const char *rest, size_t length)
{
	PGconn *conn = trip->c->conn;
	const RemoteQuery *query = &trip->task->query;
	char *described;
	bool told;

	if ((trip->task->prefix > 0 &&
		 PQsendQueryPrepared(conn, prepared_name(trip->begin), 0, NULL, NULL, NULL, 0) != 1) ||
		PQsendQueryPrepared(conn, prepared_name(trip->entry), query->nparams, query->values,
							query->lengths, query->formats, query->binary) != 1 ||
		PQpipelineSync(conn) != 1 || PQflush(conn) != 0)
		return false;
	if (query->columns == 0 || (trip->begin != NULL && !trip->described))
		return feed(conn, theirs, rest, length);
	/* Nothing may be thrown while the sockets are exchanged. */
	described = MemoryContextAllocExtended(remote_context(), 16 + query->columns * DESCRIBED_SIZE,
										   MCXT_ALLOC_NO_OOM);
	if (described == NULL)
		return false;
	told = feed(conn, theirs, described, describe_rows(query, described)) &&
		   feed(conn, theirs, rest, length);
	pfree(described);
	return told;
}

/*
 * From here on the trip is a task's.  Where libpq cannot be told of it, the
 * connection is lost, and with it the answer.
 */
static void
hand_over(Trip *trip, const char *rest, size_t length)
{
	RemoteConnection *c = trip->c;
	int fd = PQsocket(c->conn);
	int pair[2] = {-1, -1};
	int kept = -1;
	bool told = false;

	trip->task = task_adopt(c, trip->query, trip->context);
	trip->task->transaction = trip->transaction;
	trip->task->commits = trip->commits;
	trip->task->prepared = trip->entry;
	trip->task->delivered = trip->rows;
	trip->task->internal = trip->tag != NULL;
	trip->task->prefix = trip->begin != NULL && !trip->begun;
	c->on_wire = false;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && (kept = dup(fd)) >= 0 &&
		fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0 && dup2(pair[0], fd) == fd)
	{
		told = retell(trip, pair[1], rest, length);
		told &= dup2(kept, fd) == fd && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
	}
	for (int i = 0; i < 2; i++)
	{
		if (pair[i] >= 0)
			close(pair[i]);
	}
	if (kept >= 0)
		close(kept);
	if (!told)
		connection_lost(c, NULL);
}

/*
 * Receiving
 */

/* The number at the end of a command's tag. */
static int64
count_in_tag(const char *tag, size_t length)
{
	const char *at = tag + length;

	while (at > tag && (at[-1] == '\0' || (at[-1] >= '0' && at[-1] <= '9')))
		at--;
	return at < tag + length ? strtoll(at, NULL, 10) : 0;
}

/* A message that is there as a whole: its size with its type, else 0; -1: not for us. */
static ssize_t
message_size(const Trip *trip, const char *at, const char *end)
{
	uint32 length;

	if (end > at && memchr("2DCZ", *at, 4) == NULL && (*at != 'T' || trip->begin == NULL))
		return -1;
	if (end - at < 5)
		return 0;
	memcpy(&length, at + 1, sizeof(length));
	length = pg_ntoh32(length);
	if (length < 4 || length >= READ_SIZE)
		return -1;
	return end - at > (ptrdiff_t) length ? (ssize_t) length + 1 : 0;
}

/* The statement is over, if nothing but the end of the answer follows. */
static bool
read_end(Trip *trip, const char *at, ssize_t size, const char *end, bool *strange)
{
	ssize_t last = message_size(trip, at + size, end);

	*strange = last < 0 || (last > 0 && (at[size] != 'Z' || at + size + last != end)) ||
			   (trip->tag != NULL && strncmp(at + 5, trip->tag, size - 5) != 0);
	if (*strange || last == 0)
		return false;
	trip->affected = count_in_tag(at + 5, size - 5);
	trip->over = true;
	return true;
}

/*
 * Reads what is there, the end of the answer only as a whole.  Returns where
 * it stopped; *strange when at something that is not for us.
 */
static char *
read_messages(Trip *trip, char *at, char *end, bool *strange)
{
	ssize_t size;

	while ((size = message_size(trip, at, end)) > 0 && *at != 'Z')
	{
		if (*at == 'D')
		{
			trip->rows++;
			trip->receive(trip->arg, at + 5, size - 5);
		}
		else if (*at == 'T')
			trip->described = true;
		else if (*at == 'C' && trip->begin != NULL && !trip->begun)
			trip->begun = true;
		else if (*at == 'C')
			return read_end(trip, at, size, end, strange) ? end : at;
		at += size;
	}
	*strange = size != 0;
	return at;
}

/* True when the answer was read, false when it was handed over. */
static bool
read_answer(Trip *trip)
{
	RemoteConnection *c = trip->c;
	char *end = read_buffer;

	for (;;)
	{
		bool strange = false;
		char *at;
		ssize_t got;

		if (!connection_wait_readable(c))
			break;
		got = recv(PQsocket(c->conn), end, read_buffer + READ_SIZE - end, 0);
		if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
			continue;
		if (got <= 0)
			break;
		end += got;
		at = read_messages(trip, read_buffer, end, &strange);
		if (trip->over)
			return true;
		end -= at - read_buffer;
		if (at > read_buffer)
			memmove(read_buffer, at, end - read_buffer);
		if (strange)
			break;
	}
	hand_over(trip, read_buffer, end - read_buffer);
	return false;
}

void
remote_row_body(const PGresult *result, int row, StringInfo body)
{
	int columns = PQnfields(result);

	pq_sendint16(body, columns);
	for (int i = 0; i < columns; i++)
	{
		int length = PQgetisnull(result, row, i) ? -1 : PQgetlength(result, row, i);

		pq_sendint32(body, length);
		if (length > 0)
			pq_sendbytes(body, PQgetvalue(result, row, i), length);
	}
}

/* Waits for what is task.c's now, whose rows may be whole results. */
static int64
read_task(RemoteTask *task, RemoteReceive receive, void *arg)
{
	PGresult *result;
	StringInfoData body;
	int64 affected;

	initStringInfo(&body);
	while ((result = remote_task_next(task)) != NULL)
	{
		for (int row = 0; row < PQntuples(result); row++)
		{
			resetStringInfo(&body);
			remote_row_body(result, row, &body);
			receive(arg, body.data, body.len);
		}
		PQclear(result);
	}
	affected = remote_task_affected(task);
	remote_task_end(task);
	pfree(body.data);
	return affected;
}

/* Sends it; false when it has to go another way. */
static bool
set_out(Trip *trip, size_t length)
{
	RemoteConnection *c = trip->c;
	ssize_t sent;

	c->on_wire = true;
	sent = send(PQsocket(c->conn), send_buffer, length, MSG_NOSIGNAL);
	if (sent == (ssize_t) length)
		return true;
	c->on_wire = false;
	/* A part of it would be taken for the beginning of what comes next. */
	if (sent > 0)
		(void) shutdown(PQsocket(c->conn), SHUT_RDWR);
	return false;
}

static void
make_buffers(void)
{
	if (read_buffer != NULL)
		return;
	send_buffer = MemoryContextAlloc(remote_context(), SEND_SIZE);
	read_buffer = MemoryContextAlloc(remote_context(), READ_SIZE);
}

/*
 * Finds out what has to go ahead of the statement; false when that is more
 * than the wire carries.
 */
static bool
prepare_transaction(Trip *trip, int level)
{
	RemoteConnection *c = trip->c;
	const RemoteQuery *query = trip->query;

	trip->transaction = transaction_needed(c, query->writes) || query->snapshot != 0;
	if (!trip->transaction || (c->level >= level && c->snapshot == query->snapshot))
		return true;
	if (c->level > 0 || level > 1 || query->snapshot != 0 ||
		transaction_constraints_command() != NULL)
		return false;
	if (query->alone)
		return true; /* it may not be needed after all */
	trip->begin = prepared_command(c, transaction_begin_command());
	return trip->begin != NULL;
}

/* Goes there and back, if it can go by wire; false when nothing has been done. */
static bool
travel(Trip *trip)
{
	RemoteConnection *c = trip->c;
	const RemoteQuery *query = trip->query;
	int level = GetCurrentTransactionNestLevel();
	size_t length;

	if (!is_simple(c, query) || !is_free(c) || !settings_told(c, query->names) ||
		(trip->entry = prepared_known(c, query)) == NULL || !prepare_transaction(trip, level))
		return false;
	make_buffers();
	length = write_messages(trip);
	if (length == 0)
		return false;
	if (query->alone && c->level == 0 && query->snapshot == 0)
	{
		trip->commits = transaction_may_commit_alone(c);
		if (!trip->commits)
			return false;
		trip->transaction = false;
	}
	if (!set_out(trip, length))
		return false;
	c->committing += trip->commits;
	if (trip->begin != NULL)
	{
		c->level = 1;
		c->snapshot = 0;
	}
	if (trip->transaction && query->writes)
		transaction_note_write(c, level);
	if (!read_answer(trip))
		return true;
	c->on_wire = false;
	c->silent_since = 0;
	c->give_up_at = 0;
	if (trip->transaction)
		transaction_note_done(c, level);
	if (trip->commits)
		transaction_committed_alone(query->shows);
	return true;
}

/*
 * A command of our own that is known to the node.  True when it has been
 * carried out; otherwise *task is what it became, NULL if it was not sent.
 */
bool
wire_command(RemoteConnection *c, const char *sql, RemoteTask **task)
{
	RemoteQuery query = {.sql = sql, .prepare = true};
	Trip trip = {.c = c, .query = &query, .tag = sql};
	size_t length;

	*task = NULL;
	if (!is_free(c) || (trip.entry = prepared_command(c, sql)) == NULL)
		return false;
	make_buffers();
	length = put_sync(put_command(send_buffer, prepared_name(trip.entry))) - send_buffer;
	if (!set_out(&trip, length))
		return false;
	if (!read_answer(&trip))
	{
		*task = trip.task;
		return false;
	}
	c->on_wire = false;
	c->silent_since = 0;
	return true;
}

int64
remote_run(const RemoteQuery *query, MemoryContext context, RemoteReceive receive, void *arg)
{
	Trip trip = {.query = query, .context = context, .receive = receive, .arg = arg};

	connection_check_interrupts();
	trip.c = transaction_use(query->group_id, replica_wanted(query), query->helper);
	if (!travel(&trip))
		trip.task = remote_task_start(query, context, NULL, NULL);
	return trip.task != NULL ? read_task(trip.task, receive, arg) : trip.affected;
}

/* An error in the middle of a trip: what the node says is not known any more. */
void
wire_abandon(RemoteConnection *c)
{
	if (!c->on_wire)
		return;
	c->on_wire = false;
	connection_lost(c, NULL);
}
