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

/* A boolean option of the statement. */
static bool
option(VacuumStmt *stmt, const char *name, bool otherwise)
{
	ListCell *lc;

	foreach (lc, stmt->options)
	{
		DefElem *given = lfirst(lc);

		if (strcmp(given->defname, name) == 0)
			return defGetBoolean(given);
	}
	return otherwise;
}

static bool
skips_locked(VacuumStmt *stmt)
{
	return option(stmt, "skip_locked", false);
}

static bool
analyzes(VacuumStmt *stmt)
{
	return option(stmt, "analyze", !stmt->is_vacuumcmd);
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
	start = psprintf("%s ", command_start(stmt));
	foreach (lc, stmt->rels)
	{
		VacuumRelation *target = lfirst_node(VacuumRelation, lc);
		const DistributedTable *table = NULL;

		if (target->relation != NULL)
			table = skip_locked ? utility_table_if_free(call, target->relation)
								: utility_table(call, target->relation);
		if (table == NULL)
			continue;
		relids = lappend_oid(relids, table->relid);
		shard_run_on_tables(list_make1_oid(table->relid), SHARD_RUN_SHARDS, start,
							column_list(target->va_cols), !transaction);
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
