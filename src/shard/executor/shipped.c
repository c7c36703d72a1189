/*-------------------------------------------------------------------------
 * shipped.c
 *	  A relation as arrays of its columns.
 *
 * The aggregate pgcluster.ship() takes its rows in; when they come to more than
 * the setting allows it lets go of them and gives null.  What it gives is a
 * pointer, of a type that SQL cannot make up, and pgcluster.shipped() takes an
 * array from there.
 *
 * What must stay true: no more is held than the setting allows, and all arrays
 * of a relation have the same length.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/config.h"
#include "shard/executor/exchange.h"

/* Beside a value, when it is sent. */
#define VALUE_OVERHEAD 4

typedef struct Shipment
{
	bool too_large;
	Size size;
	int ncolumns;
	int16 *lengths; /* of types */
	ArrayBuildState **building;
	Datum *arrays; /* once it is done */
} Shipment;

static Shipment *start(FunctionCallInfo fcinfo, MemoryContext context);
static void give_up(Shipment *shipment);

PGCLUSTER_FUNCTION(pgcluster_ship_row);
PGCLUSTER_FUNCTION(pgcluster_ship_done);
PGCLUSTER_FUNCTION(pgcluster_shipped);

/* pgcluster.ship_row(state internal, nothing internal, VARIADIC columns "any") */
Datum
pgcluster_ship_row(PG_FUNCTION_ARGS)
{
	Shipment *shipment = PG_ARGISNULL(0) ? NULL : (Shipment *) PG_GETARG_POINTER(0);
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "function pgcluster.ship_row is for an aggregate only");
	if (shipment == NULL)
		shipment = start(fcinfo, context);
	for (int i = 0; i < shipment->ncolumns && !shipment->too_large; i++)
	{
		Oid type = get_fn_expr_argtype(fcinfo->flinfo, i + 2);

		if (!PG_ARGISNULL(i + 2))
			shipment->size += exchange_value_size(PG_GETARG_DATUM(i + 2), shipment->lengths[i]);
		shipment->size += VALUE_OVERHEAD;
		shipment->building[i] = accumArrayResult(shipment->building[i], PG_GETARG_DATUM(i + 2),
												 PG_ARGISNULL(i + 2), type, context);
	}
	if (!shipment->too_large && shipment->size / 1024 >= (Size) config_max_shipped_size)
		give_up(shipment);
	PG_RETURN_POINTER(shipment);
}

static Shipment *
start(FunctionCallInfo fcinfo, MemoryContext context)
{
	Shipment *shipment = MemoryContextAllocZero(context, sizeof(Shipment));

	shipment->ncolumns = PG_NARGS() - 2;
	shipment->lengths = MemoryContextAllocZero(context, shipment->ncolumns * sizeof(int16));
	shipment->building =
		MemoryContextAllocZero(context, shipment->ncolumns * sizeof(ArrayBuildState *));
	shipment->arrays = MemoryContextAllocZero(context, shipment->ncolumns * sizeof(Datum));
	for (int i = 0; i < shipment->ncolumns; i++)
	{
		Oid type = get_fn_expr_argtype(fcinfo->flinfo, i + 2);

		shipment->lengths[i] = get_typlen(type);
		shipment->building[i] = initArrayResult(type, context, true);
	}
	return shipment;
}

static void
give_up(Shipment *shipment)
{
	shipment->too_large = true;
	for (int i = 0; i < shipment->ncolumns; i++)
	{
		MemoryContextDelete(shipment->building[i]->mcontext);
		shipment->building[i] = NULL;
	}
}

/* pgcluster.ship_done(state internal) */
Datum
pgcluster_ship_done(PG_FUNCTION_ARGS)
{
	Shipment *shipment = PG_ARGISNULL(0) ? NULL : (Shipment *) PG_GETARG_POINTER(0);
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "function pgcluster.ship_done is for an aggregate only");

	/* No rows: any array that is asked for is empty. */
	if (shipment == NULL)
		PG_RETURN_POINTER(MemoryContextAllocZero(context, sizeof(Shipment)));
	if (shipment->too_large)
		PG_RETURN_NULL();
	for (int i = 0; i < shipment->ncolumns; i++)
	{
		shipment->arrays[i] = makeArrayResult(shipment->building[i], context);
		shipment->building[i] = NULL;
	}
	PG_RETURN_POINTER(shipment);
}

/* pgcluster.shipped(arrays internal, number integer, type anyarray) */
Datum
pgcluster_shipped(PG_FUNCTION_ARGS)
{
	Shipment *shipment = PG_ARGISNULL(0) ? NULL : (Shipment *) PG_GETARG_POINTER(0);
	int number = PG_GETARG_INT32(1);

	if (shipment == NULL)
		PG_RETURN_NULL();
	if (shipment->ncolumns == 0)
		PG_RETURN_ARRAYTYPE_P(
			construct_empty_array(get_element_type(get_fn_expr_argtype(fcinfo->flinfo, 2))));
	if (number < 0 || number >= shipment->ncolumns)
		elog(ERROR, "there is no array %d of %d", number, shipment->ncolumns);
	PG_RETURN_DATUM(shipment->arrays[number]);
}
