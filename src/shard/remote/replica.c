/*-------------------------------------------------------------------------
 * replica.c
 *	  Reads that go to a standby of a group.
 *
 * Decides which queries may (pgcluster.read_from_replicas), and which standby
 * is asked: one that streams, is not tagged noloadbalance, and is by
 * pgcluster.replica_max_lag behind its leader at most.  Sessions spread over
 * those that fit.  What the agent has seen of the group is a moment old, and
 * says what a standby has received, not what it has replayed; so once a
 * second the standby itself is asked, in one piece with the query, whether
 * it has replayed enough.
 *
 * A session has one such connection per group and user beside the one to
 * the leader; it leads to the leader too when no standby fits.  So a
 * read-only transaction keeps to one server.  A standby that fails, or that
 * gives an error which the leader might not, is left alone for a while, and
 * what nobody has seen anything of is sent to the leader.
 *
 * What must stay true: after a transaction has written on a node it reads
 * from leaders only, so it sees its own writes.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "miscadmin.h"
#include "utils/pg_lsn.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/config.h"
#include "ha/state.h"
#include "shard/remote/connection.h"
#include "shard/remote/replica.h"
#include "shard/remote/snapshot.h"

#define CHECK_US INT64CONST(1000000)
#define AVOID_US (5 * INT64CONST(1000000))

static bool found_writer;

PGCLUSTER_FUNCTION(pgcluster_check_replayed);

static void
find_writer(RemoteConnection *c)
{
	found_writer |= c->write_level > 0;
}

bool
replica_wanted(const RemoteQuery *query)
{
	if (likely(config_read_from_replicas != REPLICAS_PREFER) || !query->reads || query->writes ||
		!ha_enabled() || IsolationIsSerializable() || config_read_consistency == READ_ATOMIC ||
		!acting_may_connect(GetUserId()))
		return false;
	if (snapshot_is_taken()) /* imported: standbys have none of them */
		return false;
	if (XactReadOnly)
		return true;
	if (IsTransactionBlock())
		return false;
	found_writer = false;
	transaction_foreach(find_writer);
	return !found_writer;
}

/* The standbys of the group that are near enough; "optime" is how far its leader has come. */
static int
candidates(int group_id, GroupReplica *replicas, uint64 *optime)
{
	uint64 most = (uint64) config_replica_max_lag * 1024;
	int n = ha_group_replicas(group_id, replicas, HA_MAX_REPLICAS, optime);
	int fit = 0;

	for (int i = 0; i < n; i++)
	{
		if (replicas[i].lsn + most >= *optime)
			replicas[fit++] = replicas[i];
	}
	return fit;
}

bool
replica_locate(RemoteConnection *c)
{
	GroupReplica replicas[HA_MAX_REPLICAS];
	uint64 optime;
	int n;

	c->at_replica = false;
	if (!c->key.replica || clock_now_us() < c->no_replica_until)
		return false;
	n = candidates(c->key.group_id, replicas, &optime);
	if (n == 0)
		return false;
	strlcpy(c->host, replicas[MyProcPid % n].host, sizeof(c->host));
	c->port = replicas[MyProcPid % n].port;
	c->at_replica = true;
	c->replica_looked = clock_now_us();
	c->replica_checked = 0;
	return true;
}

/* Looks again, once in a while; true when the standby is not among those that fit. */
bool
replica_left(RemoteConnection *c)
{
	GroupReplica replicas[HA_MAX_REPLICAS];
	uint64 optime;
	int64 now = clock_now_us();
	int n;

	if (now - c->replica_looked < CHECK_US)
		return false;
	c->replica_looked = now;
	n = candidates(c->key.group_id, replicas, &optime);
	for (int i = 0; i < n; i++)
	{
		if (replicas[i].port == c->port && strcmp(replicas[i].host, c->host) == 0)
			return false;
	}
	return true;
}

bool
replica_is_elsewhere(RemoteConnection *c)
{
	GroupReplica replicas[HA_MAX_REPLICAS];
	uint64 optime;
	int64 now = clock_now_us();

	if (c->at_replica)
		return replica_left(c);
	if (now - c->replica_looked < CHECK_US || now < c->no_replica_until)
		return false;
	c->replica_looked = now;
	return candidates(c->key.group_id, replicas, &optime) > 0;
}

bool
replica_failed(RemoteConnection *c)
{
	if (!c->at_replica)
		return false;
	c->at_replica = false;
	c->no_replica_until = clock_now_us() + AVOID_US;
	return true;
}

/* Classes of errors that a query may get on a standby only. */
bool
replica_error(const RemoteConnection *c, int code)
{
	static const int categories[] = {
		ERRCODE_CONNECTION_EXCEPTION,
		ERRCODE_FEATURE_NOT_SUPPORTED,
		ERRCODE_INVALID_TRANSACTION_STATE,
		ERRCODE_INVALID_SCHEMA_NAME,
		ERRCODE_TRANSACTION_ROLLBACK,
		ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION,
		ERRCODE_INSUFFICIENT_RESOURCES,
		ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
		ERRCODE_OPERATOR_INTERVENTION,
		ERRCODE_SYSTEM_ERROR,
		ERRCODE_INTERNAL_ERROR,
	};

	if (!c->at_replica)
		return false;
	for (size_t i = 0; i < lengthof(categories); i++)
	{
		if (ERRCODE_TO_CATEGORY(code) == ERRCODE_TO_CATEGORY(categories[i]))
			return true;
	}
	return false;
}

char *
replica_check(RemoteConnection *c)
{
	GroupReplica replicas[HA_MAX_REPLICAS];
	uint64 most = (uint64) config_replica_max_lag * 1024;
	uint64 optime = 0;
	int64 now = clock_now_us();

	if (!c->at_replica || c->level > 0 || now - c->replica_checked < CHECK_US)
		return NULL;
	c->replica_checked = now;
	(void) candidates(c->key.group_id, replicas, &optime);
	if (optime <= most)
		return NULL;
	return psprintf("SELECT pgcluster.check_replayed('%X/%X')",
					LSN_FORMAT_ARGS((XLogRecPtr) (optime - most)));
}

/* check_replayed(lsn pg_lsn): an error on a standby that has not come so far */
Datum
pgcluster_check_replayed(PG_FUNCTION_ARGS)
{
	if (RecoveryInProgress() && GetXLogReplayRecPtr(NULL) < PG_GETARG_LSN(0))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("this standby is too far behind"),
						errdetail("It has replayed WAL to %X/%X, and %X/%X is asked for.",
								  LSN_FORMAT_ARGS(GetXLogReplayRecPtr(NULL)),
								  LSN_FORMAT_ARGS(PG_GETARG_LSN(0)))));
	PG_RETURN_VOID();
}
