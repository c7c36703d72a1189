/*-------------------------------------------------------------------------
 * sync_names.c
 *	  What commits of this server wait for.
 *
 * synchronous_standby_names is read by each process for itself, when it gets
 * around to it: a walsender that has not yet goes on releasing commits by the
 * former value, and counts those that other walsenders, by their own value,
 * take for synchronous.  So it matters to know when a new value is in force
 * everywhere.  A serial number is written right after it; as each process
 * reads the file it notes in shared memory which number it has come to.
 * Whether commits wait at all is decided by a flag of the checkpointer's.
 *
 * Only processes that can release a commit count: walsenders that stream, or
 * are about to.  One that has not begun reads the file before it does; that
 * it was told to is certain when the agent was, which is older than they are
 * and so comes after them.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "utils/backend_status.h"
#include "utils/guc.h"

/* With GSSAPI this header wants others that the server's packages do not bring. */
#undef ENABLE_GSS
#include "libpq/auth.h"

#include "base/compat.h"
#include "base/config.h"
#include "base/shmem.h"
#include "ha/server.h"
#include "ha/state.h"
#include "ha/sync_names.h"

typedef struct SyncShared
{
	pg_atomic_uint32 stir;	 /* a record of WAL is wanted */
	Latch *volatile stirrer; /* who writes it; of a PGPROC, and so always there */
	int nserials;
	/* pid and serial number that a walsender has come to; by number of its PGPROC */
	pg_atomic_uint64 serials[FLEXIBLE_ARRAY_MEMBER];
} SyncShared;

static SyncShared *sync_shared = NULL;
static ClientAuthentication_hook_type prev_client_authentication = NULL;

/* What this agent wrote last; 0: nothing. */
static int written_serial = 0;
static char *written_value = NULL;
static bool override_reported = false;

/*
 * Telling which serial number this process goes by
 */

static int
count_processes(void)
{
	/* ProcGlobal is not there yet when this is asked first. */
	return MaxBackends + NUM_AUXILIARY_PROCS;
}

static Size
sync_size(void)
{
	return offsetof(SyncShared, serials) + sizeof(pg_atomic_uint64) * count_processes();
}

static void
sync_attach(void *area, LWLockPadded *locks, bool found)
{
	sync_shared = area;
	if (found)
		return;
	pg_atomic_init_u32(&sync_shared->stir, 0);
	sync_shared->stirrer = NULL;
	sync_shared->nserials = count_processes();
	for (int i = 0; i < sync_shared->nserials; i++)
		pg_atomic_init_u64(&sync_shared->serials[i], 0);
}

static const ShmemArea sync_area = {"pgcluster sync", sync_size, 0, sync_attach};

static void
tell_serial(int serial)
{
	int number;

	if (sync_shared == NULL || MyProc == NULL || !am_walsender)
		return;
	number = (int) (MyProc - ProcGlobal->allProcs);
	if (number < sync_shared->nserials)
		pg_atomic_write_u64(&sync_shared->serials[number],
							(uint64) MyProcPid << 32 | (uint32) serial);
}

/* A process that was started since has the postmaster's value and reads no file. */
static void
tell_serial_at_start(Port *port, int status)
{
	if (prev_client_authentication)
		prev_client_authentication(port, status);
	tell_serial(config_sync_serial);
}

static bool
goes_by(pid_t pid, int serial)
{
	uint64 wanted = (uint64) pid << 32 | (uint32) serial;

	for (int i = 0; i < sync_shared->nserials; i++)
		if (pg_atomic_read_u64(&sync_shared->serials[i]) == wanted)
			return true;
	return false;
}

void
sync_names_init(void)
{
	shmem_register(&sync_area);
	config_on_sync_serial = tell_serial;
	prev_client_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = tell_serial_at_start;
}

/*
 * Stirring
 */

void
sync_names_stir(void)
{
	Latch *stirrer = sync_shared->stirrer;

	pg_atomic_write_u32(&sync_shared->stir, 1);
	if (stirrer != NULL)
		SetLatch(stirrer);
}

void
sync_names_stirred_by(Latch *latch)
{
	if (sync_shared != NULL)
		sync_shared->stirrer = latch;
}

bool
sync_names_take_stir(void)
{
	return sync_shared != NULL && pg_atomic_exchange_u32(&sync_shared->stir, 0) != 0;
}

/*
 * Standbys
 */

typedef struct Sender
{
	pid_t pid;
	WalSndState state;
	int priority;
	XLogRecPtr flushed;
	char name[NAMEDATALEN];
} Sender;

/* Names are those of the clients, which the statistics know. */
static void
name_senders(Sender *senders, int n)
{
	int nbackends = pgstat_fetch_stat_numbackends();

	for (int i = 1; i <= nbackends; i++)
	{
		PgBackendStatus *status = &pgstat_get_local_beentry_by_index(i)->backendStatus;

		for (int k = 0; k < n; k++)
			if (senders[k].pid == status->st_procpid && status->st_appname != NULL)
				strlcpy(senders[k].name, status->st_appname, sizeof(senders[k].name));
	}
	pgstat_clear_backend_activity_snapshot();
}

/* Those that stream or are about to, palloc'd. */
static int
list_senders(Sender **list)
{
	Sender *senders = palloc0(sizeof(Sender) * Max(max_wal_senders, 1));
	int n = 0;

	for (int i = 0; i < max_wal_senders; i++)
	{
		WalSnd *shared = &WalSndCtl->walsnds[i];
		Sender *sender = &senders[n];

		SpinLockAcquire(&shared->mutex);
		sender->pid = shared->pid;
		sender->state = shared->state;
		sender->priority = shared->sync_standby_priority;
		sender->flushed = shared->flush;
		SpinLockRelease(&shared->mutex);
		if (sender->pid != 0 && sender->state != WALSNDSTATE_STARTUP &&
			sender->state != WALSNDSTATE_BACKUP)
			n++;
	}
	if (n > 0)
		name_senders(senders, n);
	*list = senders;
	return n;
}

int
sync_names_standbys(SyncStandby *standbys, int max)
{
	Sender *senders;
	int nsenders = list_senders(&senders);
	int n = 0;

	for (int i = 0; i < nsenders && n < max; i++)
	{
		int k = 0;

		if (senders[i].name[0] == '\0')
			continue;
		while (k < n && strcmp(standbys[k].name, senders[i].name) != 0)
			k++;
		if (k == n)
		{
			memset(&standbys[n], 0, sizeof(SyncStandby));
			strlcpy(standbys[n++].name, senders[i].name, HA_NAME_SIZE);
		}
		standbys[k].streaming |= senders[i].state == WALSNDSTATE_STREAMING;
		standbys[k].flushed = Max(standbys[k].flushed, senders[i].flushed);
	}
	return n;
}

/*
 * What is in force
 */

static bool
is_listed(const char *name)
{
	const char *listed = SyncRepConfig == NULL ? NULL : SyncRepConfig->member_names;

	for (int i = 0; listed != NULL && i < SyncRepConfig->nmembers; i++)
	{
		if (strcmp(listed, "*") == 0 || pg_strcasecmp(listed, name) == 0)
			return true;
		listed += strlen(listed) + 1;
	}
	return false;
}

/* Do all that can release a commit go by this process's value? */
static bool
are_senders_settled(void)
{
	Sender *senders;
	int n = list_senders(&senders);

	for (int i = 0; i < n; i++)
		if (!goes_by(senders[i].pid, config_sync_serial) ||
			(senders[i].priority != 0) != is_listed(senders[i].name))
			return false;
	return true;
}

/* Something else sets it after, or more firmly than, postgresql.auto.conf. */
static bool
is_overridden(void)
{
	if (written_serial == 0 || strcmp(SyncRepStandbyNames, written_value) == 0)
		return false;
	if (!override_reported)
		ereport(LOG,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("synchronous_standby_names is not what the cluster's "
						"synchronous_mode takes"),
				 errdetail("It is \"%s\" instead of \"%s\".", SyncRepStandbyNames, written_value),
				 errhint("Remove it from the server's command line.")));
	override_reported = true;
	return true;
}

static void
read_own_value(SyncNames *names)
{
	const char *name = SyncRepConfig == NULL ? NULL : SyncRepConfig->member_names;

	memset(names, 0, sizeof(*names));
	if (name == NULL)
		return;
	names->count = SyncRepConfig->num_sync;
	names->quorum = SyncRepConfig->syncrep_method == SYNC_REP_QUORUM;
	for (int i = 0; i < SyncRepConfig->nmembers; i++)
	{
		if (strcmp(name, "*") == 0)
			names->anybody = true;
		else if (names->n < HA_SYNC_MAX)
			strlcpy(names->names[names->n++], name, HA_NAME_SIZE);
		name += strlen(name) + 1;
	}
}

SyncNamesState
sync_names_read(SyncNames *names)
{
	read_own_value(names);
	if (written_serial == 0 && config_sync_serial == 0)
		return SYNC_NAMES_FOREIGN;
	if ((written_serial != 0 && config_sync_serial != written_serial) || is_overridden())
		return SYNC_NAMES_CHANGING;
	if (compat_sync_standbys_defined() != (SyncRepStandbyNames[0] != '\0') ||
		!are_senders_settled())
		return SYNC_NAMES_CHANGING;
	return SYNC_NAMES_IN_FORCE;
}

/*
 * Changing it
 */

/* The settings that the agent writes, one right after the other. */
static const char names_setting[] = "synchronous_standby_names";
static const char serial_setting[] = "pgcluster.sync_serial";

static bool
is_line_of(const char *line, const char *setting)
{
	size_t length = strlen(setting);

	while (*line == ' ' || *line == '\t')
		line++;
	return pg_strncasecmp(line, setting, length) == 0 && strchr(" \t='", line[length]) != NULL &&
		   line[length] != '\0';
}

/*
 * Leaves out what the agent wrote.  A synchronous_standby_names anywhere else
 * is the user's.  "added" comes at the end.
 */
static char *
edit_lines(char *text, void *added)
{
	StringInfoData out;
	char *next;

	initStringInfo(&out);
	for (char *line = text; *line != '\0'; line = next)
	{
		size_t length = strcspn(line, "\n");

		next = line + length + (line[length] == '\n');
		if (is_line_of(line, serial_setting) ||
			(is_line_of(line, names_setting) && is_line_of(next, serial_setting)))
			continue;
		appendBinaryStringInfo(&out, line, (int) length);
		appendStringInfoChar(&out, '\n');
	}
	appendStringInfoString(&out, added);
	return out.data;
}

static char *
value_of(const SyncNames *names)
{
	StringInfoData value;

	initStringInfo(&value);
	if (names->count == 0)
		return value.data;
	appendStringInfo(&value, "%s %d (", names->quorum || names->anybody ? "ANY" : "FIRST",
					 names->count);
	if (names->anybody)
		appendStringInfoChar(&value, '*');
	for (int i = 0; i < names->n && !names->anybody; i++)
		appendStringInfo(&value, "%s\"%s\"", i > 0 ? "," : "", names->names[i]);
	appendStringInfoChar(&value, ')');
	return value.data;
}

void
sync_names_write(const SyncNames *names)
{
	int serial = Max(written_serial, config_sync_serial) % (INT_MAX - 1) + 1;
	char *value = value_of(names);

	server_edit_auto_conf(
		edit_lines, psprintf("%s = '%s'\n%s = %d\n", names_setting, value, serial_setting, serial));
	written_serial = serial;
	if (written_value != NULL)
		free(written_value);
	written_value = strdup(value);
	if (written_value == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	ereport(LOG, (errmsg("commits are to wait for \"%s\"", value)));
	kill(PostmasterPid, SIGHUP);
}

void
sync_names_remove(void)
{
	server_edit_auto_conf(edit_lines, "");
	written_serial = 0;
	override_reported = false;
	ereport(LOG, (errmsg("synchronous_standby_names is the user's again")));
	kill(PostmasterPid, SIGHUP);
}

/*
 * Waits that were broken off
 */

static int
present_wait_mode(void)
{
	switch (synchronous_commit)
	{
		case SYNCHRONOUS_COMMIT_REMOTE_WRITE:
			return SYNC_REP_WAIT_WRITE;
		case SYNCHRONOUS_COMMIT_REMOTE_APPLY:
			return SYNC_REP_WAIT_APPLY;
		default:
			return SYNC_REP_WAIT_FLUSH;
	}
}

bool
sync_names_is_unconfirmed(XLogRecPtr end)
{
	XLogRecPtr confirmed;

	if (!SyncRepRequested() || !compat_sync_standbys_defined())
		return false;
	LWLockAcquire(SyncRepLock, LW_SHARED);
	confirmed = WalSndCtl->lsn[present_wait_mode()];
	LWLockRelease(SyncRepLock);
	return confirmed < end;
}
