/*-------------------------------------------------------------------------
 * wait.c
 *	  Waiting, with a limit, for something that another process does.
 *
 * The limit is measured on the clock of leases, so that a suspended machine
 * does not wait longer.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/wait_event.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/wait.h"

#define RECHECK_MS 1000

bool
wait_until(ConditionVariable *changed, bool (*done)(void), int timeout_ms)
{
	int64 until;
	bool is_done;

	if (done())
		return true;
	until = clock_now_us() + (int64) timeout_ms * 1000;
	ConditionVariablePrepareToSleep(changed);
	while (!(is_done = done()))
	{
		int64 left = (until - clock_now_us()) / 1000;

		if (left <= 0)
			break;
		ConditionVariableTimedSleep(changed, Min(left, RECHECK_MS), PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	return is_done;
}
