/*-------------------------------------------------------------------------
 * access.h
 *	  Who may ask the HTTP server for what.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HTTP_ACCESS_H
#define PGCLUSTER_HTTP_ACCESS_H

#include <sys/socket.h>

#include "http/routes.h"

/* Who sent a request, as far as it was proven. */
typedef struct HttpClient
{
	const struct sockaddr *address;
	bool is_local; /* on this host */
	bool tls;
	bool certified;			   /* showed a certificate that the authorities vouch for */
	bool from_page;			   /* a page in a browser sent it */
	const char *authorization; /* the header, NULL: none */
} HttpClient;

/* What a request wants. */
typedef enum HttpIntent
{
	HTTP_TO_READ,
	HTTP_TO_CHANGE,
	HTTP_AMONG_MEMBERS /* what members ask of each other */
} HttpIntent;

/* Reads the settings, and the file with the password; what is wrong is logged. */
extern void http_access_load(void);

/* True when the client may send the request; else fills the answer. */
extern bool http_access_check(const HttpClient *client, HttpIntent intent, HttpAnswer *answer);

#endif
