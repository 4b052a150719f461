#!/usr/bin/python3
"""`tide trace --pid`: a program on Tide that knows its own counts is recorded while it runs, and left
as it was."""

import ctypes
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

BUILD = pathlib.Path(os.environ["TIDE_BUILD"]).resolve()
TIDE = BUILD / "bin/tide"
LIBRARY = BUILD / "lib/libtide.so"
THREADS = 3
# In `tide info` the forms of operator new and delete are counted with new and delete.
FORMS = {"new (form)": "new", "delete (form)": "delete"}
LIMIT = 200


def text_of(pid):
    """The code of libtide.so, or of the program that has it, as it is in the process."""
    with open(f"/proc/{pid}/maps") as file:
        maps = [line.split() for line in file]
    code = [row for row in maps if "x" in row[1] and len(row) > 5
            and ("libtide.so" in row[5] or "trace_attached" in row[5])]
    found = b""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for row in code:
            start, end = (int(part, 16) for part in row[0].split("-"))
            memory.seek(start)
            found += memory.read(end - start)
    return found


class Program:
    def __init__(self, name="trace_attached", threads=THREADS, preload=True, **environment):
        environment = dict(os.environ, **environment)
        environment.pop("LD_PRELOAD", None)
        if preload:
            environment["LD_PRELOAD"] = str(LIBRARY)
        self.process = subprocess.Popen([BUILD / "bin" / name, str(threads)], env=environment,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ask(self, line):
        self.say(line)
        ready, _, _ = select.select([self.process.stdout], [], [], LIMIT)
        if not ready:
            raise AssertionError(f"no answer to {line!r}")
        answer = self.process.stdout.readline()
        if not answer:
            raise AssertionError(f"{line!r} ended the program: {self.process.wait()}")
        return json.loads(answer)

    def end(self):
        self.say("quit")
        return self.process.wait(LIMIT)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Attach(unittest.TestCase):
    def setUp(self):
        self.base = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.base)
        self.traces = 0

    def start(self, *arguments, **environment):
        program = Program(*arguments, **environment)
        self.addCleanup(program.close)
        program.ask("work 0")  # it has started, and the library is in it
        return program

    def command(self, program, *options):
        self.traces += 1
        folder = self.base / f"trace{self.traces}"
        return [str(word) for word in (TIDE, "trace", "--pid", program.pid, "-o", folder,
                                       "--buffer", "4M", *options)], folder

    def attach(self, program, *options):
        """Starts `tide trace --pid` and waits until the program is led to the recorder."""
        command, folder = self.command(program, *options)
        tool = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (tool.kill(), tool.communicate()) if tool.returncode is None
                        else None)
        line = tool.stderr.readline()
        self.assertEqual(line, f"tide trace: records process {program.pid} from now on; "
                               "Ctrl-C ends the recording\n")
        return tool, folder

    def finish(self, tool, number=signal.SIGINT):
        if number is not None:
            tool.send_signal(number)
        output, error = tool.communicate(timeout=LIMIT)
        self.assertEqual(tool.returncode, 0, error)
        self.assertRegex(error, r"^tide trace: \d+ events of .*, 0 lost\n$")
        return output

    def info(self, folder):
        done = subprocess.run([TIDE, "info", folder, "--json"], capture_output=True, text=True,
                              timeout=LIMIT, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        document = json.loads(done.stdout)
        self.assertEqual(document["lost_events"], 0)
        return document["processes"]

    def expect_calls(self, found, wanted):
        sums = {}
        for name, count in wanted["calls"].items():
            sums[FORMS.get(name, name)] = sums.get(FORMS.get(name, name), 0) + count
        self.assertEqual({name: found["calls"].get(name, 0) for name in sums}, sums)
        self.assertEqual(sum(found["calls"].values()), sum(sums.values()))

    def check_counts(self, *options, name="trace_attached", preload=True, **environment):
        program = self.start(name, THREADS, preload, **environment)
        program.ask("work 5000")
        before = program.ask("count")
        code = text_of(program.pid)
        tool, folder = self.attach(program, *options)
        after = program.ask("work 15000")
        self.finish(tool)
        self.assertEqual(text_of(program.pid), code)
        found = self.info(folder)
        self.assertEqual(len(found), 1)
        self.expect_calls(found[0], after)
        self.assertEqual((found[0]["unknown_releases"], found[0]["missed_releases"]), (0, 0))
        # Not everything comes from the thread's cache, and Tide says so.
        self.assertGreater(found[0]["paths"]["refill"], 0)
        # Others' blocks, as the C library's, are the same at the end.
        others = found[0]["initial_blocks"] - before["blocks"]
        self.assertTrue(0 <= others < 64, others)
        self.assertEqual(found[0]["leaked_blocks"] - after["blocks"], others)
        self.assertTrue(0 <= found[0]["initial_bytes"] - before["bytes"] < 1 << 20)
        program.ask("work 1000")
        self.assertEqual(program.end(), 0)

    def test_counts(self):
        self.check_counts()

    def test_frame_pointers(self):
        self.check_counts("--stacks", "fp")

    def test_unwinder(self):
        self.check_counts("--stacks", "unwind", "--depth", "4")

    def test_hardened(self):
        for level in "123":
            self.check_counts(TIDE_HARDEN=level)

    def test_guards(self):
        self.check_counts(TIDE_GUARD_RATE="100")

    def test_static(self):
        self.check_counts(name="trace_attached_static", preload=False)

    def test_no_live(self):
        program = self.start()
        program.ask("work 5000")
        tool, folder = self.attach(program, "--no-live")
        program.ask("work 1000")
        self.finish(tool)
        found = self.info(folder)[0]
        self.assertEqual(found["initial_blocks"], 0)
        self.assertGreater(found["unknown_releases"], 0)

    def test_time(self):
        program = self.start()
        tool, folder = self.attach(program, "--for", "500ms")
        wanted = program.ask("work 1000")
        self.finish(tool, None)
        self.expect_calls(self.info(folder)[0], wanted)

    def test_repeated_under_load(self):
        program = self.start("trace_attached", 2)
        program.ask("work 10")
        code = text_of(program.pid)
        program.ask("spin")
        for turn in range(50):
            stacks = {5: "fp", 15: "unwind", 25: "fp"}.get(turn, "none")
            command, folder = self.command(program, "-q", "--for", "5ms", "--stacks", stacks)
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT,
                                  check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(text_of(program.pid), code)
            if turn % 10 == 0:
                found = self.info(folder)[0]
                # A call that a thread was in at the beginning is not in the trace.
                self.assertLessEqual(found["unknown_releases"], THREADS)
                self.assertLessEqual(found["missed_releases"], THREADS)
        with open(f"/proc/{program.pid}/maps") as maps:
            self.assertNotIn("tide-trace", maps.read())
        program.ask("stop")
        program.ask("work 1000")
        self.assertEqual(program.end(), 0)

    def test_fork(self):
        program = self.start()
        tool, folder = self.attach(program)
        child = program.ask("fork 300")
        self.assertEqual(child["status"], 0)
        wanted = program.ask("work 1000")
        self.finish(tool)
        found = {process["process_id"]: process for process in self.info(folder)}
        self.assertEqual(found[child["child"]]["calls"], {"malloc": 300, "free": 300})
        self.expect_calls(found[program.pid], wanted)

    def test_child_that_stays(self):
        program = self.start()
        program.ask("work 10")
        code = text_of(program.pid)
        tool, folder = self.attach(program)
        child = program.ask("leave")["child"]
        self.addCleanup(os.kill, child, signal.SIGKILL)
        program.ask("work 1000")
        self.finish(tool)
        for pid in (program.pid, child):
            self.assertEqual(text_of(pid), code)
            with open(f"/proc/{pid}/maps") as maps:
                self.assertNotIn("tide-trace", maps.read())
        found = {process["process_id"]: process for process in self.info(folder)}
        self.assertGreater(found[child]["calls"]["malloc"], 0)
        self.assertLessEqual(abs(found[child]["calls"]["malloc"] - found[child]["calls"]["free"]), 1)

    def test_exec(self):
        program = self.start()
        tool, folder = self.attach(program)
        wanted = program.ask("work 1000")
        program.say("exec")
        program.ask("work 1000")
        # Nothing is left to record.
        self.finish(tool, None)
        found = self.info(folder)
        self.assertEqual([process["end"] for process in found], ["executed"])
        self.expect_calls(found[0], wanted)
        self.assertEqual(program.end(), 0)

    def test_end_and_kill(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            program = self.start()
            tool, folder = self.attach(program)
            wanted = program.ask("work 1000")
            program.process.send_signal(number)
            program.process.wait(LIMIT)
            self.finish(tool, None)
            found = self.info(folder)[0]
            self.assertEqual(found["end"], "ended")
            self.expect_calls(found, wanted)

    def test_exception(self):
        program = self.start()
        tool, folder = self.attach(program)
        self.assertEqual(program.ask("throw"), {"caught": 1})
        program.ask("count")
        wanted = program.ask("work 1000")
        self.finish(tool)
        found = self.info(folder)[0]
        for name in ("malloc", "realloc", "calloc"):
            self.assertGreaterEqual(found["calls"][name], wanted["calls"][name])
        program.ask("work 1000")
        self.assertEqual(program.end(), 0)

    def test_killed_tool(self):
        program = self.start()
        program.ask("work 10")
        code = text_of(program.pid)
        for repairs in (False, True):
            program.ask("spin")
            tool, _ = self.attach(program)
            tool.kill()
            tool.communicate()
            program.ask("stop")
            self.assertNotEqual(text_of(program.pid), code)
            program.ask("work 1000")
            if repairs:
                done = subprocess.run([TIDE, "trace", "--pid", str(program.pid), "--repair"],
                                      capture_output=True, text=True, timeout=LIMIT, check=False)
                self.assertEqual((done.returncode, done.stderr),
                                 (0, "tide trace: 1 process repaired\n"))
            else:
                program.ask("count")
                tool, folder = self.attach(program)
                wanted = program.ask("work 1000")
                self.finish(tool)
                self.expect_calls(self.info(folder)[0], wanted)
            self.assertEqual(text_of(program.pid), code)
        program.ask("work 1000")
        self.assertEqual(program.end(), 0)

    def test_stopped_process(self):
        program = self.start()
        program.ask("work 100")
        os.kill(program.pid, signal.SIGSTOP)
        tool, folder = self.attach(program)
        for _ in range(500):  # it was let go a moment ago, and stops by itself
            with open(f"/proc/{program.pid}/stat") as stat:
                state = stat.read().rsplit(") ")[1][0]
            if state in "Tt":
                break
            time.sleep(0.01)
        self.assertIn(state, "Tt")
        os.kill(program.pid, signal.SIGCONT)
        program.ask("count")
        wanted = program.ask("work 1000")
        self.finish(tool)
        self.expect_calls(self.info(folder)[0], wanted)

    def test_twice(self):
        program = self.start()
        tool, _ = self.attach(program)
        self.refused(program.pid, rf"process \d+ is being recorded by process {tool.pid} already")
        self.finish(tool)

    def refused(self, pid, pattern, *options, status=1):
        folder = self.base / "refused"
        done = subprocess.run([TIDE, "trace", "--pid", str(pid), "-o", folder, *options],
                              capture_output=True, text=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertRegex(done.stderr, f"^tide trace: {pattern}")
        self.assertEqual(done.stderr.count("\n"), 1)
        self.assertFalse(folder.exists())

    def test_bad_input(self):
        self.refused(1 << 30, r"there is no process")
        self.refused("x", r"'x' is no process number", status=2)
        elsewhere = self.start("trace_attached", THREADS, False)
        elsewhere.ask("work 10")
        self.refused(elsewhere.pid, r"process \d+ does not run on Tide; start it with 'tide run'")
        ended = subprocess.Popen(["true"])
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        self.refused(ended.pid, r"process \d+ has ended")
        ended.wait()
        program = self.start()
        program.ask("work 10")
        self.refused(program.pid, r"--pid starts no program", "--", "true", status=2)
        self.refused(program.pid, r"--with does not go with --pid", "--with", "glibc", status=2)

    def test_traced_by_another(self):
        program = self.start()
        program.ask("work 10")
        libc = ctypes.CDLL(None, use_errno=True)
        seize, detach = 0x4206, 17
        if libc.ptrace(seize, program.pid, None, None) != 0:
            self.skipTest("ptrace is not permitted")
        self.refused(program.pid, rf"process \d+ is traced by process {os.getpid()} already")
        libc.ptrace(0x4207, program.pid, None, None)
        os.waitpid(program.pid, 0x40000000)
        libc.ptrace(detach, program.pid, None, None)


if __name__ == "__main__":
    unittest.main()
