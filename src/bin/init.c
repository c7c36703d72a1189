/*-------------------------------------------------------------------------
 * init.c
 *	  The data directory of the first member of a group.
 *
 * Roles get their passwords from a single-user server, before anybody could
 * connect; the SQL goes through a pipe.  Nobody gets in without a password
 * except the operating system's users on this machine under their own names.
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "common/logging.h"
#include "common/username.h"
#include "pqexpbuffer.h"

#include "datadir.h"
#include "init.h"
#include "node.h"
#include "passfile.h"
#include "store.h"

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
	"log_lock_waits = on\n"
	"\n# settings of this member alone; written by pgcluster_node\n"
	"include_if_exists '" NODE_SETTINGS_FILE "'\n";

static ProcessResult
run_initdb(const char *stage)
{
	static const char *const fixed[] = {
		"--username=postgres",		 "--data-checksums",  "--encoding=UTF8", "--auth-local=peer",
		"--auth-host=scram-sha-256", "--no-instructions", "--no-sync"};
	const char **argv = pg_malloc0((lengthof(fixed) + options.initdb_args.n + 4) * sizeof(char *));
	int n = 0;

	argv[n++] = psprintf("%s/initdb", options.bindir);
	argv[n++] = psprintf("--pgdata=%s", stage);
	for (size_t i = 0; i < lengthof(fixed); i++)
		argv[n++] = fixed[i];
	for (int i = 0; i < options.initdb_args.n; i++)
		argv[n++] = options.initdb_args.items[i];
	return process_run(argv, NULL, true);
}

/*
 * The superuser is called postgres whoever runs the server; that user may
 * always connect as it.
 */
static void
write_authentication(const char *stage)
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

static char *
quote(const char *text, char mark)
{
	PQExpBufferData quoted;

	initPQExpBuffer(&quoted);
	appendPQExpBufferChar(&quoted, mark);
	for (const char *p = text; *p; p++)
	{
		if (*p == mark)
			appendPQExpBufferChar(&quoted, mark);
		appendPQExpBufferChar(&quoted, *p);
	}
	appendPQExpBufferChar(&quoted, mark);
	return quoted.data;
}

/* The commands a single-user server reads, one a line. */
static char *
setup_commands(void)
{
	char *replicator = quote(options.replication_user, '"');
	char *superuser_password = passfile_password("postgres", "postgres");
	char *replicator_password = passfile_password(options.replication_user, "replication");
	char *quoted;
	PQExpBufferData sql;

	if (replicator_password == NULL || superuser_password == NULL)
	{
		pg_log_error("file \"%s\" has no password for role \"%s\"", options.passfile,
					 replicator_password ? "postgres" : options.replication_user);
		pg_log_error_hint(
			"Add a line \"*:*:*:*:password\", or one for each role, and make the file "
			"readable by its owner alone.");
		exit(1);
	}
	initPQExpBuffer(&sql);
	quoted = quote(superuser_password, '\'');
	appendPQExpBuffer(&sql, "ALTER ROLE postgres PASSWORD %s\n", quoted);
	explicit_bzero(quoted, strlen(quoted));
	free(quoted);
	quoted = quote(replicator_password, '\'');
	appendPQExpBuffer(&sql, "CREATE ROLE %s LOGIN REPLICATION PASSWORD %s\n", replicator, quoted);
	explicit_bzero(quoted, strlen(quoted));
	free(quoted);

	/* What pg_rewind needs of its source. */
	appendPQExpBuffer(&sql,
					  "GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text, boolean, boolean), "
					  "pg_catalog.pg_stat_file(text, boolean), "
					  "pg_catalog.pg_read_binary_file(text), "
					  "pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO %s\n"
					  "GRANT pg_checkpoint TO %s\n"
					  "CREATE EXTENSION pgcluster\n",
					  replicator, replicator);
	explicit_bzero(superuser_password, strlen(superuser_password));
	explicit_bzero(replicator_password, strlen(replicator_password));
	pg_free(superuser_password);
	pg_free(replicator_password);
	free(replicator);
	return sql.data;
}

static ProcessResult
run_setup(const char *stage)
{
	char *postgres = psprintf("%s/postgres", options.bindir);
	const char *argv[] = {postgres,	  "--single",
						  "-D",		  stage,
						  "-c",		  "exit_on_error=on",
						  "-c",		  "log_statement=none",
						  "-c",		  "log_min_error_statement=panic",
						  "-c",		  "log_checkpoints=off",
						  "postgres", NULL};
	char *commands = setup_commands();
	ProcessResult result = process_run(argv, commands, true);

	explicit_bzero(commands, strlen(commands));
	free(commands);
	pg_free(postgres);
	return result;
}

ProcessResult
init_data_directory(void)
{
	char *stage = datadir_stage();
	char *conf = psprintf("%s/postgresql.conf", stage);
	ProcessResult result;

	pg_log_info("initialising group %s of \"%s\" in \"%s\"", options.group, options.scope,
				options.data_dir);
	passfile_create();
	result = run_initdb(stage);
	if (result == PROCESS_OK)
	{
		write_authentication(stage);
		datadir_append_file(conf, server_settings);
		result = run_setup(stage);
	}
	if (result == PROCESS_OK && !store_claim_held())
	{
		pg_log_warning("the right to initialise the group was lost meanwhile");
		result = PROCESS_FAILED;
	}
	if (result == PROCESS_OK)
	{
		datadir_sync(stage);
		datadir_commit();
	}
	else
		datadir_unstage();
	pg_free(conf);
	pg_free(stage);
	return result;
}
