/*-------------------------------------------------------------------------
 * settings.c
 *	  What the settings of this server mean for high availability.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "lib/stringinfo.h"
#include "libpq-fe.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "utils/guc_tables.h"

#include "base/compat.h"
#include "base/config.h"
#include "base/owner.h"
#include "base/secret.h"
#include "ha/decide.h"
#include "ha/settings.h"

#define HTTP_SECRET_SIZE 1024

/* One endpoint must not take so long that no other can be asked in time. */
#define REQUEST_SHARE 3

void
ha_dcs_settings(DcsSettings *settings, int total_timeout_ms)
{
	settings->endpoints = config_etcd_endpoints;
	settings->tls = config_etcd_protocol == ETCD_HTTPS;
	settings->cacert = config_etcd_cacert;
	settings->cert = config_etcd_cert;
	settings->key = config_etcd_key;
	settings->username = config_etcd_username;
	settings->password_file = config_etcd_password_file;
	settings->request_timeout_ms = Max(total_timeout_ms / REQUEST_SHARE, 100);
	settings->total_timeout_ms = total_timeout_ms;
}

/* The name is part of a key, of JSON, of a connection string and of application_name. */
static bool
is_valid_name(const char *name)
{
	if (name[0] == '\0' || strlen(name) >= HA_NAME_SIZE)
		return false;
	for (const char *p = name; *p; p++)
		if (*p <= ' ' || *p > '~' || strchr("/'\"\\,", *p) != NULL)
			return false;
	return true;
}

static void
check_name(const char *setting, const char *value)
{
	if (is_valid_name(value))
		return;
	ereport(FATAL, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid value for parameter \"%s\": \"%s\"", setting, value),
					errhint("Use 1 to %d printable ASCII characters other than blanks, quotes, "
							"commas, slashes and backslashes.",
							HA_NAME_SIZE - 1)));
}

void
ha_check_settings(void)
{
	check_name("pgcluster.node_name", config_node_name);
	check_name("pgcluster.scope", config_scope);
}

const char *
ha_own_host(void)
{
	static char name[256];

	if (config_advertise_host[0] != '\0')
		return config_advertise_host;
	if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0')
		strlcpy(name, "localhost", sizeof(name));
	return name;
}

int
ha_own_port(void)
{
	return config_advertise_port > 0 ? config_advertise_port : PostPortNumber;
}

void
ha_own_api_url(char *url, size_t size)
{
	const char *host = ha_own_host();
	bool bracket = strchr(host, ':') != NULL;

	url[0] = '\0';
	if (config_http_port > 0)
		snprintf(url, size, "http%s://%s%s%s:%d/patroni",
				 config_http_cert_file[0] != '\0' ? "s" : "", bracket ? "[" : "", host,
				 bracket ? "]" : "", config_http_port);
}

void
ha_post_settings(DcsPost *post)
{
	char password[HTTP_SECRET_SIZE];
	char reason[256];

	post->cacert = config_http_ca_file;
	post->cert = config_http_cert_file;
	post->key = config_http_key_file[0] != '\0' ? config_http_key_file : config_http_cert_file;
	if (config_http_auth_password_file[0] == '\0')
		return;
	/* Without it the others refuse, and say so. */
	if (!secret_read_line(config_http_auth_password_file, password, sizeof(password), reason,
						  sizeof(reason)))
		return;
	post->username = config_http_auth_username;
	post->password = pstrdup(password);
	explicit_bzero(password, sizeof(password));
}

const char *
ha_instance(void)
{
	static char instance[64];
	char boot[64] = "";
	struct stat st;
	FILE *file;

	if (instance[0] != '\0')
		return instance;

	file = fopen("/proc/sys/kernel/random/boot_id", "r");
	if (file != NULL)
	{
		if (fgets(boot, sizeof(boot), file) == NULL)
			boot[0] = '\0';
		fclose(file);
	}
	if (boot[0] == '\0')
		strlcpy(boot, ha_own_host(), sizeof(boot));
	if (stat(DataDir, &st) != 0)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not stat data directory \"%s\": %m", DataDir)));

	boot[strcspn(boot, "\n")] = '\0';
	snprintf(instance, sizeof(instance), "%.36s-%llx-%llx", boot, (unsigned long long) st.st_dev,
			 (unsigned long long) st.st_ino);
	return instance;
}

/* Appends "keyword='value'", quoted as libpq wants it. */
static void
append_parameter(StringInfo buf, const char *keyword, const char *value)
{
	if (buf->len > 0)
		appendStringInfoChar(buf, ' ');
	appendStringInfo(buf, "%s='", keyword);
	for (const char *p = value; *p; p++)
	{
		if (*p == '\'' || *p == '\\')
			appendStringInfoChar(buf, '\\');
		appendStringInfoChar(buf, *p);
	}
	appendStringInfoChar(buf, '\'');
}

static bool
is_ours_to_set(const char *keyword)
{
	static const char *const ours[] = {"host", "hostaddr", "port", "user", "application_name",
									   /* walreceiver sets these itself, or must not have them */
									   "dbname", "replication", "fallback_application_name",
									   "options", "target_session_attrs",
									   /* never written to a file */
									   "password", "sslpassword"};

	for (size_t i = 0; i < lengthof(ours); i++)
		if (strcmp(keyword, ours[i]) == 0)
			return true;
	return false;
}

static void
free_options(void *options)
{
	PQconninfoFree(options);
}

char *
ha_primary_conninfo(const char *host, int port)
{
	return ha_database_conninfo(host, port, NULL);
}

char *
ha_database_conninfo(const char *host, int port, const char *dbname)
{
	StringInfoData buf;
	char number[16];
	char *reason = NULL;
	PQconninfoOption *options;

	initStringInfo(&buf);
	snprintf(number, sizeof(number), "%d", port);
	append_parameter(&buf, "host", host);
	append_parameter(&buf, "port", number);
	if (dbname != NULL)
		append_parameter(&buf, "dbname", dbname);
	append_parameter(&buf, "user", config_replication_user);
	/* By this name the walsender of a member is found. */
	if (dbname == NULL)
		append_parameter(&buf, "application_name", config_node_name);

	options = PQconninfoParse(config_node_conninfo, &reason);
	if (options == NULL)
	{
		ereport(LOG, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					  errmsg("invalid value for parameter \"pgcluster.node_conninfo\""),
					  errhint("It holds libpq parameters, for example \"sslmode=verify-full "
							  "passfile=/path\".")));
		PQfreemem(reason);
		return buf.data;
	}
	owner_tie(CurrentMemoryContext, options, free_options);
	for (PQconninfoOption *o = options; o->keyword; o++)
		if (o->val != NULL && o->val[0] != '\0' && !is_ours_to_set(o->keyword))
			append_parameter(&buf, o->keyword, o->val);
	return buf.data;
}
