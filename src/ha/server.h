/*-------------------------------------------------------------------------
 * server.h
 *	  What the agent asks of, and does to, its own server.
 *
 * All of it works without a database connection.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_SERVER_H
#define PGCLUSTER_HA_SERVER_H

#include "access/xlogdefs.h"

/* True when this start found the data as a primary's that did not stop in order. */
extern bool server_was_primary(void);

/* True when WAL may come from an archive. */
extern bool server_has_archive(void);

/* The process that asks another server for WAL, or 0. */
extern int server_receiver(void);

/* True when WAL arrives from another server. */
extern bool server_is_streaming(void);

/* True when recovery has asked for WAL from elsewhere since it began. */
extern bool server_asked_for_wal(void);

/* True when recovery has read all WAL that is here, and looks for more now and then. */
extern bool server_waits_for_wal(void);

/*
 * True when a standby of that name streams from this server; moves "has" up
 * to what it confirmed to have on disk.
 */
extern bool server_standby_has(const char *name, XLogRecPtr *has);

/* Starts a checkpoint; server_checkpointed_since tells when it is done. */
extern XLogRecPtr server_start_checkpoint(void);
extern bool server_checkpointed_since(XLogRecPtr lsn);

/* True when the last checkpoint is on the timeline that is being written. */
extern bool server_timeline_is_checkpointed(void);

/* Whom a standby streams from. */
typedef struct ServerSource
{
	const char *conninfo; /* empty: nobody */
	const char *slot;	  /* empty: without one */
	bool feedback;		  /* hot_standby_feedback must be on */
	/* of a standby cluster; empty: as the server's own settings have it */
	const char *restore_command;
	const char *archive_cleanup_command;
	const char *apply_delay;
} ServerSource;

#define SERVER_SOURCE_NOBODY                                                              \
	{                                                                                     \
		.conninfo = "", .slot = "", .restore_command = "", .archive_cleanup_command = "", \
		.apply_delay = ""                                                                 \
	}

/* Is this the source?  Makes it so, without a restart. */
extern bool server_follows(const ServerSource *source);
extern void server_follow(const ServerSource *source);

/*
 * Replaces postgresql.auto.conf by what "edit" makes of its text.  Takes
 * effect with the next reload.
 */
extern void server_edit_auto_conf(char *(*edit)(char *text, void *arg), void *arg);

/*
 * Makes the startup process end recovery, on "timeline" unless that or a
 * later one is known to have been used.
 */
extern void server_promote(uint32 timeline);

/*
 * To be called in the postmaster before recovery starts, after a crash too:
 * removes the history files that would keep it from starting; and sees to it
 * that a server whose postmaster starts, and one that was a standby, comes
 * up as a standby.
 */
extern void server_forget_timelines(void);
extern void server_start_as_standby(bool first);

/*
 * Ends the sessions and comes back as a standby that streams from nobody,
 * in the same postmaster.  Does not return.
 */
extern void server_demote(void) __attribute__((noreturn));

/*
 * Has the data directory brought in line with the server at "conninfo", or
 * cloned from there, which takes a stop of this server.  False: it is on its
 * way already, or cannot be started.
 */
extern bool server_rejoin(const char *conninfo, bool clone);

/*
 * Has this server stopped and started again.  Meanwhile "lease", unless 0, is
 * kept for at most so many seconds.  False: it cannot be.
 */
extern bool server_restart(int64 lease, int timeout);

#endif
