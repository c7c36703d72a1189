/*-------------------------------------------------------------------------
 * statistics.c
 *	  Statistics of distributed tables follow their shards.
 *
 * What autovacuum does for local tables: now and then a worker asks all nodes
 * how many rows of the shards were changed, and has the statistics of those
 * tables collected anew (ddl/analyze.c) that changed by as much as makes
 * autovacuum analyze a table, by the same settings and table options.  The
 * nodes' own autovacuum sees to the shards.
 *
 * A sample may take its time, so a process of its own takes it and ends; the
 * maintenance worker starts one when the last has ended.  What must stay true:
 * nobody waits for it.  It takes no lock that is not free, and as it passes for
 * an autovacuum worker, the server cancels it when it is in the way of a
 * stronger lock, and ends it when its database is to go.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/autovacuum.h"
#include "postmaster/bgworker.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "shard/ddl/analyze.h"
#include "shard/ddl/analyze_record.h"
#include "shard/maintenance/maintenance.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/remote.h"

/* The longest that one table may take. */
#define TABLE_MS (10 * 60 * 1000)

/* A table as its shards know it, and as it was when it was looked at last. */
typedef struct Watched
{
	Oid relid;
	int64 changes;
	int64 last_changes;
	double last_rows;
} Watched;

extern PGDLLEXPORT void pgcluster_statistics_worker(Datum arg);

static void pass_for_autovacuum(void);
static List *find_tables(MemoryContext context);
static void read_records(List *tables);
static void count_changes(List *tables, int group_id);
static char *changes_query(List *tables, int group_id);
static void collect_safely(const Watched *watched, MemoryContext context);
static bool is_due(Relation rel, const Watched *watched);
static void forget_dropped(MemoryContext context);

/*
 * The maintenance worker's part
 */

/* Is there a table to look at? */
static bool
has_tables(void)
{
	MemoryContext context = CurrentMemoryContext;
	bool found = false;
	ListCell *lc;

	round_begin();
	foreach (lc, metadata_tables())
	{
		found = metadata_table(lfirst_oid(lc))->kind == TABLE_HASH;
		if (found)
			break;
	}
	round_end(context);
	return found;
}

void
statistics_start(void)
{
	static BackgroundWorkerHandle *last = NULL;
	BackgroundWorker worker = {.bgw_flags =
								   BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
							   .bgw_start_time = BgWorkerStart_RecoveryFinished,
							   .bgw_restart_time = BGW_NEVER_RESTART,
							   .bgw_main_arg = ObjectIdGetDatum(MyDatabaseId)};
	MemoryContext old;
	pid_t pid;

	if (last != NULL && GetBackgroundWorkerPid(last, &pid) != BGWH_STOPPED)
		return;
	if (last != NULL)
		pfree(last);
	last = NULL;
	if (!autovacuum_start_daemon || !has_tables())
		return;
	strlcpy(worker.bgw_library_name, "pgcluster", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pgcluster_statistics_worker",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "pgcluster statistics", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "pgcluster statistics", BGW_MAXLEN);
	old = MemoryContextSwitchTo(TopMemoryContext);
	if (!RegisterDynamicBackgroundWorker(&worker, &last))
	{
		last = NULL;
		ereport(LOG, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					  errmsg("could not start a worker that collects statistics"),
					  errhint("Raise max_worker_processes.")));
	}
	MemoryContextSwitchTo(old);
}

/*
 * The worker
 */

void
pgcluster_statistics_worker(Datum arg)
{
	MemoryContext context;
	List *tables;
	ListCell *lc;

	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg), InvalidOid, 0);
	pass_for_autovacuum();
	SetConfigOption("search_path", "pg_catalog", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("pgcluster.read_consistency", "shard", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("lock_timeout", "0", PGC_USERSET, PGC_S_SESSION);

	context = AllocSetContextCreate(TopMemoryContext, "statistics", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	forget_dropped(context);
	tables = find_tables(context);
	foreach (lc, tables)
		collect_safely(lfirst(lc), context);
}

/* To others this is an autovacuum worker, which they need not spare. */
static void
pass_for_autovacuum(void)
{
	LWLockAcquire(ProcArrayLock, LW_EXCLUSIVE);
	MyProc->statusFlags |= PROC_IS_AUTOVACUUM;
	ProcGlobal->statusFlags[MyProc->pgxactoff] = MyProc->statusFlags;
	LWLockRelease(ProcArrayLock);
}

/* The tables that are split, and what is known of them here and on the nodes. */
static List *
find_tables(MemoryContext context)
{
	List *tables = NIL;
	ListCell *lc;

	round_begin();
	MemoryContextSwitchTo(context);
	foreach (lc, metadata_tables())
	{
		Watched *watched;

		if (metadata_table(lfirst_oid(lc))->kind != TABLE_HASH ||
			get_rel_relkind(lfirst_oid(lc)) != RELKIND_RELATION)
			continue;
		watched = palloc0(sizeof(Watched));
		watched->relid = lfirst_oid(lc);
		watched->last_rows = -1;
		tables = lappend(tables, watched);
	}
	read_records(tables);
	foreach (lc, metadata_groups())
		count_changes(tables, lfirst_int(lc));
	round_end(context);
	return tables;
}

/* Of a list by ascending relid. */
static Watched *
find_watched(List *tables, Oid relid)
{
	int low = 0;
	int high = list_length(tables);

	while (low < high)
	{
		int middle = low + (high - low) / 2;
		Watched *watched = list_nth(tables, middle);

		if (watched->relid == relid)
			return watched;
		if (watched->relid < relid)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static void
read_records(List *tables)
{
	SPI_connect();
	if (SPI_execute("SELECT relid::oid, changes, row_count FROM pgcluster.table_statistics", true,
					0) != SPI_OK_SELECT)
		elog(ERROR, "could not read pgcluster.table_statistics");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool isnull;
		Watched *watched =
			find_watched(tables, DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull)));

		if (watched == NULL)
			continue;
		watched->last_changes = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
		watched->last_rows = DatumGetFloat8(SPI_getbinval(row, desc, 3, &isnull));
	}
	SPI_finish();
}

/* Adds what the shards of a group have counted. */
static void
count_changes(List *tables, int group_id)
{
	RemoteQuery query = {.group_id = group_id,
						 .sql = changes_query(tables, group_id),
						 .whole = true,
						 .impatient = true};
	RemoteTask *task;
	PGresult *result;

	if (query.sql == NULL)
		return;
	task = remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
	while ((result = remote_task_next(task)) != NULL)
	{
		for (int i = 0; i < PQntuples(result); i++)
		{
			Oid schema = (Oid) strtoul(PQgetvalue(result, i, 0), NULL, 10);
			Watched *watched =
				find_watched(tables, get_relname_relid(PQgetvalue(result, i, 1), schema));

			if (watched != NULL)
				watched->changes += strtoll(PQgetvalue(result, i, 2), NULL, 10);
		}
		PQclear(result);
	}
	remote_task_end(task);
}

/* Rows: schema of the tables here (its oid), name of the table, changes; NULL when there is nothing to ask. */
static char *
changes_query(List *tables, int group_id)
{
	StringInfoData sql;
	List *seen = NIL;
	bool any = false;
	ListCell *lc;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT s.home, c.relname, sum(" ANALYZE_CHANGES ")::bigint"
								 " FROM (VALUES ");
	foreach (lc, tables)
	{
		const DistributedTable *table = metadata_table(((Watched *) lfirst(lc))->relid);
		Oid home = get_rel_namespace(table->relid);
		List *pair = list_make2_oid(home, (Oid) table->colocation->id);

		/* The shards of colocated tables of a schema are named alike. */
		if (list_member(seen, pair))
			continue;
		seen = lappend(seen, pair);
		for (int i = 0; i < table->colocation->nshards; i++)
		{
			const Shard *shard = &table->colocation->shards[i];

			if (shard->group_id != group_id)
				continue;
			appendStringInfo(
				&sql, "%s(%u, %s)", any ? ", " : "", home,
				quote_literal_cstr(metadata_shard_schema(get_namespace_name(home), shard->id)));
			any = true;
		}
	}
	appendStringInfoString(&sql, ") s (home, name) JOIN pg_catalog.pg_namespace n"
								 " ON n.nspname = s.name JOIN pg_catalog.pg_class c"
								 " ON c.relnamespace = n.oid AND c.relkind = 'r'"
								 " GROUP BY s.home, c.relname");
	return any ? sql.data : NULL;
}

/* One table, in a transaction of its own; an error is told in the log only. */
static void
collect_safely(const Watched *watched, MemoryContext context)
{
	PG_TRY();
	{
		round_begin();
		enable_timeout_after(STATEMENT_TIMEOUT, TABLE_MS);
		if (ConditionalLockRelationOid(watched->relid, ShareUpdateExclusiveLock))
		{
			Relation rel = try_table_open(watched->relid, NoLock);
			bool due = rel != NULL && is_due(rel, watched);

			if (rel != NULL)
				table_close(rel, NoLock);
			pgstat_report_activity(STATE_RUNNING, "pgcluster: collecting statistics");
			if (due)
				(void) analyze_collect(watched->relid, NIL, true);
		}
		round_end(context);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		round_abort(context);
		ereport(error->sqlerrcode == ERRCODE_QUERY_CANCELED ? DEBUG1 : LOG,
				(errcode(error->sqlerrcode),
				 errmsg("could not collect statistics of a distributed table: %s", error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0));
		FreeErrorData(error);
	}
	PG_END_TRY();
}

/* By the settings of autovacuum, and what the table says about them. */
static bool
is_due(Relation rel, const Watched *watched)
{
	const StdRdOptions *options = (const StdRdOptions *) rel->rd_options;
	double threshold = autovacuum_anl_thresh;
	double factor = autovacuum_anl_scale;
	double rows = rel->rd_rel->reltuples;

	/* Counters begin anew on a node that took over. */
	int64 changes = watched->changes >= watched->last_changes
						? watched->changes - watched->last_changes
						: watched->changes;

	if (options != NULL)
	{
		if (!options->autovacuum.enabled)
			return false;
		if (options->autovacuum.analyze_threshold >= 0)
			threshold = options->autovacuum.analyze_threshold;
		if (options->autovacuum.analyze_scale_factor >= 0)
			factor = options->autovacuum.analyze_scale_factor;
	}

	/* Rewriting the empty shell, or freezing it, made the server forget. */
	if (rows <= 0 && watched->last_rows > 0)
		return true;
	return changes > threshold + factor * Max(rows, 0);
}

/* Tables that are distributed no longer. */
static void
forget_dropped(MemoryContext context)
{
	round_begin();
	SPI_connect();
	if (SPI_execute("DELETE FROM pgcluster.table_statistics s WHERE NOT EXISTS"
					" (SELECT FROM pgcluster.distributed_table t WHERE t.relid = s.relid)"
					" AND NOT EXISTS (SELECT FROM pgcluster.shell t WHERE t.relid = s.relid)",
					false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete from pgcluster.table_statistics");
	SPI_finish();
	round_end(context);
}
