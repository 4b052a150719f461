#!/usr/bin/python3
"""The functions of libtide.so that `tide trace --pid` redirects: each has its twin, 16 unused bytes in
front, and a first instruction of two bytes or more, so that no thread can stand within those two."""

import os
import re
import subprocess
import unittest

LIBRARY = os.environ["TIDE_LIB"]
NOP = "90"
FUNCTIONS = 32


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Entries(unittest.TestCase):
    def test_entries(self):
        symbols = {}
        for line in run("nm", LIBRARY).splitlines():
            cells = line.split()
            if len(cells) == 3 and cells[2].startswith(("tide_entry_", "tide_recorded_")):
                symbols[cells[2]] = int(cells[0], 16)
        entries = {name: place for name, place in symbols.items() if "_entry_" in name}
        self.assertEqual(len(entries), FUNCTIONS)
        self.assertEqual(len(set(entries.values())), FUNCTIONS)
        code = {}
        for line in run("objdump", "-d", LIBRARY).splitlines():
            found = re.match(r"\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)", line)
            if found:
                code[int(found[1], 16)] = found[2].split()
        for name, place in entries.items():
            self.assertIn(name.replace("_entry_", "_recorded_"), symbols)
            self.assertEqual(place % 16, 0, name)
            self.assertGreaterEqual(len(code[place]), 2, f"{name}: {code[place]}")
            for at in range(place - 16, place):
                self.assertEqual(code.get(at), [NOP], f"{name}: at {at - place}")


if __name__ == "__main__":
    unittest.main()
