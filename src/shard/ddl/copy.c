/*-------------------------------------------------------------------------
 * copy.c
 *	  COPY from and to distributed tables.
 *
 * COPY FROM: the rows are passed on to the shards as they came where that is
 * possible (copy_pass.c).  Else the server reads and converts them with all
 * its options, and the router sends them to the shards.  Rows of a
 * reference table go to the router and to the server's own COPY FROM of the
 * local copy, which takes them from a callback; or, where a trigger may change
 * them, into an INSERT.
 *
 * COPY TO of a hash table becomes COPY (SELECT ...) TO.  A reference table
 * is complete here.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "commands/copy.h"
#include "commands/copyfrom_internal.h"
#include "commands/defrem.h"
#include "commands/progress.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_relation.h"
#include "pgstat.h"
#include "rewrite/rewriteDefine.h"
#include "utils/acl.h"
#include "utils/backend_progress.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "shard/ddl/copy_input.h"
#include "shard/ddl/copy_pass.h"
#include "shard/ddl/copy_text.h"
#include "shard/ddl/router.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/utility.h"
#include "shard/metadata/metadata.h"

/*
 * Privileges
 */
static void
check_source_privilege(const CopyStmt *stmt)
{
	Oid role = stmt->is_program ? ROLE_PG_EXECUTE_SERVER_PROGRAM : ROLE_PG_READ_SERVER_FILES;

	if (stmt->filename == NULL || has_privs_of_role(GetUserId(), role))
		return;
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg(stmt->is_program ? "permission denied to COPY from an external program"
											: "permission denied to COPY from a file"),
					errdetail("Only roles with privileges of the \"%s\" role may do that.",
							  GetUserNameFromId(role, false)),
					errhint("Anyone can COPY from stdin; so does psql's \\copy.")));
}

static void
check_insert_privilege(Relation rel, List *attnums)
{
	Oid relid = RelationGetRelid(rel);
	bool granted;
	ListCell *lc;

	if (pg_class_aclcheck(relid, GetUserId(), ACL_INSERT) == ACLCHECK_OK)
		return;
	granted = attnums != NIL;
	foreach (lc, attnums)
	{
		if (pg_attribute_aclcheck(relid, lfirst_int(lc), GetUserId(), ACL_INSERT) != ACLCHECK_OK)
			granted = false;
	}
	if (!granted)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(rel));
}

/*
 * Options that promise something about how rows are inserted locally.
 */
static void
refuse_options(const CopyStmt *stmt)
{
	ListCell *lc;

	foreach (lc, stmt->options)
	{
		DefElem *option = lfirst(lc);
		bool refused = false;

		if (strcmp(option->defname, "on_error") == 0)
			refused = strcmp(defGetString(option), "stop") != 0;
		if (refused)
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("COPY option \"%s\" is not supported for distributed tables",
								   option->defname)));
	}
}

static uint64
copy_to_shards(CopyInput *input, const DistributedTable *table)
{
	Router *router = copy_router(input, CurrentMemoryContext);
	TupleTableSlot *slot = input->slot;
	uint64 rows = 0;

	while (copy_next(input))
	{
		if (slot->tts_isnull[table->key - 1])
			copy_refuse_null_key(input, table->key);
		router_row_of_line(router, slot->tts_values, slot->tts_isnull, input->state->cur_lineno);
		pgstat_progress_update_param(PROGRESS_COPY_TUPLES_PROCESSED, ++rows);
	}
	(void) router_finish(router);
	return rows;
}

/*
 * A reference table: the local COPY pulls the rows, each goes to the groups
 * as it passes.
 */
typedef struct Tee
{
	CopyInput *input;
	Router *router;
	int ncolumns;
	AttrNumber *attnums;
	FmgrInfo *output;
	MemoryContext context;
	StringInfoData buffer;
} Tee;

/* COPY's callback has no argument. */
static Tee *present_tee = NULL;

static bool
tee_row(void)
{
	TupleTableSlot *slot = present_tee->input->slot;
	MemoryContext old;
	int level;

	if (!copy_next(present_tee->input))
		return false;
	router_row_of_line(present_tee->router, slot->tts_values, slot->tts_isnull,
					   present_tee->input->state->cur_lineno);
	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(present_tee->input->estate));
	level = copy_text_begin(true);
	for (int i = 0; i < present_tee->ncolumns; i++)
	{
		int column = present_tee->attnums[i] - 1;

		if (i > 0)
			appendStringInfoChar(&present_tee->buffer, '\t');
		copy_text_append(&present_tee->buffer, slot->tts_isnull[column]
												   ? NULL
												   : OutputFunctionCall(&present_tee->output[i],
																		slot->tts_values[column]));
	}
	appendStringInfoChar(&present_tee->buffer, '\n');
	copy_text_end(level);
	MemoryContextSwitchTo(old);
	return true;
}

static int
tee_read(void *out, int minread, int maxread)
{
	StringInfo buffer = &present_tee->buffer;
	ErrorContextCallback *of_local_copy = error_context_stack;
	int n;

	/* Errors in here happen on a line of the source, not of the local COPY. */
	error_context_stack = of_local_copy ? of_local_copy->previous : NULL;
	if (buffer->cursor == buffer->len)
		resetStringInfo(buffer);
	while (buffer->len - buffer->cursor < minread && tee_row())
		;
	error_context_stack = of_local_copy;
	n = Min(maxread, buffer->len - buffer->cursor);
	memcpy(out, buffer->data + buffer->cursor, n);
	buffer->cursor += n;
	return n;
}

/* Prepares the columns that travel; returns their names. */
static List *
set_up_tee(Tee *t, Relation rel)
{
	int natts = RelationGetNumberOfAttributes(rel);
	List *names = NIL;

	t->attnums = palloc(natts * sizeof(AttrNumber) + 1);
	t->output = palloc(natts * sizeof(FmgrInfo) + 1);
	for (int i = 0; i < natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);
		Oid function;
		bool varlena;

		if (att->attisdropped || att->attgenerated != '\0')
			continue;
		getTypeOutputInfo(att->atttypid, &function, &varlena);
		fmgr_info(function, &t->output[t->ncolumns]);
		t->attnums[t->ncolumns++] = att->attnum;
		names = lappend(names, makeString(pstrdup(NameStr(att->attname))));
	}
	initStringInfo(&t->buffer);
	return names;
}

static char *
list_of(List *names)
{
	StringInfoData list;
	ListCell *cell;

	initStringInfo(&list);
	foreach (cell, names)
		appendStringInfo(&list, "%s%s", foreach_current_index(cell) > 0 ? ", " : "",
						 quote_identifier(strVal(lfirst(cell))));
	return list.data;
}

/* COPY knows no rules, but the INSERT in its place does. */
static void
refuse_rules(Relation rel)
{
	const RuleLock *rules = rel->rd_rules;

	for (int i = 0; rules != NULL && i < rules->numLocks; i++)
	{
		if (rules->rules[i]->event == CMD_INSERT && rules->rules[i]->enabled != RULE_DISABLED)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot copy to reference table \"%s\"", RelationGetRelationName(rel)),
					 errdetail("It has a rule on INSERT, and a trigger that changes rows "
							   "before they are stored."),
					 errhint("Use INSERT, or disable the rule.")));
	}
}

/*
 * Where a trigger changes rows before they are stored, the copies get them as
 * they were: an INSERT sees to that.
 */
static uint64
copy_by_insert(CopyInput *input)
{
	EphemeralNamedRelationData rows = {0};
	StringInfoData sql;
	Tee columns = {.input = input};
	char *list = list_of(set_up_tee(&columns, input->rel));
	uint64 inserted;

	refuse_rules(input->rel);
	rows.md.name = "pgcluster_rows";
	rows.md.tupdesc = RelationGetDescr(input->rel);
	rows.md.enrtype = ENR_NAMED_TUPLESTORE;
	rows.reldata = tuplestore_begin_heap(false, false, work_mem);
	while (copy_next(input))
		tuplestore_puttupleslot(rows.reldata, input->slot);
	rows.md.enrtuples = tuplestore_tuple_count(rows.reldata);
	initStringInfo(&sql);
	appendStringInfo(
		&sql, "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s",
		quote_qualified_identifier(get_namespace_name(RelationGetNamespace(input->rel)),
								   RelationGetRelationName(input->rel)),
		list, list, rows.md.name);
	if (SPI_connect() != SPI_OK_CONNECT || SPI_register_relation(&rows) != SPI_OK_REL_REGISTER ||
		SPI_execute(sql.data, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert the rows of COPY");
	inserted = SPI_processed;
	SPI_finish();
	tuplestore_end(rows.reldata);
	return inserted;
}

static uint64
copy_to_all(CopyInput *input)
{
	Tee mine = {.input = input, .router = copy_router(input, CurrentMemoryContext)};
	Tee *outer = present_tee;
	List *columns = set_up_tee(&mine, input->rel);
	List *options = list_make1(
		makeDefElem("encoding", (Node *) makeString(pstrdup(GetDatabaseEncodingName())), -1));
	ParseState *pstate = make_parsestate(NULL);
	CopyFromState local;
	uint64 rows;

	(void) addRangeTableEntryForRelation(pstate, input->rel, RowExclusiveLock, NULL, false, false);
	local = BeginCopyFrom(pstate, input->rel, NULL, NULL, false, tee_read, columns, options);

	/* A default in the source may run a function that copies on its own. */
	PG_TRY();
	{
		present_tee = &mine;
		rows = CopyFrom(local);
	}
	PG_FINALLY();
	{
		present_tee = outer;
	}
	PG_END_TRY();
	EndCopyFrom(local);
	free_parsestate(pstate);
	(void) router_finish(mine.router);
	return rows;
}

/* FREEZE is for rows that nobody can have looked for: as the server wants it of a local table. */
static void
check_freeze(Relation rel)
{
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot perform COPY FREEZE on a partitioned table")));
	InvalidateCatalogSnapshot();
	if (!ThereAreNoPriorRegisteredSnapshots() || !ThereAreNoReadyPortals())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot perform COPY FREEZE because of prior transaction activity")));
	if (rel->rd_createSubid != GetCurrentSubTransactionId() &&
		compat_new_storage_subid(rel) != GetCurrentSubTransactionId())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot perform COPY FREEZE because the table was not created or truncated "
						"in the current subtransaction")));
}

static void
refuse_row_security(Relation rel)
{
	if (check_enable_rls(RelationGetRelid(rel), InvalidOid, false) == RLS_ENABLED)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("COPY FROM not supported with row-level security"),
						errhint("Use INSERT statements instead.")));
}

static void
copy_from(UtilityCall *call, CopyStmt *stmt, Relation rel)
{
	const DistributedTable *table = metadata_table(RelationGetRelid(rel));
	const char *why;
	PassForm form;
	CopyInput *input;
	uint64 rows;

	check_source_privilege(stmt);
	check_insert_privilege(rel, CopyGetAttnums(RelationGetDescr(rel), rel, stmt->attlist));
	refuse_row_security(rel);
	refuse_options(stmt);
	PreventCommandIfReadOnly("COPY FROM");
	PreventCommandIfParallelMode("COPY FROM");

	form = copy_pass_form(stmt, rel, table, &why);
	ereport(DEBUG1,
			(errmsg("COPY %s", form == PASS_ROWS ? "reads all values" : "passes on what it reads"),
			 why ? errdetail_internal("%s", why) : 0));
	input = copy_open(rel, call, stmt,
					  copy_pass_options(form, stmt->options,
										table->kind == TABLE_HASH
											? get_attname(table->relid, table->key, false)
											: NULL));
	if (input->state->opts.freeze)
		check_freeze(rel);
	if (table->kind == TABLE_REFERENCE && rel->trigdesc != NULL &&
		rel->trigdesc->trig_insert_before_row)
		rows = copy_by_insert(input);
	else if (table->kind == TABLE_REFERENCE)
		rows = copy_to_all(input);
	else if (form == PASS_ROWS)
		rows = copy_to_shards(input, table);
	else
		rows = copy_pass(input, table, form);
	copy_close(input);
	if (call->completion != NULL)
		SetQueryCompletion(call->completion, CMDTAG_COPY, rows);
}

/*
 * COPY TO
 */
static Node *
select_column(char *name)
{
	ColumnRef *column = makeNode(ColumnRef);
	ResTarget *target = makeNode(ResTarget);

	column->fields = list_make1(makeString(name));
	column->location = -1;
	target->val = (Node *) column;
	target->location = -1;
	return (Node *) target;
}

/* SELECT columns FROM table, as raw parse tree. */
static Node *
select_statement(Relation rel, List *columns)
{
	SelectStmt *select = makeNode(SelectStmt);
	ListCell *lc;

	foreach (lc, CopyGetAttnums(RelationGetDescr(rel), rel, columns))
		select->targetList =
			lappend(select->targetList,
					select_column(get_attname(RelationGetRelid(rel), lfirst_int(lc), false)));
	select->fromClause = list_make1(makeRangeVar(get_namespace_name(RelationGetNamespace(rel)),
												 pstrdup(RelationGetRelationName(rel)), -1));
	return (Node *) select;
}

static void
copy_to(UtilityCall *call, CopyStmt *stmt, Relation rel)
{
	UtilityCall select = *call;

	select.pstmt = copyObject(call->pstmt);
	stmt = castNode(CopyStmt, select.pstmt->utilityStmt);
	stmt->query = select_statement(rel, stmt->attlist);
	stmt->relation = NULL;
	stmt->attlist = NIL;
	utility_run(&select);
}

bool
copy_handle(UtilityCall *call)
{
	CopyStmt *stmt = castNode(CopyStmt, call->pstmt->utilityStmt);
	const DistributedTable *table;
	Relation rel;

	if (stmt->relation == NULL)
		return false;
	rel = table_openrv(stmt->relation, stmt->is_from ? RowExclusiveLock : AccessShareLock);
	table = metadata_table(RelationGetRelid(rel));
	if (table == NULL || (!stmt->is_from && table->kind == TABLE_REFERENCE))
	{
		table_close(rel, NoLock);
		return false;
	}
	if (stmt->is_from)
		copy_from(call, stmt, rel);
	else
		copy_to(call, stmt, rel);
	table_close(rel, NoLock);
	return true;
}
