"""Shards: runs of consecutive chunks, of one dataset or of many, that are about equally large."""

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


# What shards have about equally much of.
BALANCES: dict[str, Callable[[DatasetReader, ChunkEntry], int]] = {
    "bytes": lambda _, entry: entry.size,
    "reads": lambda _, entry: entry.records,
    "length": _length,
}


def shards(datasets: Iterable[DatasetReader], of: int, balance: str = "bytes") -> list[Chunks]:
    """The chunks of some datasets, in order, as `of` runs of which the largest, by BALANCES, is as small as it can be.

    They depend on the datasets' indexes alone, so they are the same everywhere. None is empty: there are no more of
    them than chunks.
    """
    return layout.split(*_weighed(datasets, balance), of)


def shard(datasets: Iterable[DatasetReader], number: int, of: int, balance: str = "bytes") -> Chunks:
    """The `number`-th (from 1) of `shards`; empty if there are fewer than that. Raises UsageError."""
    return layout.batch(*_weighed(datasets, balance), number, of)


def _weighed(datasets: Iterable[DatasetReader], balance: str) -> tuple[Chunks, list[int]]:
    chunks = [(dataset, entry) for dataset in datasets for entry in dataset.index]
    return chunks, [BALANCES[balance](*chunk) for chunk in chunks]
