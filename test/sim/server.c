/*-------------------------------------------------------------------------
 * server.c
 *	  PostgreSQL: WAL, timelines, replication, recovery, promotion, the
 *	  postmaster and its agent; and pgcluster_node, which rewinds.
 *
 * WAL is a tree of records: a primary appends to its own, a standby moves
 * along its upstream's.  Whether a standby may stream is judged as the server
 * does it, by timeline and position alone; that its records really lie on the
 * upstream's branch is an invariant.
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#include "base/config.h"
#include "ha/probe.h"
#include "ha/parameters.h"
#include "ha/settings.h"
#include "ha/slots.h"

#define MAX_RECORDS 65536
#define MAX_PROCESSES 1024
#define RETRY_WAL_US (100 * MS)
#define SESSION_TIMEOUT_US (5 * SECOND)
#define SYSTEM_IDENTIFIER 7

Record *records = NULL;
static int nrecords;
Member members[MAX_MEMBERS];
int nmembers;
int nservers;
int sync_standbys;
HaShared *ha_shared;
char *config_node_name;
char *config_tags = "";
char *config_etcd_endpoints = "store";
static int timeline_records[MAX_TIMELINES]; /* the first record of each; -1: not used */
static Process *processes[MAX_PROCESSES];
static int nprocesses;

extern void pgcluster_agent_main(Datum arg);

static void start_server(Member *m);
static void start_agent(void *a, int64 run);

/*
 * WAL
 */

static int
add_record(int parent, uint32 timeline, uint64 lsn)
{
	int depth = parent < 0 ? 0 : records[parent].depth + 1;

	if (nrecords == MAX_RECORDS)
		abort();
	records[nrecords] = (Record){parent, depth, timeline, lsn, false, 0};
	return nrecords++;
}

bool
server_is_ancestor(int older, int newer)
{
	while (records[newer].depth > records[older].depth)
		newer = records[newer].parent;
	return newer == older;
}

/* Where a timeline that lies on the way to "record" ends, or 0. */
static uint64
timeline_end(int record, uint32 timeline)
{
	for (int r = record; r >= 0; r = records[r].parent)
		if (records[r].timeline == timeline)
			return records[r].lsn;
	return 0;
}

static bool
backends_run(const Member *m)
{
	return m->phase == PHASE_PRIMARY;
}

/*
 * Replication
 */

static void wal_written(void *a, int64 b);

typedef struct WalMessage
{
	Member *standby;
	int serial;
	int record;
} WalMessage;

static void
end_session(Member *m)
{
	m->session.alive = false;
	m->session.serial++;
}

static void
end_sessions_of(Member *upstream)
{
	for (int i = 0; i < nmembers; i++)
		if (members[i].session.alive && members[i].session.upstream == upstream->id)
			end_session(&members[i]);
}

static void
send_wal(Member *upstream, Member *m)
{
	WalMessage *message = world_alloc(sizeof(*message));

	*message = (WalMessage){m, m->session.serial, upstream->head};
	net_send_late(upstream->id, m->id, chance_between(50, 500) + m->disk_delay, wal_written,
				  message, 0);
}

static void
send_wal_to_all(Member *upstream)
{
	for (int i = 0; i < nmembers; i++)
		if (members[i].session.alive && members[i].session.upstream == upstream->id)
			send_wal(upstream, &members[i]);
}

static void
wal_confirmed(void *a, int64 b)
{
	WalMessage *message = a;
	Session *s = &message->standby->session;

	if (s->alive && s->serial == message->serial &&
		records[message->record].depth > records[s->flushed].depth)
	{
		s->flushed = message->record;
		sync_confirmed(message->standby);
	}
}

static void
wal_written(void *a, int64 b)
{
	WalMessage *message = a;
	Member *m = message->standby;

	if (!m->session.alive || m->session.serial != message->serial || m->phase != PHASE_STANDBY)
		return;
	if (member_paused_until(m, NULL) > world_now)
	{
		world_at(member_paused_until(m, NULL), wal_written, a, b);
		return;
	}
	if (records[message->record].depth <= records[m->head].depth)
		return;
	if (server_disk_is_full(m))
	{
		end_session(m);
		return;
	}
	if (!server_is_ancestor(m->head, message->record))
	{
		world_fail("%s takes WAL that does not continue its own", m->name);
		return;
	}
	m->head = message->record;
	m->replayed = m->head;
	if (m->consistent_at >= 0 && records[m->head].depth >= records[m->consistent_at].depth)
		m->consistent_at = -1;
	net_send(m->id, m->session.upstream, wal_confirmed, message, 0);
	send_wal_to_all(m);
}

/* The history files that a standby asks for. */
static void
fetch_history(Member *m, const Member *upstream)
{
	for (int r = upstream->head; r >= 0; r = records[r].parent)
		if (m->files[records[r].timeline] != FILE_REAL)
			m->files[records[r].timeline] = FILE_REAL;
}

/* As a walsender judges who asks to stream. */
static bool
may_stream(const Member *m, const Member *upstream)
{
	const Record *own = &records[m->head];

	if (own->timeline == records[upstream->head].timeline)
		return own->lsn <= records[upstream->head].lsn;
	return own->lsn <= timeline_end(upstream->head, own->timeline);
}

static void
try_to_stream(Member *m)
{
	Member *u;

	if (m->upstream < 0)
		return;
	m->asked_for_wal = true;
	u = &members[m->upstream];
	if (u == m || u->system_identifier != m->system_identifier || !u->postmaster || u->stopping ||
		!net_open(m->id, u->id) || member_paused_until(u, NULL) > world_now ||
		!(u->phase == PHASE_PRIMARY || (u->phase == PHASE_STANDBY && u->consistent)))
		return;
	fetch_history(m, u);
	if (!may_stream(m, u))
		return;
	m->session.alive = true;
	m->session.serial++;
	m->session.upstream = u->id;
	m->session.flushed = m->head;
	m->session.unheard_since = 0;
	sync_session_starts(m);
	sync_confirmed(m);
	m->replayed = m->head;
	world_trace("%s: streams from %s", m->name, u->name);
	send_wal(u, m);
}

static void
keep_session(Member *m)
{
	Session *s = &m->session;
	Member *u = &members[s->upstream];

	if (u->upstream == m->id && u->session.alive)
		return;
	if (net_open(m->id, u->id) && member_paused_until(u, NULL) <= world_now)
		s->unheard_since = 0;
	else if (s->unheard_since == 0)
		s->unheard_since = world_now;
	else if (world_now - s->unheard_since > SESSION_TIMEOUT_US)
		end_session(m);
	if (s->alive && u->head != m->head)
		send_wal(u, m);
}

/* The walreceiver, and the clock that has what was lost sent again. */
static void
receive(void *a, int64 run)
{
	Member *m = a;

	if (m->run != run || m->phase != PHASE_STANDBY || m->promoting)
		return;
	if (member_paused_until(m, NULL) <= world_now)
	{
		if (!m->session.alive)
			try_to_stream(m);
		else
			keep_session(m);
	}
	world_at(world_now + (m->session.alive ? 2 : 1) * RETRY_WAL_US, receive, m, run);
}

int
server_append(Member *m)
{
	const Record *last = &records[m->head];

	m->head = add_record(m->head, last->timeline, last->lsn + (uint64) chance_between(1, 2000) * 8);
	send_wal_to_all(m);
	return m->head;
}

/* A primary writes WAL without any commit, fence or not. */
static void
write_noise(void *a, int64 run)
{
	Member *m = a;

	if (m->run != run || m->phase != PHASE_PRIMARY)
		return;
	if (member_paused_until(m, NULL) <= world_now && !server_disk_is_full(m))
		server_append(m);
	world_at(world_now + chance_between(200 * MS, 3 * SECOND), write_noise, m, run);
}

/*
 * What the agent asks of the server
 */

RecoveryState
GetRecoveryState(void)
{
	switch (self->phase)
	{
		case PHASE_PRIMARY:
			return RECOVERY_STATE_DONE;
		case PHASE_STANDBY:
			return RECOVERY_STATE_ARCHIVE;
		default:
			return RECOVERY_STATE_CRASH;
	}
}

XLogRecPtr
GetFlushRecPtr(TimeLineID *timeline)
{
	*timeline = records[self->head].timeline;
	return records[self->head].lsn;
}

XLogRecPtr
GetWalRcvFlushRecPtr(XLogRecPtr *start, TimeLineID *timeline)
{
	if (!self->session.alive)
		return 0;
	return GetFlushRecPtr(timeline);
}

XLogRecPtr
GetXLogReplayRecPtr(TimeLineID *timeline)
{
	*timeline = records[self->replayed].timeline;
	return records[self->replayed].lsn;
}

bool
HotStandbyActive(void)
{
	return self->consistent && self->consistent_at < 0;
}

bool
PromoteIsTriggered(void)
{
	return self->promoting;
}

uint64
GetSystemIdentifier(void)
{
	return self->system_identifier;
}

TimestampTz
GetCurrentTimestamp(void)
{
	return world_now + 1;
}

bool
server_disk_is_full(const Member *m)
{
	return m->full_until > world_now;
}

/* The agent's: an error when the disk is full. */
static void
write_file(void)
{
	if (server_disk_is_full(self))
		sim_report(ERROR, __FILE__, __LINE__);
}

bool
server_was_primary(void)
{
	return self->was_primary;
}

bool
server_asked_for_wal(void)
{
	return self->asked_for_wal;
}

bool
server_waits_for_wal(void)
{
	return self->waits_for_wal;
}

bool
server_is_streaming(void)
{
	return self->session.alive;
}

bool
server_standby_has(const char *name, XLogRecPtr *has)
{
	const Session *s = &members[name[1] - '1'].session;

	if (!s->alive || s->upstream != self->id)
		return false;
	if (records[s->flushed].lsn > *has)
		*has = records[s->flushed].lsn;
	return true;
}

uint64
server_looks(const Member *m)
{
	uint64 sum = (uint64) m->phase + m->consistent * 5 + m->promoting * 11 + m->session.alive * 23 +
				 m->asked_for_wal * 47 + m->waits_for_wal * 53 + (m->consistent_at >= 0) * 97 +
				 m->redo * 193 + m->checkpointed_timeline * 769 + (uint64) m->replayed * 12289 +
				 (uint64) m->head * 98317;

	for (int i = 0; i < nmembers; i++)
		if (members[i].session.alive && members[i].session.upstream == m->id)
			sum += (uint64) (members[i].session.flushed + 1) * 1572869;
	return sum;
}

static void
checkpoint_done(void *a, int64 redo)
{
	Member *m = a;

	if (m->phase != PHASE_PRIMARY || (uint64) redo > records[m->head].lsn)
		return;
	m->redo = Max(m->redo, (uint64) redo);
	if (m->redo >= records[timeline_records[records[m->head].timeline]].lsn)
		m->checkpointed_timeline = records[m->head].timeline;
}

XLogRecPtr
server_start_checkpoint(void)
{
	XLogRecPtr lsn = records[self->head].lsn;
	int64 takes = chance_of(50) && !fault_is_single ? chance_between(SECOND, 6 * SECOND)
													: chance_between(5 * MS, 400 * MS);

	world_at(world_now + takes, checkpoint_done, self, (int64) lsn);
	return lsn;
}

bool
server_timeline_is_checkpointed(void)
{
	return self->checkpointed_timeline == records[self->head].timeline;
}

bool
server_checkpointed_since(XLogRecPtr lsn)
{
	return self->redo >= lsn;
}

static int
member_of(const char *conninfo)
{
	return conninfo[0] == 'm' ? conninfo[1] - '1' : -1;
}

char *
ha_primary_conninfo(const char *host, int port)
{
	return pstrdup(host);
}

bool
server_follows(const ServerSource *source)
{
	return self->upstream == member_of(source->conninfo);
}

void
server_follow(const ServerSource *source)
{
	write_file();
	world_trace("%s: follows %s", self->name, source->conninfo);
	check_follows(self, member_of(source->conninfo));
	self->upstream = member_of(source->conninfo);
	end_session(self);
}

/* WAL is kept for ever here, so that slots have nothing to do. */
void
slots_attend(const HaView *view)
{
}

int
slots_positions(const HaStatus *former, SlotPosition *positions, int max)
{
	return 0;
}

XLogRecPtr
slots_oldest_wal(void)
{
	return InvalidXLogRecPtr;
}

int
server_receiver(void)
{
	return self->session.alive ? self->session.serial : 0;
}

bool
server_has_archive(void)
{
	return false;
}

bool
slots_have_changed(void)
{
	return false;
}

void
slot_name_of(const char *member, char name[SLOT_NAME_SIZE])
{
	snprintf(name, SLOT_NAME_SIZE, "%s", member);
}

const char *
ha_own_host(void)
{
	return self->name;
}

int
ha_own_port(void)
{
	return 5432;
}

void
ha_own_api_url(char *url, size_t size)
{
	url[0] = '\0';
}

char *
parameters_pending(void)
{
	return NULL;
}

bool
parameters_were_raised(void)
{
	return false;
}

void
parameters_attend(const HaView *view)
{
}

const char *
ha_instance(void)
{
	return self->instance;
}

void
ha_post_settings(DcsPost *post)
{
}

bool
ha_enabled(void)
{
	return true;
}

bool
ha_read_holder(char holder[HA_NAME_SIZE])
{
	strlcpy(holder, ha_shared->holder, HA_NAME_SIZE);
	return true;
}

bool
probe_has_failed(int64 awake_us, char *reason, size_t size)
{
	strlcpy(reason, "unwell", size);
	return self->unwell_until > world_now || server_disk_is_full(self);
}

/*
 * Promotion
 */

static void
promoted(void *a, int64 run)
{
	Member *m = a;
	const Record *last = &records[m->head];
	int former = m->head;
	uint32 timeline = last->timeline + 1;

	if (m->run != run || m->phase != PHASE_STANDBY || !m->promoting || !m->postmaster)
		return;
	if (member_paused_until(m, NULL) > world_now)
	{
		world_at(member_paused_until(m, NULL), promoted, a, run);
		return;
	}
	while (m->files[timeline] != FILE_NONE)
		timeline++;
	if (timeline >= MAX_TIMELINES - 1)
	{
		world_fail("%s uses up all timelines", m->name);
		return;
	}
	world_trace("%s: promoted to timeline %u at %lX", m->name, timeline, (long) last->lsn);
	if (timeline_records[timeline] >= 0)
		world_fail("%s uses timeline %u, which was used before", m->name, timeline);
	end_session(m);
	m->head = add_record(former, timeline, last->lsn + 104);
	m->files[timeline] = FILE_REAL;
	timeline_records[timeline] = m->head;
	m->replayed = m->head;
	m->phase = PHASE_PRIMARY;
	m->promoting = false;
	m->standby_signal = false;
	m->in_production = true;
	m->backends++;
	check_promoted(m, former, timeline);
	send_wal_to_all(m);
	world_at(world_now + SECOND, write_noise, m, m->run);
}

static void
promotion_noticed(void *a, int64 run)
{
	Member *m = a;

	if (m->run != run || m->phase != PHASE_STANDBY || m->promoting || !m->postmaster)
		return;
	if (member_paused_until(m, NULL) > world_now)
	{
		world_at(member_paused_until(m, NULL) + chance_between(0, 2 * MS), promotion_noticed, a,
				 run);
		return;
	}
	end_session(m);
	m->promoting = true;
	world_at(world_now + (chance_of(100) && !fault_is_single ? chance_between(0, 3 * SECOND)
															 : chance_between(5 * MS, 150 * MS)),
			 promoted, m, run);
}

void
server_promote(uint32 timeline)
{
	uint32 own = records[self->replayed].timeline;

	if (self->promoting)
		return;
	write_file();
	world_trace("%s: is asked to promote to timeline %u", self->name, timeline);
	if (self->process->decided_lease != LEASE_MINE || !self->process->decided_proven)
		world_fail("%s leaves recovery although its lease is not proven", self->name);
	for (uint32 t = own + 1; t < timeline; t++)
		if (self->files[t] == FILE_NONE)
			self->files[t] = FILE_SKIPPED;
	world_at(world_now + chance_between(MS, 10 * MS), promotion_noticed, self, self->run);
}

static bool
leads_to(const Member *m, int timeline)
{
	return m->files[timeline] == FILE_REAL && timeline_records[timeline] >= 0 &&
		   server_is_ancestor(m->head, timeline_records[timeline]);
}

/* server_forget_timelines */
static void
forget_timelines(Member *m)
{
	for (int t = MAX_TIMELINES - 1; t > (int) records[m->head].timeline && !leads_to(m, t); t--)
		m->files[t] = FILE_NONE;
}

/*
 * Starting and ending
 */

static void
kill_agent(Member *m)
{
	Process *p = m->process;

	if (p == NULL)
		return;
	task_kill(p->task);
	if (p->client != NULL)
		client_free(p->client);
	m->process = NULL;
}

void
proc_exit(int code)
{
	Member *m = self;

	kill_agent(m);
	if (m->postmaster && !m->stopping)
		world_at(world_now + SECOND, start_agent, m, m->run);
	task_exit();
}

static void
agent_main(void *arg)
{
	pgcluster_agent_main(0);
}

static void
start_agent(void *a, int64 run)
{
	Member *m = a;
	Process *p;

	if (m->run != run || !m->postmaster || m->process != NULL)
		return;
	if (nprocesses == MAX_PROCESSES)
		abort();
	p = calloc(1, sizeof(Process));
	p->top = sim_context_create(NULL);
	p->names = m->names;
	processes[nprocesses++] = p;
	m->process = p;
	p->task = task_start(m, p, agent_main, NULL);
}

/* What a crash-restart or a start leaves of shared memory. */
static void
empty_shared_memory(HaShared *shared)
{
	memset(shared, 0, offsetof(HaShared, members));
	memset(&shared->ngroups, 0, offsetof(HaShared, nevents) - offsetof(HaShared, ngroups));
	shared->nevents = 0;
	shared->last_request = 0;
	memset(shared->requests, 0, sizeof(shared->requests));
	shared->lock = (LWLock *) shared;
}

/* All processes but the postmaster are gone. */
static void
end_children(Member *m)
{
	kill_agent(m);
	end_session(m);
	end_sessions_of(m);
	m->run++;
	m->backends++;
	m->phase = PHASE_DOWN;
	m->promoting = false;
	m->consistent = false;
}

/*
 * The end of local WAL may come after consistency; only then is anybody asked
 * to stream.
 */
static void
replay(void *a, int64 run)
{
	Member *m = a;

	if (m->run != run || m->phase != PHASE_STANDBY)
		return;
	m->consistent = true;
	if (m->replayed == m->head)
	{
		m->waits_for_wal = true;
		receive(m, run);
		return;
	}
	for (int r = m->head; r != m->replayed; r = records[r].parent)
		if (records[r].parent == m->replayed)
		{
			m->replayed = r;
			break;
		}
	world_at(world_now + chance_between(0, chance_of(100) ? 200 * MS : 30 * MS), replay, m, run);
}

static void
begin_standby(Member *m, bool after_crash)
{
	int back = after_crash ? 0 : (int) chance_between(0, 5);

	m->phase = PHASE_STANDBY;
	m->in_production = false;
	m->replayed = m->head;
	for (; back > 0 && records[m->replayed].parent >= 0; back--)
		m->replayed = records[m->replayed].parent;
	world_at(world_now + (after_crash ? MS : chance_between(20 * MS, 400 * MS)), replay, m, m->run);
}

static void
recovered(void *a, int64 run)
{
	Member *m = a;

	if (m->run != run || m->phase != PHASE_CRASH)
		return;
	if (member_paused_until(m, NULL) > world_now)
	{
		world_at(member_paused_until(m, NULL), recovered, a, run);
		return;
	}
	if (m->standby_signal)
	{
		begin_standby(m, true);
		return;
	}
	if (server_disk_is_full(m))
	{
		m->phase = PHASE_DOWN;
		server_kill(m);
		return;
	}
	m->phase = PHASE_PRIMARY;
	m->in_production = true;
	m->backends++;
	m->replayed = m->head;
	server_append(m);
	world_trace("%s: is a primary again", m->name);
	world_at(world_now + SECOND, write_noise, m, m->run);
}

/*
 * Recovery goes for the newest timeline of which there is a history file, and
 * ends the server when its own WAL is no part of that.
 */
static bool
can_recover(const Member *m)
{
	for (int t = MAX_TIMELINES - 1; t > (int) records[m->head].timeline; t--)
		if (m->files[t] != FILE_NONE)
			return leads_to(m, t);
	return true;
}

/* As much as was written since the last checkpoint. */
static int64
recovery_takes(const Member *m)
{
	int64 most = (int64) (records[m->head].lsn - m->redo) / 100 * MS;

	if (m->recovery_extra > 0)
		return m->recovery_extra;
	if (!m->in_production)
		return 20 * MS;
	/* One that gives way has written a checkpoint before. */
	return chance_between(20 * MS,
						  Min(Max(most, 40 * MS), m->standby_signal ? 3 * SECOND : 900 * MS));
}

static void rejoin_main(void *arg);

static void
begin_recovery(Member *m)
{
	empty_shared_memory(m->shared);
	sync_server_starts(m);
	world_at(world_now, start_agent, m, m->run);
	if (!m->in_production)
		m->redo = records[m->head].lsn;
	m->was_primary = m->in_production;
	m->asked_for_wal = false;
	m->waits_for_wal = false;
	if (m->in_production || !m->standby_signal)
	{
		m->phase = PHASE_CRASH;
		world_at(world_now + recovery_takes(m), recovered, m, m->run);
	}
	else
		begin_standby(m, false);
}

static void
start(void *a, int64 run)
{
	Member *m = a;

	if (m->run != run)
		return;
	if (member_paused_until(m, NULL) > world_now)
	{
		world_at(member_paused_until(m, NULL), start, a, run);
		return;
	}
	start_server(m);
}

/* A new postmaster, through pgcluster_node or without. */
static void
start_server(Member *m)
{
	if (m->rejoin_wanted)
	{
		m->run++;
		task_start(m, NULL, rejoin_main, (void *) (intptr_t) m->run);
		return;
	}
	m->standby_signal = true;
	forget_timelines(m);
	m->run++;
	m->postmaster = true;
	m->stopping = false;
	if (m->standby_signal && !can_recover(m))
	{
		world_trace("%s: cannot start, its WAL is not part of the newest timeline it knows",
					m->name);
		m->postmaster = false;
		m->phase = PHASE_DOWN;
		if (++m->failed_starts > 5)
			world_fail("%s cannot start any more", m->name);
		world_at(world_now + SECOND, start, m, m->run);
		return;
	}
	m->failed_starts = 0;
	world_trace("%s: starts as a %s", m->name, m->standby_signal ? "standby" : "primary");
	begin_recovery(m);
}

static void
crash_restarted(void *a, int64 run)
{
	Member *m = a;

	if (m->run != run || !m->postmaster)
		return;
	if (member_paused_until(m, NULL) > world_now)
	{
		world_at(member_paused_until(m, NULL), crash_restarted, a, run);
		return;
	}
	forget_timelines(m);
	if (m->standby_signal && !can_recover(m))
	{
		world_trace("%s: cannot restart, its WAL is not part of the newest timeline it knows",
					m->name);
		m->postmaster = false;
		world_at(world_now + SECOND, start, m, m->run);
		return;
	}
	begin_recovery(m);
}

void
server_crash(Member *m)
{
	if (!m->postmaster || m->stopping || m->phase == PHASE_DOWN)
		return;
	world_trace("%s: crash-restart", m->name);
	end_children(m);
	world_at(world_now + chance_between(10 * MS, 150 * MS), crash_restarted, m, m->run);
}

static void
children_end(void *a, int64 run)
{
	Member *m = a;

	if (m->run != run || m->postmaster)
		return;
	/* The agent ends itself when it has given the lease back. */
	if (m->process != NULL)
	{
		world_at(world_now + 50 * MS, children_end, a, run);
		return;
	}
	end_children(m);
	world_at(world_now + chance_between(50 * MS, 4 * SECOND), start, m, m->run);
}

void
server_kill(Member *m)
{
	if (!m->postmaster)
		return;
	world_trace("%s: the postmaster is killed", m->name);
	m->postmaster = false;
	m->stopping = false;
	if (m->process != NULL)
		task_wake(m->process->task);
	world_at(world_now + chance_between(0, 300 * MS), children_end, m, m->run);
}

static void
boot(Member *m)
{
	snprintf(m->instance, sizeof(m->instance), "%d.%d", m->id, ++m->boots);
}

void
server_power_off(Member *m)
{
	if (m->phase == PHASE_DOWN && !m->postmaster)
		return;
	world_trace("%s: power off", m->name);
	end_children(m);
	m->postmaster = false;
	m->stopping = false;
	m->paused_until = 0;
	boot(m);
	world_at(world_now + chance_between(500 * MS, 12 * SECOND), start, m, m->run);
}

void
server_replace(Member *m)
{
	server_power_off(m);
	world_trace("%s: is replaced by a new member", m->name);
	m->rejoin_wanted = true;
	m->data_lost = true;
	m->upstream = -1;
}

static bool
standbys_have_all(const Member *m)
{
	for (int i = 0; i < nmembers; i++)
	{
		const Session *s = &members[i].session;

		if (s->alive && s->upstream == m->id && s->flushed != m->head)
			return false;
	}
	return true;
}

/* An orderly shutdown: sessions, the agent, the last record of WAL, the lease. */
static void
stop_main(void *arg)
{
	Member *m = self;
	int run = (int) (intptr_t) arg;
	uint64 lease;
	DcsSettings settings;

	m->backends++;
	end_session(m);
	if (m->process != NULL)
	{
		m->process->shutdown_pending = true;
		m->process->latch.is_set = true;
		task_wake(m->process->task);
	}
	while (m->run == run && m->process != NULL)
		task_sleep(5 * MS);
	if (m->run != run || !m->postmaster)
		return;
	if (m->phase == PHASE_PRIMARY)
		server_append(m);
	while (m->run == run && !standbys_have_all(m))
		task_sleep(5 * MS);
	if (m->run != run || !m->postmaster)
		return;
	lease = m->shared->lease.value;
	m->shared->deadline_us.value = 0;
	end_children(m);
	m->in_production = false;
	run = m->run;
	if (lease != 0)
	{
		ha_dcs_settings(&settings, 1000);
		etcd_revoke_blocking(&settings, (int64) lease, 1000);
	}
	if (m->run != run)
		return;
	m->postmaster = false;
	m->stopping = false;
	world_trace("%s: is shut down", m->name);
	world_at(world_now + chance_between(100 * MS, 4 * SECOND), start, m, m->run);
}

static struct MemoryContextData *
make_context(void)
{
	static MemoryContext context = NULL;

	if (context == NULL)
		context = sim_context_create(NULL);
	MemoryContextReset(context);
	return context;
}

static void
stop_in_context(void *arg)
{
	CurrentMemoryContext = make_context();
	stop_main(arg);
}

void
server_stop(Member *m)
{
	if (!m->postmaster || m->stopping || m->phase == PHASE_DOWN || m->phase == PHASE_CRASH)
		return;
	world_trace("%s: shuts down", m->name);
	m->stopping = true;
	task_start(m, NULL, stop_in_context, (void *) (intptr_t) m->run);
}

/* pgcluster_node: one life of the machine, and so long. */
typedef struct Keeper
{
	Member *member;
	int boots;
	int64 until;
} Keeper;

static void
keep_lease(void *a, int64 lease)
{
	Keeper *keeper = a;
	Member *m = keeper->member;
	bool reaches = net_open(m->id, STORE) && member_paused_until(m, NULL) <= world_now;

	if (m->boots != keeper->boots || world_now > keeper->until ||
		(reaches && !store_keep_lease(lease)))
		return;
	world_at(world_now + SECOND, keep_lease, keeper, lease);
}

void
server_restart_kept(Member *m)
{
	Keeper *keeper = world_alloc(sizeof(*keeper));

	if (!m->postmaster || m->stopping || m->process == NULL || m->process->agent.lease == 0)
		return;
	*keeper = (Keeper){m, m->boots, world_now + 10 * SECOND};
	m->process->agent.lease_kept = true;
	m->shared->lease.value = 0;
	world_trace("%s: is to restart, its lease is kept", m->name);
	keep_lease(keeper, m->process->agent.lease);
	server_stop(m);
}

void
server_fail_agent(Member *m)
{
	if (m->process != NULL)
		server_crash(m);
}

void
server_demote(void)
{
	Member *m = self;
	int run = m->run;

	write_file();
	m->standby_signal = true;
	m->upstream = -1;
	world_trace("%s: demotes itself", m->name);
	if (m->process->decided_lease == LEASE_MINE && !m->process->decided_proven)
		world_fail("%s gives way for a switchover although its lease is not proven", m->name);
	if (sim_agent->config.paused && sim_agent->switchover.closed_us == 0)
		world_fail("%s demotes itself although the cluster is paused", m->name);
	statistics.demotions++;
	task_sleep(chance_between(MS, 100 * MS));
	m->backends++;
	task_sleep(chance_between(MS, 50 * MS));
	/* Without its postmaster the agent just ends. */
	if (m->run == run && m->postmaster && !m->stopping)
		server_crash(m);
	else
		kill_agent(m);
	task_exit();
}

/*
 * Rewinding
 */

static int
common_record(int a, int b)
{
	while (a != b)
	{
		if (records[a].depth >= records[b].depth)
			a = records[a].parent;
		else
			b = records[b].parent;
	}
	return a;
}

static bool
can_copy_from(const Member *m, const Member *source, int run)
{
	return source != m && source->postmaster && !source->stopping &&
		   (run == 0 || source->run == run) && source->phase == PHASE_PRIMARY &&
		   net_open(m->id, source->id) && member_paused_until(source, NULL) <= world_now;
}

/* Finds who leads, and waits for it; then pg_rewind, or a clone. */
static bool
rejoin_once(Member *m, int own_run)
{
	const char *leader = store_value(KEY_LEADER);
	const Member *source;
	int run;

	if (leader == NULL || !net_open(m->id, STORE) || store_state() != STORE_UP)
		return false;
	source = &members[leader[1] - '1'];
	if (!can_copy_from(m, source, 0))
		return false;
	run = source->run;
	task_sleep(chance_between(200 * MS, 3 * SECOND));
	if (m->run != own_run || !can_copy_from(m, source, run))
		return false;
	memset(m->files, 0, sizeof(m->files));
	for (int t = 0; t < MAX_TIMELINES; t++)
		if (source->files[t] == FILE_REAL)
			m->files[t] = FILE_REAL;
	m->head = chance_of(800) && !m->data_lost ? common_record(m->head, source->head) : source->head;
	m->data_lost = false;
	m->consistent_at = m->head == source->head ? -1 : source->head;
	return true;
}

static void
rejoin_main(void *arg)
{
	Member *m = self;
	int run = (int) (intptr_t) arg;
	bool done = false;

	while (m->run == run && !(done = rejoin_once(m, run)))
		task_sleep(SECOND);
	if (m->run != run || !done)
		return;
	world_trace("%s: was rewound or cloned", m->name);
	statistics.rewinds++;
	m->rejoin_wanted = false;
	m->standby_signal = true;
	m->in_production = false;
	start_server(m);
}

bool
server_rejoin(const char *conninfo, bool clone)
{
	if (sim_agent->decision.action == HA_REJOIN)
		check_rejoins(self, member_of(conninfo));
	self->upstream = -1;
	self->rejoin_wanted = true;
	server_stop(self);
	return true;
}

/*
 * Processes
 */

MemoryContext
sim_top_context(void)
{
	return self->process->top;
}

Latch *
sim_latch(void)
{
	return &self->process->latch;
}

void
ResetLatch(Latch *latch)
{
	latch->is_set = false;
}

bool *
sim_shutdown_pending(void)
{
	return &self->process->shutdown_pending;
}

void
pg_usleep(long us)
{
	task_sleep(us);
}

static void
session_reads(void *a, int64 id)
{
	Member *m = a;

	for (int i = 0; i < HA_MAX_REQUESTS; i++)
		if (m->shared->requests[i].id == (uint64) id)
			m->shared->requests[i].id = 0;
}

/* Only sessions that asked for something are woken this way here. */
void
ConditionVariableBroadcast(ConditionVariable *cv)
{
	if (cv != &ha_shared->request_cv)
		return;
	for (int i = 0; i < HA_MAX_REQUESTS; i++)
	{
		const SharedRequest *request = &ha_shared->requests[i];
		bool done = request->outcome.state == HA_REQUEST_DONE;

		if (request->id == 0 || !(done || request->outcome.state == HA_REQUEST_FAILED))
			continue;
		world_trace("%s: the session hears: %s %s", self->name, done ? "done," : "failed,",
					request->outcome.message);
		if (done)
			statistics.switchovers++;
		world_at(world_now + chance_between(MS, 20 * MS), session_reads, self, (int64) request->id);
	}
}

void
server_ask_switchover(Member *m, const char *candidate)
{
	SharedRequest *request = m->shared->requests;

	while (request->id != 0)
		if (++request == m->shared->requests + HA_MAX_REQUESTS)
			return;
	memset(request, 0, sizeof(*request));
	request->id = ++m->shared->last_request;
	request->what.kind = REQUEST_SWITCHOVER;
	strlcpy(request->what.member, candidate, HA_NAME_SIZE);
	request->outcome.state = HA_REQUEST_WAITING;
	world_trace("%s: a session asks for a switchover to %s", m->name,
				candidate[0] ? candidate : "the best");
	m->process->latch.is_set = true;
	task_wake(m->process->task);
}

/* Nobody orders anything here. */
bool
key_parse_order(const char *name, int *group_id, char member[HA_NAME_SIZE], HaOrderKind *kind)
{
	return false;
}

void
order_apply(int group_id, const char *member, HaOrderKind kind, const DcsKeyValue *kv,
			int64 revision)
{
}

void
order_forget_all(void)
{
}

void
order_attend(const HaView *view)
{
}

void
order_begin(AgentRequest *request)
{
	request_refuse(request, 0, "", "");
}

void
order_follow(AgentRequest *request)
{
}

void
order_cancel(AgentRequest *request)
{
	request_refuse(request, 0, "", "");
}

void
order_withdraw(AgentRequest *request)
{
}

/* The settings of the group are changed by fault.c here. */
void
change_begin(AgentRequest *request)
{
	request_refuse(request, 0, "", "");
}

void
change_follow(AgentRequest *request)
{
}

/*
 * Shared memory, as ha/state.c has it
 */

int
ha_own_group(void)
{
	return 0;
}

bool
ha_fence_is_open(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64) (ts.tv_sec * SECOND + ts.tv_nsec / 1000) < ha_shared->deadline_us.value;
}

void
ha_fence_set(int64 deadline_us)
{
	ha_shared->deadline_us.value = (uint64) deadline_us;
}

/* What the HTTP server shows. */
void
ha_document_publish(HaDocument which, const char *value, int64 revision)
{
}

void
ha_event_record(const char *decision, const char *reason)
{
	world_trace("%s: %s, %s", self->name, decision, reason);
}

bool
member_fence_is_open(const Member *m)
{
	return (uint64) member_clock(m) < m->shared->deadline_us.value;
}

bool
member_may_commit(const Member *m)
{
	return backends_run(m) && member_fence_is_open(m);
}

/*
 * The beginning
 */

static void
begin_member(Member *m, int id)
{
	HaShared *shared = m->shared;

	memset(m, 0, sizeof(*m));
	m->shared = shared ? shared : calloc(1, sizeof(HaShared));
	m->id = id;
	snprintf(m->name, sizeof(m->name), "m%d", id + 1);
	m->system_identifier = SYSTEM_IDENTIFIER;
	boot(m);
	m->may_lead = id == 0 || id == 1 || !chance_of(100);
	m->priority = chance_of(100) ? 2 : 1;
	m->ppm = (int) chance_between(-15000, 15000);
	m->clock_base = chance_between(1, 1000) * SECOND;
	m->head = 0;
	m->upstream = -1;
	m->consistent_at = -1;
	m->sync_priority = chance_of(850) ? 1 : (int) chance_between(0, 2);
	m->standby_signal = id != 0;
	m->files[1] = FILE_REAL;
	m->session.upstream = -1;
	world_at(chance_between(0, SECOND), start, m, m->run);
}

void
server_add_stranger(bool taken)
{
	Member *m = &members[nservers];

	if (nservers == MAX_MEMBERS)
		return;
	begin_member(m, nservers++);
	m->stranger = true;
	if (taken)
		strlcpy(m->name, members[chance_between(0, nmembers - 1)].name, sizeof(m->name));
	else
		m->system_identifier++;
	world_trace("a stranger comes: %s", taken ? m->name : "of another cluster");
}

void
server_begin(int n)
{
	if (records == NULL)
		records = calloc(MAX_RECORDS, sizeof(Record));
	for (int i = 0; i < nprocesses; i++)
		process_free(processes[i]);
	nprocesses = 0;
	nrecords = 0;
	add_record(-1, 1, 0x1000000);
	for (int t = 0; t < MAX_TIMELINES; t++)
		timeline_records[t] = -1;
	timeline_records[1] = 0;
	nmembers = n;
	nservers = n;
	for (int i = 0; i < n; i++)
		begin_member(&members[i], i);
}
