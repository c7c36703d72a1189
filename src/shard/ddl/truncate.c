/*-------------------------------------------------------------------------
 * truncate.c
 *	  TRUNCATE of distributed tables.
 *
 * The server truncates the local tables first: it checks privileges and
 * foreign keys, takes the locks and restarts sequences.  Then every group
 * empties its shards of all tables concerned in one statement, because
 * foreign keys between them only allow them together.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/heap.h"
#include "catalog/namespace.h"
#include "lib/stringinfo.h"
#include "utils/rel.h"

#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shard_run.h"
#include "shard/ddl/utility.h"
#include "shard/metadata/metadata.h"

/* The tables named, and with CASCADE those that foreign keys add. */
static List *
tables_to_truncate(TruncateStmt *stmt)
{
	List *relids = NIL;
	ListCell *lc;

	foreach (lc, stmt->relations)
	{
		Oid relid = RangeVarGetRelid(lfirst(lc), NoLock, true);

		if (OidIsValid(relid))
			relids = list_append_unique_oid(relids, relid);
	}
	while (stmt->behavior == DROP_CASCADE)
	{
		List *more = heap_truncate_find_FKs(relids);

		if (more == NIL)
			break;
		relids = list_concat_unique_oid(relids, more);
	}
	return relids;
}

static List *
distributed_ones(List *relids)
{
	List *found = NIL;
	ListCell *lc;

	foreach (lc, relids)
	{
		if (metadata_table(lfirst_oid(lc)) != NULL)
			found = lappend_oid(found, lfirst_oid(lc));
	}
	return found;
}

/* "TRUNCATE a, b, c" of all shards on a group; NULL if it has none. */
static char *
truncate_command(List *relids, int group_id)
{
	StringInfoData sql;
	ListCell *lc;

	initStringInfo(&sql);
	foreach (lc, relids)
	{
		const DistributedTable *table = metadata_table(lfirst_oid(lc));
		Relation rel = relation_open(table->relid, NoLock);

		for (int i = 0; i < table->colocation->nshards; i++)
		{
			const Shard *shard = &table->colocation->shards[i];

			if (shard->group_id >= 0 && shard->group_id != group_id)
				continue;
			appendStringInfo(&sql, "%s %s", sql.len == 0 ? "TRUNCATE" : ",",
							 shard_ddl_name(rel, shard->id));
		}
		relation_close(rel, NoLock);
	}
	return sql.len > 0 ? sql.data : NULL;
}

bool
truncate_handle(UtilityCall *call)
{
	TruncateStmt *stmt = castNode(TruncateStmt, call->pstmt->utilityStmt);
	ShardRun *run = shard_run_create();
	List *relids;
	ListCell *lc;

	/* With its locks held, what is distributed stays so. */
	utility_run(call);
	relids = distributed_ones(tables_to_truncate(stmt));
	foreach (lc, relids != NIL ? metadata_groups() : NIL)
	{
		char *sql = truncate_command(relids, lfirst_int(lc));

		if (sql != NULL)
			shard_run_add(run, lfirst_int(lc), sql);
	}
	shard_run_finish(run);
	return true;
}
