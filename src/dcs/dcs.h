/*-------------------------------------------------------------------------
 * dcs.h
 *	  The distributed configuration store, as verbs.
 *
 * The agent is the only user.  Every verb returns at once; its outcome is
 * told to a callback from within dcs_wait, in the agent's own stack and not
 * in libcurl's, so that a callback may allocate and throw.  Each verb ends
 * in exactly one call of its callback (the watch: in many).
 *
 * DcsOps is a table so that a test can put another store behind the verbs.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_DCS_DCS_H
#define PGCLUSTER_DCS_DCS_H

#include "utils/palloc.h"

#include "dcs/codec.h" /* DcsStatus, DcsKeyValue, DcsCompare, DcsWrite */

typedef struct Dcs Dcs;

/*
 * Outcome of a verb; valid only during the callback.
 */
typedef struct DcsResult
{
	DcsStatus status;
	const char *reason; /* of a failure, for the log; never NULL then */
	int64 sent_at;		/* clock_now_us() just before the request that was answered was sent */
	int64 revision;		/* of the store when it answered */
	int64 lease;		/* grant, keep-alive */
	int ttl;			/* grant, keep-alive: what etcd granted, seconds */
	int nkvs; /* get: all keys found.  failed transaction: the compared keys' present values */
	const DcsKeyValue *kvs;
} DcsResult;

typedef void (*DcsDone)(void *arg, const DcsResult *result);

/*
 * Events of a watch, in the order of the store; valid during the call.
 * "reset": the watch could not go on where it was (compaction, a long
 * outage), the receiver must forget what it knew; "kvs" is then all there
 * is under the prefix as of "revision".  The first call of a watch is a
 * reset.  "connected" false: the stream broke and is being opened again;
 * no events with it.
 */
typedef struct DcsEvents
{
	bool connected;
	bool reset;
	int64 revision;
	int nkvs;
	const DcsKeyValue *kvs;
} DcsEvents;

typedef void (*DcsWatchFn)(void *arg, const DcsEvents *events);

typedef struct DcsSettings
{
	const char *endpoints; /* host:port[,...] */
	bool tls;
	const char *cacert; /* these may be NULL or empty */
	const char *cert;
	const char *key;
	const char *username;
	const char *password_file;
	int request_timeout_ms; /* of one request on one endpoint */
	int total_timeout_ms;	/* of a verb, over all endpoints it tries */
} DcsSettings;

/* A question to another member's HTTP server. */
typedef struct DcsPost
{
	const char *url;
	const char *body;	/* JSON */
	const char *cacert; /* these may be NULL or empty */
	const char *cert;
	const char *key;
	const char *username;
	const char *password;
} DcsPost;

typedef struct DcsOps
{
	/* ttl in seconds */
	void (*lease_grant)(Dcs *dcs, int ttl, DcsDone done, void *arg);
	void (*lease_keepalive)(Dcs *dcs, int64 lease, DcsDone done, void *arg);
	void (*lease_revoke)(Dcs *dcs, int64 lease, DcsDone done, void *arg);

	/* All keys that start with "prefix" (or the one key), with a linearizable read. */
	void (*get)(Dcs *dcs, const char *key, bool prefix, DcsDone done, void *arg);

	/* All writes happen if all comparisons hold, else none. */
	void (*txn)(Dcs *dcs, const DcsCompare *compares, int ncompares, const DcsWrite *writes,
				int nwrites, DcsDone done, void *arg);

	/* Starts the one watch of this store; it goes on until dcs_destroy. */
	void (*watch)(Dcs *dcs, const char *prefix, DcsWatchFn fn, void *arg);

	/*
	 * Asks somebody else than the store, so that all that is waited for is
	 * waited for in one place.  DCS_OK: the answer was 200; DCS_REFUSED: it
	 * was another.
	 */
	void (*post)(Dcs *dcs, const DcsPost *post, int timeout_ms, DcsDone done, void *arg);

	/*
	 * Waits until a callback was called, the latch is set, the postmaster
	 * died, or timeout_ms passed (-1: no limit).  wake_events: WL_LATCH_SET,
	 * WL_POSTMASTER_DEATH, WL_TIMEOUT as for WaitLatch; returns those that
	 * happened (0: callbacks only).  Callbacks run in here and nowhere else.
	 */
	int (*wait)(Dcs *dcs, int wake_events, long timeout_ms);

	/* New endpoints or certificates; requests in flight go on. */
	void (*reconfigure)(Dcs *dcs, const DcsSettings *settings);

	/* Drops all requests without calling their callbacks. */
	void (*destroy)(Dcs *dcs);
} DcsOps;

struct Dcs
{
	const DcsOps *ops;
};

/*
 * An etcd v3 (3.4 and newer) behind its HTTP/JSON gateway.  Lives in
 * "context".  Errors only for settings that cannot be used at all.
 */
extern Dcs *etcd_create(MemoryContext context, const DcsSettings *settings);

/*
 * For a process that has no loop any more (a postmaster that exits):
 * revokes a lease and waits for the answer, at most timeout_ms in all.
 * Never throws; true when etcd confirmed it.
 */
extern bool etcd_revoke_blocking(const DcsSettings *settings, int64 lease, int timeout_ms);

#endif
