/*-------------------------------------------------------------------------
 * parameters.h
 *	  The PostgreSQL parameters of a group on this server.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_PARAMETERS_H
#define PGCLUSTER_HA_PARAMETERS_H

#include "ha/document.h"

/* False when the parameters in the document cannot be those of a group. */
extern bool parameters_check(struct json_object *document, DocumentTrouble *trouble);

/*
 * For the postmaster when it starts: a standby does not start with less than
 * the primary had whose WAL it replays, so what is too small is raised.
 */
extern void parameters_prepare_start(void);

/* For the postmaster before a crash-restart. */
extern void parameters_prepare_crash_restart(void);

/* What of the leader's restart the next start has to know; called before the server stops. */
extern void parameters_prepare_restart(bool leads);

/* True when the present start did raise something. */
extern bool parameters_were_raised(void);

/* True when hot_standby is off only for this start, and on from a demotion on. */
extern bool parameters_hot_standby_comes(void);

/*
 * The settings that wait for a restart, as JSON: {"name": {"old_value": …,
 * "new_value": …}}; NULL: none does.  Palloc'd.
 */
extern char *parameters_pending(void);

/*
 * The parameter, or NULL, that would grow in a restart of a primary with this
 * pending, beyond what a standby has that was not restarted for it yet.
 */
extern const char *parameters_too_small(const char *own_pending, const char *standby_pending);

#endif
