"""What processes hold, sampled from /proc, and whether it grows."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PAGE = os.sysconf("SC_PAGE_SIZE")
WARMING = 1 / 3
"""Of the samples so many are not judged: caches fill."""


class Sample(NamedTuple):
    """What a process and its children hold at a time."""

    seconds: float
    memory: int
    """Bytes that are resident."""
    descriptors: int
    threads: int


ALLOWED = {"memory": 16 << 20, "descriptors": 4, "threads": 2}
"""By how much each may grow from warm to the end."""


def family(process: int) -> list[int]:
    """A process, its children, their children …"""
    found = [process]
    for each in found:
        with suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def sample(process: int, seconds: float) -> Sample:
    """What they hold now."""
    memory = descriptors = threads = 0
    for each in family(process):
        place = Path(f"/proc/{each}")
        with suppress(OSError):  # it has ended
            memory += int((place / "statm").read_text().split()[1]) * PAGE
            descriptors += len(os.listdir(place / "fd"))
            threads += len(os.listdir(place / "task"))
    return Sample(seconds, memory, descriptors, threads)


def growth(samples: Sequence[Sample], name: str) -> float:
    """By how much a number grows over the samples that are judged, by the line that fits them best."""
    judged = samples[int(len(samples) * WARMING) :]
    if len(judged) < 2:
        return 0.0
    times = [each.seconds for each in judged]
    slope, _ = statistics.linear_regression(times, [getattr(each, name) for each in judged])
    return slope * (times[-1] - times[0])


def verdict(samples: Sequence[Sample]) -> tuple[bool, str]:
    """Whether all is flat, and the numbers in a line."""
    told, flat = [], True
    for name, allowed in ALLOWED.items():
        values = [getattr(each, name) for each in samples]
        grown = growth(samples, name)
        flat &= grown <= allowed
        unit, scale = ("MiB ", 1 << 20) if name == "memory" else ("", 1)
        told.append(
            f"{name} {values[0] / scale:.0f} at first, {values[-1] / scale:.0f} at the end, at most "
            f"{max(values) / scale:.0f} {unit}(grows by {grown / scale:+.1f} of {allowed / scale:.0f} allowed)"
        )
    return flat, "; ".join(told)
