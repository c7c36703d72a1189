/*-------------------------------------------------------------------------
 * refusal.h
 *	  What a node cannot do of a call, but the coordinator can.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_REMOTE_REFUSAL_H
#define PGCLUSTER_SHARD_REMOTE_REFUSAL_H

#include "libpq-fe.h"
#include "utils/elog.h"

/*
 * On the node, in an ereport: its SQLSTATE, and a mark for the coordinator,
 * if that is who asked.
 */
extern int refusal_code(void);

/* Is this a session of the coordinator's?  Its name says so, which keeps mistakes out, not malice. */
extern bool refusal_is_for_coordinator(void);

/* Around a CALL on the node: after a COMMIT in it nothing is marked. */
typedef struct RefusalCall
{
	ErrorContextCallback callback;
	unsigned int local_xid;
} RefusalCall;

extern void refusal_enter_call(RefusalCall *call);
extern void refusal_leave_call(RefusalCall *call);

/* On the coordinator: may what this error ended be run here, once it is taken back? */
extern bool refusal_may_run_here(const PGresult *error);

/* Is it marked?  Had the procedure committed? */
extern bool refusal_is_marked(const PGresult *error);
extern bool refusal_is_committed(const PGresult *error);

#endif
