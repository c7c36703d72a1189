/*-------------------------------------------------------------------------
 * process.c
 *	  Child processes and signals.
 *
 * As a "subreaper" this program becomes the parent of the processes of a
 * postmaster that died, so that it sees when the last one has let go of the
 * shared memory: before that a new postmaster refuses to start.
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/logging.h"

#include "notify.h"
#include "process.h"

#define TICK_MS 1000

/* Left-over processes end by themselves within the first, on SIGQUIT within the second. */
#define ORPHAN_GRACE_MS 1500
#define ORPHAN_QUIT_MS 3000

void (*process_tick)(void) = NULL;

static sigset_t handled;
static int stop_signal = 0;

void
process_init(void)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGCHLD};

	sigemptyset(&handled);
	for (size_t i = 0; i < lengthof(signals); i++)
		sigaddset(&handled, signals[i]);
	if (sigprocmask(SIG_BLOCK, &handled, NULL) != 0)
		pg_fatal("could not block signals: %m");
	signal(SIGPIPE, SIG_IGN);

	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		pg_fatal("could not become the parent of orphaned processes: %m");
}

static int64
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
tick(void)
{
	static int64 last = 0;
	int64 now = now_ms();

	if (process_tick != NULL && now - last >= TICK_MS)
	{
		last = now;
		process_tick();
	}
}

int
process_wait_signal(int timeout_ms)
{
	int64 end = now_ms() + timeout_ms;

	for (;;)
	{
		int64 left = end - now_ms();
		int64 nap = Min(Max(left, 0), TICK_MS);
		struct timespec ts = {nap / 1000, (nap % 1000) * 1000000};
		int sig = sigtimedwait(&handled, NULL, &ts);

		tick();
		if (sig == SIGTERM || sig == SIGINT || sig == SIGQUIT)
		{
			if (stop_signal == 0)
				stop_signal = sig;
		}
		if (sig > 0)
			return sig;
		if (left <= 0)
			return 0;
	}
}

int
process_stop_signal(void)
{
	return stop_signal;
}

bool
process_sleep(int ms)
{
	int64 end = now_ms() + ms;

	while (stop_signal == 0 && now_ms() < end)
		process_wait_signal(end - now_ms());
	return stop_signal == 0;
}

static pid_t
start(const char *const *argv, int input, int output, int death_signal)
{
	pid_t parent = getpid();
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		pg_fatal("could not start \"%s\": %m", argv[0]);
	if (pid > 0)
		return pid;

	prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
	if (input < 0)
		input = open("/dev/null", O_RDONLY);
	dup2(input, STDIN_FILENO);
	if (output >= 0)
		dup2(output, STDOUT_FILENO);
	notify_forget();
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &handled, NULL);
	execv(argv[0], (char *const *) argv);
	pg_log_error("could not run \"%s\": %m", argv[0]);
	_exit(127);
}

pid_t
process_start(const char *const *argv, int input, int death_signal)
{
	return start(argv, input, -1, death_signal);
}

/* The text must fit into a pipe, so that writing it waits for nobody. */
static int
make_input(const char *text)
{
	int ends[2];
	size_t length = strlen(text);

	if (pipe2(ends, O_CLOEXEC) != 0)
		pg_fatal("could not create a pipe: %m");
	if (write(ends[1], text, length) != (ssize_t) length)
		pg_fatal("could not write to a pipe: %m");
	close(ends[1]);
	return ends[0];
}

static ProcessResult
run(const char *const *argv, int in, int out)
{
	pid_t pid = start(argv, in, out, SIGTERM);
	int status;

	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);

	while (waitpid(pid, &status, WNOHANG) == 0)
	{
		process_wait_signal(TICK_MS);
		if (stop_signal != 0)
			kill(pid, SIGTERM);
	}
	if (stop_signal != 0)
		return PROCESS_STOPPED;
	if (status != 0)
	{
		pg_log_error("\"%s\" %s", last_dir_separator(argv[0]) + 1, process_describe(status));
		return PROCESS_FAILED;
	}
	return PROCESS_OK;
}

ProcessResult
process_run(const char *const *argv, const char *input, bool quiet)
{
	int in = input ? make_input(input) : -1;
	int out = quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;

	return run(argv, in, out);
}

/* What the program writes must fit into a pipe: it is read when all is there. */
char *
process_read_line(const char *const *argv)
{
	char line[1024] = "";
	int ends[2];
	ssize_t length;

	if (pipe2(ends, O_CLOEXEC) != 0)
		pg_fatal("could not create a pipe: %m");
	if (run(argv, -1, ends[1]) != PROCESS_OK)
	{
		close(ends[0]);
		return NULL;
	}
	length = read(ends[0], line, sizeof(line) - 1);
	close(ends[0]);
	if (length < 0)
		pg_fatal("could not read from a pipe: %m");
	line[strcspn(line, "\n")] = '\0';
	return pg_strdup(line);
}

const char *
process_describe(int status)
{
	static char text[64];

	if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "was ended by signal %d", WTERMSIG(status));
	else
		snprintf(text, sizeof(text), "ended with status %d", WEXITSTATUS(status));
	return text;
}

/* Calls fn for each process there is. */
static void
for_each_process(void (*fn)(pid_t pid, void *arg), void *arg)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (proc == NULL)
		pg_fatal("could not open directory \"/proc\": %m");
	while ((entry = readdir(proc)) != NULL)
	{
		pid_t pid = atoi(entry->d_name);

		if (pid > 0 && pid != getpid())
			fn(pid, arg);
	}
	closedir(proc);
}

typedef struct ProgramSearch
{
	const char *program;
	const char *directory;
	void (*fn)(pid_t pid, void *arg);
	void *arg;
} ProgramSearch;

/* False when the process is gone or another user's. */
static bool
read_process_link(pid_t pid, const char *name, char *target, size_t size)
{
	char path[64];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, name);
	length = readlink(path, target, size - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	return true;
}

static void
match_program(pid_t pid, void *arg)
{
	const ProgramSearch *search = arg;
	char directory[MAXPGPATH];
	char program[MAXPGPATH];
	char *name;

	if (!read_process_link(pid, "cwd", directory, sizeof(directory)) ||
		strcmp(directory, search->directory) != 0 ||
		!read_process_link(pid, "exe", program, sizeof(program)))
		return;
	/* A program that was replaced since is followed by " (deleted)". */
	name = last_dir_separator(program);
	if (name == NULL)
		return;
	name[1 + strcspn(name + 1, " ")] = '\0';
	if (strcmp(name + 1, search->program) == 0)
		search->fn(pid, search->arg);
}

void
process_for_each(const char *program, const char *directory, void (*fn)(pid_t pid, void *arg),
				 void *arg)
{
	ProgramSearch search = {program, directory, fn, arg};

	for_each_process(match_program, &search);
}

/* A zombie among them is none the worse for it. */
static void
signal_if_child(pid_t pid, void *arg)
{
	char path[64];
	char line[512];
	int parent;
	const char *after_name;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
	file = fopen(path, "r");
	if (file == NULL)
		return;
	if (fgets(line, sizeof(line), file) != NULL && (after_name = strrchr(line, ')')) != NULL &&
		sscanf(after_name + 1, " %*c %d", &parent) == 1 && parent == getpid())
		kill(pid, *(int *) arg);
	fclose(file);
}

void
process_end_orphans(void)
{
	int64 began = now_ms();
	int64 last_signal = began;

	for (;;)
	{
		pid_t pid = waitpid(-1, NULL, WNOHANG);
		int64 now = now_ms();

		if (pid < 0)
			return;
		if (pid > 0)
			continue;
		if (now - began > ORPHAN_GRACE_MS && now - last_signal > 200)
		{
			int sig = now - began > ORPHAN_QUIT_MS ? SIGKILL : SIGQUIT;

			for_each_process(signal_if_child, &sig);
			last_signal = now;
		}
		process_wait_signal(50);
	}
}
