"""Chunks that several contigs share, presented as one chunk for each contig."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import groupby
from operator import itemgetter

from bams3.chunk.entry import ChunkEntry
from bams3.chunk.reader import contig_in
from bams3.codec import ZoneMap

_BYTES = itemgetter(ZoneMap._fields.index("bytes"))


class Contigs:
    """The entries of the contigs that share a chunk.

    The path of each entry ends in `#` and the reference id. Its size is its share of the chunk, in proportion to the
    bytes of its records.
    """

    def __init__(self, entry: ChunkEntry) -> None:
        self.first = entry.reference_id
        self._entry = entry

    @cached_property
    def _bytes(self) -> int:
        return sum(map(_BYTES, self._entry.row_groups))

    def __iter__(self) -> Iterator[ChunkEntry]:
        for contig, _ in groupby(self._entry.contigs):
            yield from self.of(contig)

    def of(self, contig: int) -> list[ChunkEntry]:
        """Return a list with the entry of a contig; it is empty if the contig has no records."""
        shared = self._entry
        first = bisect_left(shared.contigs, contig)
        rows = shared.row_groups[first : bisect_right(shared.contigs, contig, first)]
        if not rows:
            return []
        size = shared.size * sum(map(_BYTES, rows)) // self._bytes
        _, _, start, end, _, footer_bytes, footer_crc32, *_ = shared
        path = f"{shared.path}#{contig}"
        return [ChunkEntry(path, contig, start, end, size, footer_bytes, footer_crc32, rows)]


def by_contig(entry: ChunkEntry) -> Iterable[ChunkEntry]:
    """Return an entry for each contig that shares a chunk, or the entry itself if contigs do not share the chunk."""
    return Contigs(entry) if entry.contigs else (entry,)


class ByReference:
    """The entries of chunks, by reference id. Entries of contigs that share a chunk are created on demand."""

    def __init__(self, entries: Iterable[ChunkEntry]) -> None:
        self._alone: dict[int, list[ChunkEntry]] = {}
        self._shared: list[Contigs] = []
        for entry in entries:
            if entry.contigs:
                self._shared.append(Contigs(entry))
            else:
                self._alone.setdefault(entry.reference_id, []).append(entry)
        self._firsts = [shared.first for shared in self._shared]

    def of(self, reference_id: int) -> list[ChunkEntry]:
        """Return the entries of a reference (−1: reads without a position), in order."""
        if (found := self._alone.get(reference_id)) is not None:
            return found
        at = bisect_right(self._firsts, reference_id)
        return self._shared[at - 1].of(reference_id) if at else []


def with_shared(entries: Iterable[ChunkEntry], stored: Mapping[str, ChunkEntry]) -> Iterator[ChunkEntry]:
    """Yield entries in order, but replace the entries of all contigs that share a chunk with the entry of the chunk.

    The entry of the chunk is that in `stored`, by path. If only some of the contigs are listed, their entries stay.
    """
    for path, of_chunk in groupby(entries, key=lambda entry: contig_in(entry.path)[0]):
        listed = list(of_chunk)
        shared = stored[path]
        if shared.contigs and len(listed) == len(set(shared.contigs)):
            yield shared
        else:
            yield from listed
