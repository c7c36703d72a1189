/*-------------------------------------------------------------------------
 * distribute.c
 *	  Makes tables distributed and local again.
 *
 * Distributing goes: check everything, write the catalog, make the shards,
 * copy the rows, add what is cheaper to add afterwards, empty the shell.
 * Going back is the same the other way round.  The table is locked against
 * everybody meanwhile, the groups against joining and leaving.
 *
 * What may be distributed is decided by check.c, the commands for a shard
 * are shard_ddl.c's, rows travel through router.c.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_type.h"
#include "commands/copy.h"
#include "commands/tablecmds.h"
#include "executor/tuptable.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_relation.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "shard/ddl/check.h"
#include "shard/ddl/copy_text.h"
#include "shard/ddl/distribute.h"
#include "shard/ddl/grant.h"
#include "shard/ddl/groups.h"
#include "shard/ddl/names.h"
#include "shard/ddl/objects.h"
#include "shard/ddl/policy.h"
#include "shard/ddl/router.h"
#include "shard/ddl/sequence.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shard_run.h"
#include "shard/ddl/shell.h"
#include "shard/ddl/trigger.h"
#include "shard/metadata/catalog.h"
#include "shard/metadata/lock.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/remote.h"

#define DEFAULT_SHARD_COUNT 32

/* Opens a table of the user's to change how it is stored. */
static Relation
open_table(Oid relid, const char *command)
{
	Relation rel = relation_open(relid, AccessExclusiveLock);

	if (!user_owns_relation(relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(rel->rd_rel->relkind),
					   RelationGetRelationName(rel));
	CheckTableNotInUse(rel, command);
	return rel;
}

/* Is there another table of the colocation group in the schema? */
static bool
others_in_schema(Oid relid, int colocation_id, Oid schema)
{
	ListCell *lc;

	foreach (lc, catalog_read_tables(colocation_id))
	{
		Oid other = ((TableRow *) lfirst(lc))->relid;

		if (other != relid && get_rel_namespace(other) == schema)
			return true;
	}
	return false;
}

static bool
shares_schema(Relation rel, int colocation_id)
{
	return others_in_schema(RelationGetRelid(rel), colocation_id, RelationGetNamespace(rel));
}

bool
distribute_uses_schema(const DistributedTable *table, Oid schema)
{
	return others_in_schema(table->relid, table->colocation->id, schema);
}

/*
 * Colocation groups
 */
static AttrNumber
find_column(Relation rel, const char *column)
{
	AttrNumber key = get_attnum(RelationGetRelid(rel), column);

	if (key == InvalidAttrNumber)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("column \"%s\" of relation \"%s\" does not exist", column,
							   RelationGetRelationName(rel))));
	if (key < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
						errmsg("system column \"%s\" cannot be the distribution column", column)));
	return key;
}

static Oid
hash_family(Oid type)
{
	return lookup_type_cache(type, TYPECACHE_HASH_OPFAMILY)->hash_opf;
}

/* Are rows of the colocation group placed as this distribution places them? */
static bool
fits(const ColocationRow *row, const Distribution *distribution)
{
	return OidIsValid(row->key_type) && hash_family(row->key_type) == distribution->key_family &&
		   row->key_collation == distribution->key_collation;
}

static int
colocation_of(Oid relid, const Distribution *distribution, int shard_count)
{
	const DistributedTable *other = metadata_table(relid);
	ColocationRow row;
	const char *why = NULL;

	if (other == NULL || other->kind != TABLE_HASH)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("cannot colocate with \"%s\"", get_rel_name(relid)),
						errdetail("It is not distributed by a column.")));
	if (!catalog_read_colocation(other->colocation->id, &row))
		elog(ERROR, "colocation group %d does not exist", other->colocation->id);
	if (!fits(&row, distribution))
		why = "Type or collation of the distribution columns differ.";
	else if (shard_count != 0 && shard_count != row.shard_count)
		why = psprintf("It has %d shards.", row.shard_count);
	if (why != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("cannot colocate with \"%s\"", get_rel_name(relid)),
						errdetail_internal("%s", why)));
	return row.id;
}

/* The first colocation group that fits, 0 if there is none. */
static int
fitting_colocation(const Distribution *distribution, int shard_count)
{
	ListCell *lc;

	foreach (lc, catalog_read_colocations())
	{
		ColocationRow *row = lfirst(lc);

		if (fits(row, distribution) && row->shard_count == shard_count)
			return row->id;
	}
	return 0;
}

/* The colocation group of a table that a foreign key points at, if it fits; else 0. */
static int
foreign_key_colocation(Relation rel, const Distribution *distribution)
{
	ListCell *lc;

	foreach (lc, RelationGetFKeyList(rel))
	{
		const DistributedTable *target =
			metadata_table(((ForeignKeyCacheInfo *) lfirst(lc))->confrelid);
		ColocationRow row;

		if (target != NULL && target->kind == TABLE_HASH &&
			catalog_read_colocation(target->colocation->id, &row) && fits(&row, distribution))
			return row.id;
	}
	return 0;
}

static int
new_colocation(Oid key_type, Oid key_collation, int shard_count)
{
	ColocationRow row;

	row.id = (int) catalog_next_id("colocation_id_seq");
	row.shard_count = shard_count;
	row.key_type = key_type;
	row.key_collation = key_collation;
	catalog_insert_colocation(&row);
	return row.id;
}

/* Splits the range of the hash evenly, and deals the shards out to the groups. */
static void
new_hash_shards(int colocation_id, int shard_count, List *groups)
{
	int64 width = (INT64CONST(1) << 32) / shard_count;

	for (int i = 0; i < shard_count; i++)
	{
		Shard shard;

		shard.id = catalog_next_id("shard_id_seq");
		shard.hash_min = (int32) (PG_INT32_MIN + i * width);
		shard.hash_max =
			i == shard_count - 1 ? PG_INT32_MAX : (int32) (PG_INT32_MIN + (i + 1) * width - 1);
		shard.group_id = list_nth_int(groups, i % list_length(groups));
		catalog_insert_shard(colocation_id, &shard);
	}
}

static int
reference_colocation(void)
{
	Shard shard = {.hash_min = PG_INT32_MIN, .hash_max = PG_INT32_MAX, .group_id = -1};
	ListCell *lc;
	int id;

	foreach (lc, catalog_read_colocations())
	{
		ColocationRow *row = lfirst(lc);

		if (!OidIsValid(row->key_type))
			return row->id;
	}
	id = new_colocation(InvalidOid, InvalidOid, 1);
	shard.id = catalog_next_id("shard_id_seq");
	catalog_insert_shard(id, &shard);
	return id;
}

/* All groups; an error if there is none. */
static List *
require_groups(void)
{
	List *groups;

	groups_sync();
	groups = metadata_groups();
	if (groups == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the cluster has no worker group"),
				 errhint("Add one with cluster_add_node, or start one whose members find etcd.")));
	return groups;
}

/*
 * Shards
 */
typedef List *(*ShardCommands)(Relation rel, int64 shard_id);

/*
 * Runs commands for each shard, and for the shells, where they are; with
 * "group_id" for what this group has, not 0, that joins.
 */
static void
run_on_shards(Relation rel, ShardCommands commands, int group_id)
{
	const DistributedTable *table = metadata_table(RelationGetRelid(rel));
	ShardRun *run = shard_run_create();

	shard_run_use_path_of(run, RelationGetRelid(rel));
	for (int i = 0; i < shell_end(table->colocation); i++)
	{
		const Shard *shard = shell_or_shard(table->colocation, i);
		List *groups = shard_run_groups(shard);
		List *all;
		int level;

		if (group_id != 0)
			groups = list_intersection_int(groups, list_make1_int(group_id));
		if (groups == NIL)
			continue;
		level = shard_ddl_begin();
		all = commands(rel, shard->id);
		shard_ddl_end(level);
		shard_run_add_all(run, groups, all);
		if (commands == shard_ddl_rest)
			grant_repeat(run, groups, rel, shard->id);
	}
	shard_run_finish(run);
}

static List *
schema_commands(Relation rel, int64 shard_id)
{
	return shard_ddl_schema(RelationGetNamespace(rel), shard_id);
}

/* Copies what the local table holds to the shards. */
static int64
copy_rows(Relation rel, List *groups)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	int level = shard_ddl_begin();
	Router *router = router_create(rel, groups, CurrentMemoryContext);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);

	shard_ddl_end(level);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		router_row(router, slot->tts_values, slot->tts_isnull);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	return router_finish(router);
}

static void
write_table(Relation rel, const Distribution *distribution)
{
	TableRow row = {0};

	row.relid = RelationGetRelid(rel);
	row.kind = distribution->kind;
	row.colocation_id = distribution->colocation_id;
	if (distribution->kind == TABLE_HASH)
		namestrcpy(&row.column, get_attname(row.relid, distribution->key, false));
	catalog_insert_table(&row);
}

/* Tables with their rows in the catalog, and their schemas on the nodes. */
static void
announce(Relation rel, const Distribution *distribution)
{
	bool shared = shares_schema(rel, distribution->colocation_id);

	write_table(rel, distribution);
	objects_ensure_table(rel);
	if (!shared)
		run_on_shards(rel, schema_commands, 0);
}

/*
 * Makes the shards of tables that were announced: one table, or a partitioned
 * one before its partitions.  What partitions have in common is made for each
 * of them first, and found there when it is made for the whole.
 */
static int64
make_shards(List *rels)
{
	int level = shard_run_quietly("warning");
	int64 rows = 0;
	ListCell *lc;

	foreach (lc, rels)
		sequence_share(lfirst(lc), groups_elsewhere());
	foreach (lc, rels)
		run_on_shards(lfirst(lc), shard_ddl_table, 0);
	foreach (lc, rels)
	{
		if (((Relation) lfirst(lc))->rd_rel->relkind == RELKIND_RELATION)
			rows += copy_rows(lfirst(lc), NIL);
	}
	for (int i = list_length(rels) - 1; i >= 0; i--)
	{
		Relation rel = list_nth(rels, i);

		run_on_shards(rel, shard_ddl_rest, 0);
		if (rel->rd_rel->relispartition)
			run_on_shards(rel, shard_ddl_attach, 0);
	}
	foreach (lc, rels)
		run_on_shards(lfirst(lc), shard_ddl_foreign_keys, 0);
	AtEOXact_GUC(true, level);
	return rows;
}

/*
 * The rows are on the shards now.  Tables that point at this one were checked
 * to be empty, so that truncating them with it changes nothing.
 */
static void
empty_shells(List *rels)
{
	int level = shard_run_quietly("warning");
	List *relids = NIL;
	ListCell *lc;

	foreach (lc, rels)
		relids = lappend_oid(relids, RelationGetRelid((Relation) lfirst(lc)));
	truncate_relations(list_copy(rels), relids);
	AtEOXact_GUC(true, level);
}

/* A partition is distributed as its parent is; its columns may have other numbers. */
static Relation
open_partition(Oid relid, const char *column, Distribution *distribution)
{
	Relation rel = open_table(relid, "create_distributed_table");

	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot distribute partition \"%s\"", RelationGetRelationName(rel)),
						errdetail("It is not a table."), errhint("Detach it first.")));
	if (distribution->kind == TABLE_HASH)
		distribution->key = get_attnum(relid, column);
	check_constraints(rel, distribution);
	check_foreign_keys(rel, distribution);
	trigger_check(rel, distribution->kind);
	policy_check(rel);
	check_expressions(rel);
	return rel;
}

/* Name of the distribution column, NULL of a reference table. */
static char *
key_name(Oid relid, TableKind kind, AttrNumber key)
{
	return kind == TABLE_HASH ? get_attname(relid, key, false) : NULL;
}

/* The partitions of a table, and theirs. */
static List *
open_partitions(Relation rel, Distribution distribution)
{
	char *column = key_name(RelationGetRelid(rel), distribution.kind, distribution.key);
	List *rels = NIL;
	ListCell *lc;

	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return NIL;
	foreach (lc, find_all_inheritors(RelationGetRelid(rel), AccessExclusiveLock, NULL))
	{
		if (lfirst_oid(lc) != RelationGetRelid(rel))
			rels = lappend(rels, open_partition(lfirst_oid(lc), column, &distribution));
	}
	return rels;
}

static void
distribute_tables(List *rels, Distribution distribution)
{
	char *column =
		key_name(RelationGetRelid((Relation) linitial(rels)), distribution.kind, distribution.key);
	ListCell *lc;

	foreach (lc, rels)
	{
		if (column != NULL)
			distribution.key = get_attnum(RelationGetRelid((Relation) lfirst(lc)), column);
		announce(lfirst(lc), &distribution);
	}
	if (make_shards(rels) > 0 && distribution.kind == TABLE_HASH)
		empty_shells(rels);
	foreach (lc, rels)
		relation_close(lfirst(lc), NoLock);
}

void
distribute_partition(Oid relid)
{
	const DistributedTable *parent = metadata_table(get_partition_parent(relid, false));
	Distribution distribution = {.kind = parent->kind, .colocation_id = parent->colocation->id};
	char *column = key_name(parent->relid, parent->kind, parent->key);

	if (parent->kind == TABLE_HASH)
	{
		distribution.key_family = hash_family(parent->key_type);
		distribution.key_collation = parent->key_collation;
	}
	lock_groups(ExclusiveLock);
	distribute_tables(list_make1(open_partition(relid, column, &distribution)), distribution);
}

void
distribute_by_hash(Oid relid, const char *column, Oid colocate_with, bool alone, int shard_count)
{
	Distribution distribution = {.kind = TABLE_HASH};
	Oid key_type;
	int32 key_typmod;
	Relation rel;

	lock_groups(ExclusiveLock);
	rel = open_table(relid, "create_distributed_table");
	check_relation(rel, TABLE_HASH);
	distribution.key = find_column(rel, column);
	distribution.key_family = check_key_column(rel, distribution.key);
	get_atttypetypmodcoll(relid, distribution.key, &key_type, &key_typmod,
						  &distribution.key_collation);
	if (OidIsValid(colocate_with))
		distribution.colocation_id = colocation_of(colocate_with, &distribution, shard_count);
	else if (shard_count == 0 && !alone)
		distribution.colocation_id = foreign_key_colocation(rel, &distribution);
	if (shard_count == 0)
		shard_count = DEFAULT_SHARD_COUNT;
	if (distribution.colocation_id == 0 && !alone)
		distribution.colocation_id = fitting_colocation(&distribution, shard_count);
	check_constraints(rel, &distribution);
	check_foreign_keys(rel, &distribution);

	if (distribution.colocation_id == 0)
	{
		List *groups = require_groups();

		distribution.colocation_id =
			new_colocation(getBaseType(key_type), distribution.key_collation, shard_count);
		new_hash_shards(distribution.colocation_id, shard_count, groups);
	}
	distribute_tables(lcons(rel, open_partitions(rel, distribution)), distribution);
}

void
distribute_reference(Oid relid)
{
	Distribution distribution = {.kind = TABLE_REFERENCE};
	Relation rel;

	lock_groups(ExclusiveLock);
	rel = open_table(relid, "create_reference_table");
	check_relation(rel, TABLE_REFERENCE);
	check_foreign_keys(rel, &distribution);
	(void) require_groups();
	distribution.colocation_id = reference_colocation();
	distribute_tables(lcons(rel, open_partitions(rel, distribution)), distribution);
}

/* A partitioned table comes before its partitions. */
static int
depth(Oid relid)
{
	return get_rel_relispartition(relid) ? depth(get_partition_parent(relid, false)) + 1 : 0;
}

static int
compare_depths(const ListCell *a, const ListCell *b)
{
	return depth(lfirst_oid(a)) - depth(lfirst_oid(b));
}

/*
 * A group that joins gets the reference tables with their rows, and the
 * shells of all tables: first the tables, then, partitions before what they
 * are part of, all that belongs to them, and last their foreign keys.
 */
void
distribute_join(int group_id)
{
	List *relids = metadata_tables();
	List *tables = NIL;
	List *done = NIL;
	ListCell *lc;

	list_sort(relids, compare_depths);
	foreach (lc, relids)
		tables = lappend(tables, table_open(lfirst_oid(lc),
											metadata_table(lfirst_oid(lc))->kind == TABLE_REFERENCE
												? ShareRowExclusiveLock
												: ShareUpdateExclusiveLock));
	foreach (lc, tables)
	{
		Relation rel = lfirst(lc);
		TableKind kind = metadata_table(RelationGetRelid(rel))->kind;
		List *schema = list_make2_oid(RelationGetNamespace(rel), (Oid) kind);

		objects_ensure_table(rel);
		if (!list_member(done, schema))
			run_on_shards(rel, schema_commands, group_id);
		done = list_append_unique(done, schema);
		if (groups_is_elsewhere(group_id))
			sequence_share(rel, list_make1_int(group_id));
		run_on_shards(rel, shard_ddl_table, group_id);
		if (kind == TABLE_REFERENCE && rel->rd_rel->relkind == RELKIND_RELATION)
			(void) copy_rows(rel, list_make1_int(group_id));
	}
	for (int i = list_length(tables) - 1; i >= 0; i--)
	{
		Relation rel = list_nth(tables, i);

		run_on_shards(rel, shard_ddl_rest, group_id);
		if (rel->rd_rel->relispartition)
			run_on_shards(rel, shard_ddl_attach, group_id);
	}
	foreach (lc, tables)
	{
		Relation rel = lfirst(lc);

		run_on_shards(rel, shard_ddl_foreign_keys, group_id);

		/* Plans that write to the groups of before must go. */
		CacheInvalidateRelcache(rel);
		table_close(rel, NoLock);
	}
}

static char *
drop_schema_command(Relation rel, int64 shard_id)
{
	char *schema = metadata_shard_schema(get_namespace_name(RelationGetNamespace(rel)), shard_id);

	return psprintf("DROP SCHEMA IF EXISTS %s CASCADE", quote_identifier(schema));
}

static char *
drop_table_command(Relation rel, int64 shard_id)
{
	return psprintf("DROP TABLE IF EXISTS %s CASCADE", shard_ddl_name(rel, shard_id));
}

void
distribute_leave(int group_id)
{
	bool elsewhere = metadata_any_table() && groups_is_elsewhere(group_id);
	List *schemas = NIL;
	ShardRun *run = shard_run_create();
	int level = shard_run_quietly("warning");
	ListCell *lc;

	foreach (lc, metadata_tables())
	{
		const DistributedTable *table = metadata_table(lfirst_oid(lc));
		bool reference = table->kind == TABLE_REFERENCE;
		Relation rel =
			table_open(table->relid, reference ? ShareRowExclusiveLock : ShareUpdateExclusiveLock);

		if (reference && !list_member_oid(schemas, RelationGetNamespace(rel)))
			shard_run_add(run, group_id, drop_schema_command(rel, table->colocation->shards[0].id));
		if (reference)
			schemas = list_append_unique_oid(schemas, RelationGetNamespace(rel));
		if (elsewhere)
			shard_run_add(run, group_id, drop_table_command(rel, SHELL_SHARD));
		CacheInvalidateRelcache(rel);
		table_close(rel, NoLock);
	}
	shard_run_finish(run);
	AtEOXact_GUC(true, level);
}

void
distribute_drop_shards(Oid relid)
{
	const DistributedTable *table = metadata_table(relid);
	Relation rel = relation_open(relid, NoLock);
	int colocation_id = table->colocation->id;
	bool shared = shares_schema(rel, colocation_id);
	ShardRun *run = shard_run_create();
	int level = shard_run_quietly("warning");

	for (int i = 0; i < shell_end(table->colocation); i++)
	{
		const Shard *shard = shell_or_shard(table->colocation, i);
		char *sql = shared || is_shell(shard->id) ? drop_table_command(rel, shard->id)
												  : drop_schema_command(rel, shard->id);

		shard_run_add_all(run, shard_run_groups(shard), list_make1(sql));
	}
	shard_run_finish(run);
	AtEOXact_GUC(true, level);
	relation_close(rel, NoLock);

	catalog_delete_table(relid);
	if (catalog_read_tables(colocation_id) == NIL)
		catalog_delete_colocation(colocation_id);
}

/*
 * The way back.  The rows of all shards are read one after the other and fed
 * to the server's own COPY FROM as text.
 */
typedef struct Reload
{
	Relation rel;
	const DistributedTable *table;
	char *columns;
	int shard; /* the next to read */
	RemoteTask *task;
	MemoryContext context;
	StringInfoData buffer;
} Reload;

/* COPY's callback has no argument. */
static Reload *reload = NULL;

static bool
reload_next_shard(void)
{
	RemoteQuery query = {0};
	const Shard *shard;

	if (reload->shard == reload->table->colocation->nshards)
		return false;
	shard = &reload->table->colocation->shards[reload->shard++];
	query.group_id = shard->group_id;
	query.sql =
		psprintf("SELECT %s FROM %s", reload->columns, shard_ddl_name(reload->rel, shard->id));
	query.writes = true;
	query.names = names_sought(RelationGetRelid(reload->rel));
	reload->task = remote_task_start(&query, reload->context, NULL, NULL);
	return true;
}

/* Puts one row into the buffer; false when there is none left. */
static bool
reload_row(void)
{
	PGresult *row;

	for (;;)
	{
		if (reload->task == NULL && !reload_next_shard())
			return false;
		row = remote_task_next(reload->task);
		if (row != NULL)
			break;
		remote_task_end(reload->task);
		reload->task = NULL;
	}
	for (int i = 0; i < PQnfields(row); i++)
	{
		if (i > 0)
			appendStringInfoChar(&reload->buffer, '\t');
		copy_text_append(&reload->buffer, PQgetisnull(row, 0, i) ? NULL : PQgetvalue(row, 0, i));
	}
	appendStringInfoChar(&reload->buffer, '\n');
	PQclear(row);
	return true;
}

static void
set_replication_role(const char *role)
{
	(void) set_config_option("session_replication_role", role, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

static int
reload_read(void *out, int minread, int maxread)
{
	StringInfo buffer = &reload->buffer;
	MemoryContext old = MemoryContextSwitchTo(reload->context);
	int level = NewGUCNestLevel();
	int n;

	/* Nodes are told of the session's settings: this one is for COPY alone. */
	set_replication_role("origin");

	if (buffer->cursor == buffer->len)
		resetStringInfo(buffer);
	while (buffer->len - buffer->cursor < minread && reload_row())
		;
	n = Min(maxread, buffer->len - buffer->cursor);
	memcpy(out, buffer->data + buffer->cursor, n);
	buffer->cursor += n;
	AtEOXact_GUC(true, level);
	MemoryContextSwitchTo(old);
	return n;
}

/* Columns that hold values of their own; as names and as a select list. */
static List *
stored_columns(Relation rel, char **select_list)
{
	StringInfoData text;
	List *names = NIL;

	initStringInfo(&text);
	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

		if (att->attisdropped || att->attgenerated != '\0')
			continue;
		appendStringInfo(&text, "%s%s", names == NIL ? "" : ", ",
						 quote_identifier(NameStr(att->attname)));
		names = lappend(names, makeString(pstrdup(NameStr(att->attname))));
	}
	*select_list = text.data;
	return names;
}

/*
 * Waits for whatever is being written to the shards, prepared transactions
 * included, so that the rows read next are all there are.
 */
static List *
lock_commands(Relation rel, int64 shard_id)
{
	return list_make1(
		psprintf("LOCK TABLE %s IN ACCESS EXCLUSIVE MODE", shard_ddl_name(rel, shard_id)));
}

static void
reload_rows(Relation rel, const DistributedTable *table)
{
	Reload state = {.rel = rel, .table = table, .context = CurrentMemoryContext};
	ParseState *pstate = make_parsestate(NULL);
	List *columns = stored_columns(rel, &state.columns);
	List *options = list_make1(
		makeDefElem("encoding", (Node *) makeString(pstrdup(GetDatabaseEncodingName())), -1));
	CopyFromState copy;
	int level;

	initStringInfo(&state.buffer);
	reload = &state;

	/*
	 * The rows satisfied the foreign keys on the shards; tables that belong
	 * together come back one by one.
	 */
	level = copy_text_begin(false);
	set_replication_role("replica");
	/* Better an error than some of the rows. */
	(void) set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	/* COPY wants the lock of its own kind, though ours is stronger. */
	LockRelationOid(RelationGetRelid(rel), RowExclusiveLock);
	(void) addRangeTableEntryForRelation(pstate, rel, RowExclusiveLock, NULL, false, false);
	copy = BeginCopyFrom(pstate, rel, NULL, NULL, false, reload_read, columns, options);
	(void) CopyFrom(copy);
	EndCopyFrom(copy);
	AtEOXact_GUC(true, level);
	free_parsestate(pstate);
	reload = NULL;
}

/* Distributed tables on the other end of foreign keys, in either direction. */
static List *
tied_tables(Relation rel)
{
	List *relids = check_referencing(rel);
	List *tied = NIL;
	ListCell *lc;

	foreach (lc, RelationGetFKeyList(rel))
		relids = list_append_unique_oid(relids, ((ForeignKeyCacheInfo *) lfirst(lc))->confrelid);
	foreach (lc, relids)
	{
		if (lfirst_oid(lc) != RelationGetRelid(rel) && metadata_table(lfirst_oid(lc)) != NULL)
			tied = lappend_oid(tied, lfirst_oid(lc));
	}
	return tied;
}

/*
 * Must "other" come along when "relid" becomes local?  A foreign key from a
 * table that became local to a reference table still holds, as that table's
 * rows are here too.
 */
static bool
must_come_along(Relation rel, Oid other)
{
	ListCell *lc;

	if (metadata_table(other)->kind == TABLE_HASH)
		return true;
	foreach (lc, check_referencing(rel))
	{
		if (lfirst_oid(lc) == other)
			return true;
	}
	return false;
}

/* The table and all that must come along, open and locked. */
static List *
open_tied(Oid relid, bool cascade)
{
	List *rels = list_make1(open_table(relid, "undistribute_table"));
	List *seen = list_make1_oid(relid);
	ListCell *partition;

	if (((Relation) linitial(rels))->rd_rel->relispartition)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cannot undistribute partition \"%s\" alone", get_rel_name(relid)),
						errhint("Detach it first, or undistribute the whole table.")));
	foreach (partition, find_all_inheritors(relid, AccessExclusiveLock, NULL))
	{
		if (lfirst_oid(partition) == relid)
			continue;
		rels = lappend(rels, open_table(lfirst_oid(partition), "undistribute_table"));
		seen = lappend_oid(seen, lfirst_oid(partition));
	}

	for (int i = 0; i < list_length(rels); i++)
	{
		Relation rel = list_nth(rels, i);
		ListCell *lc;

		foreach (lc, tied_tables(rel))
		{
			Oid other = lfirst_oid(lc);

			if (list_member_oid(seen, other) || !must_come_along(rel, other))
				continue;
			if (!cascade)
				ereport(ERROR,
						(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						 errmsg("cannot undistribute \"%s\" alone", RelationGetRelationName(rel)),
						 errdetail("A foreign key ties it to distributed table \"%s\".",
								   get_rel_name(other)),
						 errhint("Use undistribute_table(..., cascade => true) to undistribute "
								 "both.")));
			rels = lappend(rels, open_table(other, "undistribute_table"));
			seen = lappend_oid(seen, other);
		}
	}
	return rels;
}

void
distribute_undo(Oid relid, bool cascade)
{
	List *rels;
	ListCell *lc;

	lock_groups(ExclusiveLock);
	rels = open_tied(relid, cascade);
	foreach (lc, rels)
	{
		Relation rel = lfirst(lc);

		if (metadata_table(RelationGetRelid(rel)) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table \"%s\" is not distributed", RelationGetRelationName(rel))));
		run_on_shards(rel, lock_commands, 0);
	}
	foreach (lc, rels)
	{
		Relation rel = lfirst(lc);
		const DistributedTable *table = metadata_table(RelationGetRelid(rel));

		if (table->kind == TABLE_HASH && rel->rd_rel->relkind == RELKIND_RELATION)
			reload_rows(rel, table);
	}
	foreach (lc, rels)
	{
		Relation rel = lfirst(lc);

		distribute_drop_shards(RelationGetRelid(rel));
		relation_close(rel, NoLock);
	}
}
