/*-------------------------------------------------------------------------
 * passfile.c
 *	  The passwords of the cluster's roles, in a file like .pgpass.
 *
 * Passwords are in this file and, hashed, in the server, nowhere else: not
 * on command lines, not in the environment, not in etcd.
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_utils.h"
#include "common/logging.h"
#include "libpq-fe.h"

#include "node.h"
#include "passfile.h"

#define PASSWORD_BYTES 24

static void
write_random_password(int fd, const char *path)
{
	unsigned char bytes[PASSWORD_BYTES];
	char line[sizeof("*:*:*:*:\n") + 2 * PASSWORD_BYTES];
	int length = snprintf(line, sizeof(line), "*:*:*:*:");

	if (getentropy(bytes, sizeof(bytes)) != 0)
		pg_fatal("could not generate a random password: %m");
	for (int i = 0; i < PASSWORD_BYTES; i++)
		length += snprintf(line + length, sizeof(line) - length, "%02x", bytes[i]);
	line[length++] = '\n';
	if (write(fd, line, length) != length || fsync(fd) != 0)
		pg_fatal("could not write file \"%s\": %m", path);
	explicit_bzero(bytes, sizeof(bytes));
	explicit_bzero(line, sizeof(line));
}

void
passfile_create(void)
{
	char *draft;
	int fd;

	if (access(options.passfile, F_OK) == 0)
		return;

	/* Several members may do this at once: a link shows a whole file or none. */
	draft = psprintf("%s.%d", options.passfile, (int) getpid());
	fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		pg_fatal("could not create file \"%s\": %m", draft);
	write_random_password(fd, draft);
	close(fd);
	if (link(draft, options.passfile) == 0)
		pg_log_info("made a random password in \"%s\": members on other hosts need a copy",
					options.passfile);
	else if (errno != EEXIST)
		pg_fatal("could not create file \"%s\": %m", options.passfile);
	unlink(draft);
	fsync_parent_path(options.passfile);
	pg_free(draft);
}

/*
 * libpq looks the password up while it prepares a connection, before anything
 * is sent; the connection itself is of no use and dropped at once.
 */
char *
passfile_password(const char *user, const char *dbname)
{
	const char *host = options.advertise_host ? options.advertise_host : "localhost";
	const char *keywords[] = {"host", "hostaddr", "port", "user", "dbname", "passfile", NULL};
	const char *values[] = {host, "127.0.0.1", options.port, user, dbname, options.passfile, NULL};
	PGconn *conn = PQconnectStartParams(keywords, values, 0);
	char *password = PQpass(conn);
	char *result = password && password[0] ? pg_strdup(password) : NULL;

	PQfinish(conn);
	return result;
}
