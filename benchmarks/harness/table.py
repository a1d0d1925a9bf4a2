"""The table: rows, floors, and the machine on which they were measured."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.process import BAMS3, ENOUGH, CommandError, Usage, output

SIZE = "bytes"
COLUMNS = ("what", "data", "bams3", "peer", "peer's", "ratio", "wall s", "peak MB", "floor", "reached")


@dataclass(frozen=True)
class Floor:
    """What bams3 must reach, and whether it does."""

    text: str
    reached: bool


@dataclass(frozen=True)
class Row:
    """What bams3 and a peer need, in `unit`; with a peer, less is better. `usages`: the usages of both."""

    what: str
    data: str
    unit: str
    ours: float
    peer: str = ""
    theirs: float | None = None
    usages: tuple[Usage, ...] = ()
    floor: Floor | None = None

    @property
    def ratio(self) -> str:
        """For sizes, that of bams3 divided by the peer's; otherwise, how many times less or more bams3 needs."""
        if self.theirs is None:
            return ""
        if self.unit == SIZE:
            return f"{self.ours / self.theirs:.3f} x"
        factor = self.theirs / self.ours
        return f"{factor:.3g} x less" if factor >= 1 else f"{1 / factor:.3g} x more"

    def cells(self) -> list[str]:
        """Return the text of the row for each column."""
        theirs = "" if self.theirs is None else figure(self.theirs, self.unit)
        walls = " / ".join(f"{usage.wall:.3g}" for usage in self.usages)
        peaks = " / ".join(map(peak, self.usages))
        floor = [self.floor.text, "yes" if self.floor.reached else "**no**"] if self.floor else ["", ""]
        ours = figure(self.ours, self.unit)
        return [self.what, self.data, ours, self.peer, theirs, self.ratio, walls, peaks, *floor]


def cpu_row(
    what: str, data: str, ours: Usage, peer: str, theirs: Usage, times_less: float | None = None
) -> Row:
    """Return a row with the CPU seconds of two processes. The floor is how many times less bams3 must need."""
    floor = Floor(f"≥ {times_less:g} x less", theirs.cpu >= times_less * ours.cpu) if times_less else None
    return Row(what, data, "CPU-s", ours.cpu, peer, theirs.cpu, (ours, theirs), floor)


def speed_row(what: str, data: str, records: int, ours: Usage, floor: int | None = None) -> Row:
    """Return a row with the reads per CPU second."""
    speed = records / ours.cpu
    reached = Floor(f"≥ {floor:,} reads/CPU-s", speed >= floor) if floor else None
    return Row(what, data, "reads/CPU-s", speed, floor=reached)


def size_row(what: str, data: str, ours: int, peer: str, theirs: int, floor: float | None = None) -> Row:
    """Return a row with the bytes on disk. The floor is the largest allowed ratio to the peer's."""
    allowed = Floor(f"≤ {floor:.2f} x", ours <= floor * theirs) if floor else None
    return Row(what, data, SIZE, ours, peer, theirs, floor=allowed)


def figure(value: float, unit: str) -> str:
    """Return a number with its unit, as text."""
    if unit == SIZE:
        return f"{value / 1e6:.4g} MB"
    return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}"


def peak(usage: Usage) -> str:
    """Return the peak memory in MB. For a process smaller than this one, it is unknown (see `process`)."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return f"{usage.peak:.0f}" if usage.peak > own else f"≤ {own:.0f}"


def markdown(rows: Iterable[Row]) -> str:
    """Return the table in Markdown."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def machine(peers: Sequence[str], rounds: int) -> str:
    """Return a list in Markdown: CPU, cores, OS, versions, and how it was measured."""
    versions = "; ".join(map(version, peers))
    lines = [
        f"CPU: {processor()}, {os.cpu_count()} cores; load {os.getloadavg()[0]:.2f} at the start",
        f"OS: {system()}, {platform.machine()}, kernel {platform.release()}",
        f"Versions: {version(BAMS3)}, Python {platform.python_version()}; {versions}",
        f"One worker or thread each; median of {rounds} runs ({ENOUGH} where they take long), in turn with the peers', "
        "whose answers are the same",
    ]
    return "".join(f"- {line}\n" for line in lines)


def version(tool: str) -> str:
    """Return the first line that a tool prints about its version, or that it is missing."""
    try:
        said = output(tool, "--version", all_of_it=True)
        return next(line.strip() for line in said.splitlines() if line.strip())
    except FileNotFoundError:
        return f"{tool} is not installed: its rows are missing"
    except (CommandError, StopIteration):
        return f"{tool} of unknown version"


def processor() -> str:
    """Return the name of the CPU and its clock rate, as reported by the kernel."""
    known = dict(
        (part.strip() for part in line.split(":", 1))
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if ":" in line
    )
    name = known.get("model name", platform.processor())
    return f"{name} at {float(known.get('cpu MHz', 0)) / 1000:.1f} GHz"


def system() -> str:
    """Return the name of the operating system's distribution."""
    return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
