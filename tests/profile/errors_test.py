#!/usr/bin/env python3
"""What goes wrong with tide profile is one clear line, and nothing that was collected is lost."""

import json
import pathlib
import random
import signal
import subprocess
import tempfile
import unittest

from planted import LIBRARY, TideTest, functions_of, run_to_file, running, tide

from support import TIDE, clean_environment


class Errors(TideTest):
    def test_bad_options(self):
        with running("leak") as process:
            pid = process.pid
            for options, words in [
                    (("--kind", "leaks"), ("'leaks'", "fragmentation", "residency")),
                    (("--for", "soon"), ("--for", "'soon'", "30s")),
                    (("--for", "-1s"), ("--for",)),
                    (("--rate", "lots"), ("--rate", "lots")),
                    (("--rate", "1"), ("--rate",)),
                    (("--folded", "--json"), ("--folded", "--json")),
                    (("--bad",), ("--bad",)),
                    (("--top", "many"), ("--top", "'many'")),
                    (("--top", "-1"), ("--top", "'-1'")),
                    (("--top", "0"), ("--top", "'0'")),
                    (("--top", "99999999999999999999"), ("--top",)),
                    (("--top", "1.5"), ("--top", "'1.5'"))]:
                self.assert_refused(tide("profile", pid, *options), 2, *words)
        self.assert_refused(tide("profile"), 2, "PID|FILE|CORE is required")

    def test_file_has_no_time(self):
        with tempfile.TemporaryDirectory() as folder:
            path = run_to_file(f"{folder}/p.prof", "leak")
            for option in (("--kind", "growth"), ("--for", "1s"), ("--rate", "1M"), ("--stop",),
                           ("--no-stop",)):
                self.assert_refused(tide("profile", path, *option), 2, option[0], "process")

    def test_info(self):
        with tempfile.TemporaryDirectory() as folder:
            path = run_to_file(f"{folder}/p.prof", "leak")
            self.assert_refused(tide("info", path), 1, path, f"tide profile {path}")
            tide("profile", path, "-o", f"{folder}/p.pb.gz")
            self.assert_refused(tide("info", f"{folder}/p.pb.gz"), 1, "tide report")

    def test_no_target(self):
        self.assert_refused(tide("profile", "/nowhere/p.prof"), 2, "/nowhere/p.prof", "process")
        self.assert_refused(tide("profile", 2 ** 22 + 1), 1, str(2 ** 22 + 1))
        self.assert_refused(tide("profile", "0"), 2, "0")

    def test_not_on_tide(self):
        with running("leak", env={}) as process:
            self.assert_refused(tide("profile", process.pid), 1, f"process {process.pid}",
                                "does not run on Tide")
        with running("leak", env={"LD_PRELOAD": LIBRARY, "TIDE_HARDEN": "1"}) as process:
            self.assert_refused(tide("profile", process.pid), 1, "hardened")

    def test_ends_meanwhile(self):
        """What was collected of a process that ends in the middle is shown."""
        with running("leak", "churn") as process:
            command = subprocess.Popen([TIDE, "profile", str(process.pid), "--for", "60s", "--json"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                       env=clean_environment())
            while not self.catches_interrupts(command.pid):  # then it has a profile
                self.assertIsNone(command.poll())
            process.send_signal(signal.SIGKILL)
            out, err = command.communicate(timeout=200)
        self.assertEqual(command.returncode, 0, err)
        self.assertEqual(err.count("\n"), 1, err)
        self.assertIn(f"process {process.pid} has ended", err)
        self.assertTrue(any("leak_requests" in functions_of(s)
                            for s in json.loads(out)["stacks"]), out[:500])

    @staticmethod
    def catches_interrupts(pid):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        return caught >> (signal.SIGINT - 1) & 1 != 0

    def test_damaged_files(self):
        with tempfile.TemporaryDirectory() as folder:
            whole = pathlib.Path(run_to_file(f"{folder}/p.prof", "leak", "sparse")).read_bytes()
            path = pathlib.Path(folder, "bad.prof")

            def profile(data, kind="inuse"):
                path.write_bytes(data)
                return tide("profile", path, "--kind", kind)

            self.assert_refused(profile(b""), 1, str(path), "no profile")
            self.assert_refused(profile(b"hello, world" * 100), 1, str(path), "no profile")
            self.assert_refused(profile(b"\x7fELF" + bytes(500)), 1, str(path))
            self.assert_refused(tide("profile", folder), 1, folder, "is a folder")
            table = 48  # the file's header
            for cut in [10, table + 8, table + 200, len(whole) // 3, len(whole) // 2]:
                self.assert_refused(profile(whole[:cut]), 1, str(path), "cut off")
            version = bytearray(whole)
            version[8] = 99
            self.assert_refused(profile(bytes(version)), 1, str(path), "version 99")
            # More samples of the first stack than there can be.
            stack = 40 + int.from_bytes(whole[12:16], "little")
            damaged = bytearray(whole)
            damaged[stack + 168:stack + 176] = b"\xff" * 8
            self.assert_refused(profile(bytes(damaged)), 1, str(path), "damaged")
            # Of the version before pages were noted.
            version[8] = 1
            self.assertEqual(profile(bytes(version)).returncode, 0)
            self.assert_refused(profile(bytes(version), "residency"), 1, str(path), "pages")
            seed = 20261122
            print(f"seed {seed}")
            generator = random.Random(seed)
            for _ in range(60):
                damaged = bytearray(whole)
                for _ in range(generator.randrange(1, 30)):
                    at = generator.randrange(8, min(len(whole), 4000))
                    damaged[at] = generator.randrange(256)
                run = profile(bytes(damaged), generator.choice(["inuse", "fragmentation", "residency"]))
                self.assertIn(run.returncode, (0, 1), run.stderr)
                self.assertLessEqual(run.stderr.count("\n"), 1)

    def test_output_that_fails(self):
        with tempfile.TemporaryDirectory() as folder:
            path = run_to_file(f"{folder}/p.prof", "leak")
            self.assert_refused(tide("profile", path, "-o", "/nowhere/x.pb.gz"), 1, "/nowhere/x.pb.gz")


if __name__ == "__main__":
    unittest.main()
