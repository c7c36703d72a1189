/*-------------------------------------------------------------------------
 * compat.h
 *	  The only place that knows server versions.
 *
 * Gives PostgreSQL 15 the shape of the newest server where the two differ,
 * so that all other code is written once.  Nothing else tests
 * PG_VERSION_NUM.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BASE_COMPAT_H
#define PGCLUSTER_BASE_COMPAT_H

#include "fmgr.h"

#if PG_VERSION_NUM < 150000
#error "pgcluster needs PostgreSQL 15 or newer"
#endif

/*
 * A WaitEventSet that lives until FreeWaitEventSet, in older servers in
 * "context".
 */
#if PG_VERSION_NUM >= 170000
#define compat_create_wait_event_set(context, nevents) CreateWaitEventSet(NULL, (nevents))
#else
#define compat_create_wait_event_set(context, nevents) CreateWaitEventSet((context), (nevents))
#endif

/*
 * An SQL entry point: visible although the library hides its symbols.
 */
#define PGCLUSTER_FUNCTION(name)                     \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)

#endif
