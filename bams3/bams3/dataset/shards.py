"""Shards: runs of consecutive chunks, of one dataset or several, of about equal size."""

from collections.abc import Callable, Iterable, Sequence

from bams3.chunk.entry import ChunkEntry
from bams3.dataset import layout
from bams3.dataset.reader import DatasetReader

Chunks = Sequence[tuple[DatasetReader, ChunkEntry]]


def _length(dataset: DatasetReader, entry: ChunkEntry) -> int:
    """Bases of the contig in a chunk's window."""
    if entry.reference_id == layout.UNPLACED:
        return 0
    return max(min(entry.end, dataset.references[entry.reference_id][1]) - entry.start, 0)


# The quantities by which shards can be balanced.
BALANCES: dict[str, Callable[[DatasetReader, ChunkEntry], int]] = {
    "bytes": lambda _, entry: entry.size,
    "reads": lambda _, entry: entry.records,
    "length": _length,
}


def shards(datasets: Iterable[DatasetReader], of: int, balance: str = "bytes") -> list[Chunks]:
    """Split the chunks of some datasets, in order, into `of` runs; the largest, by BALANCES, is as small as possible.

    The result depends on the datasets' indexes alone, so it is the same everywhere. No run is empty, so there are at
    most as many as chunks.
    """
    return layout.split(*_weighed(datasets, balance), of)


def shard(datasets: Iterable[DatasetReader], number: int, of: int, balance: str = "bytes") -> Chunks:
    """The `number`-th (from 1) of `shards`; empty if there are fewer. Raises UsageError."""
    return layout.batch(*_weighed(datasets, balance), number, of)


def _weighed(datasets: Iterable[DatasetReader], balance: str) -> tuple[Chunks, list[int]]:
    chunks = [(dataset, entry) for dataset in datasets for entry in dataset.index]
    return chunks, [BALANCES[balance](*chunk) for chunk in chunks]
