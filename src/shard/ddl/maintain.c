/*-------------------------------------------------------------------------
 * maintain.c
 *	  REINDEX, CLUSTER and LOCK of distributed tables.
 *
 * The server carries the statement out on the shell, which is quick, and
 * each shard gets the same.  What does not run in a transaction here does not
 * there either.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "shard/ddl/analyze.h"
#include "shard/ddl/concurrent.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shard_run.h"
#include "shard/ddl/shell.h"
#include "shard/ddl/utility.h"
#include "shard/metadata/metadata.h"

/* Of partitioned tables the server takes one partition after the other, each by itself. */
static bool
is_partitioned(Oid relid)
{
	char kind = get_rel_relkind(relid);

	return kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_PARTITIONED_INDEX;
}

/*
 * REINDEX
 */
static const char *const invalid_hint =
	"Repeat the command; indexes that it left invalid on a shard are made anew then.";

/* "REINDEX (a, b)" without CONCURRENTLY. */
static char *
reindex_start(ReindexStmt *stmt, bool *concurrently)
{
	StringInfoData text;
	bool any = false;
	ListCell *lc;

	*concurrently = false;
	initStringInfo(&text);
	appendStringInfoString(&text, "REINDEX");
	foreach (lc, stmt->params)
	{
		DefElem *option = lfirst(lc);

		if (strcmp(option->defname, "concurrently") == 0)
		{
			*concurrently = defGetBoolean(option);
			continue;
		}
		appendStringInfo(&text, "%s%s", any ? ", " : " (", quote_identifier(option->defname));
		if (option->arg != NULL)
			appendStringInfo(&text, " %s", quote_identifier(defGetString(option)));
		any = true;
	}
	if (any)
		appendStringInfoChar(&text, ')');
	return text.data;
}

/* The indexes meant that are invalid: shards may lack them. */
static List *
invalid_indexes(Oid named, Oid relid)
{
	Relation rel;
	List *invalid = NIL;
	ListCell *lc;

	if (named != relid)
		return get_index_isvalid(named) ? NIL : list_make1_oid(named);
	rel = relation_open(relid, AccessShareLock);
	foreach (lc, RelationGetIndexList(rel))
	{
		if (!get_index_isvalid(lfirst_oid(lc)))
			invalid = lappend_oid(invalid, lfirst_oid(lc));
	}
	relation_close(rel, NoLock);
	return invalid;
}

/*
 * For each shard: indexes that were invalid here are dropped and made anew,
 * then the statement is repeated.
 */
static List *
reindex_commands(Relation rel, Oid named, List *invalid, const char *start, bool concurrently)
{
	const DistributedTable *table = metadata_table(RelationGetRelid(rel));
	const char *how = concurrently ? "CONCURRENTLY " : "";
	List *commands = NIL;
	int level = shard_ddl_begin();
	ListCell *lc;

	for (int i = 0; i < shell_end(table->colocation); i++)
	{
		const Shard *shard = shell_or_shard(table->colocation, i);
		char *schema = shard_ddl_schema_name(RelationGetNamespace(rel), shard->id);

		foreach (lc, invalid)
		{
			const char *name = quote_identifier(get_rel_name(lfirst_oid(lc)));

			commands = concurrent_add(commands, shard,
									  psprintf("DROP INDEX %sIF EXISTS %s.%s", how, schema, name));
			if (!concurrently)
				commands = concurrent_add(commands, shard,
										  shard_ddl_index(rel, lfirst_oid(lc), shard->id));
		}
		/* A shell has nothing to index, but may lack the index. */
		if (is_shell(shard->id))
			continue;
		if (named == RelationGetRelid(rel))
			commands = concurrent_add(
				commands, shard,
				psprintf("%s TABLE %s%s", start, how, shard_ddl_name(rel, shard->id)));
		else if (!list_member_oid(invalid, named))
			commands = concurrent_add(commands, shard,
									  psprintf("%s INDEX %s%s.%s", start, how, schema,
											   quote_identifier(get_rel_name(named))));
	}
	shard_ddl_end(level);
	foreach (lc, concurrently ? invalid : NIL)
		commands =
			list_concat(commands, concurrent_create_commands(rel, table, lfirst_oid(lc), false));
	return commands;
}

static bool
reindex_one(UtilityCall *call, ReindexStmt *stmt, const DistributedTable *table)
{
	MemoryContext context =
		AllocSetContextCreate(PortalContext, "pgcluster reindex", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Oid relid = table->relid;
	Oid named = RangeVarGetRelid(stmt->relation, NoLock, false);
	char *name = get_rel_name(named);
	List *invalid = invalid_indexes(named, relid);
	bool alone = is_partitioned(named);
	bool concurrently;
	char *start = reindex_start(stmt, &concurrently);
	List *commands;
	Relation rel;

	MemoryContextSwitchTo(old);
	alter_run(call, list_make1_oid(relid));
	MemoryContextSwitchTo(context);

	/* Made concurrently, the index is another one by now. */
	rel = relation_open(relid, AccessShareLock);
	if (named != relid && concurrently)
	{
		Oid now = get_relname_relid(name, RelationGetNamespace(rel));

		invalid = invalid != NIL ? list_make1_oid(now) : NIL;
		named = now;
	}
	commands = reindex_commands(rel, named, invalid, start, concurrently);
	relation_close(rel, NoLock);
	if (concurrently)
		concurrent_run(relid, commands, invalid_hint);
	else
	{
		ShardRun *run = shard_run_create();
		ListCell *lc;

		shard_run_use_path_of(run, relid);
		foreach (lc, commands)
		{
			ConcurrentCommand *command = lfirst(lc);

			if (alone)
				shard_run_add_alone(run, command->group_id, command->sql);
			else
				shard_run_add(run, command->group_id, command->sql);
		}
		shard_run_finish(run);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return true;
}

/* REINDEX of a schema or the database, one table after the other by itself. */
static bool
reindex_many(UtilityCall *call, ReindexStmt *stmt)
{
	MemoryContext old = MemoryContextSwitchTo(PortalContext);
	bool concurrently;
	char *start = reindex_start(stmt, &concurrently);
	Oid schema =
		stmt->kind == REINDEX_OBJECT_SCHEMA ? get_namespace_oid(stmt->name, true) : InvalidOid;
	List *relids = NIL;
	ListCell *lc;

	foreach (lc, metadata_tables())
	{
		if (stmt->kind == REINDEX_OBJECT_DATABASE || get_rel_namespace(lfirst_oid(lc)) == schema)
			relids = lappend_oid(relids, lfirst_oid(lc));
	}
	MemoryContextSwitchTo(old);
	utility_run(call);
	shard_run_on_tables(relids, SHARD_RUN_SHARDS,
						psprintf("%s TABLE %s", start, concurrently ? "CONCURRENTLY " : ""), "",
						true);
	return true;
}

bool
maintain_handle_reindex(UtilityCall *call)
{
	ReindexStmt *stmt = castNode(ReindexStmt, call->pstmt->utilityStmt);
	const DistributedTable *table;

	if (stmt->relation == NULL)
		return stmt->kind != REINDEX_OBJECT_SYSTEM && metadata_any_table() &&
			   reindex_many(call, stmt);
	table = utility_table(call, stmt->relation);
	return table != NULL && reindex_one(call, stmt, table);
}

/*
 * CLUSTER
 */

/* "CLUSTER (a)" */
static char *
cluster_start(ClusterStmt *stmt)
{
	StringInfoData text;
	ListCell *lc;

	initStringInfo(&text);
	appendStringInfoString(&text, "CLUSTER");
	foreach (lc, stmt->params)
		appendStringInfo(&text, "%s%s", lc == list_head(stmt->params) ? " (" : ", ",
						 quote_identifier(((DefElem *) lfirst(lc))->defname));
	if (stmt->params != NIL)
		appendStringInfoChar(&text, ')');
	return text.data;
}

static bool
is_clustered(Oid relid)
{
	Relation rel = relation_open(relid, AccessShareLock);
	bool clustered = false;
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
		clustered |= get_index_isclustered(lfirst_oid(lc));
	relation_close(rel, AccessShareLock);
	return clustered;
}

/* All tables that were clustered before, each by itself. */
static bool
cluster_all(UtilityCall *call, const char *start)
{
	MemoryContext old = MemoryContextSwitchTo(PortalContext);
	List *relids = NIL;
	ListCell *lc;

	foreach (lc, metadata_tables())
	{
		if (user_owns_relation(lfirst_oid(lc)) && is_clustered(lfirst_oid(lc)))
			relids = lappend_oid(relids, lfirst_oid(lc));
	}
	start = psprintf("%s ", start);
	MemoryContextSwitchTo(old);
	utility_run(call);
	shard_run_on_tables(relids, SHARD_RUN_SHARDS, start, "", true);
	foreach (lc, relids)
		analyze_count(lfirst_oid(lc), false);
	return true;
}

bool
maintain_handle_cluster(UtilityCall *call)
{
	ClusterStmt *stmt = castNode(ClusterStmt, call->pstmt->utilityStmt);
	char *start = cluster_start(stmt);
	const DistributedTable *table;
	List *relids;

	if (stmt->relation == NULL)
		return metadata_any_table() && cluster_all(call, start);
	table = utility_table(call, stmt->relation);
	if (table == NULL)
		return false;
	relids = list_make1_oid(table->relid);
	alter_run(call, relids);
	shard_run_on_tables(relids, SHARD_RUN_SHELLS, psprintf("%s ", start),
						stmt->indexname ? psprintf(" USING %s", quote_identifier(stmt->indexname))
										: "",
						is_partitioned(table->relid));
	analyze_count(linitial_oid(relids), false);
	return true;
}

/*
 * LOCK
 */
static const char *const lock_names[] = {
	[AccessShareLock] = "ACCESS SHARE",
	[RowShareLock] = "ROW SHARE",
	[RowExclusiveLock] = "ROW EXCLUSIVE",
	[ShareUpdateExclusiveLock] = "SHARE UPDATE EXCLUSIVE",
	[ShareLock] = "SHARE",
	[ShareRowExclusiveLock] = "SHARE ROW EXCLUSIVE",
	[ExclusiveLock] = "EXCLUSIVE",
	[AccessExclusiveLock] = "ACCESS EXCLUSIVE",
};

/*
 * The shell's lock keeps out who comes through this server; those of the
 * shards wait for what is being committed there.
 */
bool
maintain_handle_lock(UtilityCall *call)
{
	LockStmt *stmt = castNode(LockStmt, call->pstmt->utilityStmt);
	List *relids = NIL;
	ListCell *lc;

	/* First, as only the server knows whether it is to wait. */
	utility_run(call);
	foreach (lc, stmt->relations)
	{
		const DistributedTable *table = utility_table(call, lfirst(lc));

		if (table != NULL)
			relids = list_append_unique_oid(relids, table->relid);
	}
	if (relids == NIL || stmt->mode < AccessShareLock || stmt->mode > AccessExclusiveLock)
		return true;
	list_sort(relids, list_oid_cmp);
	shard_run_on_tables(
		relids, SHARD_RUN_SHARDS, "LOCK TABLE ",
		psprintf(" IN %s MODE%s", lock_names[stmt->mode], stmt->nowait ? " NOWAIT" : ""), false);
	return true;
}
