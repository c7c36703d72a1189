/*-------------------------------------------------------------------------
 * pin.h
 *	  Which value of the distribution column a query is confined to.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_PIN_H
#define PGCLUSTER_SHARD_PLANNER_PIN_H

#include "nodes/parsenodes.h"

#include "shard/metadata/metadata.h"

typedef struct Pin
{
	const DistributedTable *table; /* one of the hash distributed tables; the target of a write */
	Expr *key;					   /* the value all are pinned to */
	Oid key_type;				   /* as which the comparison takes the value */
	bool inserts;				   /* the value goes into a row */
	bool one_value;				   /* no other value was compared with it */
	List *key_columns;			   /* pin_to_join: Var of the query, each such a column */
	char *why;					   /* set when there is no such value */
} Pin;

#define PIN_NO_VALUE "No distribution column is compared with a value by \"=\"."

/*
 * Finds the value that the distribution columns of all hash distributed
 * tables of "query" are equal to in every row that matters, by the rules of
 * the table's own equality.  False, with pin->why, if there is none.
 */
extern bool pin_to_key(Query *query, Pin *pin);

/*
 * True when all hash distributed tables of the UPDATE or DELETE are joined to
 * the distribution column of its target, so that it can run shard by shard.
 */
extern bool pin_to_target(Query *query, Pin *pin);

/*
 * True when every row of the SELECT's FROM and WHERE needs rows of one shard
 * only.  pin->key_columns are then the distribution columns that say which.
 */
extern bool pin_to_join(Query *query, Pin *pin);

/*
 * The equality "column = value" of the operator family that hashes
 * "key_type", if "clause" is one: returns the column and, apart from
 * conversions that change nothing, the value.  Either side may be the
 * column.
 */
extern bool pin_is_equality(Expr *clause, Oid family, Oid collation, Node **left, Node **right,
							Oid *left_type, Oid *right_type);

/* The operator family that hashes a type. */
extern Oid pin_hash_family(Oid type);

/* The function that hashes "type" in the way "key_type" is hashed; InvalidOid if there is none. */
extern Oid pin_hash_function(Oid key_type, Oid type);

#endif
