/*-------------------------------------------------------------------------
 * twophase.c
 *	  Names of prepared transactions, and what they say of their outcome.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <inttypes.h>

#include "access/xlog.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"

#include "base/config.h"
#include "base/failpoint.h"
#include "base/shmem.h"
#include "shard/remote/twophase.h"

typedef struct TwoPhaseShared
{
	uint64 start; /* random: this life of the server */
} TwoPhaseShared;

static TwoPhaseShared *shared = NULL;
static ProcessUtility_hook_type prev_utility = NULL;

static Size
shared_size(void)
{
	return sizeof(TwoPhaseShared);
}

static void
shared_attach(void *area, LWLockPadded *locks, bool found)
{
	shared = area;
	if (!found && !pg_strong_random(&shared->start, sizeof(shared->start)))
		elog(ERROR, "could not draw a random number");
}

static const ShmemArea area = {"pgcluster two-phase", shared_size, 0, shared_attach};

/* The second phase on a node, where tests may want it to fail. */
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

	if (commits || rolls_back)
		failpoint(commits ? FAIL_NODE_COMMITTING : FAIL_NODE_ROLLING_BACK);
	next(pstmt, query, read_only_tree, context, params, environment, dest, completion);
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

bool
twophase_in_progress(const char *gid)
{
	char prefix[100];
	uint64 start;
	uint64 xid;
	const char *at;
	char *end;

	twophase_gid_prefix(prefix, sizeof(prefix));
	at = gid + strlen(prefix);
	start = strtou64(at, &end, 16);
	if (start != shared->start || *end != '_')
		return false; /* of an earlier life: whatever it was, it is over */
	xid = strtou64(end + 1, &end, 10);
	return TransactionIdIsInProgress((TransactionId) xid);
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
