#!/usr/bin/python3
"""Compiles each header of src and include alone: a header brings what it needs.

usage: tools/check_headers.py [HEADER...]

Public C headers are compiled as C and as C++. Prints the compiler's first error for each header
that fails and exits 1. CXX and CC name other compilers.
"""

import concurrent.futures
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tools"))
import check_layers  # noqa: E402


def commands(path, layers):
    """The compiler calls for one header."""
    common = ["-fsyntax-only", "-Wall", "-Wextra", "-Wno-pragma-once-outside-header",
              f"-I{ROOT / 'src'}", f"-I{ROOT / 'include'}"]
    cxx = [os.environ.get("CXX", "c++"), "-std=c++20", *common]
    layer = layers.get(path.relative_to(ROOT).parts[1])
    if layer and layer.world in ("runtime", "both"):
        cxx += ["-fno-exceptions", "-fno-rtti", "-DTIDE_CHECK=2", '-DTIDE_VERSION="0"']
    else:
        cxx += ['-DTIDE_VERSION="0"']
    yield [*cxx, "-x", "c++", str(path)]
    if layer and layer.world == "public" and path.suffix == ".h":
        yield [os.environ.get("CC", "cc"), "-std=c11", "-pedantic", *common, "-x", "c", str(path)]


def check(path, layers):
    for command in commands(path, layers):
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode != 0:
            error = next((l for l in run.stderr.splitlines() if "error" in l), run.stderr.strip())
            return f"{path.relative_to(ROOT)}:1: does not compile alone: {error}"
    return None


def main():
    headers = [pathlib.Path(name).resolve() for name in sys.argv[1:]]
    if not headers:
        for folder in ("src", "include"):
            headers += [p for p in sorted((ROOT / folder).rglob("*")) if p.suffix in (".h", ".hpp")]
    layers = check_layers.read_layers(ROOT / "src" / "LAYERS", lambda *_: None)
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        faults = [fault for fault in pool.map(lambda p: check(p, layers), headers) if fault]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
