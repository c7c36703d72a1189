/*-------------------------------------------------------------------------
 * tls.c
 *	  Certificates of the HTTP server and of its clients.
 *
 * libmicrohttpd speaks TLS through GnuTLS; here the files are read, and tried
 * before they take the place of those in force, so that a mistake at a reload
 * leaves the server as it was.  libmicrohttpd only asks clients for their
 * certificates; it is here that they are checked.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "base/config.h"
#include "base/secret.h"
#include "http/tls.h"

#define DEFAULT_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

void
http_tls_free(HttpTls *tls)
{
	if (tls->key != NULL)
		explicit_bzero(tls->key, strlen(tls->key));
	free(tls->certificate);
	free(tls->key);
	free(tls->authorities);
	free(tls->priorities);
	memset(tls, 0, sizeof(*tls));
}

static bool
is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool
http_tls_is_same(const HttpTls *a, const HttpTls *b)
{
	return is_same(a->certificate, b->certificate) && is_same(a->key, b->key) &&
		   is_same(a->authorities, b->authorities) && is_same(a->priorities, b->priorities);
}

static gnutls_datum_t
datum(const char *text)
{
	return (gnutls_datum_t){(unsigned char *) text, (unsigned int) strlen(text)};
}

/* Returns what is wrong, or NULL. */
static const char *
try_certificates(const HttpTls *tls)
{
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priorities;
	gnutls_datum_t certificate = datum(tls->certificate);
	gnutls_datum_t key = datum(tls->key);
	const char *place;
	int result;

	if (gnutls_priority_init(&priorities, tls->priorities, &place) != GNUTLS_E_SUCCESS)
		return "pgcluster.http_ciphers is no priority string of GnuTLS";
	gnutls_priority_deinit(priorities);
	if (gnutls_certificate_allocate_credentials(&credentials) != GNUTLS_E_SUCCESS)
		return "out of memory";
	result =
		gnutls_certificate_set_x509_key_mem(credentials, &certificate, &key, GNUTLS_X509_FMT_PEM);
	if (result >= 0 && tls->authorities != NULL)
	{
		gnutls_datum_t authorities = datum(tls->authorities);

		result =
			gnutls_certificate_set_x509_trust_mem(credentials, &authorities, GNUTLS_X509_FMT_PEM);
		if (result == 0)
			result = GNUTLS_E_NO_CERTIFICATE_FOUND;
	}
	gnutls_certificate_free_credentials(credentials);
	return result < 0 ? gnutls_strerror(result) : NULL;
}

static bool
read_files(HttpTls *tls, char *reason, size_t size)
{
	const char *key =
		config_http_key_file[0] != '\0' ? config_http_key_file : config_http_cert_file;

	tls->certificate = secret_read_file(config_http_cert_file, false, reason, size);
	if (tls->certificate == NULL)
		return false;
	tls->key = secret_read_file(key, true, reason, size);
	if (tls->key == NULL)
		return false;
	if (config_http_verify_client != HTTP_VERIFY_NONE)
	{
		tls->authorities = secret_read_file(config_http_ca_file, false, reason, size);
		if (tls->authorities == NULL)
			return false;
	}
	tls->priorities =
		strdup(config_http_ciphers[0] != '\0' ? config_http_ciphers : DEFAULT_PRIORITIES);
	if (tls->priorities == NULL)
		strlcpy(reason, "out of memory", size);
	return tls->priorities != NULL;
}

bool
http_tls_load(HttpTls *tls, int elevel)
{
	char reason[MAXPGPATH + 128];
	const char *wrong = NULL;

	memset(tls, 0, sizeof(*tls));
	if (config_http_cert_file[0] == '\0')
		return true;
	if (!read_files(tls, reason, sizeof(reason)))
		wrong = reason;
	else
		wrong = try_certificates(tls);
	if (wrong == NULL)
		return true;
	ereport(elevel, (errcode(ERRCODE_CONFIG_FILE_ERROR),
					 errmsg("the HTTP server cannot use its certificates: %s", wrong),
					 errhint("Correct the files that pgcluster.http_cert_file, http_key_file and "
							 "http_ca_file name, and reload.")));
	http_tls_free(tls);
	return false;
}

bool
http_tls_is_certified(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
									 .data = (unsigned char *) GNUTLS_KP_TLS_WWW_CLIENT};
	gnutls_session_t session;
	unsigned int status = 0;
	unsigned int count = 0;

	if (info == NULL)
		return false;
	session = info->tls_session;
	if (gnutls_certificate_get_peers(session, &count) == NULL || count == 0)
		return false;
	return gnutls_certificate_verify_peers(session, &purpose, 1, &status) == GNUTLS_E_SUCCESS &&
		   status == 0;
}
