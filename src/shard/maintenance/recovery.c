/*-------------------------------------------------------------------------
 * recovery.c
 *	  Finishes two-phase commits whose session could not.
 *
 * For each group the order is what makes it safe:
 *
 *	1. read the records of the group
 *	2. list the prepared transactions on the group's node
 *	3. prove that this server leads (high availability only)
 *	4. leave alone those whose local transaction is still in progress, or
 *	   prepared itself, by a user
 *	5. read the records again
 *
 * A transaction listed in 2 and over in 4 has its record in 5 if it
 * committed, and never will if not.  A record read in 1 whose transaction is
 * not in 2 has been carried out.  3 keeps a former leader, which knows
 * nothing of the transactions of the new one, from rolling them back: a
 * commit that passes the fence after 2 shows that nobody else led then.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "shard/maintenance/maintenance.h"
#include "shard/remote/remote.h"
#include "shard/remote/twophase.h"

/* Rounds follow each other quickly while a node is down; the log need not tell of each. */
#define SAY_US (30 * INT64CONST(1000000))

static bool failed = false;

/* Lives as long as a round. */
static MemoryContext round_context = NULL;

static List *
remember(List *list, const char *string)
{
	MemoryContext old = MemoryContextSwitchTo(round_context);

	list = lappend(list, makeString(pstrdup(string)));
	MemoryContextSwitchTo(old);
	return list;
}

static bool
contains(List *list, const char *string)
{
	ListCell *lc;

	foreach (lc, list)
	{
		if (strcmp(strVal(lfirst(lc)), string) == 0)
			return true;
	}
	return false;
}

/* In a transaction of its own: names that have a record. */
static List *
read_records(int group_id)
{
	Oid types[] = {INT4OID};
	Datum values[] = {Int32GetDatum(group_id)};
	List *gids = NIL;

	round_begin();
	SPI_connect();
	if (SPI_execute_with_args("SELECT gid FROM pgcluster.two_phase_record WHERE group_id = $1", 1,
							  types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read pgcluster.two_phase_record");
	for (uint64 i = 0; i < SPI_processed; i++)
		gids = remember(gids, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	round_end(round_context);
	return gids;
}

static void
delete_records(List *gids)
{
	Oid types[] = {TEXTARRAYOID};
	Datum *elements;
	Datum values[1];
	int n = 0;
	ListCell *lc;

	if (gids == NIL)
		return;
	round_begin();
	elements = palloc(sizeof(Datum) * list_length(gids));
	foreach (lc, gids)
		elements[n++] = CStringGetTextDatum(strVal(lfirst(lc)));
	values[0] = PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
	SPI_connect();
	if (SPI_execute_with_args("DELETE FROM pgcluster.two_phase_record WHERE gid = ANY ($1)", 1,
							  types, values, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete from pgcluster.two_phase_record");
	SPI_finish();
	round_end(round_context);
}

/* Prepared transactions of this group's making that are on the node now. */
static List *
list_prepared(int group_id)
{
	char prefix[100];
	const char *values[1] = {prefix};
	RemoteQuery query = {.group_id = group_id,
						 .sql = "SELECT gid FROM pg_prepared_xacts "
								"WHERE database = current_database() AND starts_with(gid, $1)",
						 .nparams = 1,
						 .values = values,
						 .impatient = true};
	RemoteTask *task;
	PGresult *row;
	List *gids = NIL;

	twophase_gid_prefix(prefix, sizeof(prefix));
	round_begin();
	task = remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
	while ((row = remote_task_next(task)) != NULL)
	{
		gids = remember(gids, PQgetvalue(row, 0, 0));
		PQclear(row);
	}
	remote_task_end(task);
	round_end(round_context);
	return gids;
}

/* Transactions that are prepared here: their ids, as text. */
static List *
list_local_prepared(void)
{
	List *ids = NIL;

	round_begin();
	SPI_connect();
	if (SPI_execute("SELECT transaction FROM pg_catalog.pg_prepared_xacts", true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not read pg_prepared_xacts");
	for (uint64 i = 0; i < SPI_processed; i++)
		ids = remember(ids, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	round_end(round_context);
	return ids;
}

/* Is it part of one of these? */
static bool
is_of_users(const char *gid, List *local)
{
	char id[16];

	if (local == NIL)
		return false;
	snprintf(id, sizeof(id), "%u", twophase_transaction_id(gid));
	return contains(local, id);
}

/* Commits a transaction with an id: with high availability the fence must let it through. */
static void
prove_leadership(void)
{
	round_begin();
	(void) GetTopTransactionId();
	round_end(round_context);
}

/* Ends one prepared transaction; fine if another was quicker. */
static void
finish_prepared(int group_id, const char *gid, bool commit)
{
	char *sql = psprintf("%s PREPARED %s", commit ? "COMMIT" : "ROLLBACK", quote_literal_cstr(gid));
	RemoteQuery query = {.group_id = group_id, .sql = sql, .impatient = true};

	PG_TRY();
	{
		RemoteTask *task;

		round_begin();
		task = remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
		while (remote_task_next(task) != NULL)
			;
		remote_task_end(task);
		round_end(round_context);
		ereport(LOG, (errmsg("%s prepared transaction \"%s\" of group %d",
							 commit ? "committed" : "rolled back", gid, group_id)));
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_UNDEFINED_OBJECT)
			PG_RE_THROW();
		MemoryContextSwitchTo(round_context);
		FlushErrorState();
		round_abort(round_context);
	}
	PG_END_TRY();
}

/* True when nothing of the group is left over. */
static bool
recover_group(int group_id)
{
	List *before = read_records(group_id);
	List *prepared = list_prepared(group_id);
	List *over = NIL;
	List *carried_out = NIL;
	List *records;
	List *local;
	bool complete = true;
	ListCell *lc;

	foreach (lc, before)
	{
		if (!contains(prepared, strVal(lfirst(lc))))
			carried_out = lappend(carried_out, lfirst(lc));
	}

	if (prepared != NIL)
	{
		failpoint(FAIL_RECOVERY_LISTED);
		prove_leadership();
	}
	local = prepared == NIL ? NIL : list_local_prepared();
	foreach (lc, prepared)
	{
		if (is_of_users(strVal(lfirst(lc)), local))
			continue;
		if (twophase_in_progress(strVal(lfirst(lc))))
			complete = false;
		else
			over = lappend(over, lfirst(lc));
	}
	if (over != NIL)
	{
		records = read_records(group_id);
		foreach (lc, over)
		{
			char *gid = strVal(lfirst(lc));
			bool commit = contains(records, gid);

			finish_prepared(group_id, gid, commit);
			failpoint(FAIL_RECOVERY_FINISHED);
			if (commit)
				carried_out = lappend(carried_out, lfirst(lc));
		}
	}
	delete_records(carried_out);
	return complete;
}

/* Tells the log now and then. */
static void
report_failure(int group_id, const ErrorData *error)
{
	static int64 said_at = 0;
	bool said = said_at != 0 && clock_now_us() < said_at + SAY_US;

	if (!said)
		said_at = clock_now_us();
	ereport(said ? DEBUG1 : LOG,
			(errcode(error->sqlerrcode),
			 errmsg("two-phase recovery of group %d has to wait: %s", group_id, error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0));
}

/* The same, with errors told in the log only. */
static bool
recover_group_safely(int group_id)
{
	volatile bool complete = false;

	PG_TRY();
	{
		complete = recover_group(group_id);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(round_context);
		error = CopyErrorData();
		FlushErrorState();
		round_abort(round_context);
		failed = true;
		report_failure(group_id, error);
	}
	PG_END_TRY();
	return complete;
}

bool
recovery_failed(void)
{
	return failed;
}

bool
recovery_round(void)
{
	MemoryContext caller = CurrentMemoryContext;
	bool complete = true;
	List *groups;
	ListCell *lc;

	round_context =
		AllocSetContextCreate(TopMemoryContext, "two-phase recovery", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(round_context);
	groups = round_groups(round_context);
	failed = false;
	foreach (lc, groups)
		complete &= recover_group_safely(lfirst_int(lc));
	/* Until the next round nobody needs them, and they keep databases from being dropped. */
	remote_close_idle();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(round_context);
	return complete;
}
