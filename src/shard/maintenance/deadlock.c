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
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "shard/maintenance/maintenance.h"
#include "shard/remote/remote.h"
#include "shard/remote/twophase.h"

typedef struct Wait
{
	int waiter;
	int holder;
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
add_wait(Waits *graph, int waiter, int holder)
{
	if (waiter == 0 || holder == 0 || waiter == holder)
		return;
	if (graph->n == graph->max)
	{
		graph->max *= 2;
		graph->waits = repalloc(graph->waits, sizeof(Wait) * graph->max);
	}
	graph->waits[graph->n++] = (Wait){waiter, holder};
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
	"SELECT w.application_name, h.application_name "                                          \
	"FROM pg_stat_activity w, unnest(pg_blocking_pids(w.pid)) AS p(pid), pg_stat_activity h " \
	"WHERE w.wait_event_type = 'Lock' AND h.pid = p.pid "                                     \
	"AND starts_with(w.application_name, 'pgcluster_') "                                      \
	"AND starts_with(h.application_name, 'pgcluster_')"

/* ... and here. */
#define LOCAL_WAITS                                                    \
	"SELECT w.pid, p.pid FROM pg_catalog.pg_stat_activity w, "         \
	"pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS p(pid) " \
	"WHERE w.wait_event_type = 'Lock'"

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

		add_wait(graph, DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull)),
				 DatumGetInt32(SPI_getbinval(row, desc, 2, &isnull)));
	}
	SPI_finish();
}

static void
add_node_waits(Waits *graph, int group_id)
{
	RemoteQuery query = {.group_id = group_id, .sql = NODE_WAITS, .impatient = true};
	RemoteTask *task = remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
	PGresult *row;

	while ((row = remote_task_next(task)) != NULL)
	{
		add_wait(graph, twophase_session_process(PQgetvalue(row, 0, 0)),
				 twophase_session_process(PQgetvalue(row, 0, 1)));
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

/* The processes of one cycle of a reduced graph that is not empty, as an array of int4. */
static ArrayType *
one_cycle(const Waits *graph)
{
	Datum *members = palloc(sizeof(Datum) * (graph->n + 1));
	int at = graph->waits[0].waiter;
	int start;
	int n = 0;

	/* After as many steps as there are waits we are in a cycle for sure. */
	for (int step = 0; step < graph->n; step++)
	{
		for (int i = 0; i < graph->n; i++)
		{
			if (graph->waits[i].waiter == at)
			{
				at = graph->waits[i].holder;
				break;
			}
		}
	}
	start = at;
	do
	{
		members[n++] = Int32GetDatum(at);
		for (int i = 0; i < graph->n; i++)
		{
			if (graph->waits[i].waiter == at)
			{
				at = graph->waits[i].holder;
				break;
			}
		}
	} while (at != start && n <= graph->n);
	return construct_array(members, n, INT4OID, 4, true, TYPALIGN_INT);
}

/* The one whose transaction is the youngest; 0 if they are gone. */
static int
youngest(ArrayType *processes)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid types[] = {INT4ARRAYOID};
	Datum values[] = {PointerGetDatum(processes)};
	int pid = 0;
	bool isnull;

	round_begin();
	SPI_connect();
	if (SPI_execute_with_args("SELECT pid FROM pg_catalog.pg_stat_activity "
							  "WHERE pid = ANY ($1) AND datname = current_database() "
							  "AND backend_type = 'client backend' "
							  "ORDER BY xact_start DESC NULLS LAST, pid LIMIT 1",
							  1, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read pg_stat_activity");
	if (SPI_processed == 1)
		pid =
			DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	round_end(caller);
	return pid;
}

static void
end_one_deadlock(List *groups)
{
	Waits *first = look(groups);
	Waits *graph;
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

	victim = youngest(one_cycle(graph));
	if (victim == 0)
		return;
	ereport(LOG,
			(errmsg("transactions wait for each other on several nodes, process %d ends its own",
					victim)));
	deadlock_choose_victim(victim);
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
