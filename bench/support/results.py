# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks in Python share: programs that are run, and the table of their results."""

from __future__ import annotations

import argparse
import datetime
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BENCH = ROOT / "build" / "release" / "bench"
DATA = ROOT / "build" / "bench-data"
PEERS = ROOT / "build" / "peers"
PAIRS = 7


def say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)


def run(
    *command: object, env: dict | None = None, check: bool = True
) -> dict[str, list[list[str]]]:
    """Run a program; its lines `name value ...` by name."""
    text = [str(c) for c in command]
    done = subprocess.run(text, capture_output=True, text=True, env=env or dict(os.environ))
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(text[:3])}: {done.stderr.strip()[-400:]}")
    out: dict[str, list[list[str]]] = {}
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) >= 2:
            out.setdefault(words[0], []).append(words[1:])
    return out


def number(result: dict, name: str) -> float:
    return float(result[name][0][0])


def fresh(name: str) -> pathlib.Path:
    path = DATA / name
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def lower_quartile(values: list[float]) -> float:
    return statistics.quantiles(values, n=4)[0]


class Table:
    def __init__(self) -> None:
        self.rows: list[tuple[str, ...]] = []
        self.notes: list[str] = []  # paragraphs under the table in RESULTS.md; they say when

    def add(
        self, case: str, target: str, measured: str, peer: str, ratio: str, met: bool | None
    ) -> None:
        verdict = "–" if met is None else "met" if met else "NOT MET"
        self.rows.append((case, target, measured, peer, ratio, verdict))
        print(f"{case} | {target} | {measured} | {peer} | {ratio} | {verdict}", flush=True)


def machine() -> str:
    lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def write_results(section: str, table: Table) -> None:
    """Replace the section of bench/RESULTS.md, or add it."""
    path = ROOT / "bench" / "RESULTS.md"
    begin, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    text = path.read_text(encoding="utf-8") if path.exists() else "# Results\n"
    if begin not in text:
        text += f"\n## {section}\n\n{begin}\n{end}\n"
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT
    ).stdout.strip()
    when = f"{datetime.date.today()}, commit {commit}"
    lines = [
        f"`./dev bench {section}`, {'' if table.notes else when + ', '}{machine()}.",
        "",
        "| case | target | measured | peer | lower quartile of ratios | |",
        "|---|---|---|---|---|---|",
    ]
    lines += ["| " + " | ".join(row) + " |" for row in table.rows]
    lines += [line for note in table.notes for line in ("", note)]
    block = "\n".join([begin, *lines, end])
    path.write_text(
        re.sub(f"{begin}.*{end}", lambda _: block, text, flags=re.S),
        encoding="utf-8",
    )


def main(section: str, about: str, cases: dict[str, Callable[[Table], None]]) -> int:
    """The command line of a benchmark; 1 when a target is not met."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(cases)}; none: all")
    parser.add_argument(
        "--write", action="store_true", help="replace the table in bench/RESULTS.md"
    )
    args = parser.parse_args()
    unknown = [c for c in args.cases if c not in cases]
    if unknown:
        parser.error(f"no case {unknown[0]}; there are {', '.join(cases)}")
    table = Table()
    for name in args.cases or cases:
        say(name)
        cases[name](table)
    if args.write:
        write_results(section, table)
    return 1 if any(row[-1] == "NOT MET" for row in table.rows) else 0


def build_program(name: str) -> pathlib.Path:
    """A program of this folder, built if it is not."""
    command = ["cmake", "--build", ROOT / "build" / "release", "--target", name]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return BENCH / name
