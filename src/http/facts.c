/*-------------------------------------------------------------------------
 * facts.c
 *	  What the HTTP server tells, looked up for one request.
 *
 * All of it is in memory: the server's own state is looked at directly, the
 * group's through the picture that the agent leaves.  Nothing here waits for
 * the store, and an agent that stands still cannot make this wait, or make a
 * server look like a leader: that goes by the deadline that commits go by.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "replication/walreceiver.h"
#include "storage/spin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/json.h"
#include "http/facts.h"

static json_object *
own_tags(void)
{
	json_object *tags = json_parsed(config_tags, json_type_object);

	return tags != NULL ? tags : json_made(json_object_new_object());
}

static bool
is_streaming(void)
{
	bool streaming;

	SpinLockAcquire(&WalRcv->mutex);
	streaming = WalRcv->walRcvState == WALRCV_STREAMING;
	SpinLockRelease(&WalRcv->mutex);
	return streaming;
}

static void
look_at_primary(HttpFacts *facts)
{
	facts->written = GetFlushRecPtr(&facts->timeline);
	facts->running = true;
}

static void
look_at_standby(HttpFacts *facts)
{
	TimeLineID received_timeline = 0;
	const char *restore_command;

	facts->running = HotStandbyActive();
	facts->received = GetWalRcvFlushRecPtr(NULL, &received_timeline);
	facts->replayed = GetXLogReplayRecPtr(&facts->timeline);
	/* What the walreceiver knows may be of before a restart. */
	if (facts->received > facts->replayed)
		facts->timeline = received_timeline;
	else
		facts->received = facts->replayed;
	facts->replayed_at = GetLatestXTime();
	facts->replay_paused = GetRecoveryPauseState() != RECOVERY_NOT_PAUSED;
	facts->streaming = is_streaming();
	restore_command = GetConfigOption("restore_command", true, false);
	facts->from_archive =
		!facts->streaming && restore_command != NULL && restore_command[0] != '\0';
}

/* One for the process: it is large, and the last is good when none can be had. */
static HaPicture *
present_picture(void)
{
	static HaPicture *picture = NULL;

	if (picture == NULL)
		picture = MemoryContextAllocZero(TopMemoryContext, sizeof(HaPicture));
	if (!ha_read_picture(picture))
		ereport(DEBUG1, (errmsg("the agent does not answer, an earlier view is shown")));
	return picture;
}

static void
look_at_group(HttpFacts *facts)
{
	const HaPicture *picture = facts->picture = present_picture();

	facts->now_us = clock_now_us();
	facts->lease_left_us = Max(picture->deadline_us - facts->now_us, 0);
	facts->turn_age_us = Max(facts->now_us - picture->turn_us, 0);
	for (int i = 0; i < picture->nmembers; i++)
		if (strcmp(picture->members[i].name, config_node_name) == 0)
			facts->self = &picture->members[i];
	if (facts->self != NULL && !facts->primary)
		facts->sync = facts->self->sync;
	if (!facts->primary && picture->optime > facts->received)
		facts->lag = (int64) (picture->optime - facts->received);
	if (!facts->primary && picture->optime > facts->replayed)
		facts->replay_lag = (int64) (picture->optime - facts->replayed);
}

/* Has the leader key of a standby cluster, as far as etcd confirmed it within the ttl. */
static bool
holds_lead(const HttpFacts *facts)
{
	const HaPicture *picture = facts->picture;

	return picture->standby_cluster && strcmp(picture->holder, config_node_name) == 0 &&
		   facts->now_us - picture->answered_us < picture->ttl * INT64CONST(1000000);
}

static bool
goes_without_store(const HttpFacts *facts)
{
	const HaPicture *picture = facts->picture;

	if (facts->leads)
		return facts->now_us - picture->answered_us >= picture->ttl * INT64CONST(1000000);
	return facts->now_us < picture->promised_us;
}

void
http_facts_look(HttpFacts *facts)
{
	RecoveryState state = GetRecoveryState();

	memset(facts, 0, sizeof(*facts));
	facts->primary = state == RECOVERY_STATE_DONE;
	facts->tags = own_tags();
	if (facts->primary)
		look_at_primary(facts);
	else
		look_at_standby(facts);
	look_at_group(facts);
	facts->leads = facts->primary && facts->lease_left_us > 0;
	facts->failsafe = goes_without_store(facts);
	facts->standby_leader = !facts->primary && facts->running && holds_lead(facts);
}

int64
http_facts_store_seen(const HttpFacts *facts)
{
	int64 age_us = facts->now_us - facts->picture->answered_us;

	if (facts->picture->answered_us == 0)
		return 0;
	return (int64) timestamptz_to_time_t(GetCurrentTimestamp()) - age_us / 1000000;
}

const char *
http_facts_role(const HttpFacts *facts, const SharedMember *member)
{
	if (strcmp(member->name, facts->picture->holder) == 0)
		return facts->picture->standby_cluster ? "standby_leader" : "leader";
	return ha_follower_role(member->sync);
}

const char *
http_facts_replication(const HttpFacts *facts)
{
	if (facts->streaming)
		return "streaming";
	return facts->from_archive ? "in archive recovery" : "";
}

bool
http_facts_lag(const HttpFacts *facts, const SharedMember *member, int64 *lag)
{
	uint64 optime = facts->picture->optime;

	if (!member->lsn_known || optime == 0)
		return false;
	*lag = optime > member->lsn ? (int64) (optime - member->lsn) : 0;
	return true;
}
