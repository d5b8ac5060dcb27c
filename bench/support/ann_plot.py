# SPDX-License-Identifier: Apache-2.0
"""Recall against queries a second, one picture for each data set and metric.

Usage: ann_plot.py CURVES OUT, in an environment with matplotlib.  CURVES has files of ann_driver's
save_curve, DATA-METRIC-SYSTEM.tsv: a label, then effort, recall and queries a second.
"""

from __future__ import annotations

import pathlib
import re
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

RECALL_FIRST = 0.8
PEERS = ("hnswlib", "faiss", "usearch")


def read_curve(path: pathlib.Path) -> tuple[str, list[float], list[float]]:
    label, *lines = path.read_text(encoding="utf-8").splitlines()
    points = [tuple(map(float, line.split("\t"))) for line in lines]
    points = [p for p in points if p[1] >= RECALL_FIRST]
    return label, [p[1] for p in points], [p[2] for p in points]


def draw(name: str, paths: list[pathlib.Path], out: pathlib.Path) -> None:
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for path in sorted(paths):
        label, recalls, rates = read_curve(path)
        is_peer = label.startswith(PEERS)
        axes.plot(recalls, rates, "o--" if is_peer else "o-", markersize=3, label=label)
    axes.set_yscale("log")
    axes.set_xlabel("recall@10")
    axes.set_ylabel("queries a second")
    axes.set_title(name)
    axes.grid(True, which="both", linewidth=0.3)
    axes.legend(fontsize=8)
    figure.savefig(out / f"{name}.png", dpi=110)
    plt.close(figure)


def main() -> None:
    curves, out = map(pathlib.Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    groups: dict[str, list[pathlib.Path]] = {}
    for path in curves.glob("*.tsv"):
        found = re.match(r"(.+?-(?:l2|ip|cosine))-", path.name)
        groups.setdefault(found.group(1), []).append(path)
    for name, paths in groups.items():
        draw(name, paths, out)


if __name__ == "__main__":
    main()
