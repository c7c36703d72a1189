/*-------------------------------------------------------------------------
 * wait.h
 *	  Waiting, with a limit, for something that another process does.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BASE_WAIT_H
#define PGCLUSTER_BASE_WAIT_H

#include "storage/condition_variable.h"

/*
 * Waits on a condition variable until "done" says so; false when that took
 * longer than so many milliseconds.  Looks again each second without being
 * woken: what "done" asks may change with the time alone.  May be interrupted.
 */
extern bool wait_until(ConditionVariable *changed, bool (*done)(void), int timeout_ms);

#endif
