/*-------------------------------------------------------------------------
 * decision.h
 *	  What a node keeps of the two-phase commits that it decides.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_REMOTE_DECISION_H
#define PGCLUSTER_SHARD_REMOTE_DECISION_H

/*
 * On the node, before the local commit: if the coordinator has asked for it,
 * the decision becomes part of the transaction.  Raises an error when it has
 * been given up meanwhile.
 */
extern void decision_before_commit(void);

/* ... and after it.  Never throws. */
extern void decision_after_commit(void);

/* The command that asks a node what became of a decision of "role"; palloc'd.  Answers t or f. */
extern char *decision_question(const char *name, const char *role);

#endif
