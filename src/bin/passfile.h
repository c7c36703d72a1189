/*-------------------------------------------------------------------------
 * passfile.h
 *	  The passwords of the cluster's roles, in a file like .pgpass.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BIN_PASSFILE_H
#define PGCLUSTER_BIN_PASSFILE_H

/* Makes the file with a random password for everything, if it is not there. */
extern void passfile_create(void);

/*
 * The password libpq would use for a role of this server; NULL: none.  The
 * caller wipes and frees it.
 */
extern char *passfile_password(const char *user, const char *dbname);

#endif
