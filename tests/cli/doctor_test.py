#!/usr/bin/python3
"""tide doctor: the whole text for made-up processes of other allocators, and real ones.

TIDE_UPDATE_GOLDEN=1 writes tests/cli/golden anew.
"""

import json
import os
import pathlib
import subprocess
import unittest

from support import (HOLDER, NOBODY, TIDE, USAGE, TideTest, clean_environment, on_tide, running,
                     tide)

HERE = pathlib.Path(__file__).resolve().parent
PROC = HERE / "fixtures/proc"


def doctor(pid, proc="/proc"):
    result = tide("doctor", "--json", "--proc", proc, pid)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return json.loads(result.stdout)


class Fixtures(TideTest):
    def test_golden_texts(self):
        for pid, name in ((100, "glibc"), (101, "jemalloc"), (102, "static")):
            with self.subTest(name):
                result = tide("doctor", "--proc", PROC, pid)
                self.assertEqual((result.returncode, result.stderr), (0, ""))
                golden = HERE / f"golden/doctor_{name}.txt"
                if os.environ.get("TIDE_UPDATE_GOLDEN"):
                    golden.write_text(result.stdout)
                self.assertEqual(result.stdout, golden.read_text())

    def test_glibc_in_numbers(self):
        document = doctor(100, PROC)
        parts = document["parts"]
        self.assertEqual(sum(parts.values()), document["rss_bytes"])
        self.assertEqual(parts["break_bytes"], 120000 << 10)
        self.assertEqual(parts["arenas_bytes"], (39000 + 60000) << 10)
        self.assertEqual(parts["stacks_bytes"], (100 + 300 + 40) << 10)
        self.assertEqual(parts["shared_bytes"], (16384 + 512) << 10)
        self.assertEqual(parts["files_bytes"], 352 << 10)
        self.assertEqual(parts["not_explained_bytes"], 640 << 10)
        self.assertEqual((document["arenas"], document["stacks"]), (2, 3))
        self.assertEqual(document["swap_bytes"], 12 << 10)
        self.assertEqual(document["hugetlb_bytes"], 4096 << 10)
        self.assertEqual(document["allocator"], "glibc's malloc")
        self.assertNotIn("heap", document)

    def test_the_kernels_count_may_lag_behind(self):
        document = doctor(101, PROC)
        self.assertEqual(document["parts"]["not_explained_bytes"], 0)
        self.assertEqual(sum(document["parts"].values()), document["rss_bytes"])


class Processes(TideTest):
    def test_on_tide(self):
        with on_tide() as (process, said):
            document = doctor(process.pid)
            parts = document["parts"]
            self.assertTrue(document["allocator"].startswith("Tide "))
            self.assertEqual(sum(parts.values()), document["rss_bytes"])
            for key in ("live_bytes", "cached_bytes", "free_dirty_bytes", "classes", "threads"):
                self.assertEqual(document["heap"][key], said[key])
            # The holder has touched all that it holds, and 50 MB that it has freed.
            self.assertGreaterEqual(parts["live_bytes"], said["live_bytes"] - (64 << 10))
            self.assertLessEqual(parts["live_bytes"], said["live_bytes"])
            self.assertGreaterEqual(document["kept_mapping_bytes"], 50_000_000 - (64 << 10))
            self.assertLessEqual(parts["anonymous_bytes"], 1 << 20)
            self.assertLessEqual(parts["not_explained_bytes"], 1 << 20)
            self.assertEqual(document["stacks"], 2)
            self.assertIn("huge_cache", document["advice"][0])

    def test_on_the_systems_malloc(self):
        with running(HOLDER) as (process, _):
            document = doctor(process.pid)
            self.assertEqual(document["allocator"], "glibc's malloc")
            self.assertEqual(sum(document["parts"].values()), document["rss_bytes"])
            self.assertEqual(document["parts"]["live_bytes"], 0)
            self.assertGreater(document["parts"]["break_bytes"], 2_000_000)
            self.assertGreater(document["parts"]["anonymous_bytes"], 40_000_000 - (64 << 10))
            self.assertEqual((document["arenas"], document["stacks"]), (1, 2))
            self.assertIn("tide run -- cli_holder", document["advice"][0])

    def test_text_ends_with_advice(self):
        with on_tide() as (process, _):
            result = tide("doctor", process.pid)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertIn(f"Process {process.pid} (cli_holder) has ", result.stdout)
            self.assertIn("\nWhat to do:\n- ", result.stdout)


class Refusals(TideTest):
    def test_bad_command_lines(self):
        for arguments in ((), ("x",), ("0",), ("1", "2"), ("--frob", "1")):
            with self.subTest(arguments):
                self.assert_refused(tide("doctor", *arguments), USAGE, "tide doctor --help")

    def test_no_such_process(self):
        self.assert_refused(tide("doctor", 2 ** 22 + 1), 1, "no process")

    @unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
    def test_another_users_process(self):
        with on_tide() as (process, _):
            result = subprocess.run([TIDE, "doctor", str(process.pid)], user=NOBODY, group=NOBODY,
                                    extra_groups=[], capture_output=True, text=True,
                                    env=clean_environment(), check=False)
            self.assert_refused(result, 1, "another user", "sudo")


if __name__ == "__main__":
    unittest.main()
