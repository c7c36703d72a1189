/*-------------------------------------------------------------------------
 * notify.c
 *	  What a service manager is told: systemd's sd_notify(3).
 *
 * The postmaster can speak to systemd itself, but it says that it stops
 * whenever it is about to be started again, for a rewind, say.  So it is this
 * program that speaks, and its children do not hear of it.
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#ifdef PGCLUSTER_USE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "notify.h"

#ifdef PGCLUSTER_USE_SYSTEMD

bool
notify_wanted(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

void
notify_status(const char *format, ...)
{
	va_list args;
	char status[512];

	va_start(args, format);
	vsnprintf(status, sizeof(status), format, args);
	va_end(args);
	sd_notifyf(0, "STATUS=%s", status);
}

void
notify_ready(void)
{
	static bool said = false;

	if (!said)
		sd_notify(0, "READY=1");
	said = true;
}

void
notify_stopping(void)
{
	sd_notify(0, "STOPPING=1\nSTATUS=stopping");
}

#else

bool
notify_wanted(void)
{
	return false;
}

void
notify_status(const char *format, ...)
{
}

void
notify_ready(void)
{
}

void
notify_stopping(void)
{
}

#endif

void
notify_forget(void)
{
	unsetenv("NOTIFY_SOCKET");
}
