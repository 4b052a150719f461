"""sqlite3: load, index, query, check."""

import random

from lib import generate
from lib.registry import case


@case("sqlite3", group="dev", packages=["sqlite3"], programs=["sqlite3"], threads=(1, 2))
def sqlite(box):
    """sqlite3: load a table, index, join, window functions, JSON, delete, integrity_check"""
    source = random.Random(5)
    pool = generate.words(5, 4000)
    rows = "".join(f"{n},{source.choice(pool)},{source.randint(0, 1000000)},"
                   f"{' '.join(source.choices(pool, k=source.randint(1, 12)))}\n"
                   for n in range(120000))
    box.write("rows.csv", rows)
    box.write("job.sql", f"""
PRAGMA threads={box.threads - 1 if box.threads == 1 else box.threads};
PRAGMA cache_size=-20000;
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, size INTEGER, note TEXT);
.mode csv
.import rows.csv item
CREATE INDEX by_name ON item(name, size);
CREATE INDEX by_note ON item(note);
SELECT name, count(*), sum(size), max(length(note)) FROM item GROUP BY name ORDER BY 3, 1 LIMIT 50;
SELECT count(*) FROM item a JOIN item b ON a.name = b.name AND a.size = b.size;
SELECT id, sum(size) OVER (ORDER BY note, id ROWS 20 PRECEDING) FROM item ORDER BY note LIMIT 2000;
SELECT length(json_group_array(json_object('id', id, 'note', note))) FROM item WHERE id % 3 = 0;
WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM c WHERE n < 200000)
  SELECT sum(n * n % 977) FROM c;
UPDATE item SET note = note || ' ' || upper(name) WHERE size % 2 = 0;
DELETE FROM item WHERE size % 5 = 0;
CREATE VIRTUAL TABLE words USING fts5(note);
INSERT INTO words SELECT note FROM item WHERE id < 30000;
SELECT count(*) FROM words WHERE words MATCH 'kalo OR mi*';
VACUUM;
PRAGMA integrity_check;
SELECT count(*), sum(size), sum(length(note)) FROM item;
""")
    output = box.text(["sqlite3", "-batch", "data.db"], stdin=box.path("job.sql"))
    box.check("\nok\n" in output.replace("\r", ""), "integrity_check did not answer 'ok'")
    return output + box.digest("data.db")
