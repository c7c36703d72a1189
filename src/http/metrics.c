/*-------------------------------------------------------------------------
 * metrics.c
 *	  The metrics of this member in the text format of Prometheus, one row
 *	  each.
 *
 * Those that begin with "patroni_" bear the names and meanings that Patroni
 * documents, for dashboards made for it; those that begin with "pgcluster_"
 * are ours.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/config.h"
#include "http/documents.h"

typedef struct Metric
{
	const char *name;
	const char *type;
	double (*value)(const HttpFacts *facts);
	const char *help;
} Metric;

static double
epoch_seconds(TimestampTz at)
{
	if (at == 0)
		return 0;
	return (double) at / USECS_PER_SEC +
		   (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (double) SECS_PER_DAY;
}

/* major * 10000 + minor * 100 + patch */
static double
version(const HttpFacts *facts)
{
	int part[3] = {0};

	(void) sscanf(PGCLUSTER_VERSION, "%d.%d.%d", &part[0], &part[1], &part[2]);
	return part[0] * 10000 + part[1] * 100 + part[2];
}

static double
running(const HttpFacts *facts)
{
	return facts->running;
}

static double
start_time(const HttpFacts *facts)
{
	return epoch_seconds(PgStartTime);
}

static double
leads(const HttpFacts *facts)
{
	return facts->leads;
}

static double
written(const HttpFacts *facts)
{
	return (double) facts->written;
}

static double
standby_leader(const HttpFacts *facts)
{
	return facts->standby_leader;
}

static double
replica(const HttpFacts *facts)
{
	return facts->running && !facts->primary && !facts->standby_leader;
}

static double
sync_standby(const HttpFacts *facts)
{
	return facts->sync == HA_SYNC_STANDBY;
}

static double
quorum_standby(const HttpFacts *facts)
{
	return facts->sync == HA_SYNC_QUORUM;
}

static double
received(const HttpFacts *facts)
{
	return (double) facts->received;
}

static double
replayed(const HttpFacts *facts)
{
	return (double) facts->replayed;
}

static double
replayed_at(const HttpFacts *facts)
{
	return epoch_seconds(facts->replayed_at);
}

static double
replay_paused(const HttpFacts *facts)
{
	return facts->replay_paused;
}

static double
streaming(const HttpFacts *facts)
{
	return facts->streaming;
}

static double
from_archive(const HttpFacts *facts)
{
	return facts->from_archive;
}

/* Numbers of Patroni's; of a server that answers, there are these. */
#define STATE_RUNNING 5
#define STATE_STARTING 6

static double
state(const HttpFacts *facts)
{
	return facts->running ? STATE_RUNNING : STATE_STARTING;
}

static double
server_version(const HttpFacts *facts)
{
	return facts->running ? atoi(GetConfigOption("server_version_num", false, false)) : 0;
}

static double
unlocked(const HttpFacts *facts)
{
	return facts->picture->holder[0] == '\0';
}

static double
failsafe(const HttpFacts *facts)
{
	return facts->failsafe;
}

static double
timeline(const HttpFacts *facts)
{
	return facts->running ? facts->timeline : 0;
}

static double
store_seen(const HttpFacts *facts)
{
	return (double) http_facts_store_seen(facts);
}

static double
pending_restart(const HttpFacts *facts)
{
	return facts->self != NULL && facts->self->pending_restart;
}

static double
paused(const HttpFacts *facts)
{
	return facts->picture->paused;
}

static double
fenced(const HttpFacts *facts)
{
	return facts->primary && !facts->leads;
}

static double
lease_left(const HttpFacts *facts)
{
	return (double) facts->lease_left_us / 1000000;
}

static double
ttl(const HttpFacts *facts)
{
	return facts->picture->ttl;
}

static double
epoch(const HttpFacts *facts)
{
	return (double) facts->picture->epoch;
}

static double
turn_age(const HttpFacts *facts)
{
	return (double) facts->turn_age_us / 1000000;
}

static double
connected(const HttpFacts *facts)
{
	return facts->picture->connected;
}

static double
members(const HttpFacts *facts)
{
	return facts->picture->nmembers;
}

static double
lag(const HttpFacts *facts)
{
	return (double) facts->lag;
}

static double
replay_lag(const HttpFacts *facts)
{
	return (double) facts->replay_lag;
}

/* clang-format off */
static const Metric metrics[] = {
	{"patroni_version", "gauge", version,
	 "Version of pgcluster, two digits a part."},
	{"patroni_postgres_running", "gauge", running,
	 "1 if the server lets sessions in."},
	{"patroni_postmaster_start_time", "gauge", start_time,
	 "When the server was started, in seconds since 1970."},
	{"patroni_master", "gauge", leads,
	 "1 if this member leads its group; the same as patroni_primary."},
	{"patroni_primary", "gauge", leads,
	 "1 if this member leads its group and may commit."},
	{"patroni_xlog_location", "counter", written,
	 "Where the WAL of this primary ends, 0 on a standby."},
	{"patroni_standby_leader", "gauge", standby_leader,
	 "1 if this member leads a standby cluster."},
	{"patroni_replica", "gauge", replica,
	 "1 if this member is a standby that lets sessions in."},
	{"patroni_sync_standby", "gauge", sync_standby,
	 "1 if this member is a synchronous standby."},
	{"patroni_quorum_standby", "gauge", quorum_standby,
	 "1 if this member is one of the standbys that make up a quorum."},
	{"patroni_xlog_received_location", "counter", received,
	 "Up to where this standby has WAL, 0 on a primary."},
	{"patroni_xlog_replayed_location", "counter", replayed,
	 "Up to where this standby has replayed WAL, 0 on a primary."},
	{"patroni_xlog_replayed_timestamp", "gauge", replayed_at,
	 "When the last transaction that was replayed was committed, in seconds since 1970; 0 if there is none."},
	{"patroni_xlog_paused", "gauge", replay_paused,
	 "1 if replay is paused."},
	{"patroni_postgres_streaming", "gauge", streaming,
	 "1 if this standby streams from another server."},
	{"patroni_postgres_in_archive_recovery", "gauge", from_archive,
	 "1 if this standby restores WAL from the archive."},
	{"patroni_postgres_state", "gauge", state,
	 "State of the server: 5 is running, 6 is starting."},
	{"patroni_postgres_server_version", "gauge", server_version,
	 "Version of PostgreSQL, 0 if it does not let sessions in."},
	{"patroni_cluster_unlocked", "gauge", unlocked,
	 "1 if nobody leads the group."},
	{"patroni_failsafe_mode_is_active", "gauge", failsafe,
	 "1 if this leader goes on without etcd, or this member has agreed to that."},
	{"patroni_postgres_timeline", "counter", timeline,
	 "Timeline of this server, 0 if it does not let sessions in."},
	{"patroni_dcs_last_seen", "gauge", store_seen,
	 "When etcd last answered, in seconds since 1970."},
	{"patroni_pending_restart", "gauge", pending_restart,
	 "1 if a changed setting waits for a restart."},
	{"patroni_is_paused", "gauge", paused,
	 "1 if nobody is promoted or demoted by itself."},
	{"pgcluster_fenced", "gauge", fenced,
	 "1 if this server is a primary that must not commit, because its lease is not proven."},
	{"pgcluster_lease_remaining_seconds", "gauge", lease_left,
	 "How long this server may go on committing without hearing from etcd."},
	{"pgcluster_ttl_seconds", "gauge", ttl,
	 "Time after which a silent leader can be replaced."},
	{"pgcluster_epoch", "counter", epoch,
	 "Grows with every new leadership of the group; 0 if nobody leads."},
	{"pgcluster_agent_turn_age_seconds", "gauge", turn_age,
	 "Time since the agent last looked around."},
	{"pgcluster_etcd_watched", "gauge", connected,
	 "1 if etcd is being watched."},
	{"pgcluster_members", "gauge", members,
	 "Members of the group that are alive."},
	{"pgcluster_replication_lag_bytes", "gauge", lag,
	 "WAL that the leader has published and this standby has not received."},
	{"pgcluster_replay_lag_bytes", "gauge", replay_lag,
	 "WAL that the leader has published and this standby has not replayed."},
};
/* clang-format on */

/* Scope and name hold no character that would need an escape here. */
static void
append_sample(StringInfo buf, const Metric *metric, const HttpFacts *facts)
{
	appendStringInfo(buf, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
					 metric->type);
	appendStringInfo(buf, "%s{scope=\"%s\",name=\"%s\",group=\"%d\"} %.16g\n", metric->name,
					 config_scope, config_node_name, config_group, metric->value(facts));
}

void
http_write_metrics(const HttpFacts *facts, HttpAnswer *answer)
{
	answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
	for (size_t i = 0; i < lengthof(metrics); i++)
		append_sample(&answer->body, &metrics[i], facts);
}
