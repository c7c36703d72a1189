/*-------------------------------------------------------------------------
 * functions.c
 *	  The SQL functions of the distribution half.
 *
 * Arguments are read and judged here, the work is done in ddl/.  That a user
 * may call them at all is the GRANTs' matter, that a table is his to
 * distribute is looked at in ddl/distribute.c.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "shard/ddl/distribute.h"
#include "shard/ddl/function.h"
#include "shard/ddl/groups.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/remote.h"

PGCLUSTER_FUNCTION(cluster_add_node);
PGCLUSTER_FUNCTION(cluster_remove_node);
PGCLUSTER_FUNCTION(create_distributed_table);
PGCLUSTER_FUNCTION(create_reference_table);
PGCLUSTER_FUNCTION(undistribute_table);
PGCLUSTER_FUNCTION(create_distributed_function);
PGCLUSTER_FUNCTION(pgcluster_group_address);
PGCLUSTER_FUNCTION(pgcluster_shard_schema);


static void
require_argument(FunctionCallInfo fcinfo, int i, const char *name)
{
	if (PG_ARGISNULL(i))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"%s\" must not be null", name)));
}

Datum
cluster_add_node(PG_FUNCTION_ARGS)
{
	char *host;
	int port;
	int group_id = 0;

	PreventCommandIfReadOnly("cluster_add_node()");
	require_argument(fcinfo, 0, "host");
	require_argument(fcinfo, 1, "port");
	host = text_to_cstring(PG_GETARG_TEXT_PP(0));
	port = PG_GETARG_INT32(1);
	if (host[0] == '\0' || strchr(host, ',') != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is not a host name, address or socket directory", host)));
	if (port < 1 || port > 65535)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("port %d is not between 1 and 65535", port)));
	if (!PG_ARGISNULL(2))
	{
		group_id = PG_GETARG_INT32(2);
		if (group_id < 1)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("worker groups have numbers from 1 up, not %d", group_id)));
	}
	PG_RETURN_INT32(groups_add(host, port, group_id));
}

Datum
cluster_remove_node(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("cluster_remove_node()");
	groups_remove(PG_GETARG_INT32(0));
	PG_RETURN_VOID();
}

/* "default", "none" or the name of a table, which is returned. */
static Oid
colocate_argument(FunctionCallInfo fcinfo, int i, bool *alone)
{
	text *argument;
	char *name;

	*alone = false;
	if (PG_ARGISNULL(i))
		return InvalidOid;
	argument = PG_GETARG_TEXT_PP(i);
	name = text_to_cstring(argument);
	*alone = strcmp(name, "none") == 0;
	if (*alone || strcmp(name, "default") == 0)
		return InvalidOid;
	return RangeVarGetRelid(makeRangeVarFromNameList(textToQualifiedNameList(argument)),
							AccessShareLock, false);
}

Datum
create_distributed_table(PG_FUNCTION_ARGS)
{
	bool alone;
	Oid colocate_with;
	int shard_count = 0;

	PreventCommandIfReadOnly("create_distributed_table()");
	require_argument(fcinfo, 0, "table_name");
	require_argument(fcinfo, 1, "distribution_column");
	colocate_with = colocate_argument(fcinfo, 2, &alone);
	if (!PG_ARGISNULL(3))
	{
		shard_count = PG_GETARG_INT32(3);
		if (shard_count < 1 || shard_count > MAX_SHARD_COUNT)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("shard count %d is not between 1 and %d", shard_count,
								   MAX_SHARD_COUNT)));
	}
	distribute_by_hash(PG_GETARG_OID(0), NameStr(*PG_GETARG_NAME(1)), colocate_with, alone,
					   shard_count);
	PG_RETURN_VOID();
}

Datum
create_reference_table(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("create_reference_table()");
	distribute_reference(PG_GETARG_OID(0));
	PG_RETURN_VOID();
}

Datum
undistribute_table(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("undistribute_table()");
	distribute_undo(PG_GETARG_OID(0), PG_GETARG_BOOL(1));
	PG_RETURN_VOID();
}

/* create_distributed_function(function_name, distribution_arg_name, colocate_with) */
Datum
create_distributed_function(PG_FUNCTION_ARGS)
{
	char *argument = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool alone;
	Oid colocate_with;

	PreventCommandIfReadOnly("create_distributed_function()");
	require_argument(fcinfo, 0, "function_name");
	colocate_with = colocate_argument(fcinfo, 2, &alone);
	if (alone)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a function cannot be colocated with nothing")));
	if (argument != NULL && argument[0] == '\0')
		argument = NULL;
	function_distribute(PG_GETARG_OID(0), argument, colocate_with);
	PG_RETURN_VOID();
}

Datum
pgcluster_group_address(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(remote_group_address(PG_GETARG_INT32(0))));
}

Datum
pgcluster_shard_schema(PG_FUNCTION_ARGS)
{
	Name schema = palloc0(sizeof(NameData));

	namestrcpy(schema, metadata_shard_schema(NameStr(*PG_GETARG_NAME(0)), PG_GETARG_INT64(1)));
	PG_RETURN_NAME(schema);
}
