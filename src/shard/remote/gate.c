/*-------------------------------------------------------------------------
 * gate.c
 *	  Keeps commits on other nodes apart from the moment in which a reader
 *	  has its snapshots taken on all of them.
 *
 * A reader that wants each transaction on all nodes or on none, and none
 * without those it built upon, needs snapshots between which nothing was
 * committed.  Both sides hold a lock of the coordinator: who commits on
 * other nodes from before the decision (the local commit record, or the
 * COMMIT of the only node that wrote) until the last node has answered; a
 * reader while the nodes take their snapshots and this server its own.  The
 * modes are such that committers do not exclude each other, nor readers.
 *
 * Then a set of snapshots is a cut through the history of the cluster.  Take
 * a transaction T seen on one node, and what it depends on or wrote
 * elsewhere.  What T wrote elsewhere was committed within the same hold of
 * the lock, so it is seen.  What T read was committed before T committed; if
 * on another node, it cannot have been committed after the first snapshot
 * was taken, because T would then have been committed during the hold of the
 * reader.  A commit that is purely local needs no lock: the local snapshot is
 * one, and a transaction on nodes that has read it cannot commit before the
 * reader lets go.
 *
 * The lock is a lock of the lock manager: it queues fairly, so that neither
 * side starves, waiting for it can be cancelled, its deadlocks are found, and
 * it ends with its holder.  A reader holds it for one round trip and never
 * longer than a few seconds.  A committer has what it needs of the nodes by
 * then: after PREPARE nothing it asks of them waits for a lock.
 *
 * Until the first atomic read since the server started nobody would wait, so
 * committers merely say that they are at it, in memory of their own; the first
 * readers wait until each of these has been seen to be through.
 *
 * A holder that dies takes the server through a restart.  What it had decided
 * and not carried out, or what a node did not answer to, is a doubt: readers
 * wait until the maintenance worker has settled it.  A server begins with a
 * doubt, and a group with a new leader is one: it may have forgotten.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"

#include "base/clock.h"
#include "base/shmem.h"
#include "ha/state.h"
#include "shard/maintenance/maintenance.h"
#include "shard/metadata/lock.h"
#include "shard/remote/gate.h"
#include "shard/remote/remote.h"

/* So long a reader waits for what was decided to be carried out. */
#define SETTLE_US (30 * INT64CONST(1000000))
#define NAP_US INT64CONST(5000)

typedef enum GateUse
{
	GATE_UNUSED,  /* nobody has read atomically */
	GATE_OPENING, /* committers take the lock from now on, some may not have */
	GATE_IN_USE
} GateUse;

/* Of each backend; apart, lest they share a line of the cache. */
typedef union GateSlot
{
	pg_atomic_uint32 commits; /* 1: it commits without the lock */
	char pad[PG_CACHE_LINE_SIZE];
} GateSlot;

typedef struct GateShared
{
	pg_atomic_uint32 use;
	pg_atomic_uint64 doubts;
	GateSlot slots[FLEXIBLE_ARRAY_MEMBER]; /* MaxBackends */
} GateShared;

static GateShared *shared = NULL;
static bool entered = false;

static Size
shared_size(void)
{
	return offsetof(GateShared, slots) + MaxBackends * sizeof(GateSlot);
}

static void
shared_attach(void *area, LWLockPadded *locks, bool found)
{
	shared = area;
	if (found)
		return;
	pg_atomic_init_u32(&shared->use, GATE_UNUSED);
	pg_atomic_init_u64(&shared->doubts, 1);
	for (int i = 0; i < MaxBackends; i++)
		pg_atomic_init_u32(&shared->slots[i].commits, 0);
}

static const ShmemArea area = {"pgcluster gate", shared_size, 0, shared_attach};

static LOCKTAG
gate_tag(void)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, LOCK_CLASS_GATE);
	return tag;
}

static GateSlot *
my_slot(void)
{
	ptrdiff_t i = MyProc - ProcGlobal->allProcs;

	if (i < 0 || i >= MaxBackends)
		elog(ERROR, "this process is no backend");
	return &shared->slots[i];
}

void
gate_enter(void)
{
	GateSlot *slot;
	LOCKTAG tag;

	if (entered)
		return;
	slot = my_slot();
	entered = true;

	/* With the barrier of the exchange either we see the reader or it sees us. */
	(void) pg_atomic_exchange_u32(&slot->commits, 1);
	if (likely(pg_atomic_read_u32(&shared->use) == GATE_UNUSED))
		return;
	pg_atomic_write_u32(&slot->commits, 0);
	tag = gate_tag();
	(void) LockAcquire(&tag, RowExclusiveLock, false, false);
}

bool
gate_enter_unused(void)
{
	GateSlot *slot = my_slot();

	if (entered)
		return false;
	(void) pg_atomic_exchange_u32(&slot->commits, 1);
	if (likely(pg_atomic_read_u32(&shared->use) == GATE_UNUSED))
	{
		entered = true;
		return true;
	}
	pg_atomic_write_u32(&slot->commits, 0);
	return false;
}

void
gate_leave(void)
{
	if (!entered)
		return;
	entered = false;
	/* What the nodes did comes before this. */
	pg_write_barrier();
	pg_atomic_write_u32(&my_slot()->commits, 0);
}

void
gate_note_doubt(void)
{
	(void) pg_atomic_fetch_add_u64(&shared->doubts, 1);
}

/* Both only grow, so the sum is the same only while both are. */
uint64
gate_doubts(void)
{
	return pg_atomic_read_u64(&shared->doubts) + ha_leaders_generation();
}

/* From here on committers take the lock, and those who did not are through. */
static void
put_in_use(void)
{
	uint32 unused = GATE_UNUSED;
	int64 until = clock_now_us() + SETTLE_US;

	if (pg_atomic_read_u32(&shared->use) == GATE_IN_USE)
		return;
	(void) pg_atomic_compare_exchange_u32(&shared->use, &unused, GATE_OPENING);
	for (int i = 0; i < MaxBackends; i++)
	{
		while (pg_atomic_read_u32(&shared->slots[i].commits) != 0)
		{
			/* It may wait for a lock of ours. */
			if (clock_now_us() >= until)
				ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
								errmsg("cannot read atomically while statements are under way "
									   "that began before the first such read"),
								errhint("Try again.")));
			remote_nap(NAP_US);
		}
	}
	pg_memory_barrier();
	pg_atomic_write_u32(&shared->use, GATE_IN_USE);
}

/* Waits for the maintenance worker. */
static void
await_settled(void)
{
	int64 until = clock_now_us() + SETTLE_US;

	maintenance_kick();
	while (!maintenance_has_settled(gate_doubts()))
	{
		if (clock_now_us() >= until)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot read atomically while a transaction may be half committed"),
					 errdetail("Two-phase commits that were decided could not be carried out, or "
							   "not looked for, on all worker groups."),
					 errhint("See cluster_nodes and the log of this server, or set "
							 "pgcluster.read_consistency to \"shard\".")));
		remote_nap(NAP_US);
	}
}

void
gate_lock(void)
{
	LOCKTAG tag = gate_tag();

	put_in_use();
	for (;;)
	{
		(void) LockAcquire(&tag, ShareLock, false, false);
		if (maintenance_has_settled(gate_doubts()))
			return;
		gate_unlock();
		await_settled();
	}
}

void
gate_unlock(void)
{
	LOCKTAG tag = gate_tag();

	(void) LockRelease(&tag, ShareLock, false);
}

void
gate_init(void)
{
	shmem_register(&area);
}
