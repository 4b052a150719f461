"""A ClickHouse server of a test's own: on free ports of 127.0.0.1, in a folder that goes with it."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

SERVER = shutil.which("clickhouse-server")
MISSING = "" if SERVER else "clickhouse-server is not installed"
USER, PASSWORD = "tide", "hush-hush"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Server:
    def __init__(self, ports=None, shards=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tide-clickhouse-"))
        self.http, self.tcp = ports or free_ports(2)
        self.has_given_ports = ports is not None
        self.was_up = False  # its address may be known to others
        self.moves = 0
        self.shards = shards  # TCP ports
        self.process = None

    def _write_config(self):
        (self.folder / "data").mkdir(exist_ok=True)
        (self.folder / "tmp").mkdir(exist_ok=True)
        shards = "".join(
            f"<shard><replica><host>127.0.0.1</host><port>{port}</port><user>{USER}</user>"
            f"<password>{PASSWORD}</password></replica></shard>" for port in self.shards)
        cluster = f"<remote_servers><tide>{shards}</tide></remote_servers>" if shards else ""
        (self.folder / "config.xml").write_text(
            f"<yandex><logger><level>error</level><log>{self.folder}/log</log>"
            f"<errorlog>{self.folder}/errors</errorlog></logger>"
            f"<http_port>{self.http}</http_port><tcp_port>{self.tcp}</tcp_port>"
            f"<listen_host>127.0.0.1</listen_host><path>{self.folder}/data/</path>"
            f"<tmp_path>{self.folder}/tmp/</tmp_path><mark_cache_size>67108864</mark_cache_size>"
            "<users_config>users.xml</users_config><default_profile>default</default_profile>"
            f"<default_database>default</default_database>{cluster}</yandex>")
        (self.folder / "users.xml").write_text(
            f"<yandex><profiles><default/></profiles><users><{USER}><password>{PASSWORD}</password>"
            "<networks><ip>127.0.0.1</ip></networks><profile>default</profile>"
            f"<quota>default</quota></{USER}></users><quotas><default/></quotas></yandex>")

    def __enter__(self):
        self._write_config()
        self.start()
        return self

    def __exit__(self, *exception):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        # On a machine with a load of twenty a server takes half a minute.
        end = time.monotonic() + 180
        while time.monotonic() < end:
            if self.process is None or self.process.poll() is not None:
                self._spawn()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.http}/ping", timeout=5).read()
                self.was_up = True
                return
            except OSError:
                if self.process.poll() is not None and not self._can_move():
                    break
                time.sleep(0.05)
        self.kill()
        raise AssertionError((self.folder / "output").read_text(errors="replace")[-2000:])

    def _spawn(self):
        with open(self.folder / "output", "ab") as output:
            self.process = subprocess.Popen(
                [SERVER, f"--config-file={self.folder}/config.xml"], cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def _can_move(self):
        """Somebody else may have taken a port since it was free: others then, where nobody knows
        these yet, three times."""
        if self.has_given_ports or self.was_up or self.moves == 3:
            return False
        self.moves += 1
        self.http, self.tcp = free_ports(2)
        self._write_config()
        return True

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def ask(self, sql):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http}/", data=sql.encode(),
            headers={"X-ClickHouse-User": USER, "X-ClickHouse-Key": PASSWORD})
        try:
            return urllib.request.urlopen(request, timeout=200).read().decode()
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def database(self, name):
        """An empty database; what goes behind --db."""
        self.ask(f"CREATE DATABASE {name}")
        return f"clickhouse://{USER}@127.0.0.1:{self.http}/{name}"


ENVIRONMENT = {"TIDE_FLEET_PASSWORD": PASSWORD}
