#!/usr/bin/python3
"""Misuse of malloc must end at the wrong call, with one exact line and SIGABRT.

  tests/misuse/run.py                              all cases on libtide.so (ctest sets TIDE_LIB)
  tests/misuse/run.py --library PATH free.small.at_once
  tests/misuse/run.py --list

A case is `call.size.misuse`; misuse.c has a function for each misuse. `sound.bytes.misuse` is one
that nobody can notice in time: the allocator must go on well, or in hardened mode say so; sound.c. Exit status: 0 all passed,
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
SIGSEGV = 11
ADDRESS = "0x[0-9a-f]+"

# What the line says of a block of each size: its class, or its bytes.
BLOCK = {
    "small": r"\((64|80)-byte class\)",  # 80: with a seal, in hardened mode
    "page": r"\((4096|4608)-byte class\)",
    "large": r"\((large block|\d+ bytes)\)",
    "huge": r"\((large block|\d+ bytes)\)",
}
SOUND = "sound"
HUGE = 64 << 20
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


# What the line says of a block of any size.
ANY_BLOCK = r"\((\d+-byte class|large block|\d+ bytes)\)"


def add_unusual(add):
    """The cases of unusual.c. Those with a call of their own have that one's name."""
    double_free = f"double free of {ADDRESS} {ANY_BLOCK}"
    inside_any = f"free of {ADDRESS}, which is inside the (live|free) block at {ADDRESS} {ANY_BLOCK}"
    stale = f"realloc of {ADDRESS} {ANY_BLOCK}, which is free already"
    nowhere = never_allocated("free")
    for misuse in "aligned_middle memalign_middle middle_of_copy".split():
        add(misuse, "free", "small", inside_any)
    # With guards on, what is behind a block and before an aligned one is another thing.
    for misuse in "posix_memalign_before behind_end behind_huge_end".split():
        add(misuse, "free", "small", any_of(inside_any, nowhere, double_free))
    for misuse in ("mapped_file mapped_shared mapped_behind_file shared_segment grows_down vdso "
                   "vsyscall environment random_of_kernel behind_brk standard_output "
                   "allocator_itself handle_of_program variable_of_thread heap_itself").split():
        add(misuse, "free", "small", nowhere)
    for misuse in "mapped_behind_file vdso vsyscall variable_of_thread".split():
        for call in "realloc", "usable_size":
            add(misuse, call, "small", never_allocated(call))
    for misuse in ("closed_file stream_of_memory at_exit in_signal_handler in_key_destructor "
                   "on_little_stack by_two_at_once of_destroyed_heap large_of_destroyed_heap "
                   "twice_in_heap").split():
        add(misuse, "free", "small", double_free)
    # By then all of its memory may have gone back.
    add("without_memory", "free", "small", any_of(double_free, nowhere))
    add("after_other_class", "free", "small", any_of(double_free, inside_any))
    for misuse in "line_of_getline stale_with_huge_size stale_array_overflow".split():
        add(misuse, "realloc", "small", stale)
    # Of which the addresses may be others' by now.
    add("stale_huge_grows", "realloc", "huge", any_of(stale, never_allocated("realloc")))
    for misuse, call in ("heap_destroyed_twice", "destroy"), ("malloc_in_destroyed_heap", "malloc"):
        add(misuse, "free", "small",
            f"tide_heap_{call} of the heap at {ADDRESS}, which was destroyed already")
    for misuse in "sized_too_large", "sized_far_too_large":
        add(misuse, "free", "small",
            rf"sized free of {ADDRESS} with \d+ bytes, but the block has \d+")
    for misuse in "hostile_alignment", "overflowing_arrays":
        add(misuse, "free", "small", None)


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

    for size in BLOCK:
        for misuse in "calloc_at_once", "aligned_at_once", "after_failed_realloc":
            line = freed_before("free", size)
            if misuse == "aligned_at_once":
                line = line.replace("64|80", "256|512")
                line = line.replace("4096|4608", "4096|4608|8192")
            add(misuse, "free", size, line)
        add("again_in_child", "free", size, freed_before("free", size))
    for call in "free", "realloc", "realloc_zero", "usable_size":
        add("of_every_size", call, "small", None)

    # The C library's own blocks are no misuse; a second free of one is.
    add("libc_block", "free", "small", None)
    add("libc_block_of_thread", "free", "small", None)
    add("libc_block_without_files", "free", "small", None)
    add("libc_block_split", "free", "small", None)
    add("libc_block_without_brk", "free", "small", None)
    add("libc_block_beside_mapping", "free", "small", None)
    add("libc_inside_without_brk", "free", "small", "tide: " + never_allocated("free"))
    add("libc_double_free", "free", "small", any_of(".*double free.*", never_allocated("free")))
    add("libc_inside", "free", "small", any_of("(tide: )?.*invalid (pointer|size).*",
                                               "tide: " + never_allocated("free")))

    for misuse in "fake_chunk", "fake_chunk_static":
        add(misuse, "free", "small", never_allocated("free"))
    # These run the misuse in a child and look how it ended.
    add("line_to_broken_pipe", "free", "small", None)
    add("line_not_into_data", "free", "small", None)

    add_unusual(add)

    written = ("write_16 write_zeros write_all write_address write_many write_address_of_live "
               "write_after_trim write_by_another write_after_realloc past_end_1 past_end_16 "
               "past_end_into_free past_end_freed before_start").split()
    for size in 16, 64, 4096, 100 << 10:
        for misuse in written:
            add(misuse, "sound", size, SOUND)
    # What has a mapping of its own is kept for the next one; not for long.
    for misuse in "write_16", "write_all", "write_address", "write_by_another":
        add(misuse, "sound", HUGE, SOUND)
    return cases


def run_sound(case, options):
    outcome = harness.launch([options.programs / "sound", case.misuse, case.size],
                             options.library, 60)
    if outcome.status == 0 and not outcome.errors:
        return None
    if int(case.size) == HUGE and outcome.status == -SIGSEGV and not outcome.errors:
        return None  # the helper thread has unmapped it meanwhile
    found = any_of(rf"write after free to byte \d+ of {ADDRESS} .*",
                   rf"\w+ of {ADDRESS} .*, past whose end was written",
                   rf"(use after free|overflow): access to {ADDRESS}.*")
    if (harness.OPTIONS.get("TIDE_HARDEN") and outcome.status in (-SIGABRT, -SIGSEGV)
            and re.fullmatch(f"tide: {found}\n", outcome.errors)):
        return None
    return f"{outcome.ending()}: {harness.last_line(outcome.errors)}"


def run_case(case, options):
    if case.line is SOUND:
        return run_sound(case, options)
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
    start = "" if "libc" in case.misuse else "tide: "
    if not re.fullmatch(f"{start}{case.line}\n", outcome.errors):
        return f"the line is {outcome.errors.strip()!r}, not /{start}{case.line}/"
    return None


OWN_LINE = "the emulator has a line of its own for the signal"
OWN_BRK = "the emulator's list of mappings has no brk area"
NO_VDSO = "the emulator has no vdso"
NOT_EMULATED = {
    **{f"{call}.small.of_every_size": "an emulated signal has no core"
       for call in ("free", "realloc", "realloc_zero", "usable_size")},
    **{f"free.small.libc_{case}": OWN_BRK
       for case in ("block_without_files", "block_without_brk", "block_beside_mapping",
                    "inside_without_brk")},
    "free.small.line_not_into_data": OWN_LINE,
    **{f"{call}.small.vdso": NO_VDSO for call in ("free", "realloc", "usable_size")},
}

if __name__ == "__main__":
    sys.exit(harness.main(__doc__.splitlines()[0], make_cases(), run_case, NOT_EMULATED))
