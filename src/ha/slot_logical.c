/*-------------------------------------------------------------------------
 * slot_logical.c
 *	  Permanent logical slots: made on the leader, carried over to standbys.
 *
 * A worker for each database that has such slots.  On the leader it makes
 * what is missing and ends.  On a standby it keeps a copy of each of the
 * leader's slots and has the server's own decoding move it along, which leaves
 * the snapshots on disk that decoding will start from.
 *
 * A copy is good once three things are certain: the WAL it needs is here, a
 * snapshot is on disk for the place where decoding begins, and the leader has
 * kept the catalog rows it needs.  The last is so when the leader had been
 * told (by hot_standby_feedback, through this member's slot) to keep rows that
 * old before its own slot moved on, or when the copy has since come as far
 * as the leader's slot was then.
 *
 * What must stay true: a copy that is not known to be good is a temporary
 * slot of this process, so nobody can use it, and it goes with this process,
 * with a crash and when the server is promoted.  No copy is ahead of the
 * leader's slot, nor of what was replayed here.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>
#include <unistd.h>

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/slot.h"
#include "replication/walreceiver.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/snapmgr.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/config.h"
#include "ha/settings.h"
#include "ha/shared.h"
#include "ha/slots.h"

#define NAP_MS 1000
/* A worker is not started again, nor the leader called again, sooner. */
#define RESTART_US (5 * INT64CONST(1000000))
#define MAX_DATABASES 16
#define SNAPSHOT_FOLDER "pg_logical/snapshots"

/* A slot of the leader. */
typedef struct RemoteSlot
{
	char name[SLOT_NAME_SIZE];
	char plugin[SLOT_NAME_SIZE];
	XLogRecPtr restart_lsn;
	XLogRecPtr confirmed_lsn;
	TransactionId catalog_xmin;
	bool two_phase;
} RemoteSlot;

/* What is known of the copy of one. */
typedef struct SlotCopy
{
	char name[SLOT_NAME_SIZE];
	bool good;
	bool lost;
	/* The leader has kept the rows from here on; invalid: that is not certain yet. */
	TransactionId kept_from;
	XLogRecPtr decoded_to; /* the leader's restart_lsn at the last decoding */
} SlotCopy;

/* What the leader said. */
typedef struct Answer
{
	int nslots;
	RemoteSlot slots[SLOT_MAX_PERMANENT];
	TransactionId fed_back; /* the oldest rows it keeps for this member; may be invalid */
} Answer;

static char database[NAMEDATALEN];
static SlotCopy copies[SLOT_MAX_PERMANENT];
static int ncopies = 0;
static int64 copies_epoch = 0; /* of the leader they were judged by */

static WalReceiverConn *leader = NULL;
static char leader_conninfo[1024];
static int64 called_us = 0;
static char complained_of[256] = ""; /* the reason that was logged last */

static bool hushed = false;
static emit_log_hook_type prev_emit_log = NULL;

/*
 * Slots here
 */

/* A copy of the slot as it is now; false: there is none. */
static bool
look_up(const char *name, ReplicationSlot *slot)
{
	ReplicationSlot *found;

	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	found = SearchNamedReplicationSlot(name, false);
	if (found != NULL)
	{
		SpinLockAcquire(&found->mutex);
		*slot = *found;
		SpinLockRelease(&found->mutex);
	}
	LWLockRelease(ReplicationSlotControlLock);
	return found != NULL;
}

static SlotCopy *
find_copy(const char *name)
{
	for (int i = 0; i < ncopies; i++)
		if (strcmp(copies[i].name, name) == 0)
			return &copies[i];
	if (ncopies == SLOT_MAX_PERMANENT)
		ncopies = 0;
	memset(&copies[ncopies], 0, sizeof(SlotCopy));
	strlcpy(copies[ncopies].name, name, SLOT_NAME_SIZE);
	return &copies[ncopies++];
}

/* The walreceiver tells the leader at once which rows are needed here now. */
static void
feed_back(void)
{
	pid_t pid;

	SpinLockAcquire(&WalRcv->mutex);
	pid = WalRcv->pid;
	SpinLockRelease(&WalRcv->mutex);
	if (pid > 0)
		kill(pid, SIGHUP);
}

/*
 * A temporary slot with what the leader's is set to.  Taken back when the WAL
 * is not here: the leader's slot will come to where it is.
 */
static void
make_copy(const RemoteSlot *remote)
{
	ReplicationSlot *slot;

	if (remote->confirmed_lsn > GetXLogReplayRecPtr(NULL))
		return;
	compat_slot_create(remote->name, true, RS_TEMPORARY);
	slot = MyReplicationSlot;
	LWLockAcquire(ReplicationSlotAllocationLock, LW_EXCLUSIVE);
	SpinLockAcquire(&slot->mutex);
	namestrcpy(&slot->data.plugin, remote->plugin);
	slot->data.two_phase = remote->two_phase;
	slot->data.restart_lsn = remote->restart_lsn;
	slot->data.confirmed_flush = remote->confirmed_lsn;
	slot->data.catalog_xmin = remote->catalog_xmin;
	slot->effective_catalog_xmin = remote->catalog_xmin;
	SpinLockRelease(&slot->mutex);
	LWLockRelease(ReplicationSlotAllocationLock);
	slot_ops_mark(SLOT_PERMANENT);
	ReplicationSlotsComputeRequiredXmin(false);
	ReplicationSlotsComputeRequiredLSN();
	if (!slot_ops_has_wal(remote->restart_lsn))
	{
		ReplicationSlotRelease();
		ReplicationSlotDrop(remote->name, true);
		return;
	}
	ReplicationSlotMarkDirty();
	ReplicationSlotSave();
	ReplicationSlotRelease();
	feed_back();
}

/* Nobody may use the slot until it is known to be good. */
static void
hold_copy(const char *name)
{
	ReplicationSlot *slot;

	compat_slot_acquire(name);
	slot = MyReplicationSlot;
	SpinLockAcquire(&slot->mutex);
	slot->data.persistency = RS_TEMPORARY;
	SpinLockRelease(&slot->mutex);
	ReplicationSlotMarkDirty();
	ReplicationSlotSave();
	ReplicationSlotRelease();
}

static void
release_copy(const char *name)
{
	compat_slot_acquire(name);
	slot_ops_mark(SLOT_PERMANENT);
	ReplicationSlotPersist();
	ReplicationSlotRelease();
	ereport(LOG, (errmsg("logical replication slot \"%s\" is ready for a failover", name)));
}

/*
 * Nothing is decoded twice for this: what the subscriber has confirmed decides
 * only from where on changes are sent.
 */
static void
confirm_copy(const char *name, XLogRecPtr lsn)
{
	ReplicationSlot *slot;

	compat_slot_acquire(name);
	slot = MyReplicationSlot;
	SpinLockAcquire(&slot->mutex);
	if (slot->data.confirmed_flush < lsn)
		slot->data.confirmed_flush = lsn;
	SpinLockRelease(&slot->mutex);
	ReplicationSlotMarkDirty();
	ReplicationSlotRelease();
}

/* The server says in its log, each time, that it begins to decode. */
static void
hush(ErrorData *edata)
{
	if (hushed && edata->elevel == LOG)
		edata->output_to_server = false;
	if (prev_emit_log)
		prev_emit_log(edata);
}

/* Has the server decode up to there, keeping nothing but the snapshots. */
static void
decode_copy(const char *name, XLogRecPtr lsn)
{
	Oid types[] = {NAMEOID, PG_LSNOID};
	Datum values[] = {CStringGetDatum(name), LSNGetDatum(lsn)};

	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	hushed = true;
	PG_TRY();
	{
		if (SPI_execute_with_args("SELECT pg_catalog.pg_replication_slot_advance($1, $2)", 2, types,
								  values, NULL, false, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not advance a slot");
	}
	PG_FINALLY();
	{
		hushed = false;
	}
	PG_END_TRY();
	PopActiveSnapshot();
	SPI_finish();
}

static bool
has_snapshot(XLogRecPtr lsn)
{
	char path[MAXPGPATH];

	snprintf(path, sizeof(path), SNAPSHOT_FOLDER "/%X-%X.snap", LSN_FORMAT_ARGS(lsn));
	return access(path, F_OK) == 0;
}

/*
 * Judging
 */

static bool
are_rows_kept(SlotCopy *copy, const ReplicationSlot *slot, const RemoteSlot *remote,
			  const Answer *answer)
{
	TransactionId own = slot->data.catalog_xmin;

	if (!TransactionIdIsNormal(answer->fed_back) || !TransactionIdIsNormal(own) ||
		!TransactionIdPrecedesOrEquals(answer->fed_back, own))
		return false;
	/* Of what went before that moment, the leader's own slot kept this much. */
	if (!TransactionIdIsNormal(copy->kept_from))
		copy->kept_from = remote->catalog_xmin;
	return TransactionIdFollowsOrEquals(own, copy->kept_from);
}

static void
judge_copy(SlotCopy *copy, const RemoteSlot *remote, const Answer *answer)
{
	ReplicationSlot slot;

	if (!look_up(copy->name, &slot) || compat_slot_is_invalid(&slot) ||
		!are_rows_kept(copy, &slot, remote, answer) || !has_snapshot(slot.data.restart_lsn) ||
		!slot_ops_has_wal(slot.data.restart_lsn))
		return;
	if (slot.data.persistency != RS_PERSISTENT)
		release_copy(copy->name);
	copy->good = true;
}

/* Within a transaction, for the server's function. */
static void
move_copy(SlotCopy *copy, const ReplicationSlot *slot, const RemoteSlot *remote)
{
	XLogRecPtr lsn = Min(remote->confirmed_lsn, GetXLogReplayRecPtr(NULL));

	if (lsn < slot->data.confirmed_flush)
		return;
	/* Decoding begins at restart_lsn each time: once for each step of the leader's. */
	if (copy->decoded_to != remote->restart_lsn || !copy->good)
	{
		decode_copy(copy->name, lsn);
		copy->decoded_to = remote->restart_lsn;
	}
	else if (lsn > slot->data.confirmed_flush)
		confirm_copy(copy->name, lsn);
}

static void
tend_copy(const RemoteSlot *remote, const Answer *answer)
{
	SlotCopy *copy = find_copy(remote->name);
	ReplicationSlot slot;

	if (!look_up(remote->name, &slot))
	{
		copy->good = false;
		copy->kept_from = InvalidTransactionId;
		make_copy(remote);
		return;
	}
	if (slot.data.database != MyDatabaseId || compat_slot_is_invalid(&slot) ||
		(slot.active_pid != 0 && slot.active_pid != MyProcPid))
		return;
	if (!copy->good && slot.data.persistency == RS_PERSISTENT)
	{
		judge_copy(copy, remote, answer);
		if (!copy->good)
			hold_copy(remote->name);
	}
	move_copy(copy, &slot, remote);
	if (!copy->good)
		judge_copy(copy, remote, answer);
}

/*
 * The leader
 */

static void
hang_up(void)
{
	if (leader != NULL)
		walrcv_disconnect(leader);
	leader = NULL;
}

static bool
call_leader(const SlotOrders *orders)
{
	char *conninfo = ha_database_conninfo(orders->leader_host, orders->leader_port, database);
	MemoryContext former;
	char *reason = NULL;

	if (leader != NULL && strcmp(conninfo, leader_conninfo) == 0)
		return true;
	hang_up();
	if (called_us != 0 && clock_now_us() - called_us < RESTART_US)
		return false;
	called_us = clock_now_us();
	former = MemoryContextSwitchTo(TopMemoryContext);
	slots_note_call(true);
	leader = compat_walrcv_connect(conninfo, "pgcluster slots", &reason);
	slots_note_call(false);
	MemoryContextSwitchTo(former);
	strlcpy(leader_conninfo, conninfo, sizeof(leader_conninfo));
	if (leader != NULL)
		complained_of[0] = '\0';
	else if (strncmp(complained_of, reason, sizeof(complained_of) - 1) != 0)
	{
		strlcpy(complained_of, reason, sizeof(complained_of));
		ereport(LOG, (errcode(ERRCODE_CONNECTION_FAILURE),
					  errmsg("could not connect to the leader for the logical slots of database "
							 "\"%s\": %s",
							 database, reason),
					  errhint("pg_hba.conf of the leader must let \"%s\" connect to this database.",
							  config_replication_user)));
	}
	return leader != NULL;
}

static char *
slots_query(void)
{
	char own[SLOT_NAME_SIZE];

	slot_name_of(config_node_name, own);
	return psprintf("SELECT slot_name::text, plugin::text, restart_lsn::text,"
					" confirmed_flush_lsn::text, catalog_xmin::text, two_phase::text,"
					" (SELECT o.catalog_xmin::text FROM pg_catalog.pg_replication_slots o"
					" WHERE o.slot_name = '%s' AND o.active)"
					" FROM pg_catalog.pg_replication_slots"
					" WHERE slot_type = 'logical' AND NOT temporary"
					" AND database = pg_catalog.current_database()"
					" AND wal_status IS DISTINCT FROM 'lost' AND restart_lsn IS NOT NULL"
					" AND confirmed_flush_lsn IS NOT NULL AND catalog_xmin IS NOT NULL",
					own);
}

#define N_COLUMNS 7

static char *
get_column(TupleTableSlot *row, int column)
{
	bool is_null;
	Datum value = slot_getattr(row, column, &is_null);

	return is_null ? NULL : TextDatumGetCString(value);
}

static XLogRecPtr
read_lsn(const char *text)
{
	return DatumGetLSN(DirectFunctionCall1(pg_lsn_in, CStringGetDatum(text)));
}

static void
read_row(TupleTableSlot *row, Answer *answer)
{
	RemoteSlot *slot = &answer->slots[answer->nslots];
	const char *fed_back = get_column(row, 7);

	if (answer->nslots == SLOT_MAX_PERMANENT)
		return;
	strlcpy(slot->name, get_column(row, 1), SLOT_NAME_SIZE);
	strlcpy(slot->plugin, get_column(row, 2), SLOT_NAME_SIZE);
	slot->restart_lsn = read_lsn(get_column(row, 3));
	slot->confirmed_lsn = read_lsn(get_column(row, 4));
	slot->catalog_xmin = (TransactionId) strtoul(get_column(row, 5), NULL, 10);
	slot->two_phase = strcmp(get_column(row, 6), "true") == 0;
	answer->nslots++;
	answer->fed_back =
		fed_back == NULL ? InvalidTransactionId : (TransactionId) strtoul(fed_back, NULL, 10);
}

static bool
ask_leader(Answer *answer)
{
	Oid types[N_COLUMNS] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	WalRcvExecResult *result;
	TupleTableSlot *row;

	slots_note_call(true);
	result = walrcv_exec(leader, slots_query(), N_COLUMNS, types);
	slots_note_call(false);
	memset(answer, 0, sizeof(*answer));
	if (result->status != WALRCV_OK_TUPLES)
	{
		ereport(LOG, (errmsg("could not read the logical slots of the leader: %s",
							 result->err != NULL ? result->err : "no answer")));
		walrcv_clear_result(result);
		hang_up();
		return false;
	}
	row = MakeSingleTupleTableSlot(result->tupledesc, &TTSOpsMinimalTuple);
	while (tuplestore_gettupleslot(result->tuplestore, true, false, row))
		read_row(row, answer);
	ExecDropSingleTupleTableSlot(row);
	walrcv_clear_result(result);
	return true;
}

/*
 * The worker
 */

static bool
is_ours(const SlotWish *wish)
{
	return wish->kind == SLOT_LOGICAL && strcmp(wish->database, database) == 0;
}

static bool
has_wishes(const SlotOrders *orders)
{
	for (int i = 0; i < orders->nwishes; i++)
		if (is_ours(&orders->wishes[i]))
			return true;
	return false;
}

/* Another leader may have removed what the one before it kept. */
static void
track_epoch(const SlotOrders *orders)
{
	if (copies_epoch == orders->epoch)
		return;
	copies_epoch = orders->epoch;
	ncopies = 0;
}

static void
tend_copies(const SlotOrders *orders)
{
	Answer *answer = palloc(sizeof(Answer));

	track_epoch(orders);
	if (!call_leader(orders))
		return;
	StartTransactionCommand();
	if (ask_leader(answer))
		for (int i = 0; i < answer->nslots; i++)
		{
			const SlotWish *wish =
				slot_find_wish(orders->wishes, orders->nwishes, answer->slots[i].name);

			if (wish != NULL && is_ours(wish) && strcmp(wish->plugin, answer->slots[i].plugin) == 0)
				tend_copy(&answer->slots[i], answer);
		}
	CommitTransactionCommand();
}

/* On the leader. */
static void
make_missing(const SlotOrders *orders)
{
	Oid types[] = {NAMEOID, NAMEOID};
	ReplicationSlot slot;

	for (int i = 0; i < orders->nwishes; i++)
	{
		const SlotWish *wish = &orders->wishes[i];
		Datum values[] = {CStringGetDatum(wish->name), CStringGetDatum(wish->plugin)};

		if (!is_ours(wish) || wish->existed || look_up(wish->name, &slot))
			continue;
		StartTransactionCommand();
		SPI_connect();
		PushActiveSnapshot(GetTransactionSnapshot());
		SPI_execute_with_args("SELECT pg_catalog.pg_create_logical_replication_slot($1, $2)", 2,
							  types, values, NULL, false, 0);
		PopActiveSnapshot();
		SPI_finish();
		CommitTransactionCommand();
		compat_slot_acquire(wish->name);
		slot_ops_mark(SLOT_PERMANENT);
		ReplicationSlotSave();
		ReplicationSlotRelease();
		slots_note_change();
		ereport(LOG, (errmsg("made logical replication slot \"%s\"", wish->name)));
	}
}

/* True to go on. */
static bool
turn(SlotOrders *orders)
{
	slots_read_orders(orders);
	if (!orders->known || !has_wishes(orders))
		return false;
	if (!RecoveryInProgress())
	{
		/* Copies that are not good must not be taken for the slot. */
		compat_slot_cleanup();
		hang_up();
		if (orders->leads)
			make_missing(orders);
		return false;
	}
	if (orders->leader_host[0] == '\0' || !orders->direct)
		hang_up();
	else
		tend_copies(orders);
	return true;
}

static void
start_up(Datum arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	strlcpy(database, MyBgworkerEntry->bgw_extra, sizeof(database));
	if (!slots_enter_worker(database))
		proc_exit(0);
	BackgroundWorkerInitializeConnection(database, NULL, 0);
	load_file("libpqwalreceiver", false);
	prev_emit_log = emit_log_hook;
	emit_log_hook = hush;
	SetConfigOption("search_path", "pg_catalog", PGC_SUSET, PGC_S_OVERRIDE);
	pgstat_report_appname("pgcluster logical slots");
}

extern PGDLLEXPORT void pgcluster_logical_slots_main(Datum arg);

void
pgcluster_logical_slots_main(Datum arg)
{
	MemoryContext cycle;
	bool more = true;

	start_up(arg);
	cycle = AllocSetContextCreate(TopMemoryContext, "pgcluster slots", ALLOCSET_DEFAULT_SIZES);
	while (more)
	{
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		MemoryContextReset(cycle);
		MemoryContextSwitchTo(cycle);
		more = turn(palloc(sizeof(SlotOrders)));
		if (more)
			WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, NAP_MS,
					  PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	proc_exit(0);
}

/*
 * Starting the workers
 */

typedef struct Launch
{
	char database[NAMEDATALEN];
	int64 at_us;
} Launch;

static Launch launches[MAX_DATABASES];

/* When the worker of that database was last started. */
static Launch *
find_launch(const char *name)
{
	Launch *oldest = &launches[0];

	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (strcmp(launches[i].database, name) == 0)
			return &launches[i];
		if (launches[i].at_us < oldest->at_us)
			oldest = &launches[i];
	}
	strlcpy(oldest->database, name, NAMEDATALEN);
	oldest->at_us = 0;
	return oldest;
}

static void
launch(const char *name)
{
	BackgroundWorker worker = {0};
	Launch *last = find_launch(name);

	if (last->at_us != 0 && clock_now_us() - last->at_us < RESTART_US)
		return;
	last->at_us = clock_now_us();
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "pgcluster", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "pgcluster_logical_slots_main", BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "pgcluster logical slots of %s", name);
	strlcpy(worker.bgw_type, "pgcluster logical slots", BGW_MAXLEN);
	strlcpy(worker.bgw_extra, name, BGW_EXTRALEN);
	if (!RegisterDynamicBackgroundWorker(&worker, NULL))
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start a worker for the logical slots of database \"%s\"", name),
				 errhint("Raise max_worker_processes.")));
}

/* Once for each time that it is found out. */
static void
report_lost(const SlotOrders *orders, const SlotWish *wish)
{
	SlotCopy *copy = find_copy(wish->name);
	ReplicationSlot slot;
	bool lost = orders->leads && wish->existed && !look_up(wish->name, &slot);

	if (lost && !copy->lost)
	{
		ha_event_record("slot lost", wish->name);
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("permanent logical slot \"%s\" is lost", wish->name),
				 errdetail("A former leader had it; this server has no copy of it that is good."),
				 errhint("Create it with pg_create_logical_replication_slot(), and have its "
						 "subscriber copy its tables anew.")));
	}
	copy->lost = lost;
}

void
slot_logical_attend(const SlotOrders *orders)
{
	bool primary = !RecoveryInProgress();
	ReplicationSlot slot;

	for (int i = 0; i < orders->nwishes; i++)
	{
		const SlotWish *wish = &orders->wishes[i];
		bool wanted;

		if (wish->kind != SLOT_LOGICAL)
			continue;
		if (primary)
			report_lost(orders, wish);
		if (primary)
			wanted = orders->leads && !wish->existed && !look_up(wish->name, &slot);
		else
			wanted = orders->leader_host[0] != '\0' && orders->direct;
		if (wanted && !slots_worker_runs(wish->database))
			launch(wish->database);
	}
}
