"""The sums of `samtools checksum`, which a manifest stores like counts: those of parts add up to those of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bams3.errors import FormatError, SourceError

if TYPE_CHECKING:
    from bams3.chunk.row_group import RowGroup

MODULUS = (1 << 31) - 1
# A manifest stores so many numbers of a row: the count, and the sums that samtools prints without options.
KEPT = 5
_ANY_REFERENCE = (1 << 31) - 1


class Summed(NamedTuple):
    """What is summed. The defaults are those of `samtools checksum` without options.

    Attributes
    ----------
    excluded
        Records with any of these FLAG bits are not summed.
    required
        Records without all of these FLAG bits are not summed.
    mask
        FLAG bits that the checksums include.
    turned
        Whether reads on the reverse strand are summed in the orientation in which they were sequenced.
    tags
        Names of the tags that the checksums include.
    placed
        Whether positions, CIGARs and mates are summed, too.
    """

    excluded: int = 0x900
    required: int = 0
    mask: int = 0xC1
    turned: bool = True
    tags: tuple[bytes, ...] = (b"BC", b"FI", b"QT", b"RT", b"TC")
    placed: bool = False


DEFAULT = Summed()


class Sums:
    """Sums by read group (None: records without one): a row for records that passed QC, and one for those that failed.

    A row has the number of records and, modulo `MODULUS`, the products of their checksums of seq, name, qual, aux, pos,
    cigar and mate.
    """

    def __init__(self, groups: dict[bytes | None, tuple[list[int], list[int]]]) -> None:
        self.groups = groups

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sums) and self.groups == other.groups

    @classmethod
    def zero(cls) -> Sums:
        """Return the sums of an empty set of records."""
        return cls({})

    @classmethod
    def of_block(cls, block: Any, summed: Summed = DEFAULT) -> Sums:
        """Return the sums of a RecordBlock from `walk`."""
        from bams3.bam.sums import sums_of

        found = sums_of(block, *summed)
        return cls({name: (list(passed), list(failed)) for name, (passed, failed) in found.items()})

    @classmethod
    def of_row_group(cls, group: RowGroup, summed: Summed = DEFAULT) -> Sums:
        """Return the sums of a row group, whose records are read and checked. Raises FormatError."""
        return cls.of_block(checked_block(group), summed)

    def add(self, other: Sums) -> None:
        """Add the sums of `other`."""
        for name, rows in other.groups.items():
            here = self.groups.setdefault(name, (_nothing(), _nothing()))
            for mine, more in zip(here, rows, strict=True):
                mine[:] = together(mine, more)

    def without(self, other: Sums) -> Sums:
        """Return the sums of these records without those in `other`, which must be among them."""
        rest = {name: (list(passed), list(failed)) for name, (passed, failed) in self.groups.items()}
        for name, rows in other.groups.items():
            here = rest.setdefault(name, (_nothing(), _nothing()))
            for mine, less in zip(here, rows, strict=True):
                inverse = [-less[0], *(pow(each, -1, MODULUS) for each in less[1:])]
                mine[:] = together(mine, inverse)
        return Sums({name: rows for name, rows in rest.items() if rows != (_nothing(), _nothing())})

    def names(self) -> list[bytes]:
        """Return the names of the read groups, in the order of their bytes."""
        return sorted(name for name in self.groups if name is not None)

    def rows(self, name: bytes | None) -> tuple[list[int], list[int]]:
        """Return the rows of a read group, or of the records without one."""
        return self.groups.get(name, (_nothing(), _nothing()))

    def total(self) -> tuple[list[int], list[int]]:
        """Return the rows of all records."""
        whole = Sums.zero()
        for rows in self.groups.values():
            whole.add(Sums({None: rows}))
        return whole.rows(None)

    def check(self, passed: int, failed: int) -> None:
        """Raise ValueError unless these can be default sums of so many primary records that passed and failed QC."""
        for rows in self.groups.values():
            for count, *sums in rows:
                if (
                    not all(type(n) is int and 0 < n < MODULUS for n in sums)
                    or type(count) is not int
                    or count < 0
                ):
                    raise ValueError("invalid sums")
                if not count and sums.count(1) < len(sums):
                    raise ValueError("sums of no records")
            if not any(count for count, *_ in rows):
                raise ValueError("sums of a read group without records")
        if tuple(count for count, *_ in self.total()) != (passed, failed):
            raise ValueError("sums of another number of primary records than its counts")

    def to_json(self) -> list[Any]:
        """Return the default sums as they are stored in part files and the manifest."""
        order: list[bytes | None] = [None] if None in self.groups else []
        return [
            [
                name if name is None else name.decode("utf-8", "surrogateescape"),
                *(row[:KEPT] for row in self.groups[name]),
            ]
            for name in [*order, *self.names()]
        ]

    @classmethod
    def from_json(cls, document: list[Any]) -> Sums:
        """Parse the result of `to_json`. Raises ValueError if it is invalid."""
        rest = [1] * (len(_nothing()) - KEPT)
        sums = cls(
            {
                name if name is None else name.encode("utf-8", "surrogateescape"): (
                    passed + rest,
                    failed + rest,
                )
                for name, passed, failed in document
            }
        )
        if sums.to_json() != document:
            raise ValueError("sums of a read group that are duplicated, out of order, or of another number")
        return sums


def checked_block(group: RowGroup) -> Any:
    """Return the records of a row group as they were encoded, after checking them. Raises FormatError if damaged."""
    from bams3.bam.records import walk

    group.load()
    try:
        return walk(group.stored_block().data, _ANY_REFERENCE)[0]
    except SourceError as error:
        raise FormatError(f"{group.name}: invalid records: {error}") from error


def together(row: list[int], other: list[int]) -> list[int]:
    """Return the row for the records of two rows together."""
    return [row[0] + other[0], *(a * b % MODULUS for a, b in zip(row[1:], other[1:], strict=True))]


def _nothing() -> list[int]:
    return [0, *[1] * 7]
