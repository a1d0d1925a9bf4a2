"""Datasets as Apache Spark DataFrames: a Python data source (pyspark 4.1 or later; the extra `spark`).

>>> bams3.api.spark.register(spark)
>>> spark.read.format("bams3").load("NA12878.bams3").where("mapq >= 30").groupBy("rname").count()

A partition is a shard, a run of consecutive chunks. To filter records while chunks are read, use the option `filter`:
filter pushdown is not supported, because Spark would reuse pushed filters for later queries of the same DataFrame, with
wrong results. All columns of the schema are read, because Spark does not tell a Python data source which columns a
query needs; so give a schema with only the columns that you need. Options:

- `datasets`: more paths or URIs, separated by newlines
- `fields`: comma-separated names as in `Dataset.query`, and `sample`, instead of a schema
- `filter`: an expression in samtools' filter language
- `shards`: number of partitions (default: 16)
"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bams3.errors import UsageError
from bams3.extras import need
from bams3.select.schema import RECORD_FIELDS, checked_fields

try:
    from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
    from pyspark.sql.types import StructType
except ImportError:
    need("pyspark", "bams3.spark")
    raise

if TYPE_CHECKING:
    import pyarrow

OPTIONS = {"path", "paths", "datasets", "fields", "filter", "shards"}
SHARDS = 16


def register(spark: Any) -> None:
    """Register the format `bams3` with a SparkSession."""
    spark.dataSource.register(Bams3DataSource)


class Bams3DataSource(DataSource):
    """The data source of the format `bams3`. Invalid options raise UsageError."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "bams3"

    def schema(self) -> StructType:
        """Return the schema of the option `fields`; default: `sample` (the dataset's name), SAM's fields, `endpos`."""
        import pyarrow as pa
        from pyspark.sql.pandas.types import from_arrow_schema

        from bams3.api.arrow import schema_of

        given = self.options.get("fields")
        names = given.split(",") if given else ["sample", *RECORD_FIELDS]
        stored = schema_of(checked_fields([name for name in names if name != "sample"]))
        types = {field.name: _signed(field.type) for field in stored} | {"sample": pa.string()}
        return from_arrow_schema(pa.schema([(name, types[name]) for name in names]))

    def reader(self, schema: StructType) -> "Bams3Reader":
        """Return a reader for the columns of a schema; Arrow must be able to cast to its types."""
        return Bams3Reader(schema, dict(self.options))


class Shard(InputPartition):
    """Shard `number` of `of`, a run of consecutive chunks; numbers begin at 1."""

    def __init__(self, number: int, of: int) -> None:
        self.number, self.of = number, of


class Bams3Reader(DataSourceReader):
    """Reads shards; Spark pickles it and sends it to the executors."""

    def __init__(self, schema: StructType, options: dict[str, str]) -> None:
        if unknown := {name.lower() for name in options} - OPTIONS:
            raise UsageError(f"unknown option {min(unknown)!r}: the options are {', '.join(sorted(OPTIONS))}")
        self._schema = schema
        self._names = checked_fields([name for name in schema.names if name != "sample"])
        self._read = self._names or ("flag",)  # if no column is needed, one gives the number of records
        self._uris = _uris(options)
        self._shards = _number(options.get("shards", str(SHARDS)))
        self._filter = options.get("filter")

    def partitions(self) -> Sequence[InputPartition]:
        """Return one partition per shard."""
        from bams3.dataset.opening import open_readers
        from bams3.dataset.shards import shards

        of = len(shards(open_readers(self._uris, prefetch=()), self._shards)) or 1
        return [Shard(number, of) for number in range(1, of + 1)]

    def read(self, partition: InputPartition) -> Iterator["pyarrow.RecordBatch"]:
        """Yield the record batches of a shard, one for each row group with matching records."""
        from itertools import groupby

        from pyspark.sql.pandas.types import to_arrow_schema

        from bams3.api.arrow import record_batches
        from bams3.dataset.opening import open_readers
        from bams3.dataset.shards import shard
        from bams3.select.filters import Expression
        from bams3.select.query import RecordFilter

        assert isinstance(partition, Shard)
        expression = None if self._filter is None else Expression(self._filter)
        chunks = shard(open_readers(self._uris, prefetch=()), partition.number, partition.of)
        schema = to_arrow_schema(self._schema)
        read = _read_schema(self._read, schema)
        for dataset, run in groupby(chunks, key=lambda chunk: chunk[0]):
            part = dataset.only(entry for _, entry in run)
            batches = record_batches(part, None, RecordFilter(expression=expression), self._read, schema=read)
            for batch in batches:
                yield _cast(batch, schema, dataset.name)


def _read_schema(fields: Sequence[str], wanted: "pyarrow.Schema") -> "pyarrow.Schema":
    """Return the schema of columns as they are read, to be cast to a wanted one."""
    import pyarrow as pa

    from bams3.api.arrow import type_of

    return pa.schema([(name, type_of(name) or _widest(wanted.field(name).type)) for name in fields])


def _widest(kind: "pyarrow.DataType") -> "pyarrow.DataType":
    """Return the type that tags are read as before they are cast to `kind`."""
    import pyarrow as pa

    if pa.types.is_list(kind):
        return kind
    return (
        pa.int64()
        if pa.types.is_integer(kind)
        else pa.float64()
        if pa.types.is_floating(kind)
        else pa.string()
    )


def _cast(batch: "pyarrow.RecordBatch", schema: "pyarrow.Schema", sample: str) -> "pyarrow.RecordBatch":
    """Convert a batch to the types of a schema, which may have the column `sample`.

    Raises UsageError if values do not fit.
    """
    import pyarrow as pa

    try:
        made = [
            pa.repeat(sample, batch.num_rows).cast(field.type)
            if field.name == "sample"
            else batch.column(field.name).cast(field.type)
            for field in schema
        ]
    except pa.ArrowException as error:
        raise UsageError(f"a column does not fit the schema: {error}") from error
    return pa.record_batch(made, schema=schema)


def _uris(options: dict[str, str]) -> list[str]:
    """Return the datasets in order, with patterns of local paths expanded.

    Raises UsageError if a pattern matches nothing.
    """
    given = [*json.loads(options.get("paths", "[]")), *([options["path"]] if "path" in options else [])]
    given += filter(None, options.get("datasets", "").split("\n"))
    if not all(given):
        raise UsageError("no dataset: one of the paths is empty")
    if not given:
        raise UsageError("no dataset: give .load(path)")
    return [uri for pattern in given for uri in _matching(pattern.removeprefix("file:"))]


def _matching(pattern: str) -> list[str]:
    from glob import glob, has_magic
    from os.path import exists

    if "://" in pattern or not has_magic(pattern) or exists(pattern):
        return [pattern]
    found = sorted(glob(pattern))
    if not found:
        raise UsageError(f"no dataset: {pattern} matches nothing")
    return found


def _number(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise UsageError(f"shards {text!r}: give a positive number")
    return int(text)


def _signed(kind: "pyarrow.DataType") -> "pyarrow.DataType":
    """Return the Spark-compatible type for an Arrow type: Spark has no unsigned integers."""
    import pyarrow as pa

    if pa.types.is_list(kind):
        return pa.list_(_signed(kind.value_type))
    if pa.types.is_dictionary(kind):
        return kind.value_type
    return {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64()}.get(kind, kind)
