/*-------------------------------------------------------------------------
 * world.c
 *	  Time, chance, tasks and memory.
 *
 * Time is a number that jumps to the next event.  A process is a task with a
 * stack of its own that gives way only where it waits, or where a fault
 * pauses it: at a read of the clock, before or after the time was taken.
 * All randomness comes from one generator, so that a seed is a schedule.
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#include <ucontext.h>

#include "base/config.h"

#define STACK_SIZE (128 * 1024)
#define ARENA_SIZE (1024 * 1024)

int64 world_now;
bool world_tracing = false;
bool world_failed;
char world_failure[512];
Member *self;

/*
 * Memory of a schedule
 */

typedef struct Block
{
	struct Block *next;
	size_t size;
	size_t used;
	char data[];
} Block;

static Block *blocks = NULL;

static Block *
block_create(size_t size, Block *next)
{
	Block *block = malloc(sizeof(Block) + size);

	if (block == NULL)
		abort();
	block->next = next;
	block->size = size;
	block->used = 0;
	return block;
}

static void *
block_alloc(Block **list, size_t size, size_t usual)
{
	void *memory;

	size = (size + 15) & ~(size_t) 15;
	if (*list == NULL || (*list)->size - (*list)->used < size)
		*list = block_create(Max(size, usual), *list);
	memory = (*list)->data + (*list)->used;
	(*list)->used += size;
	return memory;
}

/* Frees all blocks but the oldest, which is emptied. */
static void
block_reset(Block **list)
{
	while (*list != NULL && (*list)->next != NULL)
	{
		Block *next = (*list)->next;

		free(*list);
		*list = next;
	}
	if (*list != NULL)
		(*list)->used = 0;
}

void *
world_alloc(size_t size)
{
	void *memory = block_alloc(&blocks, size, ARENA_SIZE);

	memset(memory, 0, size);
	return memory;
}

const char *
world_text(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(world_alloc(size), text, size);
}

/*
 * Memory of a process
 */

struct MemoryContextData
{
	MemoryContext next; /* of the same process */
	Block *blocks;
};

MemoryContext CurrentMemoryContext;

MemoryContext
sim_context_create(MemoryContext parent)
{
	MemoryContext context = calloc(1, sizeof(*context));

	if (parent != NULL)
	{
		context->next = parent->next;
		parent->next = context;
	}
	return context;
}

void
MemoryContextReset(MemoryContext context)
{
	block_reset(&context->blocks);
}

void *
palloc(Size size)
{
	return block_alloc(&CurrentMemoryContext->blocks, size, 32 * 1024);
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
}

void *
MemoryContextAllocZero(MemoryContext context, Size size)
{
	return memset(block_alloc(&context->blocks, size, 32 * 1024), 0, size);
}

char *
MemoryContextStrdup(MemoryContext context, const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(block_alloc(&context->blocks, size, 32 * 1024), text, size);
}

char *
pstrdup(const char *text)
{
	return MemoryContextStrdup(CurrentMemoryContext, text);
}

char *
psprintf(const char *format, ...)
{
	char text[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return pstrdup(text);
}

/* Frees what a process had, which must not be running. */
void
process_free(Process *p)
{
	MemoryContext next;

	for (MemoryContext c = p->top; c != NULL; c = next)
	{
		next = c->next;
		block_reset(&c->blocks);
		free(c->blocks);
		free(c);
	}
	free(p);
}

/*
 * Chance
 */

static uint64 chance_state;

uint64
chance_next(void)
{
	uint64 z = (chance_state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Both ends included. */
int64
chance_between(int64 low, int64 high)
{
	return high <= low ? low : low + (int64) (chance_next() % (uint64) (high - low + 1));
}

bool
chance_of(int permille)
{
	return chance_next() % 1000 < (uint64) permille;
}

uint64
chance_swap(uint64 state)
{
	uint64 former = chance_state;

	chance_state = state;
	return former;
}

/*
 * Events
 */

typedef struct Event
{
	int64 when;
	uint64 serial;
	EventFn fn;
	void *a;
	int64 b;
} Event;

static Event *heap = NULL;
static int nevents;
static int heap_size = 0;
static uint64 event_serial;
static uint64 digest;

static bool
is_sooner(const Event *x, const Event *y)
{
	return x->when < y->when || (x->when == y->when && x->serial < y->serial);
}

void
world_at(int64 when, EventFn fn, void *a, int64 b)
{
	Event event = {Max(when, world_now), event_serial++, fn, a, b};
	int i = nevents++;

	if (nevents > heap_size)
	{
		heap_size = Max(heap_size * 2, 1024);
		heap = realloc(heap, heap_size * sizeof(Event));
		if (heap == NULL)
			abort();
	}
	while (i > 0 && is_sooner(&event, &heap[(i - 1) / 2]))
	{
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = event;
}

static Event
take_event(void)
{
	Event first = heap[0];
	Event last = heap[--nevents];
	int i = 0;

	for (;;)
	{
		int child = 2 * i + 1;

		if (child >= nevents)
			break;
		if (child + 1 < nevents && is_sooner(&heap[child + 1], &heap[child]))
			child++;
		if (!is_sooner(&heap[child], &last))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = last;
	return first;
}

uint64
world_digest(void)
{
	return digest;
}

bool
world_step(void)
{
	Event event;

	if (nevents == 0 || world_failed)
		return false;
	event = take_event();
	world_now = event.when;
	digest = (digest ^ (uint64) event.when ^ chance_state) * UINT64_C(0x100000001b3);
	event.fn(event.a, event.b);
	return !world_failed;
}

/*
 * Tasks
 */

struct Task
{
	Member *home;
	Process *process;
	void (*main)(void *);
	void *arg;
	bool alive;
	bool woken;
	bool waiting;
	uint64 wait_serial;
	int64 until;
	char *stack;
	bool started;
	ucontext_t start;
	jmp_buf where;
	MemoryContext context;
	sigjmp_buf *on_error;
};

sigjmp_buf *PG_exception_stack;
void *error_context_stack;
bool sim_reload_pending = false;

static Task *current = NULL;
static Task **tasks = NULL; /* all of this schedule */
static int ntasks = 0;
static int tasks_size = 0;
static char **stacks = NULL; /* free ones */
static int nstacks = 0;
static int stacks_size = 0;
static jmp_buf scheduler;
static ucontext_t scheduler_context;

static void
give_stack_back(Task *task)
{
	if (task->stack == NULL)
		return;
	if (nstacks == stacks_size)
	{
		stacks_size = Max(stacks_size * 2, 64);
		stacks = realloc(stacks, stacks_size * sizeof(char *));
	}
	stacks[nstacks++] = task->stack;
	task->stack = NULL;
}

static char *
take_stack(void)
{
	char *stack = nstacks > 0 ? stacks[--nstacks] : malloc(STACK_SIZE);

	if (stack == NULL)
		abort();
	return stack;
}

Task *
task_current(void)
{
	return current;
}

static void
task_body(void)
{
	current->main(current->arg);
	task_exit();
}

static void
enter(Task *task)
{
	self = task->home;
	ha_shared = self->shared;
	config_node_name = self->name;
	sim_agent = task->process ? &task->process->agent : NULL;
	CurrentMemoryContext = task->context;
	PG_exception_stack = task->on_error;
	current = task;
	if (_setjmp(scheduler) == 0)
	{
		if (task->started)
			_longjmp(task->where, 1);
		task->started = true;
		task->stack = take_stack();
		getcontext(&task->start);
		task->start.uc_stack.ss_sp = task->stack;
		task->start.uc_stack.ss_size = STACK_SIZE;
		task->start.uc_link = NULL;
		makecontext(&task->start, task_body, 0);
		swapcontext(&scheduler_context, &task->start);
	}
	if (!current->alive)
		give_stack_back(current);
	current = NULL;
	self = NULL;
}

static void
resume(void *a, int64 serial)
{
	Task *task = a;
	int64 paused;

	if (!task->alive || !task->waiting || task->wait_serial != (uint64) serial)
		return;
	paused = member_paused_until(task->home, task->process);
	if (paused > world_now)
	{
		world_at(paused, resume, task, serial);
		return;
	}
	task->waiting = false;
	enter(task);
}

Task *
task_start(Member *home, Process *process, void (*main)(void *), void *arg)
{
	Task *task = world_alloc(sizeof(Task));

	if (ntasks == tasks_size)
	{
		tasks_size = Max(tasks_size * 2, 64);
		tasks = realloc(tasks, tasks_size * sizeof(Task *));
	}
	tasks[ntasks++] = task;
	task->home = home;
	task->process = process;
	task->main = main;
	task->arg = arg;
	task->alive = true;
	task->waiting = true;
	task->context = process ? process->top : NULL;
	world_at(world_now, resume, task, (int64) task->wait_serial);
	return task;
}

bool
task_wait(int64 until)
{
	Task *task = current;

	task->waiting = true;
	task->woken = false;
	task->wait_serial++;
	if (until != NEVER)
		world_at(until, resume, task, (int64) task->wait_serial);
	task->context = CurrentMemoryContext;
	task->on_error = PG_exception_stack;
	if (_setjmp(task->where) == 0)
		_longjmp(scheduler, 1);
	return task->woken;
}

void
task_sleep(int64 us)
{
	int64 until = world_now + us;

	while (world_now < until)
		task_wait(until);
}

void
task_wake(Task *task)
{
	if (task == NULL || !task->alive || !task->waiting)
		return;
	task->woken = true;
	world_at(world_now, resume, task, (int64) task->wait_serial);
}

void
task_kill(Task *task)
{
	if (task == NULL || !task->alive)
		return;
	task->alive = false;
	if (task != current)
		give_stack_back(task);
}

void
task_exit(void)
{
	current->alive = false;
	_longjmp(scheduler, 1);
}

/*
 * The clock of a machine
 */

int64
member_clock(const Member *m)
{
	return m->clock_base + world_now + world_now / 1000 * m->ppm / 1000;
}

int64
member_paused_until(const Member *m, const Process *p)
{
	return Max(m->paused_until, p ? p->paused_until : 0);
}

static bool
counts_down(int *counter)
{
	return *counter > 0 && --*counter == 0;
}

static void
pause_where_due(Process *p)
{
	if (counts_down(&p->pause_in))
	{
		p->paused_until = world_now + p->pause_for;
		world_trace("%s: the agent is paused for %ld ms", self->name, (long) (p->pause_for / MS));
	}
	if (counts_down(&self->pause_in))
	{
		self->paused_until = world_now + self->pause_for;
		world_trace("%s: the machine is paused for %ld ms", self->name,
					(long) (self->pause_for / MS));
	}
	while (member_paused_until(self, p) > world_now)
		task_wait(member_paused_until(self, p));
}

/* Stands still where a fault wants it. */
static inline void
maybe_pause(void)
{
	Process *p = current->process;

	if (p != NULL && (p->pause_in > 0 || self->pause_in > 0 || p->paused_until > world_now ||
					  self->paused_until > world_now))
		pause_where_due(p);
}

int
sim_clock_gettime(clockid_t clock, struct timespec *ts)
{
	int64 now;

	maybe_pause();
	now = member_clock(self);
	ts->tv_sec = now / SECOND;
	ts->tv_nsec = now % SECOND * 1000;
	maybe_pause();
	if (current->process != NULL && counts_down(&current->process->throw_in))
		sim_report(ERROR, __FILE__, __LINE__);
	return 0;
}

void
sim_report(int level, const char *file, int line)
{
	if (level < ERROR)
		return;
	world_trace("%s: an error in the agent", self->name);
	if (PG_exception_stack == NULL)
		abort();
	_longjmp(*PG_exception_stack, 1);
}

/*
 * The beginning, and what is told
 */

void
world_begin(uint64 seed)
{
	for (int i = 0; i < ntasks; i++)
		give_stack_back(tasks[i]);
	ntasks = 0;
	block_reset(&blocks);
	nevents = 0;
	event_serial = 0;
	digest = 0;
	world_now = 0;
	world_failed = false;
	chance_state = seed * UINT64_C(0xd1342543de82ef95) + 1;
}

void
world_trace(const char *format, ...)
{
	va_list args;

	if (!world_tracing)
		return;
	printf("%10.6f  ", world_now / 1e6);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void
world_fail(const char *format, ...)
{
	va_list args;

	if (world_failed)
		return;
	world_failed = true;
	va_start(args, format);
	vsnprintf(world_failure, sizeof(world_failure), format, args);
	va_end(args);
	world_trace("VIOLATION: %s", world_failure);
}
