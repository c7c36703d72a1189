/*-------------------------------------------------------------------------
 * scan.h
 *	  The running state of a plan of ours, as the files of this folder share it.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_EXECUTOR_SCAN_H
#define PGCLUSTER_SHARD_EXECUTOR_SCAN_H

#include "executor/execdesc.h"
#include "lib/ilist.h"
#include "nodes/execnodes.h"
#include "utils/portal.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"

#include "shard/executor/codec.h"
#include "shard/metadata/metadata.h"
#include "shard/plan.h"
#include "shard/remote/remote.h"

/* Kept with the plan: all that does not change from one execution to the next. */
struct ShardPlanCache
{
	bool binary_is_safe; /* what the codecs were made for */
	int nparams;
	ValueCodec *params;
	Oid *wire_types;
	RowCodec rows;
	FmgrInfo key_hash;
	int nshards;
	int64 *shard_ids; /* of the SQL kept below; 0: none yet */
	char **sql;		  /* by position of the shard */
	PreparedSlot *slots;

	/* The tables as they were found last, see params.c. */
	uint64 generation; /* 0: never */
	uint64 version;
	const DistributedTable *table; /* whose shards are meant */

	/* For direct.c. */
	bool learned;
	TupleDesc result; /* NULL: cannot be run directly */
};

typedef struct ShardScan ShardScan;
typedef struct SortedMerge SortedMerge;

/* One statement on one node. */
typedef struct ShardTask
{
	ShardScan *scan;
	RemoteTask *remote;
	int position; /* of its shard among those of the colocation group */
	int group_id;
	int helper;	 /* on which of the connections to the group */
	bool packed; /* its rows come many at a time */
	bool drained;
	StringInfo bundle;		/* the last parameter of its SQL; NULL: there is none */
	Tuplestorestate *store; /* where its rows go when they cannot be passed on */

	/* What came last, being taken apart. */
	PGresult *result;
	int row;   /* the next one, or ... */
	char *at;  /* the next of a packed result, NULL if it is none, and ... */
	char *end; /* where they end */
} ShardTask;

/* The tasks of a group, which are carried out one after the other. */
typedef struct Lane
{
	List *tasks;  /* ShardTask, the first is the one that gives rows */
	int nstarted; /* of them */
	int ended;	  /* before these */
	int number;	  /* of the connection ... */
	int helps;	  /* which is for this other lane, if it is not 0 ... */
	int helpers;  /* how many help */
} Lane;

struct ShardScan
{
	CustomScanState css;
	ShardPlan *plan;
	List *params;			/* of the SQL: expressions */
	Bitmapset *exec_params; /* among them */
	ShardPlanCache *cache;
	uint64 version;			   /* of the tables that the statement names */
	MemoryContext context;	   /* of this execution */
	MemoryContext row_context; /* of a row that goes into a store */
	ResourceOwner owner;
	bool started;
	bool waits; /* in the list of those that were not */
	dlist_node waiting;
	int snapshot; /* for remote/snapshot.h */

	/* Values of the parameters, as the nodes get them, and as they are */
	Datum *param_values;
	bool *param_nulls;
	const char **wire_values;
	int *wire_lengths;
	int *wire_formats;

	/* For EXPLAIN ANALYZE. */
	bool measured;
	int explained;	  /* names what the first task's node is to explain; 0: nothing */
	int64 bytes;	  /* of tasks that have ended */
	List *plans_here; /* how queries in this server went: pairs of label and text (String) */
	double waited;	  /* milliseconds */

	QueryDesc *reading;		/* "local" of the plan, begun but not run */
	struct StepsRun *steps; /* of TIER_STEPS */
	List *exchanges;		/* Repartition, of the sources */

	int ntasks;
	ShardTask *tasks;
	int shards_total;
	bool refused; /* TIER_CALL: the node could not, the call was made here */

	/* Rows come from the lanes while "streaming", then from the store. */
	bool may_stream; /* nothing will ask for its rows again, or later */
	bool streaming;
	int nlanes;
	Lane *lanes;
	int lane;	  /* whose rows are at hand */
	bool helped;  /* more connections may be used ... */
	int nhelpers; /* ... and are */
	int64 streaming_since;
	int64 help_looked;

	/* They come sorted, and are merged, while "merge" is there. */
	SortedMerge *merge;
	List *merge_slots; /* TupleTableSlot, two for each stream; kept for another execution */

	bool forward; /* rows go to the client as they came ... */
	int format;	  /* ... which is 1 for binary */
	RemoteRow at_hand;
	Tuplestorestate *store;
	TupleTableSlot *store_slot;
	TupleTableSlot *row_slot; /* between a result and a store */
};

/* --- scan.c --- */
extern const DistributedTable *scan_table(ShardScan *scan);
extern void scan_count_affected(ShardScan *scan, int64 affected);
/* A slot for rows of a store. */
extern TupleTableSlot *scan_store_slot(ShardScan *scan);

extern bool scan_is_ours(PlanState *node);

/*
 * Before rows are changed: what a cursor, or another part of the statement,
 * will read is what there was when it began.  Scans that depend on others of
 * their plan are left alone.
 */
extern void scan_read_waiting(void);

/* --- stream.c: rows as they come --- */
extern void stream_start(ShardScan *scan, const DistributedTable *table, List *positions);
/* The next row, valid until the next call; false when there is none. */
extern bool stream_next(ShardScan *scan, RemoteRow *row);

/* --- sorted.c: rows that the nodes sort --- */
extern void sorted_start(ShardScan *scan, const DistributedTable *table, List *positions);
/* The next row, in the slot of the scan, valid until the next call; none: it is empty. */
extern TupleTableSlot *sorted_next(ShardScan *scan);
extern void sorted_stop(ShardScan *scan);
/* The SQL for several shards (positions) of one group. */
extern char *
sorted_sql(ShardScan *scan, const DistributedTable *table, List *positions, bool packed);
/* " COLLATE collation DESC NULLS LAST": what follows a column that is sorted by. */
extern char *sorted_clause(ShardScan *scan, int key);

/* --- forward.c --- */
/* True while a statement runs from its start to its end, at once. */
extern bool forward_runs_through(void);
/* Do all columns go to the client in the same format? */
extern bool forward_one_format(Portal portal, int *format);
/* A row that goes to the client as it came. */
extern TupleTableSlot *forward_slot(ShardScan *scan);

/* --- direct.c: statements that need no plan state --- */
/* Runs the query if it was started there; false when it is to be run as usual. */
extern bool direct_run(QueryDesc *query, ScanDirection direction, uint64 count);
extern void direct_learn(QueryDesc *query);
/* One that was started, but not run, is started as usual. */
extern void direct_read_waiting(void);

/* --- steps.c --- */
extern void steps_begin(ShardScan *scan, int eflags);
extern void steps_start(ShardScan *scan);
extern void steps_end(ShardScan *scan);

/* For EXPLAIN: the queries of the steps, begun; until steps_end. */
extern List *steps_queries(ShardScan *scan);

/* --- found.c --- */
extern void found_start(ShardScan *scan);

/* --- local.c: queries that run in this server --- */
/* Begins "local" of the plan: its scans are then known to those who write. */
extern void local_begin_reading(ShardScan *scan);
/* Runs it; its rows go into "store". */
extern uint64 local_finish_reading(ShardScan *scan, Tuplestorestate *store);
/* Lets go of it if it was never run. */
extern void local_end_reading(ShardScan *scan);
/* A statement that begins here, with the executor's flags, and is run to its end later. */
extern QueryDesc *local_begin(ShardScan *scan, PlannedStmt *statement, Snapshot snapshot,
							  ParamListInfo params, QueryEnvironment *environment, int eflags);
extern uint64 local_finish(QueryDesc *query, ShardScan *scan, Tuplestorestate *store);
/* The same in two parts: its rows, and what is left, its triggers among it. */
extern uint64 local_execute(QueryDesc *query, ShardScan *scan, Tuplestorestate *store);
extern void local_close(QueryDesc *query);
extern uint64 local_run(ShardScan *scan, PlannedStmt *statement, ParamListInfo params,
						QueryEnvironment *environment, Tuplestorestate *store);
/* The same for a query over rows that it knows as SHARD_ROWS_NAME. */
extern uint64 local_run_rows(ShardScan *scan, PlannedStmt *statement, Tuplestorestate *rows,
							 TupleDesc desc, Tuplestorestate *store);

/* --- alone.c --- */
/* May the statement commit by itself where it is sent? */
extern bool alone_in_transaction(ShardScan *scan);

/* --- rows.c, local.c: what an execution begins with --- */
extern void rows_start(ShardScan *scan);
extern void select_rows_start(ShardScan *scan);
extern void every_copy_start(ShardScan *scan);
extern void repartition_start(ShardScan *scan);
/* Has nodes exchange the rows of a plan's sources, for statements that are to be started. */
extern void repartition_prepare(ShardScan *scan);
/* The parameter of such a statement for the rows of a source. */
extern void
repartition_bundle(ShardScan *scan, int source, int position, const char **value, int *length);

/* --- copies.c --- */
extern void copied_rows_start(ShardScan *scan);

/* --- call.c --- */
extern void call_start(ShardScan *scan);

/* --- on_node.c --- */
extern void on_node_start(ShardScan *scan);

/* --- params.c: values that are known when an execution starts --- */
extern void params_prepare(ShardScan *scan);
extern void params_evaluate(ShardScan *scan);
extern Datum params_value(ShardScan *scan, Expr *expr, bool *isnull);

/* --- shards.c: which shards an execution is about --- */
/* Positions of the shards in the colocation group, ascending ints. */
extern List *shards_choose(ShardScan *scan, const DistributedTable *table);
/* The one that a single value of the key means. */
extern int shards_choose_one(ShardScan *scan, const DistributedTable *table);
extern int shards_of_value(ShardScan *scan, const DistributedTable *table, Datum value);
extern void shards_refuse_null(const DistributedTable *table) __attribute__((noreturn));
/* Are many rows to be expected, so that they come packed? */
extern bool shards_packed(ShardPlan *plan);
/* The SQL for the shard at "position", kept with the plan. */
extern const char *shards_sql(ShardScan *scan, const DistributedTable *table, int position);

/* --- tasks.c: statements under way on nodes --- */
extern void tasks_create(ShardScan *scan, const DistributedTable *table, List *positions);
extern void tasks_start(ShardScan *scan, ShardTask *task, const char *sql);
/* Adds a bundle to the parameters of a query; the lists of them are then in "context". */
extern void tasks_add_bundle(MemoryContext context, StringInfo bundle, RemoteQuery *query);
typedef struct TaskRole
{
	Oid user;
	int context;
} TaskRole;
extern void tasks_enter_role(ShardScan *scan, TaskRole *role);
extern void tasks_leave_role(const TaskRole *role);
extern void tasks_drain(ShardTask *task);
/* The same for a task whose rows were to be passed on. */
extern void tasks_spool(void *task);
/* Something that the task's node gave: its rows are the ones to be taken next. */
extern void tasks_got(ShardTask *task, PGresult *result);
extern bool tasks_take(ShardTask *task, RemoteRow *row);
extern void tasks_measure(ShardTask *task);
extern int64 tasks_end(ShardTask *task);
/* Ends all and counts what they changed. */
extern void tasks_finish(ShardScan *scan);
extern Tuplestorestate *tasks_new_store(ShardScan *scan);

/* --- explain.c --- */
/* To be called as the execution begins: what EXPLAIN will want to know. */
extern void explain_begin(ShardScan *scan);

/* Options of the EXPLAIN that is under way, those of remote/explained.h; -1: there is none. */
extern int explain_options_of(const ShardScan *scan);

/* Shows a node's plan, or one of this server. */
extern void explain_plan(const char *label, const char *text, ExplainState *es);

/* The statement of a task that is to be explained by its node. */
extern const char *explain_mark(const ShardTask *task, const char *sql);

extern void explain_scan(CustomScanState *node, List *ancestors, ExplainState *es);

/* --- explain_here.c --- */

/* Keeps how a query that runs in this server for the plan went, if EXPLAIN ANALYZE asks. */
extern void explain_here_keep(ShardScan *scan, QueryDesc *query);

/* The plans of the queries that run in this server for the plan. */
extern void explain_here(ShardScan *scan, ExplainState *es);

#endif
