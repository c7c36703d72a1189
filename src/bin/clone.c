/*-------------------------------------------------------------------------
 * clone.c
 *	  Copies of the group's leader, made with pg_basebackup.
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <unistd.h>

#include "common/logging.h"
#include "pqexpbuffer.h"

#include "clone.h"
#include "config.h"
#include "conninfo.h"
#include "datadir.h"
#include "node.h"
#include "store.h"

/* Says what is waited for, once until it changes. */
static void
say_waiting(const char *why)
{
	static char *said = NULL;

	if (said != NULL && strcmp(said, why) == 0)
		return;
	pg_log_info("%s", why);
	pg_free(said);
	said = pg_strdup(why);
}

static char *
server_conninfo(const char *host, const char *port)
{
	PQExpBufferData conninfo;

	initPQExpBuffer(&conninfo);
	conninfo_append(&conninfo, "host", host);
	conninfo_append(&conninfo, "port", port ? port : "5432");
	conninfo_append(&conninfo, "user", options.replication_user);
	conninfo_append(&conninfo, "dbname", "postgres");
	conninfo_append(&conninfo, "application_name", options.name ? options.name : "pgcluster_node");
	conninfo_append(&conninfo, "connect_timeout", "5");
	conninfo_append_common(&conninfo);
	return conninfo.data;
}

char *
clone_find_leader(void)
{
	GroupView view;

	if (!store_group_view(&view))
	{
		say_waiting(psprintf("etcd does not answer: %s", store_reason()));
		return NULL;
	}
	if (view.leader == NULL || view.leader_host == NULL)
	{
		say_waiting("waiting for the group to have a leader");
		return NULL;
	}
	if (options.name != NULL && strcmp(view.leader, options.name) == 0)
	{
		say_waiting("waiting for the former leadership of this member to end");
		return NULL;
	}
	return server_conninfo(view.leader_host, view.leader_port);
}

char *
clone_find_remote(void)
{
	GroupView view;

	if (!store_group_view(&view) || view.remote_host == NULL)
		return NULL;
	if (view.remote_host[0] == '\0')
	{
		say_waiting("standby_cluster names no host to clone");
		return NULL;
	}
	return server_conninfo(view.remote_host, view.remote_port);
}

bool
clone_leader_is_standby(void)
{
	GroupView view;

	return options.etcd != NULL && options.scope != NULL && store_group_view(&view) &&
		   view.leader_is_standby;
}

/* The member that asks to be cloned, to spare the leader; NULL: none does. */
static char *
find_preferred(void)
{
	GroupView view;

	if (options.etcd == NULL || options.scope == NULL || !store_group_view(&view) ||
		view.clone_host == NULL)
		return NULL;
	return server_conninfo(view.clone_host, view.clone_port);
}

/* Without it the leader refuses us, and the reason it gives helps nobody. */
static void
warn_if_no_passfile(void)
{
	static bool warned = false;

	if (warned || access(options.passfile, F_OK) == 0)
		return;
	warned = true;
	pg_log_warning("there is no password file \"%s\"", options.passfile);
	pg_log_warning_hint("Copy the one of another member, and make it readable by its owner alone.");
}

static ProcessResult
run_pg_basebackup(const char *source, const char *stage)
{
	char *program = psprintf("%s/pg_basebackup", options.bindir);
	const char *argv[] = {program,
						  "--pgdata",
						  stage,
						  "--dbname",
						  source,
						  "--wal-method=stream",
						  "--checkpoint=fast",
						  "--no-password",
						  "--progress",
						  "--no-sync",
						  "--label=pgcluster_node",
						  NULL};
	ProcessResult result = process_run(argv, NULL, false);

	pg_free(program);
	return result;
}

/* What another standby streams from, and through which slot, is its own business. */
static void
forget_upstream(const char *stage)
{
	char *path = psprintf("%s/postgresql.auto.conf", stage);

	datadir_append_file(path, "primary_conninfo = ''\nprimary_slot_name = ''\n");
	pg_free(path);
}

static ProcessResult
copy_server(const char *source, const char *stage)
{
	char *preferred = find_preferred();
	ProcessResult result = PROCESS_FAILED;

	if (preferred != NULL)
	{
		pg_log_info("cloning a member with the tag clonefrom into \"%s\"", options.data_dir);
		result = run_pg_basebackup(preferred, stage);
	}
	if (result == PROCESS_FAILED)
	{
		pg_log_info("cloning the leader into \"%s\"", options.data_dir);
		result = run_pg_basebackup(source, stage);
	}
	return result;
}

ProcessResult
clone_data_directory(const char *source, bool keep_config)
{
	char *stage = datadir_stage();
	char *foreign_request = psprintf("%s/" REJOIN_FILE, stage);
	ProcessResult result;

	warn_if_no_passfile();
	result = copy_server(source, stage);
	if (result == PROCESS_OK)
	{
		unlink(foreign_request);
		if (keep_config)
			datadir_stage_config();
		else
		{
			config_complete(stage);
			forget_upstream(stage);
		}
		datadir_sync(stage);
		datadir_commit();
		datadir_make_standby();
		pg_log_info("the clone is complete");
	}
	else
		datadir_unstage();
	pg_free(foreign_request);
	pg_free(stage);
	return result;
}

int
run_command_clone(void)
{
	const char *source = options.source;

	if (source == NULL && (options.etcd == NULL || options.scope == NULL))
		pg_fatal("give --source, or --scope and --etcd to find the leader");
	if (!datadir_lock())
		pg_fatal("another pgcluster_node is at work in \"%s\"", options.data_dir);
	datadir_recover();
	if (datadir_state() != DATADIR_EMPTY)
		pg_fatal("directory \"%s\" is not empty", options.data_dir);
	if (source == NULL)
		source = clone_find_leader();
	if (source == NULL)
		pg_fatal("there is nothing to clone");
	return clone_data_directory(source, false) == PROCESS_OK ? 0 : 1;
}
