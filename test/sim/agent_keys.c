/*-------------------------------------------------------------------------
 * agent_keys.c
 *	  The values of the keys, in a form that is quick to write and to read.
 *
 * Says the same as the JSON of ha/keys.c, to which it stands in.
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#define MAX_CONFIGS 4096

bool
key_read_tags(const char *value, bool *may_lead, int *priority)
{
	*may_lead = self->may_lead;
	*priority = self->priority;
	return true;
}

/* Everybody streams from the leader. */
void
key_read_upstream(const char *tags, char upstream[HA_NAME_SIZE])
{
	upstream[0] = '\0';
}

void
key_read_sections(const char *value, SlotSettings *slots, StandbySettings *standby)
{
}

/* Numbers and words with a blank after each: what psprintf does takes too long. */
static char *
put_word(char *to, const char *word)
{
	while (*word != '\0')
		*to++ = *word++;
	*to++ = ' ';
	return to;
}

static char *
put_number(char *to, int64 number)
{
	uint64 rest = number < 0 ? -(uint64) number : (uint64) number;
	char digits[20];
	int n = 0;

	if (number < 0)
		*to++ = '-';
	do
		digits[n++] = (char) ('0' + rest % 10);
	while ((rest /= 10) > 0);
	while (n > 0)
		*to++ = digits[--n];
	*to++ = ' ';
	return to;
}

static const char *
read_number(const char *from, int64 *number)
{
	bool negative = *from == '-';

	*number = 0;
	for (from += negative; *from >= '0' && *from <= '9'; from++)
		*number = *number * 10 + (*from - '0');
	if (negative)
		*number = -*number;
	return *from == ' ' ? from + 1 : from;
}

char *
key_write_member(const HaMember *member, bool with_lsn)
{
	const SharedMember *shown = &member->shown;
	char text[512];
	char *to = text;

	to = put_word(to, shown->host);
	to = put_word(to, shown->role);
	to = put_word(to, shown->state);
	to = put_number(to, shown->timeline);
	to = put_number(to, with_lsn && shown->lsn_known ? (int64) shown->lsn : 0);
	to = put_number(to, member->voted ? member->vote : -1);
	to = put_word(to, member->instance);
	to = put_number(to, self->may_lead);
	to = put_number(to, self->priority);
	to = put_number(to, self->sync_priority);
	to = put_number(to, member->unwell);
	*to = '\0';
	return pstrdup(text);
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
	int64 timeline;
	int64 lsn;
	int64 may_lead;
	int64 priority;
	int64 sync_priority;
	int64 unwell;

	value = read_word(value, shown->host, sizeof(shown->host));
	value = read_word(value, shown->role, sizeof(shown->role));
	value = read_word(value, shown->state, sizeof(shown->state));
	shown->port = 5432;
	value = read_number(value, &timeline);
	value = read_number(value, &lsn);
	shown->timeline = (uint32) timeline;
	shown->lsn = (uint64) lsn;
	shown->lsn_known = shown->lsn != 0;
	value = read_number(value, &member->vote);
	member->voted = member->vote >= 0;
	value = read_word(value, member->instance, sizeof(member->instance));
	value = read_number(value, &may_lead);
	value = read_number(value, &priority);
	value = read_number(value, &sync_priority);
	read_number(value, &unwell);
	member->may_lead = may_lead != 0;
	member->priority = (int) priority;
	member->sync_priority = (int) sync_priority;
	member->unwell = unwell != 0;
	return true;
}

/* What the config key says when there is none. */
static const HaConfig default_config = {
	.ttl = 5,
	.loop_wait = 10,
	.retry_timeout = 10,
	.maximum_lag = MAXIMUM_LAG,
	.primary_start_timeout = 300,
	.sync_count = 1,
	.maximum_lag_synced = -1,
	.use_pg_rewind = true,
};

/* All that the config key said in this schedule: its value is a place in this table. */
static HaConfig configs[MAX_CONFIGS];
static int nconfigs;

void
keys_begin(void)
{
	nconfigs = 0;
	group_config = default_config;
}

const char *
key_write_group(const HaConfig *config)
{
	static char text[16];

	if (nconfigs == MAX_CONFIGS)
		abort();
	configs[nconfigs] = *config;
	snprintf(text, sizeof(text), "%d", nconfigs++);
	world_trace("config: ttl %d%s%s%s", config->ttl, config->paused ? ", paused" : "",
				config->sync_mode == SYNC_MODE_OFF		? ""
				: config->sync_mode == SYNC_MODE_QUORUM ? ", quorum"
														: ", synchronous",
				config->failsafe_mode ? ", failsafe" : "");
	return text;
}

void
key_read_config(const char *value, HaConfig *config)
{
	*config = value == NULL ? default_config : configs[strtol(value, NULL, 10)];
}

char *
key_write_config(void)
{
	return pstrdup(key_write_group(&default_config));
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

	status->optime = 0;
	status->timeline = 0;
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

/* The members in it, as letters. */
char *
key_write_failsafe(const HaFailsafe *list)
{
	char text[MAX_MEMBERS + 1] = "";

	for (int i = 0; i < list->n; i++)
		text[i] = list->members[i].name[1];
	return pstrdup(text);
}

bool
key_read_failsafe(const char *value, HaFailsafe *list)
{
	list->n = (int) strlen(value);
	list->members = palloc0(sizeof(HaFailsafeMember) * (size_t) (list->n + 1));
	for (int i = 0; i < list->n; i++)
	{
		snprintf(list->members[i].name, HA_NAME_SIZE, "m%c", value[i]);
		snprintf(list->members[i].url, HA_URL_SIZE, "%c/", value[i]);
	}
	return true;
}

char *
key_write_claim(int ttl)
{
	return psprintf("%d %s", ttl, self->name);
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

/* Who is synchronous, for those who only want to see it. */
HaSync
key_read_sync(const char *value, const char *leader, const char *member, bool quorum)
{
	return HA_SYNC_NONE;
}

/* "leader quorum name name " */
char *
key_write_sync(const HaSyncKey *sync)
{
	char text[256];
	char *to = text;

	to = put_word(to, sync->leader);
	to = put_number(to, sync->quorum);
	for (int i = 0; i < sync->nvoters; i++)
		to = put_word(to, sync->voters[i]);
	*to = '\0';
	return pstrdup(text);
}

void
key_read_sync_set(const char *value, HaSyncKey *sync)
{
	int64 quorum;

	memset(sync, 0, offsetof(HaSyncKey, voters));
	if (value == NULL)
		return;
	sync->present = true;
	value = read_word(value, sync->leader, sizeof(sync->leader));
	value = read_number(value, &quorum);
	while (*value != '\0')
		value = read_word(value, sync->voters[sync->nvoters++], HA_NAME_SIZE);
	sync->quorum = Min((int) quorum, Max(sync->nvoters - 1, 0));
}

bool
key_sync_lists(const HaSyncKey *sync, const char *member)
{
	for (int i = 0; i < sync->nvoters; i++)
		if (strcmp(sync->voters[i], member) == 0)
			return true;
	return false;
}
