/*-------------------------------------------------------------------------
 * documents.h
 *	  The texts that the HTTP server answers with.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HTTP_DOCUMENTS_H
#define PGCLUSTER_HTTP_DOCUMENTS_H

#include "http/facts.h"
#include "http/routes.h"

/* Each sets status, type and body. */
extern void http_write_status(const HttpFacts *facts, HttpAnswer *answer);
extern void http_write_cluster(const HttpFacts *facts, HttpAnswer *answer);
extern void http_write_config(const HttpFacts *facts, HttpAnswer *answer);
extern void http_write_history(const HttpFacts *facts, HttpAnswer *answer);
extern void http_write_metrics(const HttpFacts *facts, HttpAnswer *answer);


#endif
