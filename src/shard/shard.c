/*-------------------------------------------------------------------------
 * shard.c
 *	  Registers what the distribution half needs of the server.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shard/maintenance/maintenance.h"
#include "shard/remote/remote.h"
#include "shard/shard.h"

void
shard_init(void)
{
	remote_init();
	maintenance_init();
}
