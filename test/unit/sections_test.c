/*-------------------------------------------------------------------------
 * sections_test.c
 *	  Tests of src/ha/sections.c: slots, ignore_slots and standby_cluster.
 *-------------------------------------------------------------------------
 */
#include <json-c/json.h>
#include <string.h>

#include "ha/sections.h"
#include "tap.h"

#define lengthof(array) (sizeof(array) / sizeof((array)[0]))

static SlotSettings slots;
static StandbySettings standby;

/* Reads the text, and tells whether it may be stored. */
static bool
read_text(const char *text)
{
	json_object *document = json_tokener_parse(text);
	DocumentTrouble trouble;
	bool good = sections_check(document, &trouble);

	sections_read_slots(document, &slots);
	sections_read_standby(document, &standby);
	json_object_put(document);
	return good;
}

static void
test_slots(void)
{
	ok(read_text("{}") && slots.npermanent == 0 && slots.nignored == 0, "there need be none");
	ok(read_text("{\"slots\": {\"a\": {\"type\": \"physical\"}, \"b\": null, \"l\": {\"type\": "
				 "\"logical\", \"database\": \"d\", \"plugin\": \"pgoutput\"}}}"),
	   "slots are read");
	ok(slots.npermanent == 3 && slots.permanent[0].kind == SLOT_PHYSICAL &&
		   slots.permanent[1].kind == SLOT_PHYSICAL && slots.permanent[2].kind == SLOT_LOGICAL,
	   "with their kinds");
	ok(strcmp(slots.permanent[2].database, "d") == 0 &&
		   strcmp(slots.permanent[2].plugin, "pgoutput") == 0,
	   "database and plugin");
	ok(read_text("{\"slots\": {\"l\": {\"database\": \"d\", \"plugin\": \"p\"}}}") &&
		   slots.permanent[0].kind == SLOT_LOGICAL,
	   "a slot of a database is a logical one");
	ok(read_text("{\"slots\": {\"a\": {\"cluster_type\": \"standby\"}}}") &&
		   slots.permanent[0].scope == SLOT_OF_STANDBY_CLUSTER,
	   "a slot may be of one type of cluster");
	ok(read_text("{\"ignore_slots\": [{\"name\": \"x\"}, {\"type\": \"logical\", \"plugin\": "
				 "\"p\"}]}") &&
		   slots.nignored == 2 && slots.ignored[0].kind == SLOT_ANY_KIND &&
		   slots.ignored[1].kind == SLOT_LOGICAL,
	   "ignored ones are read");
}

static void
test_bad_slots(void)
{
	static const char *const bad[] = {
		"{\"slots\": {\"A\": {}}}",
		"{\"slots\": {\"\": {}}}",
		"{\"slots\": {\"a\": 7}}",
		"{\"slots\": {\"a\": {\"type\": \"wooden\"}}}",
		"{\"slots\": {\"a\": {\"type\": \"logical\"}}}",
		"{\"slots\": {\"a\": {\"type\": \"logical\", \"database\": \"d\"}}}",
		"{\"slots\": {\"a\": {\"type\": \"physical\", \"plugin\": \"p\"}}}",
		"{\"slots\": {\"a\": {\"cluster_type\": \"big\"}}}",
		"{\"slots\": {\"a\": {\"database\": 5, \"plugin\": \"p\"}}}",
		"{\"ignore_slots\": [7]}",
		"{\"ignore_slots\": [{}]}",
		"{\"ignore_slots\": [{\"type\": \"wooden\"}]}"};

	for (size_t i = 0; i < lengthof(bad); i++)
	{
		ok(!read_text(bad[i]), "refused: %s", bad[i]);
		ok(slots.npermanent == 0 && slots.nignored == 0, "and passed over");
	}
	read_text("{\"slots\": {\"a\": 7, \"b\": {}}}");
	ok(slots.npermanent == 1, "without the others");
}

static void
test_standby(void)
{
	ok(read_text("{}") && !standby.enabled, "no cluster is followed");
	ok(read_text("{\"standby_cluster\": {}}") && !standby.enabled, "an empty section is as none");
	ok(read_text("{\"standby_cluster\": {\"host\": \"h\", \"port\": 5433, \"primary_slot_name\": "
				 "\"s\", \"restore_command\": \"r\", \"archive_cleanup_command\": \"c\", "
				 "\"recovery_min_apply_delay\": \"5min\"}}"),
	   "all there is");
	ok(standby.enabled && strcmp(standby.host, "h") == 0 && standby.port == 5433 &&
		   strcmp(standby.slot, "s") == 0 && strcmp(standby.restore_command, "r") == 0 &&
		   strcmp(standby.archive_cleanup_command, "c") == 0 &&
		   strcmp(standby.apply_delay, "5min") == 0,
	   "is read");
	ok(read_text(
		   "{\"standby_cluster\": {\"host\": \"h\", \"port\": \"5434\", "
		   "\"create_replica_methods\": [\"basebackup\"], \"recovery_min_apply_delay\": 7}}") &&
		   standby.port == 5434 && strcmp(standby.apply_delay, "7ms") == 0,
	   "also in other forms");
	ok(read_text("{\"standby_cluster\": {\"host\": \"h\"}}") && standby.port == 5432,
	   "the port has a default");
	ok(!read_text("{\"standby_cluster\": {\"port\": 1}}") && standby.enabled,
	   "a section that says not whom to follow is refused, yet nobody leads with it");
	ok(!read_text("{\"standby_cluster\": {\"host\": \"h\", \"port\": 0}}"), "no such port");
	ok(!read_text("{\"standby_cluster\": {\"host\": \"h\\nx\"}}"), "no host on two lines");
	ok(!read_text(
		   "{\"standby_cluster\": {\"host\": \"h\", \"create_replica_methods\": [\"wal_e\"]}}"),
	   "other ways of making a replica are refused");
	ok(!read_text("{\"standby_cluster\": {\"host\": \"h\", \"primary_slot_name\": \"No\"}}"),
	   "so is what is no slot");
}

int
main(void)
{
	test_slots();
	test_bad_slots();
	test_standby();
	return done_testing();
}
