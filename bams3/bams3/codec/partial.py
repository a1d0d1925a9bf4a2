"""Records with only some of their fields; the other fields are not decoded."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Any

from bams3.codec import Columns, cigars, positions, records
from bams3.codec.cigars import Cigars
from bams3.codec.tag_layouts import chosen_layouts


def reads(columns: Columns) -> Any:
    """Return a RecordBlock of unaligned reads: only names, FLAGs, bases and qualities."""
    n, (_, name_offsets) = columns.records, columns.names
    none, zeros, no_cigars = array("i", [-1]) * n, array("i", bytes(4 * n)), _no_cigars(n)
    size = (
        n * (36 + 1) + name_offsets[n] + len(columns.seq) + len(columns.qual)
    )  # fixed fields, and a NUL after names
    streams = {"tag.layouts": b"\0\0", "tag.layout": _all_alike(n), "tag.layout.long": b""}
    block, _ = records.assemble(
        size, -1, none, array("B", bytes(n)), array("H", bytes(2 * n)), columns.flag, columns.l_seq, none, none, zeros,
        columns.names, no_cigars, no_cigars.pool, columns.seq, columns.qual, columns.tags(streams=streams),
    )  # fmt: skip
    return block


def partial(columns: Columns, fields: Collection[str], keep_tag: Callable[[str], bool]) -> Any:
    """Return a RecordBlock of records with FLAG, RNAME, POS, the other `fields`, and the tags that are kept.

    `fields` are named as in SAM; QUAL includes SEQ. All other fields have the value that means "missing" in BAM. Raises
    FormatError if the streams are damaged.
    """
    n = columns.records
    none = array("i", [-1]) * n
    with_cigar, with_seq = "CIGAR" in fields, not {"SEQ", "QUAL"}.isdisjoint(fields)
    cigar = columns.cigars if with_cigar else _no_cigars(n)
    end = columns.end if with_cigar else cigar.ends(columns.pos, columns.flag)
    l_seq = columns.l_seq if with_seq else array("i", bytes(4 * n))
    layouts = chosen_layouts(columns.stream("tag.layouts"), with_cigar, keep_tag)
    block, _ = records.assemble(
        columns.size + n,  # "*" may take one byte more than a name
        columns.stored_reference_id,
        columns.pos,
        columns.mapq if "MAPQ" in fields else array("B", b"\xff" * n),
        positions.decode_bins(b"", columns.pos, end),
        columns.flag,
        l_seq,
        columns.stored_next_ref if "RNEXT" in fields else none,
        columns.next_pos if "PNEXT" in fields else none,
        columns.tlen if "TLEN" in fields else array("i", bytes(4 * n)),
        columns.names if "QNAME" in fields else (b"*" * n, array("q", range(n + 1))),
        cigar,
        cigars.decode_placeholders(columns.stream("cigar.placeholder"), n) if with_cigar else cigar.pool,
        columns.seq if with_seq else b"",
        columns.qual if "QUAL" in fields else b"\xff" * sum(l_seq),
        columns.tags(streams=_With(columns, {"tag.layouts": layouts})),
        exact=False,
    )
    return block


class _With(dict[str, Any]):
    """The streams of a row group, except that some are replaced."""

    def __init__(self, columns: Columns, replaced: Mapping[str, Any]) -> None:
        super().__init__(replaced)
        self._columns = columns

    def __missing__(self, name: str) -> Any:
        return self._columns.stream(name)


def _all_alike(records: int) -> bytes:
    """Short integers that mean: the first record has a new value, and the others have the same one."""
    return b"\0" + b"\1" * (records - 1)


def _no_cigars(records: int) -> Cigars:
    streams = defaultdict(bytes, {"cigar": _all_alike(records), "cigar.count": b"\0"})
    return Cigars(streams, records)
