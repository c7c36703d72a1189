/*-------------------------------------------------------------------------
 * decision.c
 *	  What a node keeps of the two-phase commits that it decides.
 *
 * Of several nodes that wrote, one commits in one phase when all others have
 * prepared, and its commit decides for them.  Within its transaction it
 * writes a row that says so, pgcluster.two_phase_decision, just before the
 * commit, so that the row is there exactly when the transaction is.
 *
 * Who wants to know what became of a decision that has no row cannot tell
 * whether the transaction is over or still to come.  So asking is deciding:
 * the question writes a row of the same key that says "rolled back", unless
 * one is there, and waits for a transaction that is writing one.  From then
 * on a commit that comes late finds the row and fails.  The answer is itself a
 * commit, so a server gives none that does not lead, nor one that its
 * synchronous standbys do not have.
 *
 * The row names the role that the transaction was run by, which is also part
 * of the key, and is asked for by those alone who may act for that role: no
 * user can decide for another one.  Recovery looks for the role that owns the
 * prepared transaction.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/pg_lsn.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "base/compat.h"
#include "base/config.h"
#include "base/failpoint.h"
#include "shard/remote/decision.h"
#include "shard/remote/twophase.h"

PGCLUSTER_FUNCTION(pgcluster_resolve_decision);

static bool decided = false;

/* Columns of pgcluster.two_phase_decision: name, role, commits, xid, decided_at. */
#define DECISION_NATTS 5

static Oid
decision_relation(void)
{
	Oid schema = get_namespace_oid("pgcluster", true);
	Oid relid = OidIsValid(schema) ? get_relname_relid("two_phase_decision", schema) : InvalidOid;

	if (!OidIsValid(relid))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("this node cannot decide a two-phase commit"),
						errdetail("Its database lacks the extension pgcluster."),
						errhint("CREATE EXTENSION pgcluster; on the node.")));
	return relid;
}

static void
check_name(const char *name)
{
	if (strncmp(name, "pgcluster_", 10) != 0 || strlen(name) >= GIDSIZE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is not the name of a decision", name)));
}

/* A row of the same key is one that gives the transaction up. */
static void
insert(Relation rel, HeapTuple tuple)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		CatalogTupleInsert(rel, tuple);
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_UNIQUE_VIOLATION)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						errmsg("the transaction was given up before it was committed"),
						errdetail("Two-phase recovery took its session for lost."),
						errhint("The transaction can be tried again.")));
	}
	PG_END_TRY();
}

void
decision_before_commit(void)
{
	Relation rel;
	HeapTuple tuple;
	Datum values[DECISION_NATTS];
	bool nulls[DECISION_NATTS] = {false};

	if (likely(config_decision[0] == '\0'))
		return;
	check_name(config_decision);
	PushActiveSnapshot(GetTransactionSnapshot());
	rel = table_open(decision_relation(), RowExclusiveLock);
	values[0] = CStringGetTextDatum(config_decision);
	values[1] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
	values[2] = BoolGetDatum(true);
	values[3] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	values[4] = TimestampTzGetDatum(GetCurrentTimestamp());
	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	insert(rel, tuple);
	heap_freetuple(tuple);
	table_close(rel, NoLock);
	PopActiveSnapshot();
	twophase_force_sync();
	decided = true;
	failpoint(FAIL_NODE_DECIDING);
}

void
decision_after_commit(void)
{
	if (likely(!decided))
		return;
	decided = false;
	failpoint(FAIL_NODE_DECIDED);
}

char *
decision_question(const char *name, const char *role)
{
	return psprintf("SELECT pgcluster.resolve_decision(%s, %s)", quote_literal_cstr(name),
					quote_literal_cstr(role));
}

/* resolve_decision(name text, role text) returns boolean: true when it commits */
Datum
pgcluster_resolve_decision(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *role = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid types[] = {TEXTOID, TEXTOID};
	Datum values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	Oid user;
	int context;
	bool isnull;
	bool commits;

	check_name(name);
	if (!has_privs_of_role(GetUserId(), get_role_oid(role, false)))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied for transactions of role \"%s\"", role)));
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	SPI_connect();
	if (SPI_execute_with_args(
			"INSERT INTO pgcluster.two_phase_decision AS d (name, role, commits) "
			"VALUES ($1, $2, false) ON CONFLICT (name, role) DO UPDATE SET commits = d.commits "
			"RETURNING commits",
			2, types, values, NULL, false, 1) != SPI_OK_INSERT_RETURNING ||
		SPI_processed != 1)
		elog(ERROR, "could not write pgcluster.two_phase_decision");
	commits = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	SetUserIdAndSecContext(user, context);
	twophase_force_sync();
	PG_RETURN_BOOL(commits);
}
