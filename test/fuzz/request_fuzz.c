/*-------------------------------------------------------------------------
 * request_fuzz.c
 *	  Feeds src/http/parse.c with whatever libFuzzer thinks of.
 *
 * The first byte chooses what the rest is: the body of an action, or one of
 * the texts in a path or header.
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "http/parse.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int condition)
{
	if (!condition)
		abort();
}

static void
try_action(HttpActionKind kind, const char *body, size_t length)
{
	HttpAction action;
	int status = http_parse_action(kind, body, length, &action);

	require(status == 0 || status == 400 || status == 422);
	require((status == 0) == (action.reason[0] == '\0'));
	require(strlen(action.leader) < HTTP_NAME_SIZE && strlen(action.candidate) < HTTP_NAME_SIZE);
	require(action.role <= HTTP_ROLE_STANDBY_LEADER);
	require(action.timeout >= 0 && action.below_version >= 0);
	require(action.document == NULL || status == 0);
	if (action.document != NULL)
	{
		require(json_object_is_type(action.document, json_type_object));
		require(json_object_to_json_string(action.document) != NULL);
		json_object_put(action.document);
	}
}

static void
try_network(const char *text)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	HttpNetwork network;

	if (!http_parse_network(text, &network))
		return;
	require(network.bits >= 0 && network.bits <= (network.family == AF_INET ? 32 : 128));
	require(!http_network_has(&network, (struct sockaddr *) &v4) || network.family == AF_INET);
	require(!http_network_has(&network, (struct sockaddr *) &v6) || network.family == AF_INET6);
}

static void
try_credentials(const char *text)
{
	char encoded[256];
	size_t length = strlen(text);

	if (http_encode_credentials(text, text, encoded, sizeof(encoded)))
		require(strlen(encoded) == (2 * length + 1 + 2) / 3 * 4);
	else
		require((2 * length + 1 + 2) / 3 * 4 >= sizeof(encoded));
	require(http_is_same_secret(text, text));
	require(!http_is_same_secret(text, "a secret") || strcmp(text, "a secret") == 0);
}

static void
try_texts(const char *text)
{
	double bytes;
	int64_t at_us;

	(void) http_parse_bytes(text, &bytes);
	require(http_parse_version(text) >= 0);
	require(http_parse_seconds(text) >= 0);
	if (http_parse_moment(text, &at_us) == HTTP_MOMENT_OK)
		require(at_us > -INT64_C(86400000000) && at_us < INT64_C(253402387200000000));
	try_network(text);
	try_credentials(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size < 1)
		return 0;
	text = malloc(size);
	require(text != NULL);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (data[0] % (N_HTTP_ACTIONS + 1) < N_HTTP_ACTIONS)
		try_action(data[0] % (N_HTTP_ACTIONS + 1), text, size - 1);
	else
		try_texts(text);
	free(text);
	return 0;
}
