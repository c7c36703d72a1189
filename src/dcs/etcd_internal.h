/*-------------------------------------------------------------------------
 * etcd_internal.h
 *	  What the parts of the etcd client share; for src/dcs alone.
 *
 *	  etcd.c			the verbs, settings, endpoints, waiting, callbacks
 *	  etcd_request.c	a request: its attempts, endpoints and token
 *	  etcd_curl.c		libcurl: handles, sockets, timers
 *	  etcd_watch.c		the watch
 *	  etcd_post.c		questions to other members, on the same libcurl
 *	  etcd_blocking.c	the one call that waits by itself
 *
 * Callbacks of libcurl only fill malloc'ed memory.  Everything else runs
 * after libcurl has returned and may allocate and throw.  A callback of the
 * user is never called from within; it is queued (EtcdDelivery) and called
 * when nothing of the client is on the stack but the wait.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_DCS_ETCD_INTERNAL_H
#define PGCLUSTER_DCS_ETCD_INTERNAL_H

#include <curl/curl.h>

#include "lib/ilist.h"
#include "storage/latch.h"

#include "dcs/codec.h"
#include "dcs/dcs.h"

#define ETCD_NEVER PG_INT64_MAX
#define ETCD_ENDPOINT_SIZE 300 /* of "host:port" */

typedef struct Etcd Etcd;
typedef struct EtcdRequest EtcdRequest;
typedef struct EtcdPost EtcdPost;

/* A kind of failure of an endpoint, logged when it begins and when it ends. */
typedef struct EtcdFailure
{
	bool active;
	int64 last_at;
	int64 ended_at; /* 0: never */
	int64 quiet;	/* ends when it was not seen for so long, microseconds */
} EtcdFailure;

typedef struct EtcdEndpoint
{
	dlist_node node;
	char *name;		/* host:port */
	bool listed;	/* in the settings; else old requests still use it */
	int64 retry_at; /* rests until then; 0: it answers */
	int backoff_ms; /* how long it rested last */
	EtcdFailure unreachable;
	EtcdFailure refused;
	EtcdFailure garbage;
} EtcdEndpoint;

/* Runs after libcurl has returned; may take over what "answer" holds. */
typedef void (*EtcdRequestDone)(Etcd *etcd, EtcdRequest *request, CodecAnswer *answer);

/*
 * A verb on its way, over all attempts.  It waits (curl is NULL) for
 * start_at, which is ETCD_NEVER as long as it waits for a token, or runs.
 */
struct EtcdRequest
{
	dlist_node node;
	Etcd *etcd;
	CodecVerb verb;
	char *body; /* malloc'ed */
	size_t body_length;
	int64 lease;		  /* keep-alive: whose */
	int64 deadline;		  /* of the verb */
	int64 start_at;		  /* of the next attempt */
	EtcdEndpoint *pinned; /* asked alone, once; NULL: any */
	int tokens_refused;

	/* who is told: one of the two */
	EtcdRequestDone inner;
	DcsDone done;
	void *arg;

	/* the attempt */
	EtcdEndpoint *endpoint;
	CURL *curl;
	struct curl_slist *headers;
	size_t body_sent;
	CodecStream received;
	int64 sent_at;
	uint64 token_generation;
	char error[CURL_ERROR_SIZE];
	bool hurried; /* had less than an attempt's time, with others before it */

	/* what the last attempt failed with */
	bool failed_before;
	DcsStatus last_status;
	char last_reason[CODEC_REASON_SIZE];
};

/* An outcome or an event that waits to be told. */
typedef struct EtcdDelivery
{
	dlist_node node;
	DcsDone done;
	DcsWatchFn watch;
	void *arg;
	int64 sent_at;
	bool connected;
	bool reset;
	int64 revision;
	CodecAnswer answer;
} EtcdDelivery;

typedef struct EtcdSocket
{
	curl_socket_t fd;
	int events; /* WL_SOCKET_... */
} EtcdSocket;

typedef struct EtcdWatch
{
	char *prefix; /* NULL: nobody watches */
	DcsWatchFn fn;
	void *arg;
	int64 next_revision; /* of the first event not told yet; 0: all must be read anew */
	int64 seen_revision; /* the store was at least here */
	int64 retry_at;
	int backoff_ms;
	bool connected;		  /* what the receiver was told last */
	EtcdRequest *reading; /* the range of a reset, or NULL */
	EtcdRequest *stream;  /* or NULL */
	bool open;			  /* etcd confirmed the stream */
	int64 opened_at;
	int64 heard_at;			/* when it last proved to be alive */
	EtcdRequest *check;		/* asks the stream's endpoint for a sign of life, or NULL */
	int64 overdue_revision; /* next_revision when a check knew of a newer event; else 0 */
} EtcdWatch;

struct Etcd
{
	Dcs dcs; /* first */
	MemoryContext context;
	MemoryContext settings_context;
	DcsSettings settings;
	dlist_head endpoints;
	EtcdEndpoint *preferred; /* the last that answered; NULL: the first */

	dlist_head requests;
	dlist_head posts;
	dlist_head deliveries;
	EtcdDelivery *delivering; /* its callback runs, or threw */

	char *token; /* malloc'ed; NULL: none */
	uint64 token_generation;
	bool without_token; /* etcd said that authentication is off */
	EtcdRequest *authenticating;

	EtcdWatch watch;

	CURLM *multi;
	int64 timer_at;		 /* libcurl's */
	EtcdSocket *sockets; /* malloc'ed */
	int nsockets;
	int maxsockets;
	bool sockets_changed;
	int64 renewed_at; /* no connection from before is used; microseconds, CLOCK_MONOTONIC */
	WaitEventSet *set;
	int set_events;
};

/* ---- etcd.c ---- */

/* Queues a call of the user's callback; takes over what "answer" holds, leaving it empty. */
extern EtcdDelivery *etcd_deliver_later(Etcd *etcd, CodecAnswer *answer);

/*
 * Chooses the endpoint to ask, starting with the last good one.  NULL when
 * all rest; *start_at is then when the first has rested enough.
 */
extern EtcdEndpoint *etcd_endpoint_choose(Etcd *etcd, int64 now, int64 *start_at);

/* Takes note of how an endpoint behaved, and logs what is new. */
extern void
etcd_endpoint_note(Etcd *etcd, EtcdEndpoint *endpoint, DcsStatus status, const char *reason);

/*
 * Copies the next "host:port" of a comma-separated list into name, of
 * ETCD_ENDPOINT_SIZE bytes, adding the port when it lacks.  1: done, 0: end
 * of the list, -1: cannot be an endpoint (it is copied as far as it fits).
 */
extern int etcd_endpoint_next(const char **list, char *name);

/* ---- etcd_request.c ---- */

/* "body" is malloc'ed and taken over; NULL: out of memory.  Timeout of the verb. */
extern EtcdRequest *etcd_request_create(Etcd *etcd, CodecVerb verb, char *body, int timeout_ms);
/* Starts what can start, ends what took too long. */
extern void etcd_requests_run(Etcd *etcd);
extern int64 etcd_requests_next(Etcd *etcd);
/* An attempt ended: libcurl's verdict. */
extern void etcd_request_attempted(EtcdRequest *request, CURLcode code);
/* Drops a request; nobody is told. */
extern void etcd_request_drop(EtcdRequest *request);
extern void etcd_token_forget(Etcd *etcd);

/*
 * Reads the password, of at most size - 1 bytes.  False: *reason (of
 * CODEC_REASON_SIZE bytes) says why.  Never throws.
 */
extern bool etcd_password_read(const char *file, char *password, size_t size, char *reason);

#define ETCD_PASSWORD_SIZE 1024

/* ---- etcd_curl.c ---- */

/* Ties a new multi handle to *etcd; throws. */
extern void etcd_curl_create(Etcd *etcd);
extern void etcd_curl_destroy(Etcd *etcd);
/* New connections only, from now on. */
extern void etcd_curl_renew(Etcd *etcd);
/* Starts an attempt on request->endpoint; false: out of memory. */
extern bool etcd_curl_start(EtcdRequest *request, int timeout_ms);
/* Ends the attempt, finished or not. */
extern void etcd_curl_stop(EtcdRequest *request);
/* Lets libcurl work; CURL_SOCKET_TIMEOUT for its timer. */
extern void etcd_curl_run(Etcd *etcd, curl_socket_t fd, int mask);
/* Waits for sockets, or what wake_events says; returns which of these happened. */
extern int etcd_curl_wait(Etcd *etcd, int wake_events, int64 until);

/*
 * Options that all handles have.  Never throws; false: out of memory.
 * timeout_ms 0: none but that of connecting, connect_ms.
 */
extern bool etcd_curl_prepare(CURL *curl, const DcsSettings *settings, const char *endpoint,
							  CodecVerb verb, long connect_ms, long timeout_ms);
/* Header lines; NULL: out of memory. */
extern struct curl_slist *etcd_curl_headers(CodecVerb verb, const char *token);
/* A write callback that appends to a CodecStream. */
extern size_t etcd_curl_receive(char *data, size_t size, size_t n, void *stream);

/* ---- etcd_watch.c ---- */

/* Starts what is due. */
extern void etcd_watch_run(Etcd *etcd);
extern int64 etcd_watch_next(Etcd *etcd);
/* Looks at what the stream received. */
extern void etcd_watch_read(Etcd *etcd);
/* Opens the stream anew where it is, for new settings. */
extern void etcd_watch_renew(Etcd *etcd);

/* etcd_post.c */
extern void
etcd_post_start(Etcd *etcd, const DcsPost *what, int timeout_ms, DcsDone done, void *arg);
extern void etcd_post_drop(Etcd *etcd, EtcdPost *post);
extern void etcd_post_drop_all(Etcd *etcd);
/* libcurl is done with the handle; false: it was none of these. */
extern bool etcd_post_attempted(Etcd *etcd, CURL *curl, CURLcode code);

#endif
