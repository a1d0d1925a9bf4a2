"""Opening of the inputs of commands: a dataset, or loose chunks of one."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from bams3.chunk.footer import MAGIC, MAGICS
from bams3.chunk.reader import ChunkReader, contig_in, open_chunk
from bams3.dataset import layout
from bams3.dataset.reader import DatasetReader
from bams3.errors import DatasetError, UsageError
from bams3.storage import is_remote, open_object, open_storage, uri_of
from bams3.storage.memory import is_stream


def open_reader(names: Any, *, prefetch: Sequence[str] = (layout.INDEX,)) -> DatasetReader:
    """Open a dataset, or one or more chunks of a dataset.

    Parameters
    ----------
    names
        A path or URI, or several; `-` is a chunk on standard input.
    prefetch
        As for `DatasetReader`.

    Raises
    ------
    UsageError
        If the names are those of several datasets.
    DatasetError
        If there is no dataset.
    FormatError
        If a document or a chunk is damaged.
    """
    several = isinstance(names, Iterable) and not isinstance(names, str | bytes | os.PathLike)
    readers = open_readers(names if several else [names], prefetch=prefetch)
    if len(readers) > 1:
        raise UsageError(
            f"{readers[1].uri}: not from the same dataset as {readers[0].uri}; give one dataset, or chunks of one"
        )
    return readers[0]


def open_readers(names: Iterable[Any], *, prefetch: Sequence[str] = (layout.INDEX,)) -> list[DatasetReader]:
    """Open datasets and chunks, in the order of the names.

    The chunks of one dataset are read together, as a part of it. Raises the same errors as `open_reader`.
    """
    given = [*names]
    if not given:
        raise UsageError("no datasets; give at least one path or URI")
    if len(given) > 1 and any(map(is_remote, given)):
        from bams3.storage.ranges import pool

        return list(_grouped(list(pool().map(lambda name: _opened(name, prefetch), given))))
    return list(_grouped([_opened(name, prefetch) for name in given]))


def _grouped(opened: Sequence[DatasetReader | ChunkReader]) -> Iterator[DatasetReader]:
    """Yield the datasets in order; the chunks of a dataset come together, at the place of the first one."""
    loose: dict[tuple[str, str], list[ChunkReader]] = {}
    for each in opened:
        if isinstance(each, ChunkReader):
            loose.setdefault(_dataset_of(each), []).append(each)
    if not loose:
        yield from (each for each in opened if isinstance(each, DatasetReader))
        return
    from bams3.dataset.loose import LooseChunks

    for each in opened:
        if isinstance(each, DatasetReader):
            yield each
        elif chunks := loose.pop(_dataset_of(each), None):
            yield LooseChunks(chunks)


def _dataset_of(chunk: ChunkReader) -> tuple[str, str]:
    """Return what identifies the dataset of a chunk: its folder if the chunk is still in it, otherwise its header id.

    The header id alone is not enough: several datasets may have the same one, and a dataset to which reads were
    appended has chunks with different ones.
    """
    root, data, _ = chunk.name.rpartition(f"/{layout.DATA}/")
    return ("", root) if data else (chunk.footer.dataset, "")


def _opened(name: Any, prefetch: Sequence[str]) -> DatasetReader | ChunkReader:
    if isinstance(name, DatasetReader):
        return name
    name = uri_of(name)
    if not is_remote(name):
        path = contig_in(name.removeprefix("file://"))[0]
        is_chunk = is_stream(path) or os.path.isfile(path)
        return _chunk(open_chunk(name)) if is_chunk else DatasetReader(name, prefetch=prefetch)
    if contig_in(name)[0].partition("?")[0].endswith(".chunk"):
        return _chunk(open_chunk(name))
    try:
        return DatasetReader(name, prefetch=prefetch)
    except DatasetError:
        storage, path = open_object(name)
        if not storage.exists(path):
            raise
        return _chunk(ChunkReader(storage, path))


def _chunk(chunk: ChunkReader) -> ChunkReader:
    """Read the footer of a chunk."""
    _ = chunk.footer
    return chunk


def inputs_of(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the positional arguments of a command into inputs (a dataset, or chunks) and the rest, such as regions.

    If the first argument is a chunk, further chunks may follow: files that begin with the magic number of chunks,
    streams, and URIs that end in `.chunk`.
    """
    count = 1
    if is_chunk(words[0]):
        while count < len(words) and is_chunk(words[count]):
            count += 1
    return list(words[:count]), list(words[count:])


def is_chunk(word: str) -> bool:
    """Tell whether an argument names a chunk: a file with its magic number, a stream, or a URI ending in `.chunk`."""
    if is_remote(word):
        return contig_in(word)[0].partition("?")[0].endswith(".chunk")
    path = contig_in(word.removeprefix("file://"))[0]
    if is_stream(path):
        return True
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) in MAGICS
    except (OSError, ValueError):
        return False


def is_other_file(word: str) -> bool:
    """Tell whether an argument names a file that is neither a chunk nor a dataset. Raises OSError."""
    if is_chunk(word):
        return False
    if not is_remote(word):
        return os.path.isfile(word.removeprefix("file://"))
    with suppress(PermissionError):  # the URL may be signed for the file alone
        if open_storage(word).exists(layout.METADATA):
            return False
    storage, path = open_object(word)
    return storage.exists(path) and storage.get_range(path, 0, len(MAGIC)) not in MAGICS
