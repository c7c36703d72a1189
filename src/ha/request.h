/*-------------------------------------------------------------------------
 * request.h
 *	  What a process of this server may ask the agent for.
 *
 * A session or the HTTP server submits a request and looks later, by its id,
 * what became of it; the agent of this server carries it out, or has the
 * member that it concerns do so.  Nothing here waits, except briefly for a
 * lock, and nothing throws.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_REQUEST_H
#define PGCLUSTER_HA_REQUEST_H

#include "datatype/timestamp.h"

#include "ha/decide.h"

#define HA_MAX_REQUESTS 8
#define HA_REQUEST_TEXT_SIZE (64 * 1024)
#define HA_OUTCOME_SIZE 256

typedef enum HaRequestKind
{
	REQUEST_SWITCHOVER,		   /* from the leader to "member", or to the best; now or at "at" */
	REQUEST_FAILOVER,		   /* to "member", be there a leader or not */
	REQUEST_CANCEL_SWITCHOVER, /* that is planned for a later time */
	REQUEST_PATCH_CONFIG,	   /* with the request's text, a JSON merge patch */
	REQUEST_REPLACE_CONFIG,	   /* by the request's text, a JSON object */
	REQUEST_RESTART,		   /* the server of "member", now or at "at", on conditions */
	REQUEST_CANCEL_RESTART,	   /* that is planned for a later time */
	REQUEST_RELOAD,			   /* has the server of "member" read its files anew */
	REQUEST_REINITIALIZE, /* the data of "member": a new clone of the leader; over once it began */
	N_HA_REQUESTS
} HaRequestKind;

typedef struct HaRequest
{
	HaRequestKind kind;
	int group_id;
	char leader[HA_NAME_SIZE]; /* switchover: who has to lead now; empty: whoever does */
	char member
		[HA_NAME_SIZE]; /* the candidate, empty: the best; else whose server, empty: this one */
	TimestampTz at;		/* 0: at once */
	bool wait;			/* changed "pause": until the members have noticed */
	bool force;			/* reinitialize although it was begun before */

	/* restart: not unless */
	bool only_pending;		/* a setting waits for it */
	char only_role[32];		/* "primary" or "replica"; empty: any */
	char below_version[32]; /* the server is older than this, "15.4"; empty: any */
	int timeout; /* seconds that a leader has to come back, before it is replaced; 0: primary_start_timeout */
} HaRequest;

typedef enum HaRequestState
{
	HA_REQUEST_NONE,
	HA_REQUEST_WAITING, /* the agent has not seen it */
	HA_REQUEST_TAKEN,
	HA_REQUEST_DONE,
	HA_REQUEST_FAILED
} HaRequestState;

typedef struct HaOutcome
{
	HaRequestState state;
	int sqlstate;				   /* failed */
	char message[HA_OUTCOME_SIZE]; /* failed: why; a switchover that is done: who leads */
	char detail[HA_OUTCOME_SIZE];
	char hint[HA_OUTCOME_SIZE];
	char notice[HA_OUTCOME_SIZE]; /* done: what else there is to say */
} HaOutcome;

/*
 * Leaves a request, with its text or NULL, to the agent.  0 when that cannot
 * be; "refusal" then says why.
 */
extern uint64 ha_request_submit(const HaRequest *request, const char *text, HaOutcome *refusal);

/*
 * How far it got.  True when it is over, one way or the other: then the id is
 * no longer valid, and *document, unless that is NULL, is the configuration
 * as it is now, palloc'd, or NULL when the request was not about it.
 */
extern bool ha_request_poll(uint64 id, HaOutcome *outcome, char **document);

/*
 * Nobody wants to know any more.  What has not begun may not begin; what has
 * begun goes on.
 */
extern void ha_request_abandon(uint64 id);

/* "cannot switch over", for the message of a failure; empty when there is nothing to add. */
extern const char *ha_request_failure(HaRequestKind kind);

#endif
