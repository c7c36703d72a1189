/*-------------------------------------------------------------------------
 * object_mentions.c
 *	  What the body of a function may need.
 *
 * The server does not know what a body that is a string refers to.  So
 * functions and types count whose names stand in it as words: one too many
 * does no harm on a node.  Those that need a table, and so cannot be made
 * there, are left out; a function that does call them fails when it does.
 */
#include "postgres.h"

#include "catalog/objectaddress.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "shard/ddl/object_mentions.h"

/* Does the name stand in the body of function f? */
#define MENTIONED(name)                                                                     \
	"f.prosrc ~* ('\\m' || regexp_replace(" name ", '([^[:alnum:]_])', '\\\\\\1', 'g') || " \
	"'\\M')"

/* The type is that of the rows of a table. */
#define IS_OF_TABLE(type)                                                                       \
	"EXISTS (SELECT FROM pg_catalog.pg_type y JOIN pg_catalog.pg_class c ON c.oid = y.typrelid" \
	" WHERE y.oid = " type " AND c.relkind <> 'c')"

static const char query[] =
	"SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid"
	" FROM pg_catalog.pg_proc p, pg_catalog.pg_proc f"
	" WHERE f.oid = $1 AND p.oid >= 16384 AND p.oid <> f.oid AND p.prokind IN ('f', 'p')"
	" AND " MENTIONED(
		"p.proname") " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d"
					 "  WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid"
					 "  AND (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass"
					 "   OR d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND " IS_OF_TABLE(
						 "d.refobjid") "))"
									   " UNION ALL"
									   " SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid"
									   " FROM pg_catalog.pg_type t, pg_catalog.pg_proc f"
									   " WHERE f.oid = $1 AND t.oid >= 16384 AND t.typtype IN ('c', 'd', 'e', 'r')"
									   " AND NOT " IS_OF_TABLE("t.oid") " AND " MENTIONED(
										   "t.typname") " ORDER BY 1, 2";

List *
object_mentions(Oid function)
{
	MemoryContext context = CurrentMemoryContext;
	Oid types[] = {OIDOID};
	Datum values[] = {ObjectIdGetDatum(function)};
	List *addresses = NIL;
	ObjectAddress *found;

	SPI_connect();
	if (SPI_execute_with_args(query, 1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look into a function");
	MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool isnull;

		found = palloc(sizeof(*found));
		ObjectAddressSet(*found, DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull)),
						 DatumGetObjectId(SPI_getbinval(row, desc, 2, &isnull)));
		addresses = lappend(addresses, found);
	}
	SPI_finish();
	return addresses;
}
