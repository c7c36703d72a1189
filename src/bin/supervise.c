/*-------------------------------------------------------------------------
 * supervise.c
 *	  "pgcluster_node run": makes the data, runs the server, and decides what
 *	  happens when it ends.
 *
 * Only while no postmaster runs does this program touch the data.  Who leads
 * is none of its business: the server always starts as a standby.
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/logging.h"

#include "clone.h"
#include "datadir.h"
#include "init.h"
#include "node.h"
#include "notify.h"
#include "process.h"
#include "rejoin.h"
#include "restart.h"
#include "store.h"

/* Ends sooner than this after the start count as quick failures. */
#define QUICK_SECONDS 10
#define MAX_QUICK_FAILURES 5
#define GROUP_QUICK_FAILURES 3

#define POLL_MS 500
#define ANNOUNCE_POLL_MS 100
#define RETRY_MS 2000
#define OTHER_SERVER_WAIT_MS 60000
#define ORPHAN_GRACE_MS 1500
/* A standby that takes longer to stop has nothing to lose by stopping at once. */
#define STANDBY_STOP_SECONDS 30

#define LOCK_TRIES 50 /* a tenth of a second each */

/*-------------------------------------------------------------------------
 * Before a start
 *-------------------------------------------------------------------------
 */

static bool claim_wanted = false;

/* Once the leader has written the system identifier the claim has served. */
static void
keep_claim(void)
{
	store_claim_keep();
}

static void
watch_claim(void)
{
	GroupView view;

	store_claim_keep();
	if (!store_claim_held() ||
		(store_group_view(&view) && view.initialize_exists && view.initialize[0] != '\0'))
	{
		store_claim_release();
		claim_wanted = false;
		process_tick = NULL;
	}
}

/* True when this member is to initialise the group. */
static bool
win_initialization(void)
{
	GroupView view;

	if (!store_group_view(&view) || view.initialize_exists || view.leader != NULL)
		return false;
	return store_claim_initialize();
}

/* The first member of a standby cluster is a copy, too. */
static ProcessResult
make_first_data(void)
{
	GroupView view;
	char *remote = clone_find_remote();

	if (remote != NULL)
	{
		notify_status("cloning the cluster to follow");
		return clone_data_directory(remote, false);
	}
	if (!store_group_view(&view) || view.remote_host != NULL)
		return PROCESS_FAILED;
	notify_status("making the first member of the group");
	return init_data_directory();
}

static ProcessResult
make_data(void)
{
	while (process_stop_signal() == 0)
	{
		ProcessResult result = PROCESS_FAILED;
		char *source;

		if (win_initialization())
		{
			process_tick = keep_claim;
			result = make_first_data();
			process_tick = result == PROCESS_OK ? watch_claim : NULL;
			claim_wanted = result == PROCESS_OK;
			if (!claim_wanted)
				store_claim_release();
			/* The other cluster may be away for now. */
			if (result != PROCESS_FAILED || clone_find_remote() == NULL)
				return result;
			process_sleep(RETRY_MS);
			continue;
		}
		source = clone_find_leader();
		notify_status(source ? "cloning the leader" : "waiting for a leader to clone");
		if (source != NULL)
			result = clone_data_directory(source, false);
		if (result != PROCESS_FAILED)
			return result;
		process_sleep(source ? RETRY_MS : POLL_MS);
	}
	return PROCESS_STOPPED;
}

/* The leader of the moment is better than the one the agent once saw. */
static ProcessResult
rejoin(void)
{
	while (process_stop_signal() == 0)
	{
		char *source = clone_find_leader();
		ProcessResult result = PROCESS_FAILED;

		if (source == NULL)
			source = rejoin_requested_source();
		notify_status(source ? "rewinding the data, or cloning the leader"
							 : "waiting for a leader to rejoin");
		if (source != NULL)
			result = rejoin_data_directory(source);
		if (result != PROCESS_FAILED)
			return result;
		process_sleep(RETRY_MS);
	}
	return PROCESS_STOPPED;
}

/* A postmaster that is there is left alone; what a dead one left behind has to go. */
static void
hurry_orphans(int waited)
{
	if (datadir_postmaster() == 0 && waited >= ORPHAN_GRACE_MS && waited % 200 == 0)
		datadir_signal_server_processes(waited >= 2 * ORPHAN_GRACE_MS ? SIGKILL : SIGQUIT);
}

/*
 * When this program's predecessor was killed its server is still shutting
 * down.  Two servers in one directory are impossible, so wait until it is
 * gone, with every process that holds its shared memory.
 */
static bool
wait_for_other_server(void)
{
	for (int waited = 0; datadir_server_processes() > 0; waited += 50)
	{
		if (waited == 0)
			pg_log_info("waiting for the processes of another server in \"%s\" to end",
						options.data_dir);
		if (waited >= OTHER_SERVER_WAIT_MS)
		{
			pg_log_error("a server that was not started by this program uses \"%s\"",
						 options.data_dir);
			pg_log_error_hint("Stop it with \"pg_ctl stop\".");
			return false;
		}
		hurry_orphans(waited);
		if (!process_sleep(50))
			return false;
	}

	/* Its number may be another program's by now, and stop the new one. */
	datadir_remove_file("postmaster.pid");
	return true;
}

/*
 * Data of another cluster must not meet this one.  Looked at once: a server
 * that died is started again without waiting for etcd.
 */
static bool
belongs_to_group(void)
{
	static bool looked = false;
	GroupView view;
	char own[32];

	if (looked || claim_wanted)
		return true;
	looked = true;
	if (!store_group_view(&view) || !view.initialize_exists || view.initialize[0] == '\0')
		return true;
	snprintf(own, sizeof(own), UINT64_FORMAT, datadir_system_identifier());
	if (strcmp(own, view.initialize) == 0)
		return true;
	pg_log_error("the data in \"%s\" belong to another group", options.data_dir);
	pg_log_error_detail("Its system identifier is %s, that of the group is %s.", own,
						view.initialize);
	pg_log_error_hint("Move the directory away to clone this member from the group's leader.");
	return false;
}

/*
 * Data that were not made by this program: its settings are in vain unless
 * the server reads them.  Looked at once.
 */
static bool
reads_our_settings(void)
{
	static bool looked = false;
	char *postgres = psprintf("%s/postgres", options.bindir);
	const char *argv[] = {postgres, "-D", options.data_dir, "-C", "pgcluster.node_name", NULL};
	char *name;
	bool ok;

	if (looked)
		return true;
	looked = true;
	/* A server that does not read the file does not even know the setting. */
	name = process_read_line(argv);
	ok = name != NULL && strcmp(name, options.name) == 0;
	if (!ok)
	{
		pg_log_error("the server of \"%s\" does not read \"" NODE_SETTINGS_FILE "\"",
					 options.data_dir);
		pg_log_error_hint("Add the line \"include_if_exists '" NODE_SETTINGS_FILE
						  "'\" at the end of its postgresql.conf, and pgcluster to "
						  "shared_preload_libraries.");
	}
	pg_free(name);
	pg_free(postgres);
	return ok;
}

static ProcessResult
prepare(void)
{
	ProcessResult result = PROCESS_OK;

	if (!wait_for_other_server())
		return PROCESS_FAILED;
	datadir_recover();
	switch (datadir_state())
	{
		case DATADIR_FOREIGN:
			pg_log_error("directory \"%s\" is neither empty nor a data directory",
						 options.data_dir);
			return PROCESS_FAILED;
		case DATADIR_EMPTY:
			result = make_data();
			break;
		case DATADIR_DATA:
			if (rejoin_is_due())
				result = rejoin();
			break;
	}
	if (result == PROCESS_OK && !belongs_to_group())
		result = PROCESS_FAILED;
	if (result == PROCESS_OK)
	{
		datadir_write_node_settings();
		datadir_make_standby();
		if (!reads_our_settings())
			result = PROCESS_FAILED;
	}
	return result;
}

/*-------------------------------------------------------------------------
 * The server
 *-------------------------------------------------------------------------
 */

typedef struct ServerEnd
{
	int status;
	int quick_failures;
} ServerEnd;

typedef enum NextStep
{
	NEXT_EXIT,
	NEXT_START
} NextStep;

static bool
stop_was_asked(const ServerEnd *end)
{
	return process_stop_signal() != 0;
}

static bool
rejoin_was_asked(const ServerEnd *end)
{
	return rejoin_is_due();
}

static bool
restart_was_asked(const ServerEnd *end)
{
	return restart_is_due();
}

static bool
ended_in_order(const ServerEnd *end)
{
	return end->status == 0;
}

static bool
failed_too_often(const ServerEnd *end)
{
	return end->quick_failures > MAX_QUICK_FAILURES;
}

/* The first row that fits wins; the last one fits everything. */
static const struct
{
	bool (*fits)(const ServerEnd *end);
	NextStep next;
	const char *why;
} after_end[] = {
	{stop_was_asked, NEXT_EXIT, "the server was stopped"},
	{failed_too_often, NEXT_EXIT, "giving up: the server ended too soon too often"},
	{rejoin_was_asked, NEXT_START, "the server's data have diverged from the leader's"},
	{restart_was_asked, NEXT_START, "the server is restarted on request"},
	{ended_in_order, NEXT_EXIT, "the server was shut down"},
	{NULL, NEXT_START, "starting the server again"},
};

static pid_t
start_server(void)
{
	char *postgres = psprintf("%s/postgres", options.bindir);
	const char *argv[] = {postgres, "-D", options.data_dir, NULL};
	pid_t pid;

	notify_status("the server is starting");
	pid = process_start(argv, -1, SIGINT);

	pg_free(postgres);
	return pid;
}

/* What a signal to this program means to the server. */
static int
server_signal(int sig)
{
	return sig == SIGTERM ? SIGINT : sig;
}

/* Says so when the server takes connections; true: it was said. */
static bool
announce_server(void)
{
	if (!datadir_accepts_connections())
		return false;
	notify_ready();
	notify_status("the server takes connections");
	return true;
}

static time_t
monotonic_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/*
 * A postmaster that is told to stop in the moment between the end of its
 * processes and the begin of recovery waits for ever for its checkpointer.
 */
static void
hurry_standby(pid_t server)
{
	static time_t asked = 0;
	static bool hurried = false;

	if (process_stop_signal() == 0 || hurried)
		return;
	if (asked == 0)
		asked = monotonic_seconds();
	if (monotonic_seconds() - asked < STANDBY_STOP_SECONDS || !datadir_file_exists(STANDBY_FILE))
		return;
	pg_log_warning("the standby did not stop in %d s, stopping it at once", STANDBY_STOP_SECONDS);
	kill(server, SIGQUIT);
	hurried = true;
}

static int
wait_for_server(pid_t server)
{
	bool announced = !notify_wanted();
	int status;
	pid_t pid;

	for (;;)
	{
		int sig;

		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == server)
				return status;
		if (!announced)
			announced = announce_server();
		sig = process_wait_signal(!announced				   ? ANNOUNCE_POLL_MS
								  : process_stop_signal() != 0 ? 1000
															   : 60000);
		if (process_stop_signal() != 0)
		{
			notify_stopping();
			hurry_standby(server);
		}
		/* The agent's signal for a restart. */
		if (sig == SIGUSR1 && restart_is_due())
		{
			restart_begin();
			kill(server, SIGINT);
		}
		else if (sig != 0 && sig != SIGCHLD && sig != SIGUSR1)
			kill(server, server_signal(sig));
	}
}

/*
 * What keeps the server from starting may be a parameter of the group, which
 * only its agent could take back.  Without them the server comes up, and shows
 * that they wait for a restart.
 */
static void
try_without_group(int quick_failures)
{
	if (quick_failures >= GROUP_QUICK_FAILURES && datadir_drop_group_settings())
		pg_log_info("starting without the parameters of the group");
}

/* Nothing, then longer with each quick failure. */
static void
back_off(int quick_failures)
{
	if (quick_failures > 1)
		process_sleep(100 << quick_failures);
}

/* Runs the server once; says what to do next. */
static NextStep
run_server(ServerEnd *end)
{
	time_t started = monotonic_seconds();
	int i = 0;

	restart_served();
	end->status = wait_for_server(start_server());
	if (end->status != 0)
	{
		pg_log_error("the server %s", process_describe(end->status));
		restart_give_up();
	}
	process_end_orphans();

	if (end->status == 0 || monotonic_seconds() - started >= QUICK_SECONDS)
		end->quick_failures = 0;
	else
		end->quick_failures++;
	while (after_end[i].fits != NULL && !after_end[i].fits(end))
		i++;
	pg_log_info("%s", after_end[i].why);
	return after_end[i].next;
}

static int
exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* A rejoin that has done its work may need a moment to end. */
static bool
lock_soon(void)
{
	for (int tries = 0; tries < LOCK_TRIES; tries++)
	{
		if (datadir_lock())
			return true;
		if (!process_sleep(100))
			break;
	}
	return false;
}

int
run_command_run(void)
{
	ServerEnd end = {0};
	ProcessResult prepared;
	char pid[32];

	if (!lock_soon())
		pg_fatal("another pgcluster_node is at work in \"%s\"", options.data_dir);
	snprintf(pid, sizeof(pid), "%d", (int) getpid());
	setenv("PGCLUSTER_NODE_PID", pid, 1);

	do
	{
		back_off(end.quick_failures);
		try_without_group(end.quick_failures);
		prepared = prepare();
		if (process_stop_signal() != 0 || prepared != PROCESS_OK)
			break;
	} while (run_server(&end) == NEXT_START);

	restart_give_up();
	store_claim_release();
	if (prepared == PROCESS_FAILED)
		return 1;
	return exit_status(end.status);
}
