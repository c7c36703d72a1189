/*-------------------------------------------------------------------------
 * submit.c
 *	  The side of those who ask the agent for something, see request.h.
 *
 * An agent that was stopped while it held the lock must not stop the HTTP
 * server too, so nobody waits long for it here.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/shmem.h"
#include "ha/shared.h"

/* How long the lock is waited for. */
#define LOCK_TRIES 50
#define LOCK_NAP_US 2000

/* An outcome that nobody fetched for so long is nobody's any more. */
#define FORGOTTEN_US (300 * INT64CONST(1000000))

static char *texts = NULL; /* HA_MAX_REQUESTS of them */

static Size
texts_size(void)
{
	return ha_enabled() ? HA_MAX_REQUESTS * HA_REQUEST_TEXT_SIZE : 1;
}

static void
texts_attach(void *area, LWLockPadded *locks, bool found)
{
	texts = area;
}

static const ShmemArea texts_area = {"pgcluster requests", texts_size, 0, texts_attach};

void
ha_request_init(void)
{
	shmem_register(&texts_area);
}

char *
ha_request_text(int place)
{
	return texts + (Size) place * HA_REQUEST_TEXT_SIZE;
}

static bool
lock_soon(LWLockMode mode)
{
	for (int i = 0; i < LOCK_TRIES; i++)
	{
		if (LWLockConditionalAcquire(ha_shared->lock, mode))
			return true;
		pg_usleep(LOCK_NAP_US);
	}
	return false;
}

static uint64
refuse(HaOutcome *refusal, int sqlstate, const char *message, const char *hint)
{
	memset(refusal, 0, sizeof(*refusal));
	refusal->state = HA_REQUEST_FAILED;
	refusal->sqlstate = sqlstate;
	strlcpy(refusal->message, message, sizeof(refusal->message));
	strlcpy(refusal->hint, hint, sizeof(refusal->hint));
	return 0;
}

static bool
is_free(const SharedRequest *shared)
{
	bool over =
		shared->outcome.state == HA_REQUEST_DONE || shared->outcome.state == HA_REQUEST_FAILED;

	return shared->id == 0 || (over && clock_now_us() - shared->moved_us > FORGOTTEN_US);
}

/* The number of a place that is free now, or -1. */
static int
find_place(void)
{
	for (int i = 0; i < HA_MAX_REQUESTS; i++)
		if (is_free(&ha_shared->requests[i]))
			return i;
	return -1;
}

static void
place(int i, const HaRequest *request, const char *text)
{
	SharedRequest *shared = &ha_shared->requests[i];

	memset(shared, 0, sizeof(*shared));
	shared->id = ++ha_shared->last_request;
	shared->asked_at = GetCurrentTimestamp();
	shared->moved_us = clock_now_us();
	shared->what = *request;
	shared->outcome.state = HA_REQUEST_WAITING;
	strlcpy(ha_request_text(i), text == NULL ? "" : text, HA_REQUEST_TEXT_SIZE);
}

uint64
ha_request_submit(const HaRequest *request, const char *text, HaOutcome *refusal)
{
	uint64 id = 0;
	bool agent_runs;
	int i;

	if (!ha_enabled())
		return refuse(refusal, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "high availability is off",
					  "Set pgcluster.etcd_endpoints and restart the server.");
	if (text != NULL && strlen(text) >= HA_REQUEST_TEXT_SIZE)
		return refuse(refusal, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
					  "the configuration is longer than 64 kB", "");
	if (!lock_soon(LW_EXCLUSIVE))
		return refuse(refusal, ERRCODE_LOCK_NOT_AVAILABLE,
					  "the agent of this server does not answer", "");
	agent_runs = ha_shared->agent_latch != NULL;
	i = find_place();
	if (agent_runs && i >= 0)
	{
		place(i, request, text);
		id = ha_shared->requests[i].id;
		SetLatch(ha_shared->agent_latch);
	}
	LWLockRelease(ha_shared->lock);

	if (!agent_runs)
		return refuse(refusal, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					  "the pgcluster agent of this server is not running",
					  "It is started again by itself; see the server's log.");
	if (i < 0)
		return refuse(refusal, ERRCODE_OBJECT_IN_USE,
					  "too many requests are being carried out by this server", "Try again later.");
	return id;
}

static int
find_request(uint64 id)
{
	for (int i = 0; i < HA_MAX_REQUESTS; i++)
		if (ha_shared->requests[i].id == id)
			return i;
	return -1;
}

static bool
is_about_config(HaRequestKind kind)
{
	return kind == REQUEST_PATCH_CONFIG || kind == REQUEST_REPLACE_CONFIG;
}

/* Copies the outcome; true when it is over, and its place is free again. */
static bool
fetch(int i, HaOutcome *outcome, char *text)
{
	SharedRequest *shared = &ha_shared->requests[i];

	*outcome = shared->outcome;
	if (outcome->state != HA_REQUEST_DONE && outcome->state != HA_REQUEST_FAILED)
		return false;
	if (text != NULL && outcome->state == HA_REQUEST_DONE && is_about_config(shared->what.kind))
		strlcpy(text, ha_request_text(i), HA_REQUEST_TEXT_SIZE);
	shared->id = 0;
	return true;
}

bool
ha_request_poll(uint64 id, HaOutcome *outcome, char **document)
{
	char *text = document == NULL ? NULL : palloc0(HA_REQUEST_TEXT_SIZE);
	bool over;
	int i;

	memset(outcome, 0, sizeof(*outcome));
	outcome->state = HA_REQUEST_TAKEN;
	if (!lock_soon(LW_EXCLUSIVE))
	{
		if (document != NULL)
			*document = NULL;
		return false;
	}
	i = find_request(id);
	over = i < 0 || fetch(i, outcome, text);
	LWLockRelease(ha_shared->lock);

	if (i < 0)
		refuse(outcome, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "the request was lost", "");
	if (document != NULL)
		*document = over && text[0] != '\0' ? text : NULL;
	return over;
}

void
ha_request_abandon(uint64 id)
{
	int i;

	/* If it cannot be had, the outcome is forgotten later. */
	if (!lock_soon(LW_EXCLUSIVE))
		return;
	i = find_request(id);
	if (i >= 0)
		ha_shared->requests[i].id = 0;
	LWLockRelease(ha_shared->lock);
}

const char *
ha_request_failure(HaRequestKind kind)
{
	static const char *const failures[] = {
		[REQUEST_SWITCHOVER] = "cannot switch over",
		[REQUEST_FAILOVER] = "cannot fail over",
		[REQUEST_CANCEL_SWITCHOVER] = "cannot cancel the switchover",
		[REQUEST_PATCH_CONFIG] = "",
		[REQUEST_REPLACE_CONFIG] = "",
		[REQUEST_RESTART] = "cannot restart",
		[REQUEST_CANCEL_RESTART] = "cannot cancel the restart",
		[REQUEST_RELOAD] = "cannot reload",
		[REQUEST_REINITIALIZE] = "cannot reinitialize",
	};

	StaticAssertStmt(lengthof(failures) == N_HA_REQUESTS, "each kind can fail");
	return failures[kind];
}
