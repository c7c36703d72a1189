/*-------------------------------------------------------------------------
 * routes.c
 *	  The paths that the HTTP server knows, one row each.
 *
 * A health check is a question with the answer 200 (yes) or 503 (no), which
 * load balancers and orchestrators ask; other paths give a document.  The
 * paths are those of Patroni.  What changes the cluster is in actions.c.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "http/documents.h"
#include "http/parse.h"
#include "http/routes.h"

/* How long the agent may be silent, in ttl; a standby's does less that matters. */
#define PRIMARY_SILENCE 1
#define STANDBY_SILENCE 2
#define DEFAULT_TTL_US (INT64CONST(30) * 1000000)

typedef bool (*Check)(const HttpFacts *facts);
typedef void (*Writer)(const HttpFacts *facts, HttpAnswer *answer);

typedef struct Route
{
	const char *path;
	Check check;		 /* NULL: always yes */
	bool of_tags;		 /* "?tag_NAME=VALUE" is part of the question */
	Writer write;		 /* NULL: no body, or nothing to be read if there is no check either */
	const char *actions; /* methods that would change something; NULL: none */
} Route;

/*
 * Checks
 */

static bool
is_leader(const HttpFacts *facts)
{
	return facts->leads;
}

/* There are no standby clusters. */
static bool
is_standby_leader(const HttpFacts *facts)
{
	return false;
}

static bool
has_true_tag(const HttpFacts *facts, const char *name)
{
	json_object *value;

	return json_object_object_get_ex(facts->tags, name, &value) &&
		   json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

static bool
is_replica(const HttpFacts *facts)
{
	return facts->running && !facts->primary && !has_true_tag(facts, "noloadbalance");
}

static bool
is_synchronous(const HttpFacts *facts)
{
	return is_replica(facts) && facts->sync == HA_SYNC_STANDBY;
}

static bool
is_quorum(const HttpFacts *facts)
{
	return is_replica(facts) && facts->sync == HA_SYNC_QUORUM;
}

static bool
is_asynchronous(const HttpFacts *facts)
{
	return is_replica(facts) && facts->sync == HA_SYNC_NONE;
}

static bool
can_read(const HttpFacts *facts)
{
	return is_leader(facts) || is_replica(facts);
}

static bool
can_read_synchronous(const HttpFacts *facts)
{
	return is_leader(facts) || is_synchronous(facts);
}

static bool
can_read_quorum(const HttpFacts *facts)
{
	return is_leader(facts) || is_quorum(facts);
}

static bool
is_running(const HttpFacts *facts)
{
	return facts->running;
}

static bool
is_alive(const HttpFacts *facts)
{
	int64 ttl_us = facts->picture->ttl * INT64CONST(1000000);

	if (ttl_us == 0)
		ttl_us = DEFAULT_TTL_US;
	return facts->turn_age_us <= ttl_us * (facts->primary ? PRIMARY_SILENCE : STANDBY_SILENCE);
}

/* clang-format off */
static const Route routes[] = {
	{"/", is_leader, false, http_write_status, NULL},
	{"/primary", is_leader, false, http_write_status, NULL},
	{"/master", is_leader, false, http_write_status, NULL},
	{"/leader", is_leader, false, http_write_status, NULL},
	{"/read-write", is_leader, false, http_write_status, NULL},
	{"/standby-leader", is_standby_leader, false, http_write_status, NULL},
	{"/standby_leader", is_standby_leader, false, http_write_status, NULL},
	{"/replica", is_replica, true, http_write_status, NULL},
	{"/read-only", can_read, true, http_write_status, NULL},
	{"/synchronous", is_synchronous, true, http_write_status, NULL},
	{"/sync", is_synchronous, true, http_write_status, NULL},
	{"/read-only-sync", can_read_synchronous, true, http_write_status, NULL},
	{"/quorum", is_quorum, true, http_write_status, NULL},
	{"/read-only-quorum", can_read_quorum, true, http_write_status, NULL},
	{"/asynchronous", is_asynchronous, true, http_write_status, NULL},
	{"/async", is_asynchronous, true, http_write_status, NULL},
	{"/health", is_running, true, http_write_status, NULL},
	{"/liveness", is_alive, false, NULL, NULL},
	{"/readiness", is_running, true, NULL, NULL},
	{"/patroni", NULL, false, http_write_status, NULL},
	{"/cluster", NULL, false, http_write_cluster, NULL},
	{"/config", NULL, false, http_write_config, "PATCH, PUT"},
	{"/history", NULL, false, http_write_history, NULL},
	{"/metrics", NULL, false, http_write_metrics, NULL},
	{"/failover", NULL, false, NULL, "POST"},
	{"/failsafe", NULL, false, NULL, "POST"},
	{"/reinitialize", NULL, false, NULL, "POST"},
	{"/reload", NULL, false, NULL, "POST"},
	{"/restart", NULL, false, NULL, "POST, DELETE"},
	{"/switchover", NULL, false, NULL, "POST, DELETE"},
};
/* clang-format on */

static const char reading_methods[] = "GET, HEAD, OPTIONS";
static const char other_methods[] = "POST, PUT, PATCH, DELETE, TRACE, CONNECT";

/*
 * Arguments
 */

static const char *
find_argument(const HttpRequest *request, const char *name)
{
	for (int i = 0; i < request->narguments; i++)
		if (strcmp(request->arguments[i].name, name) == 0)
			return request->arguments[i].value;
	return NULL;
}

static bool
is_text_of(json_object *value, const char *text)
{
	if (json_object_is_type(value, json_type_string))
		return strcmp(json_object_get_string(value), text) == 0;
	return strcmp(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN), text) == 0;
}

/* Has this member all the tags that the request asks for? */
static bool
has_tags_asked(const HttpFacts *facts, const HttpRequest *request)
{
	for (int i = 0; i < request->narguments; i++)
	{
		const HttpArgument *argument = &request->arguments[i];
		json_object *value;

		if (strncmp(argument->name, "tag_", 4) != 0)
			continue;
		if (!json_object_object_get_ex(facts->tags, argument->name + 4, &value) || value == NULL ||
			!is_text_of(value, argument->value))
			return false;
	}
	return true;
}

/*
 * Answers
 */

bool
http_is_path(const char *path, const char *known)
{
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		length--;
	return strlen(known) == length && strncmp(known, path, length) == 0;
}

static const Route *
find_route(const char *path)
{
	for (size_t i = 0; i < lengthof(routes); i++)
		if (http_is_path(path, routes[i].path))
			return &routes[i];
	return NULL;
}

/* Is the method one of "GET, HEAD, ..."? */
static bool
is_one_of(const char *method, const char *methods)
{
	size_t length = strlen(method);

	for (; methods != NULL && length > 0; methods = strchr(methods, ' '))
	{
		methods += strspn(methods, " ");
		if (strncmp(methods, method, length) == 0 && strchr(",", methods[length]) != NULL)
			return true;
	}
	return false;
}

/* Something to be looked at, rather than an action. */
static bool
can_be_read(const Route *route)
{
	return route->check != NULL || route->write != NULL;
}

/* Its actions do not come here. */
static void
refuse_method(const HttpRequest *request, const Route *route, HttpAnswer *answer)
{
	bool known =
		is_one_of(request->method, reading_methods) || is_one_of(request->method, other_methods);

	answer->allow = route->actions == NULL ? reading_methods : route->actions;
	if (route->actions != NULL && can_be_read(route))
		answer->allow = psprintf("%s, %s", reading_methods, route->actions);
	http_answer_error(answer, known ? HTTP_METHOD_NOT_ALLOWED : HTTP_NOT_IMPLEMENTED,
					  psprintf("%s knows only %s", route->path, answer->allow));
}

/* A standby that is too far behind is as good as none; a leader never is. */
static bool
is_near_enough(const HttpFacts *facts, double limit)
{
	return facts->primary || (double) facts->lag <= limit;
}

static void
answer_read(const HttpRequest *request, const Route *route, HttpAnswer *answer)
{
	const char *lag = find_argument(request, "lag");
	double limit = HUGE_VAL;
	HttpFacts facts;

	if (route->of_tags && lag != NULL && !http_parse_bytes(lag, &limit))
	{
		http_answer_error(answer, HTTP_BAD_REQUEST,
						  "lag is a number of bytes, or one with a unit such as 16MB");
		return;
	}
	http_facts_look(&facts);
	if (route->check != NULL && !route->check(&facts))
		answer->status = HTTP_UNAVAILABLE;
	if (route->of_tags && (!is_near_enough(&facts, limit) || !has_tags_asked(&facts, request)))
		answer->status = HTTP_UNAVAILABLE;
	if (strcmp(request->method, "OPTIONS") == 0)
		answer->allow = reading_methods;
	else if (route->write != NULL)
		route->write(&facts, answer);
}

void
http_answer(const HttpRequest *request, HttpAnswer *answer)
{
	const Route *route = find_route(request->path);

	memset(answer, 0, sizeof(*answer));
	initStringInfo(&answer->body);
	answer->status = HTTP_OK;
	if (route == NULL)
		http_answer_error(answer, HTTP_NOT_FOUND, "there is no such path");
	else if (can_be_read(route) && is_one_of(request->method, reading_methods))
		answer_read(request, route, answer);
	else
		refuse_method(request, route, answer);
}
