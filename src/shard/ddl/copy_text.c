/*-------------------------------------------------------------------------
 * copy_text.c
 *	  Writes values in the text format of COPY.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/float.h"
#include "utils/guc.h"

#include "shard/ddl/copy_text.h"

/* The letter that stands behind the backslash for a character, 0 if it needs none. */
static const char escapes[256] = {
	['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n',  ['\r'] = 'r',
	['\t'] = 't', ['\v'] = 'v', ['\\'] = '\\',
};

void
copy_text_append(StringInfo out, const char *value)
{
	const char *start;

	if (value == NULL)
	{
		appendBinaryStringInfo(out, "\\N", 2);
		return;
	}

	/* A server's encoding never has these bytes inside a longer character. */
	for (start = value; *value != '\0'; value++)
	{
		char escape = escapes[(unsigned char) *value];

		if (escape == 0)
			continue;
		appendBinaryStringInfo(out, start, value - start);
		appendStringInfoChar(out, '\\');
		appendStringInfoChar(out, escape);
		start = value + 1;
	}
	appendBinaryStringInfo(out, start, value - start);
}

static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

int
copy_text_begin(bool names)
{
	int level = NewGUCNestLevel();

	if (DateStyle != USE_ISO_DATES)
		set("datestyle", "ISO");
	if (IntervalStyle != INTSTYLE_POSTGRES)
		set("intervalstyle", "postgres");
	if (extra_float_digits < 1)
		set("extra_float_digits", "1");

	if (names)
		set("search_path", "pg_catalog");
	return level;
}

void
copy_text_end(int level)
{
	AtEOXact_GUC(true, level);
}
