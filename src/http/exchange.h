/*-------------------------------------------------------------------------
 * exchange.h
 *	  A client's connection, and the request on it.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HTTP_EXCHANGE_H
#define PGCLUSTER_HTTP_EXCHANGE_H

#include <microhttpd.h>

#include "utils/palloc.h"

#include "http/actions.h"
#include "http/routes.h"

#define HTTP_MAX_CONNECTIONS 128

/* The longest document that the group keeps. */
#define HTTP_MAX_BODY HA_REQUEST_TEXT_SIZE

/* How many may wait for the agent at a time. */
#define HTTP_MAX_WAITING 16

typedef struct HttpExchange
{
	bool used;
	int socket;
	int64 since_us; /* of opening, or of the last answer */
	struct MHD_Connection *connection;

	/* the request */
	MemoryContext context; /* emptied after each; NULL: not made yet */
	size_t received;	   /* bytes of its body */
	bool is_action;
	HttpActionKind kind;
	char *body;		/* NULL: not kept */
	bool answering; /* all of it has arrived */
	bool waiting;	/* for the agent */
	HttpWait wait;
	bool answered; /* there is an answer */
	HttpAnswer answer;
} HttpExchange;

/* To be called by libmicrohttpd. */
extern enum MHD_Result
http_on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
				const char *version, const char *data, size_t *size, void **state);
extern void http_on_completed(void *arg, struct MHD_Connection *connection, void **state,
							  enum MHD_RequestTerminationCode code);
extern void http_on_connection(void *arg, struct MHD_Connection *connection, void **context,
							   enum MHD_ConnectionNotificationCode code);

/* All places; those that are not used are empty. */
extern HttpExchange *http_exchanges(void);
extern int http_exchanges_used(void);
extern bool http_exchanges_wait(void);

/* Answers those that waited for the agent long enough, or all. */
extern void http_exchanges_attend(bool all);

#endif
