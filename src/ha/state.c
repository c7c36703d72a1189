/*-------------------------------------------------------------------------
 * state.c
 *	  The shared memory of high availability: who leads, until when, and
 *	  what the agent decided.
 *
 * The agent fills it, see agent.c; a crash-restart of the server empties
 * it, and the new agent fills it again.  What must stay true: the deadline
 * is zero unless an agent of this start proved the lease.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/shmem.h"
#include "dcs/dcs.h"
#include "ha/ha.h"
#include "ha/server.h"
#include "ha/shared.h"
#include "ha/settings.h"

/* How long the exit of the postmaster may wait for the store. */
#define REVOKE_TIMEOUT_MS 1000

HaShared *ha_shared = NULL;

static bool enabled = false;		/* decided once, when the server starts */
static bool started_before = false; /* by this postmaster */

static Size
state_size(void)
{
	return sizeof(HaShared);
}

/*
 * The postmaster leaves for good and all its children are gone: nothing can
 * commit any more, so another member may lead at once.
 */
static void
give_lease_back(int code, Datum arg)
{
	DcsSettings settings;
	uint64 lease;

	if (MyProcPid != PostmasterPid || !proc_exit_inprogress || ha_shared == NULL)
		return;

	pg_atomic_write_u64(&ha_shared->deadline_us, 0);
	lease = pg_atomic_exchange_u64(&ha_shared->lease, 0);
	if (lease == 0)
		return;
	ha_dcs_settings(&settings, REVOKE_TIMEOUT_MS);
	if (!etcd_revoke_blocking(&settings, (int64) lease, REVOKE_TIMEOUT_MS))
		ereport(LOG, (errmsg("could not give the lease back to etcd; it will expire")));
}

static void
state_attach(void *area, LWLockPadded *locks, bool found)
{
	ha_shared = area;
	if (found)
		return;

	memset(ha_shared, 0, sizeof(HaShared));
	pg_atomic_init_u64(&ha_shared->deadline_us, 0);
	pg_atomic_init_u64(&ha_shared->generation, 1);
	pg_atomic_init_u64(&ha_shared->lease, 0);
	ConditionVariableInit(&ha_shared->fence_cv);
	ConditionVariableInit(&ha_shared->leaders_cv);
	ConditionVariableInit(&ha_shared->request_cv);
	ha_shared->lock = &locks[0].lock;

	if (enabled && !IsUnderPostmaster)
	{
		server_forget_skipped_timelines();
		server_start_as_standby(!started_before);
		started_before = true;
	}

	/* A crash-restart runs and forgets these callbacks, hence here. */
	if (enabled && !IsUnderPostmaster && IsPostmasterEnvironment)
		before_shmem_exit(give_lease_back, 0);
}

static const ShmemArea state_area = {"pgcluster ha", state_size, 1, state_attach};

void
ha_state_init(void)
{
	enabled = config_etcd_endpoints != NULL && config_etcd_endpoints[0] != '\0' &&
			  IsPostmasterEnvironment && !IsBinaryUpgrade;
	shmem_register(&state_area);
}

bool
ha_enabled(void)
{
	return enabled;
}

int
ha_own_group(void)
{
	return config_group < 0 ? 0 : config_group;
}

bool
ha_fence_is_open(void)
{
	return (uint64) clock_now_us() < pg_atomic_read_u64(&ha_shared->deadline_us);
}

void
ha_fence_set(int64 deadline_us)
{
	bool was_open = ha_fence_is_open();

	pg_atomic_write_u64(&ha_shared->deadline_us, (uint64) deadline_us);
	if (!was_open && ha_fence_is_open())
		ConditionVariableBroadcast(&ha_shared->fence_cv);
}

void
ha_event_record(const char *decision, const char *reason)
{
	SharedEvent *event;

	LWLockAcquire(ha_shared->lock, LW_EXCLUSIVE);
	event = &ha_shared->events[ha_shared->nevents % HA_MAX_EVENTS];
	event->at = GetCurrentTimestamp();
	strlcpy(event->decision, decision, sizeof(event->decision));
	strlcpy(event->reason, reason, sizeof(event->reason));
	ha_shared->nevents++;
	LWLockRelease(ha_shared->lock);
}

uint64
ha_leaders_generation(void)
{
	return ha_shared == NULL ? 0 : pg_atomic_read_u64(&ha_shared->generation);
}

bool
ha_group_leader(int group_id, GroupLeader *leader)
{
	bool found = false;

	if (ha_shared == NULL)
		return false;

	LWLockAcquire(ha_shared->lock, LW_SHARED);
	for (int i = 0; i < ha_shared->ngroups && !found; i++)
	{
		const GroupLeader *l = &ha_shared->groups[i].leader;

		if (l->group_id == group_id && l->member[0] != '\0')
		{
			*leader = *l;
			found = true;
		}
	}
	LWLockRelease(ha_shared->lock);
	return found;
}

int
ha_groups(int *group_ids, int max)
{
	int n = 0;

	if (ha_shared == NULL)
		return 0;

	LWLockAcquire(ha_shared->lock, LW_SHARED);
	for (int i = 0; i < ha_shared->ngroups && n < max; i++)
		group_ids[n++] = ha_shared->groups[i].leader.group_id;
	LWLockRelease(ha_shared->lock);
	return n;
}

bool
ha_wait_leaders_change(uint64 generation, int timeout_ms)
{
	int64 until = clock_now_us() + (int64) timeout_ms * 1000;
	bool changed;

	if (ha_shared == NULL)
		return false;

	ConditionVariablePrepareToSleep(&ha_shared->leaders_cv);
	while (!(changed = ha_leaders_generation() != generation))
	{
		long left = (until - clock_now_us()) / 1000;

		if (left <= 0)
			break;
		ConditionVariableTimedSleep(&ha_shared->leaders_cv, left, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	return changed;
}
