/*-------------------------------------------------------------------------
 * commands.c
 *	  The SQL functions that change the cluster.
 *
 * Each leaves a request for the agent and waits, interruptibly, for what
 * becomes of it.  They work on primaries and standbys alike, and need no
 * transaction of their own: what they have done is not undone by a ROLLBACK.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/config.h"
#include "ha/shared.h"

#define NAP_MS 1000

/*
 * Asking
 */

static void
abandon(int code, Datum id)
{
	ha_request_abandon(DatumGetUInt64(id));
}

static char *
await(uint64 id, HaOutcome *outcome)
{
	char *document = NULL;

	ConditionVariablePrepareToSleep(&ha_shared->request_cv);
	while (!ha_request_poll(id, outcome, &document))
		ConditionVariableTimedSleep(&ha_shared->request_cv, NAP_MS, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
	return document;
}

static void
report_failure(HaRequestKind kind, const HaOutcome *outcome)
{
	const char *failure = ha_request_failure(kind);

	ereport(ERROR, (errcode(outcome->sqlstate),
					failure[0] ? errmsg("%s: %s", failure, outcome->message)
							   : errmsg("%s", outcome->message),
					outcome->detail[0] ? errdetail("%s", outcome->detail) : 0,
					outcome->hint[0] ? errhint("%s", outcome->hint) : 0));
}

/* Has it carried out, or raises the error.  Returns the document it left, if any. */
static char *
carry_out(const HaRequest *request, const char *text, HaOutcome *outcome)
{
	volatile uint64 id;
	char *document = NULL;

	if (!ha_enabled())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("high availability is off"),
						errhint("Set pgcluster.etcd_endpoints and restart the server.")));
	id = ha_request_submit(request, text, outcome);
	if (id == 0)
		report_failure(request->kind, outcome);
	PG_ENSURE_ERROR_CLEANUP(abandon, UInt64GetDatum(id));
	{
		document = await(id, outcome);
	}
	PG_END_ENSURE_ERROR_CLEANUP(abandon, UInt64GetDatum(id));

	if (outcome->state == HA_REQUEST_FAILED)
		report_failure(request->kind, outcome);
	if (outcome->notice[0] != '\0')
		ereport(NOTICE, (errmsg("%s", outcome->notice)));
	return document;
}

static void
copy_name(char *to, text *from)
{
	const char *name = text_to_cstring(from);

	if (strlen(name) >= HA_NAME_SIZE)
		ereport(ERROR, (errcode(ERRCODE_NAME_TOO_LONG), errmsg("the member's name is too long"),
						errdetail("A name has at most %d characters.", HA_NAME_SIZE - 1)));
	strlcpy(to, name, HA_NAME_SIZE);
}

static int
group_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? ha_own_group() : PG_GETARG_INT32(n);
}

/*
 * Who leads
 */

PGCLUSTER_FUNCTION(cluster_switchover);

Datum
cluster_switchover(PG_FUNCTION_ARGS)
{
	HaRequest request = {.kind = REQUEST_SWITCHOVER, .group_id = group_argument(fcinfo, 1)};
	HaOutcome outcome;

	if (!PG_ARGISNULL(0))
		copy_name(request.member, PG_GETARG_TEXT_PP(0));
	request.at = PG_ARGISNULL(2) ? 0 : PG_GETARG_TIMESTAMPTZ(2);
	if (request.at != 0 &&
		(TIMESTAMP_NOT_FINITE(request.at) || request.at <= GetCurrentTimestamp()))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("the time of the switchover is not in the future")));
	carry_out(&request, NULL, &outcome);
	PG_RETURN_TEXT_P(cstring_to_text(outcome.message));
}

PGCLUSTER_FUNCTION(cluster_failover);

Datum
cluster_failover(PG_FUNCTION_ARGS)
{
	HaRequest request = {.kind = REQUEST_FAILOVER, .group_id = group_argument(fcinfo, 1)};
	HaOutcome outcome;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a failover needs a candidate"),
				 errhint("See cluster_status() for the members.")));
	copy_name(request.member, PG_GETARG_TEXT_PP(0));
	carry_out(&request, NULL, &outcome);
	PG_RETURN_TEXT_P(cstring_to_text(outcome.message));
}

PGCLUSTER_FUNCTION(cluster_cancel_switchover);

Datum
cluster_cancel_switchover(PG_FUNCTION_ARGS)
{
	HaRequest request = {.kind = REQUEST_CANCEL_SWITCHOVER, .group_id = group_argument(fcinfo, 0)};
	HaOutcome outcome;

	carry_out(&request, NULL, &outcome);
	PG_RETURN_VOID();
}

/*
 * Servers
 */

/* (member, group_id); a member that is not named is this one. */
static void
fill_member_request(FunctionCallInfo fcinfo, HaRequest *request, HaRequestKind kind)
{
	memset(request, 0, sizeof(*request));
	request->kind = kind;
	request->group_id = group_argument(fcinfo, 1);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the member must not be null"),
				 errhint("See cluster_status() for the members.")));
	copy_name(request->member, PG_GETARG_TEXT_PP(0));
}

static void
copy_condition(char *to, size_t size, text *from, const char *what)
{
	const char *condition = text_to_cstring(from);

	if (strlen(condition) >= size)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid %s: \"%s\"", what, condition)));
	strlcpy(to, condition, size);
}

static void
check_role(const char *role)
{
	if (role[0] != '\0' && strcmp(role, "primary") != 0 && strcmp(role, "replica") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid role: \"%s\"", role),
				 errhint("It is \"primary\" or \"replica\".")));
}

PGCLUSTER_FUNCTION(cluster_restart);

/* (member, group_id, at, only_pending, only_role, below_version) */
Datum
cluster_restart(PG_FUNCTION_ARGS)
{
	HaRequest request;
	HaOutcome outcome;

	fill_member_request(fcinfo, &request, REQUEST_RESTART);
	request.at = PG_ARGISNULL(2) ? 0 : PG_GETARG_TIMESTAMPTZ(2);
	if (request.at != 0 &&
		(TIMESTAMP_NOT_FINITE(request.at) || request.at <= GetCurrentTimestamp()))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("the time of the restart is not in the future")));
	request.only_pending = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
	if (!PG_ARGISNULL(4))
		copy_condition(request.only_role, sizeof(request.only_role), PG_GETARG_TEXT_PP(4), "role");
	check_role(request.only_role);
	if (!PG_ARGISNULL(5))
		copy_condition(request.below_version, sizeof(request.below_version), PG_GETARG_TEXT_PP(5),
					   "version");
	carry_out(&request, NULL, &outcome);
	PG_RETURN_VOID();
}

PGCLUSTER_FUNCTION(cluster_cancel_restart);

Datum
cluster_cancel_restart(PG_FUNCTION_ARGS)
{
	HaRequest request;
	HaOutcome outcome;

	fill_member_request(fcinfo, &request, REQUEST_CANCEL_RESTART);
	carry_out(&request, NULL, &outcome);
	PG_RETURN_VOID();
}

PGCLUSTER_FUNCTION(cluster_reload);

Datum
cluster_reload(PG_FUNCTION_ARGS)
{
	HaRequest request;
	HaOutcome outcome;

	fill_member_request(fcinfo, &request, REQUEST_RELOAD);
	carry_out(&request, NULL, &outcome);
	PG_RETURN_VOID();
}

PGCLUSTER_FUNCTION(cluster_reinitialize);

Datum
cluster_reinitialize(PG_FUNCTION_ARGS)
{
	HaRequest request;
	HaOutcome outcome;

	fill_member_request(fcinfo, &request, REQUEST_REINITIALIZE);
	request.force = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	carry_out(&request, NULL, &outcome);
	PG_RETURN_VOID();
}

/*
 * The settings of a group
 */

static Datum
jsonb_of(const char *text)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
}

PGCLUSTER_FUNCTION(cluster_config);

/* A patch that changes nothing brings the document of any group. */
Datum
cluster_config(PG_FUNCTION_ARGS)
{
	HaRequest request = {.kind = REQUEST_PATCH_CONFIG, .group_id = group_argument(fcinfo, 0)};
	HaOutcome outcome;
	char *document;

	if (request.group_id == ha_own_group())
		document = ha_read_document(HA_DOCUMENT_CONFIG);
	else
		document = carry_out(&request, "{}", &outcome);
	if (document == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(jsonb_of(document));
}

PGCLUSTER_FUNCTION(cluster_set_config);

Datum
cluster_set_config(PG_FUNCTION_ARGS)
{
	HaRequest request = {.kind = REQUEST_PATCH_CONFIG, .group_id = group_argument(fcinfo, 1)};
	HaOutcome outcome;
	Jsonb *patch;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	patch = PG_GETARG_JSONB_P(0);
	PG_RETURN_DATUM(jsonb_of(
		carry_out(&request, JsonbToCString(NULL, &patch->root, VARSIZE(patch)), &outcome)));
}

static void
set_pause(int group_id, bool paused)
{
	HaRequest request = {.kind = REQUEST_PATCH_CONFIG, .group_id = group_id, .wait = true};
	HaOutcome outcome;

	carry_out(&request, paused ? "{\"pause\": true}" : "{\"pause\": null}", &outcome);
}

PGCLUSTER_FUNCTION(cluster_pause);

Datum
cluster_pause(PG_FUNCTION_ARGS)
{
	set_pause(group_argument(fcinfo, 0), true);
	PG_RETURN_VOID();
}

PGCLUSTER_FUNCTION(cluster_resume);

Datum
cluster_resume(PG_FUNCTION_ARGS)
{
	set_pause(group_argument(fcinfo, 0), false);
	PG_RETURN_VOID();
}
