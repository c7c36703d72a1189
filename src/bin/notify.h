/*-------------------------------------------------------------------------
 * notify.h
 *	  What a service manager is told: systemd's sd_notify(3).
 *
 * Nothing happens when nobody listens, or when the program was built without
 * libsystemd.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BIN_NOTIFY_H
#define PGCLUSTER_BIN_NOTIFY_H

/* True when a service manager listens. */
extern bool notify_wanted(void);

/* What this program is at, for people. */
extern void notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The server takes connections; said once. */
extern void notify_ready(void);

extern void notify_stopping(void);

/* For a child, which must not speak in our name. */
extern void notify_forget(void);

#endif
