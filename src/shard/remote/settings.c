/*-------------------------------------------------------------------------
 * settings.c
 *	  Keeps the settings of a node's session like those of the local one.
 *
 * Only settings that change what a statement means, or how its values are
 * written, are in the table.  At each use of a connection the variables are
 * compared with what the node was told; text is made only of changed ones.
 * Those of the user's own making ("app.tenant") go along too, as policies and
 * triggers on shards may ask for them; most sessions have none.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "storage/proc.h"
#include "tsearch/ts_cache.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/elog.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"
#include "utils/pg_locale.h"
#include "utils/rls.h"
#include "utils/xml.h"

#include "base/compat.h"
#include "shard/remote/connection.h"

/* The search_path of connections to nodes, as they are made. */
#define OWN_PATH "pg_catalog"

typedef enum SettingKind
{
	SETTING_INT, /* enums too */
	SETTING_BOOL,
	SETTING_STRING,
	SETTING_POINTER
} SettingKind;

typedef struct Setting
{
	const char *name;
	SettingKind kind;
	void *variable;
	bool superuser; /* told only when not 0, as most users must not set it */
} Setting;

/* Two variables stand for DateStyle. */
static const Setting settings[] = {
	{"DateStyle", SETTING_INT, &DateStyle, false},
	{"DateStyle", SETTING_INT, &DateOrder, false},
	{"IntervalStyle", SETTING_INT, &IntervalStyle, false},
	{"TimeZone", SETTING_POINTER, &session_timezone, false},
	{"bytea_output", SETTING_INT, &bytea_output, false},
	{"check_function_bodies", SETTING_BOOL, &check_function_bodies, false},
	{"client_min_messages", SETTING_INT, &client_min_messages, false},
	{"default_text_search_config", SETTING_STRING, &TSCurrentConfig, false},
	{"extra_float_digits", SETTING_INT, &extra_float_digits, false},
	{"lc_monetary", SETTING_STRING, &locale_monetary, false},
	{"lc_numeric", SETTING_STRING, &locale_numeric, false},
	{"lc_time", SETTING_STRING, &locale_time, false},
	{"lock_timeout", SETTING_INT, &LockTimeout, false},
	{"row_security", SETTING_BOOL, &row_security, false},
	{"session_replication_role", SETTING_INT, &SessionReplicationRole, true},
	{"synchronous_commit", SETTING_INT, &synchronous_commit, false},
	{"xmlbinary", SETTING_INT, &xmlbinary, false},
	{"xmloption", SETTING_INT, &xmloption, false},
};
StaticAssertDecl(lengthof(settings) <= REMOTE_MAX_SETTINGS, "RemoteSettings is too small");

static bool
setting_unchanged(const RemoteSettings *told, int i)
{
	const Setting *s = &settings[i];

	switch (s->kind)
	{
		case SETTING_INT:
			return told->value[i].i == *(const int *) s->variable;
		case SETTING_BOOL:
			return told->value[i].i == *(const bool *) s->variable;
		case SETTING_POINTER:
			return told->value[i].p == *(void *const *) s->variable;
		case SETTING_STRING:
			return strcmp(told->value[i].s, *(char *const *) s->variable) == 0;
	}
	return false;
}

static void
setting_remember(RemoteSettings *told, int i)
{
	const Setting *s = &settings[i];

	switch (s->kind)
	{
		case SETTING_INT:
			told->value[i].i = *(const int *) s->variable;
			break;
		case SETTING_BOOL:
			told->value[i].i = *(const bool *) s->variable;
			break;
		case SETTING_POINTER:
			told->value[i].p = *(void *const *) s->variable;
			break;
		case SETTING_STRING:
			if (told->value[i].s != NULL)
				pfree(told->value[i].s);
			told->value[i].s = NULL;
			told->value[i].s = MemoryContextStrdup(remote_context(), *(char *const *) s->variable);
			break;
	}
}

/* Names of the settings that no library has defined. */
static List *
own_names(void)
{
	static List *names = NIL;
	static uint32 known = 0;
	uint32 state = compat_guc_state();
	struct config_generic **variables;
	MemoryContext old;
	int count;

	if (state == known)
		return names;
	variables = compat_guc_variables(&count);
	list_free_deep(names);
	names = NIL;
	old = MemoryContextSwitchTo(remote_context());
	for (int i = 0; i < count; i++)
	{
		if ((variables[i]->flags & GUC_CUSTOM_PLACEHOLDER) != 0)
			names = lappend(names, pstrdup(variables[i]->name));
	}
	MemoryContextSwitchTo(old);
	known = state;
	return names;
}

/* "set_config(...), ..." of all of them, NULL if there are none. */
static char *
own_settings(void)
{
	List *names = own_names();
	StringInfoData sql;
	ListCell *lc;

	if (names == NIL)
		return NULL;
	initStringInfo(&sql);
	foreach (lc, names)
	{
		const char *value = GetConfigOption(lfirst(lc), true, false);

		if (value != NULL)
			appendStringInfo(&sql, "%sset_config(%s, %s, false)", sql.len == 0 ? "" : ", ",
							 quote_literal_cstr(lfirst(lc)), quote_literal_cstr(value));
	}
	return sql.len > 0 ? sql.data : NULL;
}

static void
remember_own(RemoteSettings *told, const char *own)
{
	if (told->own != NULL)
		pfree(told->own);
	told->own = NULL;
	if (own != NULL)
		told->own = MemoryContextStrdup(remote_context(), own);
}

/*
 * Functions that run on a node, of triggers above all, look for names where
 * they would here.  The statements themselves name everything with its schema
 * but what the server has, which is found first; a path that says otherwise is
 * not told.
 */
const char *
remote_search_path(void)
{
	return strstr(namespace_search_path, OWN_PATH) == NULL ? namespace_search_path : OWN_PATH;
}

static const char *
wanted_path(bool names)
{
	return names ? remote_search_path() : OWN_PATH;
}

static bool
path_told(const RemoteSettings *told, bool names)
{
	return strcmp(told->path == NULL ? OWN_PATH : told->path, wanted_path(names)) == 0;
}

/* Has the node been told of all that is so now? */
bool
settings_told(RemoteConnection *c, bool names)
{
	const RemoteSettings *told = &c->settings;

	if (!told->known || own_names() != NIL || !path_told(told, names))
		return false;
	for (size_t i = 0; i < lengthof(settings); i++)
	{
		if (!setting_unchanged(told, i))
			return false;
	}
	return true;
}

static void
append_path(StringInfo sql, RemoteSettings *told, const char *path)
{
	if (told->path != NULL)
		pfree(told->path);
	told->path = NULL;
	told->path = MemoryContextStrdup(remote_context(), path);
	appendStringInfo(sql, "%sset_config('search_path', %s, false)",
					 sql->len == 0 ? "SELECT " : ", ", quote_literal_cstr(path));
}

/*
 * The command, palloc'd, that tells the node what has changed; NULL when
 * nothing has.  "names": what runs then looks for names on the search_path of
 * this session, and otherwise in pg_catalog alone.  The caller sends it.
 */
char *
settings_changes(RemoteConnection *c, bool names)
{
	RemoteSettings *told = &c->settings;
	bool known = told->known;
	char *own = own_settings();
	bool same_own = known && (own == NULL || (told->own != NULL && strcmp(own, told->own) == 0));
	StringInfoData sql;
	const char *last = "";
	bool same_path = path_told(told, names) && (known || told->path == NULL);

	if (known && same_own && same_path)
	{
		size_t same = 0;

		while (same < lengthof(settings) && setting_unchanged(told, same))
			same++;
		if (same == lengthof(settings))
			return NULL;
	}

	told->known = false;
	initStringInfo(&sql);
	for (size_t i = 0; i < lengthof(settings); i++)
	{
		const Setting *s = &settings[i];
		const char *value = GetConfigOption(s->name, false, false);
		bool skip =
			known ? setting_unchanged(told, i) : (s->superuser && *(const int *) s->variable == 0);

		setting_remember(told, i);
		if (skip || strcmp(s->name, last) == 0)
			continue;
		last = s->name;
		appendStringInfo(&sql, "%sset_config('%s', %s, false)", sql.len == 0 ? "SELECT " : ", ",
						 s->name, quote_literal_cstr(value));
	}
	if (own != NULL && !same_own)
		appendStringInfo(&sql, "%s%s", sql.len == 0 ? "SELECT " : ", ", own);
	if (!same_path)
		append_path(&sql, told, wanted_path(names));
	remember_own(told, own);
	told->known = true;
	if (c->level > 0)
		told->in_transaction = true;
	return sql.data;
}

/* The next use tells the node everything. */
void
settings_forget(RemoteConnection *c)
{
	c->settings.known = false;
	c->settings.in_transaction = false;
}
