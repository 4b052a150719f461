#!/usr/bin/env python3
"""Every kind of tide profile finds what was planted, by the function's name: in a process, in the
file that it leaves and in its core; also where the program is stripped."""

import json
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile
import unittest

import pprof
from planted import (LIBRARY, PLANTED, PROFILED, TideTest, bytes_of, clean_environment, functions_of,
                     run_to_file, running, tide)

LEAKED = 200_000 * 64
TABLE = 64 << 20
CYCLED = 2_000_000 * 200
# Standard errors. A sum of the wrong thing is further off.
SIGMAS = 5


class Kinds(TideTest):
    def ask(self, what, kind, *more):
        run = tide("profile", what, "--kind", kind, "--json", "--top", "1000", *more)
        self.assertEqual(run.returncode, 0, run.stderr)
        answer = json.loads(run.stdout)
        self.assertEqual(answer["kind"], kind)
        return answer

    def assert_near(self, answer, value):
        self.assertLess(abs(answer["bytes"] - value), SIGMAS * answer["bytes_error"] + value / 1000,
                        f"{answer['bytes']} +- {answer['bytes_error']}, but {value}")

    def assert_leak(self, answer):
        [stack] = [s for s in answer["stacks"] if "leak_requests" in functions_of(s)]
        self.assert_near(stack, LEAKED)
        self.assertGreater(stack["bytes"], 0.9 * answer["total"]["bytes"])
        self.assertEqual(functions_of(stack)[:3], ["leak_requests", "leak", "main"])
        self.assertEqual(stack["frames"][0]["file"].rpartition("/")[2], "planted.c")

    def assert_pinned(self, answer):
        first = answer["stacks"][0]
        self.assertEqual(functions_of(first)[:2], ["remember_sessions", "sparse"])
        self.assertGreater(first["bytes"], 0.9 * answer["total"]["bytes"])
        # A block of 128 bytes alone on its page, but for a few.
        self.assertGreater(first["bytes"], 25 * 128 * first["blocks"])

    def assert_all_pins(self, answer):
        """Of few samples the error is as uncertain as they are."""
        total, truth = answer["total"], answer["pinned_by_all_bytes"]
        self.assertLess(abs(total["bytes"] - truth), SIGMAS * max(total["bytes_error"], truth / 5))

    def assert_resident(self, answer):
        [stack] = [s for s in answer["stacks"] if "reserve_table" in functions_of(s)]
        self.assertEqual(stack["blocks"], 1)
        self.assertAlmostEqual(stack["bytes"], TABLE / 4, delta=64 << 10)
        self.assertAlmostEqual(stack["absent_bytes"], TABLE * 3 / 4, delta=64 << 10)
        self.assertEqual(stack["swapped_bytes"], 0)

    def test_process(self):
        with running("leak", "sparse", "untouched") as process:
            pid = process.pid
            in_use = self.ask(pid, "inuse")
            # The rest is small beside the table.
            in_use["stacks"] = [s for s in in_use["stacks"] if "leak" in functions_of(s)]
            in_use["total"]["bytes"] = sum(s["bytes"] for s in in_use["stacks"])
            self.assert_leak(in_use)
            pins = self.ask(pid, "fragmentation")
            self.assert_pinned(pins)
            self.assert_all_pins(pins)
            running_pins = self.ask(pid, "fragmentation", "--no-stop")
            self.assertEqual(running_pins["total"], pins["total"])
            self.assert_resident(self.ask(pid, "residency"))
            allocated = self.ask(pid, "allocated")
            self.assertGreater(bytes_of(allocated, "sparse"), 0)
            lifetime = self.ask(pid, "lifetime")
            self.assertEqual(bytes_of(lifetime, "leak_requests"), 0)
            self.assertGreater(bytes_of(lifetime, "parse_requests"), 0)
            self.assertTrue(all(s["mean_lifetime_ns"] > 0 for s in lifetime["stacks"]))
            # Said where it holds, and nowhere else.
            for kind, is_noted in ("allocated", True), ("lifetime", True), ("inuse", False):
                text = tide("profile", pid, "--kind", kind).stdout
                self.assertEqual("not in it" in text, is_noted, text)
            peak = self.ask(pid, "peak")
            self.assertGreaterEqual(peak["total"]["bytes"], in_use["total"]["bytes"])

    def test_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = run_to_file(f"{folder}/p.prof", "leak", "sparse", "untouched")
            self.assert_pinned(self.ask(path, "fragmentation"))
            self.assert_resident(self.ask(path, "residency"))
            page = pathlib.Path(folder, "page.html")
            run = tide("report", path, "-o", page)
            self.assertEqual(run.returncode, 0, run.stderr)
            for text in ("remember_sessions", "pinned space", "absent space"):
                self.assertIn(text, page.read_text())

    def test_short_cycle(self):
        """A thread that frees a block and takes it again at once."""
        with tempfile.TemporaryDirectory() as folder:
            path = run_to_file(f"{folder}/p.prof", "cycle", env={"TIDE_PROFILE_CALLS": "on"})
            for kind in "allocated", "lifetime":
                answer = self.ask(path, kind)
                self.assertTrue(answer["every_call"])
                [stack] = [s for s in answer["stacks"] if "parse_message" in functions_of(s)]
                self.assert_near(stack, CYCLED)
                self.assertNotIn("not in it", tide("profile", path, "--kind", kind).stdout)
            tide("profile", path, "-o", f"{folder}/p.pb.gz")
            whole = pprof.Profile(pathlib.Path(folder, "p.pb.gz").read_bytes())
            self.assertEqual(whole.comments, [])
            self.assertEqual(whole.total("alloc_space"), round(answer["total"]["bytes"]))
            seen_by_chance = self.ask(run_to_file(f"{folder}/q.prof", "cycle"), "allocated")
            self.assertFalse(seen_by_chance["every_call"])

    def test_short_cycle_of_a_process(self):
        """That never takes a slow path by itself."""
        with running("cycles", env={"LD_PRELOAD": LIBRARY}) as process:
            answer = self.ask(process.pid, "allocated", "--for", "100ms")
            self.assertTrue(answer["every_call"])
            while bytes_of(answer, "parse_message") == 0:  # it may not have run meanwhile
                answer = self.ask(process.pid, "allocated", "--for", "100ms")
            # Cheap from then on, which is said.
            self.assertFalse(self.ask(process.pid, "allocated")["every_call"])

    def test_core(self):
        everything = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([PLANTED, "leak", "sparse", "abort"], cwd=folder, timeout=200,
                           env={**clean_environment(), **PROFILED},
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, everything))
            cores = [str(p) for p in pathlib.Path(folder).iterdir() if p.name.startswith("core")]
            if not cores:
                self.skipTest("the kernel writes no cores here")
            pins = self.ask(cores[0], "fragmentation")
            self.assert_pinned(pins)
            self.assert_all_pins(pins)
            self.assertGreater(bytes_of(self.ask(cores[0], "inuse"), "leak_requests"), 0)
            self.assert_refused(tide("profile", cores[0], "--kind", "residency"), 1, "core",
                                "resident")

    def test_static(self):
        """The library's own calls are in front of no stack, though they are the program's, too."""
        with running("leak", program=f"{PLANTED}_static",
                     env={**PROFILED, "LD_PRELOAD": ""}) as process:
            self.assert_leak(self.ask(process.pid, "inuse"))

    def test_stripped(self):
        """Names come from the file that a stripped one leads to."""
        with tempfile.TemporaryDirectory() as folder:
            bare, debug = f"{folder}/bare", f"{folder}/bare.debug"
            shutil.copy(PLANTED, bare)
            subprocess.run(["objcopy", "--only-keep-debug", PLANTED, debug], check=True)
            subprocess.run(["objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", bare], check=True)
            with running("leak", program=bare) as process:
                self.assert_leak(self.ask(process.pid, "inuse"))
                os.rename(debug, f"{debug}.away")
                answer = self.ask(process.pid, "inuse")
                self.assertTrue(functions_of(answer["stacks"][0])[0].startswith("bare+0x"), answer)

    def test_switched_on_later(self):
        with running("leak", "churn", env={"LD_PRELOAD": LIBRARY}) as process:
            grown = self.ask(process.pid, "growth", "--for", "500ms", "--rate", "4K")
            self.assertEqual(bytes_of(grown, "leak_requests"), 0)  # was there before
            answer = self.ask(process.pid, "allocated", "--stop")
            self.assertEqual(answer["rate_bytes"], 4096)
            self.assertGreater(bytes_of(answer, "churn"), 0)


if __name__ == "__main__":
    unittest.main()
