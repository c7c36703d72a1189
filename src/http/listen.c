/*-------------------------------------------------------------------------
 * listen.c
 *	  The sockets that the HTTP server listens on.
 *
 * An address that cannot be had (not this machine's yet, or in use) costs a
 * line in the log, never the server.  Names are not looked up: that could
 * take as long as a name server is silent, and hold up the server's end.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "utils/varlena.h"

#include "http/listen.h"

#define BACKLOG 128

static bool
prepare_socket(int sock, int family)
{
	int on = 1;

	if (setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
		return false;
	/* "*" opens a socket for each family. */
	return family != AF_INET6 || setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0;
}

/* Returns -1, with errno set, when it cannot. */
static int
open_socket(const struct addrinfo *address)
{
	int sock = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return -1;
	if (!prepare_socket(sock, address->ai_family) ||
		bind(sock, address->ai_addr, address->ai_addrlen) != 0 || listen(sock, BACKLOG) != 0)
	{
		int error = errno;

		close(sock);
		errno = error;
		return -1;
	}
	return sock;
}

/* "*" is all addresses of this machine, "localhost" those that only it can reach. */
static void
open_host(const char *host, int port, int *sockets, int *n, int elevel)
{
	bool all = strcmp(host, "*") == 0;
	bool local = strcmp(host, "localhost") == 0;
	struct addrinfo hint = {.ai_flags = AI_NUMERICHOST | (local ? 0 : AI_PASSIVE),
							.ai_family = AF_UNSPEC,
							.ai_socktype = SOCK_STREAM};
	struct addrinfo *addresses = NULL;
	char service[16];
	int error;

	snprintf(service, sizeof(service), "%d", port);
	error = getaddrinfo(all || local ? NULL : host, service, &hint, &addresses);
	if (error != 0)
	{
		ereport(
			elevel,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the HTTP server could not listen on \"%s\": %s", host, gai_strerror(error)),
			 errhint("pgcluster.http_listen is a list of IP addresses, * for all, or localhost.")));
		return;
	}
	for (struct addrinfo *a = addresses; a != NULL && *n < HTTP_MAX_LISTENERS; a = a->ai_next)
	{
		int sock = open_socket(a);

		if (sock >= 0)
			sockets[(*n)++] = sock;
		else if (errno != EAFNOSUPPORT)
			ereport(elevel, (errcode_for_socket_access(),
							 errmsg("the HTTP server could not listen on \"%s\", port %d: %m", host,
									port)));
	}
	freeaddrinfo(addresses);
}

int
http_listen_open(const char *hosts, int port, int *sockets, int elevel)
{
	char *copy = pstrdup(hosts);
	List *names = NIL;
	ListCell *lc;
	int n = 0;

	if (!SplitGUCList(copy, ',', &names))
		ereport(elevel, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("invalid value for parameter \"%s\"", "pgcluster.http_listen"),
						 errdetail("It is not a list of addresses.")));
	foreach (lc, names)
		open_host(lfirst(lc), port, sockets, &n, elevel);
	list_free(names);
	pfree(copy);
	return n;
}
