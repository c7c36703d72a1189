/*-------------------------------------------------------------------------
 * config.c
 *	  The configuration files of new contents of the data directory.
 *
 * A member that this program initialises gets all of them.  A clone has those
 * of its source, which may be a server that was set up otherwise: one that
 * does not include the settings of this member would start as the source,
 * under its name and port; one whose files are outside its data directory, as
 * Debian has it, gives a clone without any.
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <unistd.h>

#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "common/logging.h"
#include "common/username.h"
#include "pqexpbuffer.h"

#include "config.h"
#include "datadir.h"
#include "node.h"

static const char server_settings[] =
	"\n# pgcluster: settings that every member of a cluster needs\n"
	"shared_preload_libraries = 'pgcluster'\n"
	"wal_level = logical\n"
	"wal_log_hints = on\n"
	"hot_standby = on\n"
	"max_wal_senders = 20\n"
	"max_replication_slots = 20\n"
	"max_worker_processes = 16\n"
	"max_prepared_transactions = 200\n"
	"wal_keep_size = '512MB'\n"
	"wal_retrieve_retry_interval = '100ms'\n"
	"wal_receiver_timeout = '10s'\n"
	"wal_sender_timeout = '10s'\n"
	"recovery_init_sync_method = syncfs\n"
	"restart_after_crash = on\n"
	"password_encryption = 'scram-sha-256'\n"
	"tcp_keepalives_idle = 10\n"
	"tcp_keepalives_interval = 5\n"
	"tcp_keepalives_count = 3\n"
	"log_line_prefix = '%m [%p] %q%u@%d '\n"
	"log_checkpoints = on\n"
	"log_lock_waits = on\n";

static const char include_line[] = "\n# settings of this member alone; written by pgcluster_node\n"
								   "include_if_exists '" NODE_SETTINGS_FILE "'\n";

static bool
exists(const char *stage, const char *name)
{
	char *path = psprintf("%s/%s", stage, name);
	bool found = access(path, F_OK) == 0;

	pg_free(path);
	return found;
}

void
config_append_settings(const char *stage)
{
	char *path = psprintf("%s/postgresql.conf", stage);

	datadir_append_file(path, server_settings);
	datadir_append_file(path, include_line);
	pg_free(path);
}

/*
 * The superuser is called postgres whoever runs the server; that user may
 * always connect as it.
 */
void
config_write_authentication(const char *stage)
{
	PQExpBuffer ident = createPQExpBuffer();
	const char *os_user = get_user_name_or_exit("pgcluster_node");
	char *hba_path = psprintf("%s/pg_hba.conf", stage);
	char *ident_path = psprintf("%s/pg_ident.conf", stage);

	datadir_write_file(hba_path, "# TYPE  DATABASE     USER  ADDRESS  METHOD\n"
								 "local   all          all            peer map=local\n"
								 "local   replication  all            peer map=local\n"
								 "host    all          all   all      scram-sha-256\n"
								 "host    replication  all   all      scram-sha-256\n");
	appendPQExpBuffer(ident,
					  "# MAPNAME  SYSTEM-USERNAME  PG-USERNAME\n"
					  "local      \"%s\"  postgres\n"
					  "local      /^(.*)$  \\1\n",
					  os_user);
	datadir_write_file(ident_path, ident->data);
	destroyPQExpBuffer(ident);
	pg_free(hba_path);
	pg_free(ident_path);
}

/*
 * A standby needs room for all that its primary may do: with less than the
 * source it would not follow, with more the source could not follow it.
 */
static char *
settings_of_source(const char *stage)
{
	PQExpBufferData text;
	bool crc_ok;
	ControlFileData *control = get_controlfile(stage, &crc_ok);

	if (!crc_ok)
		pg_fatal("the control file of the clone in \"%s\" is damaged", stage);
	initPQExpBuffer(&text);
	appendPQExpBuffer(&text,
					  "\n# as its source had them when it was cloned\n"
					  "max_connections = %d\n"
					  "max_locks_per_transaction = %d\n"
					  "max_worker_processes = %d\n"
					  "max_wal_senders = %d\n"
					  "max_prepared_transactions = %d\n",
					  control->MaxConnections, control->max_locks_per_xact,
					  control->max_worker_processes, control->max_wal_senders,
					  control->max_prepared_xacts);
	pg_free(control);
	return text.data;
}

/* A line that includes the file, not one that only talks of it. */
static bool
includes_node_settings(const char *stage)
{
	char *path = psprintf("%s/postgresql.conf", stage);
	FILE *file = fopen(path, "r");
	char line[1024];
	bool found = false;

	if (file == NULL)
		pg_fatal("could not open file \"%s\": %m", path);
	while (!found && fgets(line, sizeof(line), file) != NULL)
		found = line[strspn(line, " \t")] == 'i' && strstr(line, NODE_SETTINGS_FILE) != NULL;
	fclose(file);
	pg_free(path);
	return found;
}

void
config_complete(const char *stage)
{
	char *path = psprintf("%s/postgresql.conf", stage);

	if (!exists(stage, "postgresql.conf"))
	{
		char *settings = settings_of_source(stage);

		pg_log_warning("the source has its configuration outside its data directory");
		pg_log_warning_hint(
			"The clone gets a new one: copy from the source what it has beyond that.");
		datadir_write_file(path, server_settings);
		datadir_append_file(path, settings);
		datadir_append_file(path, include_line);
		free(settings);
	}
	else if (!includes_node_settings(stage))
		datadir_append_file(path, include_line);
	if (!exists(stage, "pg_hba.conf"))
		config_write_authentication(stage);
	pg_free(path);
}
