"""Files that appear complete: they are written under another name in the same folder, and then moved into place."""

import errno
import io
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from bams3.named import NamedFile, named

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # constants of Linux
_NO_SYNC = (errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.ENOTSUP)
_NO_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


def sync_folder(path: str) -> None:
    """Wait until the entries of a folder survive a power cut. Raises OSError if they might not.

    File systems that do not support this are ignored, and so are folders that have been removed.
    """
    with named(path):
        try:
            folder = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        except (FileNotFoundError, PermissionError):
            return
        try:
            os.fsync(folder)
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise
        finally:
            os.close(folder)


def exchange(first: str, second: str) -> bool:
    """Exchange two paths atomically; return False if the system or the file system can't do this. Raises OSError."""
    import ctypes

    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    if not rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE):
        return True
    if (code := ctypes.get_errno()) in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), second)


class FileBeside:
    """A context manager for a new `file`. `appear` moves it to `target`; otherwise, it is removed at the end.

    Parameters
    ----------
    target
        The path that the file will have.
    temporary
        The name that it has until then, in the same folder. No other file may have this name.
    name
        The name of the file in errors; by default, `target`.
    """

    def __init__(self, target: str, temporary: str, name: str | None = None) -> None:
        self._target = target
        self._temporary = os.path.join(os.path.dirname(target), temporary)
        self._name = target if name is None else name

        self._moved = False

    def __enter__(self) -> Self:
        self.file = io.BufferedWriter(NamedFile(self._temporary, "xb", self._name))
        return self

    def begin_sync(self) -> None:
        """Start writing the file to disk, without waiting. If all files do this first, syncing them takes less time."""
        self.file.flush()
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self.file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def appear(self, move: Callable[[str, str], None] = os.replace, *, sync: bool = False) -> None:
        """Close the file and `move` it into place. `sync`: write it to the disk first. Raises OSError."""
        with named(self._name):
            if sync:
                self.file.flush()
                os.fsync(self.file.fileno())
            self.file.close()
            try:
                move(self._temporary, self._target)
            except PermissionError as error:
                if error.errno == errno.EPERM and os.path.lexists(self._target):  # for example with SFTP
                    error.strerror = (
                        "it exists, and this file system does not replace it; write to another path"
                    )
                raise
        self._moved = move is os.replace

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self.file.close()
        if not self._moved:
            with suppress(OSError):
                os.unlink(self._temporary)
