/*-------------------------------------------------------------------------
 * json.c
 *	  json-c's objects in memory contexts.
 *
 * Whoever makes or parses one ties it, so that an error frees it, too.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/json.h"
#include "base/owner.h"

static void
free_json(void *object)
{
	json_object_put(object);
}

json_object *
json_tied(json_object *object)
{
	if (object != NULL)
		owner_tie(CurrentMemoryContext, object, free_json);
	return object;
}

json_object *
json_made(json_object *object)
{
	if (object == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return json_tied(object);
}

json_object *
json_parsed(const char *text, enum json_type type)
{
	json_object *object = text == NULL ? NULL : json_tied(json_tokener_parse(text));

	return json_object_is_type(object, type) ? object : NULL;
}

void
json_add_text(json_object *object, const char *field, const char *text)
{
	json_object_object_add(object, field, json_object_new_string(text));
}

void
json_add_number(json_object *object, const char *field, int64 number)
{
	json_object_object_add(object, field, json_object_new_int64(number));
}

const char *
json_text(json_object *object)
{
	return json_object_to_json_string_ext(object,
										  JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}
