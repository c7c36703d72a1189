/*-------------------------------------------------------------------------
 * etcd_curl.c
 *	  libcurl under the etcd client: handles, sockets, timers.
 *
 * libcurl tells us its sockets and its timer (the multi_socket interface);
 * we wait for them together with the latch.  A WaitEventSet cannot let go of
 * a socket, so a new one is built when, and only when, the sockets changed.
 *
 * libcurl may start a thread to resolve a name.  Such a thread must never
 * run one of the server's signal handlers, so it is born with all signals
 * blocked.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>
#include <time.h>

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "base/clock.h"
#include "base/compat.h"
#include "dcs/etcd_internal.h"

#if LIBCURL_VERSION_NUM < 0x075000
#error "pgcluster needs libcurl 7.80 or newer"
#endif

#define MAX_OCCURRED 16

/* ---- Callbacks of libcurl: nothing here throws or pallocs ---- */

size_t
etcd_curl_receive(char *data, size_t size, size_t n, void *stream)
{
	return codec_stream_append(stream, data, size * n) ? size * n : 0;
}

/*
 * Hands out the body.  There is no seek callback on purpose: libcurl then
 * cannot send a request again by itself when a kept connection dies, which
 * for a transaction must not happen unseen.
 */
static size_t
send_body(char *to, size_t size, size_t n, void *arg)
{
	EtcdRequest *request = arg;
	size_t more = request->body_length - request->body_sent;

	if (more > size * n)
		more = size * n;
	memcpy(to, request->body + request->body_sent, more);
	request->body_sent += more;
	return more;
}

static int
note_timer(CURLM *multi, long timeout_ms, void *arg)
{
	Etcd *etcd = arg;

	etcd->timer_at = timeout_ms < 0 ? ETCD_NEVER : clock_now_us() + timeout_ms * INT64CONST(1000);
	return 0;
}

static int
note_socket(CURL *curl, curl_socket_t fd, int what, void *arg, void *unused)
{
	Etcd *etcd = arg;
	int i = 0;

	while (i < etcd->nsockets && etcd->sockets[i].fd != fd)
		i++;
	etcd->sockets_changed = true;
	if (what == CURL_POLL_REMOVE)
	{
		if (i < etcd->nsockets)
			etcd->sockets[i] = etcd->sockets[--etcd->nsockets];
		return 0;
	}
	if (i == etcd->maxsockets)
	{
		EtcdSocket *sockets = realloc(etcd->sockets, (i + 8) * sizeof(EtcdSocket));

		if (sockets == NULL)
			return -1;
		etcd->sockets = sockets;
		etcd->maxsockets = i + 8;
	}
	if (i == etcd->nsockets)
		etcd->nsockets++;
	etcd->sockets[i].fd = fd;
	etcd->sockets[i].events = (what & CURL_POLL_IN ? WL_SOCKET_READABLE : 0) |
							  (what & CURL_POLL_OUT ? WL_SOCKET_WRITEABLE : 0);
	return 0;
}

/* ---- Handles ---- */

void
etcd_curl_create(Etcd *etcd)
{
	static bool initialized = false;

	if (!initialized && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION), errmsg("could not start libcurl")));
	initialized = true;

	etcd->timer_at = ETCD_NEVER;
	etcd->multi = curl_multi_init();
	if (etcd->multi == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	curl_multi_setopt(etcd->multi, CURLMOPT_SOCKETFUNCTION, note_socket);
	curl_multi_setopt(etcd->multi, CURLMOPT_SOCKETDATA, etcd);
	curl_multi_setopt(etcd->multi, CURLMOPT_TIMERFUNCTION, note_timer);
	curl_multi_setopt(etcd->multi, CURLMOPT_TIMERDATA, etcd);
	etcd_curl_renew(etcd);
}

/* All requests are gone already. */
void
etcd_curl_destroy(Etcd *etcd)
{
	if (etcd->multi != NULL)
		curl_multi_cleanup(etcd->multi);
	etcd->multi = NULL;
	free(etcd->sockets);
	etcd->sockets = NULL;
	etcd->nsockets = 0;
	if (etcd->set != NULL)
		FreeWaitEventSet(etcd->set);
	etcd->set = NULL;
}

/* libcurl's clock, which counts the age of connections. */
static int64
monotonic_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void
etcd_curl_renew(Etcd *etcd)
{
	etcd->renewed_at = monotonic_us();
}

bool
etcd_curl_prepare(CURL *curl, const DcsSettings *settings, const char *endpoint, CodecVerb verb,
				  long connect_ms, long timeout_ms)
{
	char url[ETCD_ENDPOINT_SIZE + 64];
	bool ok = true;

#define SET(option, value) (ok = curl_easy_setopt(curl, (option), (value)) == CURLE_OK && ok)
#define SET_FILE(option, file)                   \
	do                                           \
	{                                            \
		if ((file) != NULL && (file)[0] != '\0') \
			SET(option, file);                   \
	} while (0)

	snprintf(url, sizeof(url), "%s://%s%s", settings->tls ? "https" : "http", endpoint,
			 codec_path(verb));
	SET(CURLOPT_URL, url);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_USERAGENT, "pgcluster/" PGCLUSTER_VERSION);
	SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
	SET(CURLOPT_TIMEOUT_MS, timeout_ms);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_TCP_KEEPIDLE, 5L);
	SET(CURLOPT_TCP_KEEPINTVL, 5L);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Giving up on a slow name server must not wait for it. */
	SET(CURLOPT_QUICK_EXIT, 1L);
	/* Changed files count for the next connection. */
	SET(CURLOPT_CA_CACHE_TIMEOUT, 0L);
#endif
	if (settings->tls)
	{
		SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
		SET_FILE(CURLOPT_CAINFO, settings->cacert);
		SET_FILE(CURLOPT_SSLCERT, settings->cert);
		SET_FILE(CURLOPT_SSLKEY, settings->key);
	}
#undef SET_FILE
#undef SET
	return ok;
}

struct curl_slist *
etcd_curl_headers(CodecVerb verb, const char *token)
{
	/* The last lets etcd end a watch on a member that is cut off from its leader. */
	static const char *const always[] = {"Content-Type: application/json",
										 "Expect:", "Grpc-Metadata-hasleader: true"};
	struct curl_slist *list = NULL;
	int nlines = verb == CODEC_WATCH ? 3 : 2;

	for (int i = 0; i < nlines + (token != NULL); i++)
	{
		char line[17 * 1024];
		struct curl_slist *longer;

		if (i < nlines)
			strlcpy(line, always[i], sizeof(line));
		else
			snprintf(line, sizeof(line), "Authorization: %s", token);
		longer = curl_slist_append(list, line);
		if (longer == NULL)
		{
			curl_slist_free_all(list);
			return NULL;
		}
		list = longer;
	}
	return list;
}

/* libcurl's work, with signals kept away from the threads it may start. */
static void
call_curl(Etcd *etcd, curl_socket_t fd, int mask)
{
	sigset_t all;
	sigset_t before;
	int running;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	curl_multi_socket_action(etcd->multi, fd, mask, &running);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

bool
etcd_curl_start(EtcdRequest *request, int timeout_ms)
{
	Etcd *etcd = request->etcd;
	CURL *curl = curl_easy_init();
	int64 renewed_ago = (monotonic_us() - etcd->renewed_at) / 1000000;

	request->curl = curl;
	request->headers =
		etcd_curl_headers(request->verb, request->verb == CODEC_AUTHENTICATE ? NULL : etcd->token);
	request->body_sent = 0;
	request->error[0] = '\0';
	if (curl == NULL || request->headers == NULL ||
		!etcd_curl_prepare(curl, &etcd->settings, request->endpoint->name, request->verb,
						   timeout_ms, request->verb == CODEC_WATCH ? 0 : timeout_ms) ||
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, request->headers) != CURLE_OK)
		return false;

	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->body_length);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, send_body);
	curl_easy_setopt(curl, CURLOPT_READDATA, request);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, etcd_curl_receive);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &request->received);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, request->error);
	curl_easy_setopt(curl, CURLOPT_PRIVATE, request);
	/* Connections older than the settings are not used; ages are whole seconds. */
	if (renewed_ago < 2)
		curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
	else
		curl_easy_setopt(curl, CURLOPT_MAXLIFETIME_CONN, (long) Min(renewed_ago - 1, 86400));

	request->sent_at = clock_now_us();
	request->token_generation = etcd->token_generation;
	if (curl_multi_add_handle(etcd->multi, curl) != CURLM_OK)
	{
		curl_easy_cleanup(curl);
		request->curl = NULL;
		return false;
	}
	return true;
}

void
etcd_curl_stop(EtcdRequest *request)
{
	if (request->curl != NULL)
	{
		curl_multi_remove_handle(request->etcd->multi, request->curl);
		curl_easy_cleanup(request->curl);
	}
	request->curl = NULL;
	curl_slist_free_all(request->headers);
	request->headers = NULL;
	codec_stream_free(&request->received);
}

void
etcd_curl_run(Etcd *etcd, curl_socket_t fd, int mask)
{
	CURLMsg *message;
	int left;

	if (fd == CURL_SOCKET_TIMEOUT)
		etcd->timer_at = ETCD_NEVER;
	call_curl(etcd, fd, mask);
	etcd_watch_read(etcd);
	while ((message = curl_multi_info_read(etcd->multi, &left)) != NULL)
	{
		CURLcode code = message->data.result;
		char *request;

		if (message->msg != CURLMSG_DONE)
			continue;
		if (etcd_post_attempted(etcd, message->easy_handle, code))
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		etcd_request_attempted((EtcdRequest *) request, code);
	}
}

/* ---- Waiting ---- */

static void
build_set(Etcd *etcd, int set_events)
{
	int pm_events = set_events & (WL_POSTMASTER_DEATH | WL_EXIT_ON_PM_DEATH);

	if (etcd->set != NULL)
		FreeWaitEventSet(etcd->set);
	etcd->set = NULL;
	etcd->set = compat_create_wait_event_set(etcd->context, etcd->nsockets + 2);
	etcd->set_events = set_events;
	if (set_events & WL_LATCH_SET)
		AddWaitEventToSet(etcd->set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	if (pm_events != 0 && IsUnderPostmaster)
		AddWaitEventToSet(etcd->set, pm_events, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < etcd->nsockets; i++)
		AddWaitEventToSet(etcd->set, etcd->sockets[i].events, etcd->sockets[i].fd, NULL, NULL);
	etcd->sockets_changed = false;
}

int
etcd_curl_wait(Etcd *etcd, int wake_events, int64 until)
{
	int set_events = wake_events & (WL_LATCH_SET | WL_POSTMASTER_DEATH | WL_EXIT_ON_PM_DEATH);
	int64 now = clock_now_us();
	long timeout_ms = -1;
	WaitEvent occurred[MAX_OCCURRED];
	int noccurred;
	int happened = 0;

	if (etcd->set == NULL || etcd->sockets_changed || etcd->set_events != set_events)
		build_set(etcd, set_events);
	if (until != ETCD_NEVER)
		timeout_ms = until <= now ? 0 : (long) Min((until - now + 999) / 1000, INT_MAX);
	noccurred = WaitEventSetWait(etcd->set, timeout_ms, occurred, MAX_OCCURRED, PG_WAIT_EXTENSION);
	for (int i = 0; i < noccurred; i++)
	{
		WaitEvent *event = &occurred[i];
		int mask = (event->events & WL_SOCKET_READABLE ? CURL_CSELECT_IN : 0) |
				   (event->events & WL_SOCKET_WRITEABLE ? CURL_CSELECT_OUT : 0);

		happened |= event->events & (WL_LATCH_SET | WL_POSTMASTER_DEATH);
		if (mask != 0)
			etcd_curl_run(etcd, event->fd, mask);
	}
	return happened;
}
