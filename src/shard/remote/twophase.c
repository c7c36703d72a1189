/*-------------------------------------------------------------------------
 * twophase.c
 *	  Names of prepared transactions, and what they say of their outcome.
 *
 * A transaction that a user prepares is prepared on the nodes under such
 * names, and its records are part of what is prepared here.  Recovery leaves
 * it alone as long as it is.  When the user ends it, recovery ends the nodes'
 * parts, and the user's session waits for that.  So it is where a session
 * that works here for another one, as a trigger on a shard of this server
 * does, has used nodes itself when the other one has it prepare.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <inttypes.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/failpoint.h"
#include "base/shmem.h"
#include "shard/maintenance/maintenance.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/gate.h"
#include "shard/remote/twophase.h"

/* Of each backend; apart, lest they share a line of the cache. */
typedef union DecisionSlot
{
	pg_atomic_uint64 number; /* of the decision that it waits for, 0: none */
	char pad[PG_CACHE_LINE_SIZE];
} DecisionSlot;

typedef struct TwoPhaseShared
{
	uint64 start;							   /* random: this life of the server */
	pg_atomic_uint64 last_number;			   /* given out to a decision */
	DecisionSlot slots[FLEXIBLE_ARRAY_MEMBER]; /* MaxBackends */
} TwoPhaseShared;

static TwoPhaseShared *shared = NULL;
static bool deciding = false;

/* What this session was told by another one to prepare here last, and what of that has parts on nodes. */
static char preparing[GIDSIZE] = "";
static char nested[GIDSIZE] = "";
static ProcessUtility_hook_type prev_utility = NULL;

static Size
shared_size(void)
{
	return offsetof(TwoPhaseShared, slots) + MaxBackends * sizeof(DecisionSlot);
}

static void
shared_attach(void *area, LWLockPadded *locks, bool found)
{
	shared = area;
	if (found)
		return;
	if (!pg_strong_random(&shared->start, sizeof(shared->start)))
		elog(ERROR, "could not draw a random number");
	pg_atomic_init_u64(&shared->last_number, 0);
	for (int i = 0; i < MaxBackends; i++)
		pg_atomic_init_u64(&shared->slots[i].number, 0);
}

static const ShmemArea area = {"pgcluster two-phase", shared_size, 0, shared_attach};

/*
 * What users prepare
 */

/* So long we wait for the nodes to follow. */
#define FOLLOW_US (10 * INT64CONST(1000000))

/*
 * Has a transaction of this name, prepared here, written on nodes?  Then it
 * has written records of that, and so holds a lock on their table.
 */
static bool
has_records(const char *gid)
{
	Oid relid = twophase_record_relation();
	Oid types[] = {TEXTOID, OIDOID};
	Datum values[] = {CStringGetTextDatum(gid), ObjectIdGetDatum(relid)};
	bool found;

	if (!OidIsValid(relid))
		return false;
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	if (SPI_execute_with_args(
			"SELECT FROM pg_catalog.pg_prepared_xacts p, pg_catalog.pg_locks x, pg_catalog.pg_locks r "
			"WHERE p.gid OPERATOR(pg_catalog.=) $1 "
			"AND p.database OPERATOR(pg_catalog.=) pg_catalog.current_database() "
			"AND x.locktype OPERATOR(pg_catalog.=) 'transactionid' "
			"AND x.transactionid OPERATOR(pg_catalog.=) p.transaction "
			"AND r.virtualtransaction OPERATOR(pg_catalog.=) x.virtualtransaction "
			"AND r.relation OPERATOR(pg_catalog.=) $2 AND r.pid IS NULL",
			2, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read pg_prepared_xacts");
	found = SPI_processed > 0;
	SPI_finish();
	PopActiveSnapshot();
	return found;
}

/* The end is decided; recovery does to the nodes' parts what follows from that. */
static void
await_nodes(const char *gid)
{
	int64 until = clock_now_us() + FOLLOW_US;
	uint64 doubts;

	gate_note_doubt();
	doubts = gate_doubts();
	maintenance_kick();
	while (!maintenance_has_settled(doubts))
	{
		if (clock_now_us() >= until || QueryCancelPending || ProcDiePending)
		{
			ereport(WARNING, (errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
							  errmsg("the end of transaction \"%s\" is decided, but not all nodes "
									 "have carried it out yet",
									 gid),
							  errdetail("They will as soon as they answer.")));
			return;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 5,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

bool
twophase_is_ours(const char *gid)
{
	return strncmp(gid, "pgcluster_", 10) == 0;
}

void
twophase_note_parts(void)
{
	strlcpy(nested, preparing, sizeof(nested));
}

/* Has the transaction parts on nodes that are to follow its end? */
static bool
leads_nodes(const char *gid)
{
	if (twophase_is_ours(gid))
		return strcmp(gid, nested) == 0;
	return !IsTransactionBlock() && metadata_present() && has_records(gid);
}

/* The second phase: on a node, where tests may want it to fail, or asked for by a user. */
static void
pgcluster_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
				  ProcessUtilityContext context, ParamListInfo params,
				  QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	ProcessUtility_hook_type next = prev_utility ? prev_utility : standard_ProcessUtility;
	const TransactionStmt *statement = (const TransactionStmt *) pstmt->utilityStmt;
	bool commits = IsA(statement, TransactionStmt) && statement->kind == TRANS_STMT_COMMIT_PREPARED;
	bool rolls_back =
		IsA(statement, TransactionStmt) && statement->kind == TRANS_STMT_ROLLBACK_PREPARED;
	bool leads = false;

	if (IsA(statement, TransactionStmt) && statement->gid != NULL)
	{
		bool ours = twophase_is_ours(statement->gid);

		if (ours)
			twophase_force_sync();
		if (statement->kind == TRANS_STMT_PREPARE)
			strlcpy(preparing, ours ? statement->gid : "", sizeof(preparing));
	}
	if (commits || rolls_back)
	{
		failpoint(commits ? FAIL_NODE_COMMITTING : FAIL_NODE_ROLLING_BACK);
		leads = leads_nodes(statement->gid);
	}
	/* Whom we work for has entered already, and waits for us. */
	if (leads && !twophase_is_ours(statement->gid))
		gate_enter();
	next(pstmt, query, read_only_tree, context, params, environment, dest, completion);
	if (leads)
	{
		nested[0] = '\0';
		await_nodes(statement->gid);
	}
	if (commits || rolls_back)
		failpoint(commits ? FAIL_NODE_COMMITTED : FAIL_NODE_ROLLED_BACK);
}

void
twophase_init(void)
{
	shmem_register(&area);
	prev_utility = ProcessUtility_hook;
	ProcessUtility_hook = pgcluster_utility;
}

Oid
twophase_record_relation(void)
{
	Oid schema = get_namespace_oid("pgcluster", true);

	return OidIsValid(schema) ? get_relname_relid("two_phase_record", schema) : InvalidOid;
}

void
twophase_gid_prefix(char *to, size_t size)
{
	snprintf(to, size, "pgcluster_%d_" UINT64_FORMAT "-", config_group, GetSystemIdentifier());
}

void
twophase_make_gid(char *to, size_t size, FullTransactionId xid, int n)
{
	twophase_gid_prefix(to, size);
	snprintf(to + strlen(to), size - strlen(to), "%016" PRIx64 "_" UINT64_FORMAT "_%d",
			 (uint64_t) shared->start, U64FromFullTransactionId(xid), n);
}

static DecisionSlot *
my_slot(void)
{
	ptrdiff_t i = MyProc - ProcGlobal->allProcs;

	if (i < 0 || i >= MaxBackends)
		elog(ERROR, "this process is no backend");
	return &shared->slots[i];
}

void
twophase_begin_decision(char *to, size_t size, int group_id)
{
	DecisionSlot *slot = my_slot();
	uint64 number = pg_atomic_add_fetch_u64(&shared->last_number, 1);

	deciding = true;
	(void) pg_atomic_exchange_u64(&slot->number, number);
	twophase_gid_prefix(to, size);
	snprintf(to + strlen(to), size - strlen(to), "%016" PRIx64 "_%d." UINT64_FORMAT,
			 (uint64_t) shared->start, group_id, number);
}

void
twophase_end_decision(void)
{
	if (!deciding)
		return;
	deciding = false;
	pg_atomic_write_u64(&my_slot()->number, 0);
}

/* What a name with our prefix tells. */
typedef struct GidParts
{
	uint64 start;
	uint64 number; /* full transaction id here, or number of the decision */
	int decider;
} GidParts;

static GidParts
parse_gid(const char *gid)
{
	GidParts parts = {0};
	char prefix[100];
	char *end;

	twophase_gid_prefix(prefix, sizeof(prefix));
	parts.start = strtou64(gid + strlen(prefix), &end, 16);
	if (*end == '_')
		parts.number = strtou64(end + 1, &end, 10);
	if (*end == '.')
	{
		parts.decider = (int) parts.number;
		parts.number = strtou64(end + 1, &end, 10);
	}
	return parts;
}

TransactionId
twophase_transaction_id(const char *gid)
{
	GidParts parts = parse_gid(gid);

	return parts.decider != 0 ? InvalidTransactionId : (TransactionId) parts.number;
}

int
twophase_decider(const char *gid)
{
	return parse_gid(gid).decider;
}

char *
twophase_decision(const char *gid)
{
	const char *end = strrchr(gid, '_');

	return end == NULL ? pstrdup(gid) : pnstrdup(gid, end - gid);
}

bool
twophase_in_progress(const char *gid)
{
	GidParts parts = parse_gid(gid);

	/* Of an earlier life: whatever it was, it is over. */
	if (parts.start != shared->start || parts.number == 0)
		return false;
	if (parts.decider == 0)
		return TransactionIdIsInProgress((TransactionId) parts.number);
	for (int i = 0; i < MaxBackends; i++)
	{
		if (pg_atomic_read_u64(&shared->slots[i].number) == parts.number)
			return true;
	}
	return false;
}

void
twophase_force_sync(void)
{
	ForceSyncCommit();
	if (synchronous_commit < SYNCHRONOUS_COMMIT_ON)
		(void) set_config_option("synchronous_commit", "on", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
}

void
twophase_session_name(char *to, size_t size)
{
	snprintf(to, size, "pgcluster_%d_%d_%08x", config_group, MyProcPid, (uint32) shared->start);
}

int
twophase_session_process(const char *name)
{
	int group;
	int pid;
	unsigned int start;

	if (sscanf(name, "pgcluster_%d_%d_%8x", &group, &pid, &start) != 3 || group != config_group ||
		start != (uint32) shared->start)
		return 0;
	return pid;
}
