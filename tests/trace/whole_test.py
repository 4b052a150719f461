#!/usr/bin/python3
"""The whole way: a program that knows its own counts, recorded by `tide trace` on every allocator,
read by `tide info`, converted to CTF and counted there."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["TIDE_BUILD"]).resolve()
TIDE = BUILD / "bin/tide"
# Calls of the C library's own around those that the program counts: threads, standard output.
AROUND = 40


def run(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=120, check=False)


class Whole(unittest.TestCase):
    def setUp(self):
        self.base = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.base)

    def info(self, trace):
        done = run(TIDE, "info", trace, "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    def check(self, allocator):
        own, trace = self.base / "own", self.base / "trace"
        own.mkdir()
        done = run(TIDE, "trace", "-q", "-o", trace, "--with", allocator, "--",
                   BUILD / "bin/trace_workload", own, 7, 3, 20000, 2)
        if done.returncode == 125 and "not installed" in done.stderr:
            self.skipTest(done.stderr)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        document = self.info(trace)
        self.assertEqual(document["lost_events"], 0)
        self.assertEqual(len(document["processes"]), 3)
        for process in document["processes"]:
            wanted = json.loads((own / str(process["process_id"])).read_text())
            for call, count in wanted["calls"].items():
                found = process["calls"].get(call, 0)
                self.assertTrue(count <= found <= count + AROUND, f"{call}: {found}, not {count}")
            self.assertEqual((process["unknown_releases"], process["missed_releases"]), (0, 0))
        return trace, document

    def test_glibc(self):
        trace, document = self.check("glibc")
        done = run(TIDE, "convert", trace, "-o", self.base / "ctf", "--to", "ctf", "--process", 1)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        events = run("babeltrace2", self.base / "ctf")
        self.assertEqual((events.returncode, events.stderr), (0, ""))
        calls = document["processes"][0]["calls"]
        # LTTng has no reallocarray.
        calls["realloc"] += calls.pop("reallocarray")
        # Calls that it knows nothing of have a field that says what they are.
        plain = "".join(line + "\n" for line in events.stdout.splitlines() if ", call = " not in line)
        for call in ("malloc", "calloc", "realloc", "free", "posix_memalign"):
            self.assertEqual(plain.count(f"lttng_ust_libc:{call}:"), calls[call], call)

    def test_jemalloc(self):
        self.check("jemalloc")

    def test_mimalloc(self):
        self.check("mimalloc")

    def test_tcmalloc(self):
        self.check("tcmalloc")

    def test_tide(self):
        self.check("tide")

    def test_tide_run(self):
        # ls allocates first in a constructor of one of its libraries, before the recorder's.
        trace = self.base / "trace"
        done = run(TIDE, "trace", "-q", "--stacks", "unwind", "-o", trace, "--", TIDE, "run", "--",
                   "ls", "-l", "/usr")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        listing = self.info(trace)["processes"][-1]
        self.assertEqual(pathlib.Path(listing["program"]).name, "ls")
        self.assertIn("libtide.so", listing["allocator"])
        self.assertGreater(listing["calls"]["malloc"], 20)

    def test_tide_before_the_recorder(self):
        # Then it is seen by its mappings only, the first of them while it starts.
        trace = self.base / "trace"
        library = BUILD / "lib/libtide.so"
        done = run(TIDE, "trace", "-q", "-o", trace, "--", "sh", "-c",
                   f"LD_PRELOAD={library}:$LD_PRELOAD exec ls -l /usr")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_preload_of_its_own(self):
        # Who puts an allocator in front of a program means to be recorded with it nevertheless.
        trace = self.base / "trace"
        done = run(TIDE, "trace", "-q", "-o", trace, "--", "env", f"LD_PRELOAD={BUILD}/lib/libtide.so",
                   "ls", "/usr")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        first, second = self.info(trace)["processes"]
        self.assertEqual([pathlib.Path(each["program"]).name for each in (first, second)], ["env", "ls"])
        self.assertNotIn("libtide.so", first["allocator"])
        self.assertIn("libtide.so", second["allocator"])

    def test_what_is_not_recorded_is_said(self):
        trace = self.base / "trace"
        bare = "env -u LD_PRELOAD ls /usr >/dev/null"
        script = f"{bare}; {bare}; ls / | wc -l"
        done = run(TIDE, "trace", "-o", trace, "--", "sh", "-c", script)
        self.assertEqual(done.returncode, 0)
        lines = [line for line in done.stderr.splitlines() if "not recorded" in line]
        self.assertRegex("".join(lines),
                         r"^tide trace: not recorded: ls \(\d+\), ls \(\d+\): started without LD_PRELOAD")
        # What it became is not what was recorded.
        programs = [pathlib.Path(process["program"]).name for process in self.info(trace)["processes"]]
        self.assertEqual(programs.count("env"), 2)
        self.assertEqual(programs.count("ls"), 1)

    def test_killed(self):
        trace = self.base / "trace"
        done = run(TIDE, "trace", "-q", "-o", trace, "--", "/bin/sh", "-c",
                   f"{BUILD}/bin/trace_workload {self.base} 7 3 1000 0; kill -KILL $$")
        self.assertEqual(done.returncode, 128 + 9)
        self.assertEqual(self.info(trace)["damaged_chunks"], 0)


if __name__ == "__main__":
    unittest.main()
