/*-------------------------------------------------------------------------
 * call_value.c
 *	  A call that gives one value, as a part of an expression.
 *
 * What PL/pgSQL takes for a simple expression has to stay one, so a call of a
 * function that runs where its key lives is replaced by one of
 * pgcluster.call, which evaluates it there.  A null key lives nowhere, and a
 * group may be this very server: then the function is called here.  So it is
 * when the node finds that it needs more than is there, see remote/refusal.c.
 *
 * Users could call it, too: types are looked at, never believed.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "shard/executor/call.h"
#include "shard/executor/scan.h"
#include "shard/planner/call.h"
#include "shard/planner/lift.h"
#include "shard/remote/remote.h"

PGCLUSTER_FUNCTION(pgcluster_call);

#define FIRST_ARGUMENT 2

/* What does not change from one call to the next. */
typedef struct Callee
{
	FmgrInfo function;
	bool writes;
	int count;
	Oid *types; /* for the node, which knows types of users by name */
	FmgrInfo *outputs;
	FmgrInfo input;
	Oid result_type;
	Oid input_param;
	char *sql;
} Callee;

static void
refuse_misuse(Oid function)
{
	ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
					errmsg("pgcluster.call cannot call function %u so", function),
					errhint("Call the function itself.")));
}

/* Fills in what the catalogs say of the function; all of it must be as the call has it. */
static void
read_function(Callee *callee, FunctionCallInfo fcinfo, Oid function, MemoryContext context)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	MemoryContext old;
	StringInfoData sql;

	if (!HeapTupleIsValid(tuple))
		refuse_misuse(function);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	if (form->prokind != PROKIND_FUNCTION || form->proretset ||
		form->pronargs != PG_NARGS() - FIRST_ARGUMENT ||
		form->prorettype != get_fn_expr_rettype(fcinfo->flinfo))
		refuse_misuse(function);
	callee->writes = form->provolatile == PROVOLATILE_VOLATILE;
	callee->count = form->pronargs;
	old = MemoryContextSwitchTo(context);
	callee->types = palloc0(callee->count * sizeof(Oid));
	callee->outputs = palloc0(callee->count * sizeof(FmgrInfo));
	initStringInfo(&sql);
	appendStringInfo(
		&sql, "SELECT %s(",
		quote_qualified_identifier(get_namespace_name(form->pronamespace), NameStr(form->proname)));
	for (int i = 0; i < callee->count; i++)
	{
		Oid type = form->proargtypes.values[i];
		Oid output;
		bool varlena;

		if (type != get_fn_expr_argtype(fcinfo->flinfo, i + FIRST_ARGUMENT))
			refuse_misuse(function);
		callee->types[i] = lift_builtin(type) ? type : InvalidOid;
		getTypeOutputInfo(type, &output, &varlena);
		fmgr_info_cxt(output, &callee->outputs[i], context);
		appendStringInfo(&sql, "%s%s$%d::%s", i > 0 ? ", " : "",
						 OidIsValid(form->provariadic) && i == callee->count - 1 ? "VARIADIC " : "",
						 i + 1, format_type_be_qualified(type));
	}
	appendStringInfoChar(&sql, ')');
	callee->sql = sql.data;
	callee->result_type = form->prorettype;
	MemoryContextSwitchTo(old);
	ReleaseSysCache(tuple);
}

static Callee *
find_callee(FunctionCallInfo fcinfo, Oid function)
{
	Callee *callee = fcinfo->flinfo->fn_extra;
	MemoryContext context = fcinfo->flinfo->fn_mcxt;
	AclResult acl;
	Oid input;

	if (callee != NULL && callee->function.fn_oid == function)
		return callee;
	if (!SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function)))
		refuse_misuse(function);
	acl = user_may_execute(function);
	if (acl != ACLCHECK_OK)
		aclcheck_error(acl, OBJECT_FUNCTION, get_func_name(function));
	callee = MemoryContextAllocZero(context, sizeof(*callee));
	read_function(callee, fcinfo, function, context);
	if (callee->result_type != VOIDOID)
	{
		getTypeInputInfo(callee->result_type, &input, &callee->input_param);
		fmgr_info_cxt(input, &callee->input, context);
	}
	fmgr_info_cxt(function, &callee->function, context);
	fcinfo->flinfo->fn_extra = callee;
	return callee;
}

/* As the server calls a function. */
static Datum
call_here(FunctionCallInfo fcinfo, Callee *callee)
{
	LOCAL_FCINFO(inner, FUNC_MAX_ARGS);
	Datum result;

	InitFunctionCallInfoData(*inner, &callee->function, callee->count, PG_GET_COLLATION(), NULL,
							 NULL);
	for (int i = 0; i < callee->count; i++)
	{
		inner->args[i] = fcinfo->args[i + FIRST_ARGUMENT];
		if (callee->function.fn_strict && inner->args[i].isnull)
			PG_RETURN_NULL();
	}
	result = FunctionCallInvoke(inner);
	fcinfo->isnull = inner->isnull;
	return result;
}

/* What the node has under this name is something else: somebody has made it anew there. */
static void
refuse_answer(RemoteTask *task)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("node %s did not answer a call with one value", remote_task_node(task)),
					errdetail("The function is defined differently there."),
					errhint("Use create_distributed_function to make it anew.")));
}

static Datum
read_result(FunctionCallInfo fcinfo, Callee *callee, RemoteTask *task)
{
	PGresult *row = remote_task_next(task);
	char *text = NULL;

	if (row == NULL || PQntuples(row) != 1 || PQnfields(row) != 1)
	{
		PQclear(row);
		refuse_answer(task);
	}
	if (!PQgetisnull(row, 0, 0))
		text = pstrdup(PQgetvalue(row, 0, 0));
	PQclear(row);
	if ((row = remote_task_next(task)) != NULL)
	{
		PQclear(row);
		refuse_answer(task);
	}
	remote_task_end(task);
	if (text == NULL)
		PG_RETURN_NULL();
	if (callee->result_type == VOIDOID)
		PG_RETURN_VOID();
	return InputFunctionCall(&callee->input, text, callee->input_param, -1);
}

static Datum
call_there(FunctionCallInfo fcinfo, Callee *callee, const DistributedTable *table, int group_id)
{
	const char **values = palloc0(callee->count * sizeof(char *));
	RemoteQuery query = {.group_id = group_id,
						 .sql = callee->sql,
						 .nparams = callee->count,
						 .types = callee->types,
						 .values = values,
						 .prepare = true,
						 .version = table->version,
						 .writes = callee->writes,
						 .whole = true,
						 .names = true,
						 .attempt = true};
	RemoteTask *task;

	for (int i = 0; i < callee->count; i++)
	{
		if (!PG_ARGISNULL(i + FIRST_ARGUMENT))
			values[i] =
				OutputFunctionCall(&callee->outputs[i], PG_GETARG_DATUM(i + FIRST_ARGUMENT));
	}
	if (callee->writes)
		scan_read_waiting();
	task = remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
	if (!remote_task_refused(task))
		return read_result(fcinfo, callee, task);
	remote_task_end(task);
	return call_here(fcinfo, callee);
}

/* call(type anyelement, function regprocedure, VARIADIC arguments "any") returns what the function does */
Datum
pgcluster_call(PG_FUNCTION_ARGS)
{
	Oid function = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	Callee *callee = find_callee(fcinfo, function);
	const DistributedTable *table;
	int group_id = 0;
	int key;

	table = call_table(function, &key);
	if (table != NULL && key < callee->count && call_names_travel())
		group_id =
			call_group(table, get_fn_expr_argtype(fcinfo->flinfo, key + FIRST_ARGUMENT),
					   PG_GETARG_DATUM(key + FIRST_ARGUMENT), PG_ARGISNULL(key + FIRST_ARGUMENT));
	return group_id == 0 ? call_here(fcinfo, callee) : call_there(fcinfo, callee, table, group_id);
}
