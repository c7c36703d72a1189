/*-------------------------------------------------------------------------
 * rejoin.c
 *	  Brings data that have diverged back in line with the leader's.
 *
 * pg_rewind writes into the data before it is known to succeed, and leaves
 * a control file that looks sound when it does not.  So the data are marked
 * before it starts, and the mark goes only when pg_rewind, or the clone that
 * replaces them, is done.
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <time.h>

#include "common/logging.h"
#include "fe_utils/string_utils.h"
#include "libpq-fe.h"

#include "clone.h"
#include "datadir.h"
#include "node.h"
#include "rejoin.h"

#define PROMOTION_WAIT_MS 30000

/* More rewinds than this, each begun so soon after the one before, are too many. */
#define MAX_REWINDS 3
#define SOON_SECONDS 20

bool
rejoin_is_due(void)
{
	return datadir_file_exists(REJOIN_FILE) || datadir_is_rewinding();
}

char *
rejoin_requested_source(void)
{
	char line[4096] = "";
	char *path = datadir_path(REJOIN_FILE);
	FILE *file = fopen(path, "r");

	pg_free(path);
	if (file == NULL)
		return NULL;
	if (fgets(line, sizeof(line), file) == NULL)
		line[0] = '\0';
	fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	return line[0] ? pg_strdup(line) : NULL;
}

/* The second line of the request says that a rewind will not do. */
static bool
clone_is_wanted(void)
{
	char line[4096] = "";
	char *path = datadir_path(REJOIN_FILE);
	FILE *file = fopen(path, "r");
	bool wanted;

	pg_free(path);
	if (file == NULL)
		return false;
	wanted = fgets(line, sizeof(line), file) != NULL && fgets(line, sizeof(line), file) != NULL &&
			 strcmp(line, "clone\n") == 0;
	fclose(file);
	return wanted;
}

static bool
query_is_true(PGconn *conn, const char *sql)
{
	PGresult *result = PQexec(conn, sql);
	bool is_true = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
				   strcmp(PQgetvalue(result, 0, 0), "t") == 0;

	PQclear(result);
	return is_true;
}

static bool
wait_until_promoted(PGconn *conn)
{
	for (int waited = 0; waited < PROMOTION_WAIT_MS; waited += 100)
	{
		if (query_is_true(conn, "SELECT NOT pg_catalog.pg_is_in_recovery()"))
			return true;
		if (PQstatus(conn) != CONNECTION_OK || !process_sleep(100))
			return false;
	}
	return false;
}

/*
 * pg_rewind compares control files, and that of a new leader shows its new
 * timeline only after a checkpoint.
 */
static bool
prepare_source(const char *source)
{
	PGconn *conn = PQconnectdb(source);
	PGresult *result = NULL;
	bool ok = false;

	if (PQstatus(conn) != CONNECTION_OK)
		pg_log_error("%s", PQerrorMessage(conn));
	else if (!wait_until_promoted(conn))
		pg_log_error("the server to rejoin is itself in recovery");
	else
	{
		result = PQexec(conn, "CHECKPOINT");
		ok = PQresultStatus(result) == PGRES_COMMAND_OK;
		if (!ok)
			pg_log_error("could not make a checkpoint on the leader: %s", PQerrorMessage(conn));
	}
	PQclear(result);
	PQfinish(conn);
	return ok;
}

/* How a server program is told where its configuration is. */
static const char *
config_argument(void)
{
	static char *argument = NULL;
	char *file = argument == NULL ? datadir_config_file() : NULL;

	if (argument == NULL)
		argument = file ? psprintf("config_file=%s", file)
						: psprintf("config_file=%s/postgresql.conf", options.data_dir);
	pg_free(file);
	return argument;
}

/*
 * pg_rewind would do this by itself, but without keeping the agent's hands
 * off.
 */
static ProcessResult
recover_from_crash(void)
{
	char *postgres = psprintf("%s/postgres", options.bindir);
	const char *argv[] = {postgres,
						  "--single",
						  "-F",
						  "-D",
						  options.data_dir,
						  "-c",
						  config_argument(),
						  "-c",
						  "pgcluster.etcd_endpoints=",
						  "template1",
						  NULL};
	ProcessResult result = PROCESS_OK;

	/* A single-user server refuses to be a standby. */
	datadir_remove_file(STANDBY_FILE);
	datadir_remove_file("recovery.signal");
	if (!datadir_shut_down())
	{
		pg_log_info("completing crash recovery");
		result = process_run(argv, NULL, true);
	}
	pg_free(postgres);
	return result;
}

/* WAL that is gone from pg_wal may be in the archive. */
static bool
has_restore_command(void)
{
	char *postgres = psprintf("%s/postgres", options.bindir);
	const char *argv[] = {postgres,			 "-D", options.data_dir,  "-c",
						  config_argument(), "-C", "restore_command", NULL};
	char *command = process_read_line(argv);
	bool has = command != NULL && command[0] != '\0';

	pg_free(command);
	pg_free(postgres);
	return has;
}

static ProcessResult
run_pg_rewind(const char *source)
{
	char *program = psprintf("%s/pg_rewind", options.bindir);
	char *config = psprintf("--config-file=%s", strchr(config_argument(), '=') + 1);
	const char *argv[] = {program,
						  "--target-pgdata",
						  options.data_dir,
						  "--source-server",
						  source,
						  "--progress",
						  "--no-ensure-shutdown",
						  "--no-sync",
						  config,
						  has_restore_command() ? "--restore-target-wal" : NULL,
						  NULL};
	ProcessResult result;

	pg_log_info("rewinding \"%s\"", options.data_dir);
	datadir_mark_rewinding();
	result = process_run(argv, NULL, false);
	pg_free(program);
	pg_free(config);
	return result;
}

/* When the last rewind ended, and how many came before it one after the other. */
static time_t last_rewind = 0;
static int rewinds_before = 0;

/*
 * Data that are found to have diverged as soon as they were rewound, again
 * and again, are beyond what pg_rewind sees.  A cluster that fails over often
 * is another matter: there each rewind served for a while.
 */
static bool
rewound_too_often(void)
{
	bool soon = last_rewind != 0 && time(NULL) - last_rewind < SOON_SECONDS;

	rewinds_before = soon ? rewinds_before + 1 : 0;
	return rewinds_before >= MAX_REWINDS;
}

static ProcessResult
rewind_data_directory(const char *source)
{
	ProcessResult result = recover_from_crash();

	if (result == PROCESS_OK)
		result = run_pg_rewind(source);
	last_rewind = time(NULL);
	datadir_restore_config();
	if (result == PROCESS_OK)
	{
		datadir_sync(options.data_dir);
		datadir_make_standby();
		datadir_unmark_rewinding();
		pg_log_info("the rewind is complete");
	}
	return result;
}

ProcessResult
rejoin_data_directory(const char *source)
{
	ProcessResult result = PROCESS_FAILED;

	if (!clone_leader_is_standby() && !prepare_source(source))
		return process_stop_signal() ? PROCESS_STOPPED : PROCESS_FAILED;

	datadir_remember_config();
	if (datadir_is_rewinding())
		pg_log_info("an earlier rewind was interrupted");
	else if (clone_is_wanted())
		pg_log_info("a new clone is asked for");
	else if (rewound_too_often())
		pg_log_info("the data have been rewound too often of late");
	else
		result = rewind_data_directory(source);
	if (result == PROCESS_FAILED)
		result = clone_data_directory(source, true);
	if (result == PROCESS_OK)
		datadir_remove_file(REJOIN_FILE);
	return result;
}

/*-------------------------------------------------------------------------
 * The command
 *-------------------------------------------------------------------------
 */

static ProcessResult
run_pg_ctl(const char *action, const char *option, const char *value, bool quiet)
{
	char *program = psprintf("%s/pg_ctl", options.bindir);
	const char *argv[] = {program, action, "-D", options.data_dir, "-w", "-t", "60",
						  option,  value,  NULL};
	ProcessResult result = process_run(argv, NULL, quiet);

	pg_free(program);
	return result;
}

/* As it was started before.  pg_ctl gives the options to a shell. */
static bool
start_server_again(void)
{
	PQExpBuffer arguments;
	bool ok;

	if (datadir_config_file() == NULL)
		return run_pg_ctl("start", NULL, NULL, true) == PROCESS_OK;
	arguments = createPQExpBuffer();
	appendPQExpBufferStr(arguments, "-c ");
	appendShellString(arguments, config_argument());
	ok = run_pg_ctl("start", "--options", arguments->data, true) == PROCESS_OK;
	destroyPQExpBuffer(arguments);
	return ok;
}

static bool
stop_server(void)
{
	if (datadir_postmaster() == 0)
		return true;
	if (run_pg_ctl("stop", "--mode", "fast", true) == PROCESS_OK)
		return true;
	return datadir_postmaster() == 0 ||
		   run_pg_ctl("stop", "--mode", "immediate", true) == PROCESS_OK;
}

/* The parent of the postmaster does the work when the server has gone. */
static int
ask_supervisor(const char *source)
{
	char *path = datadir_path(REJOIN_FILE);
	char *line = psprintf("%s\n", source ? source : "");

	if (source != NULL || !datadir_file_exists(REJOIN_FILE))
		datadir_write_file(path, line);
	pg_log_info("the server runs under \"pgcluster_node run\", which will bring it back");
	return stop_server() ? 0 : 1;
}

static const char *
find_source(void)
{
	const char *source = options.source;

	if (source == NULL)
		source = rejoin_requested_source();
	if (source == NULL && options.etcd != NULL && options.scope != NULL)
		source = clone_find_leader();
	return source;
}

int
run_command_rejoin(void)
{
	const char *source;

	if (!datadir_lock())
		return ask_supervisor(options.source);
	datadir_recover();
	if (datadir_state() != DATADIR_DATA)
		pg_fatal("directory \"%s\" holds no data", options.data_dir);
	source = find_source();
	if (source == NULL)
	{
		pg_log_error("the leader to rejoin is not known");
		pg_log_error_hint("Give --source, or --scope and --etcd to find it.");
		return 1;
	}
	if (!stop_server())
		return 1;
	if (rejoin_data_directory(source) != PROCESS_OK)
		return 1;
	if (options.no_start)
		return 0;
	return start_server_again() ? 0 : 1;
}
