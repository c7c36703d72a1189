/*-------------------------------------------------------------------------
 * etcd_post.c
 *	  A question to the HTTP server of another member.
 *
 * It has nothing to do with etcd, but shares its libcurl, so that the agent
 * waits for both in one place.  Asked once, on a connection of its own; only
 * the status of the answer counts.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/clock.h"
#include "dcs/etcd_internal.h"

struct EtcdPost
{
	dlist_node node;
	CURL *curl;
	struct curl_slist *headers;
	DcsDone done;
	void *arg;
	int64 sent_at;
	char error[CURL_ERROR_SIZE];
};

/* The body of the answer is not looked at. */
static size_t
pass_over(char *data, size_t size, size_t n, void *arg)
{
	return size * n;
}

static bool
prepare(EtcdPost *post, const DcsPost *what, int timeout_ms)
{
	CURL *curl = post->curl;
	bool ok = true;

#define SET(option, value) (ok = curl_easy_setopt(curl, (option), (value)) == CURLE_OK && ok)
#define SET_TEXT(option, text)                   \
	do                                           \
	{                                            \
		if ((text) != NULL && (text)[0] != '\0') \
			SET(option, text);                   \
	} while (0)

	SET(CURLOPT_URL, what->url);
	SET(CURLOPT_HTTPHEADER, post->headers);
	SET(CURLOPT_COPYPOSTFIELDS, what->body);
	SET(CURLOPT_WRITEFUNCTION, pass_over);
	SET(CURLOPT_ERRORBUFFER, post->error);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_USERAGENT, "pgcluster/" PGCLUSTER_VERSION);
	SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_FRESH_CONNECT, 1L);
	SET(CURLOPT_FORBID_REUSE, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long) timeout_ms);
	SET(CURLOPT_TIMEOUT_MS, (long) timeout_ms);
#if LIBCURL_VERSION_NUM >= 0x075700
	SET(CURLOPT_QUICK_EXIT, 1L);
#endif
	SET_TEXT(CURLOPT_CAINFO, what->cacert);
	SET_TEXT(CURLOPT_SSLCERT, what->cert);
	SET_TEXT(CURLOPT_SSLKEY, what->key);
	if (what->username != NULL && what->username[0] != '\0')
	{
		SET(CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
		SET(CURLOPT_USERNAME, what->username);
		SET_TEXT(CURLOPT_PASSWORD, what->password);
	}
#undef SET_TEXT
#undef SET
	return ok;
}

static void
finish(Etcd *etcd, EtcdPost *post, DcsStatus status, const char *reason)
{
	CodecAnswer answer = {0};
	EtcdDelivery *delivery;

	if (status != DCS_OK)
		codec_answer_fail(&answer, status, "%s", reason);
	delivery = etcd_deliver_later(etcd, &answer);
	delivery->done = post->done;
	delivery->arg = post->arg;
	delivery->sent_at = post->sent_at;
	etcd_post_drop(etcd, post);
}

void
etcd_post_drop(Etcd *etcd, EtcdPost *post)
{
	if (post->curl != NULL)
	{
		curl_multi_remove_handle(etcd->multi, post->curl);
		curl_easy_cleanup(post->curl);
	}
	curl_slist_free_all(post->headers);
	dlist_delete(&post->node);
	pfree(post);
}

void
etcd_post_drop_all(Etcd *etcd)
{
	while (!dlist_is_empty(&etcd->posts))
		etcd_post_drop(etcd, dlist_head_element(EtcdPost, node, &etcd->posts));
}

void
etcd_post_start(Etcd *etcd, const DcsPost *what, int timeout_ms, DcsDone done, void *arg)
{
	EtcdPost *post = MemoryContextAllocZero(etcd->context, sizeof(EtcdPost));

	post->done = done;
	post->arg = arg;
	post->sent_at = clock_now_us();
	dlist_push_tail(&etcd->posts, &post->node);
	post->headers = curl_slist_append(NULL, "Content-Type: application/json");
	post->curl = curl_easy_init();
	if (post->headers == NULL || post->curl == NULL || !prepare(post, what, timeout_ms) ||
		curl_multi_add_handle(etcd->multi, post->curl) != CURLM_OK)
		finish(etcd, post, DCS_UNREACHABLE, "the question could not be sent");
}

bool
etcd_post_attempted(Etcd *etcd, CURL *curl, CURLcode code)
{
	dlist_iter iter;

	dlist_foreach (iter, &etcd->posts)
	{
		EtcdPost *post = dlist_container(EtcdPost, node, iter.cur);
		long status = 0;
		char reason[64];

		if (post->curl != curl)
			continue;
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
		snprintf(reason, sizeof(reason), "the answer was %ld", status);
		if (code != CURLE_OK)
			finish(etcd, post, DCS_UNREACHABLE,
				   post->error[0] ? post->error : curl_easy_strerror(code));
		else
			finish(etcd, post, status == 200 ? DCS_OK : DCS_REFUSED, reason);
		return true;
	}
	return false;
}
