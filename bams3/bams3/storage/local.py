"""Storage of objects as files below a local directory."""

import errno
import io
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import BinaryIO

from bams3.named import NamedFile, named
from bams3.storage import LARGEST
from bams3.storage.beside import FileBeside, sync_folder

TEMPORARY = ".incomplete-"  # prefix of files that are being written
_KEPT = re.compile(r"\.(nfs|fuse_hidden)[0-9a-f]{16,}")
"""Names that NFS and FUSE give to a file that was removed while a process has it open.

It disappears with the process.
"""
_UNFINISHED = rf"{re.escape(TEMPORARY)}[0-9a-f]{{12}}-(.+)"


def _appear_new(temporary: str, target: str) -> None:
    """Move a file into place if there is no file yet."""
    try:
        os.link(temporary, target)
        return
    except OSError as error:
        if error.errno != errno.EEXIST and not os.path.exists(target):
            # The file system has no hard links, so two simultaneous writers may both succeed.
            os.replace(temporary, target)
            return
    raise FileExistsError(errno.EEXIST, "another writer created it first", target)


def open_regular(path: str) -> BinaryIO:
    """Open a regular file for reading.

    Raises OSError for other files, because reading a pipe or device might never end.
    """
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(file).st_mode
    if not stat.S_ISREG(mode):
        os.close(file)
        raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL, "not a regular file", path)
    return io.BufferedReader(NamedFile(file, "rb", path))


def _pread(file: BinaryIO, start: int, length: int) -> bytes:
    """Read a range.

    Memory is allocated only for bytes that the file has. The system may return fewer bytes at a time.
    """
    length = max(min(length, os.fstat(file.fileno()).st_size - start), 0)
    data = os.pread(file.fileno(), length, start)
    while len(data) < length and (more := os.pread(file.fileno(), length - len(data), start + len(data))):
        data += more
    return data


def _raise(error: OSError) -> None:
    """Raise an error in listing a folder, unless another process has removed the folder, or it is not a folder."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


class LocalStorage:
    """`Storage` in a local directory, which is created when the first object is written."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/") or "/"
        self._changed: set[str] = set()
        """Folders whose entries might be lost in a power cut."""
        self._created = False
        """Whether this storage created the root."""

    def get(self, path: str) -> bytes:
        with self._reading(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST:
                raise OSError(errno.EFBIG, f"{size} bytes, more than such a file can have", self._file(path))
            return file.read()

    def get_range(self, path: str, start: int, length: int) -> bytes:
        with self._reading(path) as file:
            return _pread(file, start, length)

    def get_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        with self._reading(path) as file:
            return [memoryview(_pread(file, start, length)) for start, length in ranges]

    def size(self, path: str) -> int:
        return os.stat(self._file(path)).st_size

    def stamp(self, path: str) -> tuple[int, str]:
        found = os.stat(self._file(path))
        return found.st_size, str(found.st_mtime_ns)

    def modified(self, path: str) -> float:
        return os.stat(self._file(path)).st_mtime

    def sizes(self, prefix: str = "") -> dict[str, int]:
        found = {}
        for path in self.list(prefix):
            with suppress(FileNotFoundError):  # another process has removed it
                found[path] = self.size(path)
        return found

    def exists(self, path: str) -> bool:
        try:
            return stat.S_ISREG(os.stat(self._file(path)).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def list(self, prefix: str = "") -> Iterator[str]:
        return iter(
            sorted(p for p in self._walk(prefix) if not re.fullmatch(_UNFINISHED, os.path.basename(p)))
        )

    def folders(self) -> Iterator[str]:
        with os.scandir(self.root) as found:
            return iter(sorted(item.name for item in found if item.is_dir()))

    def put(self, path: str, data: bytes) -> None:
        with self.create(path) as file:
            file.write(data)

    def put_all(self, objects: Sequence[tuple[str, bytes]]) -> None:
        with ExitStack() as stack:
            files = []
            for path, data in objects:
                files.append(stack.enter_context(self._beside(path)))
                files[-1].file.write(data)
            for beside in files:
                beside.begin_sync()
            for beside in files:
                beside.appear(os.replace, sync=True)

    def put_new(self, path: str, data: bytes) -> None:
        with self._create(path, _appear_new) as file:
            file.write(data)

    def create(self, path: str) -> AbstractContextManager[BinaryIO]:
        return self._create(path, os.replace)

    @contextmanager
    def _create(self, path: str, appear: Callable[[str, str], None]) -> Iterator[BinaryIO]:
        """Context manager: yield a temporary file, which `appear` then moves into place."""
        with self._beside(path) as beside:
            yield beside.file
            beside.appear(appear, sync=True)

    def _beside(self, path: str) -> FileBeside:
        target = self._file(path)
        folder, name = os.path.split(target)
        self._change(folder)
        self._created = self._created or not os.path.isdir(self.root)
        os.makedirs(folder, exist_ok=True)
        return FileBeside(target, f"{TEMPORARY}{os.urandom(6).hex()}-{name}")

    def delete(self, path: str) -> None:
        if self.exists(path):
            with suppress(FileNotFoundError):  # another process was faster
                os.unlink(self._file(path))
            self._change(os.path.dirname(self._file(path)))

    def delete_incomplete(self, of: Callable[[str], bool]) -> None:
        for path in list(self._walk("")):
            folder, name = os.path.split(path)
            if (unfinished := re.fullmatch(_UNFINISHED, name)) and of(os.path.join(folder, unfinished[1])):
                os.unlink(self._file(path))

    def delete_all(self, paths: Iterable[str]) -> None:
        folders = set()
        for path in list(paths):
            with suppress(FileNotFoundError):
                os.unlink(self._file(path))
            folders.add(os.path.dirname(path))
            self._change(os.path.dirname(self._file(path)))
        for folder in sorted(folders, key=len, reverse=True):
            with suppress(OSError):  # not empty
                while folder:
                    os.rmdir(self._file(folder))
                    folder = os.path.dirname(folder)
        if self._created:
            with suppress(OSError):  # not empty
                os.rmdir(self.root)

    def link_from(self, source: "LocalStorage", paths: Iterable[tuple[str, str]]) -> None:
        """Add files of another storage to this one, with hard links if the file system has them, otherwise as copies.

        `paths`: the path of each file in the other storage, and its path here.
        """
        for path, here in paths:
            target = self._file(here)
            self._change(os.path.dirname(target))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            try:
                os.link(source._file(path), target)
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links
                import shutil  # here, because it takes 2 ms

                with source._reading(path) as file, self.create(here) as copy:
                    shutil.copyfileobj(file, copy, 1 << 20)

    def sync(self) -> None:
        while self._changed:
            sync_folder(self._changed.pop())

    def links(self) -> Iterator[str]:
        for folder, folders, files in os.walk(self.root, onerror=_raise):
            for name in sorted(folders + files):
                if os.path.islink(path := os.path.join(folder, name)):
                    yield os.path.relpath(path, self.root)

    def _walk(self, prefix: str) -> Iterator[str]:
        top = self._file(prefix) if prefix else self.root
        for folder, folders, files in os.walk(top, onerror=_raise):
            folders.sort()
            inside = folder[len(self.root.rstrip("/")) + 1 :].rstrip("/")
            for name in sorted(itertools.filterfalse(_KEPT.fullmatch, files)):
                yield f"{inside}/{name}" if inside else name

    @contextmanager
    def _reading(self, path: str) -> Iterator[BinaryIO]:
        name = self._file(path)
        with named(name), open_regular(name) as file:
            yield file

    def _change(self, folder: str) -> None:
        """Record that the entries of a folder change, and possibly those of the folders above it.

        This goes up to the folder that contains the root, or further if that folder does not exist yet.
        """
        folder, root = os.path.abspath(folder), os.path.abspath(self.root)
        while folder not in self._changed:
            self._changed.add(folder)
            if not folder.startswith(root) and os.path.isdir(folder):
                break
            folder = os.path.dirname(folder)

    def _file(self, path: str) -> str:
        return os.path.join(self.root, path)
