/*-------------------------------------------------------------------------
 * secret.h
 *	  Passwords and keys that are kept in files.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BASE_SECRET_H
#define PGCLUSTER_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Reads the first line of a file that nobody but its owner and its group
 * may read.  False: it cannot; "reason" says why.
 */
extern bool
secret_read_line(const char *file, char *text, size_t size, char *reason, size_t reason_size);

/*
 * Reads a whole file; with "is_secret" under the same condition.  The text is
 * the caller's to free(); NULL: see above.
 */
extern char *secret_read_file(const char *file, bool is_secret, char *reason, size_t reason_size);

#endif
