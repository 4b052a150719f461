"""nginx, haproxy and memcached under load, what they answer compared byte by byte."""

import hashlib
import http.client
import random
import signal
import socket
import threading

from lib import generate
from lib.registry import case

_NGINX = """
daemon off;
master_process on;
worker_processes {workers};
error_log {dir}/error.log warn;
pid {dir}/nginx.pid;
events {{ worker_connections 512; }}
http {{
  types {{ text/plain txt; }}
  access_log {dir}/access.log;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  proxy_cache_path {dir}/cache keys_zone=small:1m;
  gzip on; gzip_types text/plain; gzip_min_length 100;
  server {{
    listen 127.0.0.1:{port};
    root {dir}/www;
    location /cached/ {{ proxy_pass http://127.0.0.1:{port}/; proxy_cache small;
                         proxy_cache_valid 200 1s; proxy_set_header Accept-Encoding ""; }}
    location /made/ {{ return 200 "$request_uri $args ok"; }}
    location /sub/ {{ sub_filter_once off; sub_filter_types text/plain; sub_filter ka KA;
                      alias {dir}/www/; }}
  }}
}}
"""

_HAPROXY = """
global
  nbthread {threads}
  maxconn 500
defaults
  mode http
  timeout connect 10s
  timeout client 30s
  timeout server 30s
frontend in
  bind 127.0.0.1:{front}
  filter compression
  compression algo gzip
  compression type text/plain
  http-request set-header X-Path %[path,upper]
  default_backend out
backend out
  balance roundrobin
  server a 127.0.0.1:{port}
  server b 127.0.0.1:{port}
"""


def _fetch(port, path, zipped=False):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        headers = {"Accept-Encoding": "gzip"} if zipped else {}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if zipped and answer.getheader("Content-Encoding") == "gzip":
        import gzip
        body = gzip.decompress(body)
    return f"{path} {answer.status} {len(body)} {hashlib.sha256(body).hexdigest()}\n"


def _fetch_all(port):
    output = ""
    for number in range(24):
        for prefix in ("/", "/cached/", "/sub/", "/made/"):
            output += _fetch(port, f"{prefix}file{number}.txt", zipped=number % 2 == 0)
    return output


def _start_nginx(box):
    for number in range(24):
        box.write(f"www/file{number}.txt", generate.text(number, 1 + number * 60))
    port = box.free_port()
    config = box.write("nginx.conf", _NGINX.format(workers=box.threads, dir=box.dir, port=port))
    server = box.serve(["nginx", "-e", "error.log", "-c", config, "-p", box.dir], port,
                       user=box.server_user("www-data"))
    box.watch_log("error.log")
    return port, server


def _stop_nginx(box, server):
    server.stop(signal.SIGQUIT)
    errors = box.read("error.log").decode()
    box.check("exited on signal" not in errors, f"an nginx worker died: {errors[-300:]}")


def _wrk(box, port, path, seconds=3):
    return box.start(["wrk", "-t", box.threads, "-c", 16, "-d", f"{seconds}s",
                      f"http://127.0.0.1:{port}{path}"])


def _check_wrk(box, program):
    answer = program.wait().stdout.decode()
    box.check("Requests/sec" in answer, f"wrk did not finish: {answer}")
    # A reload may close idle connections (read errors); what must not be is a refused connection.
    refused = "Socket errors: connect" in answer and "connect 0," not in answer
    box.check(not refused and "Non-2xx" not in answer, f"wrk saw failures: {answer}")


@case("nginx", packages=["nginx-light", "wrk"], programs=["nginx", "wrk"], threads=(1, 2),
      timeout=300)
def nginx(box):
    """nginx: files, gzip, proxy cache and filters under wrk, with a reload in the middle"""
    port, server = _start_nginx(box)
    load = _wrk(box, port, "/file20.txt")
    output = _fetch_all(port)
    server.process.send_signal(signal.SIGHUP)
    again = _fetch_all(port)
    _check_wrk(box, load)
    _check_wrk(box, _wrk(box, port, "/cached/file3.txt", 2))
    box.check(_fetch_all(port) == again == output, "nginx answers differ from round to round")
    _stop_nginx(box, server)
    return output


@case("haproxy", packages=["haproxy", "nginx-light", "wrk"],
      programs=["haproxy", "nginx", "wrk"], threads=(2,), timeout=300)
def haproxy(box):
    """haproxy with threads and compression in front of nginx, under wrk"""
    port, backend = _start_nginx(box)
    front = box.free_port()
    config = box.write("haproxy.cfg",
                       _HAPROXY.format(threads=box.threads, front=front, port=port))
    proxy = box.serve(["haproxy", "-db", "-f", config], front,
                      user=box.server_user("www-data"))
    load = _wrk(box, front, "/file9.txt")
    output = _fetch_all(front)
    _check_wrk(box, load)
    box.check(_fetch_all(front) == output, "haproxy's answers differ from round to round")
    proxy.stop(signal.SIGUSR1)  # a soft stop, which frees all it has
    _stop_nginx(box, backend)
    return output


def _memcached_client(port, me, rounds, failures):
    """Writes and reads keys of its own; every value that comes back must be the last written."""
    source = random.Random(me)
    link = socket.create_connection(("127.0.0.1", port), timeout=60)
    stream = link.makefile("rb")
    model = {}
    for turn in range(rounds):
        batch = b""
        for _ in range(50):
            key = f"k{me}.{source.randrange(1500)}"
            value = bytes([65 + source.randrange(26)]) * source.choice(
                (10, 100, 1000, source.randrange(1, 9000), source.randrange(1, 60000)))
            model[key] = value
            batch += f"set {key} {turn} 0 {len(value)}\r\n".encode() + value + b"\r\n"
        link.sendall(batch)
        for _ in range(50):
            if stream.readline() != b"STORED\r\n":
                failures.append(f"client {me}: a set was not stored")
        keys = source.sample(sorted(model), min(40, len(model)))
        link.sendall(b"get " + " ".join(keys).encode() + b"\r\n")
        found = {}
        while (line := stream.readline()) != b"END\r\n":
            if not line.startswith(b"VALUE "):
                failures.append(f"client {me}: unexpected answer {line[:60]!r}")
                return
            _, key, _, size = line.split()
            found[key.decode()] = stream.read(int(size) + 2)[:-2]
        for key in keys:
            if found.get(key) != model[key]:
                failures.append(f"client {me}: key {key} came back wrong")
        if turn % 5 == 4:
            key = source.choice(keys)
            link.sendall(f"append {key} 0 0 3\r\nxyz\r\ndelete {key}\r\n".encode())
            stream.readline()
            stream.readline()
            del model[key]
    link.sendall(b"quit\r\n")
    stream.close()
    link.close()


@case("memcached", packages=["memcached"], programs=["memcached"], threads=(1, 4), timeout=300)
def memcached(box):
    """memcached: four clients write and check their keys, connections come and go"""
    port = box.free_port()
    server = box.serve(["memcached", "-l", "127.0.0.1", "-p", port, "-t", box.threads, "-m", 600,
                        "-I", "2m"], port, user=box.server_user("memcache"))
    failures = []
    for wave in range(3):
        clients = [threading.Thread(target=_memcached_client,
                                    args=(port, wave * 4 + i, 30, failures)) for i in range(4)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    box.check(not failures, "; ".join(failures[:3]))
    link = socket.create_connection(("127.0.0.1", port), timeout=60)
    link.sendall(b"stats\r\nflush_all\r\n")
    stream = link.makefile("rb")
    lines = []
    while not lines or lines[-1] != b"OK\r\n":
        lines.append(stream.readline())
        box.check(lines[-1] != b"", "memcached closed the connection")
    link.close()
    server.stop(signal.SIGTERM)
    kept = (b"STAT cmd_set", b"STAT get_hits", b"STAT get_misses", b"STAT curr_items",
            b"STAT evictions")
    return "".join(line.decode() for line in lines if line.startswith(kept))
