/*-------------------------------------------------------------------------
 * document_test.c
 *	  Tests of src/ha/document.c: reading, merging and checking the settings
 *	  of a group.
 *-------------------------------------------------------------------------
 */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "ha/document.h"
#include "tap.h"

#define lengthof(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Reading ---- */

static HaConfig
read_text(const char *text)
{
	json_object *document = json_tokener_parse(text);
	HaConfig config;

	document_read(document, &config);
	json_object_put(document);
	return config;
}

static void
test_read(void)
{
	HaConfig c = read_text("{}");

	ok(c.ttl == 5 && c.loop_wait == 10 && c.retry_timeout == 10 && c.maximum_lag == 1048576 &&
		   c.primary_start_timeout == 300 && c.maximum_lag_synced == -1 && c.sync_count == 1,
	   "numbers have defaults");
	ok(c.use_pg_rewind && c.use_slots && !c.paused && !c.failsafe_mode && !c.sync_strict &&
		   c.sync_mode == SYNC_MODE_OFF,
	   "so have flags");
	c = read_text("[1, 2]");
	ok(c.ttl == 5, "what is no object has no say");
	c = read_text(
		"{\"ttl\": 1, \"loop_wait\": \"soon\", \"pause\": 7, \"maximum_lag_on_failover\": -5}");
	ok(c.ttl == 5 && c.loop_wait == 10 && !c.paused && c.maximum_lag == 1048576,
	   "values that make no sense leave the defaults");
	c = read_text("{\"ttl\": 20, \"loop_wait\": \"1min\", \"maximum_lag_on_failover\": \"2MB\", "
				  "\"pause\": true, \"postgresql\": {\"use_pg_rewind\": false}}");
	ok(c.ttl == 20 && c.loop_wait == 60 && c.maximum_lag == 2097152 && c.paused && !c.use_pg_rewind,
	   "values are read, with units");
	c = read_text("{\"master_start_timeout\": 7}");
	ok(c.primary_start_timeout == 7, "the older name means the same");
	c = read_text("{\"primary_start_timeout\": 8, \"master_start_timeout\": 7}");
	ok(c.primary_start_timeout == 8, "the newer name wins");
	ok(read_text("{\"synchronous_mode\": true}").sync_mode == SYNC_MODE_ON, "true is a mode");
	ok(read_text("{\"synchronous_mode\": \"on\"}").sync_mode == SYNC_MODE_ON, "on is the same");
	ok(read_text("{\"synchronous_mode\": \"quorum\"}").sync_mode == SYNC_MODE_QUORUM, "quorum");
	ok(read_text("{\"synchronous_mode\": \"some\"}").sync_mode == SYNC_MODE_OFF, "no such mode");
	ok(read_text("{\"postgresql\": null}").use_slots, "null is as good as nothing");
	ok(read_text("{\"ttl\": 9223372036854775807}").ttl == 5, "no number runs over");
	ok(read_text("{\"ttl\": \"9223372036854775807min\"}").ttl == 5, "nor does one with a unit");
}

/* ---- Merging ---- */

/* The examples of RFC 7396, and what we do with it. */
static const char *const merges[][3] = {
	{"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
	{"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
	{"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
	{"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
	{"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
	{"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
	{"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
	{"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
	{"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
	{"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
	{"{\"a\":\"foo\"}", "null", "null"},
	{"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
	{"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
	{"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
	{"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
	{"null", "{\"ttl\":7}", "{\"ttl\":7}"},
};

static void
test_merge(void)
{
	for (size_t i = 0; i < lengthof(merges); i++)
	{
		json_object *document = json_tokener_parse(merges[i][0]);
		json_object *patch = json_tokener_parse(merges[i][1]);
		json_object *expected = json_tokener_parse(merges[i][2]);
		json_object *merged = document_merge(document, patch);
		json_object *again = json_tokener_parse(merges[i][0]);

		ok(document_equal(merged, expected) && document_equal(document, again), "%s with %s is %s",
		   merges[i][0], merges[i][1], merges[i][2]);
		json_object_put(document);
		json_object_put(patch);
		json_object_put(expected);
		json_object_put(merged);
		json_object_put(again);
	}
}

/* ---- Checking ---- */

static char unknowns[256];

static void
note_unknown(void *arg, const char *key)
{
	snprintf(unknowns + strlen(unknowns), sizeof(unknowns) - strlen(unknowns), "%s;", key);
}

static const struct
{
	const char *document;
	const char *message; /* NULL: it is fine */
	const char *unknown;
} checks[] = {
	{"{}", NULL, ""},
	{"{\"ttl\": 2, \"pause\": true, \"synchronous_mode\": \"quorum\"}", NULL, ""},
	{"{\"ttl\": null, \"postgresql\": null}", NULL, ""},
	{"{\"postgresql\": {\"parameters\": {\"work_mem\": \"8MB\", \"jit\": false}}}", NULL, ""},
	{"{\"colour\": 1, \"postgresql\": {\"taste\": 2}}", NULL, "colour;postgresql.taste;"},
	{"[]", "the configuration is not a JSON object", ""},
	{"{\"ttl\": 1}", "invalid value for \"ttl\": 1", ""},
	{"{\"ttl\": 2.5}", "invalid value for \"ttl\": 2.5", ""},
	{"{\"ttl\": \"long\"}", "invalid value for \"ttl\": \"long\"", ""},
	{"{\"ttl\": [5]}", "invalid value for \"ttl\": [ 5 ]", ""},
	{"{\"pause\": 2}", "invalid value for \"pause\": 2", ""},
	{"{\"synchronous_mode\": \"some\"}", "invalid value for \"synchronous_mode\": \"some\"", ""},
	{"{\"synchronous_node_count\": 0}", "invalid value for \"synchronous_node_count\": 0", ""},
	{"{\"maximum_lag_on_failover\": -1}", "invalid value for \"maximum_lag_on_failover\": -1", ""},
	{"{\"slots\": []}", "invalid value for \"slots\": [ ]", ""},
	{"{\"postgresql\": 3}", "invalid value for \"postgresql\": 3", ""},
	{"{\"postgresql\": {\"parameters\": {\"work_mem\": {}}}}",
	 "invalid value for parameter \"work_mem\": { }", ""},
	{"{\"postgresql\": {\"parameters\": {\"work_mem\": null}}}",
	 "invalid value for parameter \"work_mem\": null", ""},
	{"{\"postgresql\": {\"use_pg_rewind\": 5}}",
	 "invalid value for \"postgresql.use_pg_rewind\": 5", ""},
	{"{\"postgresql\": {\"pg_hba\": []}}", "\"postgresql.pg_hba\" cannot be set for the group", ""},
};

static void
test_check(void)
{
	for (size_t i = 0; i < lengthof(checks); i++)
	{
		json_object *document = json_tokener_parse(checks[i].document);
		DocumentTrouble trouble;
		bool fine;

		unknowns[0] = '\0';
		document_tell_unknown(document, note_unknown, NULL);
		fine = document_check(document, &trouble);
		ok(fine == (checks[i].message == NULL) &&
			   strcmp(trouble.message, checks[i].message ? checks[i].message : "") == 0,
		   "%s: %s", checks[i].document, fine ? "fine" : trouble.message);
		if (fine)
			ok(strcmp(unknowns, checks[i].unknown) == 0, "unknown: \"%s\"", unknowns);
		json_object_put(document);
	}
}

int
main(void)
{
	test_read();
	test_merge();
	test_check();
	return done_testing();
}
