#!/usr/bin/python3
"""Checks what libtide.so and libtide-trace.so need, export and do at start.

usage: tools/check_symbols.py LIBRARY

It may need libc only; what it takes from libstdc++ is weak and on a list; it exports exactly the
names of a list in tests/checks and the functions that headers of include/tide declare (EXPORTS);
it has no static constructor; its thread-local data is initial-exec and small.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The loader keeps little room for static TLS of libraries that come by dlopen: glibc 512 bytes for all.
MAX_TLS_BYTES = 96
LIBRARIES = re.compile(r"libc\.so\.6$|ld-linux.*\.so\.\d$")

# The list and the headers that say what a library exports.
EXPORTS = {
    "libtide.so": ("exports.txt", ("tide.h", "trace.h")),
    "libtide-trace.so": ("trace_exports.txt", ("trace.h",)),
}

# Null unless the program itself brings libstdc++.
WEAK_CXX = {
    "_ZSt17__throw_bad_allocv": "std::__throw_bad_alloc",
    "_ZSt15get_new_handlerv": "std::get_new_handler",
}
# The compiler's start files, and what a static program's libc may lack.
WEAK_OTHER = {
    "__gmon_start__", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable", "__cxa_finalize",
    "__cxa_thread_atexit_impl", "__libc_free", "__libc_single_threaded", "__libc_stack_end", "_r_debug",
    "dlopen", "dlsym",
}
# What the compiler's unwinder asks whether the program has threads by.
WEAK_OTHER |= {"__pthread_key_create", "pthread_mutex_lock", "pthread_mutex_unlock", "pthread_once"}
# What the start files of the compiler put into .init_array.
START_FILES = {"frame_dummy"}


def readelf(*args):
    return subprocess.run(["readelf", "-W", *args], check=True, capture_output=True, text=True).stdout


def dynamic_symbols(library):
    """(name, binding, type, is defined) of each dynamic symbol."""
    for line in readelf("--dyn-syms", library).splitlines():
        cells = line.split()
        if len(cells) >= 8 and cells[0].rstrip(":").isdigit():
            yield cells[7].split("@")[0], cells[4], cells[3], cells[6] != "UND"


def exports_of(library):
    name = re.sub(r"\.so.*", ".so", pathlib.Path(library).name)
    return EXPORTS.get(name, EXPORTS["libtide.so"])


def expected_exports(library):
    listed, headers = exports_of(library)
    text = (ROOT / "tests/checks" / listed).read_text()
    names = {line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"}
    for header in headers:
        path = ROOT / "include/tide" / header
        code = re.sub(r"//[^\n]*|/\*.*?\*/|^\s*#[^\n]*", "", path.read_text(), flags=re.S | re.M)
        # A declaration, not a pointer to a function: the name directly before the parenthesis.
        names |= set(re.findall(r"\b(tide_\w+)\s*\(", code))
    return names


def check_needed(library, report):
    for name in re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("-d", library)):
        if not LIBRARIES.match(name):
            report(f"needs {name}; only libc is allowed")


def check_undefined(library, report):
    for name, binding, _, defined in dynamic_symbols(library):
        if defined or not name:
            continue
        if name in WEAK_CXX:
            if binding != "WEAK":
                report(f"{WEAK_CXX[name]} is a strong reference; declare it weak")
        elif name in WEAK_OTHER:
            continue
        elif name.startswith(("_Z", "__cxa_", "__gxx_")):
            report(f"takes {name} from libstdc++; runtime code does without it")
        elif binding == "WEAK":
            report(f"weak reference {name}; add it to the list in tools/check_symbols.py if it is meant")


def check_exports(library, report):
    exported = {name for name, _, _, defined in dynamic_symbols(library) if defined}
    expected = expected_exports(library)
    listed = exports_of(library)[0]
    for name in sorted(expected - exported):
        report(f"does not export {name}; define it in src/override or src/preload")
    for name in sorted(exported - expected):
        report(f"exports {name}, in neither tests/checks/{listed} nor a header; hide it or list it")


def check_constructors(library, report):
    sections = readelf("-S", library)
    for section in (".init_array", ".ctors", ".preinit_array"):
        row = re.search(rf"\s{re.escape(section)}\s+\S+\s+([0-9a-f]+)\s+[0-9a-f]+\s+([0-9a-f]+)", sections)
        if not row:
            continue
        start, size = int(row.group(1), 16), int(row.group(2), 16)
        functions = {}
        for line in readelf("-s", library).splitlines():
            cells = line.split()
            if len(cells) >= 8 and cells[3] == "FUNC":
                functions[int(cells[1], 16)] = cells[7]
        for offset, target in re.findall(r"^([0-9a-f]+)\s+\S+\s+R_\w+_RELATIVE\s+([0-9a-f]+)",
                                         readelf("-r", library), re.M):
            if start <= int(offset, 16) < start + size:
                name = functions.get(int(target, 16), f"0x{target}")
                if name not in START_FILES:
                    report(f"runs {name} at start ({section}); use constant initialisation")


def check_tls(library, report):
    row = re.search(r"^\s+TLS\s+(?:0x[0-9a-f]+\s+){4}(0x[0-9a-f]+)", readelf("-l", library), re.M)
    if row and int(row.group(1), 16) > MAX_TLS_BYTES:
        report(f"{int(row.group(1), 16)} bytes of thread-local data; {MAX_TLS_BYTES} are allowed")
    dynamic = re.findall(r"R_\w*(?:DTPMOD|DTPOFF|TLSDESC)\w*", readelf("-r", library))
    if dynamic:
        report(f"thread-local data by a call ({dynamic[0]}); compile with -ftls-model=initial-exec")


def check_flags(library, report):
    text = readelf("-d", library)
    # One that is only ever preloaded by its path needs no number.
    if not re.search(r"\(SONAME\).*\[(libtide\.so\.\d+|libtide-trace\.so)\]", text):
        report("has no SONAME libtide.so.N")
    for flag, option in (("NODELETE", "-z nodelete"), ("NOW", "-z now")):
        if not re.search(rf"\((FLAGS_1|FLAGS)\).*\b{flag}\b|BIND_{flag}", text):
            report(f"is not linked with {option}")
    if "TEXTREL" in text:
        report("has relocations in its code; compile everything with -fPIC")


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip())
        return 0 if sys.argv[1:] == ["--help"] else 2
    library = sys.argv[1]
    if not pathlib.Path(library).exists():
        print(f"check_symbols: no file {library}; build it first: make", file=sys.stderr)
        return 2
    faults = []
    for check in (check_needed, check_undefined, check_exports, check_constructors, check_tls,
                  check_flags):
        check(library, faults.append)
    for fault in faults:
        print(f"{pathlib.Path(library).name} {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
