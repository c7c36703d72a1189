/*-------------------------------------------------------------------------
 * copy_input.c
 *	  What COPY FROM reads, read by the server's own functions.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/copy.h"
#include "commands/copyfrom_internal.h"
#include "commands/progress.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "pgstat.h"
#include "utils/backend_progress.h"
#include "utils/rel.h"

#include "shard/ddl/copy_input.h"
#include "shard/ddl/shard_ddl.h"

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
prepare_filter(CopyInput *input, ParseNamespaceItem *item, Node *where)
{
	ParseState *pstate = input->pstate;

	addNSItemToQuery(pstate, item, false, true, true);
	where = transformExpr(pstate, where, EXPR_KIND_COPY_WHERE);
	where = coerce_to_boolean(pstate, where, "WHERE");
	assign_expr_collations(pstate, where);
	refuse_generated_columns(input->rel, pull_var_clause(where, 0));
	return ExecPrepareQual(make_ands_implicit((Expr *) where), input->estate);
}

CopyInput *
copy_open(Relation rel, UtilityCall *call, CopyStmt *stmt, List *options)
{
	CopyInput *input = palloc0(sizeof(*input));
	ParseNamespaceItem *item;

	input->rel = rel;
	input->columns = stmt->attlist;
	input->options = options;
	input->pstate = make_parsestate(NULL);
	input->pstate->p_sourcetext = call->query_string;
	input->pstate->p_queryEnv = call->environment;
	item = addRangeTableEntryForRelation(input->pstate, rel, RowExclusiveLock, NULL, false, false);
	input->estate = CreateExecutorState();
	if (stmt->whereClause != NULL)
		input->filter = prepare_filter(input, item, stmt->whereClause);
	input->slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
	input->state = BeginCopyFrom(input->pstate, rel, NULL, stmt->filename, stmt->is_program, NULL,
								 stmt->attlist, options);
	input->where_we_are.callback = CopyFromErrorCallback;
	input->where_we_are.arg = input->state;
	return input;
}

void
copy_enter(CopyInput *input)
{
	input->where_we_are.previous = error_context_stack;
	error_context_stack = &input->where_we_are;
}

void
copy_leave(CopyInput *input)
{
	error_context_stack = input->where_we_are.previous;
}

bool
copy_next(CopyInput *input)
{
	ExprContext *econtext = GetPerTupleExprContext(input->estate);
	TupleTableSlot *slot = input->slot;
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(input->estate));
	bool found;

	copy_enter(input);
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		ResetPerTupleExprContext(input->estate);
		ExecClearTuple(slot);
		found = NextCopyFrom(input->state, econtext, slot->tts_values, slot->tts_isnull);
		if (!found)
			break;
		ExecStoreVirtualTuple(slot);
		if (input->filter == NULL)
			break;
		econtext->ecxt_scantuple = slot;
		if (ExecQual(input->filter, econtext))
			break;
		pgstat_progress_update_param(PROGRESS_COPY_TUPLES_EXCLUDED, ++input->excluded);
	}
	copy_leave(input);
	MemoryContextSwitchTo(old);
	return found;
}

Router *
copy_router(CopyInput *input, MemoryContext context)
{
	int level = shard_ddl_begin();
	Router *router = input->state->opts.freeze ? router_create_frozen(input->rel, context)
											   : router_create(input->rel, NIL, context);

	shard_ddl_end(level);
	return router;
}

void
copy_close(CopyInput *input)
{
	EndCopyFrom(input->state);
	ExecDropSingleTupleTableSlot(input->slot);
	FreeExecutorState(input->estate);
	free_parsestate(input->pstate);
}
