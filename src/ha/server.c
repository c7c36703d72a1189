/*-------------------------------------------------------------------------
 * server.c
 *	  What the agent asks of, and does to, its own server.
 *
 * The agent has no database connection, so all of this goes through shared
 * memory, the files that the server itself obeys, and signals to the
 * postmaster.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access/timeline.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "common/file_perm.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port.h"
#include "postmaster/bgwriter.h"
#include "postmaster/interrupt.h"
#include "postmaster/postmaster.h"
#include "replication/walreceiver.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/fd.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/wait_event.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/config.h"
#include "ha/server.h"

#define AUTO_CONF_TEMPORARY PG_AUTOCONF_FILENAME ".pgcluster"
#define REJOIN_FILE "pgcluster.rejoin"
/* What the history file of a timeline says that this server did not use. */
#define SKIPPED_TIMELINE "skipped by pgcluster"
#define RESTART_FILE "pgcluster.restart"
#define NODE_PROGRAM "pgcluster_node"

/* How long sessions have to end by themselves before a demotion ends them. */
#define SESSIONS_WAIT_US 200000
#define RELOAD_WAIT_US 200000

/*
 * Replication
 */

bool
server_is_streaming(void)
{
	bool streaming;

	SpinLockAcquire(&WalRcv->mutex);
	streaming = WalRcv->walRcvState == WALRCV_STREAMING;
	SpinLockRelease(&WalRcv->mutex);
	return streaming;
}

int
server_receiver(void)
{
	int pid;

	SpinLockAcquire(&WalRcv->mutex);
	pid = (int) WalRcv->pid;
	SpinLockRelease(&WalRcv->mutex);
	return pid;
}

bool
server_asked_for_wal(void)
{
	XLogRecPtr start;

	SpinLockAcquire(&WalRcv->mutex);
	start = WalRcv->receiveStart;
	SpinLockRelease(&WalRcv->mutex);
	return start != InvalidXLogRecPtr;
}

/* The id of a process of that type, and with that application_name unless it is NULL; or 0. */
static pid_t
find_process(BackendType type, const char *name)
{
	pid_t pid = 0;
	int n = pgstat_fetch_stat_numbackends();

	for (int i = 1; i <= n && pid == 0; i++)
	{
		PgBackendStatus *status = &pgstat_get_local_beentry_by_index(i)->backendStatus;

		if (status->st_backendType == type &&
			(name == NULL || strcmp(status->st_appname, name) == 0))
			pid = status->st_procpid;
	}
	pgstat_clear_backend_activity_snapshot();
	return pid;
}

/*
 * A record may take recovery any time to replay, so that standing still says
 * nothing; but it waits like this only when there was nothing to be had.
 */
bool
server_waits_for_wal(void)
{
	pid_t pid = find_process(B_STARTUP, NULL);
	PGPROC *proc = pid == 0 ? NULL : AuxiliaryPidGetProc(pid);

	return proc != NULL && proc->wait_event_info == WAIT_EVENT_RECOVERY_RETRIEVE_RETRY_INTERVAL;
}

bool
server_standby_has(const char *name, XLogRecPtr *has)
{
	pid_t pid = find_process(B_WAL_SENDER, name);
	bool found = false;

	if (pid == 0)
		return false;
	for (int i = 0; i < max_wal_senders && !found; i++)
	{
		WalSnd *sender = &WalSndCtl->walsnds[i];

		SpinLockAcquire(&sender->mutex);
		if (sender->pid == pid)
		{
			found = true;
			if (sender->flush > *has)
				*has = sender->flush;
		}
		SpinLockRelease(&sender->mutex);
	}
	return found;
}

/*
 * Checkpoints
 */

XLogRecPtr
server_start_checkpoint(void)
{
	XLogRecPtr lsn = GetXLogInsertRecPtr();

	RequestCheckpoint(CHECKPOINT_IMMEDIATE | CHECKPOINT_FORCE);
	return lsn;
}

bool
server_checkpointed_since(XLogRecPtr lsn)
{
	XLogRecPtr redo;
	TimeLineID timeline;

	GetOldestRestartPoint(&redo, &timeline);
	return redo >= lsn;
}

bool
server_timeline_is_checkpointed(void)
{
	XLogRecPtr redo;
	TimeLineID timeline;

	GetOldestRestartPoint(&redo, &timeline);
	return timeline == GetWALInsertionTimeLine();
}

/*
 * Following
 */

/* Settings of a standby cluster end with it: they bear this mark. */
#define OTHERS_MARK "# pgcluster"
static bool others_written = false;

static bool
is_set_to(const char *setting, const char *value)
{
	return strcmp(setting != NULL ? setting : "", value) == 0;
}

bool
server_has_archive(void)
{
	return recoveryRestoreCommand != NULL && recoveryRestoreCommand[0] != '\0';
}

/* In milliseconds; -1: not a delay. */
static int
read_delay(const char *text)
{
	int delay;

	return parse_int(text, &delay, GUC_UNIT_MS, NULL) ? delay : -1;
}

/* What the source leaves open has to have been left open before, too. */
static bool
are_others_set(const ServerSource *source)
{
	int delay = read_delay(source->apply_delay);

	if (source->restore_command[0] == '\0' && source->archive_cleanup_command[0] == '\0' &&
		source->apply_delay[0] == '\0')
		return !others_written;
	return (source->restore_command[0] == '\0' ||
			is_set_to(recoveryRestoreCommand, source->restore_command)) &&
		   (source->archive_cleanup_command[0] == '\0' ||
			is_set_to(archiveCleanupCommand, source->archive_cleanup_command)) &&
		   (delay < 0 || recovery_min_apply_delay == delay);
}

bool
server_follows(const ServerSource *source)
{
	return is_set_to(PrimaryConnInfo, source->conninfo) &&
		   is_set_to(PrimarySlotName, source->slot) && are_others_set(source) &&
		   (hot_standby_feedback || !source->feedback);
}

/* Is this line of a configuration file about that setting? */
static bool
is_line_of(const char *line, const char *setting)
{
	size_t length = strlen(setting);

	while (*line == ' ' || *line == '\t')
		line++;
	return pg_strncasecmp(line, setting, length) == 0 && strchr(" \t='", line[length]) != NULL;
}

static bool
is_marked(const char *line)
{
	size_t length = strcspn(line, "\n");

	return length >= strlen(OTHERS_MARK) &&
		   strncmp(line + length - strlen(OTHERS_MARK), OTHERS_MARK, strlen(OTHERS_MARK)) == 0;
}

static void
append_setting(StringInfo out, const char *setting, const char *value)
{
	appendStringInfo(out, "%s = '", setting);
	for (const char *p = value; *p; p++)
	{
		if (*p == '\'' || *p == '\\')
			appendStringInfoChar(out, *p);
		appendStringInfoChar(out, *p);
	}
	appendStringInfoString(out, "'\n");
}

static void
append_other(StringInfo out, const char *setting, const char *value)
{
	if (value[0] == '\0')
		return;
	append_setting(out, setting, value);
	out->data[out->len - 1] = ' ';
	appendStringInfoString(out, OTHERS_MARK "\n");
	others_written = true;
}

/* The contents of postgresql.auto.conf with another source. */
static char *
rewrite_auto_conf(const ServerSource *source)
{
	StringInfoData out;
	FILE *file = AllocateFile(PG_AUTOCONF_FILENAME, "r");
	char *line = NULL;
	size_t size = 0;

	initStringInfo(&out);
	if (file == NULL && errno != ENOENT)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not open file \"%s\": %m", PG_AUTOCONF_FILENAME)));
	while (file != NULL && getline(&line, &size, file) > 0)
	{
		if (is_line_of(line, "primary_conninfo") || is_line_of(line, "primary_slot_name") ||
			(source->feedback && is_line_of(line, "hot_standby_feedback")) || is_marked(line))
			continue;
		appendStringInfoString(&out, line);
		if (out.data[out.len - 1] != '\n')
			appendStringInfoChar(&out, '\n');
	}
	free(line);
	if (file != NULL)
		FreeFile(file);

	append_setting(&out, "primary_conninfo", source->conninfo);
	append_setting(&out, "primary_slot_name", source->slot);
	if (source->feedback)
		append_setting(&out, "hot_standby_feedback", "on");
	others_written = false;
	append_other(&out, "restore_command", source->restore_command);
	append_other(&out, "archive_cleanup_command", source->archive_cleanup_command);
	/* With one that makes no sense the server would not start. */
	append_other(&out, "recovery_min_apply_delay",
				 read_delay(source->apply_delay) < 0 ? "" : source->apply_delay);
	return out.data;
}

/* Writes a file so that it is on disk, whole, when this returns. */
static void
write_file(const char *path, const char *contents)
{
	size_t length = strlen(contents);
	int fd = OpenTransientFile(path, O_CREAT | O_TRUNC | O_WRONLY | PG_BINARY);

	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(), errmsg("could not create file \"%s\": %m", path)));
	errno = 0;
	if (write(fd, contents, length) != (ssize_t) length)
	{
		if (errno == 0)
			errno = ENOSPC;
		ereport(ERROR,
				(errcode_for_file_access(), errmsg("could not write file \"%s\": %m", path)));
	}
	if (pg_fsync(fd) != 0)
		ereport(ERROR,
				(errcode_for_file_access(), errmsg("could not fsync file \"%s\": %m", path)));
	if (CloseTransientFile(fd) != 0)
		ereport(ERROR,
				(errcode_for_file_access(), errmsg("could not close file \"%s\": %m", path)));
	fsync_fname(".", true);
}

static const ServerSource nobody = SERVER_SOURCE_NOBODY;

static void
set_source(const ServerSource *source)
{
	LWLockAcquire(AutoFileLock, LW_EXCLUSIVE);
	write_file(AUTO_CONF_TEMPORARY, rewrite_auto_conf(source));
	durable_rename(AUTO_CONF_TEMPORARY, PG_AUTOCONF_FILENAME, ERROR);
	LWLockRelease(AutoFileLock);
}

static char *
read_whole_file(const char *path)
{
	StringInfoData text;
	FILE *file = AllocateFile(path, "r");
	char piece[4096];
	size_t n;

	initStringInfo(&text);
	if (file == NULL && errno != ENOENT)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not open file \"%s\": %m", path)));
	if (file == NULL)
		return text.data;
	while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
		appendBinaryStringInfo(&text, piece, (int) n);
	if (ferror(file))
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not read file \"%s\": %m", path)));
	FreeFile(file);
	return text.data;
}

void
server_edit_auto_conf(char *(*edit)(char *text, void *arg), void *arg)
{
	LWLockAcquire(AutoFileLock, LW_EXCLUSIVE);
	write_file(AUTO_CONF_TEMPORARY, edit(read_whole_file(PG_AUTOCONF_FILENAME), arg));
	durable_rename(AUTO_CONF_TEMPORARY, PG_AUTOCONF_FILENAME, ERROR);
	LWLockRelease(AutoFileLock);
}

void
server_follow(const ServerSource *source)
{
	set_source(source);
	kill(PostmasterPid, SIGHUP);
}

/*
 * Promotion
 */

/*
 * The server takes the first timeline of which it finds no history file.  A
 * timeline that another leader may have used, but whose history never came
 * here, gets a file that nobody will take for an ancestor of anything: the
 * fork it tells of lies before all WAL there is.
 */
static void
skip_timeline(TimeLineID timeline)
{
	char path[MAXPGPATH];
	char temporary[MAXPGPATH];
	XLogRecPtr start = wal_segment_size;

	TLHistoryFilePath(path, timeline);
	snprintf(temporary, sizeof(temporary), "%s.pgcluster", path);
	write_file(temporary, psprintf("1\t%X/%X\t%s\n", LSN_FORMAT_ARGS(start), SKIPPED_TIMELINE));
	durable_rename(temporary, path, ERROR);
}

/* The newest timeline that pg_wal has a history file of, or 0. */
static TimeLineID
newest_history(void)
{
	DIR *dir = opendir(XLOGDIR);
	struct dirent *entry;
	TimeLineID newest = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (IsTLHistoryFileName(entry->d_name))
			newest = Max(newest, (TimeLineID) strtoul(entry->d_name, NULL, 16));
	if (dir != NULL)
		closedir(dir);
	return newest;
}

static bool
is_skipped(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[256] = "";

	if (file == NULL)
		return false;
	if (fgets(line, sizeof(line), file) == NULL)
		line[0] = '\0';
	fclose(file);
	return strstr(line, SKIPPED_TIMELINE) != NULL;
}

/* Is what this server is known to have part of that timeline's history? */
static bool
leads_to(const ControlFileData *control, TimeLineID timeline)
{
	List *history = readTimeLineHistory(timeline);

	return tliOfPointInHistory(control->checkPoint, history) ==
			   control->checkPointCopy.ThisTimeLineID &&
		   (XLogRecPtrIsInvalid(control->minRecoveryPoint) ||
			tliOfPointInHistory(control->minRecoveryPoint - 1, history) ==
				control->minRecoveryPointTLI);
}

/* Data whose checkpoint is named by a backup label are not looked at. */
static bool
is_foreign_history(const ControlFileData *control, TimeLineID timeline)
{
	return timeline > control->checkPointCopy.ThisTimeLineID &&
		   access(BACKUP_LABEL_FILE, F_OK) != 0 && !leads_to(control, timeline);
}

/*
 * Recovery goes for the newest timeline of which there is a history file, and
 * refuses to start when that did not come out of this server's own.  Such a
 * file may be that of a skipped timeline, when a crash came before that of
 * the timeline after it; or a member that has WAL which the leader has not
 * asked the leader for it, and went down before it was rewound.
 */
void
server_forget_timelines(void)
{
	bool crc_ok;
	ControlFileData *control = get_controlfile(DataDir, &crc_ok);
	TimeLineID newest;
	char path[MAXPGPATH];

	while ((newest = newest_history()) != 0)
	{
		TLHistoryFilePath(path, newest);
		if (!is_skipped(path) && !(crc_ok && is_foreign_history(control, newest)))
			break;
		if (unlink(path) != 0)
			break;
	}
	pfree(control);
}

void
server_promote(uint32 timeline)
{
	TimeLineID own;

	if (PromoteIsTriggered())
		return;
	GetXLogReplayRecPtr(&own);
	for (TimeLineID t = own + 1; t < timeline; t++)
		if (!existsTimeLineHistory(t))
			skip_timeline(t);

	write_file(PROMOTE_SIGNAL_FILE, "");
	if (kill(PostmasterPid, SIGUSR1) != 0)
		ereport(ERROR, (errmsg("could not send a signal to the postmaster: %m")));
}

/*
 * Starting
 */

/* How the server's data was left, as of the last start; set in the postmaster. */
static DBState former_state = DB_STARTUP;

static void
read_former_state(void)
{
	bool crc_ok;
	ControlFileData *control = get_controlfile(DataDir, &crc_ok);

	former_state = crc_ok ? control->state : DB_STARTUP;
	pfree(control);
}

static bool
was_standby(void)
{
	return former_state == DB_IN_ARCHIVE_RECOVERY || former_state == DB_SHUTDOWNED_IN_RECOVERY;
}

bool
server_was_primary(void)
{
	return former_state == DB_IN_PRODUCTION;
}

/*
 * A server that starts does not know who leads.  As a primary it would write
 * WAL at once, be it only a checkpoint, and perhaps on the timeline of the
 * present leader, which nobody could tell apart afterwards.  As a standby it
 * writes none until its agent has won the lease.
 */
void
server_start_as_standby(bool first)
{
	int fd;

	/* A promotion asked for before a crash is not asked for any more. */
	unlink(PROMOTE_SIGNAL_FILE);
	read_former_state();
	if (access(STANDBY_SIGNAL_FILE, F_OK) == 0 || access(RECOVERY_SIGNAL_FILE, F_OK) == 0)
		return;
	if (!first && !was_standby())
		return;
	fd = open(STANDBY_SIGNAL_FILE, O_CREAT | O_WRONLY, pg_file_create_mode);
	if (fd < 0)
		ereport(FATAL, (errcode_for_file_access(),
						errmsg("could not create file \"%s\": %m", STANDBY_SIGNAL_FILE),
						errdetail("With high availability on, a server starts as a standby.")));
	pg_fsync(fd);
	close(fd);
}

/*
 * Demotion
 */

static int
end_sessions(int signal)
{
	int n = pgstat_fetch_stat_numbackends();
	int sessions = 0;

	for (int i = 1; i <= n; i++)
	{
		PgBackendStatus *status = &pgstat_get_local_beentry_by_index(i)->backendStatus;

		if (status->st_backendType == B_BACKEND)
		{
			sessions++;
			kill(status->st_procpid, signal);
		}
	}
	pgstat_clear_backend_activity_snapshot();
	return sessions;
}

/*
 * The crash-restart would end them as well, but with a message that speaks of
 * a crash and of memory that may be corrupted.
 */
static void
end_sessions_and_wait(void)
{
	int64 until = clock_now_us() + SESSIONS_WAIT_US;

	while (end_sessions(SIGTERM) > 0 && clock_now_us() < until)
		pg_usleep(5000);
}

/*
 * The postmaster passes the signal on when it has read its files anew; false
 * if it does not react.
 */
static bool
reload_and_wait(void)
{
	int64 until = clock_now_us() + RELOAD_WAIT_US;

	ConfigReloadPending = false;
	kill(PostmasterPid, SIGHUP);
	while (!ConfigReloadPending && clock_now_us() < until)
		pg_usleep(1000);
	return ConfigReloadPending;
}

void
server_demote(void)
{
	/* A promotion that was asked for and not carried out must not be now. */
	unlink(PROMOTE_SIGNAL_FILE);
	write_file(STANDBY_SIGNAL_FILE, "");
	set_source(&nobody);
	end_sessions_and_wait();

	/* Clients of sessions that are stopped, as their postmaster is, would wait for ever. */
	if (!reload_and_wait())
		end_sessions(SIGKILL);

	if (!restart_after_crash)
		ereport(LOG, (errmsg("the server will stop instead of coming back as a standby"),
					  errhint("Set restart_after_crash to on.")));
	ereport(LOG, (errmsg("restarting all server processes to come back as a standby")));

	/* An exit that the postmaster takes for a crash: it then starts anew in recovery. */
	_exit(2);
}

/*
 * With the help of pgcluster_node: rejoining, restarting
 */

/* The process id of the parent of the postmaster, if that is pgcluster_node; else 0. */
static pid_t
supervisor(void)
{
	const char *text = getenv("PGCLUSTER_NODE_PID");
	pid_t pid = text == NULL ? 0 : atoi(text);

	return pid > 1 && kill(pid, 0) == 0 ? pid : 0;
}

static void
close_files(void)
{
	int max = (int) sysconf(_SC_OPEN_MAX);

	for (int fd = 3; fd < Min(max, 65536); fd++)
		close(fd);
}

/* In the child of the agent: becomes a process that outlives the server. */
static void
exec_detached(char *const *argv)
{
	sigset_t none;

	if (setsid() < 0 || fork() != 0)
		_exit(0);
	close_files();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Its messages go where those of the server go. */
	execv(argv[0], argv);
	_exit(127);
}

/* Runs pgcluster_node with these arguments, the first of which is left to be filled in. */
static bool
start_detached(const char **argv)
{
	char program[MAXPGPATH];
	pid_t pid;
	int status;

	strlcpy(program, my_exec_path, sizeof(program));
	get_parent_directory(program);
	join_path_components(program, program, NODE_PROGRAM);
	if (access(program, X_OK) != 0)
	{
		ereport(LOG, (errcode_for_file_access(), errmsg("could not find \"%s\": %m", program),
					  errhint("Run \"pgcluster_node %s -D %s\".", argv[1], DataDir)));
		return false;
	}

	argv[0] = program;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		exec_detached(unconstify(char **, argv));
	return pid > 0 && waitpid(pid, &status, 0) == pid;
}

bool
server_rejoin(const char *conninfo, bool clone)
{
	const char *argv[] = {NULL, "rejoin", "-D", DataDir, NULL};

	/*
	 * Back with the group's history, it must not stream from whom it did
	 * before: that may be a former leader which does not know yet.
	 */
	set_source(&nobody);
	write_file(REJOIN_FILE, psprintf("%s\n%s", conninfo, clone ? "clone\n" : ""));
	if (supervisor() != 0)
	{
		kill(PostmasterPid, SIGINT);
		return true;
	}
	return start_detached(argv);
}

/* How pgcluster_node finds the lease that it is to keep. */
static int
add_store_arguments(const char **argv, int n)
{
	const struct
	{
		const char *option;
		const char *value;
	} arguments[] = {
		{"--scope", config_scope},
		{"--group", psprintf("%d", config_group)},
		{"--namespace", config_namespace},
		{"--etcd", config_etcd_endpoints},
		{"--etcd-protocol", config_etcd_protocol == ETCD_HTTPS ? "https" : "http"},
		{"--etcd-cacert", config_etcd_cacert},
		{"--etcd-cert", config_etcd_cert},
		{"--etcd-key", config_etcd_key},
		{"--etcd-username", config_etcd_username},
		{"--etcd-password-file", config_etcd_password_file},
	};

	for (size_t i = 0; i < lengthof(arguments); i++)
		if (arguments[i].value != NULL && arguments[i].value[0] != '\0')
		{
			argv[n++] = arguments[i].option;
			argv[n++] = arguments[i].value;
		}
	argv[n] = NULL;
	return n;
}

bool
server_restart(int64 lease, int timeout)
{
	const char *argv[32] = {NULL, "restart", "-D", DataDir};

	write_file(RESTART_FILE, psprintf("%lld %d\n", (long long) lease, timeout));
	if (supervisor() != 0)
		return kill(supervisor(), SIGUSR1) == 0;
	add_store_arguments(argv, 4);
	return start_detached(argv);
}
