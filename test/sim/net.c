/*-------------------------------------------------------------------------
 * net.c
 *	  Messages between machines.
 *
 * Each takes its own time, so that they overtake each other.  One that is
 * lost is sent again as TCP does it; through a cut it waits, and comes late
 * when the cut was short, or never.
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#define RESEND_US (300 * MS)
#define GIVE_UP_US (6 * SECOND)

bool net_cut[MAX_MEMBERS + 1][MAX_MEMBERS + 1];
int net_slow_permille;
int64 net_slow_us;
int net_loss_permille;

typedef struct Message
{
	int from;
	int to;
	EventFn fn;
	void *a;
	int64 b;
	int64 sent;
	int64 extra;
} Message;

void
net_begin(void)
{
	memset(net_cut, 0, sizeof(net_cut));
	net_slow_permille = 0;
	net_slow_us = 0;
	net_loss_permille = 0;
}

static int64
latency(void)
{
	int64 us = chance_between(150, 1200);

	if (chance_of(20))
		us += chance_between(1 * MS, 40 * MS);
	if (net_slow_permille > 0 && chance_of(net_slow_permille))
		us += chance_between(0, net_slow_us);
	if (net_loss_permille > 0 && chance_of(net_loss_permille))
		us += chance_between(200 * MS, 800 * MS);
	return us;
}

static void
try_to_send(void *a, int64 b)
{
	Message *message = a;

	if (!net_cut[message->from][message->to])
		world_at(world_now + latency() + message->extra, message->fn, message->a, message->b);
	else if (world_now - message->sent < GIVE_UP_US)
		world_at(world_now + RESEND_US, try_to_send, message, 0);
}

void
net_send(int from, int to, EventFn fn, void *a, int64 b)
{
	net_send_late(from, to, 0, fn, a, b);
}

/* What the other end does with it takes a while too. */
void
net_send_late(int from, int to, int64 extra, EventFn fn, void *a, int64 b)
{
	Message *message;

	if (!net_cut[from][to])
	{
		world_at(world_now + latency() + extra, fn, a, b);
		return;
	}
	message = world_alloc(sizeof(*message));
	*message = (Message){from, to, fn, a, b, world_now, extra};
	try_to_send(message, 0);
}

bool
net_open(int a, int b)
{
	return !net_cut[a][b] && !net_cut[b][a];
}
