#!/usr/bin/python3
"""What src/ says about its locks (TIDE_GUARDED_BY, TIDE_REQUIRES, ...), checked by clang.

usage: tools/check_thread_safety.py [FILE.cc...]

Compiles the runtime's sources, or those named, without output and with -Werror=thread-safety.
Prints the errors and exits 1 when there are any, 77 without clang. CLANG names another compiler.
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
VERSION = re.search(r"project\(tide VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())[1]
FOLDERS = ["sys", "heap", "probe", "api", "override"]
FLAGS = ["-std=c++20", "-fsyntax-only", "-fno-exceptions", "-fno-rtti", "-Wthread-safety",
         "-Werror=thread-safety", "-DTIDE_CHECK=1", "-DTIDE_DETECTION=1",
         f'-DTIDE_VERSION="{VERSION}"',
         f"-I{ROOT / 'src'}", f"-I{ROOT / 'include'}"]


def find_clang():
    for name in (os.environ.get("CLANG"), "clang++-14", "clang++"):
        if name and shutil.which(name):
            return name
    return None


def main():
    clang = find_clang()
    if clang is None:
        print("check_thread_safety: no clang; install it with: tools/setup tidy")
        return 77
    files = [pathlib.Path(name).resolve() for name in sys.argv[1:]]
    if not files:
        files = [p for folder in FOLDERS for p in sorted((ROOT / "src" / folder).glob("*.cc"))]

    def errors(path):
        run = subprocess.run([clang, *FLAGS, str(path)], capture_output=True, text=True)
        return run.stderr if run.returncode != 0 else ""

    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = [text for text in pool.map(errors, files) if text]
    for text in found:
        print(text.replace(str(ROOT) + "/", ""), end="")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
