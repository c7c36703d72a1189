/*-------------------------------------------------------------------------
 * tls.h
 *	  Certificates of the HTTP server and of its clients.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HTTP_TLS_H
#define PGCLUSTER_HTTP_TLS_H

#include <microhttpd.h>

/* Contents of the files that the settings name, malloc'd. */
typedef struct HttpTls
{
	char *certificate; /* NULL: no TLS */
	char *key;
	char *authorities; /* NULL: clients show no certificate */
	char *priorities;
} HttpTls;

/*
 * Reads and tries them.  False: they are no good, which is logged at
 * "elevel", below ERROR.
 */
extern bool http_tls_load(HttpTls *tls, int elevel);
extern void http_tls_free(HttpTls *tls);
extern bool http_tls_is_same(const HttpTls *a, const HttpTls *b);

/* True when the client showed a certificate that the authorities vouch for. */
extern bool http_tls_is_certified(struct MHD_Connection *connection);

#endif
