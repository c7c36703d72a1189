/*-------------------------------------------------------------------------
 * sequence.c
 *	  Sequences that nodes have ranges of.
 *
 * A sequence of bigint is large enough to be shared out: each node has its own
 * under the same name, with a range that nobody else ever gets, so that it
 * need not ask.  Ranges are numbered by the minute in which the extension was
 * created, and counted from there: those of a cluster that is made anew, from
 * a dump, are others than those of before.
 *
 * All of them lie above what the coordinator's own gives: that ends where they
 * begin, by its MAXVALUE.  So neither setval() with the largest value of a
 * column nor RESTART can take it into a range, and a dump says it, too.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "shard/ddl/rights.h"
#include "shard/ddl/sequence.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shard_run.h"
#include "shard/ddl/shell.h"
#include "shard/metadata/catalog.h"

/* The values of a range; the first is left out. */
#define RANGE_BITS 36

/* All ranges lie above: the coordinator's values end here. */
#define COORDINATORS ((INT64CONST(1) << 57) - 1)

/* The sequence in "nextval(...)", with what makes it fit the column; InvalidOid: it is something else. */
static Oid
sequence_of_default(Node *node)
{
	while (node != NULL)
	{
		FuncExpr *call = (FuncExpr *) node;

		if (IsA(node, RelabelType))
			node = (Node *) ((RelabelType *) node)->arg;
		else if (IsA(node, CoerceToDomain))
			node = (Node *) ((CoerceToDomain *) node)->arg;
		else if (!IsA(node, FuncExpr) || list_length(call->args) != 1)
			return InvalidOid;
		else if (call->funcid != F_NEXTVAL)
			node = call->funcformat == COERCE_EXPLICIT_CALL ? NULL : linitial(call->args);
		else if (IsA(linitial(call->args), Const) && !linitial_node(Const, call->args)->constisnull)
			return DatumGetObjectId(linitial_node(Const, call->args)->constvalue);
		else
			return InvalidOid;
	}
	return InvalidOid;
}

static Oid
identity_sequence(Relation rel, AttrNumber attnum)
{
	ListCell *lc;

	foreach (lc, getOwnedSequences(RelationGetRelid(rel)))
	{
		Oid table;
		int32 column;

		if (sequenceIsOwned(lfirst_oid(lc), DEPENDENCY_INTERNAL, &table, &column) &&
			table == RelationGetRelid(rel) && column == attnum)
			return lfirst_oid(lc);
	}
	return InvalidOid;
}

/* The sequence that gives the column its default; InvalidOid: none does. */
static Oid
sequence_of_column(Relation rel, Form_pg_attribute att)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	Oid sequence = InvalidOid;

	if (att->attisdropped || att->attgenerated != '\0')
		return InvalidOid;

	if (att->attidentity != '\0')
		sequence = identity_sequence(rel, att->attnum);
	for (int i = 0; constr != NULL && i < constr->num_defval; i++)
	{
		if (constr->defval[i].adnum == att->attnum)
			sequence = sequence_of_default(stringToNode(constr->defval[i].adbin));
	}
	return sequence;
}

/*
 * Can nodes have ranges of it?  Nobody has said which values it should give,
 * and it counts up to "last".
 */
static bool
is_countable(Oid sequence, int64 last)
{
	HeapTuple tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(sequence));
	Form_pg_sequence form;
	bool countable;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_sequence) GETSTRUCT(tuple);
	countable = form->seqtypid == INT8OID && form->seqmax == last &&
				form->seqstart <= COORDINATORS && form->seqincrement > 0 &&
				form->seqincrement < (INT64CONST(1) << (RANGE_BITS / 2)) && !form->seqcycle;
	ReleaseSysCache(tuple);
	return countable;
}

Oid
sequence_shared(Relation rel, Form_pg_attribute att)
{
	Oid sequence = sequence_of_column(rel, att);

	return is_countable(sequence, COORDINATORS) ? sequence : InvalidOid;
}

/* What it gave last; 0: nothing yet. */
static int64
last_value(Oid sequence)
{
	LOCAL_FCINFO(fcinfo, 1);
	FmgrInfo function;
	Datum value;

	fmgr_info(F_PG_SEQUENCE_LAST_VALUE, &function);
	InitFunctionCallInfoData(*fcinfo, &function, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = ObjectIdGetDatum(sequence);
	fcinfo->args[0].isnull = false;
	value = FunctionCallInvoke(fcinfo);
	return fcinfo->isnull ? 0 : DatumGetInt64(value);
}

/* From now on it ends where the ranges begin, as if its owner had said so. */
static void
keep_below_ranges(Oid sequence)
{
	AlterSeqStmt *stmt = makeNode(AlterSeqStmt);
	char *schema = get_namespace_name(get_rel_namespace(sequence));
	char *limit = psprintf(INT64_FORMAT, COORDINATORS);
	Oid owner;
	Oid user;
	int context;

	(void) rights_read(RelationRelationId, sequence, &owner);
	stmt->sequence = makeRangeVar(schema, get_rel_name(sequence), -1);
	stmt->options = list_make1(makeDefElem("maxvalue", (Node *) makeFloat(limit), -1));
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE);
	LockRelationOid(sequence, ShareRowExclusiveLock);
	if (last_value(sequence) <= COORDINATORS)
		(void) AlterSequence(NULL, stmt);
	SetUserIdAndSecContext(user, context);
	CommandCounterIncrement();
}

char *
sequence_name(Oid sequence)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(sequence)),
									  get_rel_name(sequence));
}

/* One command, as the node may have it already. */
static char *
sequence_command(Oid sequence)
{
	int64 least = catalog_next_id("sequence_range_seq") << RANGE_BITS;
	HeapTuple tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(sequence));
	Form_pg_sequence form = (Form_pg_sequence) GETSTRUCT(tuple);
	char *name = sequence_name(sequence);
	StringInfoData body;
	ListCell *lc;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for sequence %u", sequence);
	initStringInfo(&body);
	appendStringInfo(
		&body,
		"BEGIN IF pg_catalog.to_regclass(%s) IS NULL THEN CREATE SEQUENCE %s INCREMENT "
		"BY " INT64_FORMAT " MINVALUE " INT64_FORMAT " MAXVALUE " INT64_FORMAT
		" CACHE " INT64_FORMAT "; ",
		quote_literal_cstr(name), name, form->seqincrement, least + 1,
		least + (INT64CONST(1) << RANGE_BITS) - 1, form->seqcache);
	foreach (lc, rights_commands(RelationRelationId, sequence, psprintf("SEQUENCE %s", name)))
		appendStringInfo(&body, "%s; ", (char *) lfirst(lc));
	appendStringInfoString(&body, "END IF; END");
	ReleaseSysCache(tuple);
	return psprintf("DO %s", quote_literal_cstr(body.data));
}

void
sequence_share(Relation rel, List *groups)
{
	ShardRun *run = shard_run_create();
	int level = shard_ddl_begin();

	for (int i = 0; groups != NIL && i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);
		Oid sequence = sequence_of_column(rel, att);
		ListCell *lc;

		if (is_countable(sequence, PG_INT64_MAX))
			keep_below_ranges(sequence);
		if (!is_countable(sequence, COORDINATORS))
			continue;
		shard_run_add_all(run, groups, shell_schema(get_rel_namespace(sequence)));
		foreach (lc, groups)
			shard_run_add(run, lfirst_int(lc), sequence_command(sequence));
	}
	shard_ddl_end(level);
	shard_run_finish(run);
}

bool
sequence_handle_alter(UtilityCall *call)
{
	AlterSeqStmt *stmt = castNode(AlterSeqStmt, call->pstmt->utilityStmt);
	Oid sequence = RangeVarGetRelid(stmt->sequence, NoLock, true);

	if (!metadata_any_table() || !OidIsValid(sequence) || !is_countable(sequence, COORDINATORS))
		return false;
	utility_run(call);
	CommandCounterIncrement();
	if (is_countable(sequence, PG_INT64_MAX))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("sequence \"%s\" cannot go beyond " INT64_FORMAT,
							   get_rel_name(sequence), COORDINATORS),
						errdetail("Worker groups have ranges of it above that.")));
	return true;
}
