/*-------------------------------------------------------------------------
 * datadir.h
 *	  The data directory: what it holds, and how it comes to be.
 *
 * New contents are made in the subdirectory pgcluster.new and put in place
 * only when complete.  Whatever is interrupted, and when, the directory is
 * afterwards without a server's data, with the old, or with the new, never
 * with a mixture that would start.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BIN_DATADIR_H
#define PGCLUSTER_BIN_DATADIR_H

typedef enum DatadirState
{
	DATADIR_EMPTY,	/* or not there */
	DATADIR_DATA,	/* a server's data */
	DATADIR_FOREIGN /* something else: not to be touched */
} DatadirState;

extern DatadirState datadir_state(void);

/* Makes the directory if needed, and takes it for this program alone; false: another has it. */
extern bool datadir_lock(void);

/* The system identifier in pg_control; 0: not readable. */
extern uint64 datadir_system_identifier(void);

/*
 * True if the server of this directory was stopped in an orderly manner, with
 * a checkpoint on its newest timeline: pg_rewind goes by that of the last
 * checkpoint, and does not see WAL on a later one.
 */
extern bool datadir_shut_down(void);

/* The postmaster of this directory, 0: none runs. */
extern pid_t datadir_postmaster(void);

/* True when the postmaster takes connections, of a standby too. */
extern bool datadir_accepts_connections(void);

/*
 * The configuration file that the server of this directory was last started
 * with, if it was told one; else NULL.
 */
extern char *datadir_config_file(void);

/* How many processes of a server use this directory, a dead postmaster's too. */
extern int datadir_server_processes(void);

/* Sends a signal to all of them. */
extern void datadir_signal_server_processes(int sig);

/* Path of a file in the directory; never freed. */
extern char *datadir_path(const char *name);

extern void datadir_write_file(const char *path, const char *text);
extern void datadir_append_file(const char *path, const char *text);
extern bool datadir_file_exists(const char *name);
extern void datadir_remove_file(const char *name);

/*
 * Makes all that a server has in this directory durable, with what lies on
 * other file systems (WAL, tablespaces).  By file system, which is quicker
 * than by file.
 */
extern void datadir_sync(const char *directory);

/* Path of the subdirectory for new contents; nothing is there afterwards. */
extern char *datadir_stage(void);

/* Drops unfinished new contents. */
extern void datadir_unstage(void);

/*
 * Copies the configuration files of this server into the new contents, in
 * place of those that are there.
 */
extern void datadir_stage_config(void);

/* Puts the new contents in place of the old. */
extern void datadir_commit(void);

/* Goes on with a datadir_commit that was interrupted, if any. */
extern void datadir_recover(void);

/*
 * Marks the data as being rewound: until the mark is removed they are good
 * for nothing.  pg_rewind removes files that its source does not have, but
 * does not see a named pipe.
 */
extern void datadir_mark_rewinding(void);
extern bool datadir_is_rewinding(void);
extern void datadir_unmark_rewinding(void);

/* Keeps the configuration files of this server in memory, and writes them back. */
extern void datadir_remember_config(void);
extern void datadir_restore_config(void);

/* What a start needs: the settings of this member, and standby.signal. */
extern void datadir_write_node_settings(void);
extern void datadir_make_standby(void);

/*
 * Empties the file with the group's parameters, which the agent fills again
 * when the server runs.  False: it was empty.
 */
extern bool datadir_drop_group_settings(void);

#define REJOIN_FILE "pgcluster.rejoin"
#define NODE_SETTINGS_FILE "pgcluster_node.conf"
#define GROUP_SETTINGS_FILE "pgcluster.group.conf" /* the agent writes it */
#define STANDBY_FILE "standby.signal"

#endif
