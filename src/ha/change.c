/*-------------------------------------------------------------------------
 * change.c
 *	  Changes the settings of a group, its config key, on request.
 *
 * The change is applied to the document as it is now, the outcome is checked
 * as a whole, and it is written only if nobody else wrote meanwhile; if
 * somebody did, all that is done again.  The same change made twice makes no
 * difference, so an agent that finds a request which the one before it had
 * begun begins anew.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <json-c/json.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/json.h"
#include "ha/agent.h"
#include "ha/parameters.h"

/* How long members have to notice that the group was paused. */
#define NOTICE_WAIT_US (15 * INT64CONST(1000000))

static char *
text_of(const AgentRequest *request)
{
	char *text = palloc(HA_REQUEST_TEXT_SIZE);

	LWLockAcquire(ha_shared->lock, LW_SHARED);
	strlcpy(text, ha_request_text(request - agent.requests), HA_REQUEST_TEXT_SIZE);
	LWLockRelease(ha_shared->lock);
	return text;
}

/* Leaves the document for who asked. */
static void
leave_text(const AgentRequest *request, const char *document)
{
	int place = request - agent.requests;

	LWLockAcquire(ha_shared->lock, LW_EXCLUSIVE);
	if (ha_shared->requests[place].id == request->id)
		strlcpy(ha_request_text(place), document, HA_REQUEST_TEXT_SIZE);
	LWLockRelease(ha_shared->lock);
}

static void
refuse_value(AgentRequest *request, const DocumentTrouble *trouble)
{
	SharedRequest *shared = &ha_shared->requests[request - agent.requests];

	LWLockAcquire(ha_shared->lock, LW_EXCLUSIVE);
	if (shared->id == request->id)
		strlcpy(shared->outcome.detail, trouble->detail, sizeof(shared->outcome.detail));
	LWLockRelease(ha_shared->lock);
	request_refuse(request, ERRCODE_INVALID_PARAMETER_VALUE, trouble->message, trouble->hint);
}

static void
note_unknown(void *arg, const char *key)
{
	AgentRequest *request = arg;

	if (request->notice[0] == '\0')
		strlcpy(request->notice,
				"these keys are kept, but mean nothing to pgcluster: ", sizeof(request->notice));
	else
		strlcat(request->notice, ", ", sizeof(request->notice));
	strlcat(request->notice, key, sizeof(request->notice));
}

/* The document as it is to be, or NULL when the request was refused. */
static json_object *
apply_change(AgentRequest *request, json_object *present)
{
	json_object *change = json_tied(json_tokener_parse(text_of(request)));
	bool is_patch = request->what.kind == REQUEST_PATCH_CONFIG;
	json_object *document;
	DocumentTrouble trouble;

	if (!json_object_is_type(change, json_type_object))
	{
		request_refuse(request, ERRCODE_INVALID_PARAMETER_VALUE,
					   "the configuration is not a JSON object", "");
		return NULL;
	}
	document = json_tied(document_merge(is_patch ? present : NULL, change));
	if (!document_check(document, &trouble) || !parameters_check(document, &trouble))
	{
		refuse_value(request, &trouble);
		return NULL;
	}
	request->notice[0] = '\0';
	document_tell_unknown(change, note_unknown, request);
	return document;
}

static void
change_written(void *arg, const DcsResult *result)
{
	AgentRequest *request = request_of(arg);

	agent_landed(arg, result);
	if (request == NULL)
		return;
	if (result->status == DCS_COMPARE_FAILED)
	{
		/* What it is now comes with the answer; the next turn begins anew. */
		observe_failure((const char *const[]){key_name_in(request->what.group_id, KEY_CONFIG)}, 1,
						result);
		return;
	}
	if (result->status != DCS_OK)
	{
		request_refuse(request, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					   psprintf("etcd could not be asked: %s", result->reason),
					   "See cluster_config() for whether the configuration was changed.");
		return;
	}
	ereport(LOG, (errmsg("the configuration of group %d was changed", request->what.group_id)));
	request->revision = result->revision;
	request->sent = true;
}

static void
write_document(AgentRequest *request, const AgentKey *key, const char *text)
{
	DcsCompare compare = {DCS_MOD_REVISION_IS, key_name_in(request->what.group_id, KEY_CONFIG),
						  key->mod_revision};
	DcsWrite write = {compare.key, text, 0};
	AgentFlight *flight = agent_take_off(OP_REQUEST);

	flight->request = request->id;
	agent.dcs->ops->txn(agent.dcs, &compare, 1, &write, 1, change_written, flight);
}

void
change_begin(AgentRequest *request)
{
	const AgentKey *key = &observe_group(request->what.group_id)->keys[KEY_CONFIG];
	json_object *present = key->value == NULL ? NULL : json_tied(json_tokener_parse(key->value));
	json_object *document = apply_change(request, present);
	const char *text;

	if (document == NULL)
		return;
	text = json_text(document);
	if (strlen(text) >= HA_REQUEST_TEXT_SIZE)
	{
		request_refuse(request, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
					   "the configuration is longer than 64 kB", "");
		return;
	}
	if (document_equal(document, present))
		request->sent = true;
	else
		write_document(request, key, text);
}

/* A member that has not taken notice of the group being paused, or not any more. */
static const char *
find_unaware(int group_id, bool paused)
{
	for (int i = 0; i < agent.nmembers; i++)
	{
		const SharedMember *m = &agent.members[i].said.shown;

		if (m->group_id == group_id && m->paused != paused)
			return m->name;
	}
	return NULL;
}

void
change_follow(AgentRequest *request)
{
	const AgentKey *key = &observe_group(request->what.group_id)->keys[KEY_CONFIG];
	const char *unaware;
	HaConfig config;

	/* The watch brings what was written. */
	if (key->seen_revision < request->revision)
		return;
	key_read_config(key->value, &config);
	unaware = request->what.wait ? find_unaware(request->what.group_id, config.paused) : NULL;
	if (unaware != NULL && clock_now_us() - request->since_us < NOTICE_WAIT_US)
		return;
	if (unaware != NULL)
		snprintf(request->notice, sizeof(request->notice),
				 "member \"%s\" has not taken notice of it yet", unaware);
	leave_text(request, key->value == NULL ? "{}" : key->value);
	request_succeed(request, "");
}
