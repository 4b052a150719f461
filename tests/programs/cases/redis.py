"""redis-server: known data loaded while redis-benchmark and background saves run beside it."""

import random
import signal
import socket
import time

from lib import generate
from lib.registry import case

_KEYS = 30000


class Client:
    """Just enough of the redis protocol to write data in pipelines and read single answers."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._in = self._socket.makefile("rb")

    def close(self):
        self._in.close()
        self._socket.close()

    def call(self, *words):
        self._socket.sendall(_encode(words))
        return self._answer()

    def pipeline(self, commands):
        self._socket.sendall(b"".join(_encode(words) for words in commands))
        return [self._answer() for _ in commands]

    def _answer(self):
        line = self._in.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise ValueError(f"redis answered {rest.decode()}")
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self._in.read(size + 2)[:-2]
        if kind == b"*":
            return [self._answer() for _ in range(int(rest))]
        if kind not in (b"+", b":"):
            raise ValueError(f"redis answered {line!r}")
        return rest


def _encode(words):
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def _commands():
    source = random.Random(3)
    pool = generate.words(3, 2000)
    for n in range(_KEYS):
        kind = n % 6
        if kind == 0:
            yield "SET", f"string:{n}", source.choice(pool) * source.randint(1, 300)
        elif kind == 1:
            yield "RPUSH", f"list:{n % 50}", *source.choices(pool, k=10)
        elif kind == 2:
            yield "HSET", f"hash:{n % 900}", source.choice(pool), n, f"f{n}", "v" * (n % 90)
        elif kind == 3:
            yield "ZADD", f"sorted:{n % 40}", n * 7919 % 10007, f"{source.choice(pool)}{n % 300}"
        elif kind == 4:
            yield "SADD", f"set:{n % 300}", *source.choices(pool, k=5)
        else:
            yield "APPEND", f"string:{(n // 6) * 6 % 3000}", "+" * source.randint(1, 4000)
        if n % 11 == 0:
            yield "DEL", f"string:{source.randrange(0, n + 1)}"
        if n % 501 == 500:
            yield "LTRIM", f"list:{n % 50}", 5, 400
    yield "XADD", "stream", "1-1", "field", "value" * 50


def _await_no_child(client):
    """Waits for background saves; their result must be good."""
    while True:
        info = client.call("INFO", "persistence").decode()
        if "rdb_bgsave_in_progress:0" in info and "aof_rewrite_in_progress:0" in info \
                and "aof_rewrite_scheduled:0" in info:
            break
        time.sleep(0.05)
    for field in ("rdb_last_bgsave_status", "aof_last_bgrewrite_status",
                  "aof_last_write_status"):
        if f"{field}:ok" not in info:
            raise ValueError(f"INFO persistence does not say {field}:ok")


def _serve(box, *more):
    port = box.free_port()
    server = box.serve(["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", box.dir,
                        "--save", "", "--enable-debug-command", "yes", "--io-threads",
                        box.threads, "--io-threads-do-reads", "yes", *more], port)
    client = Client(port)
    while True:  # the port answers before the data is loaded
        try:
            client.call("DBSIZE")
            return port, server, client
        except ValueError as error:
            if "LOADING" not in str(error):
                raise
            time.sleep(0.05)


@case("redis", packages=["redis-server", "redis-tools"],
      programs=["redis-server", "redis-benchmark"], threads=(1, 2), timeout=300,
      must_load=["redis-server", "redis-benchmark"])
def redis(box):
    """redis-server under redis-benchmark with BGSAVE and AOF rewrites; digests compared"""
    port, server, client = _serve(box, "--appendonly", "yes")
    load = box.start(["redis-benchmark", "-p", port, "--dbnum", 1, "-q", "-n", 12000, "-c", 20,
                      "-P", 8, "-r", 40000, "-d", 200, "--threads", box.threads, "-t",
                      "set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset"])
    commands = list(_commands())
    step = len(commands) // 12 + 1
    for turn, start in enumerate(range(0, len(commands), step)):
        client.pipeline(commands[start:start + step])
        if turn % 3 == 1:
            _await_no_child(client)
            client.call("BGSAVE" if turn % 2 else "BGREWRITEAOF")
    load.wait()
    _await_no_child(client)
    client.call("SELECT", 1)
    client.call("FLUSHDB", "ASYNC")
    client.call("SELECT", 0)
    live = client.call("DEBUG", "DIGEST")
    sample = [client.call("LRANGE", f"list:{n}", 0, -1) for n in range(1, 50, 6)]
    sample.append(client.call("ZRANGE", "sorted:9", 0, -1, "WITHSCORES"))
    size = client.call("DBSIZE")
    client.call("SAVE")
    client.call("DEBUG", "RELOAD")
    box.check(client.call("DEBUG", "DIGEST") == live, "redis: DEBUG RELOAD changed the digest")
    client.call("MEMORY", "PURGE")
    client.close()
    server.stop(signal.SIGTERM)

    for source, options in (("append-only file", ["--appendonly", "yes"]), ("dump", [])):
        port, server, client = _serve(box, *options)
        box.check(client.call("DEBUG", "DIGEST") == live,
                  f"redis: loading the {source} changed the digest")
        client.close()
        server.stop(signal.SIGTERM)
    return f"{live.decode()} {size.decode()}\n{sample}\n"
