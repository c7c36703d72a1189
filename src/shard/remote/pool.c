/*-------------------------------------------------------------------------
 * pool.c
 *	  How many connections the sessions of this server have to a node.
 *
 * Decides which session may connect next, when max_shared_connections_per_node
 * is reached, and what a session keeps after a transaction.  connection.c
 * connects and closes; a connection that has to wait is one that is "under
 * way", so waiting is interruptible like any other wait.
 *
 * The places of a node are of two kinds: a fourth is the reserve, the others
 * are general.  A session holds something when it has connections that its
 * transaction uses, or has written here.
 *
 *	who holds nothing	stands in line for a general place, first come first
 *						served, and meanwhile gives back on request what it
 *						has kept from earlier transactions
 *	who holds something	goes before those, to a general place if there is one,
 *						else with a permit to one of the reserve
 *
 * There are as many permits as places in the reserve, so who has a permit
 * finds a place at every node, at once, to the end of its transaction.  Hence
 * no cycle: who holds nothing is waited for by nobody; who holds something
 * waits for permits only, and who has one for no place at all.  (A session
 * that changes its role within a transaction has a connection for each, one
 * of them for a moment only, and may take more of the reserve than its own.)
 *
 * Locks can still close a circle: a permit may be held by one who waits for
 * a lock of somebody who waits for a permit.  So who holds something, and has
 * waited for deadlock_timeout while one who is in the way has waited for a
 * lock as long, goes over the limit.
 *
 * A place that becomes free is handed over under the lock, so nobody can
 * jump the queue.  Connections that nobody uses at the moment are asked back
 * by an invalidation message, and a signal that makes idle sessions read it;
 * a session that waits for a node sees its latch set.
 *
 * What must stay true: each place taken is given back exactly once, by
 * pool_leave or when the process ends; a crash starts afresh.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "storage/sinval.h"
#include "utils/builtins.h"
#include "utils/wait_event.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/config.h"
#include "base/shmem.h"
#include "shard/remote/connection.h"

#define MAX_NODES 256
#define NO_NODE (-1)
#define SET_WORDS (MAX_NODES / 64)

typedef struct PoolNode
{
	char name[280]; /* host:port; empty: not in use */
	int general;	/* places taken */
	int reserve;
	int waiting;
} PoolNode;

typedef struct PoolSession
{
	pid_t pid; /* 0: has nothing to do with this */
	Latch *latch;
	int node; /* that it waits for */
	bool waits;
	bool holds; /* ... and is waited for, perhaps */
	uint64 ticket;
	PoolPlace granted; /* at "node" */
	bool permit;
	bool asked;			   /* to give back what it keeps */
	bool stuck;			   /* has waited for a lock of a node for long */
	uint64 has[SET_WORDS]; /* nodes at which it has places */
} PoolSession;

/* All under "lock", but what is atomic. */
typedef struct PoolShared
{
	pg_atomic_uint32 nwaiting;
	int npermits; /* given out */
	uint64 next_ticket;
	PoolNode nodes[MAX_NODES];
	PoolSession sessions[FLEXIBLE_ARRAY_MEMBER]; /* by the number of the process */
} PoolShared;

static PoolShared *shared = NULL;
static LWLock *lock = NULL;
static PoolSession *mine = NULL;

/* Places of this session by node: what the end of the process gives back. */
static uint16 my_general[MAX_NODES];
static uint16 my_reserve[MAX_NODES];
static int64 waiting_since = 0;

/* It has connections that are not counted, which are not kept. */
static bool has_uncounted = false;

PGCLUSTER_FUNCTION(pgcluster_connections);

static Size
pool_size(void)
{
	return offsetof(PoolShared, sessions) + MaxBackends * sizeof(PoolSession);
}

static void
pool_attach(void *area, LWLockPadded *locks, bool found)
{
	shared = area;
	lock = &locks[0].lock;
	if (!found)
	{
		memset(shared, 0, pool_size());
		pg_atomic_init_u32(&shared->nwaiting, 0);
	}
}

static const ShmemArea area = {"pgcluster pool", pool_size, 1, pool_attach};

void
pool_init(void)
{
	shmem_register(&area);
}

/*
 * The limits
 */

static int
limit(void)
{
	if (config_max_shared_connections < 0)
		return INT_MAX;
	if (config_max_shared_connections == 0)
		return Max(2, MaxConnections - MaxConnections / 10);
	return Max(2, config_max_shared_connections);
}

static int
reserve_limit(void)
{
	return limit() == INT_MAX ? 0 : Max(1, limit() / 4);
}

static int
general_limit(void)
{
	return limit() - reserve_limit();
}

/*
 * Sets of nodes, and who has what.  All of this needs the lock.
 */

static bool
set_has(const uint64 *set, int node)
{
	return (set[node / 64] & (UINT64CONST(1) << (node % 64))) != 0;
}

static void
note_mine(int node)
{
	uint64 bit = UINT64CONST(1) << (node % 64);

	if (my_general[node] + my_reserve[node] > 0)
		mine->has[node / 64] |= bit;
	else
		mine->has[node / 64] &= ~bit;
}

static bool
node_is_unused(const PoolNode *node)
{
	return node->general == 0 && node->reserve == 0 && node->waiting == 0;
}

/* The node's entry; one that nobody uses any more may be taken for it. */
static int
find_node(const char *name)
{
	int unused = NO_NODE;

	for (int i = 0; i < MAX_NODES; i++)
	{
		if (strcmp(shared->nodes[i].name, name) == 0)
			return i;
		if (unused == NO_NODE && node_is_unused(&shared->nodes[i]))
			unused = i;
	}
	if (unused == NO_NODE)
		elog(ERROR, "too many nodes are connected to");
	strlcpy(shared->nodes[unused].name, name, sizeof(shared->nodes[unused].name));
	return unused;
}

static void
take(PoolSession *session, int node, PoolPlace place)
{
	if (place == POOL_GENERAL)
		shared->nodes[node].general++;
	else
		shared->nodes[node].reserve++;
	if (place == POOL_RESERVE && !session->permit)
	{
		session->permit = true;
		shared->npermits++;
	}
}

static void
stop_waiting(PoolSession *session)
{
	session->waits = false;
	shared->nodes[session->node].waiting--;
	pg_atomic_fetch_sub_u32(&shared->nwaiting, 1);
}

static void
grant(PoolSession *session, PoolPlace place)
{
	stop_waiting(session);
	take(session, session->node, place);
	session->granted = place;
	SetLatch(session->latch);
}

/* Who is next in the line for "node", or of those who hold something for any. */
static PoolSession *
next_in_line(int node, bool holds)
{
	PoolSession *next = NULL;

	for (int i = 0; i < MaxBackends; i++)
	{
		PoolSession *s = &shared->sessions[i];

		if (s->waits && s->holds == holds && (node == NO_NODE || s->node == node) &&
			(next == NULL || s->ticket < next->ticket))
			next = s;
	}
	return next;
}

/* Hands out what is free. */
static void
serve(int node)
{
	PoolSession *next;

	if (pg_atomic_read_u32(&shared->nwaiting) == 0)
		return;
	while (
		shared->nodes[node].waiting > 0 && shared->nodes[node].general < general_limit() &&
		((next = next_in_line(node, true)) != NULL || (next = next_in_line(node, false)) != NULL))
		grant(next, POOL_GENERAL);
	while (shared->npermits < reserve_limit() && (next = next_in_line(NO_NODE, true)) != NULL)
		grant(next, POOL_RESERVE);
}

static void
give(int node, PoolPlace place)
{
	if (place == POOL_GENERAL)
		shared->nodes[node].general--;
	else
		shared->nodes[node].reserve--;
	serve(node);
}

/*
 * This session
 */

static void
pool_exit(int code, Datum arg)
{
	connection_foreach(connection_close);
	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (mine->waits)
		stop_waiting(mine);
	if (mine->granted != POOL_NONE)
		give(mine->node, mine->granted);
	if (mine->permit)
		shared->npermits--;
	memset(mine, 0, sizeof(*mine));
	for (int node = 0; node < MAX_NODES; node++)
	{
		shared->nodes[node].general -= my_general[node];
		shared->nodes[node].reserve -= my_reserve[node];
		serve(node);
	}
	LWLockRelease(lock);
	mine = NULL;
}

static void
enroll(void)
{
	if (mine != NULL)
		return;
	on_shmem_exit(pool_exit, (Datum) 0);
	LWLockAcquire(lock, LW_EXCLUSIVE);
	mine = &shared->sessions[compat_proc_number()];
	memset(mine, 0, sizeof(*mine));
	mine->pid = MyProcPid;
	mine->latch = MyLatch;
	LWLockRelease(lock);
}

static int nheld;

static void
count_held(RemoteConnection *c)
{
	nheld += c->is_active && (c->place == POOL_GENERAL || c->place == POOL_RESERVE);
}

/* Might somebody wait for this session? */
static bool
holds_something(void)
{
	nheld = 0;
	connection_foreach(count_held);
	return nheld > 0 || TransactionIdIsValid(GetTopTransactionIdIfAny());
}

static bool
is_impatient(const RemoteConnection *c)
{
	dlist_iter iter;

	dlist_foreach (iter, &unconstify(RemoteConnection *, c)->tasks)
	{
		if (dlist_container(RemoteTask, node, iter.cur)->query.impatient)
			return true;
	}
	return false;
}

/* Our own workers must get through when nobody else does. */
static bool
is_maintenance(void)
{
	return compat_is_background_worker() &&
		   strcmp(MyBgworkerEntry->bgw_library_name, "pgcluster") == 0;
}

static void
entered(RemoteConnection *c, int node, PoolPlace place)
{
	c->place = place;
	c->pool_node = node;
	(place == POOL_GENERAL ? my_general : my_reserve)[node]++;
	note_mine(node);
}

/* Is one who is in the way waiting for a lock, perhaps one of ours? */
static bool
others_are_stuck(int node)
{
	for (int i = 0; i < MaxBackends; i++)
	{
		const PoolSession *s = &shared->sessions[i];

		if (s == mine || s->pid == 0 || !(s->permit || set_has(s->has, node)))
			continue;
		if (s->stuck || (GetPGProcByNumber(i)->wait_event_info & 0xFF000000) == PG_WAIT_LOCK)
			return true;
	}
	return false;
}

/* Those who keep connections to the node are asked to look what they can do without. */
static void
ask_others(int node)
{
	SharedInvalidationMessage message = {
		.rc = {.id = SHAREDINVALRELCACHE_ID, .dbId = InvalidOid, .relId = POOL_MESSAGE}};
	bool told = false;

	for (int i = 0; i < MaxBackends; i++)
	{
		PoolSession *s = &shared->sessions[i];

		if (s == mine || s->pid == 0 || s->asked || !set_has(s->has, node))
			continue;
		s->asked = true;
		if (!told)
			SendSharedInvalidMessages(&message, 1);
		told = true;
		(void) SendProcSignal(s->pid, PROCSIG_CATCHUP_INTERRUPT, COMPAT_NO_BACKEND);
		SetLatch(s->latch);
	}
}

/* What can be had at once. */
static PoolPlace
take_free(int node, bool holds)
{
	PoolPlace place = POOL_NONE;

	if (shared->nodes[node].general < general_limit() &&
		(holds || shared->nodes[node].waiting == 0))
		place = POOL_GENERAL;
	else if (mine->permit ||
			 (holds && shared->npermits < reserve_limit() && next_in_line(NO_NODE, true) == NULL))
		place = POOL_RESERVE;
	if (place != POOL_NONE)
		take(mine, node, place);
	return place;
}

/* In the line for "node", as one who holds something or not. */
static void
stand_in_line(int node, bool holds)
{
	if (!mine->waits)
	{
		mine->waits = true;
		mine->node = node;
		mine->ticket = shared->next_ticket++;
		shared->nodes[node].waiting++;
		pg_atomic_fetch_add_u32(&shared->nwaiting, 1);
		waiting_since = clock_now_us();
	}
	mine->holds |= holds;
	ask_others(node);
}

/* The same place for one that waited too long for somebody who waits for it. */
static bool
goes_over(int node, bool holds)
{
	return holds && mine->waits && mine->node == node &&
		   clock_now_us() - waiting_since >= (int64) DeadlockTimeout * 1000 &&
		   others_are_stuck(node);
}

bool
pool_enter(RemoteConnection *c)
{
	bool holds;
	int node;
	PoolPlace place = POOL_NONE;

	if (is_maintenance() || is_impatient(c))
	{
		c->place = POOL_FREE;
		has_uncounted = !is_maintenance();
		return true;
	}
	enroll();
	holds = holds_something();
	LWLockAcquire(lock, LW_EXCLUSIVE);
	node = find_node(c->node);
	if (mine->granted != POOL_NONE && mine->node == node)
	{
		place = mine->granted;
		mine->granted = POOL_NONE;
	}
	else
	{
		/* What it waited for has moved. */
		if (c->place == POOL_LINE && mine->waits && c->pool_node == mine->node &&
			mine->node != node)
			stop_waiting(mine);
		place = take_free(node, holds);
		if (place == POOL_NONE && goes_over(node, holds))
			take(mine, node, place = POOL_GENERAL);
		if (place != POOL_NONE && mine->waits && mine->node == node)
			stop_waiting(mine);
	}
	if (place != POOL_NONE)
	{
		entered(c, node, place);
		/* Who waits for another node holds something now. */
		if (mine->waits && !mine->holds)
		{
			mine->holds = true;
			serve(mine->node);
		}
	}
	else
	{
		c->place = POOL_LINE;
		c->pool_node = node;
		/* One place at a time. */
		if (mine->granted == POOL_NONE && (!mine->waits || mine->node == node))
			stand_in_line(node, holds);
		else
			mine->holds |= holds;
	}
	if (!mine->waits)
		mine->holds = false;
	LWLockRelease(lock);
	return place != POOL_NONE;
}

/* Read without the lock: at worst it is asked for in vain, or once more. */
bool
pool_turn(const RemoteConnection *c)
{
	return !((volatile PoolSession *) mine)->waits;
}

bool
pool_enter_extra(RemoteConnection *c)
{
	bool entry;
	int node;

	if (is_maintenance())
	{
		c->place = POOL_FREE;
		return true;
	}
	enroll();
	LWLockAcquire(lock, LW_EXCLUSIVE);
	node = find_node(c->node);
	entry = shared->nodes[node].waiting == 0 && shared->nodes[node].general < general_limit();
	if (entry)
	{
		take(mine, node, POOL_GENERAL);
		entered(c, node, POOL_GENERAL);
	}
	LWLockRelease(lock);
	return entry;
}

void
pool_leave(RemoteConnection *c)
{
	PoolPlace place = c->place;
	int node = c->pool_node;

	c->place = POOL_NONE;
	if (place == POOL_NONE || place == POOL_FREE || mine == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (place == POOL_LINE)
	{
		if (mine->waits && mine->node == node)
			stop_waiting(mine);
		if (mine->granted != POOL_NONE && mine->node == node)
		{
			PoolPlace granted = mine->granted;

			mine->granted = POOL_NONE;
			give(node, granted);
		}
	}
	else
	{
		(place == POOL_GENERAL ? my_general : my_reserve)[node]--;
		note_mine(node);
		give(node, place);
	}
	LWLockRelease(lock);
}

bool
pool_wanted(const RemoteConnection *c)
{
	return (c->place == POOL_GENERAL || c->place == POOL_RESERVE) &&
		   pg_atomic_read_u32(&shared->nwaiting) > 0 &&
		   ((volatile PoolNode *) &shared->nodes[c->pool_node])->waiting > 0;
}

bool
pool_somebody_waits(void)
{
	return mine != NULL && (mine->asked || pg_atomic_read_u32(&shared->nwaiting) > 0);
}

void
pool_note_stuck(void)
{
	if (mine != NULL)
		mine->stuck = true;
}

/*
 * Keeping and giving back
 */

/* A place of the reserve becomes a general one, if there is one. */
static bool
turn_general(RemoteConnection *c)
{
	int node = c->pool_node;
	bool possible;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	possible = shared->nodes[node].general < general_limit() && shared->nodes[node].waiting == 0;
	if (possible)
	{
		shared->nodes[node].reserve--;
		shared->nodes[node].general++;
		my_reserve[node]--;
		my_general[node]++;
		c->place = POOL_GENERAL;
	}
	LWLockRelease(lock);
	return possible;
}

static void
give_back(RemoteConnection *c)
{
	if (c->is_active || c->state == CONNECTION_CLOSED || !dlist_is_empty(&c->tasks) ||
		is_maintenance())
		return;
	if (c->state != CONNECTION_OPEN)
	{
		/* Meant to help, and not there in time. */
		if (c->key.number > 0)
			connection_close(c);
		return;
	}
	if (c->key.number >= config_max_cached_connections || c->place == POOL_FREE || pool_wanted(c) ||
		(c->place == POOL_RESERVE && !turn_general(c)))
		connection_close(c);
}

void
pool_give_back(void)
{
	if (mine != NULL)
		mine->asked = false;
	has_uncounted = false;
	pg_memory_barrier();
	connection_foreach(give_back);
}

void
pool_asked(void)
{
	if (mine != NULL && mine->asked)
		pool_give_back();
}

void
pool_after_transaction(void)
{
	bool permit;

	if (mine == NULL)
	{
		if (has_uncounted)
			pool_give_back();
		return;
	}
	permit = mine->permit;
	if (permit || has_uncounted || mine->asked || config_max_cached_connections == 0 ||
		connection_extras_open() || pg_atomic_read_u32(&shared->nwaiting) > 0)
		pool_give_back();
	if (!permit && !mine->stuck)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	mine->stuck = false;
	if (permit)
	{
		mine->permit = false;
		shared->npermits--;
		for (int node = 0; node < MAX_NODES; node++)
		{
			if (shared->nodes[node].waiting > 0)
				serve(node);
		}
	}
	LWLockRelease(lock);
}

/* connections(): node, connections, waiting, most */
Datum
pgcluster_connections(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < MAX_NODES; i++)
	{
		PoolNode node;
		Datum values[4];
		bool nulls[4] = {false};

		LWLockAcquire(lock, LW_SHARED);
		node = shared->nodes[i];
		LWLockRelease(lock);
		if (node_is_unused(&node))
			continue;
		values[0] = CStringGetTextDatum(node.name);
		values[1] = Int32GetDatum(node.general + node.reserve);
		values[2] = Int32GetDatum(node.waiting);
		values[3] = Int32GetDatum(limit());
		nulls[3] = limit() == INT_MAX;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
