/*-------------------------------------------------------------------------
 * recovery.c
 *	  Finishes two-phase commits whose session could not.
 *
 * What this server decides: for each group the order is what makes it safe:
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
 *
 * Where a group's node is this server, what is prepared there may have parts
 * on nodes itself, and its end decides about them; so the groups are gone
 * over once more then.
 *
 * What a node decides (remote/decision.h) is asked of it, after 4: from then
 * on its answer stays the same, whoever asks.  Its rows are deleted some time
 * after everybody has followed, in this order:
 *
 *	1. open a transaction on the node that decides, and see what is committed
 *	2. list the prepared transactions on all nodes
 *	3. delete what was seen in 1 and has nothing left in 2
 *
 * All prepare before it is decided, so what was seen in 1 is not missed in 2.
 * A row that says "rolled back" also has to outlive the transaction that it
 * shuts out, which has had an id there since before the row was written.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "replication/message.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/failpoint.h"
#include "shard/maintenance/maintenance.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/decision.h"
#include "shard/remote/remote.h"
#include "shard/remote/twophase.h"

/* Rounds follow each other quickly while a node is down; the log need not tell of each. */
#define SAY_US (30 * INT64CONST(1000000))

/* So long a group that leaves waits for the rounds. */
#define LEAVE_US (5 * INT64CONST(1000000))
#define LEAVE_NAP_US INT64CONST(100000)

static bool failed = false;

/* The end of a transaction here has decided about others. */
static bool look_again;

/* So often a round goes over the groups, lest it last for ever. */
#define MAX_LOOKS 5

/* Lives as long as a round. */
static MemoryContext round_context = NULL;

/* A prepared transaction on a node. */
typedef struct Prepared
{
	char *gid;
	char *owner;
} Prepared;

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

static RemoteTask *
start_list(int group_id, const char *prefix)
{
	const char *values[1] = {prefix};
	RemoteQuery query = {.group_id = group_id,
						 .sql = "SELECT gid, owner FROM pg_prepared_xacts "
								"WHERE database = current_database() AND starts_with(gid, $1)",
						 .nparams = 1,
						 .values = values,
						 .impatient = true};

	return remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
}

static List *
remember_prepared(List *list, RemoteTask *task, MemoryContext context)
{
	PGresult *row;

	while ((row = remote_task_next(task)) != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		Prepared *prepared = palloc(sizeof(Prepared));

		prepared->gid = pstrdup(PQgetvalue(row, 0, 0));
		prepared->owner = pstrdup(PQgetvalue(row, 0, 1));
		list = lappend(list, prepared);
		MemoryContextSwitchTo(old);
		PQclear(row);
	}
	remote_task_end(task);
	return list;
}

/* Prepared transactions of this group's making that are on the node now. */
static List *
list_prepared(int group_id)
{
	char prefix[100];
	List *prepared;

	twophase_gid_prefix(prefix, sizeof(prefix));
	round_begin();
	prepared = remember_prepared(NIL, start_list(group_id, prefix), round_context);
	round_end(round_context);
	return prepared;
}

static bool
is_prepared(List *prepared, const char *gid)
{
	ListCell *lc;

	foreach (lc, prepared)
	{
		if (strcmp(((Prepared *) lfirst(lc))->gid, gid) == 0)
			return true;
	}
	return false;
}

/* Transactions that are prepared here: their ids, as text, and the names that sessions gave. */
static List *
list_local_prepared(List **nested)
{
	List *ids = NIL;

	round_begin();
	SPI_connect();
	if (SPI_execute("SELECT transaction, gid FROM pg_catalog.pg_prepared_xacts", true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not read pg_prepared_xacts");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		char *gid;

		ids = remember(ids, SPI_getvalue(row, SPI_tuptable->tupdesc, 1));
		gid = SPI_getvalue(row, SPI_tuptable->tupdesc, 2);
		if (twophase_is_ours(gid))
			*nested = remember(*nested, gid);
	}
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

/*
 * Commits something: with high availability the fence must let it through, and
 * what was committed before, as records, is where synchronous standbys are.
 */
static void
prove_leadership(void)
{
	static const char message[] = "two-phase recovery";

	round_begin();
	(void) GetTopTransactionId();
	(void) compat_log_message("pgcluster", message, strlen(message));
	twophase_force_sync();
	round_end(round_context);
}

/*
 * Ends one prepared transaction; fine if another was quicker.  One of "nested"
 * is prepared here, and may have parts on nodes that were looked at already.
 */
static void
finish_prepared(int group_id, const char *gid, bool commit, List *nested)
{
	char *sql = psprintf("%s PREPARED %s", commit ? "COMMIT" : "ROLLBACK", quote_literal_cstr(gid));
	RemoteQuery query = {.group_id = group_id, .sql = sql, .impatient = true};

	look_again |= contains(nested, gid);
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

/* What the node says that decides about it; from now on for ever. */
static bool
ask_decision(const Prepared *prepared)
{
	int decider = twophase_decider(prepared->gid);
	RemoteQuery query = {.group_id = decider, .writes = true, .impatient = true};
	RemoteTask *task;
	PGresult *row;
	bool commits = false;

	round_begin();
	query.sql = decision_question(twophase_decision(prepared->gid), prepared->owner);
	task = remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
	while ((row = remote_task_next(task)) != NULL)
	{
		commits = PQgetvalue(row, 0, 0)[0] == 't';
		PQclear(row);
	}
	remote_task_end(task);
	round_end(round_context);
	failpoint(FAIL_RECOVERY_DECIDED);
	return commits;
}

/* Ends those that this server decides; records that were carried out are added to a list. */
static List *
finish_own(int group_id, List *over, List *carried_out, List *nested)
{
	List *records = NIL;
	ListCell *lc;

	if (over != NIL)
		records = read_records(group_id);
	foreach (lc, over)
	{
		char *gid = ((Prepared *) lfirst(lc))->gid;
		bool commit = contains(records, gid);

		finish_prepared(group_id, gid, commit, nested);
		failpoint(FAIL_RECOVERY_FINISHED);
		if (commit)
			carried_out = lappend(carried_out, makeString(gid));
	}
	return carried_out;
}

/* True when nothing of the group is left over. */
static bool
recover_group(int group_id)
{
	List *before = read_records(group_id);
	List *prepared = list_prepared(group_id);
	List *own = NIL;
	List *others = NIL;
	List *carried_out = NIL;
	List *local;
	bool complete = true;
	List *nested = NIL;
	ListCell *lc;

	foreach (lc, before)
	{
		if (!is_prepared(prepared, strVal(lfirst(lc))))
			carried_out = lappend(carried_out, lfirst(lc));
	}

	if (prepared != NIL)
	{
		failpoint(FAIL_RECOVERY_LISTED);
		prove_leadership();
	}
	local = prepared == NIL ? NIL : list_local_prepared(&nested);
	foreach (lc, prepared)
	{
		const char *gid = ((Prepared *) lfirst(lc))->gid;

		if (is_of_users(gid, local))
			complete &= nested == NIL;
		else if (twophase_in_progress(gid))
			complete = false;
		else if (twophase_decider(gid) == 0)
			own = lappend(own, lfirst(lc));
		else
			others = lappend(others, lfirst(lc));
	}
	delete_records(finish_own(group_id, own, carried_out, nested));
	foreach (lc, others)
	{
		const Prepared *one = lfirst(lc);

		finish_prepared(group_id, one->gid, ask_decision(one), nested);
		failpoint(FAIL_RECOVERY_FINISHED);
	}
	return complete;
}

/*
 * Decisions that have been carried out
 */

/* What the node has to say, one value; NULL if nothing. */
static char *
ask_in_transaction(int group_id, const char *sql)
{
	RemoteQuery query = {.group_id = group_id, .sql = sql, .writes = true, .impatient = true};
	RemoteTask *task = remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
	char *answer = NULL;
	PGresult *row;

	while ((row = remote_task_next(task)) != NULL)
	{
		answer = PQgetisnull(row, 0, 0) ? NULL : pstrdup(PQgetvalue(row, 0, 0));
		PQclear(row);
	}
	remote_task_end(task);
	return answer;
}

/* Decisions about what is prepared somewhere, as an array in SQL. */
static char *
undecided_names(List *groups, const char *prefix)
{
	List *tasks = NIL;
	List *prepared = NIL;
	StringInfoData names;
	ListCell *lc;

	foreach (lc, groups)
		tasks = lappend(tasks, start_list(lfirst_int(lc), prefix));
	foreach (lc, tasks)
		prepared = remember_prepared(prepared, lfirst(lc), CurrentMemoryContext);
	initStringInfo(&names);
	foreach (lc, prepared)
		appendStringInfo(&names, "%s%s", names.len == 0 ? "" : ", ",
						 quote_literal_cstr(twophase_decision(((Prepared *) lfirst(lc))->gid)));
	return names.data;
}

/*
 * A session that lost its connection may still ask for some time, also one of
 * a coordinator that does not know yet that it leads no more; so rows stay for
 * longer than that.
 */
static void
forget_decisions(int group_id, List *groups)
{
	char prefix[100];
	char *seen;

	twophase_gid_prefix(prefix, sizeof(prefix));
	round_begin();
	seen = ask_in_transaction(
		group_id, psprintf("SELECT pg_catalog.pg_current_snapshot() WHERE EXISTS (SELECT "
						   "FROM pgcluster.two_phase_decision WHERE starts_with(name, %s))",
						   quote_literal_cstr(prefix)));
	if (seen != NULL)
		(void) ask_in_transaction(
			group_id,
			psprintf("DELETE FROM pgcluster.two_phase_decision WHERE starts_with(name, %s) "
					 "AND decided_at < now() - interval '2 minutes' "
					 "AND pg_visible_in_snapshot(xid, '%s') AND NOT name = ANY (ARRAY[%s]::text[]) "
					 "AND (commits OR xid < pg_snapshot_xmin('%s'))",
					 quote_literal_cstr(prefix), seen, undecided_names(groups, prefix), seen));
	round_end(round_context);
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

/*
 * Recovers the group, or with "groups" forgets its decisions; errors are told
 * in the log only.
 */
static bool
recover_group_safely(int group_id, List *groups)
{
	volatile bool complete = false;

	PG_TRY();
	{
		if (groups == NIL)
			complete = recover_group(group_id);
		else
			forget_decisions(group_id, groups);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(round_context);
		error = CopyErrorData();
		FlushErrorState();
		round_abort(round_context);
		failed |= groups == NIL; /* what is only kept too long does no harm */
		report_failure(group_id, error);
	}
	PG_END_TRY();
	return complete;
}

/*
 * A group that leaves
 */

/*
 * What is prepared on the group, unless it is gone, or elsewhere with the group
 * to decide about it: one name, or NULL; *group_id becomes where.
 */
static char *
needs_group(int *group_id, bool gone)
{
	char prefix[100];
	char *name = NULL;
	int leaving = *group_id;
	List *groups = metadata_groups();
	List *tasks = NIL;
	ListCell *lc;

	twophase_gid_prefix(prefix, sizeof(prefix));
	if (gone)
		groups = list_difference_int(groups, list_make1_int(leaving));
	foreach (lc, groups)
		tasks = lappend(tasks, start_list(lfirst_int(lc), prefix));
	foreach (lc, groups)
	{
		List *prepared = remember_prepared(NIL, list_nth(tasks, foreach_current_index(lc)),
										   CurrentMemoryContext);
		ListCell *one;

		foreach (one, prepared)
		{
			char *gid = ((Prepared *) lfirst(one))->gid;

			if (lfirst_int(lc) != leaving && twophase_decider(gid) != leaving)
				continue;
			name = gid;
			*group_id = lfirst_int(lc);
		}
	}
	return name;
}

void
recovery_end_group(int group_id, bool gone)
{
	int64 until = clock_now_us() + LEAVE_US;
	int at = group_id;
	Oid types[] = {INT4OID};
	Datum values[] = {Int32GetDatum(group_id)};
	char *name;

	while ((name = needs_group(&at, gone)) != NULL)
	{
		if (clock_now_us() >= until)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("group %d is needed to end a transaction", group_id),
					 errdetail("Transaction \"%s\" is prepared on group %d.", name, at),
					 errhint("One that a user has prepared ends with COMMIT PREPARED or ROLLBACK "
							 "PREPARED, others when all groups they have to do with can be "
							 "reached.")));
		maintenance_kick();
		remote_nap(LEAVE_NAP_US);
		at = group_id;
	}
	/* What these tell of has been carried out. */
	SPI_connect();
	if (SPI_execute_with_args("DELETE FROM pgcluster.two_phase_record WHERE group_id = $1", 1,
							  types, values, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete from pgcluster.two_phase_record");
	SPI_finish();
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
	bool complete = false;
	List *groups;
	ListCell *lc;

	round_context =
		AllocSetContextCreate(TopMemoryContext, "two-phase recovery", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(round_context);
	groups = round_groups(round_context);
	failed = false;
	for (int looks = 0; looks == 0 || (look_again && !failed && looks < MAX_LOOKS); looks++)
	{
		look_again = false;
		complete = true;
		foreach (lc, groups)
			complete &= recover_group_safely(lfirst_int(lc), NIL);
	}
	foreach (lc, groups)
	{
		if (!failed)
			(void) recover_group_safely(lfirst_int(lc), groups);
	}
	/* Until the next round nobody needs them, and they keep databases from being dropped. */
	remote_close_idle();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(round_context);
	return complete;
}
