/*-------------------------------------------------------------------------
 * node.h
 *	  What the command line says, for all of pgcluster_node.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BIN_NODE_H
#define PGCLUSTER_BIN_NODE_H

/* A list that options given more than once add to. */
typedef struct StringList
{
	int n;
	const char **items;
} StringList;

typedef struct NodeOptions
{
	const char *data_dir; /* absolute */
	const char *scope;
	const char *name;
	const char *namespace;
	const char *group; /* a number; -1: a cluster without groups */

	const char *etcd; /* host:port[,...]; NULL: not given */
	const char *etcd_protocol;
	const char *etcd_cacert;
	const char *etcd_cert;
	const char *etcd_key;
	const char *etcd_username;
	const char *etcd_password_file;

	const char *listen;
	const char *port;
	const char *advertise_host;
	const char *http_listen; /* NULL: not given */
	const char *http_port;
	const char *replication_user;
	const char *passfile;
	const char *node_conninfo; /* further libpq parameters, may be NULL */
	StringList settings;	   /* name=value */
	StringList initdb_args;

	const char *source; /* rejoin, clone: conninfo of the leader */
	const char *no_start;

	char bindir[MAXPGPATH]; /* where this program and the server's are */
} NodeOptions;

extern NodeOptions options;

/* The commands; each returns the exit status of the program. */
extern int run_command_run(void);
extern int run_command_clone(void);
extern int run_command_rejoin(void);
extern int run_command_restart(void);

#endif
