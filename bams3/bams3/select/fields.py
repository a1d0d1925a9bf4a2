"""The fields of records by name, as filter expressions and the Python interface ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeVar

from bams3.codec import cold_streams
from bams3.errors import UsageError

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.chunk.reader import RowGroup

Item = TypeVar("Item")


class FilterColumns(Mapping[str, Any]):
    """The fields of a row group as `Expression.evaluate` wants them, each decoded when first asked for.

    `header` is called for the HEADER_FIELDS only. Raises UsageError for an unknown field.
    """

    def __init__(self, group: RowGroup, header: Callable[[], Header]) -> None:
        self._group = group
        self._header = header
        self._decoded: dict[str, Any] = {}

    def __getitem__(self, field: str) -> Any:
        if field not in self._decoded:
            self._decoded[field] = self._decode(field)
        return self._decoded[field]

    def __iter__(self) -> Iterator[str]:
        return iter(_FIELDS)

    def __len__(self) -> int:
        return len(_FIELDS)

    def _decode(self, field: str) -> Any:
        import numpy as np

        if len(field) == 4 and field[0] == "[" and field[3] == "]":
            return self._group.tag(field[1:3])
        if field in _STORED:
            return np.asarray(getattr(self._group, _STORED[field]))
        if field in _NUMBERS:
            return np.array(_NUMBERS[field](self._group), np.int64)
        if field in _TEXTS:
            return _TEXTS[field](self._group)
        if field in _NAMED:
            return _NAMED[field](self._group, self._header())
        raise UsageError(f"unknown field {field!r}: the fields are {' '.join(_FIELDS)} and tags as [NM]")


def _text(data: Any) -> str:
    """A character a byte, as filter expressions see text."""
    return str(data, "latin-1")


def _reference_names(header: Header, reference_ids: Iterable[int]) -> list[str]:
    names = [_text(name.encode("utf-8", "surrogateescape")) for name, _ in header.references]
    return [names[i] if i >= 0 else "*" for i in reference_ids]


def _names(group: RowGroup) -> list[str]:
    data, offsets = group.names
    text = _text(data)
    return [text[offsets[i] : offsets[i + 1]] for i in range(group.records)]


def _cigars(group: RowGroup, of_operations: Callable[[list[int]], Item]) -> list[Item]:
    """A value of each record's CIGAR operations (packed as in BAM), made once for those who share them."""
    pool = group.cigar_pool
    made: dict[tuple[int, int], Item] = {}
    for key in set(zip(group.cigar_start, group.cigar_count, strict=True)):
        made[key] = of_operations(pool[key[0] : key[0] + key[1]].tolist())
    return [made[key] for key in zip(group.cigar_start, group.cigar_count, strict=True)]


def _cigar_text(operations: list[int]) -> str:
    return "".join(f"{op >> 4}{'MIDNSHP=XB??????'[op & 15]}" for op in operations) or "*"


def _bases(operations: list[int], kinds: str) -> int:
    """Length of the operations of these kinds: MIS=X consume the read, MDN=X the reference."""
    return sum(op >> 4 for op in operations if "MIDNSHP=X"[op & 15] in kinds)


def _soft_clipped(operations: list[int]) -> int:
    """Bases soft-clipped at the ends, inside a hard clip or not."""
    kinds = [op & 15 for op in operations]
    inner = slice(kinds[:1] == [5], len(kinds) - (kinds[1:][-1:] == [5]))
    ends = operations[inner]
    return sum(op >> 4 for op in [*ends[:1], *ends[1:][-1:]] if op & 15 == 4)


def _hard_clipped(operations: list[int]) -> int:
    return sum(op >> 4 for op in [*operations[:1], *operations[1:][-1:]] if op & 15 == 5)


def _libraries(group: RowGroup, header: Header) -> list[str]:
    libraries: dict[Any, str] = {}
    for line in header.text.rstrip(b"\0").split(b"\n"):
        if line.startswith(b"@RG\t"):
            fields = dict(field.partition(":")[::2] for field in _text(line).split("\t")[1:])
            libraries.setdefault(fields.get("ID"), fields.get("LB", ""))
    return [libraries.get(name, "") for name in group.tag("RG")]


def _sequences(group: RowGroup) -> list[str]:
    letters = str.maketrans("0123456789abcdef", "=ACMGRSVTWYHKDBN")
    text = bytes(group.seq).hex().translate(letters)
    starts = accumulate((length + length % 2 for length in group.l_seq), initial=0)
    return [text[start : start + length] for start, length in zip(starts, group.l_seq, strict=False)]


def _qualities(group: RowGroup) -> list[str]:
    text = _text(group.qual)
    starts = accumulate(group.l_seq, initial=0)
    return [text[start : start + length] for start, length in zip(starts, group.l_seq, strict=False)]


_MADE_OF = {"qname": "names", "library": "[RG]"}  # columns of a row group with other names
_STORED = {
    "endpos": "end",
    "flag": "flag",
    "mapq": "mapq",
    "mpos": "next_pos",
    "mrefid": "next_ref",
    "ncigar": "cigar_count",
    "pos": "pos",
    "tlen": "tlen",
}
_NUMBERS: dict[str, Callable[[RowGroup], list[int]]] = {
    "hclen": lambda group: _cigars(group, _hard_clipped),
    "qlen": lambda group: _cigars(group, lambda operations: _bases(operations, "MIS=X")),
    "refid": lambda group: [group.reference_id] * group.records,
    "rlen": lambda group: _cigars(group, lambda operations: _bases(operations, "MDN=X")),
    "sclen": lambda group: _cigars(group, _soft_clipped),
}
_TEXTS: dict[str, Callable[[RowGroup], list[str]]] = {
    "cigar": lambda group: _cigars(group, _cigar_text),
    "qname": _names,
    "qual": _qualities,
    "seq": _sequences,
}
_NAMED: dict[str, Callable[[RowGroup, Header], list[str]]] = {
    "library": _libraries,
    "mrname": lambda group, header: _reference_names(header, group.next_ref),
    "rname": lambda group, header: _reference_names(header, [group.reference_id]) * group.records,
}
_FIELDS = (*_STORED, *_NUMBERS, *_TEXTS, *_NAMED)
HEADER_FIELDS = frozenset(_NAMED)
"""Those that the header tells something of."""


def streams_of(fields: Iterable[str]) -> tuple[str, ...]:
    """Beginnings of the names of the streams, hot ones left out, that the fields need."""
    return tuple({name for field in fields for name in cold_streams(_MADE_OF.get(field, field))})
