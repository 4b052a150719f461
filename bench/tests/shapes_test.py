#!/usr/bin/python3
"""Tests of the group `shapes`: the list names what the programs have, and each shape runs on Tide at
its smallest, the same work each time. Seconds.

usage: shapes_test.py [PROGRAMS LIBRARY]: the folder of the workload programs and libtide.so; else
those of build/release.
"""

import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchlib import peers, process, workloads  # noqa: E402
from benchlib.shapes import SHAPES  # noqa: E402

PROGRAMS = Path(sys.argv[1]) if len(sys.argv) > 2 else workloads.PROGRAMS
TIDE = peers.Peer("tide", sys.argv[2]) if len(sys.argv) > 2 else peers.known("tide")
TIMEOUT_S = 300.0   # ends what hangs
SEED = 7


def run(program, *arguments):
    return process.run([str(PROGRAMS / program), *arguments], TIDE, TIMEOUT_S)


class Shapes(unittest.TestCase):
    def test_the_list_is_that_of_the_programs(self):
        for program, shapes in SHAPES.items():
            printed = run(program, "--list").output.decode().splitlines()
            self.assertEqual(printed, [f"{name}\t{about}" for name, about in shapes], program)

    def test_a_row_for_each_outside_of_default(self):
        rows = workloads.find(["shapes"])
        self.assertEqual([row.name for row in rows], [name for shapes in SHAPES.values() for name, _ in shapes])
        self.assertFalse(set(rows) & set(workloads.find(["default"])))
        self.assertTrue(set(rows) <= set(workloads.find(["all"])))

    def test_each_does_the_same_work_twice_on_tide(self):
        for row in workloads.find(["shapes"]):
            with self.subTest(row.name):
                done = []
                for _ in range(2):
                    outcome = process.run([*row.argv(PROGRAMS, SEED), "--scale", "1"], TIDE, TIMEOUT_S)
                    self.assertEqual(outcome.status, "ok", outcome.errors)
                    record = process.last_json_line(outcome.output)
                    self.assertEqual(record["program"], row.name)
                    self.assertEqual(record["malloc_from"], TIDE.file_name())
                    done.append(record["ops"])
                self.assertGreater(done[0], 0)
                self.assertEqual(done[0], done[1])

    def test_the_seed_changes_the_work(self):
        operations = {process.last_json_line(run("shapes_small", "--shape", "json", "--seed", seed).output)["ops"]
                      for seed in ("1", "2")}
        self.assertEqual(len(operations), 2)

    def test_what_is_wrong_with_the_options_is_said(self):
        for arguments, said in ((("--shape", "nosuch"), "'nosuch' is no shape"), ((), "is no shape"),
                                (("--shape",), "--shape needs a value"), (("--nosuch",), "unknown option --nosuch"),
                                (("--list=1",), "unknown option --list")):
            outcome = run("shapes_small", *arguments)
            self.assertEqual(outcome.status, "exit 2", arguments)
            self.assertIn(said, outcome.errors.decode())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
