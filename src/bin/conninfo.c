/*-------------------------------------------------------------------------
 * conninfo.c
 *	  Connection strings of libpq.
 *
 * They name the file with the passwords, never a password.
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "conninfo.h"
#include "node.h"

void
conninfo_append(PQExpBuffer conninfo, const char *keyword, const char *value)
{
	appendPQExpBuffer(conninfo, "%s%s='", conninfo->len > 0 ? " " : "", keyword);
	for (const char *p = value; *p; p++)
	{
		if (*p == '\'' || *p == '\\')
			appendPQExpBufferChar(conninfo, '\\');
		appendPQExpBufferChar(conninfo, *p);
	}
	appendPQExpBufferChar(conninfo, '\'');
}

void
conninfo_append_common(PQExpBuffer conninfo)
{
	conninfo_append(conninfo, "passfile", options.passfile);
	if (options.node_conninfo)
		appendPQExpBuffer(conninfo, " %s", options.node_conninfo);
}
