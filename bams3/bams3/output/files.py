"""Writing of results: completely or not at all, and never over an input or into a dataset.

A file is written under a temporary name in the same directory, and renamed on success. An object appears on success.
Symbolic links are followed: the target is replaced, and the link stays. Pipes, devices and descriptors (`/dev/stdout`,
`/dev/fd/3`) are written directly.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO

from bams3.dataset.layout import DATA, INDEX, METADATA, PARTS
from bams3.errors import UsageError
from bams3.named import opened
from bams3.storage import Storage, is_remote, open_object, open_storage
from bams3.storage.beside import FileBeside, sync_folder
from bams3.storage.local import open_regular

_DESCRIPTOR = r"/(?:dev|proc/self)/fd/(\d+)"  # compiled on first use
_MANIFEST = rb'"format"\s*:\s*"bams3"'
_MANIFEST_START = 1 << 16  # number of bytes read from a manifest, which states its format at the start
_LONGEST_LINE = 1 << 12


@contextmanager
def open_output(
    out: str | BinaryIO, *, overwrite: bool = True, indexes: Sequence[str] = ()
) -> Iterator[BinaryIO]:
    """Context manager: yield the file to write to.

    If the reader of standard output has gone away, writing ends silently.

    Parameters
    ----------
    out
        A path or URI, `-` for standard output, or an open file.
    overwrite
        Whether an existing file may be replaced.
    indexes
        Suffixes of index files. If a file is replaced, its old indexes are removed.

    Raises
    ------
    UsageError
        If no result may be written to this place (see `refuse_place`), or if the file exists and must not be replaced.
    OSError
        If writing fails.
    """
    if not isinstance(out, str):
        yield out
    elif out in ("-", "/dev/stdout"):
        with _stdout() as file:
            yield file
    elif match := re.fullmatch(_DESCRIPTOR, out):
        with os.fdopen(os.dup(int(match[1])), "wb") as file:
            yield file
    elif is_remote(out):
        with _object(out, overwrite, indexes) as file:
            yield file
    else:
        with _local_file(_local(out), overwrite, indexes) as file:
            yield file


@contextmanager
def all_or_none(prefix: str, inputs: Sequence[str] = ()) -> Iterator[Callable[[str], BinaryIO]]:
    """Context manager: yield a function that creates the file `prefix + suffix`. Files appear when all are complete.

    Raises UsageError if the directory of the prefix does not exist, if a file would be hidden or is one of the
    `inputs`, or if no result may be written there.
    """
    with ExitStack() as files:
        if is_remote(prefix):
            place, name = open_object(prefix)
            _refuse_dataset(_remote_dataset_around(prefix), prefix)

            def create(suffix: str) -> BinaryIO:
                _refuse_hidden(prefix, suffix)
                refuse_inputs(prefix + suffix, *inputs)
                return files.enter_context(place.create(name + suffix))

            yield create
            return
        prefix = _local(prefix)
        directory = os.path.dirname(prefix)
        if not os.path.isdir(directory or "."):
            raise UsageError(f"{prefix}: the directory {directory} does not exist; create it first")
        made: list[FileBeside] = []

        def create(suffix: str) -> BinaryIO:
            path = prefix + suffix
            _refuse_hidden(prefix, suffix)
            refuse_inputs(path, *inputs)
            refuse_place(path)
            if is_special(path):
                return files.enter_context(opened(path, "wb"))
            made.append(files.enter_context(_beside(path)))
            return made[-1].file

        yield create
        for file in made:
            file.begin_sync()
        for file in made:
            file.appear(sync=True)
        sync_folder(directory or ".")


def _refuse_hidden(prefix: str, suffix: str) -> None:
    """Raise UsageError if a file would have no name but its suffix, because the prefix is a folder."""
    folder, name = os.path.split(prefix)
    if name in ("", ".", "..") and (name + suffix).startswith("."):
        raise UsageError(
            f"{prefix}: the files would be hidden, because their names begin with this prefix; give a name, too, such "
            f"as {os.path.join(folder, name, 'NA12878')}"
        )


def refuse_inputs(out: str, *inputs: str | None) -> None:
    """Raise UsageError if an output is one of the inputs, or is an object in one of them."""
    for given in inputs:
        if out != "-" and given is not None and _is_in(out, given):
            raise UsageError(
                f"{out}: this is an input of the command and must not be overwritten; choose another name"
            )


def refuse_place(path: str) -> None:
    """Raise UsageError if `path` is a directory or lies in a dataset, and OSError if it is a write-protected file."""
    if is_remote(path):
        _refuse_dataset(_remote_dataset_around(path), path)
        return
    path = _local(path)
    if os.path.isdir(path):
        raise UsageError(f"{path}: this is a directory; give the name of a file")
    _refuse_dataset(_dataset_around(path), path)
    if os.path.isfile(path) and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "it is write-protected", path)


def local_folder(folder: str) -> str:
    """Return the path of a folder for results, which need not exist.

    Raises UsageError if it is a file, lies in object storage, or is a dataset or lies in one.
    """
    if is_remote(folder):
        raise UsageError(
            f"{folder}: not on a file system; give a folder that is, and copy the files when they are done"
        )
    path = _local(folder)
    _refuse_dataset(_dataset_around(os.path.join(path, "result")), folder)
    if os.path.lexists(path) and not os.path.isdir(path):
        raise UsageError(f"{folder}: not a directory; choose another name")
    return path


def refuse_inner(root: str) -> None:
    """Raise UsageError if a dataset would be written into another one, to a file, or to standard output."""
    if root == "-":
        raise UsageError(
            "-: a dataset is a directory, which can't be written to standard output; give it a name"
        )
    if not is_remote(root):
        if os.path.exists(root) and not os.path.isdir(root):
            raise UsageError(f"{root}: not a directory, but a dataset must be one; choose another name")
        _refuse_dataset(_dataset_around(root), root)
    elif any(folder.endswith(".bams3") for folder in root.split("/")[3:-1]):  # otherwise it costs a request
        _refuse_dataset(_remote_dataset_around(root), root)


def refuse_foreign(path: str, is_own: Callable[[bytes], bool], what: str) -> None:
    """Raise UsageError if a log may not be written to `path`, for example because a file of another kind exists there.

    `is_own`: tells, from its first line, whether a file is a log of this kind; an empty file is accepted. `what`: names
    the kind of log in the message.
    """
    refuse_place(path)
    if os.path.isfile(path):
        with open_regular(path) as file:
            line = file.readline(_LONGEST_LINE)
        if line and not is_own(line):
            raise UsageError(f"{path}: already exists, and is not {what}; choose another name")


def _beside(path: str) -> FileBeside:
    """Return a file that is written next to the target of a path."""
    return FileBeside(os.path.realpath(path), f".bams3-{os.urandom(6).hex()}.tmp", path)


def _is_there(path: str) -> bool:
    """Tell whether there is a file or a link.

    Raises OSError if this is unknown (`os.path.lexists` would return False).
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


@contextmanager
def _local_file(path: str, overwrite: bool, indexes: Sequence[str]) -> Iterator[BinaryIO]:
    refuse_place(path)
    if is_special(path):
        with opened(path, "wb") as file:
            yield file
        return
    exists = _is_there(path)
    if exists and not overwrite:
        raise _existing(path)
    with _beside(path) as beside:
        yield beside.file
        beside.appear(sync=True)
    try:
        sync_folder(os.path.dirname(os.path.realpath(path)))
    except OSError:
        if not exists:
            with suppress(OSError):  # the original error is the one to report
                os.unlink(path)
        raise
    if exists:
        for index in {*_indexes(path, indexes), *_indexes(os.path.realpath(path), indexes)}:
            with suppress(FileNotFoundError):
                if stat.S_ISREG(os.lstat(index).st_mode):
                    os.unlink(index)


@contextmanager
def _object(uri: str, overwrite: bool, indexes: Sequence[str]) -> Iterator[BinaryIO]:
    place, name = open_object(uri)
    exists = False
    with place.create(name) as file:
        _refuse_dataset(_remote_dataset_around(uri), uri)
        if indexes or not overwrite:
            exists = place.exists(name)
        if exists and not overwrite:
            raise _existing(uri)
        yield file
    if exists:
        for index in filter(place.exists, _indexes(name, indexes)):
            place.delete(index)


@contextmanager
def _stdout() -> Iterator[BinaryIO]:
    try:
        yield sys.stdout.buffer
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()


def drop_output() -> None:
    """Discard buffered output that can't be written. Otherwise, Python would fail again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _existing(out: str) -> UsageError:
    return UsageError(f"{out}: already exists; use --overwrite to replace it, or choose another name")


def _indexes(path: str, endings: Sequence[str]) -> list[str]:
    """Return the paths where htslib looks for a file's index: the suffix is appended, or replaces the file's own."""
    stem = os.path.splitext(path)[0]
    return [f"{of}{ending}" for of in (path, stem) for ending in endings]


def is_special(path: str) -> bool:
    """Tell whether `path` is a pipe, a device or the like, which is written to instead of being replaced."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _local(path: str) -> str:
    return path.removeprefix("file://")


def _is_in(out: str, given: str) -> bool:
    """Tell whether an output is an input, or an object in the folder of an input (for files, see `_dataset_around`)."""
    if is_remote(out) or is_remote(given):
        if not (is_remote(out) and is_remote(given)):
            return False
        place, name = open_object(out)
        return f"{place.root}/{name}/".startswith(f"{open_storage(given).root}/")
    out, given = _local(out), _local(given)
    return os.path.isfile(out) and os.path.exists(given) and os.path.samefile(out, given)


def _refuse_dataset(root: str | None, path: str) -> None:
    if root is not None:
        raise UsageError(
            f"{path}: lies in the dataset {root}, which must not contain other files; choose another place"
        )


def _dataset_around(path: str) -> str | None:
    """Return the dataset, complete or incomplete, that a path lies in; None if there is none."""
    from bams3.storage.local import LocalStorage

    folder, inner = os.path.dirname(os.path.realpath(path)), ""
    while folder != inner:
        storage = LocalStorage(folder)
        if _has_manifest(storage) or storage.exists(f"{PARTS}/plan.json"):
            return folder
        folder, inner = os.path.dirname(folder), folder
    return None


def _remote_dataset_around(uri: str) -> str | None:
    """Return the dataset in which an object would lie; None if there is none. It takes one request for a manifest."""
    place, _, query = uri.partition("?")
    scheme, _, path = place.partition("://")
    folders = path.split("/")[:-1]
    own = [i for i, name in enumerate(folders) if name.endswith(".bams3")]
    if own:
        folders = folders[: own[0] + 1]
    elif len(folders) > 1 and folders[-1] in (DATA, PARTS, os.path.dirname(INDEX)):
        folders.pop()
    storage = open_storage(f"{scheme}://{'/'.join(folders)}" + (f"?{query}" if query else ""))
    return storage.root if _has_manifest(storage) else None


def _has_manifest(storage: Storage) -> bool:
    with suppress(OSError):
        return bool(re.search(_MANIFEST, storage.get_range(METADATA, 0, _MANIFEST_START)))
    return False
