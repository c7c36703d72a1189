/*-------------------------------------------------------------------------
 * launcher.c
 *	  Keeps a maintenance worker in each database that has the extension.
 *
 * The launcher belongs to no database.  It cannot see which databases have
 * the extension, so it tries each once: a worker that finds no extension
 * notes that and leaves.  CREATE EXTENSION makes it look again.
 *
 * Both run on primaries only: the server starts them when recovery is over.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/config.h"
#include "base/shmem.h"
#include "shard/maintenance/maintenance.h"
#include "shard/remote/connection.h"
#include "shard/remote/gate.h"

#define MAX_DATABASES 64
#define LAUNCHER_NAP_US (30 * INT64CONST(1000000))
#define ROUND_NAP_US (60 * INT64CONST(1000000))
#define ROUND_RETRY_MIN_US INT64CONST(250000)
#define ROUND_RETRY_MAX_US (2 * INT64CONST(1000000))
#define DEADLOCK_NAP_US INT64CONST(500000)
#define STAY_AWAY_US (10 * INT64CONST(1000000))
#define START_US (30 * INT64CONST(1000000))

typedef enum SlotState
{
	SLOT_FREE, /* no worker, start one */
	SLOT_STARTING,
	SLOT_RUNNING,
	SLOT_NOTHING /* the database has no extension */
} SlotState;

typedef struct Slot
{
	Oid database; /* InvalidOid: not in use */
	SlotState state;
	int64 not_before; /* clock.h: no (other) start before this */
	pid_t pid;
	Latch *latch;
	bool leave;		/* the worker is asked to go */
	bool recover;	/* ... to do a round of recovery */
	bool suspect;	/* ... to look for a deadlock */
	uint64 settled; /* a round found everything in order when gate.h's doubts were this many */
	pid_t victim;	/* chosen to end a deadlock, and not told yet ... */
	TimestampTz victim_xact; /* ... the start of its transaction ... */
	Deadlock deadlock;		 /* ... and which */
} Slot;

/* All under "lock". */
typedef struct MaintenanceShared
{
	Latch *launcher;
	Slot slots[MAX_DATABASES];
} MaintenanceShared;

static MaintenanceShared *shared = NULL;
static LWLock *lock = NULL;
static Slot *my_slot = NULL;

/* The present transaction changed something the launcher should look at. */
static bool wake_at_commit = false;

static ProcessUtility_hook_type prev_ProcessUtility = NULL;

extern PGDLLEXPORT void pgcluster_maintenance_launcher(Datum arg);
extern PGDLLEXPORT void pgcluster_maintenance_worker(Datum arg);
PGCLUSTER_FUNCTION(pgcluster_wake_maintenance);

static Size
shared_size(void)
{
	return sizeof(MaintenanceShared);
}

static void
shared_attach(void *area, LWLockPadded *locks, bool found)
{
	shared = area;
	lock = &locks[0].lock;
	if (!found)
		memset(shared, 0, sizeof(*shared));
}

static const ShmemArea area = {"pgcluster maintenance", shared_size, 1, shared_attach};

/* The database's slot, a fresh one if "make"; NULL if there is none.  Needs the lock. */
static Slot *
slot_of(Oid database, bool make)
{
	Slot *unused = NULL;

	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (shared->slots[i].database == database)
			return &shared->slots[i];
		if (unused == NULL && !OidIsValid(shared->slots[i].database))
			unused = &shared->slots[i];
	}
	if (!make || unused == NULL)
		return NULL;
	memset(unused, 0, sizeof(*unused));
	unused->database = database;
	return unused;
}

/*
 * Waking
 */

/* Sets a flag, *slot + offset, and wakes the worker. */
static void
ask_worker(size_t flag)
{
	Slot *slot;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot = slot_of(MyDatabaseId, false);
	if (slot != NULL)
	{
		*(bool *) ((char *) slot + flag) = true;
		if (slot->latch != NULL)
			SetLatch(slot->latch);
	}
	LWLockRelease(lock);
}

void
maintenance_kick(void)
{
	ask_worker(offsetof(Slot, recover));
}

void
deadlock_suspected(void)
{
	ask_worker(offsetof(Slot, suspect));
}

void
deadlock_choose_victim(int pid, TimestampTz xact_start, const Deadlock *deadlock)
{
	PGPROC *process = BackendPidGetProc(pid);

	if (process == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	my_slot->victim = pid;
	my_slot->victim_xact = xact_start;
	my_slot->deadlock = *deadlock;
	LWLockRelease(lock);
	SetLatch(&process->procLatch);
}

/* A mark that was meant for an earlier transaction is void, and so is one that others' sessions caused. */
bool
deadlock_is_victim(Deadlock *deadlock)
{
	Slot *slot;
	bool victim;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot = slot_of(MyDatabaseId, false);
	victim = slot != NULL && slot->victim == MyProcPid;
	if (victim)
	{
		slot->victim = 0;
		victim = slot->victim_xact == GetCurrentTransactionStartTimestamp();
		*deadlock = slot->deadlock;
	}
	LWLockRelease(lock);
	return victim && connection_has_process(deadlock->victim_group, deadlock->victim_node_pid);
}

static void
wake_launcher(void)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (shared->slots[i].state == SLOT_NOTHING)
			shared->slots[i].state = SLOT_FREE;
	}
	if (shared->launcher != NULL)
		SetLatch(shared->launcher);
	LWLockRelease(lock);
}

static void
xact_callback(XactEvent event, void *arg)
{
	if (!wake_at_commit || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT))
		return;
	wake_at_commit = false;
	if (event == XACT_EVENT_COMMIT)
	{
		wake_launcher();
		maintenance_kick();
	}
}

/* wake_maintenance(): a round, in a new worker if need be, as soon as this commits */
Datum
pgcluster_wake_maintenance(PG_FUNCTION_ARGS)
{
	wake_at_commit = true;
	PG_RETURN_VOID();
}

/*
 * The launcher
 */

static void
forget_launcher(int code, Datum arg)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	shared->launcher = NULL;
	LWLockRelease(lock);
}

/* Databases that can be connected to. */
static List *
list_databases(void)
{
	List *databases = NIL;
	MemoryContext caller = CurrentMemoryContext;
	Relation rel;
	TableScanDesc scan;
	HeapTuple tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old;

		if (!database->datallowconn || database->datistemplate)
			continue;
		old = MemoryContextSwitchTo(caller);
		databases = lappend_oid(databases, database->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return databases;
}

/*
 * Marks the database's slot as starting; false when a worker is not wanted
 * now.  *due is lowered to the time when it will be.
 */
static bool
claim_start(Oid database, int64 *due)
{
	int64 now = clock_now_us();
	Slot *slot;
	bool start = false;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot = slot_of(database, true);
	if (slot != NULL && (slot->state == SLOT_FREE || slot->state == SLOT_STARTING))
	{
		start = now >= slot->not_before;
		if (!start)
			*due = Min(*due, slot->not_before);
	}
	if (start)
	{
		slot->state = SLOT_STARTING;
		slot->not_before = now + START_US;
		slot->leave = false;
	}
	LWLockRelease(lock);
	return start;
}

static void
start_worker(Oid database)
{
	BackgroundWorker worker = {.bgw_flags =
								   BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
							   .bgw_start_time = BgWorkerStart_RecoveryFinished,
							   .bgw_restart_time = BGW_NEVER_RESTART,
							   .bgw_main_arg = ObjectIdGetDatum(database)};

	strlcpy(worker.bgw_library_name, "pgcluster", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pgcluster_maintenance_worker",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "pgcluster maintenance", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "pgcluster maintenance", BGW_MAXLEN);
	if (!RegisterDynamicBackgroundWorker(&worker, NULL))
		ereport(LOG, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					  errmsg("could not start the maintenance worker of a database"),
					  errhint("Raise max_worker_processes.")));
}

/* Slots of databases that are gone. */
static void
forget_dropped(List *databases)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		Slot *slot = &shared->slots[i];

		if (slot->state != SLOT_RUNNING && !list_member_oid(databases, slot->database))
			memset(slot, 0, sizeof(*slot));
	}
	LWLockRelease(lock);
}

/* Milliseconds until then. */
static long
nap(int64 until)
{
	int64 now = clock_now_us();

	return until <= now ? 0 : (until - now) / 1000 + 1;
}

static void
handle_signals(void)
{
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

void
pgcluster_maintenance_launcher(Datum arg)
{
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	before_shmem_exit(forget_launcher, (Datum) 0);
	LWLockAcquire(lock, LW_EXCLUSIVE);
	shared->launcher = MyLatch;
	LWLockRelease(lock);

	for (;;)
	{
		List *databases = list_databases();
		int64 due = clock_now_us() + LAUNCHER_NAP_US;
		ListCell *lc;

		forget_dropped(databases);
		foreach (lc, databases)
		{
			if (claim_start(lfirst_oid(lc), &due))
				start_worker(lfirst_oid(lc));
		}
		list_free(databases);

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, nap(due),
						 PG_WAIT_EXTENSION);
		handle_signals();
	}
}

/*
 * The worker
 */

bool
maintenance_has_settled(uint64 doubts)
{
	Slot *slot;
	bool settled;

	LWLockAcquire(lock, LW_SHARED);
	slot = slot_of(MyDatabaseId, false);
	settled = slot != NULL && slot->settled >= doubts;
	LWLockRelease(lock);
	return settled;
}

/* One round; returns the time until the next. */
static int64
recover(void)
{
	static int64 retry = ROUND_RETRY_MIN_US;
	uint64 doubts = gate_doubts();
	bool complete = recovery_round();

	if (!recovery_failed())
	{
		LWLockAcquire(lock, LW_EXCLUSIVE);
		my_slot->settled = doubts;
		LWLockRelease(lock);
	}
	retry = complete ? ROUND_RETRY_MIN_US : Min(retry * 2, ROUND_RETRY_MAX_US);
	return complete ? ROUND_NAP_US : retry;
}

static void
release_slot(int code, Datum arg)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (my_slot != NULL && my_slot->pid == MyProcPid)
	{
		my_slot->latch = NULL;
		my_slot->pid = 0;
		if (my_slot->state == SLOT_RUNNING)
			my_slot->state = SLOT_FREE;
	}
	LWLockRelease(lock);
}

/* False when another worker has the database. */
static bool
take_slot(void)
{
	Slot *slot;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot = slot_of(MyDatabaseId, true);
	if (slot != NULL && slot->pid == 0 && !slot->leave)
	{
		slot->state = SLOT_RUNNING;
		slot->pid = MyProcPid;
		slot->latch = MyLatch;
		/* Should it die at once, the next one does not follow at once. */
		slot->not_before = clock_now_us() + STAY_AWAY_US;
		my_slot = slot;
	}
	LWLockRelease(lock);
	return my_slot != NULL;
}

/* What the worker is asked for; asking for a round is done with by this. */
static Slot
take_requests(void)
{
	Slot requests;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	requests = *my_slot;
	my_slot->recover = false;
	my_slot->suspect = false;
	LWLockRelease(lock);
	return requests;
}

/* A round waits for nodes, and so may swallow the wake-up of a request. */
static bool
is_asked(void)
{
	bool asked;

	LWLockAcquire(lock, LW_SHARED);
	asked = my_slot->leave || my_slot->recover || my_slot->suspect;
	LWLockRelease(lock);
	return asked;
}

static bool
extension_exists(void)
{
	bool exists;

	StartTransactionCommand();
	exists = OidIsValid(get_extension_oid("pgcluster", true));
	CommitTransactionCommand();
	return exists;
}

static void
note_nothing_to_do(void)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	my_slot->state = SLOT_NOTHING;
	my_slot->not_before = 0;
	LWLockRelease(lock);
}

/* When the statistics are to be looked at again, after they were then. */
static int64
next_look(int64 looked_at)
{
	return config_analyze_naptime > 0 ? looked_at + config_analyze_naptime * INT64CONST(1000000)
									  : PG_INT64_MAX;
}

void
pgcluster_maintenance_worker(Datum arg)
{
	int64 recover_at = 0;
	int64 deadlock_at = 0;
	int64 looked_at = clock_now_us(); /* at the statistics: others have more to do at the start */
	bool suspect = false;

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg), InvalidOid, 0);

	if (!take_slot())
		return;
	before_shmem_exit(release_slot, (Datum) 0);

	/* A round that waited for itself would wait for ever. */
	SetConfigOption("pgcluster.read_consistency", "shard", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_USERSET, PGC_S_SESSION);

	for (;;)
	{
		Slot requests;
		int64 now = clock_now_us();

		handle_signals();
		requests = take_requests();
		if (requests.leave)
			return;
		suspect |= requests.suspect;
		if (now >= recover_at || requests.recover)
		{
			if (!extension_exists())
			{
				note_nothing_to_do();
				return;
			}
			recover_at = now + recover();
		}
		if (suspect && now >= deadlock_at)
		{
			suspect = false;
			deadlock_round();
			deadlock_at = clock_now_us() + Min(DEADLOCK_NAP_US, (int64) DeadlockTimeout * 1000);
		}

		if (now >= next_look(looked_at))
		{
			statistics_start();
			looked_at = now;
		}

		pgstat_report_activity(STATE_IDLE, NULL);
		if (is_asked())
			continue;
		(void) WaitLatch(
			MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
			nap(Min(next_look(looked_at), suspect ? Min(recover_at, deadlock_at) : recover_at)),
			PG_WAIT_EXTENSION);
	}
}

/*
 * Databases that must be without connections
 */

/* True when the database has no worker; "terminate" to stop asking and end it. */
static bool
is_left(Oid database, bool terminate)
{
	Slot *slot;
	bool left;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot = slot_of(database, false);
	left = slot == NULL || slot->pid == 0;
	if (slot != NULL)
	{
		slot->not_before = clock_now_us() + STAY_AWAY_US;
		/* One that is just starting finds this and goes. */
		slot->leave = !left || slot->state == SLOT_STARTING;
		if (slot->latch != NULL)
			SetLatch(slot->latch);
		if (!left && terminate)
			kill(slot->pid, SIGTERM);
	}
	LWLockRelease(lock);
	return left;
}

void
maintenance_leave(Oid database)
{
	int64 start = clock_now_us();

	while (OidIsValid(database) && !is_left(database, clock_now_us() > start + 2000000))
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* The name of the database that a command needs without connections, or NULL. */
static const char *
database_wanted(const Node *command)
{
	ListCell *lc;
	const char *template = "template1";

	switch (nodeTag(command))
	{
		case T_DropdbStmt:
			return ((const DropdbStmt *) command)->dbname;
		case T_RenameStmt:
			return ((const RenameStmt *) command)->renameType == OBJECT_DATABASE
					   ? ((const RenameStmt *) command)->subname
					   : NULL;
		case T_AlterDatabaseStmt:
			return ((const AlterDatabaseStmt *) command)->dbname;
		case T_CreatedbStmt:
			foreach (lc, ((const CreatedbStmt *) command)->options)
			{
				DefElem *option = lfirst(lc);

				if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
					template = defGetString(option);
			}
			return template;
		default:
			return NULL;
	}
}

static void
pgcluster_ProcessUtility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
						 ProcessUtilityContext context, ParamListInfo params,
						 QueryEnvironment *environment, DestReceiver *dest,
						 QueryCompletion *completion)
{
	const char *database = database_wanted(pstmt->utilityStmt);

	if (database != NULL)
		maintenance_leave(get_database_oid(database, true));
	if (prev_ProcessUtility)
		prev_ProcessUtility(pstmt, query, read_only_tree, context, params, environment, dest,
							completion);
	else
		standard_ProcessUtility(pstmt, query, read_only_tree, context, params, environment, dest,
								completion);
}

void
maintenance_init(void)
{
	BackgroundWorker worker = {.bgw_flags =
								   BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
							   .bgw_start_time = BgWorkerStart_RecoveryFinished,
							   .bgw_restart_time = 5};

	shmem_register(&area);
	RegisterXactCallback(xact_callback, NULL);
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = pgcluster_ProcessUtility;

	strlcpy(worker.bgw_library_name, "pgcluster", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pgcluster_maintenance_launcher",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "pgcluster maintenance launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "pgcluster maintenance launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}
