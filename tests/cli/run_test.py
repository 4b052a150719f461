#!/usr/bin/python3
"""tide run: what it starts and how, what it passes through, and what it refuses."""

import errno
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

from support import (BUILD, BYSTANDER, CANNOT_RUN, HUNGRY, LIBRARY, LOADED, NOT_FOUND, RUN_FAILED, TIDE,
                     USAGE, TideTest, add_mode, clean_environment, elf_header, make_executable, tide)

EM_386, EM_AARCH64 = 3, 183


class InTemporaryFolder(TideTest):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tide-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)


class PassThrough(InTemporaryFolder):
    def test_exit_status(self):
        for status in (0, 1, 2, 42, 125, 255):
            self.assertEqual(tide("run", "--", "sh", "-c", f"exit {status}").returncode, status)

    def test_signal(self):
        for name in ("TERM", "KILL", "SEGV"):
            result = tide("run", "--", "sh", "-c", f"ulimit -c 0; kill -{name} $$")
            self.assertEqual(result.returncode, -getattr(signal, "SIG" + name))

    def test_same_process(self):
        process = subprocess.Popen([TIDE, "run", "--", "sh", "-c", "echo $$"], text=True,
                                   stdout=subprocess.PIPE, env=clean_environment())
        self.assertEqual(process.communicate()[0].strip(), str(process.pid))

    def test_output_and_arguments(self):
        arguments = ["a b", "", "--", "-o", "--help", "*", "run"]
        result = tide("run", "--", sys.executable, "-c",
                      "import json, sys; print(json.dumps(sys.argv[1:]))", *arguments)
        self.assertEqual(json.loads(result.stdout), arguments)
        self.assertEqual(result.stderr, "")

    def test_without_dashes(self):
        self.assertEqual(tide("run", "echo", "--help", "--", "x").stdout, "--help -- x\n")
        self.assertEqual(tide("run", "-o", "stats=off", "echo", "x").stdout, "x\n")

    def test_name_of_the_program(self):
        """argv[0] is what the user typed, as in a shell."""
        self.assertEqual(tide("run", "--", "sh", "-c", "echo $0").stdout, "sh\n")

    def test_environment_is_otherwise_untouched(self):
        extra = {"A": "1", "EMPTY": "", "LD_LIBRARY_PATH": "/nowhere"}
        result = tide("run", "--", "env", env=extra)
        plain = subprocess.run(["env"], env={**clean_environment(), **extra}, text=True,
                               capture_output=True, check=True).stdout
        lines = [line for line in result.stdout.splitlines() if not line.startswith("LD_PRELOAD=")]
        drop = ("_=",)
        self.assertEqual(sorted(l for l in lines if not l.startswith(drop)),
                         sorted(l for l in plain.splitlines() if not l.startswith(drop)))


class Preload(InTemporaryFolder):
    def test_program_and_children(self):
        self.assertEqual(tide("run", "--", LOADED, "libtide.so").stdout, "libtide.so\n")
        result = tide("run", "--", "sh", "-c", f"sh -c '{LOADED} libtide.so'; true")
        self.assertEqual(result.stdout, "libtide.so\n")

    def test_children_in_another_folder(self):
        relative = os.path.relpath(LIBRARY, self.folder)
        result = tide("run", "--library", relative, "--", "sh", "-c", f"cd / && {LOADED} libtide.so",
                      cwd=self.folder)
        self.assertEqual(result.stdout, "libtide.so\n", result.stderr)

    def test_keeps_what_was_preloaded(self):
        result = tide("run", "--", LOADED, "libtide.so", "libcli_bystander.so",
                      env={"LD_PRELOAD": BYSTANDER})
        self.assertEqual(result.stdout, "libtide.so\nlibcli_bystander.so\n", result.stderr)
        result = tide("run", "--", "sh", "-c", "echo $LD_PRELOAD", env={"LD_PRELOAD": BYSTANDER})
        first, second = result.stdout.strip().split(":")
        self.assertTrue(os.path.samefile(first, LIBRARY))
        self.assertEqual(second, BYSTANDER)

    def test_no_duplicates(self):
        result = tide("run", "--", TIDE, "run", "--", "sh", "-c", "echo $LD_PRELOAD",
                      env={"LD_PRELOAD": f"{BYSTANDER} {LIBRARY}"})
        entries = result.stdout.strip().split(":")
        self.assertEqual(len(entries), 2, entries)
        self.assertEqual(entries[1], BYSTANDER)

    def test_library_from_the_environment(self):
        result = tide("run", "--", LOADED, "libcli_bystander.so", "libtide.so",
                      env={"TIDE_LIBRARY": BYSTANDER})
        self.assertEqual(result.stdout, "libcli_bystander.so\n")
        result = tide("run", f"--library={LIBRARY}", "--", LOADED, "libtide.so", "libcli_bystander",
                      env={"TIDE_LIBRARY": BYSTANDER})
        self.assertEqual(result.stdout, "libtide.so\n")

    def test_install_layouts(self):
        for where in ("lib", "lib64", "lib/x86_64-linux-gnu", "bin"):
            with self.subTest(where):
                root = self.folder / where.replace("/", "-")
                (root / "bin").mkdir(parents=True)
                (root / where).mkdir(parents=True, exist_ok=True)
                shutil.copy(TIDE, root / "bin/tide")
                shutil.copy(LIBRARY, root / where / "libtide.so")
                result = tide("run", "--", LOADED, f"{root}/{where}/libtide.so",
                              binary=str(root / "bin/tide"))
                self.assertEqual(result.stdout, f"{root}/{where}/libtide.so\n", result.stderr)

    def test_runs_through_a_link(self):
        (self.folder / "tide").symlink_to(TIDE)
        result = tide("run", "--", LOADED, "libtide.so", binary=str(self.folder / "tide"))
        self.assertEqual(result.stdout, "libtide.so\n", result.stderr)

    def test_bad_library(self):
        lonely = self.folder / "tide"
        shutil.copy(TIDE, lonely)
        self.assert_refused(tide("run", "--", "true", binary=str(lonely)), RUN_FAILED,
                            "libtide.so", "--library")
        for path, word in ((self.folder / "none.so", "does not exist"),
                           (self.folder, "is not a file"), (__file__, "not a shared library")):
            self.assert_refused(tide("run", "--library", path, "--", "true"), RUN_FAILED, word)
        spaced = self.folder / "a b.so"
        shutil.copy(BYSTANDER, spaced)
        self.assert_refused(tide("run", "--library", spaced, "--", "true"), RUN_FAILED, "space")


class Scripts(InTemporaryFolder):
    def check_runs(self, first_line):
        script = make_executable(self.folder / "script", f"{first_line}\n{LOADED} libtide.so\n")
        result = tide("run", "--", script)
        self.assertEqual(result.stdout, "libtide.so\n", result.stderr)

    def test_interpreters(self):
        for line in ("#!/bin/sh", "#! /bin/sh -e", "#!/usr/bin/env sh", "#!/usr/bin/env -S sh -e",
                     "#!/usr/bin/env -S X=1 sh", "# no interpreter: execvp takes /bin/sh"):
            with self.subTest(line):
                self.check_runs(line)

    def test_interpreter_that_is_a_script(self):
        outer = make_executable(self.folder / "outer", f"#!/bin/sh\n{LOADED} libtide.so\n")
        inner = make_executable(self.folder / "inner", f"#!{outer}\n")
        self.assertEqual(tide("run", "--", inner).stdout, "libtide.so\n")

    def test_static_interpreter(self):
        static = BUILD / "bin/cli_loaded_static"
        script = make_executable(self.folder / "script", f"#!{static}\n")
        self.assert_refused(tide("run", "--", script), CANNOT_RUN, "script", str(static), "libtide.a")
        script = make_executable(self.folder / "script", "#!/usr/bin/env cli_loaded_static\n")
        path = f"{BUILD}/bin:{os.environ['PATH']}"
        self.assert_refused(tide("run", "--", script, env={"PATH": path}), CANNOT_RUN, "script",
                            "static")

    def test_missing_interpreter(self):
        for line in ("#!/nowhere/sh", "#!/usr/bin/env no-such-program"):
            script = make_executable(self.folder / "script", line + "\n")
            self.assert_refused(tide("run", "--", script), CANNOT_RUN, str(script),
                                line.split()[-1].lstrip("#!"))
        script = make_executable(self.folder / "script", "#!\n")
        self.assert_refused(tide("run", "--", script), CANNOT_RUN, "no interpreter")

    def test_loop(self):
        script = self.folder / "script"
        make_executable(script, f"#!{script}\n")
        self.assert_refused(tide("run", "--", script), CANNOT_RUN, "too many")


class Refusals(InTemporaryFolder):
    def test_not_found(self):
        self.assert_refused(tide("run", "--", "no-such-program"), NOT_FOUND, "PATH")
        self.assert_refused(tide("run", "--", "./no-such-program"), NOT_FOUND, "does not exist")
        self.assert_refused(tide("run", "--", ""), NOT_FOUND, "empty")

    def test_not_executable(self):
        path = make_executable(self.folder / "program", "#!/bin/sh\n")
        path.chmod(0o644)
        self.assert_refused(tide("run", "--", path), CANNOT_RUN, "chmod +x")
        self.assert_refused(tide("run", "--", "program", env={"PATH": str(self.folder)}),
                            CANNOT_RUN, "chmod +x")
        self.assert_refused(tide("run", "--", self.folder), CANNOT_RUN, "directory")

    def test_path_goes_on_past_unusable_files(self):
        first, second = self.folder / "1", self.folder / "2"
        for folder in (first, second):
            folder.mkdir()
            make_executable(folder / "program", "#!/bin/sh\necho ran\n")
        (first / "program").chmod(0o644)
        self.assertEqual(tide("run", "--", "program", env={"PATH": f"{first}:{second}"}).stdout,
                         "ran\n")

    @unittest.skipIf(os.geteuid() == 0, "root may look into every folder")
    def test_closed_folders_in_path(self):
        closed = self.folder / "closed"
        closed.mkdir(mode=0)
        self.assert_refused(tide("run", "--", "no-such-program", env={"PATH": str(closed)}),
                            NOT_FOUND, "PATH")
        self.assert_refused(tide("run", "--", closed / "program"), CANNOT_RUN, "Permission denied")

    def test_static(self):
        for name in ("cli_loaded_static", "cli_loaded_static_pie"):
            self.assert_refused(tide("run", "--", BUILD / "bin" / name), CANNOT_RUN, name,
                                "statically linked", "libtide.a")

    def test_set_id(self):
        for bits, word in ((stat.S_ISUID, "set-uid"), (stat.S_ISGID, "set-gid")):
            path = self.folder / word
            shutil.copy(LOADED, path)
            add_mode(path, bits)
            self.assert_refused(tide("run", "--", path), CANNOT_RUN, word, "LD_PRELOAD")

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setcap"), "needs root and setcap")
    def test_capabilities(self):
        path = self.folder / "program"
        shutil.copy(LOADED, path)
        if subprocess.run(["setcap", "cap_net_raw+ep", path], check=False).returncode != 0:
            self.skipTest("the file system keeps no capabilities")
        self.assert_refused(tide("run", "--", path), CANNOT_RUN, "capabilities")

    def test_other_machine(self):
        for machine, is_64bit, word in ((EM_386, False, "32-bit x86"),
                                        (EM_AARCH64, True, "64-bit ARM")):
            path = make_executable(self.folder / "program", elf_header(machine, is_64bit))
            self.assert_refused(tide("run", "--", path), CANNOT_RUN, word, "--library")

    def test_other_libc(self):
        content = pathlib.Path(LOADED).read_bytes()
        for loader, word in ((b"/lib/ld-musl-x86_64.so.1", "glibc"),
                             (b"/nope/ld-linux-x86.so.2", "not there")):
            ours = b"/lib64/ld-linux-x86-64.so.2"
            self.assertEqual(content.count(ours), 1)
            changed = content.replace(ours, loader.ljust(len(ours), b"\0"))
            path = make_executable(self.folder / "program", changed)
            self.assert_refused(tide("run", "--", path), CANNOT_RUN, loader.decode(), word)

    def test_no_program(self):
        for content, word in ((b"\x7fELF", "damaged"), (b"\x7fELF" + bytes(60), "damaged"),
                              (b"\0\1\2\3", "neither"), (elf_header(62, True, kind=1), "object")):
            path = make_executable(self.folder / "program", content)
            self.assert_refused(tide("run", "--", path), CANNOT_RUN, word)
        self.assert_refused(tide("run", "--", BYSTANDER), CANNOT_RUN, "shared library")

    def test_damaged_elf_files_never_crash_it(self):
        content = pathlib.Path(LOADED).read_bytes()
        for offset in (16, 18, 32, 54, 56, 64, 64 + 56, 64 + 56 + 8, 64 + 56 + 32):
            for value in (b"\xff" * 8, b"\0" * 8):
                changed = content[:offset] + value + content[offset + 8:]
                path = make_executable(self.folder / "program", changed)
                env = {"PATH": os.environ["PATH"]}
                result = tide("run", "--library", self.folder / "program", "--", path, env=env)
                self.assertIn(result.returncode, (RUN_FAILED, CANNOT_RUN, 0, -11), result.stderr)

    def test_loader_as_the_program(self):
        result = tide("run", "--", "/lib64/ld-linux-x86-64.so.2", LOADED, "libtide.so")
        self.assertEqual(result.stdout, "libtide.so\n", result.stderr)


class CommandLine(InTemporaryFolder):
    def test_help_begins_with_an_example(self):
        for arguments in (("run", "--help"), ("run", "-h"), ("env", "--help"), ("top", "--help"),
                          ("doctor", "--help"), ("--help",)):
            result = tide(*arguments)
            self.assertEqual(result.returncode, 0)
            self.assertEqual(result.stderr, "")
            lines = result.stdout.splitlines()
            self.assertEqual(lines[0], "Example:")
            self.assertTrue(lines[1].startswith("  "), lines[1])
            self.assertIn("Usage: tide", result.stdout)
            self.assertLessEqual(max(map(len, lines)), 100)

    def test_top_level(self):
        self.assertRegex(tide("--version").stdout, r"^tide \d+\.\d+\.\d+\n$")
        self.assertEqual(tide().returncode, USAGE)
        self.assert_refused(tide("runn"), USAGE, "'runn'", "'run'", "--help")
        self.assert_refused(tide("--frob"), USAGE, "option '--frob'")

    def test_bad_usage(self):
        for arguments, words in (
                (("run",), ["no program"]), (("run", "--"), ["no program"]),
                (("run", "--fleet", "1G", "--", "true"), ["unknown option '--fleet'"]),
                (("run", "--librar=x", "--", "true"), ["--librar", "--library"]),
                (("run", "-o"), ["--option"]),
                (("run", "-o", "stats", "--", "true"), ["'stats'", "OPTION=VALUE"]),
                (("run", "-o", "=1", "--", "true"), ["OPTION=VALUE"]),
                (("run", "-o", "no_such=1", "--", "true"), ["no_such"]),
                (("run", "-o", "stats=maybe", "--", "true"), ["stats", "maybe"]),
                (("run", "--stats=xml", "--", "true"), ["'xml'", "json"]),
                (("run", "--stats=json:", "--", "true"), ["file"]),
                (("run", "--stats=json:/nowhere/x", "--", "true"), ["/nowhere"])):
            with self.subTest(arguments):
                self.assert_refused(tide(*arguments), USAGE, *words)

    def test_no_colour_in_pipes(self):
        for arguments in (("run",), ("env",), ("--help",)):
            result = tide(*arguments)
            self.assertNotIn("\x1b", result.stdout + result.stderr)

    def test_colour_on_terminals(self):
        for extra, is_coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            primary, secondary = os.openpty()
            subprocess.run([TIDE, "run"], env={**clean_environment(), "TERM": "xterm", **extra},
                           stderr=secondary, check=False)
            os.close(secondary)
            text = os.read(primary, 4096).decode()
            os.close(primary)
            self.assertEqual("\x1b[" in text, is_coloured, text)

    def test_full_disk(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            result = subprocess.run([TIDE, "--help"], stdout=full, stderr=subprocess.PIPE,
                                    text=True, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("No space left", result.stderr)


class Limit(InTemporaryFolder):
    def options_of(self, *flags, env=None):
        result = tide("run", *flags, "--", "sh", "-c", "echo $TIDE_LIMIT_HARD $TIDE_LIMIT_SOFT",
                      env=env)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout.split()

    def test_sets_the_options(self):
        self.assertEqual(self.options_of("--limit", "20000000"), ["20000000", "18000000"])
        self.assertEqual(self.options_of("--limit=1G"), ["1G", str((1 << 30) // 10 * 9)])
        self.assertEqual(self.options_of("--limit", "2GiB:1GiB"), ["2GiB", "1GiB"])
        self.assertEqual(self.options_of("--limit", "1G:0"), ["1G", "0"])
        self.assertEqual(self.options_of("--limit", "0"), ["0", "0"])
        self.assertEqual(self.options_of("--limit", "auto"), ["auto", "auto"])
        self.assertEqual(self.options_of("--limit", "auto:1G"), ["auto", "1G"])

    def test_before_the_environment_and_after_it_single_options(self):
        self.assertEqual(self.options_of("--limit", "1G", env={"TIDE_LIMIT_HARD": "1"})[0], "1G")
        self.assertEqual(self.options_of("--limit", "1G", "-o", "limit_soft=5m")[1], "5m")

    def test_bad_sizes(self):
        for spec, words in (("much", ["'much'", "1024TiB"]), ("", []), ("-1", ["-1"]),
                            ("2G:", ["''"]), ("2G:x", ["'x'"]), ("2000t", ["'2000t'"]),
                            ("1G:2G", ["'2G'", "above", "'1G'"]), ("1G:1M:1", ["'1M:1'"])):
            with self.subTest(spec):
                self.assert_refused(tide("run", f"--limit={spec}", "--", "true"), USAGE, "--limit",
                                    *words)
        self.assert_refused(tide("run", "--limit"), USAGE, "--limit")

    def test_holds_in_a_real_process_and_is_recovered_from(self):
        """RSS: code, libraries, stack and the C library's memory come on top of the limit."""
        slack = 6 << 20
        limit = 64 << 20
        for size in ("100", "8000", "300000", "4000000"):
            with self.subTest(size):
                result = tide("run", "--limit", "64M", "--", HUNGRY, size)
                self.assertEqual(result.returncode, 0, result.stderr)
                figures = dict(line.split() for line in result.stdout.splitlines())
                self.assertEqual(figures["errno"], str(errno.ENOMEM))
                self.assertGreater(int(figures["first_bytes"]), limit * 3 // 4)
                self.assertGreater(int(figures["second_bytes"]), limit * 3 // 4)
                self.assertLess(int(figures["peak_rss_bytes"]), limit + slack)

    def test_unlimited_without(self):
        result = tide("run", "--", HUNGRY, "300000")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("errno 0\n", result.stdout)

    def test_children_have_it_each(self):
        result = tide("run", "--limit", "64M", "--", "sh", "-c", f"{HUNGRY} 8000; {HUNGRY} 8000")
        self.assertEqual(result.stdout.count(f"errno {errno.ENOMEM}"), 2)


class Options(InTemporaryFolder):
    def test_reach_the_program(self):
        result = tide("run", "-o", "stats=off", "-ostats_file=/tmp/x", "--", "env")
        self.assertIn("TIDE_STATS=off\n", result.stdout)
        self.assertIn("TIDE_STATS_FILE=/tmp/x\n", result.stdout)

    def test_win_over_the_environment(self):
        result = tide("run", "-o", "stats=off", "--", "sh", "-c", "echo $TIDE_STATS; tide=1",
                      env={"TIDE_STATS": "json", "TIDE_OPTIONS": "stats=json"})
        self.assertEqual(result.stdout, "off\n")
        self.assertEqual(result.stderr, "")

    def test_stats_as_text(self):
        for flag in ("--stats", "--stats=text"):
            result = tide("run", flag, "--", LOADED)
            self.assertEqual(result.returncode, 0)
            self.assertIn("tide", result.stderr)
            self.assertNotEqual(result.stderr.count("\n"), 0)

    def test_stats_as_json(self):
        result = tide("run", "--stats=json", "--", LOADED)
        self.assertTrue(json.loads(result.stderr))

    def test_stats_for_prometheus(self):
        result = tide("run", "--stats=prometheus", "--", LOADED)
        self.assertIn("# TYPE tide_live_bytes gauge\ntide_live_bytes ", result.stderr)

    def test_stats_to_a_file(self):
        for flag, read in (("--stats=json:out", json.loads), ("--stats:out", str),
                           ("--stats=:out", str), ("--stats=text:out", str)):
            with self.subTest(flag):
                (self.folder / "out").unlink(missing_ok=True)
                # The program leaves the folder; the file is where the user was.
                result = tide("run", flag, "--", "env", "-C", "/", LOADED, cwd=self.folder)
                self.assertEqual(result.stderr, "")
                self.assertTrue(read((self.folder / "out").read_text()))


if __name__ == "__main__":
    unittest.main()
