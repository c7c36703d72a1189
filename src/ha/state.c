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

#include <json-c/json.h>

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
#include "ha/parameters.h"
#include "ha/server.h"
#include "ha/shared.h"
#include "ha/settings.h"

/* How long the exit of the postmaster may wait for the store. */
#define REVOKE_TIMEOUT_MS 1000

/* How long a reader waits for an agent that holds the lock. */
#define LOCK_TRIES 50
#define LOCK_NAP_US 2000

StaticAssertDecl(sizeof(((SharedMember *) NULL)->name) == HA_NAME_SIZE, "names differ in size");

HaShared *ha_shared = NULL;
static HaDocuments *ha_documents = NULL;

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
	pg_atomic_init_u64(&ha_shared->turn_us, (uint64) clock_now_us());
	pg_atomic_init_u64(&ha_shared->failsafe_started_us, (uint64) clock_now_us());
	pg_atomic_init_u64(&ha_shared->failsafe_answered_us, 0);
	pg_atomic_init_u64(&ha_shared->failsafe_acquiring, 0);
	pg_atomic_init_u64(&ha_shared->failsafe_first_us, 0);
	pg_atomic_init_u64(&ha_shared->failsafe_asked_us, 0);
	pg_atomic_init_u64(&ha_shared->failsafe_promised_us, 0);
	ConditionVariableInit(&ha_shared->fence_cv);
	ConditionVariableInit(&ha_shared->leaders_cv);
	ConditionVariableInit(&ha_shared->request_cv);
	ha_shared->lock = &locks[0].lock;

	if (enabled && !IsUnderPostmaster)
	{
		if (started_before)
			parameters_prepare_crash_restart();
		server_forget_timelines();
		server_start_as_standby(!started_before);
		started_before = true;
	}

	/* A crash-restart runs and forgets these callbacks, hence here. */
	if (enabled && !IsUnderPostmaster && IsPostmasterEnvironment)
		before_shmem_exit(give_lease_back, 0);
}

static const ShmemArea state_area = {"pgcluster ha", state_size, 1, state_attach};

static Size
documents_size(void)
{
	return enabled ? sizeof(HaDocuments) : offsetof(HaDocuments, documents);
}

static void
documents_attach(void *area, LWLockPadded *locks, bool found)
{
	ha_documents = area;
	if (found)
		return;
	ha_documents->lock = &locks[0].lock;
	if (!enabled)
		return;
	for (int i = 0; i < N_HA_DOCUMENTS; i++)
	{
		ha_documents->documents[i].revision = 0;
		ha_documents->documents[i].length = -1;
	}
}

static const ShmemArea documents_area = {"pgcluster documents", documents_size, 1,
										 documents_attach};

void
ha_state_init(void)
{
	enabled = config_etcd_endpoints != NULL && config_etcd_endpoints[0] != '\0' &&
			  IsPostmasterEnvironment && !IsBinaryUpgrade;
	shmem_register(&state_area);
	shmem_register(&documents_area);
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

static bool
lock_soon(LWLock *lock)
{
	for (int i = 0; i < LOCK_TRIES; i++)
	{
		if (LWLockConditionalAcquire(lock, LW_SHARED))
			return true;
		pg_usleep(LOCK_NAP_US);
	}
	return false;
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

	/* An agent that is stopped must not stop those who ask. */
	if (!lock_soon(ha_shared->lock))
		return false;
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

/* Do the member's tags keep readers away? */
static bool
is_kept_from_readers(const char *tags)
{
	json_object *object = json_tokener_parse(tags);
	json_object *value;
	bool kept = object == NULL;

	if (json_object_object_get_ex(object, "noloadbalance", &value))
		kept = json_object_get_boolean(value);
	json_object_put(object);
	return kept;
}

static bool
is_replica_of(const SharedMember *m, const SharedGroup *group)
{
	return m->group_id == group->leader.group_id && m->lsn_known &&
		   strcmp(m->state, "streaming") == 0 && strcmp(m->name, group->holder) != 0;
}

int
ha_group_replicas(int group_id, GroupReplica *replicas, int max, uint64 *optime)
{
	char(*tags)[HA_TAGS_SIZE] = palloc(max * sizeof(*tags));
	const SharedGroup *group = NULL;
	int n = 0;
	int free_for_all = 0;

	*optime = 0;
	if (ha_shared == NULL || !lock_soon(ha_shared->lock))
		return 0;
	for (int i = 0; i < ha_shared->ngroups && group == NULL; i++)
	{
		if (ha_shared->groups[i].leader.group_id == group_id)
			group = &ha_shared->groups[i];
	}
	if (group != NULL)
		*optime = group->optime;
	for (int i = 0; group != NULL && i < ha_shared->nmembers && n < max; i++)
	{
		const SharedMember *m = &ha_shared->members[i];

		if (!is_replica_of(m, group))
			continue;
		strlcpy(replicas[n].host, m->host, sizeof(replicas[n].host));
		replicas[n].port = m->port;
		replicas[n].lsn = m->lsn;
		strlcpy(tags[n++], m->tags, sizeof(*tags));
	}
	LWLockRelease(ha_shared->lock);
	for (int i = 0; i < n; i++)
	{
		if (!is_kept_from_readers(tags[i]))
			replicas[free_for_all++] = replicas[i];
	}
	pfree(tags);
	return free_for_all;
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

static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const SharedMember *) a)->name, ((const SharedMember *) b)->name);
}

static void
copy_picture(HaPicture *picture)
{
	int n = 0;

	picture->connected = ha_shared->connected;
	picture->answered_us = ha_shared->answered_us;
	strlcpy(picture->holder, ha_shared->holder, sizeof(picture->holder));
	picture->epoch = ha_shared->epoch;
	picture->ttl = ha_shared->ttl;
	picture->paused = ha_shared->paused;
	picture->standby_cluster = ha_shared->standby_cluster;
	picture->maximum_lag = ha_shared->maximum_lag;
	strlcpy(picture->switchover_from, ha_shared->failover.leader, sizeof(picture->switchover_from));
	strlcpy(picture->switchover_to, ha_shared->failover.member, sizeof(picture->switchover_to));
	picture->switchover_at = ha_shared->failover.at;
	picture->optime = 0;
	for (int i = 0; i < ha_shared->ngroups; i++)
		if (ha_shared->groups[i].leader.group_id == ha_own_group())
			picture->optime = ha_shared->groups[i].optime;
	for (int i = 0; i < ha_shared->nmembers; i++)
		if (ha_shared->members[i].group_id == ha_own_group())
			picture->members[n++] = ha_shared->members[i];
	picture->nmembers = n;
}

bool
ha_read_holder(char holder[HA_NAME_SIZE])
{
	if (!lock_soon(ha_shared->lock))
		return false;
	strlcpy(holder, ha_shared->holder, HA_NAME_SIZE);
	LWLockRelease(ha_shared->lock);
	return true;
}

bool
ha_read_picture(HaPicture *picture)
{
	bool locked = lock_soon(ha_shared->lock);

	if (locked)
	{
		copy_picture(picture);
		LWLockRelease(ha_shared->lock);
		qsort(picture->members, picture->nmembers, sizeof(SharedMember), compare_names);
	}
	picture->deadline_us = (int64) pg_atomic_read_u64(&ha_shared->deadline_us);
	picture->turn_us = (int64) pg_atomic_read_u64(&ha_shared->turn_us);
	picture->promised_us = (int64) pg_atomic_read_u64(&ha_shared->failsafe_promised_us);
	return locked;
}

char **
ha_member_hosts(int *n)
{
	char **hosts = palloc(sizeof(char *) * HA_MAX_MEMBERS);
	char(*copy)[sizeof(ha_shared->members[0].host)] = palloc(sizeof(*copy) * HA_MAX_MEMBERS);

	*n = 0;
	if (!lock_soon(ha_shared->lock))
		return hosts;
	for (; *n < ha_shared->nmembers; (*n)++)
		strlcpy(copy[*n], ha_shared->members[*n].host, sizeof(copy[*n]));
	LWLockRelease(ha_shared->lock);
	for (int i = 0; i < *n; i++)
		hosts[i] = copy[i];
	return hosts;
}

void
ha_document_publish(HaDocument which, const char *value, int64 revision)
{
	SharedDocument *document = &ha_documents->documents[which];
	size_t length = value == NULL ? 0 : strlen(value);

	/* The agent alone writes, so it may look without the lock. */
	if (document->revision == revision && (document->length >= 0) == (value != NULL))
		return;
	LWLockAcquire(ha_documents->lock, LW_EXCLUSIVE);
	document->revision = revision;
	document->length = value == NULL ? -1 : (int) Min(length, HA_DOCUMENT_SIZE);
	if (value != NULL && length < HA_DOCUMENT_SIZE)
		memcpy(document->text, value, length);
	LWLockRelease(ha_documents->lock);
}

const char *
ha_follower_role(HaSync sync)
{
	static const char *const roles[] = {
		[HA_SYNC_NONE] = "replica",
		[HA_SYNC_STANDBY] = "sync_standby",
		[HA_SYNC_QUORUM] = "quorum_standby",
	};

	return roles[sync];
}

char *
ha_read_document(HaDocument which)
{
	SharedDocument *document = &ha_documents->documents[which];
	char *text = palloc(HA_DOCUMENT_SIZE + 1);
	int length;

	if (!ha_enabled())
		return NULL;
	if (!lock_soon(ha_documents->lock))
		ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
						errmsg("the agent of this server does not answer")));
	length = document->length;
	if (length >= 0 && length < HA_DOCUMENT_SIZE)
		memcpy(text, document->text, length);
	LWLockRelease(ha_documents->lock);

	if (length >= HA_DOCUMENT_SIZE)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a key of the store is longer than %d bytes", HA_DOCUMENT_SIZE)));
	if (length < 0)
		return NULL;
	text[length] = '\0';
	return text;
}
