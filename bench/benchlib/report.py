"""From rows of samples to the tables for people and the JSON for programs."""

from . import summary
from .text import bold, number, render, times

METRICS = ("wall", "cpu", "peak_kib", "end_kib", "faults", "live_rss_kib", "parked_rss_kib", "child_rss_kib",
           "live_kib", "system_calls", "memory_calls")
OWN_COLUMNS = (("live_rss_kib", "full MiB"), ("parked_rss_kib", "parked MiB"), ("child_rss_kib", "child MiB"))


def best_peer(row, metric, peers, without=None):
    """The allocator with the lowest median, among those that have samples."""
    medians = {p: summary.estimate(list(row.of(metric, p).values())).median
               for p in peers if p != without and row.of(metric, p)}
    return min(medians, key=medians.get) if medians else None


def ratio_text(quotient):
    """'0.87x', with '=' behind it when the samples do not show a difference."""
    if quotient is None:
        return "-"
    return f"{times(quotient.median)} " + (" " if summary.is_different(quotient) else "=")


def mib(row, metric, peer):
    values = list(row.of(metric, peer).values())
    return number(summary.estimate(values).median / 1024) if values else "-"


def plain_table(row, peers, base):
    """The table of one workload."""
    best = best_peer(row, "wall", peers)
    lean = best_peer(row, "peak_kib", peers)
    own = [(metric, title) for metric, title in OWN_COLUMNS if row.values.get(metric)]
    with_end = bool(row.values.get("end_kib"))
    header = ["", f"wall {row.unit}", "95 % interval", f"vs {base}", "vs best", "CPU", "peak MiB", "vs least"]
    header += ["end MiB"] if with_end else []
    header += [title for _, title in own] + ["faults"]
    with_calls = bool(row.values.get("system_calls"))
    header += ["calls", "mm calls"] if with_calls else []
    lines = []
    for peer in peers:
        samples = row.of("wall", peer)
        if not samples:
            status = "failed" if row.failures.get(peer) else "not run"  # why: see the last lines
            lines.append([peer, status] + [""] * (len(header) - 2))
            continue
        wall = summary.estimate(list(samples.values()))
        cells = [peer + failure_mark(row, peer), number(wall.median), f"{number(wall.low)}..{number(wall.high)}",
                 ratio_text(summary.ratio(samples, row.of("wall", base))) if peer != base else "1     ",
                 ratio_text(summary.ratio(samples, row.of("wall", best))) if peer != best else "best  ",
                 number(summary.estimate(list(row.of("cpu", peer).values())).median), mib(row, "peak_kib", peer),
                 ratio_text(summary.ratio(row.of("peak_kib", peer), row.of("peak_kib", lean)))]
        cells += [mib(row, "end_kib", peer)] if with_end else []
        cells += [mib(row, metric, peer) for metric, _ in own]
        cells.append(number(summary.estimate(list(row.of("faults", peer).values())).median))
        for metric in ("system_calls", "memory_calls") if with_calls else ():
            counts = list(row.of(metric, peer).values())
            cells.append(number(counts[0]) if counts else "-")
        lines.append(cells)
    return render(header, lines)


def failure_mark(row, peer):
    failed = row.failures.get(peer, [])
    return f" ({len(failed)} failed)" if failed else ""


def micro_table(rows, peers, base):
    """Cases down, allocators across: median nanoseconds, and base against the best of the others."""
    others = [peer for peer in peers if peer != base]
    header = ["wall ns of one", *peers] + ([f"{base} vs best other"] if others else [])
    lines = []
    for row in rows:
        cells = [row.case]
        for peer in peers:
            values = list(row.of("wall", peer).values())
            cells.append(number(summary.estimate(values).median) if values else "failed")
        rival = best_peer(row, "wall", others)
        if others:
            quotient = summary.ratio(row.of("wall", base), row.of("wall", rival)) if rival else None
            cells.append(f"{ratio_text(quotient)} ({rival})" if rival else "-")
        lines.append(cells)
    return render(header, lines)


def overall(rows, peers):
    """Of each allocator: geometric mean and worst of its ratios to the best other in each row.

    Micro cases count together as one row, so that many cases of one kind do not outvote the rest."""
    result = {}
    for peer in peers:
        figures = {"rows": 0, "failed_rows": 0}
        for metric in ("wall", "cpu", "peak_kib"):
            ratios = {}
            for row in rows:
                if not row.of(metric, peer):
                    continue
                rival = best_peer(row, metric, peers, without=peer)
                quotient = summary.ratio(row.of(metric, peer), row.of(metric, rival)) if rival else None
                if quotient:
                    ratios.setdefault(row.job.name, []).append(quotient.median)
            by_job = {name: summary.geometric_mean(values) for name, values in ratios.items()}
            figures[metric] = summary.geometric_mean(list(by_job.values()))
            worst = max(by_job, key=by_job.get, default=None)
            figures[metric + "_worst"] = [worst, by_job[worst]] if worst else None
            figures["rows"] = max(figures["rows"], len(by_job))
        figures["failed_rows"] = len({row.job.name for row in rows if row.failures.get(peer)})
        result[peer] = figures
    return result


def overall_table(rows, peers):
    def worst(pair):
        return f"{times(pair[1])} {pair[0]}" if pair else "-"

    lines = [[peer, times(f["wall"]), worst(f["wall_worst"]), times(f["cpu"]), times(f["peak_kib"]),
              worst(f["peak_kib_worst"]), f["failed_rows"] or "-"] for peer, f in overall(rows, peers).items()]
    return render(["against the best other", "wall", "worst row", "CPU", "peak RSS", "worst row", "failed"], lines)


def print_all(session, base, out):
    peers = [peer.name for peer in session.peers]
    rows = session.rows()
    micro = [row for row in rows if row.job.is_micro]
    for row in rows:
        if row.job.is_micro:
            continue
        print(f"\n{bold(row.title)}: {row.job.about}", file=out)
        print("\n".join(plain_table(row, peers, base)), file=out)
    for job in {id(row.job): row.job for row in micro}.values():
        print(f"\n{bold(job.name)}: {job.about}", file=out)
        print("\n".join(micro_table([row for row in micro if row.job is job], peers, base)), file=out)
    if len({row.job.name for row in rows}) > 1 and len(peers) > 1:
        print(f"\n{bold('overall')}: geometric mean over the workloads above, each against its best other allocator",
              file=out)
        print("\n".join(overall_table(rows, peers)), file=out)
    few = min((len(row.of("wall", p)) for row in rows for p in peers if row.of("wall", p)), default=0)
    print("\nvs: ratio of medians, below 1 is better; = no difference (its 95 % interval holds 1)", file=out)
    if few < summary.FEW_SAMPLES:
        print(f"note: only {few} sample(s) each; intervals mean something from {summary.FEW_SAMPLES} on (--reps)",
              file=out)
    for line in failure_lines(rows):
        print(line, file=out)


def failure_lines(rows):
    lines = []
    for row in rows:
        for peer, statuses in row.failures.items():
            line = f"failed: {row.job.name} on {peer}: {', '.join(sorted(set(statuses)))}"
            if line not in lines:
                lines.append(line)
    return lines


def as_json(session, base, run_record):
    """Everything the tables say, with the raw values."""
    peers = [peer.name for peer in session.peers]
    rows = []
    for row in session.rows():
        entry = {"workload": row.job.name, "case": row.case, "unit": row.unit, "command": row.job.shown,
                 "best": best_peer(row, "wall", peers), "allocators": {}}
        for peer in peers:
            figures = {"failures": row.failures.get(peer, [])}
            for metric in METRICS:
                samples = row.of(metric, peer)
                if not samples:
                    continue
                middle = summary.estimate(list(samples.values()))
                figures[metric] = {"median": middle.median, "low": middle.low, "high": middle.high,
                                   "samples": list(samples.values())}
                for name, other in (("vs_base", base), ("vs_best", best_peer(row, metric, peers))):
                    quotient = summary.ratio(samples, row.of(metric, other))
                    if quotient:
                        figures[metric][name] = {"median": quotient.median, "low": quotient.low,
                                                 "high": quotient.high,
                                                 "is_different": summary.is_different(quotient)}
            entry["allocators"][peer] = figures
        rows.append(entry)
    return {"run": run_record, "base": base, "rows": rows, "overall": overall(session.rows(), peers)}
