"""postgres: a cluster of its own, pgbench with several clients, parallel queries, checks."""

import signal

from lib.registry import case

_QUERIES = """
SET max_parallel_workers_per_gather = {workers};
SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
CREATE TABLE t AS SELECT g AS id, md5(g::text) AS hash, g % 997 AS k,
  repeat(chr(97 + g % 26), g % 200) AS pad FROM generate_series(1, 120000) g;
CREATE INDEX ON t(hash); CREATE INDEX ON t USING gin (to_tsvector('simple', pad));
ANALYZE t;
SELECT k, count(*), sum(length(pad)), max(hash) FROM t GROUP BY k ORDER BY k LIMIT 40;
SELECT count(*), sum(a.id) FROM t a JOIN t b ON a.hash = b.hash WHERE a.k < 500;
SELECT md5(string_agg(hash, ',' ORDER BY pad, id)) FROM t;
SELECT sum(s) FROM (SELECT sum(id) OVER (PARTITION BY k ORDER BY hash) AS s FROM t) x;
SET jit_above_cost = 0; SET jit_inline_above_cost = 0; SET jit_optimize_above_cost = 0;
SELECT sum(id * 2 + k), avg(length(pad) * 3)::numeric(20, 4) FROM t WHERE id % 7 <> k % 5;
SET jit = off;
DO $$ DECLARE s bigint := 0; r record; BEGIN
  FOR r IN SELECT * FROM t WHERE k = 5 LOOP s := s + length(r.pad || r.hash); END LOOP;
  FOR i IN 1..2000 LOOP BEGIN PERFORM 1 / (i % 2); EXCEPTION WHEN division_by_zero THEN s := s + 1; END;
  END LOOP; RAISE NOTICE '%', s; CREATE TABLE done AS SELECT s; END $$;
SELECT * FROM done;
SELECT jsonb_array_length(jsonb_agg(jsonb_build_object('id', id, 'pad', pad))) FROM t;
DELETE FROM t WHERE id % 3 = 0; VACUUM FULL t;
SELECT count(*), md5(string_agg(hash, '' ORDER BY id)) FROM t;
"""

_SUMS = """
SELECT sum(abalance) FROM pgbench_accounts; SELECT sum(bbalance) FROM pgbench_branches;
SELECT sum(tbalance) FROM pgbench_tellers; SELECT sum(delta), count(*) FROM pgbench_history;
SELECT md5(string_agg(aid || ':' || abalance, ',' ORDER BY aid)) FROM pgbench_accounts;
"""


@case("postgres", packages=["postgresql-15"],
      programs=["initdb", "postgres", "pgbench", "psql", "pg_isready", "pg_amcheck",
                "pg_checksums"],
      must_load=["postgres", "pgbench", "initdb"], threads=(1, 2), timeout=300)
def postgres(box):
    """postgres: initdb, pgbench, parallel and JIT queries, amcheck, shutdown, checksums"""
    user = box.server_user("postgres")
    port = box.free_port()
    box.run(["initdb", "-D", "data", "-k", "-A", "trust", "-U", "postgres", "--locale=C",
             "-E", "UTF8"], user=user)
    server = box.serve(["postgres", "-D", box.path("data"), "-p", port, "-k", box.dir,
                        "-h", "127.0.0.1", "-c", "fsync=off", "-c", "max_connections=20",
                        "-c", "shared_buffers=32MB", "-c", "work_mem=8MB"], port, user=user)
    connection = ["-h", box.dir, "-p", port, "-U", "postgres"]

    # It listens before it has finished its start.
    box.wait_until(["pg_isready", "-q", *connection], user=user)

    def sql(name, text):
        box.write(name, text)
        return box.text(["psql", *connection, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1",
                         "-d", "postgres", "-f", box.path(name)], user=user)

    box.run(["pgbench", *connection, "-i", "-q", "-s", 2, "postgres"], user=user)
    clients = 4
    result = box.text(["pgbench", *connection, "-n", "-c", clients, "-j", box.threads,
                       "-t", 500, "--random-seed=7", "postgres"], user=user)
    box.check("failed transactions: 0" in result, f"pgbench reports failures: {result}")
    sums = sql("sums.sql", _SUMS)
    lines = sums.split()
    box.check(lines[0] == lines[1] == lines[2] == lines[3].split("|")[0],
              f"pgbench's balances do not add up: {lines[:4]}")
    output = sums + sql("queries.sql", _QUERIES.format(workers=box.threads - 1))
    sql("amcheck.sql", "CREATE EXTENSION amcheck;")
    box.run(["pg_amcheck", *connection, "--heapallindexed", "postgres"], user=user)
    server.stop(signal.SIGINT)
    log = box.log_of(server)
    box.check("database system is shut down" in log, "postgres did not shut down cleanly")
    for bad in ("terminated by signal", "PANIC"):
        box.check(bad not in log, f"postgres wrote '{bad}' to its log")
    output += box.text(["pg_checksums", "--check", "-D", "data"],
                       user=user).split("Bad")[1]
    return output
