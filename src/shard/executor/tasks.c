/*-------------------------------------------------------------------------
 * tasks.c
 *	  Statements under way on nodes.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "port/pg_bswap.h"
#include "shard/executor/exchange.h"
#include "shard/executor/scan.h"
#include "shard/remote/pack.h"

static void store_rows(ShardTask *task);

/* A task for each of these shards. */
void
tasks_create(ShardScan *scan, const DistributedTable *table, List *positions)
{
	ListCell *cell;

	scan->tasks =
		MemoryContextAllocZero(scan->context, Max(list_length(positions), 1) * sizeof(ShardTask));
	foreach (cell, positions)
	{
		ShardTask *task = &scan->tasks[scan->ntasks++];

		task->position = lfirst_int(cell);
		task->group_id = table->colocation->shards[task->position].group_id;
	}
}

void
tasks_add_bundle(MemoryContext context, StringInfo bundle, RemoteQuery *query)
{
	int n = query->nparams++;
	Oid *types = MemoryContextAllocZero(context, (n + 1) * sizeof(Oid));
	const char **values = MemoryContextAllocZero(context, (n + 1) * sizeof(char *));
	int *lengths = MemoryContextAllocZero(context, (n + 1) * sizeof(int));
	int *formats = MemoryContextAllocZero(context, (n + 1) * sizeof(int));

	for (int i = 0; i < n; i++)
	{
		types[i] = query->types[i];
		values[i] = query->values[i];
		lengths[i] = query->lengths[i];
		formats[i] = query->formats[i];
	}
	types[n] = BYTEAOID;
	values[n] = bundle->data;
	lengths[n] = bundle->len;
	formats[n] = 1;
	query->types = types;
	query->values = values;
	query->lengths = lengths;
	query->formats = formats;
}

/* Until tasks_leave_role, or the end of the transaction, nodes are asked as the plan says. */
void
tasks_enter_role(ShardScan *scan, TaskRole *role)
{
	GetUserIdAndSecContext(&role->user, &role->context);
	if (OidIsValid(scan->plan->reader))
		SetUserIdAndSecContext(scan->plan->reader, role->context | SECURITY_LOCAL_USERID_CHANGE);
}

void
tasks_leave_role(const TaskRole *role)
{
	SetUserIdAndSecContext(role->user, role->context);
}

/* Sends the statement to the group of the task's shard. */
void
tasks_start(ShardScan *scan, ShardTask *task, const char *sql)
{
	RemoteQuery query = {0};
	MemoryContext values = NULL;
	TaskRole role;

	task->scan = scan;
	query.group_id = task->group_id;
	query.sql = sql;
	query.nparams = scan->cache->nparams;
	query.types = scan->cache->wire_types;
	query.values = scan->wire_values;
	query.lengths = scan->wire_lengths;
	query.formats = scan->wire_formats;
	query.binary = scan->forward ? scan->format == 1 : scan->cache->rows.binary;
	query.version = scan->version;
	if (task->bundle != NULL)
		tasks_add_bundle(scan->context, task->bundle, &query);
	query.prepare = query.nparams > 0 && !scan->plan->ships;
	query.writes = scan->plan->writes;
	query.alone = query.writes && alone_in_transaction(scan);
	query.shows = scan->plan->returning;
	query.reads = scan->plan->command == CMD_SELECT;
	query.whole = scan->plan->few;
	query.attempt = scan->plan->tier == TIER_CALL;
	query.names = scan->plan->names || query.attempt;
	query.snapshot = scan->snapshot;
	query.helper = task->helper;
	task->packed = shards_packed(scan->plan);
	if (scan->measured)
	{
		query.measured = true;
		query.sql = explain_mark(task, sql);
		query.prepare &= query.sql == sql;
	}
	if (scan->plan->parts != NIL || scan->plan->sources != NIL)
	{
		values = AllocSetContextCreate(scan->context, "pgcluster values", ALLOCSET_DEFAULT_SIZES);
		query.keeps = scan->plan->sources != NIL;
		query.reads &= !query.keeps;
		exchange_values(scan, task->position, &query, values);
	}
	tasks_enter_role(scan, &role);
	task->remote = remote_task_start(&query, scan->context, tasks_spool, task);
	tasks_leave_role(&role);
	if (values != NULL)
		MemoryContextDelete(values);
}

Tuplestorestate *
tasks_new_store(ShardScan *scan)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	ResourceOwner owner = CurrentResourceOwner;
	Tuplestorestate *store;

	CurrentResourceOwner = scan->owner;
	store = tuplestore_begin_heap(false, false, work_mem);
	if (scan->row_context == NULL)
		scan->row_context =
			AllocSetContextCreate(scan->context, "pgcluster row", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(scan->css.ss.ps.state->es_query_cxt);
	if (scan->row_slot == NULL)
		scan->row_slot = ExecInitExtraTupleSlot(scan->css.ss.ps.state,
												scan->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor,
												&TTSOpsVirtual);
	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(old);
	return store;
}

/*
 * The connection is needed for something else: what is left of a stream of
 * rows goes into a store, from which the scan reads on.
 */
void
tasks_spool(void *arg)
{
	ShardTask *task = arg;
	ShardScan *scan = task->scan;

	if (scan->forward)
		elog(ERROR, "rows on their way to the client are in the way of something else");
	if (task->store == NULL && scan->streaming && scan->merge == NULL)
	{
		if (scan->store == NULL)
			scan->store = tasks_new_store(scan);
		task->store = scan->store;
	}
	else if (task->store == NULL)
		task->store = tasks_new_store(scan);
	tasks_drain(task);
}

/* Reads all rows of the task into its store. */
void
tasks_drain(ShardTask *task)
{
	ShardScan *scan = task->scan;
	ResourceOwner owner = CurrentResourceOwner;
	PGresult *result;

	if (task->drained)
		return;
	CurrentResourceOwner = scan->owner;

	/* What the reader of the stream had not yet taken comes first. */
	store_rows(task);
	while ((result = remote_task_next(task->remote)) != NULL)
	{
		tasks_got(task, result);
		store_rows(task);
	}
	task->drained = true;
	CurrentResourceOwner = owner;
}

void
tasks_got(ShardTask *task, PGresult *result)
{
	char *value;

	task->result = result;
	task->row = 0;
	task->at = NULL;
	if (!task->packed || PQnfields(result) == 0)
		return;
	value = PQgetvalue(result, 0, 0);
	if (PQgetlength(result, 0, 0) < PACK_MAGIC_LENGTH ||
		memcmp(value, PACK_MAGIC, PACK_MAGIC_LENGTH) != 0)
		ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
						errmsg("node %s did not pack its rows", remote_task_node(task->remote)),
						errhint("pgcluster must be in its shared_preload_libraries.")));
	task->at = value + PACK_MAGIC_LENGTH;
	task->end = value + PQgetlength(result, 0, 0);
}

/* The next row of what came last; false when there is none. */
bool
tasks_take(ShardTask *task, RemoteRow *row)
{
	uint32 length;

	if (task->result == NULL)
		return false;
	if (task->at == NULL && task->row < PQntuples(task->result))
	{
		row->result = task->result;
		row->row = task->row++;
		return true;
	}
	if (task->at == NULL || task->end - task->at < (ptrdiff_t) sizeof(length))
	{
		PQclear(task->result);
		task->result = NULL;
		return false;
	}
	memcpy(&length, task->at, sizeof(length));
	row->result = NULL;
	row->body = task->at + sizeof(length);
	row->length = (int) pg_ntoh32(length);
	if (row->length < 0 || row->length > task->end - row->body)
		elog(ERROR, "a row of another node is too long");
	task->at = row->body + row->length;
	return true;
}

/* Moves the rest of the rows at hand into the task's store. */
static void
store_rows(ShardTask *task)
{
	ShardScan *scan = task->scan;
	TupleTableSlot *slot = scan->row_slot;
	RemoteRow row = {0};

	while (tasks_take(task, &row))
	{
		MemoryContext old = MemoryContextSwitchTo(scan->row_context);

		codec_store_row(&scan->cache->rows, &row, slot);
		MemoryContextSwitchTo(old);
		tuplestore_putvalues(task->store, slot->tts_tupleDescriptor, slot->tts_values,
							 slot->tts_isnull);
		ExecClearTuple(slot);
		MemoryContextReset(scan->row_context);
	}
}

/* Adds to what EXPLAIN ANALYZE says of the scan. */
void
tasks_measure(ShardTask *task)
{
	int64 bytes;
	double waited;

	remote_task_measures(task->remote, &bytes, &waited);
	task->scan->bytes += bytes;
	task->scan->waited += waited;
}

/* Rows the statement changed; the task is over after that. */
int64
tasks_end(ShardTask *task)
{
	int64 affected = remote_task_affected(task->remote);

	if (task->scan->measured)
		tasks_measure(task);
	remote_task_end(task->remote);
	task->remote = NULL;
	return affected;
}

void
tasks_finish(ShardScan *scan)
{
	int64 affected = 0;

	for (int i = 0; i < scan->ntasks; i++)
		affected += tasks_end(&scan->tasks[i]);
	scan_count_affected(scan, affected);
}
