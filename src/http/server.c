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
#include "http/access.h"
#include "http/exchange.h"
#include "http/http.h"
#include "http/listen.h"
#include "http/tls.h"

#define CONNECTION_MEMORY (32 * 1024) /* bounds the head of a request */
#define REQUEST_US (INT64CONST(10) * 1000000)
#define ACCEPTED_AT_ONCE 32
#define LISTEN_RETRY_MS 2000
#define SWEEP_MS 500
#define WAITING_MS 5

typedef struct Server
{
	struct MHD_Daemon *daemon; /* NULL: not listening */
	WaitEventSet *events;
	int sockets[HTTP_MAX_LISTENERS];
	int nsockets;
	char *hosts; /* the settings in force */
	int port;
	HttpTls tls;
	bool reload;	/* settings and files may be others by now */
	bool safe;		/* TLS is as the settings want it, or as they last could be followed */
	bool failed;	/* the last attempt to listen did */
	int64 swept_us; /* when connections were last looked at */
} Server;

static Server server = {.reload = true};

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
cut_connection(const HttpExchange *c)
{
	shutdown(c->socket, SHUT_RDWR);
}

/* A client that closes right after its last bytes may go unnoticed by libmicrohttpd. */
static bool
is_left(const HttpExchange *c)
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
	for (int i = 0; i < HTTP_MAX_CONNECTIONS; i++)
	{
		const HttpExchange *c = &http_exchanges()[i];

		if (c->used && !c->waiting && (now - c->since_us > REQUEST_US || is_left(c)))
			cut_connection(c);
	}
}

static void
cut_longest(void)
{
	const HttpExchange *longest = NULL;

	for (int i = 0; i < HTTP_MAX_CONNECTIONS; i++)
	{
		const HttpExchange *c = &http_exchanges()[i];

		if (c->used && !c->waiting && (longest == NULL || c->since_us < longest->since_us))
			longest = c;
	}
	if (longest != NULL)
		cut_connection(longest);
}

/* False when all places are taken for now. */
static bool
make_room(void)
{
	if (http_exchanges_used() < HTTP_MAX_CONNECTIONS)
		return true;
	cut_longest();
	(void) MHD_run(server.daemon);
	return http_exchanges_used() < HTTP_MAX_CONNECTIONS;
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
	{
		http_exchanges_attend(true);
		(void) MHD_run(server.daemon);
		MHD_stop_daemon(server.daemon);
	}
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
	unsigned int flags =
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME;
	struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, server.tls.certificate},
								   {MHD_OPTION_HTTPS_MEM_KEY, 0, server.tls.key},
								   {MHD_OPTION_HTTPS_PRIORITIES, 0, server.tls.priorities},
								   {MHD_OPTION_HTTPS_MEM_TRUST, 0, server.tls.authorities},
								   {MHD_OPTION_END, 0, NULL}};

	if (server.tls.authorities == NULL)
		tls[3].option = MHD_OPTION_END;
	if (server.tls.certificate == NULL)
		tls[0].option = MHD_OPTION_END;
	else
		flags |= MHD_USE_TLS;
	return MHD_start_daemon(flags, 0, NULL, NULL, http_on_request, NULL, MHD_OPTION_EXTERNAL_LOGGER,
							on_message, NULL, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
							(size_t) CONNECTION_MEMORY, MHD_OPTION_CONNECTION_LIMIT,
							(unsigned int) HTTP_MAX_CONNECTIONS, MHD_OPTION_NOTIFY_COMPLETED,
							http_on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION,
							http_on_connection, NULL, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

/* A failure is logged once, however often it is tried again. */
static void
start_listening(void)
{
	int elevel = server.failed ? DEBUG1 : LOG;

	if (server.safe)
		server.nsockets = http_listen_open(server.hosts, server.port, server.sockets, elevel);
	if (server.nsockets > 0)
		server.daemon = start_daemon();
	server.failed = server.daemon == NULL;
	if (!server.failed)
	{
		ereport(LOG, (errmsg("the HTTP server listens on \"%s\", port %d%s", server.hosts,
							 server.port, server.tls.certificate != NULL ? ", with TLS" : "")));
		return;
	}
	for (int i = 0; i < server.nsockets; i++)
		close(server.sockets[i]);
	server.nsockets = 0;
	ereport(elevel, (errmsg("the HTTP server listens nowhere and will try again")));
}

/* False: the settings and files cannot be followed, or are those in force. */
static bool
read_tls(void)
{
	HttpTls tls;

	if (!http_tls_load(&tls, server.failed ? DEBUG1 : LOG))
		return false;
	if (server.safe && http_tls_is_same(&tls, &server.tls))
	{
		http_tls_free(&tls);
		return false;
	}
	http_tls_free(&server.tls);
	server.tls = tls;
	server.safe = true;
	return true;
}

static bool
read_address(void)
{
	if (server.hosts != NULL && server.port == config_http_port &&
		strcmp(server.hosts, config_http_listen) == 0)
		return false;
	if (server.hosts != NULL)
		pfree(server.hosts);
	server.hosts = MemoryContextStrdup(TopMemoryContext, config_http_listen);
	server.port = config_http_port;
	return true;
}

/* Listens where and how the settings say now, and nowhere else. */
static void
follow_settings(void)
{
	bool idle = server.daemon == NULL && server.port != 0;
	bool changed = false;

	if (server.reload)
	{
		http_access_load();
		changed = read_address();
		if (changed)
			server.failed = false;
	}
	/* As long as it listens nowhere, it may be for the files. */
	if (server.reload || idle)
		changed |= read_tls();
	server.reload = false;
	if (!changed && !idle && server.events != NULL)
		return;
	stop_listening();
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
	if (http_exchanges_used() > 0)
		nap = http_exchanges_wait() ? WAITING_MS : SWEEP_MS;
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
	http_exchanges_attend(false);
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
		server.reload = true;
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
