#!/usr/bin/python3
"""Misuse that hardened mode or a sampled guard must notice: one exact line, and the right signal.

  tests/hardened/run.py                            all cases on libtide.so (ctest sets TIDE_LIB)
  tests/hardened/run.py --library PATH level2.24.write_after_free
  tests/hardened/run.py --list

A case is `option.bytes.misuse`; hardened.c has a function for each misuse. Exit status: 0 all
passed, 1 a failure, 2 bad usage.
"""

import dataclasses
import os
import re
import signal
import sys

sys.dont_write_bytecode = True  # leave the source tree as it is
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "conformance"))

import harness  # noqa: E402

A = "0x[0-9a-f]+"
BLOCK = rf"{A} \((\d+-byte class|\d+ bytes)\)"
SMALL, PAGE, LARGE, HUGE = 24, 4088, 100_000, 40_000_000  # the first two fill their class
EXIT_0 = 0
ABORT = -signal.SIGABRT
FAULT = -signal.SIGSEGV


@dataclasses.dataclass(frozen=True)
class Case:
    misuse: str
    size: int
    options: dict
    line: str  # regular expression for the first line of standard error
    ending: int
    stacks: tuple = ()  # titles of the stacks that follow


def past_end(call):
    return rf"{call} of {BLOCK}, past whose end was written"


def make_cases():
    cases = {}

    def add(option, values, misuse, size, line, ending=ABORT, stacks=()):
        cases[f"{option}.{size}.{misuse}"] = Case(misuse, size, values, line, ending, stacks)

    for level in 1, 2, 3:
        def hardened(misuse, size, line, ending=ABORT):
            add(f"level{level}", {"TIDE_HARDEN": str(level)}, misuse, size, line, ending)

        for size in SMALL, PAGE, LARGE, HUGE:
            hardened("overflow_by_1", size, past_end("free"))
            hardened("secret_after_free", size, "" if level == 1 or size < LARGE else
                     rf"use after free: access to {A} in the freed block at {BLOCK}",
                     EXIT_0 if level == 1 or size < LARGE else FAULT)
        for size in (700, PAGE, 65_000) + ((LARGE, 300_000) if level == 1 else ()):
            hardened("scattered_after_free", size, "", EXIT_0)
        for misuse in ("overflow_by_8 overflow_with_zero overflow_of_calloc "
                       "overflow_freed_by_another").split():
            hardened(misuse, SMALL, past_end("free"))
        # Its neighbours' seals are broken, too; they are not looked at.
        hardened("overflow_all_the_way", SMALL, past_end("free"))
        hardened("overflow_then_realloc", SMALL, past_end("realloc"))
        hardened("overflow_then_realloc", LARGE, past_end("realloc"))
        hardened("overflow_of_grown", LARGE, past_end("free"))
        hardened("overflow_then_growth", LARGE, past_end("realloc"))
        hardened("overflow_far_behind_grown", LARGE, past_end("free"))
        hardened("overflow_then_usable_size", SMALL, past_end("malloc_usable_size"))
        hardened("delete_of_other_size", SMALL,
                 rf"sized free of {A} with \d+ bytes, but the block has 24")
        hardened("delete_of_less_than_half", 200,
                 rf"sized free of {A} with 99 bytes, but the block has 200")
        hardened("order", 64, "", EXIT_0)
        hardened("nothing_asked", SMALL, "", EXIT_0)
        hardened("blocks_visited", SMALL, "", EXIT_0)
        if level == 1:
            for size in LARGE, 200_000, 3_000_000:
                hardened("overflow_in_longer_span", size, past_end("free"))
            continue
        hardened("not_reused_at_once", SMALL, "", EXIT_0)
        hardened("not_reused_at_once", LARGE, "", EXIT_0)
        for size in LARGE, 300_000:
            hardened("wait_is_bounded", size, "", EXIT_0)
        hardened("pages_stay_closed", LARGE, "", EXIT_0)
        for size in SMALL, PAGE, 16_384:
            for misuse in "write_after_free", "write_last_after_free", "write_after_free_at_end":
                hardened(misuse, size, rf"write after free to byte \d+ of {BLOCK}")
        for size in 1_500_000, 5_000_000, HUGE:
            hardened("write_after_move", size,
                     rf"use after free: access to {A} in the freed block at {BLOCK}", FAULT)
            hardened("free_after_move", size, f"double free of {BLOCK}")
        hardened("write_before_large", 1_000_000,
                 rf"overflow: access to {A}, past the end of the block at {BLOCK}", FAULT)
        hardened("write_below_first", SMALL,
                 rf"underflow: access to {A}, 8 bytes before the block at {BLOCK}", FAULT)
        for size in LARGE, HUGE:
            hardened("overflow_to_next_page", size,
                     rf"overflow: access to {A}, past the end of the block at {BLOCK}", FAULT)
            hardened("read_next_page", size,
                     rf"overflow: access to {A}, past the end of the block at {BLOCK}", FAULT)
            hardened("free_in_guard", size,
                     rf"free of {A}, (which is inside the live block at {A} \(.*\)|"
                     "which is not memory of this allocator|where no block was ever allocated)")
            for misuse in "write_after_free", "read_after_free":
                hardened(misuse, size,
                         rf"use after free: access to {A} in the freed block at {BLOCK}", FAULT)
    level3 = {"TIDE_HARDEN": "3"}
    for size in SMALL, PAGE:
        add("level3", level3, "write_after_free_by_ended_thread", size,
            rf"write after free to byte \d+ of {BLOCK}")
    # Seals that are right to the byte.
    for misuse, size in (("overflow_by_1", 17), ("overflow_by_1", 4000), ("overflow_of_calloc", 41),
                         ("overflow_of_aligned", SMALL), ("overflow_of_shrunk", SMALL)):
        add("level3", level3, misuse, size, past_end("free"))
    add("level3", level3, "delete_of_smaller_size", SMALL,
        rf"sized free of {A} with \d+ bytes, but the block has 24")
    add("level3", level3, "overflow_unfreed", SMALL, past_end("check"))
    add("level3", level3, "overflow_unfreed", LARGE, past_end("check"))
    add("level3", level3, "heaps_end", SMALL, "", EXIT_0)
    for misuse, made, freed in (("new_then_free", "new", "free"),
                                ("malloc_then_delete", "malloc", "delete"),
                                ("new_array_then_delete", r"new\[\]", "delete"),
                                ("new_then_delete_array", "new", r"delete\[\]")):
        wanted = {"new": "delete", "malloc": "free", r"new\[\]": r"delete\[\]"}[made]
        add("level3", level3, misuse, SMALL,
            rf"{freed} of {BLOCK}, which comes from {made} and wants {wanted}")

    guards = {"TIDE_GUARD_RATE": "1"}
    block = rf"{A} \(24 bytes, guarded\)"
    both = ("allocated", "freed")

    def guarded(misuse, line, ending, stacks):
        add("guard", guards, misuse, SMALL, line, ending, stacks)

    guarded("overflow_by_1", rf"write outside of the block, found by free of {block}", ABORT, both)
    guarded("write_before", rf"write outside of the block, found by free of {block}", ABORT, both)
    guarded("write_after_free", rf"use after free: access to {A} in the freed block at {block}",
            FAULT, both)
    guarded("read_after_free", rf"use after free: access to {A} in the freed block at {block}",
            FAULT, both)
    guarded("double_free", rf"double free of {block}", ABORT, both)
    guarded("realloc_freed", rf"realloc of {block}, which is free already", ABORT, both)
    guarded("free_inside", rf"free of {A}, which is inside the live block at {block}", ABORT,
            ("allocated",))
    guarded("underflow", rf"underflow: access to {A}, 1 bytes before the block at {block}", FAULT,
            ("allocated",))
    for misuse in "free_behind_guarded", "free_before_guarded", "realloc_behind_guarded":
        guarded(misuse, rf"(free|realloc) of {A}, which is inside the live block at {block}", ABORT,
                ("allocated",))
    add("guard", guards, "nothing_asked", SMALL, "", EXIT_0)
    add("default", {}, "nothing_asked", SMALL, "", EXIT_0)
    add("guard", guards, "blocks_visited", SMALL, "", EXIT_0)
    add("default", {}, "blocks_visited", SMALL, "", EXIT_0)
    add("guard", guards, "read_behind", 32,
        rf"overflow: access to {A}, 0 bytes past the end of the block at {A} \(32 bytes, guarded\)",
        FAULT, ("allocated",))
    return cases


def run_case(case, options):
    program = options.programs / "hardened"
    outcome = harness.launch([program, case.misuse, case.size], options.library, 60, case.options)
    lines = outcome.errors.splitlines()
    if outcome.status != case.ending:
        return f"{outcome.ending()}: {harness.last_line(outcome.errors)}"
    if not case.line:
        return f"said {outcome.errors!r}" if lines else None
    if not lines or not re.fullmatch(f"tide: {case.line}", lines[0]):
        return f"the line is {outcome.errors.strip()!r}, not /tide: {case.line}/"
    if not case.stacks:
        return f"more than one line: {lines[1:]}" if len(lines) > 1 else None
    titles = tuple(m[1] for m in (re.fullmatch(r"tide:   (\w+) by thread \d+:", line)
                                  for line in lines) if m)
    if titles != case.stacks:
        return f"stacks {titles}, not {case.stacks}"
    # Ours are left out; the first frame is the program's.
    if not re.fullmatch(rf"tide:     #0 {A} .*hardened\+{A}\)", lines[2]):
        return f"the first frame is {lines[2]!r}"
    return None


if __name__ == "__main__":
    sys.exit(harness.main(__doc__.splitlines()[0], make_cases(), run_case))
