/*-------------------------------------------------------------------------
 * shape.c
 *	  Has the shards follow a change of their shell.
 *
 * A command runs on the shell first.  Its parts are compared by their Oids
 * and column numbers with those of before, and what is gone, renamed or new
 * is repeated on the shards.  So it does not matter how the change was asked
 * for, and names and defaults are those that the server chose.
 *
 * Order: what was renamed keeps the names right for the rest; drops go
 * before additions, foreign keys come last.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_statistic_ext.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "shard/ddl/check.h"
#include "shard/ddl/distribute.h"
#include "shard/ddl/groups.h"
#include "shard/ddl/fill.h"
#include "shard/ddl/objects.h"
#include "shard/ddl/policy.h"
#include "shard/ddl/property.h"
#include "shard/ddl/shape.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shard_run.h"
#include "shard/ddl/sequence.h"
#include "shard/ddl/shell.h"
#include "shard/ddl/trigger.h"
#include "shard/metadata/catalog.h"
#include "shard/metadata/metadata.h"

typedef enum PartKind
{
	PART_CONSTRAINT,
	PART_FOREIGN_KEY,
	PART_INDEX, /* that no constraint makes */
	PART_STATISTICS,
	PART_TRIGGER,
	PART_POLICY
} PartKind;

typedef struct Part
{
	PartKind kind;
	Oid id;
	char *name;
	bool validated;	  /* constraints */
	char *definition; /* of what can change in place, else NULL */
} Part;

typedef struct Column
{
	char *name; /* NULL: dropped */
	bool not_null;
	Oid type;
	int32 typmod;
	Oid collation;
} Column;

struct Shape
{
	const DistributedTable *table;
	char *name;
	Oid schema;
	Oid owner;
	int ncolumns;
	Column *columns;
	List *parts;
	List *properties;
	List *local_defaults; /* columns whose defaults the shards do not have, ints */
	bool guarded;		  /* the shards look after what triggers do to rows */
	bool by_name;		  /* parts are made anew under their old names */
};

/* What is done to a part of each kind; arguments are in the order shard schema or table, names. */
static const struct
{
	const char *drop;
	const char *rename;
	bool by_schema; /* the first name is "schema"."part", not the table */
	char *(*create)(Relation rel, Oid id, int64 shard_id);
} part_commands[] = {
	[PART_CONSTRAINT] = {"ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s CASCADE",
						 "ALTER TABLE %s RENAME CONSTRAINT %s TO %s", false, shard_ddl_constraint},
	[PART_FOREIGN_KEY] = {"ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s CASCADE",
						  "ALTER TABLE %s RENAME CONSTRAINT %s TO %s", false, shard_ddl_constraint},
	[PART_INDEX] = {"DROP INDEX IF EXISTS %s.%s CASCADE", "ALTER INDEX %s.%s RENAME TO %s", true,
					shard_ddl_index},
	[PART_STATISTICS] = {"DROP STATISTICS IF EXISTS %s.%s CASCADE",
						 "ALTER STATISTICS %s.%s RENAME TO %s", true, shard_ddl_statistics},
	[PART_TRIGGER] = {"DROP TRIGGER IF EXISTS %2$s ON %1$s CASCADE",
					  "ALTER TRIGGER %2$s ON %1$s RENAME TO %3$s", false, trigger_command},
	[PART_POLICY] = {"DROP POLICY IF EXISTS %2$s ON %1$s CASCADE",
					 "ALTER POLICY %2$s ON %1$s RENAME TO %3$s", false, policy_command},
};

/* What is not the shard's own schema. */
#define ANY_SHARD 0

static void
add_part(Shape *shape, PartKind kind, Oid id, const char *name, bool validated,
		 const char *definition)
{
	Part *part = palloc(sizeof(*part));

	part->kind = kind;
	part->id = id;
	part->name = pstrdup(name);
	part->validated = validated;
	part->definition = definition ? pstrdup(definition) : NULL;
	shape->parts = lappend(shape->parts, part);
}

static void
take_constraints(Shape *shape, Relation rel)
{
	Relation catalog = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationGetRelid(rel)));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		/* Keys to the partitions of a table come and go with the key to the table. */
		if (form->contype == CONSTRAINT_FOREIGN && !OidIsValid(form->conparentid))
			add_part(shape, PART_FOREIGN_KEY, form->oid, NameStr(form->conname), form->convalidated,
					 psprintf("%d %d", form->condeferrable, form->condeferred));
		else if (form->contype == CONSTRAINT_CHECK || form->contype == CONSTRAINT_PRIMARY ||
				 form->contype == CONSTRAINT_UNIQUE || form->contype == CONSTRAINT_EXCLUSION)
			add_part(shape, PART_CONSTRAINT, form->oid, NameStr(form->conname), form->convalidated,
					 NULL);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

static void
take_statistics(Shape *shape, Relation rel)
{
	ListCell *lc;

	foreach (lc, RelationGetStatExtList(rel))
	{
		HeapTuple tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			continue;
		add_part(shape, PART_STATISTICS, lfirst_oid(lc),
				 NameStr(((Form_pg_statistic_ext) GETSTRUCT(tuple))->stxname), true, NULL);
		ReleaseSysCache(tuple);
	}
}

static void
take_triggers(Shape *shape, Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (trigger_on_shards(trigger, shape->table->kind))
			add_part(shape, PART_TRIGGER, trigger->tgoid, trigger->tgname, true,
					 trigger_command(rel, trigger->tgoid, ANY_SHARD));
	}
	shape->guarded =
		trigger_guard_command(rel, shape->table, &shape->table->colocation->shards[0]) != NULL;
}

static void
take_policies(Shape *shape, Relation rel)
{
	ListCell *lc;

	policy_check(rel);
	foreach (lc, policy_list(rel))
	{
		PolicyName *policy = lfirst(lc);

		add_part(shape, PART_POLICY, policy->id, policy->name, true,
				 policy_command(rel, policy->id, ANY_SHARD));
	}
}

/* "table": what it was before the change; its distribution column may be gone. */
static Shape *
take(Oid relid, const DistributedTable *table)
{
	Relation rel = relation_open(relid, AccessShareLock);
	Shape *shape = palloc0(sizeof(*shape));
	ListCell *lc;

	int level = shard_ddl_begin();

	shape->table = table;
	shape->name = pstrdup(RelationGetRelationName(rel));
	shape->schema = RelationGetNamespace(rel);
	shape->owner = rel->rd_rel->relowner;
	shape->ncolumns = RelationGetNumberOfAttributes(rel);
	shape->columns = palloc0(Max(shape->ncolumns, 1) * sizeof(Column));
	for (int i = 0; i < shape->ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

		shape->columns[i].name = att->attisdropped ? NULL : pstrdup(NameStr(att->attname));
		shape->columns[i].not_null = att->attnotnull;
		shape->columns[i].type = att->atttypid;
		shape->columns[i].typmod = att->atttypmod;
		shape->columns[i].collation = att->attcollation;
	}
	take_constraints(shape, rel);
	foreach (lc, RelationGetIndexList(rel))
	{
		if (!OidIsValid(get_index_constraint(lfirst_oid(lc))))
			add_part(shape, PART_INDEX, lfirst_oid(lc), get_rel_name(lfirst_oid(lc)), true, NULL);
	}
	take_statistics(shape, rel);
	take_triggers(shape, rel);
	take_policies(shape, rel);
	shape->properties = property_take(rel, table->kind);
	shape->local_defaults = shell_local_defaults(rel);
	shard_ddl_end(level);
	relation_close(rel, NoLock);
	return shape;
}

Shape *
shape_take(Oid relid)
{
	return take(relid, metadata_table(relid));
}

Oid
shape_table(const Shape *shape)
{
	return shape->table->relid;
}

static Part *
find_part(Shape *shape, const Part *wanted)
{
	ListCell *lc;

	foreach (lc, shape->parts)
	{
		Part *part = lfirst(lc);

		if (part->kind == wanted->kind &&
			(shape->by_name ? strcmp(part->name, wanted->name) == 0 : part->id == wanted->id))
			return part;
	}
	return NULL;
}

/*
 * Refusals
 */
static void
check_new_column(Relation rel, AttrNumber attnum, TableKind kind)
{
	if (shard_ddl_fills_alike(rel, attnum, kind) || fill_is_possible(rel, attnum, kind))
		return;
	ereport(
		ERROR,
		(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		 errmsg("cannot add column \"%s\" with this default to distributed table \"%s\"",
				get_attname(RelationGetRelid(rel), attnum, false), RelationGetRelationName(rel)),
		 errdetail("The rows on the shards would not get the values they would get here."),
		 errhint("Add the column without the default, set the default, then update the rows.")));
}

/* Rows stay where they are: the new type must hash alike. */
static void
check_key_type(Shape *before, Shape *after)
{
	int key = before->table->key - 1;
	Column *old = &before->columns[key];
	Column *new = &after->columns[key];

	if (old->collation == new->collation &&
		lookup_type_cache(old->type, TYPECACHE_HASH_OPFAMILY)->hash_opf ==
			lookup_type_cache(new->type, TYPECACHE_HASH_OPFAMILY)->hash_opf)
		return;
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot change the type of distribution column \"%s\" of table \"%s\"",
						   new->name, after->name),
					errdetail("Rows would belong to other shards."),
					errhint("Use undistribute_table, change the table, and distribute it again.")));
}

static void
check_after(Relation rel, Shape *before, Shape *after)
{
	const DistributedTable *table = before->table;
	Distribution distribution = {.kind = table->kind, .colocation_id = table->colocation->id};

	if (table->kind == TABLE_HASH)
	{
		check_key_type(before, after);
		distribution.key = table->key;
		distribution.key_family =
			lookup_type_cache(table->key_type, TYPECACHE_HASH_OPFAMILY)->hash_opf;
		distribution.key_collation = table->key_collation;
	}
	for (int i = before->ncolumns; i < after->ncolumns; i++)
		check_new_column(rel, i + 1, table->kind);
	check_constraints(rel, &distribution);
	check_outgoing_keys(rel, &distribution);
	trigger_check(rel, table->kind);
	check_expressions(rel);
}

/*
 * The catalog names the distribution column; nothing may ask for the table
 * before it names the right one.
 */
static void
follow_key(Shape *before, Shape *after)
{
	const DistributedTable *table = before->table;
	TableRow row = {.relid = table->relid, .kind = table->kind};
	char *old;
	char *new;
	ListCell *lc;

	if (table->kind != TABLE_HASH)
		return;
	old = before->columns[table->key - 1].name;
	new = after->columns[table->key - 1].name;
	if (new == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot drop distribution column \"%s\" of table \"%s\"", old, after->name),
				 errhint("Use undistribute_table first.")));
	if (strcmp(old, new) == 0)
		return;
	namestrcpy(&row.column, new);
	row.colocation_id = table->colocation->id;

	/* Of a partitioned table also for its partitions. */
	foreach (lc, find_all_inheritors(table->relid, NoLock, NULL))
	{
		row.relid = lfirst_oid(lc);
		catalog_delete_table(row.relid);
		catalog_insert_table(&row);
	}
}

/*
 * The commands for one shard
 */
typedef struct Change
{
	Relation rel;
	Shape *before;
	Shape *after;
	ShapeChange kind;
	List *usings;
	Fill *fill;
	const Shard *shard;
	char *schema; /* quoted, as are the following */
	char *table;  /* with schema */
	List *commands;
} Change;

static void
add(Change *change, char *command)
{
	change->commands = lappend(change->commands, command);
}

static const char *
quoted(const char *name)
{
	return pstrdup(quote_identifier(name));
}

static void
rename_parts(Change *change)
{
	ListCell *lc;

	if (strcmp(change->before->name, change->after->name) != 0)
		add(change, psprintf("ALTER TABLE %s.%s RENAME TO %s", change->schema,
							 quoted(change->before->name), quoted(change->after->name)));
	for (int i = 0; i < change->before->ncolumns; i++)
	{
		char *old = change->before->columns[i].name;
		char *new = change->after->columns[i].name;

		if (old != NULL && new != NULL && strcmp(old, new) != 0)
			add(change, psprintf("ALTER TABLE %s RENAME COLUMN %s TO %s", change->table,
								 quoted(old), quoted(new)));
	}
	foreach (lc, change->before->parts)
	{
		Part *part = lfirst(lc);
		Part *now = find_part(change->after, part);

		if (now != NULL && strcmp(part->name, now->name) != 0)
			add(change,
				psprintf(part_commands[part->kind].rename,
						 part_commands[part->kind].by_schema ? change->schema : change->table,
						 quoted(part->name), quoted(now->name)));
	}
}

/*
 * Is the part that was "old" another one now?  What can change in place is
 * dropped and made anew.
 */
static bool
must_make(Change *change, const Part *old, const Part *now)
{
	if (old == NULL || now == NULL)
		return true;
	return change->kind == SHAPE_PARTS && old->definition != NULL &&
		   strcmp(old->definition, now->definition) != 0;
}

static void
drop_parts(Change *change)
{
	ListCell *lc;

	foreach (lc, change->before->parts)
	{
		Part *part = lfirst(lc);

		if (must_make(change, part, find_part(change->after, part)))
			add(change,
				psprintf(part_commands[part->kind].drop,
						 part_commands[part->kind].by_schema ? change->schema : change->table,
						 quoted(part->name)));
	}
	for (int i = 0; i < change->before->ncolumns; i++)
	{
		char *old = change->before->columns[i].name;

		if (old != NULL && change->after->columns[i].name == NULL)
			add(change, psprintf("ALTER TABLE %s DROP COLUMN IF EXISTS %s CASCADE", change->table,
								 quoted(old)));
	}
}

static void
add_columns(Change *change)
{
	for (int i = change->before->ncolumns; i < change->after->ncolumns; i++)
	{
		List *filled;

		if (change->after->columns[i].name == NULL)
			continue;
		filled = fill_commands(change->fill, i + 1, change->shard);
		if (filled != NIL)
			change->commands = list_concat(change->commands, filled);
		else
			add(change, shard_ddl_add_column(change->rel, i + 1, change->shard->id));
	}
}

static const char *
find_using(Change *change, AttrNumber column)
{
	ListCell *lc;

	foreach (lc, change->usings)
	{
		ShapeUsing *using = lfirst(lc);

		if (using->column == column)
			return using->expression;
	}
	return NULL;
}

static void
change_columns(Change *change)
{
	for (int i = 0; i < change->before->ncolumns; i++)
	{
		Column *old = &change->before->columns[i];
		Column *now = &change->after->columns[i];
		const char *using = find_using(change, i + 1);

		if (now->name == NULL)
			continue;
		if (using != NULL || now->type != old->type || now->typmod != old->typmod ||
			now->collation != old->collation)
			add(change, shard_ddl_column_type(change->rel, i + 1, using, change->shard->id));
		if (now->not_null != old->not_null)
			add(change, psprintf("ALTER TABLE %s ALTER COLUMN %s %s NOT NULL", change->table,
								 quoted(now->name), now->not_null ? "SET" : "DROP"));
	}
}

/* Foreign keys apart from the rest: "last" tells which. */
static void
add_parts(Change *change, bool last)
{
	ListCell *lc;

	foreach (lc, change->after->parts)
	{
		Part *part = lfirst(lc);
		Part *old = find_part(change->before, part);

		if ((part->kind == PART_FOREIGN_KEY) != last)
			continue;
		if (must_make(change, old, part))
			add(change, part_commands[part->kind].create(change->rel, part->id, change->shard->id));
		else if (part->validated && !old->validated)
			add(change, psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s", change->table,
								 quoted(part->name)));
	}
}

static void
change_owner(Change *change)
{
	if (change->before->owner != change->after->owner)
		add(change, psprintf("ALTER TABLE %s OWNER TO %s", change->table,
							 quoted(GetUserNameFromId(change->after->owner, false))));
}

/* A rename leaves all of them; what they are of may be called otherwise. */
static void
change_properties(Change *change)
{
	if (change->kind != SHAPE_RENAMES)
		change->commands = list_concat(
			change->commands,
			property_changes(change->before->properties, change->after->properties,
							 change->kind == SHAPE_TYPES, change->schema, change->table));
}

static void
change_guard(Change *change)
{
	if (change->after->guarded)
		add(change, trigger_guard_command(change->rel, change->before->table, change->shard));
	else if (change->before->guarded)
		add(change, trigger_guard_drop(change->rel, change->shard->id));
}

/* The table moves to the shard of another schema, which comes into being with its first table. */
static void
change_schema(Change *change)
{
	char *old = shard_ddl_schema_name(change->before->schema, change->shard->id);
	ListCell *lc;

	if (change->before->schema == change->after->schema)
		return;
	if (is_shell(change->shard->id) ||
		!distribute_uses_schema(change->before->table, change->after->schema))
		change->commands = list_concat(change->commands,
									   shard_ddl_schema(change->after->schema, change->shard->id));
	add(change, psprintf("ALTER TABLE %s.%s SET SCHEMA %s", old, quoted(change->before->name),
						 change->schema));
	foreach (lc, change->before->parts)
	{
		Part *part = lfirst(lc);

		if (part->kind == PART_STATISTICS)
			add(change, psprintf("ALTER STATISTICS %s.%s SET SCHEMA %s", old, quoted(part->name),
								 change->schema));
	}
	if (!is_shell(change->shard->id) &&
		!distribute_uses_schema(change->before->table, change->before->schema))
		add(change, psprintf("DROP SCHEMA %s", old));
}

static List *
commands_for_shard(const Change *template, const Shard *shard)
{
	Change change = *template;

	change.shard = shard;
	change.schema = shard_ddl_schema_name(change.after->schema, shard->id);
	change.table = shard_ddl_name(change.rel, shard->id);
	change_schema(&change);
	rename_parts(&change);
	drop_parts(&change);
	add_columns(&change);
	change_columns(&change);
	add_parts(&change, false);
	add_parts(&change, true);
	change_properties(&change);
	if (is_shell(shard->id) && change.kind != SHAPE_RENAMES)
		change.commands =
			list_concat(change.commands, shell_defaults(change.rel, change.before->local_defaults));
	else if (!is_shell(shard->id))
		change_guard(&change);
	change_owner(&change);
	return change.commands;
}

void
shape_follow(Shape *before, ShapeChange kind, List *usings)
{
	Oid relid = before->table->relid;
	const Colocation *colocation = before->table->colocation;
	Change change = {.kind = kind, .usings = usings, .before = before};
	List *commands = NIL;
	ShardRun *run;
	int level;

	CommandCounterIncrement();
	change.after = take(relid, before->table);
	before->by_name = change.after->by_name = kind == SHAPE_TYPES;
	follow_key(before, change.after);
	change.rel = relation_open(relid, NoLock);
	check_after(change.rel, before, change.after);
	objects_ensure_table(change.rel);

	change.fill = fill_prepare(change.rel, before->table, before->ncolumns + 1);
	/* Those of the table follow its new name, or schema, by themselves. */
	if (kind != SHAPE_RENAMES)
		sequence_share(change.rel, groups_elsewhere());
	level = shard_ddl_begin();
	for (int i = 0; i < shell_end(colocation); i++)
		commands = lappend(commands, commands_for_shard(&change, shell_or_shard(colocation, i)));
	shard_ddl_end(level);

	/* Under the session's search_path again. */
	run = shard_run_create();
	shard_run_use_path_of(run, relid);
	for (int i = 0; i < shell_end(colocation); i++)
		shard_run_add_all(run, shard_run_groups(shell_or_shard(colocation, i)),
						  list_nth(commands, i));
	shard_run_finish(run);
	relation_close(change.rel, NoLock);
}
