/*-------------------------------------------------------------------------
 * server.c
 *	  The worker behind the HTTP server: sockets, connections, limits.
 *
 * libmicrohttpd parses and writes; it runs without threads of its own, inside
 * the one loop here, so that all code that answers may use the server's
 * memory and locks.  What must stay true:
 *
 * - No error leaves a function that libmicrohttpd calls; it becomes an
 *   answer with status 500.
 * - A request has to be complete so and so long after the connection was
 *   opened or the last request was answered, however the client dribbles,
 *   and when all places are taken the one that has been at it longest makes
 *   way.  So slow clients cannot keep others out.
 * - The worker holds no lock while it waits, and nobody waits for it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <microhttpd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/config.h"
#include "ha/state.h"
#include "http/http.h"
#include "http/listen.h"
#include "http/routes.h"

#define MAX_CONNECTIONS 128
#define CONNECTION_MEMORY (32 * 1024) /* bounds the head of a request */
#define MAX_BODY (64 * 1024)
#define REQUEST_US (INT64CONST(10) * 1000000)
#define ACCEPTED_AT_ONCE 32
#define LISTEN_RETRY_MS 2000
#define SWEEP_MS 500

typedef struct Connection
{
	bool used;
	int socket;
	int64 since_us; /* of opening, or of the last answer */
	size_t body;	/* bytes of the request's body so far */
	bool answering; /* an answer is on its way */
} Connection;

typedef struct Server
{
	struct MHD_Daemon *daemon; /* NULL: not listening */
	WaitEventSet *events;
	int sockets[HTTP_MAX_LISTENERS];
	int nsockets;
	char *hosts; /* the settings in force */
	int port;
	bool failed; /* the last attempt to listen did */
	Connection connections[MAX_CONNECTIONS];
	int nconnections;
	int64 swept_us;		   /* when connections were last looked at */
	MemoryContext request; /* emptied after each */
} Server;

static Server server;

/*
 * Requests.  All of these are called by libmicrohttpd.
 */

static enum MHD_Result
add_argument(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	HttpRequest *request = arg;

	if (request->narguments == HTTP_MAX_ARGUMENTS)
		return MHD_NO;
	request->arguments[request->narguments++] = (HttpArgument){name, value == NULL ? "" : value};
	return MHD_YES;
}

static enum MHD_Result
queue_answer(struct MHD_Connection *connection, const HttpAnswer *answer)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(answer->content_type == NULL ? 0 : answer->body.len,
										answer->body.data, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (response == NULL)
		return MHD_NO;
	if (answer->content_type != NULL)
		(void) MHD_add_response_header(response, "Content-Type", answer->content_type);
	if (answer->allow != NULL)
		(void) MHD_add_response_header(response, "Allow", answer->allow);
	(void) MHD_add_response_header(response, "Cache-Control", "no-store");
	result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static void
recover_from_error(HttpAnswer *answer)
{
	static char sorry[] = "{\"error\":\"the request failed, see the server's log\"}";

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(server.request);
	EmitErrorReport();
	FlushErrorState();
	LWLockReleaseAll();
	RESUME_INTERRUPTS();
	memset(answer, 0, sizeof(*answer));
	answer->status = HTTP_INTERNAL_ERROR;
	answer->content_type = "application/json";
	answer->body.data = sorry;
	answer->body.len = sizeof(sorry) - 1;
}

static void
make_answer(const HttpRequest *request, bool complete, HttpAnswer *answer)
{
	PG_TRY();
	{
		http_answer(request, answer);
		if (!complete)
			http_answer_error(answer, HTTP_BAD_REQUEST, "there are too many arguments");
	}
	PG_CATCH();
	{
		recover_from_error(answer);
	}
	PG_END_TRY();
}

static enum MHD_Result
answer_request(struct MHD_Connection *connection, const char *method, const char *path)
{
	MemoryContext former = MemoryContextSwitchTo(server.request);
	HttpRequest request = {.method = method, .path = path};
	HttpAnswer answer;
	enum MHD_Result result;
	int given =
		MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_argument, &request);

	make_answer(&request, given == request.narguments, &answer);
	result = queue_answer(connection, &answer);
	MemoryContextSwitchTo(former);
	MemoryContextReset(server.request);
	return result;
}

static Connection *
connection_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

/* Longer than anything that is read to be thrown away? */
static bool
is_body_too_long(struct MHD_Connection *connection)
{
	const char *length =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return length != NULL && strtoull(length, NULL, 10) > MAX_BODY;
}

static enum MHD_Result
refuse_body(struct MHD_Connection *connection)
{
	static char text[] = "{\"error\":\"the request's body is too long\"}";
	HttpAnswer answer = {.status = HTTP_TOO_LARGE,
						 .content_type = "application/json",
						 .body = {.data = text, .len = sizeof(text) - 1}};

	return queue_answer(connection, &answer);
}

/* Called at the head of a request, for each piece of its body, and at its end. */
static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
		   const char *version, const char *data, size_t *size, void **state)
{
	Connection *c = connection_of(connection);

	if (c == NULL)
		return MHD_NO;
	if (*state == NULL)
	{
		*state = c;
		c->body = 0;
		return is_body_too_long(connection) ? refuse_body(connection) : MHD_YES;
	}
	if (*size > 0)
	{
		/* No request needs its body, but the client may be unable to see an answer before. */
		c->body += *size;
		*size = 0;
		return c->body > MAX_BODY ? MHD_NO : MHD_YES;
	}
	c->answering = true;
	return answer_request(connection, method, path);
}

static void
on_completed(void *arg, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode code)
{
	Connection *c = connection_of(connection);

	if (c == NULL)
		return;
	c->since_us = clock_now_us();
	c->answering = false;
}

static void
on_connection(void *arg, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	Connection *c = *context;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED)
	{
		if (c != NULL)
		{
			c->used = false;
			server.nconnections--;
		}
		*context = NULL;
		return;
	}
	for (int i = 0; i < MAX_CONNECTIONS; i++)
	{
		c = &server.connections[i];
		if (c->used)
			continue;
		*c = (Connection){
			.used = true,
			.socket =
				MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
			.since_us = clock_now_us()};
		server.nconnections++;
		*context = c;
		return;
	}
}

static void
on_message(void *arg, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

static void
on_message(void *arg, const char *format, va_list args)
{
	char message[512];

	vsnprintf(message, sizeof(message), format, args);
	message[strcspn(message, "\r\n")] = '\0';
	ereport(DEBUG1, (errmsg_internal("HTTP server: %s", message)));
}

/* libmicrohttpd would abort, which the postmaster would take for a crash of the server. */
static void
on_panic(void *arg, const char *file, unsigned int line, const char *reason)
{
	ereport(LOG, (errmsg("the HTTP server failed: %s", reason ? reason : "unknown reason"),
				  errdetail_internal("libmicrohttpd gave up at %s:%u.", file, line)));
	proc_exit(1);
}

/*
 * Connections
 */

/* libmicrohttpd sees the end of the stream and closes. */
static void
cut_connection(const Connection *c)
{
	shutdown(c->socket, SHUT_RDWR);
}

/* A client that closes right after its last bytes may go unnoticed by libmicrohttpd. */
static bool
is_left(const Connection *c)
{
	char byte;

	return !c->answering && recv(c->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void
sweep(void)
{
	int64 now = clock_now_us();

	if (now - server.swept_us < SWEEP_MS * INT64CONST(1000))
		return;
	server.swept_us = now;
	for (int i = 0; i < MAX_CONNECTIONS; i++)
	{
		const Connection *c = &server.connections[i];

		if (c->used && (now - c->since_us > REQUEST_US || is_left(c)))
			cut_connection(c);
	}
}

static void
cut_longest(void)
{
	const Connection *longest = NULL;

	for (int i = 0; i < MAX_CONNECTIONS; i++)
	{
		const Connection *c = &server.connections[i];

		if (c->used && (longest == NULL || c->since_us < longest->since_us))
			longest = c;
	}
	if (longest != NULL)
		cut_connection(longest);
}

/* False when all places are taken for now. */
static bool
make_room(void)
{
	if (server.nconnections < MAX_CONNECTIONS)
		return true;
	cut_longest();
	(void) MHD_run(server.daemon);
	return server.nconnections < MAX_CONNECTIONS;
}

static void
accept_connections(int listener)
{
	for (int i = 0; i < ACCEPTED_AT_ONCE && make_room(); i++)
	{
		struct sockaddr_storage address;
		socklen_t length = sizeof(address);
		int sock =
			accept4(listener, (struct sockaddr *) &address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (sock < 0)
			return;
		/* Closes the socket itself when it fails. */
		(void) MHD_add_connection(server.daemon, sock, (struct sockaddr *) &address, length);
	}
}

/*
 * Listening
 */

static void
stop_listening(void)
{
	for (int i = 0; i < server.nsockets; i++)
		close(server.sockets[i]);
	server.nsockets = 0;
	if (server.daemon != NULL)
		MHD_stop_daemon(server.daemon);
	server.daemon = NULL;
	if (server.events != NULL)
		FreeWaitEventSet(server.events);
	server.events = NULL;
}

static void
watch_sockets(void)
{
	int nevents = 2;

	if (server.daemon != NULL)
		nevents += server.nsockets + 1;
	server.events = compat_create_wait_event_set(TopMemoryContext, nevents);
	AddWaitEventToSet(server.events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(server.events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	if (server.daemon == NULL)
		return;
	AddWaitEventToSet(server.events, WL_SOCKET_READABLE,
					  MHD_get_daemon_info(server.daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, NULL,
					  NULL);
	for (int i = 0; i < server.nsockets; i++)
		AddWaitEventToSet(server.events, WL_SOCKET_READABLE, server.sockets[i], NULL,
						  &server.sockets[i]);
}

static struct MHD_Daemon *
start_daemon(void)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG, 0, NULL,
							NULL, on_request, NULL, MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL,
							MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_MEMORY,
							MHD_OPTION_CONNECTION_LIMIT, (unsigned int) MAX_CONNECTIONS,
							MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
							MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL, MHD_OPTION_END);
}

static void
remember_settings(void)
{
	if (server.hosts != NULL)
		pfree(server.hosts);
	server.hosts = MemoryContextStrdup(TopMemoryContext, config_http_listen);
	server.port = config_http_port;
}

/* A failure is logged once, however often it is tried again. */
static void
start_listening(void)
{
	int elevel = server.failed ? DEBUG1 : LOG;

	server.nsockets = http_listen_open(server.hosts, server.port, server.sockets, elevel);
	server.failed = server.nsockets == 0;
	if (server.failed)
	{
		ereport(elevel, (errmsg("the HTTP server listens nowhere and will try again")));
		return;
	}
	server.daemon = start_daemon();
	if (server.daemon == NULL)
		elog(ERROR, "could not start libmicrohttpd");
	ereport(LOG, (errmsg("the HTTP server listens on \"%s\", port %d", server.hosts, server.port)));
}

/* Listens where the settings say now, and nowhere else. */
static void
follow_settings(void)
{
	bool same = server.events != NULL && server.port == config_http_port &&
				strcmp(server.hosts, config_http_listen) == 0;

	if (same && (server.daemon != NULL || server.port == 0))
		return;
	if (!same)
		server.failed = false;
	stop_listening();
	remember_settings();
	if (server.port != 0)
		start_listening();
	watch_sockets();
}

/*
 * The loop
 */

static long
nap_ms(void)
{
	MHD_UNSIGNED_LONG_LONG wanted;
	long nap = -1;

	if (server.daemon == NULL)
		return server.port == 0 ? -1 : LISTEN_RETRY_MS;
	if (server.nconnections > 0)
		nap = SWEEP_MS;
	if (MHD_get_timeout(server.daemon, &wanted) == MHD_YES && (nap < 0 || wanted < (uint64) nap))
		nap = (long) wanted;
	return nap;
}

static void
serve(const WaitEvent *events, int nevents)
{
	if (server.daemon == NULL)
		return;
	for (int i = 0; i < nevents; i++)
		if (events[i].user_data != NULL)
			accept_connections(*(int *) events[i].user_data);
	sweep();
	if (MHD_run(server.daemon) != MHD_YES)
		elog(ERROR, "libmicrohttpd could not run");
}

static void
attend_signals(void)
{
	/* The exit status has the worker started again, should the server go on. */
	if (ShutdownRequestPending)
		proc_exit(1);
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	CHECK_FOR_INTERRUPTS();
}

extern PGDLLEXPORT void pgcluster_http_main(Datum arg);

void
pgcluster_http_main(Datum arg)
{
	WaitEvent events[HTTP_MAX_LISTENERS + 3];

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGUSR1, procsignal_sigusr1_handler);
	BackgroundWorkerUnblockSignals();

	MHD_set_panic_func(on_panic, NULL);
	server.request =
		AllocSetContextCreate(TopMemoryContext, "pgcluster HTTP request", ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		int nevents;

		attend_signals();
		follow_settings();
		nevents =
			WaitEventSetWait(server.events, nap_ms(), events, lengthof(events), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		serve(events, nevents);
	}
}

void
http_init(void)
{
	BackgroundWorker worker = {.bgw_flags = BGWORKER_SHMEM_ACCESS,
							   .bgw_start_time = BgWorkerStart_PostmasterStart,
							   .bgw_restart_time = 1};

	if (!ha_enabled())
		return;
	strlcpy(worker.bgw_library_name, "pgcluster", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pgcluster_http_main", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "pgcluster http", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "pgcluster http", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}
