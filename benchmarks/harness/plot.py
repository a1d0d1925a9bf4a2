"""Draw the rows of a table, given as JSON on standard input: python benchmarks/harness/plot.py bench|scale OUT.svg

This is a separate process, because matplotlib would make the process that measures large (see `process`).
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

OURS, THEIRS, MORE = "#0072b2", "#999999", "#d55e00"  # colour-blind people can distinguish these, too
PEERS = ("#999999", "#e69f00", "#009e73", "#cc79a7")
mpl.rcParams.update(
    {"svg.hashsalt": "bams3", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
)


def bench(rows: list[dict]) -> plt.Figure:
    """Draw sizes relative to the BAM, and how many times less than each peer bams3 needs."""
    sizes: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        if row["what"] == "size":
            sizes[row["data"]] |= {row["peer"]: row["theirs"], "bams3": row["ours"]}
        if row["what"] == "size, small":
            sizes[row["data"]] |= {row["peer"]: row["theirs"], "bams3, small": row["ours"]}
    times = [row for row in rows if row["theirs"] and row["unit"] in ("CPU-s", "CPU-ms")]
    height = 0.19 * (sum(map(len, sizes.values())) + len(sizes)) + 0.22 * len(times) + 2
    figure, (left, right) = plt.subplots(
        2, figsize=(9, height), height_ratios=[sum(map(len, sizes.values())) + len(sizes), 1.15 * len(times)]
    )
    draw_sizes(left, sizes)
    draw_times(right, times)
    return figure


def draw_sizes(axes: plt.Axes, sizes: dict[str, dict[str, float]]) -> None:
    at, ticks = 0.0, []
    for data, files in sizes.items():
        whole = files["BAM, level 6"]
        for name, size in files.items():
            axes.barh(at, size / whole, color=OURS if name.startswith("bams3") else THEIRS)
            axes.text(size / whole, at, f" {size / whole:.3f}  {name}", va="center", fontsize=7)
            ticks.append((at, data if name == "BAM, level 6" else ""))
            at += 1
        at += 1
    axes.set_yticks(*zip(*ticks, strict=True))
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set(title="Size, as a part of the BAM's (level 6); less is better", xlim=(0, 1.35), ylim=(at, -1))


def draw_times(axes: plt.Axes, rows: list[dict]) -> None:
    for at, row in enumerate(rows):
        factor = row["theirs"] / row["ours"]
        axes.barh(at, factor - 1, left=1, color=OURS if factor >= 1 else MORE)
        times = f"{factor:.3g} x less" if factor >= 1 else f"{1 / factor:.3g} x more"
        axes.text(max(factor, 1), at, f" {times} than {row['peer']}", va="center", fontsize=7)
    axes.set_yticks(range(len(rows)), [f"{row['what']}; {row['data']}" for row in rows])
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set(title="CPU time: how many times less than its peers bams3 needs", ylim=(len(rows), -1))
    axes.set_xlim(right=axes.get_xlim()[1] * 12)
    axes.xaxis.set_major_formatter("{x:g}")


def scale(rows: list[dict]) -> plt.Figure:
    """Draw CPU time per byte of BAM, size and memory, depending on the quantity that grows."""
    names = list(dict.fromkeys(row["axis"] for row in rows))
    figure, grid = plt.subplots(4, len(names), figsize=(4 * len(names), 12), squeeze=False)
    for column, axis in enumerate(names):
        chosen = [row for row in rows if row["axis"] == axis]
        for axes, what in zip(grid[:, column], ("convert", "coverage -n", "size", "memory"), strict=True):
            draw_growth(axes, what, chosen)
            axes.set_xlabel(axis)
    return figure


def draw_growth(axes: plt.Axes, what: str, rows: list[dict]) -> None:
    lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
    bam = {
        row["value"]: row["theirs"] for row in rows if row["peer"] == "BAM, level 6" and row["what"] == "size"
    }
    for row in rows:
        if what == "memory" and row["what"] in ("convert", "coverage -n"):
            for who, peak in zip(("bams3", row["peer"]), row["peaks"], strict=True):
                lines[f"{who}, {row['what']}" if who == "bams3" else who].append((row["value"], peak))
        elif row["what"] == what:
            unit = bam[row["value"]]
            lines["bams3"].append((row["value"], row["ours"] / unit))
            if row["peer"] != "BAM, level 6":
                lines[row["peer"]].append((row["value"], row["theirs"] / unit))
    colours = iter(PEERS * 2)
    for name, points in lines.items():
        axes.plot(*zip(*sorted(set(points)), strict=True), marker="o", label=name, markersize=3,
                  color=OURS if name.startswith("bams3") else next(colours),
                  linestyle="--" if name.endswith("coverage -n") else "-")  # fmt: skip
    axes.set_xscale("log")
    units = {"size": "bytes per byte of BAM", "memory": "peak MB"}
    axes.set(title=what, ylabel=units.get(what, "CPU-s per byte of BAM"))
    axes.set_yscale("linear" if what == "size" else "log")
    axes.legend(fontsize=6)


if __name__ == "__main__":
    kind, target = sys.argv[1:]
    drawn = {"bench": bench, "scale": scale}[kind](json.load(sys.stdin))
    drawn.tight_layout()
    drawn.savefig(target, metadata={"Date": None})
