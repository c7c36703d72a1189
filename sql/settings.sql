-- Every setting, so that a changed default or context is seen in review.
SELECT name, vartype AS type, CASE name WHEN 'pgcluster.node_name' THEN '(the host''s name)' ELSE boot_val END AS "default", unit, context
FROM pg_settings
WHERE name LIKE 'pgcluster.%'
ORDER BY name COLLATE "C";

-- Each says what it is for, in one sentence.
SELECT name, short_desc FROM pg_settings WHERE name LIKE 'pgcluster.%' AND short_desc !~ '^([A-Z]|libpq).*\.$';
