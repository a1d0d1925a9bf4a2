"""Alleles at known sites, as samtools mpileup and bcftools mpileup count them."""

import csv
import gzip
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pysam
import pytest
from bams3.alleles import known, pileup
from bams3.chunk.spans import Streams
from bams3.cli import main
from bams3.errors import UsageError
from engines import run_block
from hostile import TEXT, Bam, bam, good
from hostile_pairs import crowds
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import DATA, need, real_bams
from symbols import symbol_counts
from workflows import ROOT

import bams3

COLUMNS = "ACGTN*acgt#"


def converted(source: Path, folder: Path) -> Path:
    """Copy a BAM, index it, and convert it; return the copy."""
    path = folder / source.name
    shutil.copyfile(source, path)
    pysam.index(str(path))
    bams3.convert(path, path.with_suffix(".bams3"), chunk_size="256K")
    return path


def table(out: Path, *words: object) -> list[dict[str, str]]:
    """The rows that `bams3 alleles` prints."""
    out.unlink(missing_ok=True)
    assert main(["alleles", "-o", str(out), *map(str, words)]) == 0
    return list(csv.DictReader(out.read_text().splitlines(), delimiter="\t"))


def assert_symbols_equal(path: Path, bed: Path, options: list[str]) -> None:
    """Compare the counts at all positions of a BED file with samtools'."""
    text = path.with_suffix(".theirs")
    words = [*options, *(() if "-Q" in options else ("-Q", "0")), "-d", "0", "--reverse-del", "-l", str(bed)]
    pysam.samtools.mpileup(*words, str(path), catch_stdout=False, save_stdout=str(text))
    expected = symbol_counts(text.read_text())
    rows = table(
        path.with_suffix(".ours"), *options, "--workers", "2", "--strands", "--sites", bed, path.with_suffix(".bams3")
    )  # fmt: skip
    assert len(rows) == len({(row["contig"], row["pos"]) for row in rows}) >= len(expected)
    for row in rows:
        counts = expected.pop((row["contig"], int(row["pos"])), {})
        row["N"] = str(int(row["N"]) + int(row["n"]))
        assert [int(row[symbol]) for symbol in COLUMNS] == [counts.get(symbol, 0) for symbol in COLUMNS], row
        assert int(row["depth"]) == sum(counts.get(symbol, 0) for symbol in "ACGTNacgt")
    assert not expected


OPTIONS = ["", "-x", "-A", "-A --ff 0", "-Q 13", "-Q 1 -x", "-q 21 -Q 5 -A", "--rf 16", "-Q 94 --ff 0x400"]


BORDER = 1 << 18
"""Between the first two chunks of a contig."""


@settings(max_examples=60)
@given(
    bam=crowds() | crowds(BORDER - 7),
    options=st.lists(st.sampled_from(OPTIONS), min_size=2, max_size=2, unique=True),
)
def test_crowds_equal_samtools(bam: Bam, options: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path, bed = Path(name) / "x.bam", Path(name) / "x.bed"
        path.write_bytes(bam.data())
        pysam.index(str(path))
        bams3.convert(path, path.with_suffix(".bams3"), chunk_size="256K")
        starts = [(contig, BORDER - 20 if length > BORDER else 0) for contig, length in bam.references]
        bed.write_text("".join(f"{contig}\t{start}\t{start + 180}\n" for contig, start in starts))
        for words in options:
            assert_symbols_equal(path, bed, words.split())


@pytest.fixture(scope="module", params=real_bams(), ids=lambda path: path.stem)
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BAM with its dataset and, beside it, sites where reads lie: x.bed and x.vcf."""
    path = converted(request.param, tmp_path_factory.mktemp("real"))
    with pysam.AlignmentFile(path) as file:
        contigs = file.references
        ends = sorted({(read.reference_id, read.reference_end) for read in file if read.reference_end})
    chosen = {
        (contig, end - 20 * back) for contig, end in ends[:: len(ends) // 300 + 1] for back in (3, 2, 0)
    }
    sites = [(contigs[contig], position) for contig, position in sorted(chosen)]
    bed = "".join(f"{contig}\t{position - 1}\t{position}\n" for contig, position in sites)
    (path.parent / "x.bed").write_text(bed)
    lines = "".join(f"{contig}\t{end}\trs{end}\tA\tC,G,T\t.\t.\t.\n" for contig, end in sites)
    (path.parent / "x.vcf").write_text(f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{lines}")
    return path


@pytest.mark.parametrize("options", ["", "-Q 10", "-q 20 -A -x -Q 7"])
def test_real_reads_equal_samtools(real: Path, options: str) -> None:
    assert_symbols_equal(real, real.parent / "x.bed", options.split())


def test_only_mates_are_piled_up(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads without mates are counted row group by row group, in less memory."""
    piled = []

    def piles(*arguments: Any, **options: Any) -> Iterator[Any]:
        piled.append(arguments)
        return pileup.piles(*arguments, **options)

    monkeypatch.setattr(known, "piles", piles)
    table(real.parent / "ours", "-Q", "10", "--sites", real.parent / "x.bed", real.with_suffix(".bams3"))
    with pysam.AlignmentFile(real) as file:
        assert bool(piled) == any(read.is_proper_pair for read in file)


FORMAT = ("DP", "AD", "ADF", "ADR")


def by_allele(vcf: str) -> dict[tuple[str, str], dict[str, dict[str, str]]]:
    """The numbers of the sample at each CHROM and POS, those of alleles by allele."""
    found = {}
    for line in vcf.splitlines():
        if line[0] != "#":
            chrom, pos, _, ref, alt, _, _, _, keys, values = line.split("\t")
            names = {key: [ref, *alt.split(",")] for key in FORMAT} | {"DP": ["DP"]}
            numbers = dict(zip(keys.split(":"), values.split(":"), strict=True))
            found[chrom, pos] = {
                key: dict(zip(names[key], numbers[key].split(","), strict=True)) for key in FORMAT
            }
    return found


@pytest.mark.parametrize("options", ["", "-Q 20", "-q 30 -Q 1 --ignore-overlaps -A --ns 1040"])
def test_a_vcf_equals_bcftools(real: Path, options: str) -> None:
    need("bcftools")
    bed, sites, out = (real.parent / name for name in ("x.bed", "x.vcf", "ours.vcf"))
    words = [*options.split(), *(() if "-Q" in options else ("-Q", "0"))]
    annotations = f"-a AD,ADF,ADR,DP -B -I --no-reference -d 1000000 -T {bed}".split()
    command = ["bcftools", "mpileup", *annotations, *words, real]
    expected = by_allele(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    words = [
        *words,
        "--sites",
        str(sites),
        "--format",
        "vcf",
        "-o",
        str(out),
        str(real.with_suffix(".bams3")),
    ]
    out.unlink(missing_ok=True)
    assert main(["alleles", *words]) == 0
    with pysam.VariantFile(str(out)) as file:
        ids = [record.id for record in file]
    assert ids == [line.split("\t")[2] for line in sites.read_text().splitlines()[1:]]
    found = by_allele(out.read_text())
    assert found.keys() >= expected.keys()
    assert any(numbers["DP"]["DP"] != "0" for numbers in expected.values())
    for place, numbers in found.items():
        theirs = expected.get(place, {key: {} for key in FORMAT})
        for key in FORMAT:
            assert numbers[key] == {name: theirs[key].get(name, "0") for name in numbers[key]}, (place, key)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two datasets of 400 reads each, on both sides of a border between chunks."""
    folder = tmp_path_factory.mktemp("two")
    for name, base in (("a", b"A"), ("b", b"C")):
        reads = [good(pos=262_100 + i, flag=16 * (i % 2), sequence=base * 50) for i in range(400)]
        (folder / f"{name}.bam").write_bytes(bam(TEXT, [("chr1", 1_000_000), ("chr2", 5000)], reads))
        bams3.convert(folder / f"{name}.bam", folder / f"{name}.bams3", chunk_size="256K")
    return folder / "a.bams3", folder / "b.bams3"


def test_lines_are_in_the_order_of_the_file(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bams3.operations.alleles.SITES", 3)
    monkeypatch.setattr("bams3.operations.alleles.LINES", 4)
    places = [262_150, 262_145, 262_150, 262_499, 262_101, 262_550, 262_144]
    text = "".join(f"chr1 {place} A C,G,AT,<*>,c\n" for place in places)
    (tmp_path / "sites").write_bytes(gzip.compress(b"# a comment\n\n" + text.encode()))
    for workers in ("1", "2"):
        rows = table(tmp_path / "out", "--sites", tmp_path / "sites", *two, "--workers", workers)
        depths = [min(place - 262_100, 50) if place < 262_500 else 0 for place in places]
        assert [int(row["pos"]) for row in rows] == [place for place in places for _ in "ab"]
        assert [int(row["depth"]) for row in rows] == [depth for depth in depths for _ in "ab"]
        assert [row["AD"] for row in rows] == [
            counts for depth in depths for counts in (f"{depth},0,0,0,.,0", f"0,{depth},0,0,.,{depth}")
        ]
        assert [row["sample"] for row in rows] == ["a", "b"] * len(places)


def test_a_chunk_has_the_counts_of_its_reads(two: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "x.bed").write_text(
        "track\nchr1\t262143\t262145\nelsewhere\t1\t2\nchr1 7 7\nchr1 999999 999999999\n"
    )
    chunks = sorted(two[0].glob("data/chr1/*.chunk"))
    found = [table(tmp_path / "out", "--sites", tmp_path / "x.bed", chunk) for chunk in chunks]
    assert [[row["A"] for row in rows] for rows in found] == [["44", "44", "0", "0"], ["0", "1", "0", "0"]]


def test_arrays_are_the_table(real: Path, tmp_path: Path) -> None:
    dataset = bams3.open(real.with_suffix(".bams3"))
    rows = table(
        tmp_path / "out",
        "--strands",
        "--sites",
        real.parent / "x.vcf",
        "-Q",
        "20",
        real.with_suffix(".bams3"),
    )
    found = dataset.alleles(real.parent / "x.vcf", min_baseq=20, workers=2)
    for name in ("contig", "ref", "alt"):
        assert found[name] == [row[name] for row in rows]
    for name in ("depth", *"ACGTNacgtn*#"):
        assert list(found[name]) == [int(row[name]) for row in rows]
    places = [(row["contig"], int(row["pos"]) - 1) for row in rows]
    alone = dataset.alleles(places, min_baseq=20)
    assert list(alone["position"]) == [position for _, position in places] == list(found["position"])
    assert list(alone["depth"]) == list(found["depth"])
    assert len(dataset.alleles([])["position"]) == 0
    with pytest.raises(UsageError, match="unknown contig 'nowhere'"):
        dataset.alleles([("nowhere", 1)])
    contig, length = dataset.references[0], dataset.lengths[0]
    assert dataset.alleles([(contig, length - 1)])["depth"].shape == (1,)
    with pytest.raises(UsageError, match=f"position {length} is past the end of the contig"):
        dataset.alleles([(contig, length)])


def test_only_what_is_needed_is_read(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: set[tuple[str, str]] = set()
    take = Streams.__missing__

    def noted(self: Streams, name: str) -> bytes:
        read.add((self._where, name))
        return take(self, name)

    monkeypatch.setattr(Streams, "__missing__", noted)
    (tmp_path / "sites").write_text("chr1\t262144\n")
    for options, is_read in (((), False), (("-x", "-Q", "1"), True)):
        read.clear()
        table(tmp_path / "out", "--workers", "1", "--sites", tmp_path / "sites", *options, two[0])
        assert any(name.startswith("qual") for _, name in read) == is_read
        assert len({path for path, _ in read}) == 1
        assert not any(name.startswith(("name", "tag", "mate")) for _, name in read)


def test_each_block_of_the_page(tmp_path: Path, commands: dict[str, str]) -> None:
    bams3.convert(DATA / "illumina_wgs_NA12878.bam", tmp_path / "NA12878.bams3")
    page = (ROOT / "docs" / "alleles.md").read_text()
    blocks = re.findall(
        r"^```(?:sh|python)\n(.*?)^```\n(?:\n?```text\n(.*?)^```$)?", page, re.MULTILINE | re.DOTALL
    )
    assert len(blocks) == 4
    for code, printed in blocks:
        assert run_block(code, tmp_path, commands) == printed


def test_sites_past_the_end_have_no_reads_and_a_warning(
    two: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sites = tmp_path / "far.vcf"
    sites.write_text("".join(f"chr2\t{pos}\t.\tA\tC\t.\t.\t.\n" for pos in (5000, 5001, 9000)))
    rows = table(tmp_path / "out", "--sites", sites, two[0])
    assert [row["AD"] for row in rows] == ["0,0"] * 3
    assert (
        main(["relate", "--count", "--sites", str(sites), "-o", str(tmp_path / "a.counts"), str(two[0])]) == 0
    )
    assert caplog.messages == [
        f"{sites}, line 2: past the end of the contig (number of such sites: 2); the file may be for another reference "
        "genome",
        f"{sites}: 2 of 3 sites are past the ends of contigs of {two[0]}; they may be for another reference genome",
    ]


class CountedDataset:
    """A dataset of many contigs that counts how often its list of contigs is read."""

    is_whole, uri, count = True, "x.bams3", 0

    @property
    def references(self) -> list[tuple[str, int]]:
        self.count += 1
        return [(f"c{i}", 100) for i in range(1000)]


def test_contigs_are_checked_without_searching_the_list_for_each(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("".join(f"c{i}\t1\n" for i in range(1000)))
    dataset: Any = CountedDataset()
    (block,) = known.SiteFile(str(tmp_path / "x.tsv")).blocks(5000, [dataset])
    assert len(block.contigs) == 1000
    assert dataset.count < 5


ERRORS = {
    "--sites none.vcf {a}": "cannot read none.vcf: No such file",
    "--sites none.bcf {a}": "cannot read none.bcf: No such file",
    "--sites {t}/bad.vcf {a}": "bad.vcf, line 3: not a site; expected CHROM",
    "--sites {t}/dot.vcf {a}": "dot.vcf, line 1: not a site",
    "--sites {t}/bad.bed {a}": "bad.bed, line 1: not a site; expected contig, start and end",
    "--sites {t}/bad.tsv {a}": "bad.tsv, line 2: not a site; expected contig, position",
    "--sites {t}/ref.tsv {a}": "ref.tsv, line 1: not a site",
    "--sites {t}/intervals.txt {a}": "intervals.txt, line 2: not a site; expected contig, position (1 or more), and "
    "optionally REF (letters) and ALT; name a file of intervals NAME.bed, and a VCF NAME.vcf",
    "--sites {t}/vcf.txt {a}": "vcf.txt, line 1: not a site",
    "--sites {t}/vcf.VCF {a}": "vcf.VCF, line 1: not a site",
    "--sites {t}/far.tsv {a}": "far.tsv, line 1: not a site",
    "--sites {t}/other.tsv {a}": "other.tsv, line 2: {a} has no contig '1'",
    "--sites {t}/bad.tsv --format vcf {a}": "needs sites with REF and ALT",
    "--sites {t}/good.tsv {a} {a}": "two datasets have the name a",
    "--sites {t}/good.tsv none.bams3": "none.bams3",
}
FILES = {
    "bad.vcf": "##x\nchr1\t3\t.\tA\tC\nchr1\t3\t.\tA\n",
    "dot.vcf": "chr1\t3\t.\t.\tA\n",
    "bad.bed": "chr1\t5\n",
    "bad.tsv": "chr1\t5\nchr1\t0\n",
    "ref.tsv": "chr1\t5\t7\tA\n",
    "intervals.txt": "chr1\t5\t5\nchr1\t5\t6\n",  # the first line, of one position, is one for bam-readcount
    "vcf.txt": "##fileformat=VCFv4.2\nchr1\t5\t.\tA\tC\n",
    "vcf.VCF": "#CHROM\tPOS\tID\tREF\tALT\nchr1\t5\t.\tA\tC\n",
    "far.tsv": "chr1\t2147483648\n",
    "other.tsv": "chr1\t5\n1\t7\n1\t8\n",
    "good.tsv": "chr1\t5\n",
}


@pytest.mark.parametrize("typed", ERRORS)
def test_errors(
    two: tuple[Path, Path], tmp_path: Path, typed: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    assert main(["alleles", *typed.format(a=two[0], t=tmp_path).split()]) == 1
    error = capfd.readouterr().err.splitlines()
    assert len(error) == 1
    assert ERRORS[typed].format(a=two[0]) in error[0]
