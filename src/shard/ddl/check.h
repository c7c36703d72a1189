/*-------------------------------------------------------------------------
 * check.h
 *	  What keeps a table from being distributed.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_CHECK_H
#define PGCLUSTER_SHARD_DDL_CHECK_H

#include "access/attnum.h"
#include "nodes/nodes.h"
#include "utils/relcache.h"

#include "shard/metadata/metadata.h"

/* How a table is to be distributed. */
typedef struct Distribution
{
	TableKind kind;
	AttrNumber key; /* of hash tables, as are the following */
	Oid key_family; /* hash operator family of the key's type */
	Oid key_collation;
	int colocation_id; /* 0: a new colocation group */
} Distribution;

/* Raises an error when the relation is nothing that can be distributed at all. */
extern void check_relation(Relation rel, TableKind kind);

/* Raises an error when the column cannot be the key; returns the hash family of its type. */
extern Oid check_key_column(Relation rel, AttrNumber key);

/* Raises an error for a constraint or index that the shards cannot keep. */
extern void check_constraints(Relation rel, const Distribution *distribution);
extern void check_index(Relation rel, Oid index, const Distribution *distribution);

/* Raises an error for a constraint, generated column or trigger that is something else on shards. */
extern void check_expressions(Relation rel);

/* Does the expression name tableoid?  A walker: the context is not used. */
extern bool check_names_tableoid(Node *node, void *context);

/* Raises an error for a foreign key, in either direction or outgoing, that cannot be checked. */
extern void check_foreign_keys(Relation rel, const Distribution *distribution);
extern void check_outgoing_keys(Relation rel, const Distribution *distribution);

/* True when the table holds any row this transaction can see. */
extern bool check_has_rows(Relation rel);

/* Relations whose foreign keys point at this one, Oids without itself. */
extern List *check_referencing(Relation rel);

#endif
