#!/usr/bin/env python3
"""Example: tests/heap/gdb_test.py --build build/release --script gdb/tide-heap.py

GDB's command `heap` lists what the program holds, block for block, in a process, through gdbserver
and in a core; and says in one line what is wrong where something is. Runs tests/heap/holder.c.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import exact
from exact import fail


def gdb(args, *options, commands, command=None):
    """Runs GDB with the script and the commands. Returns its output and its errors."""
    environment = dict(os.environ, TIDE_COMMAND=command or f"{args.build}/bin/tide", LC_ALL="C")
    words = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-ex",
             f"source {args.script}", *options]
    for text in commands:
        words += ["-ex", text]
    run = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    if run.returncode < 0:
        fail(f"gdb {commands}: signal {-run.returncode}")
    return run.stdout, run.stderr


def blocks_of(text):
    blocks = {}
    for line in text.splitlines():
        if not line.startswith('{"address"'):
            continue
        block = json.loads(line)
        blocks[int(block["address"], 16)] = block["size"]
    if not blocks:
        fail(f"no blocks in: {text[:400]}")
    return blocks


def expect(pattern, text, what):
    if re.search(pattern, text) is None:
        fail(f"{what}: no '{pattern}' in: {text[-600:]}")


def check_answers(args, table, options, what):
    """The list on GDB's output, in a file and in a pipe of GDB's; and answers for an address."""
    address, size = max(table.held.items(), key=lambda block: block[1])
    some, some_size = min(table.held.items())
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/list"
        out, errors = gdb(args, *options, commands=[
            "heap list --ndjson", f"heap list --ndjson > {file}",
            f"pipe heap list --ndjson | wc -l > {file}.count",
            "echo <stats>\\n", "heap", "echo <info>\\n", f"heap info {address + size // 2:#x}",
            f"heap info {some:#x} --json", f"set $tide_it = {address}", "echo <value>\\n",
            "heap info '$tide_it + 1'"])
        with open(file) as listed:
            in_file = blocks_of(listed.read())
        with open(f"{file}.count") as count:
            piped = int(count.read())
    shown = blocks_of(out)
    exact.compare(table, shown, True)
    if in_file != shown or piped != len(shown):
        fail(f"{what}: {len(shown)} blocks shown, {len(in_file)} in the file, {piped} in the pipe")
    stats, info = out.split("<stats>")[1].split("<info>")
    info, value = info.split("<value>")
    expect(f"{address:x}: live", value, f"{what}: info of an expression")
    expect(f"{len(shown):,}".replace(",", ",?"), stats, f"{what}: stats")
    expect(f"{address:x}", info, f"{what}: info of an address inside")
    expect(f'"{some:#x}"', info, f"{what}: info as JSON")
    expect(f'"size": ?{some_size}', info, f"{what}: info as JSON")
    if "error" in errors.lower() or "Traceback" in errors:
        fail(f"{what}: {errors}")


def check_process(args, folder):
    table, process = exact.start(args, folder, 1, "wait")
    try:
        if process.stdout.readline() != "ready\n":
            fail(f"the program ended: {process.stderr.read()}")
        held = exact.Table(table)
        check_answers(args, held, ["-p", str(process.pid)], "process")
        if shutil.which("gdbserver") is not None:
            check_server(args, held, process.pid)
        core = os.path.join(folder, "made")
        gdb(args, "-p", str(process.pid), commands=[f"generate-core-file {core}"])
        check_answers(args, held, [args.holder, core], "core of GDB")
        check_loaded(args, process.pid)
    finally:
        process.kill()
        process.wait()


def check_server(args, held, pid):
    check_answers(args, held, [
        "-ex", f"target remote | gdbserver --once --attach stdio {pid}"], "gdbserver")


def check_core(args, folder):
    table, process = exact.start(args, folder, 2, "abort")
    process.wait(timeout=120)
    core = exact.find_core(folder)
    if core is None:
        return "no core of the kernel: see /proc/sys/kernel/core_pattern"
    check_answers(args, exact.Table(table), [args.holder, core], "core")
    return "core of the kernel"


def check_loaded(args, pid):
    """As it is installed, by the library's name, GDB loads the script by itself."""
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.realpath(args.preload)
        place = folder + os.path.dirname(library)
        os.makedirs(place)
        shutil.copy(args.script, f"{place}/{os.path.basename(library)}-gdb.py")
        environment = dict(os.environ, TIDE_COMMAND=f"{args.build}/bin/tide")
        run = subprocess.run(
            ["gdb", "-nx", "-batch", "-iex", f"add-auto-load-scripts-directory {folder}", "-iex",
             f"add-auto-load-safe-path {folder}", "-p", str(pid), "-ex", "heap stats"],
            env=environment, capture_output=True, text=True, timeout=120)
        expect("live", run.stdout, f"loaded by itself: {run.stderr[-600:]}")


def check_faults(args):
    expect("there is no process and no core", gdb(args, commands=["heap"])[1], "no process")
    expect("there is no command '/nowhere'", gdb(
        args, commands=["heap --help"], command="/nowhere")[1], "no command")
    expect("there is no command '/elsewhere'", gdb(
        args, commands=["set tide-command /elsewhere", "heap --help"])[1], "set tide-command")
    expect("tide heap", gdb(args, commands=["heap --help"])[0], "help")
    expect("heap leaks", gdb(args, commands=["help heap"])[0], "help heap")
    expect("(?m)^heap retained$",
           gdb(args, commands=["complete heap re"])[0], "completion")
    started = ["-ex", "starti", "/bin/true"]
    for command, line in [("heap nothing", "there is no question 'nothing'"),
                          ("heap stats", "no heap of Tide or of glibc"),
                          ("heap list > /nowhere/x", "/nowhere/x: No such file"),
                          ("heap list > a b", "behind '>' comes one file"),
                          ("heap info 'x", "No closing quotation"),
                          ("heap path no_such_thing", "'no_such_thing' is no address: No symbol"),
                          ("heap retained no_such_thing", "is no address: No symbol")]:
        errors = gdb(args, *started, commands=[command, "kill"])[1]
        expect(re.escape(line), errors, command)
        if "Traceback" in errors or "Python Exception" in errors:
            fail(f"{command}: {errors}")


def main():
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.environ.get("TIDE_BUILD", "build/release"))
    parser.add_argument("--script", default="gdb/tide-heap.py")
    args = parser.parse_args()
    if shutil.which("gdb") is None:
        print("skipped: gdb is not installed")
        return 77
    args.build = os.path.abspath(args.build)
    args.script = os.path.abspath(args.script)
    args.holder = f"{args.build}/bin/heap_holder"
    args.preload = f"{args.build}/lib/libtide.so"
    args.environment = {}
    args.steps = 5000
    try:
        check_faults(args)
        with tempfile.TemporaryDirectory() as folder:
            check_process(args, folder)
        with tempfile.TemporaryDirectory() as folder:
            done = check_core(args, folder)
    except AssertionError as error:
        print(error, file=sys.stderr)
        return 1
    server = "gdbserver" if shutil.which("gdbserver") else "no gdbserver on this machine"
    print(f"process, core of GDB, {server}, {done}: 0 missing, 0 extra")
    return 0


if __name__ == "__main__":
    sys.exit(main())
