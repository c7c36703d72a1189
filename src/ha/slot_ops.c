/*-------------------------------------------------------------------------
 * slot_ops.c
 *	  The replication slots of this server: listing, making, moving and
 *	  dropping them.
 *
 * Slots that were made here bear a mark, on disk too, so that they are known
 * from those that people made.  It stands at the end of the field for the
 * output plugin's name, behind the zero that ends the name: nothing in the
 * server shows it or is disturbed by it, and no copy of a slot inherits it.
 *
 * All of this writes to disk and waits for locks; the agent calls none of it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dirent.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "miscadmin.h"
#include "replication/slot.h"
#include "storage/fd.h"
#include "storage/lwlock.h"

#include "base/compat.h"
#include "ha/slots.h"

#define MARK_SIZE 12
#define MARK_OFFSET (NAMEDATALEN - MARK_SIZE)

static const char *const marks[] = {
	[SLOT_OF_MEMBER] = "pgcluster:m", [SLOT_PERMANENT] = "pgcluster:p"};

/* An output plugin with a name so long leaves no room; such a slot stays unmarked. */
void
slot_ops_mark(SlotOrigin origin)
{
	ReplicationSlot *slot = MyReplicationSlot;

	if (strlen(NameStr(slot->data.plugin)) >= MARK_OFFSET)
		return;
	SpinLockAcquire(&slot->mutex);
	memcpy(NameStr(slot->data.plugin) + MARK_OFFSET, marks[origin], MARK_SIZE);
	SpinLockRelease(&slot->mutex);
	ReplicationSlotMarkDirty();
}

static SlotOrigin
read_mark(const ReplicationSlotPersistentData *data)
{
	for (int origin = SLOT_OF_MEMBER; origin <= SLOT_PERMANENT; origin++)
		if (strnlen(NameStr(data->plugin), NAMEDATALEN) < MARK_OFFSET &&
			memcmp(NameStr(data->plugin) + MARK_OFFSET, marks[origin], MARK_SIZE) == 0)
			return (SlotOrigin) origin;
	return SLOT_FOREIGN;
}

static void
describe(const ReplicationSlot *slot, SlotFact *fact)
{
	memset(fact, 0, sizeof(*fact));
	strlcpy(fact->name, NameStr(slot->data.name), SLOT_NAME_SIZE);
	strlcpy(fact->plugin, NameStr(slot->data.plugin), SLOT_NAME_SIZE);
	fact->origin = read_mark(&slot->data);
	fact->kind = SlotIsLogical(slot) ? SLOT_LOGICAL : SLOT_PHYSICAL;
	fact->database = slot->data.database;
	fact->active = slot->active_pid != 0;
	fact->invalid = compat_slot_is_invalid(slot);
	fact->restart_lsn = slot->data.restart_lsn;
	fact->confirmed_lsn = slot->data.confirmed_flush;
	fact->catalog_xmin = slot->data.catalog_xmin;
}

static int
list_slots(SlotFact *facts, int max)
{
	int n = 0;

	for (int i = 0; i < max_replication_slots && n < max; i++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[i];
		ReplicationSlot copy;

		if (!slot->in_use)
			continue;
		SpinLockAcquire(&slot->mutex);
		copy = *slot;
		SpinLockRelease(&slot->mutex);
		if (copy.data.persistency == RS_PERSISTENT)
			describe(&copy, &facts[n++]);
	}
	return n;
}

int
slot_ops_list(SlotFact *facts, int max)
{
	int n;

	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	n = list_slots(facts, max);
	LWLockRelease(ReplicationSlotControlLock);
	return n;
}

int
slot_ops_try_list(SlotFact *facts, int max)
{
	int n;

	if (!LWLockConditionalAcquire(ReplicationSlotControlLock, LW_SHARED))
		return -1;
	n = list_slots(facts, max);
	LWLockRelease(ReplicationSlotControlLock);
	return n;
}

/*
 * WAL
 */

/* The lowest number of a segment that pg_wal has a file of, or 0. */
static XLogSegNo
oldest_segment(void)
{
	DIR *dir = AllocateDir(XLOGDIR);
	struct dirent *entry;
	XLogSegNo oldest = 0;

	while ((entry = ReadDir(dir, XLOGDIR)) != NULL)
	{
		TimeLineID timeline;
		XLogSegNo segment;

		if (!IsXLogFileName(entry->d_name))
			continue;
		XLogFromFileName(entry->d_name, &timeline, &segment, wal_segment_size);
		if (oldest == 0 || segment < oldest)
			oldest = segment;
	}
	FreeDir(dir);
	return oldest;
}

XLogRecPtr
slot_ops_oldest_wal(void)
{
	XLogSegNo oldest = Max(oldest_segment(), XLogGetLastRemovedSegno() + 1);
	XLogRecPtr lsn;

	XLogSegNoOffsetToRecPtr(oldest, 0, wal_segment_size, lsn);
	return lsn;
}

bool
slot_ops_has_wal(XLogRecPtr lsn)
{
	return lsn >= slot_ops_oldest_wal();
}

/*
 * Changing
 */

static void
set_restart_lsn(XLogRecPtr lsn)
{
	ReplicationSlot *slot = MyReplicationSlot;

	SpinLockAcquire(&slot->mutex);
	slot->data.restart_lsn = lsn;
	SpinLockRelease(&slot->mutex);
	ReplicationSlotMarkDirty();
	ReplicationSlotsComputeRequiredLSN();
}

/* The member may need older WAL than what is kept in any case. */
static void
reserve_from(XLogRecPtr wanted)
{
	XLogRecPtr reserved = MyReplicationSlot->data.restart_lsn;

	if (wanted == InvalidXLogRecPtr || wanted >= reserved)
		return;
	set_restart_lsn(wanted);
	/* Perhaps it was being removed just now. */
	if (!slot_ops_has_wal(wanted))
		set_restart_lsn(reserved);
}

void
slot_ops_create_physical(const SlotWish *wish)
{
	/* Not kept until it is complete. */
	compat_slot_create(wish->name, false, RS_EPHEMERAL);
	slot_ops_mark(wish->origin);
	ReplicationSlotReserveWal();
	reserve_from(wish->position);
	ReplicationSlotPersist();
	ReplicationSlotRelease();
}

/* What a member that streams from elsewhere fed back when it streamed from here. */
static void
forget_feedback(void)
{
	ReplicationSlot *slot = MyReplicationSlot;

	SpinLockAcquire(&slot->mutex);
	slot->data.xmin = slot->effective_xmin = InvalidTransactionId;
	slot->data.catalog_xmin = slot->effective_catalog_xmin = InvalidTransactionId;
	SpinLockRelease(&slot->mutex);
	ReplicationSlotsComputeRequiredXmin(false);
}

void
slot_ops_advance_physical(const char *name, XLogRecPtr lsn)
{
	compat_slot_acquire(name);
	/* Its walsender may have moved it meanwhile. */
	if (MyReplicationSlot->data.restart_lsn < lsn)
	{
		set_restart_lsn(lsn);
		forget_feedback();
	}
	ReplicationSlotRelease();
}

void
slot_ops_drop(const char *name)
{
	ReplicationSlotDrop(name, true);
}

void
slot_ops_clean_up(void)
{
	if (MyReplicationSlot != NULL)
		ReplicationSlotRelease();
}
