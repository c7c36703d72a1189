/*-------------------------------------------------------------------------
 * etcd_blocking.c
 *	  Gives a lease back when there is no loop any more.
 *
 * For a process that is about to die: malloc and libcurl only, nothing that
 * throws.  All endpoints are asked at once, and the first confirmation
 * counts: a frozen endpoint costs no time, and revoking twice does no harm.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/clock.h"
#include "dcs/etcd_internal.h"

#define MAX_RACERS 16

typedef struct Racer
{
	CURL *curl;
	struct curl_slist *headers;
	CodecStream received;
} Racer;

typedef struct Race
{
	CURLM *multi;
	Racer racers[MAX_RACERS];
	int n;
} Race;

/* Does this answer settle the matter? */
static bool
is_final(CodecVerb verb, const CodecAnswer *answer)
{
	return answer->status == DCS_OK || (verb == CODEC_REVOKE && answer->status == DCS_LEASE_GONE) ||
		   (verb == CODEC_AUTHENTICATE && answer->status == DCS_REFUSED);
}

static void
race_start(Race *race, const DcsSettings *settings, CodecVerb verb, const char *body,
		   const char *token, int timeout_ms)
{
	const char *list = settings->endpoints;
	char endpoint[ETCD_ENDPOINT_SIZE];

	memset(race, 0, sizeof(*race));
	race->multi = curl_multi_init();
	while (race->multi != NULL && race->n < MAX_RACERS && etcd_endpoint_next(&list, endpoint) == 1)
	{
		Racer *racer = &race->racers[race->n++];

		racer->curl = curl_easy_init();
		racer->headers = etcd_curl_headers(verb, token);
		if (racer->curl == NULL || racer->headers == NULL ||
			!etcd_curl_prepare(racer->curl, settings, endpoint, verb, timeout_ms, timeout_ms))
			continue;
		curl_easy_setopt(racer->curl, CURLOPT_HTTPHEADER, racer->headers);
		curl_easy_setopt(racer->curl, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(racer->curl, CURLOPT_WRITEFUNCTION, etcd_curl_receive);
		curl_easy_setopt(racer->curl, CURLOPT_WRITEDATA, &racer->received);
		curl_easy_setopt(racer->curl, CURLOPT_PRIVATE, racer);
		curl_multi_add_handle(race->multi, racer->curl);
	}
}

/* Looks at those that came in; true when one of them is final. */
static bool
race_look(Race *race, CodecVerb verb, CodecAnswer *answer)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(race->multi, &left)) != NULL)
	{
		char *private;
		Racer *racer;
		long http_status = 0;

		if (message->msg != CURLMSG_DONE || message->data.result != CURLE_OK)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		racer = (Racer *) private;
		curl_easy_getinfo(racer->curl, CURLINFO_RESPONSE_CODE, &http_status);
		codec_answer_free(answer);
		codec_parse(verb, http_status, racer->received.data, racer->received.used, answer);
		if (is_final(verb, answer))
			return true;
	}
	return false;
}

static void
race_end(Race *race)
{
	for (int i = 0; i < race->n; i++)
	{
		Racer *racer = &race->racers[i];

		if (racer->curl != NULL)
		{
			curl_multi_remove_handle(race->multi, racer->curl);
			curl_easy_cleanup(racer->curl);
		}
		curl_slist_free_all(racer->headers);
		codec_stream_free(&racer->received);
	}
	if (race->multi != NULL)
		curl_multi_cleanup(race->multi);
}

/* Asks all endpoints at once; true with the first final answer. */
static bool
race(const DcsSettings *settings, CodecVerb verb, const char *body, const char *token,
	 int64 deadline, CodecAnswer *answer)
{
	Race race;
	bool won = false;
	int running = 1;
	int64 now = clock_now_us();

	memset(answer, 0, sizeof(*answer));
	if (body == NULL || now >= deadline)
		return false;
	race_start(&race, settings, verb, body, token, (int) ((deadline - now) / 1000 + 1));
	while (!won && race.multi != NULL && running > 0 && now < deadline)
	{
		if (curl_multi_perform(race.multi, &running) != CURLM_OK)
			break;
		won = race_look(&race, verb, answer);
		now = clock_now_us();
		if (!won && running > 0 && now < deadline)
			curl_multi_poll(race.multi, NULL, 0, (int) ((deadline - now) / 1000 + 1), NULL);
		now = clock_now_us();
	}
	race_end(&race);
	return won;
}

/* NULL when there is none: etcd then decides whether it goes without. */
static char *
get_token(const DcsSettings *settings, int64 deadline)
{
	char password[ETCD_PASSWORD_SIZE] = "";
	char reason[CODEC_REASON_SIZE];
	char *token = NULL;
	char *body;
	CodecAnswer answer;

	if (settings->username == NULL || settings->username[0] == '\0' ||
		!etcd_password_read(settings->password_file, password, sizeof(password), reason))
		return NULL;
	body = codec_authenticate_request(settings->username, password);
	explicit_bzero(password, sizeof(password));
	if (race(settings, CODEC_AUTHENTICATE, body, NULL, deadline, &answer) && answer.token != NULL)
		token = strdup(answer.token);
	codec_answer_free(&answer);
	if (body != NULL)
		explicit_bzero(body, strlen(body));
	free(body);
	return token;
}

bool
etcd_revoke_blocking(const DcsSettings *settings, int64 lease, int timeout_ms)
{
	int64 deadline = clock_now_us() + timeout_ms * INT64CONST(1000);
	char *token;
	char *body;
	CodecAnswer answer;
	bool confirmed;

	if (settings->endpoints == NULL)
		return false;
	token = get_token(settings, deadline);
	body = codec_lease_request(lease);
	confirmed = race(settings, CODEC_REVOKE, body, token, deadline, &answer);
	codec_answer_free(&answer);
	free(body);
	if (token != NULL)
		explicit_bzero(token, strlen(token));
	free(token);
	return confirmed;
}
