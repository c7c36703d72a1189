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
#include "pqexpbuffer.h"

#include "config.h"
#include "datadir.h"
#include "init.h"
#include "node.h"
#include "passfile.h"
#include "store.h"

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
	ProcessResult result;

	pg_log_info("initialising group %s of \"%s\" in \"%s\"", options.group, options.scope,
				options.data_dir);
	passfile_create();
	result = run_initdb(stage);
	if (result == PROCESS_OK)
	{
		config_write_authentication(stage);
		config_append_settings(stage);
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
	pg_free(stage);
	return result;
}
