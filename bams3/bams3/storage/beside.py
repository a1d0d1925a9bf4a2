"""Files that appear whole: written under another name in the same folder, then moved into place."""

import io
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self


class _NamedFile(io.FileIO):
    """A new file whose errors name the file that it will be."""

    def __init__(self, path: str, name: str) -> None:
        self._name = name
        try:
            super().__init__(path, "xb")
        except OSError as error:
            error.filename = name
            raise

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = self._name
            raise


class FileBeside:
    """A context manager: `file`, to be written, takes the place of `target` with `appear`; without that it is removed.

    Parameters
    ----------
    target
        The path that the file will have.
    temporary
        The name that it has until then, in the same folder. No file may have it.
    name
        What errors call the file; `target` by default.
    """

    def __init__(self, target: str, temporary: str, name: str | None = None) -> None:
        self._target = target
        self._temporary = os.path.join(os.path.dirname(target), temporary)
        self._name = target if name is None else name

        self._moved = False

    def __enter__(self) -> Self:
        self.file = io.BufferedWriter(_NamedFile(self._temporary, self._name))
        return self

    def begin_sync(self) -> None:
        """Have the system begin to write what is in the file, without waiting: many files are synced sooner then."""
        self.file.flush()
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self.file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def appear(self, move: Callable[[str, str], None] = os.replace, *, sync: bool = False) -> None:
        """Close the file and `move` it into place; `sync` writes it through to the disk first. Raises OSError."""
        if sync:
            self.file.flush()
            os.fsync(self.file.fileno())
        self.file.close()
        try:
            move(self._temporary, self._target)
        except FileExistsError:
            raise
        except OSError as error:
            error.filename, error.filename2 = self._name, None
            raise
        self._moved = move is os.replace

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self.file.close()
        if not self._moved:
            with suppress(OSError):
                os.unlink(self._temporary)
