/*-------------------------------------------------------------------------
 * dcs_test.c
 *	  The etcd client behind SQL functions, for tests.
 *
 * One store a session.  Each verb waits for its outcome and returns it as a
 * row; the events of the watch collect meanwhile and are taken with
 * dcs_events.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "dcs/dcs.h"

PG_MODULE_MAGIC;

static Dcs *store = NULL;
static StringInfoData events;

typedef struct Outcome
{
	bool known;
	const char *status;
	char *reason;
	int64 revision;
	int64 lease;
	int ttl;
	int64 sent_at;
	char *keys;
} Outcome;

static const char *const statuses[] = {
	[DCS_OK] = "ok",
	[DCS_COMPARE_FAILED] = "compare failed",
	[DCS_LEASE_GONE] = "lease gone",
	[DCS_UNREACHABLE] = "unreachable",
	[DCS_REFUSED] = "refused",
	[DCS_GARBAGE] = "garbage",
};

static void
append_keys(StringInfo text, const DcsKeyValue *kvs, int n)
{
	for (int i = 0; i < n; i++)
		appendStringInfo(text, "%s%s%s%s%s", i ? " " : "", kvs[i].deleted ? "-" : "", kvs[i].key,
						 kvs[i].deleted ? "" : "=", kvs[i].deleted ? "" : kvs[i].value);
}

static void
keep_outcome(void *arg, const DcsResult *result)
{
	Outcome *outcome = arg;
	StringInfoData keys;

	if (outcome->known)
		elog(ERROR, "a verb ended twice");
	initStringInfo(&keys);
	append_keys(&keys, result->kvs, result->nkvs);
	outcome->known = true;
	outcome->status = statuses[result->status];
	outcome->reason = result->reason ? pstrdup(result->reason) : NULL;
	if ((result->reason == NULL) != (result->status == DCS_OK))
		elog(ERROR, "a reason without a failure, or the other way round");
	outcome->revision = result->revision;
	outcome->lease = result->lease;
	outcome->ttl = result->ttl;
	outcome->sent_at = result->sent_at;
	outcome->keys = keys.data;
}

static void
keep_events(void *arg, const DcsEvents *e)
{
	appendStringInfoString(&events, e->reset		? "reset: "
									: !e->connected ? "disconnected"
									: e->nkvs == 0	? "connected"
													: "events: ");
	append_keys(&events, e->kvs, e->nkvs);
	appendStringInfoChar(&events, '\n');
}

/* Waits until "known", or for timeout_ms in all (-1: no limit). */
static void
wait_for(const bool *known, long timeout_ms)
{
	int64 end = clock_now_us() + timeout_ms * INT64CONST(1000);

	while (!*known)
	{
		long left = timeout_ms < 0 ? -1 : (long) ((end - clock_now_us()) / 1000);
		int happened;

		if (timeout_ms >= 0 && left <= 0)
			break;
		happened = store->ops->wait(
			store, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (left >= 0 ? WL_TIMEOUT : 0), left);
		if (happened & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		}
	}
}

static Datum
outcome_row(FunctionCallInfo fcinfo, Outcome *outcome, int64 started_at)
{
	TupleDesc desc;
	Datum values[7];
	bool nulls[7] = {false};

	wait_for(&outcome->known, -1);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = CStringGetTextDatum(outcome->status);
	nulls[1] = outcome->reason == NULL;
	values[1] = nulls[1] ? (Datum) 0 : CStringGetTextDatum(outcome->reason);
	values[2] = Int64GetDatum(outcome->revision);
	values[3] = Int64GetDatum(outcome->lease);
	values[4] = Int32GetDatum(outcome->ttl);
	values[5] = CStringGetTextDatum(outcome->keys);
	values[6] = Int32GetDatum((int32) ((clock_now_us() - started_at) / 1000));
	if (outcome->status == statuses[DCS_OK] && outcome->sent_at < started_at)
		elog(ERROR, "answered before it was asked");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

static char *
text_arg(FunctionCallInfo fcinfo, int i)
{
	return PG_ARGISNULL(i) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(i));
}

/* endpoints, request_timeout_ms, total_timeout_ms, tls, cacert, cert, key, username, password_file */
static void
read_settings(FunctionCallInfo fcinfo, DcsSettings *settings)
{
	memset(settings, 0, sizeof(*settings));
	settings->endpoints = text_arg(fcinfo, 0);
	settings->request_timeout_ms = PG_GETARG_INT32(1);
	settings->total_timeout_ms = PG_GETARG_INT32(2);
	settings->tls = PG_GETARG_BOOL(3);
	settings->cacert = text_arg(fcinfo, 4);
	settings->cert = text_arg(fcinfo, 5);
	settings->key = text_arg(fcinfo, 6);
	settings->username = text_arg(fcinfo, 7);
	settings->password_file = text_arg(fcinfo, 8);
}

/* Opens the session's store, or gives it new settings. */
PG_FUNCTION_INFO_V1(dcs_open);
Datum
dcs_open(PG_FUNCTION_ARGS)
{
	DcsSettings settings;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	read_settings(fcinfo, &settings);
	if (events.data == NULL)
		initStringInfo(&events);
	if (store != NULL)
		store->ops->reconfigure(store, &settings);
	else
		store = etcd_create(TopMemoryContext, &settings);
	MemoryContextSwitchTo(old);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(dcs_close);
Datum
dcs_close(PG_FUNCTION_ARGS)
{
	store->ops->destroy(store);
	store = NULL;
	resetStringInfo(&events);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(dcs_grant);
Datum
dcs_grant(PG_FUNCTION_ARGS)
{
	Outcome outcome = {0};
	int64 now = clock_now_us();

	store->ops->lease_grant(store, PG_GETARG_INT32(0), keep_outcome, &outcome);
	return outcome_row(fcinfo, &outcome, now);
}

PG_FUNCTION_INFO_V1(dcs_keepalive);
Datum
dcs_keepalive(PG_FUNCTION_ARGS)
{
	Outcome outcome = {0};
	int64 now = clock_now_us();

	store->ops->lease_keepalive(store, PG_GETARG_INT64(0), keep_outcome, &outcome);
	return outcome_row(fcinfo, &outcome, now);
}

PG_FUNCTION_INFO_V1(dcs_revoke);
Datum
dcs_revoke(PG_FUNCTION_ARGS)
{
	Outcome outcome = {0};
	int64 now = clock_now_us();

	store->ops->lease_revoke(store, PG_GETARG_INT64(0), keep_outcome, &outcome);
	return outcome_row(fcinfo, &outcome, now);
}

PG_FUNCTION_INFO_V1(dcs_get);
Datum
dcs_get(PG_FUNCTION_ARGS)
{
	Outcome outcome = {0};
	int64 now = clock_now_us();

	store->ops->get(store, text_arg(fcinfo, 0), PG_GETARG_BOOL(1), keep_outcome, &outcome);
	return outcome_row(fcinfo, &outcome, now);
}

/* Puts (deletes: value NULL) a key if another has this revision (key NULL: in any case). */
PG_FUNCTION_INFO_V1(dcs_put);
Datum
dcs_put(PG_FUNCTION_ARGS)
{
	Outcome outcome = {0};
	int64 now = clock_now_us();
	DcsWrite write = {text_arg(fcinfo, 0), text_arg(fcinfo, 1), PG_GETARG_INT64(2)};
	DcsCompare compare = {PG_GETARG_BOOL(5) ? DCS_CREATE_REVISION_IS : DCS_MOD_REVISION_IS,
						  text_arg(fcinfo, 3), PG_GETARG_INT64(4)};

	store->ops->txn(store, &compare, compare.key != NULL, &write, 1, keep_outcome, &outcome);
	return outcome_row(fcinfo, &outcome, now);
}

PG_FUNCTION_INFO_V1(dcs_watch);
Datum
dcs_watch(PG_FUNCTION_ARGS)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	store->ops->watch(store, text_arg(fcinfo, 0), keep_events, NULL);
	MemoryContextSwitchTo(old);
	PG_RETURN_VOID();
}

/* Waits so long, then returns and forgets the events until now. */
PG_FUNCTION_INFO_V1(dcs_events);
Datum
dcs_events(PG_FUNCTION_ARGS)
{
	bool never = false;
	text *told;

	wait_for(&never, PG_GETARG_INT32(0));
	told = cstring_to_text(events.data);
	resetStringInfo(&events);
	PG_RETURN_TEXT_P(told);
}

static void
throw_result(void *arg, const DcsResult *result)
{
	ereport(ERROR, (errmsg("thrown by a callback")));
}

/* A callback that throws: the store must stay usable. */
PG_FUNCTION_INFO_V1(dcs_throw);
Datum
dcs_throw(PG_FUNCTION_ARGS)
{
	bool never = false;

	store->ops->get(store, "a", true, throw_result, NULL);
	wait_for(&never, 10000);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(dcs_revoke_blocking);
Datum
dcs_revoke_blocking(PG_FUNCTION_ARGS)
{
	DcsSettings settings;

	read_settings(fcinfo, &settings);
	PG_RETURN_BOOL(etcd_revoke_blocking(&settings, PG_GETARG_INT64(9), PG_GETARG_INT32(10)));
}
