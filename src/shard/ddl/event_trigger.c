/*-------------------------------------------------------------------------
 * event_trigger.c
 *	  Event triggers fire once for a statement.
 *
 * They are on all nodes, as objects that shards need are (objects.c), for what
 * functions and administrators do there.  DDL of the coordinator has fired
 * them there, for the statement of the user; what nodes do to follow it, on
 * shards, shells and objects, fires none.  It begins with a mark.
 *
 * What must stay true: nobody gets around an event trigger of the coordinator
 * by writing the mark himself.  So it counts only where no worker groups are
 * known, which is on them, or for a superuser, who can disable event triggers
 * anyway.
 *
 * The server fires none for a part of another statement.  A command that
 * must not run in a transaction cannot be such a part: for it they are
 * switched off, before PostgreSQL 17 only those that are not ENABLE ALWAYS or
 * REPLICA.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/event_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "tcop/cmdtag.h"
#include "tcop/tcopprot.h"

#include "base/compat.h"
#include "shard/ddl/event_trigger.h"
#include "shard/ddl/shell_node.h"
#include "shard/metadata/metadata.h"

static bool
follows_coordinator(void)
{
	return debug_query_string != NULL &&
		   strncmp(debug_query_string, EVENT_TRIGGER_MARK, strlen(EVENT_TRIGGER_MARK)) == 0 &&
		   shell_session_is_coordinators() &&
		   (metadata_groups() == NIL || superuser_arg(GetSessionUserId()));
}

static bool
is_concurrent(Node *stmt)
{
	AlterTableCmd *cmd;

	if (IsA(stmt, IndexStmt))
		return ((IndexStmt *) stmt)->concurrent;
	if (IsA(stmt, DropStmt))
		return ((DropStmt *) stmt)->concurrent;
	if (!IsA(stmt, AlterTableStmt))
		return IsA(stmt, ReindexStmt);
	cmd = linitial_node(AlterTableCmd, ((AlterTableStmt *) stmt)->cmds);
	return cmd->def != NULL && IsA(cmd->def, PartitionCmd) &&
		   ((PartitionCmd *) cmd->def)->concurrent;
}

void
event_trigger_run(UtilityCall *call, EventTriggerRun run)
{
	Node *stmt = call->pstmt->utilityStmt;
	ProcessUtilityContext context = call->context;
	int before = compat_event_triggers;

	if (context == PROCESS_UTILITY_SUBCOMMAND ||
		!command_tag_event_trigger_ok(CreateCommandTag(stmt)) || !follows_coordinator())
	{
		run(call);
		return;
	}
	PG_TRY();
	{
		if (is_concurrent(stmt))
			compat_event_triggers = COMPAT_EVENT_TRIGGERS_OFF;
		else
			call->context = PROCESS_UTILITY_SUBCOMMAND;
		run(call);
	}
	PG_FINALLY();
	{
		call->context = context;
		compat_event_triggers = before;
	}
	PG_END_TRY();
}
