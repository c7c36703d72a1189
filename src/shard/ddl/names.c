/*-------------------------------------------------------------------------
 * names.c
 *	  Tables whose functions look for names.
 *
 * Statements for shards name everything with its schema, and run with a
 * search_path of pg_catalog alone.  But functions of triggers, CHECK
 * constraints, domains, policies, index and generation expressions run
 * with them, and the server looks into such a function even when it plans a
 * query.  One whose body is a string finds what that names without a schema on
 * the search_path of the user's session, as on one server: where a table has
 * such a function all that is done with its shards has that path
 * (remote/settings.c), and all others are spared the telling.
 *
 * What must stay true: an answer that is kept is no older than the table.  A
 * change of what the table uses makes its plans and answers anew.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "shard/ddl/names.h"
#include "shard/ddl/objects.h"
#include "shard/ddl/trigger.h"
#include "shard/metadata/metadata.h"

typedef struct Answer
{
	Oid relid;		   /* hash key */
	uint64 version;	   /* of the table, 0: there is no answer ... */
	uint64 generation; /* ... and of everything, where partitions have a say */
	bool sought;
} Answer;

static HTAB *answers = NULL;

static Answer *
find_answer(Oid relid)
{
	bool found;
	Answer *answer;

	if (answers == NULL)
	{
		HASHCTL ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(Answer)};

		ctl.hcxt = CacheMemoryContext;
		answers = hash_create("pgcluster names", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	answer = hash_search(answers, &relid, HASH_ENTER, &found);
	if (!found)
		answer->version = 0;
	return answer;
}

static bool
look(Oid relid)
{
	Relation rel = table_open(relid, AccessShareLock);
	bool sought = trigger_may_fire(rel) || objects_look_for_names(rel);
	List *partitions = NIL;
	ListCell *lc;

	if (!sought && rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		partitions = find_inheritance_children(relid, AccessShareLock);
	table_close(rel, AccessShareLock);
	foreach (lc, partitions)
		sought |= names_sought(lfirst_oid(lc));
	return sought;
}

bool
names_sought(Oid relid)
{
	const DistributedTable *table = metadata_table(relid);
	Answer *answer;
	uint64 version;
	uint64 generation;
	bool sought;

	if (table == NULL)
		return false;
	answer = find_answer(relid);
	version = table->version;
	generation = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE ? metadata_generation() : 0;
	if (answer->version == version && answer->generation == generation)
		return answer->sought;
	sought = look(relid);
	answer->version = version;
	answer->generation = generation;
	answer->sought = sought;
	return sought;
}

void
names_forget(void)
{
	ListCell *lc;

	foreach (lc, metadata_tables())
		CacheInvalidateRelcacheByRelid(lfirst_oid(lc));
}
