/*-------------------------------------------------------------------------
 * bundle.c
 *	  Many rows as one value.
 *
 * A list of rows in the text of a statement has to be parsed and planned anew
 * each time, and knows no types.  As one parameter the statement stays
 * prepared, and values travel in binary form where both ends agree on it.
 *
 * A bundle is the number of its columns (two bytes, network order), for each
 * of them a byte (1: binary, 0: text), and of each row the values as in a
 * message of the protocol: their length (four bytes, -1 for null), and the
 * bytes.  Or it says where its rows are, see exchanged.h.
 *
 * What must stay true: who is given a bundle can make nothing of it but
 * values of the types that are asked for, by the functions that read them
 * from any client.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "base/message.h"
#include "shard/ddl/copy_text.h"
#include "shard/executor/bundle.h"
#include "shard/executor/exchanged.h"

/* How a column is read. */
typedef struct Reader
{
	bool binary;
	FmgrInfo function;
	Oid io_param;
	int32 typmod;
} Reader;

static bool is_varlena_as_is(Oid type);
static bool is_elsewhere(StringInfo in);
static Reader *make_readers(StringInfo in, TupleDesc desc);
static Datum read_value(const Reader *reader, StringInfo in, int length);

#define BUNDLE "a bundle of rows"

PGCLUSTER_FUNCTION(pgcluster_rows);
PGCLUSTER_FUNCTION(pgcluster_rows_support);

BundleForm *
bundle_form(TupleDesc desc, List *from, MemoryContext context)
{
	BundleForm *form = MemoryContextAllocZero(context, sizeof(BundleForm));
	ListCell *cell;

	form->columns = MemoryContextAllocZero(context, Max(list_length(from), 1) * sizeof(ValueCodec));
	foreach (cell, from)
	{
		ValueCodec *column = &form->columns[form->count++];

		codec_init_param(column, TupleDescAttr(desc, lfirst_int(cell) - 1)->atttypid,
						 codec_binary_is_safe(), context);
		column->target = lfirst_int(cell) - 1;
	}
	return form;
}

void
bundle_begin(const BundleForm *form, StringInfo out)
{
	resetStringInfo(out);
	pq_sendint16(out, form->count);
	for (int i = 0; i < form->count; i++)
		pq_sendbyte(out, form->columns[i].binary ? 1 : 0);
}

void
bundle_add(const BundleForm *form, const Datum *values, const bool *nulls, StringInfo out)
{
	for (int i = 0; i < form->count; i++)
	{
		ValueCodec *column = &form->columns[i];
		const char *data;
		int length;
		int format;

		if (nulls[column->target])
		{
			pq_sendint32(out, -1);
			continue;
		}
		if (column->binary && is_varlena_as_is(column->type))
		{
			struct varlena *plain = PG_DETOAST_DATUM_PACKED(values[column->target]);

			pq_sendint32(out, VARSIZE_ANY_EXHDR(plain));
			appendBinaryStringInfo(out, VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
			continue;
		}
		codec_encode(column, values[column->target], false, &data, &length, &format);
		if (format == 0)
			length = strlen(data);
		pq_sendint32(out, length);
		appendBinaryStringInfo(out, data, length);
	}
}

void
bundle_add_row(const BundleForm *form, const Datum *values, const bool *nulls, StringInfo out,
			   MemoryContext scratch)
{
	int level = copy_text_begin(true);
	MemoryContext old = MemoryContextSwitchTo(scratch);

	bundle_add(form, values, nulls, out);
	MemoryContextSwitchTo(old);
	MemoryContextReset(scratch);
	copy_text_end(level);
}

/* Types whose send function gives the bytes they consist of. */
static bool
is_varlena_as_is(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID || type == BYTEAOID;
}

/* pgcluster.rows(bytea): the rows of a bundle, of the types that the query names. */
Datum
pgcluster_rows(PG_FUNCTION_ARGS)
{
	bytea *bundle = PG_GETARG_BYTEA_PP(0);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	StringInfoData in = {.data = VARDATA_ANY(bundle),
						 .len = VARSIZE_ANY_EXHDR(bundle),
						 .maxlen = VARSIZE_ANY_EXHDR(bundle)};
	MemoryContext row_context;
	Reader *readers;
	TupleDesc desc;
	Datum *values;
	bool *nulls;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	desc = result->setDesc;
	if (is_elsewhere(&in))
	{
		exchanged_rows(fcinfo, &in);
		return (Datum) 0;
	}
	readers = make_readers(&in, desc);
	values = palloc(Max(desc->natts, 1) * sizeof(Datum));
	nulls = palloc(Max(desc->natts, 1) * sizeof(bool));
	row_context =
		AllocSetContextCreate(CurrentMemoryContext, "pgcluster bundle", ALLOCSET_DEFAULT_SIZES);
	while (in.cursor < in.len)
	{
		MemoryContext old = MemoryContextSwitchTo(row_context);

		for (int i = 0; i < desc->natts; i++)
		{
			int length;

			message_need(&in, sizeof(int32), BUNDLE);
			length = (int) pq_getmsgint(&in, 4);
			nulls[i] = length < 0;
			values[i] = nulls[i] ? (Datum) 0 : read_value(&readers[i], &in, length);
		}
		MemoryContextSwitchTo(old);
		tuplestore_putvalues(result->setResult, desc, values, nulls);
		MemoryContextReset(row_context);
		CHECK_FOR_INTERRUPTS();
	}
	return (Datum) 0;
}

/* pgcluster.rows_support(internal): how many rows a bundle has, if it says where they are */
Datum
pgcluster_rows_support(PG_FUNCTION_ARGS)
{
	SupportRequestRows *request = (SupportRequestRows *) PG_GETARG_POINTER(0);
	Const *arg;
	StringInfoData in = {0};
	bytea *bundle;
	double rows;

	if (!IsA(request, SupportRequestRows) || !is_funcclause(request->node))
		PG_RETURN_POINTER(NULL);
	arg = (Const *) estimate_expression_value(request->root,
											  linitial(((FuncExpr *) request->node)->args));
	if (!IsA(arg, Const) || arg->constisnull)
		PG_RETURN_POINTER(NULL);
	bundle = DatumGetByteaPP(arg->constvalue);
	in.data = VARDATA_ANY(bundle);
	in.len = VARSIZE_ANY_EXHDR(bundle);
	if (!is_elsewhere(&in) || (rows = exchanged_count(&in)) < 0)
		PG_RETURN_POINTER(NULL);
	request->rows = rows;
	PG_RETURN_POINTER(request);
}

/* Does it only say where its rows are?  Then that follows. */
static bool
is_elsewhere(StringInfo in)
{
	if (in->len != EXCHANGED_BUNDLE_LENGTH || memcmp(in->data, "\377\377", 2) != 0)
		return false;
	return pq_getmsgint(in, 2) == EXCHANGED_BUNDLE;
}

static Reader *
make_readers(StringInfo in, TupleDesc desc)
{
	Reader *readers = palloc0(Max(desc->natts, 1) * sizeof(Reader));
	int count;

	message_need(in, sizeof(int16), BUNDLE);
	count = pq_getmsgint(in, 2);
	if (count != desc->natts || count == 0)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("a bundle of %d columns is read as one of %d", count, desc->natts)));
	message_need(in, count, BUNDLE);
	for (int i = 0; i < count; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		Oid function;

		readers[i].binary = pq_getmsgbyte(in) != 0;
		readers[i].typmod = attribute->atttypmod;
		if (readers[i].binary)
			getTypeBinaryInputInfo(attribute->atttypid, &function, &readers[i].io_param);
		else
			getTypeInputInfo(attribute->atttypid, &function, &readers[i].io_param);
		fmgr_info(function, &readers[i].function);
	}
	return readers;
}

static Datum
read_value(const Reader *reader, StringInfo in, int length)
{
	const char *data;
	FmgrInfo *function = unconstify(FmgrInfo *, &reader->function);
	StringInfoData value;
	Datum datum;

	message_need(in, length, BUNDLE);
	data = pq_getmsgbytes(in, length);
	/* A copy, since these functions expect a zero at the end. */
	value.data = palloc(length + 1);
	memcpy(value.data, data, length);
	value.data[length] = '\0';
	if (!reader->binary)
		return InputFunctionCall(function, pg_client_to_server(value.data, length),
								 reader->io_param, reader->typmod);
	value.len = length;
	value.maxlen = length + 1;
	value.cursor = 0;
	datum = ReceiveFunctionCall(function, &value, reader->io_param, reader->typmod);
	if (value.cursor != value.len)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("incorrect binary data in a bundle of rows")));
	return datum;
}
