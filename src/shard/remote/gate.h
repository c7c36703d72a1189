/*-------------------------------------------------------------------------
 * gate.h
 *	  Keeps commits on other nodes apart from the moment in which a reader
 *	  has its snapshots taken on all of them.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_REMOTE_GATE_H
#define PGCLUSTER_SHARD_REMOTE_GATE_H

/*
 * For who commits on other nodes: from here to the end of the transaction no
 * snapshots are taken.  Interruptible; may be called again.
 */
extern void gate_enter(void);

/* The same as long as nobody takes snapshots; else false, and nothing is done. */
extern bool gate_enter_unused(void);

/* The transaction is over, also on the nodes as far as we know.  Never throws. */
extern void gate_leave(void);

/*
 * For who takes snapshots: from here to gate_unlock nobody commits on other
 * nodes, and nothing that was decided is still to be carried out.  Waits,
 * interruptibly; an error when something decided cannot be carried out.
 */
extern void gate_lock(void);
extern void gate_unlock(void);

/* A commit that was decided could not be carried out everywhere.  Never throws. */
extern void gate_note_doubt(void);

/*
 * How often that was so, since the start; what a round of recovery that
 * began after it was read has found nothing wrong with is settled.
 */
extern uint64 gate_doubts(void);

extern void gate_init(void);

#endif
