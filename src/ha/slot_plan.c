/*-------------------------------------------------------------------------
 * slot_plan.c
 *	  Which replication slots this server should have, and what is to be done
 *	  about those it has.
 *
 * Every member that can come to be streamed from keeps a slot for every other
 * one, so that a failover finds the WAL in place that the others still need.
 * Where nobody streams through such a slot it is moved along behind what its
 * member is known to have.
 *
 * What must stay true: a slot that somebody else made is never changed, one
 * in use is never dropped, and no slot is moved past what its member has on
 * disk.
 *
 * Pure: no call of the server.
 *-------------------------------------------------------------------------
 */
#include "ha/slot_plan.h"

#include <stdio.h>
#include <string.h>

/* As tools that know member names expect it: Patroni's rule. */
void
slot_name_of(const char *member, char name[SLOT_NAME_SIZE])
{
	size_t n = 0;

	for (const char *p = member; *p != '\0' && n < SLOT_NAME_SIZE - 1; p++)
	{
		char c = *p >= 'A' && *p <= 'Z' ? (char) (*p - 'A' + 'a') : *p;
		char code[16];

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')
			name[n++] = c;
		else if (c == '-' || c == '.')
			name[n++] = '_';
		else
		{
			snprintf(code, sizeof(code), "u%04d", (unsigned char) c);
			for (const char *q = code; *q != '\0' && n < SLOT_NAME_SIZE - 1; q++)
				name[n++] = *q;
		}
	}
	name[n] = '\0';
}

const SlotWish *
slot_find_wish(const SlotWish *wishes, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(wishes[i].name, name) == 0)
			return &wishes[i];
	return NULL;
}

static uint64_t
leaders_position(const SlotSituation *s, const char *name)
{
	for (int i = 0; i < s->npositions; i++)
		if (strcmp(s->positions[i].name, name) == 0)
			return s->positions[i].lsn;
	return 0;
}

static bool
is_in_scope(const SlotSetting *slot, const SlotSituation *s)
{
	/* A server in recovery cannot make logical slots, and has no primary to copy them from. */
	if (slot->kind == SLOT_LOGICAL && s->standby_cluster)
		return false;
	return slot->scope == SLOT_EVERYWHERE ||
		   (slot->scope == SLOT_OF_STANDBY_CLUSTER) == s->standby_cluster;
}

static int
wish_permanent(const SlotSituation *s, const SlotSettings *settings, SlotWish *wishes, int max)
{
	int n = 0;

	for (int i = 0; i < settings->npermanent && n < max; i++)
	{
		const SlotSetting *slot = &settings->permanent[i];
		SlotWish *wish = &wishes[n];

		if (!is_in_scope(slot, s) || (!s->primary && !s->keeps))
			continue;
		memset(wish, 0, sizeof(*wish));
		strcpy(wish->name, slot->name);
		strcpy(wish->database, slot->database);
		strcpy(wish->plugin, slot->plugin);
		wish->origin = SLOT_PERMANENT;
		wish->kind = slot->kind;
		wish->existed = leaders_position(s, slot->name) != 0;
		/* On a primary its user alone moves it. */
		wish->position = s->primary ? 0 : leaders_position(s, slot->name);
		n++;
	}
	return n;
}

/*
 * Where the leader's slot for a member stands is where it should stand here.
 * What a member has on another timeline may not be part of this history.
 */
static uint64_t
member_position(const SlotSituation *s, const SlotMember *member, const char *slot)
{
	uint64_t position = s->primary ? 0 : leaders_position(s, slot);

	return position != 0 || member->timeline != s->timeline ? position : member->lsn;
}

int
slot_wishes(const SlotSituation *s, const SlotSettings *settings, SlotWish *wishes, int max,
			const char **collides)
{
	int n = wish_permanent(s, settings, wishes, max);

	*collides = NULL;
	for (int i = 0; s->keeps && i < s->nmembers && n < max; i++)
	{
		const SlotMember *member = &s->members[i];
		SlotWish *wish = &wishes[n];
		char name[SLOT_NAME_SIZE];

		slot_name_of(member->name, name);
		if (member->is_self)
			continue;
		if (slot_find_wish(wishes, n, name) != NULL)
		{
			*collides = member->name;
			continue;
		}
		memset(wish, 0, sizeof(*wish));
		strcpy(wish->name, name);
		wish->origin = SLOT_OF_MEMBER;
		wish->kind = SLOT_PHYSICAL;
		wish->awaited = member->may_lead;
		wish->position = member_position(s, member, name);
		n++;
	}
	return n;
}

/*
 * The plan
 */

static bool
matches(const char *pattern, const char *text)
{
	return pattern[0] == '\0' || strcmp(pattern, text) == 0;
}

/* The name of a slot's database is not known here: any will do. */
static bool
is_ignored(const SlotSettings *settings, const SlotFact *fact)
{
	for (int i = 0; i < settings->nignored; i++)
	{
		const SlotSetting *p = &settings->ignored[i];

		if (matches(p->name, fact->name) && matches(p->plugin, fact->plugin) &&
			(p->kind == SLOT_ANY_KIND || p->kind == fact->kind) &&
			(p->database[0] == '\0' || fact->kind == SLOT_LOGICAL))
			return true;
	}
	return false;
}

static const char *
why_drop_unwanted(SlotFact *fact, const SlotLimits *limits)
{
	if (fact->unwanted_since == 0)
		fact->unwanted_since = limits->now_us;
	if (fact->origin == SLOT_PERMANENT)
		return "it is not among the permanent slots any more";
	if (limits->now_us - fact->unwanted_since >= limits->ttl_us)
		return "its member has been gone for member_slots_ttl";
	return NULL;
}

static uint64_t
floor_to(uint64_t lsn, uint64_t segment_size)
{
	return lsn - lsn % segment_size;
}

/* Nobody streams through it, so nobody else moves it. */
static uint64_t
advance_to(const SlotWish *wish, const SlotFact *fact, const SlotLimits *limits)
{
	uint64_t lsn = wish->position < limits->redo ? wish->position : limits->redo;

	if (wish->kind != SLOT_PHYSICAL || fact->active || fact->restart_lsn == 0 ||
		floor_to(lsn, limits->segment_size) <= floor_to(fact->restart_lsn, limits->segment_size))
		return 0;
	return lsn;
}

static bool
plan_for_fact(const SlotWish *wish, SlotFact *fact, const SlotLimits *limits, SlotStep *step)
{
	memset(step, 0, sizeof(*step));
	step->fact = fact;
	step->wish = wish;
	step->verb = SLOT_DROP;
	/* If it is wanted, it is made anew in the next turn. */
	if (fact->invalid)
		step->reason = "the WAL it was for has been removed";
	else if (wish == NULL)
		step->reason = why_drop_unwanted(fact, limits);
	else
	{
		fact->unwanted_since = 0;
		if (wish->kind != fact->kind || strcmp(wish->plugin, fact->plugin) != 0)
			step->reason = "it is of another kind than it should be";
		else if ((step->lsn = advance_to(wish, fact, limits)) != 0)
		{
			step->verb = SLOT_ADVANCE;
			step->reason = "its member has the WAL";
			return true;
		}
	}
	return step->reason != NULL && !fact->active;
}

int
slot_plan(const SlotWish *wishes, int nwishes, SlotFact *facts, int nfacts,
		  const SlotSettings *settings, const SlotLimits *limits, SlotStep *steps)
{
	int n = 0;

	for (int i = 0; i < nfacts; i++)
	{
		const SlotWish *wish = slot_find_wish(wishes, nwishes, facts[i].name);

		if (facts[i].origin == SLOT_FOREIGN || is_ignored(settings, &facts[i]))
			continue;
		if (plan_for_fact(wish, &facts[i], limits, &steps[n]))
			n++;
	}
	for (int i = 0; i < nwishes; i++)
	{
		bool there = false;

		for (int k = 0; k < nfacts && !there; k++)
			there = strcmp(facts[k].name, wishes[i].name) == 0;
		if (!there)
			steps[n++] =
				(SlotStep){.verb = SLOT_CREATE, .wish = &wishes[i], .reason = "it is missing"};
	}
	return n;
}
