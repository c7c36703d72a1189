/*-------------------------------------------------------------------------
 * router.c
 *	  Sends rows to the shards they belong to.
 *
 * Writes them in the wire format of COPY; feed.c takes them there.  Binary
 * when both sides are sure to agree on every column type's binary form, that
 * is for the server's own types that hold no Oids, else text.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "shard/ddl/copy_text.h"
#include "shard/ddl/feed.h"
#include "shard/ddl/router.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/lift.h"

/* How a column is written. */
typedef enum ColumnForm
{
	COLUMN_FUNCTION, /* by the type's send or output function */
	COLUMN_INT4,	 /* the same bytes without calling it */
	COLUMN_INT8,
	COLUMN_VARLENA /* text and the like: the bytes as they are */
} ColumnForm;

typedef struct RouterColumn
{
	AttrNumber attnum;
	ColumnForm form;
	FmgrInfo write;
} RouterColumn;

struct Router
{
	const DistributedTable *table;
	Relation rel;
	MemoryContext context;
	MemoryContext row_context;
	bool binary;
	bool bytes;	 /* values are given as their binary form */
	bool freeze; /* COPY with FREEZE */
	bool names;	 /* a column's type stands for names of objects */
	int ncolumns;
	RouterColumn *columns;
	Feed *feed; /* a target for each shard */
	int64 rows;
};

/*
 * Is the binary form of the type the same on every server?  Not for types
 * that users make, and not for those that are Oids in disguise.
 */
static bool
has_portable_binary_form(Oid type)
{
	Oid base = getBaseType(type);
	Oid element = get_element_type(base);

	if (base >= FirstGenbkiObjectId || (OidIsValid(element) && !has_portable_binary_form(element)))
		return false;
	return !lift_names_object(base);
}

/* The type's send function, InvalidOid if it has none. */
static Oid
send_function(Oid type)
{
	HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Oid function;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	function = ((Form_pg_type) GETSTRUCT(tuple))->typsend;
	ReleaseSysCache(tuple);
	return function;
}

/*
 * Send functions of strings convert to the client's encoding, which is not
 * the node's; then text is right.
 */
bool
router_can_be_binary(TupleDesc desc)
{
	if (pg_get_client_encoding() != GetDatabaseEncoding())
		return false;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || att->attgenerated != '\0')
			continue;
		if (!has_portable_binary_form(att->atttypid) || !OidIsValid(send_function(att->atttypid)))
			return false;
	}
	return true;
}

static void
set_up_column(Router *router, RouterColumn *column, Form_pg_attribute att)
{
	Oid function;
	bool varlena;

	column->attnum = att->attnum;
	column->form = router->bytes ? COLUMN_VARLENA : COLUMN_FUNCTION;
	if (router->bytes)
		return;
	if (router->binary)
	{
		function = send_function(att->atttypid);
		if (function == F_INT4SEND || function == F_DATE_SEND)
			column->form = COLUMN_INT4;
		else if (function == F_INT8SEND || function == F_TIMESTAMP_SEND ||
				 function == F_TIMESTAMPTZ_SEND)
			column->form = COLUMN_INT8;
		else if (function == F_TEXTSEND || function == F_VARCHARSEND || function == F_BPCHARSEND ||
				 function == F_BYTEASEND)
			column->form = COLUMN_VARLENA;
	}
	else
	{
		getTypeOutputInfo(att->atttypid, &function, &varlena);
		router->names |= lift_names_object(att->atttypid);
	}
	fmgr_info_cxt(function, &column->write, router->context);
}

static void
set_up_columns(Router *router)
{
	TupleDesc desc = RelationGetDescr(router->rel);

	router->binary = router_can_be_binary(desc);
	router->columns = palloc0(Max(desc->natts, 1) * sizeof(RouterColumn));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && att->attgenerated == '\0')
			set_up_column(router, &router->columns[router->ncolumns++], att);
	}
}

static char *
copy_command(Router *router, int64 shard_id)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "COPY %s", shard_ddl_name(router->rel, shard_id));
	for (int i = 0; i < router->ncolumns; i++)
	{
		Form_pg_attribute att =
			TupleDescAttr(RelationGetDescr(router->rel), router->columns[i].attnum - 1);

		appendStringInfo(&sql, "%s%s", i == 0 ? " (" : ", ",
						 quote_identifier(NameStr(att->attname)));
	}
	if (router->ncolumns > 0)
		appendStringInfoChar(&sql, ')');
	appendStringInfo(&sql, " FROM STDIN (FORMAT %s%s)", router->binary ? "binary" : "text",
					 router->freeze ? ", FREEZE" : "");
	return sql.data;
}

static void
set_up_targets(Router *router, List *groups)
{
	const Colocation *colocation = router->table->colocation;

	router->feed =
		feed_create(router->rel, colocation->nshards, router->binary, false, router->context);
	for (int i = 0; i < colocation->nshards; i++)
	{
		const Shard *shard = &colocation->shards[i];
		List *to;

		if (router->table->kind == TABLE_HASH)
			to = list_make1_int(shard->group_id);
		else
			to = groups != NIL ? list_copy(groups) : metadata_groups();
		feed_set_target(router->feed, i, to, copy_command(router, shard->id));
	}
}

static Router *
create(Relation rel, List *groups, bool bytes, bool freeze, MemoryContext context)
{
	MemoryContext own = AllocSetContextCreate(context, "pgcluster router", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(own);
	Router *router = palloc0(sizeof(*router));

	router->context = own;
	router->row_context =
		AllocSetContextCreate(own, "pgcluster routed row", ALLOCSET_DEFAULT_SIZES);
	router->rel = rel;
	router->bytes = bytes;
	router->freeze = freeze;
	router->table = metadata_table(RelationGetRelid(rel));
	if (router->table == NULL)
		elog(ERROR, "table \"%s\" is not distributed", RelationGetRelationName(rel));
	set_up_columns(router);
	set_up_targets(router, groups);
	MemoryContextSwitchTo(old);
	return router;
}

Router *
router_create(Relation rel, List *groups, MemoryContext context)
{
	return create(rel, groups, false, false, context);
}

Router *
router_create_frozen(Relation rel, MemoryContext context)
{
	return create(rel, NIL, false, true, context);
}

Router *
router_create_of_bytes(Relation rel, bool freeze, MemoryContext context)
{
	return create(rel, NIL, true, freeze, context);
}

static void
write_binary(StringInfo out, RouterColumn *column, Datum value)
{
	switch (column->form)
	{
		case COLUMN_INT4:
			pq_sendint32(out, 4);
			pq_sendint32(out, DatumGetInt32(value));
			break;
		case COLUMN_INT8:
			pq_sendint32(out, 8);
			pq_sendint64(out, DatumGetInt64(value));
			break;
		case COLUMN_VARLENA:
		{
			struct varlena *plain = PG_DETOAST_DATUM_PACKED(value);

			pq_sendint32(out, VARSIZE_ANY_EXHDR(plain));
			appendBinaryStringInfo(out, VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
			break;
		}
		case COLUMN_FUNCTION:
		{
			bytea *bytes = SendFunctionCall(&column->write, value);

			pq_sendint32(out, VARSIZE(bytes) - VARHDRSZ);
			appendBinaryStringInfo(out, VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ);
			break;
		}
	}
}

static void
write_binary_row(Router *router, StringInfo out, const Datum *values, const bool *nulls)
{
	pq_sendint16(out, router->ncolumns);
	for (int i = 0; i < router->ncolumns; i++)
	{
		RouterColumn *column = &router->columns[i];

		if (nulls[column->attnum - 1])
			pq_sendint32(out, -1);
		else
			write_binary(out, column, values[column->attnum - 1]);
	}
}

static void
write_text_row(Router *router, StringInfo out, const Datum *values, const bool *nulls)
{
	int level = copy_text_begin(router->names);

	for (int i = 0; i < router->ncolumns; i++)
	{
		RouterColumn *column = &router->columns[i];

		if (i > 0)
			appendStringInfoChar(out, '\t');
		copy_text_append(out, nulls[column->attnum - 1]
								  ? NULL
								  : OutputFunctionCall(&column->write, values[column->attnum - 1]));
	}
	appendStringInfoChar(out, '\n');
	copy_text_end(level);
}

static int
choose_target(Router *router, const Datum *values, const bool *nulls)
{
	const DistributedTable *table = router->table;
	const Shard *shard;

	if (table->kind == TABLE_REFERENCE)
		return 0;
	if (nulls[table->key - 1])
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(router->rel), table->key - 1);

		ereport(
			ERROR,
			(errcode(ERRCODE_NOT_NULL_VIOLATION),
			 errmsg("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
					NameStr(att->attname), RelationGetRelationName(router->rel)),
			 errdetail("The column is the distribution column of the table."),
			 errtablecol(router->rel, table->key)));
	}
	shard = metadata_shard_for_key(table, values[table->key - 1]);
	return shard - table->colocation->shards;
}

void
router_row_of_line(Router *router, const Datum *values, const bool *nulls, uint64 line)
{
	MemoryContext old = MemoryContextSwitchTo(router->row_context);
	int target = choose_target(router, values, nulls);
	StringInfo out = feed_begin_row(router->feed, target);

	if (router->binary)
		write_binary_row(router, out, values, nulls);
	else
		write_text_row(router, out, values, nulls);
	feed_end_row(router->feed, target, line);
	router->rows++;
	MemoryContextSwitchTo(old);
	MemoryContextReset(router->row_context);
}

void
router_row_of_bytes(Router *router, int shard, const Datum *values, const bool *nulls, uint64 line)
{
	MemoryContext old = MemoryContextSwitchTo(router->row_context);

	write_binary_row(router, feed_begin_row(router->feed, shard), values, nulls);
	feed_end_row(router->feed, shard, line);
	router->rows++;
	MemoryContextSwitchTo(old);
	MemoryContextReset(router->row_context);
}

void
router_row(Router *router, const Datum *values, const bool *nulls)
{
	router_row_of_line(router, values, nulls, 0);
}

Feed *
router_feed(Router *router)
{
	return router->feed;
}

void
router_flush(Router *router)
{
	feed_finish(router->feed);
}

int64
router_finish(Router *router)
{
	int64 rows = router->rows;

	feed_finish(router->feed);
	MemoryContextDelete(router->context);
	return rows;
}

/*
 * The receiver
 */
typedef struct RouterReceiver
{
	DestReceiver pub;
	Router *router;
	int nattnums;
	AttrNumber *attnums;
	Datum *values;
	bool *nulls;
	int64 rows;
} RouterReceiver;

static void
receive_startup(DestReceiver *self, int operation, TupleDesc desc)
{
}

static bool
receive_slot(TupleTableSlot *slot, DestReceiver *self)
{
	RouterReceiver *receiver = (RouterReceiver *) self;

	slot_getallattrs(slot);
	for (int i = 0; i < receiver->nattnums; i++)
	{
		receiver->values[receiver->attnums[i] - 1] = slot->tts_values[i];
		receiver->nulls[receiver->attnums[i] - 1] = slot->tts_isnull[i];
	}
	router_row(receiver->router, receiver->values, receiver->nulls);
	return true;
}

static void
receive_shutdown(DestReceiver *self)
{
	RouterReceiver *receiver = (RouterReceiver *) self;

	receiver->rows = router_finish(receiver->router);
	receiver->router = NULL;
}

static void
receive_destroy(DestReceiver *self)
{
	pfree(self);
}

DestReceiver *
router_receiver(Router *router, const AttrNumber *attnums, int nattnums)
{
	RouterReceiver *receiver = palloc0(sizeof(*receiver));
	int natts = RelationGetNumberOfAttributes(router->rel);

	receiver->pub.receiveSlot = receive_slot;
	receiver->pub.rStartup = receive_startup;
	receiver->pub.rShutdown = receive_shutdown;
	receiver->pub.rDestroy = receive_destroy;
	receiver->pub.mydest = DestNone;
	receiver->router = router;
	receiver->nattnums = nattnums;
	receiver->attnums = palloc(Max(nattnums, 1) * sizeof(AttrNumber));
	memcpy(receiver->attnums, attnums, nattnums * sizeof(AttrNumber));
	receiver->values = palloc0(Max(natts, 1) * sizeof(Datum));
	receiver->nulls = palloc(Max(natts, 1) * sizeof(bool));
	memset(receiver->nulls, true, natts * sizeof(bool));
	return (DestReceiver *) receiver;
}

int64
router_received(DestReceiver *receiver)
{
	return ((RouterReceiver *) receiver)->rows;
}
