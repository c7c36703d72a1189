/*-------------------------------------------------------------------------
 * codec.c
 *	  Values on their way to other nodes, and rows on their way back.
 *
 * Types that are built in travel binary, by their send and receive functions.
 * Others, which each node knows under an oid of its own, and those that hold
 * an oid of this node, travel as text.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "shard/executor/codec.h"
#include "shard/planner/lift.h"

static bool has_binary_form(Oid type);
static bool names_an_oid(Oid type);

bool
codec_binary_is_safe(void)
{
	return pg_get_client_encoding() == GetDatabaseEncoding();
}

void
codec_init_param(ValueCodec *codec, Oid type, bool binary_is_safe, MemoryContext context)
{
	Oid function;
	bool varlena;

	codec->type = type;
	codec->wire_type = lift_builtin(type) ? type : InvalidOid;
	codec->binary = binary_is_safe && has_binary_form(type);
	if (codec->binary)
		getTypeBinaryOutputInfo(type, &function, &varlena);
	else
		getTypeOutputInfo(type, &function, &varlena);
	fmgr_info_cxt(function, &codec->function, context);
}

void
codec_init_row(RowCodec *codec, TupleDesc desc, bool all, List *columns, bool binary_is_safe,
			   MemoryContext context)
{
	codec->count = all ? desc->natts : list_length(columns);
	codec->partial = codec->count < desc->natts;
	codec->columns = MemoryContextAllocZero(context, Max(codec->count, 1) * sizeof(ValueCodec));
	codec->binary = binary_is_safe;
	for (int i = 0; i < codec->count; i++)
	{
		ValueCodec *column = &codec->columns[i];
		Form_pg_attribute attribute;

		column->target = all ? i : list_nth_int(columns, i) - 1;
		attribute = TupleDescAttr(desc, column->target);
		column->type = attribute->atttypid;
		column->typmod = attribute->atttypmod;
		codec->binary &= has_binary_form(column->type);
	}
	for (int i = 0; i < codec->count; i++)
	{
		ValueCodec *column = &codec->columns[i];
		Oid function;

		column->binary = codec->binary;
		if (codec->binary)
			getTypeBinaryInputInfo(column->type, &function, &column->io_param);
		else
			getTypeInputInfo(column->type, &function, &column->io_param);
		fmgr_info_cxt(function, &column->function, context);
	}
}

void
codec_encode(ValueCodec *codec, Datum value, bool isnull, const char **data, int *length,
			 int *format)
{
	*format = codec->binary ? 1 : 0;
	*length = 0;
	*data = NULL;
	if (isnull)
		return;
	if (codec->binary && codec->type == INT4OID)
	{
		uint32 *wire = palloc(sizeof(uint32));

		*wire = pg_hton32((uint32) DatumGetInt32(value));
		*data = (char *) wire;
		*length = sizeof(uint32);
	}
	else if (codec->binary && codec->type == INT8OID)
	{
		uint64 *wire = palloc(sizeof(uint64));

		*wire = pg_hton64((uint64) DatumGetInt64(value));
		*data = (char *) wire;
		*length = sizeof(uint64);
	}
	else if (codec->binary)
	{
		bytea *wire = SendFunctionCall(&codec->function, value);

		*data = VARDATA(wire);
		*length = VARSIZE(wire) - VARHDRSZ;
	}
	else
		*data = OutputFunctionCall(&codec->function, value);
}

void
codec_store_row(RowCodec *codec, const PGresult *result, int row, TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	if (PQnfields(result) != codec->count)
		elog(ERROR, "a node returned %d columns where %d were asked for", PQnfields(result),
			 codec->count);
	if (codec->partial)
		memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < codec->count; i++)
	{
		ValueCodec *column = &codec->columns[i];
		bool isnull = PQgetisnull(result, row, i);
		char *data = isnull ? NULL : PQgetvalue(result, row, i);
		int length = PQgetlength(result, row, i);
		Datum *target = &slot->tts_values[column->target];

		slot->tts_isnull[column->target] = isnull;
		if (!codec->binary)
			*target = InputFunctionCall(&column->function, data, column->io_param, column->typmod);
		else if (isnull)
			*target = (Datum) 0;
		else if (column->type == INT4OID && length == sizeof(uint32))
		{
			uint32 wire;

			memcpy(&wire, data, sizeof(wire));
			*target = Int32GetDatum((int32) pg_ntoh32(wire));
		}
		else if (column->type == INT8OID && length == sizeof(uint64))
		{
			uint64 wire;

			memcpy(&wire, data, sizeof(wire));
			*target = Int64GetDatum((int64) pg_ntoh64(wire));
		}
		else if (column->type == TEXTOID)
			*target = PointerGetDatum(cstring_to_text_with_len(data, length));
		else
		{
			StringInfoData buffer = {.data = data, .len = length, .maxlen = length + 1};

			*target =
				ReceiveFunctionCall(&column->function, &buffer, column->io_param, column->typmod);
			if (buffer.cursor != buffer.len)
				ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
								errmsg("incorrect binary data in a row of another node")));
		}
	}
	ExecStoreVirtualTuple(slot);
}

/* A type whose binary form means the same on each node. */
static bool
has_binary_form(Oid type)
{
	HeapTuple tuple;
	Form_pg_type form;
	Oid element;
	bool usable;

	if (!lift_builtin(type) || names_an_oid(type))
		return false;
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	form = (Form_pg_type) GETSTRUCT(tuple);
	usable = (form->typtype == TYPTYPE_BASE || form->typtype == TYPTYPE_RANGE ||
			  form->typtype == TYPTYPE_MULTIRANGE) &&
			 OidIsValid(form->typreceive) && OidIsValid(form->typsend);
	ReleaseSysCache(tuple);
	element = get_element_type(type);
	return usable && (!OidIsValid(element) || has_binary_form(element));
}

/* Types whose values are oids of objects, and travel as their names. */
static bool
names_an_oid(Oid type)
{
	static const Oid types[] = {REGCLASSOID,	REGTYPEOID,		  REGPROCOID,	   REGPROCEDUREOID,
								REGOPEROID,		REGROLEOID,		  REGNAMESPACEOID, REGCONFIGOID,
								REGOPERATOROID, REGDICTIONARYOID, REGCOLLATIONOID};

	for (size_t i = 0; i < lengthof(types); i++)
	{
		if (types[i] == type)
			return true;
	}
	return false;
}
