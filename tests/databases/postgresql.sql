CREATE ROLE @account@ LOGIN PASSWORD '@password@';
CREATE DATABASE @database@ OWNER @account@ ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
\connect @database@
SET ROLE @account@;
CREATE SCHEMA extra;
CREATE TABLE @main@ (id bigint PRIMARY KEY, name varchar(255) NOT NULL, description text, created timestamptz);
CREATE TABLE @detail@ (id bigserial PRIMARY KEY, main_id bigint NOT NULL REFERENCES @main@ (id), body text, number numeric(20, 6));
CREATE TABLE @users@ (id bigint PRIMARY KEY, user_name text UNIQUE, active boolean DEFAULT true);
CREATE TABLE @binary@ (id bigint PRIMARY KEY, value bytea, document oid);
CREATE TABLE "@app@" ("ID" serial PRIMARY KEY, "NAME" text);
CREATE TABLE extra."with space" (id bigint);
CREATE TABLE no_rows (id bigint PRIMARY KEY, value text);
INSERT INTO @main@ SELECT n, 'Entry ' || n, 'Grüße, 你好, тест, \N ''" ' || repeat(md5(n::text), 8), timestamptz '2026-01-01' + n * interval '1 minute'
    FROM generate_series(1, @rows@) AS n;
INSERT INTO @detail@ (main_id, body, number) SELECT n, E'line one\nline two\t' || md5(n::text), n / 7.0 FROM generate_series(1, @rows@) AS n;
INSERT INTO @users@ SELECT n, 'user' || n, n % 5 > 0 FROM generate_series(1, 50) AS n;
INSERT INTO @binary@ SELECT n, decode(repeat(md5(n::text), 64), 'hex'), NULL FROM generate_series(1, 100) AS n;
UPDATE @binary@ SET document = lo_from_bytea(0, value) WHERE id = 1;
INSERT INTO "@app@" ("NAME") SELECT 'Board ' || n FROM generate_series(1, 7) AS n;
INSERT INTO extra."with space" VALUES (1), (2);
CREATE INDEX @main@_created ON @main@ (created);
CREATE VIEW active_users AS SELECT * FROM @users@ WHERE active;
