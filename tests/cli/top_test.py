#!/usr/bin/python3
"""tide top: the figures of a process are what the process itself says, and errors are one line."""

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import unittest

from support import (BUILD, HOLDER, NOBODY, TIDE, USAGE, TideTest, clean_environment, on_tide,
                     running, tide)

HOLDER_STATIC = str(BUILD / "bin/cli_holder_static")


def top(*arguments):
    result = tide("top", "--once", "--json", *arguments)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


class Figures(TideTest):
    def assert_agrees(self, shown, said):
        for key in ("live_bytes", "live_blocks", "large_live_bytes", "large_live_blocks",
                    "huge_live_bytes", "huge_live_blocks", "cached_bytes", "free_dirty_bytes",
                    "huge_cached_bytes", "returned_bytes", "metadata_bytes", "mapped_bytes",
                    "thread_caches", "heaps", "purge_calls", "purged_bytes", "retaken_bytes",
                    "purge_max_ns", "purge_total_ns", "background_turns", "limit_bytes",
                    "footprint_bytes", "limit_soft_bytes", "limit_hard_bytes", "classes",
                    "threads"):
            self.assertEqual(shown[key], said[key], key)

    def test_agree_with_the_process_itself(self):
        with on_tide() as (process, said):
            document = top(process.pid)
            self.assertEqual((document["schema"], document["schema_version"]), ("tide-top", 1))
            [shown] = document["processes"]
            self.assert_agrees(shown, said)
            self.assertEqual(shown["process_id"], process.pid)
            self.assertEqual(shown["command"], "cli_holder")
            self.assertGreater(shown["rss_bytes"], 90_000_000)
            self.assertEqual(len(shown["threads"]), 2)
            self.assertIn(process.pid, [thread["thread_id"] for thread in shown["threads"]])

    def test_of_a_program_that_is_linked_with_the_library(self):
        with running(HOLDER_STATIC) as (process, said):
            [shown] = top(process.pid)["processes"]
            self.assert_agrees(shown, said)

    def test_of_a_library_that_was_replaced(self):
        with running(TIDE, "run", "--library", self.copied_library(), "--", HOLDER) as \
                (process, said):
            os.unlink(self.copy)
            self.assert_agrees(top(process.pid)["processes"][0], said)

    def copied_library(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.copy = shutil.copy(BUILD / "lib/libtide.so", folder)
        return self.copy

    def test_without_numbers_all_that_run_on_tide(self):
        with on_tide() as (one, _), on_tide() as (two, _), running(HOLDER) as (other, said):
            self.assertIsNone(said)
            shown = {row["process_id"] for row in top()["processes"]}
            self.assertLessEqual({one.pid, two.pid}, shown)
            self.assertNotIn(other.pid, shown)
            self.assertNotIn(os.getpid(), shown)


class Table(TideTest):
    def test_one_line_per_process(self):
        with on_tide() as (one, _), on_tide() as (two, _):
            result = tide("top", "--once", one.pid, two.pid)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            title, *rows = result.stdout.splitlines()
            self.assertEqual(title.split(), ["PID", "COMMAND", "RSS", "LIVE", "CACHED", "DIRTY",
                                             "RETURNED", "META", "LARGEST", "CLASSES"])
            self.assertEqual({row.split()[0] for row in rows}, {str(one.pid), str(two.pid)})
            for row in rows:
                self.assertEqual(row.split()[1], "cli_holder")
                self.assertIn("huge:38.1M", row)

    def test_goes_on_until_the_process_ends(self):
        with on_tide() as (process, _):
            command = [TIDE, "top", "--json", "--interval", "0.1", str(process.pid)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as view:
                for _ in range(3):
                    self.assertEqual(len(json.loads(view.stdout.readline())["processes"]), 1)
                process.stdin.close()
                process.wait(timeout=200)
                self.assertEqual(view.wait(timeout=200), 0)


class Screen(TideTest):
    def view(self, process, end):
        primary, secondary = os.openpty()
        environment = {**clean_environment(), "TERM": "xterm"}
        with subprocess.Popen([TIDE, "top", "--interval", "60", str(process.pid)], stdin=secondary,
                              stdout=secondary, stderr=secondary, env=environment) as view:
            os.close(secondary)
            text = b""
            while b"huge:" not in text:
                self.assertTrue(select.select([primary], [], [], 30)[0], text)
                text += os.read(primary, 4096)
            end(primary, view)
            self.assertEqual(view.wait(timeout=200), 0)
            while select.select([primary], [], [], 0)[0]:
                try:
                    text += os.read(primary, 4096)
                except OSError:
                    break
            os.close(primary)
        return text

    def test_q_and_interrupts_end_it_and_the_cursor_comes_back(self):
        ends = (lambda terminal, _: os.write(terminal, b"q"),
                lambda _, view: view.send_signal(signal.SIGINT),
                lambda _, view: view.send_signal(signal.SIGTERM))
        with on_tide() as (process, _):
            for end in ends:
                text = self.view(process, end)
                self.assertIn(str(process.pid).encode(), text)
                self.assertTrue(text.startswith(b"\x1b[?25l"), text)
                self.assertTrue(text.endswith(b"\x1b[?25h"), text)


class Refusals(TideTest):
    def test_bad_command_lines(self):
        for arguments in (("x",), ("-1",), ("0",), ("--interval", "0"), ("--interval", "x"),
                          ("--frob",), ("12a",)):
            with self.subTest(arguments):
                self.assert_refused(tide("top", "--once", *arguments), USAGE, "tide top --help")

    def test_no_such_process(self):
        self.assert_refused(tide("top", "--once", 2 ** 22 + 1), 1, str(2 ** 22 + 1), "no process")

    def test_not_on_tide(self):
        with running(HOLDER) as (process, _):
            self.assert_refused(tide("top", "--once", process.pid), 1, str(process.pid),
                                "cli_holder", "tide run")

    @unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
    def test_another_users_process(self):
        with on_tide() as (process, _):
            result = subprocess.run([TIDE, "top", "--once", str(process.pid)], user=NOBODY,
                                    group=NOBODY, extra_groups=[], capture_output=True, text=True,
                                    env=clean_environment(), check=False)
            self.assert_refused(result, 1, "another user", "sudo")


if __name__ == "__main__":
    unittest.main()
