/*-------------------------------------------------------------------------
 * copy_pass.c
 *	  COPY FROM whose rows are passed on to the shards as they came.
 *
 * The server's own code finds lines and fields, with all that can be wrong
 * about them, and in the encoding of the database; of the values only that of
 * the distribution column is read here.  The line goes on to the shard with
 * the options of the statement, and the shard's node reads the other values.
 * Of a binary row the fields are read as bytes, and go on as such.
 *
 * What must stay true: the node makes the same rows of a line as this server
 * would.  So a value whose meaning depends on more than settings and types
 * that nodes have in common is read here: names of objects (search_path), and
 * times like "now", which are those of the transaction.
 *
 * Left to the row by row way of copy.c: WHERE, defaults of columns that are
 * not in the list, and types whose values nodes would read in another way.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "commands/copy.h"
#include "commands/copyfrom_internal.h"
#include "commands/defrem.h"
#include "commands/progress.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "pgstat.h"
#include "rewrite/rewriteHandler.h"
#include "utils/backend_progress.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "shard/ddl/copy_error.h"
#include "shard/ddl/copy_pass.h"
#include "shard/ddl/feed.h"
#include "shard/ddl/router.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/planner/lift.h"

/* What is to be known of a type before its text goes to another node. */
#define TRAIT_NAMES 1 /* names of objects */
#define TRAIT_TIMES 2 /* may be "now" or "today" */

typedef struct Pass
{
	CopyInput *input;
	CopyFromState state;
	const DistributedTable *table;
	Feed *feed;		/* lines */
	Router *router; /* rows that are read here after all; fields */
	int key_field;	/* where the distribution column stands */
	bool *times;	/* by field: may it be "now"? */
	bool any_times; /* ... one of them */
	bool backslash; /* has a meaning at the end of a line */
	FmgrInfo *in;	/* by column: reads values of a binary row */
} Pass;

static int type_traits(Oid type);
static bool has_defaults(Relation rel, List *attnums);
static char *copy_command(Pass *pass, int64 shard_id);
static void append_columns(StringInfo sql, const char *option, const Pass *pass, const bool *flags);
static void set_up_lines(Pass *pass);
static void set_up_fields(Pass *pass);
static bool pass_line(Pass *pass);
static bool pass_fields(Pass *pass);
static bool must_be_read(const Pass *pass);
static bool names_a_time(const char *value);
static void read_values(CopyInput *input);
static int shard_of_bytes(Pass *pass);
static Datum read_bytes(Pass *pass, int column);
static void refuse_null_key_of_bytes(Pass *pass) __attribute__((noreturn));

PassForm
copy_pass_form(const CopyStmt *stmt, Relation rel, const DistributedTable *table, const char **why)
{
	List *attnums = CopyGetAttnums(RelationGetDescr(rel), rel, stmt->attlist);
	bool binary = false;
	int traits = 0;
	ListCell *cell;

	*why = NULL;
	foreach (cell, stmt->options)
	{
		DefElem *option = lfirst(cell);

		if (strcmp(option->defname, "format") == 0)
			binary = strcmp(defGetString(option), "binary") == 0;
		else if (strcmp(option->defname, "default") == 0)
			*why = "Fields may stand for defaults.";
		else if (strcmp(option->defname, "convert_selectively") == 0)
			*why = "Not all columns are read.";
		else if (strcmp(option->defname, "on_error") == 0 &&
				 strcmp(defGetString(option), "stop") != 0)
			*why = "Rows with errors are left out.";
	}
	foreach (cell, attnums)
		traits |= type_traits(TupleDescAttr(RelationGetDescr(rel), lfirst_int(cell) - 1)->atttypid);

	if (table->kind != TABLE_HASH)
		*why = "The table is not split.";
	else if (stmt->whereClause != NULL)
		*why = "There is a condition.";
	else if (!list_member_int(attnums, table->key))
		*why = "The distribution column is not copied.";
	else if (has_defaults(rel, attnums))
		*why = "Columns that are not copied have defaults.";
	else if (traits & TRAIT_NAMES)
		*why = "Values are names of objects.";
	else if (binary && !router_can_be_binary(RelationGetDescr(rel)))
		*why = "The binary form of a type is not the same on all nodes.";

	if (*why != NULL)
		return PASS_ROWS;
	return binary ? PASS_FIELDS : PASS_LINES;
}

static int
type_traits(Oid type)
{
	static const Oid times[] = {DATEOID, TIMEOID, TIMETZOID, TIMESTAMPOID, TIMESTAMPTZOID};
	Oid base = getBaseType(type);
	Oid element = get_element_type(base);
	int traits = 0;

	check_stack_depth();
	if (OidIsValid(element))
		return type_traits(element);
	for (size_t i = 0; i < lengthof(times); i++)
	{
		if (base == times[i])
			return TRAIT_TIMES;
	}
	if (type_is_range(base))
		return type_traits(get_range_subtype(base));
	if (type_is_multirange(base))
		return type_traits(get_multirange_range(base));
	if (type_is_rowtype(base) && base != RECORDOID)
	{
		TupleDesc desc = lookup_rowtype_tupdesc(base, -1);

		for (int i = 0; i < desc->natts; i++)
		{
			if (!TupleDescAttr(desc, i)->attisdropped)
				traits |= type_traits(TupleDescAttr(desc, i)->atttypid);
		}
		ReleaseTupleDesc(desc);
		return traits;
	}
	return lift_names_object(base) ? TRAIT_NAMES : 0;
}

/* Is there a column with a default that is not among these? */
static bool
has_defaults(Relation rel, List *attnums)
{
	for (int i = 1; i <= RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i - 1);

		if (!att->attisdropped && att->attgenerated == '\0' && !list_member_int(attnums, i) &&
			build_column_default(rel, i) != NULL)
			return true;
	}
	return false;
}

List *
copy_pass_options(PassForm form, List *options, const char *key)
{
	if (form != PASS_LINES)
		return options;
	return lappend(
		list_copy(options),
		makeDefElem("convert_selectively", (Node *) list_make1(makeString(pstrdup(key))), -1));
}

uint64
copy_pass(CopyInput *input, const DistributedTable *table, PassForm form)
{
	Pass pass = {.input = input, .state = input->state, .table = table};
	volatile uint64 rows = 0;
	ListCell *cell;

	foreach (cell, pass.state->attnumlist)
	{
		if (lfirst_int(cell) == table->key)
			pass.key_field = foreach_current_index(cell);
	}
	(form == PASS_LINES ? set_up_lines : set_up_fields)(&pass);
	PG_TRY();
	{
		while (form == PASS_LINES ? pass_line(&pass) : pass_fields(&pass))
			pgstat_progress_update_param(PROGRESS_COPY_TUPLES_PROCESSED, ++rows);
		if (pass.router != NULL)
			router_flush(pass.router);
		if (pass.feed != NULL)
			feed_finish(pass.feed);
	}
	PG_CATCH();
	{
		copy_find_first_error(input, form == PASS_LINES ? pass.feed : router_feed(pass.router),
							  form == PASS_LINES && rows > 0);
	}
	PG_END_TRY();
	return rows;
}

/*
 * Lines
 */

static void
set_up_lines(Pass *pass)
{
	const Colocation *colocation = pass->table->colocation;
	Relation rel = pass->input->rel;
	int level = shard_ddl_begin();
	ListCell *cell;

	pass->backslash = !pass->state->opts.csv_mode;
	pass->times = palloc0(list_length(pass->state->attnumlist) * sizeof(bool));
	foreach (cell, pass->state->attnumlist)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), lfirst_int(cell) - 1);
		bool times = (type_traits(att->atttypid) & TRAIT_TIMES) != 0;

		pass->times[foreach_current_index(cell)] = times;
		pass->any_times |= times;
	}
	pass->feed = feed_create(rel, colocation->nshards, false, pass->state->opts.csv_mode,
							 CurrentMemoryContext);
	for (int i = 0; i < colocation->nshards; i++)
		feed_set_target(pass->feed, i, list_make1_int(colocation->shards[i].group_id),
						copy_command(pass, colocation->shards[i].id));
	shard_ddl_end(level);
}

/* The statement for a shard, with all options that say how to read a line. */
static char *
copy_command(Pass *pass, int64 shard_id)
{
	CopyFormatOptions *options = &pass->state->opts;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "COPY %s ", shard_ddl_name(pass->input->rel, shard_id));
	append_columns(&sql, "", pass, NULL);
	appendStringInfo(&sql, " FROM STDIN (FORMAT %s, DELIMITER %s, NULL %s",
					 options->csv_mode ? "csv" : "text", quote_literal_cstr(options->delim),
					 quote_literal_cstr(options->null_print));
	if (options->csv_mode)
	{
		appendStringInfo(&sql, ", QUOTE %s, ESCAPE %s", quote_literal_cstr(options->quote),
						 quote_literal_cstr(options->escape));
		append_columns(&sql, ", FORCE_NULL ", pass, options->force_null_flags);
		append_columns(&sql, ", FORCE_NOT_NULL ", pass, options->force_notnull_flags);
	}
	appendStringInfo(&sql, "%s)", options->freeze ? ", FREEZE" : "");
	return sql.data;
}

/* The columns of the list, of which the flags are set if there are some; nothing if there is none. */
static void
append_columns(StringInfo sql, const char *option, const Pass *pass, const bool *flags)
{
	const char *before = option;
	ListCell *cell;

	foreach (cell, pass->state->attnumlist)
	{
		int i = lfirst_int(cell) - 1;

		if (flags != NULL && !flags[i])
			continue;
		appendStringInfo(sql, "%s%s%s", before, before == option ? "(" : "",
						 quote_identifier(NameStr(
							 TupleDescAttr(RelationGetDescr(pass->input->rel), i)->attname)));
		before = ", ";
	}
	if (before != option)
		appendStringInfoChar(sql, ')');
}

static bool
pass_line(Pass *pass)
{
	CopyInput *input = pass->input;
	int key = pass->table->key - 1;
	MemoryContext old;
	const Shard *shard;
	int target;
	StringInfo to;

	if (!copy_next(input))
		return false;
	if (unlikely(input->slot->tts_isnull[key]))
	{
		read_values(input);
		copy_refuse_null_key(input, pass->table->key);
	}
	if (unlikely(must_be_read(pass)))
	{
		read_values(input);
		if (pass->router == NULL)
			pass->router = copy_router(input, GetMemoryChunkContext(pass->feed));
		router_row_of_line(pass->router, input->slot->tts_values, input->slot->tts_isnull,
						   pass->state->cur_lineno);
		return true;
	}

	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(input->estate));
	shard = metadata_shard_for_key(pass->table, input->slot->tts_values[key]);
	target = shard - pass->table->colocation->shards;
	to = feed_begin_row(pass->feed, target);
	appendBinaryStringInfo(to, pass->state->line_buf.data, pass->state->line_buf.len);
	appendStringInfoCharMacro(to, '\n');
	feed_end_row(pass->feed, target, pass->state->cur_lineno);
	MemoryContextSwitchTo(old);
	return true;
}

/*
 * Has the line a meaning that it would lose on its way?  A backslash before
 * the end of all data stands for nothing, before a line end it would.
 */
static bool
must_be_read(const Pass *pass)
{
	const StringInfo line = &pass->state->line_buf;
	int backslashes = 0;

	if (pass->backslash)
	{
		while (backslashes < line->len && line->data[line->len - 1 - backslashes] == '\\')
			backslashes++;
	}
	if (backslashes % 2 != 0)
		return true;
	for (int i = 0; pass->any_times && i < list_length(pass->state->attnumlist); i++)
	{
		if (pass->times[i] && pass->state->raw_fields[i] != NULL &&
			names_a_time(pass->state->raw_fields[i]))
			return true;
	}
	return false;
}

/* May the value have "now", "today", "tomorrow" or "yesterday" in it? */
static bool
names_a_time(const char *value)
{
	for (; *value != '\0'; value++)
	{
		char first = *value | 0x20;
		char second = value[1] | 0x20;

		if (((first == 'n' || first == 't') && second == 'o') || (first == 'y' && second == 'e'))
			return true;
	}
	return false;
}

/* Reads all values of the present line into the slot, as the server does. */
static void
read_values(CopyInput *input)
{
	CopyFromState state = input->state;
	CopyFormatOptions *options = &state->opts;
	TupleTableSlot *slot = input->slot;
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(input->estate));
	ListCell *cell;

	copy_enter(input);
	foreach (cell, state->attnumlist)
	{
		int i = lfirst_int(cell) - 1;
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(input->rel), i);
		char *text = state->raw_fields[foreach_current_index(cell)];

		if (options->csv_mode && text == NULL && options->force_notnull_flags[i])
			text = options->null_print;
		else if (options->csv_mode && text != NULL && options->force_null_flags[i] &&
				 strcmp(text, options->null_print) == 0)
			text = NULL;
		state->cur_attname = NameStr(att->attname);
		state->cur_attval = text;
		slot->tts_values[i] =
			InputFunctionCall(&state->in_functions[i], text, state->typioparams[i], att->atttypmod);
		slot->tts_isnull[i] = text == NULL;
		state->cur_attname = NULL;
		state->cur_attval = NULL;
	}
	copy_leave(input);
	MemoryContextSwitchTo(old);
}

/*
 * Fields
 */

/* Has the server read bytes in the place of values. */
static void
set_up_fields(Pass *pass)
{
	CopyFromState state = pass->state;
	int level = shard_ddl_begin();
	ListCell *cell;

	pass->in = palloc0(RelationGetNumberOfAttributes(pass->input->rel) * sizeof(FmgrInfo));
	foreach (cell, state->attnumlist)
	{
		int i = lfirst_int(cell) - 1;

		fmgr_info_copy(&pass->in[i], &state->in_functions[i], CurrentMemoryContext);
		fmgr_info(F_BYTEARECV, &state->in_functions[i]);
	}
	pass->router =
		router_create_of_bytes(pass->input->rel, state->opts.freeze, CurrentMemoryContext);
	shard_ddl_end(level);
}

static bool
pass_fields(Pass *pass)
{
	CopyInput *input = pass->input;
	TupleTableSlot *slot = input->slot;

	if (!copy_next(input))
		return false;
	if (slot->tts_isnull[pass->table->key - 1])
		refuse_null_key_of_bytes(pass);
	router_row_of_bytes(pass->router, shard_of_bytes(pass), slot->tts_values, slot->tts_isnull,
						pass->state->cur_lineno);
	return true;
}

/* The shard of the present row: the bytes of the distribution column are in the slot. */
static int
shard_of_bytes(Pass *pass)
{
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(pass->input->estate));
	const Shard *shard;

	shard = metadata_shard_for_key(pass->table, read_bytes(pass, pass->table->key - 1));
	MemoryContextSwitchTo(old);
	return shard - pass->table->colocation->shards;
}

/* The value of a column of which the slot has the bytes. */
static Datum
read_bytes(Pass *pass, int column)
{
	CopyFromState state = pass->state;
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(pass->input->rel), column);
	bytea *bytes = DatumGetByteaPP(pass->input->slot->tts_values[column]);
	StringInfoData buffer;
	Datum value;

	initStringInfo(&buffer);
	appendBinaryStringInfo(&buffer, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	copy_enter(pass->input);
	state->cur_attname = NameStr(att->attname);
	value =
		ReceiveFunctionCall(&pass->in[column], &buffer, state->typioparams[column], att->atttypmod);
	if (buffer.cursor != buffer.len)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("incorrect binary data format")));
	state->cur_attname = NULL;
	copy_leave(pass->input);
	return value;
}

static void
refuse_null_key_of_bytes(Pass *pass)
{
	TupleTableSlot *slot = pass->input->slot;
	ListCell *cell;

	foreach (cell, pass->state->attnumlist)
	{
		int i = lfirst_int(cell) - 1;

		if (!slot->tts_isnull[i])
			slot->tts_values[i] = read_bytes(pass, i);
	}
	copy_refuse_null_key(pass->input, pass->table->key);
}

/*
 * Errors
 */

void
copy_refuse_null_key(CopyInput *input, AttrNumber key)
{
	Relation rel = input->rel;
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), key - 1);

	copy_enter(input);
	if (att->attnotnull)
	{
		ResultRelInfo *result = makeNode(ResultRelInfo);

		InitResultRelInfo(result, rel, 0, NULL, 0);
		if (RelationGetDescr(rel)->constr->has_generated_stored)
			ExecComputeStoredGenerated(result, input->estate, input->slot, CMD_INSERT);
		ExecConstraints(result, input->slot, input->estate);
	}
	ereport(ERROR,
			(errcode(ERRCODE_NOT_NULL_VIOLATION),
			 errmsg("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
					NameStr(att->attname), RelationGetRelationName(rel)),
			 errdetail("The column is the distribution column of the table."),
			 errtablecol(rel, key)));
}
