# Roles and the other things that shards and sessions need are on every node.

use strict;
use warnings;

use PgCluster;
use Test::More;

my $c = PgCluster->new(workers => 4, setup => 0, config => "password_encryption = 'scram-sha-256'\nlog_statement = 'all'\n");
$c->start;
my @all = $c->node_names;
$c->sql($_, 'CREATE EXTENSION pgcluster') foreach @all;
$c->sql('c', "SELECT cluster_add_node('$c->{socket_dir}', $c->{nodes}{$_}{port})") foreach qw(w1 w2);

# The same query on these nodes: what it gives, once if it is the same everywhere.
sub everywhere
{
	my ($sql, @nodes) = @_;
	my %seen;

	push @{ $seen{ $c->sql($_, $sql) } }, $_ foreach @nodes ? @nodes : qw(c w1 w2);
	return (keys %seen)[0] if keys %seen == 1;
	return join "\n", map { "@{$seen{$_}}: $_" } sort keys %seen;
}

my $attributes = q{SELECT string_agg(rolname || ':' || concat_ws(',', rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolbypassrls,
	rolconnlimit, rolvaliduntil AT TIME ZONE 'UTC', left(rolpassword, 13), md5(rolpassword)), ' ' ORDER BY rolname) FROM pg_authid WHERE oid >= 16384};
my $members = q{SELECT string_agg(concat_ws(' ', roleid::regrole, member::regrole, admin_option), ', ' ORDER BY roleid::regrole::text, member::regrole::text)
	FROM pg_auth_members WHERE member >= 16384 AND NOT roleid::regrole::text LIKE 'made_by_%'};
my $settings = q{SELECT string_agg(concat_ws(' ', setrole::regrole, setdatabase > 0, setconfig), '; ' ORDER BY setrole::regrole::text, setdatabase)
	FROM pg_db_role_setting};

$c->sql('c', <<'END');
CREATE ROLE staff NOLOGIN;
CREATE USER "odd ""name" PASSWORD 'very secret 1' CONNECTION LIMIT 7 VALID UNTIL '2099-01-01 UTC' IN ROLE staff;
CREATE ROLE boss CREATEDB CREATEROLE LOGIN ROLE "odd ""name" ADMIN staff;
END
like(everywhere($attributes), qr/^boss:f,t,t,t,t.* odd "name:f,t,f,f,t,f,7,.*SCRAM-SHA-256.* staff:f,t,f,f,f/, 'roles are made everywhere');
is(everywhere($members), 'boss "odd ""name", boss staff, staff "odd ""name"' =~ s/(boss "odd ""name"|staff "odd ""name")/$1 f/gr =~ s/boss staff/boss staff t/r, '... with their memberships');

$c->sql('c', <<'END');
ALTER ROLE staff BYPASSRLS CONNECTION LIMIT 3;
ALTER ROLE "odd ""name" PASSWORD 'very secret 2' VALID UNTIL 'infinity';
ALTER ROLE staff SET search_path = 'a b', "$user";
ALTER ROLE staff IN DATABASE postgres SET work_mem = '5MB';
SET statement_timeout = '77s';
ALTER ROLE boss SET statement_timeout FROM CURRENT;
REVOKE staff FROM "odd ""name";
GRANT pg_monitor TO boss WITH ADMIN OPTION;
ALTER ROLE boss RENAME TO chief;
COMMENT ON ROLE chief IS 'of all';
CREATE ROLE gone;
DROP ROLE gone;
END
like(everywhere($attributes), qr/^chief:.* odd "name:f,t,f,f,t,f,7,infinity,SCRAM.* staff:f,t,f,f,f,t,3/, 'roles change everywhere');
is(everywhere($members), 'chief "odd ""name" f, chief staff t, pg_monitor chief t', '... and memberships');
is(everywhere($settings), q{chief f {statement_timeout=77s}; staff f {"search_path=\"a b\", \"$user\""}; staff t {work_mem=5MB}}, '... and settings');
is(everywhere(q{SELECT shobj_description('chief'::regrole, 'pg_authid')}), 'of all', '... and comments');

$c->sql('c', 'BEGIN; CREATE ROLE undone; ROLLBACK; BEGIN; SAVEPOINT s; CREATE ROLE undone2; ROLLBACK TO s; COMMIT');
is(everywhere(q{SELECT count(*) FROM pg_roles WHERE rolname LIKE 'undone%'}), 0, 'what is rolled back is nowhere');

# Somebody who may make roles but is no superuser, and somebody who may nothing.
$c->sql('c', q{SET SESSION AUTHORIZATION chief; CREATE ROLE made_by_chief LOGIN; ALTER ROLE made_by_chief CONNECTION LIMIT 4});
is(everywhere(q{SELECT rolconnlimit FROM pg_roles WHERE rolname = 'made_by_chief'}), 4, 'CREATEROLE is enough');
$c->sql('c', q{SET SESSION AUTHORIZATION made_by_chief; ALTER ROLE made_by_chief PASSWORD 'very secret 3'});
like(everywhere(q{SELECT rolpassword FROM pg_authid WHERE rolname = 'made_by_chief'}), qr/^SCRAM-SHA-256\$[^\n]*$/, 'a user changes his password everywhere');

# A group that joins: it has one of the roles already, in its own way.
$c->sql('w3', 'CREATE ROLE staff LOGIN CONNECTION LIMIT 99');
$c->sql('c', "SELECT cluster_add_node('$c->{socket_dir}', $c->{nodes}{w3}{port})");
my $others = $attributes =~ s/16384/16384 AND rolname <> 'staff'/r;
like(everywhere($others, qw(c w1 w2 w3)), qr/^chief:/, 'a group that joins gets the roles');
is(everywhere($members, qw(c w1 w2 w3)), 'chief "odd ""name" f, chief staff t, pg_monitor chief t', '... and memberships');
is($c->sql('w3', q{SELECT rolconnlimit FROM pg_roles WHERE rolname = 'staff'}), 99, '... but keeps what it had');
# What tables use is made where their shards are, and follows its changes.
$c->sql('c', <<'END');
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('sad', 'ok');
CREATE TYPE app.pair AS (a int, b text);
CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
CREATE COLLATION app.german (LOCALE = 'C');
CREATE FUNCTION app.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION app.good(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN app.twice($1) < 1000; END';
CREATE FUNCTION app.not_used(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE app.t (k int PRIMARY KEY, m app.mood DEFAULT 'ok', p app.pair, n app.positive, c text COLLATE app.german, CHECK (app.good(k)));
SELECT create_distributed_table('app.t', 'k');
INSERT INTO app.t SELECT g, 'sad', (g, 'x')::app.pair, g, 'c' FROM generate_series(1, 50) g;
END
is(everywhere(q{SELECT to_regtype('app.mood')::text || to_regtype('app.positive')::text || to_regproc('app.good')::text || to_regcollation('app.german')::text}),
	'app.moodapp.positiveapp.goodapp.german', 'types, domains, functions and collations are made');
is(everywhere(q{SELECT to_regproc('app.not_used') IS NULL}, qw(w1 w2)), 't', '... and no others');
$c->sql('c', <<'END');
SET search_path = app;
ALTER TYPE mood ADD VALUE 'happy';
ALTER TYPE mood RENAME VALUE 'sad' TO 'low';
ALTER TYPE pair RENAME ATTRIBUTE b TO label;
ALTER DOMAIN positive ADD CONSTRAINT small CHECK (VALUE < 1000);
ALTER DOMAIN positive RENAME CONSTRAINT small TO tiny;
CREATE OR REPLACE FUNCTION good(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN app.twice($1) < 2000; END';
ALTER FUNCTION good COST 7;
ALTER FUNCTION twice(int) RENAME TO double;
COMMENT ON FUNCTION good(int) IS 'is it?';
REVOKE ALL ON FUNCTION good(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION good(int) TO staff;
GRANT USAGE ON SCHEMA app TO staff;
ALTER COLLATION german RENAME TO de;
END
is(everywhere(q{SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = 'app.mood'::regtype}), 'low,ok,happy', 'enums change everywhere');
is(everywhere(q{SELECT array_agg(conname ORDER BY conname) FROM pg_constraint WHERE contypid = 'app.positive'::regtype}), '{positive_check,tiny}', '... and domains');
is(everywhere(q{SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'app.pair'::regclass}), 'a,label', '... and composites');
is(everywhere(q{SELECT concat_ws(' ', prosrc, procost, obj_description(oid), proacl) FROM pg_proc WHERE oid = 'app.good(int)'::regprocedure}),
	'BEGIN RETURN app.twice($1) < 2000; END 7 is it? {postgres=X/postgres,staff=X/postgres}', '... and functions, with comments and privileges');
is(everywhere(q{SELECT to_regproc('app.double')::text || to_regcollation('app.de')::text}), 'app.doubleapp.de', '... and names');
is(everywhere(q{SELECT has_schema_privilege('staff', 'app', 'usage')}), 't', '... and privileges on schemas');
$c->sql('c', 'BEGIN; ALTER FUNCTION app.good(int) COST 9; ALTER TYPE app.mood RENAME TO mood2; ROLLBACK');
is(everywhere(q{SELECT procost::text || to_regtype('app.mood') FROM pg_proc WHERE oid = 'app.good(int)'::regprocedure}), '7app.mood', 'a rollback undoes it everywhere');
like(($c->try_sql('c', 'DROP FUNCTION app.good(int)'))[2], qr/cannot drop function app.good\(integer\) because other objects depend on it/, 'what a table needs stays');
$c->sql('c', 'DROP TABLE app.t; DROP FUNCTION app.good(int), app.double(int); ALTER FUNCTION app.not_used(int) RENAME TO not_used_either; DROP TYPE app.pair; DROP DOMAIN app.positive');
is(everywhere(q{SELECT to_regproc('app.good') IS NULL AND to_regproc('app.double') IS NULL AND to_regtype('app.pair') IS NULL AND to_regtype('app.positive') IS NULL}), 't',
	'what is dropped is dropped everywhere') or diag('left');

# Every other kind of object; a list of their definitions tells where they differ.
my $definitions = q{SELECT string_agg(d, E'\n' ORDER BY d COLLATE "C") FROM (
	SELECT format('%s %s %s %s %s', type, identity, obj_description(objid, classid::regclass::name), owner, acl) AS d
	FROM (SELECT i.*, o.classid, o.objid, o.owner::regrole, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(o.acl) a) AS acl FROM (
		SELECT 'pg_operator'::regclass AS classid, oid AS objid, oprowner AS owner, NULL::aclitem[] AS acl, oprnamespace AS n FROM pg_operator WHERE oprcode::oid <> 0
		UNION ALL SELECT 'pg_opclass'::regclass, oid, opcowner, NULL, opcnamespace FROM pg_opclass
		UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfowner, NULL, opfnamespace FROM pg_opfamily
		UNION ALL SELECT 'pg_amop'::regclass, m.oid, opfowner, NULL, opfnamespace FROM pg_amop m JOIN pg_opfamily f ON f.oid = amopfamily
		UNION ALL SELECT 'pg_amproc'::regclass, m.oid, opfowner, NULL, opfnamespace FROM pg_amproc m JOIN pg_opfamily f ON f.oid = amprocfamily
		UNION ALL SELECT 'pg_cast'::regclass, c.oid, NULL, NULL, typnamespace FROM pg_cast c JOIN pg_type t ON t.oid IN (castsource, casttarget) WHERE c.oid >= 16384
		UNION ALL SELECT 'pg_type'::regclass, oid, typowner, typacl, typnamespace FROM pg_type WHERE typtype = 'b' AND typelem = 0
		UNION ALL SELECT 'pg_proc'::regclass, oid, proowner, proacl, pronamespace FROM pg_proc WHERE proname !~ '^not_used'
		UNION ALL SELECT 'pg_ts_template'::regclass, oid, NULL, NULL, tmplnamespace FROM pg_ts_template
		UNION ALL SELECT 'pg_ts_parser'::regclass, oid, NULL, NULL, prsnamespace FROM pg_ts_parser
		UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictowner, NULL, dictnamespace FROM pg_ts_dict
		UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgowner, NULL, cfgnamespace FROM pg_ts_config
		UNION ALL SELECT 'pg_class'::regclass, oid, relowner, relacl, relnamespace FROM pg_class WHERE relkind = 'v'
		UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, fdwowner, fdwacl, 'app'::regnamespace FROM pg_foreign_data_wrapper
		UNION ALL SELECT 'pg_foreign_server'::regclass, oid, srvowner, srvacl, 'app'::regnamespace FROM pg_foreign_server) o,
		pg_identify_object(o.classid, o.objid, 0) i
	WHERE o.n = 'app'::regnamespace) k
	UNION ALL SELECT format('mapping %s %s %s', usename, srvname, umoptions) FROM pg_user_mappings
	UNION ALL SELECT format('options %s', srvoptions) FROM pg_foreign_server
	UNION ALL SELECT format('tokens %s %s %s', maptokentype, mapseqno, mapdict::regdictionary) FROM pg_ts_config_map WHERE mapcfg = (SELECT oid FROM pg_ts_config WHERE cfgname ~ 'conf')
	UNION ALL SELECT format('aggregate %s %s', aggfnoid, to_jsonb(a) - 'aggfnoid' - 'aggtransfn' - 'aggcombinefn') FROM pg_aggregate a WHERE aggfnoid::text ~ '^app'
	UNION ALL SELECT format('operator %s %s %s %s', oid::regoperator, oprcom::regoperator, oprnegate::regoperator, oprrest) FROM pg_operator WHERE oid >= 16384
	UNION ALL SELECT pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v' AND relnamespace = 'app'::regnamespace) x};
sub same_definitions
{
	my ($name, @nodes) = @_;
	my %lines;

	foreach my $node (@nodes)
	{
		$lines{$_}{$node} = 1 foreach split /\n/, $c->sql($node, $definitions);
	}
	my @differ = grep { keys %{ $lines{$_} } < @nodes } sort keys %lines;
	is(scalar(@differ), 0, $name) or diag(map { join(' ', sort keys %{ $lines{$_} }) . ": $_\n" } @differ);
	return join "\n", sort keys %lines;
}

my @comparisons = map { [ split / / ] } ('lt < 1', 'le <= 2', 'eq = 3', 'ge >= 4', 'gt > 5');
$c->sql('c', join "\n", <<'END',
SET client_min_messages = warning;
CREATE TYPE app.num;
CREATE FUNCTION app.num_in(cstring) RETURNS app.num LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION app.num_out(app.num) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE app.num (INPUT = app.num_in, OUTPUT = app.num_out, LIKE = int4, CATEGORY = 'N');
CREATE FUNCTION app.num_cmp(app.num, app.num) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'btint4cmp';
CREATE FUNCTION app.num_int(app.num) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'int4up';
END
	(map { "CREATE FUNCTION app.num_$_->[0](app.num, app.num) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'int4$_->[0]';" } @comparisons), <<'END',
CREATE OPERATOR app.< (FUNCTION = app.num_lt, LEFTARG = app.num, RIGHTARG = app.num, COMMUTATOR = OPERATOR(app.>), NEGATOR = OPERATOR(app.>=), RESTRICT = scalarltsel);
CREATE OPERATOR app.<= (FUNCTION = app.num_le, LEFTARG = app.num, RIGHTARG = app.num, COMMUTATOR = OPERATOR(app.>=), NEGATOR = OPERATOR(app.>));
CREATE OPERATOR app.= (FUNCTION = app.num_eq, LEFTARG = app.num, RIGHTARG = app.num, COMMUTATOR = OPERATOR(app.=), MERGES);
CREATE OPERATOR app.>= (FUNCTION = app.num_ge, LEFTARG = app.num, RIGHTARG = app.num, COMMUTATOR = OPERATOR(app.<=), NEGATOR = OPERATOR(app.<));
CREATE OPERATOR app.> (FUNCTION = app.num_gt, LEFTARG = app.num, RIGHTARG = app.num, COMMUTATOR = OPERATOR(app.<), NEGATOR = OPERATOR(app.<=));
CREATE OPERATOR FAMILY app.nums USING btree;
END
	'CREATE OPERATOR CLASS app.num_ops DEFAULT FOR TYPE app.num USING btree FAMILY app.nums AS FUNCTION 1 app.num_cmp(app.num, app.num),',
	(join ', ', map { "OPERATOR $_->[2] app.$_->[1]" } @comparisons), ';', <<'END');
CREATE CAST (app.num AS int) WITH FUNCTION app.num_int(app.num) AS ASSIGNMENT;
CREATE CAST (int AS app.num) WITHOUT FUNCTION AS IMPLICIT;
CREATE TEXT SEARCH TEMPLATE app.tmpl (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY app.dict (TEMPLATE = app.tmpl, STOPWORDS = english);
CREATE TEXT SEARCH PARSER app.prs (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype);
CREATE TEXT SEARCH CONFIGURATION app.conf (PARSER = app.prs);
ALTER TEXT SEARCH CONFIGURATION app.conf ADD MAPPING FOR asciiword, word WITH app.dict, simple;
COMMENT ON TEXT SEARCH CONFIGURATION app.conf IS 'words';
CREATE FUNCTION app.plus(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE AGGREGATE app.total(int) (SFUNC = app.plus, STYPE = int, INITCOND = '0', COMBINEFUNC = app.plus, PARALLEL = safe, MSFUNC = int4pl, MINVFUNC = int4mi, MSTYPE = int);
CREATE AGGREGATE app.middle(float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
CREATE FOREIGN DATA WRAPPER nothing OPTIONS (debug 'true');
CREATE SERVER far TYPE 'x' VERSION '1' FOREIGN DATA WRAPPER nothing OPTIONS (host 'a''b');
CREATE USER MAPPING FOR staff SERVER far OPTIONS (user 'me', password 'very secret 4');
GRANT USAGE ON FOREIGN SERVER far TO staff;
CREATE VIEW app.parameters (n, s) WITH (security_barrier) AS SELECT name, setting FROM pg_settings;
ALTER VIEW app.parameters OWNER TO staff;
CREATE TABLE app.here (a int);
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$DECLARE x text; BEGIN
	PERFORM app.total(i), app.middle(0.5) WITHIN GROUP (ORDER BY i) FROM generate_series(1, 3) i; -- for server far
	SELECT s INTO x FROM app.parameters LIMIT 1;
	IF x = 'never' THEN INSERT INTO app.here VALUES (1); END IF;
	RETURN NEW; END$$;
CREATE TABLE app.u (k int PRIMARY KEY, n app.num, v text, s tsvector GENERATED ALWAYS AS (to_tsvector('app.conf', v)) STORED, UNIQUE (k, n), CHECK (n::int > 0));
CREATE INDEX ON app.u (n);
CREATE TRIGGER touch BEFORE INSERT ON app.u FOR EACH ROW EXECUTE FUNCTION app.touch();
SELECT create_distributed_table('app.u', 'k', shard_count => 3);
INSERT INTO app.u SELECT g, g, 'word ' || g FROM generate_series(1, 20) g;
END
my $before = same_definitions('operators, casts, text search, aggregates, servers, views and what they need are made', qw(c w1 w2 w3));
like($before, qr/^view app.parameters/m, '... the list has them');
is($c->sql('c', q{SELECT count(*), min(n::int) FROM app.u WHERE s @@ to_tsquery('app.conf', 'word')}), '20|1', '... and work');
$c->sql('c', <<'END');
CREATE TEXT SEARCH DICTIONARY app.other (TEMPLATE = simple);
ALTER TEXT SEARCH CONFIGURATION app.conf ALTER MAPPING FOR word WITH app.other;
ALTER TEXT SEARCH DICTIONARY app.dict (STOPWORDS);
ALTER TEXT SEARCH CONFIGURATION app.conf RENAME TO config;
CREATE FUNCTION app.num_cmp(app.num, int) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'btint4cmp';
ALTER OPERATOR FAMILY app.nums USING btree ADD FUNCTION 1 (app.num, int) app.num_cmp(app.num, int);
ALTER OPERATOR app.< (app.num, app.num) SET (RESTRICT = NONE);
COMMENT ON OPERATOR CLASS app.num_ops USING btree IS 'usual';
COMMENT ON CAST (app.num AS int) IS 'free';
CREATE CAST (app.num AS text) WITH INOUT;
ALTER SERVER far OPTIONS (SET host 'nowhere');
ALTER USER MAPPING FOR staff SERVER far OPTIONS (SET password 'very secret 5');
CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (password 'very secret 6');
ALTER AGGREGATE app.total(int) OWNER TO staff;
CREATE OR REPLACE VIEW app.parameters (n, s, u) AS SELECT name, setting, unit FROM pg_settings;
ALTER VIEW app.parameters RENAME COLUMN u TO "in";
GRANT SELECT ON app.parameters TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA app TO staff;
CREATE OR REPLACE AGGREGATE app.total(int) (SFUNC = app.plus, STYPE = int, INITCOND = '7', COMBINEFUNC = app.plus);
END
isnt(same_definitions('changes of them go to all nodes', qw(c w1 w2 w3)), $before, '... and are some');
$c->sql('c', "SELECT cluster_add_node('$c->{socket_dir}', $c->{nodes}{w4}{port})");
same_definitions('a group that joins gets all of them', qw(c w4));
$c->sql('c', <<'END');
DROP CAST (app.num AS text);
DROP USER MAPPING FOR PUBLIC SERVER far;
CREATE ROLE owner;
CREATE FUNCTION app.owned() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
ALTER TABLE app.u ADD CHECK (k >= app.owned());
ALTER FUNCTION app.owned() OWNER TO owner;
SET client_min_messages = warning;
CREATE SCHEMA theirs AUTHORIZATION owner;
CREATE TABLE theirs.t (k int);
SELECT create_distributed_table('theirs.t', 'k', colocate_with => 'app.u');
CREATE ROLE other_owner;
CREATE POLICY shared ON app.u TO owner, staff USING (true);
GRANT SELECT ON app.u TO owner WITH GRANT OPTION;
ALTER SCHEMA theirs RENAME TO renamed;
ALTER TABLE renamed.t ADD COLUMN v text;
ALTER TABLE renamed.t OWNER TO owner;
GRANT USAGE ON SCHEMA renamed TO staff;
REASSIGN OWNED BY owner TO other_owner;
DROP OWNED BY owner CASCADE;
DROP ROLE owner;
SELECT 1 / (count(*) = 1)::int FROM renamed.t RIGHT JOIN (VALUES (1)) x ON true;
DROP OWNED BY other_owner CASCADE;
DROP ROLE other_owner;
DROP VIEW app.parameters;
DROP SERVER far CASCADE;
DROP FOREIGN DATA WRAPPER nothing;
END
same_definitions('what is dropped by any statement is dropped everywhere', qw(c w1 w2 w3 w4));
is(everywhere(q{SELECT concat_ws(' ', to_regnamespace('theirs'), to_regnamespace('renamed'), polroles::regrole[]) FROM pg_policy WHERE polrelid = 'app.u'::regclass}), '{staff}',
	'... and so are schemas, and what a role was granted');

# Event triggers are everywhere, and fire once for a statement, where it was given.
$c->sql('c', <<'END');
CREATE FUNCTION app.tell() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN
	RAISE WARNING 'fired: % % %', tg_event, tg_tag, current_setting('port'); END$$;
CREATE FUNCTION app.forbid() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$forbidden$$; END';
CREATE EVENT TRIGGER at_start ON ddl_command_start EXECUTE FUNCTION app.tell();
CREATE EVENT TRIGGER at_end ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE') EXECUTE FUNCTION app.tell();
CREATE EVENT TRIGGER at_drop ON sql_drop EXECUTE FUNCTION app.tell();
CREATE EVENT TRIGGER at_rewrite ON table_rewrite EXECUTE FUNCTION app.tell();
ALTER EVENT TRIGGER at_end ENABLE ALWAYS;
ALTER EVENT TRIGGER at_drop RENAME TO "at ""drop";
COMMENT ON EVENT TRIGGER at_end IS 'all is done';
CREATE EVENT TRIGGER no_index ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION app.forbid();
CREATE EVENT TRIGGER gone ON sql_drop EXECUTE FUNCTION app.forbid();
DROP EVENT TRIGGER gone;
BEGIN; ALTER EVENT TRIGGER at_start DISABLE; CREATE EVENT TRIGGER undone ON sql_drop EXECUTE FUNCTION app.tell(); ROLLBACK;
END
my $event_triggers = q{SELECT string_agg(concat_ws(' ', evtname, evtevent, evtenabled, evttags, evtfoid::regproc, evtowner::regrole, obj_description(oid)), '; ' ORDER BY evtname) FROM pg_event_trigger};
is(everywhere($event_triggers), 'at "drop sql_drop O app.tell postgres; at_end ddl_command_end A {"ALTER TABLE","CREATE TABLE"} app.tell postgres all is done; '
	. 'at_rewrite table_rewrite O app.tell postgres; at_start ddl_command_start O app.tell postgres; no_index ddl_command_end O {"CREATE INDEX"} app.forbid postgres',
	'event triggers are made and changed everywhere');
my (undef, undef, $fired) = $c->try_sql('c', <<'END');
CREATE TABLE app.e (k int, v int);
SELECT create_distributed_table('app.e', 'k', colocate_with => 'app.u');
ALTER TABLE app.e ALTER v TYPE bigint, ADD COLUMN w int DEFAULT 1;
DROP TABLE app.e;
END
my $here = $c->{nodes}{c}{port};
is(join(', ', map { /fired: (.*)/ ? $1 =~ s/ $here$//r : () } split /\n/, $fired), 'ddl_command_start CREATE TABLE, ddl_command_end CREATE TABLE, '
	. 'ddl_command_start ALTER TABLE, table_rewrite ALTER TABLE, ddl_command_end ALTER TABLE, ddl_command_start DROP TABLE, sql_drop DROP TABLE', 'they fire once for DDL of shards');
like(($c->try_sql('c', 'CREATE INDEX refused ON app.u (k)'))[2], qr/forbidden/, 'one of them stops a statement');
like(($c->try_sql('w1', 'CREATE INDEX refused ON app.not_there (k)'))[2], qr/fired: ddl_command_start CREATE INDEX $c->{nodes}{w1}{port}/, '... and fires for what is done on a node');
is(everywhere(q{SELECT count(*) FROM pg_class WHERE relname = 'refused'}), 0, '... everywhere');
$c->sql('c', "DROP EVENT TRIGGER $_") foreach 'at_start', '"at ""drop"', 'no_index', 'at_rewrite';
is(everywhere(q{SELECT string_agg(evtname, ',') FROM pg_event_trigger}), 'at_end', 'they are dropped everywhere');

# An extension, with the version that it has here.
SKIP:
{
	skip 'no contrib', 1 if $c->sql('c', q{SELECT count(*) FROM pg_available_extension_versions WHERE name = 'pg_trgm' AND version IN ('1.5', '1.6')}) < 2;
	$c->sql('w1', q{CREATE EXTENSION pg_trgm VERSION '1.5'});
	$c->sql('c', q{CREATE EXTENSION pg_trgm VERSION '1.6'; CREATE INDEX ON app.u USING gin (v gin_trgm_ops)});
	is(everywhere(q{SELECT extversion FROM pg_extension WHERE extname = 'pg_trgm'}), '1.6', 'extensions have one version');
	$c->sql('c', 'DROP EXTENSION pg_trgm CASCADE');
}

# A group that is not there.
$c->stop_node('w2');
$c->sql('c', 'ALTER FUNCTION app.not_used_either(int) COST 5; DROP FUNCTION app.not_used_either(int)');
like(($c->try_sql('c', 'ALTER FUNCTION app.plus(int, int) COST 5'))[2], qr/could not reach node .* of group 2/, 'what nodes have needs all of them, and says so');
is($c->sql('c', q{SELECT procost FROM pg_proc WHERE proname = 'plus'}), 100, '... before anything is changed');

my @lines = map { split /\n/, PgCluster::read_file($c->{nodes}{$_}{log}) } qw(w1 w2 w3 w4);
is(scalar(grep { /very secret/ } @lines), 0, 'no password is in a log of the workers');
is(scalar(grep { /SCRAM-SHA-256\$/ && !/made_by_chief/ } @lines), 0, '... nor what a superuser\'s change of one leaves of it');
done_testing();
