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

#include "http/documents.h"
#include "http/parse.h"
#include "http/routes.h"

/* How long the agent may be silent, in ttl; a standby's does less that matters. */
#define PRIMARY_SILENCE 1
#define STANDBY_SILENCE 2
#define DEFAULT_TTL_US (INT64CONST(30) * 1000000)

typedef bool (*Check)(const HttpFacts *facts);
typedef void (*Writer)(const HttpFacts *facts, HttpAnswer *answer);

/* What an argument can be about. */
typedef enum HttpArguments
{
	OF_NOTHING,
	OF_TAGS,   /* tag_NAME=VALUE */
	OF_STANDBY /* and lag=SIZE, replication_state=STATE */
} HttpArguments;

typedef struct Route
{
	const char *path;
	Check check;		 /* NULL: always yes */
	HttpArguments of;	 /* arguments that are part of the question */
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

static bool
is_standby_leader(const HttpFacts *facts)
{
	return facts->standby_leader;
}

/* Of a cluster or of a standby cluster. */
static bool
is_any_leader(const HttpFacts *facts)
{
	return facts->leads || facts->standby_leader;
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
	return facts->running && !facts->primary && !facts->standby_leader &&
		   !has_true_tag(facts, "noloadbalance");
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
	return is_any_leader(facts) || is_replica(facts);
}

static bool
can_read_synchronous(const HttpFacts *facts)
{
	return is_any_leader(facts) || is_synchronous(facts);
}

static bool
can_read_quorum(const HttpFacts *facts)
{
	return is_any_leader(facts) || is_quorum(facts);
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
	if (facts->picture->paused)
		return true;
	return facts->turn_age_us <= ttl_us * (facts->primary ? PRIMARY_SILENCE : STANDBY_SILENCE);
}

/* Where nobody leads there is nothing to replicate. */
static bool
is_ready(const HttpFacts *facts)
{
	if (facts->primary)
		return facts->leads;
	return facts->running && (facts->standby_leader || facts->streaming || facts->from_archive ||
							  facts->picture->holder[0] == '\0');
}

/* clang-format off */
static const Route routes[] = {
	{"/", is_leader, OF_NOTHING, http_write_status, NULL},
	{"/primary", is_leader, OF_NOTHING, http_write_status, NULL},
	{"/master", is_leader, OF_NOTHING, http_write_status, NULL},
	{"/leader", is_any_leader, OF_NOTHING, http_write_status, NULL},
	{"/read-write", is_leader, OF_NOTHING, http_write_status, NULL},
	{"/standby-leader", is_standby_leader, OF_NOTHING, http_write_status, NULL},
	{"/standby_leader", is_standby_leader, OF_NOTHING, http_write_status, NULL},
	{"/replica", is_replica, OF_STANDBY, http_write_status, NULL},
	{"/read-only", can_read, OF_STANDBY, http_write_status, NULL},
	{"/synchronous", is_synchronous, OF_STANDBY, http_write_status, NULL},
	{"/sync", is_synchronous, OF_STANDBY, http_write_status, NULL},
	{"/read-only-sync", can_read_synchronous, OF_STANDBY, http_write_status, NULL},
	{"/read-only-synchronous", can_read_synchronous, OF_STANDBY, http_write_status, NULL},
	{"/quorum", is_quorum, OF_STANDBY, http_write_status, NULL},
	{"/read-only-quorum", can_read_quorum, OF_STANDBY, http_write_status, NULL},
	{"/asynchronous", is_asynchronous, OF_STANDBY, http_write_status, NULL},
	{"/async", is_asynchronous, OF_STANDBY, http_write_status, NULL},
	{"/health", is_running, OF_TAGS, http_write_status, NULL},
	{"/liveness", is_alive, OF_NOTHING, NULL, NULL},
	{"/readiness", is_ready, OF_STANDBY, NULL, NULL},
	{"/patroni", NULL, OF_NOTHING, http_write_status, NULL},
	{"/cluster", NULL, OF_NOTHING, http_write_cluster, NULL},
	{"/config", NULL, OF_NOTHING, http_write_config, "PATCH, PUT"},
	{"/history", NULL, OF_NOTHING, http_write_history, NULL},
	{"/metrics", NULL, OF_NOTHING, http_write_metrics, NULL},
	{"/failover", NULL, OF_NOTHING, NULL, "POST"},
	{"/failsafe", NULL, OF_NOTHING, NULL, "POST"},
	{"/reinitialize", NULL, OF_NOTHING, NULL, "POST"},
	{"/reload", NULL, OF_NOTHING, NULL, "POST"},
	{"/restart", NULL, OF_NOTHING, NULL, "POST, DELETE"},
	{"/switchover", NULL, OF_NOTHING, NULL, "POST, DELETE"},
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

/* How far a standby may be behind, and in what. */
typedef struct Limit
{
	bool given;
	double bytes;
	bool received; /* rather than replayed */
} Limit;

/* False: the request makes no sense, and is answered. */
static bool
read_limit(const HttpRequest *request, Limit *limit, HttpAnswer *answer)
{
	const char *lag = find_argument(request, "lag");
	const char *mode = find_argument(request, "mode");

	memset(limit, 0, sizeof(*limit));
	limit->given = lag != NULL;
	if (lag != NULL && !http_parse_bytes(lag, &limit->bytes))
	{
		http_answer_error(answer, HTTP_BAD_REQUEST,
						  "lag is a number of bytes, or one with a unit such as 16MB");
		return false;
	}
	if (mode != NULL && strcmp(mode, "apply") != 0 && strcmp(mode, "write") != 0)
	{
		http_answer_error(answer, HTTP_BAD_REQUEST, "mode is apply or write");
		return false;
	}
	limit->received = mode != NULL && strcmp(mode, "write") == 0;
	return true;
}

/* A standby that is too far behind is as good as none; a leader never is. */
static bool
is_near_enough(const HttpFacts *facts, const Route *route, const Limit *limit)
{
	bool of_readiness = route->check == is_ready;
	double bytes = limit->given ? limit->bytes : (double) facts->picture->maximum_lag;

	if (facts->primary || facts->standby_leader || (!limit->given && !of_readiness))
		return true;
	return (double) (limit->received ? facts->lag : facts->replay_lag) <= bytes;
}

static bool
replicates_as_asked(const HttpFacts *facts, const HttpRequest *request)
{
	const char *state = find_argument(request, "replication_state");

	return state == NULL || facts->primary || strcmp(state, http_facts_replication(facts)) == 0;
}

static bool
is_yes(const HttpFacts *facts, const HttpRequest *request, const Route *route, const Limit *limit)
{
	if (route->check != NULL && !route->check(facts))
		return false;
	if (route->of >= OF_TAGS && !has_tags_asked(facts, request))
		return false;
	return route->of < OF_STANDBY ||
		   (is_near_enough(facts, route, limit) && replicates_as_asked(facts, request));
}

static void
answer_read(const HttpRequest *request, const Route *route, HttpAnswer *answer)
{
	Limit limit;
	HttpFacts facts;

	if (route->of == OF_STANDBY && !read_limit(request, &limit, answer))
		return;
	http_facts_look(&facts);
	if (!is_yes(&facts, request, route, &limit))
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
