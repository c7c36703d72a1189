/*-------------------------------------------------------------------------
 * actions.h
 *	  Requests that change something.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HTTP_ACTIONS_H
#define PGCLUSTER_HTTP_ACTIONS_H

#include "ha/request.h"
#include "http/parse.h"
#include "http/routes.h"

/* One that the agent has been given. */
typedef struct HttpWait
{
	HttpAction action;
	HaRequest asked;
	uint64 request; /* its number with the agent */
	int64 since_us;
} HttpWait;

/* True when that method of that path is one. */
extern bool http_action_find(const char *method, const char *path, HttpActionKind *kind);

/*
 * Does it, or gives it to the agent.  True: here is the answer; false:
 * http_action_poll will have it.
 */
extern bool http_action_begin(HttpActionKind kind, const char *body, size_t length, HttpWait *wait,
							  HttpAnswer *answer);

/* True when there is an answer by now. */
extern bool http_action_poll(HttpWait *wait, HttpAnswer *answer);

/* The client is gone, or was answered. */
extern void http_action_forget(HttpWait *wait);

#endif
