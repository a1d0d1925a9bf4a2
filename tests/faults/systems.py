"""File systems that do less than a local one: on each, every command does what it does elsewhere, or says in one line
that it can't.

What a file system refuses, the library (`shim.c`) refuses each time; nothing is mounted.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from faults.campaign import Fault, Good, wrong_if_ended
from faults.cases import Case
from faults.runs import Files, Runner

KEPT = re.compile(r"(^|/)\.nfs[0-9a-f]{24}$")
FOREVER = 0, 0
"""Times of a file that was there before, which somebody has open."""


@dataclass(frozen=True)
class System:
    """What it refuses, with which error. `keeps`: see `Control.behave`. `works`: whether all commands succeed."""

    refuses: Mapping[str, int]
    keeps: bool = False
    works: bool = True


_FULL = ("create", "write", "mkdir")
SYSTEMS = {
    "NFS, where another process reads": System({"exchange": errno.EINVAL}, keeps=True),
    "NFS without its lock daemon": System({"exchange": errno.EINVAL, "lock": errno.ENOLCK}),
    "SMB": System(
        {
            "exchange": errno.EINVAL,
            "link": errno.EOPNOTSUPP,
            "lock": errno.EOPNOTSUPP,
            "sync of a folder": errno.EINVAL,
        }
    ),
    "a FUSE file system": System(
        {
            "exchange": errno.ENOSYS,
            "link": errno.ENOSYS,
            "lock": errno.ENOSYS,
            "mmap": errno.ENODEV,
            "sync of a folder": errno.ENOSYS,
        }
    ),
    "FAT": System({"exchange": errno.EINVAL, "link": errno.EPERM}),
    "SFTP, which replaces no file": System(
        {"exchange": errno.EINVAL, "link": errno.EPERM, "replace": errno.EPERM}, works=False
    ),
    "an overlay, whose folders stay": System({"exchange": errno.EXDEV, "link": errno.EXDEV}, works=False),
    "a quota that is used up": System(dict.fromkeys(_FULL, errno.EDQUOT), works=False),
    "a full disk": System(dict.fromkeys(_FULL, errno.ENOSPC), works=False),
    "a mount that is read-only": System(
        dict.fromkeys((*_FULL, "rename", "link", "unlink", "rmdir"), errno.EROFS), works=False
    ),
}


def without_kept(files: Files) -> Files:
    """The files, but for those that NFS keeps for who has them open."""
    return {path: data for path, data in files.items() if not KEPT.search(path)}


def judged(case: Case, good: Good, name: str, runner: Runner) -> tuple[str, str]:
    """How a command ended on a file system, and what is wrong with that; "" if nothing is."""
    system = SYSTEMS[name]
    runner.begin(case.needs)
    for folder, _, names in os.walk(runner.root):
        for each in names:
            os.utime(os.path.join(folder, each), FOREVER)
    runner.control.behave(system.refuses, keeps=system.keeps)
    try:
        for _ in range(1 + (system.keeps and "--overwrite" in case.words)):
            ran = runner.run(case.words)
            if ran.code and system.works:
                return "wrong", f"{case.name} on {name}: exit code {ran.code}: {ran.said}"
            fault = Fault(case.name, 1, "write", errno.EIO, True)
            if wrong := wrong_if_ended(case, good, fault, without_kept(runner.files()), ran):
                return "wrong", f"{case.name} on {name}: {wrong}"
    finally:
        runner.control.behave()
    return "refused" if ran.code else "done", ""
