/*-------------------------------------------------------------------------
 * call.c
 *	  CALL of procedures that run where their key lives.
 *
 * The arguments are evaluated here, the call is sent to the group that has
 * the key's shard, and the row of OUT and INOUT parameters comes back.  A CALL
 * that is all that its transaction does is sent without a transaction around
 * it, so that the procedure may commit by itself.  What the node then cannot
 * do is done here, unless the procedure has committed (remote/refusal.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "shard/ddl/utility.h"
#include "shard/executor/call.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/call.h"
#include "shard/planner/lift.h"
#include "shard/remote/remote.h"

typedef struct Arguments
{
	int count;
	Oid *types;
	Datum *values;
	bool *nulls;
	const char **texts; /* NULL: null */
} Arguments;

/* The values of the arguments that go in. */
static void
evaluate(UtilityCall *call, List *expressions, Arguments *arguments)
{
	EState *estate = CreateExecutorState();
	ExprContext *context = CreateExprContext(estate);
	ListCell *lc;

	arguments->count = list_length(expressions);
	arguments->types = palloc0(Max(arguments->count, 1) * sizeof(Oid));
	arguments->values = palloc0(Max(arguments->count, 1) * sizeof(Datum));
	arguments->nulls = palloc0(Max(arguments->count, 1) * sizeof(bool));
	arguments->texts = palloc0(Max(arguments->count, 1) * sizeof(char *));
	estate->es_param_list_info = call->params;
	context->ecxt_param_list_info = call->params;
	PushActiveSnapshot(GetTransactionSnapshot());
	foreach (lc, expressions)
	{
		int i = foreach_current_index(lc);
		Oid output;
		bool varlena;
		Datum value = ExecEvalExprSwitchContext(ExecPrepareExpr(lfirst(lc), estate), context,
												&arguments->nulls[i]);

		arguments->types[i] = exprType(lfirst(lc));
		if (arguments->nulls[i])
			continue;
		getTypeOutputInfo(arguments->types[i], &output, &varlena);
		arguments->texts[i] = OidOutputFunctionCall(output, value);
		arguments->values[i] = value;
	}
	PopActiveSnapshot();
}

/* "CALL schema.name($1::type, NULL::type, ...)" */
static char *
call_text(FuncExpr *call)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(call->funcid));
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
	StringInfoData sql;
	Oid *types;
	char **names;
	char *modes;
	int count;
	int input = 0;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", call->funcid);
	count = get_func_arg_info(tuple, &types, &names, &modes);
	initStringInfo(&sql);
	appendStringInfo(
		&sql, "CALL %s(",
		quote_qualified_identifier(get_namespace_name(form->pronamespace), NameStr(form->proname)));
	for (int i = 0; i < count; i++)
	{
		char mode = modes ? modes[i] : FUNC_PARAM_IN;
		const char *type = format_type_be_qualified(types[i]);

		appendStringInfoString(&sql, i > 0 ? ", " : "");
		if (mode == FUNC_PARAM_OUT)
			appendStringInfo(&sql, "NULL::%s", type);
		else
			appendStringInfo(&sql, "%s$%d::%s", mode == FUNC_PARAM_VARIADIC ? "VARIADIC " : "",
							 ++input, type);
	}
	appendStringInfoChar(&sql, ')');
	ReleaseSysCache(tuple);
	return input == list_length(call->args) ? sql.data : NULL;
}

static void
give_row(CallStmt *stmt, DestReceiver *dest, PGresult *row)
{
	TupleDesc desc = CallStmtResultDesc(stmt);
	TupOutputState *out;
	AttInMetadata *input;
	HeapTuple tuple;
	TupleTableSlot *slot;
	char **values;

	if (desc == NULL || PQnfields(row) != desc->natts)
		return;
	values = palloc0(desc->natts * sizeof(char *));
	for (int i = 0; i < desc->natts; i++)
		values[i] = PQgetisnull(row, 0, i) ? NULL : pstrdup(PQgetvalue(row, 0, i));
	input = TupleDescGetAttInMetadata(desc);
	tuple = BuildTupleFromCStrings(input, values);
	out = begin_tup_output_tupdesc(dest, desc, &TTSOpsHeapTuple);
	slot = ExecStoreHeapTuple(tuple, out->slot, false);
	out->dest->receiveSlot(slot, out->dest);
	end_tup_output(out);
}

/* False: the node cannot do it, and nothing was done. */
static bool
send_call(UtilityCall *call, int group_id, const char *sql, const Arguments *arguments)
{
	bool alone = call->context == PROCESS_UTILITY_TOPLEVEL && !IsTransactionBlock() &&
				 !IsSubTransaction() && !IsolationUsesXactSnapshot();
	Oid *types = palloc0(Max(arguments->count, 1) * sizeof(Oid));
	RemoteQuery query = {.group_id = group_id,
						 .sql = sql,
						 .nparams = arguments->count,
						 .types = types,
						 .values = arguments->texts,
						 .writes = true,
						 .alone = alone,
						 .names = true,
						 .attempt = true};
	RemoteTask *task;
	bool refused;
	PGresult *row;

	for (int i = 0; i < arguments->count; i++)
		types[i] = lift_builtin(arguments->types[i]) ? arguments->types[i] : InvalidOid;
	if (alone)
		remote_make_ready(group_id, false, true);
	task = remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
	refused = remote_task_refused(task);
	while (!refused && (row = remote_task_next(task)) != NULL)
	{
		give_row(castNode(CallStmt, call->pstmt->utilityStmt), call->dest, row);
		PQclear(row);
	}
	remote_task_end(task);
	return !refused;
}

/* What was evaluated is not evaluated again. */
static void
run_here(UtilityCall *call, const Arguments *arguments)
{
	PlannedStmt *statement = copyObject(call->pstmt);
	FuncExpr *function = castNode(CallStmt, statement->utilityStmt)->funcexpr;
	UtilityCall here = *call;
	List *constants = NIL;
	ListCell *lc;

	foreach (lc, function->args)
	{
		int i = foreach_current_index(lc);
		Oid type = arguments->types[i];
		int16 length;
		bool by_value;

		get_typlenbyval(type, &length, &by_value);
		constants =
			lappend(constants, makeConst(type, -1, exprCollation(lfirst(lc)), length,
										 arguments->values[i], arguments->nulls[i], by_value));
	}
	function->args = constants;
	here.pstmt = statement;
	utility_run(&here);
}

bool
call_handle(UtilityCall *call)
{
	CallStmt *stmt = castNode(CallStmt, call->pstmt->utilityStmt);
	Arguments arguments = {0};
	const DistributedTable *table;
	char *sql;
	int key;
	int group_id;

	table = call_table(stmt->funcexpr->funcid, &key);
	if (table == NULL || !call_names_travel() || key >= list_length(stmt->funcexpr->args) ||
		(sql = call_text(stmt->funcexpr)) == NULL)
		return false;
	evaluate(call, stmt->funcexpr->args, &arguments);
	group_id = call_group(table, arguments.types[key], arguments.values[key], arguments.nulls[key]);
	if (group_id == 0 || !send_call(call, group_id, sql, &arguments))
		run_here(call, &arguments);
	return true;
}
