-- CASE in both forms
SELECT user_id, CASE WHEN active THEN 'yes' WHEN NOT active THEN 'no' ELSE '?' END, CASE country WHEN 'DE' THEN 1 WHEN 'FR' THEN 2 END FROM users;

-- casts
SELECT user_id::text || '!', total::integer, ordered_at::date, status::varchar(3) FROM orders WHERE user_id < 5;

-- arrays
SELECT user_id, tags[1], tags[1:1], array_length(tags, 1), cardinality(tags), tags || 'x'::text, array_to_string(tags, '/') FROM users;

-- array constructor of columns
SELECT ARRAY[user_id, order_id::int], ARRAY[[user_id], [line]] FROM order_items WHERE user_id = 8;

-- row constructor
SELECT ROW(user_id, name), (users).country FROM users WHERE user_id < 4;

-- whole row
SELECT u FROM users u WHERE user_id = 9;

-- whole row to json
SELECT to_jsonb(u) - 'profile', row_to_json(u)::jsonb ->> 'name' FROM users u WHERE user_id < 6;

-- GREATEST and LEAST with nulls
SELECT id, greatest(a, id, 3), least(a, 2, NULL) FROM gaps;

-- string functions
SELECT user_id, upper(name), substring(name FROM 6 FOR 2), position('A' IN name), overlay(name PLACING 'x' FROM 1 FOR 4), trim(LEADING 'u' FROM name), lpad(user_id::text, 4, '0'), format('%s-%I', user_id, name), left(md5(name), 4) FROM users;

-- date functions
SELECT user_id, age(date '2024-01-01', born), extract(year FROM born), to_char(born, 'YYYY-MM-DD'), born + interval '1 month', born - date '1950-01-01' FROM users;

-- AT TIME ZONE
SELECT at, at AT TIME ZONE 'UTC', at AT TIME ZONE 'Asia/Tokyo' FROM events WHERE device = 'dev-5';

-- a set-returning function in the select list
SELECT user_id, unnest(tags) FROM users WHERE user_id < 20;

-- two set-returning functions side by side
SELECT user_id, generate_series(1, 2), generate_series(1, 3) FROM users WHERE user_id IN (3, 4);

-- jsonb building
SELECT jsonb_build_object('id', user_id, 'items', jsonb_build_array(name, country)), profile || '{"new": 1}', profile - 'nick' FROM users;

-- subscripted jsonb
SELECT user_id, profile['opts']['dark'], payload FROM users LEFT JOIN events ON profile['nick'] = payload['nick'] WHERE user_id < 9;

-- collation of a comparison
SELECT name FROM users WHERE name COLLATE "C" > 'user Q' COLLATE "C";

-- ordering by another collation
-- ordered
SELECT device, count(*) FROM events GROUP BY device ORDER BY device COLLATE "C" DESC;

-- IS JSON-like tests by casts, bit operations
SELECT bits, bits::text, ~bits, length(bits), i2 & 3, i2 << 2, i2 # 5 FROM types WHERE bits IS NOT NULL;

-- bytea
SELECT encode(b, 'base64'), length(b), get_byte(b, 0), b || '\x00'::bytea FROM types WHERE b IS NOT NULL;

-- network and range types
SELECT ip, masklen(ip), ip << '10.0.0.0/8', r, r @> 5, upper(r), r * int4range(3, 9) FROM types WHERE r IS NOT NULL;

-- geometric types
SELECT pt, pt <-> point(0, 0), pt[0] FROM types WHERE pt[0] > 3;

-- intervals
SELECT iv, iv * 2, justify_interval(iv), extract(epoch FROM iv) FROM types;

-- special numbers
SELECT id, f8, n, f8 = 'NaN', n > 1 FROM types WHERE f8 >= 'infinity' OR n = 'NaN' OR f8 < 0;

-- extreme dates
SELECT d, ts, d < '0100-01-01', isfinite(ts) FROM types;

-- padded strings
SELECT c, c = 'c3', length(c), c || '|' FROM types WHERE c IS NOT NULL;

-- a quoted column name
SELECT "Mixed Case", "Mixed Case" || 'x' AS "Other ""Name""" FROM types WHERE "Mixed Case" LIKE '%1';

-- column aliases and duplicate names
SELECT user_id AS a, name AS a, 1 AS "select", 2 FROM users WHERE user_id = 4;

-- an unknown literal and a null column
SELECT 'text', NULL, 1.5, true, user_id FROM users WHERE user_id = 4;

-- no columns at all
SELECT FROM users WHERE user_id < 4;

-- user name functions and search path free
SELECT count(*) FROM users WHERE pg_catalog.length(name) > 7;

-- operators with a schema
SELECT user_id FROM users WHERE user_id OPERATOR(pg_catalog.<) 5;

-- random is evaluated for each row
SELECT count(*) FROM (SELECT random() AS r FROM orders) s WHERE r BETWEEN 0 AND 1;

-- a stable function
SELECT count(*) FROM orders WHERE ordered_at < now();

-- float output
SELECT f4, f8, f4 * 3, round(f8::numeric) FROM types WHERE f4 IS NOT NULL;

-- full text search
SELECT user_id FROM users WHERE to_tsvector('simple', name) @@ to_tsquery('simple', 'user & b1:*');

-- xml-free aggregate of text search
SELECT ts_rank(to_tsvector('simple', name), plainto_tsquery('simple', 'user')) > 0, count(*) FROM users GROUP BY 1;

-- words in expressions of one key that only look like constants
SELECT extract(day FROM date '2024-02-28')::int, extract(epoch FROM o.ordered_at), normalize(o.status, NFC), o.status IS NFC NORMALIZED, trim(both 'p' from o.status), overlay(o.status placing 'x' from 2) FROM (SELECT * FROM orders) o WHERE o.user_id = 5;
