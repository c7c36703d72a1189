/*-------------------------------------------------------------------------
 * parameters.c
 *	  Brings the PostgreSQL parameters in a group's settings to this server.
 *
 * The agent writes them to a file in the data directory that the server's
 * configuration includes, and has the server reload.  The server reads it
 * after postgresql.conf and before what is this member's own: settings given
 * to pgcluster_node, and ALTER SYSTEM.  So the group's value wins over the
 * file, and a member's own over the group's; a parameter taken out of the
 * document is again what it was.
 *
 * One line that the server does not take would keep all others out, and keep
 * the server from starting.  So each value goes through the server's own
 * check, when it is asked for and when it is written; one that somebody put
 * into etcd past that check is left out, and said so.
 *
 * What must stay true: a standby never fails to start because a parameter is
 * smaller than on the primary whose WAL it replays.  Whatever its files say,
 * such a parameter is raised to what pg_control asks for; it gets smaller at
 * a restart after the primary did.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <unistd.h>

#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "common/file_perm.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "storage/fd.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/config.h"
#include "base/json.h"
#include "ha/agent.h"
#include "ha/parameters.h"

#define GROUP_FILE "pgcluster.group.conf"
#define GROUP_FILE_TEMPORARY GROUP_FILE ".new"

/* Left for the next start by a leader that will lead on. */
#define LEADER_MARK "pgcluster.restarting_leader"

/* Of this start of the postmaster. */
static bool raised = false;
static bool started_without = false; /* hot_standby */

/*
 * What may be set
 */

/* A name, or the beginning of one. */
typedef struct Refusal
{
	const char *name;
	bool beginning;
	const char *why;
} Refusal;

static const char own_matter[] = "It belongs to each server.";
static const char our_matter[] = "pgcluster sets it itself.";

/* clang-format off */
static const Refusal refusals[] = {
	{"cluster_name", false, own_matter},
	{"config_file", false, own_matter},
	{"data_directory", false, own_matter},
	{"external_pid_file", false, own_matter},
	{"hba_file", false, own_matter},
	{"hot_standby", false, "It has to be on: the agent looks at a standby from inside."},
	{"ident_file", false, own_matter},
	{"listen_addresses", false, own_matter},
	{"pgcluster.advertise_", true, own_matter},
	{"pgcluster.etcd_", true, own_matter},
	{"pgcluster.group", false, own_matter},
	{"pgcluster.http_", true, own_matter},
	{"pgcluster.namespace", false, own_matter},
	{"pgcluster.node_", true, own_matter},
	{"pgcluster.scope", false, own_matter},
	{"pgcluster.tags", false, own_matter},
	{"port", false, own_matter},
	{"primary_conninfo", false, our_matter},
	{"primary_slot_name", false, our_matter},
	{"promote_trigger_file", false, our_matter},
	{"recovery_target", true, "A standby has to follow its leader to the end."},
	{"restart_after_crash", false, "It has to be on: a demotion in place needs it."},
	{"unix_socket_directories", false, own_matter},
};
/* clang-format on */

static const char *
refusal_of(const char *name)
{
	for (size_t i = 0; i < lengthof(refusals); i++)
	{
		const Refusal *r = &refusals[i];

		if (r->beginning ? pg_strncasecmp(name, r->name, strlen(r->name)) == 0
						 : pg_strcasecmp(name, r->name) == 0)
			return r->why;
	}
	return NULL;
}

/* Is "pgcluster" one of the libraries? */
static bool
preloads_us(const char *libraries)
{
	static const char name[] = "pgcluster";

	for (const char *p = strstr(libraries, name); p != NULL; p = strstr(p + 1, name))
		if ((p == libraries || strchr("/, \"'", p[-1]) != NULL) &&
			strchr(", \"'.", p[sizeof(name) - 1]) != NULL)
			return true;
	return false;
}

/* Why that value, which the server would take, does harm; NULL: it does none. */
static const char *
harm_of(const char *name, const char *value, HaSyncMode sync_mode)
{
	const char *why = refusal_of(name);

	if (why != NULL)
		return why;
	if (pg_strcasecmp(name, "wal_level") == 0 && pg_strcasecmp(value, "minimal") == 0)
		return "Standbys need at least \"replica\".";
	if (pg_strcasecmp(name, "shared_preload_libraries") == 0 && !preloads_us(value))
		return "It has to hold pgcluster.";
	if (pg_strcasecmp(name, "synchronous_standby_names") == 0 && sync_mode != SYNC_MODE_OFF)
		return "With synchronous_mode pgcluster sets it itself.";
	if (strpbrk(value, "\n\r") != NULL)
		return "It has more than one line.";
	return NULL;
}

/* Does the server take it?  If not, says why in *why, palloc'd. */
static bool
server_takes(const char *name, const char *value, const char **why)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool takes = false;

	PG_TRY();
	{
		takes = set_config_option(name, value, PGC_POSTMASTER, PGC_S_FILE, GUC_ACTION_SET, false,
								  ERROR, false) != 0;
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		*why = error->message;
	}
	PG_END_TRY();
	if (!takes && *why == NULL)
		*why = psprintf("parameter \"%s\" cannot be changed", name);
	return takes;
}

/* As the server's files have it; palloc'd. */
static const char *
parameter_text(json_object *value)
{
	if (json_object_is_type(value, json_type_boolean))
		return json_object_get_boolean(value) ? "on" : "off";
	return pstrdup(json_object_get_string(value));
}

static bool
check_parameter(const char *name, const char *value, HaSyncMode sync_mode, DocumentTrouble *trouble)
{
	const char *harm = harm_of(name, value, sync_mode);
	const char *why = NULL;

	memset(trouble, 0, sizeof(*trouble));
	if (harm != NULL)
	{
		snprintf(trouble->message, sizeof(trouble->message),
				 "parameter \"%.64s\" cannot be set for the group", name);
		strlcpy(trouble->detail, harm, sizeof(trouble->detail));
		return false;
	}
	if (server_takes(name, value, &why))
		return true;
	strlcpy(trouble->message, why, sizeof(trouble->message));
	return false;
}

static json_object *
find_parameters(json_object *document)
{
	json_object *section;
	json_object *parameters;

	if (json_object_object_get_ex(document, "postgresql", &section) &&
		json_object_is_type(section, json_type_object) &&
		json_object_object_get_ex(section, "parameters", &parameters) &&
		json_object_is_type(parameters, json_type_object))
		return parameters;
	return NULL;
}

bool
parameters_check(struct json_object *document, DocumentTrouble *trouble)
{
	json_object *parameters = find_parameters(document);
	struct json_object_iter entry;
	HaConfig config;

	memset(trouble, 0, sizeof(*trouble));
	if (parameters == NULL)
		return true;
	document_read(document, &config);
	json_object_object_foreachC(
		parameters, entry) if (!check_parameter(entry.key, parameter_text(entry.val),
												config.sync_mode, trouble)) return false;
	return true;
}

/*
 * The file
 */

static void
append_line(StringInfo buf, const char *name, const char *value)
{
	appendStringInfo(buf, "%s = '", name);
	for (const char *p = value; *p; p++)
	{
		if (*p == '\'' || *p == '\\')
			appendStringInfoChar(buf, *p);
		appendStringInfoChar(buf, *p);
	}
	appendStringInfoString(buf, "'\n");
}

static bool
is_scalar(json_object *value)
{
	return json_object_is_type(value, json_type_string) ||
		   json_object_is_type(value, json_type_int) ||
		   json_object_is_type(value, json_type_double) ||
		   json_object_is_type(value, json_type_boolean);
}

/* The file's contents.  What cannot be in it was put into etcd past the check. */
static char *
compose_file(json_object *parameters)
{
	StringInfoData buf;
	struct json_object_iter entry;
	DocumentTrouble trouble;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "# Written by pgcluster from the settings of the group: changes "
								 "are lost.  See cluster_set_config().\n");
	if (parameters == NULL)
		return buf.data;
	json_object_object_foreachC(parameters, entry)
	{
		const char *value = is_scalar(entry.val) ? parameter_text(entry.val) : NULL;

		if (value != NULL && check_parameter(entry.key, value, agent.config.sync_mode, &trouble))
		{
			append_line(&buf, entry.key, value);
			continue;
		}
		ereport(LOG,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a parameter in the settings of the group is left out: \"%s\"", entry.key),
				 value == NULL		 ? 0
				 : trouble.detail[0] ? errdetail("%s", trouble.detail)
									 : errdetail("%s", trouble.message)));
		ha_event_record("parameter left out", psprintf("\"%s\" cannot be set", entry.key));
	}
	return buf.data;
}

/* NULL: there is no such file. */
static char *
read_file(const char *path)
{
	FILE *file = AllocateFile(path, "r");
	StringInfoData buf;
	char chunk[4096];
	size_t n;

	if (file == NULL)
		return NULL;
	initStringInfo(&buf);
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		appendBinaryStringInfo(&buf, chunk, (int) n);
	FreeFile(file);
	return buf.data;
}

static void
write_all(int fd, const char *path, const char *text)
{
	size_t length = strlen(text);

	errno = 0;
	if (write(fd, text, length) == (ssize_t) length && pg_fsync(fd) == 0)
		return;
	if (errno == 0)
		errno = ENOSPC;
	ereport(ERROR, (errcode_for_file_access(), errmsg("could not write file \"%s\": %m", path)));
}

static void
write_group_file(const char *text)
{
	int fd = OpenTransientFile(GROUP_FILE_TEMPORARY, O_CREAT | O_TRUNC | O_WRONLY | PG_BINARY);

	if (fd < 0)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not create file \"%s\": %m", GROUP_FILE_TEMPORARY)));
	write_all(fd, GROUP_FILE_TEMPORARY, text);
	CloseTransientFile(fd);
	durable_rename(GROUP_FILE_TEMPORARY, GROUP_FILE, ERROR);
}

/* What the server's files say, the last line of each name last; false: they cannot be read. */
static bool
parse_config_files(ConfigVariable **files)
{
	ConfigVariable *tail = NULL;

	*files = NULL;
	return ParseConfigFile(ConfigFileName, true, NULL, 0, 0, LOG, files, &tail) &&
		   ParseConfigFile(PG_AUTOCONF_FILENAME, false, NULL, 0, 0, LOG, files, &tail);
}

/*
 * A server that was set up by hand does not read the file.  Its postgresql.conf
 * is made to, at the end.
 */
static void
include_group_file(void)
{
	char path[MAXPGPATH];
	ConfigVariable *files;
	char *line;
	int fd;

	join_path_components(path, DataDir, GROUP_FILE);
	canonicalize_path(path);
	/* Files with an error in them are not touched; the server complains of it. */
	if (!parse_config_files(&files))
		return;
	for (const ConfigVariable *v = files; v != NULL; v = v->next)
		if (v->filename != NULL && strcmp(v->filename, path) == 0)
			return;

	line = psprintf("\n# The parameters of the group, see cluster_set_config()\n"
					"include_if_exists '%s'\n",
					path_is_prefix_of_path(DataDir, ConfigFileName) ? GROUP_FILE : path);
	fd = OpenTransientFile(ConfigFileName, O_WRONLY | O_APPEND | PG_BINARY);
	if (fd < 0)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not open file \"%s\": %m", ConfigFileName),
						errhint("Add the line \"include_if_exists '%s'\" to it.", path)));
	write_all(fd, ConfigFileName, line);
	CloseTransientFile(fd);
	ereport(LOG, (errmsg("\"%s\" includes \"%s\" now", ConfigFileName, path)));
}

/* Has the server do what the group's settings say, when they have changed. */
void
parameters_attend(const HaView *view)
{
	const AgentKey *key = observe_key(KEY_CONFIG);
	json_object *document = key->value == NULL ? NULL : json_tied(json_tokener_parse(key->value));
	json_object *parameters;
	const char *present;
	char *wanted;

	if (view->foreign || view->name_taken || agent.parameters_revision == key->mod_revision)
		return;
	parameters = find_parameters(document);
	wanted = compose_file(parameters);
	present = read_file(GROUP_FILE);
	if (present == NULL ? parameters != NULL : strcmp(present, wanted) != 0)
	{
		write_group_file(wanted);
		if (parameters != NULL && json_object_object_length(parameters) > 0)
			include_group_file();
		kill(PostmasterPid, SIGHUP);
		ha_event_record("parameters", "the group's parameters have changed");
	}
	agent.parameters_revision = key->mod_revision;
}

/*
 * What waits for a restart
 */

static const char *
value_in_files(const ConfigVariable *files, const char *name)
{
	const char *value = NULL;

	for (const ConfigVariable *v = files; v != NULL; v = v->next)
		if (v->name != NULL && !v->ignore && pg_strcasecmp(v->name, name) == 0)
			value = v->value;
	return value;
}

char *
parameters_pending(void)
{
	int count;
	struct config_generic **settings = compat_guc_variables(&count);
	ConfigVariable *files = NULL;
	json_object *pending = NULL;

	for (int i = 0; i < count; i++)
	{
		const char *value;
		json_object *change;

		if (!(settings[i]->status & GUC_PENDING_RESTART) ||
			(started_without && strcmp(settings[i]->name, "hot_standby") == 0))
			continue;
		if (pending == NULL)
		{
			pending = json_made(json_object_new_object());
			if (!parse_config_files(&files))
				files = NULL;
		}
		value = value_in_files(files, settings[i]->name);
		change = json_object_new_object();
		json_object_object_add(
			change, "old_value",
			json_object_new_string(GetConfigOption(settings[i]->name, false, false)));
		if (value != NULL)
			json_object_object_add(change, "new_value", json_object_new_string(value));
		json_object_object_add(pending, settings[i]->name, change);
	}
	return pending == NULL ? NULL : pstrdup(json_text(pending));
}

/*
 * Parameters that a standby needs at least as large as its primary
 */

typedef struct Required
{
	const char *name;
	size_t offset; /* in pg_control */
} Required;

static const Required required[] = {
	{"max_connections", offsetof(ControlFileData, MaxConnections)},
	{"max_locks_per_transaction", offsetof(ControlFileData, max_locks_per_xact)},
	{"max_prepared_transactions", offsetof(ControlFileData, max_prepared_xacts)},
	{"max_wal_senders", offsetof(ControlFileData, max_wal_senders)},
	{"max_worker_processes", offsetof(ControlFileData, max_worker_processes)},
};

static int
setting_of(const Required *r)
{
	return atoi(GetConfigOption(r->name, false, false));
}

static bool
is_too_small(const ControlFileData *control, const Required *r)
{
	return setting_of(r) < *(const int *) (const void *) ((const char *) control + r->offset);
}

static void
raise_setting(const ControlFileData *control, const Required *r)
{
	int needed = *(const int *) (const void *) ((const char *) control + r->offset);

	ereport(LOG, (errmsg("\"%s\" is raised from %d to %d for this start", r->name, setting_of(r),
						 needed),
				  errdetail("A standby needs as much as the primary had whose WAL it replays.")));
	SetConfigOption(r->name, psprintf("%d", needed), PGC_POSTMASTER, PGC_S_OVERRIDE);
	raised = true;
}

/*
 * A leader whose restart is to make something smaller starts as a standby as
 * all do, with WAL of its own that asks for more.  It will lead at once, so
 * it replays without taking connections: then nothing is asked for.
 */
static void
start_without_hot_standby(void)
{
	SetConfigOption("hot_standby", "off", PGC_POSTMASTER, PGC_S_OVERRIDE);
	started_without = true;
}

void
parameters_prepare_start(void)
{
	bool crc_ok;
	ControlFileData *control = get_controlfile(DataDir, &crc_ok);
	bool leads_on = access(LEADER_MARK, F_OK) == 0;

	if (leads_on)
		unlink(LEADER_MARK);
	for (size_t i = 0; i < lengthof(required) && crc_ok; i++)
	{
		if (!is_too_small(control, &required[i]))
			continue;
		if (leads_on)
			start_without_hot_standby();
		else
			raise_setting(control, &required[i]);
	}
	pfree(control);
}

/* By then a leader has said in its WAL that less will do. */
void
parameters_prepare_crash_restart(void)
{
	if (started_without)
		SetConfigOption("hot_standby", "on", PGC_POSTMASTER, PGC_S_OVERRIDE);
	started_without = false;
}

void
parameters_prepare_restart(bool leads)
{
	int fd;

	if (!leads)
	{
		unlink(LEADER_MARK);
		return;
	}
	fd = OpenTransientFile(LEADER_MARK, O_CREAT | O_WRONLY | PG_BINARY);
	if (fd < 0)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not create file \"%s\": %m", LEADER_MARK)));
	CloseTransientFile(fd);
}

bool
parameters_hot_standby_comes(void)
{
	return started_without;
}

bool
parameters_were_raised(void)
{
	return raised;
}

/* By how much a setting grows in what is pending; 0: it does not. */
static int64
growth(json_object *pending, const char *name)
{
	json_object *change;
	json_object *from;
	json_object *to;

	if (!json_object_is_type(pending, json_type_object) ||
		!json_object_object_get_ex(pending, name, &change) ||
		!json_object_is_type(change, json_type_object) ||
		!json_object_object_get_ex(change, "old_value", &from) ||
		!json_object_object_get_ex(change, "new_value", &to))
		return 0;
	return Max(json_object_get_int64(to) - json_object_get_int64(from), 0);
}

const char *
parameters_too_small(const char *own_pending, const char *standby_pending)
{
	json_object *own = own_pending[0] == '\0' ? NULL : json_tokener_parse(own_pending);
	json_object *standby = standby_pending[0] == '\0' ? NULL : json_tokener_parse(standby_pending);
	const char *name = NULL;

	for (size_t i = 0; i < lengthof(required) && name == NULL; i++)
		if (growth(own, required[i].name) > 0 && growth(standby, required[i].name) > 0)
			name = required[i].name;
	json_object_put(own);
	json_object_put(standby);
	return name;
}
