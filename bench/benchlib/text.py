"""Tables and progress for people; both to terminals and to pipes."""

import os
import sys


def is_colour(stream):
    return stream.isatty() and "NO_COLOR" not in os.environ


def bold(text, stream=sys.stdout):
    return f"\x1b[1m{text}\x1b[0m" if is_colour(stream) else text


def render(header, rows, left=1):
    """Lines of a table; the first `left` columns are left-aligned, the others right."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = []
    for row in cells:
        parts = [cell.ljust(width) if i < left else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  ".join(parts).rstrip())
    lines.insert(1, "-" * max(len(line) for line in lines))
    return lines


def number(value):
    """Three or four digits that matter: 0.123, 12.3, 1,234."""
    if value is None:
        return "-"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 1 else f"{value:.3f}"


def times(value):
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}x"
    return f"{value:.2f}x" if value >= 0.095 else f"{value:.3f}x"


def duration(seconds):
    seconds = int(round(seconds))
    return f"{seconds // 60}:{seconds % 60:02d}"


class Progress:
    """One line on stderr that says how far a run is; lines instead when `always` and no terminal."""

    WIDTH = 24

    def __init__(self, total, always=False):
        self.total, self.done, self.always = max(total, 1), 0, always
        self.is_terminal = sys.stderr.isatty()

    def show(self, what):
        if self.is_terminal:
            filled = self.WIDTH * self.done // self.total
            bar = "#" * filled + "." * (self.WIDTH - filled)
            sys.stderr.write(f"\r\x1b[K[{bar}] {self.done}/{self.total} {what}")
            sys.stderr.flush()
        elif self.always:
            print(f"[{self.done + 1}/{self.total}] {what}", file=sys.stderr, flush=True)

    def step(self):
        self.done += 1

    def clear(self):
        if self.is_terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
