"""Objects as files below a directory."""

import errno
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, BinaryIO

TEMPORARY = ".incomplete-"  # prefix of files that are being written


class _NamedFile(io.FileIO):
    """A file whose write errors say which object could not be written."""

    def __init__(self, path: str, target: str) -> None:
        super().__init__(path, "wb")
        self._target = target

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = self._target
            raise


def _appear_new(temporary: str, target: str) -> None:
    """Give a file its place, if that is free."""
    try:
        os.link(temporary, target)
        return
    except OSError as error:
        if error.errno != errno.EEXIST and not os.path.exists(target):
            # A file system without hard links: of two writers at once both may win.
            os.replace(temporary, target)
            return
    raise FileExistsError(errno.EEXIST, "another writer has made it", target)


class LocalStorage:
    """`Storage` in a local directory, which is made when the first object is written."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/") or "/"

    def get(self, path: str) -> bytes:
        with open(self._file(path), "rb") as file:
            return file.read()

    def get_range(self, path: str, start: int, length: int) -> bytes:
        with open(self._file(path), "rb") as file:
            return os.pread(file.fileno(), length, start)

    def get_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        with open(self._file(path), "rb") as file:
            return [memoryview(os.pread(file.fileno(), length, start)) for start, length in ranges]

    def size(self, path: str) -> int:
        return os.stat(self._file(path)).st_size

    def stamp(self, path: str) -> tuple[int, str]:
        found = os.stat(self._file(path))
        return found.st_size, str(found.st_mtime_ns)

    def sizes(self, prefix: str = "") -> dict[str, int]:
        return {path: self.size(path) for path in self.list(prefix)}

    def exists(self, path: str) -> bool:
        return os.path.isfile(self._file(path))

    def list(self, prefix: str = "") -> Iterator[str]:
        return iter(sorted(p for p in self._walk(prefix) if not os.path.basename(p).startswith(TEMPORARY)))

    def put(self, path: str, data: bytes) -> None:
        with self.create(path) as file:
            file.write(data)

    def put_new(self, path: str, data: bytes) -> None:
        with self._create(path, _appear_new) as file:
            file.write(data)

    def create(self, path: str) -> AbstractContextManager[BinaryIO]:
        return self._create(path, os.replace)

    @contextmanager
    def _create(self, path: str, appear: Callable[[str, str], None]) -> Iterator[BinaryIO]:
        """A temporary file to write into, which `appear` then gives its place."""
        target = self._file(path)
        folder, name = os.path.split(target)
        os.makedirs(folder, exist_ok=True)
        temporary = os.path.join(folder, f"{TEMPORARY}{os.urandom(6).hex()}-{name}")
        try:
            with io.BufferedWriter(_NamedFile(temporary, target)) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            appear(temporary, target)
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)

    def delete(self, path: str) -> None:
        if self.exists(path):
            with suppress(FileNotFoundError):  # another process was faster
                os.unlink(self._file(path))

    def delete_incomplete(self) -> None:
        for path in list(self._walk("")):
            if os.path.basename(path).startswith(TEMPORARY):
                os.unlink(self._file(path))

    def delete_all(self, prefix: str = "") -> None:
        import shutil

        shutil.rmtree(self._file(prefix) if prefix else self.root, ignore_errors=True)

    def _walk(self, prefix: str) -> Iterator[str]:
        top = self._file(prefix) if prefix else self.root
        for folder, folders, files in os.walk(top):
            folders.sort()
            for name in sorted(files):
                yield os.path.relpath(os.path.join(folder, name), self.root)

    def _file(self, path: str) -> str:
        return os.path.join(self.root, path)
