#!/usr/bin/python3
"""Workloads of real programs (recorded/): they are what they were, and every allocator replays them to
the same end."""

import ctypes.util
import hashlib
import json
import os
import pathlib
import subprocess
import unittest

TIDE = pathlib.Path(os.environ["TIDE_BUILD"]).resolve() / "bin/tide"
FOLDER = pathlib.Path(__file__).resolve().parent / "recorded"
# Operations, most live bytes, blocks at the end.
KNOWN = {
    "cc1plus": (46_084, 2_223_901, 3_700),
    "python": (123_586, 2_857_888, 497),
    "redis": (72_039, 1_717_097, 18_517),
    "sqlite": (14_078, 298_617, 15),
}


def tide(*words):
    done = subprocess.run([TIDE, *map(str, words)], capture_output=True, text=True, timeout=200, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


class Recorded(unittest.TestCase):
    def test_checksums(self):
        sums = dict(reversed(line.split()) for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
        self.assertEqual(sorted(sums), [f"./{path.name}" for path in sorted(FOLDER.glob("*.tidew"))])
        for name, known in sums.items():
            self.assertEqual(hashlib.sha256((FOLDER / name).read_bytes()).hexdigest(), known, name)

    def test_are_read_as_they_were(self):
        for name, known in KNOWN.items():
            info = tide("info", "--json", FOLDER / f"{name}.tidew")
            self.assertEqual((info["operations"], info["peak_bytes"], info["live_blocks"]), known, name)

    def test_end_as_they_did(self):
        allocators = ["glibc", "tide"]
        if ctypes.util.find_library("jemalloc"):
            allocators.append("jemalloc")
        for path in sorted(FOLDER.glob("*.tidew")):
            info = tide("info", "--json", path)
            document = tide("replay", path, "--with", ",".join(allocators), "--reps", 1, "--measure", "none",
                            "--json")
            for run in document["runs"]:
                with self.subTest(workload=path.name, allocator=run["label"]):
                    self.assertEqual(run["status"], "ok")
                    self.assertEqual(run["calls"], document["workload"]["calls"])
                    self.assertEqual((run["live_blocks"], run["live_bytes"]),
                                     (info["live_blocks"], info["live_bytes"]))

    def test_live_bytes_over_time(self):
        for options in ((), ("--speed", "recorded"), ("--scale", 2)):
            fidelity = tide("replay", FOLDER / "cc1plus.tidew", "--with", "glibc", "--reps", 1, "--measure", "none",
                            "--json", *options)["fidelity"]
            self.assertTrue(fidelity["live_curve_equal"], options)
            self.assertGreater(fidelity["live_curve_points"], 20, options)


if __name__ == "__main__":
    unittest.main()
