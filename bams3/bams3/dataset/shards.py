"""Shards: runs of consecutive chunks of one or more datasets, of about equal size."""

from collections.abc import Callable, Iterable, Sequence

from bams3.chunk.entry import ChunkEntry
from bams3.dataset import layout
from bams3.dataset.reader import DatasetReader

Chunks = Sequence[tuple[DatasetReader, ChunkEntry]]


def _length(dataset: DatasetReader, entry: ChunkEntry) -> int:
    """Return how many bases of the contig are in a chunk's window."""
    if entry.reference_id == layout.UNPLACED:
        return 0
    return max(min(entry.end, dataset.references[entry.reference_id][1]) - entry.start, 0)


# Quantities by which shards can be balanced.
BALANCES: dict[str, Callable[[DatasetReader, ChunkEntry], int]] = {
    "bytes": lambda _, entry: entry.size,
    "reads": lambda _, entry: entry.records,
    "length": _length,
}


def shards(datasets: Iterable[DatasetReader], of: int, balance: str = "bytes") -> list[Chunks]:
    """Split the chunks of some datasets, in order, into `of` runs, so that the largest run is as small as possible.

    `balance`: the measure of size, a key of BALANCES. The result depends only on the indexes of the datasets, so it is
    the same everywhere. No run is empty, so there are at most as many runs as chunks.
    """
    return layout.split(*_weighed(datasets, balance), of)


def shard(datasets: Iterable[DatasetReader], number: int, of: int, balance: str = "bytes") -> Chunks:
    """Return the `number`-th (from 1) of the `shards`; empty if there are fewer. Raises UsageError."""
    return layout.batch(*_weighed(datasets, balance), number, of)


def _weighed(datasets: Iterable[DatasetReader], balance: str) -> tuple[Chunks, list[int]]:
    chunks = [(dataset, entry) for dataset in datasets for entry in dataset.index]
    return chunks, [BALANCES[balance](*chunk) for chunk in chunks]
