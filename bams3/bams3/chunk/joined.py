"""Row groups that several contigs share, presented as one row group for each contig."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import accumulate, groupby, pairwise
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from bams3.bam.records import join
from bams3.chunk.footer import JOINED_MAGIC, joined_zone
from bams3.chunk.row_group import RowGroup, StoredChunk, records_checksum
from bams3.chunk.spans import Range
from bams3.codec import Column, Columns, ZoneMap
from bams3.codec.encoder import encode
from bams3.codec.joined import joint_of
from bams3.codec.joint import Joint, linked
from bams3.errors import FormatError

if TYPE_CHECKING:
    from bams3.codec.cigars import Cigars

_RECORDS, _COLD = (itemgetter(ZoneMap._fields.index(name)) for name in ("records", "cold"))

_recent: deque[Any] = deque(maxlen=4)
"""The shared row groups that were decoded last, because the contigs of a row group are read one after another."""


class _Joined(Columns):
    """The records of a shared row group as they were encoded, on the joined contig."""

    def __init__(self, name: str, streams: Mapping[str, Any], zone: ZoneMap, reference_id: int) -> None:
        self.name, self.reference_id = name, reference_id
        super().__init__(streams, zone.records, zone.bytes)


def _as_encoded(name: str) -> Any:
    """A column that is the same in the joined contig."""
    return property(attrgetter(f"_joined.{name}"))


class SharedRowGroup(RowGroup):
    """A row group of several contigs. It has no `reference_id`, but `reference_ids`."""

    flag, mapq, cigars = _as_encoded("flag"), _as_encoded("mapq"), _as_encoded("cigars")
    previous, _borders, tlen = _as_encoded("previous"), _as_encoded("_borders"), _as_encoded("tlen")
    names, l_seq, qual = _as_encoded("names"), _as_encoded("l_seq"), _as_encoded("qual")
    _sequences, tags = _as_encoded("_sequences"), _as_encoded("tags")

    @Column
    def _joint(self) -> Joint:
        lengths = {reference: length for reference, _, length in self.chunk.footer.references}
        try:
            return joint_of(self.entry.contigs, self.entry.references, lengths)
        except ValueError as error:
            raise FormatError(f"{self.name}: {error}; restore the chunk or convert it again") from None

    @Column
    def _joined(self) -> Columns:
        return _Joined(self.name, self._stored, self.zone, self._joint.reference_id)

    @Column
    def stored_reference_ids(self) -> array[int]:
        """The reference id of each record in the dataset that the chunk was written for, array('i')."""
        return self._joint.reference_ids(self.records)

    @property
    def reference_ids(self) -> array[int]:
        """The reference id of each record, array('i')."""
        stored = self.stored_reference_ids
        return stored if self.chunk.numbers is None else self._renumbered(stored)

    @Column
    def pos(self) -> array[int]:
        """POS, array('i')."""
        return self._joint.places(self._joined.pos)

    @Column
    def _mates_of_contigs(self) -> tuple[array[int], array[int]]:
        return self._joint.mates(self._joined.next_ref, self._joined.next_pos)

    @property
    def stored_next_ref(self) -> array[int]:
        """Reference id of RNEXT as it was encoded, array('i')."""
        return self._mates_of_contigs[0]

    @property
    def next_pos(self) -> array[int]:
        """PNEXT, array('i')."""
        return self._mates_of_contigs[1]

    @Column
    def _records(self) -> Any:
        block = self._joint.parted(self._joined.block())
        self.check(records_checksum(block))
        return block

    def stored_block(self) -> Any:
        """The records as they were encoded, checked against their checksum."""
        return self._records

    @Column
    def quality_starts(self) -> array[int]:
        """Where the qualities of each record begin in `qual`, and where they end: array('q')."""
        return array("q", accumulate(self.l_seq, initial=0))

    def text_of(self, first: int, last: int) -> tuple[Any, Any]:
        """SEQ and QUAL of the records [first, last), like `seq` and `qual`."""
        (seq, starts, _), places = self._sequences, self.quality_starts
        return memoryview(seq)[starts[first] : starts[last]], memoryview(self.qual)[
            places[first] : places[last]
        ]


class ContigRowGroup(RowGroup):
    """The records of one contig in a row group that several contigs share. Columns are cut out of the shared ones; the
    streams of tags are encoded again from the records."""

    def __init__(
        self, shared: SharedRowGroup, number: int, zone: ZoneMap, reference_id: int, first: int
    ) -> None:
        """`number` is its index among the contig's row groups in this chunk; `first`, that of its first record in
        `shared`."""
        self._shared, self._reference_id = shared, reference_id
        self._first, self._last = first, first + zone.records
        self.chunk, self.number, self.zone = shared.chunk, number, zone
        self.hot, self.cold, self.name, self.spans = shared.hot, shared.cold, shared.name, shared.spans
        self._stored = shared._stored
        Columns.__init__(self, _Encoded(self), zone.records, zone.bytes)

    @property
    def path(self) -> str:
        """The path of its chunk and the contig, as in the dataset's `index`."""
        return f"{self.chunk.path}#{self._reference_id}"

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
        return self._cut(self._decoded().pos)

    @Column
    def end(self) -> array[int]:
        """End on the reference (exclusive) as in htslib's bam_endpos, array('i')."""
        return self._cut(self._decoded().end)

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
        cigars: Cigars = self._decoded().cigars.cut(self._first, self._last)
        return cigars

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
        return self._cut(self._decoded().stored_next_ref)

    @property
    def next_pos(self) -> array[int]:
        """PNEXT, array('i')."""
        return self._cut(self._decoded().next_pos)

    @property
    def tlen(self) -> array[int]:
        """TLEN, array('i')."""
        return self._cut(self._decoded().tlen)

    @Column
    def names(self) -> tuple[Any, array[int]]:
        """QNAMEs without NUL, concatenated, and array('q') of records + 1 offsets."""
        data, starts = self._decoded().names
        begin, end = starts[self._first], starts[self._last]
        return memoryview(data)[begin:end], array(
            "q", (at - begin for at in starts[self._first : self._last + 1])
        )

    @Column
    def l_seq(self) -> array[int]:
        """Length of SEQ, array('i')."""
        return self._cut(self._decoded().l_seq)

    @property
    def seq(self) -> Any:
        """SEQs in BAM encoding, concatenated, (l_seq + 1) // 2 bytes each."""
        return self._decoded().text_of(self._first, self._last)[0]

    @property
    def qual(self) -> Any:
        """QUALs in BAM encoding, concatenated, l_seq bytes each."""
        return self._decoded().text_of(self._first, self._last)[1]

    def load(self) -> None:
        """Fetch all streams, in two requests."""
        self._shared.load()

    def stored_block(self) -> Any:
        """The records as they were encoded, even if `block` gives them other reference ids."""
        return join([self._decoded().stored_block()[self._first : self._last]])


class _Encoded(dict[str, Any]):
    """The streams that the records would have if the contig did not share its row group. They are made on first use."""

    def __init__(self, group: ContigRowGroup) -> None:
        self._group: ContigRowGroup | None = group

    def __missing__(self, name: str) -> Any:
        if (group := self._group) is not None:
            self.update(encode(group.stored_block(), group.stored_reference_id, 1)[0])
            self._group = None
            return self[name]
        return b""


class SharedRowGroups:
    """The row groups of a chunk that contigs share, and the places of the contigs in them."""

    def __init__(self, chunk: StoredChunk) -> None:
        self._chunk = chunk
        self._alive: WeakValueDictionary[int, SharedRowGroup] = WeakValueDictionary()
        zones = chunk.zones
        self._starts = [place for place, zone in enumerate(zones) if zone.hot]  # indices of first contigs
        self._ranges: list[tuple[ZoneMap, Range, Range]] = []
        cold_at = len(JOINED_MAGIC)
        hot_at = cold_at + sum(map(_COLD, zones))
        for start, end in pairwise([*self._starts, len(zones)]):
            zone = joined_zone(zones[start:end])
            self._ranges.append((zone, (hot_at, zone.hot), (cold_at, zone.cold)))
            hot_at, cold_at = hot_at + zone.hot, cold_at + zone.cold
        self._before = [*accumulate(map(_RECORDS, zones), initial=0)]  # records before each contig

    def __iter__(self) -> Iterator[SharedRowGroup]:
        return map(self._group, range(len(self._ranges)))

    def _group(self, number: int) -> SharedRowGroup:
        group = self._alive.get(number)
        if group is None:
            self._alive[number] = group = SharedRowGroup(self._chunk, number, *self._ranges[number])
        return group

    def of_contig(self, contig: int) -> Iterator[ContigRowGroup]:
        """The row groups of a contig, in order. Raises FormatError if the chunk has none."""
        contigs, zones = self._chunk.contigs, self._chunk.zones
        first = bisect_left(contigs, contig)
        places = range(first, bisect_right(contigs, contig, first))
        if not places:
            raise FormatError(f"{self._chunk.name}: the chunk has no records of contig {contig}")
        for number, place in enumerate(places):
            shared = bisect_right(self._starts, place) - 1
            at = self._before[place] - self._before[self._starts[shared]]
            yield ContigRowGroup(self._group(shared), number, zones[place], contig, at)

    def of_contigs(self) -> Iterator[ContigRowGroup]:
        """The row groups of all contigs, in order."""
        return (group for contig, _ in groupby(self._chunk.contigs) for group in self.of_contig(contig))
