"""mariadbd: a server with a thread for each connection."""

import signal
import time

from lib.registry import case

# A crash of the machine may lose this data.
_NO_SYNC = ["--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0",
            "--aria-sync-log-dir=NEVER", "--innodb-log-file-size=8M"]

_LOAD = """
CREATE DATABASE IF NOT EXISTS shop; USE shop;
CREATE TABLE t{n} (id INT PRIMARY KEY, name VARCHAR(100), note TEXT, KEY(name)) ENGINE={engine};
INSERT INTO t{n} SELECT seq, MD5(seq * {n}), REPEAT(CHAR(97 + seq % 26), seq % 500) FROM seq_1_to_8000;
UPDATE t{n} SET note = CONCAT(note, name) WHERE id % 3 = 0;
SELECT LEFT(name, 1) AS a, COUNT(*), SUM(LENGTH(note)) FROM t{n} GROUP BY a ORDER BY a;
SELECT COUNT(*) FROM t{n} x STRAIGHT_JOIN t{n} y FORCE INDEX (name) ON x.name = y.name WHERE x.id % 5 = 1;
SELECT SHA2(GROUP_CONCAT(name ORDER BY note, id SEPARATOR ''), 256) FROM t{n} WHERE id < 3000;
DELETE FROM t{n} WHERE id % 7 = 2;
SELECT COUNT(*), SUM(id), SUM(CRC32(note)) FROM t{n};
CHECK TABLE t{n} EXTENDED;
"""


@case("mariadb", packages=["mariadb-server-core", "mariadb-client-core"],
      programs=["mariadbd", "mariadb", "mariadb-install-db"], must_load=["mariadbd"],
      threads=(2,), timeout=300)
def mariadb(box):
    """mariadbd: two clients at once on InnoDB and Aria tables, CHECK TABLE, shutdown"""
    user = box.server_user("mysql")
    port = box.free_port()
    name = user or "user"
    box.run(["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal",
             f"--datadir={box.path('data')}", "--skip-test-db", *_NO_SYNC,
             *([f"--user={name}"] if user else [])])
    server = box.serve(["mariadbd", "--no-defaults", f"--datadir={box.path('data')}",
                        f"--port={port}", "--bind-address=127.0.0.1",
                        f"--socket={box.path('sock')}", "--innodb-buffer-pool-size=32M", *_NO_SYNC,
                        "--skip-log-bin",
                        f"--pid-file={box.path('pid')}"], port, user=user)
    clients = []
    for number in range(box.threads):
        box.write(f"load{number}.sql",
                  _LOAD.format(n=number, engine=("InnoDB", "Aria")[number % 2]))
        clients.append(box.start(["mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", port,
                                  "-u", "root", "-B"], stdin=box.path(f"load{number}.sql")))
    output = "".join(client.wait().stdout.decode() for client in clients)
    box.check(output.count("\tOK\n") == box.threads, "CHECK TABLE did not answer OK")
    started = time.monotonic()
    server.stop(signal.SIGTERM)
    box.check(time.monotonic() - started < 60, "mariadbd took over a minute to shut down")
    return output
