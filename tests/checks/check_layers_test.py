#!/usr/bin/python3
"""Self-test of tools/check_layers.py: each small bad tree gives exactly the fault it should."""

import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True
import check_layers  # noqa: E402

LAYERS = """\
0 tide public
0 base runtime
1 sys runtime base
3 layout both base
4 heap runtime base sys layout
5 preload runtime base sys
7 host host base layout
8 cli host base layout host heap/options.def
"""


class CheckLayers(unittest.TestCase):
    def faults(self, files, layers=LAYERS):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder).resolve()
            for name, text in {"src/LAYERS": layers, **files}.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return check_layers.check(root)

    def expect(self, place, text, files, layers=LAYERS):
        found = self.faults(files, layers)
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(place + ": "), found)
        self.assertIn(text, found[0])

    def header(self, body):
        return "// Comment.\n#pragma once\n" + body

    def test_good_tree(self):
        self.assertEqual([], self.faults({
            "src/base/bits.h": self.header("#include <bit>\n"),
            "src/sys/vm.h": self.header('#include <sys/mman.h>\n#if defined(__linux__)\n#endif\n'),
            "src/heap/engine.h": self.header('#include "heap/zone.h"\n#include "sys/vm.h"\n'),
            "src/host/table.h": self.header('#include <vector>\n#include "layout/page.h"\n'),
            "src/cli/env.h": self.header('#include "heap/options.def"\n'),
            "src/base/text.h": self.header("// __linux__ and <vector> in a comment\n"),
            "include/tide/tide.h": "#ifndef TIDE_TIDE_H\n#define TIDE_TIDE_H\n#endif\n",
        }))

    def test_upward_include(self):
        self.expect("src/sys/a.h:3", "sys may not see heap",
                    {"src/sys/a.h": self.header('#include "heap/engine.h"\n')})

    def test_sideways_include_of_the_same_number(self):
        self.expect("src/tide_b/a.h:1", "no row", {"src/tide_b/a.h": self.header("")})

    def test_preload_does_not_see_heap(self):
        self.expect("src/preload/a.h:3", "preload may not see heap",
                    {"src/preload/a.h": self.header('#include "heap/engine.h"\n')})

    def test_host_sees_a_named_file_only(self):
        self.expect("src/cli/a.h:3", "cli may not see heap",
                    {"src/cli/a.h": self.header('#include "heap/engine.h"\n')})

    def test_public_header_needs_a_row_entry(self):
        self.expect("src/heap/a.h:3", "heap may not see tide",
                    {"src/heap/a.h": self.header("#include <tide/tide.h>\n")})

    def test_parent_path(self):
        self.expect("src/heap/a.h:3", "../",
                    {"src/heap/a.h": self.header('#include "../sys/vm.h"\n')})

    def test_path_without_folder(self):
        self.expect("src/heap/a.h:3", "full path",
                    {"src/heap/a.h": self.header('#include "zone.h"\n')})

    def test_library_header_in_runtime(self):
        for name in ("string", "vector", "mutex", "iostream", "functional", "memory", "thread"):
            self.expect("src/layout/a.h:3", f"<{name}>",
                        {"src/layout/a.h": self.header(f"#include <{name}>\n")})

    def test_system_header_outside_sys(self):
        self.expect("src/heap/a.h:3", "<sys/mman.h>",
                    {"src/heap/a.h": self.header("#include <sys/mman.h>\n")})

    def test_conditional_outside_sys(self):
        for macro in ("__linux__", "__x86_64__", "__GLIBC__", "__aarch64__"):
            self.expect("src/host/a.h:3", macro,
                        {"src/host/a.h": self.header(f"#ifdef {macro}\n#endif\n")})

    def test_header_without_pragma_once(self):
        self.expect("src/base/a.h:1", "#pragma once", {"src/base/a.h": "// Comment.\nint x;\n"})

    def test_long_file(self):
        for name in ("src/base/a.h", "tests/unit/a.cc", "tools/a.py", "bench/run"):
            text = self.header("") if name.endswith(".h") else ""
            self.expect(f"{name}:500", "split", {name: text + "\n" * 501})

    def test_unlisted_source(self):
        self.expect("src/heap/b.cc:1", "src/CMakeLists.txt",
                    {"src/CMakeLists.txt": "tide_layer(heap SOURCES a.cc)\n",
                     "src/heap/a.cc": "", "src/heap/b.cc": ""})

    def test_cycle_in_layers(self):
        self.expect("src/LAYERS:2", "earlier row", {}, "0 base runtime\n1 sys runtime ds\n")
        self.expect("src/LAYERS:2", "not below", {}, "1 base runtime\n1 sys runtime base\n")

    def test_bad_row(self):
        self.expect("src/LAYERS:1", "not a row", {}, "base runtime\n")
        self.expect("src/LAYERS:1", "no such world", {}, "0 base guest\n")


if __name__ == "__main__":
    unittest.main()
