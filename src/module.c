/*-------------------------------------------------------------------------
 * module.c
 *	  Where the server enters the library.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "base/config.h"
#include "base/failpoint.h"
#include "base/shmem.h"
#include "ha/ha.h"
#include "http/http.h"
#include "shard/plan.h"
#include "shard/shard.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("pgcluster must be loaded when the server starts"),
						errhint("Add \"pgcluster\" to shared_preload_libraries and restart.")));

	config_init();
	failpoint_init();
	direct_init();
	ha_init();
	http_init();
	shard_init();
	shmem_init();
}
