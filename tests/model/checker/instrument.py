#!/usr/bin/python3
"""Makes the checker run a header of src/ as it is: its atomics become the checker's words.

  instrument.py TABLE SOURCE_DIR HEADER OUTPUT

Every memory order becomes a site with a name ("depot.h: 1 release in put") that the checker can
weaken. TABLE is a Python file with a list `changes` of (header, text, new text), for types that
have to be words and for mistakes to be found; each text must be in the header exactly once, so a
model fails to build when the code that it is about has changed.
"""

import os
import re
import runpy
import sys

REPLACED = [
    (r"std::atomic_signal_fence\([^)]*\)", "((void)0)"),
    (r"__atomic_store_n\(&([^,]+), ([^,]+), __ATOMIC_RELAXED\)", r"::checker::racy_store(\1, \2)"),
    (r"__atomic_load_n\(&([^,]+), __ATOMIC_RELAXED\)", r"::checker::racy_load(\1)"),
    (r"std::atomic<", "::checker::Atomic<"),
    (r"std::atomic_ref\b", "::checker::AtomicRef"),
    (r"base::(racy_load|racy_store|stale_load|stale_store)\b", r"::checker::\1"),
    (r"\buintptr_t\*", "::checker::Racy<uintptr_t>*"),
]
ORDERED = re.compile(r"std::memory_order_(\w+)|base::published_(load|store)\(")
FUNCTION = re.compile(r"^(?:  )?(?:\w[\w:<>&*, ]* )?(~?\w+)\(.*")


def with_sites(text, name):
    lines = []
    function = ""
    counts = {}

    def site(order):
        key = f"{name}: {order} in {function}"
        counts[key] = counts.get(key, 0) + 1
        number = f" {counts[key]}" if counts[key] > 1 else ""
        return f'::checker::order_at("{key}{number}", std::memory_order_{order})'

    def replace(match):
        if match[1]:
            return site(match[1])
        order = "acquire" if match[2] == "load" else "release"
        return f"::checker::published_{match[2]}({site(order)}, "

    for line in text.splitlines():
        found = FUNCTION.match(line)
        if found and not line.startswith(("    ", "#", "//", "  if", "  return")):
            function = found[1]
        lines.append(ORDERED.sub(replace, line))
    return "\n".join(lines) + "\n"


def main():
    table, source, header, output = sys.argv[1:]
    with open(os.path.join(source, header), encoding="utf-8") as file:
        text = file.read()
    for where, old, new in runpy.run_path(table)["changes"]:
        if where != header:
            continue
        if text.count(old) != 1:
            sys.exit(f"{table}: this text is {text.count(old)} times in {header}, not once:\n{old}")
        text = text.replace(old, new)
    for pattern, new in REPLACED:
        text = re.sub(pattern, new, text)
    text = with_sites(text, os.path.basename(header))
    text = text.replace("#pragma once", '#pragma once\n#include "tests/model/checker/racy_words.h"', 1)
    os.makedirs(os.path.dirname(output), exist_ok=True)
    with open(output, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
