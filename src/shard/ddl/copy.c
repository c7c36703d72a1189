/*-------------------------------------------------------------------------
 * copy.c
 *	  COPY from and to distributed tables.
 *
 * COPY FROM: the server reads and converts the rows with all its options;
 * instead of inserting them, the router sends them to the shards.  Rows of a
 * reference table go to the router and to the server's own COPY FROM of the
 * local copy, which takes them from a callback.
 *
 * COPY TO of a hash table becomes COPY (SELECT ...) TO.  A reference table
 * is complete here.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "commands/copy.h"
#include "commands/defrem.h"
#include "commands/progress.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/backend_progress.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "shard/ddl/copy_text.h"
#include "shard/ddl/router.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/utility.h"
#include "shard/metadata/metadata.h"

/* Rows as the server reads them from the COPY. */
typedef struct CopySource
{
	Relation rel;
	ParseState *pstate;
	CopyFromState state;
	EState *estate;
	TupleTableSlot *slot; /* the present row */
	ExprState *filter;	  /* of WHERE, or NULL */
	ErrorContextCallback where_we_are;
} CopySource;

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

		if (strcmp(option->defname, "freeze") == 0)
			refused = defGetBoolean(option);
		else if (strcmp(option->defname, "on_error") == 0)
			refused = strcmp(defGetString(option), "stop") != 0;
		if (refused)
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("COPY option \"%s\" is not supported for distributed tables",
								   option->defname)));
	}
}

/*
 * The source
 */
static void
refuse_generated_columns(Relation rel, List *vars)
{
	ListCell *lc;

	foreach (lc, vars)
	{
		AttrNumber attnum = castNode(Var, lfirst(lc))->varattno;

		for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
		{
			Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

			if (att->attgenerated != '\0' && (attnum == 0 || attnum == att->attnum))
				ereport(
					ERROR,
					(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
					 errmsg("generated columns are not supported in COPY FROM WHERE conditions"),
					 errdetail("Column \"%s\" is a generated column.", NameStr(att->attname))));
		}
	}
}

/* The condition of WHERE, ready to evaluate. */
static ExprState *
prepare_filter(CopySource *source, ParseNamespaceItem *item, Node *where)
{
	ParseState *pstate = source->pstate;

	addNSItemToQuery(pstate, item, false, true, true);
	where = transformExpr(pstate, where, EXPR_KIND_COPY_WHERE);
	where = coerce_to_boolean(pstate, where, "WHERE");
	assign_expr_collations(pstate, where);
	refuse_generated_columns(source->rel, pull_var_clause(where, 0));
	return ExecPrepareQual(make_ands_implicit((Expr *) where), source->estate);
}

static CopySource *
open_source(Relation rel, UtilityCall *call, CopyStmt *stmt)
{
	CopySource *source = palloc0(sizeof(*source));
	ParseNamespaceItem *item;

	source->rel = rel;
	source->pstate = make_parsestate(NULL);
	source->pstate->p_sourcetext = call->query_string;
	source->pstate->p_queryEnv = call->environment;
	item = addRangeTableEntryForRelation(source->pstate, rel, RowExclusiveLock, NULL, false, false);
	source->estate = CreateExecutorState();
	if (stmt->whereClause != NULL)
		source->filter = prepare_filter(source, item, stmt->whereClause);
	source->slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
	source->state = BeginCopyFrom(source->pstate, rel, NULL, stmt->filename, stmt->is_program, NULL,
								  stmt->attlist, stmt->options);
	source->where_we_are.callback = CopyFromErrorCallback;
	source->where_we_are.arg = source->state;
	return source;
}

/*
 * Reads the next row that fits WHERE into the slot; false at the end.  It is
 * valid until the next call.
 */
static bool
next_row(CopySource *source)
{
	ExprContext *econtext = GetPerTupleExprContext(source->estate);
	TupleTableSlot *slot = source->slot;
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(source->estate));
	bool found;

	source->where_we_are.previous = error_context_stack;
	error_context_stack = &source->where_we_are;
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		ResetPerTupleExprContext(source->estate);
		ExecClearTuple(slot);
		found = NextCopyFrom(source->state, econtext, slot->tts_values, slot->tts_isnull);
		if (!found)
			break;
		ExecStoreVirtualTuple(slot);
		if (source->filter == NULL)
			break;
		econtext->ecxt_scantuple = slot;
		if (ExecQual(source->filter, econtext))
			break;
	}
	error_context_stack = source->where_we_are.previous;
	MemoryContextSwitchTo(old);
	return found;
}

static void
close_source(CopySource *source)
{
	EndCopyFrom(source->state);
	ExecDropSingleTupleTableSlot(source->slot);
	FreeExecutorState(source->estate);
	free_parsestate(source->pstate);
}

static Router *
make_router(Relation rel)
{
	int level = shard_ddl_begin();
	Router *router = router_create(rel, NIL, CurrentMemoryContext);

	shard_ddl_end(level);
	return router;
}

static uint64
copy_to_shards(CopySource *source)
{
	Router *router = make_router(source->rel);
	uint64 rows = 0;

	while (next_row(source))
	{
		router_row(router, source->slot->tts_values, source->slot->tts_isnull);
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
	CopySource *source;
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
	TupleTableSlot *slot = present_tee->source->slot;
	MemoryContext old;
	int level;

	if (!next_row(present_tee->source))
		return false;
	router_row(present_tee->router, slot->tts_values, slot->tts_isnull);
	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(present_tee->source->estate));
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

static uint64
copy_to_all(CopySource *source)
{
	Tee mine = {.source = source, .router = make_router(source->rel)};
	Tee *outer = present_tee;
	List *columns = set_up_tee(&mine, source->rel);
	List *options = list_make1(
		makeDefElem("encoding", (Node *) makeString(pstrdup(GetDatabaseEncodingName())), -1));
	ParseState *pstate = make_parsestate(NULL);
	CopyFromState local;
	uint64 rows;

	(void) addRangeTableEntryForRelation(pstate, source->rel, RowExclusiveLock, NULL, false, false);
	local = BeginCopyFrom(pstate, source->rel, NULL, NULL, false, tee_read, columns, options);

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

static void
copy_from(UtilityCall *call, CopyStmt *stmt, Relation rel)
{
	const DistributedTable *table = metadata_table(RelationGetRelid(rel));
	CopySource *source;
	uint64 rows;

	check_source_privilege(stmt);
	check_insert_privilege(rel, CopyGetAttnums(RelationGetDescr(rel), rel, stmt->attlist));
	refuse_options(stmt);
	PreventCommandIfReadOnly("COPY FROM");
	PreventCommandIfParallelMode("COPY FROM");

	source = open_source(rel, call, stmt);
	rows = table->kind == TABLE_HASH ? copy_to_shards(source) : copy_to_all(source);
	close_source(source);
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
