/*-------------------------------------------------------------------------
 * slot_wait.c
 *	  No subscriber of a slot that is carried over gets ahead of the standbys.
 *
 * A subscriber that has a transaction which the next leader has not would keep
 * it, and would take the next leader's first transactions for ones that it
 * has already, because their positions are the same.  So a walsender that
 * decodes for such a slot holds each change back until every standby that
 * streams, and may lead next, has it on disk.  A standby that does not answer is
 * waited for until its own walsender gives it up (wal_sender_timeout).
 *
 * The server has no hook there; what a walsender sends goes through a table
 * of functions that can be replaced.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "port/pg_bswap.h"
#include "replication/slot.h"
#include "replication/walsender.h"
#include "storage/latch.h"

/* With GSSAPI these want headers that the server's packages do not bring; no field is used. */
#undef ENABLE_GSS
#include "libpq/auth.h"
#include "libpq/libpq.h"

#include "ha/slots.h"

#define NAP_MS 2
#define HEADER_SIZE (1 + 3 * sizeof(uint64)) /* 'w', two positions, the time */

static PQcommMethods methods;
static const PQcommMethods *inner_methods = NULL;
static ClientAuthentication_hook_type prev_client_authentication = NULL;

/* The standbys have all up to here. */
static XLogRecPtr confirmed = InvalidXLogRecPtr;

/* True when nobody has to be waited for. */
static bool
have_standbys(XLogRecPtr lsn)
{
	XLogRecPtr least;

	if (lsn <= confirmed)
		return true;
	if (MyReplicationSlot == NULL ||
		!slots_least_awaited(NameStr(MyReplicationSlot->data.name), &least))
		return true;
	confirmed = least;
	return lsn <= confirmed;
}

static void
wait_for_standbys(XLogRecPtr lsn)
{
	while (!have_standbys(lsn))
	{
		/* Its latch is left to the walsender, which looks at it next. */
		WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, NAP_MS, PG_WAIT_EXTENSION);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
put_message_no_block(char type, const char *data, size_t length)
{
	uint64 position;

	if (type == 'd' && length >= HEADER_SIZE && data[0] == 'w')
	{
		memcpy(&position, data + 1, sizeof(position));
		wait_for_standbys(pg_ntoh64(position));
	}
	inner_methods->putmessage_noblock(type, data, length);
}

static void
pgcluster_client_authentication(Port *port, int status)
{
	if (prev_client_authentication)
		prev_client_authentication(port, status);
	if (!am_db_walsender || inner_methods != NULL)
		return;
	inner_methods = PqCommMethods;
	methods = *PqCommMethods;
	methods.putmessage_noblock = put_message_no_block;
	PqCommMethods = &methods;
}

void
slot_wait_init(void)
{
	prev_client_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = pgcluster_client_authentication;
}
