/*-------------------------------------------------------------------------
 * object_mentions.c
 *	  What the body of a function may need.
 *
 * The server does not know what a body that is a string refers to.  So those
 * objects count whose names stand in it: words as words, operators anywhere.
 * One too many does no harm on a node.  Which of them can be made there is
 * for the caller to see; a function that calls others fails when it does.
 */
#include "postgres.h"

#include "catalog/objectaddress.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "shard/ddl/object_mentions.h"

/* Does the name stand in the body of function f? */
#define IS_WORD(name)                                                                       \
	"f.prosrc ~* ('\\m' || regexp_replace(" name ", '([^[:alnum:]_])', '\\\\\\1', 'g') || " \
	"'\\M')"
#define IS_PART(name) "pg_catalog.strpos(f.prosrc, " name ") > 0"

/* Objects o of one catalog; "which": an additional condition. */
#define MENTIONED(catalog, mentioned, which)                                               \
	"SELECT 'pg_catalog." catalog "'::pg_catalog.regclass, o.oid FROM pg_catalog." catalog \
	" o, pg_catalog.pg_proc f WHERE f.oid = $1 AND o.oid >= 16384 AND " which " AND " mentioned

/* clang-format off */
static const char query[] =
	MENTIONED("pg_proc", IS_WORD("o.proname"), "o.oid <> f.oid")
	" UNION ALL " MENTIONED("pg_type", IS_WORD("o.typname"),
		"o.typtype IN ('b', 'c', 'd', 'e', 'r') AND o.typelem = 0")
	" UNION ALL " MENTIONED("pg_class", IS_WORD("o.relname"), "o.relkind = 'v'")
	" UNION ALL " MENTIONED("pg_ts_config", IS_WORD("o.cfgname"), "true")
	" UNION ALL " MENTIONED("pg_ts_dict", IS_WORD("o.dictname"), "true")
	" UNION ALL " MENTIONED("pg_foreign_server", IS_WORD("o.srvname"), "true")
	" UNION ALL " MENTIONED("pg_operator", IS_PART("o.oprname"),
		"NOT EXISTS (SELECT FROM pg_catalog.pg_depend d"
		" WHERE d.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND d.objid = o.oid"
		" AND d.deptype = 'e')")
	" ORDER BY 1, 2";
/* clang-format on */

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
