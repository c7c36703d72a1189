/*-------------------------------------------------------------------------
 * lift.h
 *	  What of a statement may travel to a shard, and what stays here as a
 *	  parameter.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_LIFT_H
#define PGCLUSTER_SHARD_PLANNER_LIFT_H

#include "nodes/parsenodes.h"

/* Where a lifted statement runs. */
typedef enum LiftScope
{
	LIFT_ONE_SHARD,
	LIFT_EVERY_SHARD, /* a part of the rows each: what is not about rows must come out the same */
	LIFT_EVERY_COPY	  /* with the same effect on each copy of a table */
} LiftScope;

typedef struct Lift
{
	List *params;	/* $1, $2, ... of the lifted statement: expressions without columns */
	bool constants; /* make constants parameters, so that the text stays the same for others */
	bool apart;		/* each its own, even if another is equal */
	int nconstants; /* how many became some */
	bool merge;		/* a MERGE may travel: what makes that right has been looked at */
	bool keeps_exec_params; /* parameters of the running plan become some of the statement */
	char *why;				/* set when the statement may not travel */
} Lift;

/* Constants that become parameters: enough for any statement of a user's, not for a script's. */
#define LIFT_MAX_CONSTANTS 64

/* What an expression depends on. */
typedef struct ExprFacts
{
	bool bound;		 /* to a row: has columns, aggregates, subqueries, ... */
	bool local;		 /* calls what other nodes may not have */
	char volatility; /* PROVOLATILE_* */
} ExprFacts;

extern ExprFacts expr_facts(Node *node);

/*
 * Rewrites "query" (in place) into one that means the same on another node:
 * parameters are numbered anew, and what must be evaluated here, once,
 * becomes a parameter.  False, with lift->why, when that cannot be done.
 */
extern bool lift_query(Query *query, LiftScope scope, Lift *lift);

/* The same for an expression; NULL when it cannot travel. */
extern Node *lift_expr(Node *expr, Lift *lift);

/*
 * The same for an expression that is evaluated once per statement.
 */
extern Node *lift_value_of_row(Node *expr, Lift *lift);

/* The parameter $number, of this type. */
extern Param *lift_numbered_param(int number, Oid type, int32 typmod, Oid collation);

/* A parameter of the statement that stands for an expression which the plan evaluates. */
extern Node *lift_as_param(Expr *expr, Lift *lift);

/*
 * ROW(columns), of "type", which stands for the row of "rte"; of a RECORD the
 * columns that were dropped are none.
 */
extern RowExpr *lift_row_of(RangeTblEntry *rte, int rti, int levels, Oid type);

/* Does anything in it read a relation that fits? */
extern bool lift_reads(Node *node, bool (*fits)(RangeTblEntry *rte));

/* May an outer join make the rows of this relation null? */
extern bool lift_is_nullable(int rti, FromExpr *jointree);

/* True when the query has parameters already. */
extern bool lift_has_params(Query *query);

/*
 * While on, ctid and xmin of rows may be asked of shards: by those who know
 * what to make of them.  Returns the setting before; the caller puts it back,
 * also on an error.
 */
extern bool lift_identity(bool on);

/*
 * May other nodes know the collation?  Those that came with the database, and
 * those of columns of distributed tables.
 */
extern bool lift_collation_travels(Oid collation);

/*
 * Are values of the type oids of objects, or arrays of them?  They travel as
 * the objects' names, and are other numbers elsewhere.
 */
extern bool lift_names_object(Oid type);

/* True for what every server has under the same name and oid. */
extern bool lift_builtin(Oid oid);

#endif
