/*-------------------------------------------------------------------------
 * analyze_record.c
 *	  When the statistics of a distributed table were collected, and from how
 *	  many rows and changes: pgcluster.table_statistics.
 *
 * The row goes straight through the access methods: whoever may analyze a
 * table writes it, and nobody else.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "shard/ddl/analyze_record.h"

/* The order of the columns is that of the extension script. */
enum
{
	RECORD_RELID = 1,
	RECORD_ROWS,
	RECORD_CHANGES,
	RECORD_AT,
	RECORD_NATTS = RECORD_AT
};

void
analyze_record(Oid relid, double rows, int64 changes)
{
	Oid schema = get_namespace_oid("pgcluster", false);
	Relation catalog = table_open(get_relname_relid("table_statistics", schema), RowExclusiveLock);
	Oid index = get_relname_relid("table_statistics_pkey", schema);
	Datum values[RECORD_NATTS];
	bool nulls[RECORD_NATTS] = {0};
	bool replaces[RECORD_NATTS] = {true, true, true, true};
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple old;

	values[RECORD_RELID - 1] = ObjectIdGetDatum(relid);
	values[RECORD_ROWS - 1] = Float8GetDatum(rows);
	values[RECORD_CHANGES - 1] = Int64GetDatum(changes);
	values[RECORD_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());

	ScanKeyInit(&key, RECORD_RELID, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(catalog, index, true, NULL, 1, &key);
	old = systable_getnext(scan);
	if (HeapTupleIsValid(old))
	{
		HeapTuple tuple =
			heap_modify_tuple(old, RelationGetDescr(catalog), values, nulls, replaces);

		CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	}
	else
		CatalogTupleInsert(catalog, heap_form_tuple(RelationGetDescr(catalog), values, nulls));
	systable_endscan(scan);
	table_close(catalog, RowExclusiveLock);
}
