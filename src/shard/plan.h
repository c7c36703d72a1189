/*-------------------------------------------------------------------------
 * plan.h
 *	  The contract between planner and executor.
 *
 * The planner decides what is sent to shards and how the shards are chosen,
 * without ever asking another node; the executor carries it out and never
 * sees why.  A ShardPlan does not depend on the values of parameters, so
 * that a prepared statement keeps one plan.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLAN_H
#define PGCLUSTER_SHARD_PLAN_H

#include "nodes/extensible.h"
#include "nodes/plannodes.h"

typedef enum ShardTier
{
	TIER_SINGLE_SHARD, /* the whole statement runs on the one shard its key chooses */
	TIER_EVERY_SHARD,  /* the whole statement runs on each shard that may have rows for it */
	TIER_ROWS,		   /* an INSERT of several rows, each sent to its shard */
	TIER_EXCHANGED,	   /* an INSERT of rows that shards find for other shards */
	TIER_SELECT_ROWS,  /* an INSERT of the rows of a query */
	TIER_FOUND,		   /* rows that a query found, or made, are written on their shards */
	TIER_STEPS,		   /* statements one after the other, the queries of WITH first */
	TIER_EVERY_COPY,   /* a write on all copies of a reference table */
	TIER_COPIED_ROWS,  /* a write on the copy here, whose rows the others get */
	TIER_PUSHDOWN,	   /* what shards can do by themselves of a SELECT */
	TIER_BY_TABLE,	   /* the rows of one table, for a plan of the server */
	TIER_CALL,		   /* a call of a function, on the group that has its key */
	TIER_ON_NODE	   /* on a worker group: the whole statement, on a shard that is here */
} ShardTier;

/* What the executor keeps beside a plan from one execution to the next. */
typedef struct ShardPlanCache ShardPlanCache;

typedef struct ShardPlan
{
	ExtensibleNode header;

	ShardTier tier;
	CmdType command;
	bool writes;	/* changes rows or locks them */
	bool names;		/* functions on shards may look for names: on the session's search_path */
	bool returning; /* gives rows back */
	bool few;		/* the result is small for certain */
	bool streams;	/* read once, from its start to its end, by nothing that changes rows */
	bool inserts;	/* the key goes into a row, and may not be null */
	Oid relid;		/* the distributed table whose shards are meant */

	/*
	 * The SQL for a shard: pieces[0] schemas[0] pieces[1] ... pieces[n], where
	 * the name of the shard's schema is put in place of each schema.
	 */
	List *pieces;  /* String */
	List *schemas; /* String */

	/*
	 * $1, $2, ... of that SQL: expressions without columns, evaluated once per
	 * execution.  A scan that the server planned has them in custom_exprs.
	 */
	List *params;

	/*
	 * Some of them (indexes, ints) are rows that were sorted out by shard, each
	 * of which has other values; a shard without rows in one of "needed_parts"
	 * has nothing to say.
	 */
	List *parts;
	List *needed_parts;
	bool ships; /* whole relations are among them */

	/*
	 * How the shard is found: the value "key" (or each element of it, when it
	 * is an array) is hashed.  NULL: all shards.
	 */
	Expr *key;
	int key_param; /* index into params of the key's value; -1: evaluate "key" */
	bool key_is_array;
	Oid key_hash; /* hash function for the type of the key's value */
	Oid key_collation;

	/*
	 * Columns (attribute numbers) of the scan, in the order the SQL returns
	 * them, if these are not all ("some_columns").  TIER_SELECT_ROWS and
	 * TIER_EXCHANGED: of the table, in the order the rows come with.
	 */
	List *columns;
	bool some_columns;

	/*
	 * Rows come sorted by these columns (attribute numbers of the scan), with
	 * these operators and collations (Oids), null first or not (ints).  A node
	 * is sent one statement for all its shards then.
	 */
	List *sort_columns;
	List *sort_operators;
	List *sort_collations;
	List *sort_nulls_first;

	/*
	 * TIER_ROWS: lists of expressions, one for each column.  The SQL takes
	 * those of a shard as its last parameter, a bundle.
	 */
	List *rows;
	int key_position; /* of the distribution column in a row; -1: not given */
	bool in_order;	  /* each row gives one row back, in the same order */

	/*
	 * What other shards are asked for, before: each a ShardPlan, whose last
	 * parameter says where rows go.  Of what it returns the first column tells
	 * that for each row; the others, of these "types" (oids), are what the SQL gets
	 * as a bundle.  TIER_EXCHANGED: there is one, and the bundle is the last
	 * parameter, or the rows are "copied" as they are.  Else "source_params"
	 * (indexes, ints) are the bundles.
	 */
	List *sources;
	List *types;
	List *source_params;
	bool copied;

	/*
	 * TIER_EVERY_COPY: the same statement for the local copy, its parameters
	 * those of "params".  TIER_COPIED_ROWS: the statement, for the local copy.
	 * TIER_SELECT_ROWS: the query that yields the rows.
	 */
	PlannedStmt *local;

	/* TIER_SELECT_ROWS on a reference table: puts the rows into the copy here. */
	PlannedStmt *insert;

	/*
	 * TIER_FOUND: "local" gives the rows (its columns: see FOUND_ACTION), and
	 * the first says which of "changes" (ShardPlan, from 1) is made with each.
	 * A change has the SQL that reads many of these rows as its last parameter,
	 * a bundle of "columns"; the shard is that of column "key_position".  A
	 * change with "changes" of its own becomes these, a DELETE and an INSERT,
	 * when the row's shard is another than before.  What the changes give back
	 * are rows of "shown", the first "shown_table" columns from the table, the
	 * others from the column "echoes" of the row that was found; from these
	 * "result" makes what the statement returns.
	 */
	List *changes;
	struct ShardPlan *lock; /* takes hold of the rows, also as a change */
	bool firm;				/* what was found stands: it may not be looked for again */
	bool once;				/* no row may be found twice */
	bool twice_fails;		/* as with MERGE; else the first time counts */
	List *shown;			/* TargetEntry */
	int shown_table;
	List *echoes; /* int */
	PlannedStmt *result;

	/* TIER_STEPS: what precedes "local", and under which names it knows their rows. */
	List *steps;	  /* PlannedStmt */
	List *step_names; /* String */

	Query
		*query; /* TIER_ON_NODE: to be planned when the shard is known; TIER_CALL: to be run here */

	Oid reader; /* the role that nodes are asked as; InvalidOid: the user */

	List *refusals; /* why no cheaper tier was possible: pairs of labels and reasons (String) */

	/* A plan whose constants are others, and whose cache this one uses; NULL: none. */
	struct ShardPlan *master;
	ShardPlanCache *cache; /* the executor's; never copied */
} ShardPlan;

/* The first columns of the rows that TIER_FOUND finds. */
#define FOUND_ACTION 1 /* number of the change, 0: none */
#define FOUND_KEY 2	   /* the distribution column as it is */
#define FOUND_TID 3
#define FOUND_XMIN 4
#define FOUND_TABLE 5 /* of a partitioned table: which partition, as its node calls it */

extern ShardPlan *shard_plan_create(ShardTier tier, CmdType command, Oid relid);

/* The plan that a CustomScan of ours carries, and the parameters of its SQL. */
extern ShardPlan *shard_plan_of(CustomScan *scan);
extern List *shard_plan_params(CustomScan *scan);

/* The plan that keeps the executor's cache. */
static inline ShardPlan *
shard_plan_owner(ShardPlan *plan)
{
	return plan->master != NULL ? plan->master : plan;
}

/* Under this name the rows of TIER_SELECT_ROWS are known to "insert", and "shown" to "result". */
#define SHARD_ROWS_NAME "rows"

/* The SQL function that stands for an array of "parts". */
#define SHARD_PART_NAME "exchanged"

/* The SQL function that stands for the bundle of such a source, by number. */
#define SHARD_SOURCE_NAME "exchanged"

/* Names of the tiers, as EXPLAIN shows them. */
extern const char *shard_tier_name(ShardTier tier);

/* The executor's end of a CustomScan. */
extern const CustomScanMethods shard_scan_methods;

/* Installs the hook of executor/direct.c; called from _PG_init, before all others. */
extern void direct_init(void);

/* Installs the hook of executor/forward.c; called from shard_init. */
extern void forward_init(void);

/* Installs the hook of executor/explain.c; called from shard_init. */
extern void explain_init(void);

/* Makes plans known to the server; called from shard_init. */
extern void shard_plan_init(void);

#endif
