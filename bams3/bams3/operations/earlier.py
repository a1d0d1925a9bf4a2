"""Row groups that an interrupted conversion left, or that a growing dataset has, and that are reused if they match."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from bams3.chunk.reader import ChunkReader
from bams3.chunk.row_group import RowGroup, records_checksum
from bams3.chunk.tiles import tiles_of
from bams3.chunk.writer import CompressedRowGroup, stored_row_group
from bams3.codec import ENCODINGS
from bams3.dataset.plan import Plan
from bams3.dataset.reader import DatasetReader
from bams3.errors import FormatError
from bams3.operations.row_groups import ChunkKey
from bams3.storage import Storage

KEPT_CHUNKS = 16  # chunks whose footers are cached


class Earlier:
    """The existing chunks of a destination or a dataset. Thread-safe."""

    def __init__(
        self, storage: Storage, plan: Plan, sizes: Mapping[str, int],
        path_of: Callable[[ChunkKey], str] | None = None,
    ) -> None:  # fmt: skip
        """Take the existing objects of a storage.

        `sizes`: the length of each object in bytes, by path. `path_of`: returns the path of a chunk, or "" if there is
        none; by default, the path is that of the plan.
        """
        self._storage, self._plan, self._sizes = storage, plan, sizes
        self._path_of = path_of or (lambda key: plan.chunk_path(*key))
        self._row_groups = lru_cache(KEPT_CHUNKS)(self._read_row_groups)

    @classmethod
    def of(cls, dataset: DatasetReader, plan: Plan) -> "Earlier":
        """Return the chunks of a dataset."""
        grid = dataset.grid
        paths = {grid.path(entry.reference_id, entry.start): entry.path for entry in dataset.objects}
        sizes = {entry.path: entry.size for entry in dataset.objects}
        return cls(dataset.storage, plan, sizes, lambda key: paths.get(plan.grid.path(*key), ""))

    def row_group(self, block: Any, key: ChunkKey, number: int) -> CompressedRowGroup | None:
        """Return the stored row group if it holds the same records, else None."""
        try:
            groups = self._row_groups(self._path_of(key))
            if number >= len(groups):
                return None
            entry = groups[number].entry
            if entry.zone.records != len(block) or entry.crc32 != records_checksum(block):
                return None
            stored = stored_row_group(groups[number], tiles_of(block))
            groups[number].spans.clear()  # release the fetched bytes
            return stored
        except FormatError:
            return None

    def _read_row_groups(self, path: str) -> list[RowGroup]:
        """Return the row groups of a chunk; none if the chunk can't belong to this dataset."""
        if path not in self._sizes:
            return []
        chunk = ChunkReader(self._storage, path, size=self._sizes[path])
        footer = chunk.footer
        headers = self._plan.header_id, *self._plan.earlier_header_ids
        if footer.dataset not in headers or (footer.level, footer.encodings) != (self._plan.level, ENCODINGS):
            return []
        mentioned = (reference for group in footer.row_groups for reference in group.references)
        return list(chunk.stored_row_groups) if max(mentioned, default=0) < len(self._plan.references) else []
