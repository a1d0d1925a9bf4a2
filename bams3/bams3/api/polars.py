"""Datasets as Polars LazyFrames (the extra `polars`).

>>> bams3.polars.scan("NA12878.bams3").filter(polars.col("mapq") >= 30).group_by("rname").len().collect()

Polars tells the scan which columns a query needs and which conditions its rows must meet. Only these columns are read.
Conditions on contig, position, MAPQ and FLAG that are joined by "and" limit the row groups and records that are
decoded. Polars applies all conditions again to the decoded rows, so this only saves time.
"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bams3.api.alignments import RegionLike, WorkerCount, filter_of, threads
from bams3.api.chunk import Uri
from bams3.api.dataset import Dataset, open
from bams3.bam.regions import LAST, UNPLACED, Region
from bams3.extras import need
from bams3.select.schema import RECORD_FIELDS, checked_fields

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars

    from bams3.select.query import RecordFilter

_MIRRORED = {"Eq": "Eq", "Lt": "Gt", "LtEq": "GtEq", "Gt": "Lt", "GtEq": "LtEq"}


def scan(
    dataset: "Dataset | Uri", regions: "RegionLike | Iterable[RegionLike] | None" = None,
    fields: str | Sequence[str] = RECORD_FIELDS, *, filter: str | None = None, require_flags: int = 0,
    exclude_flags: int = 0, min_mapq: int = 0, workers: WorkerCount = 1,
) -> "polars.LazyFrame":  # fmt: skip
    """Return a LazyFrame of the records that overlap any of `regions`; it reads only what its queries need.

    Parameters
    ----------
    dataset
        A dataset, or its path or URI.
    regions, filter, require_flags, exclude_flags, min_mapq, workers
        As for `Dataset.query`.
    fields
        Names of the columns that queries may use, as in `Dataset.query`; by default SAM's fields and `endpos`. Tags
        must be named.

    Returns
    -------
    polars.LazyFrame
        Its types are those of `Dataset.to_batches`; dictionaries become Categorical.

    Raises
    ------
    DatasetError
        If there is no dataset.
    UsageError
        If a field, a region or the filter is invalid.
    """
    need("polars", "bams3.polars")
    need("pyarrow", "bams3.polars")
    import polars as pl
    import pyarrow as pa
    from polars.io.plugins import register_io_source

    from bams3.api.arrow import record_batches

    opened = dataset if isinstance(dataset, Dataset) else open(dataset)
    names = checked_fields(fields)
    chosen = None if regions is None else opened.regions_of(regions)
    given = filter_of(filter, require_flags, exclude_flags, min_mapq)
    types = record_batches(opened._reader, chosen, given, names).schema

    def source(
        columns: list[str] | None, predicate: "polars.Expr | None", rows: int | None, _: int | None
    ) -> Iterator["polars.DataFrame"]:
        pushed = Conditions.of(predicate)
        schema = types if columns is None else pa.schema([types.field(name) for name in columns])
        where = chosen if chosen is not None else pushed.regions(opened._reader.references)
        batches = record_batches(
            opened._reader, where, pushed.added_to(given), schema.names, threads(workers), schema
        )
        for batch in batches:
            frame = pl.DataFrame(batch)
            if rows is not None:
                frame = frame.head(rows)
                rows -= frame.height
            yield frame if predicate is None else frame.filter(predicate)
            if rows == 0:
                return

    return register_io_source(source, schema=pl.DataFrame(types.empty_table()).schema)


class Comparison(NamedTuple):
    """A condition that compares a column, or the bits `mask` of it, with a value. `operator` is as Polars names it."""

    column: str
    operator: str
    value: int | str
    mask: int | None = None


class Conditions(list[Comparison]):
    """Comparisons that every row of a query meets."""

    @classmethod
    def of(cls, predicate: "polars.Expr | None") -> "Conditions":
        """Find the comparisons in an expression. Parts of other kinds are ignored, because Polars applies them."""
        if predicate is None:
            return cls()
        try:
            tree = json.loads(predicate.meta.serialize(format="json"))
        except Exception:  # Polars cannot convert this expression, or no expression in this version, to JSON
            return cls()
        return cls(_comparisons(tree))

    def added_to(self, given: "RecordFilter") -> "RecordFilter":
        """Return the filter `given`, narrowed by the conditions on MAPQ and FLAG."""
        require, exclude, least = given.require, given.exclude, given.min_mapq
        for column, operator, value, mask in self:
            if column == "mapq" and operator in ("Eq", "GtEq", "Gt"):
                least = max(least, int(value) + (operator == "Gt"))
            elif column == "flag" and mask is not None and operator == "Eq" and value in (0, mask):
                require, exclude = (require | mask, exclude) if value else (require, exclude | mask)
        return given._replace(require=require, exclude=exclude, min_mapq=least)

    def regions(self, references: Sequence[tuple[str, int]]) -> list[Region] | None:
        """Return regions that all rows overlap; None if the conditions name no contig."""
        contigs = {value for column, operator, value, _ in self if (column, operator) == ("rname", "Eq")}
        if not contigs or not all(str(name).isascii() for name in contigs):  # others are compared as bytes
            return None
        if contigs == {"*"}:
            return [UNPLACED]
        start, end = self._interval()
        return [
            Region(i, max(-1, min(start, end - 1, length - 1)), max(0, min(end, length)))
            for i, (name, length) in enumerate(references)
            if {name} == contigs
        ]

    def _interval(self) -> tuple[int, int]:
        """Return an interval that overlaps every read whose position and end meet the conditions."""
        starts, ends = [-1], [LAST]
        for column, operator, value, mask in self:
            if column not in ("pos", "endpos") or mask is not None or isinstance(value, str):
                continue
            if operator in ("Eq", "Gt", "GtEq"):  # a read ends after its position, or at LAST
                starts.append(value - 1)
            if column == "pos" and operator in ("Eq", "Lt", "LtEq"):
                ends.append(value + (operator != "Lt"))
        return max(starts), min(ends)


def _comparisons(tree: Any) -> Iterator[Comparison]:
    """Yield the comparisons of an expression, in Polars' JSON, that are joined by "and"."""
    if not isinstance(tree, dict) or not isinstance(parts := tree.get("BinaryExpr"), dict):
        return
    left, operator, right = parts.get("left"), parts.get("op"), parts.get("right")
    if operator == "And":
        yield from _comparisons(left)
        yield from _comparisons(right)
    elif operator in _MIRRORED:
        for column, value, sense in ((left, right, operator), (right, left, _MIRRORED[operator])):
            known, literal = _column(column), _literal(value)
            if known and literal is not None:
                yield Comparison(known[0], sense, literal, known[1])


def _column(tree: Any) -> tuple[str, int | None] | None:
    """Return the name of a column, and the mask if only some of its bits are meant (`column & mask`)."""
    if not isinstance(tree, dict):
        return None
    if isinstance(name := tree.get("Column"), str):
        return name, None
    parts = tree.get("BinaryExpr")
    if isinstance(parts, dict) and parts.get("op") == "And":
        column, mask = _column(parts.get("left")), _literal(parts.get("right"))
        if column and column[1] is None and isinstance(mask, int):
            return column[0], mask
    return None


def _literal(tree: Any) -> int | str | None:
    """Return the value of a literal number or text."""
    if not isinstance(tree, dict) or "Literal" not in tree:
        return None
    value: Any = tree
    for _ in ("Literal", "Scalar or Dyn", "its type"):
        value = next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else None
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None
