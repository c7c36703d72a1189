/*-------------------------------------------------------------------------
 * exchange.c
 *	  From the bytes of a request to those of its answer.
 *
 * libmicrohttpd calls these functions at the head of a request, for each
 * piece of its body, and at its end.  No error leaves one of them; it becomes
 * an answer with status 500.
 *
 * Who asks is looked at before a body is kept, and only a request that
 * changes something has a use for one.  What the agent has to do takes its
 * time: the connection is put aside meanwhile, and all others go on.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <netdb.h>
#include <sys/socket.h>

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "http/access.h"
#include "http/exchange.h"
#include "http/tls.h"

/* An agent that was stopped in the wrong moment must not hold up other clients. */
#define ATTEND_US 20000

static HttpExchange exchanges[HTTP_MAX_CONNECTIONS];
static int nused = 0;
static int nwaiting = 0;

HttpExchange *
http_exchanges(void)
{
	return exchanges;
}

int
http_exchanges_used(void)
{
	return nused;
}

bool
http_exchanges_wait(void)
{
	return nwaiting > 0;
}

static HttpExchange *
exchange_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

/*
 * Errors
 */

static void
recover_from_error(HttpAnswer *answer)
{
	static char sorry[] = "{\"error\":\"the request failed, see the server's log\"}";

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(TopMemoryContext);
	EmitErrorReport();
	FlushErrorState();
	LWLockReleaseAll();
	RESUME_INTERRUPTS();
	memset(answer, 0, sizeof(*answer));
	answer->status = HTTP_INTERNAL_ERROR;
	answer->content_type = "application/json";
	answer->body.data = sorry;
	answer->body.len = sizeof(sorry) - 1;
}

/*
 * Calls "work", which returns true when it has filled the answer, in the
 * memory of the exchange.  An error is an answer too.
 */
static void
guard(HttpExchange *e, bool (*work)(HttpExchange *e, const HttpRequest *request),
	  const HttpRequest *request)
{
	MemoryContext former = CurrentMemoryContext;

	PG_TRY();
	{
		if (e->context == NULL)
			e->context = AllocSetContextCreate(TopMemoryContext, "pgcluster HTTP request",
											   ALLOCSET_SMALL_SIZES);
		MemoryContextSwitchTo(e->context);
		e->answered = work(e, request);
	}
	PG_CATCH();
	{
		recover_from_error(&e->answer);
		e->answered = true;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(former);
}

/*
 * Answers
 */

static enum MHD_Result
queue_answer(struct MHD_Connection *connection, const HttpAnswer *answer)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(answer->content_type == NULL ? 0 : answer->body.len,
										answer->body.data, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (response == NULL)
		return MHD_NO;
	if (answer->content_type != NULL)
		(void) MHD_add_response_header(response, "Content-Type", answer->content_type);
	if (answer->allow != NULL)
		(void) MHD_add_response_header(response, "Allow", answer->allow);
	if (answer->authenticate != NULL)
		(void) MHD_add_response_header(response, "WWW-Authenticate", answer->authenticate);
	(void) MHD_add_response_header(response, "Cache-Control", "no-store");
	result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

/* To be called where nothing may be allocated. */
static enum MHD_Result
queue_error(struct MHD_Connection *connection, HttpStatus status, char *text)
{
	HttpAnswer answer = {.status = status,
						 .content_type = "application/json",
						 .body = {.data = text, .len = (int) strlen(text)}};

	return queue_answer(connection, &answer);
}

/*
 * The head
 */

static bool
is_local(const HttpExchange *e, const struct sockaddr *client)
{
	struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
	socklen_t length = sizeof(own);

	(void) getsockname(e->socket, (struct sockaddr *) &own, &length);
	return http_is_local(client, (struct sockaddr *) &own);
}

static const char *
header(const HttpExchange *e, const char *name)
{
	return MHD_lookup_connection_value(e->connection, MHD_HEADER_KIND, name);
}

/* True when the client is refused. */
static bool
check_client(HttpExchange *e, const HttpRequest *request)
{
	const union MHD_ConnectionInfo *address =
		MHD_get_connection_info(e->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	HttpClient client = {
		.address = address->client_addr,
		.is_local = is_local(e, address->client_addr),
		.tls = MHD_get_connection_info(e->connection, MHD_CONNECTION_INFO_PROTOCOL) != NULL,
		.from_page = header(e, "Origin") != NULL,
		.authorization = header(e, MHD_HTTP_HEADER_AUTHORIZATION)};

	HttpIntent intent = HTTP_TO_READ;

	client.certified = client.tls && http_tls_is_certified(e->connection);
	e->is_action = http_action_find(request->method, request->path, &e->kind);
	if (e->is_action)
		intent = e->kind == HTTP_FAILSAFE ? HTTP_AMONG_MEMBERS : HTTP_TO_CHANGE;
	return !http_access_check(&client, intent, &e->answer);
}

static bool
is_body_too_long(const HttpExchange *e)
{
	const char *length = header(e, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return length != NULL && strtoull(length, NULL, 10) > HTTP_MAX_BODY;
}

static enum MHD_Result
begin_request(HttpExchange *e, const HttpRequest *request)
{
	static char too_long[] = "{\"error\":\"the request's body is too long\"}";

	e->received = 0;
	e->answered = false;
	e->is_action = false;
	e->body = NULL;
	if (is_body_too_long(e))
		return queue_error(e->connection, HTTP_TOO_LARGE, too_long);
	guard(e, check_client, request);
	return MHD_YES;
}

/*
 * The body
 */

static enum MHD_Result
take_body(HttpExchange *e, const char *data, size_t size)
{
	if (size > HTTP_MAX_BODY - e->received)
		return MHD_NO;
	if (e->is_action && !e->answered)
	{
		if (e->body == NULL)
			e->body = MemoryContextAllocExtended(e->context, HTTP_MAX_BODY + 1, MCXT_ALLOC_NO_OOM);
		if (e->body == NULL)
			return MHD_NO;
		memcpy(e->body + e->received, data, size);
		e->body[e->received + size] = '\0';
	}
	/* Else it is read all the same: the client may be unable to see an answer before. */
	e->received += size;
	return MHD_YES;
}

/*
 * The end
 */

static bool
answer_read(HttpExchange *e, const HttpRequest *request)
{
	http_answer(request, &e->answer);
	if (request->is_cut)
		http_answer_error(&e->answer, HTTP_BAD_REQUEST, "there are too many arguments");
	return true;
}

static const char *
client_name(const HttpExchange *e)
{
	struct sockaddr_storage client;
	socklen_t length = sizeof(client);
	char *host = palloc(NI_MAXHOST);

	if (getpeername(e->socket, (struct sockaddr *) &client, &length) != 0 ||
		getnameinfo((struct sockaddr *) &client, length, host, NI_MAXHOST, NULL, 0,
					NI_NUMERICHOST) != 0)
		return "a client that is gone";
	return host;
}

static bool
begin_action(HttpExchange *e, const HttpRequest *request)
{
	if (nwaiting == HTTP_MAX_WAITING)
	{
		http_answer_text(&e->answer, HTTP_UNAVAILABLE, "too many requests wait for the agent");
		return true;
	}
	ereport(
		e->kind == HTTP_FAILSAFE ? DEBUG1 : LOG,
		(errmsg("HTTP request from %s: %s %s", client_name(e), request->method, request->path)));
	return http_action_begin(e->kind, e->body, e->body == NULL ? 0 : e->received, &e->wait,
							 &e->answer);
}

static enum MHD_Result
add_argument(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	HttpRequest *request = arg;

	if (request->narguments == HTTP_MAX_ARGUMENTS)
	{
		request->is_cut = true;
		return MHD_NO;
	}
	request->arguments[request->narguments++] = (HttpArgument){name, value == NULL ? "" : value};
	return MHD_YES;
}

static enum MHD_Result
finish_request(HttpExchange *e, HttpRequest *request)
{
	e->answering = true;
	if (!e->answered)
	{
		(void) MHD_get_connection_values(e->connection, MHD_GET_ARGUMENT_KIND, add_argument,
										 request);
		guard(e, e->is_action ? begin_action : answer_read, request);
	}
	if (e->answered)
		return queue_answer(e->connection, &e->answer);
	e->waiting = true;
	nwaiting++;
	MHD_suspend_connection(e->connection);
	return MHD_YES;
}

enum MHD_Result
http_on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
				const char *version, const char *data, size_t *size, void **state)
{
	HttpExchange *e = exchange_of(connection);
	HttpRequest request = {.method = method, .path = path};
	size_t piece = *size;

	if (e == NULL)
		return MHD_NO;
	if (*state == NULL)
	{
		*state = e;
		return begin_request(e, &request);
	}
	if (piece == 0)
		return finish_request(e, &request);
	*size = 0;
	return take_body(e, data, piece);
}

void
http_on_completed(void *arg, struct MHD_Connection *connection, void **state,
				  enum MHD_RequestTerminationCode code)
{
	HttpExchange *e = exchange_of(connection);

	if (e == NULL)
		return;
	e->since_us = clock_now_us();
	e->answering = false;
	e->answered = false;
	e->body = NULL;
	if (e->context != NULL)
		MemoryContextReset(e->context);
}

void
http_on_connection(void *arg, struct MHD_Connection *connection, void **context,
				   enum MHD_ConnectionNotificationCode code)
{
	HttpExchange *e = *context;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED)
	{
		if (e != NULL)
		{
			e->used = false;
			nused--;
		}
		*context = NULL;
		return;
	}
	for (int i = 0; i < HTTP_MAX_CONNECTIONS; i++)
	{
		e = &exchanges[i];
		if (e->used)
			continue;
		*e = (HttpExchange){
			.used = true,
			.socket =
				MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
			.since_us = clock_now_us(),
			.connection = connection,
			.context = e->context};
		nused++;
		*context = e;
		return;
	}
}

/*
 * Waiting for the agent
 */

static bool
poll_action(HttpExchange *e, const HttpRequest *request)
{
	return http_action_poll(&e->wait, &e->answer);
}

static bool
give_up(HttpExchange *e, const HttpRequest *request)
{
	http_action_forget(&e->wait);
	http_answer_text(&e->answer, HTTP_UNAVAILABLE, "the HTTP server is changing its settings");
	return true;
}

void
http_exchanges_attend(bool all)
{
	int64 now = clock_now_us();

	for (int i = 0; i < HTTP_MAX_CONNECTIONS && nwaiting > 0; i++)
	{
		HttpExchange *e = &exchanges[i];

		if (!e->used || !e->waiting)
			continue;
		guard(e, all ? give_up : poll_action, NULL);
		if (!e->answered && !all && clock_now_us() - now > ATTEND_US)
			return;
		if (!e->answered)
			continue;
		e->waiting = false;
		e->since_us = clock_now_us();
		nwaiting--;
		MHD_resume_connection(e->connection);
	}
}
