/*-------------------------------------------------------------------------
 * objects.c
 *	  The objects that shards depend on, on every node.
 *
 * pg_depend tells what a definition uses, and in which order it must come
 * into being.  Some objects bring others along: a type its casts and operator
 * classes, an operator its commutator, a foreign server its user mappings.
 * How a node is asked for an object, and by which commands it is made, is
 * object_kinds.c's.  What belongs to an extension comes with that.  Where no
 * command is known, the object must be there already.
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
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_transform.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "commands/extension.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "shard/ddl/groups.h"
#include "shard/ddl/object_catalog.h"
#include "shard/ddl/object_kinds.h"
#include "shard/ddl/object_mentions.h"
#include "shard/ddl/objects.h"
#include "shard/ddl/roles.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shard_run.h"
#include "shard/metadata/metadata.h"

/*
 * What depends on what
 */
typedef struct Gathering
{
	List *found; /* ObjectAddress *, what is needed by others first */
	List *seen;
	bool *names; /* only asked whether there is a function that looks for names */
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

#define ANY_DEPENDENCY '\0'

/* What "of" depends on in this way, or ("reverse") what depends on it. */
static List *
neighbours(const ObjectAddress *of, bool reverse, char how)
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

		if (how == ANY_DEPENDENCY || form->deptype == how)
			found = lappend(found, reverse ? address(form->classid, form->objid)
										   : address(form->refclassid, form->refobjid));
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return found;
}

/* Does it come into being with another object: the array of a type, the type of a view's rows? */
static bool
made_with_another(const ObjectAddress *a)
{
	return neighbours(a, false, DEPENDENCY_INTERNAL) != NIL;
}

/* What depends on an object, and is looked at with it. */
static const struct
{
	Oid class_id; /* of the object */
	Oid part;	  /* catalog of what depends on it ... */
	bool along;	  /* ... and is an object of its own that comes along, else a part of it */
} parts[] = {
	{TypeRelationId, ConstraintRelationId, false},
	{TypeRelationId, CastRelationId, true},
	{TypeRelationId, OperatorClassRelationId, true},
	{TypeRelationId, TransformRelationId, true},
	{ProcedureRelationId, CastRelationId, true},
	{OperatorFamilyRelationId, AccessMethodOperatorRelationId, false},
	{OperatorFamilyRelationId, AccessMethodProcedureRelationId, false},
	{OperatorClassRelationId, AccessMethodOperatorRelationId, false},
	{OperatorClassRelationId, AccessMethodProcedureRelationId, false},
	{ForeignServerRelationId, UserMappingRelationId, true},
	{RelationRelationId, RewriteRelationId, false},
};

static List *
parts_of(const ObjectAddress *a, bool along)
{
	List *found = NIL;
	ListCell *lc;

	foreach (lc, neighbours(a, true, ANY_DEPENDENCY))
	{
		ObjectAddress *part = lfirst(lc);

		for (size_t i = 0; i < lengthof(parts); i++)
		{
			if (parts[i].class_id == a->classId && parts[i].part == part->classId &&
				parts[i].along == along)
				found = lappend(found, part);
		}
	}
	if (!along && a->classId == TypeRelationId && OidIsValid(get_typ_typrelid(a->objectId)))
		found = lappend(found, address(RelationRelationId, get_typ_typrelid(a->objectId)));
	return found;
}

/* Objects that an object needs although it could be made without them. */
static List *
companions(const ObjectAddress *a)
{
	List *found = parts_of(a, true);

	if (a->classId == OperatorRelationId)
	{
		found = lappend(found, address(OperatorRelationId, get_commutator(a->objectId)));
		found = lappend(found, address(OperatorRelationId, get_negator(a->objectId)));
	}
	return found;
}

static void gather(Gathering *gathering, const ObjectAddress *of);

static void
gather_neighbours(Gathering *gathering, const ObjectAddress *of)
{
	ListCell *lc;

	foreach (lc, neighbours(of, false, ANY_DEPENDENCY))
		gather(gathering, lfirst(lc));
}

/* The name of a type, in its schema. */
static void
gather_shell(Gathering *gathering, const ObjectAddress *type)
{
	ObjectAddress *shell = address(type->classId, type->objectId);
	ListCell *lc;

	foreach (lc, neighbours(type, false, ANY_DEPENDENCY))
	{
		if (((ObjectAddress *) lfirst(lc))->classId == NamespaceRelationId)
			gather(gathering, lfirst(lc));
	}
	shell->objectSubId = OBJECT_SHELL_TYPE;
	gathering->found = lappend(gathering->found, shell);
}

/*
 * What cannot be made on nodes: a table, a sequence.  Those of distributed
 * tables are there, but perhaps later than what is made now.
 */
static bool
is_bound_here(const ObjectAddress *a)
{
	return a->classId == RelationRelationId && get_rel_relkind(a->objectId) != RELKIND_VIEW;
}

/* Gathers the object, unless that needs what is bound to this server. */
static void
gather_if_possible(Gathering *gathering, const ObjectAddress *of)
{
	int found = list_length(gathering->found);
	int seen = list_length(gathering->seen);

	gather(gathering, of);
	for (int i = found; i < list_length(gathering->found); i++)
	{
		if (is_bound_here(list_nth(gathering->found, i)))
		{
			gathering->found = list_truncate(gathering->found, found);
			gathering->seen = list_truncate(gathering->seen, seen);
			return;
		}
	}
}

/* The object, or the extension that brings it. */
static ObjectAddress *
origin(const ObjectAddress *of)
{
	Oid extension = InvalidOid;

	if (of->objectId >= FirstNormalObjectId && of->classId != ExtensionRelationId)
		extension = getExtensionOfObject(of->classId, of->objectId);
	return OidIsValid(extension) ? address(ExtensionRelationId, extension)
								 : address(of->classId, of->objectId);
}

/* Is it among the settings of a function ("name=value")? */
static bool
has_path(Datum settings)
{
	Datum *values;
	int count;
	bool found = false;

	deconstruct_array(DatumGetArrayTypeP(settings), TEXTOID, -1, false, TYPALIGN_INT, &values, NULL,
					  &count);
	for (int i = 0; i < count; i++)
		found |= strncmp(TextDatumGetCString(values[i]), "search_path=", 12) == 0;
	return found;
}

/* Has the function a body that is parsed when it runs, and no search_path of its own? */
static bool
looks_for_names(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	Datum config;
	bool parsed;
	bool none;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	parsed = form->prolang != INTERNALlanguageId && form->prolang != ClanguageId &&
			 heap_attisnull(tuple, Anum_pg_proc_prosqlbody, NULL);
	config = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &none);
	if (!none)
		parsed &= !has_path(config);
	ReleaseSysCache(tuple);
	return parsed;
}

/* The same walk, without what needs to be there only to be made. */
static void
gather_names(Gathering *gathering, const ObjectAddress *of)
{
	ListCell *lc;

	check_stack_depth();
	if (*gathering->names || of->objectId < FirstNormalObjectId ||
		of->classId == ExtensionRelationId || contains(gathering->seen, of))
		return;
	gathering->seen = lappend(gathering->seen, address(of->classId, of->objectId));
	if (of->classId == ProcedureRelationId && looks_for_names(of->objectId))
		*gathering->names = true;
	gather_neighbours(gathering, of);
	foreach (lc, parts_of(of, false))
		gather_neighbours(gathering, lfirst(lc));
}

static void
gather(Gathering *gathering, const ObjectAddress *of)
{
	ObjectAddress *a;
	ListCell *lc;

	if (gathering->names != NULL)
	{
		gather_names(gathering, of);
		return;
	}
	check_stack_depth();
	a = origin(of);
	if (a->objectId < FirstNormalObjectId || contains(gathering->seen, a) ||
		(a->classId == ExtensionRelationId && a->objectId == get_extension_oid("pgcluster", true)))
		return;
	gathering->seen = lappend(gathering->seen, a);
	if (object_needs_shell(a) && !made_with_another(a))
		gather_shell(gathering, a);
	gather_neighbours(gathering, a);
	foreach (lc, parts_of(a, false))
		gather_neighbours(gathering, lfirst(lc));
	if (a->classId == ProcedureRelationId)
	{
		/* Its body is looked at when it is made, as far as its language does. */
		foreach (lc, object_mentions(a->objectId))
			gather_if_possible(gathering, lfirst(lc));
	}
	if (object_kind_is_known(a->classId) && !made_with_another(a))
		gathering->found = lappend(gathering->found, a);
	foreach (lc, companions(a))
		gather_if_possible(gathering, lfirst(lc));
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

	foreach (lc, neighbours(part, false, ANY_DEPENDENCY))
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
static void
refuse_missing(const ObjectAddress *a, int group_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s does not exist on group %d", getObjectDescription(a, false), group_id),
			 errdetail("Shards of the table depend on it, and it is not made there by itself."),
			 errhint("Create it on the nodes, for example with pgcluster.execute_on_group.")));
}

/* Nobody but superusers can keep a command out of the logs of nodes. */
static void
refuse_secret(const ObjectAddress *a)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("must be superuser to make %s on the worker groups",
						   getObjectDescription(a, false)),
					errdetail("Its options would be in the logs there.")));
}

/* Commands for one group, which gave these answers. */
static List *
missing_commands(int group_id, List *objects, char **answers, char **versions)
{
	List *commands = NIL;
	bool secret = false;
	ListCell *lc;

	foreach (lc, objects)
	{
		const ObjectAddress *a = lfirst(lc);
		int i = foreach_current_index(lc);
		List *more;

		if (answers[i] != NULL && (versions[i] == NULL || strcmp(answers[i], versions[i]) == 0))
			continue;
		if (object_kind_is_secret(a->classId) && !superuser())
			refuse_secret(a);
		more = object_commands(a, answers[i] != NULL);
		if (more == NIL && answers[i] == NULL)
			refuse_missing(a, group_id);
		secret |= object_kind_is_secret(a->classId);
		commands = list_concat(commands, more);
	}
	return secret ? roles_hushed(commands) : commands;
}

/* Those gathered, in their order, on these groups; what is on all of them is noted. */
static void
ensure_all(List *objects, List *group_ids)
{
	StringInfoData probe;
	char **versions;
	char ***answers;
	ShardRun *run;
	int level;
	int quiet;
	ListCell *lc;

	if (objects == NIL || group_ids == NIL)
		return;
	versions = palloc0(list_length(objects) * sizeof(char *));
	initStringInfo(&probe);
	appendStringInfoString(&probe, "SELECT ");
	level = shard_ddl_begin();
	/* Nobody wants to know how a type comes into being there. */
	quiet = shard_run_quietly("warning");
	foreach (lc, objects)
		appendStringInfo(&probe, "%s(%s)::text", foreach_current_index(lc) > 0 ? ", " : "",
						 object_probe(lfirst(lc), &versions[foreach_current_index(lc)]));
	answers = groups_ask(group_ids, probe.data, list_length(objects));
	run = shard_run_create();
	foreach (lc, group_ids)
		shard_run_add_all(run, list_make1_int(lfirst_int(lc)),
						  missing_commands(lfirst_int(lc), objects,
										   answers[foreach_current_index(lc)], versions));
	shard_run_finish(run);
	AtEOXact_GUC(true, quiet);
	shard_ddl_end(level);
}

static void
note_all(List *objects)
{
	ListCell *lc;

	foreach (lc, objects)
	{
		const ObjectAddress *a = lfirst(lc);

		if (!is_bound_here(a))
			object_catalog_insert(a->classId, a->objectId);
	}
}

/* What is here is there where a group is this server, whose transaction would wait for this one. */
static void
ensure_everywhere(List *objects)
{
	if (objects == NIL)
		return;
	ensure_all(objects, groups_elsewhere());
	note_all(objects);
}

void
objects_ensure(List *addresses)
{
	Gathering gathering = {NIL, NIL, NULL};
	ListCell *lc;

	foreach (lc, addresses)
		gather(&gathering, lfirst(lc));
	ensure_everywhere(gathering.found);
}

void
objects_ensure_needs(List *addresses)
{
	Gathering gathering = {NIL, NIL, NULL};
	List *needs = NIL;
	ListCell *lc;

	foreach (lc, addresses)
		gather(&gathering, lfirst(lc));
	foreach (lc, gathering.found)
	{
		if (!contains(addresses, lfirst(lc)))
			needs = lappend(needs, lfirst(lc));
	}
	ensure_everywhere(needs);
}

/* All nodes have those, whether or not shards need them. */
static void
gather_event_triggers(Gathering *gathering)
{
	Relation rel = table_open(EventTriggerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid id = ((Form_pg_event_trigger) GETSTRUCT(tuple))->oid;

		if (!OidIsValid(getExtensionOfObject(EventTriggerRelationId, id)))
			gather(gathering, address(EventTriggerRelationId, id));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

void
objects_join(int group_id)
{
	Gathering gathering = {NIL, NIL, NULL};
	int level = NewGUCNestLevel();
	ListCell *lc;

	/* Names in bodies are found when they run. */
	(void) set_config_option("check_function_bodies", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	foreach (lc, object_catalog_read())
		gather(&gathering, lfirst(lc));
	gather_event_triggers(&gathering);
	ensure_all(gathering.found, list_make1_int(group_id));
	note_all(gathering.found);
	AtEOXact_GUC(true, level);
}

static void
gather_table(Gathering *gathering, Relation rel)
{
	ObjectAddress table;
	ListCell *lc;

	ObjectAddressSet(table, RelationRelationId, RelationGetRelid(rel));
	gather_part(gathering, &table);
	foreach (lc, neighbours(&table, true, ANY_DEPENDENCY))
	{
		if (is_part(rel, lfirst(lc)))
			gather_part(gathering, lfirst(lc));
	}
}

void
objects_ensure_table(Relation rel)
{
	Gathering gathering = {NIL, NIL, NULL};

	gather_table(&gathering, rel);
	ensure_everywhere(gathering.found);
}

bool
objects_look_for_names(Relation rel)
{
	bool names = false;
	Gathering gathering = {NIL, NIL, &names};

	gather_table(&gathering, rel);
	return names;
}
