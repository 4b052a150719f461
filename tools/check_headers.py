#!/usr/bin/python3
"""Compiles each header of src and include alone: a header brings what it needs.

usage: tools/check_headers.py [--all | HEADER...]

Public C headers are compiled as C and as C++. Prints the compiler's first error for each header
that fails and exits 1. CXX and CC name other compilers.

Without --all or names, what costs most is done otherwise: the runtime's headers that are a source's
first include are left to the build, which compiles them just so; the tools' get the standard headers
of STANDARD ready made, and their text is searched for names of these that they do not bring.
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tools"))
import check_layers  # noqa: E402

# Standard headers, with the names that need them.
STANDARD = {
    "algorithm": "sort min max find find_if any_of all_of clamp lower_bound upper_bound",
    "array": "array", "atomic": "atomic", "cstddef": "byte nullptr_t", "functional": "function",
    "map": "map multimap", "memory": "unique_ptr shared_ptr make_unique make_shared",
    "mutex": "mutex lock_guard unique_lock", "optional": "optional nullopt", "set": "set multiset",
    "span": "span", "string": "string to_string", "string_view": "string_view", "thread": "thread",
    "unordered_map": "unordered_map", "unordered_set": "unordered_set",
    "utility": "pair move swap exchange", "variant": "variant visit", "vector": "vector",
}
# Headers that bring another one of these, by the standard or in every library there is.
BRINGS = {"utility": set(STANDARD) - {"cstddef", "atomic"}, "string_view": {"string"},
          "cstdint": {"atomic"}, "cstddef": set(STANDARD)}
HEADER_OF = {name: header for header, names in STANDARD.items() for name in names.split()}
INCLUDE = re.compile(r'^#include ([<"])([^>"]+)', re.MULTILINE)


def includes(path, seen):
    """The standard headers that `path` brings, itself or by headers of ours."""
    found = set()
    if path in seen or not path.exists():
        return found
    seen.add(path)
    for mark, name in INCLUDE.findall(path.read_text()):
        if mark == "<" and not name.startswith("tide/"):
            found.add(name)
        else:
            for folder in ("src", "include"):
                found |= includes(ROOT / folder / name, seen)
    return found


def missing_standard(path):
    """A standard header whose names stand in `path` and that it does not bring, or None."""
    brought = includes(path, set())
    text = re.sub(r"//.*", "", path.read_text())
    wanted = {HEADER_OF[name] for name in re.findall(r"\bstd::(\w+)", text) if name in HEADER_OF}
    if re.search(r"\bu?int(?:8|16|32|64|ptr)_t\b", text):
        wanted.add("cstdint")
    for header in sorted(wanted - brought):
        if not BRINGS.get(header, set()) & brought:
            return header
    return None


def first_includes(layers):
    """The headers that the build compiles alone: first in a source of the runtime."""
    found = set()
    for source in (ROOT / "src").rglob("*.cc"):
        layer = layers.get(source.parent.name)
        first = INCLUDE.search(source.read_text())
        if layer and layer.world in ("runtime", "both") and first and first[1] == '"':
            found.add(ROOT / "src" / first[2])
    return found


def make_ready(folder):
    """Compiles the standard headers; the options with which others are compiled on top of them."""
    ready = folder / "standard.h"
    ready.write_text("".join(f"#include <{name}>\n" for name in [*sorted(STANDARD), "cstdint"]))
    subprocess.run([os.environ.get("CXX", "c++"), "-std=c++20", "-x", "c++-header", str(ready),
                    "-o", f"{ready}.gch"], check=True)
    return ["-include", str(ready)]


def commands(path, layers, ready=()):
    """The compiler calls for one header."""
    common = ["-fsyntax-only", "-Wall", "-Wextra", "-Wno-pragma-once-outside-header",
              f"-I{ROOT / 'src'}", f"-I{ROOT / 'include'}"]
    cxx = [os.environ.get("CXX", "c++"), "-std=c++20", *common]
    layer = layers.get(path.relative_to(ROOT).parts[1])
    if layer and layer.world in ("runtime", "both"):
        cxx += ["-fno-exceptions", "-fno-rtti", "-DTIDE_CHECK=2", '-DTIDE_VERSION="0"']
    else:
        cxx += ['-DTIDE_VERSION="0"', *ready]
    yield [*cxx, "-x", "c++", str(path)]
    if layer and layer.world == "public" and path.suffix == ".h":
        yield [os.environ.get("CC", "cc"), "-std=c11", "-pedantic", *common, "-x", "c", str(path)]


def check(path, layers, ready=()):
    name = path.relative_to(ROOT)
    for command in commands(path, layers, ready):
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode != 0:
            error = next((l for l in run.stderr.splitlines() if "error" in l), run.stderr.strip())
            return f"{name}:1: does not compile alone: {error}"
    if ready and layers[name.parts[1]].world == "host" and (header := missing_standard(path)):
        return f"{name}:1: does not compile alone: it needs <{header}>"
    return None


def main():
    names = sys.argv[1:]
    layers = check_layers.read_layers(ROOT / "src" / "LAYERS", lambda *_: None)
    headers = [pathlib.Path(name).resolve() for name in names if name != "--all"]
    if not headers:
        for folder in ("src", "include"):
            headers += [p for p in sorted((ROOT / folder).rglob("*")) if p.suffix in (".h", ".hpp")]
    with tempfile.TemporaryDirectory() as folder:
        ready = ()
        if not names:
            shown = first_includes(layers)
            headers = [header for header in headers if header not in shown]
            ready = make_ready(pathlib.Path(folder))
        with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            checks = pool.map(lambda p: check(p, layers, ready), headers)
            faults = [fault for fault in checks if fault]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
