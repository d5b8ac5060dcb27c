# SPDX-License-Identifier: Apache-2.0
"""Nearest neighbours beside the libraries people pick: `./dev bench ann [CASE]... [--write]`.

Every case is ours and a peer in processes of their own, asked alternately; the ratio is of queries
a second at equal recall, its lower quartile over the pairs.  How hard to look is chosen by one half
of the queries and measured by the other (support/ann_driver.py); data sets: support/ann_data.py.

    ./dev bench ann --list
    ./dev bench ann hnsw --data sift-like@100k
    ./dev bench ann try --data emb-768@50k --metric cosine --mode HNSW m=24 --peer hnswlib m=16
    ./dev bench ann --prepare hnsw --data ood@500k       what a later run finds done
    ./dev bench ann --short        seconds, for CI: it runs, and recall is above a floor
    ./dev bench ann --full         every case over its data sets: hours, in stages that are kept as
                                   they end and are done once (support/ann_stages.py)
    ./dev bench ann --report       bench/RESULTS.md and the plots, of the stages that there are
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

from support.ann_cases import CASES, SETS, Case
from support.ann_data import NAMES, DataSet, data_set
from support.ann_driver import (
    Bracket,
    Built,
    Driver,
    Load,
    System,
    fastest_of,
    halves,
    pairs_of,
    save_curve,
    truth_limits,
)
from support.ann_filter import prepare_filtered, run_filtered
from support.ann_filter_product import prepare_products, run_filtered_products
from support.ann_stages import all_stages, has_stage, keep_stage, stage_name
from support.peers import peer_python
from support.results import (
    DATA,
    PAIRS,
    ROOT,
    Table,
    build_program,
    lower_quartile,
    say,
    write_results,
)

CURVES = DATA / "ann" / "curves"
SHORT_DATA = ("sift-like@5000", "emb-384@3000")
SHORT_MODES = {
    "FLAT": 1.0,
    "FLAT-SQ8": 0.95,
    "FLAT-RABITQ": 0.95,
    "HNSW": 0.9,
    "IVF": 0.9,
    "IVF-SQ8": 0.9,
    "IVF-RABITQ": 0.9,
}


def metric_of(data: DataSet) -> str:
    return "l2" if data.name.startswith("sift") else "cosine"


def add_memory(table: Table, case: Case, ours: Driver, peer: Driver, built: dict) -> None:
    """Bytes a vector, with the vectors themselves where an index has not copied them."""
    data = ours.data
    raw = data.dim * 4
    own = built[ours].bytes / data.rows + raw
    other = built[peer].bytes / data.rows + (raw if peer.system.is_exact() else 0)
    index = built[ours].bytes / data.rows
    ratio = index / other if case.memory_target else own / other
    table.add(
        f"memory of {case.ours.label()}, {data.name}",
        f"≤ {case.memory_target:.2f}× without the vectors" if case.memory_target else "–",
        f"{own:.0f} B a vector, {index:.0f} without the vectors",
        f"{peer.system.label()}: {other:.0f} B",
        f"{ratio:.2f}",
        ratio <= case.memory_target if case.memory_target else None,
    )


def add_build(table: Table, case: Case, ours: Driver, peer: Driver, built: dict) -> None:
    """By processor time: two threads each, and others may have had the processors then."""
    own, other = built[ours].processor_seconds, built[peer].processor_seconds
    ratio = other / own if own > 0 else float("inf")
    table.add(
        f"build of {case.ours.label()}, {ours.data.name}, two threads, by processor time",
        f"≥ {case.build_target}×" if case.build_target else "–",
        f"{own / 2:.1f} s each",
        f"{peer.system.label()}: {other / 2:.1f} s each",
        f"{ratio:.2f}, once",
        ratio >= case.build_target if case.build_target else None,
    )


def limit_note(case: Case, ours: Bracket, rate: float) -> str:
    """The fraction of what the memory or the processor would allow; docs: bench/README.md."""
    if not case.limit or case.load.by_processor:  # the probes go by the clock
        return ""
    data, threads = ours.driver.data, case.load.threads
    if case.limit == "multiply":
        one = ours.driver.limit(0, ours.queries)
        seconds = 2 * data.rows * data.dim / (one.multiply * threads)
        return f", {rate * seconds:.2f} of the products"
    one = ours.driver.limit(ours.efforts[1], ours.queries)
    if case.limit == "gather":
        seconds = one.distances * one.gather
        return f", {rate * seconds:.2f} of {one.distances:.0f} rows of {one.row_bytes} B at random"
    if ours.driver.system == System("FLAT"):  # its shadow is read, a byte a component
        one = one._replace(distances=data.rows, row_bytes=data.dim)
    read = one.read if threads == 1 else one.read_two
    seconds = one.distances * one.row_bytes / read
    return f", {rate * seconds:.2f} of {read * 1e-9:.1f} GB/s"


def add_recall(
    table: Table, case: Case, recall: float, ours: Driver, peers: list[Driver], pairs: int
) -> Driver:
    """The fastest peer, beside which it was measured."""
    a = Bracket(ours, recall, case.load)
    reached = []
    for peer in peers:
        try:
            reached.append(Bracket(peer, recall, case.load))
        except LookupError as error:
            say(str(error))
    if not reached:
        raise LookupError(f"none beside {case.ours.label()} reaches {recall}")
    b = fastest_of(reached)
    measured = pairs_of(a, b, pairs)
    quartile = lower_quartile([x / y for x, y in measured])
    rate, other = (statistics.median(pair[i] for pair in measured) for i in (0, 1))
    threads = f", {case.load.threads} threads" if case.load.threads > 1 else ""
    threads += ", by processor time" if case.load.by_processor else ""
    how = "all at once" if case.load.batch == 0 else "one by one"
    what = "exact" if recall == 1 else f"recall@10 {recall}"
    table.add(
        f"{case.ours.label()}, {ours.data.name}, {ours.metric}, {what}, {how}{threads}",
        f"≥ {case.target}× (goal {case.goal})" if case.target else "–",
        f"{rate:,.0f} /s, {a.note()}{limit_note(case, a, rate)}",
        f"{b.driver.system.label()}: {other:,.0f} /s, {b.note()}",
        f"{quartile:.2f}",
        quartile >= case.target if case.target else None,
    )
    return b.driver


class Kept:
    """Systems that are built: cases that follow one another may share them."""

    def __init__(self) -> None:
        self.drivers: dict[tuple, Driver] = {}
        self.built: dict[Driver, Built] = {}

    def take(self, systems: tuple[System, ...], data: DataSet, metric: str) -> list[Driver]:
        """Those that can be had; all others are dropped, for they take memory."""
        wanted = [(system, data, metric) for system in systems]
        for key in [key for key in self.drivers if key not in wanted]:
            self.drivers.pop(key).close()
        for key in wanted:
            if key not in self.drivers:
                try:
                    driver = Driver(*key)
                except LookupError:  # a peer that cannot be had; it was said
                    continue
                self.drivers[key] = driver
                self.built[driver] = driver.build()
        return [self.drivers[key] for key in wanted if key in self.drivers]

    def drop_all(self) -> None:
        for driver in self.drivers.values():
            driver.close()
        self.drivers.clear()


def measure_case(
    table: Table, kept: Kept, case: Case, data: DataSet, metric: str, pairs: int
) -> None:
    ours, *peers = kept.take((case.ours, *case.peers_over(data)), data, metric)
    if not peers or ours.system != case.ours:
        raise LookupError("no peer can be had")
    best = peers[0]
    for recall in case.recalls:
        try:
            best = add_recall(table, case, recall, ours, peers, pairs)
        except LookupError as error:
            table.add(f"{case.ours.label()}, {data.name}", "–", str(error), "–", "", False)
    if case.ours.is_exact():
        return
    if case.build_target:
        add_build(table, case, ours, best, kept.built)
    add_memory(table, case, ours, best, kept.built)
    for driver in (ours, best):
        if not driver.system.is_scan() and case.load.threads == 1:
            save_curve(CURVES, driver, case.load)


def run_case(
    table: Table, kept: Kept, case: Case, data: DataSet, metric: str, pairs: int = PAIRS
) -> None:
    try:
        if case.is_filtered:
            kept.drop_all()
            run_filtered(table, case.ours, data, metric, case.load, pairs)
            return
        if case.is_of_products:
            kept.drop_all()
            run_filtered_products(table, case.ours, data, metric, pairs)
            return
        truth_limits(data, metric)
        measure_case(table, kept, case, data, metric, pairs)
    except (LookupError, RuntimeError) as error:
        say(f"LEFT OUT: {case.ours.label()}, {data.name}: {error}")
        kept.drop_all()


def prepare(args: argparse.Namespace) -> None:
    """What takes long and is not measured: data, exact answers, indexes, ours and the peers'."""
    kept = Kept()
    for wanted, name, case in case_list(args):
        data = data_set(wanted)
        if data:
            say(f"prepare {stage_name(name, wanted)}")
            metric = args.metric or metric_of(data)
            if case.is_filtered:
                prepare_filtered(case.ours, data, metric)
            elif case.is_of_products:
                prepare_products(case.ours, data, metric)
            else:
                truth_limits(data, metric)
                for system in (case.ours, *case.peers_over(data)):
                    kept.take((system,), data, metric)
    kept.drop_all()


def case_list(args: argparse.Namespace) -> list[tuple[str, str, Case]]:
    """Data set, name of the case, case; a data set's one after another."""
    out = []
    for name in args.cases or CASES:
        case = chosen_case(args) if name == "try" else CASES[name]
        if args.by_processor:  # of one thread: those of OpenMP and BLAS spin while they wait
            case = case._replace(load=case.load._replace(by_processor=True, threads=1))
        out += [(data, name, case) for data in args.data or case.data]
    order = list(dict.fromkeys([*SETS, *(data for data, _, _ in out)]))
    return sorted(out, key=lambda one: order.index(one[0]))


def run_stages(args: argparse.Namespace) -> Table:
    """Those that are not kept yet; a stage in which something could not be measured is kept too,
    if it gave a row."""
    kept = Kept()
    everything = argparse.Namespace(**{**vars(args), "cases": [], "data": None})
    order = [stage_name(name, wanted) for wanted, name, _ in case_list(everything)]
    for wanted, name, case in case_list(args):
        stage = stage_name(name, wanted)
        if args.report or (has_stage(stage) and not args.again):
            continue
        data, table = data_set(wanted), Table()
        if not data:
            continue
        say(f"{stage}: {case.ours.label()}")
        run_case(table, kept, case, data, args.metric or metric_of(data), args.pairs)
        if table.rows:
            keep_stage(stage, data, table)
    kept.drop_all()
    return all_stages(order)


def keep_rows(table: Table) -> None:
    """The rows of RESULTS.md that were not measured now, before those that were."""
    text = (ROOT / "bench" / "RESULTS.md").read_text(encoding="utf-8")
    _, _, section = text.partition("<!-- ann -->")
    section = section.partition("<!-- /ann -->")[0]
    rows = [tuple(line[2:-2].split(" | ")) for line in section.splitlines() if line[:2] == "| "]
    measured = {row[0] for row in table.rows}
    table.rows[:0] = [row for row in rows[1:] if row[0] not in measured]


def draw_plots() -> None:
    """Every data set's curves into one picture, bench/plots/DATA-METRIC.png, and links to them."""
    python, plots = peer_python("plot"), ROOT / "bench" / "plots"
    if not python or not CURVES.exists():
        return
    script = ROOT / "bench" / "support" / "ann_plot.py"
    subprocess.run([python, script, CURVES, plots], check=True)
    links = [f"![{p.stem}](plots/{p.name})" for p in sorted(plots.glob("*.png"))]
    path, heading = ROOT / "bench" / "RESULTS.md", "\n## Recall against queries a second\n"
    text, _, after = path.read_text(encoding="utf-8").partition(heading)
    _, next_heading, others = after.partition("\n## ")
    text += f"{heading}\n" + "\n\n".join(links) + "\n"
    path.write_text(text + next_heading + others, encoding="utf-8")


def run_short() -> int:
    """That all of it works, on a few thousand rows; no time is judged."""
    passed = failed = 0
    for name in SHORT_DATA:
        data = data_set(name)
        for mode, floor in SHORT_MODES.items() if data else ():
            try:
                with Driver(System(mode), data, metric_of(data)) as driver:
                    driver.build()
                    recall = driver.recall(32, halves(data)[1], Load(batch=0))
            except RuntimeError as error:
                print(error)
                recall = 0.0
            print(f"{name} {mode}: recall {recall:.4f}, at least {floor}")
            passed += recall >= floor
            failed += recall < floor
    print(f"cases: {passed} passed, {failed} failed")
    return 1 if failed else 0


def chosen_case(args: argparse.Namespace) -> Case:
    """What --mode and --peer say."""
    ours = System(args.mode[0], tuple(args.mode[1:]))
    peer = System(args.peer[0], tuple(args.peer[1:]), is_peer=not args.peer[0].isupper())
    load = Load(args.batch, args.threads, args.oversample)
    recalls = tuple(args.recall or [0.95, 0.99])
    return Case(ours, (peer,), 1, 1, (1.0,) if ours.is_exact() else recalls, load)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", help="none: all; try: what --mode and --peer say")
    parser.add_argument("--list", action="store_true", help="the cases and data sets")
    parser.add_argument("--short", action="store_true", help="seconds; only that it works")
    parser.add_argument("--prepare", action="store_true", help="data and indexes, no measuring")
    parser.add_argument("--full", action="store_true", help="stages; those kept are passed over")
    parser.add_argument("--again", action="store_true", help="with --full: none is passed over")
    parser.add_argument("--report", action="store_true", help="of the stages that are kept")
    parser.add_argument("--write", action="store_true", help="into bench/RESULTS.md and plots")
    parser.add_argument("--keep", action="store_true", help="rows of the report not measured now")
    parser.add_argument("--data", action="append", help="NAME or NAME@ROWS; may be repeated")
    parser.add_argument("--metric", choices=["l2", "ip", "cosine"])
    parser.add_argument(
        "--mode", nargs="+", default=["HNSW"], help="without its metric; NAME=VALUE"
    )
    parser.add_argument("--peer", nargs="+", default=["hnswlib"], help="of support/ann_peer.py")
    parser.add_argument("--recall", type=float, action="append")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--oversample", type=float, default=0)
    parser.add_argument(
        "--by-processor", action="store_true", help="seconds of the processor, on a busy machine"
    )
    parser.add_argument("--pairs", type=int, default=PAIRS)
    args = parser.parse_args()
    unknown = [c for c in args.cases if c not in CASES and c != "try"]
    if unknown:
        parser.error(f"no case {unknown[0]}; there are {', '.join(CASES)}, try")
    return args


def main() -> int:
    args, table = read_arguments(), Table()
    if args.list:
        print("cases:", ", ".join(CASES), "\ndata sets:", ", ".join(NAMES))
        return 0
    if not args.report:
        build_program("bench_ann")
    if args.short:
        return run_short()
    if args.prepare:
        prepare(args)
        return 0
    if args.full or args.report:
        table = run_stages(args)
        if args.keep:
            keep_rows(table)
        write_results("ann", table)
        draw_plots()
        return 1 if any(row[-1] == "NOT MET" for row in table.rows) else 0
    kept = Kept()
    for wanted, _, case in case_list(args):
        data = data_set(wanted)
        if data:
            say(f"{wanted}: {case.ours.label()}")
            run_case(table, kept, case, data, args.metric or metric_of(data), args.pairs)
    kept.drop_all()
    if args.write:
        if args.keep:
            keep_rows(table)
        write_results("ann", table)
        draw_plots()
    return 1 if any(row[-1] == "NOT MET" for row in table.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
