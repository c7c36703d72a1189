/*-------------------------------------------------------------------------
 * property.c
 *	  What a table and its parts have beyond being there.
 *
 * A property is a row: which kind, of which part, which option, which value.
 * What has its default has no row, so two lists of rows tell what was set and
 * what was reset, however that was asked for.  How a kind is set and reset
 * is a row of a table too.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/genam.h"
#include "access/reloptions.h"
#include "access/relation.h"
#include "access/toast_compression.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic_ext.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "shard/ddl/property.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/trigger.h"

typedef enum PropertyKind
{
	PART_IS_THERE,
	TABLE_OPTION,
	TABLE_TABLESPACE,
	TABLE_UNLOGGED,
	TABLE_ACCESS_METHOD,
	COLUMN_STORAGE,
	COLUMN_COMPRESSION,
	COLUMN_STATISTICS,
	COLUMN_OPTION,
	COLUMN_DEFAULT,
	COLUMN_GENERATED,
	INDEX_OPTION,
	INDEX_TABLESPACE,
	INDEX_STATISTICS,
	STATISTICS_TARGET,
	REPLICA_IDENTITY,
	CLUSTERED_ON,
	TRIGGER_STATE,
	ROW_SECURITY,
	FORCED_ROW_SECURITY
} PropertyKind;

typedef struct Property
{
	PropertyKind kind;
	Oid id;		  /* of the part, or the number of a column; 0: the table */
	char *name;	  /* of the part */
	char *option; /* of several, or "" */
	char *value;
	bool initial; /* a new part has this value anyway */
} Property;

/*
 * %t: the table with its schema, %s: the schema, %n: the part, %o: the option,
 * %v: the value.  No "set": the command that makes the part sets it, and
 * nothing changes it.  What stands alone in its row is never set or reset.
 */
static const struct
{
	const char *set;
	const char *reset;
	PropertyTime time;
	bool made_with; /* the command that makes the part sets it */
} kinds[] = {
	[PART_IS_THERE] = {NULL, NULL, PROPERTY_LATE, true},
	[TABLE_OPTION] = {"ALTER TABLE %t SET (%o = %v)", "ALTER TABLE %t RESET (%o)", PROPERTY_EARLY,
					  false},
	[TABLE_TABLESPACE] = {"ALTER TABLE %t SET TABLESPACE %v",
						  "ALTER TABLE %t SET TABLESPACE pg_default", PROPERTY_EARLY, false},
	[TABLE_UNLOGGED] = {"ALTER TABLE %t SET UNLOGGED", "ALTER TABLE %t SET LOGGED", PROPERTY_EARLY,
						true},
	[TABLE_ACCESS_METHOD] = {"ALTER TABLE %t SET ACCESS METHOD %v", NULL, PROPERTY_EARLY, true},
	[COLUMN_STORAGE] = {"ALTER TABLE %t ALTER COLUMN %n SET STORAGE %v", NULL, PROPERTY_EARLY,
						false},
	[COLUMN_COMPRESSION] = {"ALTER TABLE %t ALTER COLUMN %n SET COMPRESSION %v",
							"ALTER TABLE %t ALTER COLUMN %n SET COMPRESSION default",
							PROPERTY_EARLY, true},
	[COLUMN_STATISTICS] = {"ALTER TABLE %t ALTER COLUMN %n SET STATISTICS %v",
						   "ALTER TABLE %t ALTER COLUMN %n SET STATISTICS -1", PROPERTY_LATE,
						   false},
	[COLUMN_OPTION] = {"ALTER TABLE %t ALTER COLUMN %n SET (%o = %v)",
					   "ALTER TABLE %t ALTER COLUMN %n RESET (%o)", PROPERTY_LATE, false},
	[COLUMN_DEFAULT] = {"ALTER TABLE %t ALTER COLUMN %n SET DEFAULT %v",
						"ALTER TABLE %t ALTER COLUMN %n DROP DEFAULT", PROPERTY_EARLY, true},
	[COLUMN_GENERATED] = {NULL, "ALTER TABLE %t ALTER COLUMN %n DROP EXPRESSION IF EXISTS",
						  PROPERTY_EARLY, true},
	[INDEX_OPTION] = {"ALTER INDEX %s.%n SET (%o = %v)", "ALTER INDEX %s.%n RESET (%o)",
					  PROPERTY_LATE, true},
	[INDEX_TABLESPACE] = {"ALTER INDEX %s.%n SET TABLESPACE %v",
						  "ALTER INDEX %s.%n SET TABLESPACE pg_default", PROPERTY_LATE, true},
	[INDEX_STATISTICS] = {"ALTER INDEX %s.%n ALTER COLUMN %o SET STATISTICS %v",
						  "ALTER INDEX %s.%n ALTER COLUMN %o SET STATISTICS -1", PROPERTY_LATE,
						  false},
	[STATISTICS_TARGET] = {"ALTER STATISTICS %s.%n SET STATISTICS %v",
						   "ALTER STATISTICS %s.%n SET STATISTICS -1", PROPERTY_LATE, false},
	[REPLICA_IDENTITY] = {"ALTER TABLE %t REPLICA IDENTITY %v",
						  "ALTER TABLE %t REPLICA IDENTITY DEFAULT", PROPERTY_LATE, false},
	[CLUSTERED_ON] = {"ALTER TABLE %t CLUSTER ON %v", "ALTER TABLE %t SET WITHOUT CLUSTER",
					  PROPERTY_LATE, false},
	[TRIGGER_STATE] = {"ALTER TABLE %t %v TRIGGER %n", "ALTER TABLE %t ENABLE TRIGGER %n",
					   PROPERTY_LATE, false},
	[ROW_SECURITY] = {"ALTER TABLE %t ENABLE ROW LEVEL SECURITY",
					  "ALTER TABLE %t DISABLE ROW LEVEL SECURITY", PROPERTY_LATE, false},
	[FORCED_ROW_SECURITY] = {"ALTER TABLE %t FORCE ROW LEVEL SECURITY",
							 "ALTER TABLE %t NO FORCE ROW LEVEL SECURITY", PROPERTY_LATE, false},
};

static Property *
add(List **properties, PropertyKind kind, Oid id, const char *name, const char *option,
	const char *value)
{
	Property *property = palloc0(sizeof(*property));

	property->kind = kind;
	property->id = id;
	property->name = pstrdup(quote_identifier(name));
	property->option = pstrdup(option);
	property->value = pstrdup(value);
	*properties = lappend(*properties, property);
	return property;
}

/*
 * A row for each "option=value" of an array whose name begins with "only";
 * the names get "prefix".
 */
static void
add_options(List **properties, PropertyKind kind, Oid id, const char *name, const char *only,
			const char *prefix, Datum options)
{
	ListCell *lc;

	foreach (lc, untransformRelOptions(options))
	{
		DefElem *option = lfirst(lc);

		if (strncmp(option->defname, only, strlen(only)) != 0)
			continue;
		add(properties, kind, id, name, psprintf("%s%s", prefix, quote_identifier(option->defname)),
			quote_literal_cstr(option->arg ? defGetString(option) : "true"));
	}
}

static void
add_relation_options(List **properties, PropertyKind kind, Oid relid, Oid id, const char *name,
					 const char *prefix)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool isnull;
	Datum options;

	if (!HeapTupleIsValid(tuple))
		return;
	options = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_reloptions, &isnull);
	if (!isnull)
		add_options(properties, kind, id, name, "", prefix, options);
	ReleaseSysCache(tuple);
}

/* The target of statistics of a column; -1: the default. */
static int
statistics_target(Oid relid, AttrNumber attnum)
{
	HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(attnum));
	bool isnull;
	int target;

	if (!HeapTupleIsValid(tuple))
		return -1;
	target =
		DatumGetInt32(SysCacheGetAttr(ATTNUM, tuple, Anum_pg_attribute_attstattarget, &isnull));
	ReleaseSysCache(tuple);
	return isnull ? -1 : target;
}

static const char *
storage_name(char storage)
{
	switch (storage)
	{
		case TYPSTORAGE_PLAIN:
			return "PLAIN";
		case TYPSTORAGE_EXTERNAL:
			return "EXTERNAL";
		case TYPSTORAGE_EXTENDED:
			return "EXTENDED";
		default:
			return "MAIN";
	}
}

static void
take_column(List **properties, Relation rel, Form_pg_attribute att)
{
	Oid relid = RelationGetRelid(rel);
	char *name = NameStr(att->attname);
	char *expression = shard_ddl_default(rel, att->attnum);
	int target = statistics_target(relid, att->attnum);
	HeapTuple tuple;
	Datum options;
	bool isnull;

	add(properties, PART_IS_THERE, att->attnum, name, "", "");
	add(properties, COLUMN_STORAGE, att->attnum, name, "", storage_name(att->attstorage))->initial =
		att->attstorage == get_typstorage(att->atttypid);
	if (att->attcompression != '\0')
		add(properties, COLUMN_COMPRESSION, att->attnum, name, "",
			GetCompressionMethodName(att->attcompression));
	if (target >= 0)
		add(properties, COLUMN_STATISTICS, att->attnum, name, "", psprintf("%d", target));
	if (expression != NULL)
		add(properties, att->attgenerated != '\0' ? COLUMN_GENERATED : COLUMN_DEFAULT, att->attnum,
			name, "", expression);
	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(att->attnum));
	options = SysCacheGetAttr(ATTNUM, tuple, Anum_pg_attribute_attoptions, &isnull);

	/* A server may keep marks of its own beside the options of users. */
	if (!isnull)
		add_options(properties, COLUMN_OPTION, att->attnum, name, "n_distinct", "", options);
	ReleaseSysCache(tuple);
}

static void
take_tablespace(List **properties, PropertyKind kind, Relation rel, Oid id)
{
	Oid tablespace = rel->rd_rel->reltablespace;

	if (OidIsValid(tablespace))
		add(properties, kind, id, id == 0 ? "" : RelationGetRelationName(rel), "",
			quote_identifier(get_tablespace_name(tablespace)));
}

static void
take_index(List **properties, Relation rel, Oid id)
{
	Relation index = relation_open(id, AccessShareLock);
	char *name = RelationGetRelationName(index);

	add(properties, PART_IS_THERE, id, name, "", "");
	add_relation_options(properties, INDEX_OPTION, id, id, name, "");
	take_tablespace(properties, INDEX_TABLESPACE, index, id);
	for (int i = 1; i <= RelationGetNumberOfAttributes(index); i++)
	{
		int target = statistics_target(id, i);

		if (target >= 0)
			add(properties, INDEX_STATISTICS, id, name, psprintf("%d", i), psprintf("%d", target));
	}
	if (index->rd_index->indisclustered)
		add(properties, CLUSTERED_ON, 0, "", "", quote_identifier(name));
	if (index->rd_index->indisreplident && rel->rd_rel->relreplident == REPLICA_IDENTITY_INDEX)
		add(properties, REPLICA_IDENTITY, 0, "", "",
			psprintf("USING INDEX %s", quote_identifier(name)));
	relation_close(index, NoLock);
}

static void
take_statistics(List **properties, Oid id)
{
	HeapTuple tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(id));
	bool isnull;
	int target;
	char *name;

	if (!HeapTupleIsValid(tuple))
		return;
	name = NameStr(((Form_pg_statistic_ext) GETSTRUCT(tuple))->stxname);
	add(properties, PART_IS_THERE, id, name, "", "");
	target = DatumGetInt32(
		SysCacheGetAttr(STATEXTOID, tuple, Anum_pg_statistic_ext_stxstattarget, &isnull));
	if (!isnull && target >= 0)
		add(properties, STATISTICS_TARGET, id, name, "", psprintf("%d", target));
	ReleaseSysCache(tuple);
}

static void
take_trigger(List **properties, const Trigger *trigger)
{
	const char *state = NULL;

	add(properties, PART_IS_THERE, trigger->tgoid, trigger->tgname, "", "");
	if (trigger->tgenabled == TRIGGER_DISABLED)
		state = "DISABLE";
	else if (trigger->tgenabled == TRIGGER_FIRES_ON_REPLICA)
		state = "ENABLE REPLICA";
	else if (trigger->tgenabled == TRIGGER_FIRES_ALWAYS)
		state = "ENABLE ALWAYS";
	if (state != NULL)
		add(properties, TRIGGER_STATE, trigger->tgoid, trigger->tgname, "", state);
}

List *
property_take(Relation rel, TableKind kind)
{
	List *properties = NIL;
	TriggerDesc *triggers = rel->trigdesc;
	ListCell *lc;

	add_relation_options(&properties, TABLE_OPTION, RelationGetRelid(rel), 0, "", "");
	if (OidIsValid(rel->rd_rel->reltoastrelid))
		add_relation_options(&properties, TABLE_OPTION, rel->rd_rel->reltoastrelid, 0, "",
							 "toast.");
	take_tablespace(&properties, TABLE_TABLESPACE, rel, 0);
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED)
		add(&properties, TABLE_UNLOGGED, 0, "", "", "");
	if (OidIsValid(rel->rd_rel->relam))
		add(&properties, TABLE_ACCESS_METHOD, 0, "", "",
			quote_identifier(get_am_name(rel->rd_rel->relam)));
	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

		if (!att->attisdropped)
			take_column(&properties, rel, att);
	}
	foreach (lc, RelationGetIndexList(rel))
		take_index(&properties, rel, lfirst_oid(lc));
	foreach (lc, RelationGetStatExtList(rel))
		take_statistics(&properties, lfirst_oid(lc));
	if (rel->rd_rel->relreplident == REPLICA_IDENTITY_FULL)
		add(&properties, REPLICA_IDENTITY, 0, "", "", "FULL");
	else if (rel->rd_rel->relreplident == REPLICA_IDENTITY_NOTHING)
		add(&properties, REPLICA_IDENTITY, 0, "", "", "NOTHING");
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if (trigger_on_shards(&triggers->triggers[i], kind))
			take_trigger(&properties, &triggers->triggers[i]);
	}
	if (rel->rd_rel->relrowsecurity)
		add(&properties, ROW_SECURITY, 0, "", "", "");
	if (rel->rd_rel->relforcerowsecurity)
		add(&properties, FORCED_ROW_SECURITY, 0, "", "", "");
	return properties;
}

static char *
command(const char *format, const Property *property, const char *schema, const char *table)
{
	StringInfoData text;

	initStringInfo(&text);
	for (; *format != '\0'; format++)
	{
		const char *part = NULL;

		if (*format != '%')
		{
			appendStringInfoChar(&text, *format);
			continue;
		}
		switch (*++format)
		{
			case 't':
				part = table;
				break;
			case 's':
				part = schema;
				break;
			case 'n':
				part = property->name;
				break;
			case 'o':
				part = property->option;
				break;
			case 'v':
				part = property->value;
				break;
			default:
				elog(ERROR, "unknown part of a command: %%%c", *format);
		}
		appendStringInfoString(&text, part);
	}
	return text.data;
}

static const Property *
find(List *properties, const Property *wanted, bool by_name)
{
	ListCell *lc;

	foreach (lc, properties)
	{
		const Property *property = lfirst(lc);

		if (property->kind == wanted->kind && strcmp(property->option, wanted->option) == 0 &&
			(by_name ? strcmp(property->name, wanted->name) == 0 : property->id == wanted->id))
			return property;
	}
	return NULL;
}

/* Of a part that is gone nothing is left to reset. */
static bool
part_is_there(List *properties, const Property *of, bool by_name)
{
	Property part = {.kind = PART_IS_THERE, .id = of->id, .name = of->name, .option = ""};

	return of->id == 0 || find(properties, &part, by_name) != NULL;
}

List *
property_changes(List *before, List *after, bool by_name, const char *schema, const char *table)
{
	List *commands = NIL;
	ListCell *lc;

	foreach (lc, before)
	{
		const Property *old = lfirst(lc);

		if (find(after, old, by_name) == NULL && kinds[old->kind].reset != NULL &&
			part_is_there(after, old, by_name))
			commands = lappend(commands, command(kinds[old->kind].reset, old, schema, table));
	}
	foreach (lc, after)
	{
		const Property *now = lfirst(lc);
		const Property *old = find(before, now, by_name);

		if (kinds[now->kind].set == NULL || (old == NULL && now->initial) ||
			(old != NULL && strcmp(old->value, now->value) == 0))
			continue;
		commands = lappend(commands, command(kinds[now->kind].set, now, schema, table));
	}
	return commands;
}

List *
property_commands(List *properties, PropertyTime time, const char *schema, const char *table)
{
	List *commands = NIL;
	ListCell *lc;

	foreach (lc, properties)
	{
		const Property *property = lfirst(lc);

		if (kinds[property->kind].time == time && !kinds[property->kind].made_with &&
			!property->initial)
			commands =
				lappend(commands, command(kinds[property->kind].set, property, schema, table));
	}
	return commands;
}
