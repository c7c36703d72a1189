/*-------------------------------------------------------------------------
 * parse_test.c
 *	  What src/http/parse.c makes of what strangers send.
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include "http/parse.h"
#include "tap.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static void
test_numbers(void)
{
	static const struct
	{
		const char *text;
		double bytes; /* -1: none */
	} sizes[] = {{"0", 0},
				 {"1048576", 1048576},
				 {"16kB", 16384},
				 {"16KB", 16384},
				 {"1.5 GB", 1.5 * 1024 * 1024 * 1024},
				 {"10B", 10},
				 {"far", -1},
				 {"", -1},
				 {"nan", -1},
				 {"1 kB ", -1},
				 {"1x", -1}};
	static const struct
	{
		const char *text;
		int number; /* 0: none */
	} versions[] = {{"15.3", 150003}, {"16", 160000}, {"9.6.2", 90602}, {"9", 0},	 {"15.3.1", 0},
					{"", 0},		  {"x", 0},		  {"15.", 150000},	{"15.x", 0}, {"-1", 0},
					{"99999", 0},	  {"1000.1", 0},  {"9.5", 90500}},
	  seconds[] = {{"30", 30}, {"30s", 30}, {"2min", 120}, {"1h", 3600}, {"0", 0},
				   {"-3", 0},  {"x", 0},	{"1e99", 0},   {"5 s", 5}};
	double bytes;

	for (size_t i = 0; i < N_ELEMENTS(sizes); i++)
		ok(http_parse_bytes(sizes[i].text, &bytes) ? bytes == sizes[i].bytes : sizes[i].bytes == -1,
		   "\"%s\" bytes", sizes[i].text);
	for (size_t i = 0; i < N_ELEMENTS(versions); i++)
		ok(http_parse_version(versions[i].text) == versions[i].number, "version \"%s\"",
		   versions[i].text);
	for (size_t i = 0; i < N_ELEMENTS(seconds); i++)
		ok(http_parse_seconds(seconds[i].text) == seconds[i].number, "\"%s\" seconds",
		   seconds[i].text);
}

static void
test_moments(void)
{
	static const struct
	{
		const char *text;
		HttpMoment result;
		int64_t at_us;
	} moments[] = {{"2019-09-24T12:00+00", HTTP_MOMENT_OK, INT64_C(1569326400000000)},
				   {"2019-09-24T12:00Z", HTTP_MOMENT_OK, INT64_C(1569326400000000)},
				   {"2019-09-24 14:00:00+02:00", HTTP_MOMENT_OK, INT64_C(1569326400000000)},
				   {"2019-09-24T08:30:00.25 -0330", HTTP_MOMENT_OK, INT64_C(1569326400250000)},
				   {"2019-09-24T12:00:00.1234567Z", HTTP_MOMENT_OK, INT64_C(1569326400123456)},
				   {"2000-02-29T00:00Z", HTTP_MOMENT_OK, INT64_C(951782400000000)},
				   {"9999-12-31T23:59:59Z", HTTP_MOMENT_OK, INT64_C(253402300799000000)},
				   {"2019-09-24T12:00", HTTP_MOMENT_WITHOUT_ZONE, 0},
				   {"1900-02-29T00:00Z", HTTP_MOMENT_UNREADABLE, 0},
				   {"2019-02-29T00:00Z", HTTP_MOMENT_UNREADABLE, 0},
				   {"2019-13-01T00:00Z", HTTP_MOMENT_UNREADABLE, 0},
				   {"2019-00-01T00:00Z", HTTP_MOMENT_UNREADABLE, 0},
				   {"2019-09-24", HTTP_MOMENT_UNREADABLE, 0},
				   {"2019-09-24T24:00Z", HTTP_MOMENT_UNREADABLE, 0},
				   {"2019-09-24T12:00:00.Z", HTTP_MOMENT_UNREADABLE, 0},
				   {"2019-09-24T12:00+0", HTTP_MOMENT_UNREADABLE, 0},
				   {"2019-09-24T12:00+00:", HTTP_MOMENT_UNREADABLE, 0},
				   {"2019-09-24T12:00Zulu", HTTP_MOMENT_UNREADABLE, 0},
				   {"tomorrow", HTTP_MOMENT_UNREADABLE, 0},
				   {"", HTTP_MOMENT_UNREADABLE, 0}};

	for (size_t i = 0; i < N_ELEMENTS(moments); i++)
	{
		int64_t at_us = 0;
		HttpMoment result = http_parse_moment(moments[i].text, &at_us);

		ok(result == moments[i].result && at_us == moments[i].at_us, "moment \"%s\" is %" PRId64,
		   moments[i].text, at_us);
	}
}

static void
test_secrets(void)
{
	char text[64];

	ok(http_encode_credentials("user", "password", text, sizeof(text)) &&
		   strcmp(text, "dXNlcjpwYXNzd29yZA==") == 0,
	   "credentials with two pads");
	ok(http_encode_credentials("u", "p", text, sizeof(text)) && strcmp(text, "dTpw") == 0,
	   "credentials without a pad");
	ok(http_encode_credentials("u", "pp", text, sizeof(text)) && strcmp(text, "dTpwcA==") == 0 &&
		   http_encode_credentials("u", "ppp", text, sizeof(text)) && strcmp(text, "dTpwcHA=") == 0,
	   "credentials with one pad");
	ok(http_encode_credentials("", "", text, sizeof(text)) && strcmp(text, "Og==") == 0,
	   "empty credentials");
	ok(!http_encode_credentials("u", "pp", text, 8) && http_encode_credentials("u", "pp", text, 9),
	   "credentials that do not fit");
	ok(http_is_same_secret("abc", "abc"), "the same secret");
	ok(!http_is_same_secret("abd", "abc") && !http_is_same_secret("ab", "abc") &&
		   !http_is_same_secret("abcabc", "abc") && !http_is_same_secret("", "abc") &&
		   !http_is_same_secret("abc", ""),
	   "other secrets");
}

static const struct sockaddr *
address(const char *text, struct sockaddr_storage *storage)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *) storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) storage;

	memset(storage, 0, sizeof(*storage));
	storage->ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (storage->ss_family == AF_INET)
		inet_pton(AF_INET, text, &v4->sin_addr);
	else
		inet_pton(AF_INET6, text, &v6->sin6_addr);
	return (struct sockaddr *) storage;
}

static void
test_networks(void)
{
	static const struct
	{
		const char *network;
		const char *address;
		bool has;
	} cases[] = {{"10.0.0.1", "10.0.0.1", true},
				 {"10.0.0.1", "10.0.0.2", false},
				 {"10.0.0.0/8", "10.9.8.7", true},
				 {"10.0.0.0/8", "11.0.0.0", false},
				 {"10.0.0.1/24", "10.0.0.9", true},
				 {"10.0.0.128/25", "10.0.0.127", false},
				 {"10.0.0.128/25", "10.0.0.200", true},
				 {"0.0.0.0/0", "1.2.3.4", true},
				 {"::/0", "::1", true},
				 {"::/0", "1.2.3.4", false},
				 {"fe80::/10", "febf::1", true},
				 {"fe80::/10", "fec0::1", false},
				 {"10.0.0.0/8", "::ffff:10.1.2.3", true},
				 {"::1", "::1", true}};
	static const char *const bad[] = {
		"",			 "10.0.0",		"10.0.0.1/33", "10.0.0.1/",	  "::1/129",
		"host.name", "10.0.0.1/-1", "10.0.0.1/8x", "10.0.0.1/+8", "1:2"};
	struct sockaddr_storage storage;
	struct sockaddr_storage own;
	HttpNetwork network;

	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		ok(http_parse_network(cases[i].network, &network) &&
			   http_network_has(&network, address(cases[i].address, &storage)) == cases[i].has,
		   "%s %s %s", cases[i].network, cases[i].has ? "has" : "does not have", cases[i].address);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		ok(!http_parse_network(bad[i], &network), "\"%s\" is no network", bad[i]);
	ok(http_is_local(address("127.0.0.9", &storage), address("10.0.0.1", &own)) &&
		   http_is_local(address("::1", &storage), address("10.0.0.1", &own)) &&
		   http_is_local(address("::ffff:127.0.0.1", &storage), address("::1", &own)),
	   "loopback is local");
	ok(http_is_local(address("10.0.0.1", &storage), address("10.0.0.1", &own)) &&
		   http_is_local(address("fd00::1", &storage), address("fd00::1", &own)),
	   "the own address is local");
	ok(!http_is_local(address("10.0.0.2", &storage), address("10.0.0.1", &own)) &&
		   !http_is_local(address("fd00::2", &storage), address("fd00::1", &own)) &&
		   !http_is_local(address("fd00::2", &storage), address("10.0.0.1", &own)),
	   "another address is not");
}

static int
parse(HttpActionKind kind, const char *body, HttpAction *action)
{
	int status = http_parse_action(kind, body, strlen(body), action);

	if (action->document != NULL)
		json_object_put(action->document);
	return status;
}

static void
test_bodies(void)
{
	static const struct
	{
		HttpActionKind kind;
		const char *body;
		int status;
	} cases[] = {
		{HTTP_SWITCHOVER, "", 400},
		{HTTP_SWITCHOVER, "{}", 400},
		{HTTP_SWITCHOVER, "[]", 400},
		{HTTP_SWITCHOVER, "null", 400},
		{HTTP_SWITCHOVER, "{\"leader\":\"a\"} x", 400},
		{HTTP_SWITCHOVER, "{\"leader\":\"a\"", 400},
		{HTTP_SWITCHOVER, "{'leader':'a'}", 400},
		{HTTP_SWITCHOVER, "{\"leader\":\"a\"}\r\n", 0},
		{HTTP_SWITCHOVER, "{\"leader\":1}", 400},
		{HTTP_SWITCHOVER, "{\"leader\":\"a\\u0000b\"}", 400},
		{HTTP_SWITCHOVER, "{\"leader\":\"a\",\"scheduled_at\":\"2030-01-01T00:00\"}", 400},
		{HTTP_SWITCHOVER, "{\"leader\":\"a\",\"scheduled_at\":\"soon\"}", 422},
		{HTTP_SWITCHOVER, "{\"leader\":\"a\",\"scheduled_at\":5}", 422},
		{HTTP_SWITCHOVER, "{\"leader\":\"a\",\"scheduled_at\":\"\"}", 0},
		{HTTP_SWITCHOVER, "{\"leader\":\"a\",\"more\":{}}", 0},
		{HTTP_CANCEL_SWITCHOVER, "anything", 0},
		{HTTP_RELOAD, "anything", 0},
		{HTTP_RESTART, "", 0},
		{HTTP_RESTART, "{}", 0},
		{HTTP_RESTART, "{\"restart_pending\":true,\"role\":\"master\"}", 0},
		{HTTP_RESTART, "{\"restart_pending\":\"yes\"}", 400},
		{HTTP_RESTART, "{\"role\":\"leader\"}", 400},
		{HTTP_RESTART, "{\"postgres_version\":\"15.3\",\"timeout\":30}", 0},
		{HTTP_RESTART, "{\"postgres_version\":15}", 400},
		{HTTP_RESTART, "{\"timeout\":\"never\"}", 400},
		{HTTP_RESTART, "{\"timeout\":true}", 400},
		{HTTP_RESTART, "{\"unknown\":1}", 400},
		{HTTP_REINITIALIZE, "", 0},
		{HTTP_REINITIALIZE, "{\"force\":1}", 400},
		{HTTP_PATCH_CONFIG, "", 400},
		{HTTP_PATCH_CONFIG, "{\"ttl\":5}", 0},
		{HTTP_PATCH_CONFIG, "{\"ttl\":nope}", 400},
		{HTTP_PUT_CONFIG, "[1]", 400},
		{HTTP_FAILSAFE, "{\"name\":\"a\"}", 0},
	};
	HttpAction action;
	char deep[200];

	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
	{
		int status = parse(cases[i].kind, cases[i].body, &action);

		ok(status == cases[i].status && (status == 0) == (action.reason[0] == '\0'), "%s: %d %s",
		   cases[i].body, status, action.reason);
	}
	ok(parse(HTTP_SWITCHOVER,
			 "{\"leader\":\"a\",\"candidate\":null,\"scheduled_at\":\"1970-01-01T01:00:01+01\"}",
			 &action) == 0 &&
		   strcmp(action.leader, "a") == 0 && action.candidate[0] == '\0' && action.scheduled &&
		   action.at_us == 1000000,
	   "what a switchover is given");
	ok(parse(HTTP_FAILOVER, "{\"member\":\"b\"}", &action) == 0 &&
		   strcmp(action.candidate, "b") == 0 && !action.scheduled,
	   "what a failover is given");
	ok(parse(HTTP_RESTART,
			 "{\"role\":\"replica\",\"restart_pending\":true,\"postgres_version\":\"15.4\","
			 "\"timeout\":\"30\"}",
			 &action) == 0 &&
		   action.role == HTTP_ROLE_REPLICA && action.pending_only &&
		   action.below_version == 150004 && action.timeout == 30,
	   "what a restart is given");
	ok(parse(HTTP_REINITIALIZE, "{\"force\":true,\"from-leader\":true}", &action) == 0 &&
		   action.force,
	   "what a reinitialization is given");
	memset(deep, '[', sizeof(deep));
	memcpy(deep, "{\"a\":", 5);
	deep[sizeof(deep) - 1] = '\0';
	ok(parse(HTTP_PATCH_CONFIG, deep, &action) == 400, "a body that is too deep");
	ok(http_parse_action(HTTP_PATCH_CONFIG, "{\"a\":1}\0", 8, &action) == 400,
	   "a body with a NUL byte");
}

int
main(void)
{
	test_numbers();
	test_moments();
	test_secrets();
	test_networks();
	test_bodies();
	return done_testing();
}
