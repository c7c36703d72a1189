/*-------------------------------------------------------------------------
 * analyze.c
 *	  Statistics of distributed tables.
 *
 * The shell of a table is empty, so what the server's ANALYZE finds out about
 * it is of no use to the planner.  Here its catalogs are given what the shards
 * know: the numbers of rows and pages are the sums of theirs, and a sample of
 * the rows of all goes through the same functions that the server has for
 * each type.
 *
 * What must stay true: a table is sampled evenly, however its rows are spread.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "commands/vacuum.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "shard/ddl/analyze.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/remote.h"

/* Rows of a sample for each unit of the statistics target, as the server takes. */
#define SAMPLE_FACTOR 300

/* Bytes of a row of a shard that was never analyzed. */
#define USUAL_WIDTH 100

/* Where a share of the blocks is read, many times the rows wanted are, of which some are taken. */
#define SPREAD 10.0

static void sum_shards(const DistributedTable *table, Relation rel, double *rows, double *pages);
static char *sample_query(Relation rel, double rows, int wanted);
static double analyze_sample(Relation rel, List *columns, double rows);
static bool is_wanted(Form_pg_attribute column, List *columns);
static VacAttrStats *examine(Form_pg_attribute column, int position);
static Datum fetch_value(VacAttrStatsP stats, int row, bool *isnull);
static void store_statistics(Oid relid, AttrNumber column, VacAttrStats *stats);
static void set_slots(VacAttrStats *stats, Datum *values, bool *nulls);

void
analyze_collect(Oid relid, List *columns)
{
	const DistributedTable *table = metadata_table(relid);
	Relation rel;
	double rows;
	double pages;

	if (table == NULL || table->kind != TABLE_HASH || !user_owns_relation(relid))
		return;
	rel = table_open(relid, ShareUpdateExclusiveLock);
	PushActiveSnapshot(GetTransactionSnapshot());
	sum_shards(table, rel, &rows, &pages);
	rows = analyze_sample(rel, columns, rows);
	PopActiveSnapshot();
	compat_update_relation_statistics(rel, (BlockNumber) Min(pages, (double) MaxBlockNumber), rows);
	table_close(rel, NoLock);
}

/* What the shards of the table have, by their own statistics and their sizes. */
static void
sum_shards(const DistributedTable *table, Relation rel, double *rows, double *pages)
{
	StringInfoData sql;
	char *schema = get_namespace_name(RelationGetNamespace(rel));
	List *tasks = NIL;
	ListCell *cell;

	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "SELECT sum(CASE WHEN c.reltuples > 0 AND c.relpages > 0"
					 " THEN c.reltuples / c.relpages * s.size / %d ELSE s.size / %d END)::float8,"
					 " sum(s.size / %d)::float8"
					 " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
					 " ON n.oid = c.relnamespace, pg_catalog.pg_relation_size(c.oid) s (size)"
					 " WHERE c.relname = %s AND n.nspname IN (",
					 BLCKSZ, USUAL_WIDTH, BLCKSZ, quote_literal_cstr(RelationGetRelationName(rel)));
	for (int i = 0; i < table->colocation->nshards; i++)
		appendStringInfo(
			&sql, "%s%s", i > 0 ? ", " : "",
			quote_literal_cstr(metadata_shard_schema(schema, table->colocation->shards[i].id)));
	appendStringInfoChar(&sql, ')');

	*rows = *pages = 0;
	foreach (cell, metadata_groups())
	{
		RemoteQuery query = {.group_id = lfirst_int(cell), .sql = sql.data, .whole = true};

		tasks = lappend(tasks, remote_task_start(&query, CurrentMemoryContext, NULL, NULL));
	}
	foreach (cell, tasks)
	{
		PGresult *result;

		while ((result = remote_task_next(lfirst(cell))) != NULL)
		{
			if (!PQgetisnull(result, 0, 0))
			{
				*rows += strtod(PQgetvalue(result, 0, 0), NULL);
				*pages += strtod(PQgetvalue(result, 0, 1), NULL);
			}
			PQclear(result);
		}
		remote_task_end(lfirst(cell));
	}
}

/* All rows, or about as many as are wanted from some of the blocks. */
static char *
sample_query(Relation rel, double rows, int wanted)
{
	char *name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
											RelationGetRelationName(rel));
	double share = wanted / Max(rows, 1.0);

	if (share >= 1)
		return psprintf("SELECT * FROM %s", name);
	if (share * SPREAD >= 1)
		return psprintf("SELECT * FROM %s WHERE pg_catalog.random() < %g", name, share);
	return psprintf("SELECT * FROM %s TABLESAMPLE SYSTEM (%g) WHERE pg_catalog.random() < %g", name,
					share * SPREAD * 100, 1 / SPREAD);
}

/* Returns how many rows there are, which is known better when all were read. */
static double
analyze_sample(Relation rel, List *columns, double rows)
{
	int wanted = SAMPLE_FACTOR * default_statistics_target;
	int position = 0;

	SPI_connect();
	if (SPI_execute(sample_query(rel, rows, wanted), true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not take a sample of table \"%s\"", RelationGetRelationName(rel));
	rows = rows <= wanted ? (double) SPI_processed : Max(rows, (double) SPI_processed);
	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute column = TupleDescAttr(RelationGetDescr(rel), i);
		VacAttrStats *stats;

		if (column->attisdropped)
			continue;
		position++;
		if (SPI_processed == 0 || !is_wanted(column, columns))
			continue;
		stats = examine(column, position);
		if (stats == NULL)
			continue;
		stats->rows = SPI_tuptable->vals;
		stats->tupDesc = SPI_tuptable->tupdesc;
		stats->compute_stats(stats, fetch_value, (int) SPI_processed, rows);
		if (stats->stats_valid)
			store_statistics(RelationGetRelid(rel), column->attnum, stats);
	}
	SPI_finish();
	return rows;
}

static bool
is_wanted(Form_pg_attribute column, List *columns)
{
	ListCell *cell;

	foreach (cell, columns)
	{
		if (strcmp(strVal(lfirst(cell)), NameStr(column->attname)) == 0)
			return true;
	}
	return columns == NIL;
}

/* How the values of the column are looked at; NULL when they are not. */
static VacAttrStats *
examine(Form_pg_attribute column, int position)
{
	VacAttrStats *stats = palloc0(sizeof(VacAttrStats));
	HeapTuple type = SearchSysCacheCopy1(TYPEOID, ObjectIdGetDatum(column->atttypid));
	bool usable;

	if (!HeapTupleIsValid(type))
		elog(ERROR, "cache lookup failed for type %u", column->atttypid);
	if (!compat_analyze_column(stats, column))
		return NULL;
	stats->attrtypid = column->atttypid;
	stats->attrtypmod = column->atttypmod;
	stats->attrcollid = column->attcollation;
	stats->attrtype = (Form_pg_type) GETSTRUCT(type);
	stats->anl_context = CurrentMemoryContext;
	stats->tupattnum = position;
	for (int i = 0; i < STATISTIC_NUM_SLOTS; i++)
	{
		stats->statypid[i] = stats->attrtypid;
		stats->statyplen[i] = stats->attrtype->typlen;
		stats->statypbyval[i] = stats->attrtype->typbyval;
		stats->statypalign[i] = stats->attrtype->typalign;
	}
	usable =
		OidIsValid(stats->attrtype->typanalyze)
			? DatumGetBool(OidFunctionCall1(stats->attrtype->typanalyze, PointerGetDatum(stats)))
			: std_typanalyze(stats);
	return usable && stats->compute_stats != NULL && stats->minrows > 0 ? stats : NULL;
}

static Datum
fetch_value(VacAttrStatsP stats, int row, bool *isnull)
{
	return heap_getattr(stats->rows[row], stats->tupattnum, stats->tupDesc, isnull);
}

/* One row of pg_statistic, a new one or in place of the last. */
static void
store_statistics(Oid relid, AttrNumber column, VacAttrStats *stats)
{
	Relation catalog = table_open(StatisticRelationId, RowExclusiveLock);
	Datum values[Natts_pg_statistic] = {0};
	bool nulls[Natts_pg_statistic] = {0};
	bool replaces[Natts_pg_statistic];
	HeapTuple old;
	HeapTuple tuple;

	memset(replaces, true, sizeof(replaces));
	values[Anum_pg_statistic_starelid - 1] = ObjectIdGetDatum(relid);
	values[Anum_pg_statistic_staattnum - 1] = Int16GetDatum(column);
	values[Anum_pg_statistic_stainherit - 1] = BoolGetDatum(false);
	values[Anum_pg_statistic_stanullfrac - 1] = Float4GetDatum(stats->stanullfrac);
	values[Anum_pg_statistic_stawidth - 1] = Int32GetDatum(stats->stawidth);
	values[Anum_pg_statistic_stadistinct - 1] = Float4GetDatum(stats->stadistinct);
	set_slots(stats, values, nulls);

	old = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid), Int16GetDatum(column),
						  BoolGetDatum(false));
	if (HeapTupleIsValid(old))
	{
		tuple = heap_modify_tuple(old, RelationGetDescr(catalog), values, nulls, replaces);
		ReleaseSysCache(old);
		CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	}
	else
		CatalogTupleInsert(catalog, heap_form_tuple(RelationGetDescr(catalog), values, nulls));
	table_close(catalog, RowExclusiveLock);
}

/* The kinds of statistics that the type's function has found. */
static void
set_slots(VacAttrStats *stats, Datum *values, bool *nulls)
{
	for (int slot = 0; slot < STATISTIC_NUM_SLOTS; slot++)
	{
		int numbers = Anum_pg_statistic_stanumbers1 - 1 + slot;
		int common = Anum_pg_statistic_stavalues1 - 1 + slot;

		values[Anum_pg_statistic_stakind1 - 1 + slot] = Int16GetDatum(stats->stakind[slot]);
		values[Anum_pg_statistic_staop1 - 1 + slot] = ObjectIdGetDatum(stats->staop[slot]);
		values[Anum_pg_statistic_stacoll1 - 1 + slot] = ObjectIdGetDatum(stats->stacoll[slot]);
		nulls[numbers] = stats->numnumbers[slot] == 0;
		if (!nulls[numbers])
		{
			Datum *datums = palloc(stats->numnumbers[slot] * sizeof(Datum));

			for (int i = 0; i < stats->numnumbers[slot]; i++)
				datums[i] = Float4GetDatum(stats->stanumbers[slot][i]);
			values[numbers] = PointerGetDatum(construct_array(
				datums, stats->numnumbers[slot], FLOAT4OID, sizeof(float4), true, TYPALIGN_INT));
		}
		nulls[common] = stats->numvalues[slot] == 0;
		if (!nulls[common])
			values[common] = PointerGetDatum(construct_array(
				stats->stavalues[slot], stats->numvalues[slot], stats->statypid[slot],
				stats->statyplen[slot], stats->statypbyval[slot], stats->statypalign[slot]));
	}
}
