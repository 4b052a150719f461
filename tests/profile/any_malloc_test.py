#!/usr/bin/env python3
"""tide run --keep-malloc --profile: a program on whatever malloc it uses, sampled from outside of
that."""

import contextlib
import glob
import json
import os
import signal
import subprocess
import tempfile
import unittest

from planted import BUILD, PLANTED, TideTest, bytes_of, clean_environment, functions_of, tide
from support import TIDE

PLANTED_NEW = str(BUILD / "bin/profile_planted_new")
LEAKED, TABLE = 200_000 * 64, 64 << 20
OBJECTS = 100_000 * 96
SIGMAS = 5
RUN = ("run", "--keep-malloc", "-o", "profile_rate=4KiB")


def mallocs():
    """The C library's, and those of these that are installed."""
    yield "glibc", {}
    for name in ("libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2.0"):
        for path in glob.glob(f"/usr/lib/*/{name}"):
            yield name, {"LD_PRELOAD": path}


@contextlib.contextmanager
def running(program, *words, env=None):
    with subprocess.Popen([TIDE, *RUN, "--profile", "--", program, *words], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True,
                          env={**clean_environment(), **(env or {})}) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process.pid
        finally:
            process.stdin.close()
            process.wait(timeout=200)


class AnyMalloc(TideTest):
    def ask(self, what, *options):
        run = tide("profile", what, "--json", "--top", "1000", *options)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def assert_site(self, answer, function, value):
        stacks = [s for s in answer["stacks"] if function in functions_of(s)]
        self.assertTrue(stacks, f"no {function}")
        error = sum(s["bytes_error"] ** 2 for s in stacks) ** 0.5
        self.assertLess(abs(bytes_of(answer, function) - value), SIGMAS * error + value / 1000, function)
        self.assertEqual(functions_of(stacks[0])[0], function)

    def test_file(self):
        for name, env in mallocs():
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                path = f"{folder}/p.prof"
                run = tide(*RUN, f"--profile={path}", "--", PLANTED, "leak", "untouched", "exit", env=env)
                self.assertEqual((run.returncode, run.stderr), (0, ""))
                answer = self.ask(path)
                self.assert_site(answer, "leak_requests", LEAKED)
                self.assert_site(answer, "reserve_table", TABLE)
                self.assert_site(self.ask(path, "--kind", "lifetime"), "cache_results", LEAKED)
                [table] = [s for s in self.ask(path, "--kind", "residency")["stacks"]
                           if "reserve_table" in functions_of(s)]
                self.assertAlmostEqual(table["bytes"], TABLE / 4, delta=4 << 20)  # huge pages
                self.assert_refused(tide("profile", path, "--kind", "fragmentation"), 1, path,
                                    "another malloc")

    def test_process(self):
        with running(PLANTED, "leak", "untouched", "churn") as pid:
            self.assert_site(self.ask(pid), "leak_requests", LEAKED)
            self.assertGreater(bytes_of(self.ask(pid, "--kind", "residency"), "reserve_table"), TABLE / 5)
            self.assert_refused(tide("profile", pid, "--kind", "fragmentation"), 1, f"process {pid}",
                                "another malloc")
            self.assertNotIn("--keep-malloc", tide("profile", pid, "--kind", "allocated").stdout)
            self.ask(pid, "--stop")
            first = self.ask_when_off(pid)
            self.assertEqual(self.ask_when_off(pid), first)

    def ask_when_off(self, pid):
        """Sums that only grow while samples are taken; asking switches that on."""
        answer = self.ask(pid, "--kind", "allocated", "--stop", "--for", "10ms")
        return min(1, answer["total"]["samples"])

    def test_operators(self):
        for name, env in mallocs():
            if "mimalloc" in name:
                continue  # it ends the process where operator new fails
            with self.subTest(name), running(PLANTED_NEW, env=env) as pid:
                answer = self.ask(pid)
                stacks = [s for s in answer["stacks"]
                          if any("leak_objects" in f for f in functions_of(s))]
                error = sum(s["bytes_error"] ** 2 for s in stacks) ** 0.5
                self.assertLess(abs(sum(s["bytes"] for s in stacks) - OBJECTS), SIGMAS * error)
                others = answer["total"]["bytes"] - sum(s["bytes"] for s in stacks)
                self.assertLess(others, 2_000_000)  # strings went; the vector stays

    def test_children(self):
        """A forked child goes on with a copy, and has a file of its own."""
        script = ("import os\nkept = [bytes(3000) for _ in range(3000)]\n"
                  "child = os.fork()\nif child == 0:\n    more = [bytes(3000) for _ in range(3000)]\n"
                  "    os._exit(0)\nassert os.waitpid(child, 0)[1] == 0\n")
        with tempfile.TemporaryDirectory() as folder:
            run = tide(*RUN, f"--profile={folder}/%p.prof", "--", "/usr/bin/python3", "-c", script)
            self.assertEqual((run.returncode, run.stderr), (0, ""))
            files = sorted(os.listdir(folder))
            self.assertEqual(len(files), 2)
            parent, child = sorted((self.ask(f"{folder}/{name}")["total"] for name in files),
                                   key=lambda total: total["bytes"])
            self.assertGreater(child["bytes"] + SIGMAS * child["bytes_error"], 18e6)
            more = (parent["bytes_error"] ** 2 + child["bytes_error"] ** 2) ** 0.5
            self.assertGreater(child["bytes"] + SIGMAS * more, parent["bytes"] + 9e6)

    def test_the_file_of_who_ends_first_stays(self):
        """A parent that ends later writes one beside it; the next run begins anew."""
        for words in (RUN, ("run",)):
            with self.subTest(words), tempfile.TemporaryDirectory() as folder:
                path = f"{folder}/p.prof"
                for again in range(2):
                    run = tide(*words, f"--profile={path}", "--", "timeout", "100", PLANTED, "leak", "exit")
                    self.assertEqual((run.returncode, run.stderr), (0, ""))
                    names = [s for s in self.ask(path)["stacks"] if "leak_requests" in functions_of(s)]
                    self.assertTrue(names)
                    others = [name for name in os.listdir(folder) if name != "p.prof"]
                    self.assertEqual(len(others), again + 1)
                    for name in others:
                        self.assertRegex(name, r"^p\.prof\.\d+$")

    def test_killed_meanwhile(self):
        with running(PLANTED, "leak") as pid:
            os.kill(pid, signal.SIGKILL)

    def test_refusals(self):
        for options, words in [
                (("--keep-malloc",), ("--keep-malloc", "--profile")),
                (("--keep-malloc", "--profile", "--stats"), ("--stats",)),
                (("--keep-malloc", "--profile", "-o", "purge=off"), ("purge",)),
                (("--keep-malloc", "--profile", "-o", "profile_rate=1"), ("profile_rate",))]:
            self.assert_refused(tide("run", *options, "--", "true"), 2, *words)
        with subprocess.Popen([PLANTED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              env={**clean_environment(), "LD_PRELOAD": str(BUILD / "lib/libtide-trace.so")}) as process:
            process.stdout.readline()
            self.assert_refused(tide("profile", process.pid), 1, "does not run on Tide")
            process.stdin.close()


if __name__ == "__main__":
    unittest.main()
