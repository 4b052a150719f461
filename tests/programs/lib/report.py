"""What the user sees: progress lines, the table at the end, JSON."""

import dataclasses
import json
import sys
import time


class Progress:
    """One line a run; on a terminal a line that is overwritten shows what runs now."""

    def __init__(self, total, out):
        self._total = total
        self._done = 0
        self._out = out
        self._live = out.isatty()
        self._start = time.monotonic()

    def begin(self, case, threads):
        if self._live:
            elapsed = time.monotonic() - self._start
            self._print(f"\r\x1b[K[{self._done + 1}/{self._total}] {label(case.name, threads)} "
                        f"... ({elapsed:.0f} s so far)", end="")

    def end(self, verdict):
        self._done += 1
        if self._live:
            self._print("\r\x1b[K", end="")
        width = len(str(self._total))
        head = f"[{self._done:{width}}/{self._total}] {label(verdict.name, verdict.threads):26}"
        if verdict.passed:
            self._print(f"{head} ok    {verdict.system_seconds:6.1f} s {verdict.seconds:6.1f} s")
        else:
            self._print(f"{head} FAILED")
            self._print(f"      {verdict.problem}")
            if verdict.logs:
                self._print(f"      logs: {verdict.logs}")

    def _print(self, text, end="\n"):
        print(text, end=end, file=self._out, flush=True)


def label(name, threads):
    return name if threads == 1 else f"{name}, {threads} threads"


def print_table(verdicts, system_label, test_label, out=sys.stdout):
    rows = [("program", f"{system_label} s", f"{test_label} s", "ratio", "CPU ratio", "result")]
    for verdict in verdicts:
        ratio = cpu_ratio = "-"
        if verdict.passed and verdict.system_seconds > 0:
            ratio = f"{verdict.seconds / verdict.system_seconds:.2f}"
        if verdict.passed and verdict.system_cpu_seconds > 0:
            cpu_ratio = f"{verdict.cpu_seconds / verdict.system_cpu_seconds:.2f}"
        rows.append((label(verdict.name, verdict.threads), f"{verdict.system_seconds:.1f}",
                     f"{verdict.seconds:.1f}", ratio, cpu_ratio,
                     "same" if verdict.passed else "FAILED"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print(file=out)
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [row[i].rjust(widths[i]) for i in range(1, len(row) - 1)]
        print("  ".join(cells + [row[-1]]), file=out)
    failed = sum(not verdict.passed for verdict in verdicts)
    print(f"\n{len(verdicts) - failed} passed, {failed} failed", file=out)


def print_json(verdicts, under_test, out=sys.stdout):
    rows = [dict(dataclasses.asdict(verdict), passed=verdict.passed) for verdict in verdicts]
    json.dump({"library": under_test.library, "results": rows}, out, indent=2)
    print(file=out)
