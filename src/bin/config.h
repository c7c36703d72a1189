/*-------------------------------------------------------------------------
 * config.h
 *	  The configuration files of new contents of the data directory.
 *
 * "stage" is the directory in which they are made, see datadir.h.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BIN_CONFIG_H
#define PGCLUSTER_BIN_CONFIG_H

/* Settings that every member needs, after those of initdb. */
extern void config_append_settings(const char *stage);

/* Who gets in: with a password, or from this machine under one's own name. */
extern void config_write_authentication(const char *stage);

/*
 * Sees to it that a clone has configuration files, and that they include the
 * settings of this member.
 */
extern void config_complete(const char *stage);

#endif
