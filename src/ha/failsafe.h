/*-------------------------------------------------------------------------
 * failsafe.h
 *	  Leading on without the store, as long as every member agrees.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_FAILSAFE_H
#define PGCLUSTER_HA_FAILSAFE_H

/* The agent starts: it may have lost what the one before it promised. */
extern void failsafe_begin(void);

/* Keeps the failsafe key, and asks the members when the store is silent. */
extern void failsafe_maintain(void);

/* When the members were asked who then all confirmed this leader; 0: they did not. */
extern int64 failsafe_confirmed_us(void);

/* When something is to be done next. */
extern int64 failsafe_next_moment(void);

/* This agent asks for the lead from now on; false: it promised not to. */
extern bool failsafe_begin_acquiring(bool led_last);

/* Its transaction came to an end that is known. */
extern void failsafe_end_acquiring(void);

/* Has this member promised to leave the lead to another? */
extern bool failsafe_has_promised(void);
extern int64 failsafe_promised_until(void);

/* Is there a failsafe key that does not name that member? */
extern bool failsafe_leaves_out(const char *member);

/* What was agreed on is void: another leadership, or other members. */
extern void failsafe_forget(void);

#endif
