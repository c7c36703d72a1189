# Roles and the other things that shards and sessions need are on every node.

use strict;
use warnings;

use PgCluster;
use Test::More;

my $c = PgCluster->new(workers => 3, setup => 0, config => "password_encryption = 'scram-sha-256'\nlog_statement = 'all'\n");
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
	FROM pg_auth_members WHERE member >= 16384};
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
$c->sql('c', 'DROP TABLE app.t; DROP FUNCTION app.good(int), app.double(int), app.not_used(int); DROP TYPE app.pair; DROP DOMAIN app.positive');
is(everywhere(q{SELECT to_regproc('app.good') IS NULL AND to_regproc('app.double') IS NULL AND to_regtype('app.pair') IS NULL AND to_regtype('app.positive') IS NULL}), 't',
	'what is dropped is dropped everywhere') or diag('left');

my @lines = map { split /\n/, PgCluster::read_file($c->{nodes}{$_}{log}) } qw(w1 w2 w3);
is(scalar(grep { /very secret/ } @lines), 0, 'no password is in a log of the workers');
is(scalar(grep { /SCRAM-SHA-256\$/ && !/made_by_chief/ } @lines), 0, '... nor what a superuser\'s change of one leaves of it');
done_testing();
