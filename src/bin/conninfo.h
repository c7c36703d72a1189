/*-------------------------------------------------------------------------
 * conninfo.h
 *	  Connection strings of libpq.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BIN_CONNINFO_H
#define PGCLUSTER_BIN_CONNINFO_H

#include "pqexpbuffer.h"

/* Adds keyword='value', quoted as libpq wants it. */
extern void conninfo_append(PQExpBuffer conninfo, const char *keyword, const char *value);

/* Adds what the user wants of connections between members: --passfile, --node-conninfo. */
extern void conninfo_append_common(PQExpBuffer conninfo);

#endif
