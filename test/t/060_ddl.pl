# DDL with worker groups on servers of their own: what a definition uses is
# created there, what other statements drop goes there too, and all of it
# is one transaction.
use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @nodes = map { PostgreSQL::Test::Cluster->new($_) } qw(coordinator one two);
for my $node (@nodes)
{
	$node->init;
	$node->append_conf('postgresql.conf',
		"shared_preload_libraries = 'pgcluster'\nmax_prepared_transactions = 20\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION pgcluster');
}
my ($coordinator, @workers) = @nodes;
$coordinator->safe_psql('postgres',
	sprintf("SELECT cluster_add_node('%s', %d)", $_->host, $_->port))
  for @workers;
$coordinator->safe_psql('postgres', slurp_file("$FindBin::Bin/../ddl_compare.sql"));

# alike TABLE, SQL, NAME: after the statements the shards are as their table.
sub alike
{
	my ($table, $sql, $name) = @_;
	my $failed = $coordinator->psql('postgres', "SET client_min_messages = warning; $sql",
		stderr => \my $stderr);

	diag($stderr) if $failed;
	is($coordinator->safe_psql('postgres', "SELECT * FROM differences('$table')"), '', $name);
	return;
}

sub fails_like
{
	my ($sql, $pattern, $name) = @_;
	my $failed = $coordinator->psql('postgres', $sql, stderr => \my $stderr, on_error_stop => 1);

	like($failed ? $stderr : 'no error', $pattern, $name);
	return;
}

$coordinator->safe_psql('postgres', <<'SQL');
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('sad', 'happy');
CREATE DOMAIN app.positive AS integer DEFAULT 5 CHECK (value > 0);
CREATE TYPE app.pair AS (a app.positive, b app.mood);
CREATE FUNCTION app.less(date, date) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2';
CREATE TYPE app.days AS RANGE (SUBTYPE = date, SUBTYPE_DIFF = app.less);
CREATE COLLATION app.plain (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE FUNCTION app.trimmed(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT trim($1)';
CREATE FUNCTION app.normal(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN lower(app.trimmed($1));
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN NEW.name := app.normal(NEW.name); RETURN NEW; END$$;
CREATE TABLE app.t (k integer PRIMARY KEY, name text, m app.mood, p app.pair, d app.positive,
    ms app.mood[], r app.days, c text COLLATE app.plain, CHECK (app.normal(name) <> ''));
CREATE INDEX ON app.t (app.normal(name));
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON app.t FOR EACH ROW EXECUTE FUNCTION app.touch();
INSERT INTO app.t VALUES (1, ' Joe ', 'sad', '(3,happy)', 1, '{sad}', '[2020-01-01,2021-01-01)', 'a');
SQL
alike('app.t', "SELECT create_distributed_table('app.t', 'k', shard_count => 4)",
	'what a table uses is created on the nodes');
$coordinator->safe_psql('postgres', "INSERT INTO app.t (k, name) SELECT g, ' N' || g FROM generate_series(2, 20) g");
is($coordinator->safe_psql('postgres', 'SELECT name, m, p, d, ms, r, c FROM app.t WHERE k < 3 ORDER BY k'),
	"joe|sad|(3,happy)|1|{sad}|[2020-01-01,2021-01-01)|a\nn2|||5|||", 'values of all types travel');

alike('app.t', <<'SQL', 'what a change uses is created with it');
CREATE TYPE app.level AS ENUM ('low', 'high');
CREATE FUNCTION app.level_of(text) RETURNS app.level LANGUAGE sql IMMUTABLE AS $$SELECT 'high'::app.level$$;
ALTER TABLE app.t ADD COLUMN l app.level DEFAULT 'low';
ALTER TABLE app.t ADD COLUMN g app.level GENERATED ALWAYS AS (app.level_of(name)) STORED;
ALTER TABLE app.t ALTER l TYPE text USING upper(l::text);
SQL
is($coordinator->safe_psql('postgres', 'SELECT DISTINCT l, g FROM app.t'), 'LOW|high', 'and does what it should');
alike('app.t', 'BEGIN; CREATE TYPE app.fresh AS (a integer); ALTER TABLE app.t ADD COLUMN f app.fresh; COMMIT',
	'also what was made in the same transaction');
$coordinator->safe_psql('postgres',
	'BEGIN; CREATE TYPE app.undone AS (a integer); ALTER TABLE app.t ADD COLUMN u app.undone; ROLLBACK');
is(join(',', map { $_->safe_psql('postgres', "SELECT to_regtype('app.undone')") } @nodes), ',,',
	'and it goes with the transaction');
alike('app.t', <<'SQL', 'a function that changed is replaced when it is used again');
CREATE OR REPLACE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.name := 'touched'; RETURN NEW; END$$;
CREATE OR REPLACE TRIGGER touch BEFORE INSERT OR UPDATE ON app.t FOR EACH ROW EXECUTE FUNCTION app.touch();
SQL
is($coordinator->safe_psql('postgres', 'UPDATE app.t SET l = l WHERE k = 1 RETURNING name'), 'touched', 'so it is');

# What others drop.
alike('app.t', 'DROP TYPE app.mood CASCADE', 'DROP TYPE takes columns of the shards along');
alike('app.t', 'DROP FUNCTION app.normal, app.level_of CASCADE', 'DROP FUNCTION constraints, indexes and columns');
alike('app.t', 'DROP FUNCTION app.touch CASCADE', 'and triggers');
alike('app.t', 'DROP DOMAIN app.positive CASCADE; DROP COLLATION app.plain CASCADE', 'DROP DOMAIN and COLLATION columns');
is($coordinator->safe_psql('postgres', 'SELECT count(*) FROM app.t'), 20, 'no row is lost');

# Owners and grants.
$coordinator->safe_psql('postgres', 'CREATE ROLE keeper LOGIN; CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA app TO reader');
alike('app.t', 'ALTER TABLE app.t OWNER TO keeper; GRANT SELECT, UPDATE (name) ON app.t TO reader', 'owner and grants');
is($coordinator->safe_psql('postgres', 'SET ROLE reader; SELECT count(*) FROM app.t'), 20, 'a reader reads');
alike('app.t', 'REASSIGN OWNED BY keeper TO CURRENT_USER', 'REASSIGN OWNED');
alike('app.t', 'CREATE ROLE third; GRANT SELECT, UPDATE (name) ON app.t TO reader WITH GRANT OPTION; SET ROLE reader; '
	  . 'GRANT SELECT, UPDATE (name) ON app.t TO third; RESET ROLE; GRANT INSERT ON ALL TABLES IN SCHEMA app TO third',
	'who passes on what was granted to him is known on the shards');
alike('app.t', 'SET ROLE reader; REVOKE SELECT ON app.t FROM third; GRANT DELETE ON app.t TO third', 'and can take it back');
alike('app.t', 'REVOKE ALL ON app.t FROM reader CASCADE; GRANT SELECT ON app.t TO reader; DROP OWNED BY third', 'as can the owner');
alike('app.g', 'CREATE TABLE app.g (k integer, n integer); GRANT SELECT, UPDATE (n) ON app.g TO reader WITH GRANT OPTION; '
	  . 'SET ROLE reader; GRANT SELECT, UPDATE (n) ON app.g TO third; RESET ROLE; '
	  . "SELECT create_distributed_table('app.g', 'k', colocate_with => 'app.t')", 'what others than the owner granted before');
alike('app.g', 'REVOKE SELECT ON app.g FROM reader CASCADE', '... goes with what it was granted by');
alike('app.t', 'DROP OWNED BY reader', 'DROP OWNED');
fails_like('SET ROLE reader; SELECT count(*) FROM app.t', qr/permission denied/, 'what was granted is gone');
alike('app.t', 'ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO reader; '
	  . "CREATE TABLE app.u (k integer); SELECT create_distributed_table('app.u', 'k', colocate_with => 'app.t')",
	'default privileges');
is($coordinator->safe_psql('postgres', "SELECT * FROM differences('app.u')"), '', 'of the new table too');

# An error of one node undoes all.
$coordinator->safe_psql('postgres', "UPDATE app.t SET name = NULL WHERE k = 7");
fails_like('ALTER TABLE app.t ADD COLUMN z integer, ALTER name SET NOT NULL', qr/contains null values.*group/s,
	'a row of one shard is in the way');
is($coordinator->safe_psql('postgres', "SELECT * FROM differences('app.t')"), '', 'nothing has changed anywhere');

$coordinator->safe_psql('postgres', 'SET client_min_messages = warning; DROP SCHEMA app CASCADE');
is(join(',', map { $_->safe_psql('postgres', "SELECT count(*) FROM pg_namespace WHERE nspname ~ '_[0-9]{6,}\$'") } @workers),
	'0,0', 'DROP SCHEMA leaves no shard');
$_->stop for @nodes;
done_testing();
