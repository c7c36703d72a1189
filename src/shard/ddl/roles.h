/*-------------------------------------------------------------------------
 * roles.h
 *	  Roles, the same on every node.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_ROLES_H
#define PGCLUSTER_SHARD_DDL_ROLES_H

#include "shard/ddl/utility.h"

/* CREATE, ALTER, DROP ROLE, GRANT and REVOKE of memberships, and what is said of roles by name. */
extern bool roles_handle(UtilityCall *call);

/* The same commands, for superusers alone, without a trace in the logs of the nodes. */
extern List *roles_hushed(List *commands);

/* Makes the roles that the group lacks, with their memberships and settings. */
extern void roles_join(int group_id);

#endif
