/*-------------------------------------------------------------------------
 * check.c
 *	  cluster_check(): is this server set up right?
 *
 * One row per check.  A check looks at the present state and says what is
 * wrong and what to do about it; it changes nothing.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "replication/slot.h"
#include "replication/walsender.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "base/config.h"
#include "ha/parameters.h"
#include "ha/keys.h"
#include "ha/probe.h"
#include "ha/shared.h"
#include "ha/slots.h"

/* Sets the detail in any case. */
typedef bool (*CheckFn)(StringInfo detail);

static bool
check_enabled(StringInfo detail)
{
	if (!ha_enabled())
	{
		appendStringInfoString(detail, "high availability is off: pgcluster.etcd_endpoints was "
									   "empty when the server started");
		return false;
	}
	appendStringInfo(detail, "etcd at %s", config_etcd_endpoints);
	return true;
}

static bool
check_agent(StringInfo detail)
{
	pid_t pid;

	LWLockAcquire(ha_shared->lock, LW_SHARED);
	pid = ha_shared->agent_pid;
	LWLockRelease(ha_shared->lock);
	if (pid == 0)
		appendStringInfoString(detail, "the agent is not running");
	else
		appendStringInfo(detail, "the agent is process %d", (int) pid);
	return pid != 0;
}

/* The worker needs a while after a start. */
static bool
check_probe(StringInfo detail)
{
	if (config_probe_timeout == 0)
		appendStringInfoString(detail, "pgcluster.probe_timeout is 0");
	else if (EnableSSL && Unix_socket_directories[0] == '\0')
		appendStringInfoString(detail, "connections are not tried: there is no Unix-domain socket");
	else
	{
		bool running = probe_is_running();

		appendStringInfo(detail, "the probe is %srunning", running ? "" : "not ");
		return running;
	}
	return false;
}

static bool
check_store(StringInfo detail)
{
	bool connected;

	LWLockAcquire(ha_shared->lock, LW_SHARED);
	connected = ha_shared->connected;
	LWLockRelease(ha_shared->lock);
	appendStringInfo(detail, "etcd is %sbeing watched", connected ? "" : "not ");
	return connected;
}

static bool
check_membership(StringInfo detail)
{
	char refusal[HA_REASON_SIZE];

	LWLockAcquire(ha_shared->lock, LW_SHARED);
	strlcpy(refusal, ha_shared->refusal, sizeof(refusal));
	LWLockRelease(ha_shared->lock);
	appendStringInfoString(detail, refusal[0] ? refusal : "this server takes part");
	return refusal[0] == '\0';
}

static bool
check_leader(StringInfo detail)
{
	GroupLeader leader;
	char holder[HA_NAME_SIZE];
	bool standby_cluster;

	LWLockAcquire(ha_shared->lock, LW_SHARED);
	standby_cluster = ha_shared->standby_cluster;
	strlcpy(holder, ha_shared->holder, sizeof(holder));
	LWLockRelease(ha_shared->lock);
	if (standby_cluster && holder[0] != '\0')
	{
		appendStringInfo(detail, "member \"%s\" leads group %d, which follows another cluster",
						 holder, ha_own_group());
		return true;
	}
	if (!ha_group_leader(ha_own_group(), &leader))
	{
		appendStringInfo(detail, "group %d has no leader", ha_own_group());
		return false;
	}
	appendStringInfo(detail, "member \"%s\" (%s:%d) leads group %d", leader.member, leader.host,
					 leader.port, leader.group_id);
	return true;
}

/* The slots that others made need room as well. */
static bool
check_slots(StringInfo detail)
{
	SlotOrders *orders = palloc(sizeof(SlotOrders));
	SlotFact *facts = palloc(sizeof(SlotFact) * SLOT_MAX);
	int nfacts = slot_ops_list(facts, SLOT_MAX);
	int needed;

	slots_read_orders(orders);
	needed = orders->nwishes;
	for (int i = 0; i < nfacts; i++)
		if (slot_find_wish(orders->wishes, orders->nwishes, facts[i].name) == NULL)
			needed++;
	for (int i = 0; i < orders->nwishes; i++)
		if (orders->wishes[i].kind == SLOT_LOGICAL && wal_level < WAL_LEVEL_LOGICAL)
		{
			appendStringInfo(detail, "slot \"%s\" is logical, wal_level is not",
							 orders->wishes[i].name);
			return false;
		}
	if (!slots_are_kept())
	{
		appendStringInfoString(detail, "the worker that keeps the slots is not running");
		return false;
	}
	appendStringInfo(detail, "%d of %d are needed", needed, max_replication_slots);
	return needed <= max_replication_slots;
}

static bool
check_tags(StringInfo detail)
{
	bool may_lead;
	int priority;
	bool ok = key_read_tags(config_tags, &may_lead, &priority);

	if (ok)
		appendStringInfo(detail, "the tags %s that this member leads",
						 may_lead ? "allow" : "forbid");
	else
		appendStringInfoString(detail, "pgcluster.tags is not a JSON object");
	return ok;
}

static bool
check_restart(StringInfo detail)
{
	appendStringInfo(detail, "restart_after_crash is %s", restart_after_crash ? "on" : "off");
	return restart_after_crash;
}

static bool
check_setting_is_on(StringInfo detail, const char *name, const char *good)
{
	const char *value = GetConfigOption(name, false, false);

	appendStringInfo(detail, "%s is %s", name, value);
	return strcmp(value, good) == 0;
}

static bool
check_hot_standby(StringInfo detail)
{
	if (parameters_hot_standby_comes())
	{
		appendStringInfoString(detail, "hot_standby is off for this start only");
		return true;
	}
	return check_setting_is_on(detail, "hot_standby", "on");
}

static bool
check_fsync(StringInfo detail)
{
	return check_setting_is_on(detail, "fsync", "on");
}

static bool
check_sync_method(StringInfo detail)
{
	return check_setting_is_on(detail, "recovery_init_sync_method", "syncfs");
}

static bool
check_wal_level(StringInfo detail)
{
	appendStringInfo(detail, "wal_level is %s", GetConfigOption("wal_level", false, false));
	return wal_level >= WAL_LEVEL_REPLICA;
}

static bool
check_senders(StringInfo detail)
{
	appendStringInfo(detail, "max_wal_senders is %d", max_wal_senders);
	return max_wal_senders >= 3;
}

static bool
check_rewind(StringInfo detail)
{
	const char *checksums = GetConfigOption("data_checksums", false, false);
	const char *hints = GetConfigOption("wal_log_hints", false, false);

	appendStringInfo(detail, "data checksums are %s, wal_log_hints is %s", checksums, hints);
	return strcmp(checksums, "on") == 0 || strcmp(hints, "on") == 0;
}

static bool
check_timeline_target(StringInfo detail)
{
	return check_setting_is_on(detail, "recovery_target_timeline", "latest");
}

static bool
check_rejoin_program(StringInfo detail)
{
	char program[MAXPGPATH];

	strlcpy(program, my_exec_path, sizeof(program));
	get_parent_directory(program);
	join_path_components(program, program, "pgcluster_node");
	appendStringInfo(detail, "%s is %s", program, access(program, X_OK) == 0 ? "there" : "missing");
	return access(program, X_OK) == 0;
}

static bool
check_replication_user(StringInfo detail)
{
	HeapTuple tuple = SearchSysCache1(AUTHNAME, CStringGetDatum(config_replication_user));
	bool ok = false;

	if (!HeapTupleIsValid(tuple))
		appendStringInfo(detail, "role \"%s\" does not exist", config_replication_user);
	else
	{
		Form_pg_authid role = (Form_pg_authid) GETSTRUCT(tuple);

		ok = role->rolcanlogin && (role->rolreplication || role->rolsuper);
		appendStringInfo(detail, "role \"%s\" %s log in for replication", config_replication_user,
						 ok ? "may" : "may not");
		ReleaseSysCache(tuple);
	}
	return ok;
}

static bool
check_pause(StringInfo detail)
{
	HaPicture *picture = palloc0(sizeof(HaPicture));

	ha_read_picture(picture);
	appendStringInfoString(detail, picture->paused
									   ? "the group is paused, nobody takes over by itself"
									   : "the group is not paused");
	return !picture->paused;
}

static bool
check_pending_restart(StringInfo detail)
{
	HaPicture *picture = palloc0(sizeof(HaPicture));

	ha_read_picture(picture);
	for (int i = 0; i < picture->nmembers; i++)
	{
		const SharedMember *m = &picture->members[i];

		if (strcmp(m->name, config_node_name) != 0 || !m->pending_restart)
			continue;
		appendStringInfo(detail, "settings wait for a restart: %s", m->pending);
		return false;
	}
	appendStringInfoString(detail, "no setting waits for a restart");
	return true;
}

typedef struct Check
{
	const char *name;
	bool needs_ha; /* makes no sense without */
	CheckFn fn;
	const char *hint; /* shown when it fails */
} Check;

/* clang-format off */
static const Check checks[] = {
	{"high availability", false, check_enabled, "Set pgcluster.etcd_endpoints and restart the server."},
	{"agent", true, check_agent, "It is started again by itself; see the server's log."},
	{"probe", true, check_probe, "A leader that cannot write or take connections keeps the lead: set pgcluster.probe_timeout, unix_socket_directories, max_worker_processes."},
	{"etcd", true, check_store, "See the server's log for what etcd answers."},
	{"membership", true, check_membership, "Give each member of a group a name of its own, and each cluster a scope of its own."},
	{"leader", true, check_leader, "See cluster_events() for what this member waits for."},
	{"tags", false, check_tags, "Set pgcluster.tags to something like {\"nofailover\": true}."},
	{"restart after a crash", true, check_restart, "Set restart_after_crash to on: a demotion in place needs it."},
	{"hot standby", true, check_hot_standby, "Set hot_standby to on: a standby that takes no connections cannot pass WAL on."},
	{"fsync", true, check_fsync, "Set fsync to on."},
	{"quick restart", true, check_sync_method, "Set recovery_init_sync_method to syncfs, or a demotion takes as long as syncing all files."},
	{"WAL level", true, check_wal_level, "Set wal_level to replica or logical."},
	{"WAL senders", true, check_senders, "Set max_wal_senders to at least 3."},
	{"replication slots", true, check_slots, "Raise max_replication_slots or max_worker_processes, or set wal_level to logical."},
	{"rewind", true, check_rewind, "Set wal_log_hints to on, or enable data checksums: else a diverged member must be cloned anew."},
	{"timeline", true, check_timeline_target, "Set recovery_target_timeline to latest: a standby must follow a new leader."},
	{"rejoin program", true, check_rejoin_program, "Install pgcluster_node beside the server's programs."},
	{"pause", true, check_pause, "Call cluster_resume()."},
	{"pending restart", true, check_pending_restart, "Call cluster_restart() for this member."},
	{"replication role", true, check_replication_user, "Create it with LOGIN and REPLICATION, or set pgcluster.replication_user."},
};
/* clang-format on */

PGCLUSTER_FUNCTION(cluster_check);

Datum
cluster_check(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (size_t i = 0; i < lengthof(checks); i++)
	{
		const Check *check = &checks[i];
		StringInfoData detail;
		Datum values[4];
		bool nulls[4] = {false};
		bool ok;

		if (check->needs_ha && !ha_enabled())
			continue;
		initStringInfo(&detail);
		ok = check->fn(&detail);
		values[0] = CStringGetTextDatum(check->name);
		values[1] = BoolGetDatum(ok);
		values[2] = CStringGetTextDatum(detail.data);
		nulls[3] = ok;
		values[3] = ok ? (Datum) 0 : CStringGetTextDatum(check->hint);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
