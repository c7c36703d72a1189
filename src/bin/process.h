/*-------------------------------------------------------------------------
 * process.h
 *	  Child processes and signals.
 *
 * Signals are blocked all the time and taken out one by one where this
 * program waits, so nothing ever runs in a signal handler.  A signal that
 * asks the program to stop is remembered: waits return at once from then on.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BIN_PROCESS_H
#define PGCLUSTER_BIN_PROCESS_H

#include <sys/types.h>

/* Blocks the signals and makes orphaned grandchildren ours. */
extern void process_init(void);

/*
 * Waits until a signal came (its number) or timeout_ms passed (0).
 */
extern int process_wait_signal(int timeout_ms);

/* The first signal that asked the program to stop; 0: none did. */
extern int process_stop_signal(void);

/* False when the program was asked to stop meanwhile. */
extern bool process_sleep(int ms);

/* Called about once a second while anything is waited for; NULL: nothing. */
extern void (*process_tick)(void);

/*
 * Starts a program with a list of arguments that ends with NULL.  "input" is
 * its standard input, -1: none.  It gets death_signal if this program dies.
 */
extern pid_t process_start(const char *const *argv, int input, int death_signal);

typedef enum ProcessResult
{
	PROCESS_OK,
	PROCESS_FAILED,
	PROCESS_STOPPED /* this program was asked to stop, and the child was stopped */
} ProcessResult;

/*
 * Runs a program to its end.  "input" is a text for its standard input or
 * NULL; with "quiet" its standard output is dropped.
 */
extern ProcessResult process_run(const char *const *argv, const char *input, bool quiet);

/*
 * Runs a program to its end and returns the first line of what it wrote,
 * which the caller frees; NULL when it failed.
 */
extern char *process_read_line(const char *const *argv);

/* Says in words how a process ended. */
extern const char *process_describe(int status);

/*
 * Calls fn for each process that runs "program" (a file name without path)
 * in the directory; both as the kernel shows them.
 */
extern void process_for_each(const char *program, const char *directory,
							 void (*fn)(pid_t pid, void *arg), void *arg);

/*
 * Waits until no process is left whose parent we are, as all become whom
 * the postmaster leaves behind; asks, then forces, those that stay.
 */
extern void process_end_orphans(void);

#endif
