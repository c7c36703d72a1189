/*-------------------------------------------------------------------------
 * exchanged.c
 *	  Rows that a node keeps for a statement which is to come, by parts.
 *
 * The node that is asked.  Statements of the coordinator's session begin an
 * exchange; others sort rows out, of which some stay here (remote/pack.c) while
 * the rest travel, and put those in that others have sorted out; then each
 * part is read by one that writes it, or joins it.  All of this happens in one
 * transaction, and what is left of an exchange ends with it.
 *
 * A row is its length (four bytes, network order) and what the body of its
 * message would have been: so it is never taken apart on its way, and as it
 * is, in binary form, it is a row of COPY's.
 *
 * What must stay true: everything is the session's own, so that nobody can
 * reach rows that another one keeps; rows become values of the types that
 * are asked for by the functions that read them from any client, as anybody
 * may call what is here, with rows of his making; and what is being read
 * stays as it is, whatever functions of users are called by the way.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/copy.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "lib/ilist.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "port/pg_bswap.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/rls.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "shard/executor/codec.h"
#include "shard/executor/exchanged.h"
#include "shard/executor/parts.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/pack.h"

typedef struct Exchanged
{
	dlist_node node;
	int number;
	SubTransactionId level; /* that began it */
	PartStore *store;
	int readers; /* at work just now */
} Exchanged;

/* Rows of a part as the input of COPY. */
typedef struct CopySource
{
	PartReader reader;
	char *at;		   /* next row of the chunk */
	char *end;		   /* of the chunk */
	const char *piece; /* what is being given */
	size_t left;
	bool ended;
} CopySource;

static dlist_head exchanges = DLIST_STATIC_INIT(exchanges);

/* COPY knows no argument for where its data come from. */
static CopySource *copying = NULL;

static Exchanged *find(int number);
static Exchanged *get(int number, int part);
static Exchanged *get_for_change(int number, int part);
static void refuse_if_read(const Exchanged *exchange);
static void read_rows(PartReader *reader, RowCodec *codec, ReturnSetInfo *result);
static void forget(Exchanged *exchange);
static void keep(int64 route, int columns, const char *values, size_t length);
static char *next_row(char **at, char *end, uint32 *length);
static Relation open_target(ParseState *pstate, text *name, ArrayType *columns, List **names);
static int give_copy_data(void *out, int at_least, int at_most);
static bool next_piece(CopySource *source);
static void end_of_transaction(XactEvent event, void *arg);
static void
end_of_subtransaction(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg);

PGCLUSTER_FUNCTION(pgcluster_exchange_begin);
PGCLUSTER_FUNCTION(pgcluster_exchange_end);
PGCLUSTER_FUNCTION(pgcluster_exchange_route);
PGCLUSTER_FUNCTION(pgcluster_exchange_put);
PGCLUSTER_FUNCTION(pgcluster_exchange_copy);

void
exchanged_init(void)
{
	pack_keep = keep;
	RegisterXactCallback(end_of_transaction, NULL);
	RegisterSubXactCallback(end_of_subtransaction, NULL);
}

/* --- exchanges of this session ------------------------------------------ */

/* pgcluster.exchange_begin(exchange integer, parts integer) */
Datum
pgcluster_exchange_begin(PG_FUNCTION_ARGS)
{
	int number = PG_GETARG_INT32(0);
	int count = PG_GETARG_INT32(1);
	Exchanged *exchange = find(number);

	if (number <= 0 || number > PACK_MAX_EXCHANGE || count <= 0 || count > 1000000)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("there can be no exchange %d of %d parts", number, count)));
	if (exchange != NULL)
	{
		refuse_if_read(exchange);
		forget(exchange);
	}
	exchange = MemoryContextAllocZero(TopTransactionContext, sizeof(Exchanged));
	exchange->number = number;
	exchange->level = GetCurrentSubTransactionId();
	exchange->store = parts_create(TopTransactionContext, TopTransactionResourceOwner, count,
								   (Size) work_mem * 1024);
	dlist_push_head(&exchanges, &exchange->node);
	PG_RETURN_VOID();
}

/* pgcluster.exchange_end(exchange integer) */
Datum
pgcluster_exchange_end(PG_FUNCTION_ARGS)
{
	Exchanged *exchange = find(PG_GETARG_INT32(0));

	if (exchange != NULL)
	{
		refuse_if_read(exchange);
		forget(exchange);
	}
	PG_RETURN_VOID();
}

static Exchanged *
find(int number)
{
	dlist_iter iter;

	dlist_foreach (iter, &exchanges)
	{
		Exchanged *exchange = dlist_container(Exchanged, node, iter.cur);

		if (exchange->number == number)
			return exchange;
	}
	return NULL;
}

static Exchanged *
get(int number, int part)
{
	Exchanged *exchange = find(number);

	if (exchange == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("there is no exchange %d in this transaction", number)));
	if (part < 0 || part >= parts_count(exchange->store))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("exchange %d has no part %d", number, part)));
	return exchange;
}

static Exchanged *
get_for_change(int number, int part)
{
	Exchanged *exchange = get(number, part);

	refuse_if_read(exchange);
	return exchange;
}

static void
refuse_if_read(const Exchanged *exchange)
{
	if (unlikely(exchange->readers > 0))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("exchange %d is being read", exchange->number)));
}

static void
forget(Exchanged *exchange)
{
	dlist_delete(&exchange->node);
	parts_end(exchange->store);
	pfree(exchange);
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	dlist_mutable_iter iter;

	if (dlist_is_empty(&exchanges))
		return;
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
	{
		dlist_foreach_modify (iter, &exchanges)
			forget(dlist_container(Exchanged, node, iter.cur));
	}
	else if (event == XACT_EVENT_ABORT)
		dlist_init(&exchanges);
}

static void
end_of_subtransaction(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	dlist_mutable_iter iter;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	dlist_foreach_modify (iter, &exchanges)
	{
		Exchanged *exchange = dlist_container(Exchanged, node, iter.cur);

		if (exchange->level != id)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			exchange->level = parent;
		else
			forget(exchange);
	}
}

/* --- rows in ------------------------------------------------------------- */

void
exchanged_routes(StringInfo out, int exchange, int count, const int32 *ends, const bool *stays)
{
	pq_sendint32(out, exchange);
	for (int i = 0; i < count; i++)
	{
		pq_sendint32(out, ends[i]);
		pq_sendbyte(out, stays[i] ? 1 : 0);
	}
}

static inline int32
read_int32(const char *data)
{
	uint32 wire;

	memcpy(&wire, data, sizeof(wire));
	return (int32) pg_ntoh32(wire);
}

/* pgcluster.exchange_route(routes bytea, hash integer): where a row goes; null without a hash */
Datum
pgcluster_exchange_route(PG_FUNCTION_ARGS)
{
	const int size = sizeof(uint32) + 1;
	bytea *routes = PG_GETARG_BYTEA_PP(0);
	const char *data = VARDATA_ANY(routes);
	int32 hash = PG_GETARG_INT32(1);
	int low = 0;
	int high = ((int) VARSIZE_ANY_EXHDR(routes) - (int) sizeof(uint32)) / size - 1;
	int exchange;

	if (high < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("these are no routes of an exchange")));
	exchange = read_int32(data);
	data += sizeof(uint32);
	while (low < high)
	{
		int middle = (low + high) / 2;

		if (hash > read_int32(data + middle * size))
			low = middle + 1;
		else
			high = middle;
	}
	PG_RETURN_INT64(
		PACK_ROUTE(data[low * size + size - 1] ? exchange & PACK_MAX_EXCHANGE : 0, low));
}

/* What is asked for by a statement of ours, for a row that it gives. */
static void
keep(int64 route, int columns, const char *values, size_t length)
{
	Exchanged *exchange = get_for_change(PACK_EXCHANGE(route), PACK_PART(route));

	exchanged_add(exchange->store, PACK_PART(route), columns, values, length);
}

void
exchanged_add(PartStore *store, int part, int columns, const char *values, size_t length)
{
	uint16 count = pg_hton16((uint16) columns);
	uint32 size = pg_hton32((uint32) (length + sizeof(count)));
	char *at = parts_add(store, part, sizeof(size) + sizeof(count) + length);

	memcpy(at, &size, sizeof(size));
	at += sizeof(size);
	memcpy(at, &count, sizeof(count));
	memcpy(at + sizeof(count), values, length);
}

/* pgcluster.exchange_put(exchange integer, part integer, rows bytea, count bigint) */
Datum
pgcluster_exchange_put(PG_FUNCTION_ARGS)
{
	Exchanged *exchange = get_for_change(PG_GETARG_INT32(0), PG_GETARG_INT32(1));
	bytea *rows = PG_GETARG_BYTEA_PP(2);

	parts_add_chunk(exchange->store, PG_GETARG_INT32(1), VARDATA_ANY(rows), VARSIZE_ANY_EXHDR(rows),
					PG_GETARG_INT64(3));
	PG_RETURN_VOID();
}

/* --- rows out ------------------------------------------------------------ */

void
exchanged_bundle(StringInfo out, int exchange, int part, bool binary)
{
	pq_sendint16(out, EXCHANGED_BUNDLE);
	pq_sendint32(out, exchange);
	pq_sendint32(out, part);
	pq_sendbyte(out, binary ? 1 : 0);
}

double
exchanged_count(StringInfo bundle)
{
	Exchanged *exchange = find((int) pq_getmsgint(bundle, 4));
	int part = (int) pq_getmsgint(bundle, 4);

	if (exchange == NULL || part < 0 || part >= parts_count(exchange->store))
		return -1;
	return (double) parts_rows(exchange->store, part);
}

/* The body of the next row. */
static char *
next_row(char **at, char *end, uint32 *length)
{
	char *row = *at + sizeof(uint32);

	if (end - *at < (ptrdiff_t) sizeof(uint32) ||
		(*length = (uint32) read_int32(*at)) > (size_t) (end - row))
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("incorrect rows of an exchange")));
	*at = row + *length;
	return row;
}

void
exchanged_rows(FunctionCallInfo fcinfo, StringInfo bundle)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int number = (int) pq_getmsgint(bundle, 4);
	int part = (int) pq_getmsgint(bundle, 4);
	bool binary = pq_getmsgbyte(bundle) != 0;
	Exchanged *exchange = get(number, part);
	RowCodec codec = {0};
	PartReader reader;

	codec_init_row(&codec, result->setDesc, true, NIL, binary, CurrentMemoryContext);
	codec_distrust(&codec);
	if (codec.binary != binary)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("rows of an exchange are in another form than expected")));
	parts_read(exchange->store, part, &reader);
	exchange->readers++;
	PG_TRY();
	{
		read_rows(&reader, &codec, result);
	}
	PG_FINALLY();
	{
		exchange->readers--;
	}
	PG_END_TRY();
}

static void
read_rows(PartReader *reader, RowCodec *codec, ReturnSetInfo *result)
{
	MemoryContext row_context =
		AllocSetContextCreate(CurrentMemoryContext, "pgcluster exchanged", ALLOCSET_DEFAULT_SIZES);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(result->setDesc, &TTSOpsVirtual);
	char *at;
	Size length;
	int64 count;

	while (parts_next(reader, &at, &length, &count))
	{
		char *end = at + length;

		while (at < end)
		{
			MemoryContext old = MemoryContextSwitchTo(row_context);
			uint32 size;
			RemoteRow row = {.body = next_row(&at, end, &size)};

			row.length = (int) size;
			codec_store_row(codec, &row, slot);
			MemoryContextSwitchTo(old);
			tuplestore_putvalues(result->setResult, result->setDesc, slot->tts_values,
								 slot->tts_isnull);
			MemoryContextReset(row_context);
		}
		CHECK_FOR_INTERRUPTS();
	}
	ExecDropSingleTupleTableSlot(slot);
}

/* --- rows into a table --------------------------------------------------- */

/*
 * pgcluster.exchange_copy(exchange integer, part integer, target text, columns text[]):
 * the rows of a part, in binary form, by way of COPY; returns how many
 */
Datum
pgcluster_exchange_copy(PG_FUNCTION_ARGS)
{
	int part = PG_GETARG_INT32(1);
	Exchanged *exchange = get(PG_GETARG_INT32(0), part);
	CopySource source = {0};
	CopySource *outer = copying;
	ParseState *pstate = make_parsestate(NULL);
	List *names = NIL;
	uint64 copied = 0;
	Relation target;

	parts_read(exchange->store, part, &source.reader);
	PreventCommandIfReadOnly("COPY FROM");
	target = open_target(pstate, PG_GETARG_TEXT_PP(2), PG_GETARG_ARRAYTYPE_P(3), &names);
	exchange->readers++;
	PG_TRY();
	{
		DefElem *binary = makeDefElem("format", (Node *) makeString("binary"), -1);
		CopyFromState state;

		copying = &source;
		state = BeginCopyFrom(pstate, target, NULL, NULL, false, give_copy_data, names,
							  list_make1(binary));
		copied = CopyFrom(state);
		EndCopyFrom(state);
	}
	PG_FINALLY();
	{
		copying = outer;
		exchange->readers--;
	}
	PG_END_TRY();
	table_close(target, NoLock);
	free_parsestate(pstate);
	PG_RETURN_INT64((int64) copied);
}

/* What COPY itself checks before it begins, or the hook that stands before it. */
static Relation
open_target(ParseState *pstate, text *name, ArrayType *columns, List **names)
{
	RangeVar *var = makeRangeVarFromNameList(textToQualifiedNameList(name));
	Relation target = table_openrv(var, RowExclusiveLock);
	Oid relid = RelationGetRelid(target);
	bool whole = pg_class_aclcheck(relid, GetUserId(), ACL_INSERT) == ACLCHECK_OK;
	Datum *values;
	int count;

	deconstruct_array(columns, TEXTOID, -1, false, TYPALIGN_INT, &values, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		char *column = TextDatumGetCString(values[i]);

		*names = lappend(*names, makeString(column));
		if (!whole && pg_attribute_aclcheck(relid, get_attnum(relid, column), GetUserId(),
											ACL_INSERT) != ACLCHECK_OK)
			aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(target->rd_rel->relkind),
						   RelationGetRelationName(target));
	}
	if (count == 0 || check_enable_rls(relid, InvalidOid, false) == RLS_ENABLED ||
		metadata_table(relid) != NULL || metadata_shell(relid) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rows cannot be copied to table \"%s\"", RelationGetRelationName(target))));
	(void) addRangeTableEntryForRelation(pstate, target, RowExclusiveLock, NULL, false, false);
	return target;
}

static int
give_copy_data(void *out, int at_least, int at_most)
{
	int given = 0;

	while (given < at_most && (copying->left > 0 || next_piece(copying)))
	{
		size_t size = Min(copying->left, (size_t) (at_most - given));

		memcpy((char *) out + given, copying->piece, size);
		copying->piece += size;
		copying->left -= size;
		given += (int) size;
	}
	return given;
}

/* The header, a row, or what ends them. */
static bool
next_piece(CopySource *source)
{
	static const char header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";
	static const char trailer[] = "\377\377";
	uint32 length;

	if (source->piece == NULL)
	{
		source->piece = header;
		source->left = sizeof(header) - 1;
		return true;
	}
	while (source->at == source->end)
	{
		Size size;
		int64 rows;

		if (source->ended)
			return false;
		if (parts_next(&source->reader, &source->at, &size, &rows))
		{
			source->end = source->at + size;
			continue;
		}
		source->ended = true;
		source->piece = trailer;
		source->left = sizeof(trailer) - 1;
		return true;
	}
	source->piece = next_row(&source->at, source->end, &length);
	source->left = length;
	return true;
}
