/*-------------------------------------------------------------------------
 * etcd.c
 *	  DcsOps over etcd: verbs, settings, endpoints, and the loop in which
 *	  callbacks are called.
 *
 * All memory is in one context; a reset callback of that context gives back
 * what libcurl and malloc gave, so that an error of the agent leaks nothing.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/clock.h"
#include "base/owner.h"
#include "dcs/etcd_internal.h"

/* An endpoint that failed rests so long, doubled with each failure in a row. */
#define MIN_REST_MS 100
#define MAX_REST_MS 1000

/* Failures that come back within this time of their end are told less often. */
#define FLAPPING_US (30 * INT64CONST(1000000))
#define FLAPPING_QUIET_US (60 * INT64CONST(1000000))

/* ---- Endpoints ---- */

static bool
endpoint_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		   (c != '\0' && strchr(".-_:[]", c) != NULL);
}

int
etcd_endpoint_next(const char **list, char *name)
{
	const char *start = *list + strspn(*list, " \t,");
	size_t length = strcspn(start, " \t,");
	const char *host_end;
	bool usable = true;

	*list = start + length;
	if (length == 0)
		return 0;
	if (length > ETCD_ENDPOINT_SIZE - 10)
	{
		length = ETCD_ENDPOINT_SIZE - 10;
		usable = false;
	}
	memcpy(name, start, length);
	name[length] = '\0';
	for (size_t i = 0; i < length; i++)
		usable = usable && endpoint_char(name[i]);

	/* Colons inside brackets belong to an IPv6 address. */
	host_end = strrchr(name, ']');
	if (name[0] == '[' && host_end == NULL)
		usable = false;
	host_end = strchr(host_end ? host_end : name, ':');
	if (usable && host_end == NULL)
		strcat(name, ":2379");
	else if (usable)
		usable = host_end > name && host_end[1] != '\0' &&
				 strspn(host_end + 1, "0123456789") == strlen(host_end + 1);
	return usable ? 1 : -1;
}

static EtcdEndpoint *
find_endpoint(Etcd *etcd, const char *name)
{
	dlist_iter iter;

	dlist_foreach (iter, &etcd->endpoints)
	{
		EtcdEndpoint *endpoint = dlist_container(EtcdEndpoint, node, iter.cur);

		if (strcmp(endpoint->name, name) == 0)
			return endpoint;
	}
	return NULL;
}

static bool
endpoint_in_use(Etcd *etcd, EtcdEndpoint *endpoint)
{
	dlist_iter iter;

	dlist_foreach (iter, &etcd->requests)
	{
		EtcdRequest *request = dlist_container(EtcdRequest, node, iter.cur);

		if (request->endpoint == endpoint || request->pinned == endpoint)
			return true;
	}
	return false;
}

/* Makes the endpoints those of a list that was checked, in its order. */
static void
list_endpoints(Etcd *etcd, const char *list)
{
	char name[ETCD_ENDPOINT_SIZE];
	dlist_mutable_iter iter;

	dlist_foreach_modify (iter, &etcd->endpoints)
		dlist_container(EtcdEndpoint, node, iter.cur)->listed = false;
	while (etcd_endpoint_next(&list, name) == 1)
	{
		EtcdEndpoint *endpoint = find_endpoint(etcd, name);

		if (endpoint == NULL)
		{
			endpoint = MemoryContextAllocZero(etcd->context, sizeof(*endpoint));
			endpoint->name = MemoryContextStrdup(etcd->context, name);
		}
		else
			dlist_delete(&endpoint->node);
		endpoint->listed = true;
		dlist_push_tail(&etcd->endpoints, &endpoint->node);
	}
	dlist_foreach_modify (iter, &etcd->endpoints)
	{
		EtcdEndpoint *endpoint = dlist_container(EtcdEndpoint, node, iter.cur);

		if (endpoint->listed)
			continue;
		if (etcd->preferred == endpoint)
			etcd->preferred = NULL;
		if (endpoint_in_use(etcd, endpoint))
			continue;
		dlist_delete(&endpoint->node);
		pfree(endpoint->name);
		pfree(endpoint);
	}
}

EtcdEndpoint *
etcd_endpoint_choose(Etcd *etcd, int64 now, int64 *start_at)
{
	int64 first_at = ETCD_NEVER;
	EtcdEndpoint *chosen = NULL;
	dlist_iter iter;

	if (etcd->preferred != NULL && etcd->preferred->retry_at <= now)
		return etcd->preferred;
	dlist_foreach (iter, &etcd->endpoints)
	{
		EtcdEndpoint *endpoint = dlist_container(EtcdEndpoint, node, iter.cur);

		if (!endpoint->listed)
			continue;
		first_at = Min(first_at, endpoint->retry_at);
		/* Of those that rested enough, the one that failed longest ago. */
		if (endpoint->retry_at <= now && (chosen == NULL || endpoint->retry_at < chosen->retry_at))
			chosen = endpoint;
	}
	*start_at = first_at;
	return chosen;
}

/* ---- What is logged of endpoints ---- */

static void
failure_begins(EtcdEndpoint *endpoint, EtcdFailure *failure, const char *fact, const char *reason,
			   int64 now)
{
	failure->last_at = now;
	if (failure->active)
		return;
	failure->active = true;
	failure->quiet = 0;
	if (failure->ended_at != 0 && now - failure->ended_at < FLAPPING_US)
		failure->quiet = FLAPPING_QUIET_US;
	ereport(LOG, (errmsg("etcd at %s %s", endpoint->name, fact), errdetail("%s.", reason)));
}

static void
failure_ends(EtcdEndpoint *endpoint, EtcdFailure *failure, const char *fact, int64 now)
{
	if (!failure->active || now - failure->last_at < failure->quiet)
		return;
	failure->active = false;
	failure->ended_at = now;
	ereport(LOG, (errmsg("etcd at %s %s", endpoint->name, fact)));
}

void
etcd_endpoint_note(Etcd *etcd, EtcdEndpoint *endpoint, DcsStatus status, const char *reason)
{
	int64 now = clock_now_us();

	if (status == DCS_UNREACHABLE || status == DCS_GARBAGE)
	{
		int most = Min(MAX_REST_MS, Max(etcd->settings.total_timeout_ms / 4, 1));

		endpoint->backoff_ms = Min(Max(endpoint->backoff_ms * 2, MIN_REST_MS), most);
		endpoint->retry_at = now + endpoint->backoff_ms * INT64CONST(1000);
		if (status == DCS_GARBAGE)
			failure_begins(endpoint, &endpoint->garbage, "gives answers that make no sense", reason,
						   now);
		else
			failure_begins(endpoint, &endpoint->unreachable, "does not answer", reason, now);
		return;
	}

	endpoint->backoff_ms = 0;
	endpoint->retry_at = 0;
	if (endpoint->listed)
		etcd->preferred = endpoint;
	failure_ends(endpoint, &endpoint->unreachable, "answers again", now);
	failure_ends(endpoint, &endpoint->garbage, "gives answers that make sense again", now);
	if (status == DCS_REFUSED)
		failure_begins(endpoint, &endpoint->refused, "refuses requests", reason, now);
	else
		failure_ends(endpoint, &endpoint->refused, "accepts requests again", now);
}

/* ---- Settings ---- */

static const char *
copy_string(MemoryContext context, const char *string)
{
	return MemoryContextStrdup(context, string ? string : "");
}

static void
check_settings(const DcsSettings *settings)
{
	const char *list = settings->endpoints ? settings->endpoints : "";
	char name[ETCD_ENDPOINT_SIZE];
	int found = 0;
	int next;

	while ((next = etcd_endpoint_next(&list, name)) == 1)
		found++;
	if (next < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid endpoint of etcd: \"%s\"", name),
						errhint("An endpoint is host:port, without a protocol.")));
	if (found == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("no endpoint of etcd is set")));
	if (settings->request_timeout_ms <= 0 || settings->total_timeout_ms <= 0)
		elog(ERROR, "time-outs of etcd must be positive");
}

/* Takes over settings that were checked. */
static void
set_settings(Etcd *etcd, const DcsSettings *settings)
{
	MemoryContext old = etcd->settings_context;
	MemoryContext context =
		AllocSetContextCreate(etcd->context, "etcd settings", ALLOCSET_SMALL_SIZES);

	etcd->settings = *settings;
	etcd->settings.endpoints = copy_string(context, settings->endpoints);
	etcd->settings.cacert = copy_string(context, settings->cacert);
	etcd->settings.cert = copy_string(context, settings->cert);
	etcd->settings.key = copy_string(context, settings->key);
	etcd->settings.username = copy_string(context, settings->username);
	etcd->settings.password_file = copy_string(context, settings->password_file);
	etcd->settings_context = context;
	if (old != NULL)
		MemoryContextDelete(old);
	list_endpoints(etcd, etcd->settings.endpoints);
}

/* ---- Deliveries ---- */

EtcdDelivery *
etcd_deliver_later(Etcd *etcd, CodecAnswer *answer)
{
	EtcdDelivery *delivery = MemoryContextAllocZero(etcd->context, sizeof(EtcdDelivery));

	delivery->answer = *answer;
	answer->token = NULL;
	answer->kvs = NULL;
	answer->memory = NULL;
	answer->nkvs = 0;
	dlist_push_tail(&etcd->deliveries, &delivery->node);
	return delivery;
}

static void
free_delivery(EtcdDelivery *delivery)
{
	codec_answer_free(&delivery->answer);
	pfree(delivery);
}

static void
deliver_result(EtcdDelivery *delivery)
{
	const CodecAnswer *answer = &delivery->answer;
	DcsResult result = {
		.status = answer->status,
		.reason = answer->status == DCS_OK ? NULL : answer->reason,
		.sent_at = delivery->sent_at,
		.revision = answer->revision,
		.lease = answer->lease,
		.ttl = answer->ttl,
		.nkvs = answer->nkvs,
		.kvs = answer->kvs,
	};

	delivery->done(delivery->arg, &result);
}

static void
deliver_events(EtcdDelivery *delivery)
{
	DcsEvents events = {
		.connected = delivery->connected,
		.reset = delivery->reset,
		.revision = delivery->revision,
		.nkvs = delivery->answer.nkvs,
		.kvs = delivery->answer.kvs,
	};

	delivery->watch(delivery->arg, &events);
}

/* What a callback that threw left behind. */
static void
forget_delivered(Etcd *etcd)
{
	if (etcd->delivering != NULL)
		free_delivery(etcd->delivering);
	etcd->delivering = NULL;
}

/* Calls the callbacks that are due now; those they cause come later. */
static bool
deliver(Etcd *etcd)
{
	dlist_node *last;
	bool was_last;

	if (dlist_is_empty(&etcd->deliveries))
		return false;
	last = dlist_tail_node(&etcd->deliveries);
	do
	{
		EtcdDelivery *delivery =
			dlist_container(EtcdDelivery, node, dlist_pop_head_node(&etcd->deliveries));

		was_last = &delivery->node == last;
		etcd->delivering = delivery;
		if (delivery->watch != NULL)
			deliver_events(delivery);
		else
			deliver_result(delivery);
		forget_delivered(etcd);
	} while (!was_last);
	return true;
}

/* ---- Verbs ---- */

/* Starts a verb, and sends it off if it can be. */
static EtcdRequest *
start_verb(Dcs *dcs, CodecVerb verb, char *body, DcsDone done, void *arg)
{
	Etcd *etcd = (Etcd *) dcs;
	EtcdRequest *request = etcd_request_create(etcd, verb, body, etcd->settings.total_timeout_ms);

	request->done = done;
	request->arg = arg;
	return request;
}

static void
send_off(Dcs *dcs)
{
	Etcd *etcd = (Etcd *) dcs;

	etcd_requests_run(etcd);
	etcd_curl_run(etcd, CURL_SOCKET_TIMEOUT, 0);
}

static void
verb_lease_grant(Dcs *dcs, int ttl, DcsDone done, void *arg)
{
	start_verb(dcs, CODEC_GRANT, codec_grant_request(ttl), done, arg);
	send_off(dcs);
}

static void
verb_lease_keepalive(Dcs *dcs, int64 lease, DcsDone done, void *arg)
{
	start_verb(dcs, CODEC_KEEPALIVE, codec_lease_request(lease), done, arg)->lease = lease;
	send_off(dcs);
}

static void
verb_lease_revoke(Dcs *dcs, int64 lease, DcsDone done, void *arg)
{
	start_verb(dcs, CODEC_REVOKE, codec_lease_request(lease), done, arg);
	send_off(dcs);
}

static void
verb_get(Dcs *dcs, const char *key, bool prefix, DcsDone done, void *arg)
{
	start_verb(dcs, CODEC_RANGE, codec_range_request(key, prefix), done, arg);
	send_off(dcs);
}

static void
verb_txn(Dcs *dcs, const DcsCompare *compares, int ncompares, const DcsWrite *writes, int nwrites,
		 DcsDone done, void *arg)
{
	start_verb(dcs, CODEC_TXN, codec_txn_request(compares, ncompares, writes, nwrites), done, arg);
	send_off(dcs);
}

static void
verb_watch(Dcs *dcs, const char *prefix, DcsWatchFn fn, void *arg)
{
	Etcd *etcd = (Etcd *) dcs;

	if (etcd->watch.prefix != NULL)
		elog(ERROR, "this store is watched already");
	etcd->watch.fn = fn;
	etcd->watch.arg = arg;
	etcd->watch.prefix = MemoryContextStrdup(etcd->context, prefix);
	etcd_watch_run(etcd);
	send_off(dcs);
}

static void
verb_post(Dcs *dcs, const DcsPost *post, int timeout_ms, DcsDone done, void *arg)
{
	etcd_post_start((Etcd *) dcs, post, timeout_ms, done, arg);
	send_off(dcs);
}

static int
verb_wait(Dcs *dcs, int wake_events, long timeout_ms)
{
	Etcd *etcd = (Etcd *) dcs;
	int64 end = ETCD_NEVER;
	int happened = 0;

	if (timeout_ms >= 0 && (wake_events & WL_TIMEOUT))
		end = clock_now_us() + timeout_ms * INT64CONST(1000);
	forget_delivered(etcd);
	for (;;)
	{
		int64 next;

		etcd_watch_run(etcd);
		etcd_requests_run(etcd);
		if (etcd->timer_at <= clock_now_us())
			etcd_curl_run(etcd, CURL_SOCKET_TIMEOUT, 0);
		if (deliver(etcd) || happened != 0)
			return happened;
		if (clock_now_us() >= end)
			return WL_TIMEOUT;
		next = Min(Min(etcd->timer_at, end), Min(etcd_watch_next(etcd), etcd_requests_next(etcd)));
		happened = etcd_curl_wait(etcd, wake_events, next);
	}
}

static void
verb_reconfigure(Dcs *dcs, const DcsSettings *settings)
{
	Etcd *etcd = (Etcd *) dcs;

	check_settings(settings);
	if (etcd->watch.prefix != NULL)
		etcd_watch_renew(etcd);
	set_settings(etcd, settings);
	/* The user or the file with the password may be another now. */
	if (etcd->authenticating == NULL)
		etcd_token_forget(etcd);
	etcd_curl_renew(etcd);
}

static void
verb_destroy(Dcs *dcs)
{
	MemoryContextDelete(((Etcd *) dcs)->context);
}

static const DcsOps etcd_ops = {
	.lease_grant = verb_lease_grant,
	.lease_keepalive = verb_lease_keepalive,
	.lease_revoke = verb_lease_revoke,
	.get = verb_get,
	.txn = verb_txn,
	.watch = verb_watch,
	.post = verb_post,
	.wait = verb_wait,
	.reconfigure = verb_reconfigure,
	.destroy = verb_destroy,
};

/* ---- Life ---- */

/* Gives back what is not the context's. */
static void
release_all(void *object)
{
	Etcd *etcd = object;

	while (!dlist_is_empty(&etcd->requests))
		etcd_request_drop(dlist_head_element(EtcdRequest, node, &etcd->requests));
	etcd_post_drop_all(etcd);
	while (!dlist_is_empty(&etcd->deliveries))
		free_delivery(dlist_container(EtcdDelivery, node, dlist_pop_head_node(&etcd->deliveries)));
	forget_delivered(etcd);
	etcd_token_forget(etcd);
	etcd_curl_destroy(etcd);
}

Dcs *
etcd_create(MemoryContext context, const DcsSettings *settings)
{
	MemoryContext own;
	Etcd *etcd;

	check_settings(settings);
	own = AllocSetContextCreate(context, "etcd", ALLOCSET_DEFAULT_SIZES);
	etcd = MemoryContextAllocZero(own, sizeof(Etcd));
	etcd->dcs.ops = &etcd_ops;
	etcd->context = own;
	dlist_init(&etcd->endpoints);
	dlist_init(&etcd->requests);
	dlist_init(&etcd->deliveries);
	dlist_init(&etcd->posts);
	owner_tie(own, etcd, release_all);
	etcd_curl_create(etcd);
	set_settings(etcd, settings);
	return &etcd->dcs;
}
