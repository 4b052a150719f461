#!/usr/bin/env python3
"""What tide profile writes: pprof, folded, text; one profile gives the same sums in each."""

import json
import pathlib
import subprocess
import tempfile
import time
import unittest

import pprof
from planted import PLANTED, RATE, TideTest, bytes_of, run_to_file, running, tide
from support import TIDE, clean_environment

GO = [("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"),
      ("inuse_space", "bytes")]


def build_id(path):
    notes = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=True)
    return notes.stdout.partition("Build ID: ")[2].split()[0]


class Output(TideTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = run_to_file(f"{cls.folder.name}/p.prof", "leak", "sparse", "untouched")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def ask(self, *arguments, note=""):
        run = tide("profile", self.path, *arguments)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(run.stderr[:len(note)], note)
        self.assertEqual(run.stderr.count("\n"), 1 if note else 0, run.stderr)
        return run.stdout

    def pprof(self, kind):
        path = pathlib.Path(self.folder.name, f"{kind}.pb.gz")
        self.ask("--kind", kind, "-o", path)
        return pprof.Profile(path.read_bytes())

    def json(self, kind):
        return json.loads(self.ask("--kind", kind, "--json", "--top", "1000"))

    def test_every(self):
        """A file each time, until the process ends; tide report makes one course of them."""
        with running("leak", "churn") as process, tempfile.TemporaryDirectory() as folder:
            command = subprocess.Popen([TIDE, "profile", str(process.pid), "--every", "200ms", "-o", f"{folder}/h.pb.gz"],
                                       stderr=subprocess.PIPE, text=True, env=clean_environment())
            third = pathlib.Path(folder, "h-0003.pb.gz")
            while not third.exists() and command.poll() is None:
                time.sleep(0.02)
            process.kill()
            _, err = command.communicate(timeout=200)
            process.wait()
            self.assertEqual(command.returncode, 0, err)
            files = sorted(pathlib.Path(folder).glob("*"))
            self.assertIn(f"{len(files)} profiles written, the last is {files[-1]}", err)
            taken = [pprof.Profile(path.read_bytes()) for path in files]
            self.assertGreater(taken[-1].total("inuse_space", "leak_requests"), 0)
            ends = [profile.time_ns + profile.duration_ns for profile in taken]
            self.assertEqual(ends, sorted(set(ends)))
            run = tide("report", *files, "-o", f"{folder}/page.html")
            self.assertEqual((run.returncode, run.stderr), (0, ""))
            self.assertIn("leak_requests", pathlib.Path(folder, "page.html").read_text())

    def test_pprof(self):
        profile = self.pprof("inuse")
        self.assertEqual(profile.types, GO)
        self.assertEqual(profile.default_type, "inuse_space")
        self.assertEqual((profile.period_type, profile.period), (("space", "bytes"), RATE))
        self.assertLess(abs(time.time() - profile.time_ns / 1e9), 3600)
        in_use, allocated = self.json("inuse"), self.json("allocated")
        rounding = len(profile.samples)
        for function in ("leak_requests", "reserve_table", "remember_sessions"):
            self.assertAlmostEqual(profile.total("inuse_space", function),
                                   bytes_of(in_use, function), delta=rounding)
        for name, answer in (("inuse", in_use), ("alloc", allocated)):
            total = answer["total"]
            self.assertAlmostEqual(profile.total(f"{name}_space"), total["bytes"], delta=rounding)
            self.assertAlmostEqual(profile.total(f"{name}_objects"), total["blocks"], delta=rounding)
        [stack] = {tuple(names[:3]) for names, _ in profile.samples if "leak_requests" in names}
        self.assertEqual(stack, ("leak_requests", "leak", "main"))

    def test_mappings(self):
        profile = self.pprof("inuse")
        [own] = [m for m in profile.mappings if m["file"] == PLANTED]
        self.assertEqual(own["build_id"], build_id(PLANTED))
        for names, mapping, address in profile.locations.values():
            if "leak_requests" in names:
                self.assertEqual(mapping, own["id"])
                self.assertTrue(own["start"] <= address < own["limit"])

    def test_comment(self):
        """What viewers are told of the types that are not whole."""
        [comment] = self.pprof("inuse").comments
        self.assertIn("not in alloc_objects and alloc_space", comment)

    def test_types_of_pages(self):
        profile = self.pprof("fragmentation")
        self.assertEqual(profile.types, GO + [("pinned_space", "bytes")])
        self.assertEqual(profile.default_type, "pinned_space")
        self.assertAlmostEqual(profile.total("pinned_space", "remember_sessions"),
                               bytes_of(self.json("fragmentation"), "remember_sessions"),
                               delta=len(profile.samples))
        profile = self.pprof("residency")
        self.assertEqual([t for t, _ in profile.types[4:]],
                         ["resident_space", "swapped_space", "absent_space"])
        whole = profile.total("inuse_space", "reserve_table")
        self.assertEqual(profile.total("resident_space", "reserve_table") +
                         profile.total("absent_space", "reserve_table"), whole)

    def test_peak_is_in_use(self):
        peak = self.pprof("peak")
        self.assertEqual(peak.types, GO)
        self.assertAlmostEqual(peak.total("inuse_space"), self.json("peak")["total"]["bytes"],
                               delta=len(peak.samples))
        self.assertEqual(self.pprof("allocated").default_type, "alloc_space")

    def test_folded(self):
        for kind in ("inuse", "fragmentation", "residency", "lifetime"):
            folded = {}
            # Of what comes and goes not every call was counted.
            note = "not in it: " if kind == "lifetime" else ""
            for line in self.ask("--kind", kind, "--folded", note=note).splitlines():
                stack, _, value = line.rpartition(" ")
                self.assertNotIn(stack, folded)
                folded[stack] = int(value)
            self.assertAlmostEqual(sum(folded.values()), self.json(kind)["total"]["bytes"],
                                   delta=2 * len(folded) + 2)
        self.assertTrue(any(s.endswith("main;sparse;parse_requests") for s in folded), folded)

    def test_text(self):
        text = self.ask("--kind", "fragmentation", "--top", "1").splitlines()
        self.assertIn("pinned on sparse pages", text[0])
        self.assertIn("PINNED", text[1])
        self.assertIn("remember_sessions (planted.c:", text[2])
        self.assertEqual(len(text), 3)
        text = self.ask("--kind", "residency")
        for word in ("RESIDENT", "SWAPPED", "ABSENT", "reserve_table"):
            self.assertIn(word, text)
        self.assertRegex(self.ask(), r"inuse .* \+- .* blocks, from \d+ samples, one in 4.0K")

    def test_top(self):
        self.assertEqual(len(json.loads(self.ask("--json", "--top", "2"))["stacks"]), 2)


if __name__ == "__main__":
    unittest.main()
