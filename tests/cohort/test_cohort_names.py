"""Names that others chose, of regions and of contigs, through every table that is made of them: of any bytes."""

import csv
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bams3.cli import main
from bams3.cohort import page as cohort_page
from bams3.cohort.matrix import Measure, measures, read_matrix, write_matrices, write_table
from bams3.cohort.page import write_page
from bams3.cohort.qc import write_qc
from bams3.cohort.regions import LONGEST_NAME, check_contigs, write_regions
from bams3.dataset.reader import DatasetReader
from bams3.errors import UsageError
from bams3.shown import escaped

import bams3

REGIONS = {
    "quote": b'exon "5\'"',
    "a quote alone": b'"',
    "quoted": b'"a,b"',
    "apostrophe": b"5' UTR",
    "commas": b"a,b;c|d",
    "formula": b"=1+1",
    "sign": b"-x",
    "comment": b"#x",
    "HTML": b"<b>x</b> & &lt;",
    "script": b"</script><script>alert(1)</script>",
    "JSON": b'\\"}],{"\\u0022',
    "a page's own mark": b"/*data*/",
    "emoji": "🧬 é 中".encode(),
    "Latin-1": b"caf\xe9 \xff\xfe",
    "half a character": b"\xf0\x9f",
    "long": b"x" * 100_000,
    "escapes": b"\\t\\n%s{0}$HOME`id`",
    "missing": b"NA",
    "not a number": b"nan",
    "null": b"null",
    "truth": b"true",
    "number": b"1e5",
    "zeros": b"001",
    "dot": b".",
    "inner blanks": b"a  b",
    "heading": b"name",
}
ESCAPED = {
    "return": (b"a\rb", "a\\rb"),
    "NUL": (b"a\0b", "a\\x00b"),
    "terminal": (b"\x1b[2J", "\\x1b[2J"),
    "feed": (b"a\x0bb\x0cc", "a\\x0bb\\x0cc"),
    "separator": ("a\u2028b\x85c".encode(), "a\\u2028b\\x85c"),
    "direction": ("\u202eabc".encode(), "\\u202eabc"),
}
CONTIGS = [
    b"HLA-A*01:01:01:01",
    b'c"1"',
    b"a,b",
    b"=x",
    b"<i>&amp;",
    b"total",
    "é".encode(),
    b"c\xff",
    b"NA",
    b"1e5",
]
READS = {b"total": 5}
MADE = {"mean": "mean.regions", "median": "median.regions", "thresholds": "mean.thresholds"}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[bytes, int, str]]]:
    """Where the matrices of a sample with a read on each contig are, and (contig, start, name) of the regions."""
    folder = tmp_path_factory.mktemp("names")
    sequences = b"".join(b"@SQ\tSN:%s\tLN:200\n" % name for name in CONTIGS)
    reads = b"".join(
        b"r\t0\t%s\t101\t60\t4M\t*\t0\t0\tACGT\tIIII\n" % name
        for name in CONTIGS
        for _ in range(READS.get(name, 1))
    )
    (folder / "x.sam").write_bytes(b"@HD\tVN:1.6\tSO:coordinate\n" + sequences + reads)
    bams3.convert(folder / "x.sam", folder / "x.bams3")
    names = [*REGIONS.values(), *(name for name, _ in ESCAPED.values()), b"", b" "]
    lines = [b"%s\t%d\t%d\t%s\t0\n" % (CONTIGS[0], 100 + i, 102 + i, name) for i, name in enumerate(names)]
    lines += [b"%s\t100\t102\tr\t0\n" % contig for contig in CONTIGS[1:]]
    (folder / "in.bed").write_bytes(b"".join(lines))
    write_regions(
        str(folder / "regions.bed"), str(folder / "in.bed"), DatasetReader(folder / "x.bams3").references
    )
    dataset, bed = str(folder / "x.bams3"), str(folder / "regions.bed")
    files = {kind: str(folder / f"{name}.bed.gz") for kind, name in MADE.items()} | {
        "reads": str(folder / "reads")
    }
    for kind, words in {"mean": ["--thresholds", "1,2"], "median": ["--use-median"]}.items():
        assert main(["coverage", dataset, "-n", "--by", bed, *words, "-o", str(folder / kind)]) == 0
    with open(files["reads"], "wb") as out:
        command = [sys.executable, "-m", "bams3", "count", dataset, "--regions", bed]
        subprocess.run(command, stdout=out, check=True)
    write_matrices(folder, bed, {"S1": files}, measures((1, 2)))
    write_matrices(folder, bed, {"S1": {"genome": files["mean"]}}, {"genome": Measure("genome")})
    for kind, option in (("flagstat", "flagstat"), ("stats", "samtools-stats")):
        with open(folder / kind, "w") as file, redirect_stdout(file):
            assert main(["stats", dataset, f"--{option}"]) == 0
    expected = [name.decode(errors="surrogateescape") for name in REGIONS.values()]
    expected += [name for _, name in ESCAPED.values()]
    expected += [
        f"{CONTIGS[0].decode()}:{100 + i + 1}-{100 + i + 2}" for i in range(len(names) - 2, len(names))
    ]
    places = [(CONTIGS[0], 100 + i, name) for i, name in enumerate(expected)]
    return folder, places + [(contig, 100, "r") for contig in CONTIGS[1:]]


@pytest.mark.parametrize("matrix", measures((1, 2)))
def test_a_matrix_has_the_bytes(measured, matrix: str) -> None:
    """As text, in Parquet but for what is no text, in the order of the regions."""
    folder, places = measured
    heading, *lines = (folder / f"{matrix}.tsv").read_bytes().split(b"\n")[:-1]
    assert heading.split(b"\t") == [b"contig", b"start", b"end", b"name", b"S1"]
    found = [line.split(b"\t") for line in lines]
    assert {len(row) for row in found} == {5}
    names = [[os.fsdecode(cell) for cell in (row[0], row[1], row[3])] for row in found]
    assert names == [[os.fsdecode(contig), str(start), name] for contig, start, name in places]
    (columns, values), *rest = read_matrix(folder / f"{matrix}.parquet")
    assert rest == []
    assert columns[0] == [escaped(os.fsdecode(contig)) for contig, _, _ in places]
    assert columns[3] == [escaped(name) for _, _, name in places]
    assert values[:, 0].tolist() == [float(row[4]) for row in found]
    assert max(values) > 0


TEXTS = ("contig", "name")
READERS = {
    "pandas": lambda path: (
        pandas()
        .read_csv(
            path, sep="\t", quoting=3, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(TEXTS, str)
        )
        .to_numpy()
    ),
    "polars": lambda path: polars.read_csv(
        path, separator="\t", quote_char=None, schema_overrides=dict.fromkeys(TEXTS, polars.String)
    ).iter_rows(),
    "duckdb": lambda path: duckdb.read_csv(
        path, delimiter="\t", quotechar="", escapechar="", header=True, all_varchar=True
    ).fetchall(),
    "csv": lambda path: csv.reader(Path(path).read_text().split("\n")[:-1], delimiter="\t", quoting=3),
}


def pandas():
    return pytest.importorskip("pandas")


@pytest.mark.parametrize("reader", READERS)
def test_what_others_read(measured, tmp_path: Path, reader: str) -> None:
    """The names that are text, where they take quotes for what they are: text."""
    folder, places = measured
    wanted = [(os.fsdecode(contig), name) for contig, _, name in places]
    lines = [line for line in (folder / "mean.tsv").read_bytes().splitlines(keepends=True) if is_text(line)]
    (tmp_path / "x.tsv").write_bytes(b"".join(lines))
    found = [(row[0], row[3]) for row in READERS[reader](str(tmp_path / "x.tsv")) if row[0] != "contig"]
    assert found == [names for names in wanted if is_text(os.fsencode("".join(names)))]
    assert len(found) > 30


def test_the_table_of_quality_and_the_page(measured) -> None:
    folder, places = measured
    sample = {"summary": "mean.mosdepth.summary.txt", "dist": "mean.mosdepth.global.dist.txt"}
    sample = {
        kind: str(folder / name)
        for kind, name in (sample | {"flagstat": "flagstat", "stats": "stats"}).items()
    }
    write_qc(folder / "samples", {"S1": sample}, folder / "genome.parquet", (1, 2))
    (row,) = pq.read_table(folder / "samples.parquet").to_pylist()
    assert (row["reads"], row["mean_coverage"]) == (len(CONTIGS) + 4, 0.03)
    tables = [folder / f"{name}.parquet" for name in ("samples", "genome", "mean")]
    write_page(folder / "report.html", *tables, {"S1": sample["dist"]})
    page = (folder / "report.html").read_text()
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    regions = json.loads(text)["regions"]
    long = "x" * (cohort_page.LONGEST_NAME - 1) + "…"
    assert regions["name"] == [long if len(name) > 1000 else escaped(name) for _, _, name in places]
    assert regions["contig"] == [escaped(os.fsdecode(contig)) for contig, _, _ in places]


def is_text(data: bytes) -> bool:
    try:
        return bool(data.decode())
    except UnicodeDecodeError:
        return False


def test_a_table_of_any_texts(tmp_path: Path) -> None:
    """As those of the sheet: in the QC table."""
    texts = ['"x"', "a,b", "a\tb\nc", "=1", "", None, "🧬", "NA", "001"]
    write_table(
        tmp_path / "x", pa.table({"sample": ["S"] * len(texts), 'the "own"': texts, "n": [1, None] * 4 + [2]})
    )
    shown = ['"x"', "a,b", "a\\tb\\nc", "=1", "", "", "🧬", "NA", "001"]
    rows = [line.split("\t") for line in (tmp_path / "x.tsv").read_text().split("\n")[:-1]]
    assert rows[0] == ["sample", 'the "own"', "n"]
    assert [row[1] for row in rows[1:]] == shown
    assert pq.read_table(tmp_path / "x.parquet")[1].to_pylist() == [*shown[:5], None, *shown[6:]]


@pytest.mark.parametrize("name", ["#1", "a b", "a\x1bb", "\u202ea"])
def test_contigs_that_no_bed_file_can_have(name: str) -> None:
    with pytest.raises(UsageError, match=r"its name cannot be used in a BED file .*; rename it"):
        check_contigs([("chr1", 5), (name, 5)])


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    (tmp_path / "in.bed").write_bytes(b"a\t0\t5\t%s\n" % (b"x" * (LONGEST_NAME + 1)))
    with pytest.raises(
        UsageError, match=r"^the name of region a:1-5 has 1048577 bytes; the limit is 1048576$"
    ):
        write_regions(str(tmp_path / "out.bed"), str(tmp_path / "in.bed"), [("a", 9)])


def test_the_longest_names(tmp_path: Path) -> None:
    """Those of control characters, which are escaped."""
    (tmp_path / "in.bed").write_bytes(b"a\t0\t5\t%s\n" % (b"\1" * LONGEST_NAME) * 2)
    write_regions(str(tmp_path / "out.bed"), str(tmp_path / "in.bed"), [("a", 9)])
    files = {"S": {"mean": str(tmp_path / "mean")}}
    (tmp_path / "mean").write_bytes((tmp_path / "out.bed").read_bytes().replace(b"\n", b"\t1.5\n"))
    write_matrices(tmp_path, tmp_path / "out.bed", files, {"mean": Measure("mean")})
    ((*_, names), _), *_ = read_matrix(tmp_path / "mean.parquet")
    assert set(map(len, names)) == {4 * LONGEST_NAME}
