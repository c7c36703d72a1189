/*-------------------------------------------------------------------------
 * slots.c
 *	  Replication slots: what the agent says there should be, and the worker
 *	  that sees to it.
 *
 * The agent works out which slots this server should have and leaves that in
 * shared memory; slot_plan.c compares it with what there is, and the worker
 * carries out the difference.  Making and dropping slots waits for the disk,
 * which the agent must never do.
 *
 * The worker keeps nothing that matters: begun anew, it counts the time that
 * a slot was not wanted from then on.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/slot.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/procsignal.h"
#include "storage/standby.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/shmem.h"
#include "ha/agent.h"
#include "ha/slots.h"

#define MAX_DATABASES 16
#define NAP_MS 1000
/* How long a question to the leader may take. */
#define CALL_US (10 * INT64CONST(1000000))
#define SCAN_US (5 * INT64CONST(1000000))
/* How long, and how often, a standby is helped to begin. */
#define HELP_US (15 * INT64CONST(1000000))
#define HELP_EVERY_US (2 * INT64CONST(1000000))
/* A step that failed is not tried again sooner. */
#define REST_US (30 * INT64CONST(1000000))

/* A database whose logical slots have a worker. */
typedef struct SlotDatabase
{
	pid_t pid; /* 0: none */
	char name[SLOT_NAME_SIZE];
	int64 calling_us; /* since when it waits for the leader; 0: it does not */
} SlotDatabase;

typedef struct SharedSlots
{
	pg_atomic_uint64 oldest_wal; /* by the worker; 0: not known */
	pg_atomic_uint64 changes;	 /* grows when slots are made or dropped */
	LWLock *lock;				 /* guards all below */
	Latch *worker;
	SlotDatabase databases[MAX_DATABASES];
	SlotOrders orders; /* by the agent */
} SharedSlots;

static SharedSlots *shared = NULL;

/* What the worker remembers of a slot. */
typedef struct SlotNote
{
	char name[SLOT_NAME_SIZE];
	int64 unwanted_since;
	int64 rest_until;
	uint32 catalog_xmin;
	int64 moved_us; /* when that changed */
} SlotNote;

static SlotNote notes[SLOT_MAX];
static int nnotes = 0;

/*
 * The agent's part
 */

static void
gather_members(SlotSituation *s, SlotMember *members)
{
	for (int i = 0; i < agent.nmembers; i++)
	{
		const AgentMember *m = &agent.members[i];
		SlotMember *member = &members[s->nmembers];

		if (m->said.shown.group_id != ha_own_group())
			continue;
		member->name = m->said.shown.name;
		member->is_self = strcmp(member->name, config_node_name) == 0;
		member->may_lead = m->said.may_lead;
		member->timeline = m->said.shown.timeline;
		member->lsn = m->said.shown.lsn;
		s->nmembers++;
		if (strcmp(m->said.upstream, config_node_name) == 0)
			s->keeps = true;
	}
}

static void
report_collision(const char *collides)
{
	static char reported[HA_NAME_SIZE] = "";

	if (strcmp(reported, collides != NULL ? collides : "") == 0)
		return;
	strlcpy(reported, collides != NULL ? collides : "", sizeof(reported));
	if (collides == NULL)
		return;
	ha_event_record("no slot",
					psprintf("the name of member \"%s\" is too much like another's", collides));
	ereport(LOG, (errcode(ERRCODE_DUPLICATE_OBJECT),
				  errmsg("member \"%s\" has no replication slot of its own", collides),
				  errdetail("Its slot would have the name of another member's, or of a permanent "
							"slot."),
				  errhint("Give the member another pgcluster.node_name.")));
}

/* The members' slots first, which are wanted by use_slots only. */
static void
fill_orders(const HaView *view, SlotOrders *orders)
{
	SlotSituation s = {0};
	SlotMember *members = palloc0(sizeof(SlotMember) * HA_MAX_MEMBERS);
	const AgentKey *leader = observe_key(KEY_LEADER);
	const AgentMember *m = leader->value ? observe_member(ha_own_group(), leader->value) : NULL;
	const char *collides;

	s.primary = view->role == HA_PRIMARY;
	s.standby_cluster = agent.standby.enabled;
	s.keeps = view->lease == LEASE_MINE || view->may_lead;
	s.timeline = view->position.timeline;
	s.members = members;
	s.positions = agent.status.slots;
	s.npositions = agent.status.nslots;
	gather_members(&s, members);
	if (!agent.config.use_slots)
		s.nmembers = 0;

	orders->known = true;
	orders->leads = s.primary && view->lease == LEASE_MINE;
	orders->ttl_us = agent.config.member_slots_ttl * INT64CONST(1000000);
	orders->settings = agent.slots;
	orders->epoch = leader->create_revision;
	if (m != NULL && view->lease == LEASE_OTHER && strcmp(m->said.shown.role, "primary") == 0)
	{
		strlcpy(orders->leader_host, m->said.shown.host, sizeof(orders->leader_host));
		orders->leader_port = m->said.shown.port;
	}
	orders->direct = strcmp(agent.upstream.member, leader->value ? leader->value : "") == 0;
	orders->nwishes = slot_wishes(&s, &agent.slots, orders->wishes, SLOT_MAX, &collides);
	report_collision(collides);
}

/*
 * Without the group's settings it is not known which slots are permanent.
 */
void
slots_attend(const HaView *view)
{
	SlotOrders *orders = palloc0(sizeof(SlotOrders));
	bool differ;

	if (view->role == HA_STARTING || observe_key(KEY_CONFIG)->value == NULL)
		return;
	fill_orders(view, orders);
	/* Somebody who was stopped may hold it: the agent does not wait. */
	if (!LWLockConditionalAcquire(shared->lock, LW_EXCLUSIVE))
		return;
	differ = memcmp(&shared->orders, orders, sizeof(SlotOrders)) != 0;
	if (differ)
	{
		shared->orders = *orders;
		if (shared->worker != NULL)
			SetLatch(shared->worker);
	}
	LWLockRelease(shared->lock);
}

static uint64 changes_told = 0;

bool
slots_have_changed(void)
{
	return changes_told != pg_atomic_read_u64(&shared->changes);
}

/*
 * A logical slot that a former leader had and this one has no good copy of
 * must not be made anew: its subscriber would miss what came in between.  So
 * it stays among the positions.
 */
static int
keep_lost_slots(const HaStatus *former, SlotPosition *positions, int n, int max)
{
	int present = n;

	for (int i = 0; i < former->nslots && n < max; i++)
	{
		const SlotWish *wish =
			slot_find_wish(shared->orders.wishes, shared->orders.nwishes, former->slots[i].name);
		bool there = false;

		for (int k = 0; k < present && !there; k++)
			there = strcmp(positions[k].name, former->slots[i].name) == 0;
		if (!there && wish != NULL && wish->kind == SLOT_LOGICAL)
			positions[n++] = former->slots[i];
	}
	return n;
}

/*
 * In shared memory, without waiting for the disk.  A slot that somebody else
 * made is nobody's business.
 */
int
slots_positions(const HaStatus *former, SlotPosition *positions, int max)
{
	SlotFact *facts = palloc(sizeof(SlotFact) * SLOT_MAX);
	uint64 changes;
	int nfacts;
	int n = 0;

	changes = pg_atomic_read_u64(&shared->changes);
	nfacts = slot_ops_try_list(facts, SLOT_MAX);
	if (nfacts < 0)
	{
		memcpy(positions, former->slots, sizeof(SlotPosition) * former->nslots);
		return former->nslots;
	}
	changes_told = changes;
	for (int i = 0; i < nfacts && n < max; i++)
	{
		const SlotFact *fact = &facts[i];
		const SlotWish *wish =
			slot_find_wish(shared->orders.wishes, shared->orders.nwishes, fact->name);
		XLogRecPtr lsn = fact->kind == SLOT_LOGICAL ? fact->confirmed_lsn : fact->restart_lsn;

		if (lsn == InvalidXLogRecPtr ||
			(fact->origin == SLOT_FOREIGN && (wish == NULL || wish->kind != fact->kind)))
			continue;
		strlcpy(positions[n].name, fact->name, SLOT_NAME_SIZE);
		positions[n++].lsn = lsn;
	}
	return keep_lost_slots(former, positions, n, max);
}

XLogRecPtr
slots_oldest_wal(void)
{
	return pg_atomic_read_u64(&shared->oldest_wal);
}

bool
slots_are_kept(void)
{
	bool kept;

	LWLockAcquire(shared->lock, LW_SHARED);
	kept = shared->worker != NULL;
	LWLockRelease(shared->lock);
	return kept;
}

void
slots_read_orders(SlotOrders *orders)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	*orders = shared->orders;
	LWLockRelease(shared->lock);
}

void
slots_note_change(void)
{
	pg_atomic_fetch_add_u64(&shared->changes, 1);
}

/*
 * For walsenders
 */

static bool
is_awaited(const SlotFact *fact)
{
	const SlotWish *wish =
		slot_find_wish(shared->orders.wishes, shared->orders.nwishes, fact->name);

	return wish != NULL && wish->awaited && fact->active && fact->kind == SLOT_PHYSICAL &&
		   fact->origin == SLOT_OF_MEMBER;
}

bool
slots_least_awaited(const char *name, XLogRecPtr *least)
{
	SlotFact *facts = palloc(sizeof(SlotFact) * SLOT_MAX);
	int nfacts = slot_ops_list(facts, SLOT_MAX);
	const SlotWish *wish;

	*least = InvalidXLogRecPtr;
	LWLockAcquire(shared->lock, LW_SHARED);
	wish = slot_find_wish(shared->orders.wishes, shared->orders.nwishes, name);
	if (wish != NULL && wish->kind == SLOT_LOGICAL)
		for (int i = 0; i < nfacts; i++)
			if (is_awaited(&facts[i]) &&
				(*least == InvalidXLogRecPtr || facts[i].restart_lsn < *least))
				*least = facts[i].restart_lsn;
	LWLockRelease(shared->lock);
	pfree(facts);
	return *least != InvalidXLogRecPtr;
}

/*
 * The workers of databases
 */

static bool
is_alive(const SlotDatabase *entry)
{
	return entry->pid != 0 && (kill(entry->pid, 0) == 0 || errno != ESRCH);
}

bool
slots_worker_runs(const char *database)
{
	bool runs = false;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < MAX_DATABASES && !runs; i++)
		runs = is_alive(&shared->databases[i]) && strcmp(shared->databases[i].name, database) == 0;
	LWLockRelease(shared->lock);
	return runs;
}

static void
leave_worker(int code, Datum arg)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_DATABASES; i++)
		if (shared->databases[i].pid == MyProcPid)
			shared->databases[i].pid = 0;
	LWLockRelease(shared->lock);
}

void
slots_note_call(bool calling)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_DATABASES; i++)
		if (shared->databases[i].pid == MyProcPid)
			shared->databases[i].calling_us = calling ? clock_now_us() : 0;
	LWLockRelease(shared->lock);
}

/* One whose leader does not answer any more, and whose connection would wait for hours. */
static void
end_hung_workers(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		SlotDatabase *entry = &shared->databases[i];

		if (entry->calling_us == 0 || clock_now_us() - entry->calling_us < CALL_US)
			continue;
		entry->calling_us = 0;
		if (is_alive(entry))
			kill(entry->pid, SIGTERM);
	}
	LWLockRelease(shared->lock);
}

bool
slots_enter_worker(const char *database)
{
	SlotDatabase *entry = NULL;
	bool runs = slots_worker_runs(database);

	before_shmem_exit(leave_worker, 0);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_DATABASES && !runs && entry == NULL; i++)
		if (!is_alive(&shared->databases[i]))
			entry = &shared->databases[i];
	if (entry != NULL)
	{
		entry->pid = MyProcPid;
		entry->calling_us = 0;
		strlcpy(entry->name, database, SLOT_NAME_SIZE);
	}
	LWLockRelease(shared->lock);
	return entry != NULL;
}

/*
 * The worker
 */

static SlotNote *
find_note(const char *name)
{
	for (int i = 0; i < nnotes; i++)
		if (strcmp(notes[i].name, name) == 0)
			return &notes[i];
	if (nnotes == SLOT_MAX)
		nnotes = 0;
	memset(&notes[nnotes], 0, sizeof(SlotNote));
	strlcpy(notes[nnotes].name, name, SLOT_NAME_SIZE);
	return &notes[nnotes++];
}

static void
take_step(const SlotStep *step)
{
	switch (step->verb)
	{
		case SLOT_CREATE:
			slot_ops_create_physical(step->wish);
			break;
		case SLOT_ADVANCE:
			slot_ops_advance_physical(step->fact->name, step->lsn);
			break;
		case SLOT_DROP:
			slot_ops_drop(step->fact->name);
			break;
	}
}

static const char *
step_slot(const SlotStep *step)
{
	return step->fact != NULL ? step->fact->name : step->wish->name;
}

static void
report_step(const SlotStep *step)
{
	if (step->verb == SLOT_ADVANCE)
		return;
	slots_note_change();
	ereport(LOG, (errmsg(step->verb == SLOT_CREATE ? "made replication slot \"%s\""
												   : "dropped replication slot \"%s\"",
						 step_slot(step)),
				  errdetail("The reason: %s.", step->reason)));
}

static void
recover_from_error(MemoryContext context)
{
	MemoryContextSwitchTo(context);
	HOLD_INTERRUPTS();
	EmitErrorReport();
	FlushErrorState();
	LWLockReleaseAll();
	ConditionVariableCancelSleep();
	pgstat_report_wait_end();
	slot_ops_clean_up();
	AtEOXact_Files(false);
	RESUME_INTERRUPTS();
}

/* One that fails does not keep the others from being taken. */
static void
try_step(const SlotStep *step)
{
	SlotNote *note = find_note(step_slot(step));
	MemoryContext context = CurrentMemoryContext;

	if (step->verb == SLOT_CREATE && step->wish->kind == SLOT_LOGICAL)
		return;
	if (clock_now_us() < note->rest_until)
		return;
	PG_TRY();
	{
		take_step(step);
		report_step(step);
	}
	PG_CATCH();
	{
		recover_from_error(context);
		note->rest_until = clock_now_us() + REST_US;
	}
	PG_END_TRY();
}

/*
 * A standby that begins to carry logical slots needs running transactions to
 * be logged; the server does so only while there are writes, and seldom.
 */
static void
help_standbys(const SlotOrders *orders, const SlotFact *facts, int nfacts)
{
	static int64 logged_us = 0;
	int64 now = clock_now_us();
	bool asked = false;

	for (int i = 0; i < nfacts; i++)
	{
		SlotNote *note = find_note(facts[i].name);

		if (facts[i].origin != SLOT_OF_MEMBER || facts[i].catalog_xmin == 0)
			continue;
		if (note->catalog_xmin != facts[i].catalog_xmin)
			note->moved_us = now;
		note->catalog_xmin = facts[i].catalog_xmin;
		asked |= facts[i].active && now - note->moved_us < HELP_US;
	}
	if (!asked || !orders->leads || RecoveryInProgress() || now - logged_us < HELP_EVERY_US)
		return;
	logged_us = now;
	LogStandbySnapshot();
}

static void
keep_slots(const SlotOrders *orders)
{
	SlotFact *facts = palloc(sizeof(SlotFact) * SLOT_MAX);
	SlotStep *steps = palloc(sizeof(SlotStep) * SLOT_MAX * 2);
	SlotLimits limits = {clock_now_us(), orders->ttl_us, GetRedoRecPtr(), wal_segment_size};
	int nfacts = slot_ops_list(facts, SLOT_MAX);
	int nsteps;

	for (int i = 0; i < nfacts; i++)
		facts[i].unwanted_since = find_note(facts[i].name)->unwanted_since;
	nsteps = slot_plan(orders->wishes, orders->nwishes, facts, nfacts, &orders->settings, &limits,
					   steps);
	for (int i = 0; i < nfacts; i++)
		find_note(facts[i].name)->unwanted_since = facts[i].unwanted_since;
	for (int i = 0; i < nsteps; i++)
		try_step(&steps[i]);
	help_standbys(orders, facts, nfacts);
	slot_logical_attend(orders);
}

static void
scan_wal(void)
{
	static int64 scanned_us = 0;
	int64 now = clock_now_us();
	XLogRecPtr oldest;

	if (scanned_us != 0 && now - scanned_us < SCAN_US)
		return;
	scanned_us = now;
	oldest = slot_ops_oldest_wal();
	if (oldest == pg_atomic_read_u64(&shared->oldest_wal))
		return;
	pg_atomic_write_u64(&shared->oldest_wal, oldest);
	slots_note_change();
}

static void
leave_shared(int code, Datum arg)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->worker = NULL;
	LWLockRelease(shared->lock);
}

static void
enter_shared(void)
{
	before_shmem_exit(leave_shared, 0);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->worker = MyLatch;
	LWLockRelease(shared->lock);
}

static void
turn(MemoryContext cycle)
{
	SlotOrders *orders;

	MemoryContextReset(cycle);
	MemoryContextSwitchTo(cycle);
	orders = palloc(sizeof(SlotOrders));
	slots_read_orders(orders);
	scan_wal();
	end_hung_workers();
	if (orders->known)
		keep_slots(orders);
	WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, NAP_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

extern PGDLLEXPORT void pgcluster_slots_main(Datum arg);

void
pgcluster_slots_main(Datum arg)
{
	MemoryContext cycle;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGUSR1, procsignal_sigusr1_handler);
	BackgroundWorkerUnblockSignals();

	cycle = AllocSetContextCreate(TopMemoryContext, "pgcluster slots", ALLOCSET_DEFAULT_SIZES);
	enter_shared();
	while (!ShutdownRequestPending)
	{
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		CHECK_FOR_INTERRUPTS();
		turn(cycle);
	}
	/* Unless the server is stopping, the worker starts again. */
	proc_exit(1);
}

/*
 * Starting
 */

static Size
slots_size(void)
{
	return sizeof(SharedSlots);
}

static void
slots_attach(void *area, LWLockPadded *locks, bool found)
{
	shared = area;
	if (found)
		return;
	memset(shared, 0, sizeof(SharedSlots));
	pg_atomic_init_u64(&shared->oldest_wal, 0);
	pg_atomic_init_u64(&shared->changes, 0);
	shared->lock = &locks[0].lock;
}

static const ShmemArea slots_area = {"pgcluster slots", slots_size, 1, slots_attach};

void
slots_init(void)
{
	BackgroundWorker worker = {0};

	shmem_register(&slots_area);
	slot_wait_init();
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = 1;
	strlcpy(worker.bgw_library_name, "pgcluster", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "pgcluster_slots_main", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "pgcluster slots", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "pgcluster slots", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}
