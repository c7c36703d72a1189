/*-------------------------------------------------------------------------
 * agent_keys.c
 *	  The values of the keys, in a form that is quick to write and to read.
 *
 * Says the same as the JSON of ha/keys.c, to which it stands in.
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#define DEFAULT_LOOP_WAIT 10
#define DEFAULT_PRIMARY_START_TIMEOUT 300

bool
key_read_tags(const char *value, bool *may_lead, int *priority)
{
	*may_lead = self->may_lead;
	*priority = self->priority;
	return true;
}

char *
key_write_member(const HaMember *member, bool with_lsn)
{
	const SharedMember *shown = &member->shown;

	return psprintf("%s %s %s %u %lu %ld %s %d %d", shown->host, shown->role, shown->state,
					shown->timeline, with_lsn && shown->lsn_known ? shown->lsn : 0,
					member->voted ? (long) member->vote : -1L, member->instance, self->may_lead,
					self->priority);
}

/* Copies up to the next blank, and goes on after it. */
static const char *
read_word(const char *from, char *to, size_t size)
{
	size_t n = strcspn(from, " ");

	if (n >= size)
		abort();
	memcpy(to, from, n);
	to[n] = '\0';
	return from + n + 1;
}

bool
key_read_member(const char *value, HaMember *member)
{
	SharedMember *shown = &member->shown;
	char *end;

	value = read_word(value, shown->host, sizeof(shown->host));
	value = read_word(value, shown->role, sizeof(shown->role));
	value = read_word(value, shown->state, sizeof(shown->state));
	shown->port = 5432;
	shown->timeline = (uint32) strtoul(value, &end, 10);
	shown->lsn = strtoul(end, &end, 10);
	shown->lsn_known = shown->lsn != 0;
	member->vote = strtol(end, &end, 10);
	member->voted = member->vote >= 0;
	value = read_word(end + 1, member->instance, sizeof(member->instance));
	member->may_lead = strtol(value, &end, 10) != 0;
	member->priority = (int) strtol(end, &end, 10);
	return true;
}

const char *
key_write_group(int ttl, bool paused)
{
	static char text[64];

	snprintf(text, sizeof(text), "%d %d", ttl, paused);
	return text;
}

void
key_read_config(const char *value, HaConfig *config)
{
	char *end;

	memset(config, 0, sizeof(*config));
	config->ttl = 5;
	config->loop_wait = DEFAULT_LOOP_WAIT;
	config->retry_timeout = 10;
	config->maximum_lag = MAXIMUM_LAG;
	config->primary_start_timeout = DEFAULT_PRIMARY_START_TIMEOUT;
	config->use_pg_rewind = true;
	if (value == NULL)
		return;
	config->ttl = (int) strtol(value, &end, 10);
	config->paused = strtol(end, &end, 10) != 0;
}

char *
key_write_config(void)
{
	return pstrdup(key_write_group(5, false));
}

char *
key_write_status(const HaStatus *status)
{
	return psprintf("%lu %u", status->optime, status->timeline);
}

void
key_read_status(const char *value, HaStatus *status)
{
	char *end;

	memset(status, 0, sizeof(*status));
	if (value == NULL)
		return;
	status->optime = strtoul(value, &end, 10);
	status->timeline = (uint32) strtoul(end, &end, 10);
}

char *
key_write_failover(const HaFailover *failover)
{
	return psprintf("%s,%s,%ld", failover->leader, failover->member, (long) failover->at);
}

bool
key_read_failover(const char *value, HaFailover *failover)
{
	const char *member;
	size_t n;
	size_t k;

	memset(failover, 0, sizeof(*failover));
	if (value == NULL)
		return false;
	n = strcspn(value, ",");
	member = value + n + 1;
	k = strcspn(member, ",");
	memcpy(failover->leader, value, n);
	memcpy(failover->member, member, k);
	failover->at = strtol(member + k + 1, NULL, 10);
	return n > 0 || k > 0;
}

char *
key_write_epoch(const char *leader)
{
	return pstrdup(leader);
}

/* "timeline:end " for each timeline before the present one, oldest first. */
char *
key_write_history(uint32 timeline, const char *leader, const char *former)
{
	char *text = pstrdup("");
	uint32 below = timeline;

	for (int r = self->head; r >= 0; r = records[r].parent)
		if (records[r].timeline < below)
		{
			below = records[r].timeline;
			text = psprintf("%u:%lu %s", below, records[r].lsn, text);
		}
	return text;
}

int
key_read_history(const char *value, HaFork *forks, int max)
{
	int n = 0;
	char *end = (char *) value;

	while (end != NULL && *end != '\0' && n < max)
	{
		forks[n].timeline = (uint32) strtoul(end, &end, 10);
		forks[n].end = strtoul(end + 1, &end, 10);
		n++;
		end++;
	}
	return n;
}

/* Synchronous standbys are chosen by setting here, not by this key. */
HaSync
key_read_sync(const char *value, const char *leader, const char *member, bool quorum)
{
	return HA_SYNC_NONE;
}
