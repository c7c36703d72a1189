/*-------------------------------------------------------------------------
 * access.c
 *	  Who may ask the HTTP server for what.
 *
 * Reading is free, unless a certificate is required of every client.  A
 * request that changes something must pass all that is configured: the list
 * of addresses, the client's certificate, name and password.  Where nothing
 * is configured it must come from this host.  What members ask of each other
 * may come from the address of a member instead.
 *
 * What is configured but cannot be had (a password file that cannot be read)
 * lets nobody in.  Names are not looked up: an answer must not depend on a
 * name server.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/varlena.h"

#include "base/config.h"
#include "base/secret.h"
#include "ha/state.h"
#include "http/access.h"
#include "http/parse.h"

#define MAX_NETWORKS 256
#define MAX_PASSWORD 1024
#define MAX_CREDENTIALS 4096

typedef struct Rules
{
	bool listed; /* only who is in the list */
	int nnetworks;
	HttpNetwork networks[MAX_NETWORKS];
	bool authenticated;				   /* only who knows the password */
	char credentials[MAX_CREDENTIALS]; /* empty: nobody can know it */
} Rules;

static Rules rules;

/*
 * Settings
 */

static void
load_networks(void)
{
	char *copy = pstrdup(config_http_allowlist);
	List *names = NIL;
	ListCell *lc;

	rules.nnetworks = 0;
	rules.listed = config_http_allowlist[0] != '\0' || config_http_allowlist_include_members;
	if (!SplitGUCList(copy, ',', &names))
		ereport(LOG, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					  errmsg("invalid value for parameter \"%s\"", "pgcluster.http_allowlist"),
					  errdetail("It is not a list of addresses.")));
	foreach (lc, names)
	{
		const char *name = lfirst(lc);

		if (rules.nnetworks < MAX_NETWORKS &&
			http_parse_network(name, &rules.networks[rules.nnetworks]))
			rules.nnetworks++;
		else
			ereport(LOG, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						  errmsg("invalid address in parameter \"%s\": \"%s\"",
								 "pgcluster.http_allowlist", name),
						  errhint("It holds at most %d addresses like 10.0.0.1 and networks like "
								  "10.0.0.0/24.",
								  MAX_NETWORKS)));
	}
	list_free(names);
	pfree(copy);
}

static void
load_credentials(void)
{
	char password[MAX_PASSWORD];
	char reason[MAXPGPATH + 128] = "the user's name and password are too long";

	explicit_bzero(rules.credentials, sizeof(rules.credentials));
	rules.authenticated =
		config_http_auth_username[0] != '\0' || config_http_auth_password_file[0] != '\0';
	if (!rules.authenticated)
		return;
	if (!secret_read_line(config_http_auth_password_file, password, sizeof(password), reason,
						  sizeof(reason)) ||
		!http_encode_credentials(config_http_auth_username, password, rules.credentials,
								 sizeof(rules.credentials)))
	{
		rules.credentials[0] = '\0';
		ereport(LOG,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("nobody can change the cluster over HTTP: %s", reason),
				 errhint("Correct pgcluster.http_auth_password_file or the file, and reload.")));
	}
	explicit_bzero(password, sizeof(password));
}

void
http_access_load(void)
{
	load_networks();
	load_credentials();
}

/*
 * Checks
 */

static bool
is_member(const struct sockaddr *address)
{
	int nhosts;
	char **hosts = ha_member_hosts(&nhosts);

	for (int i = 0; i < nhosts; i++)
	{
		HttpNetwork network;

		if (http_parse_network(hosts[i], &network) && http_network_has(&network, address))
			return true;
	}
	return false;
}

static bool
is_listed(const struct sockaddr *address)
{
	for (int i = 0; i < rules.nnetworks; i++)
		if (http_network_has(&rules.networks[i], address))
			return true;
	return config_http_allowlist_include_members && is_member(address);
}

static bool
knows_password(const char *authorization)
{
	if (authorization == NULL || pg_strncasecmp(authorization, "Basic ", 6) != 0)
		return false;
	authorization += 6;
	authorization += strspn(authorization, " ");
	return http_is_same_secret(authorization, rules.credentials) && rules.credentials[0] != '\0';
}

static bool
refuse(HttpAnswer *answer, HttpStatus status, const char *message)
{
	http_answer_text(answer, status, message);
	if (status == HTTP_UNAUTHORIZED)
		answer->authenticate = "Basic realm=\"pgcluster\"";
	return false;
}

bool
http_access_check(const HttpClient *client, HttpIntent intent, HttpAnswer *answer)
{
	bool by_address = intent == HTTP_AMONG_MEMBERS && is_member(client->address);
	bool verified = client->tls && config_http_verify_client != HTTP_VERIFY_NONE;

	if (intent == HTTP_TO_READ)
		return client->certified || !verified ||
			   config_http_verify_client != HTTP_VERIFY_REQUIRED ||
			   refuse(answer, HTTP_FORBIDDEN, "a client certificate is required");
	if (rules.listed && !by_address && !is_listed(client->address))
		return refuse(answer, HTTP_FORBIDDEN, "access from this address is denied");
	if (verified && !client->certified)
		return refuse(answer, HTTP_FORBIDDEN, "a client certificate is required");
	if (rules.authenticated && !knows_password(client->authorization))
		return refuse(answer, HTTP_UNAUTHORIZED, "user name and password are required");
	if (rules.listed || verified || rules.authenticated)
		return true;
	if (!client->is_local && !by_address)
		return refuse(answer, HTTP_FORBIDDEN,
					  "without pgcluster.http_auth_username, pgcluster.http_allowlist or "
					  "pgcluster.http_verify_client, changes are accepted from the same host only");
	if (client->from_page)
		return refuse(answer, HTTP_FORBIDDEN, "pages in a browser may not change the cluster");
	return true;
}
