#!/usr/bin/python3
"""Writes docs/options.md from options.def.

usage: gen_options_doc.py OUTPUT          write the file
       gen_options_doc.py --check OUTPUT  exit 1 when the file is not what would be written
"""
import pathlib
import re
import sys

TABLE = pathlib.Path(__file__).with_name("options.def")
UNITS = {"kKiB": 2**10, "kMiB": 2**20, "kGiB": 2**30, "kTiB": 2**40, "kMillisecond": 10**6,
         "kSecond": 10**9}
NAMES = {"kBoolean": "boolean", "kInteger": "integer", "kBytes": "bytes", "kLimit": "bytes or auto",
         "kDuration": "duration",
         "kChoice": "choice", "kText": "text"}

HEAD = """# Options of the library

<!-- Made by src/api/gen_options_doc.py from src/api/options.def; change that instead. -->

Options are read at the first allocation of a process, from the environment:

    TIDE_HUGE_CACHE=64m PROGRAM           # one variable per option
    TIDE_OPTIONS="huge_cache=64m,stats=text" PROGRAM

A variable of its own counts more than `TIDE_OPTIONS`. Sizes are numbers with `k`, `m`, `g`, `t` or
`KiB`, `MiB`, `GiB`, `TiB`, always powers of 1024; durations have `ns`, `us`, `ms` or `s`, and are
milliseconds without; a boolean is `on` or `off`. A value in `TIDE_OPTIONS` can't contain a comma.

An option that is unknown or ill-formed gives one line on standard error, and its default holds. In
secure-execution mode (set-uid programs and the like) the environment is ignored. `tide env` shows all
options, their values, and where each came from; a program reads and sets them with
`tide_option_get` and `tide_option_set` of `tide.h`. Those that are "at start" are fixed from the first
allocation on.

| option | variable | type | default | range | change | meaning |
|---|---|---|---|---|---|---|
"""


def number(text):
    """The value of an expression such as `4 * kMiB`."""
    product = 1
    for factor in text.split("*"):
        factor = factor.strip()
        product *= UNITS[factor] if factor in UNITS else int(factor, 0)
    return product


def with_unit(value, units):
    for name, factor in units:
        if value and value % factor == 0:
            return f"{value // factor}{name}"
    return "0"


def shown(kind, unit, value):
    """The value as format_value() in option_value.cc prints it."""
    if kind == "kBoolean":
        return "on" if value else "off"
    if kind in ("kBytes", "kLimit"):
        return with_unit(value, (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10),
                                 ("", 1)))
    if kind == "kDuration":
        return with_unit(value, (("s", 10**9), ("ms", 10**6), ("us", 1000), ("ns", 1)))
    if kind == "kChoice":
        return unit.split("|")[value]
    return "" if kind == "kText" else str(value)


def split_arguments(text):
    """Splits at the commas outside string literals; adjacent literals are joined."""
    arguments = re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^",])+', text)
    result = []
    for argument in arguments:
        literals = re.findall(r'"((?:[^"\\]|\\.)*)"', argument)
        result.append("".join(literals) if literals or '""' in argument else argument.strip())
    return result


def rows():
    text = re.sub(r"^//.*$", "", TABLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for match in re.finditer(r'^TIDE_OPTION\(((?:"(?:[^"\\]|\\.)*"|[^")])*)\)', text, re.MULTILINE):
        arguments = split_arguments(match.group(1))
        if len(arguments) != 8:
            sys.exit(f"{TABLE}: a row with {len(arguments)} fields instead of 8: {arguments[0]}")
        yield arguments


def document():
    lines = [HEAD]
    for name, kind, initial, minimum, maximum, unit, change, meaning in rows():
        default = shown(kind, unit, number(initial))
        if kind == "kChoice":
            limits = ", ".join(f"`{word}`" for word in unit.split("|"))
        elif kind == "kText":
            limits = f"up to {number(maximum)} characters"
        elif kind == "kBoolean":
            limits = "`on`, `off`"
        else:
            limits = (f"{shown(kind, unit, number(minimum))} to "
                      f"{shown(kind, unit, number(maximum))}")
            if kind == "kLimit":
                limits += ", `auto`"
        lines.append(f"| `{name}` | `TIDE_{name.upper()}` | {NAMES[kind]} | "
                     f"{f'`{default}`' if default else 'empty'} | {limits} | "
                     f"{'at start' if change == 'kAtStart' else 'any time'} | {meaning} |\n")
    return "".join(lines)


def main():
    arguments = sys.argv[1:]
    check = arguments[:1] == ["--check"]
    if check:
        arguments = arguments[1:]
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    output = pathlib.Path(arguments[0])
    if not check:
        output.write_text(document(), encoding="utf-8")
        return 0
    if output.exists() and output.read_text(encoding="utf-8") == document():
        return 0
    print(f"{output} does not say what options.def says; run src/api/gen_options_doc.py {output}",
          file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
