/*-------------------------------------------------------------------------
 * codec.h
 *	  etcd v3 as its HTTP/JSON gateway speaks it: bodies of requests, and
 *	  what answers mean.
 *
 * Pure: json-c and libc, nothing of the server, so that the agent,
 * pgcluster_node, unit tests and a fuzzer link the very same object.
 *
 * A small blocking client is this header and libcurl's easy interface: POST
 * the text of codec_..._request to "http://host:port" + codec_path(verb),
 * collect the answer with codec_stream_append (from the write callback), and
 * give it to codec_parse.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_DCS_CODEC_H
#define PGCLUSTER_DCS_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum DcsStatus
{
	DCS_OK,
	DCS_COMPARE_FAILED, /* transaction: a comparison did not hold, nothing was written */
	DCS_LEASE_GONE,		/* the lease does not exist (any more) */
	DCS_UNREACHABLE,	/* no endpoint answered in time; a write may have happened */
	DCS_REFUSED,		/* etcd said no: authentication, permission, space quota, ... */
	DCS_GARBAGE			/* the answer could not be understood; a write may have happened */
} DcsStatus;

/*
 * Bytes as the store has them: no encoding was checked.  A value is cut at
 * its first NUL byte; keys that hold one are never shown.
 */
typedef struct DcsKeyValue
{
	const char *key;
	const char *value; /* NUL-terminated; empty for a deleted key */
	int64_t create_revision;
	int64_t mod_revision;
	int64_t lease; /* 0: none */
	bool deleted;  /* only in watch events */
} DcsKeyValue;

/* What a comparison of a transaction asks of a key. */
typedef enum DcsCompareKind
{
	DCS_CREATE_REVISION_IS, /* 0: the key does not exist */
	DCS_MOD_REVISION_IS
} DcsCompareKind;

typedef struct DcsCompare
{
	DcsCompareKind kind;
	const char *key;
	int64_t revision;
} DcsCompare;

/* A write of a transaction: put, or delete when value is NULL. */
typedef struct DcsWrite
{
	const char *key;
	const char *value;
	int64_t lease; /* 0: none */
} DcsWrite;

typedef enum CodecVerb
{
	CODEC_GRANT,
	CODEC_KEEPALIVE,
	CODEC_REVOKE,
	CODEC_RANGE,
	CODEC_TXN,
	CODEC_WATCH, /* answers with a stream of messages, all others with one */
	CODEC_AUTHENTICATE
} CodecVerb;

/* Path of the verb's URL, from the slash on. */
extern const char *codec_path(CodecVerb verb);

/*
 * Bodies of requests: NUL-terminated, to be freed with free().  NULL when
 * memory ran out.
 */
extern char *codec_grant_request(int ttl);
extern char *codec_lease_request(int64_t lease); /* keep-alive and revoke */
extern char *codec_range_request(const char *key, bool prefix);
extern char *codec_latest_request(const char *prefix); /* the key written last, without value */
extern char *
codec_txn_request(const DcsCompare *compares, int ncompares, const DcsWrite *writes, int nwrites);
extern char *codec_watch_request(const char *prefix, int64_t start_revision);

/* Holds the password: wipe before freeing.  No other copy is left behind. */
extern char *codec_authenticate_request(const char *username, const char *password);

#define CODEC_REASON_SIZE 512

typedef struct CodecAnswer
{
	DcsStatus status;
	char reason[CODEC_REASON_SIZE]; /* of a failure: printable ASCII; else empty */
	int code;						/* gRPC's, of a failure that etcd told; else 0 */
	bool stale_token;				/* the token was not accepted: ask again with a new one */
	bool nothing_done;				/* a failure, and etcd says it did not even try */
	int64_t revision;				/* of the store; 0: not told (watch, authenticate) */
	int64_t lease;					/* grant, keep-alive */
	int ttl;						/* grant, keep-alive; seconds */
	bool created;					/* watch: the stream is set up */
	bool canceled;					/* watch: etcd ended it ... */
	int64_t compact_revision;		/* ... because history before this is gone; else 0 */
	char *token;					/* authenticate */
	int nkvs;						/* range, failed transaction, watch */
	DcsKeyValue *kvs;
	char *memory; /* the strings of kvs */
} CodecAnswer;

/*
 * Understands one message.  "http_status" 0: not known, judge by the body.
 * Fills all of *answer, which the caller passes to codec_answer_free in any
 * case.  Whatever the bytes are, this ends with some status.
 */
extern void
codec_parse(CodecVerb verb, long http_status, const char *data, size_t length, CodecAnswer *answer);
extern void codec_answer_free(CodecAnswer *answer);

/* Sets status and reason of an answer that never came. */
extern void codec_answer_fail(CodecAnswer *answer, DcsStatus status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Collects bytes of answers, in pieces however cut, and gives back whole
 * messages.  Start with zeroes.
 */
#define CODEC_MAX_ANSWER (8 * 1024 * 1024)

typedef struct CodecStream
{
	char *data;
	size_t used;
	size_t size;
	size_t taken;	/* bytes of messages given out */
	size_t scanned; /* how far the search for the end of a message got */
	int depth;
	int containers;
	bool in_string;
	bool escaped;
	bool overflow; /* more than CODEC_MAX_ANSWER, or no memory */
} CodecStream;

typedef enum CodecNext
{
	CODEC_NEXT_MESSAGE, /* *data, *length; valid until the next append */
	CODEC_NEXT_NONE,	/* needs more bytes */
	CODEC_NEXT_BROKEN	/* no message can start or go on like this */
} CodecNext;

/* Uses malloc only.  False: too much, or no memory (and "overflow" is set). */
extern bool codec_stream_append(CodecStream *stream, const void *data, size_t length);
extern CodecNext codec_stream_next(CodecStream *stream, const char **data, size_t *length);
extern void codec_stream_free(CodecStream *stream); /* leaves it as at the start */

#endif
