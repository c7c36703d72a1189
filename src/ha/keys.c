/*-------------------------------------------------------------------------
 * keys.c
 *	  The keys of the store: their names and the JSON in them.
 *
 * Names and values are those that Patroni's tools read.  Fields and keys of
 * our own stand beside theirs: "instance" and "vote" of a member, "timeline"
 * of the status, the keys "epoch" and "timeline".
 *
 * Whatever is read may have been written by anyone, so a value that makes no
 * sense is passed over, never an error.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <json-c/json.h>
#include <time.h>

#include "access/timeline.h"
#include "lib/stringinfo.h"
#include "utils/timestamp.h"

#include "base/config.h"
#include "base/json.h"
#include "ha/keys.h"

static const char *const key_names[N_HA_KEYS] = {"leader",	"initialize", "config", "status",
												 "history", "failover",	  "sync",	"failsafe",
												 "epoch",	"timeline"};

static const char member_folder[] = "members/";
static const char order_folder[] = "orders/";
static const char *const order_names[N_HA_ORDERS] = {"reload", "restart", "planned_restart",
													 "reinitialize"};
static const char *const order_states[] = {"asked", "taken", "done", "failed"};

/*
 * Names
 */

const char *
key_scope_prefix(void)
{
	static char prefix[512];
	char raw[512];
	char *to = prefix;

	if (prefix[0] != '\0')
		return prefix;
	/* Slashes side by side count as one. */
	snprintf(raw, sizeof(raw), "/%s/%s/", config_namespace, config_scope);
	for (const char *from = raw; *from; from++)
		if (*from != '/' || from == raw || from[-1] != '/')
			*to++ = *from;
	*to = '\0';
	return prefix;
}

const char *
key_group_prefix(int group_id)
{
	static char prefix[600];

	if (config_group < 0)
		return key_scope_prefix();
	snprintf(prefix, sizeof(prefix), "%s%d/", key_scope_prefix(), group_id);
	return prefix;
}

char *
key_name_in(int group_id, HaKey key)
{
	return psprintf("%s%s", key_group_prefix(group_id), key_names[key]);
}

char *
key_name(HaKey key)
{
	return key_name_in(ha_own_group(), key);
}

char *
key_member_name(const char *member)
{
	return psprintf("%s%s%s", key_group_prefix(ha_own_group()), member_folder, member);
}

static bool
parse_group(const char **name, int *group_id)
{
	char *end;
	long n;

	if (config_group < 0)
	{
		*group_id = 0;
		return true;
	}
	if (!(**name >= '0' && **name <= '9'))
		return false;
	n = strtol(*name, &end, 10);
	if (*end != '/' || n > INT_MAX)
		return false;
	*group_id = (int) n;
	*name = end + 1;
	return true;
}

bool
key_parse_name(const char *name, int *group_id, HaKey *key, const char **member)
{
	size_t length = strlen(key_scope_prefix());

	if (strncmp(name, key_scope_prefix(), length) != 0)
		return false;
	name += length;
	if (!parse_group(&name, group_id))
		return false;

	*member = NULL;
	if (strncmp(name, member_folder, sizeof(member_folder) - 1) == 0)
	{
		*member = name + sizeof(member_folder) - 1;
		return **member != '\0' && strlen(*member) < HA_NAME_SIZE && strchr(*member, '/') == NULL;
	}
	for (int i = 0; i < N_HA_KEYS; i++)
		if (strcmp(name, key_names[i]) == 0)
		{
			*key = (HaKey) i;
			return true;
		}
	return false;
}

char *
key_order_name(int group_id, const char *member, HaOrderKind kind)
{
	return psprintf("%s%s%s/%s", key_group_prefix(group_id), order_folder, member,
					order_names[kind]);
}

bool
key_parse_order(const char *name, int *group_id, char member[HA_NAME_SIZE], HaOrderKind *kind)
{
	size_t length = strlen(key_scope_prefix());

	if (strncmp(name, key_scope_prefix(), length) != 0)
		return false;
	name += length;
	if (!parse_group(&name, group_id) || strncmp(name, order_folder, sizeof(order_folder) - 1) != 0)
		return false;
	name += sizeof(order_folder) - 1;
	length = strcspn(name, "/");
	if (length == 0 || length >= HA_NAME_SIZE || name[length] != '/')
		return false;
	memcpy(member, name, length);
	member[length] = '\0';
	for (int i = 0; i < N_HA_ORDERS; i++)
		if (strcmp(name + length + 1, order_names[i]) == 0)
		{
			*kind = (HaOrderKind) i;
			return true;
		}
	return false;
}

/*
 * Reading
 */

static const char *
get_text(json_object *object, const char *field)
{
	json_object *value;

	if (!json_object_object_get_ex(object, field, &value) ||
		!json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

static int64
get_number(json_object *object, const char *field, int64 otherwise, int64 min, int64 max)
{
	json_object *value;
	int64 number;

	if (!json_object_object_get_ex(object, field, &value) ||
		!(json_object_is_type(value, json_type_int) ||
		  json_object_is_type(value, json_type_double)))
		return otherwise;
	number = json_object_get_int64(value);
	return number < min || number > max ? otherwise : number;
}

static bool
get_flag(json_object *object, const char *field)
{
	json_object *value;

	return json_object_object_get_ex(object, field, &value) &&
		   json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

static void
copy_text(json_object *object, const char *field, char *to, size_t size)
{
	const char *text = get_text(object, field);

	strlcpy(to, text == NULL ? "" : text, size);
}

/* "2026-01-14T10:09:57.139400+00:00"; false when it is not of that form. */
static bool
parse_moment(const char *text, TimestampTz *at)
{
	struct tm tm = {0};
	int offset_hours = 0;
	int offset_minutes = 0;
	int used = 0;
	char sign;
	double seconds;
	time_t epoch;

	if (sscanf(text, "%4d-%2d-%2d%*1[T ]%2d:%2d:%lf%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			   &tm.tm_hour, &tm.tm_min, &seconds, &used) != 6 ||
		seconds < 0 || seconds >= 61)
		return false;
	text += used;
	if (*text == '+' || *text == '-')
	{
		sign = *text++;
		if (sscanf(text, "%2d:%2d", &offset_hours, &offset_minutes) < 1)
			return false;
		if (sign == '-')
		{
			offset_hours = -offset_hours;
			offset_minutes = -offset_minutes;
		}
	}
	else if (*text != 'Z' && *text != '\0')
		return false;

	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	epoch = timegm(&tm) - offset_hours * 3600 - offset_minutes * 60;
	*at = time_t_to_timestamptz(epoch) + (TimestampTz) (seconds * USECS_PER_SEC);
	return true;
}

static TimestampTz
get_moment(json_object *object, const char *field)
{
	const char *text = get_text(object, field);
	TimestampTz at;

	return text != NULL && parse_moment(text, &at) ? at : 0;
}

static bool
read_tags(json_object *tags, bool *may_lead, int *priority)
{
	int64 wanted = get_number(tags, "failover_priority", 1, INT_MIN, INT_MAX);

	*may_lead = !get_flag(tags, "nofailover") && wanted > 0;
	*priority = (int) wanted;
	return true;
}

bool
key_read_tags(const char *value, bool *may_lead, int *priority)
{
	json_object *tags = json_parsed(value, json_type_object);

	*may_lead = true;
	*priority = 1;
	return tags != NULL && read_tags(tags, may_lead, priority);
}

void
key_read_upstream(const char *value, char upstream[HA_NAME_SIZE])
{
	json_object *tags = json_parsed(value, json_type_object);

	upstream[0] = '\0';
	if (tags != NULL)
		copy_text(tags, "replicatefrom", upstream, HA_NAME_SIZE);
}

/* "postgres://[user@]host[:port][/database]", IPv6 hosts in brackets */
static bool
parse_conn_url(const char *url, SharedMember *shown)
{
	const char *host = strstr(url, "://");
	const char *end;
	size_t length;

	if (host == NULL)
		return false;
	host += 3;
	length = strcspn(host, "/?");
	for (size_t i = 0; i < length; i++)
		if (host[i] == '@')
		{
			host += i + 1;
			break;
		}
	if (*host == '[')
	{
		host++;
		end = strchr(host, ']');
		if (end == NULL)
			return false;
		length = end - host;
		end++;
	}
	else
	{
		length = strcspn(host, ":/?");
		end = host + length;
	}
	if (length == 0 || length >= sizeof(shown->host))
		return false;
	memcpy(shown->host, host, length);
	shown->host[length] = '\0';
	shown->port = *end == ':' ? atoi(end + 1) : 5432;
	return shown->port > 0 && shown->port <= 65535;
}

static void
read_pending(json_object *object, SharedMember *shown)
{
	json_object *pending;

	shown->pending[0] = '\0';
	if (json_object_object_get_ex(object, "pending_restart_reason", &pending) &&
		json_object_is_type(pending, json_type_object) &&
		strlcpy(shown->pending, json_text(pending), sizeof(shown->pending)) >=
			sizeof(shown->pending))
		shown->pending[0] = '\0';
}

bool
key_read_member(const char *value, HaMember *member)
{
	json_object *object = json_parsed(value, json_type_object);
	json_object *tags;
	json_object *plan;
	SharedMember *shown = &member->shown;
	const char *url;

	member->may_lead = true;
	member->priority = 1;
	member->sync_priority = 1;
	if (object == NULL)
		return false;

	url = get_text(object, "conn_url");
	if (url == NULL || !parse_conn_url(url, shown))
		shown->host[0] = '\0';
	copy_text(object, "role", shown->role, sizeof(shown->role));
	copy_text(object, "state", shown->state, sizeof(shown->state));
	copy_text(object, "api_url", shown->api_url, sizeof(shown->api_url));
	copy_text(object, "instance", member->instance, sizeof(member->instance));
	shown->timeline = (uint32) get_number(object, "timeline", 0, 0, PG_UINT32_MAX);
	shown->lsn = (uint64) get_number(object, "xlog_location", -1, 0, PG_INT64_MAX);
	shown->lsn_known = shown->lsn != (uint64) -1;
	if (!shown->lsn_known)
		shown->lsn = 0;
	shown->pending_restart = get_flag(object, "pending_restart");
	read_pending(object, shown);
	shown->paused = get_flag(object, "pause");
	member->unwell = get_flag(object, "unwell");
	shown->restart_at = 0;
	if (json_object_object_get_ex(object, "scheduled_restart", &plan) &&
		json_object_is_type(plan, json_type_object))
		shown->restart_at = get_moment(plan, "schedule");
	member->vote = get_number(object, "vote", -1, 0, PG_INT64_MAX);
	member->voted = member->vote >= 0;

	strlcpy(shown->tags, "{}", sizeof(shown->tags));
	if (json_object_object_get_ex(object, "tags", &tags) &&
		json_object_is_type(tags, json_type_object))
	{
		const char *text = json_text(tags);

		if (strlcpy(shown->tags, text, sizeof(shown->tags)) >= sizeof(shown->tags))
			shown->tags[0] = '\0';
		read_tags(tags, &member->may_lead, &member->priority);
		copy_text(tags, "replicatefrom", member->upstream, sizeof(member->upstream));
		member->sync_priority =
			get_flag(tags, "nosync") ? 0 : (int) get_number(tags, "sync_priority", 1, 0, INT_MAX);
	}
	return true;
}

void
key_read_config(const char *value, HaConfig *config)
{
	document_read(json_parsed(value, json_type_object), config);
}

void
key_read_sections(const char *value, SlotSettings *slots, StandbySettings *standby)
{
	json_object *object = json_parsed(value, json_type_object);

	if (object == NULL)
		return;
	sections_read_slots(object, slots);
	sections_read_standby(object, standby);
}

static void
read_positions(json_object *slots, HaStatus *status)
{
	struct json_object_iter entry;

	json_object_object_foreachC(slots, entry)
	{
		SlotPosition *position = &status->slots[status->nslots];
		int64 lsn = json_object_get_int64(entry.val);

		if (status->nslots == SLOT_MAX || strlen(entry.key) >= SLOT_NAME_SIZE || lsn <= 0)
			continue;
		strlcpy(position->name, entry.key, SLOT_NAME_SIZE);
		position->lsn = (uint64) lsn;
		status->nslots++;
	}
}

void
key_read_status(const char *value, HaStatus *status)
{
	json_object *object = json_parsed(value, json_type_object);
	json_object *slots;

	status->optime = 0;
	status->timeline = 0;
	status->oldest_wal = 0;
	status->nslots = 0;
	if (object == NULL)
		return;
	status->oldest_wal = (uint64) get_number(object, "oldest_wal", 0, 0, PG_INT64_MAX);
	if (json_object_object_get_ex(object, "slots", &slots) &&
		json_object_is_type(slots, json_type_object))
		read_positions(slots, status);
	status->optime = (uint64) get_number(object, "optime", 0, 0, PG_INT64_MAX);
	status->timeline = (uint32) get_number(object, "timeline", 0, 0, PG_UINT32_MAX);
}

bool
key_read_failover(const char *value, HaFailover *failover)
{
	json_object *object = json_parsed(value, json_type_object);
	const char *at;

	memset(failover, 0, sizeof(*failover));
	if (object == NULL)
		return false;
	copy_text(object, "leader", failover->leader, sizeof(failover->leader));
	copy_text(object, "member", failover->member, sizeof(failover->member));
	at = get_text(object, "scheduled_at");
	if (at != NULL && !parse_moment(at, &failover->at))
		return false;
	return failover->leader[0] != '\0' || failover->member[0] != '\0';
}

bool
key_read_order(const char *value, HaOrder *order)
{
	json_object *object = json_parsed(value, json_type_object);
	const char *state = object == NULL ? NULL : get_text(object, "state");
	const char *sqlstate;

	memset(order, 0, sizeof(*order));
	if (state == NULL)
		return false;
	while (strcmp(state, order_states[order->state]) != 0)
		if (++order->state == lengthof(order_states))
			return false;
	copy_text(object, "id", order->id, sizeof(order->id));
	copy_text(object, "role", order->only_role, sizeof(order->only_role));
	copy_text(object, "version", order->below_version, sizeof(order->below_version));
	copy_text(object, "start", order->start, sizeof(order->start));
	copy_text(object, "message", order->message, sizeof(order->message));
	copy_text(object, "hint", order->hint, sizeof(order->hint));
	order->at = get_moment(object, "at");
	order->expires = get_moment(object, "expires");
	order->only_pending = get_flag(object, "pending");
	order->timeout = (int) get_number(object, "timeout", 0, 0, INT_MAX);
	sqlstate = get_text(object, "sqlstate");
	if (sqlstate != NULL && strlen(sqlstate) == 5)
		order->sqlstate =
			MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3], sqlstate[4]);
	return true;
}

HaSync
key_read_sync(const char *value, const char *leader, const char *member, bool quorum)
{
	json_object *object = json_parsed(value, json_type_object);
	const char *said_by = object == NULL ? NULL : get_text(object, "leader");
	const char *names = object == NULL ? NULL : get_text(object, "sync_standby");
	size_t length = strlen(member);

	/* What an earlier leader wrote tells nothing of this one's standbys. */
	if (said_by == NULL || names == NULL || strcmp(said_by, leader) != 0)
		return HA_SYNC_NONE;
	for (;; names++)
	{
		names += strspn(names, " ");
		if (strncmp(names, member, length) == 0 && strchr(" ,", names[length]) != NULL)
			return quorum ? HA_SYNC_QUORUM : HA_SYNC_STANDBY;
		names += strcspn(names, ",");
		if (*names == '\0')
			return HA_SYNC_NONE;
	}
}

/* Voters that are left out, for a name too long or too many names, only make an election harder. */
void
key_read_sync_set(const char *value, HaSyncKey *sync)
{
	json_object *object = json_parsed(value, json_type_object);
	const char *leader = object == NULL ? NULL : get_text(object, "leader");
	const char *names = object == NULL ? NULL : get_text(object, "sync_standby");

	memset(sync, 0, sizeof(*sync));
	if (leader == NULL || leader[0] == '\0' || strlen(leader) >= HA_NAME_SIZE)
		return;
	sync->present = true;
	strlcpy(sync->leader, leader, HA_NAME_SIZE);
	while (names != NULL && *names != '\0')
	{
		size_t length;

		names += strspn(names, " ,");
		length = strcspn(names, " ,");
		if (length > 0 && length < HA_NAME_SIZE && sync->nvoters < HA_SYNC_MAX)
			strlcpy(sync->voters[sync->nvoters++], names, length + 1);
		names += length;
	}
	sync->quorum = (int) get_number(object, "quorum", 0, 0, INT_MAX);
	/* All is the most that can be asked for. */
	if (sync->quorum >= sync->nvoters)
		sync->quorum = Max(sync->nvoters - 1, 0);
}

bool
key_sync_lists(const HaSyncKey *sync, const char *member)
{
	for (int i = 0; i < sync->nvoters; i++)
		if (strcmp(sync->voters[i], member) == 0)
			return true;
	return false;
}

int
key_read_history(const char *value, HaFork *forks, int max)
{
	json_object *lines = json_parsed(value, json_type_array);
	int n = 0;

	if (lines == NULL)
		return 0;
	for (size_t i = 0; i < json_object_array_length(lines) && n < max; i++)
	{
		json_object *line = json_object_array_get_idx(lines, i);
		json_object *timeline;
		json_object *end;

		if (!json_object_is_type(line, json_type_array))
			continue;
		timeline = json_object_array_get_idx(line, 0);
		end = json_object_array_get_idx(line, 1);
		if (!json_object_is_type(timeline, json_type_int) ||
			!json_object_is_type(end, json_type_int))
			continue;
		forks[n].timeline = (uint32) json_object_get_int64(timeline);
		forks[n].end = (uint64) json_object_get_int64(end);
		n++;
	}
	return n;
}

/* The text in that place, or an empty one. */
static const char *
get_element_text(json_object *array, int i)
{
	json_object *element = json_object_array_get_idx(array, i);

	return json_object_is_type(element, json_type_string) ? json_object_get_string(element) : "";
}

int
key_read_history_lines(const char *value, HaHistoryLine *lines, int max)
{
	json_object *array = json_parsed(value, json_type_array);
	int n = 0;

	for (size_t i = 0; array != NULL && i < json_object_array_length(array) && n < max; i++)
	{
		json_object *line = json_object_array_get_idx(array, i);

		if (!json_object_is_type(line, json_type_array))
			continue;
		lines[n].timeline = (uint32) json_object_get_int64(json_object_array_get_idx(line, 0));
		lines[n].end = (uint64) json_object_get_int64(json_object_array_get_idx(line, 1));
		strlcpy(lines[n].reason, get_element_text(line, 2), sizeof(lines[n].reason));
		if (!parse_moment(get_element_text(line, 3), &lines[n].at))
			lines[n].at = 0;
		strlcpy(lines[n].leader, get_element_text(line, 4), sizeof(lines[n].leader));
		n++;
	}
	return n;
}

/*
 * Writing
 */

/* The moment in UTC, in the form that parse_moment reads. */
static char *
write_moment(TimestampTz at)
{
	time_t epoch = (time_t) timestamptz_to_time_t(at);
	struct tm tm;
	char text[64];

	gmtime_r(&epoch, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return psprintf("%s.%06d+00:00", text,
					(int) (((at % USECS_PER_SEC) + USECS_PER_SEC) % USECS_PER_SEC));
}

char *
key_write_member(const HaMember *member, bool with_lsn)
{
	json_object *object = json_made(json_object_new_object());
	const SharedMember *shown = &member->shown;
	bool bracket = strchr(shown->host, ':') != NULL;
	json_object *tags;

	json_add_text(object, "conn_url",
				  psprintf("postgres://%s%s%s:%d/postgres", bracket ? "[" : "", shown->host,
						   bracket ? "]" : "", shown->port));
	if (shown->api_url[0] != '\0')
		json_add_text(object, "api_url", shown->api_url);
	json_add_text(object, "state", shown->state);
	json_add_text(object, "role", shown->role);
	json_add_text(object, "version", PGCLUSTER_VERSION);
	if (with_lsn && shown->lsn_known)
		json_add_number(object, "xlog_location", (int64) shown->lsn);
	if (shown->timeline != 0)
		json_add_number(object, "timeline", shown->timeline);
	if (shown->pending_restart)
		json_object_object_add(object, "pending_restart", json_object_new_boolean(true));
	if (shown->pending[0] != '\0')
		json_object_object_add(object, "pending_restart_reason",
							   json_tokener_parse(shown->pending));
	if (shown->paused)
		json_object_object_add(object, "pause", json_object_new_boolean(true));
	if (shown->restart_at != 0)
	{
		json_object *plan = json_object_new_object();

		json_add_text(plan, "schedule", write_moment(shown->restart_at));
		json_object_object_add(object, "scheduled_restart", plan);
	}
	tags = json_tokener_parse(shown->tags);
	if (json_object_is_type(tags, json_type_object) && json_object_object_length(tags) > 0)
		json_object_object_add(object, "tags", tags);
	else
		json_object_put(tags);
	json_add_text(object, "instance", member->instance);
	if (member->unwell)
		json_object_object_add(object, "unwell", json_object_new_boolean(true));
	if (member->voted)
		json_add_number(object, "vote", member->vote);
	return pstrdup(json_text(object));
}

char *
key_write_config(void)
{
	json_object *object = json_made(json_object_new_object());
	HaConfig config;

	document_read(NULL, &config);
	json_add_number(object, "ttl", config.ttl);
	json_add_number(object, "loop_wait", config.loop_wait);
	json_add_number(object, "retry_timeout", config.retry_timeout);
	json_add_number(object, "maximum_lag_on_failover", config.maximum_lag);
	return pstrdup(json_text(object));
}

char *
key_write_status(const HaStatus *status)
{
	json_object *object = json_made(json_object_new_object());

	json_add_number(object, "optime", (int64) status->optime);
	json_add_number(object, "timeline", status->timeline);
	if (status->oldest_wal > 0)
		json_add_number(object, "oldest_wal", (int64) status->oldest_wal);
	if (status->nslots > 0)
	{
		json_object *slots = json_object_new_object();

		for (int i = 0; i < status->nslots; i++)
			json_add_number(slots, status->slots[i].name, (int64) status->slots[i].lsn);
		json_object_object_add(object, "slots", slots);
	}
	return pstrdup(json_text(object));
}

char *
key_write_failover(const HaFailover *failover)
{
	json_object *object = json_made(json_object_new_object());

	if (failover->leader[0] != '\0')
		json_add_text(object, "leader", failover->leader);
	if (failover->member[0] != '\0')
		json_add_text(object, "member", failover->member);
	if (failover->at != 0)
		json_add_text(object, "scheduled_at", write_moment(failover->at));
	return pstrdup(json_text(object));
}

static void
add_if_any(json_object *object, const char *field, const char *text)
{
	if (text[0] != '\0')
		json_add_text(object, field, text);
}

char *
key_write_order(const HaOrder *order)
{
	json_object *object = json_made(json_object_new_object());

	json_add_text(object, "id", order->id);
	json_add_text(object, "state", order_states[order->state]);
	if (order->at != 0)
		json_add_text(object, "at", write_moment(order->at));
	if (order->expires != 0)
		json_add_text(object, "expires", write_moment(order->expires));
	if (order->only_pending)
		json_object_object_add(object, "pending", json_object_new_boolean(true));
	add_if_any(object, "role", order->only_role);
	add_if_any(object, "version", order->below_version);
	if (order->timeout != 0)
		json_add_number(object, "timeout", order->timeout);
	add_if_any(object, "start", order->start);
	if (order->sqlstate != 0)
		json_add_text(object, "sqlstate", unpack_sql_state(order->sqlstate));
	add_if_any(object, "message", order->message);
	add_if_any(object, "hint", order->hint);
	return pstrdup(json_text(object));
}

char *
key_write_sync(const HaSyncKey *sync)
{
	json_object *object = json_made(json_object_new_object());
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < sync->nvoters; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? "," : "", sync->voters[i]);
	json_add_text(object, "leader", sync->leader);
	if (sync->nvoters > 0)
		json_add_text(object, "sync_standby", names.data);
	else
		json_object_object_add(object, "sync_standby", NULL);
	json_add_number(object, "quorum", sync->quorum);
	return pstrdup(json_text(object));
}

bool
key_read_failsafe(const char *value, HaFailsafe *list)
{
	json_object *object = json_parsed(value, json_type_object);
	json_object_iter entry;

	list->n = 0;
	list->members = NULL;
	if (object == NULL)
		return false;
	list->members = palloc0(sizeof(HaFailsafeMember) * (json_object_object_length(object) + 1));
	json_object_object_foreachC(object, entry)
	{
		HaFailsafeMember *m = &list->members[list->n++];

		strlcpy(m->name, entry.key, sizeof(m->name));
		if (json_object_is_type(entry.val, json_type_string))
			strlcpy(m->url, json_object_get_string(entry.val), sizeof(m->url));
	}
	return true;
}

char *
key_write_failsafe(const HaFailsafe *list)
{
	json_object *object = json_made(json_object_new_object());

	for (int i = 0; i < list->n; i++)
		json_add_text(object, list->members[i].name, list->members[i].url);
	return pstrdup(json_text(object));
}

char *
key_write_claim(int ttl)
{
	json_object *object = json_made(json_object_new_object());

	json_add_text(object, "name", config_node_name);
	json_object_object_add(object, "ttl", json_object_new_int(ttl));
	return pstrdup(json_text(object));
}

char *
key_write_epoch(const char *leader)
{
	json_object *object = json_made(json_object_new_object());

	json_add_text(object, "leader", leader);
	return pstrdup(json_text(object));
}

/* The line of "former" for the same fork, or NULL. */
static json_object *
find_line(json_object *former, uint32 timeline, uint64 end)
{
	for (size_t i = 0; former != NULL && i < json_object_array_length(former); i++)
	{
		json_object *line = json_object_array_get_idx(former, i);

		if (json_object_is_type(line, json_type_array) &&
			json_object_get_int64(json_object_array_get_idx(line, 0)) == (int64) timeline &&
			json_object_get_int64(json_object_array_get_idx(line, 1)) == (int64) end)
			return line;
	}
	return NULL;
}

static json_object *
new_line(uint32 timeline, uint64 end, const char *leader)
{
	json_object *line = json_object_new_array();

	json_object_array_add(line, json_object_new_int64(timeline));
	json_object_array_add(line, json_object_new_int64((int64) end));
	json_object_array_add(line, json_object_new_string("no recovery target specified"));
	json_object_array_add(line, json_object_new_string(write_moment(GetCurrentTimestamp())));
	json_object_array_add(line, json_object_new_string(leader));
	return line;
}

char *
key_write_history(uint32 timeline, const char *leader, const char *former)
{
	json_object *lines = json_made(json_object_new_array());
	json_object *known = json_parsed(former, json_type_array);
	List *entries = readTimeLineHistory(timeline);

	/* The newest stands first in the list, and last in the key. */
	for (int i = list_length(entries) - 1; i >= 0; i--)
	{
		TimeLineHistoryEntry *entry = list_nth(entries, i);
		json_object *line;

		if (entry->end == InvalidXLogRecPtr)
			continue;
		line = find_line(known, entry->tli, entry->end);
		json_object_array_add(lines, line ? json_object_get(line)
										  : new_line(entry->tli, entry->end, leader));
	}
	return pstrdup(json_text(lines));
}
