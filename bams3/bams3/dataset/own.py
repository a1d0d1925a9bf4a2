"""The objects that belong to a dataset: their paths fit its plan, and if they are chunks, they name the dataset."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from bams3.chunk.footer import MAGIC, MAGICS
from bams3.dataset import layout
from bams3.dataset.generations import growing, is_document, split_path
from bams3.dataset.hashed_paths import is_hashed
from bams3.dataset.manifest import HASHED_PATHS
from bams3.errors import DatasetError, FormatError
from bams3.storage import Storage

_CHUNK = rf"{layout.DATA}/([^/]+)/([0-9]{{9,}})-([0-9]{{9,}})\.chunk"
_UNPLACED = rf"{layout.DATA}/{layout.UNPLACED_FOLDER}/[0-9]{{6,}}\.chunk"
_PART = rf"{layout.PARTS}/([0-9]{{6,}}-of-[0-9]{{6,}}|[^/]+-[0-9]{{9,}}|[0-9a-f]{{32}})\.json"
_FORMER = rf"{layout.PARTS}/former-[0-9a-f]{{32}}-[0-9]+\.json"
_ROOT = (layout.METADATA, layout.HEADER, layout.PLAIN_HEADER, layout.INDEX, layout.PLAN)
READERS = 16  # number of threads that read chunks


def is_part(path: str) -> bool:
    """Tell whether a path is that of a part file."""
    return bool(re.fullmatch(_PART, path))


def is_former(path: str) -> bool:
    """Tell whether a path is that of a plan that has been replaced."""
    return bool(re.fullmatch(_FORMER, path))


def _with_windows(plan: Any) -> Iterable[Sequence[Any]]:
    """Return the [name, length] of the contigs that share no window."""
    if not plan.joined:
        return plan.references  # type: ignore[no-any-return]
    shared = plan.joined.shared
    return (each for number, each in enumerate(plan.references) if number not in shared)


class Own:
    """The rule that decides what belongs to a dataset, based on its valid plan and the plans that it replaced."""

    def __init__(self, plans: Sequence[Any]) -> None:
        self.header_ids = {name for plan in plans for name in (plan.header_id, *plan.earlier_header_ids)}
        plain = [plan for plan in plans if plan.version != HASHED_PATHS]
        self._hashes, self._names = len(plain) < len(plans), bool(plain)
        self._windows = [
            (
                plan.chunk_size,
                {layout.encode_name(name): max(length, 1) for name, length in _with_windows(plan)},
            )
            for plan in plain
        ]
        self._shared = {path for plan in plain if plan.joined for path in plan.joined.shared_paths()}

    def has(self, path: str) -> bool:
        """Tell whether an object at this path may belong to the dataset."""
        return (
            path in _ROOT
            or is_part(path)
            or is_former(path)
            or bool(growing(path))
            or is_document(path)
            or self.has_chunk(path)
        )

    def has_chunk(self, path: str) -> bool:
        """Tell whether a path is that of a chunk of the dataset, of any generation."""
        path, _ = split_path(path)
        if is_hashed(path):
            return self._hashes
        found = re.fullmatch(_CHUNK, path)
        if not found:
            return self._names and bool(re.fullmatch(_UNPLACED, path))
        if path in self._shared:
            return True
        start, end = int(found[2]), int(found[3])
        return any(
            start < lengths.get(found[1], 0) and start % size == 0 and end == start + size
            for size, lengths in self._windows
        )

    def not_chunks(self, storage: Storage, paths: Iterable[str]) -> list[str]:
        """Return those of the paths of chunks at which there is something other than a chunk of the dataset."""
        chunks = [path for path in paths if self.has_chunk(path)]
        if not chunks:
            return []
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(READERS) as pool:
            known = pool.map(lambda path: self._is_chunk(storage, path), chunks)
            return [path for path, is_chunk in zip(chunks, known, strict=True) if not is_chunk]

    def check_chunk(self, storage: Storage, path: str) -> None:
        """Raise DatasetError if the object at a chunk's path is foreign, so that it must not be overwritten."""
        if not self._is_chunk(storage, path):
            raise DatasetError(
                f"{storage.root}/{path}: not overwritten because it is not a chunk of this dataset; move it elsewhere"
            )

    def delete_strays(self, storage: Storage, strays: Iterable[str]) -> None:
        """Delete chunks that an interrupted run left.

        Raises DatasetError, before anything is deleted, if an object is not a chunk of the dataset; the error names it.
        """
        strays = list(strays)
        foreign = [path for path in strays if not self.has_chunk(path)] or self.not_chunks(storage, strays)
        if foreign:
            raise DatasetError(
                f"{storage.root}/{foreign[0]}: not a chunk of this dataset; move it elsewhere and merge again"
            )
        storage.delete_all(strays)

    def _is_chunk(self, storage: Storage, path: str) -> bool:
        """Tell whether an object is a chunk of the dataset, is a damaged chunk, or has disappeared."""
        from bams3.chunk.reader import ChunkReader

        try:
            if storage.get_range(path, 0, len(MAGIC)) not in MAGICS:
                return False
            return ChunkReader(storage, path).dataset in self.header_ids
        except (FormatError, FileNotFoundError):
            return True
