/*-------------------------------------------------------------------------
 * replication.h
 *	  Who streams from this server.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HTTP_REPLICATION_H
#define PGCLUSTER_HTTP_REPLICATION_H

#include <json-c/json.h>

/* A JSON array with an object for each walsender, NULL when there is none; the caller's. */
extern json_object *http_replication(void);

#endif
