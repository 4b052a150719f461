#!/usr/bin/env python3
"""tide report on every kind of input: what is in the page's data, the SVG files, the errors."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree

import inputs
import sample_replay
from inputs import check, data_of, report, tide


def item(data, ending):
    found = [i for s in data["sections"] for i in s["items"] if i["id"].endswith(ending)]
    check(found, f"no item {ending}: {[i['id'] for s in data['sections'] for i in s['items']]}")
    return found[0]


def traces(folder):
    source = inputs.trace(folder / "t", 3)
    known = json.loads(tide("info", "--json", source).stdout)
    page = folder / "trace.html"
    report(source, "-o", page)
    data = data_of(page)
    check(page.stat().st_size < 5_000_000, "the page is too large")
    facts = {name: value for name, value, _ in data["sections"][0]["facts"]}
    check(facts["peak, live"] == known["peak"]["bytes"], f"peak {facts}")
    check(facts["left at the end"] == known["leaked_bytes"], f"left {facts}")
    check(facts["allocations"] == known["allocations"], f"allocations {facts}")
    live = item(data, "-memory")["series"][0]["points"]
    check(len(live) <= 2000, f"{len(live)} points")
    # Points have four significant figures.
    highest = max(point[1] for point in live)
    check(abs(highest - known["peak"]["bytes"]) <= highest / 1000, f"highest {highest}")
    sizes = sum(item(data, "-sizes")["series"][0]["values"])
    check(abs(sizes - known["allocations"]) <= known["allocations"] / 100, f"sizes {sizes}")
    made = sum(cell[2] for cell in item(data, "-sizes-over-time")["views"][1]["cells"])
    check(abs(made - known["allocations"]) <= known["allocations"] / 100, f"heat map {made}")
    return source


def others(folder, source):
    workload = inputs.converted(source, folder / "w.tidew")
    page = folder / "all.html"
    replay = inputs.replay(folder / "r.json")
    profile = inputs.converted(source, folder / "p.pb.gz")
    report(source, replay, workload, profile, "-o", page)
    data = data_of(page)
    kinds = [section["kind"] for section in data["sections"]]
    check(kinds == ["Trace", "Replay", "Workload", "Profile", "Origin"], f"kinds {kinds}")
    runs = item(data, "-figures")["rows"]
    check([row[0] for row in runs] == ["tide", "glibc", "jemalloc", "mimalloc", "tcmalloc", "brittle"],
          f"runs {runs}")
    points = {p["name"]: p["front"] for p in item(data, "-pareto")["points"]}
    check(points["tide"] and not points["glibc"] and "brittle" not in points, f"front {points}")
    said = "\n".join(data["answer"])
    check("tide is fastest" in said and "brittle did not finish: crashed: SIGSEGV" in said, said)
    check("3 GHz" in json.dumps(item(data, "origin-inputs")), "no machine")
    check("--reps 3" in json.dumps(item(data, "origin-commands")), "no command line")
    from_trace, from_workload = (next(s for s in data["sections"] if s["kind"] == kind)
                                 for kind in ("Trace", "Workload"))
    peaks = [{n: v for n, v, _ in s["facts"]}["peak, live"] for s in (from_trace, from_workload)]
    check(peaks[0] == peaks[1], f"peaks {peaks}")
    plots = folder / "plots"
    report(replay, "--svg", plots)
    names = sorted(path.name for path in plots.iterdir())
    check(any("pareto" in name for name in names) and any("memory-rss" in n for n in names), f"{names}")
    for path in plots.iterdir():
        root = xml.etree.ElementTree.parse(path).getroot()
        check(root.tag.endswith("svg") and len(list(root.iter())) > 10, f"{path} is nearly empty")


def differences(folder, source):
    other = inputs.trace(folder / "t2", 4, events=30_000)
    page = folder / "difference.html"
    report(source, other, "-o", page)
    section = data_of(page)["sections"][0]
    check(section["kind"] == "Difference", section["kind"])
    rows = {row[0]: row for row in section["items"][0]["rows"]}
    known = [json.loads(tide("info", "--json", path).stdout)["allocations"] for path in (source, other)]
    check([rows["allocations"][1][0], rows["allocations"][2][0]] == known, f"{rows['allocations']}")
    before = inputs.replay(folder / "before.json", crashed=False)
    after = inputs.replay(folder / "after.json", crashed=False, scale=1.5)
    report(before, after, "-o", page)
    data = data_of(page)
    check("wall time +50.0 %, max RSS no difference" in " ".join(data["answer"]), f"{data['answer']}")


def courses(folder):
    """Several profiles on one axis, in the order in which they were taken."""
    taken = [inputs.profile(folder / f"heap-{i}.pb", scale=1 + 9 * i, time_ns=10**18 + i * 10**9) for i in range(5)]
    page = folder / "course.html"
    report(*reversed(taken), "-o", page, "--svg", folder / "course-plots")
    data = data_of(page)
    kinds = [section["kind"] for section in data["sections"]]
    check(kinds == ["Profiles", "Profile", "Origin"], f"of many profiles the last alone has a section: {kinds}")
    check(data["sections"][1]["title"] == "heap-4.pb", data["sections"][1]["title"])
    plot = item(data, "-by-stack")
    layers = {s["name"]: [p[1] for p in s["points"]] for s in plot["series"]}
    check(layers["parse ← main"] == [1000 * (1 + 9 * i) for i in range(5)], f"{layers}")
    check(all(sum(values) == 7000 + 9000 * i for i, values in enumerate(zip(*layers.values()))), f"{layers}")
    check([p[0] for p in plot["series"][0]["points"]] == [i * 10**9 for i in range(5)], "times")
    check("parse ← main grew most, by 35.2 KiB" in " ".join(data["answer"]), f"{data['answer']}")
    svg = next((folder / "course-plots").glob("*-by-stack.svg")).read_text()
    check("load ← main" in svg, "no layer in the SVG")
    # Without times there is no axis; two are compared all the same.
    report(inputs.profile(folder / "a.pb"), inputs.profile(folder / "b.pb", scale=2), "-o", page)
    kinds = [section["kind"] for section in data_of(page)["sections"]]
    check(kinds == ["Difference", "Profile", "Profile", "Origin"], f"{kinds}")


def sweeps(folder):
    """An option's values side by side, against the first of them."""
    document = sample_replay.sample(crashed=False)
    document["runs"] = document["runs"][:3]
    for run, value, factor in zip(document["runs"], ("8ms", "1s", "10s"), (1, 2, 3)):
        run |= {"allocator": "tide", "label": f"tide purge_delay={value}", "options": {"purge_delay": value},
                "wall_ns": {"median": 1e9 * factor, "low": 1e9, "high": 1e9, "samples": [1e9]}}
    document["runs"][2] |= {"status": "crashed: SIGSEGV after 7 calls", "wall_ns": None, "rss_max_bytes": None}
    document["experiment"] = {"option": "purge_delay", "values": ["8ms", "1s", "10s"], "pareto": [0]}
    path = folder / "sweep.json"
    path.write_text(json.dumps(document))
    page = folder / "sweep.html"
    report(path, "-o", page)
    data = data_of(page)
    plot = item(data, "-sweep-wall")
    check(plot["categories"] == ["8ms", "1s", "10s"], f"{plot['categories']}")
    check([(s["name"], s["values"]) for s in plot["series"]] == [("tide", [1e9, 2e9, None])], f"{plot['series']}")
    rows = item(data, "-sweep")["rows"]
    check([row[:4] for row in rows] == [["tide", "8ms", 1e9, 0], ["tide", "1s", 2e9, 1], ["tide", "10s", None, None]],
          f"{rows}")
    colors = [s["color"] for s in item(data, "-memory")["series"] if s["name"].startswith("tide")]
    check(len(set(colors)) == len(colors) and not {8, 9} & set(colors), f"colours alike: {colors}")


def leaks(folder):
    """What nothing leads to in a core, as `tide heap CORE leaks` has it."""
    holder = inputs.BUILD / "bin/heap_graph_holder"
    if shutil.which("gcore") is None or not holder.exists():
        return
    with subprocess.Popen([holder, "wait"], stdout=subprocess.PIPE, text=True,
                          env=os.environ | {"LD_PRELOAD": str(inputs.BUILD / "lib/libtide.so")}) as process:
        while process.stdout.readline() not in ("end\n", ""):
            pass
        made = subprocess.run(["gcore", "-o", folder / "core", str(process.pid)], capture_output=True, check=False)
        process.kill()
    check(made.returncode == 0, f"{made.stderr}")
    core = folder / f"core.{process.pid}"
    wanted = json.loads(tide("heap", core, "leaks", "--json").stdout)
    check(wanted["leaked_heads"] > 3, f"{wanted['leaked_heads']} leaks")
    page = folder / "core.html"
    report(core, "-o", page)
    data = data_of(page)
    rows = item(data, "-leaked")["rows"]
    check([[row[0], *row[2:]] for row in rows] == [[h["address"], h["size"], h["holds_blocks"], h["holds_bytes"]]
                                                   for h in wanted["heads"]], f"{rows}")
    by_type = item(data, "-leak-types")["rows"]
    check(sum(row[1] for row in by_type) == wanted["leaked_heads"], f"{by_type}")
    plot = item(data, "-leaks")["series"][0]["values"]
    check(all(abs(a - row[3]) <= 5e-4 * row[3] for a, row in zip(plot, by_type)) and plot, f"plot and table differ: {plot}, {by_type}")
    facts = {n: v for n, v, _ in data["sections"][0]["facts"]}
    check(facts["leaked"] == wanted["leaked_bytes"], f"{facts}")


def errors(folder):
    def refused(content, *words):
        path = folder / "bad"
        path.write_bytes(content)
        run = tide("report", path, "-o", folder / "bad.html")
        check(run.returncode == 1, f"{content[:20]}: exit {run.returncode}")
        check(run.stderr.count("\n") == 1 and all(w in run.stderr for w in words), run.stderr)
        check(not (folder / "bad.html").exists(), "a page in spite of an error")

    refused(b"", "is empty")
    refused(b"hello, world\n" * 10, "is no trace, replay, workload, profile or core")
    refused(b'{"tide_replay": 1, "runs": [', "is damaged")
    refused(b'{"tide_replay": 1, "runs": []}', "has no run")
    refused(b'{"tide_replay": 7, "runs": []}', "another version")
    refused(b'{"tide_replay": 1, "runs": [7]}', "is damaged")
    refused(b"\x0a\x04\x08\x01\x10\x02" * 2 + b"\x12\xff\xff\x03", "is damaged")
    missing = tide("report", folder / "nowhere", "-o", folder / "x.html")
    check(missing.returncode == 1 and "cannot be opened" in missing.stderr, missing.stderr)
    same = inputs.replay(folder / "same.json")
    before = same.read_bytes()
    run = tide("report", same, "-o", f"{folder}/./same.json")
    check(run.returncode == 2 and "is one of the inputs" in run.stderr and same.read_bytes() == before, run.stderr)
    for arguments in ((), (folder / "bad",)):
        run = tide("report", *arguments)
        check(run.returncode == 2 and "tide report --help" in run.stderr, run.stderr)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        source = traces(folder)
        others(folder, source)
        differences(folder, source)
        courses(folder)
        sweeps(folder)
        leaks(folder)
        errors(folder)
    print("ok")


if __name__ == "__main__":
    main()
