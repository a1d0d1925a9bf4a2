"""The library that makes system calls fail: how it is built, and given its orders (shim.c)."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

CALLS = 1 << 16
KINDS = [
    "open", "create", "read", "write", "sync", "rename", "link", "unlink", "mkdir", "rmdir", "close", "mmap",
    "truncate", "stat", "list",
]  # fmt: skip
TRAITS = ["lock", "exchange", "replace", "sync of a folder"]
"""What else a file system may refuse: locks, an exchange of two paths, a rename to a path that is taken."""
EXCHANGED = 100
"""Of the log: two paths that were exchanged."""
CONTROL = "FAULTS_CONTROL"
SHORT, KILL = -1, -2
_FULL = [errno.ENOSPC, errno.EDQUOT]
ERRORS = {
    "open": [errno.EIO, errno.EMFILE, errno.EINTR],
    "create": [errno.EIO, errno.EMFILE, errno.EINTR, *_FULL],
    "read": [errno.EIO, errno.EINTR, SHORT],
    "write": [errno.EIO, errno.EINTR, SHORT, *_FULL],
    "sync": [errno.EIO, errno.EINTR, *_FULL],
    "rename": [errno.EIO, *_FULL],
    "link": [errno.EIO, errno.EPERM, *_FULL],
    "unlink": [errno.EIO],
    "mkdir": [errno.EIO, *_FULL],
    "rmdir": [errno.EIO],
    "close": [errno.EIO, errno.EINTR, errno.EDQUOT],
    "mmap": [errno.EIO, errno.ENFILE, errno.ENOMEM],
    "truncate": [errno.EIO],
    "stat": [errno.EIO],
    "list": [errno.EIO, errno.EMFILE],
}
"""What may happen to a call of each kind. EPERM of `link`: a file system without hard links."""
CHANGES = ("create", "write", "sync", "rename", "link", "unlink", "mkdir", "rmdir", "truncate")
TAKES_SPACE = ("create", "write", "sync", "rename", "link", "mkdir")


class Control(ctypes.Structure):
    """The orders: `struct control` of orders.h."""

    _fields_ = (
        ("root", ctypes.c_char * 1024),
        ("log", ctypes.c_char * 1024),
        ("armed", ctypes.c_int32),
        ("at", ctypes.c_int32),
        ("error", ctypes.c_int32),
        ("sticky", ctypes.c_int32),
        ("mask", ctypes.c_uint32),
        ("calls", ctypes.c_int32),
        ("fired", ctypes.c_int32),
        ("always", ctypes.c_int32 * len(KINDS + TRAITS)),
        ("keeps", ctypes.c_int32),
        ("kinds", ctypes.c_uint8 * CALLS),
    )

    @classmethod
    def at_path(cls, path: Path) -> Control:
        """Those in a file, which is created."""
        with path.open("w+b") as file:
            file.truncate(ctypes.sizeof(cls))
            return cls.from_buffer(mmap.mmap(file.fileno(), ctypes.sizeof(cls)))

    def order(self, root: Path, at: int = 0, error: int = 0, *, sticky: bool = False, log: str = "") -> None:
        """Count the calls on files below `root`, and let call `at`, from 1, end with `error`. `sticky`: all later ones,
        too; of a full disk, those that take space; of a read-only one, those that change it. `log`: where to record
        what is written."""
        kinds = TAKES_SPACE if sticky and error in _FULL else CHANGES if error == errno.EROFS else KINDS
        self.root, self.log = os.fsencode(root), os.fsencode(log)
        self.at, self.error, self.sticky = at, error, sticky
        self.mask = sum(1 << KINDS.index(kind) for kind in kinds)
        self.calls = self.fired = 0
        self.armed = 1

    def behave(self, refuses: Mapping[str, int] = MappingProxyType({}), *, keeps: bool = False) -> None:
        """Let all calls of some kinds fail, from now on. `keeps`: files that are open when they are removed, and those
        that are older than the run, stay under another name, as NFS does it."""
        self.always[:] = [refuses.get(kind, 0) for kind in KINDS + TRAITS]
        self.keeps = keeps

    def kinds_of_calls(self) -> list[str]:
        """The kind of each call so far."""
        return [KINDS[kind - 1] for kind in self.kinds[1 : min(self.calls + 1, CALLS)]]


def name_of(error: int) -> str:
    """What a fault is called in reports."""
    return {SHORT: "short count", KILL: "kill"}.get(error) or errno.errorcode[error]


def use(control: Path) -> None:
    """Take orders from this file from now on, as child processes will."""
    os.environ[CONTROL] = str(control)
    ctypes.CDLL(None).faults_use(os.fsencode(control))


def preloaded(folder: Path) -> dict[str, str]:
    """Build the library in a folder; returns the environment of a process that has it."""
    library = folder / "shim.so"
    command = [
        "cc",
        "-O1",
        "-shared",
        "-fPIC",
        "-o",
        library,
        Path(__file__).with_name("shim.c"),
        "-ldl",
        "-lpthread",
    ]
    subprocess.run(command, check=True)
    control = folder / "idle"
    Control.at_path(control)
    return os.environ | {"LD_PRELOAD": str(library), CONTROL: str(control)}


def restart(folder: Path) -> int:
    """Run this program again, with the library."""
    return subprocess.run([sys.executable, "-m", "faults", *sys.argv[1:]], env=preloaded(folder)).returncode
