"""Apache Spark in local mode: docs/engines/spark.md as it stands there, what is pushed down, and what is wrong."""

import contextlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import begin, commands_of, coverage_files, killed_where
from peers import need
from workflows import ROOT

import bams3


@pytest.fixture(scope="module")
def page(engine_dataset: Path, commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the datasets that the page mentions."""
    need("java")
    directory = tmp_path_factory.mktemp("page")
    begin("spark.md", directory, engine_dataset, commands)
    return directory


@pytest.fixture(scope="module")
def spark(page: Path, commands: dict[str, str]) -> Iterator[Any]:
    """A session whose Python workers have the environment of jobs."""
    import bams3.spark
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    with contextlib.chdir(page):  # to which the paths of programs are relative
        session = (
            SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.executorEnv.PYTHONPATH", str(ROOT / "bams3"))
            .getOrCreate()
        )
    bams3.spark.register(session)
    yield session
    session.stop()


@pytest.fixture
def read(spark: Any, page: Path) -> Callable[..., Any]:
    """A DataFrame of the dataset, with a schema and options."""

    def frame(schema: str, **options: str) -> Any:
        reader = spark.read.format("bams3").options(**options)
        return (reader.schema(schema) if schema else reader).load(str(page / "NA12878.bams3"))

    return frame


def rows(frame: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in frame.collect()]


@pytest.fixture
def printed(
    spark: Any, page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], str]:
    """Runs a program of a page, whose session is this one; what it printed."""
    monkeypatch.chdir(page)

    def run(program: str) -> str:
        exec(compile(program, "program.py", "exec"), {"__name__": "__main__"})
        return capsys.readouterr().out

    return run


def test_the_programs_of_the_page(page: Path, printed: Callable[[str], str]):
    """Both in one session; the first is that of README.md."""
    first, cohort, *_ = commands_of("spark.md")
    assert [first.split()] == [
        block.split() for block in commands_of("../../README.md", "Spark, Hadoop, Nextflow")
    ]
    said = printed(first + cohort)
    shown = [line.strip("|").split("|") for line in said.splitlines() if line.startswith("|")]
    found = {name.strip(): float(value) for name, value in shown if name.strip() not in ("rname", "sample")}
    dataset = bams3.open(page / "NA12878.bams3")
    counts = {name: dataset.count(name, min_mapq=30) for name in dataset.references}
    wanted = dataset.query(fields=["rname", "[NM]"], filter='pos <= 1000000 && rname =~ "^chr"')
    some = [mismatches for mismatches in wanted["[NM]"] if mismatches is not None]
    mean = pytest.approx(sum(some) / len(some))
    assert found == counts | {"NA12878": mean, "NA12891": mean}
    assert min(counts.values()) > 1000


def test_an_rdd_of_chunks(page: Path, printed: Callable[[str], str]):
    """By their URIs, and by their bytes."""
    (program,) = commands_of("../guide.md", "Spark")
    expected = bams3.open(page / "NA12878.bams3").count(until_eof=True, min_mapq=30)
    assert expected > 1000
    assert printed(program) == f"{expected}\n" * 2


def test_the_scripts_of_the_page(
    page: Path, engine_coverage: dict[str, bytes], commands: dict[str, str], tmp_path: Path
):
    """The first task of the coverage is killed once: it is run again, and nothing counts twice.

    tests/project/test_extras.py runs the other script, in an environment that has no more than it needs.
    """
    _, _, coverage, count = commands_of("spark.md")
    assert count == "spark-submit --master 'local[2]' examples/spark/count.py NA12878.bams3\n"
    killed = f'[[ "$*" == *"--batch 1/4"* ]] && mkdir {tmp_path}/once 2> /dev/null'
    killed_where(killed, tmp_path / "bin", commands)
    own = {"PATH": f"{tmp_path / 'bin'}:{commands['PATH']}", "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(
        ["bash", "-ec", coverage], cwd=page, env=commands | own, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "once").is_dir()
    files = coverage_files(page / "out")
    assert {name.replace("NA12878", "S1"): data for name, data in files.items()} == engine_coverage


def test_the_schema_by_default(read: Callable[..., Any], page: Path):
    frame = read("")
    dataset = bams3.open(page / "NA12878.bams3")
    names = [name for name in frame.columns if name != "sample"]
    wanted = dataset.query(["chr2:1-100000"], names)
    region = frame.where("rname = 'chr2' and pos < 100000 and endpos > 0").select(names)
    columns = zip(*(wanted[name].tolist() for name in names), strict=True)
    assert Counter(rows(region)) == Counter(columns)
    assert dict(frame.dtypes)["mapq"] == "smallint"
    assert frame.count() == dataset.count(until_eof=True)


@pytest.mark.parametrize(
    ("condition", "expression"),
    [
        ("mapq >= 30", "mapq >= 30"),
        ("mapq > 30 and mapq < 60", "mapq > 30 && mapq < 60"),
        ("pos = 300000", "pos == 300001"),
        ("pos <= 300000 and rname = 'chr2'", 'pos <= 300001 && rname == "chr2"'),
        ("rname in ('chr1', 'nowhere')", 'rname == "chr1"'),
        ("rname = '*'", 'rname == "*"'),
        ("flag = 99 or mapq = 0", "flag == 99 || mapq == 0"),
        ("flag & 16 = 16", "flag & 16"),
        ("mapq != 60", "mapq != 60"),
        ("not mapq = 60", "mapq != 60"),
        ("tlen < -200 and mpos > 1000", "tlen < -200 && mpos > 1001"),
        ("rname like 'chr%' and mapq is not null", 'rname =~ "^chr"'),
        ("`[NM]` > 0", "[NM] > 0"),
    ],
)
def test_filters(read: Callable[..., Any], page: Path, condition: str, expression: str):
    schema = "rname string, pos int, mpos int, flag int, mapq int, tlen int, `[NM]` long"
    frame = read(schema)
    found = frame.where(condition).count()
    assert found == bams3.open(page / "NA12878.bams3").count(until_eof=True, filter=expression)


def test_the_option_filter_and_a_frame_used_again(read: Callable[..., Any], page: Path):
    dataset = bams3.open(page / "NA12878.bams3")
    frame = read("rname string, mapq int", filter="mapq >= 30 && !flag.reverse", shards="3")
    assert frame.rdd.getNumPartitions() == 3
    some, more = (
        dataset.count(until_eof=True, filter=f"mapq >= {least} && !flag.reverse") for least in (60, 30)
    )
    assert [frame.where("mapq >= 60").count(), frame.count()] == [some, more]
    assert 0 < some < more


@pytest.mark.parametrize(
    ("schema", "options", "message"),
    [
        ("rname string", {"chunks": "3"}, "unknown option 'chunks'"),
        ("rname string", {"shards": "none"}, "shards 'none': give a positive number"),
        ("nope string", {}, "unknown field 'nope'"),
        ("", {"fields": "rname,nope"}, "unknown field 'nope'"),
        ("qname int", {}, "a column does not fit the schema"),
        ("rname string", {"filter": "mapq >"}, "mapq >"),
    ],
)
def test_what_is_wrong(read: Callable[..., Any], schema: str, options: dict[str, str], message: str):
    with pytest.raises(Exception, match="bams3") as failed:
        read(schema, **options).collect()
    assert message in str(failed.value)


def test_a_dataset_that_is_not_there(spark: Any, tmp_path: Path):
    for name, message in (("x.bams3", "no such file or directory"), ("*.bams3", "no dataset: ")):
        with pytest.raises(Exception, match="bams3") as failed:
            spark.read.format("bams3").schema("pos int").load(str(tmp_path / name)).count()
        assert message in str(failed.value)
