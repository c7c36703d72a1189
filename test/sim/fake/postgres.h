/*-------------------------------------------------------------------------
 * postgres.h
 *	  The server as far as the files of src/ha/ need it, for the simulator.
 *
 * Stands in for postgres.h and all other headers of the server, which are
 * empty files in the build directory.  A process of the server is a task of
 * world.c here; what a process has for itself is switched with the task.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SIM_POSTGRES_H
#define PGCLUSTER_SIM_POSTGRES_H

/* base/clock.h reads the made-up clock of the machine that the task runs on. */
#define clock_gettime sim_clock_gettime

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

typedef int64_t int64;
typedef uint64_t uint64;
typedef int32_t int32;
typedef uint32_t uint32;
typedef size_t Size;
typedef uintptr_t Datum;
typedef int64 TimestampTz;
typedef uint64 XLogRecPtr;
typedef uint32 TimeLineID;

#define InvalidXLogRecPtr 0
#define INT64CONST(x) INT64_C(x)
#define UINT64_FORMAT "%" PRIu64
#define PRIu64 "lu"
#define LSN_FORMAT_ARGS(lsn) ((uint32) ((lsn) >> 32)), ((uint32) (lsn))
#define PG_UINT32_MAX UINT32_MAX
#define PG_INT64_MAX INT64_MAX
#define Min(x, y) ((x) < (y) ? (x) : (y))
#define Max(x, y) ((x) > (y) ? (x) : (y))
#define lengthof(array) (sizeof(array) / sizeof((array)[0]))
#define PGDLLEXPORT

static inline size_t
sim_strlcpy(char *to, const char *from, size_t size)
{
	size_t length = strlen(from);
	size_t copied = length < size ? length : size - 1;

	memcpy(to, from, copied);
	to[copied] = '\0';
	return length;
}
#define strlcpy sim_strlcpy
#define pg_strcasecmp strcasecmp

/* Of short words. */
static inline int
sim_strcmp(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b)
	{
		a++;
		b++;
	}
	return *(const unsigned char *) a - *(const unsigned char *) b;
}
#define strcmp sim_strcmp

/* Memory */
typedef struct MemoryContextData *MemoryContext;
extern MemoryContext CurrentMemoryContext;
extern MemoryContext sim_top_context(void);
extern MemoryContext sim_context_create(MemoryContext parent);
extern void MemoryContextReset(MemoryContext context);
extern void *MemoryContextAllocZero(MemoryContext context, Size size);
extern char *MemoryContextStrdup(MemoryContext context, const char *text);
extern void *palloc(Size size);
extern void *palloc0(Size size);
extern char *pstrdup(const char *text);
extern char *psprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define pfree(pointer) ((void) (pointer))
#define ALLOCSET_DEFAULT_SIZES 0
#define AllocSetContextCreate(parent, name, sizes) sim_context_create(parent)
#define TopMemoryContext sim_top_context()

static inline MemoryContext
MemoryContextSwitchTo(MemoryContext context)
{
	MemoryContext former = CurrentMemoryContext;

	CurrentMemoryContext = context;
	return former;
}

/* Messages: only that there was one.  ERROR does not return. */
#define DEBUG1 14
#define LOG 15
#define ERROR 21
#define ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE 1
#define ERRCODE_UNDEFINED_OBJECT 2
extern void sim_report(int level, const char *file, int line);
#define ereport(level, ...) sim_report((level), __FILE__, __LINE__)
#define elog(level, ...) sim_report((level), __FILE__, __LINE__)
#undef sigsetjmp
#define sigsetjmp(buffer, mask) _setjmp(buffer)
extern sigjmp_buf *PG_exception_stack;
extern void *error_context_stack;
#define PG_TRY()                                      \
	do                                                \
	{                                                 \
		sigjmp_buf *outer_stack = PG_exception_stack; \
		sigjmp_buf own_stack;                         \
		if (_setjmp(own_stack) == 0)                  \
		{                                             \
			PG_exception_stack = &own_stack
#define PG_CATCH()                    \
	PG_exception_stack = outer_stack; \
	}                                 \
	else                              \
	{                                 \
		PG_exception_stack = outer_stack
#define PG_END_TRY() \
	}                \
	}                \
	while (0)
#define StaticAssertDecl(condition, message) _Static_assert(condition, message)
#define HOLD_INTERRUPTS() ((void) 0)
#define RESUME_INTERRUPTS() ((void) 0)
#define CHECK_FOR_INTERRUPTS() ((void) 0)
#define EmitErrorReport() ((void) 0)
#define FlushErrorState() ((void) 0)
#define AtEOXact_Files(commit) ((void) 0)
#define pgstat_report_wait_end() ((void) 0)

/* Shared memory: one task runs at a time, so that locks have nothing to do. */
typedef struct pg_atomic_uint64
{
	uint64 value;
} pg_atomic_uint64;
#define pg_memory_barrier() ((void) 0)
#define pg_atomic_read_u64(a) ((a)->value)
#define pg_atomic_write_u64(a, v) ((a)->value = (v))
#define pg_atomic_fetch_add_u64(a, n) ((a)->value += (n))

typedef struct LWLock
{
	int unused;
} LWLock;
#define LW_EXCLUSIVE 0
#define LW_SHARED 1
#define LWLockAcquire(lock, mode) ((void) (lock))
#define LWLockRelease(lock) ((void) (lock))
#define LWLockReleaseAll() ((void) 0)

typedef struct ConditionVariable
{
	int unused;
} ConditionVariable;
extern void ConditionVariableBroadcast(ConditionVariable *cv);
#define ConditionVariableCancelSleep() ((void) 0)

/* Processes */
typedef struct Latch
{
	bool is_set;
} Latch;
#define WL_LATCH_SET 1
#define WL_TIMEOUT 8
#define WL_POSTMASTER_DEATH 16
#define PG_WAIT_EXTENSION 0
extern int WaitLatch(Latch *latch, int events, long timeout_ms, uint32 info);
extern void ResetLatch(Latch *latch);
extern Latch *sim_latch(void);
extern bool *sim_shutdown_pending(void);
extern bool sim_reload_pending;
#define MyLatch sim_latch()
#define MyProcPid 1
#define ShutdownRequestPending (*sim_shutdown_pending())
#define ConfigReloadPending sim_reload_pending
#define PGC_SIGHUP 0
#define ProcessConfigFile(context) ((void) 0)
#define pqsignal(number, handler) ((void) 0)
#define BackgroundWorkerUnblockSignals() ((void) 0)
#define before_shmem_exit(callback, arg) ((void) (callback))
extern void proc_exit(int code) __attribute__((noreturn));
extern void pg_usleep(long us);

#define BGW_MAXLEN 96
#define BGWORKER_SHMEM_ACCESS 1
#define BgWorkerStart_PostmasterStart 0
typedef struct BackgroundWorker
{
	char bgw_name[BGW_MAXLEN];
	char bgw_type[BGW_MAXLEN];
	int bgw_flags;
	int bgw_start_time;
	int bgw_restart_time;
	char bgw_library_name[BGW_MAXLEN];
	char bgw_function_name[BGW_MAXLEN];
} BackgroundWorker;
#define RegisterBackgroundWorker(worker) ((void) (worker))

/* Recovery */
typedef enum RecoveryState
{
	RECOVERY_STATE_CRASH,
	RECOVERY_STATE_ARCHIVE,
	RECOVERY_STATE_DONE
} RecoveryState;
#define EnableHotStandby true
extern RecoveryState GetRecoveryState(void);
extern XLogRecPtr GetFlushRecPtr(TimeLineID *timeline);
extern XLogRecPtr GetWalRcvFlushRecPtr(XLogRecPtr *start, TimeLineID *timeline);
extern XLogRecPtr GetXLogReplayRecPtr(TimeLineID *timeline);
extern bool HotStandbyActive(void);
extern bool PromoteIsTriggered(void);
extern uint64 GetSystemIdentifier(void);
extern TimestampTz GetCurrentTimestamp(void);

#endif
