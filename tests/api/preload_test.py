#!/usr/bin/python3
"""The preloaded library seen from outside: what it loads, what it says, what it leaves behind.

usage: preload_test.py LIBTIDE PLAIN_PROGRAM NO_RUNTIME_PROGRAM CXX_MODULE
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

LIBRARY, PLAIN, NO_RUNTIME, MODULE = sys.argv[1:5]
# What runs the programs of a build for another machine.
EMULATOR = tuple(os.environ.get("TIDE_EMULATOR", "").split())


def run(*command, **variables):
    """Runs a command on the library; TIDE variables only as given."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDE_")}
    environment.update(variables, LD_PRELOAD=LIBRARY)
    result = subprocess.run(EMULATOR + command, env=environment, capture_output=True, text=True,
                            check=False)
    if EMULATOR:
        result.stderr = re.sub(r"^qemu: uncaught target signal .*\n", "", result.stderr,
                               flags=re.MULTILINE)
    return result


class Preload(unittest.TestCase):
    def test_a_c_program_gets_no_cxx_runtime(self):
        result = run(PLAIN)
        self.assertEqual(result.returncode, 0)
        self.assertIn("libtide.so", result.stdout)
        for library in ("libstdc++", "libc++", "libgcc_s", "libm.so"):
            self.assertNotIn(library, result.stdout)
        self.assertEqual(result.stderr, "")

    def test_operator_new_without_a_cxx_runtime(self):
        result = run(NO_RUNTIME, "none")
        self.assertEqual(result.returncode, -6)
        self.assertEqual(result.stderr.count("\n"), 1)
        self.assertTrue(result.stderr.startswith("tide: operator new found no memory"))

    def test_a_cxx_module_loaded_later(self):
        result = run(NO_RUNTIME, MODULE)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "fine\n", ""))


class Options(unittest.TestCase):
    def test_one_line_for_each_bad_option(self):
        result = run(PLAIN, TIDE_NONSENSE="1", TIDE_HUGE_CACHE="lots", TIDE_OPTIONS="more=2")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(
            sorted(result.stderr.splitlines()),
            [
                "tide: option 'huge_cache' can't be 'lots', which is not a size such as 65536, 64k "
                "or 1GiB; it stays 128MiB",
                "tide: option 'more' is unknown; run 'tide env' for the list",
                "tide: option 'nonsense' is unknown; run 'tide env' for the list",
            ],
        )

    def test_warnings_off(self):
        self.assertEqual(run(PLAIN, TIDE_NONSENSE="1", TIDE_WARNINGS="off").stderr, "")

    def test_verbose(self):
        lines = run(PLAIN, TIDE_VERBOSE="1", TIDE_OPTIONS="huge_cache=1m").stderr.splitlines()
        self.assertRegex(lines[0], r"^tide: version [0-9.]+ in process [0-9]+$")
        self.assertEqual(lines[1], "tide: option huge_cache is 1MiB, from TIDE_OPTIONS")
        self.assertEqual(lines[2], "tide: option verbose is on, from TIDE_VERBOSE")

    @unittest.skipIf(EMULATOR, "the emulator is not set-uid")
    @unittest.skipIf(os.geteuid() != 0, "needs root for a set-uid program")
    def test_ignored_in_secure_execution(self):
        # A set-uid copy of a program that is linked with the library, run by another user.
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            os.chmod(folder, 0o755)
            linked = os.path.join(os.path.dirname(PLAIN), "api_header_c99")
            program = os.path.join(folder, "program")
            shutil.copy(linked, program)
            os.chmod(program, 0o4755)
            place = os.path.join(folder, "place")
            os.mkdir(place)
            os.chmod(place, 0o777)
            environment = {"TIDE_NONSENSE": "1", "TIDE_VERBOSE": "1", "TIDE_STATS": "text",
                           "TIDE_STATS_FILE": place + "/stats.%p", "TIDE_PROFILE": "on",
                           "TIDE_PROFILE_FILE": place + "/profile.%p", "TIDE_PROFILE_RATE": "1",
                           "TIDE_OPTIONS": "stats=json,profile=on,harden=3,limit_hard=1m"}
            result = subprocess.run([program], env=environment, capture_output=True, text=True,
                                    check=False, user=65534, cwd=place)
            if result.returncode == 127:
                self.skipTest("the build folder can't be read by other users")
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertEqual(os.listdir(place), [])
            if shutil.which("strace") is None:
                return
            # -u keeps what set-uid does.
            calls = os.path.join(folder, "calls")
            result = subprocess.run(
                ["strace", "-f", "-u", "nobody", "-o", calls, "-e", "trace=network,file", program],
                env=environment | {"PATH": os.environ["PATH"]}, capture_output=True, text=True,
                check=False, cwd=place)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertEqual(os.listdir(place), [])
            with open(calls, encoding="utf-8") as file:
                wrong = [line for line in file
                         if "O_CREAT" in line or "O_WRONLY" in line or "O_RDWR" in line
                         or "socket(" in line]
            self.assertEqual(wrong, [])


class ExitReport(unittest.TestCase):
    def test_json_on_standard_error(self):
        result = run(PLAIN, TIDE_STATS="json")
        self.assertEqual(result.stderr.count("\n"), 1)
        figures = json.loads(result.stderr)
        self.assertGreaterEqual(figures["live_blocks"], 50)
        self.assertEqual(figures["options"]["stats"], {"value": "json", "source": "TIDE_STATS"})

    def test_a_program_that_closes_standard_error(self):
        result = run(PLAIN, "close", TIDE_STATS="text")
        self.assertIn("live blocks", result.stderr)

    def test_nothing_unless_asked_for(self):
        self.assertEqual(run(PLAIN, "close").stderr, "")

    def test_file_with_the_process_id(self):
        with tempfile.TemporaryDirectory() as folder:
            result = run(PLAIN, TIDE_STATS="json", TIDE_STATS_FILE=folder + "/stats.%p.json")
            self.assertEqual(result.stderr, "")
            (name,) = os.listdir(folder)
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                figures = json.load(file)
            self.assertEqual(name, f"stats.{figures['process_id']}.json")

    @unittest.skipIf(EMULATOR, "no shell for that machine")
    def test_several_processes_append(self):
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/all.json"
            run("sh", "-c", f"{PLAIN} >/dev/null; {PLAIN} >/dev/null; true", TIDE_STATS="json",
                TIDE_STATS_FILE=path)
            with open(path, encoding="utf-8") as file:
                processes = [json.loads(line)["process_id"] for line in file]
            self.assertEqual(len(set(processes)), len(processes))
            self.assertGreaterEqual(len(processes), 2)

    def test_a_file_that_cant_be_written(self):
        result = run(PLAIN, TIDE_STATS="json", TIDE_STATS_FILE="/no/such/folder/x")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(result.stderr, "tide: can't write the statistics to '/no/such/folder/x'; "
                                        "check the option stats_file\n")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
