/*-------------------------------------------------------------------------
 * http.h
 *	  The entry of the HTTP server.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HTTP_HTTP_H
#define PGCLUSTER_HTTP_HTTP_H

/* Registers the worker when high availability is on; called from _PG_init after ha_init. */
extern void http_init(void);

#endif
