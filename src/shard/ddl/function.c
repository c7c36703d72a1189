/*-------------------------------------------------------------------------
 * function.c
 *	  Functions that run where their key lives.
 *
 * Which functions these are, and by which argument, is a row of the catalog;
 * they are made on every node, where object_change.c has them follow later
 * changes.  Calls are looked at by planner/call.c and call.c.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "commands/tablecmds.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "shard/ddl/function.h"
#include "shard/ddl/groups.h"
#include "shard/ddl/objects.h"
#include "shard/metadata/catalog.h"
#include "shard/metadata/lock.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/pin.h"

/* The number of an argument that goes in, from 1, and its type. */
static int
find_argument(HeapTuple tuple, const char *argument, Oid *type)
{
	Oid *types;
	char **names;
	char *modes;
	int count = get_func_arg_info(tuple, &types, &names, &modes);
	int wanted = argument[0] == '$' ? atoi(argument + 1) : 0;
	int input = 0;

	for (int i = 0; i < count; i++)
	{
		if (modes != NULL && modes[i] != FUNC_PARAM_IN && modes[i] != FUNC_PARAM_INOUT)
			continue;
		input++;
		if (wanted != 0 ? i + 1 != wanted : names == NULL || strcmp(names[i], argument) != 0)
			continue;
		*type = types[i];
		return input;
	}
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_PARAMETER),
					errmsg("function \"%s\" has no argument \"%s\" that a call gives a value",
						   NameStr(((Form_pg_proc) GETSTRUCT(tuple))->proname), argument),
					errhint("Name the argument, or write $1 for the first.")));
	return 0;
}

static bool
fits(const DistributedTable *table, Oid type)
{
	return table != NULL && table->kind == TABLE_HASH &&
		   OidIsValid(pin_hash_function(table->key_type, type));
}

/* The colocation group of the table, or the only one whose keys have the type. */
static int
find_colocation(Oid colocate_with, Oid type, const char *name)
{
	int found = 0;
	ListCell *lc;

	if (OidIsValid(colocate_with))
	{
		if (!fits(metadata_table(colocate_with), type))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("calls of function \"%s\" cannot run with the rows of \"%s\"",
								   name, get_rel_name(colocate_with)),
							errdetail("It is not distributed by a column of type %s.",
									  format_type_be(type))));
		return metadata_table(colocate_with)->colocation->id;
	}
	foreach (lc, metadata_tables())
	{
		const DistributedTable *table = metadata_table(lfirst_oid(lc));

		if (!fits(table, type) || table->colocation->id == found)
			continue;
		if (found != 0)
			ereport(ERROR, (errcode(ERRCODE_AMBIGUOUS_PARAMETER),
							errmsg("it is not clear with which rows calls of function \"%s\" are "
								   "to run",
								   name),
							errdetail("Several colocation groups have keys of type %s.",
									  format_type_be(type)),
							errhint("Name a table in colocate_with.")));
		found = table->colocation->id;
	}
	if (found == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no table is distributed by a column of type %s", format_type_be(type)),
				 errhint("Distribute the tables first.")));
	return found;
}

/* The names in the body are found when it runs, with the search_path of its caller. */
static void
ensure(Oid function)
{
	ObjectAddress *address = palloc0(sizeof(*address));
	int level = NewGUCNestLevel();

	ObjectAddressSet(*address, ProcedureRelationId, function);
	(void) set_config_option("check_function_bodies", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	objects_ensure(list_make1(address));
	AtEOXact_GUC(true, level);
}

/* Plans that call it here must go. */
static void
announce(HeapTuple tuple)
{
	Relation catalog = table_open(ProcedureRelationId, RowExclusiveLock);

	CacheInvalidateHeapTuple(catalog, tuple, NULL);
	table_close(catalog, NoLock);
}

void
function_distribute(Oid function, const char *argument, Oid colocate_with)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	FunctionRow row = {.function = function};
	Form_pg_proc form;
	Oid type;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("function with OID %u does not exist", function)));
	form = (Form_pg_proc) GETSTRUCT(tuple);
	if (!user_owns_function(function))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FUNCTION, NameStr(form->proname));
	if (form->prokind != PROKIND_FUNCTION && form->prokind != PROKIND_PROCEDURE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is an aggregate or a window function", NameStr(form->proname)),
				 errdetail("Only functions and procedures can be distributed.")));
	lock_groups(ExclusiveLock);
	if (argument != NULL)
	{
		row.argument = find_argument(tuple, argument, &type);
		row.colocation_id = find_colocation(colocate_with, type, NameStr(form->proname));
	}
	ensure(function);
	catalog_delete_function(function);
	catalog_insert_function(&row);
	announce(tuple);
	ReleaseSysCache(tuple);
}

void
function_forget(Oid function)
{
	if (metadata_function(function) != NULL)
		catalog_delete_function(function);
}
