/*-------------------------------------------------------------------------
 * object_catalog.c
 *	  Which objects the nodes have, as far as they were made or found there.
 *
 * A row of pgcluster.node_object means that all worker groups have the object:
 * changes of it go there, and a group that joins gets it.  What has no row is
 * no business of the nodes, and DDL on it asks none of them.
 *
 * Rows go straight through the access methods: no privilege of the user on
 * the table is needed.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "shard/ddl/object_catalog.h"
#include "shard/metadata/catalog.h"

enum
{
	OBJECT_CLASS_ID = 1,
	OBJECT_OBJECT_ID,
	OBJECT_NATTS = OBJECT_OBJECT_ID
};

/* NULL while the extension is being made. */
static Relation
open_catalog(Oid *index, LOCKMODE lockmode)
{
	Oid schema = catalog_schema();
	Oid relid = OidIsValid(schema) ? get_relname_relid("node_object", schema) : InvalidOid;

	*index = OidIsValid(schema) ? get_relname_relid("node_object_pkey", schema) : InvalidOid;
	return OidIsValid(relid) && OidIsValid(*index) ? table_open(relid, lockmode) : NULL;
}

static SysScanDesc
begin_scan(Relation rel, Oid index, Oid class_id, Oid object_id)
{
	ScanKeyData keys[OBJECT_NATTS];

	ScanKeyInit(&keys[0], OBJECT_CLASS_ID, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(class_id));
	ScanKeyInit(&keys[1], OBJECT_OBJECT_ID, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object_id));
	return systable_beginscan(rel, index, true, NULL, OBJECT_NATTS, keys);
}

bool
object_catalog_has(Oid class_id, Oid object_id)
{
	Oid index;
	Relation rel = open_catalog(&index, AccessShareLock);
	SysScanDesc scan;
	bool found;

	if (rel == NULL)
		return false;
	scan = begin_scan(rel, index, class_id, object_id);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

void
object_catalog_insert(Oid class_id, Oid object_id)
{
	Datum values[OBJECT_NATTS];
	bool nulls[OBJECT_NATTS] = {false};
	Oid index;
	Relation rel;

	if (object_catalog_has(class_id, object_id))
		return;

	/* Two that need the same object at once do not both write the row. */
	rel = open_catalog(&index, ShareRowExclusiveLock);
	if (rel == NULL)
		return;
	if (!object_catalog_has(class_id, object_id))
	{
		values[OBJECT_CLASS_ID - 1] = ObjectIdGetDatum(class_id);
		values[OBJECT_OBJECT_ID - 1] = ObjectIdGetDatum(object_id);
		CatalogTupleInsert(rel, heap_form_tuple(RelationGetDescr(rel), values, nulls));
		CommandCounterIncrement();
	}
	table_close(rel, NoLock);
}

bool
object_catalog_delete(Oid class_id, Oid object_id)
{
	Oid index;
	Relation rel;
	SysScanDesc scan;
	HeapTuple tuple;
	bool found;

	/* Most are not there, and have nothing to wait for. */
	if (!object_catalog_has(class_id, object_id))
		return false;
	rel = open_catalog(&index, RowExclusiveLock);
	scan = begin_scan(rel, index, class_id, object_id);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
		CatalogTupleDelete(rel, &tuple->t_self);
	systable_endscan(scan);
	table_close(rel, found ? NoLock : RowExclusiveLock);
	if (found)
		CommandCounterIncrement();
	return found;
}

List *
object_catalog_read(void)
{
	Oid index;
	Relation rel = open_catalog(&index, AccessShareLock);
	List *addresses = NIL;
	SysScanDesc scan;
	HeapTuple tuple;
	bool isnull;

	if (rel == NULL)
		return NIL;
	scan = systable_beginscan(rel, index, true, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		ObjectAddress *a = palloc(sizeof(*a));
		TupleDesc desc = RelationGetDescr(rel);

		ObjectAddressSet(*a, DatumGetObjectId(heap_getattr(tuple, OBJECT_CLASS_ID, desc, &isnull)),
						 DatumGetObjectId(heap_getattr(tuple, OBJECT_OBJECT_ID, desc, &isnull)));
		addresses = lappend(addresses, a);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return addresses;
}
