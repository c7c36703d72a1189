/*-------------------------------------------------------------------------
 * analyze.c
 *	  Statistics of distributed tables.
 *
 * The shell of a table is empty, so what the server's ANALYZE finds out about
 * it is of no use to the planner.  Here its catalogs are given what the shards
 * know: the numbers of rows and pages are the sums of theirs, and a sample of
 * the rows of all goes through the same functions that the server has for
 * each type.  How many changes the shards had counted by then is written down,
 * for the worker that looks whether there are many new ones.
 *
 * What must stay true: a table is sampled evenly, however its rows are spread.
 * Functions that a user may have had a hand in run as the table's owner.
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
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "shard/ddl/analyze.h"
#include "shard/ddl/analyze_record.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/remote.h"

/* Rows of a sample for each unit of the statistics target, as the server takes. */
#define SAMPLE_FACTOR 300

/* Bytes of a row of a shard that was never analyzed. */
#define USUAL_WIDTH 100

/* Where a share of the blocks is read, many times the rows wanted are, of which some are taken. */
#define SPREAD 10.0

/* What the shards of a table know of themselves. */
typedef struct ShardCounts
{
	double rows;
	double pages;
	int64 changes; /* rows inserted, updated and deleted since their counters began */
} ShardCounts;

static Relation open_table(Oid relid, bool skip_locked);
static ShardCounts sum_shards(Relation rel);
static void store_counts(Relation rel, const ShardCounts *counts);
static char *sample_query(Relation rel, double rows, int wanted);
static double analyze_sample(Relation rel, List *columns, double rows);
static double take_sample(Relation rel, double rows);
static bool runs_checks(Oid type);
static bool is_wanted(Form_pg_attribute column, List *columns);
static VacAttrStats *examine(Form_pg_attribute column, int position);
static Datum fetch_value(VacAttrStatsP stats, int row, bool *isnull);
static void store_statistics(Relation rel, AttrNumber column, VacAttrStats *stats);
static void set_slots(VacAttrStats *stats, Datum *values, bool *nulls);

bool
analyze_collect(Oid relid, List *columns, bool skip_locked)
{
	Relation rel = open_table(relid, skip_locked);
	ShardCounts counts;

	if (rel == NULL)
		return false;
	PushActiveSnapshot(GetTransactionSnapshot());
	counts = sum_shards(rel);
	counts.rows = analyze_sample(rel, columns, counts.rows);
	PopActiveSnapshot();
	store_counts(rel, &counts);
	if (columns == NIL)
		analyze_record(relid, counts.rows, counts.changes);
	table_close(rel, NoLock);
	return true;
}

void
analyze_count(Oid relid, bool skip_locked)
{
	Relation rel = open_table(relid, skip_locked);
	ShardCounts counts;

	if (rel == NULL)
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	counts = sum_shards(rel);
	PopActiveSnapshot();
	store_counts(rel, &counts);
	table_close(rel, NoLock);
}

/* NULL if it is not the user's, or no split table, or others have locked it. */
static Relation
open_table(Oid relid, bool skip_locked)
{
	const DistributedTable *table = metadata_table(relid);

	if (table == NULL || table->kind != TABLE_HASH || !user_owns_relation(relid))
		return NULL;
	if (!skip_locked)
		LockRelationOid(relid, ShareUpdateExclusiveLock);
	else if (!ConditionalLockRelationOid(relid, ShareUpdateExclusiveLock))
		return NULL;
	table = metadata_table(relid);
	if (table != NULL && table->kind == TABLE_HASH && user_owns_relation(relid))
		return table_open(relid, NoLock);
	UnlockRelationOid(relid, ShareUpdateExclusiveLock);
	return NULL;
}

static void
store_counts(Relation rel, const ShardCounts *counts)
{
	BlockNumber pages = (BlockNumber) Min(counts->pages, (double) MaxBlockNumber);

	compat_update_relation_statistics(rel, pages, counts->rows);
}

/* What the shards of the table have, by their own statistics and their sizes. */
static ShardCounts
sum_shards(Relation rel)
{
	const DistributedTable *table = metadata_table(RelationGetRelid(rel));
	ShardCounts counts = {0};
	StringInfoData sql;
	char *schema = get_namespace_name(RelationGetNamespace(rel));
	List *tasks = NIL;
	ListCell *cell;

	initStringInfo(&sql);
	appendStringInfo(
		&sql,
		"SELECT sum(CASE WHEN c.reltuples > 0 AND c.relpages > 0"
		" THEN c.reltuples / c.relpages * s.size / %d ELSE s.size / %d END)::float8,"
		" sum(s.size / %d)::float8,"
		" sum(" ANALYZE_CHANGES ")::bigint"
		" FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace n"
		" ON n.oid = t.relnamespace CROSS JOIN LATERAL"
		" (SELECT t.oid WHERE t.relkind <> 'p' UNION ALL SELECT p.relid"
		" FROM pg_catalog.pg_partition_tree(t.oid) p WHERE p.isleaf AND t.relkind = 'p') l (oid)"
		" JOIN pg_catalog.pg_class c ON c.oid = l.oid,"
		" pg_catalog.pg_relation_size(c.oid) s (size)"
		" WHERE t.relname = %s AND n.nspname IN (",
		BLCKSZ, USUAL_WIDTH, BLCKSZ, quote_literal_cstr(RelationGetRelationName(rel)));
	for (int i = 0; i < table->colocation->nshards; i++)
		appendStringInfo(
			&sql, "%s%s", i > 0 ? ", " : "",
			quote_literal_cstr(metadata_shard_schema(schema, table->colocation->shards[i].id)));
	appendStringInfoChar(&sql, ')');

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
				counts.rows += strtod(PQgetvalue(result, 0, 0), NULL);
				counts.pages += strtod(PQgetvalue(result, 0, 1), NULL);
				counts.changes += strtoll(PQgetvalue(result, 0, 2), NULL, 10);
			}
			PQclear(result);
		}
		remote_task_end(lfirst(cell));
	}
	return counts;
}

/* All rows, or about as many as are wanted from some of the blocks. */
static char *
sample_query(Relation rel, double rows, int wanted)
{
	char *name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
											RelationGetRelationName(rel));
	double share = wanted / Max(rows, 1.0);
	const char *between = "";
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute column = TupleDescAttr(RelationGetDescr(rel), i);

		if (column->attisdropped)
			continue;
		if (runs_checks(column->atttypid))
			appendStringInfo(&sql, "%sNULL", between);
		else
			appendStringInfo(&sql, "%s%s", between, quote_identifier(NameStr(column->attname)));
		between = ", ";
	}
	appendStringInfo(&sql, " FROM %s", name);
	if (share * SPREAD < 1)
		appendStringInfo(&sql, " TABLESAMPLE SYSTEM (%g) WHERE pg_catalog.random() < %g",
						 share * SPREAD * 100, 1 / SPREAD);
	else if (share < 1)
		appendStringInfo(&sql, " WHERE pg_catalog.random() < %g", share);
	return sql.data;
}

/*
 * Does reading a value of the type run the checks of a domain inside of it?
 * These are functions of who knows whom.  (Of a domain itself they are not run.)
 */
static bool
runs_checks(Oid type)
{
	Oid base = getBaseType(type);
	Oid part = get_element_type(base);
	TupleDesc desc;
	bool runs = false;

	if (!OidIsValid(part) && type_is_range(base))
		part = get_range_subtype(base);
	if (!OidIsValid(part) && type_is_multirange(base))
		part = get_range_subtype(get_multirange_range(base));
	if (OidIsValid(part))
		return get_typtype(part) == TYPTYPE_DOMAIN || runs_checks(part);
	if (get_typtype(base) != TYPTYPE_COMPOSITE)
		return false;
	desc = lookup_rowtype_tupdesc(base, -1);
	for (int i = 0; i < desc->natts && !runs; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		runs = !column->attisdropped &&
			   (get_typtype(column->atttypid) == TYPTYPE_DOMAIN || runs_checks(column->atttypid));
	}
	ReleaseTupleDesc(desc);
	return runs;
}

/* Returns how many rows there are, which is known better when all were read. */
static double
analyze_sample(Relation rel, List *columns, double rows)
{
	int position = 0;
	int nest_level;
	Oid user;
	int security;

	SPI_connect();
	rows = take_sample(rel, rows);
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(rel->rd_rel->relowner, security | SECURITY_RESTRICTED_OPERATION);
	nest_level = NewGUCNestLevel();
	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute column = TupleDescAttr(RelationGetDescr(rel), i);
		VacAttrStats *stats;

		if (column->attisdropped)
			continue;
		position++;
		if (SPI_processed == 0 || !is_wanted(column, columns) || runs_checks(column->atttypid))
			continue;
		stats = examine(column, position);
		if (stats == NULL)
			continue;
		stats->rows = SPI_tuptable->vals;
		stats->tupDesc = SPI_tuptable->tupdesc;
		stats->compute_stats(stats, fetch_value, (int) SPI_processed, rows);
		if (stats->stats_valid)
			store_statistics(rel, column->attnum, stats);
	}
	AtEOXact_GUC(false, nest_level);
	SetUserIdAndSecContext(user, security);
	SPI_finish();
	return rows;
}

/* Leaves the rows in SPI_tuptable, and returns how many the table has. */
static double
take_sample(Relation rel, double rows)
{
	int wanted = SAMPLE_FACTOR * default_statistics_target;

	if (SPI_execute(sample_query(rel, rows, wanted), true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not take a sample of table \"%s\"", RelationGetRelationName(rel));
	return rows <= wanted ? (double) SPI_processed : Max(rows, (double) SPI_processed);
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
store_statistics(Relation rel, AttrNumber column, VacAttrStats *stats)
{
	Oid relid = RelationGetRelid(rel);
	bool inherited = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	Relation catalog = table_open(StatisticRelationId, RowExclusiveLock);
	Datum values[Natts_pg_statistic] = {0};
	bool nulls[Natts_pg_statistic] = {0};
	bool replaces[Natts_pg_statistic];
	HeapTuple old;
	HeapTuple tuple;

	memset(replaces, true, sizeof(replaces));
	values[Anum_pg_statistic_starelid - 1] = ObjectIdGetDatum(relid);
	values[Anum_pg_statistic_staattnum - 1] = Int16GetDatum(column);
	values[Anum_pg_statistic_stainherit - 1] = BoolGetDatum(inherited);
	values[Anum_pg_statistic_stanullfrac - 1] = Float4GetDatum(stats->stanullfrac);
	values[Anum_pg_statistic_stawidth - 1] = Int32GetDatum(stats->stawidth);
	values[Anum_pg_statistic_stadistinct - 1] = Float4GetDatum(stats->stadistinct);
	set_slots(stats, values, nulls);

	old = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid), Int16GetDatum(column),
						  BoolGetDatum(inherited));
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
