/*-------------------------------------------------------------------------
 * store.c
 *	  What pgcluster_node asks of etcd.
 *
 * One request at a time over libcurl's easy interface; what the bytes mean
 * is the business of dcs/codec.c, which the agent uses too.
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <curl/curl.h>
#include <json-c/json.h>
#include <time.h>

#include "common/logging.h"
#include "libpq-fe.h"
#include "pqexpbuffer.h"

#include "dcs/codec.h"
#include "ha/sections.h"
#include "node.h"
#include "store.h"

#define REQUEST_TIMEOUT_MS 2000L
#define CLAIM_TTL 10 /* seconds */

static char reason[CODEC_REASON_SIZE + 256];
static char *auth_header = NULL;
static char *preferred = NULL; /* the endpoint that answered last */

static struct
{
	int64 lease; /* 0: there is no claim */
	time_t renewed;
} claim;

static time_t
boot_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec;
}

const char *
store_reason(void)
{
	return reason;
}

/*-------------------------------------------------------------------------
 * One request
 *-------------------------------------------------------------------------
 */

static size_t
collect(char *data, size_t size, size_t n, void *stream)
{
	return codec_stream_append(stream, data, size * n) ? size * n : 0;
}

static void
set_tls(CURL *curl)
{
	if (options.etcd_cacert)
		curl_easy_setopt(curl, CURLOPT_CAINFO, options.etcd_cacert);
	if (options.etcd_cert)
		curl_easy_setopt(curl, CURLOPT_SSLCERT, options.etcd_cert);
	if (options.etcd_key)
		curl_easy_setopt(curl, CURLOPT_SSLKEY, options.etcd_key);
}

/* Sends one request to one endpoint and fills *answer in any case. */
static void
ask_endpoint(const char *endpoint, CodecVerb verb, const char *body, CodecAnswer *answer)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	char *url = psprintf("%s://%s%s", options.etcd_protocol, endpoint, codec_path(verb));
	char error[CURL_ERROR_SIZE] = "";
	CodecStream stream = {0};
	const char *data;
	size_t length;
	CURLcode code;
	long http_status = 0;

	if (curl == NULL || headers == NULL)
		pg_fatal("out of memory");
	if (auth_header != NULL && verb != CODEC_AUTHENTICATE)
		headers = curl_slist_append(headers, auth_header);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &stream);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, REQUEST_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, REQUEST_TIMEOUT_MS / 2);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	set_tls(curl);

	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http_status);
	if (code != CURLE_OK)
	{
		memset(answer, 0, sizeof(*answer));
		codec_answer_fail(answer, DCS_UNREACHABLE, "%s",
						  error[0] ? error : curl_easy_strerror(code));
	}
	else if (codec_stream_next(&stream, &data, &length) == CODEC_NEXT_MESSAGE)
		codec_parse(verb, http_status, data, length, answer);
	else
		codec_parse(verb, http_status, "", 0, answer);

	if (answer->status != DCS_OK && answer->status != DCS_COMPARE_FAILED)
		snprintf(reason, sizeof(reason), "%s: %s", endpoint, answer->reason);
	codec_stream_free(&stream);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	pg_free(url);
}

/* Reads the first line of the password file; the caller frees it. */
static char *
read_password(void)
{
	FILE *file = fopen(options.etcd_password_file, "r");
	char line[1024] = "";

	if (file == NULL)
		pg_fatal("could not open file \"%s\": %m", options.etcd_password_file);
	if (fgets(line, sizeof(line), file) == NULL)
		line[0] = '\0';
	fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	return pg_strdup(line);
}

static bool
authenticate(const char *endpoint)
{
	char *password;
	char *body;
	CodecAnswer answer;
	bool ok;

	if (options.etcd_password_file == NULL)
		pg_fatal("--etcd-username needs --etcd-password-file");
	password = read_password();
	body = codec_authenticate_request(options.etcd_username, password);
	explicit_bzero(password, strlen(password));
	pg_free(password);
	if (body == NULL)
		pg_fatal("out of memory");

	ask_endpoint(endpoint, CODEC_AUTHENTICATE, body, &answer);
	explicit_bzero(body, strlen(body));
	free(body);
	ok = answer.status == DCS_OK && answer.token != NULL;
	if (ok)
	{
		pg_free(auth_header);
		auth_header = psprintf("Authorization: %s", answer.token);
	}
	codec_answer_free(&answer);
	return ok;
}

static bool
was_answered(const CodecAnswer *answer)
{
	return answer->status == DCS_OK || answer->status == DCS_COMPARE_FAILED ||
		   answer->status == DCS_LEASE_GONE;
}

/* One endpoint, with the log-in it may need. */
static bool
try_endpoint(const char *endpoint, CodecVerb verb, const char *body, CodecAnswer *answer)
{
	bool with_auth = options.etcd_username != NULL && options.etcd_username[0] != '\0';

	if (with_auth && auth_header == NULL && !authenticate(endpoint))
	{
		memset(answer, 0, sizeof(*answer));
		codec_answer_fail(answer, DCS_REFUSED, "not authenticated");
		return false;
	}
	ask_endpoint(endpoint, verb, body, answer);
	if (with_auth && answer->stale_token && authenticate(endpoint))
	{
		codec_answer_free(answer);
		ask_endpoint(endpoint, verb, body, answer);
	}
	return was_answered(answer);
}

/*
 * Asks the endpoints in turn until one answers, and frees the body.
 * "answer" must be freed in any case.
 */
static bool
ask(CodecVerb verb, char *body, CodecAnswer *answer)
{
	char *list = pg_strdup(options.etcd);
	char *rest = list;
	char *endpoint;
	bool answered = false;

	if (body == NULL)
		pg_fatal("out of memory");
	memset(answer, 0, sizeof(*answer));

	if (preferred != NULL)
		answered = try_endpoint(preferred, verb, body, answer);
	while (!answered && (endpoint = strsep(&rest, ", ")) != NULL)
	{
		if (endpoint[0] == '\0')
			continue;
		codec_answer_free(answer);
		answered = try_endpoint(endpoint, verb, body, answer);
		if (answered)
		{
			pg_free(preferred);
			preferred = pg_strdup(endpoint);
		}
	}
	free(body);
	pg_free(list);
	return answered;
}

/*-------------------------------------------------------------------------
 * The group
 *-------------------------------------------------------------------------
 */

/* Slashes at the ends of the namespace make no difference. */
static char *
group_key(const char *name)
{
	const char *start = options.namespace + strspn(options.namespace, "/");
	int length = strlen(start);

	while (length > 0 && start[length - 1] == '/')
		length--;
	if (atoi(options.group) < 0)
		return psprintf("/%.*s/%s/%s", length, start, options.scope, name);
	return psprintf("/%.*s/%s/%d/%s", length, start, options.scope, atoi(options.group), name);
}

/* Host and port out of the URL in the member's JSON. */
static void
read_address(json_object *member, char **host, char **port)
{
	json_object *url;
	PQconninfoOption *parts = NULL;

	if (json_object_object_get_ex(member, "conn_url", &url))
		parts = PQconninfoParse(json_object_get_string(url), NULL);
	for (PQconninfoOption *p = parts; p != NULL && p->keyword != NULL; p++)
	{
		if (p->val == NULL)
			continue;
		if (strcmp(p->keyword, "host") == 0)
			*host = pg_strdup(p->val);
		else if (strcmp(p->keyword, "port") == 0)
			*port = pg_strdup(p->val);
	}
	PQconninfoFree(parts);
}

static bool
has_text(json_object *object, const char *field, const char *text)
{
	json_object *value;

	return json_object_object_get_ex(object, field, &value) &&
		   json_object_is_type(value, json_type_string) &&
		   strcmp(json_object_get_string(value), text) == 0;
}

static bool
is_to_be_cloned(json_object *member)
{
	json_object *tags;
	json_object *flag;

	return json_object_object_get_ex(member, "tags", &tags) &&
		   json_object_is_type(tags, json_type_object) &&
		   json_object_object_get_ex(tags, "clonefrom", &flag) &&
		   json_object_is_type(flag, json_type_boolean) && json_object_get_boolean(flag) &&
		   (has_text(member, "state", "streaming") || has_text(member, "state", "running"));
}

static void
read_member(const char *name, const char *value, GroupView *view)
{
	json_object *member = json_tokener_parse(value);

	if (json_object_is_type(member, json_type_object))
	{
		if (view->leader != NULL && strcmp(name, view->leader) == 0)
		{
			read_address(member, &view->leader_host, &view->leader_port);
			view->leader_is_standby = has_text(member, "role", "standby_leader");
		}
		if (view->clone_host == NULL && is_to_be_cloned(member) &&
			(options.name == NULL || strcmp(name, options.name) != 0))
			read_address(member, &view->clone_host, &view->clone_port);
	}
	json_object_put(member);
}

static void
read_config(const char *value, GroupView *view)
{
	json_object *config = json_tokener_parse(value);
	StandbySettings standby;

	sections_read_standby(config, &standby);
	if (standby.enabled)
	{
		view->remote_host = pg_strdup(standby.host);
		view->remote_port = psprintf("%d", standby.port);
	}
	json_object_put(config);
}

static void
read_group(const CodecAnswer *answer, GroupView *view)
{
	char *initialize = group_key("initialize");
	char *leader = group_key("leader");
	char *config = group_key("config");
	char *members = group_key("members/");

	for (int i = 0; i < answer->nkvs; i++)
	{
		const DcsKeyValue *kv = &answer->kvs[i];

		if (strcmp(kv->key, initialize) == 0)
		{
			view->initialize_exists = true;
			view->initialize = pg_strdup(kv->value);
		}
		else if (strcmp(kv->key, leader) == 0)
			view->leader = pg_strdup(kv->value);
		else if (strcmp(kv->key, config) == 0)
			read_config(kv->value, view);
	}
	for (int i = 0; i < answer->nkvs; i++)
		if (strncmp(answer->kvs[i].key, members, strlen(members)) == 0)
			read_member(answer->kvs[i].key + strlen(members), answer->kvs[i].value, view);
	pg_free(initialize);
	pg_free(leader);
	pg_free(config);
	pg_free(members);
}

bool
store_group_view(GroupView *view)
{
	char *prefix = group_key("");
	CodecAnswer answer;
	bool ok =
		ask(CODEC_RANGE, codec_range_request(prefix, true), &answer) && answer.status == DCS_OK;

	memset(view, 0, sizeof(*view));
	if (ok)
		read_group(&answer, view);
	codec_answer_free(&answer);
	pg_free(prefix);
	return ok;
}

/*-------------------------------------------------------------------------
 * The right to initialise the group
 *-------------------------------------------------------------------------
 */

bool
store_claim_initialize(void)
{
	char *key = group_key("initialize");
	DcsCompare absent = {DCS_CREATE_REVISION_IS, key, 0};
	DcsWrite write = {key, "", 0};
	CodecAnswer answer;
	time_t sent = boot_seconds();
	bool ok;

	ok = ask(CODEC_GRANT, codec_grant_request(CLAIM_TTL), &answer) && answer.status == DCS_OK;
	write.lease = answer.lease;
	codec_answer_free(&answer);
	if (ok)
	{
		ok = ask(CODEC_TXN, codec_txn_request(&absent, 1, &write, 1), &answer) &&
			 answer.status == DCS_OK;
		codec_answer_free(&answer);
	}
	if (ok)
	{
		claim.lease = write.lease;
		claim.renewed = sent;
	}
	else if (write.lease != 0)
	{
		/* Perhaps written after all, by a request whose answer was lost. */
		ask(CODEC_REVOKE, codec_lease_request(write.lease), &answer);
		codec_answer_free(&answer);
	}
	pg_free(key);
	return ok;
}

bool
store_claim_held(void)
{
	return claim.lease != 0 && boot_seconds() - claim.renewed < CLAIM_TTL - 1;
}

void
store_claim_keep(void)
{
	CodecAnswer answer;
	time_t sent = boot_seconds();

	if (!store_claim_held() || sent - claim.renewed < CLAIM_TTL / 4)
		return;
	if (ask(CODEC_KEEPALIVE, codec_lease_request(claim.lease), &answer))
	{
		if (answer.status == DCS_OK)
			claim.renewed = sent;
		else
			claim.lease = 0;
	}
	codec_answer_free(&answer);
}

void
store_claim_release(void)
{
	CodecAnswer answer;

	if (claim.lease == 0)
		return;
	ask(CODEC_REVOKE, codec_lease_request(claim.lease), &answer);
	codec_answer_free(&answer);
	claim.lease = 0;
}

/*-------------------------------------------------------------------------
 * A server's lease, while it restarts
 *-------------------------------------------------------------------------
 */

bool
store_lease_renew(int64 lease)
{
	CodecAnswer answer;
	bool gone;

	ask(CODEC_KEEPALIVE, codec_lease_request(lease), &answer);
	gone = answer.status == DCS_LEASE_GONE;
	codec_answer_free(&answer);
	return !gone;
}

void
store_lease_revoke(int64 lease)
{
	CodecAnswer answer;

	ask(CODEC_REVOKE, codec_lease_request(lease), &answer);
	codec_answer_free(&answer);
}

bool
store_leads_with(int64 lease)
{
	char *leader = group_key("leader");
	CodecAnswer answer;
	bool other =
		ask(CODEC_RANGE, codec_range_request(leader, false), &answer) && answer.status == DCS_OK;

	for (int i = 0; other && i < answer.nkvs; i++)
		if (answer.kvs[i].lease == lease)
			other = false;
	codec_answer_free(&answer);
	pg_free(leader);
	return !other;
}
