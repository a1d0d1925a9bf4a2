"""What is a dataset's own: the paths that the grid of its plan gives, and there only chunks that say so."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from bams3.chunk.footer import MAGIC
from bams3.dataset import layout
from bams3.errors import DatasetError, FormatError
from bams3.storage import Storage

PLAN = f"{layout.PARTS}/plan.json"

_CHUNK = re.compile(rf"{layout.DATA}/([^/]+)/([0-9]{{9,}})-([0-9]{{9,}})\.chunk")
_UNPLACED = re.compile(rf"{layout.DATA}/{layout.UNPLACED_FOLDER}/[0-9]{{6,}}\.chunk")
_PART = re.compile(rf"{layout.PARTS}/([0-9]{{6,}}-of-[0-9]{{6,}}|[^/]+-[0-9]{{9,}})\.json")
_FORMER = re.compile(rf"{layout.PARTS}/former-[0-9a-f]{{32}}-[0-9]+\.json")
_ROOT = (layout.METADATA, layout.HEADER, layout.INDEX, PLAN)
READERS = 16  # that look at chunks at a time


def is_part(path: str) -> bool:
    """Is it the path of a part file?"""
    return bool(_PART.fullmatch(path))


def is_former(path: str) -> bool:
    """Is it the path of a plan that another one has replaced?"""
    return bool(_FORMER.fullmatch(path))


class Own:
    """What belongs to a dataset by its plans: the one that is valid, and those it has replaced."""

    def __init__(self, plans: Sequence[Any]) -> None:
        self.header_ids = {plan.header_id for plan in plans}
        self._windows = [
            (plan.chunk_size, {layout.encode_name(name): max(length, 1) for name, length in plan.references})
            for plan in plans
        ]

    def has(self, path: str) -> bool:
        """May an object at this path be the dataset's?"""
        return path in _ROOT or is_part(path) or is_former(path) or self.has_chunk(path)

    def has_chunk(self, path: str) -> bool:
        """Is it the path of a chunk of the dataset?"""
        found = _CHUNK.fullmatch(path)
        if not found:
            return bool(_UNPLACED.fullmatch(path))
        start, end = int(found[2]), int(found[3])
        return any(
            start < lengths.get(found[1], 0) and start % size == 0 and end == start + size
            for size, lengths in self._windows
        )

    def not_chunks(self, storage: Storage, paths: Iterable[str]) -> list[str]:
        """Of paths of chunks those where something else is than a chunk of the dataset."""
        chunks = [path for path in paths if self.has_chunk(path)]
        if not chunks:
            return []
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(READERS) as pool:
            known = pool.map(lambda path: self._is_chunk(storage, path), chunks)
            return [path for path, is_chunk in zip(chunks, known, strict=True) if not is_chunk]

    def check_chunk(self, storage: Storage, path: str) -> None:
        """Raise DatasetError if what is at the path of a chunk is not the dataset's, so that it is not overwritten."""
        if not self._is_chunk(storage, path):
            raise DatasetError(
                f"{storage.root}/{path}: not overwritten, since it is not a chunk of this dataset; move it away"
            )

    def delete_strays(self, storage: Storage, strays: Iterable[str]) -> None:
        """Delete chunks that a run that was stopped has left. Raises DatasetError, before anything is deleted, naming
        what is not a chunk of the dataset."""
        strays = list(strays)
        foreign = [path for path in strays if not self.has_chunk(path)] or self.not_chunks(storage, strays)
        if foreign:
            raise DatasetError(
                f"{storage.root}/{foreign[0]}: not a chunk of this dataset; move it away, and merge again"
            )
        storage.delete_all(strays)

    def _is_chunk(self, storage: Storage, path: str) -> bool:
        """Is an object a chunk of the dataset, or one that is damaged, or has gone?"""
        from bams3.chunk.reader import Chunk

        try:
            if storage.get_range(path, 0, len(MAGIC)) != MAGIC:
                return False
            return Chunk(storage, path).footer.dataset in self.header_ids
        except (FormatError, FileNotFoundError):
            return True
