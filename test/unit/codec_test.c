/*-------------------------------------------------------------------------
 * codec_test.c
 *	  Tests of src/dcs/codec.c: what is sent to etcd, what its answers mean,
 *	  and that no bytes at all make it stumble.
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dcs/codec.h"
#include "tap.h"

#define lengthof(array) (sizeof(array) / sizeof((array)[0]))
#define HEADER "\"header\":{\"revision\":\"7\"}"
#define KV "{\"key\":\"YQ==\",\"create_revision\":\"2\",\"mod_revision\":\"3\",\"value\":\"Yg==\"}"

/* ---- Requests ---- */

static void
body_is(char *body, const char *expected, const char *name)
{
	if (!ok(body != NULL && strcmp(body, expected) == 0, "request: %s", name))
		printf("# %s\n# expected %s\n", body ? body : "NULL", expected);
	free(body);
}

static void
test_requests(void)
{
	DcsCompare compares[] = {{DCS_CREATE_REVISION_IS, "a", 0},
							 {DCS_MOD_REVISION_IS, "b", 12},
							 {DCS_MOD_REVISION_IS, "a", INT64_MAX}};
	DcsWrite writes[] = {{"a", "x", 5}, {"b", "", 0}, {"c", NULL, 5}};

	body_is(codec_grant_request(5), "{\"TTL\":\"5\"}", "grant");
	body_is(codec_lease_request(INT64_MIN), "{\"ID\":\"-9223372036854775808\"}", "lease");
	body_is(codec_range_request("a", false), "{\"key\":\"YQ==\"}", "one key");
	body_is(codec_range_request("ab/", true), "{\"key\":\"YWIv\",\"range_end\":\"YWIw\"}",
			"a prefix");
	body_is(codec_range_request("", true), "{\"key\":\"AA==\",\"range_end\":\"AA==\"}",
			"everything");
	body_is(codec_range_request("a\xff\xff", true), "{\"key\":\"Yf//\",\"range_end\":\"Yg==\"}",
			"a prefix that ends in 0xff");
	body_is(codec_range_request("\xff", true), "{\"key\":\"/w==\",\"range_end\":\"AA==\"}",
			"a prefix of nothing but 0xff");
	body_is(codec_latest_request("ab/"),
			"{\"key\":\"YWIv\",\"range_end\":\"YWIw\",\"limit\":\"1\",\"keys_only\":true,"
			"\"sort_order\":\"DESCEND\",\"sort_target\":\"MOD\"}",
			"the latest key");
	body_is(
		codec_watch_request("ab/", 8),
		"{\"create_request\":{\"key\":\"YWIv\",\"range_end\":\"YWIw\",\"start_revision\":\"8\"}}",
		"watch");
	body_is(
		codec_txn_request(compares, 3, writes, 3),
		"{\"compare\":["
		"{\"key\":\"YQ==\",\"result\":\"EQUAL\",\"target\":\"CREATE\",\"create_revision\":\"0\"},"
		"{\"key\":\"Yg==\",\"result\":\"EQUAL\",\"target\":\"MOD\",\"mod_revision\":\"12\"},"
		"{\"key\":\"YQ==\",\"result\":\"EQUAL\",\"target\":\"MOD\","
		"\"mod_revision\":\"9223372036854775807\"}],"
		"\"success\":[{\"request_put\":{\"key\":\"YQ==\",\"value\":\"eA==\",\"lease\":\"5\"}},"
		"{\"request_put\":{\"key\":\"Yg==\",\"value\":\"\"}},"
		"{\"request_delete_range\":{\"key\":\"Yw==\"}}],"
		"\"failure\":[{\"request_range\":{\"key\":\"YQ==\"}},"
		"{\"request_range\":{\"key\":\"Yg==\"}}]}",
		"transaction; a key compared twice is read once");
	body_is(codec_authenticate_request("a\"b", "\\\n\x01"),
			"{\"name\":\"a\\\"b\",\"password\":\"\\\\\\u000a\\u0001\"}", "user and password");
}

/* ---- Answers ---- */

typedef struct AnswerCase
{
	const char *name;
	CodecVerb verb;
	long http_status;
	const char *text;
	DcsStatus status;
	const char *shown; /* see show() */
} AnswerCase;

/* clang-format off */
static const AnswerCase answer_cases[] = {
	{"grant", CODEC_GRANT, 200, "{" HEADER ",\"ID\":\"99\",\"TTL\":\"5\"}", DCS_OK, "rev 7 lease 99 ttl 5"},
	{"grant with plain numbers", CODEC_GRANT, 200, "{\"header\":{\"revision\":7},\"ID\":99,\"TTL\":5}", DCS_OK, "rev 7 lease 99 ttl 5"},
	{"grant without lease", CODEC_GRANT, 200, "{" HEADER ",\"TTL\":\"5\"}", DCS_GARBAGE, NULL},
	{"grant of no time", CODEC_GRANT, 200, "{" HEADER ",\"ID\":\"99\"}", DCS_GARBAGE, NULL},
	{"grant without header", CODEC_GRANT, 200, "{\"ID\":\"99\",\"TTL\":\"5\"}", DCS_GARBAGE, NULL},
	{"grant with too long a time", CODEC_GRANT, 200, "{" HEADER ",\"ID\":\"99\",\"TTL\":\"5000000000\"}", DCS_GARBAGE, NULL},
	{"keep-alive", CODEC_KEEPALIVE, 200, "{\"result\":{" HEADER ",\"ID\":\"99\",\"TTL\":\"5\"}}", DCS_OK, "rev 7 lease 99 ttl 5"},
	{"keep-alive of a lease that is gone", CODEC_KEEPALIVE, 200, "{\"result\":{" HEADER ",\"ID\":\"99\"}}", DCS_LEASE_GONE, "rev 7 lease 99"},
	{"keep-alive, no word of the lease", CODEC_KEEPALIVE, 200, "{\"result\":{" HEADER "}}", DCS_GARBAGE, NULL},
	{"keep-alive, nothing", CODEC_KEEPALIVE, 200, "{}", DCS_GARBAGE, NULL},
	{"keep-alive, error in the stream", CODEC_KEEPALIVE, 200, "{\"error\":{\"grpc_code\":14,\"message\":\"no leader\"}}", DCS_UNREACHABLE, "code 14 nothing-done"},
	{"revoke", CODEC_REVOKE, 200, "{" HEADER "}", DCS_OK, "rev 7"},
	{"revoke of a lease that is gone", CODEC_REVOKE, 404, "{\"error\":\"etcdserver: requested lease not found\",\"message\":\"etcdserver: requested lease not found\",\"code\":5}", DCS_LEASE_GONE, "code 5 nothing-done"},
	{"nothing found", CODEC_RANGE, 200, "{" HEADER "}", DCS_OK, "rev 7"},
	{"null counts as absent", CODEC_RANGE, 200, "{" HEADER ",\"kvs\":null}", DCS_OK, "rev 7"},
	{"one key", CODEC_RANGE, 200, "{" HEADER ",\"kvs\":[" KV "],\"count\":\"1\"}", DCS_OK, "rev 7 a=b(2,3,0)"},
	{"two keys, a lease, no value", CODEC_RANGE, 200, "{" HEADER ",\"kvs\":[" KV ",{\"key\":\"YWI=\",\"lease\":\"-9\",\"create_revision\":\"1\",\"mod_revision\":\"1\"}]}", DCS_OK, "rev 7 a=b(2,3,0) ab=(1,1,-9)"},
	{"space around", CODEC_RANGE, 200, " \r\n{" HEADER " }\n ", DCS_OK, "rev 7"},
	{"a key with a NUL is not shown", CODEC_RANGE, 200, "{" HEADER ",\"kvs\":[{\"key\":\"YQBi\",\"create_revision\":\"2\",\"mod_revision\":\"3\"}," KV "]}", DCS_OK, "rev 7 a=b(2,3,0)"},
	{"a value is cut at its NUL", CODEC_RANGE, 200, "{" HEADER ",\"kvs\":[{\"key\":\"YQ==\",\"value\":\"YgBj\",\"create_revision\":\"2\",\"mod_revision\":\"3\"}]}", DCS_OK, "rev 7 a=b(2,3,0)"},
	{"range without revision", CODEC_RANGE, 200, "{\"header\":{}}", DCS_GARBAGE, NULL},
	{"negative revision", CODEC_RANGE, 200, "{\"header\":{\"revision\":\"-7\"}}", DCS_GARBAGE, NULL},
	{"revision beyond 64 bits", CODEC_RANGE, 200, "{\"header\":{\"revision\":\"9223372036854775808\"}}", DCS_GARBAGE, NULL},
	{"plain revision beyond 64 bits", CODEC_RANGE, 200, "{\"header\":{\"revision\":99999999999999999999}}", DCS_GARBAGE, NULL},
	{"broken revision", CODEC_RANGE, 200, "{\"header\":{\"revision\":1.5}}", DCS_GARBAGE, NULL},
	{"revision with a tail", CODEC_RANGE, 200, "{\"header\":{\"revision\":\"7x\"}}", DCS_GARBAGE, NULL},
	{"revision with a NUL", CODEC_RANGE, 200, "{\"header\":{\"revision\":\"7\\u0000\"}}", DCS_GARBAGE, NULL},
	{"revision with a space", CODEC_RANGE, 200, "{\"header\":{\"revision\":\" 7\"}}", DCS_GARBAGE, NULL},
	{"empty revision", CODEC_RANGE, 200, "{\"header\":{\"revision\":\"\"}}", DCS_GARBAGE, NULL},
	{"keys are no array", CODEC_RANGE, 200, "{" HEADER ",\"kvs\":{}}", DCS_GARBAGE, NULL},
	{"a key is no object", CODEC_RANGE, 200, "{" HEADER ",\"kvs\":[\"a\"]}", DCS_GARBAGE, NULL},
	{"a key is null", CODEC_RANGE, 200, "{" HEADER ",\"kvs\":[null]}", DCS_GARBAGE, NULL},
	{"a key without name", CODEC_RANGE, 200, "{" HEADER ",\"kvs\":[{\"create_revision\":\"2\",\"mod_revision\":\"3\"}]}", DCS_GARBAGE, NULL},
	{"a key without revision", CODEC_RANGE, 200, "{" HEADER ",\"kvs\":[{\"key\":\"YQ==\"}]}", DCS_GARBAGE, NULL},
	{"base64 of odd length", CODEC_RANGE, 200, "{" HEADER ",\"kvs\":[{\"key\":\"YQ=\",\"create_revision\":\"2\",\"mod_revision\":\"3\"}]}", DCS_GARBAGE, NULL},
	{"base64 with a foreign letter", CODEC_RANGE, 200, "{" HEADER ",\"kvs\":[{\"key\":\"Y_==\",\"create_revision\":\"2\",\"mod_revision\":\"3\"}]}", DCS_GARBAGE, NULL},
	{"base64 with padding inside", CODEC_RANGE, 200, "{" HEADER ",\"kvs\":[{\"key\":\"YQ==YQ==\",\"create_revision\":\"2\",\"mod_revision\":\"3\"}]}", DCS_GARBAGE, NULL},
	{"base64 with a NUL", CODEC_RANGE, 200, "{" HEADER ",\"kvs\":[{\"key\":\"YQ\\u0000=\",\"create_revision\":\"2\",\"mod_revision\":\"3\"}]}", DCS_GARBAGE, NULL},
	{"transaction done", CODEC_TXN, 200, "{" HEADER ",\"succeeded\":true,\"responses\":[{\"response_put\":{}}]}", DCS_OK, "rev 7"},
	{"transaction not done", CODEC_TXN, 200, "{" HEADER ",\"responses\":[{\"response_range\":{\"kvs\":[" KV "]}},{\"response_range\":{\"header\":{}}}]}", DCS_COMPARE_FAILED, "rev 7 a=b(2,3,0)"},
	{"transaction that says nothing", CODEC_TXN, 200, "{" HEADER "}", DCS_GARBAGE, NULL},
	{"transaction that did not, yet put", CODEC_TXN, 200, "{" HEADER ",\"responses\":[{\"response_put\":{}}]}", DCS_GARBAGE, NULL},
	{"transaction done perhaps", CODEC_TXN, 200, "{" HEADER ",\"succeeded\":\"true\"}", DCS_GARBAGE, NULL},
	{"watch begins", CODEC_WATCH, 200, "{\"result\":{" HEADER ",\"created\":true}}", DCS_OK, "rev 7 created"},
	{"watch tells", CODEC_WATCH, 200, "{\"result\":{" HEADER ",\"events\":[{\"kv\":" KV "},{\"type\":\"PUT\",\"kv\":" KV "},{\"type\":\"DELETE\",\"kv\":{\"key\":\"YQ==\",\"mod_revision\":\"4\"}}]}}", DCS_OK, "rev 7 a=b(2,3,0) a=b(2,3,0) -a(0,4,0)"},
	{"watch of lost history", CODEC_WATCH, 200, "{\"result\":{\"header\":{},\"canceled\":true,\"compact_revision\":\"3\"}}", DCS_REFUSED, "canceled compacted 3"},
	{"watch canceled", CODEC_WATCH, 200, "{\"result\":{\"header\":{},\"created\":true,\"canceled\":true,\"cancel_reason\":\"why\"}}", DCS_REFUSED, "created canceled"},
	{"watch: an event of unknown kind", CODEC_WATCH, 200, "{\"result\":{" HEADER ",\"events\":[{\"type\":\"X\",\"kv\":" KV "}]}}", DCS_GARBAGE, NULL},
	{"watch: an event of nothing", CODEC_WATCH, 200, "{\"result\":{" HEADER ",\"events\":[{}]}}", DCS_GARBAGE, NULL},
	{"watch without result", CODEC_WATCH, 200, "{" HEADER "}", DCS_GARBAGE, NULL},
	{"token", CODEC_AUTHENTICATE, 200, "{" HEADER ",\"token\":\"abc.1\"}", DCS_OK, "token abc.1"},
	{"token that breaks a header", CODEC_AUTHENTICATE, 200, "{\"token\":\"abc\\r\\nX: y\"}", DCS_GARBAGE, NULL},
	{"no token", CODEC_AUTHENTICATE, 200, "{\"token\":\"\"}", DCS_GARBAGE, NULL},
	{"wrong password", CODEC_AUTHENTICATE, 400, "{\"error\":\"etcdserver: authentication failed, invalid user ID or password\",\"code\":3}", DCS_REFUSED, "code 3"},
	{"old token", CODEC_TXN, 401, "{\"error\":\"etcdserver: invalid auth token\",\"code\":16}", DCS_REFUSED, "code 16 stale-token nothing-done"},
	{"token of old rights", CODEC_TXN, 400, "{\"error\":\"etcdserver: revision of auth store is old\",\"code\":3}", DCS_REFUSED, "code 3 stale-token nothing-done"},
	{"token missing", CODEC_TXN, 400, "{\"error\":\"etcdserver: user name is empty\",\"code\":3}", DCS_REFUSED, "code 3 stale-token nothing-done"},
	{"no right", CODEC_TXN, 403, "{\"error\":\"etcdserver: permission denied\",\"code\":7}", DCS_REFUSED, "code 7"},
	{"no space", CODEC_TXN, 429, "{\"error\":\"etcdserver: mvcc: database space exceeded\",\"code\":8}", DCS_REFUSED, "code 8"},
	{"no leader", CODEC_TXN, 503, "{\"error\":\"etcdserver: no leader\",\"code\":14}", DCS_UNREACHABLE, "code 14 nothing-done"},
	{"too late", CODEC_TXN, 503, "{\"error\":\"etcdserver: request timed out\",\"code\":14}", DCS_UNREACHABLE, "code 14"},
	{"an error that is a number", CODEC_TXN, 200, "{\"error\":17,\"code\":\"x\"}", DCS_UNREACHABLE, "code 2"},
	{"an error of absurd code", CODEC_TXN, 200, "{\"error\":\"x\",\"code\":4000000000}", DCS_UNREACHABLE, "code 2"},
	{"a proxy's 502", CODEC_RANGE, 502, "<html>Bad Gateway</html>", DCS_UNREACHABLE, NULL},
	{"a 404 of somebody else", CODEC_RANGE, 404, "Not Found", DCS_GARBAGE, NULL},
	{"JSON, but 404", CODEC_RANGE, 404, "{" HEADER "}", DCS_GARBAGE, NULL},
	{"nothing at all", CODEC_RANGE, 200, "", DCS_GARBAGE, NULL},
	{"space", CODEC_RANGE, 200, " \n ", DCS_GARBAGE, NULL},
	{"no JSON", CODEC_RANGE, 200, "hello", DCS_GARBAGE, NULL},
	{"an array", CODEC_RANGE, 200, "[]", DCS_GARBAGE, NULL},
	{"null", CODEC_RANGE, 200, "null", DCS_GARBAGE, NULL},
	{"wrong brackets", CODEC_RANGE, 200, "{" HEADER "]", DCS_GARBAGE, NULL},
	{"two messages", CODEC_RANGE, 200, "{" HEADER "}{" HEADER "}", DCS_GARBAGE, NULL},
	{"something after it", CODEC_RANGE, 200, "{" HEADER "}x", DCS_GARBAGE, NULL},
	{"broken UTF-8", CODEC_RANGE, 200, "{" HEADER ",\"x\":\"\xc3(\"}", DCS_GARBAGE, NULL},
	{"broken UTF-8 in an error", CODEC_RANGE, 200, "{\"error\":\"\xff\"}", DCS_GARBAGE, NULL},
	{"a comment", CODEC_RANGE, 200, "{/* */" HEADER "}", DCS_GARBAGE, NULL},
};
/* clang-format on */

static void
show(const CodecAnswer *answer, char *to, size_t size)
{
	size_t used = 0;

#define SHOW(condition, ...)                                                     \
	do                                                                           \
	{                                                                            \
		if (condition)                                                           \
		{                                                                        \
			used += snprintf(to + used, size - used, "%s", used > 0 ? " " : ""); \
			used += snprintf(to + used, size - used, __VA_ARGS__);               \
		}                                                                        \
	} while (0)

	to[0] = '\0';
	SHOW(answer->code, "code %d", answer->code);
	SHOW(answer->stale_token, "stale-token");
	SHOW(answer->nothing_done, "nothing-done");
	SHOW(answer->token, "token %s", answer->token);
	SHOW(answer->revision && !answer->token, "rev %" PRId64, answer->revision);
	SHOW(answer->lease, "lease %" PRId64, answer->lease);
	SHOW(answer->ttl, "ttl %d", answer->ttl);
	SHOW(answer->created, "created");
	SHOW(answer->canceled, "canceled");
	SHOW(answer->compact_revision, "compacted %" PRId64, answer->compact_revision);
	for (int i = 0; i < answer->nkvs; i++)
	{
		const DcsKeyValue *kv = &answer->kvs[i];

		SHOW(true, "%s%s%s%s(%" PRId64 ",%" PRId64 ",%" PRId64 ")", kv->deleted ? "-" : "", kv->key,
			 kv->deleted ? "" : "=", kv->value, kv->create_revision, kv->mod_revision, kv->lease);
	}
#undef SHOW
}

/* Parses a copy that ends where the text ends, for the sanitizer to see. */
static void
parse_exact(CodecVerb verb, long http_status, const char *text, size_t length, CodecAnswer *answer)
{
	char *copy = malloc(length > 0 ? length : 1);

	memcpy(copy, text, length);
	codec_parse(verb, http_status, copy, length, answer);
	free(copy);
}

static void
test_answers(void)
{
	for (size_t i = 0; i < lengthof(answer_cases); i++)
	{
		const AnswerCase *c = &answer_cases[i];
		CodecAnswer answer;
		char shown[1024];
		bool right;

		parse_exact(c->verb, c->http_status, c->text, strlen(c->text), &answer);
		show(&answer, shown, sizeof(shown));
		right = answer.status == c->status && (c->shown == NULL || strcmp(shown, c->shown) == 0) &&
				(answer.status == DCS_OK) == (answer.reason[0] == '\0') &&
				(answer.status != DCS_GARBAGE || answer.nkvs == 0);
		if (!ok(right, "answer: %s", c->name))
			printf("# status %d (%s), shown \"%s\"\n", answer.status, answer.reason, shown);
		codec_answer_free(&answer);
	}
}

/* Of each answer that makes sense, every beginning and every changed byte. */
static void
test_damage(void)
{
	static const char replacements[] = {'\0', '"',	'{', '}', '[',	  ',',
										':',  '\\', '9', '-', '\xff', ' '};
	int wrong = 0;

	for (size_t i = 0; i < lengthof(answer_cases); i++)
	{
		const AnswerCase *c = &answer_cases[i];
		size_t length = strlen(c->text);
		const char *last = strrchr(c->text, '}');
		char *copy = strdup(c->text);
		CodecAnswer answer;

		for (size_t cut = 0; cut < length; cut++)
		{
			parse_exact(c->verb, c->http_status, c->text, cut, &answer);
			if (c->status == DCS_OK && c->text + cut <= last && answer.status == DCS_OK)
				wrong++;
			codec_answer_free(&answer);
		}
		for (size_t at = 0; at < length; at++)
		{
			for (size_t r = 0; r < lengthof(replacements); r++)
			{
				copy[at] = replacements[r];
				parse_exact(c->verb, c->http_status, copy, length, &answer);
				codec_answer_free(&answer);
			}
			copy[at] = c->text[at];
		}
		free(copy);
	}
	ok(wrong == 0, "no answer that was cut off passes (%d did)", wrong);
}

/* A message that repeats "unit" between "head" and "tail". */
static char *
repeat(const char *head, const char *unit, int times, const char *tail)
{
	size_t length = strlen(unit);
	char *text = malloc(strlen(head) + length * times + strlen(tail) + 1);
	char *to = stpcpy(text, head);

	for (int i = 0; i < times; i++)
		to = stpcpy(to, unit);
	stpcpy(to, tail);
	return text;
}

static void
test_size(void)
{
	CodecAnswer answer;
	char *text;

	text = repeat("{" HEADER ",\"x\":", "[", 100000, "");
	codec_parse(CODEC_RANGE, 200, text, strlen(text), &answer);
	ok(answer.status == DCS_GARBAGE, "a hundred thousand open brackets");
	free(text);

	text = repeat("{" HEADER ",\"x\":[", "[],", 1000000, "0]}");
	codec_parse(CODEC_RANGE, 200, text, strlen(text), &answer);
	ok(answer.status == DCS_GARBAGE, "a million empty arrays");
	free(text);

	text = repeat("{" HEADER ",\"x\":\"", "12345678", 1024 * 1024, "\"}");
	codec_parse(CODEC_RANGE, 200, text, strlen(text), &answer);
	ok(answer.status == DCS_GARBAGE && strstr(answer.reason, "8 MiB") != NULL, "more than 8 MiB");
	free(text);

	text = repeat("{" HEADER ",\"kvs\":[", KV ",", 50000, KV "]}");
	codec_parse(CODEC_RANGE, 200, text, strlen(text), &answer);
	ok(answer.status == DCS_OK && answer.nkvs == 50001, "fifty thousand keys");
	codec_answer_free(&answer);
	free(text);

	text = repeat("{\"error\":\"", "long\\n", 1000, "\",\"code\":3}");
	codec_parse(CODEC_RANGE, 400, text, strlen(text), &answer);
	ok(answer.status == DCS_REFUSED && strlen(answer.reason) < CODEC_REASON_SIZE &&
		   strchr(answer.reason, '\n') == NULL,
	   "a long reason is cut, and is one line");
	free(text);
}

/* ---- Streams ---- */

/* The messages found when the text comes in pieces of "step" bytes, joined by bars. */
static CodecNext
split(const char *text, size_t step, char *to)
{
	CodecStream stream = {0};
	size_t length = strlen(text);
	CodecNext next = CODEC_NEXT_NONE;

	to[0] = '\0';
	for (size_t at = 0; at < length && next != CODEC_NEXT_BROKEN; at += step)
	{
		const char *message;
		size_t message_length;

		codec_stream_append(&stream, text + at, length - at < step ? length - at : step);
		while ((next = codec_stream_next(&stream, &message, &message_length)) == CODEC_NEXT_MESSAGE)
		{
			strncat(to, message, message_length);
			strcat(to, "|");
		}
	}
	codec_stream_free(&stream);
	return next;
}

static void
test_streams(void)
{
	static const char text[] = "{\"a\":1}\n{\"b\":\"}{\\\"\\\\\"}{\"c\":[{}]}\n";
	CodecStream stream = {0};
	char messages[256];
	char *block;
	bool same = true;
	int appended = 0;

	for (size_t step = 1; step <= sizeof(text); step++)
		same = same && split(text, step, messages) == CODEC_NEXT_NONE &&
			   strcmp(messages, "{\"a\":1}|\n{\"b\":\"}{\\\"\\\\\"}|{\"c\":[{}]}|") == 0;
	ok(same, "stream: the same messages however the bytes come");
	ok(split("{\"a\":1}}", 1, messages) == CODEC_NEXT_BROKEN, "stream: one bracket too many");
	ok(split("{} 5", 2, messages) == CODEC_NEXT_BROKEN, "stream: something between messages");
	ok(split("\"x\"", 3, messages) == CODEC_NEXT_BROKEN, "stream: a string outside of messages");

	block = repeat("", " ", 1024 * 1024, "");
	while (appended < 20 && codec_stream_append(&stream, block, 1024 * 1024))
		appended++;
	ok(appended == 8 && stream.overflow, "stream: holds 8 MiB and no more");
	codec_stream_free(&stream);

	appended = 0;
	while (appended < 20 && codec_stream_append(&stream, block, 1024 * 1024))
	{
		const char *message;
		size_t length;

		codec_stream_append(&stream, "{}", 2);
		if (codec_stream_next(&stream, &message, &length) != CODEC_NEXT_MESSAGE)
			break;
		appended++;
	}
	ok(appended == 20 && !stream.overflow, "stream: what was taken no longer counts");
	codec_stream_free(&stream);
	free(block);
}

int
main(void)
{
	test_requests();
	test_answers();
	test_damage();
	test_size();
	test_streams();
	return done_testing();
}
