/*-------------------------------------------------------------------------
 * twophase.h
 *	  Names of prepared transactions, and what they say of their outcome.
 *
 * A name is pgcluster_<group>_<incarnation>_<transaction>_<n>: the group
 * that coordinates, which life of which server there, its full transaction
 * id, and a number for each connection that took part.  The incarnation
 * holds the system identifier, so that two clusters may share a node, and a
 * random number drawn at each start, so that a transaction id given out
 * again after a crash is not taken for the one before.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_REMOTE_TWOPHASE_H
#define PGCLUSTER_SHARD_REMOTE_TWOPHASE_H

#include "access/transam.h"

/* Columns of pgcluster.two_phase_record. */
#define ANUM_TWO_PHASE_GID 1
#define ANUM_TWO_PHASE_GROUP 2

/* The table of records; InvalidOid when this transaction has dropped the extension. */
extern Oid twophase_record_relation(void);

/* What the names of all transactions coordinated by this group begin with. */
extern void twophase_gid_prefix(char *to, size_t size);

extern void twophase_make_gid(char *to, size_t size, FullTransactionId xid, int n);

/*
 * True when the local transaction that the name speaks of may still be in
 * progress.  "gid" must begin with our prefix.
 */
extern bool twophase_in_progress(const char *gid);

/* The id, here, of the transaction that the name speaks of. */
extern TransactionId twophase_transaction_id(const char *gid);

/*
 * The name under which this process works on other nodes, so that what it
 * waits for there can be told from the work of others.
 */
extern void twophase_session_name(char *to, size_t size);

/* The process on this server that has such a name; 0 when it has none of ours. */
extern int twophase_session_process(const char *name);

extern void twophase_init(void);

#endif
