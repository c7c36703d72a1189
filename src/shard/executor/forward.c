/*-------------------------------------------------------------------------
 * forward.c
 *	  Rows that go to the client as they came from the node.
 *
 * Where the plan is nothing but a scan of ours and the client takes all
 * columns in one format, the node is asked for that format, and the body of
 * a row's message is sent on untouched: no value is read or written here.
 *
 * What must stay true: the client gets the very bytes that the values would
 * have been written as here.  So only types that mean the same on each node
 * are let through, in a session whose client has the encoding of the
 * database; settings that change how values look travel with the session.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "libpq/pqformat.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"

/* Headers of GSSAPI, which nothing here needs, may not be there. */
#undef ENABLE_GSS
#include "libpq/libpq.h"

#include "base/compat.h"
#include "shard/executor/scan.h"
#include "shard/remote/remote.h"

static ExecutorRun_hook_type prev_run = NULL;

/* Of the statement that runs. */
static bool runs_through = false;
static ShardScan *forwarding = NULL;

static void
pgcluster_run(QueryDesc *query, ScanDirection direction, uint64 count COMPAT_RUN_ONCE_PARAMETER);
static ShardScan *find_scan(QueryDesc *query, int *format);
static bool send_row(TupleTableSlot *slot, DestReceiver *self);

void
forward_init(void)
{
	prev_run = ExecutorRun_hook ? ExecutorRun_hook : standard_ExecutorRun;
	ExecutorRun_hook = pgcluster_run;
}

bool
forward_runs_through(void)
{
	return runs_through;
}

static void
pgcluster_run(QueryDesc *query, ScanDirection direction, uint64 count COMPAT_RUN_ONCE_PARAMETER)
{
	bool outer_runs_through = runs_through;
	ShardScan *outer = forwarding;
	bool (*volatile receive)(TupleTableSlot *, DestReceiver *) = NULL;
	int format = 0;

	if (direct_run(query, direction, count))
		return;
	runs_through = count == 0 && ScanDirectionIsForward(direction);
	forwarding = runs_through ? find_scan(query, &format) : NULL;
	if (forwarding != NULL)
	{
		forwarding->forward = true;
		forwarding->format = format;
		receive = query->dest->receiveSlot;
		query->dest->receiveSlot = send_row;
	}
	PG_TRY();
	{
		prev_run(query, direction, count COMPAT_RUN_ONCE);
	}
	PG_FINALLY();
	{
		if (forwarding != NULL)
			query->dest->receiveSlot = receive;
		forwarding = outer;
		runs_through = outer_runs_through;
	}
	PG_END_TRY();
	direct_learn(query);
}

/* The scan whose rows may be sent on, NULL if there is none. */
static ShardScan *
find_scan(QueryDesc *query, int *format)
{
	PlanState *state = query->planstate;
	ShardScan *scan = (ShardScan *) state;

	if (!scan_is_ours(state) || state->ps_ProjInfo != NULL || state->qual != NULL ||
		scan->started || scan->plan->command != CMD_SELECT || scan->plan->some_columns ||
		scan->plan->sort_columns != NIL || query->estate->es_junkFilter != NULL ||
		query->instrument_options != 0 ||
		(query->dest->mydest != DestRemote && query->dest->mydest != DestRemoteExecute) ||
		!PortalIsValid(ActivePortal) || ActivePortal->queryDesc != query ||
		ActivePortal->strategy != PORTAL_ONE_SELECT || !forward_one_format(ActivePortal, format))
		return NULL;

	/* Rows of several shards may have to be kept, those of one never are. */
	if (scan->plan->tier != TIER_SINGLE_SHARD && !(scan->plan->streams && scan->may_stream))
		return NULL;
	params_prepare(scan);
	return scan->cache->rows.binary && scan->cache->rows.count > 0 ? scan : NULL;
}

/* Do all columns go to the client in the same format? */
bool
forward_one_format(Portal portal, int *format)
{
	int columns = portal->tupDesc->natts;

	*format = 0;
	if (portal->formats == NULL)
		return true;
	for (int i = 0; i < columns; i++)
	{
		if (portal->formats[i] != portal->formats[0])
			return false;
		*format = portal->formats[0];
	}
	return true;
}

/* The slot says no more than that there is a row. */
TupleTableSlot *
forward_slot(ShardScan *scan)
{
	TupleTableSlot *slot = scan->css.ss.ss_ScanTupleSlot;

	if (TupIsNull(slot))
		return ExecStoreAllNullTuple(slot);
	return slot;
}

/* What would have been written for the row, had its values been read. */
static bool
send_row(TupleTableSlot *slot, DestReceiver *self)
{
	const RemoteRow *row = &forwarding->at_hand;
	StringInfoData message;

	if (row->result == NULL)
	{
		(void) pq_putmessage('D', row->body, row->length);
		return true;
	}
	pq_beginmessage(&message, 'D');
	remote_row_body(row->result, row->row, &message);
	pq_endmessage(&message);
	return true;
}
