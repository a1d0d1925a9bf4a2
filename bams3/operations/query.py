"""The records of a dataset that overlap regions and pass filters, or only their number."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, compress, groupby
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from bams3.errors import UsageError
from bams3.operations.select import count_overlapping, gather, keep_flags, keep_mapq, keep_overlapping
from bams3.operations.workers import Workers, in_order
from bams3.regions import UNPLACED, Region, merge_regions

if TYPE_CHECKING:
    from bams3.chunk.reader import RowGroup
    from bams3.dataset.reader import DatasetReader as Dataset
    from bams3.operations.filters import Expression
    from bams3.sources.header import Header
    from bams3.sources.records import RecordBlock

Item = TypeVar("Item")
Result = TypeVar("Result")
Interval = tuple[int, int]

_NO_END = 2**31
"""Past every position: a region up to its contig's end takes the reads beyond it too, as in samtools."""


class RecordFilter(NamedTuple):
    """What a record must be, wherever it lies; the options of `samtools view`.

    `require`, `exclude`: flag bits, all of which or none of which a record has (-f, -F). `min_mapq`: -q.
    `read_group`: -r; records without an RG tag pass, as in samtools. `expression`: -e.
    """

    require: int = 0
    exclude: int = 0
    min_mapq: int = 0
    read_group: str | None = None
    expression: Expression | None = None

    def verdict(self, group: RowGroup) -> bool | None:
        """By the zone map: True if every record of a row group passes, False if none can, None if unknown."""
        if (
            group.flags_any & self.require != self.require
            or group.flags_all & self.exclude
            or group.max_mapq < self.min_mapq
            or (self.expression is not None and not self.expression.may_match(group))
        ):
            return False
        looks_inside = (
            self.read_group is not None
            or self.expression is not None
            or group.flags_all & self.require != self.require
            or group.flags_any & self.exclude
            or group.min_mapq < self.min_mapq
        )
        return None if looks_inside else True

    def apply(self, mask: bytearray, group: RowGroup, dataset: Dataset) -> None:
        """Clear the entries of `mask` (n,) whose records do not pass. Decodes only the columns it needs."""
        if self.require or self.exclude:
            keep_flags(mask, group.flag, self.require, self.exclude)
        if self.min_mapq:
            keep_mapq(mask, group.mapq, self.min_mapq)
        if self.read_group is not None and 1 in mask:
            for i, value in enumerate(group.tag("RG")):
                if value is not None and value != self.read_group:
                    mask[i] = 0
        if self.expression is not None and 1 in mask:
            import numpy as np

            passes = self.expression.evaluate(FilterColumns(group, dataset.header), group.records)
            np.frombuffer(mask, np.uint8)[:] &= passes


def query(
    dataset: Dataset,
    regions: Iterable[Region] | None,
    record_filter: RecordFilter,
    workers: int | Workers = 1,
) -> Iterator[RecordBlock]:
    """Blocks of the records that overlap any of `regions` (all records if None) and pass the filter.

    Each record comes once, in the dataset's order. Row groups are decoded by `workers` threads, a few ahead.
    """

    def matching_records(job: tuple[RowGroup, list[Interval]]) -> RecordBlock | None:
        group, intervals = job
        mask = _mask(group, intervals, record_filter, dataset)
        if mask is not None and 1 not in mask:
            return None
        group.load()
        return group.block() if mask is None else gather(group.block(), mask)

    for block in in_order(matching_records, _jobs(dataset, regions, record_filter), workers):
        if block is not None:
            yield block


def count(
    dataset: Dataset, regions: Iterable[Region] | None, record_filter: RecordFilter, workers: int = 1
) -> int:
    """How many records `query` would yield. Where the zone map tells, nothing of the row group is read."""

    def matching_count(job: tuple[RowGroup, list[Interval]]) -> int:
        group, intervals = job
        mask = _mask(group, intervals, record_filter, dataset)
        return group.records if mask is None else mask.count(1)

    return sum(in_order(matching_count, _jobs(dataset, regions, record_filter), workers))


def count_each(
    dataset: Dataset, regions: Sequence[Region], record_filter: RecordFilter, workers: int = 1
) -> list[int]:
    """How many records overlap each of `regions` by itself and pass the filter: as `count` of one after the other.

    A row group is decoded once for all regions that end within it, by one of `workers` threads.
    """

    def matching_counts(job: tuple[RowGroup, list[int]]) -> list[tuple[int, int]]:
        group, rows = job
        return list(
            zip(rows, _counts(group, [intervals[row] for row in rows], record_filter, dataset), strict=True)
        )

    lengths = [length for _, length in dataset.references]
    intervals = [(start, end if end < lengths[i] else _NO_END) for i, start, end in regions]
    totals = [0] * len(regions)
    for counts in in_order(
        matching_counts, _shared_jobs(dataset, regions, intervals, record_filter), workers
    ):
        for row, number in counts:
            totals[row] += number
    return totals


def columns(
    dataset: Dataset,
    regions: Iterable[Region] | None,
    record_filter: RecordFilter,
    fields: Iterable[str],
    workers: int = 1,
) -> Iterator[dict[str, Any]]:
    """What `query` yields, as columns: of each row group the `fields` of `FilterColumns` (tags as `[NM]`).

    Numbers are numpy arrays, text and tags are lists. Only the columns asked for, and those that the
    filter needs, are read. Raises UsageError for an unknown field.
    """
    fields = tuple(fields)

    def matching_columns(job: tuple[RowGroup, list[Interval]]) -> dict[str, Any] | None:
        group, intervals = job
        mask = _mask(group, intervals, record_filter, dataset)
        table = FilterColumns(group, dataset.header)
        if mask is None:
            return {field: table[field] for field in fields}
        return {field: _chosen(table[field], mask) for field in fields} if 1 in mask else None

    for table in in_order(matching_columns, _jobs(dataset, regions, record_filter), workers):
        if table is not None:
            yield table


def _chosen(column: Any, mask: bytearray) -> Any:
    """The values of a column, a list or a numpy array, that `mask` keeps."""
    if isinstance(column, list):
        return list(compress(column, mask))
    import numpy as np

    return column[np.frombuffer(mask, np.bool_)]


def _jobs(
    dataset: Dataset, regions: Iterable[Region] | None, record_filter: RecordFilter
) -> Iterator[tuple[RowGroup, list[Interval]]]:
    """The row groups that may hold wanted records, in order, each with the intervals that touch it."""
    references = dataset.references
    if regions is None:
        everywhere = [Region(i, -1, length) for i, (_, length) in enumerate(references)]
        regions = [*everywhere, UNPLACED]
    for reference_id, of_contig in groupby(merge_regions(regions), key=lambda region: region.reference_id):
        if reference_id < 0:
            groups = dataset.unplaced_row_groups()
            starts, ends = [-1], [_NO_END]
        else:
            intervals = list(of_contig)
            starts = [region.start for region in intervals]
            ends = [region.end for region in intervals]
            if ends[-1] >= references[reference_id][1]:
                ends[-1] = _NO_END
            groups = dataset.row_groups(reference_id, starts[0], ends[-1])
        for group in groups:
            first, last = bisect_right(ends, group.min_pos), bisect_left(starts, group.max_end)
            if first < last and record_filter.verdict(group) is not False:
                yield group, list(zip(starts[first:last], ends[first:last], strict=True))


def _shared_jobs(
    dataset: Dataset, regions: Sequence[Region], intervals: Sequence[Interval], record_filter: RecordFilter
) -> Iterator[tuple[RowGroup, list[int]]]:
    """The row groups that may hold wanted records, in order, each with the numbers of the intervals that touch it."""
    order = sorted(range(len(regions)), key=lambda row: (regions[row].reference_id, intervals[row]))
    for reference_id, of_contig in groupby(order, key=lambda row: regions[row].reference_id):
        rows = list(of_contig)
        starts = [intervals[row][0] for row in rows]
        reached = list(accumulate((intervals[row][1] for row in rows), max))
        for group in dataset.row_groups(reference_id, starts[0], reached[-1]):
            first, last = bisect_right(reached, group.min_pos), bisect_left(starts, group.max_end)
            touching = [row for row in rows[first:last] if intervals[row][1] > group.min_pos]
            if touching and record_filter.verdict(group) is not False:
                yield group, touching


def _counts(
    group: RowGroup, intervals: list[Interval], record_filter: RecordFilter, dataset: Dataset
) -> Iterator[int]:
    """How many records overlap each of the intervals and pass the filter."""
    mask = bytearray(b"\1") * group.records
    if not record_filter.verdict(group):
        record_filter.apply(mask, group, dataset)
    passing = mask.count(1)
    for start, end in intervals:
        inside = start <= group.min_pos and group.max_pos < end
        yield passing if inside else count_overlapping(mask, group.pos, group.end, start, end)


def _mask(
    group: RowGroup, intervals: list[Interval], record_filter: RecordFilter, dataset: Dataset
) -> bytearray | None:
    """1 for each record (n,) that overlaps one of the intervals and passes the filter; None if all do."""
    inside = any(start <= group.min_pos and group.max_pos < end for start, end in intervals)
    passes = record_filter.verdict(group)
    if inside and passes:
        return None
    mask = bytearray(b"\1") * group.records
    if not inside:
        keep_overlapping(mask, group.pos, group.end, intervals)
    if not passes and 1 in mask:
        record_filter.apply(mask, group, dataset)
    return mask


class FilterColumns(Mapping[str, Any]):
    """The fields of a row group as `Expression.evaluate` wants them, each decoded when first asked for.

    Raises UsageError for an unknown field.
    """

    def __init__(self, group: RowGroup, header: Header) -> None:
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
            return _TEXTS[field](self._group, self._header)
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
_TEXTS: dict[str, Callable[[RowGroup, Header], list[str]]] = {
    "cigar": lambda group, _: _cigars(group, _cigar_text),
    "library": _libraries,
    "mrname": lambda group, header: _reference_names(header, group.next_ref),
    "qname": lambda group, _: _names(group),
    "qual": lambda group, _: _qualities(group),
    "rname": lambda group, header: _reference_names(header, [group.reference_id]) * group.records,
    "seq": lambda group, _: _sequences(group),
}
_FIELDS = (*_STORED, *_NUMBERS, *_TEXTS)
