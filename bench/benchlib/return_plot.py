"""The command line of bench/plot-return: RSS against live bytes over time, from the ledger."""

import argparse
import json
import os
import re
import sys
from pathlib import Path

from .ledger import FOLDER
from .peers import ROOT

TOOL = "bench/plot-return"
IMAGE = ROOT / "docs/images/return.svg"

ABOUT = """\
Example: bench/plot-return
         bench/plot-return --case cache_flush --with glibc,jemalloc --out flush.svg

Draws what bench/return recorded of its last run: one panel for each other allocator, with its RSS,
that of the first allocator and the live bytes over time. Nothing is run.
"""

MINE, OTHER, LIVE = "#0b62a8", "#d1631b", "#c9ced6"   # told apart by lightness too
COLUMNS = 4
FLAT_KIB = 1024   # smaller changes would not be seen


class PlotError(Exception):
    pass


def parser():
    result = argparse.ArgumentParser(prog=TOOL, description=ABOUT, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS)
    add = result.add_argument
    add("--case", default="burst_threads", choices=("burst_threads", "cache_flush"), help="burst_threads or cache_flush")
    add("--ledger", metavar="FILE", help="read this instead of the newest of bench/ledger that has such a run")
    add("--run", metavar="ID", help="this run instead of the last one")
    add("--base", metavar="NAME", help="the allocator in every panel; else the run's first")
    add("--with", dest="names", metavar="A,B,...", help="panels of these allocators; else all of the run")
    add("--out", type=Path, default=IMAGE, metavar="FILE",
        help=f"where to write; .svg, .png or .pdf ({os.path.relpath(IMAGE, ROOT)})")
    return result


def samples_of(path, case, run):
    """(run, {allocator: [record]}) of the last run in the file, or the named one, with such samples.

    The allocators stand in the order of the run's command."""
    order, found, last = {}, {}, None
    with open(path, encoding="utf-8") as file:
        for line in file:
            # Most lines are of other workloads: only those that can matter are parsed.
            if '"kind":"run"' in line:
                record = json.loads(line)
                order[record["run"]] = [peer["name"] for peer in record["peers"]]
            if '"kind":"sample"' not in line or f'"workload":"{case}"' not in line:
                continue
            record = json.loads(line)
            if "series_ms" in record and run in (None, record["run"]):
                last = record["run"]
                found.setdefault(last, {}).setdefault(record["peer"], []).append(record)
    return (last, {name: found[last][name] for name in order[last] if name in found[last]}) if last else (None, {})


def find_samples(ledger, case, run):
    paths = [Path(ledger)] if ledger else sorted(FOLDER.glob("*.jsonl"), reverse=True)
    for path in paths:
        if not path.is_file():
            raise PlotError(f"--ledger: no file {path}")
        name, samples = samples_of(path, case, run)
        if name:
            return name, samples
    wanted = f"run {run} of {case}" if run else f"run of {case}"
    raise PlotError(f"no {wanted} in the ledger: run bench/return {case} first")


def typical(records):
    """The record of the median run time: one that happened, not a mean of several."""
    return sorted(records, key=lambda record: record["wall_s"])[len(records) // 2]


def turns(values, step):
    """Indices of points that draw the same line to within the step: the ends of its flat parts."""
    kept = [0]
    for i in range(1, len(values)):
        if abs(values[i] - values[kept[-1]]) >= step:
            kept += [i - 1, i]
    return [*kept, len(values) - 1]


def curve(record, case):
    """(seconds, RSS in MiB, live MiB); of burst_threads, second 0 is the last free."""
    begin = record["wall_s"] * 1e3 if case == "burst_threads" else 0
    kept = sorted({*turns(record["series_rss_kib"], FLAT_KIB), *turns(record["series_live_kib"], FLAT_KIB)})
    return ([(record["series_ms"][i] - begin) / 1e3 for i in kept], [record["series_rss_kib"][i] / 1024 for i in kept],
            [record["series_live_kib"][i] / 1024 for i in kept])


def chosen_names(samples, base, names):
    """(the allocator in every panel, those with a panel of their own)"""
    base = base or next(iter(samples))
    others = names.split(",") if names else [name for name in samples if name != base]
    for name in [base, *others]:
        if name not in samples:
            raise PlotError(f"no samples of '{name}' in this run; there are: {', '.join(samples)}")
    if not others:
        raise PlotError(f"this run has {base} alone: nothing to draw beside it")
    return base, others


def draw_panel(axes, name, own, base):
    seconds, rss, live = own
    axes.fill_between(seconds, live, color=LIVE, linewidth=0)
    axes.plot(seconds, rss, color=OTHER, linewidth=1.3)
    axes.plot(base[0], base[1], color=MINE, linewidth=1.8)
    axes.set_title(name, fontsize=9, loc="left")
    axes.grid(axis="y", color="#e6e8eb", linewidth=0.6)
    axes.tick_params(labelsize=8, length=2)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def shorten_paths(svg):
    """Coordinates of lines to a tenth of a point: half of the file."""
    return re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d)\d+", r"\1", path[0]), svg)


def draw(samples, case, base, others, out):
    try:
        import matplotlib
    except ImportError:
        raise PlotError("python3-matplotlib is not installed: apt-get install python3-matplotlib") from None
    matplotlib.use("Agg")
    # Text stays text, and the same samples give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "tide", "font.family": "sans-serif"})
    from matplotlib import pyplot
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    columns = min(COLUMNS, len(others))
    rows = -(-len(others) // columns)
    figure, grid = pyplot.subplots(rows, columns, sharex=True, sharey=True, squeeze=False,
                                   figsize=(2.6 * columns + 0.4, 1.9 * rows + 0.9))
    own = curve(typical(samples[base]), case)
    panels = list(grid.flat)
    for axes, name in zip(panels, others):
        draw_panel(axes, name, curve(typical(samples[name]), case), own)
    for axes in panels[len(others):]:
        axes.set_visible(False)
    for at, axes in enumerate(panels[:len(others)]):
        axes.set_ylim(bottom=0)
        if at + columns >= len(others):   # nothing below
            axes.tick_params(labelbottom=True)
    figure.supylabel("MiB", fontsize=9)
    figure.supxlabel("seconds after the last free" if case == "burst_threads" else "seconds", fontsize=9)
    figure.legend(handles=[Line2D([], [], color=MINE, linewidth=1.8, label=f"RSS on {base}"),
                           Line2D([], [], color=OTHER, linewidth=1.3, label="RSS on the panel's allocator"),
                           Patch(color=LIVE, label="live bytes")],
                  loc="upper center", ncol=3, frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.32 / figure.get_figheight()))
    out.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if out.suffix == ".svg" else {}
    figure.savefig(out, facecolor="white", metadata=metadata, dpi=120)
    pyplot.close(figure)
    if out.suffix == ".svg":
        out.write_text(shorten_paths(out.read_text(encoding="utf-8")), encoding="utf-8")


def main(arguments):
    options = parser().parse_args(arguments)
    try:
        run, samples = find_samples(options.ledger, options.case, options.run)
        base, others = chosen_names(samples, options.base, options.names)
        if options.out.suffix not in (".svg", ".png", ".pdf"):
            raise PlotError(f"--out {options.out}: the name must end in .svg, .png or .pdf")
        draw(samples, options.case, base, others, options.out)
    except PlotError as error:
        print(f"{TOOL}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{TOOL}: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{os.path.relpath(options.out)}: {options.case}, run {run}")
    return 0
