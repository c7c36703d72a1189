-- all rows of one table
SELECT * FROM users;

-- one key
SELECT * FROM users WHERE user_id = 7;

-- one key that is not there
SELECT * FROM users WHERE user_id = 70000;

-- a key written as an expression
SELECT name FROM users WHERE user_id = 3 + 4;

-- key = NULL is never true
SELECT * FROM users WHERE user_id = NULL;

-- key is null
SELECT * FROM users WHERE user_id IS NULL;

-- a key of another integer type
SELECT id, balance FROM accounts WHERE id = 7000000049::bigint OR id = 1000000007;

-- int8 key compared with int4
SELECT id, owner FROM accounts WHERE id = 1000000007;

-- int4 key compared with int8
SELECT name FROM users WHERE user_id = 7::bigint;

-- int4 key compared with a bigint out of its range
SELECT name FROM users WHERE user_id = 7000000000;

-- int4 key compared with numeric
SELECT name FROM users WHERE user_id = 7.0;

-- int4 key compared with a fraction
SELECT name FROM users WHERE user_id = 7.5;

-- a text key
SELECT count(*), min(at), max(at) FROM events WHERE device = 'dev-3';

-- a text key with quotes, backslash and letters beyond ASCII
SELECT device, kind, reading FROM events WHERE device = 'Ünïcode ''quoted" \ 1';

-- a uuid key
SELECT t, ip FROM types WHERE id = '00000000-0000-4000-8000-000000000003';

-- key and more conditions
SELECT * FROM orders WHERE user_id = 5 AND status = 'paid' AND total > 10;

-- key given twice, same
SELECT order_id FROM orders WHERE user_id = 5 AND user_id = 5;

-- key given twice, different: no row
SELECT order_id FROM orders WHERE user_id = 5 AND user_id = 6;

-- two keys by OR
SELECT user_id, name FROM users WHERE user_id = 5 OR user_id = 16;

-- IN list of keys
SELECT user_id, name FROM users WHERE user_id IN (1, 2, 3, 100);

-- IN list with one key
SELECT user_id, name FROM users WHERE user_id IN (4);

-- IN list with NULL
SELECT user_id, name FROM users WHERE user_id IN (4, NULL);

-- NOT IN with NULL is empty
SELECT user_id, name FROM users WHERE user_id NOT IN (4, NULL);

-- = ANY of an array
SELECT user_id, name FROM users WHERE user_id = ANY ('{3,9,27}'::int[]);

-- <> ALL of an array
SELECT user_id FROM users WHERE user_id <> ALL (ARRAY[1, 2, 3]) AND user_id < 10;

-- a range of keys
SELECT user_id, name FROM users WHERE user_id BETWEEN 10 AND 15;

-- BETWEEN SYMMETRIC
SELECT user_id FROM users WHERE user_id BETWEEN SYMMETRIC 15 AND 10;

-- NOT, AND, OR with nulls
SELECT id, a, b, c FROM gaps WHERE NOT (a > 2 OR b = 'b1') AND c IS NOT FALSE;

-- IS DISTINCT FROM
SELECT id FROM gaps WHERE a IS DISTINCT FROM 2 AND d IS NOT DISTINCT FROM NULL;

-- IS UNKNOWN
SELECT id, c FROM gaps WHERE (c AND a = 2) IS UNKNOWN;

-- boolean column as the condition
SELECT user_id FROM users WHERE active;

-- constant false
SELECT * FROM users WHERE false;

-- constant null
SELECT * FROM users WHERE NULL::boolean;

-- LIKE, ILIKE, SIMILAR TO
SELECT user_id, name FROM users WHERE name LIKE 'user B%' OR name ILIKE 'USER c%' OR name SIMILAR TO 'user [DE][0-9]+';

-- regular expressions
SELECT user_id, name FROM users WHERE name ~ '[AEIOU][0-9]$' AND name !~* 'user a';

-- LIKE with ESCAPE
SELECT name FROM users WHERE email LIKE 'u1#_' ESCAPE '#' OR email LIKE '%@example.com' AND user_id < 4;

-- array containment and overlap
SELECT user_id, tags FROM users WHERE tags @> ARRAY['t1'] OR tags && ARRAY['t5'];

-- jsonb operators
SELECT user_id, profile ->> 'nick', profile #> '{opts,dark}' FROM users WHERE profile @> '{"level": 3}' OR profile ? 'missing';

-- jsonb path
SELECT user_id FROM users WHERE profile @? '$.level ? (@ > 7)' AND jsonb_path_exists(profile, '$.opts ? (@.dark == true)');

-- dates and intervals
SELECT order_id, ordered_at FROM orders WHERE ordered_at >= date '2023-03-01' AND ordered_at < timestamp '2023-03-01' + interval '1 week';

-- EXTRACT and date_trunc
SELECT order_id FROM orders WHERE extract(dow FROM ordered_at) = 1 AND date_trunc('month', ordered_at) = '2023-05-01';

-- OVERLAPS
SELECT order_id FROM orders WHERE (ordered_at, interval '1 day') OVERLAPS (timestamp '2023-02-01', timestamp '2023-02-05');

-- row comparison
SELECT user_id, order_id FROM orders WHERE (user_id, order_id) < (4, 100) AND (user_id, order_id) >= (2, 50);

-- row equality with IN
SELECT user_id, order_id, line FROM order_items WHERE (user_id, order_id) IN (SELECT user_id, order_id FROM orders WHERE total > 450);

-- row IS NULL
SELECT id FROM gaps WHERE (a, b) IS NULL;

-- coalesce and nullif
SELECT id, coalesce(a, -1), nullif(c, true) FROM gaps WHERE coalesce(b, 'none') = 'none' AND nullif(a, 2) IS NULL;

-- division by zero in the condition
-- fails: 22012
SELECT user_id FROM users WHERE 1 / (user_id - 5) > 0;

-- a cast that fails
-- fails: 22P02
SELECT name::integer FROM users WHERE user_id = 3;

-- numeric precision
SELECT sum(total), avg(total), min(total / 3), max(total * 1.0000000001) FROM orders WHERE total IS NOT NULL;

-- a table that is empty
SELECT * FROM nothing;

-- a column that does not exist
-- fails: 42703
SELECT no_such_column FROM users;

-- a table that does not exist
-- fails: 42P01
SELECT * FROM no_such_table;

-- every type there and back
SELECT * FROM types;

-- system columns of a row
SELECT tableoid::regclass = 'users'::regclass FROM users WHERE user_id = 7;

-- current_user and constant functions
SELECT current_user, current_schema() <> 'public', pg_typeof(user_id) FROM users WHERE user_id = 7;

-- TABLE command
TABLE countries;

-- a reference table by key
SELECT * FROM products WHERE product_id = 3;

-- a reference table with conditions
SELECT name, price FROM products WHERE category = 'tools' OR category IS NULL;

-- ONLY
SELECT count(*) FROM ONLY orders;
