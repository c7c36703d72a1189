/*-------------------------------------------------------------------------
 * shape.h
 *	  What a table looks like, to see what a command made of it.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_SHAPE_H
#define PGCLUSTER_SHARD_DDL_SHAPE_H

#include "nodes/pg_list.h"

#include "shard/metadata/metadata.h"

typedef struct Shape Shape;

/* The table as it is now, in the current memory context. */
extern Shape *shape_take(Oid relid);

/* What the command may have done. */
typedef enum ShapeChange
{
	SHAPE_PARTS,   /* anything but the following */
	SHAPE_RENAMES, /* it gave names alone */
	SHAPE_TYPES	   /*
					 * it changed types: constraints and indexes are made anew, and
					 * only those whose names changed count; the same command makes
					 * them anew on the shards
					 */
} ShapeChange;

/* New values of a column whose type is changed: USING. */
typedef struct ShapeUsing
{
	AttrNumber column;
	char *expression;
} ShapeUsing;

/*
 * Compares the table with what it was, refuses what the shards could not
 * follow, and has them follow all the rest.  "usings": ShapeUsing.
 */
extern void shape_follow(Shape *before, ShapeChange change, List *usings);

/* Oid of the table. */
extern Oid shape_table(const Shape *shape);

#endif
