-- Load and query, first in memory, then in a file; bench/demo feeds it to the sqlite3 shell.
-- The numbers come from a fixed formula, so the output is the same on every run.
.bail on
.mode list
.open :memory:
PRAGMA temp_store = memory;
CREATE TABLE item(id INTEGER PRIMARY KEY, owner INTEGER, label TEXT, amount REAL, body BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 140000)
INSERT INTO item SELECT i, (i * 7919) % 5000, 'label ' || ((i * 104729) % 99991),
       ((i * 31) % 1000) / 10.0, zeroblob(40 + (i * 17) % 400) FROM n;
CREATE INDEX item_owner ON item(owner, amount);
CREATE INDEX item_label ON item(label);
SELECT count(*), sum(amount), sum(length(body)) FROM item;
SELECT owner, count(*), max(label), group_concat(id % 97) FROM item GROUP BY owner ORDER BY 2 DESC, owner LIMIT 20;
SELECT count(*) FROM item a JOIN item b ON a.label = b.label AND a.id < b.id;
UPDATE item SET label = label || ' again', body = zeroblob(20 + id % 700) WHERE id % 3 = 0;
DELETE FROM item WHERE owner % 5 = 2;
SELECT count(*), sum(length(body)), min(label), max(label) FROM item;
.open work.db
PRAGMA temp_store = memory;
PRAGMA cache_size = -65536;
PRAGMA synchronous = off;
CREATE TABLE event(id INTEGER PRIMARY KEY, kind TEXT, at INTEGER, note TEXT);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 110000)
INSERT INTO event SELECT i, 'kind' || ((i * 13) % 50), (i * 48271) % 1000003, printf('%0*d', 20 + i % 150, i) FROM n;
COMMIT;
CREATE INDEX event_at ON event(at);
CREATE INDEX event_kind ON event(kind, at);
SELECT kind, count(*), min(at), max(note) FROM event GROUP BY kind ORDER BY kind;
SELECT count(DISTINCT substr(note, -3)) FROM event;
SELECT count(*) FROM event WHERE at IN (SELECT at + 1 FROM event WHERE id % 2 = 0);
DELETE FROM event WHERE id % 4 != 0;
SELECT count(*), sum(at) FROM event;
.open :memory:
