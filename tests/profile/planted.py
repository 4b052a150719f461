"""What the tests of tide profile share: a program that holds memory, and how to ask about it."""

import contextlib
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))

import support  # noqa: E402
from support import BUILD, LIBRARY, TideTest, clean_environment, tide  # noqa: E402,F401

PLANTED = str(BUILD / "bin/profile_planted")
# A busy thread makes fewer samples than that.
RATE = 4096
PROFILED = {"TIDE_PROFILE": "on", "TIDE_PROFILE_RATE": str(RATE), "LD_PRELOAD": LIBRARY}


@contextlib.contextmanager
def running(*words, program=PLANTED, env=None):
    """The program, holding what `words` say, until the end of the block."""
    environment = {**clean_environment(), **(PROFILED if env is None else env)}
    with subprocess.Popen([program, *words], env=environment, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.wait(timeout=200)


def run_to_file(path, *words, env=None):
    """The profile that the program leaves at its end."""
    subprocess.run([PLANTED, *words, "exit"], check=True, timeout=200,
                   env={**clean_environment(), **PROFILED, **(env or {}),
                        "TIDE_PROFILE_FILE": str(path)})
    return path


def functions_of(stack):
    return [frame["function"] for frame in stack["frames"]]


def bytes_of(answer, function):
    return sum(s["bytes"] for s in answer["stacks"] if function in functions_of(s))
