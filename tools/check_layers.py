#!/usr/bin/python3
"""Checks the sources against src/LAYERS and the project's rules for files.

usage: tools/check_layers.py [ROOT]

Prints one line per fault, `file:line: what is wrong; what to do`, and exits 1 if there is any.
The rules: includes follow src/LAYERS; no `../` in an include; runtime code uses no library header
that brings code of libstdc++ and no header of the operating system outside src/sys; conditionals
on the system or the processor stand in src/sys only; a header starts with #pragma once; no file is
longer than 500 lines; each .cc of src stands in src/CMakeLists.txt.
"""

import pathlib
import re
import sys

MAX_LINES = 500
SIZED_FOLDERS = ("src", "include", "tests", "bench", "tools", "fuzz", "gdb", "cmake")
SIZED_SUFFIXES = {".h", ".hpp", ".cc", ".c", ".def", ".py", ".sh", ".cmake", ".txt", ""}
CODE_SUFFIXES = {".h", ".hpp", ".cc", ".c", ".def"}

# Library headers whose use needs code from libstdc++, an allocation or a static constructor.
FORBIDDEN_IN_RUNTIME = set(
    "algorithm any chrono condition_variable deque exception filesystem format forward_list fstream "
    "functional future iomanip iostream istream list locale map memory memory_resource "
    "mutex numeric ostream queue random regex semaphore set shared_mutex sstream stack "
    "stdexcept stop_token streambuf string system_error thread typeindex typeinfo "
    "unordered_map unordered_set valarray variant vector".split()
)

OS_HEADER = re.compile(
    r"(sys|linux|asm|bits|arpa|net|netinet)/|(unistd|pthread|sched|fcntl|signal|syscall|poll|"
    r"link|elf|immintrin|x86intrin|ucontext|execinfo|threads)\.h$|csignal$"
)
OS_CONDITIONAL = re.compile(
    r"\b(__linux(__)?|__gnu_linux__|__unix(__)?|__APPLE__|__FreeBSD__|__ANDROID__|_WIN32|_WIN64|"
    r"__GLIBC(_MINOR)?__|__GLIBC_PREREQ|__MUSL__|__BIONIC__|__x86_64(__)?|__amd64__|__i386(__)?|"
    r"__aarch64__|__arm__|__riscv|__riscv_xlen|__powerpc(64)?__|__s390x__|__mips__|__loongarch__|"
    r"__ILP32__|__LP64__|_LP64|__SSE\d?(_\d)?__|__AVX2?__)\b"
)
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


class Layer:
    def __init__(self, number, folder, world, sees):
        self.number, self.folder, self.world, self.sees = number, folder, world, sees


def read_layers(path, report):
    layers = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        cells = line.split("#", 1)[0].split()
        if not cells:
            continue
        if len(cells) < 3 or not cells[0].isdigit():
            report(path, number, "not a row of `number folder world sees`; correct the row")
            continue
        layer = Layer(int(cells[0]), cells[1], cells[2], cells[3:])
        if layer.world not in ("runtime", "host", "both", "public"):
            report(path, number, f"no such world '{layer.world}'; use runtime, host, both or public")
        for seen in layer.sees:
            folder = seen.split("/")[0]
            if folder not in layers:
                report(path, number, f"'{folder}' is not in an earlier row; a row names earlier rows")
            elif layers[folder].number >= layer.number:
                report(path, number, f"'{folder}' is not below '{layer.folder}'; take it out")
        layers[layer.folder] = layer
    return layers


def strip_comments(text):
    """The text with comments and string contents blanked, line for line."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        token = match.group()
        if token[0] in "\"'":
            return token
        return "\n" * token.count("\n")

    return pattern.sub(blank, text)


def check_include(layer, kind, name, layers):
    """What is wrong with one include of a file of `layer`, or None."""
    if "../" in name:
        return f'"{name}" goes up with ../; write the full path from src/'
    folder = name.split("/")[0] if "/" in name else None
    if kind == '"' or folder == "tide":
        if folder is None:
            return f'"{name}" has no folder; write the full path from src/'
        if folder not in layers:
            return f'"{name}": src/LAYERS has no row for \'{folder}\'; add the row or correct the path'
        if folder == layer.folder or folder in layer.sees or name in layer.sees:
            return None
        return (f"{layer.folder} may not see {folder} (\"{name}\"); move the code down a layer, or "
                "change src/LAYERS and say why in docs/decisions")
    if layer.world not in ("runtime", "both"):
        return None
    if name in FORBIDDEN_IN_RUNTIME:
        return f"<{name}> needs libstdc++ or allocates; runtime code does without it"
    if layer.folder != "sys" and OS_HEADER.match(name):
        return f"<{name}> belongs to the system; use or extend src/sys"
    return None


def check_source(path, layer, layers, report):
    lines = strip_comments(path.read_text()).splitlines()
    first = next((line for line in lines if line.strip()), "")
    if path.suffix in (".h", ".hpp") and first.strip() != "#pragma once":
        if layer.world != "public" or not first.startswith("#ifndef"):
            report(path, 1, "a header starts with #pragma once, after its comment; add it")
    for number, line in enumerate(lines, 1):
        include = INCLUDE.match(line)
        if include:
            fault = check_include(layer, include.group(1), include.group(2), layers)
            if fault:
                report(path, number, fault)
            continue
        found = OS_CONDITIONAL.search(line)
        if found and layer.folder != "sys" and layer.world != "public":
            report(path, number, f"{found.group()} outside src/sys; hide it behind a function there")


def check_sizes(root, report):
    for folder in SIZED_FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if not path.is_file() or path.suffix not in SIZED_SUFFIXES or "__pycache__" in path.parts:
                continue
            # Tables of figures and word lists are data, not code.
            if path.suffix == ".txt" and path.name != "CMakeLists.txt":
                continue
            try:
                count = len(path.read_text().splitlines())
            except UnicodeDecodeError:
                continue
            if count > MAX_LINES:
                report(path, MAX_LINES, f"{count} lines, {MAX_LINES} are allowed; split the file")


def check_sources_listed(root, report):
    list_file = root / "src" / "CMakeLists.txt"
    if not list_file.exists():
        return
    listed, folder = set(), None
    for line in list_file.read_text().splitlines():
        start = re.match(r"\s*tide_layer\((\w+)", line)
        folder = start.group(1) if start else folder
        listed |= {f"{folder}/{word}" for word in re.findall(r"[\w]+\.cc\b", line)}
        listed |= set(re.findall(r"\w+/\w+\.cc\b", line))
    for path in sorted((root / "src").rglob("*.cc")):
        if str(path.relative_to(root / "src")) not in listed:
            report(path, 1, "not built: it is missing in src/CMakeLists.txt; add it to its folder's line")


def check(root):
    """All faults of the tree at `root`, as lines of text."""
    faults = []

    def report(path, line, message):
        faults.append(f"{path.relative_to(root)}:{line}: {message}")

    layers_file = root / "src" / "LAYERS"
    layers = read_layers(layers_file, report)
    for path in sorted([*(root / "src").rglob("*"), *(root / "include").rglob("*")]):
        if not path.is_file() or path.suffix not in CODE_SUFFIXES:
            continue
        folder = path.parts[len(root.parts) + 1]
        if folder not in layers:
            report(path, 1, f"src/LAYERS has no row for the folder '{folder}'; add one")
            continue
        check_source(path, layers[folder], layers, report)
    check_sizes(root, report)
    check_sources_listed(root, report)
    return faults


def main():
    if len(sys.argv) > 2 or sys.argv[1:2] == ["--help"]:
        print(__doc__.strip())
        return 0 if sys.argv[1:] == ["--help"] else 2
    default_root = pathlib.Path(__file__).resolve().parent.parent
    root = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) == 2 else default_root
    if not (root / "src" / "LAYERS").exists():
        print(f"check_layers: {root} has no src/LAYERS; give the root of the repository", file=sys.stderr)
        return 2
    faults = check(root)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
