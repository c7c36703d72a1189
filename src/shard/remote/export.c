/*-------------------------------------------------------------------------
 * export.c
 *	  Snapshots of all nodes that other sessions import.
 *
 * pg_export_snapshot() gives a snapshot of this server a name under which
 * other sessions can work with it, as pg_dump does with several connections.
 * Where the snapshots of a transaction belong together, those of the nodes
 * are exported along with it.  A transaction has one on each node, so it is
 * enough to know by whom the local one was exported, which its name begins
 * with: a file named after that, beside those of the server, which removes
 * all of them when it starts, says what the nodes call theirs.
 *
 * Who imports the local snapshot has its transactions on the nodes begin with
 * importing theirs.  All of them live as long as the exporter's transaction.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <errno.h>
#include <unistd.h>

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "storage/fd.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "shard/remote/export.h"
#include "shard/remote/remote.h"

/* Of a node; in the transaction's memory. */
typedef struct NodeSnapshot
{
	int group_id;
	char name[64];
} NodeSnapshot;

static char exported[MAXPGPATH] = ""; /* the file of the present transaction */
static List *imported = NIL;

static bool
calls_export(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == F_PG_EXPORT_SNAPSHOT)
		return true;
	return expression_tree_walker(node, calls_export, context);
}

bool
export_is_asked(const PlannedStmt *plan)
{
	return IsA(plan->planTree, Result) && calls_export((Node *) plan->planTree->targetlist, NULL);
}

/* Where a transaction keeps what it exported; "id" is how its snapshots' names begin. */
static void
set_path(char *path, const char *id)
{
	snprintf(path, MAXPGPATH, "pg_snapshots/pgcluster-%s", id);
}

void
export_nodes(List *groups)
{
	List *tasks = NIL;
	StringInfoData text;
	char id[40];
	char path[MAXPGPATH];
	FILE *file;
	ListCell *lc;

	if (exported[0] != '\0' || imported != NIL)
		return;
	initStringInfo(&text);
	foreach (lc, groups)
	{
		RemoteQuery query = {.group_id = lfirst_int(lc),
							 .sql = "SELECT pg_catalog.pg_export_snapshot()"};

		tasks = lappend(tasks, remote_task_start(&query, CurrentMemoryContext, NULL, NULL));
	}
	for (int i = 0; i < list_length(tasks); i++)
	{
		RemoteTask *task = list_nth(tasks, i);
		PGresult *row;

		while ((row = remote_task_next(task)) != NULL)
		{
			appendStringInfo(&text, "%d %s\n", list_nth_int(groups, i), PQgetvalue(row, 0, 0));
			PQclear(row);
		}
		remote_task_end(task);
	}

	snprintf(id, sizeof(id), "%08X-%08X", compat_backend_number(), compat_local_xid());
	set_path(path, id);
	file = AllocateFile(path, PG_BINARY_W);
	if (file == NULL)
		ereport(ERROR,
				(errcode_for_file_access(), errmsg("could not create file \"%s\": %m", path)));
	strlcpy(exported, path, sizeof(exported));
	if (fwrite(text.data, 1, text.len, file) != (size_t) text.len || FreeFile(file) != 0)
		ereport(ERROR,
				(errcode_for_file_access(), errmsg("could not write file \"%s\": %m", path)));
	pfree(text.data);
}

/* Reads what the exporter kept. */
static void
read_names(FILE *file)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	NodeSnapshot one;

	while (fscanf(file, "%d %63s", &one.group_id, one.name) == 2)
	{
		NodeSnapshot *copy = palloc(sizeof(one));

		*copy = one;
		imported = lappend(imported, copy);
	}
	MemoryContextSwitchTo(old);
}

bool
export_import(const VariableSetStmt *statement)
{
	char id[18]; /* of "%08X-%08X-%d" what is before the last part */
	char path[MAXPGPATH];
	FILE *file;

	if (statement->kind != VAR_SET_MULTI || strcmp(statement->name, "TRANSACTION SNAPSHOT") != 0)
		return false;
	/* The server has found it, so it is well formed. */
	strlcpy(id, strVal(&castNode(A_Const, linitial(statement->args))->val), sizeof(id));
	set_path(path, id);
	file = AllocateFile(path, PG_BINARY_R);
	if (file == NULL && errno != ENOENT)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not open file \"%s\": %m", path)));
	if (file == NULL)
		return false;
	read_names(file);
	FreeFile(file);
	return imported != NIL;
}

const char *
export_command(int group_id)
{
	static char command[100];
	ListCell *lc;

	foreach (lc, imported)
	{
		const NodeSnapshot *one = lfirst(lc);

		if (one->group_id != group_id)
			continue;
		/* The node's own word for it, so it needs no quoting. */
		snprintf(command, sizeof(command), "SET TRANSACTION SNAPSHOT '%s'", one->name);
		return command;
	}
	return NULL;
}

void
export_end(void)
{
	if (exported[0] != '\0')
		(void) unlink(exported);
	exported[0] = '\0';
	imported = NIL;
}
