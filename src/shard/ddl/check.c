/*-------------------------------------------------------------------------
 * check.c
 *	  Refuses what distribution could not keep true, before anything changes.
 *
 * The rule behind all of it: a constraint is kept by the shards each for
 * itself, so it must be one that never compares rows of two shards.  That
 * holds when it contains the distribution column with the equality that the
 * hash function goes with.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "shard/ddl/check.h"
#include "shard/ddl/policy.h"
#include "shard/ddl/trigger.h"

/*
 * Properties of a relation that this cut does not know how to distribute.
 */
static bool
is_partitioned(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
}

static bool
is_no_table(Relation rel)
{
	return rel->rd_rel->relkind != RELKIND_RELATION &&
		   rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE;
}

static bool
is_system(Relation rel)
{
	return IsSystemRelation(rel) ||
		   RelationGetNamespace(rel) == get_namespace_oid("pgcluster", true);
}

static bool
is_temporary(Relation rel)
{
	return rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP;
}

static bool
is_partition(Relation rel)
{
	return rel->rd_rel->relispartition;
}

static bool
inherits(Relation rel)
{
	if (is_partitioned(rel) || is_partition(rel))
		return false;
	return has_superclass(RelationGetRelid(rel)) ||
		   (rel->rd_rel->relhassubclass &&
			find_inheritance_children(RelationGetRelid(rel), NoLock) != NIL);
}

static bool
is_published(Relation rel)
{
	return GetRelationPublications(RelationGetRelid(rel)) != NIL;
}

static const struct
{
	bool (*has)(Relation rel);
	int sqlstate;
	const char *detail;
	const char *hint;
	TableKind unless; /* a table of this kind may have it; 0: none */
} obstacles[] = {
	{is_no_table, ERRCODE_WRONG_OBJECT_TYPE, "It is not a table.", NULL, 0},
	{is_system, ERRCODE_WRONG_OBJECT_TYPE, "It is a system catalog.", NULL, 0},
	{is_temporary, ERRCODE_WRONG_OBJECT_TYPE, "It is a temporary table.", NULL, 0},
	{is_partition, ERRCODE_FEATURE_NOT_SUPPORTED, "It is a partition of another table.",
	 "Detach it first.", 0},
	{inherits, ERRCODE_FEATURE_NOT_SUPPORTED, "It has a parent or children in an inheritance tree.",
	 "Remove the inheritance first.", 0},
	{is_published, ERRCODE_FEATURE_NOT_SUPPORTED, "It is part of a publication.",
	 "Drop it from the publication first.", TABLE_REFERENCE},
};

void
check_relation(Relation rel, TableKind kind)
{
	for (size_t i = 0; i < lengthof(obstacles); i++)
	{
		if (obstacles[i].unless != kind && obstacles[i].has(rel))
			ereport(ERROR, (errcode(obstacles[i].sqlstate),
							errmsg("cannot distribute \"%s\"", RelationGetRelationName(rel)),
							errdetail_internal("%s", obstacles[i].detail),
							obstacles[i].hint ? errhint("%s", obstacles[i].hint) : 0));
	}
	if (metadata_table(RelationGetRelid(rel)) != NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("table \"%s\" is already distributed", RelationGetRelationName(rel)),
						errhint("Use undistribute_table first.")));
	trigger_check(rel, kind);
	policy_check(rel);
	check_expressions(rel);
}

/*
 * Types whose values are hashed by an Oid, which differs from one server,
 * or one restore, to the next.
 */
static bool
hashes_oids(Oid type)
{
	Oid base = getBaseType(type);
	Oid element = get_base_element_type(base);

	if (OidIsValid(element))
		return hashes_oids(element);
	if (type_is_range(base))
		return hashes_oids(get_range_subtype(base));
	return type_is_enum(base) || type_is_rowtype(base);
}

Oid
check_key_column(Relation rel, AttrNumber key)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), key - 1);
	TypeCacheEntry *type =
		lookup_type_cache(att->atttypid, TYPECACHE_HASH_PROC | TYPECACHE_HASH_OPFAMILY);
	const char *why = NULL;

	if (att->attgenerated != '\0')
		why = "It is a generated column.";
	else if (hashes_oids(att->atttypid))
		why = "The hash of its type is not the same on every server.";
	else if (!OidIsValid(type->hash_proc) || !OidIsValid(type->hash_opf))
		why = "Its type has no hash function.";
	if (why != NULL)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("column \"%s\" of table \"%s\" cannot be the distribution column",
							   NameStr(att->attname), RelationGetRelationName(rel)),
						errdetail_internal("%s", why), errtablecol(rel, key)));
	return type->hash_opf;
}

static void
refuse_unique(Relation rel, Oid index, const Distribution *distribution)
{
	Oid constraint = get_index_constraint(index);

	ereport(
		ERROR,
		(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		 errmsg("cannot keep %s \"%s\" on distributed table \"%s\"",
				OidIsValid(constraint) ? "constraint" : "unique index", get_rel_name(index),
				RelationGetRelationName(rel)),
		 errdetail("It does not include the distribution column \"%s\" with its usual equality.",
				   get_attname(RelationGetRelid(rel), distribution->key, false)),
		 errhint("Add the column to the %s, or make this a reference table.",
				 OidIsValid(constraint) ? "constraint" : "index")));
}

/* The equality by which column i of a unique or exclusion index tells rows apart. */
static Oid
index_equality(Relation index, int i)
{
	Oid *operators;
	Oid *procs;
	uint16 *strategies;

	if (!index->rd_index->indisexclusion)
		return get_opfamily_member(index->rd_opfamily[i], index->rd_opcintype[i],
								   index->rd_opcintype[i], BTEqualStrategyNumber);
	RelationGetExclusionInfo(index, &operators, &procs, &strategies);
	return operators[i];
}

void
check_index(Relation rel, Oid index_id, const Distribution *distribution)
{
	Relation index = index_open(index_id, AccessShareLock);
	Form_pg_index form = index->rd_index;
	bool kept = !form->indisunique && !form->indisexclusion;

	if (distribution->kind == TABLE_REFERENCE)
		kept = true;
	for (int i = 0; !kept && i < form->indnkeyatts; i++)
	{
		Oid equality;
		Oid collation = index->rd_indcollation[i];

		if (form->indkey.values[i] != distribution->key)
			continue;
		equality = index_equality(index, i);

		/* Equal under another collation does not mean the same hash. */
		kept = OidIsValid(equality) && op_in_opfamily(equality, distribution->key_family) &&
			   (collation == distribution->key_collation || !OidIsValid(collation) ||
				get_collation_isdeterministic(collation));
	}
	index_close(index, NoLock);
	if (!kept)
		refuse_unique(rel, index_id, distribution);
}

void
check_constraints(Relation rel, const Distribution *distribution)
{
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
		check_index(rel, lfirst_oid(lc), distribution);
}

/*
 * Foreign keys
 */
typedef struct ForeignKey
{
	Form_pg_constraint form;
	int n;
	AttrNumber *keys;
	AttrNumber *referenced;
	Oid *equality;
	int nset; /* columns that SET NULL and SET DEFAULT are limited to; 0: all */
	AttrNumber *set;
} ForeignKey;

static Datum *
constraint_array(HeapTuple tuple, AttrNumber attno, Oid type, int *n)
{
	bool isnull;
	Datum value = SysCacheGetAttr(CONSTROID, tuple, attno, &isnull);
	Datum *elements;

	*n = 0;
	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(value), type, type == INT2OID ? 2 : 4, true,
					  type == INT2OID ? TYPALIGN_SHORT : TYPALIGN_INT, &elements, NULL, n);
	return elements;
}

static AttrNumber *
constraint_attnums(HeapTuple tuple, AttrNumber attno, int *n)
{
	Datum *elements = constraint_array(tuple, attno, INT2OID, n);
	AttrNumber *attnums = palloc0((*n + 1) * sizeof(AttrNumber));

	for (int i = 0; i < *n; i++)
		attnums[i] = DatumGetInt16(elements[i]);
	return attnums;
}

static ForeignKey *
foreign_key(HeapTuple tuple)
{
	ForeignKey *fk = palloc0(sizeof(*fk));
	Datum *operators;

	fk->form = (Form_pg_constraint) GETSTRUCT(tuple);
	fk->keys = constraint_attnums(tuple, Anum_pg_constraint_conkey, &fk->n);
	fk->referenced = constraint_attnums(tuple, Anum_pg_constraint_confkey, &fk->n);
	fk->set = constraint_attnums(tuple, Anum_pg_constraint_confdelsetcols, &fk->nset);
	operators = constraint_array(tuple, Anum_pg_constraint_conpfeqop, OIDOID, &fk->n);
	fk->equality = palloc0((fk->n + 1) * sizeof(Oid));
	for (int i = 0; i < fk->n; i++)
		fk->equality[i] = DatumGetObjectId(operators[i]);
	return fk;
}

static bool
contains(const AttrNumber *attnums, int n, AttrNumber wanted)
{
	for (int i = 0; i < n; i++)
	{
		if (attnums[i] == wanted)
			return true;
	}
	return false;
}

/* Would an action of the foreign key put another value into the distribution column? */
static bool
action_moves_rows(const ForeignKey *fk, const Distribution *distribution, bool same_key)
{
	char on_update = fk->form->confupdtype;
	char on_delete = fk->form->confdeltype;

	if (distribution->kind != TABLE_HASH || !contains(fk->keys, fk->n, distribution->key))
		return false;
	if (on_update == FKCONSTR_ACTION_SETNULL || on_update == FKCONSTR_ACTION_SETDEFAULT)
		return true;
	if (on_update == FKCONSTR_ACTION_CASCADE && !same_key)
		return true;
	if (on_delete == FKCONSTR_ACTION_SETNULL || on_delete == FKCONSTR_ACTION_SETDEFAULT)
		return fk->nset == 0 || contains(fk->set, fk->nset, distribution->key);
	return false;
}

/* Why the foreign key cannot be kept; NULL if it can. */
static const char *
foreign_key_obstacle(Relation rel, const ForeignKey *fk, const Distribution *distribution)
{
	bool self = fk->form->confrelid == RelationGetRelid(rel);
	const DistributedTable *target = self ? NULL : metadata_table(fk->form->confrelid);
	AttrNumber target_key = self ? distribution->key : target ? target->key : InvalidAttrNumber;
	TableKind target_kind = self ? distribution->kind : target ? target->kind : TABLE_HASH;
	bool same_key = false;

	if (!self && target == NULL)
		return "It points at a table that is not distributed.";
	if (target_kind == TABLE_HASH)
	{
		if (distribution->kind == TABLE_REFERENCE)
			return "A reference table can point at other reference tables only.";
		if (!self && target->colocation->id != distribution->colocation_id)
			return "It points at a table that is not colocated with this one.";
		for (int i = 0; i < fk->n; i++)
			same_key |= fk->keys[i] == distribution->key && fk->referenced[i] == target_key &&
						op_in_opfamily(fk->equality[i], distribution->key_family);
		if (!same_key)
			return "It does not compare the distribution columns of the two tables.";
	}
	if (action_moves_rows(fk, distribution, same_key))
		return "Its action would change the distribution column.";
	return NULL;
}

void
check_outgoing_keys(Relation rel, const Distribution *distribution)
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
		ForeignKey *fk;
		const char *why;

		if (((Form_pg_constraint) GETSTRUCT(tuple))->contype != CONSTRAINT_FOREIGN)
			continue;
		fk = foreign_key(tuple);
		why = foreign_key_obstacle(rel, fk, distribution);
		if (why != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot keep foreign key \"%s\" on distributed table \"%s\"",
							NameStr(fk->form->conname), RelationGetRelationName(rel)),
					 errdetail_internal("%s", why),
					 errhint("Distribute \"%s\" first, as a colocated table with the distribution "
							 "column in the key or as a reference table, or drop the constraint.",
							 get_rel_name(fk->form->confrelid))));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

List *
check_referencing(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;
	List *relids = NIL;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger *trigger = &triggers->triggers[i];

		if (RI_FKey_trigger_type(trigger->tgfoid) == RI_TRIGGER_PK &&
			trigger->tgconstrrelid != RelationGetRelid(rel))
			relids = list_append_unique_oid(relids, trigger->tgconstrrelid);
	}
	return relids;
}

bool
check_has_rows(Relation rel)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	bool found = table_scan_getnextslot(scan, ForwardScanDirection, slot);

	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	return found;
}

/*
 * A table that points at this one stays local for now: its foreign key would
 * look for its rows in the empty shell.  With no row in it nothing is lost
 * (an INSERT fails until it is distributed too).
 */
static void
check_incoming(Relation rel, const Distribution *distribution)
{
	ListCell *lc;

	if (distribution->kind == TABLE_REFERENCE)
		return;
	foreach (lc, check_referencing(rel))
	{
		Relation other = table_open(lfirst_oid(lc), ShareRowExclusiveLock);

		if (metadata_table(lfirst_oid(lc)) != NULL || other->rd_rel->relkind != RELKIND_RELATION ||
			check_has_rows(other))
			ereport(
				ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot distribute \"%s\"", RelationGetRelationName(rel)),
				 errdetail("A foreign key of table \"%s\", which has rows, points at it.",
						   RelationGetRelationName(other)),
				 errhint("Drop the foreign key and add it again when both tables are distributed, "
						 "or make this a reference table.")));
		table_close(other, NoLock);
	}
}

void
check_foreign_keys(Relation rel, const Distribution *distribution)
{
	check_outgoing_keys(rel, distribution);
	check_incoming(rel, distribution);
}
