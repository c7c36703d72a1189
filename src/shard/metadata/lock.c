/*-------------------------------------------------------------------------
 * lock.c
 *	  Takes the advisory locks of lock.h.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lock.h"

#include "shard/metadata/lock.h"

void
lock_groups(LOCKMODE mode)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, LOCK_CLASS_GROUPS);
	(void) LockAcquire(&tag, mode, false, false);
}
