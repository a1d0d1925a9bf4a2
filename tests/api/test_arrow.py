"""Arrow: streams, tables of chunks, Parquet; and docs/engines/arrow.md, each block as it stands there."""

import subprocess
from itertools import pairwise
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pysam
import pytest
from bams3.api.arrow import schema_of
from bams3.cli import main
from bams3.select.schema import SCHEMA
from engines import begin, commands_of, run_block
from peers import need_package

import bams3


@pytest.fixture(scope="module")
def here(engine_dataset: Path, commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("here")
    begin("arrow.md", directory, engine_dataset, commands)
    return directory


def reads_of(dataset: Path, **options: int) -> list[pysam.AlignedSegment]:
    with pysam.AlignmentFile(dataset.with_suffix(".bam")) as bam:
        reads = list(bam.fetch(until_eof=True))
    return [read for read in reads if read.mapping_quality >= options.get("min_mapq", 0)]


def test_the_page(here: Path, engine_dataset: Path, commands: dict[str, str]):
    reads = [read for read in reads_of(engine_dataset, min_mapq=30) if read.reference_id >= 0]
    counts = [(name, sum(read.reference_name == name for read in reads)) for name in ("chr1", "chr2")]
    duck, polars, _, export, parquet = commands_of("arrow.md")
    assert run_block(duck, here, commands) == f"{counts}\n"
    assert run_block(polars, here, commands) == f"{counts[0][1]}\n"
    assert run_block(export, here, commands) == ""
    assert run_block(parquet, here, commands) == f"{counts}\n{counts[0][1]}\n"
    assert min(count for _, count in counts) > 1000


def test_datafusion(here: Path, engine_dataset: Path, commands: dict[str, str]):
    need_package("datafusion")
    reads = [read for read in reads_of(engine_dataset, min_mapq=30) if read.reference_id >= 0]
    names = ["chr1", "chr2"]
    expected = {
        "rname": names,
        "reads": [sum(read.reference_name == name for read in reads) for name in names],
    }
    (program,) = commands_of("arrow.md", "DataFusion")
    assert run_block(program, here, commands) == f"{expected}\n"


@pytest.mark.parametrize("name", ["polars", "pandas", "duckdb"])
def test_a_dataset_and_a_chunk_are_streams(engine_dataset: Path, name: str):
    need_package(name)
    import duckdb
    import pandas
    import polars

    take = {
        "polars": lambda it: polars.DataFrame(it)["mapq"].sum(),
        "pandas": lambda it: int(pandas.DataFrame.from_arrow(it)["mapq"].sum()),
        "duckdb": lambda it: duckdb.sql("select sum(mapq) from it").fetchall()[0][0],
    }[name]
    dataset = bams3.open(engine_dataset)
    chunk = bams3.read_chunk(dataset.chunks[0].path)
    reads = [read.mapping_quality for read in reads_of(engine_dataset)]
    assert take(dataset) == take(dataset) == sum(reads)
    assert take(chunk) == sum(reads[: chunk.records])


def test_types_are_those_of_the_page():
    rows = [row.split(" | ") for row in _page().split("## Columns")[1].splitlines() if row.startswith("| `")]
    told = {}
    for names, types, _ in rows[:-1]:
        fields = names.strip("|` ").replace("`", "").split()
        kinds = [_TYPES.get(kind, kind) for kind in types.strip().split(", ")]
        told |= dict(zip(fields, kinds * (len(fields) // len(kinds)), strict=True))
    assert told == {field.name: str(field.type) for field in schema_of(list(SCHEMA))}


_TYPES = {
    "dictionary of string": "dictionary<values=string, indices=int32, ordered=0>",
    "list of uint8": "list<item: uint8>",
}


def _page() -> str:
    return (Path(__file__).parents[2] / "docs/engines/arrow.md").read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stream_has_what_a_query_has(engine_dataset: Path, workers: int):
    dataset = bams3.open(engine_dataset)
    fields = [*SCHEMA, "[NM]", "[RG]", "[MD]"]
    options = {"filter": "[NM] > 0 || mapq < 20", "exclude_flags": 0x400}
    stream = dataset.to_batches(["chr1:1-600000", "chr2"], fields, workers=workers, **options)
    found = stream.read_all()
    assert found.to_pydict() == dataset.query(
        ["chr1:1-600000", "chr2"], fields, **options
    ).to_arrow().to_pydict()  # fmt: skip
    assert found.num_rows > 1000
    assert found.column("pos").num_chunks > 3
    assert found.schema == schema_of(fields)


def test_a_chunk_alone(engine_dataset: Path):
    info = bams3.open(engine_dataset).chunks[0]
    table = bams3.read_chunk(info.path).to_arrow(["qname", "pos", "[NM]"])
    expected = reads_of(engine_dataset)[: info.records]
    assert table["qname"].to_pylist() == [read.query_name for read in expected]
    assert table["pos"].to_pylist() == [read.reference_start for read in expected]
    assert table["[NM]"].to_pylist() == [
        read.get_tag("NM") if read.has_tag("NM") else None for read in expected
    ]


def test_export(engine_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bams3.api.arrow.ROWS_OF_PARQUET", 5000)
    out = tmp_path / "x.parquet"
    command = [
        "export",
        "--parquet",
        str(out),
        "--fields",
        "rname,pos,seq,[NM]",
        "-q",
        "30",
        str(engine_dataset),
    ]
    assert main([*command, "chr1"]) == 0
    file = pyarrow.parquet.ParquetFile(out)
    expected = [read for read in reads_of(engine_dataset, min_mapq=30) if read.reference_name == "chr1"]
    assert file.read()["seq"].to_pylist() == [read.query_sequence for read in expected]
    groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
    assert [group.num_rows >= 5000 for group in groups[:-1]] == [True] * (len(groups) - 1) != []
    limits = [group.column(1).statistics for group in groups]
    assert all(before.max <= after.min for before, after in pairwise(limits))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fields", "rname,nope"], "unknown field 'nope'"),
        (["nowhere"], "nowhere"),
        (["--filter", "mapq >"], "mapq >"),
    ],
)
def test_what_is_wrong_leaves_no_file(
    engine_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
):
    options = ["export", "--parquet", str(tmp_path / "x.parquet"), str(engine_dataset), *words]
    assert main(options) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_fails_on_the_way_leaves_no_file(engine_dataset: Path, tmp_path: Path, commands: dict[str, str]):
    command = f"bams3 export --parquet {tmp_path}/x.parquet {engine_dataset}"
    limited = subprocess.run(
        ["bash", "-c", f"ulimit -f 100; exec {command}"], env=commands, capture_output=True, text=True
    )
    assert limited.returncode != 0
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".tmp")] == []
