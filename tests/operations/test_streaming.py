"""`bams3 mapper` and `bams3 reducer` by themselves; test_hadoop.py runs them under Hadoop."""

import gzip
import shutil
from pathlib import Path

import pysam
import pytest
from engines import run_bams3

import bams3


def mapped(dataset: Path, *arguments: object, lines: str | None = None, **options: object) -> str:
    """What a mapper prints of all chunks of a dataset, sorted."""
    uris = run_bams3("chunks", "--format", "uri", dataset).stdout if lines is None else lines
    done = run_bams3("mapper", *arguments, input=uris, **options)
    assert done.returncode == 0, done.stderr
    return "".join(sorted(done.stdout.splitlines(keepends=True)))


def without_keys(lines: str) -> str:
    return "".join(line.partition("\t")[2] for line in lines.splitlines(keepends=True))


REGIONS = [
    ("--by", "1000"),
    ("--by", "317", "-F", "0", "-Q", "20"),
    ("--by", "500", "-x", "-m"),
    ("--by", "{bed}"),
    ("--by", "{bed}", "-i", "16", "-l", "100", "-u", "400"),
]


@pytest.mark.parametrize("options", REGIONS, ids=" ".join)
def test_regions_are_those_of_coverage(
    engine_dataset: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    bed = tmp_path / "regions.bed"
    lines = ["chr1\t100\t900000\twide", "chr1\t250000\t270000\ta b", "chr1\t5\t5\tnone", "chr2\t0\t1",
             "chr2\t999990\t1000100\tpast the end", "chr2\t2000000\t2000001\tfar", "nowhere\t0\t10"]  # fmt: skip
    bed.write_text("".join(f"{line}\n" for line in lines))
    given = [option.format(bed=bed) for option in options]
    run_bams3("coverage", engine_dataset, "-n", *given, "-o", tmp_path / "all")
    expected = gzip.decompress((tmp_path / "all.regions.bed.gz").read_bytes()).decode()
    assert without_keys(mapped(engine_dataset, "coverage", *given)) == expected
    assert expected.count("\n") > 4


def test_lines_of_a_bed_that_are_left_out_are_told(tmp_path: Path) -> None:
    (tmp_path / "x.bed").write_text("chr1 0 10\n\nchr1\t0\t10\n")
    done = run_bams3("mapper", "coverage", "--by", tmp_path / "x.bed", input="")
    assert (done.returncode, done.stdout) == (0, "")
    skipped, ignored = done.stderr.splitlines()
    assert "x.bed:1: line skipped" in skipped
    assert "x.bed:2: an empty line ends the file" in ignored


def test_regions_of_a_whole_genome(real_dataset: Path, tmp_path: Path) -> None:
    run_bams3("coverage", real_dataset, "-n", "--by", "47000", "-o", tmp_path / "all")
    expected = gzip.decompress((tmp_path / "all.regions.bed.gz").read_bytes()).decode()
    assert without_keys(mapped(real_dataset, "coverage", "--by", "47000")) == expected
    assert expected


@pytest.mark.parametrize(
    ("placed", "unplaced"),
    [([], 1), ([], 9000), ([(1, 300_000)], 0), ([(0, 1_900_000), (2, 5)], 3), ([(2, 599_000), (2, 599_999)], 0),
     ([(2, 599_000), (2, 700_000)], 0)],
)  # fmt: skip
def test_every_region_is_of_one_chunk(tmp_path: Path, placed: list[tuple[int, int]], unplaced: int) -> None:
    """Also those of contigs, and of the genome's ends, that have no chunk; and those past a contig's end."""
    lengths = [2_000_000, 400_000, 600_000]
    header = pysam.AlignmentHeader.from_references(["a", "b", "c"], lengths)
    with pysam.AlignmentFile(tmp_path / "x.bam", "wb", header=header) as file:
        for reference, start in placed:
            read = pysam.AlignedSegment(header)
            read.query_name, read.query_sequence = "r", "A" * 10
            read.reference_id, read.reference_start, read.cigarstring = reference, start, "10M"
            file.write(read)
        for _ in range(unplaced):
            read = pysam.AlignedSegment(header)
            read.query_name, read.flag = "u", 4
            file.write(read)
    bams3.convert(tmp_path / "x.bam", tmp_path / "x.bams3", chunk_size="256K")
    regions = [
        line.split("\t") for line in mapped(tmp_path / "x.bams3", "coverage", "--by", "100000").splitlines()
    ]
    wanted = [
        (name, str(start)) for name, length in zip("abc", lengths, strict=True) for start in range(0, length, 100_000)
    ]  # fmt: skip
    assert [(name, start) for _, name, start, *_ in regions] == wanted
    inside = sum(start < lengths[reference] for reference, start in placed)
    assert sum(float(mean) for *_, mean in regions) * 100_000 == pytest.approx(10 * inside, abs=1000)
    (tmp_path / "past.bed").write_text("c\t700000\t700010\n")
    (past,) = mapped(tmp_path / "x.bams3", "coverage", "--by", tmp_path / "past.bed").splitlines()
    assert past.endswith("\tc\t700000\t700010\t0.00")


def test_counts(engine_dataset: Path) -> None:
    dataset = bams3.open(engine_dataset)
    lines = mapped(engine_dataset, "count", "-F", "0x10", "-q", "10", "-e", "tlen > 0")
    reduced = dict(line.split("\t") for line in run_bams3("reducer", input=lines).stdout.splitlines())
    wanted = {
        name: str(dataset.count(name, exclude_flags=16, min_mapq=10, filter="tlen > 0"))
        for name in dataset.references
    }
    assert reduced == {"*": "0"} | wanted
    assert int(wanted["chr1"]) > 1000


def test_a_function_of_a_module_here(engine_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "def lengths(chunk):\n    return {chunk.contig: chunk.records, 'window': 0.5}\n"
    )
    lines = mapped(engine_dataset, "own:lengths", cwd=tmp_path)
    reduced = dict(line.split("\t") for line in run_bams3("reducer", input=lines).stdout.splitlines())
    chunks = bams3.open(engine_dataset).chunks
    records = {chunk.contig: 0 for chunk in chunks}
    for chunk in chunks:
        records[chunk.contig] += chunk.records
    assert reduced == {str(name): str(count) for name, count in records.items()} | {"window": "6.5"}


def test_lines_of_hadoop_have_a_number_before_the_uri(engine_dataset: Path) -> None:
    uri = run_bams3("chunks", "--format", "uri", engine_dataset).stdout.splitlines()[0]
    assert mapped(engine_dataset, "count", lines=f"17\t{uri}\n\n") == mapped(
        engine_dataset, "count", lines=uri
    )


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", ""),
        ("a\t1\n", "a\t1\n"),
        ("a\t01.50\n", "a\t01.50\n"),
        ("a\t1\na\t2\nb\t3\n", "a\t3\nb\t3\n"),
        ("a\t1\na\t0.5\n", "a\t1.5\n"),
        ("a\tx\t1\na\tx\t2\na\ty\t3", "a\tx\t3\na\ty\t3\n"),
        ("\t1\n\t1\n", "\t2\n"),
        (f"a\t{2**63}\na\t{2**63}\n", f"a\t{2**64}\n"),
        ("\udce9\t1\n\udce9\t1\n", "\udce9\t2\n"),
    ],
)
def test_sums(lines: str, expected: str) -> None:
    done = run_bams3("reducer", input=lines, encoding="utf-8", errors="surrogateescape")
    assert (done.returncode, done.stdout) == (0, expected)


@pytest.mark.parametrize(
    ("arguments", "lines", "message"),
    [
        (["mapper"], "", "give count, coverage or MODULE:FUNCTION"),
        (["mapper", "sum"], "", "give count, coverage or MODULE:FUNCTION"),
        (["mapper", "count"], "x.bams3", "x.bams3: not the URI of a chunk"),
        (["mapper", "count"], "x.bams3/data/chr1/0.chunk", "x.bams3: no such file or directory"),
        (["mapper", "count"], "{dataset}/data/chr1/0.chunk", "has no such chunk"),
        (["mapper", "count", "--by", "5"], "", "--by"),
        (["mapper", "coverage"], "", "give --by BED|N"),
        (["mapper", "coverage", "--by", "0"], "", "a window must have at least one base"),
        (["mapper", "coverage", "--by", "nowhere.bed"], "", "can't read the BED file nowhere.bed"),
        (["mapper", "nowhere:f"], "", "nowhere:f: No module named 'nowhere'"),
        (["mapper", "json:f"], "", "has no attribute 'f'"),
        (["mapper", ":f"], "", "give MODULE:FUNCTION"),
        (["mapper", "own:tabs"], "{uri}", "a key must not contain tabs or newlines"),
        (["mapper", "own:text"], "{uri}", "its value must be a number"),
        (["mapper", "own:none"], "{uri}", "must return a mapping"),
        (["reducer"], "a\n", "'a' is not a key, a tab and a number"),
        (["reducer"], "a\tb\n", "'b' is not a number"),
        (["reducer", "x"], "", "unrecognized arguments: x"),
    ],
)
def test_what_is_wrong(
    engine_dataset: Path, tmp_path: Path, arguments: list[str], lines: str, message: str
) -> None:
    (tmp_path / "own.py").write_text(
        "tabs = lambda chunk: {'a\\tb': 1}\ntext = lambda chunk: {'a': 'b'}\nnone = lambda chunk: 5\n"
    )
    uri = run_bams3("chunks", "--format", "uri", engine_dataset).stdout.splitlines()[0]
    given = lines.format(dataset=engine_dataset, uri=uri)
    done = run_bams3(*arguments, input=given, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_a_chunk_that_is_damaged(engine_dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(engine_dataset, tmp_path / "x.bams3")
    uri = run_bams3("chunks", "--format", "uri", copy).stdout.splitlines()[0]
    Path(uri).write_bytes(Path(uri).read_bytes()[:-50])
    done = run_bams3("mapper", "coverage", "--by", "1000", input=uri)
    assert done.returncode == 1
    assert uri in done.stderr
    assert len(done.stderr.splitlines()) == 1
