/*-------------------------------------------------------------------------
 * alone.c
 *	  Is a statement all that its transaction does?
 *
 * A change of one shard may commit on its node by itself, without a BEGIN and
 * a COMMIT that travel, when the client cannot add anything to its
 * transaction and nothing is left here that could fail.  That is so for the
 * only statement of a simple query, and for one that is followed by Sync, of
 * which we must have heard already: drivers send it along.  Of a row that
 * RETURNING gives nothing may be left to compute here, and it must be one at
 * most, of types whose values can always be shown.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"

/* Headers of GSSAPI, which nothing here needs, may not be there. */
#undef ENABLE_GSS
#include "libpq/libpq.h"

#include "base/compat.h"
#include "shard/executor/scan.h"

/* Does the client end the transaction next? */
static bool
sync_follows(void)
{
	bool follows;

	if (!compat_client_sent_more())
		return false;
	pq_startmsgread();
	follows = pq_peekbyte() == 'S';
	pq_endmsgread();
	return follows;
}

/* Is it what the client sent, and not what a function or a rule made of that? */
static bool
is_what_client_sent(const PlannedStmt *statement)
{
	Portal portal = ActivePortal;

	return whereToSendOutput == DestRemote && PortalIsValid(portal) && portal->name[0] == '\0' &&
		   list_length(portal->stmts) == 1 && linitial(portal->stmts) == statement &&
		   (portal->cplan == NULL || sync_follows());
}

static bool
shows_at_most_one_row(ShardScan *scan)
{
	const PlanState *state = &scan->css.ss.ps;

	return scan->plan->few && !scan->plan->some_columns && scan->cache->rows.binary &&
		   state->ps_ProjInfo == NULL && state->qual == NULL && state->state->es_junkFilter == NULL;
}

bool
alone_in_transaction(ShardScan *scan)
{
	const ShardPlan *plan = scan->plan;

	return plan->tier == TIER_SINGLE_SHARD && plan->command != CMD_SELECT &&
		   (!plan->returning || shows_at_most_one_row(scan)) && !IsTransactionBlock() &&
		   !IsSubTransaction() && !IsolationUsesXactSnapshot() &&
		   !TransactionIdIsValid(GetTopTransactionIdIfAny()) &&
		   scan->css.ss.ps.state->es_instrument == 0 &&
		   is_what_client_sent(scan->css.ss.ps.state->es_plannedstmt);
}
