/*-------------------------------------------------------------------------
 * slot_plan_test.c
 *	  Tests of src/ha/slot_plan.c: which slots there should be, and what is
 *	  done about those there are.
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "ha/slot_plan.h"
#include "tap.h"

#define lengthof(array) (sizeof(array) / sizeof((array)[0]))

#define SEGMENT 1000
#define NOW 1000000
#define TTL 500

static SlotWish wishes[SLOT_MAX];
static int nwishes;
static const char *collides;
static SlotSettings settings;
static SlotStep steps[SLOT_MAX * 2];

static bool
is_named(const char *member, const char *expected)
{
	char name[SLOT_NAME_SIZE];

	slot_name_of(member, name);
	return strcmp(name, expected) == 0;
}

static void
test_names(void)
{
	const char *longest = "Node-567890123456789012345678901234567890123456789012345678901234567890";
	char name[SLOT_NAME_SIZE];

	ok(is_named("node1", "node1"), "a name that is one of a slot stays");
	ok(is_named("Db-1.example", "db_1_example"),
	   "letters become small, dashes and dots underscores");
	ok(is_named("a+b", "au0043b"), "others their numbers");
	slot_name_of(longest, name);
	ok(strlen(name) == SLOT_NAME_SIZE - 1 && strncmp(name, "node_5678", 9) == 0,
	   "long names are cut");
}

/* ---- Wishes ---- */

static const SlotMember three[] = {
	{"a", true, true, 2, 5000}, {"b", false, true, 2, 4000}, {"c", false, false, 1, 9000}};

static void
wish(SlotSituation s, const SlotMember *members, int nmembers)
{
	s.members = members;
	s.nmembers = nmembers;
	s.timeline = 2;
	nwishes = slot_wishes(&s, &settings, wishes, SLOT_MAX, &collides);
}

static const SlotWish *
wished(const char *name)
{
	return slot_find_wish(wishes, nwishes, name);
}

static void
test_members(void)
{
	static const SlotPosition positions[] = {{"b", 3000}, {"p", 2000}};
	static const SlotMember twins[] = {
		{"a", true, true, 2, 1}, {"x-1", false, true, 2, 1}, {"x.1", false, true, 2, 1}};

	memset(&settings, 0, sizeof(settings));
	wish((SlotSituation){.primary = true, .keeps = true}, three, 3);
	ok(nwishes == 2 && wished("b") && wished("c") && !wished("a"),
	   "a slot for each member but oneself");
	ok(wished("b")->position == 4000 && wished("b")->awaited, "it is as far as its member");
	ok(wished("c")->position == 0 && !wished("c")->awaited,
	   "what a member has on another timeline does not count");

	wish((SlotSituation){.keeps = true, .npositions = 2, .positions = positions}, three, 3);
	ok(wished("b")->position == 3000, "on a standby it goes by the leader's slot");

	wish((SlotSituation){.keeps = false}, three, 3);
	ok(nwishes == 0, "who is not streamed from keeps none");

	wish((SlotSituation){.keeps = true}, twins, 3);
	ok(nwishes == 1 && strcmp(collides, "x.1") == 0, "two members cannot share a slot");
	ok(collides != NULL, "and that is told");
}

static void
test_permanent(void)
{
	static const SlotPosition positions[] = {{"p", 2000}};

	memset(&settings, 0, sizeof(settings));
	settings.npermanent = 4;
	strcpy(settings.permanent[0].name, "p");
	strcpy(settings.permanent[1].name, "l");
	settings.permanent[1].kind = SLOT_LOGICAL;
	strcpy(settings.permanent[2].name, "first");
	settings.permanent[2].scope = SLOT_OF_PRIMARY_CLUSTER;
	strcpy(settings.permanent[3].name, "second");
	settings.permanent[3].scope = SLOT_OF_STANDBY_CLUSTER;

	wish((SlotSituation){.primary = true, .keeps = true}, NULL, 0);
	ok(wished("p") && wished("l") && wished("first") && !wished("second"),
	   "permanent slots are of the right kind of cluster");
	ok(wished("p")->position == 0, "on a primary nobody but its user moves one");
	wish((SlotSituation){.keeps = true, .npositions = 1, .positions = positions}, NULL, 0);
	ok(wished("p")->position == 2000, "on a standby it follows the leader's");
	wish((SlotSituation){.keeps = true, .standby_cluster = true}, NULL, 0);
	ok(wished("p") && !wished("l") && !wished("first") && wished("second"),
	   "a standby cluster has no logical slots");
	wish((SlotSituation){.keeps = true}, three, 3);
	ok(wished("p") && wished("b") && collides == NULL, "beside those of the members");
	strcpy(settings.permanent[0].name, "b");
	wish((SlotSituation){.keeps = true}, three, 3);
	ok(wished("b")->origin == SLOT_PERMANENT && strcmp(collides, "b") == 0,
	   "they come first when names collide");
	memset(&settings, 0, sizeof(settings));
}

/* ---- Plans ---- */

static int
plan_at(SlotFact *facts, int nfacts, int64_t now)
{
	SlotLimits limits = {now, TTL, 8500, SEGMENT};

	return slot_plan(wishes, nwishes, facts, nfacts, &settings, &limits, steps);
}

static int
plan(SlotFact *facts, int nfacts)
{
	return plan_at(facts, nfacts, NOW);
}

static void
test_plan(void)
{
	SlotFact b = {.name = "b", .origin = SLOT_OF_MEMBER, .restart_lsn = 1500};
	SlotFact facts[2];

	strcpy(wishes[0].name, "b");
	wishes[0] = (SlotWish){.name = "b", .origin = SLOT_OF_MEMBER, .position = 4000};
	nwishes = 1;

	ok(plan(NULL, 0) == 1 && steps[0].verb == SLOT_CREATE && steps[0].wish == &wishes[0],
	   "what is missing is made");
	facts[0] = b;
	ok(plan(facts, 1) == 1 && steps[0].verb == SLOT_ADVANCE && steps[0].lsn == 4000,
	   "a slot that nobody uses is moved along");
	facts[0].active = true;
	ok(plan(facts, 1) == 0, "one in use is left to its user");
	facts[0] = b;
	facts[0].restart_lsn = 4001;
	ok(plan(facts, 1) == 0, "no slot is moved back");
	facts[0].restart_lsn = 4000 - SEGMENT / 2;
	ok(plan(facts, 1) == 1, "into another segment");
	facts[0].restart_lsn = 4000;
	wishes[0].position = 4999;
	ok(plan(facts, 1) == 0, "within a segment there is nothing to gain");
	wishes[0].position = 90000;
	ok(plan(facts, 1) == 1 && steps[0].lsn == 8500, "nor beyond the last checkpoint");
	wishes[0].position = 0;
	ok(plan(facts, 1) == 0, "it stays where its member was last seen");

	facts[0] = b;
	facts[0].invalid = true;
	ok(plan(facts, 1) == 1 && steps[0].verb == SLOT_DROP, "one that lost its WAL is dropped");
	facts[0] = b;
	facts[0].kind = SLOT_LOGICAL;
	ok(plan(facts, 1) == 1 && steps[0].verb == SLOT_DROP, "so is one of another kind");
	facts[0].active = true;
	ok(plan(facts, 1) == 0, "unless it is in use");
	facts[0] = b;
	facts[0].origin = SLOT_FOREIGN;
	facts[0].invalid = true;
	ok(plan(facts, 1) == 0, "what somebody else made is good enough, and left alone");
}

static void
test_dropping(void)
{
	SlotFact gone = {.name = "gone", .origin = SLOT_OF_MEMBER, .restart_lsn = 1};
	SlotFact fact = gone;

	nwishes = 0;
	ok(plan(&fact, 1) == 0 && fact.unwanted_since == NOW, "a member's slot outlives it");
	ok(plan_at(&fact, 1, NOW + TTL - 1) == 0, "for a while");
	ok(plan_at(&fact, 1, NOW + TTL) == 1 && steps[0].verb == SLOT_DROP, "but not for ever");
	fact.active = true;
	ok(plan_at(&fact, 1, NOW + TTL) == 0, "one in use stays");
	fact.active = false;
	fact.origin = SLOT_FOREIGN;
	ok(plan_at(&fact, 1, NOW + TTL) == 0, "and one of somebody else");
	fact.origin = SLOT_PERMANENT;
	ok(plan(&fact, 1) == 1 && steps[0].verb == SLOT_DROP, "a permanent slot goes with its setting");

	settings.nignored = 1;
	strcpy(settings.ignored[0].name, "gone");
	settings.ignored[0].kind = SLOT_ANY_KIND;
	ok(plan(&fact, 1) == 0, "an ignored slot stays");
	settings.ignored[0].kind = SLOT_LOGICAL;
	ok(plan(&fact, 1) == 1, "if all that is said of it is so");
	settings.ignored[0].kind = SLOT_PHYSICAL;
	ok(plan(&fact, 1) == 0, "by its kind");
	strcpy(settings.ignored[0].plugin, "pgoutput");
	ok(plan(&fact, 1) == 1, "by its plugin");
	settings.nignored = 0;

	fact = gone;
	fact.unwanted_since = 1;
	wishes[0] = (SlotWish){.name = "gone", .origin = SLOT_OF_MEMBER};
	nwishes = 1;
	ok(plan(&fact, 1) == 0 && fact.unwanted_since == 0, "a member that came back is forgiven");
}

int
main(void)
{
	test_names();
	test_members();
	test_permanent();
	test_plan();
	test_dropping();
	return done_testing();
}
