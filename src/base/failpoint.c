/*-------------------------------------------------------------------------
 * failpoint.c
 *	  Places at which a test may have a process or the whole server die.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>
#include <unistd.h>

#include "miscadmin.h"
#include "port/atomics.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "funcapi.h"

#include "base/compat.h"
#include "base/failpoint.h"
#include "base/shmem.h"

PGCLUSTER_FUNCTION(pgcluster_arm_failpoint);
PGCLUSTER_FUNCTION(pgcluster_failpoints);

static const struct
{
	const char *name;
	const char *place;
} places[FAILPOINTS] = {
	[FAIL_RECORDED] = {"recorded",
					   "the records of a two-phase commit are written, nobody has prepared"},
	[FAIL_PREPARING] = {"preparing", "one node is asked to prepare, the others are not"},
	[FAIL_PREPARED] = {"prepared",
					   "all nodes have prepared but the one that decides, which was not asked"},
	[FAIL_DECIDING] = {"deciding", "the node that decides is asked, and has not answered"},
	[FAIL_COMMITTED] = {"committed", "it is decided, and nobody was told"},
	[FAIL_TELLING] = {"telling", "one node is told to commit, the others are not"},
	[FAIL_TOLD] = {"told", "all nodes are told to commit, none has answered"},
	[FAIL_DONE] = {"done", "all nodes have committed, the session does not know it yet"},
	[FAIL_ROLLING_BACK] = {"rolling_back", "a node has prepared what is to be rolled back"},
	[FAIL_NODE_PREPARING] = {"node_preparing", "a node is about to prepare"},
	[FAIL_NODE_PREPARED] = {"node_prepared", "a node has prepared and not said so"},
	[FAIL_NODE_DECIDING] = {"node_deciding", "a node is about to commit, and so to decide"},
	[FAIL_NODE_DECIDED] = {"node_decided", "a node has decided and not said so"},
	[FAIL_NODE_COMMITTING] = {"node_committing", "a node is about to commit what it prepared"},
	[FAIL_NODE_COMMITTED] = {"node_committed",
							 "a node has committed what it prepared and not said so"},
	[FAIL_NODE_ROLLING_BACK] = {"node_rolling_back",
								"a node is about to roll back what it prepared"},
	[FAIL_NODE_ROLLED_BACK] = {"node_rolled_back",
							   "a node has rolled back what it prepared and not said so"},
	[FAIL_RECOVERY_LISTED] = {"recovery_listed", "recovery knows what a node has prepared"},
	[FAIL_RECOVERY_DECIDED] = {"recovery_decided",
							   "recovery has had a node decide, and has ended nothing"},
	[FAIL_RECOVERY_FINISHED] = {"recovery_finished",
								"recovery has ended what a node had prepared, its record is there"},
};

typedef enum Action
{
	ACTION_OFF,
	ACTION_KILL, /* of the process, as by the kernel */
	ACTION_STOP	 /* of the server, at once */
} Action;

static const char *const actions[] = {
	[ACTION_OFF] = "off",
	[ACTION_KILL] = "kill",
	[ACTION_STOP] = "stop",
};

typedef struct FailpointShared
{
	pg_atomic_uint32 armed[FAILPOINTS]; /* Action */
} FailpointShared;

static FailpointShared *shared = NULL;

static Size
shared_size(void)
{
	return sizeof(FailpointShared);
}

static void
shared_attach(void *area, LWLockPadded *locks, bool found)
{
	shared = area;
	for (int i = 0; i < FAILPOINTS && !found; i++)
		pg_atomic_init_u32(&shared->armed[i], ACTION_OFF);
}

static const ShmemArea area = {"pgcluster failpoints", shared_size, 0, shared_attach};

void
failpoint(Failpoint place)
{
	uint32 action = pg_atomic_read_u32(&shared->armed[place]);

	if (likely(action == ACTION_OFF))
		return;
	ereport(LOG, (errmsg("failpoint \"%s\": %s", places[place].name, actions[action])));
	kill(action == ACTION_KILL ? MyProcPid : PostmasterPid,
		 action == ACTION_KILL ? SIGKILL : SIGQUIT);
	for (;;)
		pause();
}

/* arm_failpoint(name text, action text) */
Datum
pgcluster_arm_failpoint(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *action = text_to_cstring(PG_GETARG_TEXT_PP(1));
	uint32 what = 0;
	int place = 0;

	if (!superuser())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be superuser to arm a failpoint")));
	while (place < FAILPOINTS && strcmp(places[place].name, name) != 0)
		place++;
	while (what < lengthof(actions) && strcmp(actions[what], action) != 0)
		what++;
	if (place == FAILPOINTS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("there is no failpoint \"%s\"", name),
						errhint("See pgcluster.failpoints().")));
	if (what == lengthof(actions))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a failpoint cannot do \"%s\"", action),
						errhint("It can be off, kill (the process) or stop (the server).")));
	pg_atomic_write_u32(&shared->armed[place], what);
	PG_RETURN_VOID();
}

/* failpoints() returns setof (name, action, place) */
Datum
pgcluster_failpoints(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < FAILPOINTS; i++)
	{
		Datum values[] = {
			CStringGetTextDatum(places[i].name),
			CStringGetTextDatum(actions[pg_atomic_read_u32(&shared->armed[i])]),
			CStringGetTextDatum(places[i].place),
		};
		bool nulls[lengthof(values)] = {false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

void
failpoint_init(void)
{
	shmem_register(&area);
}
