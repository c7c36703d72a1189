/*-------------------------------------------------------------------------
 * failpoint.h
 *	  Places at which a test may have a process or the whole server die.
 *
 * They are armed by a superuser, with pgcluster.arm_failpoint(), in shared
 * memory, so that they are gone after the restart that they cause.  One that
 * is not armed costs a look at a variable; none stands where statements run.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BASE_FAILPOINT_H
#define PGCLUSTER_BASE_FAILPOINT_H

typedef enum Failpoint
{
	FAIL_RECORDED,
	FAIL_PREPARING,
	FAIL_PREPARED,
	FAIL_DECIDING,
	FAIL_COMMITTED,
	FAIL_TELLING,
	FAIL_TOLD,
	FAIL_DONE,
	FAIL_ROLLING_BACK,
	FAIL_NODE_PREPARING,
	FAIL_NODE_PREPARED,
	FAIL_NODE_DECIDING,
	FAIL_NODE_DECIDED,
	FAIL_NODE_COMMITTING,
	FAIL_NODE_COMMITTED,
	FAIL_NODE_ROLLING_BACK,
	FAIL_NODE_ROLLED_BACK,
	FAIL_RECOVERY_LISTED,
	FAIL_RECOVERY_DECIDED,
	FAIL_RECOVERY_FINISHED,
	FAILPOINTS
} Failpoint;

/* Does not return when the place is armed. */
extern void failpoint(Failpoint place);

extern void failpoint_init(void);

#endif
