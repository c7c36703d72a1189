/*-------------------------------------------------------------------------
 * event_trigger.h
 *	  Event triggers fire once for a statement.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_EVENT_TRIGGER_H
#define PGCLUSTER_SHARD_DDL_EVENT_TRIGGER_H

#include "shard/ddl/utility.h"

/* Begins a command by which a node follows what was done on the coordinator. */
#define EVENT_TRIGGER_MARK "/* pgcluster follows */ "

typedef void (*EventTriggerRun)(UtilityCall *call);

/* Runs the statement, without event triggers if they have fired elsewhere. */
extern void event_trigger_run(UtilityCall *call, EventTriggerRun run);

#endif
