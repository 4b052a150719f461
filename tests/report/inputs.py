"""What the tests of tide report read: traces, a replay, a workload, a profile."""

import json
import os
import pathlib
import subprocess
import sys

import sample_replay

BUILD = pathlib.Path(os.environ.get("TIDE_BUILD", "build/release")).resolve()
TIDE = str(BUILD / "bin/tide")
HOSTILE = '</script><img src=x onerror="console.error(1)"><script>console.error(2)'


def fail(text):
    raise SystemExit(f"FAILED: {text}")


def check(condition, text):
    if not condition:
        fail(text)


def tide(*arguments):
    return subprocess.run([TIDE, *map(str, arguments)], capture_output=True, text=True, timeout=120)


def report(*arguments):
    run = tide("report", *arguments)
    check(run.returncode == 0 and not run.stderr, f"tide report {arguments}: {run.stderr}")


def trace(folder, seed, events=20_000, program=None):
    subprocess.run([BUILD / "bin/write_trace", folder, str(events), "2", str(seed), "3000"],
                   capture_output=True, check=True)
    if program:
        path = folder / "1-made-up/process.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "executable": program}))
    return folder


def converted(source, path):
    run = tide("convert", source, "-o", path)
    check(run.returncode == 0, f"tide convert -o {path}: {run.stderr}")
    return path


def replay(path, crashed=True, scale=1.0, sentence=""):
    sample = sample_replay.sample(crashed)
    sample["sentence"] = sentence
    for run in sample["runs"]:
        figure = run["wall_ns"]
        if figure:
            run["wall_ns"] = {k: v * scale for k, v in figure.items() if k != "samples"}
    path.write_text(json.dumps(sample))
    return path


def profile(path, scale=1, time_ns=None):
    """A pprof profile of three stacks, written by hand; main is in all of them."""
    def varint(value):
        out = bytearray()
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        return bytes([*out, value])

    def message(number, *fields):
        body = b"".join(fields)
        return varint(number << 3 | 2) + varint(len(body)) + body

    def number(field, value):
        return varint(field << 3) + varint(value)

    names = ["", "space", "bytes", "main", "parse", "load", "copy<int>"]
    samples = (([3, 1], 4000), ([4, 2, 1], 2000), ([2, 1], 1000 * scale))
    text = message(1, number(1, 1), number(2, 2))
    for stack, value in samples:
        text += message(2, *(number(1, place) for place in stack), number(2, value))
    for place in range(1, 5):
        text += message(4, number(1, place), message(4, number(1, place)))
        text += message(5, number(1, place), number(2, place + 2))
    for name in names:
        text += message(6, name.encode())
    if time_ns is not None:
        text += number(9, time_ns)
    path.write_bytes(text)
    return path


def data_of(path):
    """What the page's scripts draw."""
    text = path.read_text(encoding="utf-8")
    begin = text.index('id="data">') + len('id="data">')
    return json.loads(text[begin:text.index("</script>", begin)])


if __name__ == "__main__":
    sys.exit("this is no test")
