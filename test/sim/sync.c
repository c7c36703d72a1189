/*-------------------------------------------------------------------------
 * sync.c
 *	  synchronous_standby_names of the servers, as ha/sync_names.c has it.
 *-------------------------------------------------------------------------
 */
#include "sim.h"

SyncNamesState
sync_names_read(SyncNames *names)
{
	memset(names, 0, sizeof(*names));
	return SYNC_NAMES_FOREIGN;
}

void
sync_names_write(const SyncNames *names)
{
}

void
sync_names_remove(void)
{
}

int
sync_names_standbys(SyncStandby *standbys, int max)
{
	return 0;
}

void
key_read_sync_set(const char *value, HaSyncKey *sync)
{
	memset(sync, 0, sizeof(*sync));
}

bool
key_sync_lists(const HaSyncKey *sync, const char *member)
{
	return false;
}

char *
key_write_sync(const HaSyncKey *sync)
{
	return pstrdup("");
}
