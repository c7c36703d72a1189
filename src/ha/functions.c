/*-------------------------------------------------------------------------
 * functions.c
 *	  The SQL functions of high availability.
 *
 * All read shared memory only, on primaries and standbys alike.  What changes
 * something is in commands.c.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/config.h"
#include "ha/keys.h"
#include "ha/settings.h"
#include "ha/shared.h"

static Datum
text_or_null(const char *text, bool *isnull)
{
	*isnull = text == NULL || text[0] == '\0';
	return *isnull ? (Datum) 0 : CStringGetTextDatum(text);
}

/* A copy of what shared memory holds, so that no lock is held while rows are made. */
static HaShared *
copy_shared(void)
{
	HaShared *copy = palloc(sizeof(HaShared));

	LWLockAcquire(ha_shared->lock, LW_SHARED);
	memcpy(copy, ha_shared, sizeof(HaShared));
	LWLockRelease(ha_shared->lock);
	return copy;
}

/*
 * cluster_status
 */

#define STATUS_COLUMNS 10

static const SharedGroup *
find_group(const HaShared *shared, int group_id)
{
	for (int i = 0; i < shared->ngroups; i++)
		if (shared->groups[i].leader.group_id == group_id)
			return &shared->groups[i];
	return NULL;
}

static void
put_member(ReturnSetInfo *result, const SharedMember *m, const char *role, int64 lag,
		   bool lag_known)
{
	Datum values[STATUS_COLUMNS];
	bool nulls[STATUS_COLUMNS] = {false};

	values[0] = Int32GetDatum(m->group_id);
	values[1] = CStringGetTextDatum(m->name);
	values[2] = text_or_null(m->host, &nulls[2]);
	values[3] = Int32GetDatum(m->port);
	nulls[3] = m->port == 0;
	values[4] = CStringGetTextDatum(role);
	values[5] = text_or_null(m->state, &nulls[5]);
	values[6] = Int32GetDatum((int32) m->timeline);
	nulls[6] = m->timeline == 0;
	values[7] = Int64GetDatum(lag);
	nulls[7] = !lag_known;
	nulls[8] = m->tags[0] == '\0';
	values[8] = nulls[8] ? (Datum) 0 : DirectFunctionCall1(jsonb_in, CStringGetDatum(m->tags));
	values[9] = BoolGetDatum(m->pending_restart);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_standalone(ReturnSetInfo *result)
{
	SharedMember self = {0};

	self.group_id = ha_own_group();
	strlcpy(self.name, config_node_name, sizeof(self.name));
	strlcpy(self.host, ha_own_host(), sizeof(self.host));
	self.port = ha_own_port();
	strlcpy(self.state, "standalone", sizeof(self.state));
	put_member(result, &self, RecoveryInProgress() ? "replica" : "leader", 0, false);
}

static const char *
role_of(const SharedMember *m, bool leads)
{
	if (leads)
		return strcmp(m->role, "standby_leader") == 0 ? "standby_leader" : "leader";
	return ha_follower_role(m->sync);
}

static int
compare_members(const void *a, const void *b)
{
	const SharedMember *x = a;
	const SharedMember *y = b;

	if (x->group_id != y->group_id)
		return x->group_id < y->group_id ? -1 : 1;
	return strcmp(x->name, y->name);
}

PGCLUSTER_FUNCTION(cluster_status);

Datum
cluster_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	HaShared *shared;

	InitMaterializedSRF(fcinfo, 0);
	if (!ha_enabled())
	{
		put_standalone(result);
		return (Datum) 0;
	}

	shared = copy_shared();
	qsort(shared->members, shared->nmembers, sizeof(SharedMember), compare_members);
	for (int i = 0; i < shared->nmembers; i++)
	{
		const SharedMember *m = &shared->members[i];
		const SharedGroup *group = find_group(shared, m->group_id);
		bool leads = group != NULL && strcmp(group->holder, m->name) == 0;
		int64 lag = group == NULL ? 0 : (int64) group->optime - (int64) m->lsn;

		put_member(result, m, role_of(m, leads), Max(lag, 0),
				   !leads && group != NULL && m->lsn_known);
	}
	return (Datum) 0;
}

/*
 * cluster_leader
 */

PGCLUSTER_FUNCTION(cluster_leader);

Datum
cluster_leader(PG_FUNCTION_ARGS)
{
	int group_id = PG_ARGISNULL(0) ? ha_own_group() : PG_GETARG_INT32(0);
	GroupLeader leader;
	TupleDesc desc;
	Datum values[5];
	bool nulls[5] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!ha_group_leader(group_id, &leader))
		PG_RETURN_NULL();
	values[0] = Int32GetDatum(leader.group_id);
	values[1] = CStringGetTextDatum(leader.member);
	values[2] = CStringGetTextDatum(leader.host);
	values[3] = Int32GetDatum(leader.port);
	values[4] = Int64GetDatum((int64) leader.epoch);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * cluster_lease
 */

static Datum
seconds(double number)
{
	return DirectFunctionCall7(make_interval, Int32GetDatum(0), Int32GetDatum(0), Int32GetDatum(0),
							   Int32GetDatum(0), Int32GetDatum(0), Int32GetDatum(0),
							   Float8GetDatum(number));
}

PGCLUSTER_FUNCTION(cluster_lease);

Datum
cluster_lease(PG_FUNCTION_ARGS)
{
	HaShared *shared = copy_shared();
	int64 left = (int64) pg_atomic_read_u64(&ha_shared->deadline_us) - clock_now_us();
	TupleDesc desc;
	Datum values[6];
	bool nulls[6] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = text_or_null(shared->holder, &nulls[0]);
	values[1] = Int64GetDatum((int64) shared->epoch);
	nulls[1] = shared->epoch == 0;
	values[2] = BoolGetDatum(ha_enabled() && shared->lease_holder == LEASE_MINE && left > 0);
	values[3] = BoolGetDatum(ha_enabled() && left <= 0 && !RecoveryInProgress());
	nulls[4] = left <= 0;
	values[4] = nulls[4] ? (Datum) 0 : seconds((double) left / 1000000.0);
	nulls[5] = !ha_enabled();
	values[5] = nulls[5] ? (Datum) 0 : seconds(shared->ttl);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * cluster_events
 */

PGCLUSTER_FUNCTION(cluster_events);

Datum
cluster_events(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	HaShared *shared = copy_shared();
	uint64 first = shared->nevents > HA_MAX_EVENTS ? shared->nevents - HA_MAX_EVENTS : 0;

	InitMaterializedSRF(fcinfo, 0);
	for (uint64 i = first; i < shared->nevents; i++)
	{
		const SharedEvent *event = &shared->events[i % HA_MAX_EVENTS];
		Datum values[3];
		bool nulls[3] = {false};

		values[0] = TimestampTzGetDatum(event->at);
		values[1] = CStringGetTextDatum(event->decision);
		values[2] = CStringGetTextDatum(event->reason);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * cluster_history
 */

#define MAX_HISTORY_LINES 1024

PGCLUSTER_FUNCTION(cluster_history);

Datum
cluster_history(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char *document = ha_read_document(HA_DOCUMENT_HISTORY);
	HaHistoryLine *lines = palloc0(sizeof(HaHistoryLine) * MAX_HISTORY_LINES);
	int n = key_read_history_lines(document, lines, MAX_HISTORY_LINES);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n; i++)
	{
		Datum values[5];
		bool nulls[5] = {false};

		values[0] = Int32GetDatum((int32) lines[i].timeline);
		values[1] = LSNGetDatum((XLogRecPtr) lines[i].end);
		values[2] = text_or_null(lines[i].reason, &nulls[2]);
		values[3] = TimestampTzGetDatum(lines[i].at);
		nulls[3] = lines[i].at == 0;
		values[4] = text_or_null(lines[i].leader, &nulls[4]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * ha_rules
 */

PGCLUSTER_FUNCTION(pgcluster_ha_rules);

Datum
pgcluster_ha_rules(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int count;
	const HaRule *rules = ha_rules(&count);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < count; i++)
	{
		Datum values[6];
		bool nulls[6] = {false};

		values[0] = Int32GetDatum(i + 1);
		values[1] = CStringGetTextDatum(ha_role_name(rules[i].role));
		values[2] = CStringGetTextDatum(ha_lease_name(rules[i].lease));
		values[3] = text_or_null(rules[i].condition, &nulls[3]);
		values[4] = CStringGetTextDatum(ha_action_name(rules[i].action));
		values[5] = CStringGetTextDatum(rules[i].reason);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
