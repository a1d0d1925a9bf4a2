"""Columns of records as Arrow record batches: one batch per row group, all with the same schema.

Requires pyarrow (the extra `arrow`). The fields are those of `bams3.select.schema`; positions are 0-based, ends
exclusive.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO

from bams3.extras import need
from bams3.parallel.workers import in_order
from bams3.select.query import Intervals, RecordFilter, column_jobs, matches
from bams3.select.schema import SCHEMA, tag_of

if TYPE_CHECKING:
    import pyarrow

    from bams3.bam.regions import Region
    from bams3.chunk.row_group import RowGroup
    from bams3.dataset.reader import DatasetReader

# Types of the tags in the SAM tags specification: integers, text (A, Z, H), and arrays with their element types.
_INTEGERS = "AM AS CM CP FI H0 H1 H2 HI IH MN MQ NH NM OP PQ SM TC UQ"
_TEXTS = "BC BQ BZ CB CC CO CQ CR CS CT CY E2 FS MC MD MI OA OC OQ OX PT Q2 QT QX R2 RX SA TS U2"
_NAMES = "LB PG PU RG"  # text that repeats: names of header lines
_ARRAYS = {"CG": "uint32", "FZ": "uint16", "ML": "uint8"}
_NAME_FIELDS = ("rname", "cigar", "mrname", "library")
_UNIQUE = (
    "qname",
    "seq",
    "qual",
    "qualities",
)  # their values hardly ever repeat, so a dictionary in Parquet is useless
ROWS_OF_PARQUET = 1 << 17
"""Minimum number of rows in a Parquet row group, which holds several row groups of a dataset."""


def type_of(name: str) -> "pyarrow.DataType | None":
    """Return the Arrow type of a field; None for a tag that is not in the SAM tags specification."""
    import pyarrow as pa

    tag = tag_of(name)
    if tag in _ARRAYS:
        return pa.list_(getattr(pa, _ARRAYS[tag])())
    if name in _NAME_FIELDS or tag in _NAMES.split():
        return pa.dictionary(pa.int32(), pa.string())
    if tag:
        return pa.int64() if tag in _INTEGERS.split() else pa.string() if tag in _TEXTS.split() else None
    field = SCHEMA[name]
    if field.is_list:
        return pa.list_(pa.uint8())
    return pa.string() if field.is_text else pa.from_numpy_dtype(field.dtype)


def schema_of(fields: Sequence[str], groups: "Iterable[RowGroup]" = ()) -> "pyarrow.Schema":
    """Return the Arrow schema of columns.

    A tag that is not in the SAM tags specification gets the type that its values have in the first of `groups` with the
    tag, or text if none has the tag.
    """
    import pyarrow as pa

    types = {name: type_of(name) for name in fields}
    unknown = [name for name, kind in types.items() if kind is None]
    for group in groups if unknown else ():
        from bams3.api.arrays import type_in

        for name in unknown:
            types[name] = types[name] or type_in(group, name[1:3])
    return pa.schema([(name, pa.string() if kind is None else kind) for name, kind in types.items()])


def record_batches(
    dataset: "DatasetReader", regions: "Iterable[Region] | None", record_filter: RecordFilter,
    fields: Sequence[str], workers: int = 1, schema: "pyarrow.Schema | None" = None,
) -> "pyarrow.RecordBatchReader":  # fmt: skip
    """Return columns of the records of a query as a stream of record batches.

    Batches are made while the stream is read; `workers` threads make a few in advance. The default `schema` is the one
    that `schema_of` derives from the first row group.
    """
    need("pyarrow", "to_batches")
    import pyarrow as pa

    from bams3.api.arrays import ArrowFields, booleans

    jobs = column_jobs(dataset, regions, record_filter, fields)
    if schema is None and None in map(type_of, fields):
        first = [job for job in [next(jobs, None)] if job]
        jobs = chain(first, jobs)
        schema = schema_of(fields, [group for group, _ in first])
    made = ArrowFields(lambda: dataset.header)
    types = schema_of(fields) if schema is None else schema

    def batch(job: "tuple[RowGroup, Intervals]") -> "pyarrow.RecordBatch | None":
        mask = matches(*job, record_filter, dataset)
        if mask is not None and 1 not in mask:
            return None
        whole = made.batch(job[0], types)
        return whole if mask is None else whole.filter(booleans(mask))

    # `filter` releases each batch before the next one is made; a loop variable would keep it.
    return pa.RecordBatchReader.from_batches(types, filter(None, in_order(batch, jobs, workers)))


def write_parquet(batches: "pyarrow.RecordBatchReader", out: BinaryIO, progress: Any = None) -> None:
    """Write a stream of record batches to a Parquet file with row groups of at least ROWS_OF_PARQUET rows.

    `progress` is called with the number of rows of each batch.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    repeated = [name for name in batches.schema.names if name not in _UNIQUE]
    with ParquetWriter(out, batches.schema, compression="zstd", use_dictionary=repeated) as writer:
        waiting: list[pa.RecordBatch] = []

        def write() -> None:
            writer.write_table(pa.Table.from_batches(waiting, batches.schema))
            waiting.clear()

        for batch in batches:
            waiting.append(batch)
            if sum(each.num_rows for each in waiting) >= ROWS_OF_PARQUET:
                write()
            if progress:
                progress(batch.num_rows)
        if waiting:
            write()
