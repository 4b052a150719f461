#!/usr/bin/python3
"""Misuse of malloc must end at the wrong call, with one exact line and SIGABRT.

  tests/misuse/run.py                              all cases on libtide.so (ctest sets TIDE_LIB)
  tests/misuse/run.py --library PATH free.small.at_once
  tests/misuse/run.py --list

A case is `call.size.misuse`; misuse.c has a function for each misuse. Exit status: 0 all passed,
1 a failure, 2 bad usage, 77 nothing could be run.
"""

import dataclasses
import os
import re
import sys

sys.dont_write_bytecode = True  # leave the source tree as it is
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "conformance"))

import harness  # noqa: E402

SIGABRT = 6
ADDRESS = "0x[0-9a-f]+"

# What the line says of a block of each size: its class, or its bytes.
BLOCK = {
    "small": r"\((64|80)-byte class\)",  # 80: with a seal, in hardened mode
    "page": r"\((4096|4608)-byte class\)",
    "large": r"\((large block|\d+ bytes)\)",
    "huge": r"\((large block|\d+ bytes)\)",
}
CALL = {"free": "free", "realloc": "realloc", "realloc_zero": "(free|realloc)",
        "usable_size": "malloc_usable_size"}


@dataclasses.dataclass(frozen=True)
class Case:
    misuse: str
    call: str
    size: str
    line: str | None  # regular expression for the whole of standard error; None: no misuse at all


def freed_before(call, size):
    double_free = f"double free of {ADDRESS} {BLOCK[size]}"
    stale = f"{CALL[call]} of {ADDRESS} {BLOCK[size]}, which is free already"
    if call == "free":
        return double_free
    return f"({double_free}|{stale})" if call == "realloc_zero" else stale


def inside(call, size, state="live"):
    block = r"\(\d+-byte class\)" if size in ("small", "page") else BLOCK[size]
    return f"{CALL[call]} of {ADDRESS}, which is inside the {state} block at {ADDRESS} {block}"


def never_allocated(call):
    return (f"{CALL[call]} of {ADDRESS}, "
            "(which is not memory of this allocator|where no block was ever allocated)")


def any_of(*lines):
    return "(" + "|".join(lines) + ")"


def make_cases():
    cases = {}

    def add(misuse, call, size, line):
        cases[f"{call}.{size}.{misuse}"] = Case(misuse, call, size, line)

    freed = ("at_once after_other_frees after_other_allocations freed_by_another again_by_another "
             "of_dead_thread freed_by_dead_thread after_trim freed_by_realloc").split()
    for size in BLOCK:
        for misuse in freed:
            line = freed_before("free", size)
            if size in ("large", "huge") and misuse not in ("at_once", "again_by_another"):
                # By then its pages may be part of other free memory, or gone back.
                line = any_of(line, inside("free", size, "(live|free)"), never_allocated("free"))
            add(misuse, "free", size, line)
        for call in ("realloc", "realloc_zero", "usable_size"):
            add("at_once", call, size, freed_before(call, size))
        add("inside_by_16", "free", size, inside("free", size))
        add("inside_by_half", "free", size, inside("free", size))
        add("inside_by_1", "free", size, inside("free", size))
        add("inside_at_last", "free", size, inside("free", size))
        add("inside_by_half", "realloc", size, inside("realloc", size))
        add("inside_by_half", "usable_size", size, inside("usable_size", size))
        add("before_block", "free", size,
            any_of(inside("free", size, "(live|free)"), never_allocated("free"),
                   freed_before("free", size)))
    for size in ("small", "page"):
        add("reused_by_another", "free", size, freed_before("free", size))
        add("moved_by_realloc", "free", size, freed_before("free", size))
        add("inside_free_block", "free", size, inside("free", size, "free"))
        add("never_handed_out", "free", size,
            any_of(never_allocated("free"), freed_before("free", size)))
    add("inside_by_8", "free", "small", inside("free", "small"))
    for size in ("large", "huge"):
        add("inside_by_page", "free", size, inside("free", size))
        add("inside_by_page", "realloc", size, inside("realloc", size))
    add("inside_aligned", "free", "page", inside("free", "page"))

    nowhere = ("stack stack_of_thread global constant code library_code thread_local_variable "
               "mapped mapped_inside mapped_without_access unmapped low_mapped brk_memory low_1 "
               "low_16 low_4096 non_canonical non_canonical_ascii kernel_half minus_1 minus_16 "
               "tagged far_from_any free_before_any_malloc").split()
    for misuse in nowhere:
        add(misuse, "free", "small", never_allocated("free"))
    for misuse in ("stack global code mapped mapped_without_access unmapped low_1 non_canonical "
                   "minus_1").split():
        for call in ("realloc", "usable_size"):
            add(misuse, call, "small", never_allocated(call))

    # The C library's own blocks are no misuse; a second free of one is.
    add("libc_block", "free", "small", None)
    add("libc_block_of_thread", "free", "small", None)
    add("libc_double_free", "free", "small", any_of(".*double free.*", never_allocated("free")))
    return cases


def run_case(case, options):
    program = options.programs / "misuse"
    outcome = harness.launch([program, case.misuse, case.call, case.size], options.library, 60)
    said = harness.last_line(outcome.errors)
    if outcome.status == harness.SKIPPED:
        return "skip: the block was not handed out again"
    if case.line is None:
        return None if outcome.status == 0 else f"{outcome.ending()}: {said}"
    if outcome.status == 3:
        return "not noticed"
    if outcome.status != -SIGABRT:
        return f"{outcome.ending()}, not SIGABRT: {said}"
    # The C library's free ends the process with its own words.
    start = "" if case.misuse == "libc_double_free" else "tide: "
    if not re.fullmatch(f"{start}{case.line}\n", outcome.errors):
        return f"the line is {outcome.errors.strip()!r}, not /{start}{case.line}/"
    return None


if __name__ == "__main__":
    sys.exit(harness.main(__doc__.splitlines()[0], make_cases(), run_case))
