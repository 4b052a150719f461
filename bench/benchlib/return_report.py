"""Tables, targets and JSON of bench/return."""

from . import summary
from .return_cases import Results, returning_calls
from .text import bold, number, render


def case_table(case, results):
    header = [""] + [column.title for column in case.columns]
    header += ["returning madvise"] if case.counts_advice else []
    lines = []
    for peer in results.peers:
        failed = results.failures[peer]
        if not results.records[peer]:
            lines.append([peer, "failed" if failed else "not run"] + [""] * (len(header) - 2))
            continue
        cells = [peer + (f" ({len(failed)} failed)" if failed else "")]
        cells += [column.show(results.median(peer, column.figure)) for column in case.columns]
        if case.counts_advice:
            cells.append(number(returning_calls(results, peer)))
        lines.append(cells)
    return render(header, lines)


def judge(case, results, judged):
    """One record for each target of the case."""
    verdicts = []
    for target in case.targets:
        value = target.figure(results, judged)
        verdicts.append({"case": case.name, "what": target.what, "value": value, "limit": target.limit,
                         "limit_is": "least" if target.is_least else "most",
                         "met": None if value is None else target.is_met(value)})
    return verdicts


def verdict_cells(target, verdict):
    met = {True: "met", False: "not met", None: "no figure"}[verdict["met"]]
    limit = f"at {verdict['limit_is']} {target.show(target.limit)}"
    return [verdict["case"], verdict["what"], target.show(verdict["value"]), limit, met]


def target_table(cases, all_results, judged):
    lines = [verdict_cells(target, verdict) for case, results in zip(cases, all_results)
             for target, verdict in zip(case.targets, judge(case, results, judged))]
    return render(["case", f"targets for {judged}", "", "", ""], lines, left=2) if lines else []


def results_of(session):
    return [Results(session, job) for job in session.jobs]


def print_all(session, cases, judged, out):
    all_results = results_of(session)
    for case, results in zip(cases, all_results):
        print(f"\n{bold(case.name)}: {case.about}", file=out)
        print("\n".join(case_table(case, results)), file=out)
    print("\n" + "\n".join(target_table(cases, all_results, judged)) + "\n", file=out)
    for results in all_results:
        for peer, statuses in results.failures.items():
            if statuses:
                print(f"failed: {results.job.name} on {peer}: {', '.join(sorted(set(statuses)))}", file=out)


def as_json(session, cases, judged, run_record):
    """Every figure of the tables with its raw values, and the verdicts."""
    rows, verdicts = [], []
    for case, results in zip(cases, results_of(session)):
        allocators = {}
        for peer in results.peers:
            figures = {"failures": results.failures[peer], "calls": results.calls[peer]}
            keys = {key for record in results.records[peer].values() for key, value in record.items()
                    if isinstance(value, (int, float))}
            for key in sorted(keys):
                values = list(results.values(peer, lambda record, key=key: record.get(key)).values())
                middle = summary.estimate(values)
                figures[key] = {"median": middle.median, "low": middle.low, "high": middle.high, "samples": values}
            allocators[peer] = figures
        rows.append({"case": case.name, "command": results.job.shown, "allocators": allocators})
        verdicts += judge(case, results, judged)
    return {"run": run_record, "judged": judged, "rows": rows, "targets": verdicts}
