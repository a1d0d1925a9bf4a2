"""Files in a FUSE file system, read-only."""

import ctypes
import errno
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import mfusepy

from bams3 import temporary
from bams3.bridge.replies import answer
from bams3.bridge.shelf import File
from bams3.errors import Bams3Error, UsageError, message_of
from bams3.output.files import local_folder
from bams3.shown import shown

DEVICE = "/dev/fuse"
READ = 1 << 15
"""Preferred read size in bytes, as programs are told: htslib would begin with a page, and then read ahead."""
READ_AHEAD = 512  # KiB that the kernel reads at once from a file that is read in order
STEADY = 86_400.0  # seconds for which the kernel may cache names, sizes and times, which never change
_DETACH = 2  # MNT_DETACH of umount2


@contextmanager
def mountpoint(folder: str) -> Iterator[str]:
    """Yield the absolute path of an empty folder. If it does not exist, it is created, and removed at the end.

    Raises UsageError if it is not empty, or not a folder for results, and OSError if it can't be created.
    """
    folder = os.path.abspath(local_folder(folder))
    made = not os.path.lexists(folder)
    if made:
        os.mkdir(folder)
    elif os.listdir(folder):
        raise UsageError(f"{folder}: not empty, and a mount would hide its contents; give another folder")
    try:
        yield folder
    finally:
        if made:
            os.rmdir(folder)


def serve(files: Mapping[str, File], folder: str, ready: Callable[[], None]) -> None:
    """Mount files at an absolute path until it is unmounted. Must be called in the main thread.

    `ready` is called as soon as the files can be read. Raises UsageError if mounting fails.
    """
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        why = "is not permitted here" if os.path.exists(DEVICE) else "does not exist here"
        raise UsageError(
            f"{folder}: can't be mounted: {DEVICE} {why}; use bams3 serve instead (docs/bridge.md)"
        )
    # If mounting fails, libfuse writes the reason to standard error.
    with tempfile.TemporaryFile(dir=temporary.folder()) as said:
        here, errors = os.getcwd(), os.dup(2)
        mounted = False

        def started() -> None:
            nonlocal mounted
            mounted = True
            os.chdir(here)  # libfuse has changed the directory, but paths of the user are relative to it
            os.dup2(errors, 2)
            threading.Thread(target=answered, daemon=True).start()

        def answered() -> None:
            read_ahead(folder)  # needs answers, which come only after this function's caller has returned
            ready()

        os.dup2(said.fileno(), 2)
        try:
            mfusepy.FUSE(
                _Operations(files, started), folder, foreground=True, ro=True, fsname="bams3", kernel_cache=True,
                attr_timeout=STEADY, entry_timeout=STEADY,
            )  # fmt: skip
        except RuntimeError:
            if not mounted:
                said.seek(0)
                why = (
                    said.read().decode(errors="replace").strip().partition("\n")[0]
                    or "libfuse gives no reason"
                )
                raise UsageError(f"{folder}: can't be mounted: {why} (docs/bridge.md)") from None
        finally:
            os.dup2(errors, 2)
            os.close(errors)


def read_ahead(folder: str) -> None:
    """Let the kernel read more of the files of a mount at once than by default, if that is permitted. Fewer requests
    take less time."""
    with suppress(OSError):
        device = os.stat(folder).st_dev
        with open(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb", "w") as file:
            file.write(str(READ_AHEAD))


def unmount(folder: str) -> None:
    """Unmount the file system at an absolute path, even if it is in use, or if no process serves it any more."""
    if ctypes.CDLL(None).umount2(os.fsencode(folder), _DETACH):  # not root
        with suppress(OSError):
            subprocess.run(["fusermount3", "-u", "-z", "-q", folder], check=False, stdin=subprocess.DEVNULL)


class _Operations(mfusepy.Operations):
    """Answers requests of the kernel. An error of bams3 becomes EIO for the reader, and one line on standard error."""

    use_ns = True

    def __init__(self, files: Mapping[str, File], started: Callable[[], None]) -> None:
        self._files, self._started = files, started
        self._owner = {"st_uid": os.getuid(), "st_gid": os.getgid()}
        self._since = time.time_ns()
        self._said: set[str] = set()

    def init(self, path: str) -> None:
        self._started()

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        if path == "/":
            return self._attributes(stat.S_IFDIR | 0o555, 0, self._since)
        file = self._file(path)
        with self._faults():
            return self._attributes(stat.S_IFREG | 0o444, file.size, int(file.modified * 1e9))

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *self._files]

    def read_buf(self, path: str, bufpp: Any, size: int, offset: int, fh: int) -> int:
        file = self._file(path)
        with self._faults():
            answer(ctypes.addressof(bufpp.contents), file.portions(offset, size))
        return 0

    def _attributes(self, mode: int, size: int, time: int) -> dict[str, Any]:
        times = dict.fromkeys(("st_atime", "st_mtime", "st_ctime"), time)
        links = 2 if stat.S_ISDIR(mode) else 1
        return (
            {
                "st_mode": mode,
                "st_nlink": links,
                "st_size": size,
                "st_blocks": -(-size // 512),
                "st_blksize": READ,
            }
            | times
            | self._owner
        )

    def _file(self, path: str) -> File:
        try:
            return self._files[path.removeprefix("/")]
        except KeyError:
            raise mfusepy.FuseOSError(errno.ENOENT) from None

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (Bams3Error, OSError) as error:
            self._say(shown(message_of(error)))
            raise mfusepy.FuseOSError(errno.EIO) from None
        except MemoryError:
            self._say("out of memory; reduce --memory or --workers")
            raise mfusepy.FuseOSError(errno.EIO) from None

    def _say(self, line: str) -> None:
        if line not in self._said:  # the kernel repeats failed requests
            self._said.add(line)
            print(f"bams3 mount: {line}", file=sys.stderr, flush=True)
