-- The tables of the differential test, made once in each schema.

-- reference tables
CREATE TABLE countries (
    code char(2) PRIMARY KEY,
    name text NOT NULL
);

CREATE TABLE products (
    product_id integer PRIMARY KEY,
    name text NOT NULL,
    category text,
    price numeric(10,2) NOT NULL CHECK (price >= 0),
    attributes jsonb
);

-- split by user_id
CREATE TABLE users (
    user_id integer PRIMARY KEY,
    name text NOT NULL,
    email text,
    country char(2) REFERENCES countries,
    born date,
    tags text[],
    profile jsonb,
    active boolean DEFAULT true
);

CREATE TABLE orders (
    order_id bigint NOT NULL,
    user_id integer NOT NULL REFERENCES users,
    ordered_at timestamp,
    status text DEFAULT 'new',
    total numeric(10,2),
    note text,
    PRIMARY KEY (user_id, order_id)
);
CREATE INDEX ON orders (ordered_at);

CREATE TABLE order_items (
    user_id integer NOT NULL,
    order_id bigint NOT NULL,
    line integer NOT NULL,
    product_id integer REFERENCES products,
    quantity integer NOT NULL DEFAULT 1 CHECK (quantity > 0),
    price numeric(10,2),
    PRIMARY KEY (user_id, order_id, line),
    FOREIGN KEY (user_id, order_id) REFERENCES orders
);

-- split by text, with duplicate rows and without a key
CREATE TABLE events (
    device text,
    at timestamptz,
    kind text,
    reading double precision,
    payload jsonb
);

-- split by bigint: the other integer type hashes alike
CREATE TABLE accounts (
    id bigint PRIMARY KEY,
    owner integer,
    balance numeric(12,2) NOT NULL DEFAULT 0 CHECK (balance >= 0),
    version integer NOT NULL DEFAULT 1
);

-- split by the first column of a composite key
CREATE TABLE measurements (
    sensor integer,
    day date,
    value numeric,
    PRIMARY KEY (sensor, day)
);

CREATE TABLE kv (
    key text PRIMARY KEY,
    value text DEFAULT 'none',
    n integer DEFAULT 0,
    changed date DEFAULT '2024-01-01',
    doubled integer GENERATED ALWAYS AS (n * 2) STORED
);

CREATE TABLE gaps (
    id integer NOT NULL,
    a integer,
    b text,
    c boolean,
    d numeric
);

CREATE TABLE nothing (
    id integer PRIMARY KEY,
    v text
);

-- a row of every type that is likely to travel badly
CREATE TABLE types (
    id uuid PRIMARY KEY,
    i2 smallint,
    i8 bigint,
    f4 real,
    f8 double precision,
    n numeric,
    t text,
    v varchar(20),
    c char(8),
    b bytea,
    d date,
    ts timestamp,
    tz timestamptz,
    tm time,
    iv interval,
    ip inet,
    r int4range,
    bits bit varying(16),
    pt point,
    ia integer[],
    ja jsonb[],
    "Mixed Case" text
);

-- stays local in both schemas
CREATE TABLE regions (
    country char(2),
    region text
);

-- by collations of the database, and by one of the user's
CREATE COLLATION caseless (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE TABLE words (id integer PRIMARY KEY, w text COLLATE "en-x-icu", y varchar(12) COLLATE "C", z text COLLATE "de-x-icu", x text COLLATE caseless);

-- Small ones with the same columns, for generated queries: nulls everywhere but
-- where rows are split by the column, rows that are there twice, keys that some have and others have not.
CREATE TABLE r1 (k integer PRIMARY KEY, v integer, s text, n numeric(8,2), d date, b boolean, a integer[]);
CREATE TABLE r2 (k integer, v integer, s text, n numeric(8,2), d date, b boolean, a integer[]);
CREATE TABLE r3 (k bigint, v integer, s text, n numeric(8,2), d date, b boolean, a integer[]);
CREATE TABLE r4 (k integer, v integer, s text, n numeric(8,2), d date, b boolean, a integer[]);
CREATE TABLE r5 (k integer, v integer, s text, n numeric(8,2), d date, b boolean, a integer[]);
CREATE TABLE r6 (k integer, v integer, s text, n numeric(8,2), d date, b boolean, a integer[]);
CREATE TABLE r7 (k integer, v integer, s text, n numeric(8,2), d date, b boolean, a integer[]);
