"""What a case is, and the list of all cases.

Each file in ../cases registers its functions with @case. A case function gets a Box (see
box.py), works in the box's directory and returns what must be the same on every allocator: a
text, or a dictionary of named texts.
"""

import dataclasses
import importlib.util
import os
import shutil

from lib import paths

GROUPS = ("dev", "full", "long")


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    group: str  # dev: what a developer's machine has anyway; full: the long list; long: minutes
    function: object
    packages: tuple  # Debian packages that hold the programs
    programs: tuple  # programs that must be there, looked up in paths.SEARCH_PATH
    threads: tuple  # one run for each entry; box.threads tells the case which
    must_load: tuple  # base names of executables that must be seen with the library
    without: tuple  # base names of executables that may run without it (set-uid, static)
    timeout: float  # seconds for one run on one allocator
    serial: bool  # no other test beside it
    summary: str

    def missing_programs(self):
        return [name for name in self.programs if not find_program(name)]


_cases = {}


def case(name, *, group="full", packages, programs, threads=(1,), must_load=None, without=(),
         timeout=300, serial=False):
    """Registers the function below it as a case; its docstring is the line in --list."""
    if group not in GROUPS:
        raise ValueError(f"case {name}: unknown group {group}")

    def register(function):
        if name in _cases:
            raise ValueError(f"case {name} is registered twice")
        loaded = must_load
        if loaded is None:
            loaded = [os.path.basename(program) for program in programs]
        summary = (function.__doc__ or "").strip().splitlines()[0]
        _cases[name] = Case(name, group, function, tuple(packages), tuple(programs),
                            tuple(threads), tuple(loaded), tuple(without), timeout, serial,
                            summary)
        return function

    return register


def find_program(name):
    """The path of a program, or None; never one from outside the system's own folders."""
    return shutil.which(name, path=paths.SEARCH_PATH)


def load_cases(folder):
    """Imports every file of the folder; returns the cases, the dev group first, by name."""
    for entry in sorted(os.listdir(folder)):
        if not entry.endswith(".py") or entry.startswith("_"):
            continue
        spec = importlib.util.spec_from_file_location("cases_" + entry[:-3],
                                                      os.path.join(folder, entry))
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return sorted(_cases.values(), key=lambda each: (GROUPS.index(each.group), each.name))
