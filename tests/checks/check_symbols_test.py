#!/usr/bin/python3
"""Self-test of tools/check_symbols.py: small bad libraries give the faults they should."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOOD_LINK = ["-nodefaultlibs", "-lc", "-lgcc", "-Wl,-soname,libtide.so.0", "-Wl,-z,now",
             "-Wl,-z,nodelete"]
GOOD_COMPILE = ["-O2", "-fPIC", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden",
                "-ftls-model=initial-exec"]


class CheckSymbols(unittest.TestCase):
    def faults(self, source, compile_flags=(), link_flags=GOOD_LINK):
        """What the checker says of one library, the names that it does not export left out."""
        with tempfile.TemporaryDirectory() as folder:
            code = pathlib.Path(folder) / "bad.cc"
            library = pathlib.Path(folder) / "libtide.so"
            code.write_text(source)
            compiler = os.environ.get("CXX", "c++")
            subprocess.run([compiler, "-std=c++20", *GOOD_COMPILE, *compile_flags, "-shared", "-o",
                            library, code, *link_flags], check=True)
            run = subprocess.run([ROOT / "tools/check_symbols.py", library], capture_output=True,
                                 text=True)
            return [line for line in run.stdout.splitlines() if "does not export" not in line]

    def expect(self, text, *args, **kwargs):
        found = self.faults(*args, **kwargs)
        self.assertEqual(len(found), 1, found)
        self.assertIn(text, found[0])

    def test_good(self):
        self.assertEqual([], self.faults(
            "extern \"C\" __attribute__((visibility(\"default\"))) int malloc_trim() { return 0; }\n"
            "thread_local int x; int* get() { return &x; }\n"
            "namespace std { [[noreturn]] void __throw_bad_alloc() __attribute__((weak)); }\n"
            "void fail() { if (std::__throw_bad_alloc) std::__throw_bad_alloc(); }\n"))

    def test_missing_export(self):
        with tempfile.TemporaryDirectory() as folder:
            library = pathlib.Path(folder) / "libtide.so"
            subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-x", "c", "/dev/null",
                            "-o", library], check=True)
            run = subprocess.run([ROOT / "tools/check_symbols.py", library], capture_output=True,
                                 text=True)
        self.assertIn("does not export malloc;", run.stdout)
        self.assertEqual(1, run.returncode)

    def test_static_constructor(self):
        self.expect("at start (.init_array)",
                    "int f(); struct A { A(); int x; }; extern int g;\n"
                    "A::A() { x = g; } int g = 1; A a;\n")

    def test_extra_export(self):
        self.expect("exports helper", "extern \"C\" __attribute__((visibility(\"default\"))) "
                                      "void helper() {}\n")

    def test_library_symbol(self):
        found = self.faults("namespace std { [[noreturn]] void terminate() noexcept; }\n"
                            "void f() { std::terminate(); }\n")
        self.assertEqual(1, len(found), found)
        self.assertIn("_ZSt9terminatev", found[0])

    def test_strong_reference_to_a_weak_name(self):
        self.expect("std::__throw_bad_alloc is a strong reference",
                    "namespace std { [[noreturn]] void __throw_bad_alloc(); }\n"
                    "void f() { std::__throw_bad_alloc(); }\n")

    def test_needs_another_library(self):
        self.expect("needs libstdc++", "int x;\n",
                    link_flags=["-Wl,--no-as-needed", "-lstdc++", *GOOD_LINK])

    def test_big_tls(self):
        self.expect("of thread-local data", "thread_local char x[100]; char* f() { return x; }\n")

    def test_dynamic_tls(self):
        self.expect("by a call", "thread_local int x; int* f() { return &x; }\n",
                    compile_flags=["-ftls-model=global-dynamic"])

    def test_link_flags(self):
        found = self.faults("int x;\n", link_flags=["-nodefaultlibs", "-lc", "-lgcc",
                                                    "-Wl,-z,lazy"])
        self.assertEqual(3, len(found), found)


if __name__ == "__main__":
    unittest.main()
