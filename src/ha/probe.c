/*-------------------------------------------------------------------------
 * probe.c
 *	  Finds out whether this server still does what a leader is there for.
 *
 * A lease says that the agent is alive, not that the server is.  So a worker
 * of its own, which may hang where sessions hang, does what they do: it
 * takes space on the disks of the data and of the WAL, passes the locks that
 * each commit passes, writes a record of WAL when others do, and has the
 * postmaster start a process for a connection.  It leaves what it saw in
 * shared memory; the agent looks there and judges, see probe_has_failed.
 * What follows from it is decided in decide.c.
 *
 * What must stay true: all that is shared is atomic, because the worker may
 * be stopped anywhere and the agent must never wait for it.  The worker
 * writes WAL only while the fence is open, and only if there is other WAL to
 * be flushed, so that an idle leader which is cut off does not diverge.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "access/rmgr.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xloginsert.h"
#include "catalog/pg_control.h"
#include "common/file_perm.h"
#include "libpq/pqcomm.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/pg_bswap.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "postmaster/postmaster.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/shmem.h"
#include "ha/probe.h"
#include "ha/shared.h"
#include "ha/sync_names.h"

#define US_PER_MS INT64CONST(1000)
#define US_PER_S INT64CONST(1000000)

#define PROBE_FILE "pgcluster.probe"
#define PROBE_FILE_IN_WAL XLOGDIR "/" PROBE_FILE
#define PROBE_SIZE (64 * 1024)

/* Between two rounds; a standby's disk is looked at less often. */
#define REST_SHARE 5
#define REST_MIN_MS 200
#define REST_MAX_MS 1000
#define REST_FAILED_MS 500
#define STANDBY_INTERVAL_US (5 * US_PER_S)

/* A connection that was refused for the moment is tried again so soon. */
#define CONNECT_NAP_US (50 * US_PER_MS)

typedef enum ProbeStep
{
	STEP_RESTING,
	STEP_WRITING,
	STEP_CONNECTING
} ProbeStep;

typedef struct ProbeShared
{
	pg_atomic_uint32 step;
	pg_atomic_uint64 due_us;	  /* what goes on was to begin then; 0: the worker never ran */
	pg_atomic_uint64 failing_us;  /* since when rounds end with an error; 0: they do not */
	pg_atomic_uint32 failed_step; /* where */
	pg_atomic_uint32 failed_errno;
} ProbeShared;

static ProbeShared *probe_shared = NULL;

static Size
probe_size(void)
{
	return sizeof(ProbeShared);
}

static void
probe_attach(void *area, LWLockPadded *locks, bool found)
{
	probe_shared = area;
	if (found)
		return;
	pg_atomic_init_u32(&probe_shared->step, STEP_RESTING);
	pg_atomic_init_u64(&probe_shared->due_us, 0);
	pg_atomic_init_u64(&probe_shared->failing_us, 0);
	pg_atomic_init_u32(&probe_shared->failed_step, STEP_RESTING);
	pg_atomic_init_u32(&probe_shared->failed_errno, 0);
}

static const ShmemArea probe_area = {"pgcluster probe", probe_size, 0, probe_attach};

/*
 * Judging; in the agent
 */

/*
 * Since when there is no sign of life.  WAL that reaches the disk is one,
 * whoever wrote it.
 */
static int64
silent_since(ProbeStep step, int64 due)
{
	static XLogRecPtr flushed = InvalidXLogRecPtr;
	static int64 flushed_us = 0;

	if (step == STEP_WRITING && !RecoveryInProgress())
	{
		XLogRecPtr now_at = GetFlushRecPtr(NULL);

		if (now_at != flushed)
			flushed_us = clock_now_us();
		flushed = now_at;
		return Max(due, flushed_us);
	}
	return due;
}

static const char *const step_names[] = {"run its processes", "write to its disk",
										 "take connections"};

bool
probe_has_failed(int64 awake_us, char *reason, size_t size)
{
	int64 now = clock_now_us();
	int64 due = (int64) pg_atomic_read_u64(&probe_shared->due_us);
	int64 failing = (int64) pg_atomic_read_u64(&probe_shared->failing_us);
	int64 timeout = config_probe_timeout * US_PER_MS;
	ProbeStep step = (ProbeStep) pg_atomic_read_u32(&probe_shared->step);

	if (timeout == 0 || due == 0)
		return false;
	/* An error is certain, silence is not: it may be mere load. */
	if (failing != 0 && now - failing >= timeout / 2)
	{
		ProbeStep where = (ProbeStep) pg_atomic_read_u32(&probe_shared->failed_step);
		int error = (int) pg_atomic_read_u32(&probe_shared->failed_errno);

		snprintf(reason, size, "the server cannot %s: %s", step_names[where], strerror(error));
		return true;
	}
	if (now - Max(silent_since(step, due), awake_us) < timeout)
		return false;
	snprintf(reason, size, "the server did not %s for %d ms", step_names[step],
			 (int) ((now - due) / US_PER_MS));
	return true;
}

bool
probe_is_running(void)
{
	return pg_atomic_read_u64(&probe_shared->due_us) != 0;
}

/*
 * The steps; in the worker.  Each returns 0 or an error number.
 */

static void
begin_step(ProbeStep step, int64 due)
{
	pg_atomic_write_u64(&probe_shared->due_us, (uint64) due);
	pg_atomic_write_u32(&probe_shared->step, step);
}

/* Takes space on a disk, and gives it back. */
static int
take_space(const char *path, bool sync)
{
	static char zeros[PROBE_SIZE];
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, pg_file_create_mode);
	int error = 0;

	if (fd < 0)
		return errno;
	errno = 0;
	if (write(fd, zeros, sizeof(zeros)) != sizeof(zeros))
		error = errno == 0 ? ENOSPC : errno;
	else if (sync && pg_fdatasync(fd) != 0)
		error = errno;
	/* A full disk is to be full the next time too. */
	if (ftruncate(fd, 0) != 0 && error == 0)
		error = errno;
	if (close(fd) != 0 && error == 0)
		error = errno;
	return error;
}

static bool
is_wal_elsewhere(void)
{
	struct stat data;
	struct stat wal;

	return stat(".", &data) == 0 && stat(XLOGDIR, &wal) == 0 && data.st_dev != wal.st_dev;
}

/* What each commit passes; what a stopped process may hold for ever. */
static void
pass_locks(void)
{
	LWLockAcquire(XidGenLock, LW_SHARED);
	LWLockRelease(XidGenLock);
	LWLockAcquire(ProcArrayLock, LW_SHARED);
	LWLockRelease(ProcArrayLock);
}

/*
 * A record that says nothing and counts for nothing: neither a checkpoint nor
 * a switch of the segment is made for it.
 */
static void
write_wal(bool always)
{
	/* The server knows no record without any data. */
	char filler = 0;

	if (!ha_fence_is_open() || (!always && GetXLogInsertRecPtr() <= GetFlushRecPtr(NULL)))
		return;
	XLogBeginInsert();
	XLogRegisterData(&filler, sizeof(filler));
	XLogSetRecordFlags(XLOG_MARK_UNIMPORTANT);
	XLogFlush(XLogInsert(RM_XLOG_ID, XLOG_NOOP));
}

static int
check_writing(bool primary)
{
	int error = take_space(PROBE_FILE_IN_WAL, primary);

	if (error == 0 && is_wal_elsewhere())
		error = take_space(PROBE_FILE, false);
	if (error == 0 && primary)
	{
		pass_locks();
		write_wal(false);
	}
	return error;
}

/*
 * Connecting
 */

typedef struct Address
{
	struct sockaddr_storage at;
	socklen_t length;
} Address;

static bool
find_socket_file(Address *address)
{
	struct sockaddr_un *un = (struct sockaddr_un *) &address->at;
	char directory[MAXPGPATH];
	char path[MAXPGPATH];

	/* The first of the list will do. */
	strlcpy(directory, Unix_socket_directories ? Unix_socket_directories : "", sizeof(directory));
	directory[strcspn(directory, ",")] = '\0';
	if (directory[0] == '\0')
		return false;
	UNIXSOCK_PATH(path, PostPortNumber, directory);
	if (strlen(path) >= sizeof(un->sun_path))
		return false;
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	strcpy(un->sun_path, path);
	address->length = sizeof(*un);
	if (path[0] == '@')
	{
		un->sun_path[0] = '\0';
		address->length = offsetof(struct sockaddr_un, sun_path) + strlen(path);
	}
	return true;
}

/*
 * Without a socket file, the first of listen_addresses.  With SSL the server
 * would log a connection that ends in the middle of the greeting.
 */
static bool
find_tcp(Address *address)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char host[256];
	char port[16];

	if (EnableSSL || ListenAddresses == NULL)
		return false;
	strlcpy(host, ListenAddresses, sizeof(host));
	host[strcspn(host, ", ")] = '\0';
	if (strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0)
		strlcpy(host, "127.0.0.1", sizeof(host));
	if (host[0] == '\0')
		return false;
	snprintf(port, sizeof(port), "%d", PostPortNumber);
	if (getaddrinfo(host, port, &hints, &found) != 0 || found == NULL)
		return false;
	memcpy(&address->at, found->ai_addr, found->ai_addrlen);
	address->length = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

static bool
wait_for_socket(int fd, short events, int64 until)
{
	struct pollfd pfd = {.fd = fd, .events = events};
	int64 left = until - clock_now_us();

	return left > 0 && poll(&pfd, 1, (int) (left / US_PER_MS) + 1) > 0;
}

/*
 * Asks for encryption, which is answered with one byte before anything is
 * looked up, logged or counted against max_connections.  Any byte will do
 * but an error: the postmaster could not start a process.
 */
static int
greet(int fd, int64 until)
{
	struct
	{
		uint32 length;
		uint32 code;
	} request = {pg_hton32(8), pg_hton32(NEGOTIATE_SSL_CODE)};
	char answer;
	ssize_t n;

	if (!wait_for_socket(fd, POLLOUT, until))
		return ETIMEDOUT;
	if (send(fd, &request, sizeof(request), MSG_NOSIGNAL) != sizeof(request))
		return errno;
	if (!wait_for_socket(fd, POLLIN, until))
		return ETIMEDOUT;
	n = recv(fd, &answer, 1, 0);
	if (n < 0)
		return errno;
	return n == 1 && answer != 'E' ? 0 : ECONNREFUSED;
}

static int
connect_once(const Address *address, int64 until)
{
	int fd = socket(address->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return errno;
	if (connect(fd, (const struct sockaddr *) &address->at, address->length) == 0 ||
		errno == EINPROGRESS)
		error = greet(fd, until);
	else
		error = errno;
	close(fd);
	return error;
}

/* A queue that is full for the moment is no failure yet. */
static int
check_connecting(void)
{
	int64 until = clock_now_us() + Max(config_probe_timeout, 1000) * US_PER_MS;
	Address address;
	int error;

	if (!find_socket_file(&address) && !find_tcp(&address))
		return 0;
	while ((error = connect_once(&address, until)) != 0 && !ShutdownRequestPending &&
		   clock_now_us() + CONNECT_NAP_US < until)
		pg_usleep(CONNECT_NAP_US);
	return error;
}

/*
 * The worker
 */

static void
note_outcome(ProbeStep step, int error, int64 began)
{
	bool failing = pg_atomic_read_u64(&probe_shared->failing_us) != 0;

	if (error == 0)
	{
		pg_atomic_write_u64(&probe_shared->failing_us, 0);
		if (failing)
			ereport(LOG, (errmsg("the server can write and take connections again")));
		return;
	}
	pg_atomic_write_u32(&probe_shared->failed_step, step);
	pg_atomic_write_u32(&probe_shared->failed_errno, (uint32) error);
	if (failing)
		return;
	pg_atomic_write_u64(&probe_shared->failing_us, (uint64) began);
	errno = error;
	ereport(LOG, (errmsg("the server cannot %s: %m", step_names[step]),
				  errdetail("A leader gives the lead up when this lasts, and another member may "
							"take it; see pgcluster.probe_timeout.")));
}

/* Returns how long to rest. */
static int64
take_round(void)
{
	static int64 looked_us = 0;
	bool primary = !RecoveryInProgress();
	ProbeStep step = STEP_WRITING;
	int64 began = clock_now_us();
	int64 rest;
	int error;

	/* One that is promoted must not rest for long. */
	if (!primary && looked_us != 0 && began - looked_us < STANDBY_INTERVAL_US)
		return REST_MAX_MS * US_PER_MS;
	looked_us = began;
	begin_step(step, began);
	error = check_writing(primary);
	if (error == 0 && primary)
	{
		step = STEP_CONNECTING;
		began = clock_now_us();
		begin_step(step, began);
		error = check_connecting();
	}
	if (ShutdownRequestPending)
		return 0;
	note_outcome(step, error, began);
	rest = Min(Max(ha_shared->ttl * 1000 / REST_SHARE, REST_MIN_MS), REST_MAX_MS);
	if (error != 0)
		rest = REST_FAILED_MS;
	return rest * US_PER_MS;
}

static void
rest_until(int64 until)
{
	begin_step(STEP_RESTING, until);
	while (!ShutdownRequestPending && !ConfigReloadPending)
	{
		int64 left = until - clock_now_us();

		/* It is no part of the probe, but waits where the probe may wait. */
		if (sync_names_take_stir() && !RecoveryInProgress())
			write_wal(true);
		if (left <= 0)
			break;
		WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
				  (long) (left / US_PER_MS) + 1, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

extern PGDLLEXPORT void pgcluster_probe_main(Datum arg);

void
pgcluster_probe_main(Datum arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGUSR1, procsignal_sigusr1_handler);
	BackgroundWorkerUnblockSignals();
	sync_names_stirred_by(MyLatch);

	while (!ShutdownRequestPending)
	{
		int64 rest = config_probe_timeout > 0 ? take_round() : REST_MAX_MS * US_PER_MS;

		rest_until(clock_now_us() + rest);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
	proc_exit(1);
}

void
probe_init(void)
{
	BackgroundWorker worker = {0};

	shmem_register(&probe_area);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = 1;
	strlcpy(worker.bgw_library_name, "pgcluster", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "pgcluster_probe_main", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "pgcluster probe", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "pgcluster probe", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}
