#!/usr/bin/env python3
"""What tide profile --push sends, byte for byte, to a server that records it."""

import base64
import json
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.parse

import pprof
from planted import TideTest, run_to_file, running, tide
from recorder import recording
from support import TIDE, clean_environment

HOST = re.sub(r"[^A-Za-z0-9._/-]", "_", socket.gethostname())
PARCA_OK = b"\0\0\0\0\0" + b"\x80\0\0\0\x0fgrpc-status:0\r\n"
CONFIG_OF_PINS = (
    '{"alloc_objects":{"units":"objects","aggregation":"sum","display-name":"alloc_objects","sampled":true},'
    '"alloc_space":{"units":"bytes","aggregation":"sum","display-name":"alloc_space","sampled":true},'
    '"inuse_objects":{"units":"objects","aggregation":"average","display-name":"inuse_objects","sampled":true},'
    '"inuse_space":{"units":"bytes","aggregation":"average","display-name":"inuse_space","sampled":true},'
    '"pinned_space":{"units":"bytes","aggregation":"average","display-name":"pinned_space","sampled":true}}')


def framed(number, data):
    """A field with a length, as protocol buffers write it."""
    size, head = len(data), bytes([number << 3 | 2])
    while size >= 0x80:
        head, size = head + bytes([size & 0x7F | 0x80]), size >> 7
    return head + bytes([size]) + data


class Push(TideTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = run_to_file(f"{cls.folder.name}/p.prof", "leak", "sparse")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def pushed(self, server, prefix, *options, path=None, env=None):
        run = tide("profile", path or self.path, "--push", f"{prefix}{server.url}", *options, env=env)
        self.assertEqual((run.returncode, run.stdout), (0, ""), run.stderr)
        self.assertEqual(run.stderr, f"tide profile: 1 profile pushed to {server.url}\n")
        [request] = server.requests
        return request

    def assert_profile(self, data):
        """It says what -o says, but for its time."""
        profile = pprof.Profile(data)
        out = pathlib.Path(self.folder.name, "o.pb.gz")
        self.assertEqual(tide("profile", self.path, "-o", out, "--json").returncode, 0)
        known = pprof.Profile(out.read_bytes())
        self.assertEqual((profile.types[:4], profile.mappings), (known.types, known.mappings))
        for kind, _ in known.types:
            self.assertEqual(profile.total(kind), known.total(kind))
            self.assertEqual(profile.total(kind, "leak_requests"), known.total(kind, "leak_requests"))
        self.assertLess(abs(time.time() - profile.time_ns / 1e9), 600)
        return profile

    def test_pyroscope(self):
        for prefix in ("", "pyroscope+"):
            with recording() as server:
                path, headers, body = self.pushed(server, prefix, "--name", "shop/api", "--label",
                                                  "env=test")
            query = urllib.parse.urlsplit(path)
            self.assertEqual(query.path, "/ingest")
            values = dict(urllib.parse.parse_qsl(query.query, strict_parsing=True))
            start, until = int(values.pop("from")), int(values.pop("until"))
            self.assertEqual(values, {"name": f"shop/api{{env=test,hostname={HOST}}}",
                                      "format": "pprof", "spyName": "tide"})
            self.assertTrue(start < until <= time.time() + 2 and until - start < 60, path)
            kind, _, boundary = headers["Content-Type"].partition("; boundary=")
            self.assertEqual(kind, "multipart/form-data")
            head = (f"--{boundary}\r\nContent-Disposition: form-data; name=\"profile\"; "
                    "filename=\"profile.pprof\"\r\nContent-Type: application/octet-stream\r\n\r\n").encode()
            tail = f"\r\n--{boundary}--\r\n".encode()
            self.assertTrue(body.startswith(head) and body.endswith(tail))
            self.assert_profile(body[len(head):-len(tail)])
            self.assertEqual(body.count(boundary.encode()), 2)
            self.assertNotIn("Authorization", headers)

    def test_pyroscope_knows_types_of_pages(self):
        with recording() as server:
            _, headers, body = self.pushed(server, "", "--kind", "fragmentation")
        boundary = headers["Content-Type"].partition("; boundary=")[2]
        tail = (f"\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"sample_type_config\"; "
                "filename=\"sample_type_config.json\"\r\nContent-Type: application/json\r\n\r\n"
                f"{CONFIG_OF_PINS}\r\n--{boundary}--\r\n").encode()
        self.assertTrue(body.endswith(tail), body[-1200:])
        profile = pprof.Profile(body[body.index(b"\r\n\r\n") + 4:-len(tail)])
        self.assertEqual(profile.types[4:], [("pinned_space", "bytes")])

    def test_pyroscope_push(self):
        with recording() as server:
            path, headers, body = self.pushed(server, "pyroscope-push+", "--name", "shop")
        self.assertEqual(path, "/push.v1.PusherService/Push")
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(headers["Connect-Protocol-Version"], "1")
        sample = json.loads(body)["series"][0]["samples"][0]
        self.assertRegex(sample["ID"], "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
        self.assertEqual(body.decode(), (
            '{"series":[{"labels":[{"name":"__name__","value":"memory"},'
            f'{{"name":"hostname","value":"{HOST}"}},{{"name":"service_name","value":"shop"}}],'
            f'"samples":[{{"rawProfile":"{sample["rawProfile"]}","ID":"{sample["ID"]}"}}]}}]}}'))
        self.assert_profile(base64.b64decode(sample["rawProfile"], validate=True))

    def test_parca(self):
        with recording() as server:
            server.usual = (200, {"Content-Type": "application/grpc-web+proto"}, PARCA_OK)
            path, headers, body = self.pushed(server, "parca+", "--name", "shop")
        self.assertEqual(path, "/parca.profilestore.v1alpha1.ProfileStoreService/WriteRaw")
        self.assertEqual(headers["Content-Type"], "application/grpc-web+proto")
        self.assertEqual(headers["X-Grpc-Web"], "1")
        raw = body[body.index(b"\x1f\x8b"):]
        labels = b"".join(framed(1, framed(1, name) + framed(2, value)) for name, value in
                          ((b"__name__", b"memory"), (b"hostname", HOST.encode()), (b"job", b"shop")))
        message = framed(2, framed(1, labels) + framed(2, framed(1, raw)))
        self.assertEqual(body, b"\0" + len(message).to_bytes(4, "big") + message)
        profile = self.assert_profile(raw)
        self.assertEqual(profile.duration_ns, 0)  # else it would be a difference, for Parca

    def test_parca_json(self):
        with recording() as server:
            path, headers, body = self.pushed(server, "parca-json+", "--name", "shop")
        self.assertEqual((path, headers["Content-Type"]), ("/profiles/writeraw", "application/json"))
        raw = json.loads(body)["series"][0]["samples"][0]["rawProfile"]
        self.assertEqual(body.decode(), (
            '{"series":[{"labels":{"labels":[{"name":"__name__","value":"memory"},'
            f'{{"name":"hostname","value":"{HOST}"}},{{"name":"job","value":"shop"}}]}},'
            f'"samples":[{{"rawProfile":"{raw}"}}]}}],"normalized":false}}'))
        self.assert_profile(base64.b64decode(raw, validate=True))

    def test_credentials(self):
        secret = pathlib.Path(self.folder.name, "token")
        secret.write_text("file secret\n")
        for options, env, wanted in [
                ((), {"TIDE_PUSH_TOKEN": "abc"}, "Bearer abc"),
                (("--token-file", secret), {"TIDE_PUSH_TOKEN": "abc"}, "Bearer file secret"),
                ((), {"TIDE_PUSH_TOKEN": "abc", "TIDE_PUSH_USER": "me", "TIDE_PUSH_TENANT": "t1"},
                 "Basic " + base64.b64encode(b"me:abc").decode())]:
            with recording() as server:
                _, headers, _ = self.pushed(server, "", *options, env=env)
            self.assertEqual(headers["Authorization"], wanted)
            self.assertEqual(headers["X-Scope-OrgID"], env.get("TIDE_PUSH_TENANT"))

    def test_refusals(self):
        def refused(answer, *words, prefix="", tries=1):
            with recording() as server:
                server.usual = answer
                run = tide("profile", self.path, "--push", prefix + server.url,
                           env={"TIDE_PUSH_TOKEN": "verysecret"})
                self.assert_refused(run, 1, server.url, *words)
                self.assertNotIn("verysecret", run.stderr)
                self.assertEqual(len(server.requests), tries)

        refused((400, {}, b"no such\ntenant"), "status 400", "no such tenant")
        refused((302, {"Location": "http://127.0.0.1:1/"}, b""), "status 302")
        refused((503, {}, b""), "status 503", tries=3)
        refused((200, {}, b"<html>"), "gRPC-Web", prefix="parca+")
        refused((200, {"grpc-status": "3", "grpc-message": "bad labels"}, b""), "status 3",
                "bad labels", prefix="parca+")
        refused((200, {}, b"\x80\0\0\0\x28grpc-status: 7\r\ngrpc-message: not you  "), "status 7",
                "not you", prefix="parca+")
        with recording() as server:  # it comes to itself
            server.answers = [(503, {}, b""), (429, {}, b"")]
            run = tide("profile", self.path, "--push", server.url)
            self.assertEqual((run.returncode, len(server.requests)), (0, 3), run.stderr)
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}"
            self.assert_refused(tide("profile", self.path, "--push", url), 1, url)

    def test_bad_options(self):
        for options, words in [
                (("--push", "localhost:4040"), ("localhost:4040", "http://")),
                (("--push", "ftp://x"), ("ftp://x",)),
                (("--push", "http://"), ("http://",)),
                (("--push", "http://me:pass@h"), ("credentials", "TIDE_PUSH_TOKEN")),
                (("--push", "http://h/?x=1"), ("http://h/?x=1",)),
                (("--push", "http://h", "--label", "x"), ("--label", "'x'")),
                (("--push", "http://h", "--label", "a=b,c"), ("--label", "a=b,c")),
                (("--push", "http://h", "--name", "a{b}"), ("--name", "a{b}")),
                (("--push", "http://h", "--kind", "lifetime"), ("lifetime",)),
                (("--push", "http://h", "--every", "1s"), ("--every", "process")),
                (("--every", "1s"), ("--every", "--push", "-o")),
                (("--every", "1s", "--push", "http://h", "-o", "x"), ("--every", "one of them")),
                (("--name", "x"), ("--name", "--push"))]:
            run = tide("profile", self.path, *options)
            self.assert_refused(run, 2, *words)
            self.assertNotIn("pass", run.stderr.replace("password", ""))
        self.assert_refused(tide("profile", self.path, "--push", "http://h", "--token-file", "/none"), 1,
                            "/none")

    def test_every(self):
        """Sums that servers add up come once, whatever was lost on the way; states come each time."""
        with recording() as server, running("leak", "churn") as process:
            command = subprocess.Popen(
                [TIDE, "profile", str(process.pid), "--push", server.url, "--every", "300ms", "--name", "x"],
                stderr=subprocess.PIPE, text=True, env=clean_environment())
            server.wait_for(2)
            server.answers = [(400, {}, b"not now")] * 2
            server.wait_for(len(server.requests) + 4)
            process.send_signal(signal.SIGKILL)
            _, err = command.communicate(timeout=200)
            process.wait()
        self.assertEqual(command.returncode, 0, err)
        self.assertIn("not now; it will be in the next one\n", err)
        self.assertEqual(err.count("not now"), 1, err)
        self.assertIn(f"process {process.pid} has ended", err)
        accepted = [r for r, status in zip(server.requests, server.statuses) if status == 200]
        self.assertEqual(len(accepted), len(server.requests) - 2)
        self.assertIn(f"{len(accepted)} profiles pushed", err)
        until = None
        leaked = churned = 0
        for path, _, body in accepted:
            values = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query))
            self.assertIn(f"pid={process.pid}", values["name"])
            if until is not None:
                self.assertLessEqual(abs(int(values["from"]) - until), 1)
            until = int(values["until"])
            profile = pprof.Profile(body[body.index(b"\r\n\r\n") + 4:body.rindex(b"\r\n--tide-")])
            self.assertGreater(profile.total("inuse_space", "leak_requests"), 0)
            leaked += profile.total("alloc_space", "leak_requests")
            churned += profile.total("alloc_space", "churn")
        in_use = profile.total("inuse_space", "leak_requests")
        self.assertAlmostEqual(leaked, in_use, delta=1000)
        self.assertGreater(churned, 0)

    def test_every_for_a_while(self):
        with recording() as server, running("sparse") as process:
            run = tide("profile", process.pid, "--push", server.url, "--every", "200ms", "--for",
                       "500ms", "--kind", "fragmentation", "--stop")
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn(f"{len(server.requests)} profile", run.stderr)
            self.assertIn(f" pushed to {server.url}\n", run.stderr)
            self.assertGreaterEqual(len(server.requests), 1)
            server.usual = (500, {}, b"full")
            run = tide("profile", process.pid, "--push", server.url, "--every", "100ms", "--for", "200ms")
            self.assertEqual(run.returncode, 1)
            self.assertIn("full", run.stderr)


if __name__ == "__main__":
    unittest.main()
