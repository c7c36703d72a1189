/*-------------------------------------------------------------------------
 * refusal.c
 *	  What a node cannot do of a call, but the coordinator can.
 *
 * A function that runs where its key lives may turn out to need more than is
 * there: rows of other groups, all copies of a reference table, a sequence or
 * a table that only the coordinator has.  Then what it did is taken back, and
 * it is called on the coordinator, which has everything (remote_task_refused).
 *
 * The node marks errors that say so.  For a session of the coordinator they
 * have an SQLSTATE that PL/pgSQL's WHEN OTHERS does not catch: a handler would
 * see an error that is none of the function's.  What is not there at all the
 * server itself misses, and whether the coordinator has it shows when it is
 * called there; so does whether a procedure may commit.
 *
 * A procedure that has committed on the node cannot be taken back: what the
 * node marks then says that, and the error stands.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/guc.h"

#include "base/compat.h"
#include "shard/remote/connection.h"
#include "shard/remote/refusal.h"

#define COORDINATOR_NAME "pgcluster_"

/* Where an error names objects. */
#define MARK_SCHEMA "pgcluster"
#define MARK_ELSEWHERE "elsewhere"

/* A line of the context, as a call may have set any other field. */
#define MARK_COMMITTED "after a commit of the called procedure"

/* On the way to the coordinator; there it is ERRCODE_FEATURE_NOT_SUPPORTED again. */
#define MARKED_CODE ERRCODE_ASSERT_FAILURE

/* What the server misses on a node: objects, and, in a transaction of ours, the right to end it. */
static const int missing_codes[] = {ERRCODE_UNDEFINED_TABLE, ERRCODE_UNDEFINED_FUNCTION,
									ERRCODE_UNDEFINED_OBJECT, ERRCODE_UNDEFINED_SCHEMA,
									ERRCODE_INVALID_TRANSACTION_TERMINATION};

static bool
is_missing(int code)
{
	for (size_t i = 0; i < lengthof(missing_codes); i++)
	{
		if (missing_codes[i] == code)
			return true;
	}
	return false;
}

bool
refusal_is_for_coordinator(void)
{
	return strncmp(application_name, COORDINATOR_NAME, strlen(COORDINATOR_NAME)) == 0;
}

int
refusal_code(void)
{
	if (!refusal_is_for_coordinator())
		return errcode(ERRCODE_FEATURE_NOT_SUPPORTED);
	err_generic_string(PG_DIAG_SCHEMA_NAME, MARK_SCHEMA);
	err_generic_string(PG_DIAG_CONSTRAINT_NAME, MARK_ELSEWHERE);
	return errcode(MARKED_CODE);
}

/* For every error and notice inside the call. */
static void
mark_committed(void *arg)
{
	RefusalCall *call = arg;

	if (call->local_xid == compat_local_xid() ||
		(geterrcode() != MARKED_CODE && !is_missing(geterrcode())))
		return;
	errcontext("%s", MARK_COMMITTED);
}

void
refusal_enter_call(RefusalCall *call)
{
	call->local_xid = compat_local_xid();
	call->callback.callback = mark_committed;
	call->callback.arg = call;
	call->callback.previous = error_context_stack;
	error_context_stack = &call->callback;
}

void
refusal_leave_call(RefusalCall *call)
{
	error_context_stack = call->callback.previous;
}

static bool
has_field(const PGresult *error, int field, const char *value)
{
	const char *found = PQresultErrorField(error, field);

	return found != NULL && strcmp(found, value) == 0;
}

bool
refusal_is_marked(const PGresult *error)
{
	return error_code(error) == MARKED_CODE && has_field(error, PG_DIAG_SCHEMA_NAME, MARK_SCHEMA) &&
		   has_field(error, PG_DIAG_CONSTRAINT_NAME, MARK_ELSEWHERE);
}

bool
refusal_is_committed(const PGresult *error)
{
	const char *context = PQresultErrorField(error, PG_DIAG_CONTEXT);

	return context != NULL && strstr(context, MARK_COMMITTED) != NULL;
}

bool
refusal_may_run_here(const PGresult *error)
{
	return (refusal_is_marked(error) || is_missing(error_code(error))) &&
		   !refusal_is_committed(error);
}
