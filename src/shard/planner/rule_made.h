/*-------------------------------------------------------------------------
 * rule_made.h
 *	  Statements that rules have made.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_RULE_MADE_H
#define PGCLUSTER_SHARD_PLANNER_RULE_MADE_H

#include "nodes/parsenodes.h"

/*
 * Makes of a statement that no SQL says one that SQL does.  To be called for
 * each before it is looked at; changes it in place.
 */
extern void rule_made_spell_out(Query *query);

#endif
