/*-------------------------------------------------------------------------
 * concurrent.c
 *	  CREATE and DROP INDEX CONCURRENTLY on distributed tables.
 *
 * Such a command runs by itself on every shard, so it cannot be undone when
 * one of them fails.  The shell says how far it came: its index is invalid
 * from before the first shard is touched until the last one is done, as an
 * index is in PostgreSQL whose making or dropping broke off.  Dropping it
 * drops what is there, REINDEX makes what is missing.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "shard/ddl/check.h"
#include "shard/ddl/concurrent.h"
#include "shard/ddl/objects.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shard_run.h"
#include "shard/ddl/shell.h"

static void
next_transaction(void)
{
	if (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();
	StartTransactionCommand();
}

void
concurrent_run(Oid table, List *commands, const char *hint)
{
	MemoryContext context = CurrentMemoryContext;
	LockRelId lock = {.relId = table, .dbId = MyDatabaseId};
	ShardRun *run;
	ListCell *lc;

	/* An error releases it too. */
	LockRelationIdForSession(&lock, ShareUpdateExclusiveLock);
	next_transaction();
	PG_TRY();
	{
		run = shard_run_create();
		shard_run_use_path_of(run, table);
		foreach (lc, commands)
		{
			ConcurrentCommand *command = lfirst(lc);

			shard_run_add_alone(run, command->group_id, command->sql);
		}

		shard_run_finish(run);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		error->hint = pstrdup(hint);
		ReThrowError(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	UnlockRelationIdForSession(&lock, ShareUpdateExclusiveLock);
}

List *
concurrent_add(List *commands, const Shard *shard, char *sql)
{
	ListCell *lc;

	foreach (lc, shard_run_groups(shard))
	{
		ConcurrentCommand *command = palloc(sizeof(*command));

		command->group_id = lfirst_int(lc);
		command->sql = sql;
		commands = lappend(commands, command);
	}
	return commands;
}

/* The command for the index on a shard, with CONCURRENTLY. */
static char *
create_command(Relation rel, Oid index, int64 shard_id)
{
	const char *text = shard_ddl_index(rel, index, shard_id);
	const char *keyword = " INDEX ";
	const char *at = strstr(text, keyword);

	if (at == NULL)
		elog(ERROR, "\"%s\" does not make an index", text);
	at += strlen(keyword);
	return psprintf("%.*sCONCURRENTLY %s", (int) (at - text), text, at);
}

List *
concurrent_create_commands(Relation rel, const DistributedTable *table, Oid index, bool drop)
{
	int level = shard_ddl_begin();
	List *commands = NIL;

	for (int i = 0; i < shell_end(table->colocation); i++)
	{
		const Shard *shard = shell_or_shard(table->colocation, i);

		if (drop)
			commands =
				concurrent_add(commands, shard,
							   psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s.%s",
										shard_ddl_schema_name(RelationGetNamespace(rel), shard->id),
										quote_identifier(get_rel_name(index))));
		commands = concurrent_add(commands, shard, create_command(rel, index, shard->id));
	}
	shard_ddl_end(level);
	return commands;
}

/*
 * Is it certain that the shards can keep the index?  Once it is there it is
 * too late to look.
 */
static void
check_statement(const IndexStmt *stmt, const DistributedTable *table)
{
	char *key;
	ListCell *lc;

	if (!stmt->unique || table->kind == TABLE_REFERENCE)
		return;
	key = get_attname(table->relid, table->key, false);
	foreach (lc, stmt->indexParams)
	{
		IndexElem *element = castNode(IndexElem, lfirst(lc));

		if (element->name != NULL && strcmp(element->name, key) == 0 && element->opclass == NIL &&
			element->collation == NIL)
			return;
	}
	ereport(
		ERROR,
		(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		 errmsg("cannot keep this unique index on distributed table \"%s\"",
				get_rel_name(table->relid)),
		 errdetail("It does not include the distribution column \"%s\" with its usual equality.",
				   key),
		 errhint("Add the column to the index, or make this a reference table.")));
}

static List *
indexes_of(Oid relid)
{
	Relation rel = relation_open(relid, AccessShareLock);
	List *indexes = RelationGetIndexList(rel);

	relation_close(rel, AccessShareLock);
	return indexes;
}

/* Marks the shell's index; the plans of before must go. */
static void
set_state(Oid table, Oid index, IndexStateFlagsAction action)
{
	index_set_state_flags(index, action);
	CacheInvalidateRelcacheByRelid(table);
}

bool
concurrent_create_index(UtilityCall *call, const DistributedTable *table)
{
	IndexStmt *stmt = castNode(IndexStmt, call->pstmt->utilityStmt);
	MemoryContext context =
		AllocSetContextCreate(PortalContext, "pgcluster create index", ALLOCSET_SMALL_SIZES);
	MemoryContext old;
	Oid relid = table->relid;
	List *before;
	List *made;
	List *commands = NIL;

	check_statement(stmt, table);
	old = MemoryContextSwitchTo(context);
	before = indexes_of(relid);
	MemoryContextSwitchTo(old);
	utility_run(call);

	MemoryContextSwitchTo(context);
	made = list_difference_oid(indexes_of(relid), before);
	if (made != NIL)
	{
		Relation rel = relation_open(relid, AccessShareLock);

		table = metadata_table(relid);
		if (table == NULL)
			ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
							errmsg("table \"%s\" is not distributed any more",
								   RelationGetRelationName(rel)),
							errhint("Its index is complete.")));
		objects_ensure_table(rel);
		commands = concurrent_create_commands(rel, table, linitial_oid(made), false);
		relation_close(rel, AccessShareLock);
		set_state(relid, linitial_oid(made), INDEX_DROP_CLEAR_VALID);
		concurrent_run(relid, commands,
					   "The index is invalid now. DROP INDEX removes it, REINDEX INDEX makes what "
					   "is missing.");
		set_state(relid, linitial_oid(made), INDEX_CREATE_SET_VALID);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return true;
}

bool
concurrent_drop_index(UtilityCall *call, const DistributedTable *table, RangeVar *name)
{
	DropStmt *stmt = castNode(DropStmt, call->pstmt->utilityStmt);
	Oid relid = table->relid;
	Oid index = RangeVarGetRelid(name, NoLock, true);
	MemoryContext context;
	MemoryContext old;
	List *commands = NIL;
	Relation rel;

	PreventInTransactionBlock(call->context == PROCESS_UTILITY_TOPLEVEL, "DROP INDEX CONCURRENTLY");

	/* These the server refuses. */
	if (list_length(stmt->objects) != 1 || stmt->behavior == DROP_CASCADE ||
		!user_owns_relation(relid) || !OidIsValid(index) || OidIsValid(get_index_constraint(index)))
		return false;
	context = AllocSetContextCreate(PortalContext, "pgcluster drop index", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	rel = relation_open(relid, ShareUpdateExclusiveLock);
	for (int i = 0; i < shell_end(table->colocation); i++)
	{
		const Shard *shard = shell_or_shard(table->colocation, i);

		commands =
			concurrent_add(commands, shard,
						   psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s.%s",
									shard_ddl_schema_name(RelationGetNamespace(rel), shard->id),
									quote_identifier(get_rel_name(index))));
	}
	relation_close(rel, NoLock);
	set_state(relid, index, INDEX_DROP_CLEAR_VALID);
	concurrent_run(relid, commands, "The index is invalid now. Repeat the command.");
	PushActiveSnapshot(GetTransactionSnapshot());
	alter_run(call, list_make1_oid(relid));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return true;
}
