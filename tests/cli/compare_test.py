#!/usr/bin/python3
"""tide compare: the whole way, what is left in its folder, and what goes wrong on it."""

import json
import pathlib
import tempfile
import unittest

from support import NOT_FOUND, USAGE, TideTest, tide

FAILED = 1

JOB = "import json; d = [json.loads('[1, 2, {\"a\": \"b\"}]') for _ in range(2000)]; del d"


class Compare(TideTest):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name) / "out"

    def compare(self, *words):
        return tide("compare", "-o", self.folder, "--with", "glibc,tide", "--reps", "1", *words,
                    env={"PYTHONMALLOC": "malloc"})

    def test_whole_way(self):
        result = self.compare("--", "/usr/bin/python3", "-S", "-c", JOB)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()),
                         ["replay.json", "report.html", "trace", "workload.tidew"])
        replayed = json.loads((self.folder / "replay.json").read_text())
        self.assertEqual([run["status"] for run in replayed["runs"]], ["ok", "ok"])
        recorded = json.loads(tide("info", "--json", self.folder / "workload.tidew").stdout)
        self.assertGreater(recorded["operations"], 10_000)
        for run in replayed["runs"]:
            self.assertEqual(sum(run["calls"].values()), recorded["operations"])
        self.assertTrue(replayed["sentence"])
        self.assertTrue(result.stdout.rstrip().endswith(replayed["sentence"]))

    def test_json_is_all_there_is(self):
        result = self.compare("--json", "--", "/usr/bin/python3", "-S", "-c", "pass")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout)["tide_replay"], 1)

    def test_program_that_fails_is_compared(self):
        result = self.compare("--", "/usr/bin/python3", "-S", "-c", "raise SystemExit(7)")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("ended with status 7", result.stderr)

    def test_program_that_allocates_nothing(self):
        self.assert_refused(self.compare("-q", "--", "/bin/true"), FAILED, "nothing was recorded")
        self.assertFalse(self.folder.exists())

    def test_bad_command_lines(self):
        self.assert_refused(tide("compare"), USAGE, "no program given")
        self.assert_refused(tide("compare", "--reps", "0", "--", "ls"), USAGE, "--reps")
        self.assert_refused(self.compare("--", "no-such-program"), NOT_FOUND, "no-such-program")
        # What the replay would refuse is refused before the program runs.
        mark = pathlib.Path(self.scratch.name) / "ran"
        for words, wanted in ((("--with", "nosuch"), "there is no allocator 'nosuch'"), (("--speed", "fast"), "--speed is max")):
            refused = tide("compare", "-o", self.folder, *words, "--", "/usr/bin/touch", mark)
            self.assert_refused(refused, USAGE, wanted)
        self.assertFalse(mark.exists() or self.folder.exists())
        self.folder.mkdir()
        self.assert_refused(self.compare("--", "ls"), USAGE, "exists already")


if __name__ == "__main__":
    unittest.main()
