/*-------------------------------------------------------------------------
 * codec.c
 *	  etcd v3 as its HTTP/JSON gateway speaks it.
 *
 * Keys and values travel in base64, 64-bit numbers as strings, fields with
 * their default value not at all.  Errors are an object with "error" (a
 * text, or inside a stream an object) and a gRPC code.
 *
 * What comes in is not trusted: a message is first measured (size, depth,
 * number of containers, no NUL) and only then given to json-c; each field is
 * checked for type and range; nothing is understood by halves.
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dcs/codec.h"

/* etcd's own messages are five deep; no answer of 8 MiB needs this many parts. */
#define MAX_DEPTH 32
#define MAX_CONTAINERS 200000
#define MAX_TOKEN 16384

/* ---- Text of requests ---- */

/* Grows by doubling; once memory ran out it stays NULL. */
typedef struct Text
{
	char *data;
	size_t used;
	size_t size;
} Text;

static Text
text_start(size_t size)
{
	Text text = {malloc(size), 0, size};

	return text;
}

/* Makes room for "more" bytes and a NUL. */
static bool
text_reserve(Text *text, size_t more)
{
	size_t size = text->size;
	char *data;

	if (text->data == NULL)
		return false;
	while (size - text->used <= more)
		size *= 2;
	if (size == text->size)
		return true;
	data = realloc(text->data, size);
	if (data == NULL)
	{
		free(text->data);
		text->data = NULL;
		return false;
	}
	text->data = data;
	text->size = size;
	return true;
}

static void
text_add(Text *text, const char *string)
{
	size_t length = strlen(string);

	if (!text_reserve(text, length))
		return;
	memcpy(text->data + text->used, string, length + 1);
	text->used += length;
}

static void
text_add_number(Text *text, int64_t number)
{
	char digits[32];

	snprintf(digits, sizeof(digits), "%" PRId64, number);
	text_add(text, digits);
}

static void
text_add_base64(Text *text, const char *bytes, size_t length)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *to;

	if (!text_reserve(text, length / 3 * 4 + 4))
		return;
	to = text->data + text->used;
	for (size_t i = 0; i < length; i += 3)
	{
		unsigned b0 = (unsigned char) bytes[i];
		unsigned b1 = i + 1 < length ? (unsigned char) bytes[i + 1] : 0;
		unsigned b2 = i + 2 < length ? (unsigned char) bytes[i + 2] : 0;

		*to++ = digits[b0 >> 2];
		*to++ = digits[(b0 & 3) << 4 | b1 >> 4];
		*to++ = i + 1 < length ? digits[(b1 & 15) << 2 | b2 >> 6] : '=';
		*to++ = i + 2 < length ? digits[b2 & 63] : '=';
	}
	*to = '\0';
	text->used = to - text->data;
}

/* A string of JSON, with its quotes. */
static void
text_add_quoted(Text *text, const char *string)
{
	text_add(text, "\"");
	for (const unsigned char *c = (const unsigned char *) string; *c != '\0'; c++)
	{
		char one[8];

		if (*c == '"' || *c == '\\')
			snprintf(one, sizeof(one), "\\%c", *c);
		else if (*c < 0x20)
			snprintf(one, sizeof(one), "\\u%04x", *c);
		else
			snprintf(one, sizeof(one), "%c", *c);
		text_add(text, one);
		memset(one, 0, sizeof(one));
	}
	text_add(text, "\"");
}

static void
text_add_key(Text *text, const char *key)
{
	text_add(text, "\"key\":\"");
	text_add_base64(text, key, strlen(key));
	text_add(text, "\"");
}

/*
 * "key" and "range_end" of all keys that start with "prefix": the end is the
 * prefix with its last byte raised by one.  etcd means "to the end" by a
 * single NUL, and "from the start" too.
 */
static void
text_add_prefix(Text *text, const char *prefix)
{
	size_t length = strlen(prefix);
	size_t end = length;

	while (end > 0 && (unsigned char) prefix[end - 1] == 0xff)
		end--;
	text_add(text, "\"key\":\"");
	text_add_base64(text, prefix, length > 0 ? length : 1);
	text_add(text, "\",\"range_end\":\"");
	if (end == 0)
		text_add_base64(text, "", 1);
	else
	{
		char *range_end = malloc(end);

		if (range_end == NULL)
		{
			free(text->data);
			text->data = NULL;
			return;
		}
		memcpy(range_end, prefix, end);
		range_end[end - 1]++;
		text_add_base64(text, range_end, end);
		free(range_end);
	}
	text_add(text, "\"");
}

/* ---- Requests ---- */

char *
codec_grant_request(int ttl)
{
	Text text = text_start(64);

	text_add(&text, "{\"TTL\":\"");
	text_add_number(&text, ttl);
	text_add(&text, "\"}");
	return text.data;
}

char *
codec_lease_request(int64_t lease)
{
	Text text = text_start(64);

	text_add(&text, "{\"ID\":\"");
	text_add_number(&text, lease);
	text_add(&text, "\"}");
	return text.data;
}

char *
codec_range_request(const char *key, bool prefix)
{
	Text text = text_start(256);

	text_add(&text, "{");
	if (prefix)
		text_add_prefix(&text, key);
	else
		text_add_key(&text, key);
	text_add(&text, "}");
	return text.data;
}

char *
codec_latest_request(const char *prefix)
{
	Text text = text_start(256);

	text_add(&text, "{");
	text_add_prefix(&text, prefix);
	text_add(&text, ",\"limit\":\"1\",\"keys_only\":true,"
					"\"sort_order\":\"DESCEND\",\"sort_target\":\"MOD\"}");
	return text.data;
}

static void
text_add_compare(Text *text, const DcsCompare *compare)
{
	text_add(text, "{");
	text_add_key(text, compare->key);
	text_add(text, compare->kind == DCS_CREATE_REVISION_IS
					   ? ",\"result\":\"EQUAL\",\"target\":\"CREATE\",\"create_revision\":\""
					   : ",\"result\":\"EQUAL\",\"target\":\"MOD\",\"mod_revision\":\"");
	text_add_number(text, compare->revision);
	text_add(text, "\"}");
}

static void
text_add_write(Text *text, const DcsWrite *write)
{
	text_add(text, write->value ? "{\"request_put\":{" : "{\"request_delete_range\":{");
	text_add_key(text, write->key);
	if (write->value)
	{
		text_add(text, ",\"value\":\"");
		text_add_base64(text, write->value, strlen(write->value));
		text_add(text, "\"");
		if (write->lease != 0)
		{
			text_add(text, ",\"lease\":\"");
			text_add_number(text, write->lease);
			text_add(text, "\"");
		}
	}
	text_add(text, "}}");
}

/* Is the key of compares[i] among those before it? */
static bool
compared_before(const DcsCompare *compares, int i)
{
	for (int j = 0; j < i; j++)
	{
		if (strcmp(compares[j].key, compares[i].key) == 0)
			return true;
	}
	return false;
}

char *
codec_txn_request(const DcsCompare *compares, int ncompares, const DcsWrite *writes, int nwrites)
{
	Text text = text_start(1024);
	bool first = true;

	text_add(&text, "{\"compare\":[");
	for (int i = 0; i < ncompares; i++)
	{
		text_add(&text, i > 0 ? "," : "");
		text_add_compare(&text, &compares[i]);
	}
	text_add(&text, "],\"success\":[");
	for (int i = 0; i < nwrites; i++)
	{
		text_add(&text, i > 0 ? "," : "");
		text_add_write(&text, &writes[i]);
	}
	text_add(&text, "],\"failure\":[");
	for (int i = 0; i < ncompares; i++)
	{
		if (compared_before(compares, i))
			continue;
		text_add(&text, first ? "" : ",");
		text_add(&text, "{\"request_range\":{");
		text_add_key(&text, compares[i].key);
		text_add(&text, "}}");
		first = false;
	}
	text_add(&text, "]}");
	return text.data;
}

char *
codec_watch_request(const char *prefix, int64_t start_revision)
{
	Text text = text_start(256);

	text_add(&text, "{\"create_request\":{");
	text_add_prefix(&text, prefix);
	text_add(&text, ",\"start_revision\":\"");
	text_add_number(&text, start_revision);
	text_add(&text, "\"}}");
	return text.data;
}

char *
codec_authenticate_request(const char *username, const char *password)
{
	/* Room for the worst case: no realloc may leave a copy behind. */
	Text text = text_start(64 + 6 * (strlen(username) + strlen(password)));

	text_add(&text, "{\"name\":");
	text_add_quoted(&text, username);
	text_add(&text, ",\"password\":");
	text_add_quoted(&text, password);
	text_add(&text, "}");
	return text.data;
}

/* ---- Messages out of bytes ---- */

bool
codec_stream_append(CodecStream *stream, const void *data, size_t length)
{
	size_t size = stream->size ? stream->size : 4096;

	if (stream->taken > 0)
	{
		stream->used -= stream->taken;
		stream->scanned -= stream->taken;
		memmove(stream->data, stream->data + stream->taken, stream->used);
		stream->taken = 0;
	}
	if (stream->overflow || length > CODEC_MAX_ANSWER - stream->used)
	{
		stream->overflow = true;
		return false;
	}
	while (size < stream->used + length)
		size *= 2;
	if (size != stream->size)
	{
		char *grown = realloc(stream->data, size);

		if (grown == NULL)
		{
			stream->overflow = true;
			return false;
		}
		stream->data = grown;
		stream->size = size;
	}
	if (length > 0)
		memcpy(stream->data + stream->used, data, length);
	stream->used += length;
	return true;
}

/* Takes one byte of a message into account; false when it cannot stand there. */
static bool
scan_byte(CodecStream *stream, char c)
{
	if (c == '\0')
		return false;
	if (stream->in_string)
	{
		if (stream->escaped)
			stream->escaped = false;
		else if (c == '\\')
			stream->escaped = true;
		else if (c == '"')
			stream->in_string = false;
		return true;
	}
	switch (c)
	{
		case '{':
		case '[':
			stream->depth++;
			stream->containers++;
			return stream->depth <= MAX_DEPTH && stream->containers <= MAX_CONTAINERS;
		case '}':
		case ']':
			stream->depth--;
			return stream->depth >= 0;
		case '"':
			stream->in_string = true;
			return stream->depth > 0;
		case ' ':
		case '\t':
		case '\r':
		case '\n':
			return true;
		default:
			/* Only objects are messages: nothing else stands outside of them. */
			return stream->depth > 0;
	}
}

CodecNext
codec_stream_next(CodecStream *stream, const char **data, size_t *length)
{
	if (stream->overflow)
		return CODEC_NEXT_BROKEN;
	while (stream->scanned < stream->used)
	{
		char c = stream->data[stream->scanned];

		if (!scan_byte(stream, c))
			return CODEC_NEXT_BROKEN;
		stream->scanned++;
		if (stream->depth == 0 && (c == '}' || c == ']'))
		{
			*data = stream->data + stream->taken;
			*length = stream->scanned - stream->taken;
			stream->taken = stream->scanned;
			stream->containers = 0;
			return CODEC_NEXT_MESSAGE;
		}
	}
	return CODEC_NEXT_NONE;
}

void
codec_stream_free(CodecStream *stream)
{
	free(stream->data);
	memset(stream, 0, sizeof(*stream));
}

/* ---- Fields of messages ---- */

/* NULL when the field is absent; a JSON null counts as absent. */
static json_object *
field(json_object *object, const char *name)
{
	json_object *value;

	if (!json_object_is_type(object, json_type_object) ||
		!json_object_object_get_ex(object, name, &value))
		return NULL;
	return value;
}

/* A 64-bit number, as text or not; 0 when absent; false when it is not one. */
static bool
number_field(json_object *object, const char *name, int64_t *number)
{
	json_object *value = field(object, name);
	const char *text;
	char *end;

	*number = 0;
	if (value == NULL)
		return true;
	if (json_object_is_type(value, json_type_int))
	{
		/* json-c gives the limits for what is beyond them. */
		*number = json_object_get_int64(value);
		return *number != INT64_MAX && *number != INT64_MIN;
	}
	if (!json_object_is_type(value, json_type_string))
		return false;
	text = json_object_get_string(value);
	if (!(*text == '-' || (*text >= '0' && *text <= '9')))
		return false;
	errno = 0;
	*number = strtoll(text, &end, 10);
	return errno == 0 && *end == '\0' && end == text + json_object_get_string_len(value);
}

/* As number_field, but not below 0; what is no count leaves 0 behind. */
static bool
count_field(json_object *object, const char *name, int64_t *number)
{
	if (number_field(object, name, number) && *number >= 0)
		return true;
	*number = 0;
	return false;
}

static bool
bool_field(json_object *object, const char *name, bool *value)
{
	json_object *found = field(object, name);

	*value = false;
	if (found == NULL)
		return true;
	if (!json_object_is_type(found, json_type_boolean))
		return false;
	*value = json_object_get_boolean(found);
	return true;
}

/* Number of elements; 0 when absent; -1 when it is no array. */
static int
array_field(json_object *object, const char *name, json_object **array)
{
	*array = field(object, name);
	if (*array == NULL)
		return 0;
	if (!json_object_is_type(*array, json_type_array) || json_object_array_length(*array) > INT_MAX)
		return -1;
	return (int) json_object_array_length(*array);
}

static int
base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/*
 * Decodes into "to", which has room for length / 4 * 3 + 1 bytes, and ends
 * it with a NUL.  Returns the number of bytes, or -1.
 */
static int64_t
base64_decode(const char *text, size_t length, char *to)
{
	char *start = to;
	size_t padding = 0;

	if (length % 4 != 0)
		return -1;
	if (length > 0 && text[length - 1] == '=')
		padding = text[length - 2] == '=' ? 2 : 1;
	for (size_t i = 0; i < length; i += 4)
	{
		size_t digits = i + 4 == length ? 4 - padding : 4;
		unsigned bits = 0;

		for (size_t j = 0; j < 4; j++)
		{
			int digit = j < digits ? base64_digit(text[i + j]) : 0;

			if (digit < 0)
				return -1;
			bits = bits << 6 | (unsigned) digit;
		}
		*to++ = (char) (bits >> 16);
		if (digits > 2)
			*to++ = (char) (bits >> 8);
		if (digits > 3)
			*to++ = (char) bits;
	}
	*to = '\0';
	return to - start;
}

/* Where the strings of an answer go: one block, never larger than the message. */
typedef struct Arena
{
	char *next;
	size_t left;
} Arena;

/*
 * A field of bytes; empty when absent.  Returns NULL when it is not base64;
 * *length is that of the bytes, NULs included.
 */
static const char *
bytes_field(json_object *object, const char *name, Arena *arena, size_t *length)
{
	json_object *value = field(object, name);
	const char *text = "";
	size_t text_length = 0;
	char *bytes = arena->next;
	int64_t decoded;

	if (value != NULL)
	{
		if (!json_object_is_type(value, json_type_string))
			return NULL;
		text = json_object_get_string(value);
		text_length = json_object_get_string_len(value);
	}
	if (text_length / 4 * 3 + 1 > arena->left)
		return NULL;
	decoded = base64_decode(text, text_length, bytes);
	if (decoded < 0)
		return NULL;
	arena->next += decoded + 1;
	arena->left -= decoded + 1;
	*length = decoded;
	return bytes;
}

/* ---- Failures ---- */

void
codec_answer_fail(CodecAnswer *answer, DcsStatus status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(answer->reason, sizeof(answer->reason), format, args);
	va_end(args);

	/* Parts come from others, and the text ends in logs and in SQL. */
	for (char *c = answer->reason; *c != '\0'; c++)
	{
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
	answer->status = status;
}

static void
fail_garbage(CodecAnswer *answer, const char *what)
{
	codec_answer_fail(answer, DCS_GARBAGE, "unintelligible answer: %s", what);
}

/* What errors mean to us.  The first row that fits wins; the last fits all. */
typedef struct ErrorRow
{
	int code;		  /* -1: any */
	const char *text; /* part of the message; NULL: any */
	DcsStatus status;
	bool stale_token;
	bool nothing_done;
} ErrorRow;

static const ErrorRow error_rows[] = {
	{5, "lease not found", DCS_LEASE_GONE, false, true},
	{16, NULL, DCS_REFUSED, true, true},				 /* unauthenticated */
	{-1, "invalid auth token", DCS_REFUSED, true, true}, /* however it is coded */
	{-1, "revision of auth store is old", DCS_REFUSED, true, true},
	{-1, "user name is empty", DCS_REFUSED, true, true},
	{14, "no leader", DCS_UNREACHABLE, false, true},
	{8, "too many requests", DCS_UNREACHABLE, false, true},
	{1, NULL, DCS_UNREACHABLE, false, false},  /* cancelled */
	{4, NULL, DCS_UNREACHABLE, false, false},  /* deadline exceeded */
	{14, NULL, DCS_UNREACHABLE, false, false}, /* unavailable */
	{2, NULL, DCS_UNREACHABLE, false, false},  /* unknown: etcd stopping, for one */
	{13, NULL, DCS_UNREACHABLE, false, false}, /* internal */
	{-1, NULL, DCS_REFUSED, false, false},
};

/* Understands a message that tells of an error; false when it does not. */
static bool
parse_error(json_object *message, CodecAnswer *answer)
{
	json_object *error = field(message, "error");
	json_object *text = field(message, "message");
	json_object *holder = message;
	int64_t code = 0;
	const char *reason;
	const ErrorRow *row = error_rows;

	if (error == NULL)
		return false;
	if (json_object_is_type(error, json_type_object))
	{
		holder = error;
		text = field(error, "message");
	}
	else if (text == NULL)
		text = error;
	if (!number_field(holder, "code", &code) ||
		(code == 0 && !number_field(holder, "grpc_code", &code)) || code < 0 || code > 1000)
		code = 2;
	reason = json_object_is_type(text, json_type_string) ? json_object_get_string(text) : "no text";

	while (!((row->code == -1 || row->code == code) &&
			 (row->text == NULL || strstr(reason, row->text) != NULL)))
		row++;
	answer->code = (int) code;
	answer->stale_token = row->stale_token;
	answer->nothing_done = row->nothing_done;
	codec_answer_fail(answer, row->status, "%.300s (code %d)", reason, answer->code);
	return true;
}

/* ---- Answers ---- */

/* revision of the header that each answer carries; false when it has none. */
static bool
parse_header(json_object *message, CodecAnswer *answer)
{
	json_object *header = field(message, "header");

	return json_object_is_type(header, json_type_object) &&
		   count_field(header, "revision", &answer->revision);
}

/* Makes room for "more" further keys. */
static bool
grow_kvs(CodecAnswer *answer, size_t more)
{
	DcsKeyValue *kvs;

	if (more == 0)
		return true;
	kvs = realloc(answer->kvs, (answer->nkvs + more) * sizeof(DcsKeyValue));
	if (kvs == NULL)
		return false;
	answer->kvs = kvs;
	return true;
}

/* Adds one key, for which room was made.  Keys we cannot show are left out. */
static bool
parse_kv(json_object *object, bool deleted, Arena *arena, CodecAnswer *answer)
{
	DcsKeyValue *kv = &answer->kvs[answer->nkvs];
	size_t key_length;
	size_t value_length;

	kv->deleted = deleted;
	if (!json_object_is_type(object, json_type_object) ||
		!count_field(object, "create_revision", &kv->create_revision) ||
		!count_field(object, "mod_revision", &kv->mod_revision) ||
		!number_field(object, "lease", &kv->lease) || kv->mod_revision == 0 ||
		(kv->create_revision == 0 && !deleted) ||
		(kv->key = bytes_field(object, "key", arena, &key_length)) == NULL || key_length == 0 ||
		(kv->value = bytes_field(object, "value", arena, &value_length)) == NULL)
		return false;
	if (strlen(kv->key) == key_length)
		answer->nkvs++;
	return true;
}

static bool
parse_kvs(json_object *holder, Arena *arena, CodecAnswer *answer)
{
	json_object *array;
	int n = array_field(holder, "kvs", &array);

	if (n < 0 || !grow_kvs(answer, n))
		return false;
	for (int i = 0; i < n; i++)
	{
		if (!parse_kv(json_object_array_get_idx(array, i), false, arena, answer))
			return false;
	}
	return true;
}

/* Grant and keep-alive. */
static bool
parse_lease(json_object *message, Arena *arena, CodecAnswer *answer)
{
	int64_t ttl;

	if (!parse_header(message, answer) || !number_field(message, "ID", &answer->lease) ||
		answer->lease == 0 || !number_field(message, "TTL", &ttl) || ttl > INT_MAX || ttl < INT_MIN)
		return false;
	answer->ttl = (int) ttl;
	if (ttl <= 0)
		codec_answer_fail(answer, DCS_LEASE_GONE, "lease %016" PRIx64 " does not exist",
						  answer->lease);
	return true;
}

static bool
parse_grant(json_object *message, Arena *arena, CodecAnswer *answer)
{
	return parse_lease(message, arena, answer) && answer->status == DCS_OK;
}

/* Messages of streams stand in "result". */
static bool
parse_keepalive(json_object *message, Arena *arena, CodecAnswer *answer)
{
	return parse_lease(field(message, "result"), arena, answer);
}

static bool
parse_revoke(json_object *message, Arena *arena, CodecAnswer *answer)
{
	return parse_header(message, answer);
}

static bool
parse_range(json_object *message, Arena *arena, CodecAnswer *answer)
{
	bool more;

	return parse_header(message, answer) && answer->revision > 0 &&
		   parse_kvs(message, arena, answer) && bool_field(message, "more", &more);
}

static bool
parse_txn(json_object *message, Arena *arena, CodecAnswer *answer)
{
	json_object *responses;
	bool succeeded;
	int n;

	if (!parse_header(message, answer) || answer->revision == 0 ||
		!bool_field(message, "succeeded", &succeeded))
		return false;
	if (succeeded)
		return true;

	n = array_field(message, "responses", &responses);
	if (n <= 0)
		return false;
	for (int i = 0; i < n; i++)
	{
		json_object *range = field(json_object_array_get_idx(responses, i), "response_range");

		if (range == NULL || !parse_kvs(range, arena, answer))
			return false;
	}
	codec_answer_fail(answer, DCS_COMPARE_FAILED, "a comparison of the transaction did not hold");
	return true;
}

/* PUT is the default and so not told. */
static bool
parse_event(json_object *event, Arena *arena, CodecAnswer *answer)
{
	json_object *type = field(event, "type");
	bool deleted = false;

	if (type != NULL)
	{
		if (!json_object_is_type(type, json_type_string))
			return false;
		deleted = strcmp(json_object_get_string(type), "DELETE") == 0;
		if (!deleted && strcmp(json_object_get_string(type), "PUT") != 0)
			return false;
	}
	return parse_kv(field(event, "kv"), deleted, arena, answer);
}

static bool
parse_watch(json_object *message, Arena *arena, CodecAnswer *answer)
{
	json_object *result = field(message, "result");
	json_object *events;
	int n = array_field(result, "events", &events);

	if (!parse_header(result, answer) || !bool_field(result, "created", &answer->created) ||
		!bool_field(result, "canceled", &answer->canceled) ||
		!count_field(result, "compact_revision", &answer->compact_revision) || n < 0 ||
		!grow_kvs(answer, n))
		return false;
	for (int i = 0; i < n; i++)
	{
		if (!parse_event(json_object_array_get_idx(events, i), arena, answer))
			return false;
	}
	if (answer->canceled)
	{
		json_object *reason = field(result, "cancel_reason");

		codec_answer_fail(answer, DCS_REFUSED, "watch canceled: %.300s",
						  answer->compact_revision > 0 ? "its history was compacted"
						  : json_object_is_type(reason, json_type_string)
							  ? json_object_get_string(reason)
							  : "no reason told");
	}
	return true;
}

/* The token becomes part of a header line: nothing but visible ASCII. */
static bool
parse_authenticate(json_object *message, Arena *arena, CodecAnswer *answer)
{
	json_object *token = field(message, "token");
	size_t length;

	if (!json_object_is_type(token, json_type_string))
		return false;
	length = json_object_get_string_len(token);
	if (length == 0 || length > MAX_TOKEN)
		return false;
	for (size_t i = 0; i < length; i++)
	{
		char c = json_object_get_string(token)[i];

		if (c <= ' ' || c > '~')
			return false;
	}
	answer->token = strdup(json_object_get_string(token));
	return answer->token != NULL;
}

typedef struct VerbRow
{
	const char *path;
	/* False: the message is not what the verb answers. */
	bool (*parse)(json_object *message, Arena *arena, CodecAnswer *answer);
} VerbRow;

static const VerbRow verb_rows[] = {
	[CODEC_GRANT] = {"/v3/lease/grant", parse_grant},
	[CODEC_KEEPALIVE] = {"/v3/lease/keepalive", parse_keepalive},
	[CODEC_REVOKE] = {"/v3/lease/revoke", parse_revoke},
	[CODEC_RANGE] = {"/v3/kv/range", parse_range},
	[CODEC_TXN] = {"/v3/kv/txn", parse_txn},
	[CODEC_WATCH] = {"/v3/watch", parse_watch},
	[CODEC_AUTHENTICATE] = {"/v3/auth/authenticate", parse_authenticate},
};

const char *
codec_path(CodecVerb verb)
{
	return verb_rows[verb].path;
}

/* Is this one object, as far as counting brackets tells, with nothing after it? */
static bool
measure_message(const char *data, size_t length)
{
	CodecStream scan = {.data = (char *) data, .used = length};
	const char *message;
	size_t message_length;

	return length <= CODEC_MAX_ANSWER &&
		   codec_stream_next(&scan, &message, &message_length) == CODEC_NEXT_MESSAGE &&
		   codec_stream_next(&scan, &message, &message_length) == CODEC_NEXT_NONE &&
		   scan.depth == 0;
}

/* NULL when it is not JSON. */
static json_object *
read_json(const char *data, size_t length)
{
	json_tokener *tokener;
	json_object *message;

	if (!measure_message(data, length))
		return NULL;
	tokener = json_tokener_new_ex(MAX_DEPTH + 1);
	if (tokener == NULL)
		return NULL;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
										JSON_TOKENER_ALLOW_TRAILING_CHARS);
	message = json_tokener_parse_ex(tokener, data, (int) length);
	if (json_tokener_get_error(tokener) != json_tokener_success)
	{
		json_object_put(message);
		message = NULL;
	}
	json_tokener_free(tokener);
	return message;
}

static void
parse_message(CodecVerb verb, long http_status, json_object *message, size_t length,
			  CodecAnswer *answer)
{
	Arena arena;

	if (parse_error(message, answer))
		return;
	if (http_status != 0 && http_status != 200)
	{
		codec_answer_fail(answer, http_status >= 500 ? DCS_UNREACHABLE : DCS_GARBAGE,
						  "HTTP status %ld", http_status);
		return;
	}
	/* Strings decode to less than they were; their NULs fit where names and quotes stood. */
	answer->memory = malloc(length + 1);
	if (answer->memory == NULL)
	{
		fail_garbage(answer, "out of memory");
		return;
	}
	arena.next = answer->memory;
	arena.left = length + 1;
	if (!verb_rows[verb].parse(message, &arena, answer))
	{
		answer->nkvs = 0;
		fail_garbage(answer, "JSON of an unexpected form");
	}
}

void
codec_parse(CodecVerb verb, long http_status, const char *data, size_t length, CodecAnswer *answer)
{
	json_object *message;

	memset(answer, 0, sizeof(*answer));
	message = read_json(data, length);
	if (json_object_is_type(message, json_type_object))
		parse_message(verb, http_status, message, length, answer);
	else if (http_status >= 500)
		codec_answer_fail(answer, DCS_UNREACHABLE, "HTTP status %ld", http_status);
	else if (http_status != 0 && http_status != 200)
		codec_answer_fail(answer, DCS_GARBAGE, "HTTP status %ld, and no JSON", http_status);
	else if (length > CODEC_MAX_ANSWER)
		fail_garbage(answer, "larger than 8 MiB");
	else
		fail_garbage(answer, length == 0 ? "empty" : "not JSON, or cut off");
	json_object_put(message);
}

void
codec_answer_free(CodecAnswer *answer)
{
	if (answer->token != NULL)
		explicit_bzero(answer->token, strlen(answer->token));
	free(answer->token);
	free(answer->kvs);
	free(answer->memory);
	answer->token = NULL;
	answer->kvs = NULL;
	answer->memory = NULL;
	answer->nkvs = 0;
}
