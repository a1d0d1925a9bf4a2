"""The numbers of cores, bytes of memory and open files that this process may use."""

import os
import sys
from collections.abc import Iterable, Iterator

from bams3.errors import UsageError

PROC = "/proc"
CGROUPS = "/sys/fs/cgroup"


def available_cores() -> int:
    """Return the number of cores that this process may use, given its affinity and the CPU quotas of its cgroups."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder in _cgroups("cpu"):
        for files in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):  # cgroup version 2, version 1
            quota, period = _numbers(folder, files) or (-1, 1)
            if quota > 0 < period:
                cores = min(cores, quota // period)
    return max(cores, 1)


def available_memory() -> int | None:
    """Return how many bytes of memory this process may use: those available, or its cgroups' limit; None if unknown."""
    found = []
    try:
        lines = _text(f"{PROC}/meminfo").splitlines()
        found += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):
        pass
    for folder in _cgroups("memory"):
        for file in ("memory.max", "memory.limit_in_bytes"):
            found += _numbers(folder, [file]) or []
    return min(found, default=None)


def open_files() -> int:
    """Return the soft limit on open files."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def allow_files(number: int) -> None:
    """Increase the soft limit on open files to `number` if it is lower.

    Raises UsageError if the hard limit is lower.
    """
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and number > most:
        raise UsageError(
            f"{number} files must be open at once, but the limit is {most}; raise it (ulimit -Hn)"
        )
    if number > open_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, most))


def _cgroups(controller: str) -> Iterator[str]:
    """Yield the folders of the cgroups (version 1 and 2) of this process, from its own up to the root.

    In a container, the root is that of the container, and the path that the kernel reports may not exist below it.
    """
    try:
        lines = _text(f"{PROC}/self/cgroup").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = f"{CGROUPS}/{controller}" if controllers else f"{CGROUPS}"
        names = [name for name in path.split("/") if name]
        yield from ("/".join([root, *names[:depth]]) for depth in range(len(names), -1, -1))


def _numbers(folder: str, files: Iterable[str]) -> list[int] | None:
    """Return the numbers in some files of a folder; None if one is missing or contains `max`."""
    try:
        return [int(word) for file in files for word in _text(f"{folder}/{file}").split()]
    except (OSError, ValueError):
        return None


def _text(path: str) -> str:
    with open(path) as file:
        return file.read()
