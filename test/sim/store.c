/*-------------------------------------------------------------------------
 * store.c
 *	  etcd: its keys, leases and watches; and the agent's client of it.
 *
 * The store is one linearizable whole with a clock of its own.  The client
 * does what dcs/etcd*.c do: attempts with a time-out, repeated only where
 * that does no harm; a request whose time is over may still arrive.  A watch
 * reads everything, then follows in order, and after trouble goes on where
 * it was or reads everything again.
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#include "ha/settings.h"

#define MAX_LEASES 65536
#define MAX_COMPARES 8
#define MAX_WRITES 8

/* etcd looks for leases that ran out so often */
#define EXPIRY_LAG_US (500 * MS)
#define WATCH_SILENCE_US (2 * SECOND)
#define WATCH_HELD_US (5 * SECOND)
#define REFUSED_RETRY_US (100 * MS)
#define SHORT_NAP_MS 10
#define MAX_SHORT_NAPS 4
#define MAX_HURRY 100 /* naps of next to nothing, one after the other */

typedef struct Slot
{
	const char *value; /* NULL: there is none */
	int64 create_revision;
	int64 mod_revision;
	int64 lease;
} Slot;

typedef struct Change
{
	int slot;
	Slot now;
	int64 revision;
} Change;

typedef struct StoreLease
{
	int ttl;
	int64 expires;
	bool alive;
} StoreLease;

static Slot slots[N_SLOTS];
static int64 revision;
static int64 compacted;
static Change *changes = NULL;
static int nchanges;
static int changes_size = 0;
static StoreLease leases[MAX_LEASES];
static int nleases;
static StoreState state;
static int64 ppm;		 /* of its clock */
static bool handed_over; /* the leader key was freed for a candidate */
int store_last_leader;
int64 store_delay;

typedef struct Frozen
{
	struct Frozen *next;
	EventFn fn;
	void *a;
	int64 b;
} Frozen;
static Frozen *frozen;

static const char *const slot_names[N_SLOTS] = {
	[KEY_LEADER] = "leader",
	[KEY_INITIALIZE] = "initialize",
	[KEY_CONFIG] = "config",
	[KEY_STATUS] = "status",
	[KEY_HISTORY] = "history",
	[KEY_FAILOVER] = "failover",
	[KEY_SYNC] = "sync",
	[KEY_FAILSAFE] = "failsafe",
	[KEY_EPOCH] = "epoch",
	[KEY_TIMELINE] = "timeline",
	[N_HA_KEYS] = "members/m1",
	"members/m2",
	"members/m3",
	"members/m4",
	"members/m5",
	"members/m6",
	"members/m7",
};

int
store_slot(const char *key)
{
	for (int i = 0; i < N_SLOTS; i++)
		if (key == slot_names[i])
			return i;
	for (int i = 0; i < N_SLOTS; i++)
		if (strcmp(key, slot_names[i]) == 0)
			return i;
	return -1;
}

char *
key_name(HaKey key)
{
	return (char *) slot_names[key];
}

char *
key_name_in(int group_id, HaKey key)
{
	return key_name(key);
}

char *
key_member_name(const char *member)
{
	return (char *) slot_names[N_HA_KEYS + member[1] - '1'];
}

const char *
key_scope_prefix(void)
{
	return "";
}

const char *
key_group_prefix(int group_id)
{
	return "";
}

bool
key_parse_name(const char *name, int *group_id, HaKey *key, const char **member)
{
	int slot = store_slot(name);

	*group_id = 0;
	*member = slot >= N_HA_KEYS ? name + strlen("members/") : NULL;
	if (slot >= 0 && slot < N_HA_KEYS)
		*key = (HaKey) slot;
	return slot >= 0;
}

/*
 * The store
 */

static void notify_watches(void);

static void
note_change(int slot)
{
	if (nchanges == changes_size)
	{
		changes_size = Max(changes_size * 2, 1024);
		changes = realloc(changes, changes_size * sizeof(Change));
		if (changes == NULL)
			abort();
	}
	changes[nchanges++] = (Change){slot, slots[slot], revision};
}

static void
write_slot(int slot, const char *value, int64 lease)
{
	Slot *s = &slots[slot];

	if (value == NULL && s->value == NULL)
		return;
	if (slot == KEY_SYNC && value == NULL)
		check_void_promises();
	if (value == NULL)
		*s = (Slot){0};
	else
	{
		if (s->value == NULL)
			s->create_revision = revision;
		s->value = world_text(value);
		s->mod_revision = revision;
		s->lease = lease;
	}
	note_change(slot);
	if (slot < N_HA_KEYS && slot != KEY_STATUS)
		world_trace("store: %s = %s (revision %ld, lease %ld)", slot_names[slot],
					value ? value : "gone", (long) revision, (long) lease);
}

static int
member_id(const char *name)
{
	return name[1] - '1';
}

static void
end_lease(int64 id)
{
	bool any = false;

	if (!leases[id].alive)
		return;
	leases[id].alive = false;
	for (int i = 0; i < N_SLOTS; i++)
		if (slots[i].value != NULL && slots[i].lease == id)
		{
			if (!any)
				revision++;
			any = true;
			write_slot(i, NULL, 0);
		}
	if (any)
		notify_watches();
}

static void
check_lease(void *a, int64 id)
{
	StoreLease *lease = &leases[id];

	if (!lease->alive)
		return;
	if (state != STORE_UP)
		world_at(world_now + EXPIRY_LAG_US, check_lease, NULL, id);
	else if (world_now < lease->expires)
		world_at(lease->expires + chance_between(0, EXPIRY_LAG_US), check_lease, NULL, id);
	else
	{
		world_trace("store: lease %ld expires", (long) id);
		end_lease(id);
	}
}

/* By the store's clock. */
static int64
lease_time(int ttl)
{
	return ttl * SECOND - ttl * ppm;
}

static void
extend_lease(int64 id)
{
	leases[id].expires = world_now + lease_time(leases[id].ttl);
}

bool
store_keep_lease(int64 lease)
{
	if (state != STORE_UP || !leases[lease].alive || world_now >= leases[lease].expires ||
		slots[KEY_LEADER].lease != lease)
		return state != STORE_UP;
	extend_lease(lease);
	return true;
}

StoreState
store_state(void)
{
	return state;
}

void
store_set_state(StoreState now)
{
	StoreState former = state;

	state = now;
	if (now != STORE_UP)
		return;
	/* A new leader of etcd gives each lease its full time; a frozen one goes on as it was. */
	for (int64 i = 1; former != STORE_FROZEN && i < nleases; i++)
		if (leases[i].alive)
			extend_lease(i);
	while (frozen != NULL)
	{
		Frozen *f = frozen;

		frozen = f->next;
		world_at(world_now + chance_between(0, 100 * MS), f->fn, f->a, f->b);
	}
	notify_watches();
}

/* True when the store does not deal with this message now. */
static bool
is_held_up(EventFn fn, void *a, int64 b)
{
	Frozen *f;

	if (state == STORE_UP || state == STORE_REFUSES)
		return false;
	if (state == STORE_FROZEN)
	{
		f = world_alloc(sizeof(*f));
		*f = (Frozen){frozen, fn, a, b};
		frozen = f;
	}
	return true;
}

void
store_compact(void)
{
	compacted = revision;
}

const char *
store_value(int slot)
{
	return slots[slot].value;
}

int64
store_revision_of(int slot)
{
	return slots[slot].create_revision;
}

void
store_put(int slot, const char *value)
{
	if (state != STORE_UP)
		return;
	revision++;
	write_slot(slot, value, 0);
	notify_watches();
}

void
store_wipe(void)
{
	world_trace("store: all keys are deleted");
	revision++;
	for (int slot = 0; slot < N_SLOTS; slot++)
		write_slot(slot, NULL, 0);
	notify_watches();
}

/*
 * Requests
 */

typedef enum Verb
{
	VERB_GRANT,
	VERB_KEEPALIVE,
	VERB_REVOKE,
	VERB_RANGE,
	VERB_CHECK, /* of the watch */
	VERB_TXN
} Verb;

typedef struct Answer
{
	DcsResult result;
	bool nothing_done;
	DcsKeyValue *kvs;
} Answer;

typedef struct Request
{
	struct Request *next; /* that were answered */
	Client *client;
	Verb verb;
	int64 lease;
	int ttl;
	int ncompares;
	DcsCompare compares[MAX_COMPARES];
	int nwrites;
	DcsWrite writes[MAX_WRITES];
	DcsDone done;
	void *arg;
	int64 deadline;
	int attempt;
	int64 sent_at;
	bool finished;
	Answer answer;
} Request;

typedef enum WatchState
{
	WATCH_NONE,
	WATCH_PAUSED,
	WATCH_READING,
	WATCH_OPENING,
	WATCH_OPEN
} WatchState;

typedef struct Delivery
{
	struct Delivery *next;
	Request *request; /* NULL: of the watch */
	DcsEvents events;
} Delivery;

struct Client
{
	Dcs dcs;
	Client *next; /* all that watch */
	Member *member;
	Process *process;
	Task *task;
	bool dead;
	bool unconnected; /* a new connection is needed, for which messages go both ways */
	int request_timeout_ms;
	int total_timeout_ms;
	Delivery *first;
	Delivery **last;
	DcsWatchFn watch_fn;
	void *watch_arg;
	WatchState watch;
	int watch_serial; /* of the present stream */
	bool connected;
	int64 next_revision;
	int64 heard_at;
	int64 opened_at;
	int64 backoff;
	int hurried; /* naps */
};

static Client *clients;

static void client_receive(void *a, int64 attempt);

static bool
compares_hold(const Request *r)
{
	for (int i = 0; i < r->ncompares; i++)
	{
		const DcsCompare *c = &r->compares[i];
		const Slot *s = &slots[store_slot(c->key)];

		if (c->revision !=
			(c->kind == DCS_CREATE_REVISION_IS ? s->create_revision : s->mod_revision))
			return false;
	}
	return true;
}

static void
add_kv(Answer *answer, int slot)
{
	const Slot *s = &slots[slot];

	if (s->value != NULL)
		answer->kvs[answer->result.nkvs++] = (DcsKeyValue){
			slot_names[slot], s->value, s->create_revision, s->mod_revision, s->lease, false};
}

/* What a transaction means to leadership, before it is carried out. */
static void
note_leadership(const Request *r)
{
	for (int i = 0; i < r->nwrites; i++)
	{
		if (store_slot(r->writes[i].key) != KEY_LEADER)
			continue;
		if (r->writes[i].value == NULL)
		{
			if (r->client->member->promoting || r->client->member->phase == PHASE_PRIMARY)
				world_fail("%s gives the lead up while it is or becomes a primary",
						   r->client->member->name);
			handed_over = true;
			check_handed_over(r->client->member->id);
		}
		else if (slots[KEY_LEADER].value == NULL)
		{
			check_acquired(member_id(r->writes[i].value), store_last_leader, handed_over);
			store_last_leader = member_id(r->writes[i].value);
			handed_over = false;
		}
	}
}

/* What says that a member lives has to go when it does. */
static void
check_leases(const Request *r)
{
	for (int i = 0; i < r->nwrites; i++)
	{
		int slot = store_slot(r->writes[i].key);

		if ((slot == KEY_LEADER || slot >= N_HA_KEYS) && r->writes[i].value != NULL &&
			r->writes[i].lease == 0)
			world_fail("%s writes the key %s on no lease", r->client->member->name,
					   slot_names[slot]);
	}
}

static void
run_transaction(Request *r, Answer *answer)
{
	for (int i = 0; i < r->nwrites; i++)
		if (r->writes[i].lease != 0 && !leases[r->writes[i].lease].alive)
		{
			answer->result.status = DCS_LEASE_GONE;
			return;
		}
	if (!compares_hold(r))
	{
		answer->result.status = DCS_COMPARE_FAILED;
		answer->kvs = world_alloc(sizeof(DcsKeyValue) * r->ncompares);
		for (int i = 0; i < r->ncompares; i++)
			add_kv(answer, store_slot(r->compares[i].key));
		return;
	}
	revision++;
	if (r->client->member->stranger)
		world_fail("a stranger, %s, writes %s", r->client->member->name, r->writes[0].key);
	check_leases(r);
	note_leadership(r);
	for (int i = 0; i < r->nwrites; i++)
		write_slot(store_slot(r->writes[i].key), r->writes[i].value, r->writes[i].lease);
	notify_watches();
}

static void
run_lease_verb(Request *r, Answer *answer)
{
	DcsResult *result = &answer->result;

	result->lease = r->lease;
	switch (r->verb)
	{
		case VERB_GRANT:
			if (nleases == MAX_LEASES)
				abort();
			result->lease = nleases++;
			leases[result->lease] = (StoreLease){r->ttl, 0, true};
			extend_lease(result->lease);
			world_at(leases[result->lease].expires, check_lease, NULL, result->lease);
			result->ttl = r->ttl;
			break;
		case VERB_KEEPALIVE:
			/* One that ran out is not renewed any more. */
			if (world_now >= leases[r->lease].expires)
				end_lease(r->lease);
			if (!leases[r->lease].alive)
			{
				result->status = DCS_LEASE_GONE;
				break;
			}
			extend_lease(r->lease);
			result->ttl = leases[r->lease].ttl;
			break;
		default:
			end_lease(r->lease);
			break;
	}
}

typedef struct Attempt
{
	Request *request;
	int number;
	bool delayed;
	Answer answer;
} Attempt;

static void
store_receive(void *a, int64 b)
{
	Attempt *attempt = a;
	Request *r = attempt->request;
	Answer *answer = &attempt->answer;

	if (is_held_up(store_receive, a, b))
		return;
	if (store_delay > 0 && !attempt->delayed)
	{
		attempt->delayed = true;
		world_at(world_now + chance_between(0, store_delay), store_receive, a, b);
		return;
	}
	answer->result.status = DCS_OK;
	answer->result.reason = "failed";
	if (state == STORE_REFUSES)
	{
		answer->result.status = DCS_UNREACHABLE;
		answer->nothing_done = true;
	}
	else if (r->verb == VERB_TXN)
		run_transaction(r, answer);
	else if (r->verb == VERB_RANGE)
	{
		answer->kvs = world_alloc(sizeof(DcsKeyValue) * N_SLOTS);
		for (int i = 0; i < N_SLOTS; i++)
			add_kv(answer, i);
	}
	else if (r->verb != VERB_CHECK)
		run_lease_verb(r, answer);
	answer->result.revision = revision;
	answer->result.kvs = answer->kvs;
	net_send_late(STORE, r->client->member->id, chance_between(0, store_delay), client_receive,
				  attempt, 0);
}

/*
 * The client
 */

static void request_attempt(Request *r);
static void watch_answered(Client *c, Request *r);

/* Events of the client happen when its process runs. */
static bool
is_paused(Client *c, EventFn fn, void *a, int64 b)
{
	int64 until = member_paused_until(c->member, c->process);

	if (until <= world_now)
		return false;
	world_at(until + chance_between(0, MS), fn, a, b);
	return true;
}

static Delivery *
deliver(Client *c)
{
	Delivery *d = world_alloc(sizeof(*d));

	*c->last = d;
	c->last = &d->next;
	task_wake(c->task);
	return d;
}

static void
request_finish_with(Request *r, const Answer *answer)
{
	r->finished = true;
	r->answer = *answer;
	r->answer.result.sent_at = r->sent_at;
	if (r->done == NULL)
		watch_answered(r->client, r);
	else
		deliver(r->client)->request = r;
}

static void
request_fail(Request *r)
{
	Answer answer = {.result = {.status = DCS_UNREACHABLE, .reason = "no answer in time"}};

	request_finish_with(r, &answer);
}

static bool
is_repeatable(const Request *r)
{
	return r->verb != VERB_TXN && r->verb != VERB_CHECK;
}

static void
retry(void *a, int64 b)
{
	Request *r = a;

	if (r->finished || r->client->dead || is_paused(r->client, retry, a, b))
		return;
	if (world_now < r->deadline)
		request_attempt(r);
	else
		request_fail(r);
}

static void
attempt_times_out(void *a, int64 number)
{
	Request *r = a;

	if (r->finished || r->client->dead || r->attempt != number ||
		is_paused(r->client, attempt_times_out, a, number))
		return;
	r->client->unconnected = true;
	if (is_repeatable(r))
		retry(r, 0);
	else
		request_fail(r);
}

static void
client_receive(void *a, int64 b)
{
	Attempt *attempt = a;
	Request *r = attempt->request;

	/* An earlier attempt's connection is closed. */
	if (r->finished || r->client->dead || r->attempt != attempt->number)
		return;
	if (attempt->answer.nothing_done && r->verb != VERB_CHECK)
	{
		r->attempt++;
		world_at(world_now + REFUSED_RETRY_US, retry, r, 0);
	}
	else
		request_finish_with(r, &attempt->answer);
}

static void
request_attempt(Request *r)
{
	Attempt *attempt = world_alloc(sizeof(*attempt));
	int64 time_out = r->client->request_timeout_ms * MS;

	attempt->request = r;
	attempt->number = ++r->attempt;
	r->sent_at = member_clock(r->client->member);
	world_at(Min(world_now + time_out, r->deadline), attempt_times_out, r, r->attempt);
	if (r->client->unconnected && !net_open(r->client->member->id, STORE))
		return;
	r->client->unconnected = false;
	net_send(r->client->member->id, STORE, store_receive, attempt, 0);
}

static Request *
request_create(Client *c, Verb verb, DcsDone done, void *arg)
{
	Request *r = world_alloc(sizeof(*r));

	r->client = c;
	r->verb = verb;
	r->done = done;
	r->arg = arg;
	r->deadline = world_now + c->total_timeout_ms * MS;
	return r;
}

/* From within the agent, which may be paused between its clock and the network. */
static void
request_send(Request *r)
{
	struct timespec ts;
	int64 before = member_clock(self);

	clock_gettime(CLOCK_BOOTTIME, &ts);
	request_attempt(r);
	r->sent_at = before;
}

static void
client_grant(Dcs *dcs, int ttl, DcsDone done, void *arg)
{
	Request *r = request_create((Client *) dcs, VERB_GRANT, done, arg);

	r->ttl = ttl;
	request_send(r);
}

static void
client_keepalive(Dcs *dcs, int64 lease, DcsDone done, void *arg)
{
	Request *r = request_create((Client *) dcs, VERB_KEEPALIVE, done, arg);

	r->lease = lease;
	request_send(r);
}

static void
client_revoke(Dcs *dcs, int64 lease, DcsDone done, void *arg)
{
	Request *r = request_create((Client *) dcs, VERB_REVOKE, done, arg);

	r->lease = lease;
	request_send(r);
}

static void
client_txn(Dcs *dcs, const DcsCompare *compares, int ncompares, const DcsWrite *writes, int nwrites,
		   DcsDone done, void *arg)
{
	Request *r = request_create((Client *) dcs, VERB_TXN, done, arg);

	r->ncompares = ncompares;
	for (int i = 0; i < ncompares; i++)
		r->compares[i] = compares[i];
	r->nwrites = nwrites;
	for (int i = 0; i < nwrites; i++)
	{
		r->writes[i] = writes[i];
		if (writes[i].value != NULL)
			r->writes[i].value = world_text(writes[i].value);
	}
	request_send(r);
}

/*
 * The watch
 */

static void watch_go_on(void *a, int64 serial);

static void
watch_tell(Client *c, bool connected)
{
	DcsEvents *events;

	if (c->connected == connected)
		return;
	c->connected = connected;
	events = &deliver(c)->events;
	events->connected = connected;
	events->revision = c->next_revision - 1;
}

static void
watch_pause(Client *c, bool was_well)
{
	c->backoff = was_well ? 0 : Min(Max(c->backoff * 2, 100 * MS), 2 * SECOND);
	c->watch = WATCH_PAUSED;
	c->watch_serial++;
	world_at(world_now + c->backoff, watch_go_on, c, c->watch_serial);
}

static void
watch_end(Client *c, bool reset)
{
	bool was_well = c->watch == WATCH_OPEN && world_now - c->opened_at >= WATCH_HELD_US;

	if (reset)
		c->next_revision = 0;
	else
		watch_tell(c, false);
	watch_pause(c, was_well);
}

static void
watch_read(Client *c)
{
	Request *r = request_create(c, VERB_RANGE, NULL, NULL);

	c->watch = WATCH_READING;
	r->arg = (void *) (intptr_t) c->watch_serial;
	request_attempt(r);
}

/* Sends what the stream has not told. */
static void watch_arrive(void *a, int64 number);

typedef struct Bundle
{
	Client *client;
	int serial;
	int64 upto;
} Bundle;

static void
watch_send(Client *c)
{
	Bundle *bundle;

	if (c->dead || c->watch != WATCH_OPEN || state != STORE_UP)
		return;
	bundle = world_alloc(sizeof(*bundle));
	*bundle = (Bundle){c, c->watch_serial, revision};
	net_send(STORE, c->member->id, watch_arrive, bundle, 0);
}

static void
notify_watches(void)
{
	for (Client *c = clients; c != NULL; c = c->next)
		watch_send(c);
}

static void
watch_arrive(void *a, int64 b)
{
	Bundle *bundle = a;
	Client *c = bundle->client;
	DcsKeyValue *kvs;
	DcsEvents *events;
	int n = 0;
	int first;

	if (c->dead || c->watch != WATCH_OPEN || c->watch_serial != bundle->serial)
		return;
	c->heard_at = world_now;
	if (bundle->upto < c->next_revision)
		return;
	first = nchanges;
	while (first > 0 && changes[first - 1].revision >= c->next_revision)
		first--;
	kvs = world_alloc(sizeof(DcsKeyValue) * Max(nchanges - first, 1));
	for (int i = first; i < nchanges && changes[i].revision <= bundle->upto; i++)
	{
		const Change *ch = &changes[i];
		bool deleted = ch->now.value == NULL;

		kvs[n++] = (DcsKeyValue){slot_names[ch->slot],	  deleted ? "" : ch->now.value,
								 ch->now.create_revision, ch->revision,
								 ch->now.lease,			  deleted};
	}
	c->next_revision = bundle->upto + 1;
	if (n == 0)
		return;
	events = &deliver(c)->events;
	*events = (DcsEvents){true, false, bundle->upto, n, kvs};
}

typedef struct Opening
{
	Client *client;
	int serial;
} Opening;

static void
watch_opened(void *a, int64 b)
{
	Opening *o = a;
	Client *c = o->client;

	if (c->dead || c->watch != WATCH_OPENING || c->watch_serial != o->serial)
		return;
	if (c->next_revision <= compacted)
	{
		watch_end(c, true);
		return;
	}
	c->watch = WATCH_OPEN;
	c->heard_at = world_now;
	c->opened_at = world_now;
	watch_tell(c, true);
	watch_send(c);
	world_at(world_now + WATCH_SILENCE_US, watch_go_on, c, c->watch_serial);
}

static void
store_open_watch(void *a, int64 b)
{
	Opening *o = a;

	if (!is_held_up(store_open_watch, a, b) && state == STORE_UP)
		net_send(STORE, o->client->member->id, watch_opened, o, 0);
}

static void
watch_open(Client *c)
{
	Opening *o = world_alloc(sizeof(*o));

	c->watch = WATCH_OPENING;
	*o = (Opening){c, c->watch_serial};
	if (net_open(c->member->id, STORE))
		net_send(c->member->id, STORE, store_open_watch, o, 0);
	world_at(world_now + c->request_timeout_ms * MS, watch_go_on, c, c->watch_serial);
}

/* The clockwork of the watch. */
static void
watch_go_on(void *a, int64 serial)
{
	Client *c = a;
	Request *r;

	if (c->dead || c->watch_serial != serial || is_paused(c, watch_go_on, a, serial))
		return;
	switch (c->watch)
	{
		case WATCH_PAUSED:
			if (c->next_revision == 0)
				watch_read(c);
			else
				watch_open(c);
			break;
		case WATCH_OPENING:
			watch_end(c, false);
			break;
		case WATCH_OPEN:
			if (world_now < c->heard_at + WATCH_SILENCE_US)
			{
				world_at(c->heard_at + WATCH_SILENCE_US, watch_go_on, c, serial);
				break;
			}
			r = request_create(c, VERB_CHECK, NULL, NULL);
			r->deadline = world_now + c->request_timeout_ms * MS;
			r->arg = (void *) (intptr_t) c->watch_serial;
			request_attempt(r);
			break;
		default:
			break;
	}
}

/* Requests that the watch itself sent. */
static void
watch_answered(Client *c, Request *r)
{
	const DcsResult *result = &r->answer.result;
	DcsEvents *events;

	if (c->watch_serial != (int) (intptr_t) r->arg)
		return;
	if (r->verb == VERB_CHECK)
	{
		c->heard_at = world_now;
		if (result->status != DCS_OK)
			watch_end(c, false);
		else
			world_at(world_now + WATCH_SILENCE_US, watch_go_on, c, c->watch_serial);
		return;
	}
	if (result->status != DCS_OK)
	{
		watch_tell(c, false);
		watch_pause(c, false);
		return;
	}
	c->next_revision = result->revision + 1;
	c->connected = true;
	events = &deliver(c)->events;
	*events = (DcsEvents){true, true, result->revision, result->nkvs, result->kvs};
	watch_open(c);
}

static void
client_watch(Dcs *dcs, const char *prefix, DcsWatchFn fn, void *arg)
{
	Client *c = (Client *) dcs;

	c->watch_fn = fn;
	c->watch_arg = arg;
	c->next = clients;
	clients = c;
	watch_read(c);
}

/*
 * Questions to other members, whose HTTP servers answer as long as their
 * machines do.
 */

typedef struct Question
{
	Request *request; /* that the asking agent waits for */
	Member *asked;
	int ttl;
	char leader[HA_NAME_SIZE];
	bool confirmed;
} Question;

static void
question_answered(void *a, int64 b)
{
	Question *q = a;
	Answer answer = {.result = {.status = q->confirmed ? DCS_OK : DCS_REFUSED, .reason = "no"}};

	if (q->request->finished || q->request->client->dead ||
		is_paused(q->request->client, question_answered, a, b))
		return;
	request_finish_with(q->request, &answer);
}

static void
answer_question(void *a)
{
	Question *q = a;
	char reason[HA_REASON_SIZE];

	q->confirmed = ha_failsafe_confirm(q->leader, q->ttl, reason, sizeof(reason));
	world_trace("%s: %s %s: %s", self->name, q->confirmed ? "confirms" : "does not confirm",
				q->leader, q->confirmed ? "" : reason);
	net_send(self->id, q->request->client->member->id, question_answered, q, 0);
}

static void
question_arrives(void *a, int64 b)
{
	Question *q = a;

	if (q->asked->postmaster && !q->asked->stopping && q->asked->phase != PHASE_DOWN)
		task_start(q->asked, NULL, answer_question, q);
}

static void
question_times_out(void *a, int64 b)
{
	Request *r = a;

	if (!r->finished && !r->client->dead && !is_paused(r->client, question_times_out, a, b))
		request_fail(r);
}

static void
client_post(Dcs *dcs, const DcsPost *post, int timeout_ms, DcsDone done, void *arg)
{
	Client *c = (Client *) dcs;
	Question *q = world_alloc(sizeof(*q));
	char *end;

	q->request = request_create(c, VERB_TXN, done, arg);
	q->request->sent_at = member_clock(c->member);
	q->asked = &members[post->url[0] - '1'];
	q->ttl = (int) strtol(post->body, &end, 10);
	strlcpy(q->leader, end + 1, HA_NAME_SIZE);
	world_at(world_now + timeout_ms * MS, question_times_out, q->request, 0);
	net_send(c->member->id, q->asked->id, question_arrives, q, 0);
}

/*
 * Waiting
 */

static bool
run_deliveries(Client *c)
{
	bool any = false;

	while (c->first != NULL)
	{
		Delivery *d = c->first;

		c->first = d->next;
		if (c->first == NULL)
			c->last = &c->first;
		any = true;
		if (d->request != NULL)
			d->request->done(d->request->arg, &d->request->answer.result);
		else
			c->watch_fn(c->watch_arg, &d->events);
	}
	return any;
}

int
WaitLatch(Latch *latch, int events, long timeout_ms, uint32 info)
{
	int64 until = timeout_ms < 0 ? NEVER : world_now + timeout_ms * MS;

	for (;;)
	{
		if (!self->postmaster)
			return WL_POSTMASTER_DEATH;
		if ((events & WL_LATCH_SET) && latch->is_set)
			return WL_LATCH_SET;
		if (world_now >= until)
			return WL_TIMEOUT;
		task_wait(until);
	}
}

/*
 * A short nap is one after which the agent looks whether its server changed.
 * As long as it did not, a few of them are one, as on a busy machine: most of
 * the turns would be of that kind.
 */
static int
client_wait(Dcs *dcs, int events, long timeout_ms)
{
	Client *c = (Client *) dcs;
	int64 until = timeout_ms < 0 ? NEVER : world_now + timeout_ms * MS;
	bool is_short = timeout_ms >= SHORT_NAP_MS && timeout_ms <= SHORT_NAP_MS + 1;
	uint64 looks = is_short ? server_looks(self) : 0;
	int more = is_short ? MAX_SHORT_NAPS : 0;

	c->hurried = timeout_ms < SHORT_NAP_MS / 2 ? c->hurried + 1 : 0;
	if (c->hurried > MAX_HURRY)
		world_fail("the agent of %s does not rest", self->name);
	for (;;)
	{
		if (run_deliveries(c))
			return 0;
		if (!self->postmaster)
			return WL_POSTMASTER_DEATH;
		if ((events & WL_LATCH_SET) && c->process->latch.is_set)
			return WL_LATCH_SET;
		if (world_now >= until)
		{
			if (more-- <= 0 || server_looks(self) != looks)
				return WL_TIMEOUT;
			until = world_now + SHORT_NAP_MS * MS;
		}
		task_wait(until);
	}
}

static void
client_reconfigure(Dcs *dcs, const DcsSettings *settings)
{
}

void
client_free(Client *client)
{
	client->dead = true;
	for (Client **c = &clients; *c != NULL; c = &(*c)->next)
		if (*c == client)
		{
			*c = client->next;
			break;
		}
}

static void
client_destroy(Dcs *dcs)
{
	client_free((Client *) dcs);
}

static const DcsOps client_ops = {
	.lease_grant = client_grant,
	.lease_keepalive = client_keepalive,
	.lease_revoke = client_revoke,
	.txn = client_txn,
	.watch = client_watch,
	.post = client_post,
	.wait = client_wait,
	.reconfigure = client_reconfigure,
	.destroy = client_destroy,
};

static Client *
client_create(Process *process, const DcsSettings *settings)
{
	Client *c = world_alloc(sizeof(*c));

	c->dcs.ops = &client_ops;
	c->member = self;
	c->process = process;
	c->task = task_current();
	c->request_timeout_ms = settings->request_timeout_ms;
	c->total_timeout_ms = settings->total_timeout_ms;
	c->last = &c->first;
	c->unconnected = true;
	if (process != NULL)
		process->client = c;
	return c;
}

Dcs *
etcd_create(MemoryContext context, const DcsSettings *settings)
{
	return &client_create(self->process, settings)->dcs;
}

static void
revoked(void *arg, const DcsResult *result)
{
	*(bool *) arg = result->status == DCS_OK || result->status == DCS_LEASE_GONE;
}

bool
etcd_revoke_blocking(const DcsSettings *settings, int64 lease, int timeout_ms)
{
	Client *c = client_create(NULL, settings);
	int64 until = world_now + timeout_ms * MS;
	bool done = false;

	client_revoke(&c->dcs, lease, revoked, &done);
	while (!run_deliveries(c) && world_now < until)
		task_wait(until);
	c->dead = true;
	return done;
}

void
ha_dcs_settings(DcsSettings *settings, int total_timeout_ms)
{
	settings->request_timeout_ms = Max(total_timeout_ms / 3, 100);
	settings->total_timeout_ms = total_timeout_ms;
}

void
store_begin(void)
{
	memset(slots, 0, sizeof(slots));
	revision = 1;
	compacted = 0;
	nchanges = 0;
	nleases = 1;
	state = STORE_UP;
	ppm = chance_between(-15000, 15000);
	frozen = NULL;
	clients = NULL;
	store_last_leader = -1;
	store_delay = 0;
	handed_over = false;
}
