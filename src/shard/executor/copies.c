/*-------------------------------------------------------------------------
 * copies.c
 *	  Writes on reference tables of which the copies get the rows.
 *
 * A statement that reads other tables, or that would come out differently
 * elsewhere, runs on the copy here.  A trigger that exists only in the
 * executor's state sees each row that it changes, as it was and as it is, and
 * the copies of the groups get those rows in bundles, in the order in which
 * they changed.  A row is told by its primary key, or by what stands for it;
 * without either by all its columns, of equal rows one.
 *
 * The partitions that rows go to are not known when the statement begins, and
 * their triggers not in our hands: of a partitioned table all changes are
 * gathered in transition tables, and go to the copies at its end.
 *
 * The copy here goes first, so that two writers of one row meet here, and
 * not crosswise on the groups.
 *
 * What must stay true: the copies get every change, once, before any other
 * statement of the transaction reaches the groups; and one that finds another
 * number of rows there is an error.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_am.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "shard/executor/bundle.h"
#include "shard/executor/copies.h"
#include "shard/executor/scan.h"

/* So many statements may be under way. */
#define MAX_UNDER_WAY 32

/* No row of pg_trigger has it. */
#define CAPTURE_TRIGGER ((Oid) 1)

/* What can happen to a row, as the copies are told. */
typedef struct Change
{
	char *sql;
	BundleForm *form; /* of: the row as it was, behind it the row as it is */
} Change;

typedef struct Copies
{
	dlist_node open;
	ShardScan *scan;
	Relation relation;
	List *groups;
	int natts;
	List *identity; /* columns that tell a row */
	bool partitioned;
	Oid key_index; /* they are those of this index; or invalid, and all are needed */
	List *updated; /* columns that the statement, or a trigger, may assign */
	Change insert;
	Change update;
	Change delete;
	TupleDesc desc; /* the columns twice */
	Datum *values;
	bool *nulls;
	MemoryContext row_context;

	/* Rows that are not sent yet. */
	Change *change;
	StringInfoData bundle;
	int rows;

	List *sent; /* Sent, oldest first */

	uint64 captured;
	uint64 expected; /* once the statement has come so far */
} Copies;

typedef struct Sent
{
	RemoteTask *remote;
	int rows;
} Sent;

static dlist_head open_copies = DLIST_STATIC_INIT(open_copies);

static Copies *open_one(ShardScan *scan, QueryDesc *query);
static void forget(void *arg);
static ResultRelInfo *result_relation(PlanState *node, Oid relid);
static void add_trigger(Copies *copies, ResultRelInfo *info);
static void gather(ModifyTableState *node, TriggerDesc *triggers);
static void take_gathered(Copies *copies, TriggerData *data);
static void understand(Copies *copies, Bitmapset *updated);
static void find_identity(Copies *copies);
static void make_insert(Copies *copies);
static void make_update(Copies *copies);
static void make_delete(Copies *copies);
static void make_form(Copies *copies, Change *change, List *as_it_was, List *as_it_is);
static List *stored_columns(Relation relation, bool assigned);
static void add_columns(StringInfo sql, Copies *copies, List *columns, const char *prefix);
static void add_rows(StringInfo sql, Copies *copies, List *as_it_was, List *as_it_is);
static void add_condition(StringInfo sql, Copies *copies);
static Oid equality(Relation index, int column);
static char *table_name(Relation relation);
static char *column_name(Copies *copies, int column);
static void keep(Copies *copies, int from, TupleTableSlot *row);
static bool is_renamed(Copies *copies);
static void add_row(Copies *copies, Change *change, bool by_itself);
static void flush(Copies *copies);
static void flush_to(Copies *copies, int group_id);
static void finish_oldest(Copies *copies);

PGCLUSTER_FUNCTION(pgcluster_capture_row);

void
copied_rows_start(ShardScan *scan)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	EState *estate = scan->css.ss.ps.state;
	Copies *copies;
	QueryDesc *query;
	uint64 changed;

	scan_read_waiting();
	if (scan->plan->returning)
		scan->store = tasks_new_store(scan);
	PushCopiedSnapshot(GetActiveSnapshot());
	UpdateActiveSnapshotCommandId();
	query = local_begin(scan, scan->plan->local, GetActiveSnapshot(), estate->es_param_list_info,
						estate->es_queryEnv, 0);
	copies = open_one(scan, query);
	copies->expected = changed = local_execute(query, scan, scan->store);
	local_close(query);
	PopActiveSnapshot();
	if (copies->partitioned && copies->captured != changed)
		elog(ERROR,
			 "statement changed " UINT64_FORMAT " rows, of which " UINT64_FORMAT " are known",
			 changed, copies->captured);
	flush(copies);
	while (copies->sent != NIL)
		finish_oldest(copies);
	dlist_delete(&copies->open);
	copies->scan = NULL;
	table_close(copies->relation, NoLock);
	scan_count_affected(scan, changed);
	MemoryContextSwitchTo(old);
}

void
copies_before(const List *relids)
{
	dlist_iter iter;

	dlist_foreach (iter, &open_copies)
	{
		Copies *copies = dlist_container(Copies, open, iter.cur);
		Oid relid = copies->scan->plan->relid;

		if (copies->captured < copies->expected && list_member_oid(relids, relid))
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("cannot use reference table \"%s\" on other nodes within a "
								   "statement that changes it",
								   get_rel_name(relid)),
							errdetail("A trigger of the table does so while rows of the statement "
									  "are on their way to the copies."),
							errhint("Use a trigger FOR EACH STATEMENT.")));
		flush(copies);
	}
}

void
copies_refuse_difference(Oid relid, int64 here, int64 there, const char *node)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("copies of reference table \"%s\" differ", get_rel_name(relid)),
					errdetail("The statement changed " INT64_FORMAT " rows here and " INT64_FORMAT
							  " rows on %s.",
							  here, there, node)));
}

/* Watches what the query, which has begun, does to the table. */
static Copies *
open_one(ShardScan *scan, QueryDesc *query)
{
	Copies *copies = palloc0(sizeof(Copies));
	ResultRelInfo *info = result_relation(query->planstate, scan->plan->relid);
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	if (info == NULL)
		elog(ERROR, "plan does not write table %u", scan->plan->relid);
	copies->scan = scan;
	copies->relation = table_open(scan->plan->relid, NoLock);
	copies->partitioned = copies->relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	copies->groups = metadata_groups();
	copies->row_context =
		AllocSetContextCreate(scan->context, "pgcluster row", ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&copies->bundle);
	understand(copies, ExecGetUpdatedCols(info, query->estate));
	add_trigger(copies, info);
	if (copies->partitioned)
		gather((ModifyTableState *) query->planstate, info->ri_TrigDesc);
	callback->func = forget;
	callback->arg = copies;
	MemoryContextRegisterResetCallback(scan->context, callback);
	dlist_push_tail(&open_copies, &copies->open);
	return copies;
}

/* After an error. */
static void
forget(void *arg)
{
	Copies *copies = arg;

	if (copies->scan != NULL)
		dlist_delete(&copies->open);
	copies->scan = NULL;
}

static ResultRelInfo *
result_relation(PlanState *node, Oid relid)
{
	ModifyTableState *modify = (ModifyTableState *) node;

	if (!IsA(node, ModifyTableState))
		return NULL;
	if (RelationGetRelid(modify->rootResultRelInfo->ri_RelationDesc) == relid)
		return modify->rootResultRelInfo;
	for (int i = 0; i < modify->mt_nrels; i++)
	{
		if (RelationGetRelid(modify->resultRelInfo[i].ri_RelationDesc) == relid)
			return &modify->resultRelInfo[i];
	}
	return NULL;
}

/* In front of the table's own triggers, which may write other tables. */
static void
add_trigger(Copies *copies, ResultRelInfo *info)
{
	TriggerDesc *triggers = palloc0(sizeof(TriggerDesc));
	Trigger *capture;
	int count;

	if (info->ri_TrigDesc != NULL)
		*triggers = *info->ri_TrigDesc;
	count = triggers->numtriggers;
	capture = palloc0((count + 1) * sizeof(Trigger));
	if (count > 0)
		memcpy(capture + 1, triggers->triggers, count * sizeof(Trigger));
	capture->tgoid = CAPTURE_TRIGGER;
	capture->tgname = "pgcluster_capture";
	capture->tgfoid = LookupFuncName(list_make2(makeString("pgcluster"), makeString("capture_row")),
									 0, NULL, false);
	capture->tgtype =
		TRIGGER_TYPE_AFTER | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE;
	capture->tgenabled = TRIGGER_FIRES_ALWAYS;
	capture->tgisinternal = true;
	triggers->triggers = capture;
	triggers->numtriggers = count + 1;
	if (copies->partitioned)
	{
		capture->tgoldtable = "pgcluster_old";
		capture->tgnewtable = "pgcluster_new";
		triggers->trig_insert_after_statement = triggers->trig_insert_new_table = true;
		triggers->trig_update_after_statement = true;
		triggers->trig_update_old_table = triggers->trig_update_new_table = true;
		triggers->trig_delete_after_statement = triggers->trig_delete_old_table = true;
	}
	else
	{
		capture->tgtype |= TRIGGER_TYPE_ROW;
		triggers->trig_insert_after_row = true;
		triggers->trig_update_after_row = true;
		triggers->trig_delete_after_row = true;
	}
	info->ri_TrigDesc = triggers;
	info->ri_TrigFunctions = palloc0((count + 1) * sizeof(FmgrInfo));
	info->ri_TrigWhenExprs = palloc0((count + 1) * sizeof(ExprState *));
	info->ri_TrigInstrument = NULL;
}

/* Has the statement, which has not changed anything yet, fill transition tables. */
static void
gather(ModifyTableState *node, TriggerDesc *triggers)
{
	const ModifyTable *plan = (const ModifyTable *) node->ps.plan;
	Oid relid = RelationGetRelid(node->rootResultRelInfo->ri_RelationDesc);

	node->mt_transition_capture = MakeTransitionCaptureState(triggers, relid, plan->operation);
	if (plan->operation == CMD_INSERT && plan->onConflictAction == ONCONFLICT_UPDATE)
		node->mt_oc_transition_capture = MakeTransitionCaptureState(triggers, relid, CMD_UPDATE);
}

/* What the copies are told of each kind of change. */
static void
understand(Copies *copies, Bitmapset *updated)
{
	TupleDesc table = RelationGetDescr(copies->relation);
	const TriggerDesc *triggers = copies->relation->trigdesc;
	int column = -1;

	copies->natts = table->natts;
	copies->desc = CreateTemplateTupleDesc(2 * table->natts);
	for (int i = 0; i < table->natts; i++)
	{
		TupleDescCopyEntry(copies->desc, i + 1, table, i + 1);
		TupleDescCopyEntry(copies->desc, table->natts + i + 1, table, i + 1);
	}
	copies->values = palloc0(2 * table->natts * sizeof(Datum));
	copies->nulls = palloc0(2 * table->natts * sizeof(bool));
	find_identity(copies);
	if (copies->partitioned || (triggers != NULL && triggers->trig_update_before_row))
		copies->updated = stored_columns(copies->relation, true);
	else
	{
		while ((column = bms_next_member(updated, column)) >= 0)
			copies->updated =
				lappend_int(copies->updated, column + FirstLowInvalidHeapAttributeNumber);
	}
	make_insert(copies);
	make_update(copies);
	make_delete(copies);
}

/* The columns of the primary key, or of an index that is as good. */
static void
find_identity(Copies *copies)
{
	List *indexes = RelationGetIndexList(copies->relation);
	ListCell *cell;

	foreach (cell, indexes)
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);
		Form_pg_index form = index->rd_index;
		List *columns = NIL;

		for (int i = 0; i < form->indnkeyatts; i++)
		{
			int column = form->indkey.values[i];

			if (column > 0 &&
				TupleDescAttr(RelationGetDescr(copies->relation), column - 1)->attnotnull)
				columns = lappend_int(columns, column);
		}
		if (form->indisunique && form->indimmediate && form->indisvalid &&
			index->rd_rel->relam == BTREE_AM_OID && RelationGetIndexPredicate(index) == NIL &&
			list_length(columns) == form->indnkeyatts &&
			(copies->identity == NIL || form->indisprimary))
		{
			copies->identity = columns;
			copies->key_index = lfirst_oid(cell);
		}
		index_close(index, AccessShareLock);
	}
	if (copies->identity == NIL)
		copies->identity = stored_columns(copies->relation, false);
}

/* Columns that are there; only those that can be assigned, if asked for. */
static List *
stored_columns(Relation relation, bool assigned)
{
	List *columns = NIL;

	for (int i = 0; i < RelationGetNumberOfAttributes(relation); i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), i);

		if (!attribute->attisdropped && (!assigned || attribute->attgenerated == '\0'))
			columns = lappend_int(columns, attribute->attnum);
	}
	return columns;
}

static void
make_insert(Copies *copies)
{
	List *columns = stored_columns(copies->relation, true);
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO %s (", table_name(copies->relation));
	add_columns(&sql, copies, columns, "");
	appendStringInfoString(&sql, ") OVERRIDING SYSTEM VALUE SELECT ");
	for (int i = 1; i <= list_length(columns); i++)
		appendStringInfo(&sql, "%sr.n%d", i > 1 ? ", " : "", i);
	appendStringInfoString(&sql, " FROM ");
	add_rows(&sql, copies, NIL, columns);
	copies->insert.sql = sql.data;
	make_form(copies, &copies->insert, NIL, columns);
}

static void
make_update(Copies *copies)
{
	StringInfoData sql;
	ListCell *cell;

	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE %s AS t SET ", table_name(copies->relation));
	foreach (cell, copies->updated)
		appendStringInfo(&sql, "%s%s = r.n%d", foreach_current_index(cell) > 0 ? ", " : "",
						 column_name(copies, lfirst_int(cell)), foreach_current_index(cell) + 1);
	appendStringInfoString(&sql, " FROM ");
	add_rows(&sql, copies, copies->identity, copies->updated);
	add_condition(&sql, copies);
	copies->update.sql = sql.data;
	make_form(copies, &copies->update, copies->identity, copies->updated);
}

static void
make_delete(Copies *copies)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "DELETE FROM %s AS t USING ", table_name(copies->relation));
	add_rows(&sql, copies, copies->identity, NIL);
	add_condition(&sql, copies);
	copies->delete.sql = sql.data;
	make_form(copies, &copies->delete, copies->identity, NIL);
}

/* The copy's name on the groups. */
static char *
table_name(Relation relation)
{
	const DistributedTable *table = metadata_table(RelationGetRelid(relation));
	char *schema = metadata_shard_schema(get_namespace_name(RelationGetNamespace(relation)),
										 table->colocation->shards[0].id);

	return quote_qualified_identifier(schema, RelationGetRelationName(relation));
}

static char *
column_name(Copies *copies, int column)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(copies->relation), column - 1);

	return pstrdup(quote_identifier(NameStr(attribute->attname)));
}

static void
add_columns(StringInfo sql, Copies *copies, List *columns, const char *prefix)
{
	ListCell *cell;

	foreach (cell, columns)
		appendStringInfo(sql, "%s%s%s", foreach_current_index(cell) > 0 ? ", " : "", prefix,
						 column_name(copies, lfirst_int(cell)));
}

/* The bundle as a relation: o1, o2, ... of the row as it was, n1, ... as it is. */
static void
add_rows(StringInfo sql, Copies *copies, List *as_it_was, List *as_it_is)
{
	const char *separator = "";
	struct
	{
		List *columns;
		char name;
	} parts[] = {{as_it_was, 'o'}, {as_it_is, 'n'}};
	ListCell *cell;

	appendStringInfoString(sql, "pgcluster.rows($1) AS r(");
	for (size_t i = 0; i < lengthof(parts); i++)
	{
		foreach (cell, parts[i].columns)
		{
			Form_pg_attribute attribute =
				TupleDescAttr(RelationGetDescr(copies->relation), lfirst_int(cell) - 1);

			appendStringInfo(
				sql, "%s%c%d %s", separator, parts[i].name, foreach_current_index(cell) + 1,
				format_type_extended(attribute->atttypid, -1,
									 FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
			separator = ", ";
		}
	}
	appendStringInfoChar(sql, ')');
}

/* The row "t" that is meant by a row of the bundle. */
static void
add_condition(StringInfo sql, Copies *copies)
{
	Relation index;
	ListCell *cell;

	appendStringInfoString(sql, " WHERE ");
	if (!OidIsValid(copies->key_index))
	{
		/* Of one table the place alone finds the row at once. */
		appendStringInfo(sql, "%s FROM %s AS x WHERE x.* OPERATOR(pg_catalog.*=) ROW(",
						 copies->partitioned ? "(t.tableoid, t.ctid) = (SELECT x.tableoid, x.ctid"
											 : "t.ctid = (SELECT x.ctid",
						 table_name(copies->relation));
		foreach (cell, copies->identity)
			appendStringInfo(sql, "%sr.o%d", foreach_current_index(cell) > 0 ? ", " : "",
							 foreach_current_index(cell) + 1);
		appendStringInfoString(sql, ") LIMIT 1)");
		return;
	}
	index = index_open(copies->key_index, AccessShareLock);
	foreach (cell, copies->identity)
	{
		int i = foreach_current_index(cell);
		HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(equality(index, i)));
		Form_pg_operator form;

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "index %u has no equality", copies->key_index);
		form = (Form_pg_operator) GETSTRUCT(tuple);
		appendStringInfo(sql, "%st.%s OPERATOR(%s.%s) r.o%d", i > 0 ? " AND " : "",
						 column_name(copies, lfirst_int(cell)),
						 quote_identifier(get_namespace_name(form->oprnamespace)),
						 NameStr(form->oprname), i + 1);
		ReleaseSysCache(tuple);
	}
	index_close(index, AccessShareLock);
}

static Oid
equality(Relation index, int column)
{
	Oid type = index->rd_opcintype[column];

	return get_opfamily_member(index->rd_opfamily[column], type, type, BTEqualStrategyNumber);
}

static void
make_form(Copies *copies, Change *change, List *as_it_was, List *as_it_is)
{
	List *columns = list_copy(as_it_was);
	ListCell *cell;

	foreach (cell, as_it_is)
		columns = lappend_int(columns, copies->natts + lfirst_int(cell));
	change->form = bundle_form(copies->desc, columns, copies->scan->context);
}

/* The trigger: a row that the statement has changed. */
Datum
pgcluster_capture_row(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	Copies *copies = NULL;
	dlist_iter iter;

	if (!CALLED_AS_TRIGGER(fcinfo) || data->tg_trigger->tgoid != CAPTURE_TRIGGER)
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function \"%s\" was not called by the executor of pgcluster",
							   "capture_row")));
	dlist_foreach (iter, &open_copies)
	{
		Copies *open = dlist_container(Copies, open, iter.cur);

		if (open->scan->plan->relid == RelationGetRelid(data->tg_relation))
			copies = open;
	}
	if (copies == NULL)
		elog(ERROR, "nobody waits for rows of table %u", RelationGetRelid(data->tg_relation));
	if (copies->partitioned)
	{
		take_gathered(copies, data);
		return PointerGetDatum(NULL);
	}
	copies->captured++;
	if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
	{
		keep(copies, copies->natts, data->tg_trigslot);
		add_row(copies, &copies->insert, false);
	}
	else if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
	{
		keep(copies, 0, data->tg_trigslot);
		add_row(copies, &copies->delete, !OidIsValid(copies->key_index));
	}
	else
	{
		keep(copies, 0, data->tg_trigslot);
		keep(copies, copies->natts, data->tg_newslot);
		add_row(copies, &copies->update, !OidIsValid(copies->key_index) || is_renamed(copies));
	}
	return PointerGetDatum(NULL);
}

/*
 * Rows of transition tables, which have the columns of the table itself.  An
 * update puts a row as it was into one and as it is into the other, side by side.
 */
static void
take_gathered(Copies *copies, TriggerData *data)
{
	Tuplestorestate *was = TRIGGER_FIRED_BY_INSERT(data->tg_event) ? NULL : data->tg_oldtable;
	Tuplestorestate *is = TRIGGER_FIRED_BY_DELETE(data->tg_event) ? NULL : data->tg_newtable;
	TupleTableSlot *old =
		MakeSingleTupleTableSlot(RelationGetDescr(copies->relation), &TTSOpsMinimalTuple);
	TupleTableSlot *new =
		MakeSingleTupleTableSlot(RelationGetDescr(copies->relation), &TTSOpsMinimalTuple);
	bool keyed = OidIsValid(copies->key_index);

	while ((was != NULL && tuplestore_gettupleslot(was, true, false, old)) ||
		   (was == NULL && is != NULL && tuplestore_gettupleslot(is, true, false, new)))
	{
		if (was != NULL)
			keep(copies, 0, old);
		if (was != NULL && is != NULL && !tuplestore_gettupleslot(is, true, false, new))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a row of reference table \"%s\" was held back on its way to another "
							"partition",
							RelationGetRelationName(copies->relation)),
					 errdetail("A trigger has left the row out, and the copies could not do so.")));
		if (is != NULL)
			keep(copies, copies->natts, new);
		if (was == NULL)
			add_row(copies, &copies->insert, false);
		else if (is == NULL)
			add_row(copies, &copies->delete, !keyed);
		else
			add_row(copies, &copies->update, !keyed || is_renamed(copies));
		copies->captured++;
	}
	ExecDropSingleTupleTableSlot(old);
	ExecDropSingleTupleTableSlot(new);
}

static void
keep(Copies *copies, int from, TupleTableSlot *row)
{
	slot_getallattrs(row);
	memcpy(copies->values + from, row->tts_values, copies->natts * sizeof(Datum));
	memcpy(copies->nulls + from, row->tts_isnull, copies->natts * sizeof(bool));
}

/* Is it told by other values than before? */
static bool
is_renamed(Copies *copies)
{
	ListCell *cell;

	foreach (cell, copies->identity)
	{
		int i = lfirst_int(cell) - 1;
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(copies->relation), i);

		if (!datumIsEqual(copies->values[i], copies->values[copies->natts + i], attribute->attbyval,
						  attribute->attlen))
			return true;
	}
	return false;
}

/*
 * A row that takes the identity that another may have had, or that is told by all
 * its columns, goes by itself: within a bundle there is no order.
 */
static void
add_row(Copies *copies, Change *change, bool by_itself)
{
	if (by_itself || copies->change != change)
		flush(copies);
	copies->change = change;
	if (copies->rows++ == 0)
		bundle_begin(change->form, &copies->bundle);
	bundle_add_row(change->form, copies->values, copies->nulls, &copies->bundle,
				   copies->row_context);
	if (by_itself || bundle_is_full(copies->rows, &copies->bundle))
		flush(copies);
}

/* Sends what was kept to all groups. */
static void
flush(Copies *copies)
{
	MemoryContext old;
	ListCell *cell;

	if (copies->rows == 0)
		return;
	old = MemoryContextSwitchTo(copies->scan->context);
	foreach (cell, copies->groups)
		flush_to(copies, lfirst_int(cell));
	copies->rows = 0;
	MemoryContextSwitchTo(old);
}

static void
flush_to(Copies *copies, int group_id)
{
	Oid types[] = {BYTEAOID};
	const char *values[] = {copies->bundle.data};
	int lengths[] = {copies->bundle.len};
	int formats[] = {1};
	RemoteQuery query = {0};
	Sent *sent;

	while (list_length(copies->sent) >= MAX_UNDER_WAY)
		finish_oldest(copies);
	query.group_id = group_id;
	query.sql = copies->change->sql;
	query.nparams = 1;
	query.types = types;
	query.values = values;
	query.lengths = lengths;
	query.formats = formats;
	query.prepare = true;
	query.version = copies->scan->version;
	query.writes = true;
	query.whole = true;
	sent = palloc0(sizeof(Sent));
	sent->rows = copies->rows;
	sent->remote = remote_task_start(&query, copies->scan->context, NULL, NULL);
	copies->sent = lappend(copies->sent, sent);
}

static void
finish_oldest(Copies *copies)
{
	Sent *sent = linitial(copies->sent);
	char *node = pstrdup(remote_task_node(sent->remote));
	PGresult *result;
	int64 affected;

	while ((result = remote_task_next(sent->remote)) != NULL)
		PQclear(result);
	affected = remote_task_affected(sent->remote);
	remote_task_end(sent->remote);
	copies->sent = list_delete_first(copies->sent);
	if (affected != sent->rows)
		copies_refuse_difference(copies->scan->plan->relid, sent->rows, affected, node);
	pfree(sent);
	pfree(node);
}
