/*-------------------------------------------------------------------------
 * document.c
 *	  The settings of a group: which there are, their bounds, and how a
 *	  document is merged with a change.
 *
 * One table says all there is to say of a setting; it reads the document
 * leniently (whoever wrote it, the group goes on) and checks it strictly
 * before this cluster's own functions store it.  Whether the PostgreSQL
 * parameters in it are valid is for parameters.c, which asks the server.
 *
 * Pure: json-c and nothing of the server.
 *-------------------------------------------------------------------------
 */
#include "ha/document.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ha/sections.h"

#define DAY 86400
#define YEAR (365 * DAY)

typedef enum FieldKind
{
	FIELD_SECONDS, /* 5, or "30min" */
	FIELD_BYTES,   /* 1048576, or "1MB" */
	FIELD_COUNT,
	FIELD_FLAG,
	FIELD_SYNC_MODE,
	FIELD_OBJECT, /* for others to read */
	FIELD_ARRAY,
	FIELD_REFUSED
} FieldKind;

typedef struct Field
{
	const char *section; /* the object it stands in; NULL: the document */
	const char *name;
	FieldKind kind;
	int64_t otherwise;
	int64_t min;
	int64_t max;
	size_t offset;
	const char *hint; /* FIELD_REFUSED: what to do instead */
} Field;

#define IN(field) offsetof(HaConfig, field), NULL
#define ELSEWHERE SIZE_MAX, NULL

/* clang-format off */
static const Field fields[] = {
	{NULL, "ttl", FIELD_SECONDS, 5, 2, DAY, IN(ttl)},
	{NULL, "loop_wait", FIELD_SECONDS, 10, 1, DAY, IN(loop_wait)},
	{NULL, "retry_timeout", FIELD_SECONDS, 10, 1, DAY, IN(retry_timeout)},
	{NULL, "maximum_lag_on_failover", FIELD_BYTES, 1048576, 0, INT64_MAX, IN(maximum_lag)},
	{NULL, "maximum_lag_on_syncnode", FIELD_BYTES, -1, -1, INT64_MAX, IN(maximum_lag_synced)},
	/* The older name of each pair first: the newer one wins. */
	{NULL, "master_start_timeout", FIELD_SECONDS, 300, 0, DAY, IN(primary_start_timeout)},
	{NULL, "primary_start_timeout", FIELD_SECONDS, 300, 0, DAY, IN(primary_start_timeout)},
	{NULL, "member_slots_ttl", FIELD_SECONDS, 1800, 0, YEAR, IN(member_slots_ttl)},
	{NULL, "synchronous_mode", FIELD_SYNC_MODE, SYNC_MODE_OFF, 0, 0, IN(sync_mode)},
	{NULL, "synchronous_mode_strict", FIELD_FLAG, false, 0, 0, IN(sync_strict)},
	{NULL, "synchronous_node_count", FIELD_COUNT, 1, 1, 256, IN(sync_count)},
	{NULL, "failsafe_mode", FIELD_FLAG, false, 0, 0, IN(failsafe_mode)},
	{NULL, "pause", FIELD_FLAG, false, 0, 0, IN(paused)},
	{NULL, "slots", FIELD_OBJECT, 0, 0, 0, ELSEWHERE},
	{NULL, "ignore_slots", FIELD_ARRAY, 0, 0, 0, ELSEWHERE},
	{NULL, "standby_cluster", FIELD_OBJECT, 0, 0, 0, ELSEWHERE},
	{NULL, "postgresql", FIELD_OBJECT, 0, 0, 0, ELSEWHERE},
	{"postgresql", "parameters", FIELD_OBJECT, 0, 0, 0, ELSEWHERE},
	{"postgresql", "use_pg_rewind", FIELD_FLAG, true, 0, 0, IN(use_pg_rewind)},
	{"postgresql", "clone_when_wal_is_gone", FIELD_FLAG, true, 0, 0, IN(clone_if_behind)},
	{"postgresql", "use_slots", FIELD_FLAG, true, 0, 0, IN(use_slots)},
	{"postgresql", "pg_hba", FIELD_REFUSED, 0, 0, 0, SIZE_MAX,
	 "Edit pg_hba.conf on each member, and call cluster_reload() for it."},
	{"postgresql", "pg_ident", FIELD_REFUSED, 0, 0, 0, SIZE_MAX,
	 "Edit pg_ident.conf on each member, and call cluster_reload() for it."},
};
/* clang-format on */

#define NFIELDS (sizeof(fields) / sizeof(fields[0]))

/*
 * Values
 */

typedef struct Unit
{
	const char *name;
	int64_t factor;
} Unit;

static const Unit time_units[] = {{"", 1},	   {"s", 1},   {"sec", 1}, {"min", 60},
								  {"h", 3600}, {"d", DAY}, {NULL, 0}};
static const Unit size_units[] = {{"", 1},
								  {"B", 1},
								  {"kB", 1024},
								  {"MB", 1024 * 1024},
								  {"GB", INT64_C(1024) * 1024 * 1024},
								  {"TB", INT64_C(1024) * 1024 * 1024 * 1024},
								  {NULL, 0}};

/* "30min" */
static bool
read_with_unit(const char *text, const Unit *units, int64_t *number)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (end == text || errno != 0)
		return false;
	end += strspn(end, " ");
	for (; units->name != NULL; units++)
		if (strcmp(end, units->name) == 0)
			return !__builtin_mul_overflow((int64_t) n, units->factor, number);
	return false;
}

static bool
read_number(json_object *value, const Field *field, int64_t *number)
{
	static const Unit no_units[] = {{"", 1}, {NULL, 0}};

	switch (json_object_get_type(value))
	{
		case json_type_int:
			*number = json_object_get_int64(value);
			break;
		case json_type_double:
			*number = (int64_t) json_object_get_double(value);
			if ((double) *number != json_object_get_double(value))
				return false;
			break;
		case json_type_string:
			if (!read_with_unit(json_object_get_string(value),
								field->kind == FIELD_SECONDS ? time_units
								: field->kind == FIELD_BYTES ? size_units
															 : no_units,
								number))
				return false;
			break;
		default:
			return false;
	}
	return *number >= field->min && *number <= field->max;
}

static bool
is_one_of(const char *text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcasecmp(text, *words) == 0)
			return true;
	return false;
}

static bool
read_flag(json_object *value, int64_t *flag)
{
	static const char *const yes[] = {"on", "true", "yes", "1", NULL};
	static const char *const no[] = {"off", "false", "no", "0", NULL};

	if (json_object_is_type(value, json_type_boolean))
	{
		*flag = json_object_get_boolean(value);
		return true;
	}
	if (!json_object_is_type(value, json_type_string))
		return false;
	*flag = is_one_of(json_object_get_string(value), yes);
	return *flag || is_one_of(json_object_get_string(value), no);
}

static bool
read_sync_mode(json_object *value, int64_t *mode)
{
	if (json_object_is_type(value, json_type_string) &&
		strcasecmp(json_object_get_string(value), "quorum") == 0)
	{
		*mode = SYNC_MODE_QUORUM;
		return true;
	}
	if (!read_flag(value, mode))
		return false;
	*mode = *mode ? SYNC_MODE_ON : SYNC_MODE_OFF;
	return true;
}

/* False: not of the right type, or out of bounds. */
static bool
read_value(json_object *value, const Field *field, int64_t *number)
{
	switch (field->kind)
	{
		case FIELD_SECONDS:
		case FIELD_BYTES:
		case FIELD_COUNT:
			return read_number(value, field, number);
		case FIELD_FLAG:
			return read_flag(value, number);
		case FIELD_SYNC_MODE:
			return read_sync_mode(value, number);
		case FIELD_OBJECT:
			return json_object_is_type(value, json_type_object);
		case FIELD_ARRAY:
			return json_object_is_type(value, json_type_array);
		case FIELD_REFUSED:
			break;
	}
	return false;
}

/*
 * Reading
 */

static void
put_value(HaConfig *config, const Field *field, int64_t number)
{
	char *to = (char *) config + field->offset;

	switch (field->kind)
	{
		case FIELD_SECONDS:
		case FIELD_COUNT:
			*(int *) (void *) to = (int) number;
			break;
		case FIELD_BYTES:
			*(int64_t *) (void *) to = number;
			break;
		case FIELD_FLAG:
			*(bool *) to = number != 0;
			break;
		case FIELD_SYNC_MODE:
			*(HaSyncMode *) (void *) to = (HaSyncMode) number;
			break;
		case FIELD_OBJECT:
		case FIELD_ARRAY:
		case FIELD_REFUSED:
			break;
	}
}

/* The field's value in the document, or NULL. */
static json_object *
find_value(json_object *document, const Field *field)
{
	json_object *value;

	if (field->section != NULL && !json_object_object_get_ex(document, field->section, &document))
		return NULL;
	if (!json_object_is_type(document, json_type_object) ||
		!json_object_object_get_ex(document, field->name, &value))
		return NULL;
	return value;
}

void
document_read(struct json_object *document, HaConfig *config)
{
	memset(config, 0, sizeof(*config));
	for (size_t i = 0; i < NFIELDS; i++)
		if (fields[i].offset != SIZE_MAX)
			put_value(config, &fields[i], fields[i].otherwise);
	if (!json_object_is_type(document, json_type_object))
		return;
	for (size_t i = 0; i < NFIELDS; i++)
	{
		json_object *value = find_value(document, &fields[i]);
		int64_t number;

		if (fields[i].offset != SIZE_MAX && value != NULL && read_value(value, &fields[i], &number))
			put_value(config, &fields[i], number);
	}
}

/*
 * Merging
 */

static json_object *
copy_of(json_object *value)
{
	json_object *copy = NULL;

	if (value != NULL)
		json_object_deep_copy(value, &copy, NULL);
	return copy;
}

struct json_object *
document_merge(struct json_object *document, struct json_object *patch)
{
	json_object *merged;
	struct json_object_iter entry;

	if (!json_object_is_type(patch, json_type_object))
		return copy_of(patch);
	merged = json_object_is_type(document, json_type_object) ? copy_of(document)
															 : json_object_new_object();
	json_object_object_foreachC(patch, entry)
	{
		json_object *former = NULL;

		json_object_object_get_ex(merged, entry.key, &former);
		if (entry.val == NULL)
			json_object_object_del(merged, entry.key);
		else
			json_object_object_add(merged, entry.key, document_merge(former, entry.val));
	}
	return merged;
}

bool
document_equal(struct json_object *a, struct json_object *b)
{
	return json_object_equal(a, b) != 0;
}

/*
 * Checking
 */

static bool
complain(DocumentTrouble *trouble, const char *message, const char *detail, const char *hint)
{
	snprintf(trouble->message, sizeof(trouble->message), "%s", message);
	snprintf(trouble->detail, sizeof(trouble->detail), "%s", detail);
	snprintf(trouble->hint, sizeof(trouble->hint), "%s", hint);
	return false;
}

static const char *
kind_hint(FieldKind kind)
{
	switch (kind)
	{
		case FIELD_SECONDS:
			return "It is a number of seconds, or a text such as \"30min\".";
		case FIELD_BYTES:
			return "It is a number of bytes, or a text such as \"1MB\".";
		case FIELD_COUNT:
			return "It is a number.";
		case FIELD_FLAG:
			return "It is true or false.";
		case FIELD_SYNC_MODE:
			return "It is \"off\", \"on\" or \"quorum\".";
		case FIELD_OBJECT:
			return "It is a JSON object.";
		case FIELD_ARRAY:
			return "It is a JSON array.";
		case FIELD_REFUSED:
			break;
	}
	return "";
}

static bool
complain_of_value(const Field *field, json_object *value, DocumentTrouble *trouble)
{
	char message[256];
	char detail[256];
	bool bounded =
		field->kind == FIELD_SECONDS || field->kind == FIELD_BYTES || field->kind == FIELD_COUNT;

	if (field->kind == FIELD_REFUSED)
	{
		snprintf(message, sizeof(message), "\"%s.%s\" cannot be set for the group", field->section,
				 field->name);
		return complain(trouble, message, "", field->hint);
	}
	snprintf(message, sizeof(message), "invalid value for \"%s%s%s\": %.100s",
			 field->section ? field->section : "", field->section ? "." : "", field->name,
			 json_object_to_json_string(value));
	detail[0] = '\0';
	if (bounded && field->max == INT64_MAX)
		snprintf(detail, sizeof(detail), "It is at least %lld.", (long long) field->min);
	else if (bounded)
		snprintf(detail, sizeof(detail), "It is between %lld and %lld.", (long long) field->min,
				 (long long) field->max);
	return complain(trouble, message, detail, kind_hint(field->kind));
}

static bool
is_known(const char *section, const char *name)
{
	for (size_t i = 0; i < NFIELDS; i++)
	{
		const Field *f = &fields[i];

		if (strcmp(f->name, name) == 0 &&
			(section == NULL ? f->section == NULL
							 : f->section != NULL && strcmp(f->section, section) == 0))
			return true;
	}
	return false;
}

static void
tell_unknown(json_object *document, const char *section,
			 void (*unknown)(void *arg, const char *key), void *arg)
{
	struct json_object_iter entry;

	json_object_object_foreachC(document, entry)
	{
		char name[256];

		if (is_known(section, entry.key))
			continue;
		snprintf(name, sizeof(name), "%s%s%s", section ? section : "", section ? "." : "",
				 entry.key);
		unknown(arg, name);
	}
}

/* A value of its own for each: text, number or flag. */
static bool
check_parameters(json_object *document, DocumentTrouble *trouble)
{
	static const Field field = {.section = "postgresql", .name = "parameters"};
	json_object *parameters = find_value(document, &field);
	struct json_object_iter entry;
	char message[256];

	if (parameters == NULL)
		return true;
	json_object_object_foreachC(parameters, entry)
	{
		if (json_object_is_type(entry.val, json_type_string) ||
			json_object_is_type(entry.val, json_type_int) ||
			json_object_is_type(entry.val, json_type_double) ||
			json_object_is_type(entry.val, json_type_boolean))
			continue;
		snprintf(message, sizeof(message), "invalid value for parameter \"%.100s\": %.100s",
				 entry.key, json_object_to_json_string(entry.val));
		return complain(trouble, message, "", "It is a text, a number, true or false.");
	}
	return true;
}

bool
document_check(struct json_object *document, DocumentTrouble *trouble)
{
	memset(trouble, 0, sizeof(*trouble));
	if (!json_object_is_type(document, json_type_object))
		return complain(trouble, "the configuration is not a JSON object", "", "");
	for (size_t i = 0; i < NFIELDS; i++)
	{
		json_object *value = find_value(document, &fields[i]);
		int64_t number;

		/* null is as good as nothing, which is how a patch takes a key out. */
		if (value != NULL && !read_value(value, &fields[i], &number))
			return complain_of_value(&fields[i], value, trouble);
	}
	return check_parameters(document, trouble) && sections_check(document, trouble);
}

void
document_tell_unknown(struct json_object *document, void (*unknown)(void *arg, const char *key),
					  void *arg)
{
	json_object *postgresql;

	if (!json_object_is_type(document, json_type_object))
		return;
	tell_unknown(document, NULL, unknown, arg);
	if (json_object_object_get_ex(document, "postgresql", &postgresql) &&
		json_object_is_type(postgresql, json_type_object))
		tell_unknown(postgresql, "postgresql", unknown, arg);
}
