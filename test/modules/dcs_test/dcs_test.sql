-- The functions of dcs_test; :'library' is the path of the module.
CREATE TYPE dcs_outcome AS (
	status text, reason text, revision bigint, lease bigint, ttl int, keys text, ms int);
CREATE FUNCTION dcs_open(endpoints text, request_timeout int = 1000, total_timeout int = 5000,
	tls bool = false, cacert text = NULL, cert text = NULL, key text = NULL,
	username text = NULL, password_file text = NULL)
	RETURNS void LANGUAGE c AS :'library';
CREATE FUNCTION dcs_close() RETURNS void LANGUAGE c AS :'library';
CREATE FUNCTION dcs_grant(ttl int) RETURNS dcs_outcome LANGUAGE c AS :'library';
CREATE FUNCTION dcs_keepalive(lease bigint) RETURNS dcs_outcome LANGUAGE c AS :'library';
CREATE FUNCTION dcs_revoke(lease bigint) RETURNS dcs_outcome LANGUAGE c AS :'library';
CREATE FUNCTION dcs_get(key text, prefix bool = true) RETURNS dcs_outcome LANGUAGE c AS :'library';
CREATE FUNCTION dcs_put(key text, value text, lease bigint = 0, compared text = NULL,
	compare_revision bigint = 0, is_create bool = true)
	RETURNS dcs_outcome LANGUAGE c AS :'library';
CREATE FUNCTION dcs_watch(prefix text) RETURNS void LANGUAGE c AS :'library';
CREATE FUNCTION dcs_events(ms int) RETURNS text LANGUAGE c AS :'library';
CREATE FUNCTION dcs_throw() RETURNS void LANGUAGE c AS :'library';
CREATE FUNCTION dcs_revoke_blocking(endpoints text, request_timeout int, total_timeout int,
	tls bool, cacert text, cert text, key text, username text, password_file text,
	lease bigint, timeout int)
	RETURNS bool LANGUAGE c AS :'library';
