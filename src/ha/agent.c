/*-------------------------------------------------------------------------
 * agent.c
 *	  The agent: observe, decide, act, nap.
 *
 * One background worker, started with the postmaster and again after each
 * crash-restart.  It has no database connection and waits for nothing but
 * its one nap, in which the answers of the store come in; so it stands still
 * only when its process does, and then the fence closes by itself.
 *
 * An error costs one turn: it is logged, the connection to the store is made
 * anew, and all that was known of it is learned again.  The lease is not
 * given up for it.  A crash-restart empties shared memory; the new agent
 * goes on with the lease of the old one, see lease.c.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/config.h"
#include "ha/agent.h"
#include "ha/failsafe.h"
#include "ha/ha.h"
#include "ha/parameters.h"
#include "ha/server.h"
#include "ha/settings.h"
#include "ha/slots.h"

#define US_PER_MS INT64CONST(1000)
#define US_PER_S INT64CONST(1000000)

/* The server changes without telling the agent: look so often, or more often when it is about to. */
#define NAP_MS 250
#define SHORT_NAP_MS 10
#define ERROR_NAP_MS 500
#define STEP_REST_US US_PER_S
/* A turn that comes so late says that the agent was held up. */
#define HELD_UP_US (3 * US_PER_S / 2)

/* A request to the store that failed is not repeated sooner. */
#define RETRY_US (200 * US_PER_MS)
#define LOST_US (30 * US_PER_S)
/* One that failed because the store had changed taught something. */
#define RETRY_LEARNED_US (10 * US_PER_MS)

/* At the end: for the last words to the store. */
#define FAREWELL_MS 200
#define REVOKE_MS 1000

Agent agent;

/*
 * Requests in flight
 */

bool
agent_may_send(AgentOp op)
{
	const AgentFlight *flight = &agent.flights[op];
	int64 now = clock_now_us();

	if (agent.dcs == NULL || now < flight->not_before)
		return false;
	/* One that an error kept from being sent has no callback. */
	return !flight->busy || now - flight->sent_us > LOST_US;
}

AgentFlight *
agent_take_off(AgentOp op)
{
	AgentFlight *flight = &agent.flights[op];

	flight->op = op;
	flight->busy = true;
	flight->sent_us = clock_now_us();
	flight->not_before = 0;
	return flight;
}

void
agent_landed(AgentFlight *flight, const DcsResult *result)
{
	flight->busy = false;
	if (result->status == DCS_COMPARE_FAILED)
		flight->not_before = clock_now_us() + RETRY_LEARNED_US;
	else if (result->status != DCS_OK)
		flight->not_before = clock_now_us() + RETRY_US;
}

/*
 * The connection to the store
 */

/* A verb may take so long that it can be tried once more within the ttl. */
static int
store_timeout_ms(void)
{
	return Min(agent.config.retry_timeout * 1000, Max(agent.config.ttl * 1000 / 3, 300));
}

static void
connect_store(void)
{
	DcsSettings settings;

	memset(agent.flights, 0, sizeof(agent.flights));
	agent.failsafe.asking = 0;
	agent.store_timeout_ms = store_timeout_ms();
	ha_dcs_settings(&settings, agent.store_timeout_ms);
	agent.dcs = etcd_create(agent.context, &settings);
	agent.dcs->ops->watch(
		agent.dcs, ha_own_group() == 0 ? key_scope_prefix() : key_group_prefix(ha_own_group()),
		observe_store, NULL);
}

/* The settings of this server, or those of the group, have changed. */
static void
reconfigure_store(void)
{
	DcsSettings settings;

	agent.store_timeout_ms = store_timeout_ms();
	ha_dcs_settings(&settings, agent.store_timeout_ms);
	agent.dcs->ops->reconfigure(agent.dcs, &settings);
}

static void
disconnect_store(void)
{
	Dcs *dcs = agent.dcs;

	agent.dcs = NULL;
	agent.connected = false;
	if (dcs != NULL)
		dcs->ops->destroy(dcs);
}

static void
note_pending_restart(void)
{
	const char *pending = parameters_pending();

	if (strlcpy(agent.pending_restart, pending == NULL ? "" : pending,
				sizeof(agent.pending_restart)) >= sizeof(agent.pending_restart))
		strlcpy(agent.pending_restart, "{}", sizeof(agent.pending_restart));
}

static void
reload(void)
{
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	note_pending_restart();
	if (agent.dcs == NULL)
		return;
	if (config_etcd_endpoints[0] == '\0')
	{
		ereport(LOG, (errmsg("pgcluster.etcd_endpoints cannot be emptied while the server runs"),
					  errhint("Restart the server to switch high availability off.")));
		return;
	}
	reconfigure_store();
}

/*
 * The end
 */

/*
 * The postmaster died: no session of this server may commit any more, and
 * the next leader need not wait for the lease to expire.
 */
static void
bury_server(void)
{
	DcsSettings settings;

	agent.fence_shut = true;
	ha_fence_set(0);
	if (agent.lease != 0)
	{
		ha_dcs_settings(&settings, REVOKE_MS);
		etcd_revoke_blocking(&settings, agent.lease, REVOKE_MS);
	}
	proc_exit(1);
}

/*
 * The server writes a checkpoint when it shuts down, long after this process
 * has ended and perhaps for longer than the lease lasts.  One that is written
 * before leaves little of that, and the lease is renewed meanwhile.
 */
static void
keep_lease_for_checkpoint(void)
{
	int64 until = clock_now_us() + agent.config.primary_start_timeout * US_PER_S;
	XLogRecPtr lsn;

	if (agent.self.role != HA_PRIMARY || observe_lease() != LEASE_MINE)
		return;
	lsn = server_start_checkpoint();
	while (!server_checkpointed_since(lsn) && observe_lease() == LEASE_MINE &&
		   clock_now_us() < until)
	{
		lease_maintain();
		lease_move_fence();
		if (agent.dcs->ops->wait(agent.dcs, WL_POSTMASTER_DEATH | WL_TIMEOUT, SHORT_NAP_MS) &
			WL_POSTMASTER_DEATH)
			bury_server();
	}
}

/*
 * The server shuts down.  The lease is kept: the postmaster gives it back
 * when the last record of this server's WAL has reached the standbys.  If it
 * was only the agent that was told to go, the exit status has it started again.
 */
static void
take_leave(void)
{
	int64 until;

	if (agent.dcs == NULL || agent.lease == 0)
		proc_exit(1);
	observe_self();
	keep_lease_for_checkpoint();
	until = clock_now_us() + FAREWELL_MS * US_PER_MS;
	agent.lease_sent_us = 0; /* the last renewal is due now */
	observe_self();
	lease_maintain();
	agent.stopping = true;
	lease_publish_member();
	while ((agent.flights[OP_MEMBER].busy || agent.flights[OP_KEEPALIVE].busy) &&
		   clock_now_us() < until)
		if (agent.dcs->ops->wait(agent.dcs, WL_POSTMASTER_DEATH | WL_TIMEOUT,
								 (until - clock_now_us()) / US_PER_MS + 1) &
			WL_POSTMASTER_DEATH)
			bury_server();
	proc_exit(1);
}

/*
 * The loop
 */

static void
report_decision(HaDecision decision)
{
	bool same =
		decision.action == agent.decision.action && decision.reason == agent.decision.reason;

	agent.decision = decision;
	if (same)
		return;
	agent.changed = true;
	ha_event_record(ha_action_name(decision.action), decision.reason);
	ereport(decision.action == HA_WAIT ? DEBUG1 : LOG,
			(errmsg("member \"%s\": %s, because %s", config_node_name,
					ha_action_name(decision.action), decision.reason),
			 decision.action != HA_REFUSE
				 ? 0
				 : errhint("Give each member of a group a pgcluster.node_name of its own, and each "
						   "cluster a pgcluster.scope of its own.")));
}

/* Is the server about to change, so that a long nap would cost time? */
static bool
is_change_near(const HaView *view)
{
	return view->role == HA_STARTING || !view->position_known || sync_is_changing() ||
		   (view->role == HA_REPLICA && view->lease == LEASE_MINE && !view->standby_cluster) ||
		   (view->role == HA_PRIMARY &&
			(view->switchover.asked || agent.decision.action == HA_DEMOTE)) ||
		   (view->role == HA_REPLICA && view->lease == LEASE_OTHER && !agent.self.streaming &&
			agent.followed_us != 0 && clock_now_us() - agent.followed_us < US_PER_S);
}

static long
nap_ms(const HaView *view)
{
	int64 now = clock_now_us();
	int64 us = is_change_near(view) ? SHORT_NAP_MS * US_PER_MS : NAP_MS * US_PER_MS;
	int64 again = ha_decide_again(view, now);

	if (again >= 0)
		us = Min(us, again);
	us = Min(us, lease_next_moment() - now);
	return (long) (Max(us, 0) / US_PER_MS + 1);
}

static void
nap(const HaView *view)
{
	int events = agent.dcs->ops->wait(agent.dcs, WL_LATCH_SET | WL_POSTMASTER_DEATH | WL_TIMEOUT,
									  nap_ms(view));

	if (events & WL_POSTMASTER_DEATH)
		bury_server();
	if (events & WL_LATCH_SET)
		ResetLatch(MyLatch);
}

static void
attend_signals(void)
{
	if (ShutdownRequestPending)
		take_leave();
	if (ConfigReloadPending)
		reload();
	CHECK_FOR_INTERRUPTS();
}

/*
 * The steps of a turn that may fail for reasons of this server alone (a full
 * disk, a file that cannot be read): one that fails is logged and rests,
 * while the lease is kept and the others go on.
 */
static void
publish_member(const HaView *view)
{
	lease_publish_member();
}

static void
publish_leadership(const HaView *view)
{
	lease_publish_leadership();
}

static void
act(const HaView *view)
{
	act_on(view, agent.decision);
}

static void (*const steps[])(const HaView *view) = {
	act,		  publish_member, publish_leadership, request_attend,
	slots_attend, order_attend,	  sync_attend,		  parameters_attend};
StaticAssertDecl(lengthof(steps) == AGENT_STEPS, "each step has its rest");

static void
clean_up_after_error(void)
{
	EmitErrorReport();
	FlushErrorState();
	LWLockReleaseAll();
	ConditionVariableCancelSleep();
	pgstat_report_wait_end();
	AtEOXact_Files(false);
}

static void
take_step(int i, const HaView *view)
{
	if (clock_now_us() < agent.steps_rest_until[i])
		return;
	PG_TRY();
	{
		steps[i](view);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(agent.cycle);
		HOLD_INTERRUPTS();
		clean_up_after_error();
		RESUME_INTERRUPTS();
		agent.steps_rest_until[i] = clock_now_us() + STEP_REST_US;
		ha_event_record("error", "a step failed and will be tried again; see the server's log");
	}
	PG_END_TRY();
}

static void
begin_turn(void)
{
	int64 now = clock_now_us();

	if (now - (int64) pg_atomic_read_u64(&ha_shared->turn_us) > HELD_UP_US)
		agent.awake_us = now;
	pg_atomic_write_u64(&ha_shared->turn_us, (uint64) now);
}

static void
turn(void)
{
	HaView view;
	HaRole former;

	MemoryContextReset(agent.cycle);
	MemoryContextSwitchTo(agent.cycle);
	begin_turn();
	attend_signals();
	if (agent.dcs == NULL)
		connect_store();
	else if (agent.store_timeout_ms != store_timeout_ms() && config_etcd_endpoints[0] != '\0')
		reconfigure_store();

	former = agent.self.role;
	observe_self();
	/* pg_rewind of the others goes by the timeline of the last checkpoint. */
	if (former == HA_REPLICA && agent.self.role == HA_PRIMARY)
		server_start_checkpoint();
	observe_view(&view);
	report_decision(ha_decide(&view, clock_now_us()));
	if (agent.seen)
	{
		lease_maintain();
		failsafe_maintain();
		lease_move_fence();
		for (size_t i = 0; i < lengthof(steps); i++)
			take_step((int) i, &view);
		observe_publish();
	}
	nap(&view);
}

static void
recover_from_error(void)
{
	HOLD_INTERRUPTS();
	error_context_stack = NULL;
	MemoryContextSwitchTo(agent.context);
	clean_up_after_error();
	RESUME_INTERRUPTS();

	ha_event_record("error", "see the server's log; the store is asked anew");
	disconnect_store();
	agent.seen = false;
	if (WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_POSTMASTER_DEATH, ERROR_NAP_MS,
				  PG_WAIT_EXTENSION) &
		WL_POSTMASTER_DEATH)
		bury_server();
	ResetLatch(MyLatch);
}

static void
leave_shared(int code, Datum arg)
{
	LWLockAcquire(ha_shared->lock, LW_EXCLUSIVE);
	ha_shared->agent_latch = NULL;
	ha_shared->agent_pid = 0;
	LWLockRelease(ha_shared->lock);
}

static void
enter_shared(void)
{
	before_shmem_exit(leave_shared, 0);
	LWLockAcquire(ha_shared->lock, LW_EXCLUSIVE);
	ha_shared->agent_latch = MyLatch;
	ha_shared->agent_pid = MyProcPid;
	LWLockRelease(ha_shared->lock);
	request_inherit();
}

static void
make_contexts(void)
{
	agent.context =
		AllocSetContextCreate(TopMemoryContext, "pgcluster agent", ALLOCSET_DEFAULT_SIZES);
	agent.store = AllocSetContextCreate(agent.context, "pgcluster store", ALLOCSET_DEFAULT_SIZES);
	agent.cycle = AllocSetContextCreate(agent.context, "pgcluster cycle", ALLOCSET_DEFAULT_SIZES);
}

extern PGDLLEXPORT void pgcluster_agent_main(Datum arg);

void
pgcluster_agent_main(Datum arg)
{
	sigjmp_buf on_error;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGUSR1, procsignal_sigusr1_handler);
	BackgroundWorkerUnblockSignals();

	make_contexts();
	MemoryContextSwitchTo(agent.cycle);
	key_read_config(NULL, &agent.config);
	agent.voting = -1;
	agent.parameters_revision = -1;
	/* What was raised is found to be pending when the files are read. */
	if (parameters_were_raised())
		ProcessConfigFile(PGC_SIGHUP);
	note_pending_restart();
	enter_shared();
	failsafe_begin();

	if (sigsetjmp(on_error, 1) != 0)
		recover_from_error();
	PG_exception_stack = &on_error;
	for (;;)
		turn();
}

void
agent_register(void)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_PostmasterStart;
	/* Not "never": the server forgets such workers in a crash-restart. */
	worker.bgw_restart_time = 1;
	strlcpy(worker.bgw_library_name, "pgcluster", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "pgcluster_agent_main", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "pgcluster agent", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "pgcluster agent", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}
