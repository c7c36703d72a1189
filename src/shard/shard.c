/*-------------------------------------------------------------------------
 * shard.c
 *	  Registers what the distribution half needs of the server.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shard/ddl/utility.h"
#include "shard/maintenance/maintenance.h"
#include "shard/plan.h"
#include "shard/planner/planner.h"
#include "shard/executor/bulk_insert.h"
#include "shard/executor/exchanged.h"
#include "shard/remote/explained.h"
#include "shard/remote/pack.h"
#include "shard/remote/remote.h"
#include "shard/remote/snapshot.h"
#include "shard/shard.h"

void
shard_init(void)
{
	remote_init();
	pack_init();
	exchanged_init();
	snapshot_init();
	explained_init();
	forward_init();
	explain_init();
	maintenance_init();
	shard_plan_init();
	bulk_insert_init();
	planner_init();
	ddl_init();
}
