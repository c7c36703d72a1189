/*-------------------------------------------------------------------------
 * parse.h
 *	  What strangers send to the HTTP server, and what it means.
 *
 * Pure: json-c and libc, nothing of the server, so that unit tests and a
 * fuzzer link the very same object.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HTTP_PARSE_H
#define PGCLUSTER_HTTP_PARSE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define HTTP_NAME_SIZE 64
#define HTTP_REASON_SIZE 192

/* "1048576", "16kB", "1.5 GB" */
extern bool http_parse_bytes(const char *text, double *bytes);

typedef enum HttpMoment
{
	HTTP_MOMENT_OK,
	HTTP_MOMENT_WITHOUT_ZONE,
	HTTP_MOMENT_UNREADABLE
} HttpMoment;

/* ISO 8601 with a time zone, in microseconds since 1970. */
extern HttpMoment http_parse_moment(const char *text, int64_t *at_us);

/* "15.3" is 150003, "16" is 160000, "9.6.2" is 90602; 0: not a version. */
extern int http_parse_version(const char *text);

/* "30", "30s", "2min", in seconds; 0: not a number of seconds above zero. */
extern int http_parse_seconds(const char *text);

/* "user:password" as a client sends it after "Basic "; false: it does not fit. */
extern bool
http_encode_credentials(const char *user, const char *password, char *text, size_t size);

/* In a time that does not tell how much of it is right. */
extern bool http_is_same_secret(const char *given, const char *expected);

/* An address, or all that share its first bits. */
typedef struct HttpNetwork
{
	int family; /* AF_INET or AF_INET6 */
	int bits;
	unsigned char address[16];
} HttpNetwork;

/* "10.0.0.1", "10.0.0.0/8", "fe80::/10" */
extern bool http_parse_network(const char *text, HttpNetwork *network);

/* Takes an address of IPv4 in the clothes of IPv6 for what it is. */
extern bool http_network_has(const HttpNetwork *network, const struct sockaddr *address);

/* Is the client on the host that it reached at "own"? */
extern bool http_is_local(const struct sockaddr *client, const struct sockaddr *own);

/* What changes something. */
typedef enum HttpActionKind
{
	HTTP_SWITCHOVER,
	HTTP_FAILOVER,
	HTTP_CANCEL_SWITCHOVER,
	HTTP_RESTART,
	HTTP_CANCEL_RESTART,
	HTTP_RELOAD,
	HTTP_REINITIALIZE,
	HTTP_PATCH_CONFIG,
	HTTP_PUT_CONFIG,
	HTTP_FAILSAFE,
	N_HTTP_ACTIONS
} HttpActionKind;

typedef enum HttpActionRole
{
	HTTP_ROLE_ANY,
	HTTP_ROLE_PRIMARY,
	HTTP_ROLE_REPLICA,
	HTTP_ROLE_STANDBY_LEADER
} HttpActionRole;

typedef struct HttpAction
{
	HttpActionKind kind;
	char leader[HTTP_NAME_SIZE];	/* empty: not said */
	char candidate[HTTP_NAME_SIZE]; /* empty: any */
	bool scheduled;
	int64_t at_us; /* since 1970 */

	/* conditions of a restart */
	bool pending_only;
	HttpActionRole role;
	int below_version; /* 0: whatever it is */
	int timeout;	   /* seconds; 0: not said */

	bool force; /* reinitialize although that is under way */

	json_object *document; /* of configuration and failsafe; the receiver's */

	char reason[HTTP_REASON_SIZE]; /* why it is refused */
} HttpAction;

/*
 * Reads the body of a request for that action.  Returns 0, or the status to
 * refuse it with; then there is no document.
 */
extern int
http_parse_action(HttpActionKind kind, const char *body, size_t length, HttpAction *action);

#endif
