/*-------------------------------------------------------------------------
 * etcd_request.c
 *	  A request to etcd over all its attempts: which endpoint, which token,
 *	  whether to try again.
 *
 * A verb is tried on one endpoint after the other until it is answered or
 * its time is over.  It is tried again only where doing it twice does no
 * harm, or where the first time did nothing: a transaction whose answer was
 * lost may have happened, and only its caller can find out.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/clock.h"
#include "dcs/etcd_internal.h"

/* Is it harmless to ask twice?  (A lease granted in vain just expires.) */
static const bool verb_repeatable[] = {
	[CODEC_GRANT] = true,		 [CODEC_KEEPALIVE] = true,
	[CODEC_REVOKE] = true,		 [CODEC_RANGE] = true,
	[CODEC_TXN] = false,		 [CODEC_WATCH] = false, /* etcd_watch.c knows better when */
	[CODEC_AUTHENTICATE] = true,
};

static void authenticate(Etcd *etcd);

/* Frees a request that is in no list any more. */
static void
free_request(EtcdRequest *request)
{
	if (request->body != NULL)
	{
		if (request->verb == CODEC_AUTHENTICATE)
			explicit_bzero(request->body, request->body_length);
		free(request->body);
	}
	pfree(request);
}

void
etcd_request_drop(EtcdRequest *request)
{
	etcd_curl_stop(request);
	dlist_delete(&request->node);
	free_request(request);
}

EtcdRequest *
etcd_request_create(Etcd *etcd, CodecVerb verb, char *body, int timeout_ms)
{
	EtcdRequest *request =
		MemoryContextAllocExtended(etcd->context, sizeof(EtcdRequest), MCXT_ALLOC_NO_OOM);

	if (body == NULL || request == NULL)
	{
		free(body);
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	memset(request, 0, sizeof(*request));
	request->etcd = etcd;
	request->verb = verb;
	request->body = body;
	request->body_length = strlen(body);
	request->start_at = clock_now_us();
	request->deadline = request->start_at + timeout_ms * INT64CONST(1000);
	request->last_status = DCS_UNREACHABLE;
	strlcpy(request->last_reason, "no endpoint of etcd could be asked in time",
			sizeof(request->last_reason));
	dlist_push_tail(&etcd->requests, &request->node);
	return request;
}

/* Ends a request and tells who waits for it.  Takes over what "answer" holds. */
static void
finish(EtcdRequest *request, CodecAnswer *answer)
{
	Etcd *etcd = request->etcd;

	dlist_delete(&request->node);
	if (request->inner != NULL)
	{
		request->inner(etcd, request, answer);
		codec_answer_free(answer);
	}
	else
	{
		EtcdDelivery *delivery = etcd_deliver_later(etcd, answer);

		delivery->done = request->done;
		delivery->arg = request->arg;
		delivery->sent_at = request->sent_at;
	}
	free_request(request);
}

static void
finish_failed(EtcdRequest *request, DcsStatus status, const char *reason)
{
	CodecAnswer answer = {0};

	codec_answer_fail(&answer, status, "%s", reason);
	finish(request, &answer);
}

/* ---- Attempts ---- */

/* What happened to an attempt that libcurl ended with an error. */
static void
judge_error(EtcdRequest *request, CURLcode code, CodecAnswer *answer)
{
	const char *reason = request->error[0] ? request->error : curl_easy_strerror(code);
	long sent = 0;

	memset(answer, 0, sizeof(*answer));
	switch (code)
	{
		case CURLE_PARTIAL_FILE:
		case CURLE_WEIRD_SERVER_REPLY:
		case CURLE_UNSUPPORTED_PROTOCOL:
		case CURLE_BAD_CONTENT_ENCODING:
			codec_answer_fail(answer, DCS_GARBAGE, "unintelligible answer: %s", reason);
			break;
		default:
			if (request->received.overflow)
				codec_answer_fail(answer, DCS_GARBAGE, "unintelligible answer: larger than 8 MiB");
			else
				codec_answer_fail(answer, DCS_UNREACHABLE, "%s", reason);
	}
	curl_easy_getinfo(request->curl, CURLINFO_REQUEST_SIZE, &sent);
	answer->nothing_done = sent == 0;
}

/* What the attempt came to. */
static void
judge(EtcdRequest *request, CURLcode code, CodecAnswer *answer)
{
	const char *data = request->received.data;
	size_t length = request->received.used;
	long http_status = 0;

	curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &http_status);
	/* Keep-alive is a stream: its first message counts, whatever comes after. */
	if (request->verb == CODEC_KEEPALIVE && !request->received.overflow &&
		codec_stream_next(&request->received, &data, &length) == CODEC_NEXT_MESSAGE)
		code = CURLE_OK;

	if (code != CURLE_OK)
		judge_error(request, code, answer);
	else if (request->verb == CODEC_WATCH)
	{
		memset(answer, 0, sizeof(*answer));
		codec_answer_fail(answer, DCS_UNREACHABLE, "the watch ended");
	}
	else
		codec_parse(request->verb, http_status, data, length, answer);

	/* No answer about another lease may end ours. */
	if (request->verb == CODEC_KEEPALIVE && answer->lease != 0 && answer->lease != request->lease)
		codec_answer_fail(answer, DCS_GARBAGE, "unintelligible answer: about another lease");
}

/* Waits for another try, if there may be one. */
static bool
try_again(EtcdRequest *request, const CodecAnswer *answer)
{
	Etcd *etcd = request->etcd;

	request->start_at = clock_now_us();
	if (answer->stale_token && request->tokens_refused++ == 0 &&
		request->verb != CODEC_AUTHENTICATE && etcd->settings.username[0] != '\0')
	{
		if (request->token_generation == etcd->token_generation)
			etcd_token_forget(etcd);
		return true;
	}
	if (answer->status != DCS_UNREACHABLE && answer->status != DCS_GARBAGE)
		return false;
	return (verb_repeatable[request->verb] || answer->nothing_done) &&
		   request->verb != CODEC_WATCH && request->pinned == NULL;
}

void
etcd_request_attempted(EtcdRequest *request, CURLcode code)
{
	Etcd *etcd = request->etcd;
	EtcdEndpoint *endpoint = request->endpoint;
	CodecAnswer answer;
	bool again;

	judge(request, code, &answer);
	etcd_curl_stop(request);
	/* The rest of the verb's time ran out: that tells nothing of the endpoint. */
	if (answer.status == DCS_UNREACHABLE && code == CURLE_OPERATION_TIMEDOUT && request->hurried)
	{
		codec_answer_fail(&answer, request->last_status, "%s", request->last_reason);
		finish(request, &answer);
		return;
	}
	if (answer.status != DCS_OK)
	{
		char reason[CODEC_REASON_SIZE];

		strlcpy(reason, answer.reason, sizeof(reason));
		codec_answer_fail(&answer, answer.status, "%s: %.*s", endpoint->name,
						  CODEC_REASON_SIZE - ETCD_ENDPOINT_SIZE - 3, reason);
	}
	again = try_again(request, &answer);
	/* A token that ran out is nobody's fault, and the watch notes its own troubles. */
	if (!(again && answer.stale_token) && request->verb != CODEC_WATCH)
		etcd_endpoint_note(etcd, endpoint, answer.status, answer.reason);
	if (again)
	{
		request->failed_before = true;
		request->last_status = answer.status;
		strlcpy(request->last_reason, answer.reason, sizeof(request->last_reason));
		codec_answer_free(&answer);
	}
	else
		finish(request, &answer);
}

static void
attempt(EtcdRequest *request, int64 now)
{
	Etcd *etcd = request->etcd;
	int timeout_ms = etcd->settings.request_timeout_ms;

	if (request->verb != CODEC_AUTHENTICATE && etcd->settings.username[0] != '\0' &&
		etcd->token == NULL && !etcd->without_token)
	{
		request->start_at = ETCD_NEVER;
		if (etcd->authenticating == NULL)
			authenticate(etcd);
		return;
	}
	request->endpoint = request->pinned;
	if (request->pinned == NULL)
		request->endpoint = etcd_endpoint_choose(etcd, now, &request->start_at);
	if (request->endpoint == NULL)
		return;

	request->hurried = false;
	if (request->verb != CODEC_WATCH && (request->deadline - now) / 1000 < timeout_ms)
	{
		timeout_ms = (int) ((request->deadline - now) / 1000) + 1;
		request->hurried = request->failed_before;
	}
	if (!etcd_curl_start(request, timeout_ms))
	{
		etcd_curl_stop(request);
		finish_failed(request, DCS_UNREACHABLE, "out of memory");
	}
}

void
etcd_requests_run(Etcd *etcd)
{
	bool found;

	/* Ending or starting one may change the list anywhere, so look again each time. */
	do
	{
		int64 now = clock_now_us();
		dlist_iter iter;

		found = false;
		dlist_foreach (iter, &etcd->requests)
		{
			EtcdRequest *request = dlist_container(EtcdRequest, node, iter.cur);

			if (request->curl != NULL || (request->start_at > now && request->deadline > now))
				continue;
			found = true;
			if (request->deadline <= now)
				finish_failed(request, request->last_status, request->last_reason);
			else
				attempt(request, now);
			break;
		}
	} while (found);
}

int64
etcd_requests_next(Etcd *etcd)
{
	int64 next = ETCD_NEVER;
	dlist_iter iter;

	dlist_foreach (iter, &etcd->requests)
	{
		EtcdRequest *request = dlist_container(EtcdRequest, node, iter.cur);

		if (request->curl == NULL)
			next = Min(next, Min(request->start_at, request->deadline));
	}
	return next;
}

/* ---- Token ---- */

void
etcd_token_forget(Etcd *etcd)
{
	if (etcd->token != NULL)
	{
		explicit_bzero(etcd->token, strlen(etcd->token));
		free(etcd->token);
	}
	etcd->token = NULL;
	etcd->without_token = false;
	etcd->token_generation++;
}

bool
etcd_password_read(const char *file, char *password, size_t size, char *reason)
{
	FILE *stream;
	bool found;

	if (file == NULL || file[0] == '\0')
	{
		strlcpy(reason, "a user for etcd is set, but no password file", CODEC_REASON_SIZE);
		return false;
	}
	stream = fopen(file, "r");
	if (stream == NULL)
	{
		snprintf(reason, CODEC_REASON_SIZE, "could not open password file \"%.300s\": %s", file,
				 strerror(errno));
		return false;
	}
	/* No buffer of stdio may keep the password. */
	setvbuf(stream, NULL, _IONBF, 0);
	found = fgets(password, (int) size, stream) != NULL;
	fclose(stream);
	if (!found)
		snprintf(reason, CODEC_REASON_SIZE, "could not read password file \"%.300s\"", file);
	else
		password[strcspn(password, "\r\n")] = '\0';
	return found;
}

/* Those that wait for a token go on, or end with the reason why there is none. */
static void
release_waiting(Etcd *etcd, DcsStatus status, const char *reason)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify (iter, &etcd->requests)
	{
		EtcdRequest *request = dlist_container(EtcdRequest, node, iter.cur);

		if (request->curl != NULL || request->start_at != ETCD_NEVER)
			continue;
		request->start_at = clock_now_us();
		if (status == DCS_OK)
			continue;
		/* etcd_requests_run ends it: others may leave the list meanwhile. */
		request->deadline = request->start_at;
		request->last_status = status;
		strlcpy(request->last_reason, reason, sizeof(request->last_reason));
	}
}

static void
authenticated(Etcd *etcd, EtcdRequest *request, CodecAnswer *answer)
{
	etcd->authenticating = NULL;
	if (answer->status == DCS_OK)
	{
		etcd_token_forget(etcd);
		etcd->token = strdup(answer->token);
	}
	else if (answer->status == DCS_REFUSED &&
			 strstr(answer->reason, "authentication is not enabled") != NULL)
	{
		ereport(LOG, (errmsg("etcd does not ask for authentication"),
					  errdetail("User \"%s\" is set, but %s.", etcd->settings.username,
								answer->reason)));
		etcd->without_token = true;
	}
	if (etcd->token != NULL || etcd->without_token)
		release_waiting(etcd, DCS_OK, NULL);
	else
		release_waiting(etcd, answer->status == DCS_OK ? DCS_UNREACHABLE : answer->status,
						answer->status == DCS_OK ? "out of memory" : answer->reason);
}

static void
authenticate(Etcd *etcd)
{
	char password[ETCD_PASSWORD_SIZE] = "";
	char reason[CODEC_REASON_SIZE];
	char *body;

	if (!etcd_password_read(etcd->settings.password_file, password, sizeof(password), reason))
	{
		release_waiting(etcd, DCS_REFUSED, reason);
		return;
	}
	body = codec_authenticate_request(etcd->settings.username, password);
	explicit_bzero(password, sizeof(password));
	etcd->authenticating =
		etcd_request_create(etcd, CODEC_AUTHENTICATE, body, etcd->settings.total_timeout_ms);
	etcd->authenticating->inner = authenticated;
}
