"""Row groups that several contigs share, as one row group for each contig."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from bams3.bam.records import join
from bams3.chunk.footer import JOINED_MAGIC
from bams3.chunk.row_group import RowGroup, StoredChunk
from bams3.chunk.spans import Range
from bams3.codec import Column, Columns, ZoneMap
from bams3.codec.encoder import encode
from bams3.codec.joined import joint_of
from bams3.codec.joint import Joint, linked, shifted
from bams3.errors import FormatError

if TYPE_CHECKING:
    from bams3.codec.cigars import Cigars

_recent: deque[Any] = deque(maxlen=4)
"""Shared row groups that were decoded last: the contigs of a row group are read one after another."""


class SharedRowGroup(RowGroup):
    """A row group of several contigs, as it is stored: its columns are those of the joined contig."""

    @Column
    def joint(self) -> Joint:
        """The joined contig."""
        lengths = {reference: length for reference, _, length in self.chunk.footer.references}
        try:
            return joint_of(self.entry.contigs, self.entry.references, lengths)
        except ValueError as error:
            raise FormatError(f"{self.name}: {error}; restore the chunk or convert it again") from None

    @property
    def stored_reference_id(self) -> int:
        """The reference id of the joined contig."""
        return self.joint.reference_id

    @Column
    def mates(self) -> tuple[array[int], array[int]]:
        """RNEXT and PNEXT of every record, as in BAM."""
        return self.joint.mates(self._mates.next_ref, self._mates.next_pos)

    @Column
    def _records(self) -> Any:
        return self._checked(self.joint.parted(Columns.block(self)))

    def stored_block(self) -> Any:
        """The records as they were encoded, checked against their checksum."""
        return self._records


class ContigRowGroup(RowGroup):
    """The records of one contig in a row group that several share. What counting and depth need is cut out of the
    shared columns; other columns are made from the records."""

    def __init__(
        self, shared: SharedRowGroup, number: int, zone: ZoneMap, reference_id: int, first: int
    ) -> None:
        """`number`: its place among the row groups of the contig in this chunk; `first`: of its records in `shared`."""
        self._shared, self._reference_id = shared, reference_id
        self._first, self._last = first, first + zone.records
        self.chunk, self.number, self.zone = shared.chunk, number, zone
        self.hot, self.cold, self.name, self.spans = shared.hot, shared.cold, shared.name, shared.spans
        self._stored = shared._stored
        Columns.__init__(self, _Encoded(self), zone.records, zone.bytes)

    @property
    def stored_reference_id(self) -> int:
        """The reference id in the dataset that the chunk was written for."""
        return self._reference_id

    def _decoded(self) -> SharedRowGroup:
        if self._shared not in _recent:
            _recent.append(self._shared)
        return self._shared

    def _cut(self, column: array[int]) -> array[int]:
        return column[self._first : self._last]

    @Column
    def pos(self) -> array[int]:
        """POS, array('i')."""
        shared = self._decoded()
        at = shared.joint.starts[bisect_left(shared.joint.contigs, self._reference_id)]
        return shifted(shared.pos, self._first, self._last, at)

    @Column
    def flag(self) -> array[int]:
        """FLAG, array('H')."""
        return self._cut(self._decoded().flag)

    @Column
    def mapq(self) -> array[int]:
        """MAPQ, array('B')."""
        return self._cut(self._decoded().mapq)

    @Column
    def cigars(self) -> Cigars:
        """The CIGARs of the records, decoded."""
        return self._decoded().cigars.cut(self._first, self._last)

    @Column
    def previous(self) -> array[int]:
        """Index of the previous record with the same name, or -1, array('i')."""
        return linked(self._decoded().previous, self._first, self._last)

    @Column
    def _borders(self) -> tuple[array[int], array[int]]:
        index, hashes = self._decoded()._borders
        first, last = (bisect_left(index, at) for at in (self._first, self._last))
        return array("I", (at - self._first for at in index[first:last])), hashes[first:last]

    @property
    def stored_next_ref(self) -> array[int]:
        """Reference id of RNEXT as it was encoded, array('i')."""
        return self._cut(self._decoded().mates[0])

    @property
    def next_ref(self) -> array[int]:
        """Reference id of RNEXT, array('i')."""
        stored = self.stored_next_ref
        return stored if self.chunk.numbers is None else self._renumbered(stored)

    @property
    def next_pos(self) -> array[int]:
        """PNEXT, array('i')."""
        return self._cut(self._decoded().mates[1])

    def load(self) -> None:
        """Fetch all streams, in two requests."""
        self._shared.load()

    def stored_block(self) -> Any:
        """The records as they were encoded, even if `block` gives them other reference ids."""
        return join([self._decoded().stored_block()[self._first : self._last]])


class _Encoded(dict[str, Any]):
    """The streams that the records would have if the contig did not share its row group; made on first use."""

    def __init__(self, group: ContigRowGroup) -> None:
        self._group: ContigRowGroup | None = group

    def __missing__(self, name: str) -> Any:
        if (group := self._group) is not None:
            self.update(encode(group.stored_block(), group.stored_reference_id, 1)[0])
            self._group = None
            return self[name]
        return b""


class SharedRowGroups:
    """The row groups of a chunk that contigs share, and where in them each contig is."""

    def __init__(self, chunk: StoredChunk) -> None:
        self._chunk = chunk
        self._alive: WeakValueDictionary[int, SharedRowGroup] = WeakValueDictionary()
        self._ranges: list[tuple[ZoneMap, Range, Range]] = []
        self._places: dict[int, list[tuple[int, int, ZoneMap]]] = {}
        zones = chunk.zones
        cold_at = len(JOINED_MAGIC)
        hot_at = cold_at + sum(zone.cold for zone in zones)
        first = 0
        for contig, zone in zip(chunk.contigs, zones, strict=True):
            if zone.hot:
                self._ranges.append((zone, (hot_at, zone.hot), (cold_at, zone.cold)))
                hot_at, cold_at, first = hot_at + zone.hot, cold_at + zone.cold, 0
            else:
                last, hot, cold = self._ranges[-1]
                size = last.bytes + zone.bytes
                self._ranges[-1] = last._replace(records=last.records + zone.records, bytes=size), hot, cold
            self._places.setdefault(contig, []).append((len(self._ranges) - 1, first, zone))
            first += zone.records

    def __iter__(self) -> Iterator[SharedRowGroup]:
        return map(self._group, range(len(self._ranges)))

    def _group(self, number: int) -> SharedRowGroup:
        group = self._alive.get(number)
        if group is None:
            self._alive[number] = group = SharedRowGroup(self._chunk, number, *self._ranges[number])
        return group

    def of_contig(self, contig: int) -> Iterator[ContigRowGroup]:
        """The row groups of a contig, in order. Raises FormatError if the chunk has none."""
        places = self._places.get(contig)
        if places is None:
            raise FormatError(f"{self._chunk.name}: the chunk has no records of contig {contig}")
        for number, (shared, first, zone) in enumerate(places):
            yield ContigRowGroup(self._group(shared), number, zone, contig, first)

    def of_contigs(self) -> Iterator[ContigRowGroup]:
        """The row groups of all contigs, in order."""
        return (group for contig in self._places for group in self.of_contig(contig))
