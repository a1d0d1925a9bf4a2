"""The table: rows, floors, and the machine that they were measured on."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from harness.process import BAMS3, CommandError, Usage, output


@dataclass(frozen=True)
class Floor:
    """What bams3 has to reach, and whether it does."""

    text: str
    reached: bool


@dataclass(frozen=True)
class Row:
    """A row; the names of the fields are the columns, all but the last, which makes two."""

    what: str
    data: str
    bams3: str
    peer: str = ""
    peer_s: str = ""
    ratio: str = ""
    wall: str = ""
    peak: str = ""
    floor: Floor | None = None

    def cells(self) -> list[str]:
        """The row's text, column by column."""
        texts = [getattr(self, column.name) for column in fields(self)[:-1]]
        floor = [self.floor.text, "yes" if self.floor.reached else "**no**"] if self.floor else ["", ""]
        return texts + floor


COLUMNS = ("what", "data", "bams3", "peer", "peer's", "ratio", "wall s", "peak MB", "floor", "reached")


def cpu_row(what: str, data: str, ours: Usage, peer: str, theirs: Usage, floor: Floor | None = None) -> Row:
    """CPU seconds of two processes; also their wall seconds and peak memory, as `bams3 / peer`."""
    return Row(
        what,
        data,
        f"{ours.cpu:.3g} CPU-s",
        peer,
        f"{theirs.cpu:.3g} CPU-s",
        times(theirs.cpu, ours.cpu),
        f"{ours.wall:.3g} / {theirs.wall:.3g}",
        f"{peak(ours)} / {peak(theirs)}",
        floor,
    )


def size_row(data: str, ours: int, peer: str, theirs: int, floor: float | None = None) -> Row:
    """Bytes on disk; the floor is the largest allowed ratio to the peer's."""
    ratio = ours / theirs
    allowed = Floor(f"≤ {floor:.2f} x", ratio <= floor) if floor else None
    return Row("size", data, megabytes(ours), peer, megabytes(theirs), f"{ratio:.3f} x", floor=allowed)


def peak(usage: Usage) -> str:
    """Peak memory in MB; that of a process smaller than this one can't be told (see `process`)."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return f"{usage.peak:.0f}" if usage.peak > own else f"≤ {own:.0f}"


def times(theirs: float, ours: float) -> str:
    """How many times less bams3 needs: `5.2 x less`, or `1.3 x more`."""
    return f"{theirs / ours:.3g} x less" if theirs >= ours else f"{ours / theirs:.3g} x more"


def megabytes(count: int) -> str:
    """A number of bytes in MB (10^6)."""
    return f"{count / 1e6:.4g} MB"


def markdown(rows: Iterable[Row]) -> str:
    """The table."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def machine(peers: Sequence[str], rounds: int) -> str:
    """CPU, cores, OS, versions and how it was measured, as a list."""
    lines = [
        f"CPU: {processor()}, {os.cpu_count()} cores; load {os.getloadavg()[0]:.2f} at the start",
        f"OS: {system()}, {platform.machine()}, kernel {platform.release()}",
        f"Versions: {version(BAMS3)}, Python {platform.python_version()}; {'; '.join(map(version, peers))}",
        f"One worker or thread each; median of {rounds} runs, in turn with the peers', whose answers are the same",
    ]
    return "".join(f"- {line}\n" for line in lines)


def version(tool: str) -> str:
    """The first line that a tool prints of its version, or that it is missing."""
    try:
        return output(tool, "--version").splitlines()[0]
    except FileNotFoundError:
        return f"{tool} is not installed: its rows are missing"
    except CommandError:
        return f"{tool} of unknown version"


def processor() -> str:
    """The CPU's name and its clock, as the kernel tells them."""
    known = dict(
        (part.strip() for part in line.split(":", 1))
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if ":" in line
    )
    return (
        f"{known.get('model name', platform.processor())} at {float(known.get('cpu MHz', 0)) / 1000:.1f} GHz"
    )


def system() -> str:
    """The distribution's name."""
    return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
