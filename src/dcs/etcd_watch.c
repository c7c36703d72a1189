/*-------------------------------------------------------------------------
 * etcd_watch.c
 *	  The watch: everything under a prefix, then each change in order.
 *
 *	  read everything (a range, revision R)  -> reset
 *	  stream from the revision after it      -> events
 *	  the stream ends                        -> not connected; stream on from
 *	                                            where it was, on any endpoint
 *	  history is gone, or the store is not   -> read everything again
 *	  the one we knew
 *
 * A stream whose member froze or lost its peers is silent like one on which
 * nothing happens.  After some silence that member is asked for the key
 * written last: no answer, or an answer about events that never came, ends
 * the stream.  That is one cheap request each two seconds at most.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/clock.h"
#include "dcs/etcd_internal.h"

#define SILENCE_US (2 * INT64CONST(1000000))
/* A stream that held this long is opened again at once, others after a pause. */
#define HELD_US (5 * INT64CONST(1000000))
#define MIN_BACKOFF_MS 100
#define MAX_BACKOFF_MS 2000

static void
drop(EtcdRequest **request)
{
	if (*request != NULL)
		etcd_request_drop(*request);
	*request = NULL;
}

/* Ends the stream and its check, if any. */
static void
close_stream(EtcdWatch *watch)
{
	drop(&watch->stream);
	drop(&watch->check);
	watch->open = false;
	watch->overdue_revision = 0;
}

/* Tells the receiver what it shall know; takes over what "answer" holds. */
static void
tell(Etcd *etcd, bool connected, bool reset, int64 revision, CodecAnswer *answer)
{
	EtcdDelivery *delivery = etcd_deliver_later(etcd, answer);

	etcd->watch.connected = connected;
	delivery->watch = etcd->watch.fn;
	delivery->arg = etcd->watch.arg;
	delivery->connected = connected;
	delivery->reset = reset;
	delivery->revision = revision;
}

static void
tell_connected(Etcd *etcd, bool connected)
{
	CodecAnswer nothing = {0};

	if (etcd->watch.connected != connected)
		tell(etcd, connected, false, etcd->watch.seen_revision, &nothing);
}

/* After trouble: the pause before the next try, none if all was well for long. */
static void
pause_watch(EtcdWatch *watch, bool was_well)
{
	watch->backoff_ms =
		was_well ? 0 : Min(Max(watch->backoff_ms * 2, MIN_BACKOFF_MS), MAX_BACKOFF_MS);
	watch->retry_at = clock_now_us() + watch->backoff_ms * INT64CONST(1000);
}

/* The stream is of no use any more.  "reset": neither is what it told. */
static void
end_stream(Etcd *etcd, bool reset)
{
	EtcdWatch *watch = &etcd->watch;
	bool was_well = watch->open && clock_now_us() - watch->opened_at >= HELD_US;

	close_stream(watch);
	if (reset)
		watch->next_revision = 0;
	else
		tell_connected(etcd, false);
	pause_watch(watch, was_well);
}

static void
fail_stream(Etcd *etcd, DcsStatus status, const char *reason)
{
	etcd_endpoint_note(etcd, etcd->watch.stream->endpoint, status, reason);
	end_stream(etcd, false);
}

/* ---- Reading everything ---- */

static void
range_read(Etcd *etcd, EtcdRequest *request, CodecAnswer *answer)
{
	EtcdWatch *watch = &etcd->watch;

	watch->reading = NULL;
	if (answer->status != DCS_OK)
	{
		tell_connected(etcd, false);
		pause_watch(watch, false);
		return;
	}
	watch->next_revision = answer->revision + 1;
	watch->seen_revision = answer->revision;
	tell(etcd, true, true, answer->revision, answer);
}

static void
read_everything(Etcd *etcd)
{
	etcd->watch.reading =
		etcd_request_create(etcd, CODEC_RANGE, codec_range_request(etcd->watch.prefix, true),
							etcd->settings.total_timeout_ms);
	etcd->watch.reading->inner = range_read;
}

/* ---- The stream ---- */

/* The request ended, which a stream never should. */
static void
stream_ended(Etcd *etcd, EtcdRequest *request, CodecAnswer *answer)
{
	EtcdWatch *watch = &etcd->watch;

	watch->stream = NULL; /* its owner frees it */
	if (request->endpoint != NULL)
		etcd_endpoint_note(etcd, request->endpoint, answer->status, answer->reason);
	end_stream(etcd, false);
}

static void
open_stream(Etcd *etcd)
{
	EtcdWatch *watch = &etcd->watch;

	watch->stream = etcd_request_create(etcd, CODEC_WATCH,
										codec_watch_request(watch->prefix, watch->next_revision),
										etcd->settings.total_timeout_ms);
	watch->stream->inner = stream_ended;
}

/* Leaves out events that were told before; returns the revision of the last one, or 0. */
static int64
keep_new_events(CodecAnswer *answer, int64 next_revision)
{
	int64 last = 0;
	int n = 0;

	for (int i = 0; i < answer->nkvs; i++)
	{
		if (answer->kvs[i].mod_revision < next_revision)
			continue;
		last = Max(last, answer->kvs[i].mod_revision);
		answer->kvs[n++] = answer->kvs[i];
	}
	answer->nkvs = n;
	return last;
}

/* One message; takes over what it holds.  False when it ended the stream. */
static bool
take_message(Etcd *etcd, CodecAnswer *answer)
{
	EtcdWatch *watch = &etcd->watch;
	EtcdEndpoint *endpoint = watch->stream->endpoint;
	int64 last;

	watch->heard_at = clock_now_us();
	if (answer->created)
	{
		etcd_endpoint_note(etcd, endpoint, DCS_OK, NULL);
		watch->open = true;
		watch->opened_at = watch->heard_at;
		/* Another store than the one we knew, or an old copy of it. */
		if (answer->revision < watch->seen_revision)
		{
			end_stream(etcd, true);
			return false;
		}
		if (answer->status == DCS_OK)
			tell_connected(etcd, true);
	}
	if (answer->status != DCS_OK)
	{
		char reason[CODEC_REASON_SIZE + ETCD_ENDPOINT_SIZE];

		if (answer->compact_revision > 0)
		{
			end_stream(etcd, true);
			return false;
		}
		/* Before 3.5 etcd does not tell an old token from a missing right. */
		if (answer->stale_token || answer->canceled)
			etcd_token_forget(etcd);
		snprintf(reason, sizeof(reason), "%s: %s", endpoint->name, answer->reason);
		fail_stream(etcd, answer->status, reason);
		return false;
	}
	last = keep_new_events(answer, watch->next_revision);
	if (answer->nkvs > 0)
	{
		watch->next_revision = last + 1;
		watch->seen_revision = Max(watch->seen_revision, last);
		tell(etcd, true, false, last, answer);
	}
	return true;
}

void
etcd_watch_read(Etcd *etcd)
{
	EtcdWatch *watch = &etcd->watch;

	while (watch->stream != NULL && watch->stream->curl != NULL)
	{
		const char *data;
		size_t length;
		long http_status = 0;
		CodecAnswer answer;
		CodecNext next = codec_stream_next(&watch->stream->received, &data, &length);

		if (next == CODEC_NEXT_NONE)
			return;
		curl_easy_getinfo(watch->stream->curl, CURLINFO_RESPONSE_CODE, &http_status);
		if (next == CODEC_NEXT_BROKEN)
		{
			data = "";
			length = watch->stream->received.overflow ? CODEC_MAX_ANSWER + 1 : 0;
		}
		codec_parse(CODEC_WATCH, http_status, data, length, &answer);
		if (!take_message(etcd, &answer))
		{
			codec_answer_free(&answer);
			return;
		}
		codec_answer_free(&answer);
	}
}

/* ---- Signs of life ---- */

/* Ends the stream when etcd knows of an event that the stream should have told long ago. */
static void
life_checked(Etcd *etcd, EtcdRequest *request, CodecAnswer *answer)
{
	EtcdWatch *watch = &etcd->watch;

	watch->check = NULL;
	watch->heard_at = clock_now_us();
	if (answer->status != DCS_OK)
		end_stream(etcd, false);
	else if (answer->revision < watch->seen_revision)
		end_stream(etcd, true);
	else if (answer->nkvs == 0 || answer->kvs[0].mod_revision < watch->next_revision)
	{
		watch->overdue_revision = 0;
		watch->seen_revision = answer->revision;
	}
	else if (watch->overdue_revision == watch->next_revision)
		fail_stream(etcd, DCS_GARBAGE, "the watch does not tell all events");
	else
		watch->overdue_revision = watch->next_revision;
}

static void
check_life(Etcd *etcd)
{
	EtcdWatch *watch = &etcd->watch;

	watch->check = etcd_request_create(etcd, CODEC_RANGE, codec_latest_request(watch->prefix),
									   etcd->settings.request_timeout_ms);
	watch->check->pinned = watch->stream->endpoint;
	watch->check->inner = life_checked;
}

/* ---- The clockwork ---- */

void
etcd_watch_run(Etcd *etcd)
{
	EtcdWatch *watch = &etcd->watch;
	int64 now = clock_now_us();

	if (watch->prefix == NULL || watch->reading != NULL)
		return;
	if (watch->stream == NULL)
	{
		if (now < watch->retry_at)
			return;
		if (watch->next_revision == 0)
			read_everything(etcd);
		else
			open_stream(etcd);
	}
	else if (watch->stream->curl != NULL && !watch->open)
	{
		if (now >= watch->stream->sent_at + etcd->settings.request_timeout_ms * INT64CONST(1000))
		{
			char reason[CODEC_REASON_SIZE];

			snprintf(reason, sizeof(reason), "%s: the watch was not opened in time",
					 watch->stream->endpoint->name);
			fail_stream(etcd, DCS_UNREACHABLE, reason);
		}
	}
	else if (watch->open && watch->check == NULL && now >= watch->heard_at + SILENCE_US)
		check_life(etcd);
}

int64
etcd_watch_next(Etcd *etcd)
{
	EtcdWatch *watch = &etcd->watch;

	if (watch->prefix == NULL || watch->reading != NULL)
		return ETCD_NEVER;
	if (watch->stream == NULL)
		return watch->retry_at;
	if (watch->open)
		return watch->check != NULL ? ETCD_NEVER : watch->heard_at + SILENCE_US;
	if (watch->stream->curl != NULL)
		return watch->stream->sent_at + etcd->settings.request_timeout_ms * INT64CONST(1000);
	return ETCD_NEVER; /* etcd_requests_next knows */
}

void
etcd_watch_renew(Etcd *etcd)
{
	close_stream(&etcd->watch);
	etcd->watch.retry_at = 0;
}
