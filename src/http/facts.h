/*-------------------------------------------------------------------------
 * facts.h
 *	  What the HTTP server tells, looked up for one request.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HTTP_FACTS_H
#define PGCLUSTER_HTTP_FACTS_H

#include <json-c/json.h>

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"

#include "ha/state.h"

typedef struct HttpFacts
{
	/* this server, at this moment */
	bool running;		 /* lets sessions in */
	bool primary;		 /* recovery is over */
	bool leads;			 /* primary, and may commit */
	bool standby_leader; /* of a standby cluster */
	bool failsafe;		 /* leads on without the store, or has agreed to that */
	XLogRecPtr written;	 /* of a primary */
	XLogRecPtr received; /* of a standby; what was replayed at least */
	XLogRecPtr replayed;
	TimestampTz replayed_at; /* 0: nothing was replayed */
	bool replay_paused;
	bool streaming;
	bool from_archive; /* WAL is restored from there */
	TimeLineID timeline;
	json_object *tags; /* an object, never NULL */

	/* the clock of leases */
	int64 now_us;
	int64 lease_left_us; /* 0: none */
	int64 turn_age_us;	 /* since the agent began its last turn */

	/* the group, as the agent last saw it */
	const HaPicture *picture;
	const SharedMember *self; /* NULL: its key is not there */
	HaSync sync;
	/* of a standby, in bytes behind what the leader published */
	int64 lag;		  /* what it has received */
	int64 replay_lag; /* what it shows */
} HttpFacts;

/* In the current memory context; the picture is good until the next call. */
extern void http_facts_look(HttpFacts *facts);

/* When the store last answered, in seconds of the wall clock; 0: never. */
extern int64 http_facts_store_seen(const HttpFacts *facts);

/* "leader", "standby_leader", "sync_standby", "quorum_standby" or "replica" */
extern const char *http_facts_role(const HttpFacts *facts, const SharedMember *member);

/* "streaming", "in archive recovery", or empty */
extern const char *http_facts_replication(const HttpFacts *facts);

/* Bytes that the member is behind the leader; false: not known. */
extern bool http_facts_lag(const HttpFacts *facts, const SharedMember *member, int64 *lag);

#endif
