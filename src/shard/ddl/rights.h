/*-------------------------------------------------------------------------
 * rights.h
 *	  Owners and grants of objects, as they are here and as commands say them.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_RIGHTS_H
#define PGCLUSTER_SHARD_DDL_RIGHTS_H

#include "nodes/pg_list.h"
#include "utils/acl.h"
#include "utils/relcache.h"

/* Grants of an object, and its owner; NULL: those of the server's defaults. */
extern Acl *rights_read(Oid class_id, Oid object_id, Oid *owner);

/* Those of a table (Acl *), then those of each of its columns. */
extern List *rights_read_table(Oid relid, Oid *owner);

/* "PUBLIC" or the quoted name. */
extern const char *rights_role(Oid role);

/* A GRANT, and who must run it. */
typedef struct RightsGrant
{
	Oid grantor;
	char *command;
} RightsGrant;

/*
 * The grants of a table and its columns on "object" ("TABLE x"), RightsGrant,
 * the owner's own apart; who passes something on comes after who gave it to him.
 */
extern List *rights_of_table(Relation rel, const char *object);

/*
 * The grants on any other object, commands for its owner: whoever gave them
 * here, there it is he.
 */
extern List *rights_commands(Oid class_id, Oid object_id, const char *object);

#endif
