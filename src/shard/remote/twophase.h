/*-------------------------------------------------------------------------
 * twophase.h
 *	  Names of prepared transactions, and what they say of their outcome.
 *
 * A name is pgcluster_<group>_<incarnation>_<transaction>_<n>: the group
 * that coordinates, which life of which server there, the transaction, and a
 * number for each connection that took part.  The incarnation holds the
 * system identifier, so that two clusters may share a node, and a random
 * number drawn at each start, so that a number given out again after a crash
 * is not taken for the one before.
 *
 * Where the coordinator decides, the transaction is its full id there.  Where
 * a node does, it is <group of that node>.<number>, and the name without its
 * last part is that of the decision (decision.h).
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
 * A name for a decision that the group's node is to make about the present
 * transaction, which is known to be in progress until twophase_end_decision.
 */
extern void twophase_begin_decision(char *to, size_t size, int group_id);

/* The outcome is known, or recovery is to find it out.  Never throws. */
extern void twophase_end_decision(void);

/* The transaction that is about to be prepared here has parts on nodes, prepared already. */
extern void twophase_note_parts(void);

/* True for names that sessions give, of any cluster; others are users'. */
extern bool twophase_is_ours(const char *gid);

/* For names that begin with our prefix: */

/* True when the transaction here that the name speaks of may still be in progress. */
extern bool twophase_in_progress(const char *gid);

/* Its id here; InvalidTransactionId when a node decides. */
extern TransactionId twophase_transaction_id(const char *gid);

/* The group whose node decides, 0: this one's. */
extern int twophase_decider(const char *gid);

/* The name of the decision about a prepared transaction, palloc'd. */
extern char *twophase_decision(const char *gid);

/*
 * The present transaction is part of a two-phase commit: it is on disk, and
 * with synchronous standbys there too, before anybody hears of it, whatever
 * the session has asked for.
 */
extern void twophase_force_sync(void);

/*
 * The name under which this process works on other nodes, so that what it
 * waits for there can be told from the work of others.
 */
extern void twophase_session_name(char *to, size_t size);

/* The process on this server that has such a name; 0 when it has none of ours. */
extern int twophase_session_process(const char *name);

extern void twophase_init(void);

#endif
