/*-------------------------------------------------------------------------
 * deadlock.c
 *	  Ends deadlocks that span several nodes.
 *
 * No node sees more than its own part: A waits for B on one, B for A on
 * another.  Sessions of the coordinator appear on the nodes under names that
 * tell their process, so what the nodes know of locks adds up to a graph of
 * our own processes.  Who has waited for a node for deadlock_timeout asks
 * for a look; while nobody does, nothing is asked of the nodes.
 *
 * Nodes are asked one after the other, so a wait may be over when the next
 * one is asked.  Only waits seen in two looks, one after the other over all
 * nodes, count: of those in a cycle each was there when another was seen.
 * The youngest transaction of the cycle is cancelled.
 *
 * Anybody who may log in on a node can give his session there any name, so a
 * victim makes sure that it is its own connection that waits there.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "shard/ddl/groups.h"
#include "shard/maintenance/maintenance.h"
#include "shard/remote/remote.h"
#include "shard/remote/twophase.h"

typedef struct Wait
{
	int waiter;
	int holder;
	int group_id; /* where */
	int node_pid; /* the waiter's process there */
} Wait;

/* In the place of a group: the locks of this server. */
#define LOCAL_GROUP 0

typedef struct Waits
{
	MemoryContext context; /* of "waits" */
	Wait *waits;
	int n;
	int max;
} Waits;

static void
add_wait(Waits *graph, int waiter, int holder, int group_id, int node_pid)
{
	if (graph->n == graph->max)
	{
		graph->max *= 2;
		graph->waits = repalloc(graph->waits, sizeof(Wait) * graph->max);
	}
	graph->waits[graph->n++] = (Wait){waiter, holder, group_id, node_pid};
}

static bool
has_wait(const Waits *graph, const Wait *wait)
{
	for (int i = 0; i < graph->n; i++)
	{
		if (graph->waits[i].waiter == wait->waiter && graph->waits[i].holder == wait->holder)
			return true;
	}
	return false;
}

/* Who waits for whom on a node, by the names of the sessions. */
#define NODE_WAITS                                                                            \
	"SELECT w.application_name, h.application_name, w.pid, h.pid "                            \
	"FROM pg_stat_activity w, unnest(pg_blocking_pids(w.pid)) AS p(pid), pg_stat_activity h " \
	"WHERE w.wait_event_type = 'Lock' AND h.pid = p.pid "                                     \
	"AND starts_with(w.application_name, 'pgcluster_')"

/* ... and here, where a holder may be a connection of this server to itself. */
#define LOCAL_WAITS                                                                  \
	"SELECT w.pid, p.pid, w.application_name, h.application_name "                   \
	"FROM pg_catalog.pg_stat_activity w, "                                           \
	"pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS p(pid) "               \
	"LEFT JOIN pg_catalog.pg_stat_activity h ON h.pid OPERATOR(pg_catalog.=) p.pid " \
	"WHERE w.wait_event_type = 'Lock'"

/* Our process whose connection has that name; 0 when it is nobody's. */
static int
process_of(const char *name)
{
	return name == NULL ? 0 : twophase_session_process(name);
}

static void
add_local_waits(Waits *graph)
{
	bool isnull;

	SPI_connect();
	if (SPI_execute(LOCAL_WAITS, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read pg_stat_activity");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		int holder = process_of(SPI_getvalue(row, desc, 4));

		/* Of its group's waits. */
		if (process_of(SPI_getvalue(row, desc, 3)) != 0)
			continue;
		if (holder == 0)
			holder = DatumGetInt32(SPI_getbinval(row, desc, 2, &isnull));
		add_wait(graph, DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull)), holder, LOCAL_GROUP,
				 0);
	}
	SPI_finish();
}

/*
 * Where the node is this server, a session's connection may even wait for the
 * session itself.
 */
static void
add_node_waits(Waits *graph, int group_id)
{
	bool elsewhere = groups_is_elsewhere(group_id);
	RemoteQuery query = {.group_id = group_id, .sql = NODE_WAITS, .impatient = true};
	RemoteTask *task = remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
	PGresult *row;

	while ((row = remote_task_next(task)) != NULL)
	{
		int waiter = process_of(PQgetvalue(row, 0, 0));
		int holder = process_of(PQgetvalue(row, 0, 1));

		if (holder == waiter)
			holder = 0;
		else if (holder == 0 && !elsewhere)
			holder = atoi(PQgetvalue(row, 0, 3));
		if (waiter != 0 && holder != 0)
			add_wait(graph, waiter, holder, group_id, atoi(PQgetvalue(row, 0, 2)));
		PQclear(row);
	}
	remote_task_end(task);
}

/* One place, which must not keep us from seeing the others: its error goes to the log. */
static void
add_waits(Waits *graph, int group_id)
{
	PG_TRY();
	{
		round_begin();
		if (group_id == LOCAL_GROUP)
			add_local_waits(graph);
		else
			add_node_waits(graph, group_id);
		round_end(graph->context);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(graph->context);
		error = CopyErrorData();
		FlushErrorState();
		round_abort(graph->context);
		ereport(LOG,
				(errcode(error->sqlerrcode),
				 errmsg("could not look for deadlocks in group %d: %s", group_id, error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0));
	}
	PG_END_TRY();
}

/* What all nodes say, and this one. */
static Waits *
look(List *groups)
{
	Waits *graph = palloc(sizeof(Waits));
	ListCell *lc;

	*graph =
		(Waits){.context = CurrentMemoryContext, .waits = palloc(sizeof(Wait) * 64), .max = 64};
	foreach (lc, groups)
		add_waits(graph, lfirst_int(lc));
	add_waits(graph, LOCAL_GROUP);
	return graph;
}

/*
 * Takes away, as often as possible, waits for somebody who does not wait:
 * what is left are cycles and those who wait for one.
 */
static void
reduce(Waits *graph)
{
	bool changed = true;

	while (changed)
	{
		changed = false;
		for (int i = 0; i < graph->n; i++)
		{
			bool holder_waits = false;

			for (int j = 0; j < graph->n && !holder_waits; j++)
				holder_waits = graph->waits[j].waiter == graph->waits[i].holder;
			if (!holder_waits)
			{
				graph->waits[i--] = graph->waits[--graph->n];
				changed = true;
			}
		}
	}
}

static const Wait *
wait_of(const Waits *graph, int waiter)
{
	for (int i = 0; i < graph->n; i++)
	{
		if (graph->waits[i].waiter == waiter)
			return &graph->waits[i];
	}
	elog(ERROR, "process %d is not in the graph", waiter);
}

/* One cycle of a reduced graph that is not empty: Wait, each for the next one's waiter. */
static List *
one_cycle(const Waits *graph)
{
	const Wait *at = &graph->waits[0];
	const Wait *start;
	List *cycle = NIL;

	/* After as many steps as there are waits we are in a cycle for sure. */
	for (int step = 0; step < graph->n; step++)
		at = wait_of(graph, at->holder);
	start = at;
	do
	{
		cycle = lappend(cycle, unconstify(Wait *, at));
		at = wait_of(graph, at->holder);
	} while (at->waiter != start->waiter);
	return cycle;
}

/*
 * Fills in what the sessions do, and chooses the one whose transaction is the
 * youngest; 0 if they are gone.  Who waits for a lock of this server cannot be
 * told, so it is one of those that wait for a node; there is one at least.
 */
static int
describe_and_choose(List *cycle, Deadlock *deadlock, TimestampTz *xact_start)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid types[] = {INT4ARRAYOID};
	Datum *processes = palloc(sizeof(Datum) * list_length(cycle));
	Datum values[1];
	int victim = 0;
	int n = 0;
	ListCell *lc;

	foreach (lc, cycle)
		processes[n++] = Int32GetDatum(((Wait *) lfirst(lc))->waiter);
	values[0] = PointerGetDatum(construct_array(processes, n, INT4OID, 4, true, TYPALIGN_INT));
	*deadlock = (Deadlock){.nwaits = n};
	round_begin();
	SPI_connect();
	if (SPI_execute_with_args(
			"SELECT pid, usesysid, query, xact_start FROM pg_catalog.pg_stat_activity "
			"WHERE pid = ANY ($1) AND datname = current_database() "
			"AND backend_type = 'client backend' "
			"ORDER BY xact_start DESC NULLS LAST, pid",
			1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read pg_stat_activity");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		bool isnull;
		int pid = DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
		Datum role = SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull);
		char *query = SPI_getvalue(row, SPI_tuptable->tupdesc, 3);
		bool idle;
		Datum start = SPI_getbinval(row, SPI_tuptable->tupdesc, 4, &idle);

		n = 0;
		foreach (lc, cycle)
		{
			const Wait *wait = lfirst(lc);

			if (wait->waiter == pid && victim == 0 && wait->group_id != LOCAL_GROUP && !idle)
			{
				victim = pid;
				deadlock->victim_group = wait->group_id;
				deadlock->victim_node_pid = wait->node_pid;
				*xact_start = DatumGetTimestampTz(start);
			}
			if (n < DEADLOCK_MAX_WAITS && wait->waiter == pid)
			{
				DeadlockWait *told = &deadlock->waits[n];
				int length = query ? (int) strlen(query) : 0;

				told->role = isnull ? InvalidOid : DatumGetObjectId(role);
				length = pg_mbcliplen(query ? query : "", length, sizeof(told->query) - 1);
				memcpy(told->query, query ? query : "", length);
				told->query[length] = '\0';
			}
			if (n < DEADLOCK_MAX_WAITS)
			{
				deadlock->waits[n].waiter = wait->waiter;
				deadlock->waits[n].holder = wait->holder;
				deadlock->waits[n].group_id = wait->group_id;
			}
			n++;
		}
	}
	SPI_finish();
	round_end(caller);
	return victim;
}

/* The circle in words; "all" for the log, else what the present user may see. */
static char *
deadlock_text(const Deadlock *deadlock, bool all)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < Min(deadlock->nwaits, DEADLOCK_MAX_WAITS); i++)
	{
		const DeadlockWait *wait = &deadlock->waits[i];
		bool may_see = all || has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
					   (OidIsValid(wait->role) && has_privs_of_role(GetUserId(), wait->role));

		appendStringInfo(&text, "%sProcess %d waits for process %d ", i > 0 ? "\n" : "",
						 wait->waiter, wait->holder);
		if (wait->group_id == LOCAL_GROUP)
			appendStringInfoString(&text, "here");
		else
			appendStringInfo(&text, "on group %d", wait->group_id);
		appendStringInfo(&text, ": %s", may_see ? wait->query : "<insufficient privilege>");
	}
	if (deadlock->nwaits > DEADLOCK_MAX_WAITS)
		appendStringInfo(&text, "\n... and %d more", deadlock->nwaits - DEADLOCK_MAX_WAITS);
	return text.data;
}

void
deadlock_check_victim(void)
{
	Deadlock deadlock;

	if (deadlock_is_victim(&deadlock))
		deadlock_raise(&deadlock);
}

void
deadlock_raise(const Deadlock *deadlock)
{
	ereport(ERROR, (errcode(ERRCODE_T_R_DEADLOCK_DETECTED), errmsg("deadlock detected"),
					errdetail_internal("%s", deadlock_text(deadlock, false)),
					errhint("The transaction can be tried again.")));
}

static void
end_one_deadlock(List *groups)
{
	Waits *first = look(groups);
	Waits *graph;
	Deadlock deadlock;
	TimestampTz xact_start = 0;
	int victim;

	reduce(first);
	if (first->n == 0)
		return;
	graph = look(groups);
	for (int i = 0; i < graph->n; i++)
	{
		if (!has_wait(first, &graph->waits[i]))
			graph->waits[i--] = graph->waits[--graph->n];
	}
	reduce(graph);
	if (graph->n == 0)
		return;

	victim = describe_and_choose(one_cycle(graph), &deadlock, &xact_start);
	if (victim == 0)
		return;
	ereport(LOG,
			(errmsg("transactions wait for each other on several nodes, process %d ends its own",
					victim),
			 errdetail_internal("%s", deadlock_text(&deadlock, true))));
	deadlock_choose_victim(victim, xact_start, &deadlock);
}

void
deadlock_round(void)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "deadlock detection", ALLOCSET_DEFAULT_SIZES);

	MemoryContextSwitchTo(context);
	end_one_deadlock(round_groups(context));
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}
