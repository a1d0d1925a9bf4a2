"""Chunks that several contigs share, as one chunk for each contig."""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from bams3.chunk.entry import ChunkEntry


def by_contig(entry: ChunkEntry) -> Iterator[ChunkEntry]:
    """Yield the entry of each contig that shares a chunk, whose path ends in `#` and its reference id; the entry itself
    if no contig shares it. The size of each is its share, by the bytes of its records."""
    if not entry.contigs:
        yield entry
        return
    total = sum(zone.bytes for zone in entry.zones)
    for contig, rows in groupby(zip(entry.contigs, entry.row_groups, strict=True), key=itemgetter(0)):
        row_groups = [row for _, row in rows]
        part = entry._replace(
            path=f"{entry.path}#{contig}", reference_id=contig, row_groups=row_groups, contigs=()
        )
        held = sum(zone.bytes for zone in part.zones)
        yield part._replace(size=entry.size * held // total)
