"""Matrices of regions by samples, as TSV and Parquet; memory use does not grow with the regions or the samples."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import compute, csv, parquet

from bams3.cohort.regions import PLACE
from bams3.errors import FormatError
from bams3.output.files import open_output
from bams3.shown import escaped, field

VALUES_AT_ONCE = 1 << 22
"""Number of values in a block of a matrix while it is written (32 MB) …"""

ROWS_AT_ONCE = 1 << 16
"""… but at most this many regions, if there are few samples."""

LONGEST_LINE = 1 << 23
"""Size in bytes of a block read from a file of regions."""

_TAB_SEPARATED = csv.ParseOptions(delimiter="\t", quote_char=False)


class Measure(NamedTuple):
    """Where the values of a matrix come from: a column (0-based; −1 is the last) of one of each sample's files.

    `share` means that the values are numbers of bases; the matrix holds them as a share of the region's length.
    """

    file: str
    column: int = -1
    share: bool = False


def measures(thresholds: Sequence[int]) -> dict[str, Measure]:
    """The matrices of a cohort by name, from the files `mean`, `median`, `thresholds` (mosdepth's) and `reads`."""
    breadth = {
        f"breadth_{depth}x": Measure("thresholds", 4 + number, share=True)
        for number, depth in enumerate(sorted(thresholds))
    }
    return {"mean": Measure("mean"), "median": Measure("median"), **breadth, "reads": Measure("reads")}


def write_matrices(
    folder: str | Path,
    regions: str | Path,
    samples: Mapping[str, Mapping[str, str]],
    wanted: Mapping[str, Measure],
) -> None:
    """Write `folder`/NAME.tsv and NAME.parquet for each of the `wanted` matrices; missing values are empty.

    `regions` is a BED file with four columns. `samples` has the paths of each sample's files, by the sample's name; the
    lines of these files are the regions in order. Raises FormatError if a file has different regions.
    """
    places = _columns(str(regions))
    lengths = _integers(places[2]) - _integers(places[1])
    with TemporaryDirectory(dir=folder) as work, ExitStack() as stack:
        kept = {name: stack.enter_context(open(Path(work, name), "w+b")) for name in wanted}
        for sample, files in samples.items():
            read: dict[str, list[Any]] = {}
            for name, measure in wanted.items():
                path = files[measure.file]
                if measure.file not in read:
                    read = {measure.file: _columns(path)}  # only one file's columns are in memory
                    _check(path, read[measure.file], places, sample)
                values = read[measure.file][measure.column].to_numpy().astype(np.float64)
                if measure.share:
                    with np.errstate(invalid="ignore"):
                        values /= lengths
                values.tofile(kept[name])
        for name, file in kept.items():
            _write(Path(folder, name), places, list(samples), file, whole=name == "reads")


def read_matrix(path: str | Path) -> Iterator[tuple[list[list[Any]], np.ndarray]]:
    """Read a Parquet matrix, a block of regions at a time: the columns of `PLACE`, and the values.

    The values are float64, shape (regions, samples).
    """
    file = parquet.ParquetFile(path)
    for number in range(file.num_row_groups):
        table = file.read_row_group(number)
        values = [column.to_numpy().astype(np.float64) for column in table.columns[len(PLACE) :]]
        yield [table[name].to_pylist() for name in PLACE], np.stack(values, axis=1)


def read_whole_matrix(path: str | Path) -> tuple[list[list[Any]], np.ndarray]:
    """Like `read_matrix`, but all regions at once."""
    blocks = list(read_matrix(path))
    places = [[value for block, _ in blocks for value in block[i]] for i in range(len(PLACE))]
    return places, np.concatenate([values for _, values in blocks])


def write_table(stem: Path, table: pa.Table) -> None:
    """Write a table to `stem`.tsv and `stem`.parquet; control characters in text are escaped."""
    for number, column in enumerate(table.columns):
        if pa.types.is_string(column.type):
            texts = [None if text is None else field(text) for text in column.to_pylist()]
            table = table.set_column(number, table.field(number), pa.array(texts, pa.string()))
    with open_output(f"{stem}.parquet") as rows, open_output(f"{stem}.tsv") as text:
        parquet.write_table(table, rows)
        text.write(_heading(table.column_names))
        text.write(_lines(column.combine_chunks() for column in table.columns))


def _columns(path: str) -> list[Any]:
    with open(path, "rb") as file:
        data = file.read()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    skipped = data.count(b"\n", 0, data.find(b"\n") + 1) if data[:1] == b"#" else 0
    names = {"f0": pa.binary(), "f3": pa.binary()}
    options = csv.ConvertOptions(column_types=names, strings_can_be_null=False)
    how = csv.ReadOptions(autogenerate_column_names=True, skip_rows=skipped, block_size=LONGEST_LINE)
    # Arrow reads in a thread. If that thread still had a Python file when Python ends, the process would abort.
    file_of_arrow = pa.BufferReader(data)
    try:
        columns: list[Any] = csv.read_csv(file_of_arrow, how, _TAB_SEPARATED, options).columns
        return columns
    except pa.ArrowInvalid as error:
        raise FormatError(
            f"{path}: not a table of regions ({error}); delete the file and run again"
        ) from None


def _integers(column: Any) -> np.ndarray:
    numbers: np.ndarray = column.to_numpy().astype(np.int64)
    return numbers


def _check(path: str, found: list[Any], places: list[Any], sample: str) -> None:
    if found[:3] != places[:3]:
        raise FormatError(
            f"{path}: sample {sample} was measured over other regions; delete the file and run again"
        )


def _write(stem: Path, places: list[Any], samples: list[str], file: BinaryIO, *, whole: bool) -> None:
    """Write the matrix whose values are in `file`, one sample after another."""
    regions = len(places[0])
    schema = pa.schema(
        [("contig", pa.string()), ("start", pa.int64()), ("end", pa.int64()), ("name", pa.string())]
        + [(sample, pa.int64() if whole else pa.float64()) for sample in samples]
    )
    step = min(ROWS_AT_ONCE, max(1, VALUES_AT_ONCE // len(samples)))
    with (
        open_output(f"{stem}.tsv") as text,
        open_output(f"{stem}.parquet") as file_of_rows,
        parquet.ParquetWriter(file_of_rows, schema) as rows,
    ):
        text.write(_heading(schema.names))
        for start in range(0, regions, step):
            number = min(step, regions - start)
            columns: list[Any] = [column.slice(start, number).combine_chunks() for column in places[:4]]
            for sample in range(len(samples)):
                file.seek(8 * (sample * regions + start))
                columns.append(pa.array(np.fromfile(file, np.float64, number), from_pandas=True))
            columns = [
                column if pa.types.is_string(kind) else column.cast(kind)
                for column, kind in zip(columns, schema.types, strict=True)
            ]
            text.write(_lines(columns))
            columns[0], columns[3] = _text(columns[0]), _text(columns[3])
            rows.write_table(pa.table(columns, schema))


def _heading(names: Sequence[str]) -> bytes:
    return ("\t".join(names) + "\n").encode()


def _lines(columns: Iterable[Any]) -> memoryview:
    """The rows of a table as tab-separated text, without quoting; missing values are empty."""
    kind = pa.large_binary()  # many long names may exceed 2 GB
    tab, end, nothing = (pa.scalar(text, kind) for text in (b"\t", b"\n", b""))
    texts = (column if column.type == pa.binary() else column.cast(pa.large_string()) for column in columns)
    cells = [column.cast(kind) for column in texts]
    rows = compute.binary_join_element_wise(*cells, tab, null_handling="replace")
    rows = compute.binary_join_element_wise(rows, end, nothing)
    *_, data = rows.buffers()
    return memoryview(data)[: compute.sum(compute.binary_length(rows)).as_py()]


def _text(names: Any) -> Any:
    """Names as text; bytes that are not UTF-8 are escaped."""
    try:
        return names.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([escaped(name.decode(errors="surrogateescape")) for name in names.to_pylist()])
