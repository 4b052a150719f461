#!/usr/bin/python3
"""A database behind TLS: with a certificate that is trusted everything works as without; with any other
nothing is sent, and one line says why."""

import shutil
import socket
import ssl
import subprocess
import threading
import unittest

from fleet_support import FleetTest, clickhouse, tide

MISSING = clickhouse.MISSING or ("" if shutil.which("openssl") else "openssl is not installed")


class TlsProxy:
    """Takes TLS at a port of its own and hands on what is in it; counts the bytes."""

    def __init__(self, certificate, key, port):
        self.target = port
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.bytes = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client):
        try:
            client = self.context.wrap_socket(client, server_side=True)
        except (ssl.SSLError, OSError):
            client.close()
            return
        server = socket.create_connection(("127.0.0.1", self.target))
        back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
        back.start()
        self.bytes += self._pump(client, server)
        back.join()
        client.close()
        server.close()

    @staticmethod
    def _pump(source, target):
        count = 0
        try:
            while part := source.recv(1 << 16):
                count += len(part)
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return count


@unittest.skipIf(MISSING, MISSING)
class Tls(FleetTest):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(clickhouse.Server())
        cls.server.database("heaps")

    def certificate(self, name, subject="IP:127.0.0.1"):
        certificate, key = self.path(name + ".pem"), self.path(name + ".key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=tide test", "-addext", f"subjectAltName={subject}", "-out", certificate,
                        "-keyout", key], check=True, capture_output=True)
        return certificate, key

    def address(self, port, host="127.0.0.1"):
        return f"clickhouse+https://{clickhouse.USER}@{host}:{port}/heaps"

    def test_all_of_it(self):
        certificate, key = self.certificate("good")
        environment = {**clickhouse.ENVIRONMENT, "SSL_CERT_FILE": certificate}
        with TlsProxy(certificate, key, self.server.http) as proxy:
            run = tide("trace", "-q", "--to", self.address(proxy.port), "--", "/bin/ls", env=environment)
            self.assertEqual((run.returncode, run.stderr), (0, ""))
            run = tide("agent", "--once", "--db", self.address(proxy.port), "--spool", self.path("spool"),
                       "--listen", "none", env=environment)
            self.assertEqual(run.returncode, 0, run.stderr)
            run = tide("fleet", "trace", "--db", self.address(proxy.port), env=environment)
            self.assertIn("tide-trace-ls-", run.stdout, run.stderr)
        self.assertGreater(proxy.bytes, 1000)

    def test_certificates_that_are_not_trusted(self):
        good, key = self.certificate("good")
        other, _ = self.certificate("other")
        with TlsProxy(good, key, self.server.http) as proxy:
            for trusted in (None, other, "/none.pem"):
                environment = dict(clickhouse.ENVIRONMENT)
                if trusted:
                    environment["SSL_CERT_FILE"] = trusted
                for command in (("fleet", "top", "--db"), ("trace", "--to")):
                    program = ["--", "/bin/ls"] if command[0] == "trace" else []
                    run = tide(*command, self.address(proxy.port), *program, env=environment)
                    self.assert_refused(run, 1, f"127.0.0.1:{proxy.port}", "certificate")
                    self.assertNotIn(clickhouse.PASSWORD, run.stderr)
            self.assertEqual(proxy.bytes, 0)

    def test_a_certificate_for_another_name(self):
        certificate, key = self.certificate("named", "DNS:elsewhere.example")
        with TlsProxy(certificate, key, self.server.http) as proxy:
            run = tide("fleet", "top", "--db", self.address(proxy.port),
                       env={**clickhouse.ENVIRONMENT, "SSL_CERT_FILE": certificate})
            self.assert_refused(run, 1, "127.0.0.1", "certificate")

    def test_a_server_without_tls(self):
        run = tide("fleet", "top", "--db", self.address(self.server.http), env=clickhouse.ENVIRONMENT)
        self.assert_refused(run, 1, f"127.0.0.1:{self.server.http}", "does not answer")


if __name__ == "__main__":
    unittest.main()
