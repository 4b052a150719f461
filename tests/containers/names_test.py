#!/usr/bin/python3
"""Names of functions of processes in containers: always out of the files that the process has mapped,
never out of others that have the same path here."""

import json
import pathlib
import shutil
import subprocess
import unittest

from container import BUILD, SKIPPED, TIDE, ContainerTest, tide, ways

PROGRAMS = {kind: {build: str(BUILD / f"bin/containers_{build}_{kind}")
                   for build in ("inside", "outside")} for kind in ("sha1", "none")}
GDB_COMMANDS = pathlib.Path(__file__).resolve().parents[2] / "gdb/tide-heap.py"
NOWHERE = "/opt/inner/program"  # nothing has that path outside


class Names(ContainerTest):
    def names_of_profile(self, *arguments):
        done = tide("profile", *arguments, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return {frame["function"] for stack in json.loads(done.stdout)["stacks"]
                for frame in stack["frames"]}

    def expect_inside(self, names):
        self.assertIn("inside_holds", names)
        self.assertIn("main", names)
        self.assertNotIn("outside_holds", names)

    def pointee_of_blocks(self, *target):
        """What the first words of its blocks point to."""
        done = tide("heap", *target, "examine", "4096", "--words", "1", "--top", "1000", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return {word.get("points_to") for block in json.loads(done.stdout)["blocks"]
                for word in block["words"]}

    def decoy(self, kind):
        """A path at which there is another build out here than inside."""
        path = self.folder / "bin" / f"program_{kind}"
        path.parent.mkdir(exist_ok=True)
        shutil.copy(PROGRAMS[kind]["outside"], path)
        return path

    def programs(self, kinds=PROGRAMS):
        """Each kind at a path that is nowhere here, and at one where here is another build."""
        for kind in kinds:
            for inner in (NOWHERE, self.decoy(kind)):
                root = self.new_root()
                root.put_program(PROGRAMS[kind]["inside"], inner)
                yield root, inner, kind

    def test_process(self):
        for way in ways():
            for root, inner, kind in self.programs():
                with self.subTest(way=way, kind=kind, inner=inner):
                    program = self.start(root, inner, way=way)
                    self.expect_inside(self.names_of_profile(program.pid))
                    self.assertIn("inside_holds", self.pointee_of_blocks(program.pid))
                    self.assertEqual(program.end(), 0)

    def test_overlay(self):
        for root, inner, kind in self.programs():
            with self.subTest(kind=kind, inner=inner):
                program = self.start(root, inner, way=(*ways()[0], "overlay"), is_ready=False)
                if program.process.stdout.readline() != "ready\n":
                    self.assertEqual(program.end(), SKIPPED)
                    self.skipTest("no overlays here")
                self.expect_inside(self.names_of_profile(program.pid))
                self.assertIn("inside_holds", self.pointee_of_blocks(program.pid))
                self.assertEqual(program.end(), 0)

    def test_numbers_of_threads(self):
        """What the heap has written down are numbers inside."""
        root = self.new_root()
        root.put_program(PROGRAMS["sha1"]["inside"], NOWHERE)
        program = self.start(root, NOWHERE)
        done = tide("heap", program.pid, "threads", "--json")
        [thread] = json.loads(done.stdout)["threads"]
        self.assertEqual((thread["thread_id"], thread["state"]), (program.pid, "runs"))
        self.assertGreater(thread["cached_bytes"], 0)
        done = tide("heap", program.pid, "list", "--size", "4096", "--ndjson")
        sampled = 0
        for line in done.stdout.splitlines()[:300]:
            done = tide("heap", program.pid, "info", json.loads(line)["address"], "--json")
            stack = json.loads(done.stdout).get("allocated")
            if stack is not None:
                self.assertEqual(stack["thread"], program.pid)
                sampled += 1
                break
        self.assertEqual(sampled, 1)

    def test_file_that_was_replaced(self):
        """An upgrade in place, and then a removal."""
        for kind, builds in PROGRAMS.items():
            with self.subTest(kind=kind):
                root = self.new_root()
                root.put_program(builds["inside"], NOWHERE)
                program = self.start(root, NOWHERE)
                path = root.path(NOWHERE)
                path.unlink()
                shutil.copy(builds["outside"], path)
                for _ in range(2):
                    self.expect_inside(self.names_of_profile(program.pid))
                    self.assertIn("inside_holds", self.pointee_of_blocks(program.pid))
                    path.unlink(missing_ok=True)
                self.assertEqual(program.end(), 0)

    def expect_inside_with_sysroot(self, root, inner, file):
        """Of a file: names come from the folder that is given, and without one never from others."""
        names = self.names_of_profile(file)
        self.assertNotIn("outside_holds", names)
        self.assertNotIn("inside_holds", names)
        self.expect_inside(self.names_of_profile(file, "--sysroot", root.folder))
        shutil.copy(PROGRAMS["sha1"]["outside"], root.path(inner))
        names = self.names_of_profile(file, "--sysroot", root.folder)
        self.assertNotIn("outside_holds", names)

    def test_gdb(self):
        if shutil.which("gdb") is None:
            self.skipTest("no gdb here")
        for root, inner, kind in self.programs():
            with self.subTest(kind=kind, inner=inner):
                program = self.start(root, inner)
                # By the second one, which is usual, GDB enters the container for its files.
                for sysroot in ("/", "target:"):
                    done = subprocess.run(
                        ["gdb", "-nx", "-batch", "-iex", f"set sysroot {sysroot}",
                         "-p", str(program.pid), "-ex", f"source {GDB_COMMANDS}",
                         "-ex", f"set tide-command {TIDE}", "-ex", "heap examine 4096 --words 1"],
                        capture_output=True, text=True, check=True, timeout=200)
                    self.assertIn("<inside_holds>", done.stdout, done.stderr)
                    self.assertNotIn("outside_holds", done.stdout)
                self.assertEqual(program.end(), 0)

    def test_core(self):
        if shutil.which("gdb") is None:
            self.skipTest("no gdb here")
        # Two builds without build ids may look alike in all that a core has of them.
        for root, inner, _ in self.programs(["sha1"]):
            with self.subTest(inner=inner):
                program = self.start(root, inner)
                core = self.folder / f"core.{program.pid}"
                # With its usual sysroot GDB would enter the container for its files.
                subprocess.run(["gdb", "-nx", "-batch", "-iex", "set sysroot /", "-p",
                                str(program.pid), "-ex", f"generate-core-file {core}"],
                               capture_output=True, check=True, timeout=200)
                self.assertEqual(program.end(), 0)
                self.assertNotIn("outside_holds", self.pointee_of_blocks(core))
                self.assertIn("inside_holds",
                              self.pointee_of_blocks(core, "--sysroot", root.folder))
                self.expect_inside_with_sysroot(root, inner, core)

    def test_file_of_the_program(self):
        for root, inner, kind in self.programs():
            with self.subTest(kind=kind, inner=inner):
                program = self.start(root, inner, "exit", is_ready=False,
                                     env={"TIDE_PROFILE_FILE": "/tmp/profile"})
                self.assertEqual(program.end(), 0)
                file = root.path("/tmp/profile")
                if kind == "sha1":
                    self.expect_inside_with_sysroot(root, inner, file)
                else:
                    self.assertNotIn("outside_holds", self.names_of_profile(file))


if __name__ == "__main__":
    unittest.main()
