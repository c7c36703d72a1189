/*-------------------------------------------------------------------------
 * constraints.c
 *	  SET CONSTRAINTS, when nodes check what is deferred.
 *
 * ALL goes to the nodes that the transaction uses, and to those that it will
 * use.  A name goes to the shards of each distributed table that has such a
 * constraint.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shard_run.h"
#include "shard/ddl/utility.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/remote.h"

/* Has the table a constraint or constraint trigger of this name that can be deferred? */
static bool
has_deferrable(Oid relid, const char *name)
{
	Relation rel = relation_open(relid, AccessShareLock);
	TriggerDesc *triggers = rel->trigdesc;
	bool found = false;
	ListCell *lc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger *trigger = &triggers->triggers[i];

		if (trigger->tgdeferrable && OidIsValid(trigger->tgconstraint))
			found |= strcmp(get_constraint_name(trigger->tgconstraint), name) == 0;
	}
	foreach (lc, found ? NIL : RelationGetIndexList(rel))
	{
		Oid constraint = get_index_constraint(lfirst_oid(lc));

		if (OidIsValid(constraint))
			found |= strcmp(get_constraint_name(constraint), name) == 0;
	}
	relation_close(rel, NoLock);
	return found;
}

/* The constraints of that name on all shards of a table. */
static void
set_constraint(ShardRun *run, Oid relid, const char *name, const char *when)
{
	const DistributedTable *table = metadata_table(relid);

	for (int i = 0; i < table->colocation->nshards; i++)
	{
		const Shard *shard = &table->colocation->shards[i];

		shard_run_add_all(
			run, shard_run_groups(shard),
			list_make1(psprintf("SET CONSTRAINTS %s.%s %s",
								shard_ddl_schema_name(get_rel_namespace(relid), shard->id),
								quote_identifier(name), when)));
	}
}

static void
set_named(ShardRun *run, RangeVar *name, const char *when)
{
	List *tables = metadata_tables();
	ListCell *lc;

	foreach (lc, tables)
	{
		Oid relid = lfirst_oid(lc);

		if (name->schemaname != NULL &&
			strcmp(name->schemaname, get_namespace_name(get_rel_namespace(relid))) != 0)
			continue;
		if (has_deferrable(relid, name->relname))
			set_constraint(run, relid, name->relname, when);
	}
}

bool
constraints_handle(UtilityCall *call)
{
	const ConstraintsSetStmt *stmt = (const ConstraintsSetStmt *) call->pstmt->utilityStmt;
	ShardRun *run;
	ListCell *lc;

	utility_run(call);
	if (!IsTransactionBlock())
		return true;
	if (stmt->constraints == NIL)
		remote_set_constraints(stmt->deferred);
	run = shard_run_create();
	foreach (lc, stmt->constraints)
		set_named(run, lfirst(lc), stmt->deferred ? "DEFERRED" : "IMMEDIATE");
	shard_run_finish(run);
	return true;
}
