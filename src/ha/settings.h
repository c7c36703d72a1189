/*-------------------------------------------------------------------------
 * settings.h
 *	  What the settings of this server mean for high availability.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_SETTINGS_H
#define PGCLUSTER_HA_SETTINGS_H

#include "dcs/dcs.h"

/* Points "settings" at the present settings of the server. */
extern void ha_dcs_settings(DcsSettings *settings, int total_timeout_ms);

/* With which certificates and credentials other members are asked over HTTP. */
extern void ha_post_settings(DcsPost *post);

/*
 * Raises an error with a hint when the server's settings cannot name a
 * member: to be called when the server starts.
 */
extern void ha_check_settings(void);

/* Where others reach this server. */
extern const char *ha_own_host(void);
extern int ha_own_port(void);

/* Where others reach the HTTP server of this one; empty when it is off. */
extern void ha_own_api_url(char *url, size_t size);

/*
 * Identifies this data directory on this boot of this machine, so that a
 * restarted agent knows its own keys from those of another server that goes
 * by the same name.
 */
extern const char *ha_instance(void);

/*
 * The primary_conninfo to stream from there, palloc'd: the parameters of
 * pgcluster.node_conninfo, less those that are given here and the password.
 */
extern char *ha_primary_conninfo(const char *host, int port);
/* The same, for a connection to a database. */
extern char *ha_database_conninfo(const char *host, int port, const char *dbname);

#endif
