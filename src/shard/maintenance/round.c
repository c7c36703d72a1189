/*-------------------------------------------------------------------------
 * round.c
 *	  Transactions of the maintenance worker.
 *
 * Each step of a round is one, and may take only so long, lest a frozen node
 * keeps the others from being looked at.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "shard/maintenance/maintenance.h"
#include "shard/metadata/metadata.h"

#define STEP_MS 15000

void
round_begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	enable_timeout_after(STATEMENT_TIMEOUT, STEP_MS);
	PushActiveSnapshot(GetTransactionSnapshot());
}

/* Leaves the caller in "context". */
void
round_end(MemoryContext context)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	disable_timeout(STATEMENT_TIMEOUT, false);
	MemoryContextSwitchTo(context);
}

void
round_abort(MemoryContext context)
{
	AbortCurrentTransaction();
	disable_timeout(STATEMENT_TIMEOUT, false);
	MemoryContextSwitchTo(context);
}

/* The groups, in a list that lives in "context". */
List *
round_groups(MemoryContext context)
{
	List *groups;

	round_begin();
	groups = metadata_groups();
	MemoryContextSwitchTo(context);
	groups = list_copy(groups);
	round_end(context);
	return groups;
}
