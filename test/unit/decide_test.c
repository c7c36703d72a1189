/*-------------------------------------------------------------------------
 * decide_test.c
 *	  Tests of src/ha/decide.c: chosen situations, properties that hold in
 *	  all of them, and elections as their members see them.
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "ha/decide.h"
#include "tap.h"

#define lengthof(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND INT64_C(1000000)
#define NOW (100 * SECOND)

/* A member without any trouble. */
static HaView
sound(HaRole role, HaLease lease)
{
	HaView view = {0};

	strcpy(view.name, "m");
	view.role = role;
	view.lease = lease;
	view.position = (HaPosition){2, 1000};
	view.wal_read = true;
	view.position_known = true;
	view.may_lead = true;
	view.priority = 1;
	view.proven = lease == LEASE_MINE;
	view.vacant_us = lease == LEASE_FREE ? NOW : 0;
	return view;
}

/* ---- Chosen situations ---- */

static HaPeer peers[2];

static void
untouched(HaView *view)
{
}

static void
unproven(HaView *view)
{
	view->proven = false;
}

static void
paused(HaView *view)
{
	view->paused = true;
}

static void
paused_and_diverged(HaView *view)
{
	view->paused = true;
	view->diverged = true;
}

static void
paused_and_led_before(HaView *view)
{
	view->paused = true;
	view->led_last = true;
	view->voted = true;
}

static void
paused_and_named(HaView *view)
{
	view->paused = true;
	view->voted = true;
	view->switchover.asked = true;
	view->switchover.candidate_is_self = true;
}

static void
paused_and_overdue(HaView *view)
{
	view->paused = true;
	view->start_overdue = true;
}

static void
led_before(HaView *view)
{
	view->led_last = true;
}

static void
led_by_nobody(HaView *view)
{
	view->never_led = true;
}

static void
not_to_lead(HaView *view)
{
	view->may_lead = false;
	view->never_led = true;
}

static void
foreign(HaView *view)
{
	view->foreign = true;
}

static void
name_taken(HaView *view)
{
	view->name_taken = true;
}

static void
own_key(HaView *view)
{
	view->key_is_own = true;
}

static void
overdue(HaView *view)
{
	view->start_overdue = true;
}

static void
diverged(HaView *view)
{
	view->diverged = true;
	view->voted = true;
}

static void
leader_behind(HaView *view)
{
	view->leader_behind = true;
}

static void
following(HaView *view)
{
	view->following = true;
}

static void
promoting(HaView *view)
{
	view->promoting = true;
}

static void
unread(HaView *view)
{
	view->wal_read = false;
	view->position_known = false;
}

static void
lagging(HaView *view)
{
	view->lagging = true;
	view->voted = true;
}

static void
voted(HaView *view)
{
	view->voted = true;
}

static void
after_outage(HaView *view)
{
	view->voted = true;
	view->trouble_us = NOW - SECOND;
}

static void
long_after_outage(HaView *view)
{
	view->voted = true;
	view->trouble_us = NOW - 3 * SECOND;
}

/* Its server still sends WAL. */
static void
of_living_leader(HaView *view)
{
	view->voted = true;
	view->streaming = true;
	view->vacant_us = NOW - HA_RETURN_WAIT_US / 2;
}

static void
of_late_leader(HaView *view)
{
	view->voted = true;
	view->streaming = true;
	view->vacant_us = NOW - HA_RETURN_WAIT_US;
}

static void
with_peer(HaView *view, bool peer_voted, uint64_t lsn)
{
	view->voted = true;
	memset(peers, 0, sizeof(peers));
	strcpy(peers[0].name, "n");
	peers[0].may_lead = true;
	peers[0].priority = 1;
	peers[0].voted = peer_voted;
	peers[0].position = (HaPosition){2, lsn};
	view->peers = peers;
	view->npeers = 1;
}

static void
unwell(HaView *view)
{
	with_peer(view, false, 1000);
	peers[0].near = true;
	view->unwell = true;
	view->led_last = true;
}

static void
unwell_own_key(HaView *view)
{
	unwell(view);
	view->key_is_own = true;
}

static void
unwell_alone(HaView *view)
{
	view->voted = true;
	view->unwell = true;
	view->led_last = true;
}

static void
unwell_with_barred(HaView *view)
{
	unwell(view);
	peers[0].may_lead = false;
}

static void
unwell_with_laggard(HaView *view)
{
	unwell(view);
	peers[0].near = false;
}

static void
unwell_paused(HaView *view)
{
	unwell(view);
	view->paused = true;
}

static void
unwell_long(HaView *view)
{
	unwell(view);
	view->vacant_us = NOW - HA_UNWELL_WAIT_US;
}

static void
promised(HaView *view)
{
	view->voted = true;
	view->promised = true;
}

static void
promised_by_last_leader(HaView *view)
{
	promised(view);
	view->led_last = true;
}

static void
unlisted(HaView *view)
{
	view->voted = true;
	view->unlisted = true;
}

static void
peer_silent(HaView *view)
{
	with_peer(view, false, 2000);
}

static void
peer_silent_long(HaView *view)
{
	with_peer(view, false, 2000);
	view->vacant_us = NOW - SECOND;
}

static void
peer_silent_and_barred(HaView *view)
{
	with_peer(view, false, 2000);
	peers[0].may_lead = false;
}

static void
peer_behind(HaView *view)
{
	with_peer(view, true, 999);
}

static void
peer_equal(HaView *view)
{
	with_peer(view, true, 1000);
}

static void
peer_equal_with_priority(HaView *view)
{
	with_peer(view, true, 1000);
	peers[0].priority = 2;
}

static void
peer_equal_first_by_name(HaView *view)
{
	with_peer(view, true, 1000);
	strcpy(peers[0].name, "a");
}

static void
peer_ahead(HaView *view)
{
	with_peer(view, true, 1001);
}

static void
peer_ahead_but_older(HaView *view)
{
	with_peer(view, true, 5000);
	peers[0].position.timeline = 1;
}

static void
peer_newer_but_shorter(HaView *view)
{
	with_peer(view, true, 10);
	peers[0].position.timeline = 3;
}

static void
peer_ahead_idle(HaView *view)
{
	with_peer(view, true, 1001);
	view->vacant_us = NOW - 2 * SECOND;
}

/* The sync key lists both, and asks for a vote. */
static void
quorum(HaView *view)
{
	with_peer(view, true, 1000);
	peers[0].synchronous = true;
	view->sync = (HaSyncView){.required = true, .listed = true, .quorum = 1};
}

static void
quorum_unheard(HaView *view)
{
	quorum(view);
	peers[0].voted = false;
	view->vacant_us = NOW - 60 * SECOND;
}

static void
quorum_with_better(HaView *view)
{
	quorum(view);
	peers[0].position.lsn = 1001;
	view->vacant_us = NOW - 60 * SECOND;
}

static void
quorum_with_stranger(HaView *view)
{
	quorum(view);
	peers[0].synchronous = false;
}

static void
quorum_that_led(HaView *view)
{
	quorum_unheard(view);
	view->sync.led = true;
	view->sync.listed = false;
}

static void
quorum_barred(HaView *view)
{
	quorum(view);
	view->voted = false;
	view->may_lead = false;
}

static void
quorum_promised(HaView *view)
{
	quorum(view);
	view->voted = false;
	view->promised = true;
}

static void
asynchronous(HaView *view)
{
	quorum(view);
	view->sync.listed = false;
	view->vacant_us = NOW - 60 * SECOND;
}

static void
synchronous(HaView *view)
{
	quorum_unheard(view);
	view->sync.quorum = 0;
}

static void
better_but_asynchronous(HaView *view)
{
	quorum_with_stranger(view);
	peers[0].position.lsn = 2000;
	view->sync.quorum = 0;
}

static void
asynchronous_by_hand(HaView *view)
{
	asynchronous(view);
	view->switchover.asked = true;
	view->switchover.candidate_is_self = true;
	view->switchover.by_hand = true;
}

static void
asynchronous_candidate(HaView *view)
{
	asynchronous(view);
	view->switchover.asked = true;
	view->switchover.candidate_is_self = true;
}

static void
unwell_and_asynchronous(HaView *view)
{
	unwell(view);
	view->sync.required = true;
}

static void
switchover(HaView *view)
{
	HaSwitchover *s = &view->switchover;

	view->voted = true;
	s->asked = true;
	strcpy(s->candidate, "n");
	s->candidate_live = s->candidate_may_lead = s->candidate_streams = s->candidate_near = true;
	s->since_us = NOW;
}

static void
switchover_to_stranger(HaView *view)
{
	switchover(view);
	view->switchover.candidate_live = false;
}

static void
switchover_to_self(HaView *view)
{
	switchover(view);
	view->switchover.candidate_is_self = true;
}

static void
switchover_to_laggard(HaView *view)
{
	switchover(view);
	view->switchover.candidate_near = false;
}

static void
switchover_checkpointed(HaView *view)
{
	switchover(view);
	view->switchover.checkpointed = true;
}

static void
switchover_closed(HaView *view)
{
	switchover_checkpointed(view);
	view->switchover.closed_us = NOW - SECOND;
}

static void
switchover_caught_up(HaView *view)
{
	switchover_closed(view);
	view->switchover.candidate_has_all = true;
}

static void
switchover_to_async(HaView *view)
{
	switchover(view);
	view->sync.required = true;
}

static void
switchover_to_async_by_hand(HaView *view)
{
	switchover_to_async(view);
	view->switchover.by_hand = true;
}

static void
switchover_late(HaView *view)
{
	switchover_closed(view);
	view->switchover.closed_us = NOW - HA_CATCH_UP_WAIT_US;
}

static void
switchover_late_on_replica(HaView *view)
{
	switchover(view);
	view->switchover.since_us = NOW - HA_REST_WAIT_US;
}

static void
switchover_forgotten(HaView *view)
{
	switchover(view);
	view->vacant_us = NOW - HA_TAKE_WAIT_US;
}

static void
standby_cluster(HaView *view)
{
	view->standby_cluster = true;
	view->voted = true;
}

static void
standby_cluster_paused(HaView *view)
{
	standby_cluster(view);
	view->paused = true;
}

static void
standby_cluster_followed(HaView *view)
{
	standby_cluster(view);
	view->following = true;
}

static void
standby_cluster_switched(HaView *view)
{
	standby_cluster_followed(view);
	switchover(view);
	view->switchover.candidate_has_all = false;
}

static void
standby_cluster_void(HaView *view)
{
	standby_cluster_switched(view);
	view->switchover.candidate_live = false;
}

static void
wal_gone(HaView *view)
{
	view->following = true;
	view->wal_gone = true;
}

static void
wal_gone_paused(HaView *view)
{
	wal_gone(view);
	view->paused = true;
}

static const struct
{
	HaRole role;
	HaLease lease;
	void (*adjust)(HaView *view);
	HaAction action;
	const char *name;
} situations[] = {
	{HA_PRIMARY, LEASE_UNKNOWN, untouched, HA_WAIT, "a primary that has not seen the store"},
	{HA_PRIMARY, LEASE_MINE, untouched, HA_RENEW, "a leader"},
	{HA_PRIMARY, LEASE_MINE, unproven, HA_WAIT, "a leader whose deadline passed keeps still"},
	{HA_PRIMARY, LEASE_MINE, paused, HA_RENEW, "a leader of a paused cluster"},
	{HA_PRIMARY, LEASE_EARLIER, own_key, HA_RETAKE, "a leader with a new lease"},
	{HA_PRIMARY, LEASE_EARLIER, untouched, HA_WAIT, "a primary after a reboot"},
	{HA_PRIMARY, LEASE_OTHER, untouched, HA_DEMOTE, "a primary that was superseded"},
	{HA_PRIMARY, LEASE_OTHER, paused, HA_WAIT, "a superseded primary of a paused cluster"},
	{HA_PRIMARY, LEASE_FREE, led_before, HA_ACQUIRE, "a primary that led last"},
	{HA_PRIMARY, LEASE_FREE, led_by_nobody, HA_ACQUIRE, "a primary, the first of its group"},
	{HA_PRIMARY, LEASE_FREE, untouched, HA_DEMOTE, "a primary while another led last"},
	{HA_PRIMARY, LEASE_FREE, paused, HA_WAIT, "a primary of a paused cluster without leader"},
	{HA_PRIMARY, LEASE_FREE, not_to_lead, HA_DEMOTE, "a primary that may not lead"},
	{HA_PRIMARY, LEASE_FREE, foreign, HA_REFUSE, "a primary of another cluster"},
	{HA_PRIMARY, LEASE_FREE, name_taken, HA_REFUSE, "a primary whose name is taken"},

	{HA_PRIMARY, LEASE_MINE, unwell, HA_RELEASE, "a leader that cannot write"},
	{HA_PRIMARY, LEASE_MINE, unwell_alone, HA_RENEW, "one that cannot write, alone"},
	{HA_PRIMARY, LEASE_MINE, unwell_with_barred, HA_RENEW,
	 "one that cannot write, others may not lead"},
	{HA_PRIMARY, LEASE_MINE, unwell_with_laggard, HA_RENEW, "one that cannot write, others lag"},
	{HA_PRIMARY, LEASE_MINE, unwell_paused, HA_RENEW, "one that cannot write, in a paused cluster"},
	{HA_PRIMARY, LEASE_EARLIER, unwell_own_key, HA_WAIT, "one that cannot write does not go on"},
	{HA_PRIMARY, LEASE_FREE, unwell, HA_WAIT, "one that cannot write leaves the lead to others"},
	{HA_PRIMARY, LEASE_FREE, unwell_alone, HA_ACQUIRE, "unless there is nobody else"},
	{HA_PRIMARY, LEASE_FREE, unwell_long, HA_ACQUIRE, "or nobody comes"},
	{HA_REPLICA, LEASE_FREE, unwell, HA_WAIT, "a standby that cannot write"},
	{HA_REPLICA, LEASE_FREE, unwell_alone, HA_ACQUIRE, "a standby that cannot write, alone"},

	{HA_PRIMARY, LEASE_MINE, standby_cluster, HA_DEMOTE,
	 "a leader that is to follow another cluster"},
	{HA_PRIMARY, LEASE_FREE, standby_cluster, HA_DEMOTE, "a primary in a standby cluster"},
	{HA_PRIMARY, LEASE_MINE, standby_cluster_paused, HA_RENEW, "but not while paused"},
	{HA_REPLICA, LEASE_MINE, standby_cluster, HA_FOLLOW, "a standby leader is not promoted"},
	{HA_REPLICA, LEASE_MINE, standby_cluster_followed, HA_RENEW, "a standby leader that streams"},
	{HA_REPLICA, LEASE_MINE, standby_cluster_switched, HA_HAND_OVER, "the next one may lag"},
	{HA_REPLICA, LEASE_MINE, standby_cluster_void, HA_CANCEL, "but not be away"},
	{HA_REPLICA, LEASE_FREE, standby_cluster, HA_ACQUIRE,
	 "a standby of a standby cluster leads next"},
	{HA_REPLICA, LEASE_OTHER, standby_cluster, HA_FOLLOW, "its others follow their leader"},
	{HA_REPLICA, LEASE_OTHER, wal_gone, HA_REJOIN, "a standby whose WAL has gone"},
	{HA_REPLICA, LEASE_OTHER, wal_gone_paused, HA_WAIT, "but not while paused"},
	{HA_PRIMARY, LEASE_MINE, unwell_and_asynchronous, HA_RENEW,
	 "one that cannot write, others are not synchronous"},

	{HA_REPLICA, LEASE_FREE, quorum, HA_ACQUIRE, "a synchronous standby with enough votes"},
	{HA_REPLICA, LEASE_FREE, quorum_unheard, HA_WAIT, "one without, however long"},
	{HA_REPLICA, LEASE_FREE, quorum_with_better, HA_WAIT, "the vote of one that has more"},
	{HA_REPLICA, LEASE_FREE, quorum_with_stranger, HA_WAIT, "the vote of one that is not listed"},
	{HA_REPLICA, LEASE_FREE, quorum_that_led, HA_ACQUIRE, "the last leader needs no vote"},
	{HA_REPLICA, LEASE_FREE, quorum_barred, HA_VOTE, "who may not lead votes"},
	{HA_REPLICA, LEASE_FREE, quorum_promised, HA_WAIT, "but not while a leader may go on"},
	{HA_REPLICA, LEASE_FREE, asynchronous, HA_WAIT, "a standby that is not synchronous"},
	{HA_REPLICA, LEASE_FREE, synchronous, HA_ACQUIRE, "one that has every commit by itself"},
	{HA_REPLICA, LEASE_FREE, better_but_asynchronous, HA_ACQUIRE,
	 "nobody waits for one that has not"},
	{HA_REPLICA, LEASE_FREE, asynchronous_by_hand, HA_ACQUIRE, "a failover by hand goes through"},
	{HA_REPLICA, LEASE_FREE, asynchronous_candidate, HA_WAIT, "a switchover does not"},
	{HA_PRIMARY, LEASE_MINE, switchover_to_async, HA_CANCEL,
	 "a switchover to who is not synchronous"},
	{HA_PRIMARY, LEASE_MINE, switchover_to_async_by_hand, HA_CHECKPOINT, "by hand it is done"},

	{HA_STARTING, LEASE_MINE, untouched, HA_WAIT, "a leader in crash recovery"},
	{HA_STARTING, LEASE_MINE, overdue, HA_RELEASE, "a leader in overlong crash recovery"},
	{HA_STARTING, LEASE_MINE, paused_and_overdue, HA_WAIT, "overlong crash recovery in a pause"},
	{HA_STARTING, LEASE_FREE, voted, HA_WAIT, "a starting server does not lead"},

	{HA_REPLICA, LEASE_MINE, untouched, HA_PROMOTE, "a standby that won"},
	{HA_REPLICA, LEASE_MINE, promoting, HA_PROMOTE, "a standby under promotion"},
	{HA_REPLICA, LEASE_MINE, unproven, HA_WAIT, "a standby that won and lost sight of the store"},
	{HA_REPLICA, LEASE_OTHER, untouched, HA_FOLLOW, "a standby with a new leader"},
	{HA_REPLICA, LEASE_OTHER, following, HA_WAIT, "a standby that follows"},
	{HA_REPLICA, LEASE_OTHER, diverged, HA_REJOIN, "a standby with WAL of its own"},
	{HA_REPLICA, LEASE_OTHER, leader_behind, HA_WAIT, "a standby ahead of the leader"},
	{HA_REPLICA, LEASE_OTHER, paused, HA_FOLLOW, "a standby of a paused cluster follows"},
	{HA_REPLICA, LEASE_OTHER, paused_and_diverged, HA_WAIT, "but is not rewound"},

	{HA_REPLICA, LEASE_FREE, untouched, HA_VOTE, "a standby that lost its leader"},
	{HA_REPLICA, LEASE_FREE, voted, HA_ACQUIRE, "a standby that is alone"},
	{HA_REPLICA, LEASE_FREE, not_to_lead, HA_WAIT, "a standby that may not lead"},
	{HA_REPLICA, LEASE_FREE, unread, HA_WAIT, "a standby that is not at the end of its WAL"},
	{HA_REPLICA, LEASE_FREE, diverged, HA_WAIT, "a diverged standby does not lead"},
	{HA_REPLICA, LEASE_FREE, lagging, HA_WAIT, "a lagging standby does not lead"},
	{HA_REPLICA, LEASE_FREE, paused, HA_WAIT, "a standby of a paused cluster without leader"},
	{HA_REPLICA, LEASE_FREE, paused_and_led_before, HA_ACQUIRE, "the last leader of a paused one"},
	{HA_REPLICA, LEASE_FREE, paused_and_named, HA_ACQUIRE, "a candidate in a paused cluster"},
	{HA_REPLICA, LEASE_FREE, after_outage, HA_WAIT, "a standby right after an outage"},
	{HA_REPLICA, LEASE_FREE, long_after_outage, HA_ACQUIRE, "a standby after an outage"},
	{HA_REPLICA, LEASE_FREE, of_living_leader, HA_WAIT, "a standby whose leader may come back"},
	{HA_REPLICA, LEASE_FREE, of_late_leader, HA_ACQUIRE,
	 "a standby whose leader did not come back"},
	{HA_REPLICA, LEASE_FREE, promised, HA_WAIT,
	 "a standby that confirmed a leader without the store"},
	{HA_REPLICA, LEASE_FREE, promised_by_last_leader, HA_ACQUIRE, "the last leader itself"},
	{HA_REPLICA, LEASE_FREE, unlisted, HA_WAIT, "a standby that the failsafe key leaves out"},
	{HA_REPLICA, LEASE_FREE, peer_silent, HA_WAIT, "a vote is missing"},
	{HA_REPLICA, LEASE_FREE, peer_silent_long, HA_ACQUIRE, "a vote is missing for too long"},
	{HA_REPLICA, LEASE_FREE, peer_silent_and_barred, HA_ACQUIRE, "a vote that does not count"},
	{HA_REPLICA, LEASE_FREE, peer_behind, HA_ACQUIRE, "the other has less WAL"},
	{HA_REPLICA, LEASE_FREE, peer_ahead, HA_WAIT, "the other has more WAL"},
	{HA_REPLICA, LEASE_FREE, peer_ahead_idle, HA_ACQUIRE, "the other has more and does nothing"},
	{HA_REPLICA, LEASE_FREE, peer_ahead_but_older, HA_ACQUIRE, "the other is on an old timeline"},
	{HA_REPLICA, LEASE_FREE, peer_newer_but_shorter, HA_WAIT, "the other is on a new timeline"},
	{HA_REPLICA, LEASE_FREE, peer_equal, HA_ACQUIRE, "equals, the first by name"},
	{HA_REPLICA, LEASE_FREE, peer_equal_first_by_name, HA_WAIT, "equals, the second by name"},
	{HA_REPLICA, LEASE_FREE, peer_equal_with_priority, HA_WAIT, "equals, one with priority"},

	{HA_PRIMARY, LEASE_MINE, switchover, HA_CHECKPOINT, "switchover: begin"},
	{HA_PRIMARY, LEASE_MINE, switchover_checkpointed, HA_CLOSE, "switchover: checkpoint done"},
	{HA_PRIMARY, LEASE_MINE, switchover_closed, HA_CLOSE, "switchover: candidate catches up"},
	{HA_PRIMARY, LEASE_MINE, switchover_caught_up, HA_STEP_DOWN, "switchover: caught up"},
	{HA_PRIMARY, LEASE_MINE, switchover_late, HA_CANCEL, "switchover: does not catch up"},
	{HA_PRIMARY, LEASE_MINE, switchover_to_stranger, HA_CANCEL, "switchover: to nobody"},
	{HA_PRIMARY, LEASE_MINE, switchover_to_self, HA_CANCEL, "switchover: to the leader"},
	{HA_PRIMARY, LEASE_MINE, switchover_to_laggard, HA_CANCEL, "switchover: to one that lags"},
	{HA_REPLICA, LEASE_MINE, switchover, HA_WAIT, "switchover: as a standby"},
	{HA_REPLICA, LEASE_MINE, switchover_caught_up, HA_HAND_OVER, "switchover: hand over"},
	{HA_REPLICA, LEASE_MINE, switchover_late_on_replica, HA_CANCEL, "switchover: take it back"},
	{HA_REPLICA, LEASE_FREE, switchover_to_self, HA_ACQUIRE, "switchover: the candidate"},
	{HA_REPLICA, LEASE_FREE, switchover, HA_WAIT, "switchover: another is the candidate"},
	{HA_REPLICA, LEASE_FREE, switchover_to_stranger, HA_ACQUIRE, "switchover: candidate is gone"},
	{HA_REPLICA, LEASE_FREE, switchover_forgotten, HA_ACQUIRE, "switchover: candidate is idle"},
};

static void
test_situations(void)
{
	for (size_t i = 0; i < lengthof(situations); i++)
	{
		HaView view = sound(situations[i].role, situations[i].lease);
		HaDecision decision;

		situations[i].adjust(&view);
		decision = ha_decide(&view, NOW);
		if (!ok(decision.action == situations[i].action, "%s", situations[i].name))
			printf("# %s, because %s\n", ha_action_name(decision.action), decision.reason);
	}
}

/* ---- Properties ---- */

static uint64_t seed = 42;

static uint64_t
random_below(uint64_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (seed >> 33) % n;
}

static bool
random_bool(void)
{
	return random_below(2) == 1;
}

static HaPosition
random_position(void)
{
	return (HaPosition){(uint32_t) random_below(3) + 1, random_below(4) * 100};
}

static void
random_peer(HaPeer *peer, int i)
{
	memset(peer, 0, sizeof(*peer));
	peer->name[0] = (char) ('a' + i);
	peer->may_lead = random_bool();
	peer->voted = random_bool();
	peer->near = random_bool();
	peer->priority = (int) random_below(2);
	peer->position = random_position();
}

static HaView
random_view(void)
{
	HaView view = sound((HaRole) random_below(HA_ANY_ROLE), (HaLease) random_below(LEASE_ANY));
	HaSwitchover *s = &view.switchover;
	bool *flags[] = {
		&view.position_known,  &view.may_lead,	   &view.voted,			  &view.name_taken,
		&view.foreign,		   &view.diverged,	   &view.lagging,		  &view.start_overdue,
		&view.promoting,	   &view.following,	   &view.proven,		  &view.led_last,
		&view.key_is_own,	   &view.never_led,	   &view.paused,		  &view.unwell,
		&view.promised,		   &view.unlisted,	   &view.leader_behind,	  &s->asked,
		&s->candidate_is_self, &s->candidate_live, &s->candidate_near,	  &s->candidate_may_lead,
		&s->candidate_streams, &s->checkpointed,   &s->candidate_has_all, &view.standby_cluster,
		&view.wal_gone};

	for (size_t i = 0; i < lengthof(flags); i++)
		*flags[i] = random_bool();
	view.foreign &= random_below(8) == 0;
	view.standby_cluster &= random_below(4) == 0;
	view.wal_gone &= view.lease == LEASE_OTHER && view.role == HA_REPLICA;
	view.name_taken &= random_below(8) == 0;
	view.position = random_position();
	view.vacant_us = view.lease == LEASE_FREE ? NOW - (int64_t) random_below(8) * SECOND : 0;
	view.trouble_us = random_bool() ? 0 : NOW - (int64_t) random_below(4) * SECOND;
	s->since_us = NOW - (int64_t) random_below(8) * SECOND;
	s->closed_us = random_bool() ? 0 : NOW - (int64_t) random_below(8) * SECOND;
	for (int i = 0; i < 2; i++)
		random_peer(&peers[i], i);
	view.peers = peers;
	view.npeers = (int) random_below(3);
	return view;
}

/* What no rule may ever choose, whatever the view. */
static const char *
violation(const HaView *v, HaAction action)
{
	bool leads = v->lease == LEASE_MINE && v->proven;

	if ((v->foreign || v->name_taken) && v->lease != LEASE_UNKNOWN && action != HA_REFUSE)
		return "a server that is no member acts";
	if (action == HA_PROMOTE && !(leads && v->role == HA_REPLICA))
		return "promotion without the lease";
	if (action == HA_PROMOTE && v->standby_cluster && !v->promoting)
		return "promotion in a standby cluster";
	if (action == HA_RENEW &&
		!(leads && (v->role == HA_PRIMARY || (v->standby_cluster && v->following))))
		return "leading without the lease";
	if (action == HA_ACQUIRE && v->lease != LEASE_FREE)
		return "taking a key that is held";
	if (action == HA_ACQUIRE && v->role == HA_PRIMARY && !v->led_last && !v->never_led)
		return "leading as a primary although another led";
	if (action == HA_ACQUIRE && v->role == HA_REPLICA &&
		(!v->may_lead || v->unlisted || (v->promised && !v->led_last) || v->diverged ||
		 v->lagging || !v->position_known || !v->voted))
		return "a standby that is not fit takes the key";
	if (action == HA_RETAKE && !v->key_is_own)
		return "taking over the key of another";
	if (action == HA_DEMOTE && v->lease == LEASE_MINE && !v->standby_cluster)
		return "demotion of the leader";
	if (action == HA_STEP_DOWN && !(leads && v->role == HA_PRIMARY && v->switchover.closed_us &&
									v->switchover.candidate_has_all))
		return "stepping down before the candidate has all WAL";
	if (action == HA_HAND_OVER && !v->standby_cluster &&
		!(v->role == HA_REPLICA && v->switchover.candidate_has_all && v->position_known &&
		  !v->promoting))
		return "handing over before the candidate has all WAL";
	if (action == HA_FOLLOW && v->role != HA_REPLICA)
		return "following as a primary";
	if (action == HA_FOLLOW && v->lease == LEASE_MINE && !v->standby_cluster)
		return "a leader that follows";
	if (action == HA_FOLLOW && v->lease != LEASE_MINE &&
		(v->diverged || v->leader_behind || !v->wal_read))
		return "following a leader that is behind";
	if (action == HA_REJOIN && !((v->diverged || v->wal_gone) && v->lease == LEASE_OTHER))
		return "giving up WAL without need";
	return NULL;
}

static void
test_properties(void)
{
	const char *wrong = NULL;
	bool wakes = true;

	for (int i = 0; i < 2000000 && wrong == NULL; i++)
	{
		HaView view = random_view();
		HaDecision decision = ha_decide(&view, NOW);
		int64_t again = ha_decide_again(&view, NOW);

		wrong = violation(&view, decision.action);
		if (decision.reason == NULL)
			wrong = "a decision without a reason";
		/* If time alone changes the decision, the loop must have been told when. */
		if (ha_decide(&view, NOW + 60 * SECOND).action != decision.action && again < 0)
			wakes = false;
	}
	ok(wrong == NULL, "no view leads to what must never happen%s%s", wrong ? ": " : "",
	   wrong ? wrong : "");
	ok(wakes, "a decision that time changes is announced");
}

/* ---- Elections ---- */

#define MEMBERS 5

/* What member "self" sees when all have voted. */
static HaView
voter(const HaPeer *all, int n, int self, HaPeer *others)
{
	HaView view = sound(HA_REPLICA, LEASE_FREE);

	strcpy(view.name, all[self].name);
	view.position = all[self].position;
	view.priority = all[self].priority;
	view.may_lead = all[self].may_lead;
	view.voted = true;
	for (int i = 0; i < n; i++)
		if (i != self)
			others[view.npeers++] = all[i];
	view.peers = others;
	return view;
}

static bool
has_more(const HaPeer *a, const HaPeer *b)
{
	return a->position.timeline > b->position.timeline ||
		   (a->position.timeline == b->position.timeline && a->position.lsn > b->position.lsn);
}

static void
test_elections(void)
{
	bool one = true;
	bool best = true;

	for (int round = 0; round < 100000; round++)
	{
		int n = (int) random_below(MEMBERS) + 1;
		int winners = 0;
		int fit = 0;
		HaPeer all[MEMBERS];
		HaPeer others[MEMBERS];

		for (int i = 0; i < n; i++)
		{
			random_peer(&all[i], i);
			all[i].voted = true;
			fit += all[i].may_lead;
		}
		for (int i = 0; i < n; i++)
		{
			HaView view = voter(all, n, i, others);

			if (ha_decide(&view, NOW).action != HA_ACQUIRE)
				continue;
			winners++;
			for (int j = 0; j < n; j++)
				best &= !(all[j].may_lead && has_more(&all[j], &all[i]));
		}
		one &= winners == (fit > 0);
	}
	ok(one, "when all have voted, exactly one tries");
	ok(best, "and nobody fit has more WAL");
}

/* ---- History ---- */

static void
test_history(void)
{
	HaFork forks[] = {{1, 100}, {2, 200}};

	ok(!ha_is_diverged((HaPosition){3, 999}, 3, forks, 2), "history: the same timeline");
	ok(!ha_is_diverged((HaPosition){4, 999}, 3, forks, 2), "history: a later timeline");
	ok(!ha_is_diverged((HaPosition){2, 200}, 3, forks, 2), "history: right at the fork");
	ok(ha_is_diverged((HaPosition){2, 201}, 3, forks, 2), "history: past the fork");
	ok(ha_is_diverged((HaPosition){1, 150}, 3, forks, 2), "history: past an older fork");
	ok(ha_is_diverged((HaPosition){2, 50}, 3, forks, 1), "history: a timeline left out of it");
	ok(!ha_is_diverged((HaPosition){1, 50}, 2, NULL, 0), "history: not known");
}

/* ---- The table ---- */

static void
test_table(void)
{
	int n;
	const HaRule *rules = ha_rules(&n);
	bool named = true;

	for (int i = 0; i < n; i++)
		named &= rules[i].reason != NULL && ha_action_name(rules[i].action) != NULL &&
				 (rules[i].condition == NULL) == (rules[i].holds == NULL);
	ok(named, "each rule has a reason, a name for its action and its condition");
	ok(rules[n - 1].role == HA_ANY_ROLE && rules[n - 1].lease == LEASE_ANY &&
		   rules[n - 1].holds == NULL,
	   "the last rule fits everything");
}

int
main(void)
{
	test_situations();
	test_properties();
	test_elections();
	test_history();
	test_table();
	return done_testing();
}
