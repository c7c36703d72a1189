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
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "shard/executor/codec.h"
#include "shard/planner/lift.h"

static int read_columns(char **at, const RemoteRow *row);
static int read_value(char **at, const RemoteRow *row, char **data);
static Datum decode_value(ValueCodec *column, bool binary, char *data, int length);
static char *name_object(ValueCodec *codec, Datum value);
static Datum input_value(ValueCodec *column, char *text);
static Oid domain_owner(Oid type);
static int plain_width(Oid type, int32 typmod);
static bool has_binary_form(Oid type);

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
	codec->names = lift_names_object(type);
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
		/*
		 * A domain's constraints were checked where the value was stored, by
		 * whoever stored it; who reads runs no functions of others, and an
		 * outer join has nulls that a domain may not allow.
		 */
		column->typmod = attribute->atttypmod;
		column->type = getBaseTypeAndTypmod(attribute->atttypid, &column->typmod);
		codec->binary &= has_binary_form(column->type);
	}
	for (int i = 0; i < codec->count; i++)
	{
		ValueCodec *column = &codec->columns[i];
		Oid function;

		column->binary = codec->binary;
		column->width = plain_width(column->type, column->typmod);
		column->domain_owner = domain_owner(column->type);
		if (codec->binary)
			getTypeBinaryInputInfo(column->type, &function, &column->io_param);
		else
			getTypeInputInfo(column->type, &function, &column->io_param);
		fmgr_info_cxt(function, &column->function, context);
	}
}

void
codec_distrust(RowCodec *codec)
{
	for (int i = 0; i < codec->count; i++)
	{
		ValueCodec *column = &codec->columns[i];

		column->check = true;
		if (column->type != INT4OID && column->type != INT8OID && column->type != FLOAT8OID)
			column->width = 0;
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
	else if (codec->names)
		*data = name_object(codec, value);
	else
		*data = OutputFunctionCall(&codec->function, value);
}

/* With its schema: other nodes look for it in other ones. */
static char *
name_object(ValueCodec *codec, Datum value)
{
	int level = NewGUCNestLevel();
	char *name;

	(void) set_config_option("search_path", "pg_catalog", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	name = OutputFunctionCall(&codec->function, value);
	AtEOXact_GUC(true, level);
	return name;
}

void
codec_store_row(RowCodec *codec, const RemoteRow *row, TupleTableSlot *slot)
{
	char *at = row->body;
	int count = row->result ? PQnfields(row->result) : read_columns(&at, row);

	ExecClearTuple(slot);
	if (count != codec->count)
		ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
						errmsg("a node returned %d columns where %d were asked for", count,
							   codec->count)));
	if (codec->partial)
		memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < codec->count; i++)
	{
		ValueCodec *column = &codec->columns[i];
		char *data;
		int length;

		if (row->result != NULL)
		{
			length =
				PQgetisnull(row->result, row->row, i) ? -1 : PQgetlength(row->result, row->row, i);
			data = PQgetvalue(row->result, row->row, i);
		}
		else
			length = read_value(&at, row, &data);
		slot->tts_isnull[column->target] = length < 0;
		slot->tts_values[column->target] =
			decode_value(column, codec->binary, length < 0 ? NULL : data, length);
	}
	ExecStoreVirtualTuple(slot);
}

static void
refuse_short_row(void)
{
	ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
					errmsg("a row of another node is shorter than it says")));
}

/* The number of columns, with which a row's message begins. */
static int
read_columns(char **at, const RemoteRow *row)
{
	uint16 columns;

	if (row->length < (int) sizeof(columns))
		refuse_short_row();
	memcpy(&columns, *at, sizeof(columns));
	*at += sizeof(columns);
	return pg_ntoh16(columns);
}

/* The next value of a row's message; its length, -1 for null. */
static int
read_value(char **at, const RemoteRow *row, char **data)
{
	uint32 wire;
	int length;
	int left = row->length - (int) (*at - row->body);

	if (left < (int) sizeof(wire))
		refuse_short_row();
	memcpy(&wire, *at, sizeof(wire));
	length = (int) pg_ntoh32(wire);
	*data = *at + sizeof(wire);
	if (length > left - (int) sizeof(wire))
		refuse_short_row();
	*at = *data + Max(length, 0);
	return length;
}

/* "data" is NULL for null; what follows it is not a part of it, but may be written to. */
static Datum
decode_value(ValueCodec *column, bool binary, char *data, int length)
{
	Datum value;
	char after;

	if (binary && data == NULL)
		return (Datum) 0;
	if (binary && column->width != 0 && column->width == length)
	{
		if (length == sizeof(uint32))
		{
			uint32 wire;

			memcpy(&wire, data, sizeof(wire));
			return Int32GetDatum((int32) pg_ntoh32(wire));
		}
		else
		{
			uint64 wire;

			memcpy(&wire, data, sizeof(wire));
			return UInt64GetDatum(pg_ntoh64(wire));
		}
	}
	if (binary && column->type == TEXTOID && !column->check)
		return PointerGetDatum(cstring_to_text_with_len(data, length));
	if (data == NULL)
		return InputFunctionCall(&column->function, NULL, column->io_param, column->typmod);

	/* Functions that read a value expect a zero after it. */
	after = data[length];
	data[length] = '\0';
	if (binary)
	{
		StringInfoData buffer = {.data = data, .len = length, .maxlen = length + 1};

		value = ReceiveFunctionCall(&column->function, &buffer, column->io_param, column->typmod);
		if (buffer.cursor != buffer.len)
			ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
							errmsg("incorrect binary data in a row of another node")));
	}
	else
		value = input_value(column, column->check ? pg_client_to_server(data, length) : data);
	data[length] = after;
	return value;
}

/*
 * Reading a table runs no functions of others.  Where a domain is within the
 * value, those of its conditions run with the rights of the domain's owner, if
 * the reader has these too: a superuser, as who dumps a database mostly is.
 */
static Datum
input_value(ValueCodec *column, char *text)
{
	Oid owner = column->domain_owner;
	Oid user;
	int security;
	int level;
	Datum value;

	GetUserIdAndSecContext(&user, &security);
	if (likely(!OidIsValid(owner)) || user == owner || superuser_arg(owner) ||
		!is_member_of_role(user, owner))
		return InputFunctionCall(&column->function, text, column->io_param, column->typmod);
	SetUserIdAndSecContext(owner, security | SECURITY_RESTRICTED_OPERATION);
	level = NewGUCNestLevel();
	value = InputFunctionCall(&column->function, text, column->io_param, column->typmod);
	AtEOXact_GUC(false, level);
	SetUserIdAndSecContext(user, security);
	return value;
}

/* The owner of a domain somewhere in values of the type, InvalidOid if there is none. */
static Oid
domain_owner(Oid type)
{
	Oid found = InvalidOid;
	HeapTuple tuple;
	TupleDesc desc;

	if (lift_builtin(type))
		return InvalidOid;
	if (OidIsValid(get_element_type(type)))
		return domain_owner(get_element_type(type));
	switch (get_typtype(type))
	{
		case TYPTYPE_DOMAIN:
			tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
			if (!HeapTupleIsValid(tuple))
				elog(ERROR, "cache lookup failed for type %u", type);
			found = ((Form_pg_type) GETSTRUCT(tuple))->typowner;
			ReleaseSysCache(tuple);
			break;
		case TYPTYPE_COMPOSITE:
			desc = lookup_rowtype_tupdesc(type, -1);
			for (int i = 0; i < desc->natts && !OidIsValid(found); i++)
			{
				if (!TupleDescAttr(desc, i)->attisdropped)
					found = domain_owner(TupleDescAttr(desc, i)->atttypid);
			}
			ReleaseTupleDesc(desc);
			break;
		case TYPTYPE_RANGE:
			found = domain_owner(get_range_subtype(type));
			break;
		case TYPTYPE_MULTIRANGE:
			found = domain_owner(get_multirange_range(type));
			break;
		default:
			break;
	}
	return found;
}

/* Bytes of types whose binary form is that of a number; 0: another. */
static int
plain_width(Oid type, int32 typmod)
{
	switch (type)
	{
		case INT4OID:
		case DATEOID:
			return sizeof(uint32);
		case INT8OID:
			return sizeof(uint64);
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return typmod == -1 ? sizeof(uint64) : 0;
		case FLOAT8OID:
			return FLOAT8PASSBYVAL ? sizeof(uint64) : 0;
		default:
			return 0;
	}
}

/* A type whose binary form means the same on each node. */
static bool
has_binary_form(Oid type)
{
	HeapTuple tuple;
	Form_pg_type form;
	Oid element;
	bool usable;

	if (!lift_builtin(type) || lift_names_object(type))
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
