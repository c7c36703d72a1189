/*-------------------------------------------------------------------------
 * vacuum.c
 *	  VACUUM and ANALYZE of distributed tables.
 *
 * The shards of the tables that were named get the same command, then the
 * server does its part on the local tables.  Not the other way round: after a
 * VACUUM it holds a lock that the next one waits for, and a shard can live in
 * this very database.  What ANALYZE found on the shards is then collected for
 * the planner (analyze.c).  Without names only the local tables are meant, as each
 * node's autovacuum sees to its shards; what is known of them is collected all
 * the same.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "shard/ddl/analyze.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shard_run.h"
#include "shard/ddl/utility.h"
#include "shard/metadata/metadata.h"

/* "VACUUM (a, b x)" */
static char *
command_start(VacuumStmt *stmt)
{
	StringInfoData text;
	ListCell *lc;

	initStringInfo(&text);
	appendStringInfoString(&text, stmt->is_vacuumcmd ? "VACUUM" : "ANALYZE");
	foreach (lc, stmt->options)
	{
		DefElem *option = lfirst(lc);

		appendStringInfo(&text, "%s%s", lc == list_head(stmt->options) ? " (" : ", ",
						 quote_identifier(option->defname));
		if (option->arg != NULL)
			appendStringInfo(&text, " %s",
							 IsA(option->arg, String) ? quote_identifier(strVal(option->arg))
													  : defGetString(option));
	}
	if (stmt->options != NIL)
		appendStringInfoChar(&text, ')');
	return text.data;
}

/* "(a, b)" or nothing. */
static char *
column_list(List *columns)
{
	StringInfoData text;
	ListCell *lc;

	initStringInfo(&text);
	foreach (lc, columns)
		appendStringInfo(&text, "%s%s", lc == list_head(columns) ? " (" : ", ",
						 quote_identifier(strVal(lfirst(lc))));
	if (columns != NIL)
		appendStringInfoChar(&text, ')');
	return text.data;
}

static void
run_on_shards(const DistributedTable *table, const char *start, const char *columns,
			  bool transaction)
{
	Relation rel = relation_open(table->relid, AccessShareLock);
	ShardRun *run = shard_run_create();

	for (int i = 0; i < table->colocation->nshards; i++)
	{
		const Shard *shard = &table->colocation->shards[i];
		List *groups = shard->group_id < 0 ? metadata_groups() : list_make1_int(shard->group_id);
		char *sql = psprintf("%s %s%s", start, shard_ddl_name(rel, shard->id), columns);
		ListCell *lc;

		foreach (lc, groups)
		{
			if (transaction)
				shard_run_add(run, lfirst_int(lc), sql);
			else
				shard_run_add_alone(run, lfirst_int(lc), sql);
		}
	}
	shard_run_finish(run);
	relation_close(rel, AccessShareLock);
}

static bool
skips_locked(VacuumStmt *stmt)
{
	ListCell *lc;

	foreach (lc, stmt->options)
	{
		DefElem *option = lfirst(lc);

		if (strcmp(option->defname, "skip_locked") == 0)
			return defGetBoolean(option);
	}
	return false;
}

static bool
analyzes(VacuumStmt *stmt)
{
	ListCell *lc;

	foreach (lc, stmt->options)
	{
		DefElem *option = lfirst(lc);

		if (strcmp(option->defname, "analyze") == 0)
			return defGetBoolean(option);
	}
	return !stmt->is_vacuumcmd;
}

/* The nodes see to their shards; here it is only asked what they know. */
static bool
analyze_all(UtilityCall *call)
{
	List *relids = NIL;
	ListCell *lc;

	utility_run(call);
	foreach (lc, metadata_tables())
		relids = lappend_oid(relids, lfirst_oid(lc));
	foreach (lc, relids)
		(void) analyze_collect(lfirst_oid(lc), NIL,
							   skips_locked(castNode(VacuumStmt, call->pstmt->utilityStmt)));
	return true;
}

bool
vacuum_handle(UtilityCall *call)
{
	VacuumStmt *stmt = castNode(VacuumStmt, call->pstmt->utilityStmt);
	bool transaction = IsInTransactionBlock(call->context == PROCESS_UTILITY_TOPLEVEL);
	bool skip_locked = skips_locked(stmt);
	char *start;
	List *relids = NIL;
	List *columns = NIL;
	ListCell *lc;
	ListCell *other;

	/* A VACUUM in a block is the server's to refuse. */
	if (stmt->is_vacuumcmd && transaction)
		return false;
	if (stmt->rels == NIL)
		return analyzes(stmt) && analyze_all(call);
	start = command_start(stmt);
	foreach (lc, stmt->rels)
	{
		VacuumRelation *target = lfirst_node(VacuumRelation, lc);
		const DistributedTable *table = NULL;

		if (target->relation != NULL)
			table = skip_locked ? utility_table_if_free(call, target->relation)
								: utility_table(call, target->relation);
		if (table == NULL)
			continue;
		run_on_shards(table, start, column_list(target->va_cols), transaction);
		relids = lappend_oid(relids, table->relid);
		columns = lappend(columns, target->va_cols);
	}
	if (relids == NIL)
		return false;

	/* Whatever the server finds out about the shell is then replaced. */
	utility_run(call);
	forboth (lc, relids, other, columns)
	{
		if (analyzes(stmt))
			(void) analyze_collect(lfirst_oid(lc), lfirst(other), skip_locked);
		else
			analyze_count(lfirst_oid(lc), skip_locked);
	}
	return true;
}
