/*-------------------------------------------------------------------------
 * function.h
 *	  Functions that run where their key lives.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_FUNCTION_H
#define PGCLUSTER_SHARD_DDL_FUNCTION_H

#include "postgres_ext.h"

/*
 * Makes the function on every node.  With "argument", its name or "$n", calls
 * run on the group that has the shard for that, of the table "colocate_with";
 * InvalidOid: of the tables whose key has the argument's type.
 */
extern void function_distribute(Oid function, const char *argument, Oid colocate_with);

/* The function is dropped. */
extern void function_forget(Oid function);

#endif
