/*-------------------------------------------------------------------------
 * objects.c
 *	  The objects that shards depend on, on every node.
 *
 * pg_depend tells what a definition uses, and in which order it must come
 * into being.  A row of the table below says, for a kind of object, how a node
 * is asked for it and by which commands it is made; both are written by
 * queries on the catalogs here.  What belongs to an extension comes with that.
 * Where no command is known, the object must be there already.
 *
 * Only what is missing is made, and functions that are not the same are
 * replaced; following later changes of the objects is object_change.c's.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "shard/ddl/groups.h"
#include "shard/ddl/object_mentions.h"
#include "shard/ddl/objects.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shard_run.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/remote.h"

/*
 * $1 is the Oid.  "probe" gives an expression that is null on a node that
 * lacks the object; "version", if there is one, what its value must then be.
 * "create" gives the commands, NULL or no row where there are none.
 */
typedef struct ObjectKind
{
	Oid class_id;
	const char *probe;
	const char *version;
	const char *create;
} ObjectKind;

#define OWNER_COMMAND(what, name, owner)                                            \
	"CASE WHEN pg_get_userbyid(" owner ") <> current_user THEN format('ALTER " what \
	" %s OWNER TO %I', " name ", pg_get_userbyid(" owner ")) END"

#define FUNCTION_VERSION \
	"md5(ROW(prosrc, probin, provolatile, proisstrict, prosecdef, proparallel, proconfig)::text)"

static const ObjectKind kinds[] = {
	{NamespaceRelationId,
	 "SELECT format('to_regnamespace(%L)', quote_ident(nspname)) FROM "
	 "pg_namespace WHERE oid = $1",
	 NULL,
	 "SELECT ARRAY[format('CREATE SCHEMA IF NOT EXISTS %I', nspname), " OWNER_COMMAND(
		 "SCHEMA", "quote_ident(nspname)", "nspowner") "] FROM pg_namespace WHERE oid = $1"},
	{ExtensionRelationId,
	 "SELECT format('(SELECT extname FROM pg_catalog.pg_extension WHERE extname = %L)', extname) "
	 "FROM pg_extension WHERE oid = $1",
	 NULL,
	 "SELECT ARRAY[format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I VERSION %L', extname, "
	 "nspname, extversion)] FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace "
	 "WHERE e.oid = $1"},
	{CollationRelationId, "SELECT format('to_regcollation(%L)', $1::regcollation)", NULL,
	 "SELECT ARRAY[format('CREATE COLLATION %s (PROVIDER = %s, DETERMINISTIC = %s, %s)', "
	 "$1::regcollation, CASE collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' "
	 "END, collisdeterministic::text, CASE collprovider WHEN 'c' THEN format('LC_COLLATE = %L, LC_CTYPE "
	 "= %L', collcollate, collctype) ELSE format('LOCALE = %L', coalesce(to_jsonb(c) ->> "
	 "'colllocale', to_jsonb(c) ->> 'colliculocale')) END), " OWNER_COMMAND(
		 "COLLATION", "$1::regcollation", "collowner") "] FROM pg_collation c WHERE oid = $1"},
	{TypeRelationId, "SELECT format('to_regtype(%L)', $1::regtype)", NULL,
	 "SELECT CASE typtype"
	 " WHEN 'e' THEN ARRAY[format('CREATE TYPE %s AS ENUM (%s)', $1::regtype,"
	 "  (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)"
	 "  FROM pg_enum WHERE enumtypid = t.oid)), " OWNER_COMMAND(
		 "TYPE", "$1::regtype",
		 "typowner") "]"
					 " WHEN 'c' THEN ARRAY[format('CREATE TYPE %s AS (%s)', $1::regtype,"
					 "  (SELECT string_agg(format('%I %s%s', attname, format_type(atttypid, atttypmod),"
					 "   CASE WHEN attcollation <> c.typcollation THEN format(' COLLATE %s', "
					 "attcollation::regcollation) END), ', ' ORDER BY attnum)"
					 "  FROM pg_attribute JOIN pg_type c ON c.oid = atttypid"
					 "  WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped)), " OWNER_COMMAND(
						 "TYPE", "$1::regtype",
						 "typowner") "]"
									 " WHEN 'd' THEN ARRAY[format('CREATE DOMAIN %s AS %s%s%s%s', $1::regtype,"
									 "  format_type(typbasetype, typtypmod),"
									 "  CASE WHEN typcollation <> (SELECT b.typcollation FROM pg_type b WHERE b.oid = "
									 "t.typbasetype) THEN format(' COLLATE %s', typcollation::regcollation) END,"
									 "  ' DEFAULT ' || pg_get_expr(typdefaultbin, 0),"
									 "  CASE WHEN typnotnull THEN ' NOT NULL' END), " OWNER_COMMAND(
										 "DOMAIN", "$1::regtype",
										 "typowner") "]"
													 "  || (SELECT array_agg(format('ALTER DOMAIN %s ADD CONSTRAINT %I %s', $1::regtype, conname,"
													 "  pg_get_constraintdef(oid)) ORDER BY conname) FROM pg_constraint"
													 "  WHERE contypid = t.oid AND contype = 'c')"
													 " WHEN 'r' THEN (SELECT ARRAY[format('CREATE TYPE %s AS RANGE (SUBTYPE = %s, SUBTYPE_OPCLASS "
													 "= %s%s%s)', $1::regtype, rngsubtype::regtype,"
													 "  (SELECT format('%I.%I', nspname, opcname) FROM pg_opclass o JOIN pg_namespace n ON n.oid ="
													 " opcnamespace WHERE o.oid = rngsubopc),"
													 "  CASE WHEN rngcollation <> 0 THEN format(', COLLATION = %s', rngcollation::regcollation) "
													 "END,"
													 "  CASE WHEN rngsubdiff::oid <> 0 THEN format(', SUBTYPE_DIFF = %s', rngsubdiff) "
													 "END), " OWNER_COMMAND(
														 "TYPE", "$1::regtype",
														 "typowner") "] FROM pg_range WHERE rngtypid = t.oid AND "
																	 "rngcanonical::oid = 0)"
																	 " END FROM pg_type t WHERE oid = $1"},
	{ProcedureRelationId,
	 "SELECT format('(SELECT " FUNCTION_VERSION " FROM pg_catalog.pg_proc WHERE oid = "
	 "to_regprocedure(%L))', $1::regprocedure)",
	 "SELECT " FUNCTION_VERSION " FROM pg_proc WHERE oid = $1",
	 "SELECT ARRAY[pg_get_functiondef($1), " OWNER_COMMAND(
		 "ROUTINE", "$1::regprocedure",
		 "proowner") "]"
					 " || CASE WHEN proacl IS NOT NULL THEN format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', "
					 "$1::regprocedure) END"
					 " || (SELECT array_agg(format('GRANT EXECUTE ON ROUTINE %s TO %s', $1::regprocedure,"
					 "  CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END))"
					 "  FROM aclexplode(proacl))"
					 " FROM pg_proc WHERE oid = $1 AND prokind IN ('f', 'p')"},
	{OperatorRelationId, "SELECT format('to_regoperator(%L)', $1::regoperator)", NULL, NULL},
	{OperatorClassRelationId,
	 "SELECT format('(SELECT opcname FROM pg_catalog.pg_opclass JOIN pg_catalog.pg_am a ON a.oid ="
	 " opcmethod WHERE opcname = %L AND amname = %L AND opcnamespace = to_regnamespace(%L))', "
	 "opcname, amname, opcnamespace::regnamespace) FROM pg_opclass o JOIN pg_am a ON a.oid = "
	 "opcmethod WHERE o.oid = $1",
	 NULL, NULL},
	{TSConfigRelationId,
	 "SELECT format('(SELECT cfgname FROM pg_catalog.pg_ts_config WHERE cfgname = %L AND "
	 "cfgnamespace = to_regnamespace(%L))', cfgname, cfgnamespace::regnamespace) FROM pg_ts_config "
	 "WHERE oid = $1",
	 NULL, NULL},
	{LanguageRelationId,
	 "SELECT format('(SELECT lanname FROM pg_catalog.pg_language WHERE lanname = %L)', lanname) "
	 "FROM pg_language WHERE oid = $1",
	 NULL, NULL},
	{RelationRelationId, "SELECT format('to_regclass(%L)', $1::regclass)", NULL, NULL},
};

static const ObjectKind *
find_kind(Oid class_id)
{
	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		if (kinds[i].class_id == class_id)
			return &kinds[i];
	}
	return NULL;
}

/*
 * What depends on what
 */
typedef struct Gathering
{
	List *found; /* ObjectAddress *, what is needed by others first */
	List *seen;
} Gathering;

static ObjectAddress *
address(Oid class_id, Oid object_id)
{
	ObjectAddress *a = palloc0(sizeof(*a));

	ObjectAddressSet(*a, class_id, object_id);
	return a;
}

static bool
contains(List *addresses, const ObjectAddress *wanted)
{
	ListCell *lc;

	foreach (lc, addresses)
	{
		ObjectAddress *a = lfirst(lc);

		if (a->classId == wanted->classId && a->objectId == wanted->objectId)
			return true;
	}
	return false;
}

/* What "of" depends on, or ("reverse") what depends on it. */
static List *
neighbours(const ObjectAddress *of, bool reverse)
{
	Relation depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;
	List *found = NIL;

	ScanKeyInit(&keys[0], reverse ? Anum_pg_depend_refclassid : Anum_pg_depend_classid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(of->classId));
	ScanKeyInit(&keys[1], reverse ? Anum_pg_depend_refobjid : Anum_pg_depend_objid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(of->objectId));
	scan = systable_beginscan(depend, reverse ? DependReferenceIndexId : DependDependerIndexId,
							  true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		found = lappend(found, reverse ? address(form->classid, form->objid)
									   : address(form->refclassid, form->refobjid));
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return found;
}

/* What comes into being with another type, which it depends on. */
static bool
made_with_another(const ObjectAddress *a)
{
	if (a->classId == RelationRelationId)
		return get_rel_relkind(a->objectId) == RELKIND_COMPOSITE_TYPE;
	return a->classId == TypeRelationId &&
		   (OidIsValid(get_element_type(a->objectId)) || type_is_multirange(a->objectId));
}

/* Other things whose dependencies are those of the object. */
static List *
parts_of(const ObjectAddress *a)
{
	List *parts = NIL;
	ListCell *lc;

	if (a->classId != TypeRelationId)
		return NIL;
	if (OidIsValid(get_typ_typrelid(a->objectId)))
		parts = lappend(parts, address(RelationRelationId, get_typ_typrelid(a->objectId)));
	foreach (lc, neighbours(a, true))
	{
		ObjectAddress *part = lfirst(lc);

		if (part->classId == ConstraintRelationId)
			parts = lappend(parts, part);
	}
	return parts;
}

static void gather(Gathering *gathering, const ObjectAddress *of);

static void
gather_neighbours(Gathering *gathering, const ObjectAddress *of)
{
	ListCell *lc;

	foreach (lc, neighbours(of, false))
		gather(gathering, lfirst(lc));
}

static void
gather(Gathering *gathering, const ObjectAddress *of)
{
	ObjectAddress *a = address(of->classId, of->objectId);
	ListCell *lc;

	if (of->objectId >= FirstNormalObjectId && of->classId != ExtensionRelationId)
	{
		Oid extension = getExtensionOfObject(of->classId, of->objectId);

		if (OidIsValid(extension))
			a = address(ExtensionRelationId, extension);
	}
	if (a->objectId < FirstNormalObjectId || contains(gathering->seen, a))
		return;
	gathering->seen = lappend(gathering->seen, a);
	gather_neighbours(gathering, a);
	foreach (lc, parts_of(a))
		gather_neighbours(gathering, lfirst(lc));
	foreach (lc, a->classId == ProcedureRelationId ? object_mentions(a->objectId) : NIL)
		gather(gathering, lfirst(lc));
	if (find_kind(a->classId) != NULL && !made_with_another(a))
		gathering->found = lappend(gathering->found, a);
}

/* Is the default one that the shards have? */
static bool
default_travels(Relation rel, Oid attrdef)
{
	for (int i = 1; i <= RelationGetNumberOfAttributes(rel); i++)
	{
		if (TupleDescAttr(RelationGetDescr(rel), i - 1)->atthasdef &&
			GetAttrDefaultOid(RelationGetRelid(rel), i) == attrdef)
			return shard_ddl_default(rel, i) != NULL;
	}
	return false;
}

/* Is it a part of the table that its shards have too? */
static bool
is_part(Relation rel, const ObjectAddress *a)
{
	switch (a->classId)
	{
		case AttrDefaultRelationId:
			return default_travels(rel, a->objectId);
		case RelationRelationId:
			return get_rel_relkind(a->objectId) == RELKIND_INDEX ||
				   get_rel_relkind(a->objectId) == RELKIND_PARTITIONED_INDEX;
		case ConstraintRelationId:
		case TriggerRelationId:
		case PolicyRelationId:
		case StatisticExtRelationId:
			return true;
		default:
			return false;
	}
}

/*
 * Tables and schemas that a definition names are replaced by those of shards;
 * what belongs to the table is looked at as its part.
 */
static void
gather_part(Gathering *gathering, const ObjectAddress *part)
{
	ListCell *lc;

	foreach (lc, neighbours(part, false))
	{
		ObjectAddress *a = lfirst(lc);

		if (a->classId != RelationRelationId && a->classId != NamespaceRelationId &&
			a->classId != ConstraintRelationId && a->classId != TriggerRelationId)
			gather(gathering, a);
	}
}

/*
 * Asking nodes, and making what they lack
 */

/* The first column of the only row that a query on the catalogs here gives; NULL: null or no row. */
static Datum
ask_here(const char *query, Oid object_id, Oid *type, bool *isnull)
{
	Oid types[] = {OIDOID};
	Datum values[] = {ObjectIdGetDatum(object_id)};
	MemoryContext context = CurrentMemoryContext;
	int result = SPI_execute_with_args(query, 1, types, values, NULL, true, 0);

	MemoryContextSwitchTo(context);
	*isnull = true;
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not read the catalogs: %s", query);
	if (SPI_processed == 0)
		return (Datum) 0;
	*type = SPI_gettypeid(SPI_tuptable->tupdesc, 1);
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
}

static char *
text_here(const char *query, Oid object_id, MemoryContext context)
{
	Oid type;
	bool isnull;
	Datum value = ask_here(query, object_id, &type, &isnull);

	return isnull ? NULL : MemoryContextStrdup(context, TextDatumGetCString(value));
}

/* The commands that make an object; NIL if there are none. */
static List *
commands_here(const ObjectAddress *a, MemoryContext context)
{
	const ObjectKind *kind = find_kind(a->classId);
	MemoryContext old;
	List *commands = NIL;
	Datum *elements;
	bool *nulls;
	int n;
	Oid type;
	bool isnull;
	Datum value;

	if (kind->create == NULL)
		return NIL;
	value = ask_here(kind->create, a->objectId, &type, &isnull);
	if (isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &n);
	old = MemoryContextSwitchTo(context);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i])
			commands = lappend(commands, TextDatumGetCString(elements[i]));
	}
	MemoryContextSwitchTo(old);
	return commands;
}

/* One row of a group, with a column for each object. */
static char **
ask_group(int group_id, const char *sql, int nfields)
{
	RemoteQuery query = {0};
	char **fields = palloc0(nfields * sizeof(char *));
	RemoteTask *task;
	PGresult *row;

	query.group_id = group_id;
	query.sql = sql;
	query.writes = true; /* sees what was made there before, in this transaction */
	task = remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
	while ((row = remote_task_next(task)) != NULL)
	{
		for (int i = 0; i < nfields && i < PQnfields(row); i++)
			fields[i] = PQgetisnull(row, 0, i) ? NULL : pstrdup(PQgetvalue(row, 0, i));
		PQclear(row);
	}
	remote_task_end(task);
	return fields;
}

static void
refuse_missing(const ObjectAddress *a, int group_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s does not exist on group %d", getObjectDescription(a, false), group_id),
			 errdetail("Shards of the table depend on it, and it is not made there by itself."),
			 errhint("Create it on the nodes, for example with pgcluster.execute_on_group.")));
}

static void
ensure_on(ShardRun *run, int group_id, List *objects, const char *probe, char **versions)
{
	char **answers = ask_group(group_id, probe, list_length(objects));
	MemoryContext context = CurrentMemoryContext;
	ListCell *lc;

	foreach (lc, objects)
	{
		int i = foreach_current_index(lc);
		char *answer = answers[i];
		List *commands;

		if (answer != NULL && (versions[i] == NULL || strcmp(answer, versions[i]) == 0))
			continue;
		commands = commands_here(lfirst(lc), context);
		if (commands == NIL && answer == NULL)
			refuse_missing(lfirst(lc), group_id);
		shard_run_add_all(run, list_make1_int(group_id), commands);
	}
}

/* Those gathered, in their order, on these groups. */
static void
ensure_all(List *objects, List *group_ids)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext inner;
	char **versions;
	StringInfoData probe;
	ShardRun *run;
	int level;
	ListCell *lc;

	/* What is here is there where a group is this server, whose transaction would wait for this one. */
	group_ids = objects == NIL ? NIL : list_intersection_int(group_ids, groups_elsewhere());
	if (group_ids == NIL)
		return;
	versions = palloc0(list_length(objects) * sizeof(char *));
	initStringInfo(&probe);
	appendStringInfoString(&probe, "SELECT ");
	level = shard_ddl_begin();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the SPI");
	foreach (lc, objects)
	{
		const ObjectAddress *a = lfirst(lc);
		const ObjectKind *kind = find_kind(a->classId);
		char *expression = text_here(kind->probe, a->objectId, context);

		if (expression == NULL)
			elog(ERROR, "object %u of catalog %u does not exist", a->objectId, a->classId);
		appendStringInfo(&probe, "%s(%s)::text", foreach_current_index(lc) > 0 ? ", " : "",
						 expression);
		if (kind->version != NULL)
			versions[foreach_current_index(lc)] = text_here(kind->version, a->objectId, context);
	}
	inner = MemoryContextSwitchTo(context);
	run = shard_run_create();
	foreach (lc, group_ids)
		ensure_on(run, lfirst_int(lc), objects, probe.data, versions);
	MemoryContextSwitchTo(inner);
	SPI_finish();
	shard_ddl_end(level);
	shard_run_finish(run);
}

void
objects_ensure(List *addresses, List *group_ids)
{
	Gathering gathering = {NIL, NIL};
	ListCell *lc;

	foreach (lc, addresses)
		gather(&gathering, lfirst(lc));
	ensure_all(gathering.found, group_ids);
}

void
objects_ensure_table(Relation rel)
{
	Gathering gathering = {NIL, NIL};
	ObjectAddress table;
	ListCell *lc;

	ObjectAddressSet(table, RelationRelationId, RelationGetRelid(rel));
	gather_part(&gathering, &table);
	foreach (lc, neighbours(&table, true))
	{
		if (is_part(rel, lfirst(lc)))
			gather_part(&gathering, lfirst(lc));
	}
	ensure_all(gathering.found, metadata_groups());
}
