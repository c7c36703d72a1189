/*-------------------------------------------------------------------------
 * decide.c
 *	  Chooses what this member does next, given what it sees.
 *
 * Pure: no server, libcurl or clock call, so that a unit test and a
 * simulator link this very object.  observe.c fills the view, act.c carries
 * the choice out.  A choice is made anew each turn of the loop, so each must
 * hold as long as the view stays as it is: nothing here remembers.
 *
 * Safety does not rest on these rules: the leader key is taken and given by
 * guarded transactions only, and the fence stops commits without a lease.
 * The rules decide who should try, and when.
 *-------------------------------------------------------------------------
 */
#include <stddef.h>
#include <string.h>

#include "ha/decide.h"

static int
compare_positions(HaPosition a, HaPosition b)
{
	if (a.timeline != b.timeline)
		return a.timeline > b.timeline ? 1 : -1;
	if (a.lsn != b.lsn)
		return a.lsn > b.lsn ? 1 : -1;
	return 0;
}

/* More WAL first, then the higher priority, then the name. */
static bool
peer_is_better(const HaView *view, const HaPeer *peer)
{
	int c = compare_positions(peer->position, view->position);

	if (c != 0)
		return c > 0;
	if (peer->priority != view->priority)
		return peer->priority > view->priority;
	return strcmp(peer->name, view->name) < 0;
}

/* Does the sync key allow, as far as is known here, that it leads? */
static bool
peer_is_eligible(const HaView *view, const HaPeer *peer)
{
	return peer->may_lead && (!view->sync.required || peer->synchronous || peer->led_synchronous);
}

/* How many members that voted should rather lead. */
static int
count_better_peers(const HaView *view)
{
	int n = 0;

	for (int i = 0; i < view->npeers; i++)
	{
		const HaPeer *peer = &view->peers[i];

		if (peer_is_eligible(view, peer) && peer->voted && peer_is_better(view, peer))
			n++;
	}
	return n;
}

static int64_t
vacant_for(const HaView *view, int64_t now_us)
{
	return view->vacant_us == 0 ? 0 : now_us - view->vacant_us;
}

/*
 * Conditions
 */

static bool
is_name_taken(const HaView *view, int64_t now_us)
{
	return view->name_taken;
}

static bool
is_foreign(const HaView *view, int64_t now_us)
{
	return view->foreign;
}

static bool
is_unproven(const HaView *view, int64_t now_us)
{
	return !view->proven;
}

static bool
is_paused(const HaView *view, int64_t now_us)
{
	return view->paused;
}

static bool
is_key_own(const HaView *view, int64_t now_us)
{
	return view->key_is_own;
}

/* Paused, nobody else takes over anyway. */
static bool
is_start_overdue(const HaView *view, int64_t now_us)
{
	return view->start_overdue && !view->paused;
}

static bool
led_last(const HaView *view, int64_t now_us)
{
	return view->led_last;
}

static bool
never_led(const HaView *view, int64_t now_us)
{
	return view->never_led;
}

static bool
has_promised(const HaView *view, int64_t now_us)
{
	return view->promised && !view->led_last;
}

static bool
is_unlisted(const HaView *view, int64_t now_us)
{
	return view->unlisted;
}

static bool
is_diverged(const HaView *view, int64_t now_us)
{
	return view->diverged;
}

static bool
is_rejoin_held(const HaView *view, int64_t now_us)
{
	return view->paused && view->diverged;
}

/*
 * Nobody is elected in a paused cluster.  But who is named may lead, and who
 * led last, whose server was restarted for maintenance.
 */
static bool
is_lead_kept(const HaView *view, int64_t now_us)
{
	return view->paused && !view->led_last &&
		   !(view->switchover.asked && view->switchover.candidate_is_self);
}

static bool
is_leader_behind(const HaView *view, int64_t now_us)
{
	return view->leader_behind;
}

/*
 * Whoever else leads does better than a server that cannot write or take
 * connections; but if nobody else can, or nobody comes, it goes on as well
 * as it can.
 */
static bool
is_unwell(const HaView *view, int64_t now_us)
{
	if (!view->unwell || view->paused || vacant_for(view, now_us) >= HA_UNWELL_WAIT_US)
		return false;
	for (int i = 0; i < view->npeers; i++)
		if (peer_is_eligible(view, &view->peers[i]))
			return true;
	return false;
}

static bool
is_replaceable(const HaView *view, int64_t now_us)
{
	if (!is_unwell(view, now_us))
		return false;
	for (int i = 0; i < view->npeers; i++)
		if (peer_is_eligible(view, &view->peers[i]) && view->peers[i].near)
			return true;
	return false;
}

static bool
is_following(const HaView *view, int64_t now_us)
{
	return view->following;
}

static bool
may_not_lead(const HaView *view, int64_t now_us)
{
	return !view->may_lead;
}

/* Whether it is part of the leader's history cannot be told yet. */
static bool
is_wal_unread(const HaView *view, int64_t now_us)
{
	return !view->wal_read;
}

static bool
is_position_unknown(const HaView *view, int64_t now_us)
{
	return !view->position_known;
}

static bool
is_lagging(const HaView *view, int64_t now_us)
{
	return view->lagging;
}

/*
 * An outage of the store costs all members their leases at once.  The last
 * leader can go on without harm to anyone, and the votes of the others need
 * time to come in.  So it is when a member of etcd that was stopped goes on,
 * and takes a lease for expired that was kept with the others: the last
 * leader comes back at once if its server and its agent are alive.
 */
static bool
may_leader_return(const HaView *view, int64_t now_us)
{
	if (view->trouble_us != 0 && now_us - view->trouble_us < HA_OUTAGE_WAIT_US)
		return true;
	return view->streaming && !view->switchover.asked &&
		   vacant_for(view, now_us) < HA_RETURN_WAIT_US;
}

static bool
has_not_voted(const HaView *view, int64_t now_us)
{
	return !view->voted;
}

static bool
are_votes_missing(const HaView *view, int64_t now_us)
{
	if (vacant_for(view, now_us) >= HA_VOTE_WAIT_US)
		return false;
	for (int i = 0; i < view->npeers; i++)
		if (view->peers[i].may_lead && !view->peers[i].voted)
			return true;
	return false;
}

/* A better member is waited for, longer the more there are. */
static bool
is_peer_better(const HaView *view, int64_t now_us)
{
	int better = count_better_peers(view);

	return better > 0 && vacant_for(view, now_us) < (int64_t) better * 2 * HA_VOTE_WAIT_US;
}

/* Others may need its vote, whether or not it may lead itself. */
static bool
is_vote_due(const HaView *view, int64_t now_us)
{
	return view->sync.required && view->sync.listed && view->position_known && !view->voted;
}

static bool
is_forced(const HaView *view)
{
	return view->switchover.asked && view->switchover.candidate_is_self && view->switchover.by_hand;
}

static bool
is_asynchronous(const HaView *view, int64_t now_us)
{
	return view->sync.required && !view->sync.led && !view->sync.listed && !is_forced(view);
}

/*
 * Every acknowledged commit is on one of any quorum + 1 members that the sync
 * key lists.  So this member, one of them, has all when so many others have no
 * more than it has.
 */
static bool
are_voters_missing(const HaView *view, int64_t now_us)
{
	int votes = 0;

	if (!view->sync.required || view->sync.led || is_forced(view))
		return false;
	for (int i = 0; i < view->npeers; i++)
	{
		const HaPeer *peer = &view->peers[i];

		if (peer->synchronous && peer->voted &&
			compare_positions(peer->position, view->position) <= 0)
			votes++;
	}
	return votes < view->sync.quorum;
}

static bool
is_candidate(const HaView *view, int64_t now_us)
{
	return view->switchover.asked && view->switchover.candidate_is_self;
}

/* The leader key was freed for another member, which is about to take it. */
static bool
is_candidate_other(const HaView *view, int64_t now_us)
{
	return view->switchover.asked && !view->switchover.candidate_is_self &&
		   view->switchover.candidate_live && view->switchover.candidate_may_lead &&
		   vacant_for(view, now_us) < HA_TAKE_WAIT_US;
}

static bool
is_switchover_asked(const HaView *view, int64_t now_us)
{
	return view->switchover.asked && !view->switchover.candidate_is_self;
}

/* Nothing was closed for it yet, so refusing costs nothing. */
static bool
is_switchover_void(const HaView *view, int64_t now_us)
{
	const HaSwitchover *s = &view->switchover;

	if (!s->asked)
		return false;
	return s->candidate_is_self || !s->candidate_live || !s->candidate_may_lead ||
		   (!s->candidate_streams && s->closed_us == 0) ||
		   (!s->candidate_near && s->closed_us == 0);
}

/* It may lack commits that were acknowledged, and what it lacks may never come. */
static bool
is_candidate_async(const HaView *view, int64_t now_us)
{
	const HaSwitchover *s = &view->switchover;

	return s->asked && s->closed_us == 0 && view->sync.required && !s->candidate_synchronous &&
		   !s->by_hand;
}

static bool
is_switchover_late(const HaView *view, int64_t now_us)
{
	const HaSwitchover *s = &view->switchover;

	return s->asked && s->closed_us != 0 && now_us - s->closed_us >= HA_CATCH_UP_WAIT_US;
}

static bool
is_checkpoint_due(const HaView *view, int64_t now_us)
{
	return view->switchover.asked && !view->switchover.checkpointed;
}

static bool
is_candidate_behind(const HaView *view, int64_t now_us)
{
	return view->switchover.asked &&
		   (view->switchover.closed_us == 0 || !view->switchover.candidate_has_all);
}

/* This standby was the primary; the candidate has all that it wrote. */
static bool
is_candidate_ready(const HaView *view, int64_t now_us)
{
	const HaSwitchover *s = &view->switchover;

	return is_switchover_asked(view, now_us) && s->candidate_live && s->candidate_may_lead &&
		   s->candidate_has_all && view->position_known;
}

static bool
is_candidate_awaited(const HaView *view, int64_t now_us)
{
	const HaSwitchover *s = &view->switchover;

	return is_switchover_asked(view, now_us) && s->candidate_live && s->candidate_may_lead &&
		   now_us - s->since_us < HA_REST_WAIT_US;
}

static bool
is_promoting(const HaView *view, int64_t now_us)
{
	return view->promoting;
}

/*
 * Standby clusters
 */

static bool
is_primary_needless(const HaView *view, int64_t now_us)
{
	return view->standby_cluster && !view->paused;
}

static bool
is_standby_cluster(const HaView *view, int64_t now_us)
{
	return view->standby_cluster;
}

static bool
is_cluster_followed(const HaView *view, int64_t now_us)
{
	return view->standby_cluster && view->following;
}

/* What it has, the candidate gets from the other cluster. */
static bool
is_successor_ready(const HaView *view, int64_t now_us)
{
	const HaSwitchover *s = &view->switchover;

	return view->standby_cluster && is_switchover_asked(view, now_us) && s->candidate_live &&
		   s->candidate_may_lead;
}

static bool
is_successor_void(const HaView *view, int64_t now_us)
{
	return view->standby_cluster && view->switchover.asked;
}

static bool
is_wal_gone(const HaView *view, int64_t now_us)
{
	return view->wal_gone && !view->paused;
}

#define WHEN(condition) #condition, condition
#define ALWAYS NULL, NULL

/* The first row that fits wins; the last one fits everything. */
/* clang-format off */
static const HaRule rules[] = {
	{HA_ANY_ROLE, LEASE_UNKNOWN, ALWAYS, HA_WAIT, "the store has not been seen yet"},
	{HA_ANY_ROLE, LEASE_ANY, WHEN(is_foreign), HA_REFUSE, "the data of this server is of another cluster"},
	{HA_ANY_ROLE, LEASE_ANY, WHEN(is_name_taken), HA_REFUSE, "another server goes by the name of this member"},
	{HA_PRIMARY, LEASE_EARLIER, WHEN(is_unwell), HA_WAIT, "the lead is given up, this server cannot write or take connections"},
	{HA_ANY_ROLE, LEASE_EARLIER, WHEN(is_key_own), HA_RETAKE, "the leader key outlived the lease of this member"},
	{HA_ANY_ROLE, LEASE_EARLIER, ALWAYS, HA_WAIT, "an earlier lease of this member is about to expire"},

	{HA_STARTING, LEASE_MINE, WHEN(is_start_overdue), HA_RELEASE, "recovery takes too long to go on leading"},
	{HA_STARTING, LEASE_ANY, ALWAYS, HA_WAIT, "the server is starting"},

	{HA_PRIMARY, LEASE_MINE, WHEN(is_unproven), HA_WAIT, "leading is not proven, the fence holds commits"},
	{HA_PRIMARY, LEASE_MINE, WHEN(is_primary_needless), HA_DEMOTE, "the group is to follow another cluster"},
	{HA_PRIMARY, LEASE_MINE, WHEN(is_replaceable), HA_RELEASE, "this server cannot write or take connections, another member can"},
	{HA_PRIMARY, LEASE_MINE, WHEN(is_switchover_void), HA_CANCEL, "the candidate of the switchover cannot take over"},
	{HA_PRIMARY, LEASE_MINE, WHEN(is_candidate_async), HA_CANCEL, "the candidate of the switchover is not synchronous"},
	{HA_PRIMARY, LEASE_MINE, WHEN(is_switchover_late), HA_CANCEL, "the candidate of the switchover did not catch up"},
	{HA_PRIMARY, LEASE_MINE, WHEN(is_checkpoint_due), HA_CHECKPOINT, "a switchover is asked for"},
	{HA_PRIMARY, LEASE_MINE, WHEN(is_candidate_behind), HA_CLOSE, "the candidate of the switchover is to get all WAL"},
	{HA_PRIMARY, LEASE_MINE, WHEN(is_switchover_asked), HA_STEP_DOWN, "the candidate of the switchover has all WAL"},
	{HA_PRIMARY, LEASE_MINE, ALWAYS, HA_RENEW, "this member leads"},
	{HA_PRIMARY, LEASE_OTHER, WHEN(is_paused), HA_WAIT, "the cluster is paused, the fence holds commits"},
	{HA_PRIMARY, LEASE_OTHER, ALWAYS, HA_DEMOTE, "another member leads"},
	{HA_PRIMARY, LEASE_FREE, WHEN(is_unwell), HA_WAIT, "this server cannot write or take connections, another member may lead"},
	{HA_PRIMARY, LEASE_FREE, WHEN(is_primary_needless), HA_DEMOTE, "the group is to follow another cluster"},
	{HA_PRIMARY, LEASE_FREE, WHEN(led_last), HA_ACQUIRE, "nobody led since this member did"},
	{HA_PRIMARY, LEASE_FREE, WHEN(is_paused), HA_WAIT, "the cluster is paused, the fence holds commits"},
	{HA_PRIMARY, LEASE_FREE, WHEN(may_not_lead), HA_DEMOTE, "the tags of this member forbid that it leads"},
	{HA_PRIMARY, LEASE_FREE, WHEN(never_led), HA_ACQUIRE, "nobody has led yet"},
	{HA_PRIMARY, LEASE_FREE, ALWAYS, HA_DEMOTE, "another member led since this one did"},

	{HA_REPLICA, LEASE_MINE, WHEN(is_unproven), HA_WAIT, "leading is not proven"},
	{HA_REPLICA, LEASE_MINE, WHEN(is_promoting), HA_PROMOTE, "the lease is won"},
	{HA_REPLICA, LEASE_MINE, WHEN(is_successor_ready), HA_HAND_OVER, "the lead of the standby cluster is asked for"},
	{HA_REPLICA, LEASE_MINE, WHEN(is_successor_void), HA_CANCEL, "the candidate of the switchover cannot take over"},
	{HA_REPLICA, LEASE_MINE, WHEN(is_cluster_followed), HA_RENEW, "this member leads, and follows another cluster"},
	{HA_REPLICA, LEASE_MINE, WHEN(is_standby_cluster), HA_FOLLOW, "the group follows another cluster"},
	{HA_REPLICA, LEASE_MINE, WHEN(is_candidate_ready), HA_HAND_OVER, "the candidate of the switchover has all WAL"},
	{HA_REPLICA, LEASE_MINE, WHEN(is_candidate_awaited), HA_WAIT, "the candidate of the switchover is to get all WAL"},
	{HA_REPLICA, LEASE_MINE, WHEN(is_switchover_asked), HA_CANCEL, "the candidate of the switchover did not catch up"},
	{HA_REPLICA, LEASE_MINE, ALWAYS, HA_PROMOTE, "the lease is won"},

	{HA_REPLICA, LEASE_OTHER, WHEN(is_rejoin_held), HA_WAIT, "the cluster is paused, and this member has WAL that the leader has not"},
	{HA_REPLICA, LEASE_OTHER, WHEN(is_diverged), HA_REJOIN, "this member has WAL that the leader has not"},
	{HA_REPLICA, LEASE_OTHER, WHEN(is_wal_gone), HA_REJOIN, "the leader has removed WAL that this member needs"},
	{HA_REPLICA, LEASE_OTHER, WHEN(is_leader_behind), HA_WAIT, "the leader is behind this member"},
	{HA_REPLICA, LEASE_OTHER, WHEN(is_following), HA_WAIT, "this member follows the leader"},
	{HA_REPLICA, LEASE_OTHER, WHEN(is_wal_unread), HA_WAIT, "local WAL is still being read"},
	{HA_REPLICA, LEASE_OTHER, ALWAYS, HA_FOLLOW, "another member leads"},

	{HA_REPLICA, LEASE_FREE, WHEN(is_lead_kept), HA_WAIT, "the cluster is paused"},
	{HA_REPLICA, LEASE_FREE, WHEN(has_promised), HA_WAIT, "another member may go on leading without the store"},
	{HA_REPLICA, LEASE_FREE, WHEN(is_vote_due), HA_VOTE, "nobody leads, and the vote counts by the sync key"},
	{HA_REPLICA, LEASE_FREE, WHEN(may_not_lead), HA_WAIT, "the tags of this member forbid that it leads"},
	{HA_REPLICA, LEASE_FREE, WHEN(is_unwell), HA_WAIT, "this server cannot write"},
	{HA_REPLICA, LEASE_FREE, WHEN(is_position_unknown), HA_WAIT, "local WAL is still being read"},
	{HA_REPLICA, LEASE_FREE, WHEN(is_diverged), HA_WAIT, "this member has WAL that the group's history has not"},
	{HA_REPLICA, LEASE_FREE, WHEN(is_lagging), HA_WAIT, "this member is too far behind the last leader"},
	{HA_REPLICA, LEASE_FREE, WHEN(has_not_voted), HA_VOTE, "nobody leads"},
	{HA_REPLICA, LEASE_FREE, WHEN(is_unlisted), HA_WAIT, "the failsafe key does not name this member"},
	{HA_REPLICA, LEASE_FREE, WHEN(may_leader_return), HA_WAIT, "the last leader may come back"},
	{HA_REPLICA, LEASE_FREE, WHEN(is_asynchronous), HA_WAIT, "this member may lack acknowledged commits"},
	{HA_REPLICA, LEASE_FREE, WHEN(are_voters_missing), HA_WAIT, "too few synchronous members are known to be behind"},
	{HA_REPLICA, LEASE_FREE, WHEN(is_candidate), HA_ACQUIRE, "leadership is handed to this member"},
	{HA_REPLICA, LEASE_FREE, WHEN(is_candidate_other), HA_WAIT, "leadership is handed to another member"},
	{HA_REPLICA, LEASE_FREE, WHEN(are_votes_missing), HA_WAIT, "other members have not voted yet"},
	{HA_REPLICA, LEASE_FREE, WHEN(is_peer_better), HA_WAIT, "another member should rather lead"},
	{HA_REPLICA, LEASE_FREE, ALWAYS, HA_ACQUIRE, "this member is the best to lead"},

	{HA_ANY_ROLE, LEASE_ANY, ALWAYS, HA_WAIT, "nothing to do"},
};
/* clang-format on */

#define NRULES ((int) (sizeof(rules) / sizeof(rules[0])))

HaDecision
ha_decide(const HaView *view, int64_t now_us)
{
	HaDecision decision = {HA_WAIT, "nothing to do"};

	for (int i = 0; i < NRULES; i++)
	{
		const HaRule *rule = &rules[i];

		if (rule->role != HA_ANY_ROLE && rule->role != view->role)
			continue;
		if (rule->lease != LEASE_ANY && rule->lease != view->lease)
			continue;
		if (rule->holds != NULL && !rule->holds(view, now_us))
			continue;
		decision.action = rule->action;
		decision.reason = rule->reason;
		break;
	}
	return decision;
}

/* The nearest of the moments at which one of the waits above ends. */
int64_t
ha_decide_again(const HaView *view, int64_t now_us)
{
	int64_t moments[8] = {0};
	int64_t nearest = -1;

	if (view->vacant_us != 0)
	{
		moments[0] = view->vacant_us + HA_VOTE_WAIT_US;
		moments[1] = view->vacant_us + count_better_peers(view) * 2 * (int64_t) HA_VOTE_WAIT_US;
		moments[2] = view->vacant_us + HA_TAKE_WAIT_US;
		moments[5] = view->trouble_us + HA_OUTAGE_WAIT_US;
		moments[6] = view->vacant_us + HA_UNWELL_WAIT_US;
		moments[7] = view->vacant_us + HA_RETURN_WAIT_US;
	}
	if (view->switchover.asked)
	{
		moments[3] = view->switchover.since_us + HA_REST_WAIT_US;
		if (view->switchover.closed_us != 0)
			moments[4] = view->switchover.closed_us + HA_CATCH_UP_WAIT_US;
	}
	for (int i = 0; i < 8; i++)
	{
		int64_t left = moments[i] - now_us;

		if (left > 0 && (nearest < 0 || left < nearest))
			nearest = left;
	}
	return nearest;
}

const HaRule *
ha_rules(int *count)
{
	*count = NRULES;
	return rules;
}

static const char *const role_names[] = {"starting", "replica", "primary", "any"};
static const char *const lease_names[] = {"unknown", "free", "mine", "earlier", "other", "any"};
static const char *const action_names[] = {
	"wait",		  "renew",		 "acquire",	  "retake",	   "vote",
	"promote",	  "demote",		 "follow",	  "rejoin",	   "release",
	"checkpoint", "close fence", "step down", "hand over", "cancel switchover",
	"refuse"};

const char *
ha_role_name(HaRole role)
{
	return role_names[role];
}

const char *
ha_lease_name(HaLease lease)
{
	return lease_names[lease];
}

const char *
ha_action_name(HaAction action)
{
	return action_names[action];
}

bool
ha_is_diverged(HaPosition position, uint32_t timeline, const HaFork *forks, int nforks)
{
	if (position.timeline >= timeline)
		return false;
	for (int i = 0; i < nforks; i++)
		if (forks[i].timeline == position.timeline)
			return position.lsn > forks[i].end;
	/* No such timeline in a history that is known: a different past. */
	return nforks > 0;
}
