/*-------------------------------------------------------------------------
 * sections.c
 *	  The settings of a group that are objects or arrays of their own:
 *	  slots, ignore_slots and standby_cluster.
 *
 * As document.c does with the others, it reads them leniently and checks them
 * strictly, and both by the same functions: what would not be read is what is
 * refused.
 *
 * Pure: json-c and nothing of the server.
 *-------------------------------------------------------------------------
 */
#include "ha/sections.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_PORT 5432

static bool
complain(DocumentTrouble *trouble, const char *what, const char *name, const char *detail)
{
	if (trouble != NULL)
	{
		snprintf(trouble->message, sizeof(trouble->message), "invalid value for \"%s%s%.100s\"",
				 what, name[0] ? "." : "", name);
		snprintf(trouble->detail, sizeof(trouble->detail), "%s", detail);
		trouble->hint[0] = '\0';
	}
	return false;
}

/* False: there is such a field, but it is no text that fits. */
static bool
read_text(json_object *object, const char *field, char *to, size_t size)
{
	json_object *value;
	const char *text;

	to[0] = '\0';
	if (!json_object_object_get_ex(object, field, &value) || value == NULL)
		return true;
	if (!json_object_is_type(value, json_type_string))
		return false;
	text = json_object_get_string(value);
	if (strlen(text) >= size || strpbrk(text, "\r\n") != NULL)
		return false;
	strcpy(to, text);
	return true;
}

static bool
is_slot_name(const char *name)
{
	return name[0] != '\0' && strlen(name) < SLOT_NAME_SIZE &&
		   name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

/*
 * Slots
 */

static bool
read_kind(json_object *object, SlotKind otherwise, SlotKind *kind)
{
	char text[16];

	*kind = otherwise;
	if (!read_text(object, "type", text, sizeof(text)))
		return false;
	if (strcmp(text, "physical") == 0)
		*kind = SLOT_PHYSICAL;
	else if (strcmp(text, "logical") == 0)
		*kind = SLOT_LOGICAL;
	else
		return text[0] == '\0';
	return true;
}

static bool
read_scope(json_object *object, SlotScope *scope)
{
	char text[16];

	*scope = SLOT_EVERYWHERE;
	if (!read_text(object, "cluster_type", text, sizeof(text)))
		return false;
	if (strcmp(text, "primary") == 0)
		*scope = SLOT_OF_PRIMARY_CLUSTER;
	else if (strcmp(text, "standby") == 0)
		*scope = SLOT_OF_STANDBY_CLUSTER;
	else
		return text[0] == '\0';
	return true;
}

/* A slot without a type is logical when it says of which database it is. */
static bool
read_permanent(const char *name, json_object *value, SlotSetting *slot, DocumentTrouble *trouble)
{
	memset(slot, 0, sizeof(*slot));
	if (!is_slot_name(name))
		return complain(trouble, "slots", name,
						"The name of a slot has lower case letters, digits and underscores only.");
	strcpy(slot->name, name);
	slot->kind = SLOT_PHYSICAL;
	if (value == NULL)
		return true;
	if (!json_object_is_type(value, json_type_object))
		return complain(trouble, "slots", name, "It is a JSON object.");
	if (!read_text(value, "database", slot->database, sizeof(slot->database)) ||
		!read_text(value, "plugin", slot->plugin, sizeof(slot->plugin)) ||
		!read_kind(value, slot->database[0] ? SLOT_LOGICAL : SLOT_PHYSICAL, &slot->kind) ||
		!read_scope(value, &slot->scope))
		return complain(trouble, "slots", name,
						"It has a type, physical or logical, and perhaps a cluster_type, primary "
						"or standby; its database and its plugin are texts.");
	if (slot->kind == SLOT_LOGICAL && (slot->database[0] == '\0' || slot->plugin[0] == '\0'))
		return complain(trouble, "slots", name, "A logical slot has a database and a plugin.");
	if (slot->kind == SLOT_PHYSICAL && (slot->database[0] != '\0' || slot->plugin[0] != '\0'))
		return complain(trouble, "slots", name, "A physical slot has no database and no plugin.");
	return true;
}

static bool
read_ignored(json_object *value, SlotSetting *slot, DocumentTrouble *trouble)
{
	memset(slot, 0, sizeof(*slot));
	if (!json_object_is_type(value, json_type_object))
		return complain(trouble, "ignore_slots", "", "It is an array of JSON objects.");
	if (!read_text(value, "name", slot->name, sizeof(slot->name)) ||
		!read_text(value, "database", slot->database, sizeof(slot->database)) ||
		!read_text(value, "plugin", slot->plugin, sizeof(slot->plugin)) ||
		!read_kind(value, SLOT_ANY_KIND, &slot->kind))
		return complain(trouble, "ignore_slots", slot->name,
						"An entry has a name, a type, a database or a plugin, or several of them.");
	if (slot->name[0] == '\0' && slot->database[0] == '\0' && slot->plugin[0] == '\0' &&
		slot->kind == SLOT_ANY_KIND)
		return complain(trouble, "ignore_slots", "",
						"An entry has a name, a type, a database or a plugin, or several of them.");
	return true;
}

static json_object *
get_section(json_object *document, const char *name, enum json_type type)
{
	json_object *value;

	if (!json_object_is_type(document, json_type_object) ||
		!json_object_object_get_ex(document, name, &value) || !json_object_is_type(value, type))
		return NULL;
	return value;
}

/* With "trouble" NULL, what is wrong is passed over. */
static bool
read_slots(json_object *document, SlotSettings *settings, DocumentTrouble *trouble)
{
	json_object *slots = get_section(document, "slots", json_type_object);
	json_object *ignored = get_section(document, "ignore_slots", json_type_array);
	struct json_object_iter entry;

	settings->npermanent = 0;
	settings->nignored = 0;
	if (slots != NULL)
		json_object_object_foreachC(slots, entry)
		{
			if (settings->npermanent == SLOT_MAX_PERMANENT)
				return complain(trouble, "slots", "", "There are too many of them.");
			if (read_permanent(entry.key, entry.val, &settings->permanent[settings->npermanent],
							   trouble))
				settings->npermanent++;
			else if (trouble != NULL)
				return false;
		}
	for (size_t i = 0; ignored != NULL && i < json_object_array_length(ignored); i++)
	{
		if (settings->nignored == SLOT_MAX_IGNORED)
			return complain(trouble, "ignore_slots", "", "There are too many of them.");
		if (read_ignored(json_object_array_get_idx(ignored, i),
						 &settings->ignored[settings->nignored], trouble))
			settings->nignored++;
		else if (trouble != NULL)
			return false;
	}
	return true;
}

void
sections_read_slots(struct json_object *document, SlotSettings *settings)
{
	read_slots(document, settings, NULL);
}

/*
 * The standby cluster
 */

static bool
read_port(json_object *section, int *port)
{
	json_object *value;
	int64_t number;

	*port = DEFAULT_PORT;
	if (!json_object_object_get_ex(section, "port", &value) || value == NULL)
		return true;
	/* A text of digits will do. */
	number = json_object_get_int64(value);
	if (number < 1 || number > 65535)
		return false;
	*port = (int) number;
	return true;
}

/* A number is of milliseconds, as it is to the server. */
static bool
read_delay(json_object *section, char *to, size_t size)
{
	json_object *value;

	to[0] = '\0';
	if (!json_object_object_get_ex(section, "recovery_min_apply_delay", &value) || value == NULL)
		return true;
	if (json_object_is_type(value, json_type_int))
	{
		snprintf(to, size, "%lldms", (long long) json_object_get_int64(value));
		return json_object_get_int64(value) >= 0;
	}
	return read_text(section, "recovery_min_apply_delay", to, size);
}

/* Ways of making a replica that are not ours. */
static bool
has_other_methods(json_object *section)
{
	json_object *methods;

	if (!json_object_object_get_ex(section, "create_replica_methods", &methods) || methods == NULL)
		return false;
	if (!json_object_is_type(methods, json_type_array))
		return true;
	for (size_t i = 0; i < json_object_array_length(methods); i++)
	{
		json_object *method = json_object_array_get_idx(methods, i);

		if (!json_object_is_type(method, json_type_string) ||
			strcmp(json_object_get_string(method), "basebackup") != 0)
			return true;
	}
	return false;
}

static bool
read_standby(json_object *section, StandbySettings *s, DocumentTrouble *trouble)
{
	static const char what[] = "standby_cluster";
	const char *bad = NULL;

	if (!read_text(section, "host", s->host, sizeof(s->host)))
		bad = "host";
	else if (!read_port(section, &s->port))
		bad = "port";
	else if (!read_text(section, "primary_slot_name", s->slot, sizeof(s->slot)) ||
			 (s->slot[0] != '\0' && !is_slot_name(s->slot)))
		bad = "primary_slot_name";
	else if (!read_text(section, "restore_command", s->restore_command, sizeof(s->restore_command)))
		bad = "restore_command";
	else if (!read_text(section, "archive_cleanup_command", s->archive_cleanup_command,
						sizeof(s->archive_cleanup_command)))
		bad = "archive_cleanup_command";
	else if (!read_delay(section, s->apply_delay, sizeof(s->apply_delay)))
		bad = "recovery_min_apply_delay";
	if (bad != NULL)
		return complain(trouble, what, bad, "");
	if (has_other_methods(section))
	{
		complain(trouble, what, "create_replica_methods",
				 "Members of a standby cluster are made with pg_basebackup only.");
		return trouble == NULL;
	}
	if (s->host[0] == '\0' && s->restore_command[0] == '\0')
		return complain(trouble, what, "", "It has a host, or a restore_command, or both.");
	return true;
}

void
sections_read_standby(struct json_object *document, StandbySettings *settings)
{
	json_object *section = get_section(document, "standby_cluster", json_type_object);

	memset(settings, 0, sizeof(*settings));
	/* An empty section is as good as none. */
	if (section == NULL || json_object_object_length(section) == 0)
		return;
	/* Whatever is wrong with it, it says that this cluster must not write. */
	read_standby(section, settings, NULL);
	settings->enabled = true;
}

bool
sections_check(struct json_object *document, DocumentTrouble *trouble)
{
	json_object *section = get_section(document, "standby_cluster", json_type_object);
	static SlotSettings slots;
	StandbySettings standby = {0};

	if (!read_slots(document, &slots, trouble))
		return false;
	return section == NULL || json_object_object_length(section) == 0 ||
		   read_standby(section, &standby, trouble);
}
