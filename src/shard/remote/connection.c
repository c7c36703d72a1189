/*-------------------------------------------------------------------------
 * connection.c
 *	  Connections of this session to the nodes: one per group and user.
 *
 * Decides where a group is, when to try again and when to give up, and does
 * all waiting.  What travels on a connection is task.c's and copy.c's, what
 * is at stake when one is lost is asked of transaction.c.
 *
 * Several connections may be on their way at once; whoever waits for one
 * drives all of them.  An open connection has a WaitEventSet of its own for
 * as long as it is open, because making one costs more than waiting.
 *
 * No password may leave here: errors carry libpq's message, never the
 * connection parameters.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <poll.h>
#include <sys/socket.h>

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/config.h"
#include "ha/state.h"
#include "shard/maintenance/maintenance.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/connection.h"
#include "shard/remote/replica.h"
#include "shard/remote/twophase.h"

#define ATTEMPT_US (10 * INT64CONST(1000000))		 /* one attempt to connect */
#define PATIENCE_AGENT_US (30 * INT64CONST(1000000)) /* a group whose leader may move */
#define PATIENCE_START_US (30 * INT64CONST(1000000)) /* a node that says it is starting */
#define PATIENCE_US (5 * INT64CONST(1000000))		 /* any other node at a fixed place */
#define RETRY_US INT64CONST(100000)
#define LINE_US INT64CONST(250000) /* in line for a place at a node */
#define SPARE_RETRY_US (5 * INT64CONST(1000000))
#define END_US INT64CONST(100000) /* a process of a node that has no client any more */
#define LEADER_CHECK_MS 250

static MemoryContext session_context = NULL;
static HTAB *connections = NULL;
static RemoteConnection *last_used = NULL;

/* Connections in CONNECTION_WAITING or CONNECTION_CONNECTING. */
static int nunderway = 0;

/* Those beyond the first of a node, open or under way. */
static int nextras = 0;

/* Grows when pgcluster.member_group may have changed. */
static uint64 places_generation = 1;

/* Milliseconds that a wait may last; -1: as long as it takes. */
static long wait_at_most = -1;

static void connection_begin(RemoteConnection *c);

MemoryContext
remote_context(void)
{
	if (session_context == NULL)
		session_context =
			AllocSetContextCreate(TopMemoryContext, "pgcluster remote", ALLOCSET_DEFAULT_SIZES);
	return session_context;
}

static void
set_state(RemoteConnection *c, ConnectionState state)
{
	nunderway -= (c->state == CONNECTION_WAITING || c->state == CONNECTION_CONNECTING);
	nextras -= (c->state != CONNECTION_CLOSED && c->key.number > 0);
	c->state = state;
	nunderway += (c->state == CONNECTION_WAITING || c->state == CONNECTION_CONNECTING);
	nextras += (c->state != CONNECTION_CLOSED && c->key.number > 0);
}

bool
connection_extras_open(void)
{
	return nextras > 0;
}

/*
 * Where groups are
 */

static void
place_invalidated(Datum arg, Oid relid)
{
	if (relid == POOL_MESSAGE)
		pool_asked();
	else
		places_generation++;
}

/*
 * Looks the group up.  False when nobody leads it just now; an error when
 * there is no such group.
 */
static bool
connection_locate(RemoteConnection *c)
{
	const char *host = NULL;
	int port = 0;
	GroupLeader leader;

	if (metadata_group_address(c->key.group_id, &host, &port))
	{
		c->from_agent = false;
		c->generation = places_generation;
	}
	else if (c->key.replica && replica_locate(c))
	{
		c->from_agent = true;
		c->generation = ha_leaders_generation();
		snprintf(c->node, sizeof(c->node), "%s:%d", c->host, c->port);
		return true;
	}
	else if (ha_enabled())
	{
		c->from_agent = true;
		c->generation = ha_leaders_generation();
		if (!ha_group_leader(c->key.group_id, &leader))
		{
			snprintf(c->failure, sizeof(c->failure), "Group %d has no leader.", c->key.group_id);
			c->failure_code = ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;
			return false;
		}
		host = leader.host;
		port = leader.port;
	}
	else
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("the address of group %d is not known", c->key.group_id),
						errhint("Add the group's node with cluster_add_node.")));

	strlcpy(c->host, host, sizeof(c->host));
	c->port = port;
	snprintf(c->node, sizeof(c->node), "%s:%d", c->host, c->port);
	return true;
}

/* True when the node that "c" speaks with, or connects to, does not lead any more. */
bool
connection_leader_moved(RemoteConnection *c)
{
	GroupLeader leader;

	if (unlikely(c->at_replica))
		return replica_left(c);
	if (!c->from_agent || c->generation == ha_leaders_generation())
		return false;
	c->generation = ha_leaders_generation();
	/* Nobody leading is no reason to leave a node that may lead again. */
	return ha_group_leader(c->key.group_id, &leader) &&
		   (leader.port != c->port || strcmp(leader.host, c->host) != 0);
}

/* The same for places written in the catalog, which only a transaction can read. */
static bool
place_changed(RemoteConnection *c)
{
	const char *host = NULL;
	int port = 0;

	if (c->from_agent || c->generation == places_generation)
		return false;
	c->generation = places_generation;
	if (!metadata_group_address(c->key.group_id, &host, &port))
		return true;
	return port != c->port || strcmp(host, c->host) != 0;
}

static char *
locate_any(int group_id, bool replica)
{
	RemoteConnection probe = {.key = {.group_id = group_id, .replica = replica}};

	return connection_locate(&probe) ? pstrdup(probe.node) : pstrdup("unknown");
}

char *
remote_group_address(int group_id)
{
	return locate_any(group_id, false);
}

char *
remote_query_address(const RemoteQuery *query)
{
	return locate_any(query->group_id, replica_wanted(query));
}

/*
 * Opening and closing
 */

static void
close_all(int code, Datum arg)
{
	HASH_SEQ_STATUS status;
	RemoteConnection *c;

	hash_seq_init(&status, connections);
	while ((c = hash_seq_search(&status)) != NULL)
		PQfinish(c->conn); /* tells the node; the rest goes with the process */
}

static void
make_connections(void)
{
	HASHCTL ctl = {.keysize = sizeof(ConnectionKey),
				   .entrysize = sizeof(RemoteConnection),
				   .hcxt = remote_context()};

	connections =
		hash_create("pgcluster connections", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(place_invalidated, (Datum) 0);
	on_proc_exit(close_all, (Datum) 0);
}

static RemoteConnection *find(const ConnectionKey *key);

RemoteConnection *
connection_get(int group_id)
{
	RemoteConnection *c = last_used;

	if (c == NULL || c->key.group_id != group_id || c->key.user != GetUserId())
		last_used = c = connection_find(group_id, false, 0);
	return c;
}

RemoteConnection *
connection_find(int group_id, bool replica, int number)
{
	ConnectionKey key = {
		.group_id = group_id, .user = GetUserId(), .number = number, .replica = replica};

	/* The transaction on a node stays with one connection, whoever goes on with it. */
	if (!replica && number == 0)
	{
		Oid user = transaction_user(group_id);

		if (OidIsValid(user))
			key.user = user;
	}
	if (!acting_may_connect(key.user))
		key.user = GetSessionUserId();
	return find(&key);
}

RemoteConnection *
connection_of_user(int group_id, Oid user)
{
	ConnectionKey key = {.group_id = group_id, .user = user};

	return find(&key);
}

static RemoteConnection *
find(const ConnectionKey *key)
{
	RemoteConnection *c;
	bool found;

	if (connections == NULL)
		make_connections();
	c = hash_search(connections, key, HASH_ENTER, &found);
	if (!found)
	{
		memset((char *) c + sizeof(*key), 0, sizeof(*c) - sizeof(*key));
		c->acting = key->user;
		dlist_init(&c->tasks);
	}
	return c;
}

void
connection_foreach(void (*action)(RemoteConnection *c))
{
	HASH_SEQ_STATUS status;
	RemoteConnection *c;
	List *all = NIL;
	ListCell *lc;

	if (connections == NULL)
		return;
	/* An error in "action" must not leave a scan of the table open. */
	hash_seq_init(&status, connections);
	while ((c = hash_seq_search(&status)) != NULL)
		all = lappend(all, c);
	foreach (lc, all)
		action(lfirst(lc));
	list_free(all);
}

bool
connection_has_process(int group_id, int pid)
{
	HASH_SEQ_STATUS status;
	RemoteConnection *c;
	bool found = false;

	if (connections == NULL)
		return false;
	hash_seq_init(&status, connections);
	while ((c = hash_seq_search(&status)) != NULL)
		found |= c->key.group_id == group_id && c->conn != NULL && PQbackendPID(c->conn) == pid;
	return found;
}

/*
 * Somebody waits for the connection's place: the node should not see more
 * sessions than there are places, so its process is given a moment to go.
 */
static void
see_it_end(PGconn *conn)
{
	struct pollfd news = {.fd = PQsocket(conn), .events = POLLIN};
	int64 until = clock_now_us() + END_US;
	char rest[4096];

	if (news.fd < 0 || shutdown(news.fd, SHUT_WR) != 0)
		return;
	while (clock_now_us() < until)
	{
		if (poll(&news, 1, END_US / 1000) < 0
				? errno != EINTR
				: recv(news.fd, rest, sizeof(rest), MSG_DONTWAIT) == 0)
			return;
	}
}

/*
 * Closes what is open.  Tasks that were sent fail; those that were not, and
 * the transaction, are the caller's business.
 */
void
connection_close(RemoteConnection *c)
{
	dlist_mutable_iter iter;

	if (c->waits != NULL)
		FreeWaitEventSet(c->waits);
	c->waits = NULL;
	if (c->conn != NULL)
	{
		if (c->state == CONNECTION_OPEN && pool_wanted(c))
			see_it_end(c->conn);
		acting_forget(c);
		PQfinish(c->conn);
		ReleaseExternalFD();
	}
	c->conn = NULL;
	pool_leave(c);
	c->copy.state = COPY_NONE;
	c->on_wire = false;
	if (c->pending_error != NULL)
		PQclear(c->pending_error);
	c->pending_error = NULL;
	c->pending_copy = false;
	copy_forget_lines(c);
	settings_forget(c);
	c->acting = c->key.user;
	prepared_reset(c);
	set_state(c, CONNECTION_CLOSED);

	dlist_foreach_modify (iter, &c->tasks)
	{
		RemoteTask *task = dlist_container(RemoteTask, node, iter.cur);

		task->prepared = NULL;
		task->command = NULL;
		if (task->state == TASK_SENT)
			task_fail(task);
	}
}

static void
close_if_idle(RemoteConnection *c)
{
	if (!c->is_active && c->state == CONNECTION_OPEN)
		connection_close(c);
}

void
remote_close_idle(void)
{
	connection_foreach(close_if_idle);
}

/* Ends the attempts: everything that waits for this connection fails. */
static void
give_up(RemoteConnection *c)
{
	connection_close(c);
	c->give_up_at = 0;
	while (!dlist_is_empty(&c->tasks))
		task_fail(dlist_container(RemoteTask, node, dlist_head_node(&c->tasks)));
}

static bool
any_impatient(RemoteConnection *c)
{
	dlist_iter iter;

	dlist_foreach (iter, &c->tasks)
	{
		if (dlist_container(RemoteTask, node, iter.cur)->query.impatient)
			return true;
	}
	return false;
}

static int64
patience(const RemoteConnection *c)
{
	if (c->from_agent)
		return PATIENCE_AGENT_US;
	return c->failure_code == ERRCODE_CANNOT_CONNECT_NOW ? PATIENCE_START_US : PATIENCE_US;
}

/* Refusals that another attempt will not change. */
static bool
failure_is_final(int code)
{
	int category = ERRCODE_TO_CATEGORY(code);

	return category == ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION ||
		   category == ERRCODE_INVALID_CATALOG_NAME ||
		   category == ERRCODE_TO_CATEGORY(ERRCODE_SYNTAX_ERROR) ||
		   category == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) ||
		   category == ERRCODE_TO_CATEGORY(ERRCODE_CONFIG_FILE_ERROR);
}

/* One that nobody needs. */
static bool
is_spare(const RemoteConnection *c)
{
	return c->key.number > 0 && dlist_is_empty(&unconstify(RemoteConnection *, c)->tasks);
}

/*
 * Plans another attempt, or gives up.  failure and failure_code say why.  The
 * loss of an open connection, unlike a failed attempt, does not mean that the
 * node is down: often it is back already.
 */
static void
try_again(RemoteConnection *c, bool was_open)
{
	int64 now = clock_now_us();
	bool first = c->give_up_at == 0;
	bool elsewhere = replica_failed(c); /* the leader has not been asked yet */

	connection_close(c);
	if (is_spare(c))
	{
		c->retry_at = now + SPARE_RETRY_US;
		return;
	}
	if (first)
		c->give_up_at = now + patience(c);
	if ((!was_open && !elsewhere && (failure_is_final(c->failure_code) || any_impatient(c))) ||
		now >= c->give_up_at || transaction_ending())
	{
		give_up(c);
		return;
	}
	c->retry_at = elsewhere || (was_open && first) ? now : now + RETRY_US;
	set_state(c, CONNECTION_WAITING);
}

/* The present attempt came to nothing; libpq's message says why. */
static void
attempt_failed(RemoteConnection *c, const char *message)
{
	const char *code = strstr(message, ":  ");

	/* In verbose form, set below, the node's message is "FATAL:  SQLSTATE: text". */
	c->failure_code = ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;
	if (code != NULL && strlen(code) > 10 && code[8] == ':' &&
		strspn(code + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5)
		c->failure_code = MAKE_SQLSTATE(code[3], code[4], code[5], code[6], code[7]);
	error_describe(message, c->failure, sizeof(c->failure));
	try_again(c, false);
}

typedef struct Parameters
{
	const char *keywords[64];
	const char *values[64];
	int n;
} Parameters;

static void
add_parameter(Parameters *p, const char *keyword, const char *value)
{
	/* A later one wins over an earlier one of the same name. */
	for (int i = 0; i < p->n; i++)
	{
		if (strcmp(p->keywords[i], keyword) == 0)
		{
			p->values[i] = value;
			return;
		}
	}
	if (p->n == lengthof(p->keywords) - 1)
		elog(ERROR, "too many connection parameters");
	p->keywords[p->n] = keyword;
	p->values[p->n] = value;
	p->n++;
}

/*
 * What node_conninfo may overrule: a vanished node must be noticed, and
 * nobody waits at a node's prompt.
 */
static const char *const default_parameters[][2] = {
	{"keepalives_idle", "10"},
	{"keepalives_interval", "5"},
	{"keepalives_count", "3"},
	{"tcp_user_timeout", "15000"},
};

/*
 * Settings of the node's session that never change.  Names in what we send
 * are qualified; timeouts are the business of the local session; a statement
 * whose connection we closed, or whose client's machine is gone, ends by
 * itself and lets go of its locks.
 */
#define SESSION_OPTIONS                                                                          \
	"-c search_path=pg_catalog -c statement_timeout=0 -c idle_in_transaction_session_timeout=0 " \
	"-c idle_session_timeout=0 -c client_connection_check_interval=1000 "                        \
	"-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 "          \
	"-c tcp_user_timeout=15000"

/* Text for the "options" parameter, in which blanks and backslashes are escaped. */
static char *
escape_option(const char *value)
{
	StringInfoData escaped;

	initStringInfo(&escaped);
	for (; *value; value++)
	{
		if (isspace((unsigned char) *value) || *value == '\\')
			appendStringInfoChar(&escaped, '\\');
		appendStringInfoChar(&escaped, *value);
	}
	return escaped.data;
}

/*
 * As whom to connect.  A role that cannot log in was taken on with SET ROLE:
 * the session's user connects and does the same there.  Returns the options
 * for that.
 */
static const char *
add_user(RemoteConnection *c, Parameters *p)
{
	const char *user = GetUserNameFromId(c->key.user, false);
	HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(c->key.user));
	bool can_login = HeapTupleIsValid(tuple) && ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	if (can_login || GetSessionUserId() == c->key.user)
	{
		add_parameter(p, "user", user);
		return "";
	}
	add_parameter(p, "user", GetUserNameFromId(GetSessionUserId(), false));
	return psprintf(" -c role=%s", escape_option(user));
}

static void
collect_parameters(RemoteConnection *c, PQconninfoOption *extra, Parameters *p)
{
	const char *options = "";
	const char *role;
	char name[NAMEDATALEN];

	for (size_t i = 0; i < lengthof(default_parameters); i++)
		add_parameter(p, default_parameters[i][0], default_parameters[i][1]);
	for (PQconninfoOption *option = extra; option && option->keyword; option++)
	{
		if (option->val == NULL || option->val[0] == '\0')
			continue;
		if (strcmp(option->keyword, "options") == 0)
			options = option->val;
		else
			add_parameter(p, option->keyword, option->val);
	}
	add_parameter(p, "host", c->host);
	add_parameter(p, "port", psprintf("%d", c->port));
	role = add_user(c, p);
	add_parameter(p, "dbname", get_database_name(MyDatabaseId));
	add_parameter(p, "client_encoding", GetDatabaseEncodingName());
	twophase_session_name(name, sizeof(name));
	add_parameter(p, "application_name", pstrdup(name));
	add_parameter(p, "target_session_attrs", c->at_replica ? "any" : "primary");
	add_parameter(p, "options", psprintf("%s " SESSION_OPTIONS "%s", options, role));
}

static int64
attempt_timeout(const Parameters *p)
{
	for (int i = 0; i < p->n; i++)
	{
		if (strcmp(p->keywords[i], "connect_timeout") == 0 && atoi(p->values[i]) > 0)
			return atoi(p->values[i]) * INT64CONST(1000000);
	}
	return ATTEMPT_US;
}

/* Starts an attempt to connect; returns at once. */
static void
connection_begin(RemoteConnection *c)
{
	MemoryContext scratch;
	MemoryContext old;
	PQconninfoOption *extra;
	char *parse_error = NULL;
	Parameters parameters = {.n = 0};

	if (!connection_locate(c))
	{
		try_again(c, false);
		return;
	}
	if (is_spare(c) ? !pool_enter_extra(c) : !pool_enter(c))
	{
		if (is_spare(c))
		{
			c->retry_at = clock_now_us() + LINE_US;
			return;
		}

		/* As long as it takes, which says nothing of the node. */
		c->give_up_at = 0;
		c->retry_at = clock_now_us() + LINE_US;
		set_state(c, CONNECTION_WAITING);
		return;
	}

	extra = PQconninfoParse(config_node_conninfo, &parse_error);
	if (extra == NULL)
	{
		/* libpq's message may quote a piece of a password */
		PQfreemem(parse_error);
		ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR),
						errmsg("setting \"%s\" is not valid", "pgcluster.node_conninfo"),
						errhint("It must have the form of a libpq connection string.")));
	}
	if (!AcquireExternalFD())
	{
		if (is_spare(c))
		{
			PQconninfoFree(extra);
			connection_close(c);
			c->retry_at = clock_now_us() + SPARE_RETRY_US;
			return;
		}
		PQconninfoFree(extra);
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
						errmsg("could not connect to node %s", c->node),
						errdetail("Too many files are open in this session."),
						errhint("Raise max_files_per_process and the limit of the operating "
								"system.")));
	}

	scratch =
		AllocSetContextCreate(CurrentMemoryContext, "connection parameters", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(scratch);
	PG_TRY();
	{
		collect_parameters(c, extra, &parameters);
		c->conn = PQconnectStartParams(parameters.keywords, parameters.values, 0);
	}
	PG_FINALLY();
	{
		MemoryContextSwitchTo(old);
		if (c->conn == NULL)
			ReleaseExternalFD();
		PQconninfoFree(extra);
	}
	PG_END_TRY();
	c->connecting_at = clock_now_us() + attempt_timeout(&parameters);
	MemoryContextDelete(scratch);

	if (c->conn == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	if (PQstatus(c->conn) == CONNECTION_BAD)
	{
		attempt_failed(c, PQerrorMessage(c->conn));
		return;
	}
	/* For the SQLSTATE of a refusal, see attempt_failed. */
	PQsetErrorVerbosity(c->conn, PQERRORS_VERBOSE);
	PQsetNoticeReceiver(c->conn, notice_receive, NULL);
	c->poll = PGRES_POLLING_WRITING;
	set_state(c, CONNECTION_CONNECTING);
}

/* The node accepted us: sends what has been waiting. */
static void
connection_opened(RemoteConnection *c)
{
	PQsetErrorVerbosity(c->conn, PQERRORS_DEFAULT);
	if (PQsetnonblocking(c->conn, 1) != 0 || !PQenterPipelineMode(c->conn))
	{
		attempt_failed(c, PQerrorMessage(c->conn));
		return;
	}

	c->waits = compat_create_wait_event_set(TopMemoryContext, 3);
	AddWaitEventToSet(c->waits, WL_SOCKET_READABLE, PQsocket(c->conn), NULL, NULL);
	AddWaitEventToSet(c->waits, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(c->waits, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	c->wait_events = WL_SOCKET_READABLE;
	c->by_wire = !PQsslInUse(c->conn) && !PQgssEncInUse(c->conn);
	set_state(c, CONNECTION_OPEN);
	task_send_queued(c);
}

/* Starts to connect one that is only to help; it may stay closed. */
void
connection_begin_helper(RemoteConnection *c)
{
	PG_TRY();
	{
		connection_begin(c);
	}
	PG_CATCH();
	{
		connection_close(c);
		c->retry_at = clock_now_us() + SPARE_RETRY_US;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static void
connection_poll(RemoteConnection *c)
{
	c->poll = PQconnectPoll(c->conn);
	if (c->poll == PGRES_POLLING_OK)
		connection_opened(c);
	else if (c->poll == PGRES_POLLING_FAILED)
		attempt_failed(c, PQerrorMessage(c->conn));
}

/* Does what can be done for "c" without waiting. */
void
connection_progress(RemoteConnection *c)
{
	int64 now;

	switch (c->state)
	{
		case CONNECTION_OPEN:
			return;
		case CONNECTION_CLOSED:
			if (!dlist_is_empty(&c->tasks))
				connection_begin(c);
			return;
		case CONNECTION_WAITING:
			if (clock_now_us() >= c->retry_at || (c->place == POOL_LINE && pool_turn(c)) ||
				(c->from_agent && c->generation != ha_leaders_generation()))
				connection_begin(c);
			return;
		case CONNECTION_CONNECTING:
			now = clock_now_us();
			if (connection_leader_moved(c))
				attempt_failed(c, "The leader has changed.");
			else if (now >= c->connecting_at)
				attempt_failed(c, "The node does not answer.");
			return;
	}
}

bool
connection_is_quiet(RemoteConnection *c)
{
	char byte;

	return c->state == CONNECTION_OPEN && dlist_is_empty(&c->tasks) &&
		   recv(PQsocket(c->conn), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
		   (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Before a use: a connection to a former leader, or a broken one, is left. */
void
connection_check_leader(RemoteConnection *c)
{
	if (c->state == CONNECTION_OPEN && c->level == 0 && dlist_is_empty(&c->tasks) &&
		c->copy.state == COPY_NONE &&
		((c->key.replica && replica_is_elsewhere(c)) || connection_leader_moved(c) ||
		 place_changed(c)))
		connection_close(c);
}

/*
 * A connection broke, or the node said that it is not the one to ask.  What
 * had not been carried out is sent again to whoever leads then; otherwise
 * the transaction is lost.
 */
void
connection_lost(RemoteConnection *c, const PGresult *reason)
{
	bool again = !transaction_ending() && !c->lost && c->done_level == 0 &&
				 c->copy.state == COPY_NONE && c->two_phase == TWO_PHASE_NONE;
	dlist_mutable_iter iter;

	(void) replica_failed(c);
	c->failure_code = reason ? error_code(reason) : 0;
	if (c->failure_code == 0)
		c->failure_code = ERRCODE_CONNECTION_FAILURE;
	error_describe(reason ? PQresultErrorField(reason, PG_DIAG_MESSAGE_PRIMARY)
						  : PQerrorMessage(c->conn),
				   c->failure, sizeof(c->failure));

	dlist_foreach_modify (iter, &c->tasks)
	{
		RemoteTask *task = dlist_container(RemoteTask, node, iter.cur);

		if ((task->delivered > 0 && !task->discard) || (task->commits && task->state == TASK_SENT))
			again = false;
	}
	dlist_foreach_modify (iter, &c->tasks)
	{
		RemoteTask *task = dlist_container(RemoteTask, node, iter.cur);

		if (!again || task->internal || task->discard)
			task_fail(task);
		else
			task_requeue(task);
	}
	connection_close(c);

	if (c->level > 0 && !again)
		c->lost = true;
	if (again)
	{
		c->level = 0;
		c->write_level = 0;
		if (!dlist_is_empty(&c->tasks))
			try_again(c, true);
	}
}

/*
 * Waiting
 */

/*
 * Waits for an open connection; true when it may have news.  "timeout" in
 * milliseconds, -1 for as long as it takes.
 */
static bool
wait_open(RemoteConnection *c, long timeout)
{
	WaitEvent occurred[3];
	int flush = PQflush(c->conn);
	int events = WL_SOCKET_READABLE | (flush > 0 ? WL_SOCKET_WRITEABLE : 0);
	int n;
	bool news = false;

	if (flush < 0 && PQstatus(c->conn) == CONNECTION_BAD)
		return true;

	/* A node that takes COPY data says nothing: all is sent, go on. */
	if (flush == 0 && c->copy.state == COPY_SENDING)
		return true;
	if (c->wait_events != events)
	{
		ModifyWaitEvent(c->waits, 0, events, NULL);
		c->wait_events = events;
	}

	n = WaitEventSetWait(c->waits, timeout, occurred, lengthof(occurred), PG_WAIT_EXTENSION);
	if (n == 0 && PQsslInUse(c->conn))
		(void) PQconsumeInput(c->conn);
	for (int i = 0; i < n; i++)
	{
		if (occurred[i].events & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			pool_asked();
		}
		if (occurred[i].events & (WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE))
		{
			/* A failure shows in PQstatus once what came before it is read. */
			(void) PQconsumeInput(c->conn);
			news = true;
		}
	}
	return news;
}

static List *connections_found;

static void
find_underway(RemoteConnection *c)
{
	if (c->state == CONNECTION_CONNECTING || c->state == CONNECTION_WAITING)
		connections_found = lappend(connections_found, c);
}

/* Milliseconds until something is due for one of the connections under way. */
static long
next_due(List *underway)
{
	int64 due = clock_now_us() + LEADER_CHECK_MS * 1000;
	int64 now = clock_now_us();
	ListCell *lc;

	foreach (lc, underway)
	{
		RemoteConnection *c = lfirst(lc);

		if (c->state == CONNECTION_WAITING)
			due = Min(due,
					  c->place == POOL_LINE ? c->retry_at : Min(c->retry_at, now + RETRY_US / 4));
		else
			due = Min(due, c->connecting_at);
	}
	if (wait_at_most >= 0)
		due = Min(due, now + wait_at_most * 1000);
	return due <= now ? 0 : (due - now) / 1000 + 1;
}

/* One wait for all connections under way and for "c". */
static void
wait_underway(RemoteConnection *c)
{
	List *underway;
	ListCell *lc;
	WaitEventSet *waits;
	WaitEvent *occurred;
	volatile int n = 0;

	if (pool_somebody_waits())
		pool_give_back();
	connections_found = NIL;
	connection_foreach(find_underway);
	underway = connections_found;
	foreach (lc, underway)
		connection_progress(lfirst(lc));
	if (c->state == CONNECTION_OPEN)
		(void) PQflush(c->conn);

	occurred = palloc(sizeof(WaitEvent) * (list_length(underway) + 3));
	waits = compat_create_wait_event_set(TopMemoryContext, list_length(underway) + 3);
	PG_TRY();
	{
		AddWaitEventToSet(waits, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
		AddWaitEventToSet(waits, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
		foreach (lc, underway)
		{
			RemoteConnection *other = lfirst(lc);

			if (other->state == CONNECTION_CONNECTING && PQsocket(other->conn) >= 0)
				AddWaitEventToSet(waits,
								  other->poll == PGRES_POLLING_READING ? WL_SOCKET_READABLE
																	   : WL_SOCKET_WRITEABLE,
								  PQsocket(other->conn), NULL, other);
		}
		if (c->state == CONNECTION_OPEN && !list_member_ptr(underway, c))
			AddWaitEventToSet(waits, WL_SOCKET_READABLE, PQsocket(c->conn), NULL, c);
		n = WaitEventSetWait(waits, next_due(underway), occurred, list_length(underway) + 3,
							 PG_WAIT_EXTENSION);
	}
	PG_FINALLY();
	{
		FreeWaitEventSet(waits);
	}
	PG_END_TRY();

	for (int i = 0; i < n; i++)
	{
		RemoteConnection *other = occurred[i].user_data;

		if (occurred[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
		else if (other != NULL && other->state == CONNECTION_CONNECTING)
			connection_poll(other);
		else if (other != NULL && other->state == CONNECTION_OPEN)
			(void) PQconsumeInput(other->conn);
	}
	pfree(occurred);
	list_free(underway);
}

/*
 * Milliseconds to wait for an open connection before looking at other things:
 * whether the node still leads, whether the TLS library has kept something
 * back that the socket does not show, and whether a lock is in the way whose
 * holder waits for us.
 */
static long
longest_wait(const RemoteConnection *c)
{
	if (wait_at_most >= 0)
		return wait_at_most;
	if (c->from_agent || PQsslInUse(c->conn))
		return LEADER_CHECK_MS;
	return c->level > 0 || c->committing > 0 ? DeadlockTimeout : -1;
}

/* After a wait in vain. */
static void
suspect_deadlock(RemoteConnection *c)
{
	int64 now = clock_now_us();

	if (c->level == 0 && c->committing == 0)
		return;
	if (c->silent_since == 0)
		c->silent_since = now - longest_wait(c) * 1000;
	if (now - c->silent_since >= (int64) DeadlockTimeout * 1000)
	{
		c->silent_since = now;
		pool_note_stuck();
		transaction_note_suspicion();
		deadlock_suspected();
	}
}

/* The victim of a deadlock is woken up and finds that it is. */
void
connection_check_interrupts(void)
{
	if (unlikely(transaction_suspects()) && InterruptHoldoffCount == 0)
		deadlock_check_victim();
	CHECK_FOR_INTERRUPTS();
}

/*
 * Waits until there may be news for "c"; may return early.  Interruptible.
 * Afterwards the connection may be in any state.
 */
void
connection_wait(RemoteConnection *c)
{
	connection_check_interrupts();
	if (nunderway == 0 && c->state == CONNECTION_OPEN)
	{
		if (wait_open(c, longest_wait(c)))
			c->silent_since = 0;
		else if (connection_leader_moved(c))
			connection_lost(c, NULL);
		else
			suspect_deadlock(c);
	}
	else
	{
		connection_progress(c);
		if (nunderway > 0)
			wait_underway(c);
	}
	connection_check_interrupts();
	notice_emit();
}

bool
connection_none_underway(void)
{
	return nunderway == 0;
}

bool
connection_wait_readable(RemoteConnection *c)
{
	WaitEvent occurred[3];
	bool readable = false;

	if (c->wait_events != WL_SOCKET_READABLE)
	{
		ModifyWaitEvent(c->waits, 0, WL_SOCKET_READABLE, NULL);
		c->wait_events = WL_SOCKET_READABLE;
	}
	while (!readable)
	{
		int n;

		if (InterruptPending || transaction_suspects())
			return false;
		n = WaitEventSetWait(c->waits, longest_wait(c), occurred, lengthof(occurred),
							 PG_WAIT_EXTENSION);
		if (n == 0)
		{
			suspect_deadlock(c);
			return false;
		}
		for (int i = 0; i < n; i++)
		{
			if (occurred[i].events & WL_LATCH_SET)
			{
				ResetLatch(MyLatch);
				pool_asked();
			}
			readable |= (occurred[i].events & WL_SOCKET_READABLE) != 0;
		}
	}
	return true;
}

/* Can one wait tell of them all? */
static bool
all_open(RemoteConnection **connections, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (connections[i]->state != CONNECTION_OPEN || PQsslInUse(connections[i]->conn))
			return false;
	}
	return nunderway == 0;
}

/* One wait for several open connections; true when there is news. */
static bool
wait_all_open(RemoteConnection **connections, int n, long timeout)
{
	WaitEvent occurred[REMOTE_MAX_WAIT + 2];
	int events[REMOTE_MAX_WAIT];
	WaitEventSet *waits;
	volatile int count = 0;
	volatile bool news = false;

	for (int i = 0; i < n; i++)
	{
		events[i] = WL_SOCKET_READABLE;
		if (PQflush(connections[i]->conn) > 0)
			events[i] |= WL_SOCKET_WRITEABLE;
		if (PQstatus(connections[i]->conn) == CONNECTION_BAD)
			return true;
	}
	waits = compat_create_wait_event_set(TopMemoryContext, n + 2);
	PG_TRY();
	{
		AddWaitEventToSet(waits, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
		AddWaitEventToSet(waits, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
		for (int i = 0; i < n; i++)
			AddWaitEventToSet(waits, events[i], PQsocket(connections[i]->conn), NULL,
							  connections[i]);
		count = WaitEventSetWait(waits, timeout, occurred, n + 2, PG_WAIT_EXTENSION);
	}
	PG_FINALLY();
	{
		FreeWaitEventSet(waits);
	}
	PG_END_TRY();
	for (int i = 0; i < count; i++)
	{
		RemoteConnection *c = occurred[i].user_data;

		if (occurred[i].events & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			pool_asked();
		}
		else if (c != NULL)
		{
			(void) PQconsumeInput(c->conn);
			c->silent_since = 0;
			news = true;
		}
	}
	return news;
}

static void
wait_for_any(RemoteConnection **connections, int n)
{
	long timeout = -1;

	for (int i = 0; i < n && (n == 1 || !all_open(connections, n)); i++)
	{
		/* The first that is not ready yet; the others are driven along. */
		if (n == 1 || connections[i]->state != CONNECTION_OPEN || i == n - 1)
		{
			connection_wait(connections[i]);
			return;
		}
	}
	for (int i = 0; i < n; i++)
	{
		long longest = longest_wait(connections[i]);

		if (longest >= 0 && (timeout < 0 || longest < timeout))
			timeout = longest;
	}
	connection_check_interrupts();
	if (!wait_all_open(connections, n, timeout))
	{
		for (int i = 0; i < n; i++)
		{
			if (connection_leader_moved(connections[i]))
				connection_lost(connections[i], NULL);
			else
				suspect_deadlock(connections[i]);
		}
	}
	connection_check_interrupts();
	notice_emit();
}

/*
 * Waits until there may be news for any of these connections, or "timeout"
 * milliseconds if that is not -1; may return early.  Interruptible.
 */
void
connection_wait_any(RemoteConnection **connections, int n, long timeout)
{
	wait_at_most = timeout;
	PG_TRY();
	{
		wait_for_any(connections, n);
	}
	PG_FINALLY();
	{
		wait_at_most = -1;
	}
	PG_END_TRY();
}

/*
 * Waits for an open connection without looking at interrupts and without
 * ever raising an error, for the end of transactions.  False when "until"
 * (clock.h) has passed.
 */
bool
connection_wait_quietly(RemoteConnection *c, int64 until)
{
	int64 now = clock_now_us();

	if (now >= until || c->state != CONNECTION_OPEN)
		return false;
	(void) wait_open(c, (until - now) / 1000 + 1);
	return true;
}

void
remote_nap(int64 time)
{
	connection_check_interrupts();
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, time / 1000,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	connection_check_interrupts();
}
