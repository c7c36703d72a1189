/*-------------------------------------------------------------------------
 * secret.c
 *	  Passwords and keys that are kept in files.
 *
 * A secret that everybody on the machine may read is none, and refused.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"

/* No certificate chain is longer. */
#define MAX_FILE (1024 * 1024)

static int
open_file(const char *file, bool is_secret, off_t *size, char *reason, size_t reason_size)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		snprintf(reason, reason_size, "could not open file \"%s\": %s", file, strerror(errno));
	else if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE)
		snprintf(reason, reason_size, "\"%s\" is no file, or too long", file);
	else if (is_secret && (st.st_mode & S_IRWXO) != 0)
		snprintf(reason, reason_size, "file \"%s\" may be read by everybody (use chmod o-rwx)",
				 file);
	else
	{
		*size = st.st_size;
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* What is there, at most "size" bytes; -1: error. */
static ssize_t
read_all(int fd, char *text, size_t size)
{
	size_t used = 0;

	while (used < size)
	{
		ssize_t n = read(fd, text + used, size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		used += (size_t) n;
	}
	return (ssize_t) used;
}

char *
secret_read_file(const char *file, bool is_secret, char *reason, size_t reason_size)
{
	off_t size = 0;
	int fd = open_file(file, is_secret, &size, reason, reason_size);
	char *text;
	ssize_t n;

	if (fd < 0)
		return NULL;
	text = malloc((size_t) size + 1);
	n = text == NULL ? -1 : read_all(fd, text, (size_t) size);
	close(fd);
	if (n < 0)
	{
		snprintf(reason, reason_size, "could not read file \"%s\"", file);
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

bool
secret_read_line(const char *file, char *text, size_t size, char *reason, size_t reason_size)
{
	char *whole = secret_read_file(file, true, reason, reason_size);
	size_t length;
	bool fits;

	if (whole == NULL)
		return false;
	length = strcspn(whole, "\r\n");
	fits = length > 0 && length < size;
	if (fits)
	{
		memcpy(text, whole, length);
		text[length] = '\0';
	}
	else
		snprintf(reason, reason_size, "the first line of file \"%s\" is empty or too long", file);
	explicit_bzero(whole, strlen(whole));
	free(whole);
	return fits;
}
