/*-------------------------------------------------------------------------
 * datadir.c
 *	  The data directory: what it holds, and how it comes to be.
 *
 * A commit of new contents goes through two marks, each durable before what
 * follows it: "complete" (the old contents may be cleared away) and
 * "cleared" (nothing old is left, the new may move up).  PG_VERSION leaves
 * first and arrives last: without it nothing takes the directory for data.
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/controldata_utils.h"
#include "common/file_perm.h"
#include "common/file_utils.h"
#include "common/logging.h"
#include "pqexpbuffer.h"
#include "utils/pidfile.h"

#include "conninfo.h"
#include "datadir.h"
#include "node.h"
#include "process.h"

#define STAGE "pgcluster.new"
#define COMPLETE_MARK STAGE "/pgcluster.complete"
#define CLEARED_MARK STAGE "/pgcluster.cleared"
#define REWINDING_MARK "pgcluster.rewinding"

/* What is this server's own and not its leader's. */
static const char *const config_files[] = {"postgresql.conf",  "postgresql.auto.conf",
										   "pg_hba.conf",	   "pg_ident.conf",
										   NODE_SETTINGS_FILE, "postmaster.opts"};

static char *remembered[lengthof(config_files)];

char *
datadir_path(const char *name)
{
	return psprintf("%s/%s", options.data_dir, name);
}

/*-------------------------------------------------------------------------
 * Files
 *-------------------------------------------------------------------------
 */

static void
write_text(const char *path, const char *text, int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
	ssize_t length = strlen(text);

	if (fd < 0)
		pg_fatal("could not open file \"%s\": %m", path);
	if (write(fd, text, length) != length || fsync(fd) != 0)
		pg_fatal("could not write file \"%s\": %m", path);
	close(fd);
}

/* A reader sees the old text or the new. */
void
datadir_write_file(const char *path, const char *text)
{
	char *draft = psprintf("%s.draft", path);

	write_text(draft, text, O_TRUNC);
	if (durable_rename(draft, path) != 0)
		exit(1);
	pg_free(draft);
}

void
datadir_append_file(const char *path, const char *text)
{
	write_text(path, text, O_APPEND);
}

/* NULL when the file is not there. */
static char *
read_text(const char *path)
{
	PQExpBufferData text;
	char chunk[8192];
	size_t n;
	FILE *file = fopen(path, "r");

	if (file == NULL)
	{
		if (errno == ENOENT)
			return NULL;
		pg_fatal("could not open file \"%s\": %m", path);
	}
	initPQExpBuffer(&text);
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		appendBinaryPQExpBuffer(&text, chunk, n);
	if (ferror(file))
		pg_fatal("could not read file \"%s\": %m", path);
	fclose(file);
	return text.data;
}

bool
datadir_file_exists(const char *name)
{
	struct stat st;
	char *path = datadir_path(name);
	bool exists = lstat(path, &st) == 0;

	if (!exists && errno != ENOENT)
		pg_fatal("could not access file \"%s\": %m", path);
	pg_free(path);
	return exists;
}

void
datadir_remove_file(const char *name)
{
	char *path = datadir_path(name);

	if (unlink(path) == 0)
		fsync_fname(options.data_dir, true);
	else if (errno != ENOENT)
		pg_fatal("could not remove file \"%s\": %m", path);
	pg_free(path);
}

/* A file, a link, or a directory with all that is in it; may be absent. */
static void
remove_entry(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
	{
		if (errno == ENOENT)
			return;
		pg_fatal("could not access \"%s\": %m", path);
	}
	if (S_ISDIR(st.st_mode))
	{
		if (!rmtree(path, true))
			pg_fatal("could not remove directory \"%s\"", path);
	}
	else if (unlink(path) != 0)
		pg_fatal("could not remove \"%s\": %m", path);
}

/* Calls fn for each entry of the directory. */
static void
for_each_entry(const char *dir, void (*fn)(const char *name, void *arg), void *arg)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	if (d == NULL)
		pg_fatal("could not open directory \"%s\": %m", dir);
	while (errno = 0, (entry = readdir(d)) != NULL)
	{
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			fn(entry->d_name, arg);
	}
	if (errno != 0)
		pg_fatal("could not read directory \"%s\": %m", dir);
	closedir(d);
}

static void
sync_file_system(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd) != 0)
		pg_fatal("could not synchronize the file system of \"%s\": %m", path);
	close(fd);
}

static void
sync_tablespace(const char *name, void *directory)
{
	char *path = psprintf("%s/pg_tblspc/%s", (char *) directory, name);

	sync_file_system(path);
	pg_free(path);
}

void
datadir_sync(const char *directory)
{
	char *wal = psprintf("%s/pg_wal", directory);
	char *tablespaces = psprintf("%s/pg_tblspc", directory);

	sync_file_system(directory);
	sync_file_system(wal);
	for_each_entry(tablespaces, sync_tablespace, unconstify(char *, directory));
	pg_free(wal);
	pg_free(tablespaces);
}

/*-------------------------------------------------------------------------
 * What is there
 *-------------------------------------------------------------------------
 */

static void
note_foreign(const char *name, void *arg)
{
	/* An interrupted attempt of ours, or the root of a file system. */
	if (strcmp(name, STAGE) != 0 && strcmp(name, "lost+found") != 0)
		*(bool *) arg = true;
}

DatadirState
datadir_state(void)
{
	bool foreign = false;

	if (access(options.data_dir, F_OK) != 0 && errno == ENOENT)
		return DATADIR_EMPTY;
	if (datadir_file_exists("PG_VERSION"))
		return DATADIR_DATA;
	for_each_entry(options.data_dir, note_foreign, &foreign);
	return foreign ? DATADIR_FOREIGN : DATADIR_EMPTY;
}

bool
datadir_lock(void)
{
	struct stat st;
	char *path = pg_strdup(options.data_dir);
	int fd;

	if (pg_mkdir_p(path, 0700) != 0 && errno != EEXIST)
		pg_fatal("could not create directory \"%s\": %m", options.data_dir);
	pg_free(path);
	if (stat(options.data_dir, &st) != 0)
		pg_fatal("could not access directory \"%s\": %m", options.data_dir);
	if ((st.st_mode & PG_MODE_MASK_GROUP) != 0 && datadir_state() == DATADIR_EMPTY &&
		chmod(options.data_dir, 0700) != 0)
		pg_fatal("could not change permissions of directory \"%s\": %m", options.data_dir);

	/* The lock goes when this program does; the descriptor is never closed. */
	fd = open(options.data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		pg_fatal("could not open directory \"%s\": %m", options.data_dir);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	if (errno != EWOULDBLOCK)
		pg_fatal("could not lock directory \"%s\": %m", options.data_dir);
	close(fd);
	return false;
}

uint64
datadir_system_identifier(void)
{
	bool crc_ok;
	ControlFileData *control = get_controlfile(options.data_dir, &crc_ok);
	uint64 identifier = crc_ok ? control->system_identifier : 0;

	pg_free(control);
	return identifier;
}

bool
datadir_shut_down(void)
{
	bool crc_ok;
	ControlFileData *control = get_controlfile(options.data_dir, &crc_ok);
	bool down = crc_ok &&
				(control->state == DB_SHUTDOWNED || control->state == DB_SHUTDOWNED_IN_RECOVERY) &&
				control->minRecoveryPointTLI <= control->checkPointCopy.ThisTimeLineID;

	pg_free(control);
	return down;
}

/* As the kernel shows the working directory of a server. */
static const char *
real_data_dir(void)
{
	static char *path = NULL;

	if (path == NULL && (path = realpath(options.data_dir, NULL)) == NULL)
		pg_fatal("could not access directory \"%s\": %m", options.data_dir);
	return path;
}

static void
count_process(pid_t pid, void *arg)
{
	(*(int *) arg)++;
}

int
datadir_server_processes(void)
{
	int n = 0;

	process_for_each("postgres", real_data_dir(), count_process, &n);
	return n;
}

static void
signal_process(pid_t pid, void *arg)
{
	kill(pid, *(int *) arg);
}

void
datadir_signal_server_processes(int sig)
{
	process_for_each("postgres", real_data_dir(), signal_process, &sig);
}

typedef struct PidSearch
{
	pid_t wanted;
	bool found;
} PidSearch;

static void
compare_pid(pid_t pid, void *arg)
{
	PidSearch *search = arg;

	if (pid == search->wanted)
		search->found = true;
}

/* The number in postmaster.pid may long be another program's. */
pid_t
datadir_postmaster(void)
{
	char *path = datadir_path("postmaster.pid");
	char *text = read_text(path);
	PidSearch search = {text ? atoi(text) : 0, false};

	pg_free(path);
	free(text);
	if (search.wanted > 0)
		process_for_each("postgres", real_data_dir(), compare_pid, &search);
	return search.found ? search.wanted : 0;
}

/*
 * postmaster.opts is the command line of the last start, each argument in
 * double quotes.
 */
char *
datadir_config_file(void)
{
	static const char *const marks[] = {"\"config_file=", "\"--config_file=", "\"--config-file="};
	char *path = datadir_path("postmaster.opts");
	char *text = read_text(path);
	char *file = NULL;

	for (size_t i = 0; text != NULL && file == NULL && i < lengthof(marks); i++)
	{
		const char *found = strstr(text, marks[i]);

		if (found != NULL)
			file = pnstrdup(found + strlen(marks[i]), strcspn(found + strlen(marks[i]), "\"\n"));
	}
	pg_free(path);
	free(text);
	return file;
}

/* The last of the lines of postmaster.pid says how far the postmaster got. */
bool
datadir_accepts_connections(void)
{
	char *path = datadir_path("postmaster.pid");
	char *text = read_text(path);
	char *line = text;
	bool ready;

	for (int i = 1; line != NULL && i < LOCK_FILE_LINE_PM_STATUS; i++)
	{
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	ready = line != NULL && strncmp(line, PM_STATUS_READY, strlen(PM_STATUS_READY)) == 0;
	pg_free(path);
	free(text);
	return ready;
}

/*-------------------------------------------------------------------------
 * New contents
 *-------------------------------------------------------------------------
 */

char *
datadir_stage(void)
{
	datadir_unstage();
	return datadir_path(STAGE);
}

void
datadir_unstage(void)
{
	char *path = datadir_path(STAGE);

	remove_entry(path);
	pg_free(path);
}

void
datadir_stage_config(void)
{
	for (size_t i = 0; i < lengthof(config_files); i++)
	{
		char *from = datadir_path(config_files[i]);
		char *to = psprintf("%s/" STAGE "/%s", options.data_dir, config_files[i]);
		char *text = read_text(from);

		if (text != NULL)
			datadir_write_file(to, text);
		else if (unlink(to) != 0 && errno != ENOENT)
			pg_fatal("could not remove file \"%s\": %m", to);
		free(text);
		pg_free(from);
		pg_free(to);
	}
}

static void
clear_entry(const char *name, void *arg)
{
	char *path;

	if (strcmp(name, STAGE) == 0 || strcmp(name, "lost+found") == 0)
		return;
	path = datadir_path(name);
	remove_entry(path);
	pg_free(path);
}

static void
move_entry_up(const char *name, void *arg)
{
	char *from = psprintf("%s/" STAGE "/%s", options.data_dir, name);
	char *to = datadir_path(name);

	if (strcmp(name, "PG_VERSION") != 0 && strcmp(name, "pgcluster.cleared") != 0 &&
		rename(from, to) != 0)
		pg_fatal("could not rename \"%s\" to \"%s\": %m", from, to);
	pg_free(from);
	pg_free(to);
}

static void
move_up(void)
{
	char *stage = datadir_path(STAGE);
	char *from = datadir_path(STAGE "/PG_VERSION");
	char *to = datadir_path("PG_VERSION");

	/* An interrupted move may have been past its last step already. */
	for_each_entry(stage, move_entry_up, NULL);
	fsync_fname(options.data_dir, true);
	if (rename(from, to) != 0 && errno != ENOENT)
		pg_fatal("could not rename \"%s\" to \"%s\": %m", from, to);
	fsync_fname(options.data_dir, true);
	remove_entry(stage);
	fsync_fname(options.data_dir, true);
	pg_free(stage);
	pg_free(from);
	pg_free(to);
}

static void
clear_and_move_up(void)
{
	char *complete = datadir_path(COMPLETE_MARK);
	char *cleared = datadir_path(CLEARED_MARK);

	datadir_remove_file("PG_VERSION");
	for_each_entry(options.data_dir, clear_entry, NULL);
	fsync_fname(options.data_dir, true);
	if (durable_rename(complete, cleared) != 0)
		exit(1);
	move_up();
	pg_free(complete);
	pg_free(cleared);
}

void
datadir_commit(void)
{
	char *complete = datadir_path(COMPLETE_MARK);

	datadir_write_file(complete, "");
	clear_and_move_up();
	pg_free(complete);
}

void
datadir_recover(void)
{
	if (datadir_file_exists(CLEARED_MARK))
		move_up();
	else if (datadir_file_exists(COMPLETE_MARK))
		clear_and_move_up();
}

/*-------------------------------------------------------------------------
 * Rewinding
 *-------------------------------------------------------------------------
 */

void
datadir_mark_rewinding(void)
{
	char *path = datadir_path(REWINDING_MARK);

	if (mkfifo(path, 0600) != 0 && errno != EEXIST)
		pg_fatal("could not create \"%s\": %m", path);
	fsync_fname(options.data_dir, true);
	pg_free(path);
}

bool
datadir_is_rewinding(void)
{
	return datadir_file_exists(REWINDING_MARK);
}

void
datadir_unmark_rewinding(void)
{
	datadir_remove_file(REWINDING_MARK);
}

/*-------------------------------------------------------------------------
 * Configuration
 *-------------------------------------------------------------------------
 */

void
datadir_remember_config(void)
{
	for (size_t i = 0; i < lengthof(config_files); i++)
	{
		char *path = datadir_path(config_files[i]);

		remembered[i] = read_text(path);
		pg_free(path);
	}
}

void
datadir_restore_config(void)
{
	for (size_t i = 0; i < lengthof(config_files); i++)
	{
		char *path = datadir_path(config_files[i]);

		if (remembered[i] != NULL)
			datadir_write_file(path, remembered[i]);
		pg_free(path);
	}
}

static void
append_setting(PQExpBuffer text, const char *name, const char *value)
{
	char *escaped;

	if (value == NULL)
		return;
	escaped = escape_single_quotes_ascii(value);
	if (escaped == NULL)
		pg_fatal("out of memory");
	appendPQExpBuffer(text, "%s = '%s'\n", name, escaped);
	free(escaped);
}

/* The agent fills it.  The server says so in each process when it is not there. */
static void
make_group_settings(void)
{
	char *path = datadir_path(GROUP_SETTINGS_FILE);

	if (!datadir_file_exists(GROUP_SETTINGS_FILE))
		datadir_write_file(path, "");
	pg_free(path);
}

bool
datadir_drop_group_settings(void)
{
	char *path = datadir_path(GROUP_SETTINGS_FILE);
	struct stat st;
	bool any = stat(path, &st) == 0 && st.st_size > 0;

	if (any)
		datadir_write_file(path, "");
	pg_free(path);
	return any;
}

void
datadir_write_node_settings(void)
{
	const struct
	{
		const char *name;
		const char *value;
	} settings[] = {
		{"port", options.port},
		{"listen_addresses", options.listen},
		{"cluster_name", options.name},
		{"pgcluster.namespace", options.namespace},
		{"pgcluster.scope", options.scope},
		{"pgcluster.group", options.group},
		{"pgcluster.node_name", options.name},
		{"pgcluster.advertise_host", options.advertise_host},
		{"pgcluster.http_listen", options.http_listen},
		{"pgcluster.http_port", options.http_port},
		{"pgcluster.replication_user", options.replication_user},
		{"pgcluster.etcd_endpoints", options.etcd},
		{"pgcluster.etcd_protocol", options.etcd_protocol},
		{"pgcluster.etcd_cacert", options.etcd_cacert},
		{"pgcluster.etcd_cert", options.etcd_cert},
		{"pgcluster.etcd_key", options.etcd_key},
		{"pgcluster.etcd_username", options.etcd_username},
		{"pgcluster.etcd_password_file", options.etcd_password_file},
	};
	PQExpBuffer text = createPQExpBuffer();
	PQExpBuffer conninfo = createPQExpBuffer();
	char *path = datadir_path(NODE_SETTINGS_FILE);

	appendPQExpBufferStr(text, "# Written by pgcluster_node before every start: changes are lost.\n"
							   "include_if_exists '" GROUP_SETTINGS_FILE "'\n");
	for (size_t i = 0; i < lengthof(settings); i++)
		append_setting(text, settings[i].name, settings[i].value);

	conninfo_append_common(conninfo);
	append_setting(text, "pgcluster.node_conninfo", conninfo->data);

	for (int i = 0; i < options.settings.n; i++)
	{
		const char *item = options.settings.items[i];
		const char *equals = strchr(item, '=');
		char *name = pnstrdup(item, equals - item);

		append_setting(text, name, equals + 1);
		pg_free(name);
	}
	datadir_write_file(path, text->data);
	make_group_settings();
	destroyPQExpBuffer(text);
	destroyPQExpBuffer(conninfo);
	pg_free(path);
}

void
datadir_make_standby(void)
{
	char *path = datadir_path(STANDBY_FILE);

	if (!datadir_file_exists(STANDBY_FILE))
		datadir_write_file(path, "");
	pg_free(path);
}
