"""The schema of record fields, which filter expressions, tables, Arrow, the command line and the API share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from bams3.bam import cigar
from bams3.errors import UsageError

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.chunk.row_group import RowGroup

Item = TypeVar("Item")


class Field(NamedTuple):
    """A field of records."""

    dtype: str
    """numpy dtype of the column in a table; "O": text."""
    of_group: Callable[[RowGroup], Any]
    """Returns the values of a row group: integers, or a list of str with one character per byte (latin-1)."""
    column: str = ""
    """The column of `codec` from which the values are derived; "" for hot streams, which every query reads."""
    is_text: bool = False
    is_list: bool = False
    """Whether values are bytes, or None. Such a field is not part of the filter language."""
    of_header: Callable[[Any, Header], Any] | None = None
    """Computes the values from those of `of_group` and the header."""

    def values(self, group: RowGroup, header: Callable[[], Header]) -> Any:
        """Return the values of a row group; `header` is called only if it is needed."""
        found = self.of_group(group)
        return self.of_header(found, header()) if self.of_header else found


def _text(data: Any) -> str:
    """Decode text to one character per byte, as in filter expressions."""
    return str(data, "latin-1")


def by_byte(text: str) -> str:
    """Return decoded text (of a header or a tag) with one character per byte, as in filter expressions."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def tag_values(group: RowGroup, tag: str) -> list[Any]:
    """Return the value of a tag of each record, as in filter expressions; bytes for an array, None if it is absent."""
    return [by_byte(value) if isinstance(value, str) else value for value in group.tag(tag)]


def decoded(text: str) -> str:
    """The inverse of `by_byte`."""
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "surrogateescape")


def _reference_names(reference_ids: Iterable[int], header: Header) -> list[str]:
    names = [by_byte(name) for name, _ in header.references]
    return [names[i] if i >= 0 else "*" for i in reference_ids]


def _names(group: RowGroup) -> list[str]:
    data, offsets = group.names
    text = _text(data)
    return [text[offsets[i] : offsets[i + 1]] for i in range(group.records)]


def _cigars(group: RowGroup, of_operations: Callable[[list[int]], Item]) -> list[Item]:
    """Apply a function to each record's CIGAR operations (packed as in BAM), once per distinct CIGAR."""
    pool = group.cigar_pool
    made: dict[tuple[int, int], Item] = {}
    for key in set(zip(group.cigar_start, group.cigar_count, strict=True)):
        made[key] = of_operations(pool[key[0] : key[0] + key[1]].tolist())
    return [made[key] for key in zip(group.cigar_start, group.cigar_count, strict=True)]


def _cigar_text(operations: list[int]) -> str:
    return "".join(f"{op >> 4}{cigar.LETTERS[op & 15]}" for op in operations) or "*"


def _bases(operations: list[int], kinds: str) -> int:
    """Sum the lengths of the operations of these kinds."""
    return sum(op >> 4 for op in operations if cigar.LETTERS[op & 15] in kinds)


def _soft_clipped(operations: list[int]) -> int:
    """Count the bases that are soft-clipped at the ends, with or without hard clips outside of them."""
    kinds = [op & 15 for op in operations]
    inner = slice(kinds[:1] == [5], len(kinds) - (kinds[1:][-1:] == [5]))
    ends = operations[inner]
    return sum(op >> 4 for op in [*ends[:1], *ends[1:][-1:]] if op & 15 == 4)


def _hard_clipped(operations: list[int]) -> int:
    return sum(op >> 4 for op in [*operations[:1], *operations[1:][-1:]] if op & 15 == 5)


def _libraries(read_groups: list[Any], header: Header) -> list[str]:
    """Return the LB of each read group's @RG line; "" if it has none."""
    libraries: dict[Any, str] = {}
    for line in header.text.rstrip(b"\0").split(b"\n"):
        if line.startswith(b"@RG\t"):
            fields = dict(field.partition(":")[::2] for field in _text(line).split("\t")[1:])
            libraries.setdefault(fields.get("ID"), fields.get("LB", ""))
    return [libraries.get(by_byte(name), "") if isinstance(name, str) else "" for name in read_groups]


def _sequences(group: RowGroup) -> list[str]:
    text = bytes(group.seq).hex().translate(_LETTERS)
    starts = accumulate((length + length % 2 for length in group.l_seq), initial=0)
    return [text[start : start + length] for start, length in zip(starts, group.l_seq, strict=False)]


def _values_of_qualities(group: RowGroup) -> list[bytes | None]:
    data = memoryview(group.qual)
    starts = accumulate(group.l_seq, initial=0)
    values = (bytes(data[start : start + length]) for start, length in zip(starts, group.l_seq, strict=False))
    return [value if value[:1] not in (b"", b"\xff") else None for value in values]


def _qualities(group: RowGroup) -> list[str]:
    text = _text(group.qual)
    starts = accumulate(group.l_seq, initial=0)
    return [text[start : start + length] for start, length in zip(starts, group.l_seq, strict=False)]


_LETTERS = str.maketrans("0123456789abcdef", "=ACMGRSVTWYHKDBN")

SCHEMA: dict[str, Field] = {
    "qname": Field("O", _names, "names", is_text=True),
    "flag": Field("u2", lambda group: group.flag),
    "rname": Field("O", lambda group: group.reference_ids, is_text=True, of_header=_reference_names),
    "pos": Field("i4", lambda group: group.pos),
    "endpos": Field("i4", lambda group: group.end),
    "mapq": Field("u1", lambda group: group.mapq),
    "cigar": Field("O", lambda group: _cigars(group, _cigar_text), is_text=True),
    "mrname": Field("O", lambda group: group.next_ref, is_text=True, of_header=_reference_names),
    "mpos": Field("i4", lambda group: group.next_pos),
    "tlen": Field("i4", lambda group: group.tlen, "tlen"),
    "seq": Field("O", _sequences, "seq", is_text=True),
    "qual": Field("O", _qualities, "qual", is_text=True),
    "ncigar": Field("u4", lambda group: group.cigar_count),
    "qlen": Field("i8", lambda group: _cigars(group, lambda operations: _bases(operations, cigar.OF_QUERY))),
    "rlen": Field(
        "i8", lambda group: _cigars(group, lambda operations: _bases(operations, cigar.OF_REFERENCE))
    ),
    "refid": Field("i8", lambda group: group.stored_reference_ids),
    "mrefid": Field("i4", lambda group: group.stored_next_ref),
    "library": Field("O", lambda group: group.tag("RG"), "[RG]", is_text=True, of_header=_libraries),
    "sclen": Field("i8", lambda group: _cigars(group, _soft_clipped)),
    "hclen": Field("i8", lambda group: _cigars(group, _hard_clipped)),
    "qualities": Field("O", _values_of_qualities, "qual", is_list=True),
}
"""Fields by name, in the order of help and messages. Tags, written `[NM]`, are fields, too."""

RECORD_FIELDS = tuple(SCHEMA)[:12]
"""The fields of a SAM record, and `endpos`."""
HEADER_FIELDS = frozenset(name for name, field in SCHEMA.items() if field.of_header)
"""The fields whose values need the header."""


def dtype_of(name: str) -> str:
    """Return the numpy dtype of a field's column; "O" for a tag."""
    return SCHEMA[name].dtype if name in SCHEMA else "O"


def tag_of(name: str) -> str | None:
    """Return the tag that a field such as `[NM]` names; None for other names."""
    return name[1:3] if len(name) == 4 and name[0] == "[" and name[3] == "]" else None


def unknown(name: str) -> UsageError:
    """Return the error for an unknown field."""
    return UsageError(f"unknown field {name!r}: the fields are {' '.join(SCHEMA)} and tags as [NM]")


def checked_fields(fields: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of fields, without duplicates. Raises UsageError for an unknown field."""
    names = (fields,) if isinstance(fields, str) else tuple(dict.fromkeys(fields))
    for name in names:
        if name not in SCHEMA and not tag_of(name):
            raise unknown(name)
    return names


def streams_of(fields: Iterable[str]) -> tuple[str, ...]:
    """Return the prefixes of the names of the cold streams that the fields need."""
    from bams3.codec import cold_streams

    columns = {SCHEMA[name].column if name in SCHEMA else name for name in fields} - {""}
    return tuple({stream for column in columns for stream in cold_streams(column)})
