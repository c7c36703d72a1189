/*-------------------------------------------------------------------------
 * routes.h
 *	  From a request to its answer, free of sockets and of libmicrohttpd.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HTTP_ROUTES_H
#define PGCLUSTER_HTTP_ROUTES_H

#include "lib/stringinfo.h"

#define HTTP_MAX_ARGUMENTS 32

typedef enum HttpStatus
{
	HTTP_OK = 200,
	HTTP_ACCEPTED = 202,
	HTTP_BAD_REQUEST = 400,
	HTTP_UNAUTHORIZED = 401,
	HTTP_FORBIDDEN = 403,
	HTTP_NOT_FOUND = 404,
	HTTP_METHOD_NOT_ALLOWED = 405,
	HTTP_CONFLICT = 409,
	HTTP_PRECONDITION_FAILED = 412,
	HTTP_TOO_LARGE = 413,
	HTTP_UNPROCESSABLE = 422,
	HTTP_INTERNAL_ERROR = 500,
	HTTP_NOT_IMPLEMENTED = 501,
	HTTP_BAD_GATEWAY = 502,
	HTTP_UNAVAILABLE = 503
} HttpStatus;

/* One of the query string, decoded; the value is "" when there is none. */
typedef struct HttpArgument
{
	const char *name;
	const char *value;
} HttpArgument;

typedef struct HttpRequest
{
	const char *method;
	const char *path; /* decoded, without the query string */
	int narguments;
	HttpArgument arguments[HTTP_MAX_ARGUMENTS];
	bool is_cut; /* there were more */
} HttpRequest;

typedef struct HttpAnswer
{
	HttpStatus status;
	const char *content_type; /* NULL: there is no body */
	const char *allow;		  /* methods, NULL: not said */
	const char *authenticate; /* how to; NULL: not said */
	StringInfoData body;
} HttpAnswer;

/* Fills the answer, in the current memory context.  Errors are for the caller to catch. */
extern void http_answer(const HttpRequest *request, HttpAnswer *answer);

/* Whether the path ends with "/" makes no difference. */
extern bool http_is_path(const char *path, const char *known);

/* Makes it {"error": message}. */
extern void http_answer_error(HttpAnswer *answer, HttpStatus status, const char *message);

/* Makes it plain text, as actions are answered. */
extern void http_answer_text(HttpAnswer *answer, HttpStatus status, const char *message);

#endif
