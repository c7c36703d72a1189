/*-------------------------------------------------------------------------
 * restart.c
 *	  Restarts a server so that a leader leads on.
 *
 * The agent, which is the one that renews the lease, is away while its
 * server restarts.  So it leaves the lease, and for how long at most to keep
 * it, in a file; this program renews it until the agent of the restarted
 * server has moved the leader key to a lease of its own.  If that does not
 * happen in time, or the server does not start, the lease is given back.
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <time.h>

#include "common/logging.h"

#include "datadir.h"
#include "node.h"
#include "process.h"
#include "restart.h"
#include "store.h"

static struct
{
	int64 lease; /* 0: none is kept */
	time_t until;
} kept;

static time_t
boot_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec;
}

bool
restart_is_due(void)
{
	return datadir_file_exists(RESTART_FILE);
}

static void
stop_keeping(void)
{
	kept.lease = 0;
	process_tick = NULL;
}

/* About once a second. */
static void
keep_lease(void)
{
	if (kept.lease == 0)
		return;
	if (boot_seconds() > kept.until)
	{
		pg_log_info("the server was not back in time, the lease is given back");
		restart_give_up();
	}
	else if (!store_lease_renew(kept.lease) || !store_leads_with(kept.lease))
		stop_keeping();
}

void
restart_begin(void)
{
	char *path = datadir_path(RESTART_FILE);
	FILE *file = fopen(path, "r");
	long long lease = 0;
	int timeout = 0;

	pg_free(path);
	if (file == NULL)
		return;
	if (fscanf(file, "%lld %d", &lease, &timeout) != 2)
		lease = 0;
	fclose(file);
	if (lease == 0)
		return;
	kept.lease = lease;
	kept.until = boot_seconds() + timeout;
	process_tick = keep_lease;
	keep_lease();
}

void
restart_served(void)
{
	datadir_remove_file(RESTART_FILE);
}

void
restart_give_up(void)
{
	int64 lease = kept.lease;

	stop_keeping();
	if (lease != 0)
		store_lease_revoke(lease);
}

/*-------------------------------------------------------------------------
 * The command
 *-------------------------------------------------------------------------
 */

static ProcessResult
run_pg_ctl_restart(void)
{
	char *program = psprintf("%s/pg_ctl", options.bindir);
	/* Of a server that is down, "restart" is "start" with the same options. */
	const char *argv[] = {program, "restart", "-D", options.data_dir, "--mode=fast", "-w",
						  "-t",	   "300",	  NULL};
	ProcessResult result = process_run(argv, NULL, true);

	pg_free(program);
	return result;
}

int
run_command_restart(void)
{
	ProcessResult result;

	if (!datadir_lock())
	{
		pg_log_error("the server runs under \"pgcluster_node run\"");
		pg_log_error_hint("Call cluster_restart() on any member of the group.");
		return 1;
	}
	if (datadir_state() != DATADIR_DATA)
		pg_fatal("directory \"%s\" holds no data", options.data_dir);
	if (restart_is_due() && (options.etcd == NULL || options.scope == NULL))
		pg_log_info("without --scope and --etcd no lease is kept");
	else if (restart_is_due())
		restart_begin();
	restart_served();
	result = run_pg_ctl_restart();
	/* See supervise.c. */
	if (result == PROCESS_FAILED && datadir_postmaster() == 0 && datadir_drop_group_settings())
	{
		pg_log_info("starting without the parameters of the group");
		result = run_pg_ctl_restart();
	}
	if (result != PROCESS_OK)
		restart_give_up();
	while (kept.lease != 0 && process_sleep(100))
		;
	return result == PROCESS_OK ? 0 : 1;
}
