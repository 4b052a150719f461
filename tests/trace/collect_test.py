#!/usr/bin/python3
"""`tide trace` as the collector: what a recorder wrote is in the files, whatever ends the program, the
collector, the disk or the connection. The recorder is played by fake_recorder, which knows its
counts."""

import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import tempfile
import time
import unittest

BUILD = pathlib.Path(os.environ["TIDE_BUILD"]).resolve()
TIDE = str(BUILD / "bin/tide")
FAKE = str(BUILD / "bin/trace_fake_recorder")
COUNT = str(BUILD / "bin/trace_count_events")
# Any library that can be preloaded: the fake has the recorder in itself.
LIBRARY = ["--library", str(BUILD / "lib/libtide.so")]
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not name.startswith("TIDE_") and name not in ("LD_PRELOAD", "NO_COLOR")}
A_PACKET = 32 << 10


def run(*command, **kwargs):
    kwargs.setdefault("env", ENVIRONMENT)
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120,
                          check=False, **kwargs)


def few_pages():
    """The machine survives a collector that takes what it should refuse."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 20, 16 << 20))


def counts(file, *options):
    result = run(COUNT, file, *options)
    if result.returncode != 0:
        raise AssertionError(result.stderr)
    return {name: int(count) for name, count in
            (line.rsplit(": ", 1) for line in result.stdout.splitlines())}


class TraceTest(unittest.TestCase):
    def setUp(self):
        # pylint: disable=consider-using-with
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.base = pathlib.Path(temporary.name)
        self.folder = self.base / "out"

    def trace(self, *arguments, options=(), **kwargs):
        return run(TIDE, "trace", "-o", self.folder, "--buffer", "2M", *LIBRARY, *options, "--",
                   FAKE, *arguments, **kwargs)

    def start(self, *command, **kwargs):
        """A process that ends with the test."""
        process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True,
                                   env=kwargs.pop("env", ENVIRONMENT), **kwargs)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def start_waiting(self, events, *options):
        """A recording whose program waits for a line, after so many events."""
        process = self.start(TIDE, "trace", "-o", self.folder, *LIBRARY, *options, "--", FAKE,
                             events, "wait")
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def events(self, folder=None, *options):
        files = sorted((folder or self.folder).glob("*/events.tide"))
        self.assertEqual(len(files), 1, files)
        return counts(files[0], *options)

    def process(self):
        return json.loads(next(self.folder.glob("*/process.json")).read_text())


class Collecting(TraceTest):
    def test_all_events_are_there(self):
        result = self.trace(300_000)
        self.assertEqual(result.returncode, 7, result.stderr)
        self.assertIn("300000 events of 1 process with 1 thread in ", result.stderr)
        self.assertEqual(self.events(), {"malloc": 300_000})
        trace = json.loads((self.folder / "trace.json").read_text())
        self.assertEqual(trace["state"], "complete")
        self.assertEqual(trace["events"], 300_000)
        self.assertEqual(trace["processes"], ["1-trace_fake_recorder"])
        self.assertEqual(self.process()["exit_status"], 7)
        self.assertEqual(self.process()["command_line"], [FAKE, "300000"])
        self.assertEqual(self.process()["end"], "ended")
        self.assertFalse((self.folder / "control").exists())

    def test_a_killed_program_loses_nothing_that_was_published(self):
        for fault in "die", "partial":
            self.folder = self.base / fault
            result = self.trace(5_000, fault)
            self.assertEqual(result.returncode, 128 + signal.SIGKILL, result.stderr)
            self.assertEqual(self.events(), {"malloc": 5_000})
            self.assertEqual(self.process()["signal"], signal.SIGKILL)

    def test_garbage_in_the_arena_harms_nobody(self):
        result = self.trace(5_000, "garbage")
        self.assertEqual(result.returncode, 128 + signal.SIGKILL, result.stderr)
        self.assertGreaterEqual(self.events()["malloc"], 5_000)

    def test_json_at_the_end(self):
        result = self.trace(100, options=["--json"])
        figures = json.loads(result.stdout)
        self.assertEqual((figures["events"], figures["lost"], figures["exit_status"]), (100, 0, 7))

    def test_a_folder_with_something_in_it_is_refused(self):
        self.folder.mkdir()
        (self.folder / "mine").write_text("")
        result = self.trace(1)
        self.assertEqual(result.returncode, 125)
        self.assertEqual(result.stderr.count("\n"), 1)
        self.assertIn("is not empty", result.stderr)

    def test_nothing_recorded_is_said(self):
        result = run(TIDE, "trace", "-o", self.folder, *LIBRARY, "--", "true")
        self.assertEqual(result.returncode, 1)
        self.assertIn("nothing was recorded: the program called none of the functions", result.stderr)
        result = run(TIDE, "trace", "-o", self.base / "other", *LIBRARY, "--", "false")
        self.assertEqual(result.returncode, 1)

    def test_wrong_command_lines(self):
        for arguments, words in (([], "no program given"),
                                 (["--buffer", "lots", "true"], "'lots' is no such value"),
                                 (["--for", "soon", "true"], "'soon' is no such value"),
                                 (["--to", "udp://x", "true"], "not of the form tcp://HOST:PORT"),
                                 (["--stacks", "all", "true"], "all"),
                                 (["--control", ".", "pausee"], "did you mean 'pause'?"),
                                 (["--bind", "0.0.0.0", "--collect", "0"], "give a token")):
            result = run(TIDE, "trace", *LIBRARY, *arguments, cwd=self.base)
            self.assertIn(words, result.stderr)
            self.assertEqual((result.returncode, result.stderr.count("\n")), (2, 1), arguments)
        result = run(TIDE, "trace", "--control", self.base, "pause")
        self.assertIn("nobody records into", result.stderr)
        self.assertEqual(result.returncode, 1)
        # Refused before a page of it is taken.
        result = run(TIDE, "trace", "-o", self.folder, "--buffer", "900000G", *LIBRARY, "true",
                     preexec_fn=few_pages)
        self.assertIn("is more than half of the memory that is free", result.stderr)
        self.assertEqual(result.returncode, 125)

    def test_a_full_disk_ends_the_trace_and_not_the_program(self):
        limit = 100_000

        def few_bytes():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))

        # The arena of 2 MiB is a file too.
        result = self.trace(3_000_000, preexec_fn=few_bytes)
        self.assertEqual(result.returncode, 7, result.stderr)
        self.assertEqual(result.stderr.count("the trace ends here, the program goes on"), 1)
        self.assertGreater(self.events()["malloc"], limit)

    def test_the_largest_size_is_kept(self):
        result = self.trace(3_000_000, options=["--max-size", "100K"])
        self.assertEqual(result.returncode, 7, result.stderr)
        size = sum(f.stat().st_size for f in self.folder.glob("*/events.tide"))
        self.assertTrue(100 << 10 <= size < 2 << 20, size)
        self.assertIn("it has ", json.loads((self.folder / "trace.json").read_text())["stopped"])

    def test_the_end_after_a_time(self):
        process = self.start_waiting(1000, "--for", "300ms")
        while not (self.folder / "trace.json").exists() or (
                json.loads((self.folder / "trace.json").read_text())["state"] != "complete"):
            time.sleep(0.05)
        self.assertIsNone(process.poll())
        self.assertEqual(self.events(), {"malloc": 1000})
        self.assertEqual(self.process()["end"], "left running")
        process.stdin.write("\n")
        process.stdin.flush()
        self.assertEqual(process.wait(timeout=200), 7)

    def test_control_from_outside(self):
        process = self.start_waiting(20_000)

        def control(*words):
            result = run(TIDE, "trace", "--control", self.folder, *words)
            self.assertEqual(result.returncode, 0, result.stderr)

        control("sync")
        self.assertGreater(self.events()["malloc"], 10_000)
        control("marker", "half way")
        control("pause")
        control("resume")
        control("reset")
        control("sync")
        self.assertEqual(self.events()["note"], 4)
        process.stdin.write("\n")
        process.stdin.flush()
        self.assertEqual(process.wait(timeout=200), 7)
        self.assertEqual(self.events(), {"malloc": 40_000, "note": 4})

    def test_stop_from_outside(self):
        process = self.start_waiting(20_000)
        self.assertEqual(run(TIDE, "trace", "--control", self.folder, "stop").returncode, 0)
        process.stdin.write("\n")
        process.stdin.flush()
        self.assertEqual(process.wait(timeout=200), 7)
        self.assertEqual(self.events(), {"malloc": 20_000})

    def test_an_interrupt_is_the_programs(self):
        process = self.start_waiting(1000)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=200), 128 + signal.SIGINT)
        self.assertEqual(self.events(), {"malloc": 1000})

    def test_a_killed_collector_leaves_whole_chunks(self):
        process = self.start_waiting(20_000)
        run(TIDE, "trace", "--control", self.folder, "sync")
        process.kill()
        process.wait()
        self.assertGreater(self.events()["malloc"], 10_000)
        self.assertEqual(json.loads((self.folder / "trace.json").read_text())["state"], "recording")


class OverTheNetwork(TraceTest):
    def serve(self, *options, env=None):
        server = self.start(TIDE, "trace", "--collect", "0", "-o", self.folder, *options,
                            env={**ENVIRONMENT, **(env or {})})
        line = server.stderr.readline()
        self.assertIn("waits at 127.0.0.1 port ", line)
        return server, "tcp://127.0.0.1:" + line.split("port ")[1].split(";")[0]

    def send(self, address, *arguments, env=None):
        return run(TIDE, "trace", "--buffer", "2M", "--to", address, *LIBRARY, "--", FAKE,
                   *arguments, env={**ENVIRONMENT, **(env or {})})

    def end(self, server):
        server.send_signal(signal.SIGINT)
        self.assertEqual(server.wait(timeout=200), 0)

    def test_several_senders(self):
        server, address = self.serve()
        senders = [self.start(TIDE, "trace", "--to", address, *LIBRARY, "--", FAKE, 100_000)
                   for _ in range(3)]
        for sender in senders:
            self.assertEqual(sender.wait(timeout=200), 7)
        self.end(server)
        folders = sorted(self.folder.iterdir())
        self.assertEqual(len(folders), 3)
        for folder in folders:
            self.assertEqual(self.events(folder), {"malloc": 100_000})
            self.assertEqual(json.loads((folder / "trace.json").read_text())["state"], "complete")

    def test_a_stopped_collector_goes_on(self):
        server, address = self.serve()
        self.assertEqual(self.send(address, 1_000).returncode, 7)
        for signal_, seen in (signal.SIGSTOP, os.WUNTRACED), (signal.SIGCONT, os.WCONTINUED):
            server.send_signal(signal_)
            self.assertEqual(os.waitpid(server.pid, seen)[0], server.pid)
        for _ in range(5):  # longer than it would take to come to an end
            self.assertEqual(self.send(address, 1_000).returncode, 7)
        self.end(server)
        for folder in self.folder.iterdir():
            self.assertEqual(self.events(folder), {"malloc": 1_000})

    def test_the_token(self):
        token = self.base / "token"
        token.write_text("open sesame\n")
        server, address = self.serve("--token-file", token)
        for wrong in {}, {"TIDE_TRACE_TOKEN": "open sesamf"}, {"TIDE_TRACE_TOKEN": "open sesame "}:
            result = self.send(address, 10, env=wrong)
            self.assertEqual(result.returncode, 125)
            self.assertIn("the token is wrong", result.stderr)
        self.assertEqual(self.send(address, 10, env={"TIDE_TRACE_TOKEN": "open sesame"}).returncode,
                         7)
        self.end(server)
        self.assertEqual(len(list(self.folder.iterdir())), 1)

    def test_the_other_side_is_killed(self):
        server, address = self.serve()
        sender = self.start(TIDE, "trace", "--to", address, *LIBRARY, "--", FAKE, 2_000, "wait")
        self.assertEqual(sender.stdout.readline(), "ready\n")
        server.kill()
        server.wait()
        sender.stdin.write("\n")
        sender.stdin.flush()
        self.assertEqual(sender.wait(timeout=200), 7)
        self.assertIn("the connection to " + address + " is lost", sender.stderr.read())

    def test_the_sender_is_killed(self):
        server, address = self.serve()
        sender = self.start(TIDE, "trace", "--to", address, *LIBRARY, "--", FAKE, 2_000, "wait")
        self.assertEqual(sender.stdout.readline(), "ready\n")
        sender.kill()
        sender.wait()
        self.assertIn("sends '", server.stderr.readline())
        self.assertIn("is not complete: the connection", server.stderr.readline())
        self.end(server)

    def test_nobody_listens(self):
        result = self.send("tcp://127.0.0.1:1", 10)
        self.assertEqual(result.returncode, 125)
        self.assertIn("is 'tide trace --collect' running?", result.stderr)

    def test_nonsense_is_refused(self):
        server, address = self.serve()
        with socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1]))) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: nobody\r\n\r\n")
            with connection.makefile("rb") as answer:
                self.assertIn(b"that is no 'tide trace --to'", answer.read())
        self.assertIn("was refused", server.stderr.readline())
        self.end(server)


if __name__ == "__main__":
    unittest.main()
