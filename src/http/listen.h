/*-------------------------------------------------------------------------
 * listen.h
 *	  The sockets that the HTTP server listens on.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HTTP_LISTEN_H
#define PGCLUSTER_HTTP_LISTEN_H

#define HTTP_MAX_LISTENERS 16

/*
 * Opens a non-blocking socket on "port" for each address of "hosts" (IP
 * addresses, "*", "localhost", separated by commas) and returns how many there are.  What cannot be
 * opened is logged at "elevel", which is below ERROR.
 */
extern int http_listen_open(const char *hosts, int port, int *sockets, int elevel);

#endif
