-- Rows of the tables in tables.sql; the same in every run.

INSERT INTO countries VALUES
    ('DE', 'Germany'), ('FR', 'France'), ('IT', 'Italy'), ('JP', 'Japan'), ('BR', 'Brazil'), ('XX', 'Nowhere');

INSERT INTO products
SELECT i, 'product ' || i, (ARRAY['books', 'tools', 'food', NULL])[1 + i % 4], (i * 7 % 100) + 0.99,
    jsonb_build_object('weight', i * 10, 'colors', CASE WHEN i % 2 = 0 THEN '["red","blue"]'::jsonb ELSE '[]' END)
FROM generate_series(1, 25) i;

INSERT INTO users
SELECT i, 'user ' || chr(65 + i % 26) || i, CASE WHEN i % 5 > 0 THEN 'u' || i || '@example.com' END,
    (ARRAY['DE', 'FR', 'IT', 'JP', NULL])[1 + i % 5], date '1950-01-01' + i * 321,
    CASE WHEN i % 7 = 0 THEN NULL WHEN i % 3 = 0 THEN '{}'::text[] ELSE ARRAY['t' || i % 4, 't' || i % 6] END,
    CASE WHEN i % 4 > 0 THEN jsonb_build_object('level', i % 10, 'nick', 'n' || i, 'opts', jsonb_build_object('dark', i % 2 = 0)) END,
    CASE WHEN i % 11 > 0 THEN i % 3 > 0 END
FROM generate_series(1, 60) i;

-- users 41 to 60 have no order
INSERT INTO orders
SELECT i, 1 + i * 7 % 40, timestamp '2023-01-01' + i * interval '31 hours 7 minutes',
    (ARRAY['new', 'paid', 'shipped', 'returned'])[1 + i % 4], CASE WHEN i % 17 > 0 THEN (i * 13 % 500) + 0.25 END,
    CASE WHEN i % 6 = 0 THEN 'note ' || i % 9 END
FROM generate_series(1, 240) i;

INSERT INTO order_items
SELECT user_id, order_id, l, 1 + (order_id * 3 + l * 5) % 22, 1 + (order_id + l) % 4, ((order_id * l) % 90) + 0.5
FROM orders, generate_series(1, 3) l
WHERE (order_id + l) % 5 > 0;

INSERT INTO events
SELECT CASE WHEN i % 23 > 0 THEN 'dev-' || i % 12 ELSE 'Ünïcode ''quoted" \ ' || i % 2 END,
    timestamptz '2024-02-28 22:00:00+00' + (i % 100) * interval '17 minutes', (ARRAY['start', 'stop', 'data', NULL])[1 + i % 4],
    CASE WHEN i % 9 > 0 THEN (i % 50) / 4.0 END, CASE WHEN i % 3 = 0 THEN jsonb_build_object('v', i % 5, 'list', jsonb_build_array(i % 2, 'x')) END
FROM generate_series(1, 300) i;
-- rows that are there twice
INSERT INTO events SELECT * FROM events WHERE kind = 'data' AND device < 'dev-3';

INSERT INTO accounts SELECT i * 1000000007::bigint, 1 + i % 45, i * 10, 1 FROM generate_series(1, 50) i;

INSERT INTO measurements
SELECT s, date '2024-02-20' + d, (s * d % 13) + 0.1 FROM generate_series(1, 9) s, generate_series(1, 20) d WHERE (s + d) % 6 > 0;

INSERT INTO kv (key, value, n) SELECT 'k' || i, 'v' || i % 7, i FROM generate_series(1, 40) i;

INSERT INTO gaps
SELECT i, CASE WHEN i % 2 = 0 THEN i % 6 END, CASE WHEN i % 3 = 0 THEN 'b' || i % 4 END,
    CASE i % 3 WHEN 0 THEN true WHEN 1 THEN false END, CASE WHEN i % 5 > 1 THEN i / 2.0 END
FROM generate_series(1, 50) i;

INSERT INTO types
SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, i - 5, i * 5000000000, i * 0.5, 1e100 / i, (i || '.0000100')::numeric,
    E'tab\t newline\n quote'' backslash\\ ' || i, 'v' || i, 'c' || i, decode(lpad(to_hex(i), 2, '0') || '00ff5c27', 'hex'),
    date '0044-03-15 BC' + i * 100000, timestamp '2024-02-29 23:59:59.999999' + i * interval '1 day',
    timestamptz '2024-03-31 01:30:00 Europe/Berlin' + i * interval '20 minutes', time '23:00' + i * interval '7 minutes',
    make_interval(months => i, days => -i, secs => i * 0.001), ('10.0.' || i || '.0/24')::inet, int4range(i, i * 2, '[]'),
    (i::bit(6))::varbit, point(i, -i), ARRAY[i, NULL, -i], ARRAY['{"a": null}'::jsonb, to_jsonb(i)], 'mixed ' || i
FROM generate_series(1, 15) i;
INSERT INTO types (id, f8, n, d, ts, t, ia) VALUES
    ('ffffffff-ffff-ffff-ffff-ffffffffffff', 'NaN', 'NaN', 'infinity', '-infinity', '', '{}'),
    ('ffffffff-ffff-ffff-ffff-fffffffffffe', '-infinity', 'infinity', '-infinity', 'infinity', NULL, '{{1,2},{3,4}}');

INSERT INTO regions VALUES ('DE', 'Europe'), ('FR', 'Europe'), ('IT', 'Europe'), ('JP', 'Asia'), ('BR', 'America'), (NULL, 'none');

INSERT INTO r1
SELECT i, CASE WHEN i % 5 > 0 THEN i * 3 % 11 END, CASE WHEN i % 4 > 0 THEN 's' || i % 6 END, CASE WHEN i % 6 > 0 THEN i * 7 % 40 / 4.0 END,
    CASE WHEN i % 7 > 0 THEN date '2024-02-25' + i % 9 END, CASE i % 3 WHEN 0 THEN true WHEN 1 THEN false END, CASE WHEN i % 3 > 0 THEN ARRAY[i % 4, i % 5] END
FROM generate_series(1, 24) i;
INSERT INTO r2
SELECT i * 5 % 17, CASE WHEN i % 3 > 0 THEN i % 12 END, 's' || i % 9, CASE WHEN i % 4 > 0 THEN i * 3 % 20 / 2.0 END,
    CASE WHEN i % 5 > 0 THEN date '2024-02-23' + i % 11 END, CASE i % 4 WHEN 0 THEN true WHEN 1 THEN false WHEN 2 THEN false END, CASE WHEN i % 4 > 0 THEN ARRAY[i % 3, NULL, i % 7] END
FROM generate_series(1, 30) i;
INSERT INTO r3 SELECT k + 3, v, s, n, d, b, a FROM r2 WHERE k > 4 OR v = 1;
INSERT INTO r3 SELECT k, v, s, n, d, b, a FROM r1 WHERE k < 6 OR k > 21;
INSERT INTO r4
SELECT i % 13, CASE WHEN i % 6 > 0 THEN i * 2 % 9 END, 's' || i % 11, CASE WHEN i % 3 > 0 THEN i % 10 END,
    CASE WHEN i % 6 <> 2 THEN date '2024-02-27' + i % 5 END, i % 3 = 0, CASE WHEN i % 2 > 0 THEN ARRAY[i] ELSE '{}' END
FROM generate_series(1, 20) i;
INSERT INTO r5 SELECT k, nullif(k % 4, 3), s, n, coalesce(d, '2024-02-25'), NOT b, a FROM r1 WHERE k % 2 = 0;
INSERT INTO r5 SELECT k, v, NULL, n, coalesce(d, '2024-03-01'), b, a FROM r2 WHERE v > 8;
INSERT INTO r6 VALUES (1, 1, 's1', 1.5, '2024-02-29', true, '{1}'), (2, 2, 's2', 2.25, '2024-03-01', false, '{2,3}'), (3, NULL, 's3', 10, NULL, true, NULL),
    (8, 4, 's8', NULL, '2024-02-28', NULL, '{}'), (5, 1, 's1', 1.5, '2024-02-29', false, '{1,NULL}'), (17, 6, 's9', 0, '2024-03-04', true, '{7}');

INSERT INTO words
SELECT i, w, left(reverse(w), 12), CASE WHEN i % 5 > 0 THEN w || i % 3 END, CASE i % 3 WHEN 0 THEN upper(w) WHEN 1 THEN lower(w) ELSE w END
FROM unnest(ARRAY['apple', 'Apple', 'äpfel', 'Äpfel', 'zebra', 'Zebra', 'co-op', 'coop', 'co op', '_x', 'x', '10', '9', 'straße', 'strasse', NULL, '', 'ab', 'aB', 'Ab', 's1', 'S1', 's5'])
WITH ORDINALITY AS x (w, i);
