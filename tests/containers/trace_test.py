#!/usr/bin/python3
"""Recordings of processes with PIDs and files of their own: counts as the program's, numbers as they
are outside, names out of the files inside."""

import json
import shutil
import signal
import subprocess
import unittest

from container import (BUILD, ENTER, TIDE, ContainerTest, Contained, clean_environment, tide,
                       ways)

ATTACHED = str(BUILD / "bin/trace_attached")
FORMS = {"new (form)": "new", "delete (form)": "delete"}
TRACER = str(BUILD / "lib/libtide-trace.so")
LIMIT = 200


class Program(Contained):
    """trace_attached, which does what it is told on its input and counts its calls."""

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Trace(ContainerTest):
    def start_program(self, way=None, **kwargs):
        root = self.new_root()
        root.put_program(ATTACHED, "/opt/inner/attached")
        program = Program(root, "/opt/inner/attached", "2", way=way, is_ready=False, **kwargs)
        self.addCleanup(program.kill)
        program.ask("work 10")
        return program

    def attach(self, program, *options):
        folder = self.folder / f"trace-{program.pid}-{len(list(self.folder.iterdir()))}"
        tool = subprocess.Popen(
            [TIDE, "trace", "--pid", str(program.pid), "-o", str(folder), "--buffer", "4M",
             *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=clean_environment())
        self.addCleanup(lambda: (tool.kill(), tool.communicate()) if tool.returncode is None
                        else None)
        self.assertEqual(tool.stderr.readline(),
                         f"tide trace: records process {program.pid} from now on; "
                         "Ctrl-C ends the recording\n")
        return tool, folder

    def finish(self, tool, number=signal.SIGINT):
        if number is not None:
            tool.send_signal(number)
        _, error = tool.communicate(timeout=LIMIT)
        self.assertEqual(tool.returncode, 0, error)
        self.assertRegex(error, r"^tide trace: \d+ events of .*, 0 lost\n$")

    def info(self, folder):
        done = tide("info", folder, "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return {process["process_id"]: process for process in json.loads(done.stdout)["processes"]}

    def expect_calls(self, found, wanted):
        sums = {}
        for name, count in wanted["calls"].items():
            sums[FORMS.get(name, name)] = sums.get(FORMS.get(name, name), 0) + count
        self.assertEqual(found["calls"], sums)

    def functions(self, folder):
        names = set()
        for file in folder.glob("*/symbols.json"):
            symbols = json.loads(file.read_text())
            names |= {symbols["strings"][place[0]] for frame in symbols["frames"]
                      for place in frame[2]}
        return names

    def test_attach(self):
        for way in ways():
            with self.subTest(way=way):
                program = self.start_program(way)
                program.ask("count")
                tool, folder = self.attach(program, "--stacks", "unwind")
                wanted = program.ask("work 3000")
                self.finish(tool)
                found = self.info(folder)
                self.assertEqual(list(found), [program.pid])
                self.expect_calls(found[program.pid], wanted)
                self.assertEqual((found[program.pid]["unknown_releases"],
                                  found[program.pid]["missed_releases"]), (0, 0))
                self.assertGreater(found[program.pid]["rss_max_bytes"], 0)
                self.assertIn("step", self.functions(folder))
                program.ask("work 10")

    def test_children(self):
        program = self.start_program()
        program.ask("count")
        tool, folder = self.attach(program)
        child = program.ask("leave")["child"]  # a number inside
        wanted = program.ask("work 1000")
        with open(f"/proc/{program.pid}/task/{program.pid}/children") as file:
            outside = int(file.read())
        self.finish(tool)
        found = self.info(folder)
        self.assertNotEqual(child, outside)
        self.assertEqual(set(found), {program.pid, outside})
        self.assertEqual(found[outside]["parent"], program.pid)
        self.expect_calls(found[program.pid], wanted)
        self.assertGreater(found[outside]["calls"]["malloc"], 0)
        with open(f"/proc/{outside}/maps") as maps:
            self.assertNotIn("tide-trace", maps.read())

    def test_two_tools_and_a_killed_one(self):
        program = self.start_program()
        tool, _ = self.attach(program)
        done = tide("trace", "--pid", program.pid, "-o", self.folder / "second")
        self.assert_refused(done, 1, f"process {program.pid} is being recorded by process "
                                     f"{tool.pid} already")
        # More than the packets hold: nobody waits for a tool that is gone.
        tool.kill()
        tool.communicate()
        program.ask("work 200000")
        done = tide("trace", "--pid", program.pid, "--repair")
        self.assertEqual((done.returncode, done.stderr), (0, "tide trace: 1 process repaired\n"))
        program.ask("count")
        tool, folder = self.attach(program)
        wanted = program.ask("work 1000")
        self.finish(tool)
        self.expect_calls(self.info(folder)[program.pid], wanted)

    def expect_recorded(self, build, inner, *way):
        root = self.new_root()
        root.put_program(str(BUILD / f"bin/containers_inside_{build}"), inner)
        root.put(TRACER, TRACER)
        folder = self.folder / f"run{self.roots}"
        done = tide("trace", "--stacks", "unwind", "-o", folder, "--", ENTER, *way, "2",
                    root.folder, inner, "exit")
        self.assertEqual(done.returncode, 0, done.stderr)
        inside = [process for process in self.info(folder).values()
                  if process["program"] == str(inner)]
        self.assertEqual(len(inside), 1)
        self.assertEqual(inside[0]["calls"]["malloc"], 1024)
        self.assertEqual(inside[0]["end"], "exit status 0")
        functions = self.functions(folder)
        self.assertIn("inside_holds", functions)
        self.assertNotIn("outside_holds", functions)

    def test_program_that_enters(self):
        """Recorded from its start on, by a preload that is in the container, too."""
        for way in ways():
            with self.subTest(way=way):
                self.expect_recorded("sha1", "/opt/inner/program", *way)

    def test_names_of_a_program_that_has_ended(self):
        """At its path there is another build out here, and no build id tells them apart."""
        path = self.folder / "program"
        shutil.copy(BUILD / "bin/containers_outside_none", path)
        self.expect_recorded("none", path, *ways()[0])


if __name__ == "__main__":
    unittest.main()
