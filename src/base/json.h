/*-------------------------------------------------------------------------
 * json.h
 *	  json-c's objects in memory contexts.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BASE_JSON_H
#define PGCLUSTER_BASE_JSON_H

#include <json-c/json.h>

/* The same object, alive as long as the current memory context; NULL stays NULL. */
extern json_object *json_tied(json_object *object);

/* As json_tied, but it is an error when there was no memory for the object. */
extern json_object *json_made(json_object *object);

/* What the text says, tied; NULL when it is NULL, or no JSON of that type. */
extern json_object *json_parsed(const char *text, enum json_type type);

extern void json_add_text(json_object *object, const char *field, const char *text);
extern void json_add_number(json_object *object, const char *field, int64 number);

/* As text without needless spaces, alive as long as the object. */
extern const char *json_text(json_object *object);

#endif
