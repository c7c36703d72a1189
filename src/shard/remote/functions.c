/*-------------------------------------------------------------------------
 * functions.c
 *	  Commands on other nodes, from SQL.
 *
 * They run in the remote transaction of the present one, as the present
 * user: what they do commits or rolls back with everything else.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "shard/remote/remote.h"

PGCLUSTER_FUNCTION(pgcluster_execute_on_group);
PGCLUSTER_FUNCTION(pgcluster_query_on_group);

/* execute_on_group(group_id integer, command text) returns bigint: rows affected */
Datum
pgcluster_execute_on_group(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(remote_execute(PG_GETARG_INT32(0), text_to_cstring(PG_GETARG_TEXT_PP(1))));
}

/*
 * query_on_group(group_id integer, query text, writes boolean) returns setof
 * text[]: the rows.  What does not write spares its node the second phase of
 * a commit.
 */
Datum
pgcluster_query_on_group(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	RemoteQuery query = {.group_id = PG_GETARG_INT32(0),
						 .sql = text_to_cstring(PG_GETARG_TEXT_PP(1)),
						 .writes = PG_GETARG_BOOL(2)};
	RemoteTask *task;
	PGresult *row;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	task = remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
	while ((row = remote_task_next(task)) != NULL)
	{
		int ncolumns = PQnfields(row);
		Datum *columns = palloc(sizeof(Datum) * ncolumns);
		bool *nulls = palloc(sizeof(bool) * ncolumns);
		int lower = 1;
		Datum values[1];
		bool isnull[1] = {false};

		for (int i = 0; i < ncolumns; i++)
		{
			nulls[i] = PQgetisnull(row, 0, i);
			columns[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(PQgetvalue(row, 0, i));
		}
		PQclear(row);
		values[0] = PointerGetDatum(construct_md_array(columns, nulls, 1, &ncolumns, &lower,
													   TEXTOID, -1, false, TYPALIGN_INT));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, isnull);
	}
	remote_task_end(task);
	return (Datum) 0;
}
