"""Each program of examples/ on real data: that it runs, and says what pysam finds."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pysam
import pytest
from engines import begin
from peers import DATA

import bams3

EXAMPLES = Path(__file__).parents[2] / "examples"
BAM = DATA / "illumina_wgs_NA12878.bam"
CONTIG = "chr4"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The dataset that convert.py makes."""
    path = tmp_path_factory.mktemp("examples") / "wgs.bams3"
    text = run("convert", BAM, path)
    records, mapped = len(READS), sum(not read.is_unmapped for read in READS)
    assert text == [f"{records} records in {len(bams3.open(path).chunks)} chunks, {mapped} mapped"]
    return str(path)


def run(name: str, *arguments: object) -> list[str]:
    """The lines that an example prints."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def reads() -> list[pysam.AlignedSegment]:
    with pysam.AlignmentFile(BAM) as bam:
        return list(bam.fetch(until_eof=True))


READS = reads()
START = next(read.reference_start for read in READS if read.reference_name == CONTIG)
WINDOW = (CONTIG, START, START + 1000)


def test_depth(dataset: str) -> None:
    depth = bams3.open(dataset).coverage(*WINDOW)
    text = dict(line.split() for line in run("depth", dataset, *WINDOW))
    assert text == {
        "bases": "1000", "mean": f"{depth.mean():.2f}", "maximum": str(depth.max()),
        "10x": f"{(depth >= 10).mean():.1%}",
    }  # fmt: skip


def test_count(dataset: str) -> None:
    lines = [line.split("\t") for line in run("count", dataset, "!flag.dup && [NM] < 3")]
    expected = Counter(
        str(read.mapping_quality)
        for read in READS
        if not read.is_duplicate and read.has_tag("NM") and read.get_tag("NM") < 3
    )
    assert {quality: int(reads) for quality, reads in lines} == expected | {"all": expected.total()}


def test_fetch(dataset: str) -> None:
    expected = [
        f"{read.query_name}\t{read.reference_start}\t{read.cigarstring}"
        for read in READS
        if read.reference_name == CONTIG
        and read.reference_start < WINDOW[2]
        and (read.reference_end or read.reference_start + 1) > START
    ]
    lines = run("fetch", dataset, *WINDOW)
    assert [line.rpartition("\t")[0] for line in lines] == expected
    assert lines


def test_to_arrow(dataset: str, tmp_path: Path) -> None:
    import pyarrow.parquet

    text = run("to_arrow", dataset, tmp_path / "x.parquet", CONTIG)
    table = pyarrow.parquet.read_table(tmp_path / "x.parquet")
    expected = [read for read in READS if read.reference_name == CONTIG and not read.is_duplicate]
    assert table["qname"].to_pylist() == [read.query_name for read in expected]
    assert text == [f"{len(expected)} reads of 10 columns in {tmp_path}/x.parquet"]


@pytest.mark.parametrize("workers", [1, 2])
def test_parallel(dataset: str, workers: int) -> None:
    qualities = [read.query_qualities for read in READS if read.query_qualities is not None]
    bases = sum(map(len, qualities))
    good = sum(quality >= 30 for values in qualities for quality in values)
    expected = {"reads": str(len(qualities)), "bases": str(bases), "Q30": f"{good / bases:.1%}"}
    assert dict(line.split() for line in run("parallel", dataset, workers)) == expected


def test_lone_chunk(dataset: str, tmp_path: Path) -> None:
    info = bams3.open(dataset).chunks[0]
    copy = tmp_path / "copy"
    copy.write_bytes(Path(info.path).read_bytes())
    first, *cigars = run("lone_chunk", copy)
    assert first == f"{info.records} reads that start in {info.contig}:{info.start + 1}-{info.end}"
    counts = Counter(read.cigarstring or "*" for read in READS[: info.records])
    assert [int(line.split("\t")[1]) for line in cigars] == [reads for _, reads in counts.most_common(5)]


def each_example(check: Callable[[str, list[str]], bool]) -> list[str]:
    texts = {path.name: path.read_text().splitlines() for path in EXAMPLES.glob("*.py")}
    return [name for name, lines in texts.items() if not check(name, lines)]


def test_examples_are_short_listed_and_tested() -> None:
    readme, tests = (EXAMPLES / "README.md").read_text(), Path(__file__).read_text()
    assert each_example(lambda name, lines: len(lines) < 40) == []
    assert each_example(lambda name, lines: f"[{name}]({name})" in readme) == []
    assert each_example(lambda name, lines: f'run("{name.removesuffix(".py")}"' in tests) == []


def test_the_page_begins(engine_dataset: Path, commands: dict[str, str], tmp_path: Path) -> None:
    begin("../../examples/README.md", tmp_path, engine_dataset, commands)
    assert bams3.open(tmp_path / "NA12878.bams3").count("chr1") > 1000
