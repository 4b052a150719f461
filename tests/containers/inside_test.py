#!/usr/bin/python3
"""The tools in a container, on its own processes: nothing of the system but /proc."""

import json
import subprocess
import unittest

from container import BUILD, IS_ROOT, LIBRARY, TIDE, ContainerTest, clean_environment

INNER_TIDE = "/opt/tide/bin/tide"
PROGRAM = "/opt/inner/program"
LIMIT = 200


class Inside(ContainerTest):
    def setUp(self):
        super().setUp()
        self.root = self.new_root()
        self.root.put_program(TIDE, INNER_TIDE)
        self.root.put(LIBRARY, "/opt/tide/lib/libtide.so")
        self.root.put(BUILD / "lib/libtide-trace.so", "/opt/tide/lib/libtide-trace.so")
        self.root.put_program(str(BUILD / "bin/containers_inside_sha1"), PROGRAM)
        self.program = self.start(self.root, PROGRAM)

    def tide(self, *arguments):
        into = ["nsenter", "--target", str(self.program.pid), "--mount", "--pid", "--net", "--wd=/",
                f"--root=/proc/{self.program.pid}/root"]
        if not IS_ROOT:
            into += ["--user", "--preserve-credentials"]
        done = subprocess.run([*into, INNER_TIDE, *map(str, arguments)], env=clean_environment(),
                              capture_output=True, text=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_all(self):
        [process] = json.loads(self.tide("top", "--once", "--json"))["processes"]
        self.assertEqual(process["process_id"], 1)
        self.assertIn("1024", self.tide("doctor", "1") + self.tide("heap", "1", "types").replace(
            ",", ""))
        self.assertIn("<inside_holds>", self.tide("heap", "1", "examine", "4096", "--words", "1"))
        self.assertIn("inside_holds", self.tide("profile", "1", "--folded"))
        self.tide("trace", "--pid", "1", "--for", "100ms", "-o", "/tmp/attached")
        found = json.loads(self.tide("info", "/tmp/attached", "--json"))["processes"]
        self.assertEqual([(one["process_id"], one["initial_blocks"] >= 1024) for one in found],
                         [(1, True)])
        self.tide("trace", "-o", "/tmp/begun", "--", PROGRAM, "exit")
        [begun] = json.loads(self.tide("info", "/tmp/begun", "--json"))["processes"]
        self.assertEqual(begun["calls"]["malloc"], 1024)
        self.tide("run", "--profile=/tmp/profile", "--", PROGRAM, "exit")
        self.tide("agent", "--once", "--db", "/tmp/fleet.db", "--spool", "/tmp/spool")
        [row] = json.loads(self.tide("fleet", "top", "--json", "--db", "/tmp/fleet.db"))["rows"]
        self.assertEqual((row["name"], row["processes"]), ("program", 1))
        self.assertEqual(self.program.end(), 0)


if __name__ == "__main__":
    unittest.main()
