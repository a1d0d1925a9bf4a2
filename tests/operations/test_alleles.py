"""Alleles at known sites, as samtools mpileup and bcftools mpileup count them."""

import csv
import shutil
import subprocess
import tempfile
from pathlib import Path

import pysam
import pytest
from bams3.cli import main
from hostile import Bam
from hostile_pairs import CONTIGS, crowds
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import need, real_bams
from symbols import symbol_counts

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


@settings(max_examples=40)
@given(bam=crowds(), options=st.lists(st.sampled_from(OPTIONS), min_size=2, max_size=2, unique=True))
def test_crowds_equal_samtools(bam: Bam, options: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path, bed = Path(name) / "x.bam", Path(name) / "x.bed"
        path.write_bytes(bam.data())
        pysam.index(str(path))
        bams3.convert(path, path.with_suffix(".bams3"), chunk_size="256K")
        bed.write_text("".join(f"{contig}\t0\t{length + 30}\n" for contig, length in CONTIGS))
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


@pytest.mark.parametrize("options", ["", "-Q 20", "-q 30 -Q 1 -x -A"])
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
