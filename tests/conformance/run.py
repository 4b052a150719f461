#!/usr/bin/python3
"""What the malloc family promises, checked from outside: small programs under a preloaded library.

  tests/conformance/run.py                   all cases on libtide.so (ctest sets TIDE_LIB)
  tests/conformance/run.py --library PATH results.overflow
                                                  one case, on any other library
  tests/conformance/run.py --library none             on the C library's own malloc

A case is `program.case`; the programs are the C and C++ files beside this script. Each prints one
line when it fails. Exit status: 0 all passed, 1 a failure, 2 bad usage, 77 nothing could be run.
"""

import dataclasses
import os
import re
import statistics
import sys

sys.dont_write_bytecode = True  # leave the source tree as it is
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness  # noqa: E402

MIB = 1 << 20

# An empty program may cost this much more than on the C library's malloc.
MORE_RESIDENT_KIB = 600
MORE_MAPPINGS = 12


@dataclasses.dataclass(frozen=True)
class Case:
    program: str
    argument: str = ""
    timeout: float = 240  # far more than a busy machine needs
    address_space: int | None = None  # bytes: RLIMIT_AS from the start
    preload: bool = True              # False: the program opens the library itself


def make_cases():
    cases = {}

    def add(program, arguments, **settings):
        for argument in arguments.split():
            cases[f"{program}.{argument}"] = Case(program, argument, **settings)

    add("results", "size_zero overflow too_large bad_alignment realloc_to_zero errno_kept")
    add("blocks", "usable_size aligned_to_16 every_alignment calloc_zero realloc_boundaries "
                  "realloc_to_usable realloc_growth no_overlap", timeout=480)
    add("figures", "mallinfo_true malloc_info_true malloc_stats_prints malloc_stats_peak "
                   "mallopt_known trim_gives_back one_provider sized_free")
    add("limits", "exhaust_and_recover mapped_bytes_count every_call_fails_well exhaust_in_threads "
                  "low_memory_left_alone brk_left_alone all_locked pages_protected few_mappings",
        timeout=480)
    add("limits", "start_small", address_space=64 * MIB)
    add("fork", "fork_while_busy fork_with_stdio atfork_handlers atfork_handlers_free_much "
                "fork_in_signal_handler fork_in_signal_handler_threads inherited_blocks "
                "fork_from_thread spawn_and_vfork exit_while_busy", timeout=900)
    add("threads", "short_threads tsd_destructors tsd_destructors_only tsd_destructors_busy "
                   "blocks_outlive_threads blocks_change_hands one_way huge_reallocs_race smallest_stack "
                   "little_stack keys_left_alone "
                   "stays_single_threaded cancellation no_cancellation_point "
                   "main_ends_first", timeout=480)
    add("loader", "constructors no_cxx_runtime plugins_come_and_go opened_at_run_time "
                  "second_namespace exit_handlers")
    cases["loader.opened_without_preload"] = Case("loader", "opened_at_run_time", preload=False)
    add("objects", "operators failure thread_destructors static_destructors pmr")
    cases["empty.footprint"] = Case("empty")
    cases["empty.start_small"] = Case("empty", address_space=64 * MIB)
    return cases


def program_of(case, options):
    return options.programs / f"conformance_{case.program}"


def footprint(case, options, library):
    """Resident KiB and mappings of the empty program: medians of a few runs."""
    resident, mappings = [], []
    for _ in range(7):
        outcome = harness.launch([program_of(case, options)], library, case.timeout)
        found = re.search(r"^Rss:\s+(\d+) kB", outcome.output, re.MULTILINE)
        if outcome.status != 0 or not found:
            return None
        resident.append(int(found.group(1)))
        mappings.append(len(re.findall(r"^[0-9a-f]+-[0-9a-f]+ [-r][-w]", outcome.output,
                                       re.MULTILINE)))
    return statistics.median(resident), statistics.median(mappings)


def check_footprint(case, options):
    plain = footprint(case, options, None)
    ours = footprint(case, options, options.library)
    if not plain or not ours:
        return "skip: /proc/self/smaps_rollup cannot be read"
    more_resident, more_mappings = ours[0] - plain[0], ours[1] - plain[1]
    if more_resident > MORE_RESIDENT_KIB or more_mappings > MORE_MAPPINGS:
        return (f"an empty program has {more_resident:.0f} KiB more RSS (at most "
                f"{MORE_RESIDENT_KIB}) and {more_mappings:.0f} more mappings (at most "
                f"{MORE_MAPPINGS}) than on the C library's malloc")
    return None


def run_case(case, options):
    if case.program == "empty" and case.address_space is None:
        return check_footprint(case, options)
    environment = {"CONFORMANCE_PLUGIN": str(options.programs / "conformance_plugin.so")}
    if options.library:
        environment["CONFORMANCE_LIBRARY"] = str(options.library)
    command = [program_of(case, options)] + ([case.argument] if case.argument else [])
    outcome = harness.launch(command, options.library if case.preload else None, case.timeout,
                             environment, case.address_space)
    if outcome.status == harness.SKIPPED:
        return f"skip: {harness.last_line(outcome.errors)}"
    if outcome.status != 0:
        return f"{outcome.ending()}: {harness.last_line(outcome.errors)}"
    if outcome.errors:
        return f"text on standard error: {harness.last_line(outcome.errors)}"
    return None


OWN_MEMORY = "the emulator's own memory counts"
NO_WIPING = "the emulator has no memory that a forked child finds empty"
TOO_SLOW = "an emulator is slower than the case has patience"
BUSY_FORK = "a child that an emulator forks while threads run may hang"
NOT_EMULATED = {
    "figures.trim_gives_back": OWN_MEMORY,
    "threads.tsd_destructors": OWN_MEMORY,
    "loader.plugins_come_and_go": OWN_MEMORY,
    "empty.start_small": OWN_MEMORY,
    "limits.start_small": OWN_MEMORY,
    "limits.exhaust_in_threads": OWN_MEMORY,
    "blocks.realloc_growth": TOO_SLOW,
    "fork.atfork_handlers": NO_WIPING,
    "fork.atfork_handlers_free_much": NO_WIPING,
    "fork.fork_while_busy": BUSY_FORK,
    "fork.fork_in_signal_handler_threads": BUSY_FORK,
    "fork.spawn_and_vfork": "an emulated program can't start another",
}

if __name__ == "__main__":
    sys.exit(harness.main(__doc__.splitlines()[0], make_cases(), run_case, NOT_EMULATED))
