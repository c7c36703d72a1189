/*-------------------------------------------------------------------------
 * object_kinds.c
 *	  Kinds of objects that nodes get, and the commands that make them.
 *
 * A row of the table for each kind: a query on the catalogs here that writes
 * the command which makes the object.  Owner, grants and comment are the same
 * for all kinds, and so is the question whether a node has it.  Which objects
 * are needed, and in which order, is objects.c's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_am.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_range.h"
#include "catalog/pg_transform.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_ts_parser.h"
#include "catalog/pg_ts_template.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "commands/comment.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "shard/ddl/object_kinds.h"
#include "shard/ddl/rights.h"

/*
 * $1 is the Oid, $2 the object's name as the server identifies it.  "create"
 * gives an array of commands; null or no row where there are none.  "probe" and
 * "version" where it does not suffice that the object is there: a query for
 * a node with %s for its Oid there, which gives null if it has not got it; and
 * for here, what it must give there.
 */
typedef struct ObjectKind
{
	Oid class_id;
	const char *create;
	const char *probe;
	const char *version;
	const char *change; /* from another version; NULL: as it is made */
	bool secret;		/* options may hold passwords */
} ObjectKind;

/* clang-format off */

/* " OPTIONS (a 'x', b 'y')", or nothing. */
#define OPTIONS(column) \
	"coalesce((SELECT ' OPTIONS (' || string_agg(format('%I %L', option_name, option_value), ', ')" \
	" || ')' FROM pg_options_to_table(" column ")), '')"

/* "name = value" where there is a value, else null. */
#define CLAUSE(name, oid, type) \
	"CASE WHEN " oid " <> 0 THEN '" name " = ' || " oid "::" type " END"
#define FUNCTION_CLAUSE(name, column) CLAUSE(name, column "::oid", "regproc")

#define OPERATOR_CLAUSE(name, column) \
	"(SELECT format('" name " = OPERATOR(%I.%s)', nn.nspname, oo.oprname) FROM pg_operator oo" \
	" JOIN pg_namespace nn ON nn.oid = oo.oprnamespace WHERE oo.oid = " column ")"

/* Operators and functions of an operator class, or loose ones of a family: "owner" is the catalog. */
#define MEMBERS(owner) \
	"(SELECT string_agg(item, ', ') FROM (" \
	"SELECT format('OPERATOR %s %s%s', amopstrategy, amopopr::regoperator," \
	"  CASE amoppurpose WHEN 'o' THEN (SELECT format(' FOR ORDER BY %I.%I', nspname, opfname)" \
	"   FROM pg_opfamily f JOIN pg_namespace n ON n.oid = opfnamespace" \
	"   WHERE f.oid = amopsortfamily) END) AS item" \
	" FROM pg_depend d JOIN pg_amop m ON m.oid = d.objid WHERE d.classid = 'pg_amop'::regclass" \
	"  AND d.refclassid = '" owner "'::regclass AND d.refobjid = $1 UNION ALL " \
	"SELECT format('FUNCTION %s (%s, %s) %s', amprocnum, amproclefttype::regtype," \
	"  amprocrighttype::regtype, amproc::regprocedure)" \
	" FROM pg_depend d JOIN pg_amproc m ON m.oid = d.objid WHERE d.classid = 'pg_amproc'::regclass" \
	"  AND d.refclassid = '" owner "'::regclass AND d.refobjid = $1) i)"

#define FUNCTION_VERSION \
	"md5(ROW(prosrc, probin, provolatile, proisstrict, prosecdef, proparallel, proconfig)::text)"

static const char create_collation[] =
	"SELECT ARRAY[format('CREATE COLLATION %s (PROVIDER = %s, DETERMINISTIC = %s, %s)', $2,"
	" CASE collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,"
	" collisdeterministic::text, CASE collprovider WHEN 'c' THEN"
	"  format('LC_COLLATE = %L, LC_CTYPE = %L', collcollate, collctype)"
	" ELSE format('LOCALE = %L', coalesce(to_jsonb(c) ->> 'colllocale',"
	"  to_jsonb(c) ->> 'colliculocale')) END)] FROM pg_collation c WHERE oid = $1";

#define CREATE_ENUM \
	"ARRAY[format('CREATE TYPE %s AS ENUM (%s)', $2," \
	" (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum" \
	" WHERE enumtypid = t.oid))]"

#define CREATE_COMPOSITE \
	"ARRAY[format('CREATE TYPE %s AS (%s)', $2," \
	" (SELECT string_agg(format('%I %s%s', attname, format_type(atttypid, atttypmod)," \
	"   CASE WHEN attcollation <> c.typcollation THEN format(' COLLATE %s'," \
	"   attcollation::regcollation) END), ', ' ORDER BY attnum)" \
	"  FROM pg_attribute JOIN pg_type c ON c.oid = atttypid" \
	"  WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped))]"

#define CREATE_DOMAIN \
	"ARRAY[format('CREATE DOMAIN %s AS %s%s%s%s', $2, format_type(typbasetype, typtypmod)," \
	"  CASE WHEN typcollation <> (SELECT b.typcollation FROM pg_type b WHERE b.oid =" \
	"   t.typbasetype) THEN format(' COLLATE %s', typcollation::regcollation) END," \
	"  ' DEFAULT ' || pg_get_expr(typdefaultbin, 0), CASE WHEN typnotnull THEN ' NOT NULL' END)]" \
	" || (SELECT array_agg(format('ALTER DOMAIN %s ADD CONSTRAINT %I %s', $2, conname," \
	"  pg_get_constraintdef(oid)) ORDER BY conname) FROM pg_constraint" \
	"  WHERE contypid = t.oid AND contype = 'c')"

#define CREATE_RANGE \
	"(SELECT ARRAY[format('CREATE TYPE %s AS RANGE (%s)', $2, concat_ws(', '," \
	"  'SUBTYPE = ' || rngsubtype::regtype, (SELECT format('SUBTYPE_OPCLASS = %I.%I'," \
	"   nspname, opcname) FROM pg_opclass o JOIN pg_namespace n ON n.oid = opcnamespace" \
	"   WHERE o.oid = rngsubopc), " CLAUSE("COLLATION", "rngcollation", "regcollation") ", " \
	FUNCTION_CLAUSE("CANONICAL", "rngcanonical") ", " \
	FUNCTION_CLAUSE("SUBTYPE_DIFF", "rngsubdiff") ", " \
	"'MULTIRANGE_TYPE_NAME = ' || rngmultitypid::regtype))] FROM pg_range WHERE rngtypid = t.oid)"

/* Not arrays: they come with their elements. */
#define CREATE_BASE \
	"ARRAY[format('CREATE TYPE %s (%s)', $2, concat_ws(', ', 'INPUT = ' || typinput," \
	" 'OUTPUT = ' || typoutput, " FUNCTION_CLAUSE("RECEIVE", "typreceive") ", " \
	FUNCTION_CLAUSE("SEND", "typsend") ", " FUNCTION_CLAUSE("TYPMOD_IN", "typmodin") ", " \
	FUNCTION_CLAUSE("TYPMOD_OUT", "typmodout") ", " FUNCTION_CLAUSE("ANALYZE", "typanalyze") ", " \
	FUNCTION_CLAUSE("SUBSCRIPT", "typsubscript") ", " \
	" 'INTERNALLENGTH = ' || CASE WHEN typlen < 0 THEN 'VARIABLE' ELSE typlen::text END," \
	" CASE WHEN typbyval THEN 'PASSEDBYVALUE' END, 'ALIGNMENT = ' || CASE typalign" \
	"  WHEN 'c' THEN 'char' WHEN 's' THEN 'int2' WHEN 'i' THEN 'int4' ELSE 'double' END," \
	" 'STORAGE = ' || CASE typstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external'" \
	"  WHEN 'x' THEN 'extended' ELSE 'main' END, format('CATEGORY = %L', typcategory)," \
	" 'PREFERRED = ' || typispreferred, 'DEFAULT = ' || quote_literal(typdefault), " \
	CLAUSE("ELEMENT", "typelem", "regtype") ", format('DELIMITER = %L', typdelim)," \
	" CASE WHEN typcollation <> 0 THEN 'COLLATABLE = true' END))]"

static const char create_type[] =
	"SELECT CASE typtype WHEN 'e' THEN " CREATE_ENUM " WHEN 'c' THEN " CREATE_COMPOSITE
	" WHEN 'd' THEN " CREATE_DOMAIN " WHEN 'r' THEN " CREATE_RANGE
	" WHEN 'b' THEN " CREATE_BASE " END FROM pg_type t WHERE oid = $1";

#define MODIFY_CLAUSE(name, function, column) \
	"CASE WHEN " function "::oid <> 0 THEN '" name " = ' || CASE " column \
	" WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END END"

#define CREATE_AGGREGATE \
	"(SELECT ARRAY[format('CREATE OR REPLACE AGGREGATE %I.%I(%s) (%s)', nspname, proname," \
	" CASE WHEN pronargs = 0 THEN '*' ELSE pg_get_function_arguments(p.oid) END," \
	" concat_ws(', ', 'SFUNC = ' || aggtransfn, 'STYPE = ' || aggtranstype::regtype, " \
	CLAUSE("SSPACE", "aggtransspace", "text") ", " FUNCTION_CLAUSE("FINALFUNC", "aggfinalfn") ", " \
	"CASE WHEN aggfinalextra THEN 'FINALFUNC_EXTRA' END, " \
	MODIFY_CLAUSE("FINALFUNC_MODIFY", "aggfinalfn", "aggfinalmodify") ", " \
	FUNCTION_CLAUSE("COMBINEFUNC", "aggcombinefn") ", " \
	FUNCTION_CLAUSE("SERIALFUNC", "aggserialfn") ", " \
	FUNCTION_CLAUSE("DESERIALFUNC", "aggdeserialfn") ", " \
	"'INITCOND = ' || quote_literal(agginitval), " \
	FUNCTION_CLAUSE("MSFUNC", "aggmtransfn") ", " FUNCTION_CLAUSE("MINVFUNC", "aggminvtransfn") ", " \
	CLAUSE("MSTYPE", "aggmtranstype", "regtype") ", " \
	CLAUSE("MSSPACE", "aggmtransspace", "text") ", " \
	FUNCTION_CLAUSE("MFINALFUNC", "aggmfinalfn") ", " \
	"CASE WHEN aggmfinalextra THEN 'MFINALFUNC_EXTRA' END, " \
	MODIFY_CLAUSE("MFINALFUNC_MODIFY", "aggmfinalfn", "aggmfinalmodify") ", " \
	"'MINITCOND = ' || quote_literal(aggminitval), " OPERATOR_CLAUSE("SORTOP", "aggsortop") ", " \
	"'PARALLEL = ' || CASE proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED'" \
	" ELSE 'UNSAFE' END, CASE WHEN aggkind = 'h' THEN 'HYPOTHETICAL' END))]" \
	" FROM pg_aggregate JOIN pg_namespace n ON n.oid = pronamespace WHERE aggfnoid = p.oid)"

static const char create_function[] =
	"SELECT CASE prokind WHEN 'a' THEN " CREATE_AGGREGATE
	" ELSE ARRAY[pg_get_functiondef($1)] END FROM pg_proc p WHERE oid = $1";

static const char create_operator[] =
	"SELECT ARRAY[format('CREATE OPERATOR %I.%s (%s)', nspname, oprname, concat_ws(', ',"
	" 'FUNCTION = ' || oprcode, " CLAUSE("LEFTARG", "oprleft", "regtype") ", "
	CLAUSE("RIGHTARG", "oprright", "regtype") ", "
	OPERATOR_CLAUSE("COMMUTATOR", "o.oprcom") ", " OPERATOR_CLAUSE("NEGATOR", "o.oprnegate") ", "
	FUNCTION_CLAUSE("RESTRICT", "oprrest") ", " FUNCTION_CLAUSE("JOIN", "oprjoin") ", "
	"CASE WHEN oprcanhash THEN 'HASHES' END, CASE WHEN oprcanmerge THEN 'MERGES' END))]"
	" FROM pg_operator o JOIN pg_namespace n ON n.oid = oprnamespace"
	" WHERE o.oid = $1 AND oprcode::oid <> 0";

static const char create_opfamily[] =
	"SELECT ARRAY['CREATE OPERATOR FAMILY ' || $2, format('ALTER OPERATOR FAMILY %s ADD ', $2) || "
	MEMBERS("pg_opfamily") "]";

static const char create_opclass[] =
	"SELECT ARRAY[format('CREATE OPERATOR CLASS %I.%I%s FOR TYPE %s USING %I FAMILY %I.%I AS %s',"
	" n.nspname, opcname, CASE WHEN opcdefault THEN ' DEFAULT' END, opcintype::regtype, amname,"
	" fn.nspname, opfname, concat_ws(', ', 'STORAGE ' || CASE opckeytype WHEN 0 THEN"
	" opcintype::regtype ELSE opckeytype::regtype END, " MEMBERS("pg_opclass") "))]"
	" FROM pg_opclass o JOIN pg_namespace n ON n.oid = opcnamespace JOIN pg_am a ON a.oid = opcmethod"
	" JOIN pg_opfamily f ON f.oid = opcfamily JOIN pg_namespace fn ON fn.oid = opfnamespace"
	" WHERE o.oid = $1";

static const char create_cast[] =
	"SELECT ARRAY[format('CREATE CAST %s %s%s', $2, CASE castmethod"
	" WHEN 'f' THEN 'WITH FUNCTION ' || castfunc::regprocedure WHEN 'i' THEN 'WITH INOUT'"
	" ELSE 'WITHOUT FUNCTION' END, CASE castcontext WHEN 'a' THEN ' AS ASSIGNMENT'"
	" WHEN 'i' THEN ' AS IMPLICIT' END)] FROM pg_cast WHERE oid = $1";

static const char create_language[] =
	"SELECT ARRAY[format('CREATE %sLANGUAGE %s %s', CASE WHEN lanpltrusted THEN 'TRUSTED ' END, $2,"
	" concat_ws(' ', 'HANDLER ' || nullif(lanplcallfoid, 0)::regproc,"
	" 'INLINE ' || nullif(laninline, 0)::regproc, 'VALIDATOR ' || nullif(lanvalidator, 0)::regproc))]"
	" FROM pg_language WHERE oid = $1";

static const char create_transform[] =
	"SELECT ARRAY[format('CREATE TRANSFORM FOR %s LANGUAGE %I (%s)', trftype::regtype, lanname,"
	" concat_ws(', ', 'FROM SQL WITH FUNCTION ' || nullif(trffromsql::oid, 0)::regprocedure,"
	" 'TO SQL WITH FUNCTION ' || nullif(trftosql::oid, 0)::regprocedure))]"
	" FROM pg_transform t JOIN pg_language l ON l.oid = trflang WHERE t.oid = $1";

static const char create_parser[] =
	"SELECT ARRAY[format('CREATE TEXT SEARCH PARSER %s (%s)', $2, concat_ws(', ',"
	" 'START = ' || prsstart, 'GETTOKEN = ' || prstoken, 'END = ' || prsend,"
	" 'LEXTYPES = ' || prslextype, " FUNCTION_CLAUSE("HEADLINE", "prsheadline") "))]"
	" FROM pg_ts_parser WHERE oid = $1";

static const char create_template[] =
	"SELECT ARRAY[format('CREATE TEXT SEARCH TEMPLATE %s (%s)', $2, concat_ws(', ', "
	FUNCTION_CLAUSE("INIT", "tmplinit") ", 'LEXIZE = ' || tmpllexize))]"
	" FROM pg_ts_template WHERE oid = $1";

static const char create_dictionary[] =
	"SELECT ARRAY[format('CREATE TEXT SEARCH DICTIONARY %s (%s)', $2, concat_ws(', ',"
	" (SELECT format('TEMPLATE = %I.%I', nspname, tmplname) FROM pg_ts_template t JOIN"
	"  pg_namespace n ON n.oid = tmplnamespace WHERE t.oid = dicttemplate), dictinitoption))]"
	" FROM pg_ts_dict WHERE oid = $1";

static const char create_configuration[] =
	"SELECT ARRAY[format('CREATE TEXT SEARCH CONFIGURATION %s (PARSER = %s)', $2,"
	" (SELECT format('%I.%I', nspname, prsname) FROM pg_ts_parser p JOIN pg_namespace n"
	"  ON n.oid = prsnamespace WHERE p.oid = cfgparser))] || (SELECT array_agg(format("
	" 'ALTER TEXT SEARCH CONFIGURATION %s ADD MAPPING FOR %I WITH %s', $2, alias, dicts))"
	" FROM (SELECT alias, string_agg(mapdict::regdictionary::text, ', ' ORDER BY mapseqno) AS dicts"
	"  FROM pg_ts_config_map JOIN ts_token_type(cfgparser) ON tokid = maptokentype"
	"  WHERE mapcfg = c.oid GROUP BY alias) m) FROM pg_ts_config c WHERE oid = $1";

static const char create_wrapper[] =
	"SELECT ARRAY[format('CREATE FOREIGN DATA WRAPPER %s %s', $2, concat_ws(' ',"
	" 'HANDLER ' || nullif(fdwhandler, 0)::regproc, 'VALIDATOR ' || nullif(fdwvalidator, 0)::regproc, "
	OPTIONS("fdwoptions") "))] FROM pg_foreign_data_wrapper WHERE oid = $1";

static const char create_server[] =
	"SELECT ARRAY[format('CREATE SERVER %s%s%s FOREIGN DATA WRAPPER %I%s', $2,"
	" ' TYPE ' || quote_literal(srvtype), ' VERSION ' || quote_literal(srvversion), fdwname, "
	OPTIONS("srvoptions") ")] FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w"
	" ON w.oid = srvfdw WHERE s.oid = $1";

/* The view shows options to those who may see them, where the table does to superusers alone. */
static const char create_mapping[] =
	"SELECT ARRAY[format('CREATE USER MAPPING FOR %s SERVER %I%s',"
	" CASE umuser WHEN 0 THEN 'PUBLIC' ELSE quote_ident(usename) END, srvname, "
	OPTIONS("umoptions") ")] FROM pg_user_mappings WHERE umid = $1";

static const char create_access_method[] =
	"SELECT ARRAY[format('CREATE ACCESS METHOD %s TYPE %s HANDLER %s', $2,"
	" CASE amtype WHEN 't' THEN 'TABLE' ELSE 'INDEX' END, amhandler)] FROM pg_am WHERE oid = $1";

static const char create_view[] =
	"SELECT ARRAY[format('CREATE VIEW %s (%s)%s AS %s', $2, (SELECT string_agg(quote_ident(attname),"
	" ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0),"
	" ' WITH (' || array_to_string(reloptions, ', ') || ')', pg_get_viewdef(oid))]"
	" FROM pg_class c WHERE oid = $1 AND relkind = 'v'";

static const char create_event_trigger[] =
	"SELECT ARRAY['DROP EVENT TRIGGER IF EXISTS ' || $2,"
	" format('CREATE EVENT TRIGGER %s ON %s%s EXECUTE FUNCTION %s()', $2, evtevent,"
	"  ' WHEN TAG IN (' || (SELECT string_agg(quote_literal(t), ', ') FROM unnest(evttags) t)"
	"  || ')', evtfoid::regproc)] || CASE evtenabled WHEN 'O' THEN '{}' ELSE"
	" ARRAY[format('ALTER EVENT TRIGGER %s %s', $2, CASE evtenabled WHEN 'D' THEN 'DISABLE'"
	"  WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END)] END"
	" FROM pg_event_trigger WHERE oid = $1";

#define EVENT_TRIGGER_VERSION \
	"md5(ROW(evtevent, evtenabled, evttags, evtfoid::pg_catalog.regproc)::text)"

static const ObjectKind kinds[] = {
	{NamespaceRelationId, "SELECT ARRAY['CREATE SCHEMA IF NOT EXISTS ' || $2]",
	 NULL, NULL, NULL, false},
	{ExtensionRelationId,
	 "SELECT ARRAY[format('CREATE EXTENSION %s WITH SCHEMA %I VERSION %L', $2, nspname, extversion)]"
	 " FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace WHERE e.oid = $1",
	 "SELECT extversion FROM pg_catalog.pg_extension WHERE oid = %s",
	 "SELECT extversion FROM pg_extension WHERE oid = $1",
	 "SELECT ARRAY[format('ALTER EXTENSION %s UPDATE TO %L', $2, extversion)] FROM pg_extension"
	 " WHERE oid = $1",
	 false},
	{CollationRelationId, create_collation, NULL, NULL, NULL, false},
	{TypeRelationId, create_type, NULL, NULL, NULL, false},
	{ProcedureRelationId, create_function,
	 "SELECT " FUNCTION_VERSION " FROM pg_catalog.pg_proc WHERE oid = %s",
	 "SELECT " FUNCTION_VERSION " FROM pg_proc WHERE oid = $1",
	 NULL, false},
	/* The commutator of another that was not made itself does not count. */
	{OperatorRelationId, create_operator,
	 "SELECT oprname FROM pg_catalog.pg_operator WHERE oid = %s AND oprcode::oid <> 0",
	 NULL, NULL, false},
	{OperatorFamilyRelationId, create_opfamily, NULL, NULL, NULL, false},
	{OperatorClassRelationId, create_opclass, NULL, NULL, NULL, false},
	{CastRelationId, create_cast, NULL, NULL, NULL, false},
	{LanguageRelationId, create_language, NULL, NULL, NULL, false},
	{TransformRelationId, create_transform, NULL, NULL, NULL, false},
	{TSParserRelationId, create_parser, NULL, NULL, NULL, false},
	{TSTemplateRelationId, create_template, NULL, NULL, NULL, false},
	{TSDictionaryRelationId, create_dictionary, NULL, NULL, NULL, false},
	{TSConfigRelationId, create_configuration, NULL, NULL, NULL, false},
	{ForeignDataWrapperRelationId, create_wrapper, NULL, NULL, NULL, true},
	{ForeignServerRelationId, create_server, NULL, NULL, NULL, true},
	{UserMappingRelationId, create_mapping, NULL, NULL, NULL, true},
	{AccessMethodRelationId, create_access_method, NULL, NULL, NULL, false},
	{RelationRelationId, create_view, NULL, NULL, NULL, false},
	{EventTriggerRelationId, create_event_trigger,
	 "SELECT " EVENT_TRIGGER_VERSION " FROM pg_catalog.pg_event_trigger WHERE oid = %s",
	 "SELECT " EVENT_TRIGGER_VERSION " FROM pg_event_trigger WHERE oid = $1",
	 NULL, false},
};
/* clang-format on */

static const ObjectKind *
find_kind(Oid class_id)
{
	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		if (kinds[i].class_id == class_id)
			return &kinds[i];
	}
	return NULL;
}

bool
object_kind_is_known(Oid class_id)
{
	return find_kind(class_id) != NULL;
}

bool
object_kind_is_secret(Oid class_id)
{
	const ObjectKind *kind = find_kind(class_id);

	return kind != NULL && kind->secret;
}

bool
object_needs_shell(const ObjectAddress *a)
{
	HeapTuple tuple;
	bool needs;

	if (a->classId != TypeRelationId)
		return false;
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(a->objectId));
	if (!HeapTupleIsValid(tuple))
		return false;
	needs = ((Form_pg_type) GETSTRUCT(tuple))->typtype == TYPTYPE_BASE;
	ReleaseSysCache(tuple);
	tuple = SearchSysCache1(RANGETYPE, ObjectIdGetDatum(a->objectId));
	if (!HeapTupleIsValid(tuple))
		return needs;
	needs = OidIsValid(((Form_pg_range) GETSTRUCT(tuple))->rngcanonical);
	ReleaseSysCache(tuple);
	return needs;
}

/*
 * What a query of the table above gives: the texts of its array, or its text.
 * NIL: null or no row.
 */
static List *
ask_here(const char *query, const ObjectAddress *a)
{
	MemoryContext context = CurrentMemoryContext;
	Oid types[] = {OIDOID, TEXTOID};
	Datum values[] = {ObjectIdGetDatum(a->objectId),
					  CStringGetTextDatum(getObjectIdentity(a, false))};
	List *texts = NIL;
	Datum value = (Datum) 0;
	bool isnull = true;

	SPI_connect();
	if (SPI_execute_with_args(query, 2, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read how %s is made", getObjectDescription(a, false));
	if (SPI_processed > 0)
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	MemoryContextSwitchTo(context);
	if (!isnull && SPI_gettypeid(SPI_tuptable->tupdesc, 1) == TEXTARRAYOID)
	{
		Datum *elements;
		bool *nulls;
		int n;

		deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &elements,
						  &nulls, &n);
		for (int i = 0; i < n; i++)
		{
			if (!nulls[i])
				texts = lappend(texts, TextDatumGetCString(elements[i]));
		}
	}
	else if (!isnull)
		texts = list_make1(TextDatumGetCString(value));
	SPI_finish();
	return texts;
}

static char *
text_array(List *texts)
{
	StringInfoData array;
	ListCell *lc;

	initStringInfo(&array);
	foreach (lc, texts)
		appendStringInfo(&array, "%s%s", array.len > 0 ? ", " : "", quote_literal_cstr(lfirst(lc)));
	return psprintf("ARRAY[%s]::text[]", array.data);
}

char *
object_probe(const ObjectAddress *of, char **version)
{
	const ObjectKind *kind = find_kind(of->classId);
	ObjectAddress whole = {of->classId, of->objectId, 0};
	const ObjectAddress *a = &whole;
	List *names;
	List *arguments;
	char *id;
	const char *mark;

	*version = kind->version != NULL ? linitial(ask_here(kind->version, a)) : NULL;
	getObjectIdentityParts(a, &names, &arguments, false);
	id = psprintf("pgcluster.object_id(%s, %s, %s)",
				  quote_literal_cstr(getObjectTypeDescription(a, false)), text_array(names),
				  text_array(arguments));
	if (kind->probe == NULL)
		return id;
	mark = strstr(kind->probe, "%s");
	Assert(mark != NULL);
	return psprintf("(%.*s%s%s)", (int) (mark - kind->probe), kind->probe, id, mark + 2);
}

/* The kind as commands call it. */
static char *
command_kind(const ObjectAddress *a)
{
	char *kind = pstrdup(getObjectTypeDescription(a, false));

	/* One word for all of these takes names without ORDER BY, too. */
	if (a->classId == ProcedureRelationId)
		return "ROUTINE";
	for (char *c = kind; *c != '\0'; c++)
		*c = *c == '-' ? ' ' : pg_ascii_toupper((unsigned char) *c);
	return kind;
}

/* The object as commands call it that name its kind before. */
static char *
command_identity(const ObjectAddress *a)
{
	List *names;
	List *arguments;
	char *identity = getObjectIdentityParts(a, &names, &arguments, false);

	if (a->classId == UserMappingRelationId)
		return psprintf("FOR %s SERVER %s", quote_identifier(linitial(names)),
						quote_identifier(linitial(arguments)));
	if (a->classId == TransformRelationId)
		return psprintf("FOR %s LANGUAGE %s", (char *) linitial(names),
						quote_identifier(linitial(arguments)));
	return identity;
}

/* "KIND name", as ALTER and COMMENT take it. */
static char *
command_name(const ObjectAddress *a)
{
	return psprintf("%s %s", command_kind(a), command_identity(a));
}

char *
object_drop_command(const ObjectAddress *a, bool cascade)
{
	return psprintf("DROP %s IF EXISTS %s%s", command_kind(a), command_identity(a),
					cascade && a->classId != UserMappingRelationId ? " CASCADE" : "");
}

/* As GRANT calls it. */
static char *
grant_name(const ObjectAddress *a)
{
	if (a->classId == ForeignServerRelationId)
		return psprintf("FOREIGN %s", command_name(a));
	if (a->classId == RelationRelationId)
		return psprintf("TABLE %s", getObjectIdentity(a, false));
	return command_name(a);
}

/* Owner and grants, of kinds that have them. */
static List *
add_rights(List *commands, const ObjectAddress *a)
{
	Oid owner;

	/* The server lets nobody give an extension to another. */
	if (get_object_attnum_owner(a->classId) == InvalidAttrNumber ||
		get_object_catcache_oid(a->classId) < 0 || a->classId == ExtensionRelationId)
		return commands;
	if (rights_read(a->classId, a->objectId, &owner) != NULL)
	{
		commands = lappend(commands, psprintf("REVOKE ALL ON %s FROM PUBLIC", grant_name(a)));
		commands = list_concat(commands, rights_commands(a->classId, a->objectId, grant_name(a)));
	}
	if (owner != GetUserId())
		commands = lappend(commands,
						   psprintf("ALTER %s OWNER TO %s", command_name(a), rights_role(owner)));
	return commands;
}

List *
object_commands(const ObjectAddress *of, bool exists)
{
	const ObjectKind *kind = find_kind(of->classId);
	ObjectAddress whole = {of->classId, of->objectId, 0};
	const ObjectAddress *a = &whole;
	List *commands;
	char *comment;

	if (of->objectSubId == OBJECT_SHELL_TYPE)
		return list_make1(psprintf("CREATE TYPE %s", getObjectIdentity(a, false)));
	if (exists && kind->change != NULL)
		return ask_here(kind->change, a);
	commands = ask_here(kind->create, a);
	if (commands == NIL)
		return NIL;
	comment = GetComment(a->objectId, a->classId, 0);
	if (comment != NULL)
		commands = lappend(commands, psprintf("COMMENT ON %s IS %s", command_name(a),
											  quote_literal_cstr(comment)));
	return add_rights(commands, a);
}
