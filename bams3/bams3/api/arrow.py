"""Columns of records as Arrow record batches: one batch per row group, all with the same schema.

Requires pyarrow (the extra `arrow`). Numbers are not copied; text is. The fields are those of `bams3.select.schema`;
positions are 0-based, ends exclusive.
"""

import builtins
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO

from bams3.api.columns import array
from bams3.errors import UsageError
from bams3.extras import need
from bams3.select.schema import SCHEMA, tag_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

# Types of the tags in the SAM tags specification: integers, text (A, Z, H), and arrays with their element types.
_INTEGERS = "AM AS CM CP FI H0 H1 H2 HI IH MN MQ NH NM OP PQ SM TC UQ"
_TEXTS = "BC BQ BZ CB CC CO CQ CR CS CT CY E2 FS LB MC MD MI OA OC OQ OX PG PT PU Q2 QT QX R2 RG RX SA TS U2"
_ARRAYS = {"CG": "uint32", "FZ": "uint16", "ML": "uint8"}
ROWS_OF_PARQUET = 1 << 17
"""Minimum number of rows in a Parquet row group, which holds several row groups of a dataset."""


def schema_of(fields: Sequence[str], parts: Iterable[Mapping[str, Any]] = ()) -> "pyarrow.Schema":
    """Return the Arrow schema of columns.

    A tag that is not in the SAM tags specification gets the type of its values in `parts` (columns of row groups), or
    text if there are none.
    """
    import pyarrow as pa

    types: dict[str, Any] = {}
    for name in fields:
        tag = tag_of(name) or ""
        if name in SCHEMA:
            field = SCHEMA[name]
            types[name] = pa.string() if field.is_text else pa.from_numpy_dtype(field.dtype)
        elif tag in _ARRAYS:
            types[name] = pa.list_(getattr(pa, _ARRAYS[tag])())
        elif tag in _INTEGERS or tag in _TEXTS:
            types[name] = pa.int64() if tag in _INTEGERS else pa.string()
        else:
            found = [column(name, array(name, part[name])) for part in parts]
            known = [values.type for values in found if values.type != pa.null()]
            types[name] = known[0] if known else pa.string()
    return pa.schema(types.items())


def column(name: str, values: Any, type: "pyarrow.DataType | None" = None) -> "pyarrow.Array":
    """Convert a column of `bams3.api.columns` to an Arrow array; None becomes null.

    Raises UsageError if the values do not fit into one column, or not into one of this type.
    """
    import pyarrow as pa

    if type is not None and values.dtype == object and pa.types.is_primitive(type):
        other = float if pa.types.is_integer(type) else int
        if other in set(map(builtins.type, values)):  # Arrow would truncate floats or widen integers
            raise UsageError(f"{name} does not fit an Arrow column: it has integers and floats")
    try:
        return pa.array(_alike(values), type)
    except (pa.ArrowException, OverflowError, TypeError) as error:
        raise UsageError(f"{name} does not fit an Arrow column: {error}") from error


def record_batches(
    parts: Iterable[Mapping[str, Any]], fields: Sequence[str], schema: "pyarrow.Schema | None" = None
) -> "pyarrow.RecordBatchReader":
    """Return the columns `fields` of row groups as a stream of record batches, which are made as they are read.

    Without a `schema`, it is the one that `schema_of` derives from the first row group.
    """
    need("pyarrow", "to_batches")
    import pyarrow as pa

    coming = iter(parts)
    if schema is None:
        first = next(coming, None)
        schema = schema_of(fields, [] if first is None else [first])
        coming = coming if first is None else chain([first], coming)

    def batches() -> Iterator[pa.RecordBatch]:
        for part in coming:
            arrays = [
                column(name, array(name, part[name]), kind)
                for name, kind in zip(fields, schema.types, strict=True)
            ]
            yield pa.record_batch(arrays, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def write_parquet(batches: "pyarrow.RecordBatchReader", out: BinaryIO, progress: Any = None) -> None:
    """Write a stream of record batches to a Parquet file with row groups of at least ROWS_OF_PARQUET rows.

    `progress` is called with the number of rows of each batch.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    with ParquetWriter(out, batches.schema, compression="zstd") as writer:
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


def _alike(column: "np.ndarray") -> Any:
    """Return the column with its arrays in one dtype: SAM writers choose the narrowest type for each record."""
    import numpy as np

    dtypes = (
        {value.dtype for value in column if isinstance(value, np.ndarray)} if column.dtype == object else ()
    )
    if len(dtypes) < 2:
        return column
    common = np.result_type(*dtypes)
    return [value.astype(common) if isinstance(value, np.ndarray) else value for value in column]
