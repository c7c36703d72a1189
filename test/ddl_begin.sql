-- How tests of DDL begin: the server is its own worker group.
\set ECHO none
CREATE EXTENSION IF NOT EXISTS pgcluster;
-- Contexts name the node.
\set SHOW_CONTEXT never
\ir ddl_compare.sql
\o /dev/null
SELECT cluster_add_node(current_setting('unix_socket_directories'), current_setting('port')::integer);
\o
\set ECHO all
