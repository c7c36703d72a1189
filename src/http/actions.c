/*-------------------------------------------------------------------------
 * actions.c
 *	  Requests that change something, one row each.
 *
 * What a request means is read in parse.c, who may send it is decided in
 * access.c before it comes here.  The agent carries it out; here it is put
 * into the agent's words, and what became of it into those of Patroni's API,
 * so that patronictl understands.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/json.h"
#include "ha/request.h"
#include "ha/state.h"
#include "http/actions.h"
#include "http/facts.h"

/* After this time a client is told to look for itself; the agent gives up earlier. */
#define WAIT_US (INT64CONST(150) * 1000000)

typedef struct ActionRoute
{
	const char *method;
	const char *path;
	HttpActionKind kind;

	/* False: it cannot be, and the answer says why. */
	bool (*check)(HttpAction *action, HttpAnswer *answer);
	/* What to ask the agent for; NULL: nothing, "done" is all. */
	void (*ask)(const HttpAction *action, HaRequest *request);
	/* It is done; the document is the group's configuration, or NULL. */
	void (*done)(const HttpAction *action, const HaOutcome *outcome, const char *document,
				 HttpAnswer *answer);
	HttpStatus refused; /* by the agent, for what there is or is not */
} ActionRoute;

static bool
refuse(HttpAnswer *answer, HttpStatus status, const char *message)
{
	http_answer_text(answer, status, message);
	return false;
}

/*
 * Switchover and failover
 */

static TimestampTz
moment_of(const HttpAction *action)
{
	if (!action->scheduled)
		return 0;
	return action->at_us - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * USECS_PER_SEC;
}

static bool
check_moment(const HttpAction *action, bool paused, HttpAnswer *answer)
{
	if (!action->scheduled)
		return true;
	if (paused)
		return refuse(answer, HTTP_BAD_REQUEST,
					  "nothing can be scheduled while the group is paused");
	if (moment_of(action) <= GetCurrentTimestamp())
		return refuse(answer, HTTP_UNPROCESSABLE,
					  "it cannot be scheduled for a moment that has passed");
	return true;
}

static bool
check_switchover(HttpAction *action, HttpAnswer *answer)
{
	HttpFacts facts;

	if (action->leader[0] == '\0')
		return refuse(answer, HTTP_BAD_REQUEST, "a switchover needs the name of the leader");
	http_facts_look(&facts);
	if (facts.picture->paused && action->candidate[0] == '\0')
		return refuse(answer, HTTP_BAD_REQUEST,
					  "a group that is paused switches over to a named candidate only");
	return check_moment(action, facts.picture->paused, answer);
}

/* One that names the leader is a switchover. */
static bool
check_failover(HttpAction *action, HttpAnswer *answer)
{
	if (action->candidate[0] == '\0')
		return refuse(answer, HTTP_BAD_REQUEST, "a failover needs the name of the candidate");
	if (action->leader[0] != '\0')
		return check_switchover(action, answer);
	if (action->scheduled)
		return refuse(answer, HTTP_BAD_REQUEST,
					  "only a switchover, from a named leader, can be scheduled");
	return true;
}

static void
ask_switchover(const HttpAction *action, HaRequest *request)
{
	request->kind = action->leader[0] == '\0' ? REQUEST_FAILOVER : REQUEST_SWITCHOVER;
	strlcpy(request->leader, action->leader, sizeof(request->leader));
	strlcpy(request->member, action->candidate, sizeof(request->member));
	request->at = moment_of(action);
}

static void
switchover_done(const HttpAction *action, const HaOutcome *outcome, const char *document,
				HttpAnswer *answer)
{
	bool by_force = action->leader[0] == '\0';

	if (action->scheduled)
		http_answer_text(answer, HTTP_ACCEPTED, "Switchover scheduled");
	else
		http_answer_text(answer, HTTP_OK,
						 psprintf("Successfully %s over to \"%s\"",
								  by_force ? "failed" : "switched", outcome->message));
}

static void
ask_cancel_switchover(const HttpAction *action, HaRequest *request)
{
	request->kind = REQUEST_CANCEL_SWITCHOVER;
}

static void
cancel_switchover_done(const HttpAction *action, const HaOutcome *outcome, const char *document,
					   HttpAnswer *answer)
{
	http_answer_text(answer, HTTP_OK, "the scheduled switchover is cancelled");
}

/*
 * Configuration
 */

static void
ask_patch(const HttpAction *action, HaRequest *request)
{
	request->kind = REQUEST_PATCH_CONFIG;
}

static void
ask_replace(const HttpAction *action, HaRequest *request)
{
	request->kind = REQUEST_REPLACE_CONFIG;
}

static void
config_done(const HttpAction *action, const HaOutcome *outcome, const char *document,
			HttpAnswer *answer)
{
	http_answer_text(answer, HTTP_OK, document == NULL ? "{}" : document);
	answer->content_type = "application/json";
}

/*
 * This server
 */

/* As pg_reload_conf() does it. */
static void
reload_done(const HttpAction *action, const HaOutcome *outcome, const char *document,
			HttpAnswer *answer)
{
	if (kill(PostmasterPid, SIGHUP) != 0)
		http_answer_text(answer, HTTP_INTERNAL_ERROR, "the postmaster cannot be reached");
	else
		http_answer_text(answer, HTTP_ACCEPTED, "the settings are being read again");
}

static bool
check_restart(HttpAction *action, HttpAnswer *answer)
{
	HttpFacts facts;

	http_facts_look(&facts);
	return check_moment(action, facts.picture->paused, answer);
}

static void
ask_restart(const HttpAction *action, HaRequest *request)
{
	static const char *const roles[] = {[HTTP_ROLE_ANY] = "",
										[HTTP_ROLE_PRIMARY] = "primary",
										[HTTP_ROLE_REPLICA] = "replica",
										[HTTP_ROLE_STANDBY_LEADER] = "standby_leader"};

	request->kind = REQUEST_RESTART;
	request->at = moment_of(action);
	request->only_pending = action->pending_only;
	strlcpy(request->only_role, roles[action->role], sizeof(request->only_role));
	if (action->below_version > 0)
		snprintf(request->below_version, sizeof(request->below_version), "%d.%d",
				 action->below_version / 10000, action->below_version % 10000);
	request->timeout = action->timeout;
}

/* The answer has to be on its way before the server goes, and this process with it. */
static void
restart_done(const HttpAction *action, const HaOutcome *outcome, const char *document,
			 HttpAnswer *answer)
{
	http_answer_text(answer, HTTP_ACCEPTED,
					 action->scheduled ? "the restart is scheduled" : "the restart has begun");
}

static void
ask_cancel_restart(const HttpAction *action, HaRequest *request)
{
	request->kind = REQUEST_CANCEL_RESTART;
}

static void
cancel_restart_done(const HttpAction *action, const HaOutcome *outcome, const char *document,
					HttpAnswer *answer)
{
	http_answer_text(answer, HTTP_OK, "the scheduled restart is cancelled");
}

static void
ask_reinitialize(const HttpAction *action, HaRequest *request)
{
	request->kind = REQUEST_REINITIALIZE;
	request->force = action->force;
}

static void
reinitialize_done(const HttpAction *action, const HaOutcome *outcome, const char *document,
				  HttpAnswer *answer)
{
	http_answer_text(answer, HTTP_OK, "the new clone has begun");
}

/*
 * A leader without the store
 */

/* At once, and in this process: the agent may be the very thing that hangs. */
static void
failsafe_done(const HttpAction *action, const HaOutcome *outcome, const char *document,
			  HttpAnswer *answer)
{
	char reason[HA_OUTCOME_SIZE];
	json_object *name;
	json_object *ttl;

	if (!json_object_object_get_ex(action->document, "name", &name) ||
		!json_object_object_get_ex(action->document, "ttl", &ttl) ||
		!json_object_is_type(name, json_type_string) || !json_object_is_type(ttl, json_type_int))
		http_answer_text(answer, HTTP_BAD_REQUEST, "the body needs a \"name\" and a \"ttl\"");
	else if (ha_failsafe_confirm(json_object_get_string(name), json_object_get_int(ttl), reason,
								 sizeof(reason)))
		http_answer_text(answer, HTTP_OK, "Accepted");
	else
		http_answer_text(answer, HTTP_UNAVAILABLE, reason);
}

/* clang-format off */
static const ActionRoute routes[] = {
	{"POST", "/switchover", HTTP_SWITCHOVER, check_switchover, ask_switchover, switchover_done,
	 HTTP_PRECONDITION_FAILED},
	{"POST", "/failover", HTTP_FAILOVER, check_failover, ask_switchover, switchover_done,
	 HTTP_PRECONDITION_FAILED},
	{"DELETE", "/switchover", HTTP_CANCEL_SWITCHOVER, NULL, ask_cancel_switchover,
	 cancel_switchover_done, HTTP_UNAVAILABLE},
	{"POST", "/restart", HTTP_RESTART, check_restart, ask_restart, restart_done, HTTP_UNAVAILABLE},
	{"DELETE", "/restart", HTTP_CANCEL_RESTART, NULL, ask_cancel_restart, cancel_restart_done,
	 HTTP_UNAVAILABLE},
	{"POST", "/reinitialize", HTTP_REINITIALIZE, NULL, ask_reinitialize, reinitialize_done,
	 HTTP_UNAVAILABLE},
	{"POST", "/reload", HTTP_RELOAD, NULL, NULL, reload_done, HTTP_UNAVAILABLE},
	{"POST", "/failsafe", HTTP_FAILSAFE, NULL, NULL, failsafe_done, HTTP_UNAVAILABLE},
	{"PATCH", "/config", HTTP_PATCH_CONFIG, NULL, ask_patch, config_done, HTTP_UNAVAILABLE},
	{"PUT", "/config", HTTP_PUT_CONFIG, NULL, ask_replace, config_done, HTTP_UNAVAILABLE},
};
/* clang-format on */

bool
http_action_find(const char *method, const char *path, HttpActionKind *kind)
{
	for (size_t i = 0; i < lengthof(routes); i++)
		if (strcmp(routes[i].method, method) == 0 && http_is_path(path, routes[i].path))
		{
			*kind = routes[i].kind;
			return true;
		}
	return false;
}

static const ActionRoute *
route_of(HttpActionKind kind)
{
	for (size_t i = 0; i < lengthof(routes); i++)
		if (routes[i].kind == kind)
			return &routes[i];
	elog(ERROR, "no route for action %d", (int) kind);
}

static HttpStatus
status_of(const ActionRoute *route, const HaRequest *request, int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_OBJECT_IN_USE:
			return request->kind == REQUEST_RESTART && request->at != 0 ? HTTP_CONFLICT
																		: HTTP_UNAVAILABLE;
		case ERRCODE_INVALID_PARAMETER_VALUE:
			return HTTP_BAD_REQUEST;
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
			return HTTP_TOO_LARGE;
		case ERRCODE_UNDEFINED_OBJECT:
			return route->refused == HTTP_UNAVAILABLE ? HTTP_NOT_FOUND : route->refused;
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
			return route->refused;
		default:
			return HTTP_UNAVAILABLE;
	}
}

/* "cannot switch over: nobody leads (one is elected ...)" */
static void
answer_failure(const ActionRoute *route, const HaRequest *request, const HaOutcome *outcome,
			   HttpAnswer *answer)
{
	const char *failure = ha_request_failure(request->kind);

	/* By these words patronictl knows that "force" would help. */
	if (request->kind == REQUEST_REINITIALIZE && outcome->sqlstate == ERRCODE_OBJECT_IN_USE)
	{
		http_answer_text(answer, HTTP_UNAVAILABLE, "a new clone is already in progress");
		return;
	}
	http_answer_text(answer, status_of(route, request, outcome->sqlstate), failure);
	appendStringInfo(&answer->body, "%s%s", failure[0] == '\0' ? "" : ": ", outcome->message);
	if (outcome->detail[0] != '\0')
		appendStringInfo(&answer->body, ": %s", outcome->detail);
	if (outcome->hint[0] != '\0')
		appendStringInfo(&answer->body, " (%s)", outcome->hint);
}

static const char *
text_of(const HttpAction *action)
{
	return action->document == NULL ? NULL : json_text(action->document);
}

bool
http_action_begin(HttpActionKind kind, const char *body, size_t length, HttpWait *wait,
				  HttpAnswer *answer)
{
	const ActionRoute *route = route_of(kind);
	HttpAction *action = &wait->action;
	HaOutcome outcome = {0};
	int status = http_parse_action(kind, body, length, action);

	wait->since_us = clock_now_us();
	json_tied(action->document);
	if (status != 0)
	{
		http_answer_text(answer, status, action->reason);
		return true;
	}
	if (route->check != NULL && !route->check(action, answer))
		return true;
	if (route->ask == NULL)
	{
		route->done(action, &outcome, NULL, answer);
		return true;
	}
	memset(&wait->asked, 0, sizeof(wait->asked));
	wait->asked.group_id = ha_own_group();
	route->ask(action, &wait->asked);
	wait->request = ha_request_submit(&wait->asked, text_of(action), &outcome);
	if (wait->request == 0)
		answer_failure(route, &wait->asked, &outcome, answer);
	return wait->request == 0;
}

/* In a context of its own, for this is done again and again. */
bool
http_action_poll(HttpWait *wait, HttpAnswer *answer)
{
	const ActionRoute *route = route_of(wait->action.kind);
	bool is_config =
		wait->asked.kind == REQUEST_PATCH_CONFIG || wait->asked.kind == REQUEST_REPLACE_CONFIG;
	MemoryContext poll =
		AllocSetContextCreate(CurrentMemoryContext, "pgcluster HTTP poll", ALLOCSET_SMALL_SIZES);
	MemoryContext former = MemoryContextSwitchTo(poll);
	char *document = NULL;
	HaOutcome outcome;
	bool over = ha_request_poll(wait->request, &outcome, is_config ? &document : NULL);

	MemoryContextSwitchTo(former);
	if (over && outcome.state == HA_REQUEST_DONE)
		route->done(&wait->action, &outcome, document, answer);
	else if (over)
		answer_failure(route, &wait->asked, &outcome, answer);
	else if (clock_now_us() - wait->since_us > WAIT_US)
	{
		http_action_forget(wait);
		http_answer_text(answer, HTTP_UNAVAILABLE, "it takes unusually long, look for yourself");
		over = true;
	}
	MemoryContextDelete(poll);
	return over;
}

void
http_action_forget(HttpWait *wait)
{
	ha_request_abandon(wait->request);
}
