/*-------------------------------------------------------------------------
 * documents.c
 *	  The JSON that the HTTP server answers with.
 *
 * Fields and their meaning are those that Patroni documents for its own
 * API, so that tools read them unchanged.  What the store holds as JSON is
 * passed on as it is, once it is known to be JSON.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "access/xlog.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/config.h"
#include "base/json.h"
#include "http/documents.h"
#include "http/replication.h"

static const char application_json[] = "application/json";

static void
add_flag(json_object *object, const char *field, bool flag)
{
	json_object_object_add(object, field, json_object_new_boolean(flag));
}

/* The moment in UTC, or null. */
static void
add_moment(json_object *object, const char *field, TimestampTz at, char separator)
{
	time_t epoch = (time_t) timestamptz_to_time_t(at);
	int us = (int) (((at % USECS_PER_SEC) + USECS_PER_SEC) % USECS_PER_SEC);
	struct tm tm;
	char day[32];
	char hour[32];

	if (at == 0)
	{
		json_object_object_add(object, field, NULL);
		return;
	}
	gmtime_r(&epoch, &tm);
	strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	strftime(hour, sizeof(hour), "%H:%M:%S", &tm);
	json_add_text(object, field,
				  us == 0 ? psprintf("%s%c%s+00:00", day, separator, hour)
						  : psprintf("%s%c%s.%06d+00:00", day, separator, hour, us));
}

static void
put_json(HttpAnswer *answer, json_object *object)
{
	answer->content_type = application_json;
	appendStringInfoString(&answer->body, json_text(object));
}

void
http_answer_error(HttpAnswer *answer, HttpStatus status, const char *message)
{
	json_object *object = json_made(json_object_new_object());

	answer->status = status;
	json_add_text(object, "error", message);
	resetStringInfo(&answer->body);
	put_json(answer, object);
}

void
http_answer_text(HttpAnswer *answer, HttpStatus status, const char *message)
{
	memset(answer, 0, sizeof(*answer));
	initStringInfo(&answer->body);
	answer->status = status;
	answer->content_type = "text/plain; charset=utf-8";
	appendStringInfoString(&answer->body, message);
}

/*
 * The server
 */

static json_object *
write_restart(TimestampTz at)
{
	json_object *object = json_object_new_object();

	add_moment(object, "schedule", at, 'T');
	return object;
}

static json_object *
write_positions(const HttpFacts *facts)
{
	json_object *object = json_object_new_object();

	if (facts->primary)
	{
		json_add_number(object, "location", (int64) facts->written);
		return object;
	}
	json_add_number(object, "received_location", (int64) facts->received);
	json_add_number(object, "replayed_location", (int64) facts->replayed);
	add_moment(object, "replayed_timestamp", facts->replayed_at, ' ');
	add_flag(object, "paused", facts->replay_paused);
	return object;
}

static json_object *
write_software(void)
{
	json_object *object = json_object_new_object();

	json_add_text(object, "version", PGCLUSTER_VERSION);
	json_add_text(object, "scope", config_scope);
	json_add_text(object, "name", config_node_name);
	return object;
}

/* What only a server that lets sessions in can tell. */
static void
add_server(json_object *object, const HttpFacts *facts)
{
	json_object *replication;

	if (!facts->running)
		return;
	json_add_number(object, "server_version",
					atoi(GetConfigOption("server_version_num", false, false)));
	json_object_object_add(object, "xlog", write_positions(facts));
	if (facts->sync != HA_SYNC_NONE)
		add_flag(object, facts->sync == HA_SYNC_QUORUM ? "quorum_standby" : "sync_standby", true);
	json_add_number(object, "timeline", facts->timeline);
	if (facts->streaming || facts->from_archive)
		json_add_text(object, "replication_state", http_facts_replication(facts));
	replication = http_replication();
	if (replication != NULL)
		json_object_object_add(object, "replication", replication);
}

void
http_write_status(const HttpFacts *facts, HttpAnswer *answer)
{
	json_object *object = json_made(json_object_new_object());
	const HaPicture *picture = facts->picture;

	json_add_text(object, "state", facts->running ? "running" : "starting");
	add_moment(object, "postmaster_start_time", PgStartTime, ' ');
	json_add_text(object, "role",
				  facts->primary		  ? "master"
				  : facts->standby_leader ? "standby_leader"
										  : "replica");
	add_server(object, facts);
	if (picture->holder[0] == '\0')
		add_flag(object, "cluster_unlocked", true);
	if (facts->failsafe)
		add_flag(object, "failsafe_mode_is_active", true);
	if (facts->self != NULL && facts->self->pending_restart)
		add_flag(object, "pending_restart", true);
	if (facts->self != NULL && facts->self->restart_at != 0)
		json_object_object_add(object, "scheduled_restart", write_restart(facts->self->restart_at));
	if (picture->answered_us != 0)
		json_add_number(object, "dcs_last_seen", http_facts_store_seen(facts));
	if (json_object_object_length(facts->tags) > 0)
		json_object_object_add(object, "tags", json_object_get(facts->tags));
	json_add_text(object, "database_system_identifier",
				  psprintf(UINT64_FORMAT, GetSystemIdentifier()));
	json_object_object_add(object, "patroni", write_software());
	if (picture->paused)
		add_flag(object, "pause", true);
	put_json(answer, object);
}

/*
 * The group
 */

static json_object *
write_member(const HttpFacts *facts, const SharedMember *member)
{
	json_object *object = json_object_new_object();
	const char *role = http_facts_role(facts, member);
	json_object *tags = json_tokener_parse(member->tags);
	int64 lag;

	json_add_text(object, "name", member->name);
	json_add_text(object, "role", role);
	json_add_text(object, "state", member->state);
	if (member->api_url[0] != '\0')
		json_add_text(object, "api_url", member->api_url);
	if (member->host[0] != '\0')
	{
		json_add_text(object, "host", member->host);
		json_add_number(object, "port", member->port);
	}
	if (member->timeline != 0)
		json_add_number(object, "timeline", member->timeline);
	if (member->pending_restart)
		add_flag(object, "pending_restart", true);
	if (json_object_is_type(tags, json_type_object) && json_object_object_length(tags) > 0)
		json_object_object_add(object, "tags", tags);
	else
		json_object_put(tags);
	if (member->restart_at != 0)
		json_object_object_add(object, "scheduled_restart", write_restart(member->restart_at));
	if (strcmp(member->name, facts->picture->holder) == 0)
		return object;
	if (member->lsn_known)
		json_add_text(object, "lsn", psprintf("%X/%X", LSN_FORMAT_ARGS((XLogRecPtr) member->lsn)));
	if (http_facts_lag(facts, member, &lag))
		json_add_number(object, "lag", lag);
	else
		json_add_text(object, "lag", "unknown");
	return object;
}

static json_object *
write_switchover(const HaPicture *picture)
{
	json_object *object = json_object_new_object();

	add_moment(object, "at", picture->switchover_at, 'T');
	if (picture->switchover_from[0] != '\0')
		json_add_text(object, "from", picture->switchover_from);
	if (picture->switchover_to[0] != '\0')
		json_add_text(object, "to", picture->switchover_to);
	return object;
}

void
http_write_cluster(const HttpFacts *facts, HttpAnswer *answer)
{
	json_object *object = json_made(json_object_new_object());
	json_object *members = json_object_new_array();
	const HaPicture *picture = facts->picture;

	json_object_object_add(object, "members", members);
	for (int i = 0; i < picture->nmembers; i++)
		json_object_array_add(members, write_member(facts, &picture->members[i]));
	json_add_text(object, "scope", config_scope);
	if (picture->switchover_at != 0)
		json_object_object_add(object, "scheduled_switchover", write_switchover(picture));
	if (picture->paused)
		add_flag(object, "pause", true);
	put_json(answer, object);
}

/*
 * Keys of the store
 */

static void
pass_on(HttpAnswer *answer, const char *name, const char *text, enum json_type type)
{
	json_object *object = json_parsed(text, type);

	if (object == NULL)
	{
		http_answer_error(answer, HTTP_BAD_GATEWAY,
						  psprintf("what etcd holds as %s of the group makes no sense", name));
		return;
	}
	put_json(answer, object);
}

void
http_write_config(const HttpFacts *facts, HttpAnswer *answer)
{
	const char *text = ha_read_document(HA_DOCUMENT_CONFIG);

	if (text == NULL)
		http_answer_error(answer, HTTP_UNAVAILABLE, "no configuration of the group is known");
	else
		pass_on(answer, "configuration", text, json_type_object);
}

void
http_write_history(const HttpFacts *facts, HttpAnswer *answer)
{
	const char *text = ha_read_document(HA_DOCUMENT_HISTORY);

	pass_on(answer, "history", text == NULL ? "[]" : text, json_type_array);
}
