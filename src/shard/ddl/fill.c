/*-------------------------------------------------------------------------
 * fill.c
 *	  New columns whose values differ from row to row.
 *
 * A column that is added with a default gets a value in each row that is
 * there.  Where the shards can compute it, they do (shard_ddl.c).  Here is
 * the rest:
 *
 * - Of a hash table, what numbers the rows: serial, identity, nextval() in an
 *   expression.  The shards are locked and their rows counted; the sequence
 *   gives as many numbers at once, and each shard its own share of them, by a
 *   sequence of its own that lives for the length of the command.
 *
 * - Of a reference table, what no two copies would compute alike.  The rows
 *   here have their values already.  The copies get them by their key, or, as
 *   nothing can point at a row without one, are written anew.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_index.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "executor/tuptable.h"
#include "common/int.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "shard/ddl/fill.h"
#include "shard/ddl/groups.h"
#include "shard/ddl/names.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shard_run.h"
#include "shard/ddl/shell.h"
#include "shard/remote/remote.h"

/* Rows in one command for copies of a reference table. */
#define ROWS_AT_ONCE 500

/* A sequence, and what was taken from it. */
typedef struct Numbers
{
	Oid sequence;
	int64 increment;
	int64 first;
} Numbers;

typedef struct FillColumn
{
	AttrNumber attnum;
	Node *expression;
	List *numbers; /* Numbers *, one for each call */
} FillColumn;

struct Fill
{
	Relation rel;
	const DistributedTable *table;
	List *columns;
	int64 *before; /* of a hash table: for each shard, rows of those before it */
};

/*
 * Calls of nextval() in an expression
 */
typedef struct Calls
{
	List *sequences;	/* Oids, one for each call */
	const char *prefix; /* of what takes their place; NULL: a null */
} Calls;

/* The sequence of a call; InvalidOid: it is none, or not known before it is made. */
static Oid
called_sequence(Node *node)
{
	if (IsA(node, NextValueExpr))
		return ((NextValueExpr *) node)->seqid;
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == F_NEXTVAL &&
		IsA(linitial(((FuncExpr *) node)->args), Const) &&
		!((Const *) linitial(((FuncExpr *) node)->args))->constisnull)
		return DatumGetObjectId(((Const *) linitial(((FuncExpr *) node)->args))->constvalue);
	return InvalidOid;
}

/* nextval() of a sequence that is not here, by its name. */
static Node *
call_by_name(const char *name)
{
	Const *text =
		makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1, CStringGetTextDatum(name), false, false);
	FuncExpr *regclass = makeFuncExpr(F_REGCLASS, REGCLASSOID, list_make1(text), InvalidOid,
									  DEFAULT_COLLATION_OID, COERCE_EXPLICIT_CALL);

	return (Node *) makeFuncExpr(F_NEXTVAL, INT8OID, list_make1(regclass), InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

static Node *
replace_calls(Node *node, void *context)
{
	Calls *calls = context;
	Oid sequence;

	if (node == NULL)
		return NULL;
	sequence = called_sequence(node);
	if (!OidIsValid(sequence))
		return expression_tree_mutator(node, replace_calls, context);
	calls->sequences = lappend_oid(calls->sequences, sequence);
	if (calls->prefix == NULL)
		return (Node *) makeNullConst(exprType(node), -1, InvalidOid);
	return call_by_name(psprintf("%s_%d", calls->prefix, list_length(calls->sequences)));
}

bool
fill_is_possible(Relation rel, AttrNumber attnum, TableKind kind)
{
	Calls calls = {0};
	Node *rest;

	if (kind == TABLE_REFERENCE)
		return rel->rd_rel->relkind == RELKIND_RELATION;
	rest = replace_calls(build_column_default(rel, attnum), &calls);
	return !shard_ddl_is_local(rest);
}

/*
 * Numbers for the rows of hash tables
 */
static Numbers *
take_numbers(Oid sequence, int64 count)
{
	HeapTuple tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(sequence));
	Numbers *numbers = palloc0(sizeof(*numbers));
	Form_pg_sequence form;
	int64 last;
	bool up;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for sequence %u", sequence);
	form = (Form_pg_sequence) GETSTRUCT(tuple);
	numbers->sequence = sequence;
	numbers->increment = form->seqincrement;
	up = form->seqincrement > 0;
	if (count > 0)
	{
		/* Nobody else takes one in between. */
		LockRelationOid(sequence, ShareRowExclusiveLock);
		numbers->first = nextval_internal(sequence, true);
		if (pg_mul_s64_overflow(count - 1, form->seqincrement, &last) ||
			pg_add_s64_overflow(numbers->first, last, &last) ||
			(up ? last > form->seqmax : last < form->seqmin))
			ereport(ERROR,
					(errcode(ERRCODE_SEQUENCE_GENERATOR_LIMIT_EXCEEDED),
					 errmsg("sequence \"%s\" has not enough numbers for " INT64_FORMAT " rows",
							get_rel_name(sequence), count)));
		if (count > 1)
			DirectFunctionCall2(setval_oid, ObjectIdGetDatum(sequence), Int64GetDatum(last));
	}
	ReleaseSysCache(tuple);
	return numbers;
}

/* Locks the shards, and counts the rows of each. */
static int64
count_rows(Fill *fill)
{
	const Colocation *colocation = fill->table->colocation;
	ShardRun *run = shard_run_create();
	RemoteTask **tasks = palloc(colocation->nshards * sizeof(RemoteTask *));
	bool names = names_sought(fill->table->relid);
	int64 total = 0;

	shard_run_add_pieces(run, fill->rel, SHARD_RUN_SHARDS, "LOCK TABLE ",
						 " IN ACCESS EXCLUSIVE MODE", false);
	shard_run_finish(run);
	for (int i = 0; i < colocation->nshards; i++)
	{
		const Shard *shard = &colocation->shards[i];
		RemoteQuery query = {.group_id = shard->group_id, .writes = true, .names = names};

		query.sql =
			psprintf("SELECT pg_catalog.count(*) FROM %s", shard_ddl_name(fill->rel, shard->id));
		tasks[i] = remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
	}
	for (int i = 0; i < colocation->nshards; i++)
	{
		PGresult *row;

		fill->before[i] = total;
		while ((row = remote_task_next(tasks[i])) != NULL)
		{
			total += strtoi64(PQgetvalue(row, 0, 0), NULL, 10);
			PQclear(row);
		}
		remote_task_end(tasks[i]);
	}
	return total;
}

static void
prepare_numbers(Fill *fill)
{
	int64 total;
	ListCell *lc;
	ListCell *sequence;

	fill->before = palloc0(fill->table->colocation->nshards * sizeof(int64));
	total = count_rows(fill);
	foreach (lc, fill->columns)
	{
		FillColumn *column = lfirst(lc);
		Calls calls = {0};

		(void) replace_calls(column->expression, &calls);
		foreach (sequence, calls.sequences)
			column->numbers = lappend(column->numbers, take_numbers(lfirst_oid(sequence), total));
	}
}

static int
shard_number(Fill *fill, const Shard *shard)
{
	int i = 0;

	while (fill->table->colocation->shards[i].id != shard->id)
		i++;
	return i;
}

static List *
number_commands(Fill *fill, FillColumn *column, const Shard *shard)
{
	Relation rel = fill->rel;
	char *sequence =
		psprintf("%s.pgcluster_fill_%d",
				 shard_ddl_schema_name(RelationGetNamespace(rel), shard->id), column->attnum);
	Calls calls = {.prefix = sequence};
	char *expression =
		deparse_expression(replace_calls(column->expression, &calls), NIL, false, false);
	int64 before = fill->before[shard_number(fill, shard)];
	List *commands = NIL;
	List *drops = NIL;
	ListCell *lc;

	foreach (lc, column->numbers)
	{
		Numbers *numbers = lfirst(lc);
		char *name = psprintf("%s_%d", sequence, foreach_current_index(lc) + 1);

		commands = lappend(commands, psprintf("CREATE SEQUENCE %s INCREMENT " INT64_FORMAT
											  " MINVALUE " INT64_FORMAT " MAXVALUE " INT64_FORMAT
											  " START " INT64_FORMAT,
											  name, numbers->increment, PG_INT64_MIN, PG_INT64_MAX,
											  numbers->first + before * numbers->increment));
		drops = lappend(drops, psprintf("DROP SEQUENCE %s", name));
	}
	commands = lappend(commands,
					   shard_ddl_add_column_with(rel, column->attnum, expression, true, shard->id));
	commands = lappend(
		commands,
		psprintf("ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT", shard_ddl_name(rel, shard->id),
				 quote_identifier(get_attname(RelationGetRelid(rel), column->attnum, false))));
	return list_concat(commands, drops);
}

/*
 * Values for the copies of reference tables
 */

/* Columns of an index that finds each row that was there before the new columns; NULL: there is none. */
static Bitmapset *
key_columns(Relation rel, AttrNumber first)
{
	Bitmapset *key = NULL;
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;
		bool fits = form->indisunique && form->indimmediate && form->indisvalid &&
					RelationGetIndexPredicate(index) == NIL && bms_is_empty(key);

		for (int i = 0; fits && i < form->indnkeyatts; i++)
		{
			AttrNumber attnum = form->indkey.values[i];

			fits = attnum > 0 && attnum < first &&
				   TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attnotnull;
		}
		for (int i = 0; fits && i < form->indnkeyatts; i++)
			key = bms_add_member(key, form->indkey.values[i]);
		index_close(index, AccessShareLock);
	}
	return key;
}

static char *
value_text(Relation rel, TupleTableSlot *slot, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	char *type = format_type_extended(att->atttypid, att->atttypmod,
									  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
	Oid output;
	bool varlena;
	bool isnull;
	Datum value = slot_getattr(slot, attnum, &isnull);

	getTypeOutputInfo(att->atttypid, &output, &varlena);
	return psprintf(
		"%s::%s", isnull ? "NULL" : quote_literal_cstr(OidOutputFunctionCall(output, value)), type);
}

/* "(a, b), ..." of these columns, for each bundle of rows here. */
static List *
read_rows(Relation rel, Bitmapset *columns)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	List *bundles = NIL;
	StringInfoData bundle;
	int n = 0;

	initStringInfo(&bundle);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		const char *comma = "(";
		int attnum = -1;

		CHECK_FOR_INTERRUPTS();
		if (n > 0)
			appendStringInfoString(&bundle, ", ");
		while ((attnum = bms_next_member(columns, attnum)) >= 0)
		{
			appendStringInfo(&bundle, "%s%s", comma, value_text(rel, slot, attnum));
			comma = ", ";
		}
		appendStringInfoChar(&bundle, ')');
		if (++n < ROWS_AT_ONCE)
			continue;
		bundles = lappend(bundles, bundle.data);
		initStringInfo(&bundle);
		n = 0;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	return n > 0 ? lappend(bundles, bundle.data) : bundles;
}

/* The format for each column, with its name for %. */
static char *
column_list(Relation rel, Bitmapset *columns, const char *separator, const char *format)
{
	StringInfoData list;
	int attnum = -1;

	initStringInfo(&list);
	while ((attnum = bms_next_member(columns, attnum)) >= 0)
	{
		const char *name = quote_identifier(get_attname(RelationGetRelid(rel), attnum, false));

		appendStringInfoString(&list, list.len > 0 ? separator : "");
		for (const char *c = format; *c != '\0'; c++)
		{
			if (*c == '%')
				appendStringInfoString(&list, name);
			else
				appendStringInfoChar(&list, *c);
		}
	}
	return list.data;
}

/* By their key the rows of a copy get the new values. */
static List *
update_commands(Relation rel, Bitmapset *key, Bitmapset *new, const char *table)
{
	Bitmapset *both = bms_union(key, new);
	List *commands = NIL;
	ListCell *lc;

	foreach (lc, read_rows(rel, both))
		commands =
			lappend(commands, psprintf("UPDATE %s t SET %s FROM (VALUES %s) v (%s) WHERE %s", table,
									   column_list(rel, new, ", ", "% = v.%"), (char *) lfirst(lc),
									   column_list(rel, both, ", ", "%"),
									   column_list(rel, key, " AND ", "t.% = v.%")));
	return commands;
}

/* The rows are there no more, and come back with all columns. */
static List *
insert_commands(Relation rel, const char *table)
{
	Bitmapset *stored = NULL;
	List *commands = NIL;
	ListCell *lc;

	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

		if (!att->attisdropped && att->attgenerated == '\0')
			stored = bms_add_member(stored, att->attnum);
	}
	foreach (lc, read_rows(rel, stored))
		commands =
			lappend(commands, psprintf("INSERT INTO %s (%s) VALUES %s", table,
									   column_list(rel, stored, ", ", "%"), (char *) lfirst(lc)));
	return commands;
}

/* With the last of the columns the rows are filled, for all of them at once. */
static List *
copy_commands(Fill *fill, FillColumn *column, const Shard *shard)
{
	Relation rel = fill->rel;
	char *table = shard_ddl_name(rel, shard->id);
	AttrNumber first = ((FillColumn *) linitial(fill->columns))->attnum;
	List *commands =
		list_make1(shard_ddl_add_column_with(rel, column->attnum, NULL, false, shard->id));
	Bitmapset *new = NULL;
	Bitmapset *key;
	ListCell *lc;

	if (column != llast(fill->columns))
		return commands;
	foreach (lc, fill->columns)
		new = bms_add_member(new, ((FillColumn *) lfirst(lc))->attnum);
	key = key_columns(rel, first);
	if (key != NULL)
		return list_concat(commands, update_commands(rel, key, new, table));
	commands = lcons(psprintf("TRUNCATE %s", table), commands);
	return list_concat(commands, insert_commands(rel, table));
}

/* Constraints are for rows that are filled. */
static List *
add_not_null(Fill *fill, FillColumn *column, const Shard *shard)
{
	List *commands = copy_commands(fill, column, shard);
	ListCell *lc;

	foreach (lc, column == llast(fill->columns) ? fill->columns : NIL)
	{
		AttrNumber attnum = ((FillColumn *) lfirst(lc))->attnum;
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(fill->rel), attnum - 1);

		if (att->attnotnull)
			commands = lappend(commands, psprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL",
												  shard_ddl_name(fill->rel, shard->id),
												  quote_identifier(NameStr(att->attname))));
	}
	return commands;
}

Fill *
fill_prepare(Relation rel, const DistributedTable *table, AttrNumber first)
{
	Fill *fill = palloc0(sizeof(*fill));

	fill->rel = rel;
	fill->table = table;
	for (AttrNumber i = first; i <= RelationGetNumberOfAttributes(rel); i++)
	{
		FillColumn *column;

		if (TupleDescAttr(RelationGetDescr(rel), i - 1)->attisdropped ||
			shard_ddl_fills_alike(rel, i, table->kind))
			continue;
		column = palloc0(sizeof(*column));
		column->attnum = i;
		column->expression = build_column_default(rel, i);
		fill->columns = lappend(fill->columns, column);
	}
	if (fill->columns == NIL)
		return NULL;
	if (table->kind == TABLE_HASH)
		prepare_numbers(fill);
	return fill;
}

List *
fill_commands(Fill *fill, AttrNumber attnum, const Shard *shard)
{
	ListCell *lc;

	foreach (lc, fill != NULL && !is_shell(shard->id) ? fill->columns : NIL)
	{
		FillColumn *column = lfirst(lc);

		if (column->attnum != attnum)
			continue;
		return fill->table->kind == TABLE_HASH ? number_commands(fill, column, shard)
											   : add_not_null(fill, column, shard);
	}
	return NIL;
}
