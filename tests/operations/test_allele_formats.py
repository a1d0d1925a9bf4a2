"""The formats of `bams3 alleles`: VCF and BCF, Parquet, and the layouts of other programs."""

import csv
import gzip
import io
import os
import re
import subprocess
from pathlib import Path

import indels
import pysam
import pysam.bcftools
import pytest
from bams3.cli import main
from hostile import TEXT, bam, good
from peers import need, need_package
from servers.gatk import gatk as gatk_in
from servers.jars import is_fetched

import bams3

SITES = """\
##fileformat=VCFv4.2
##contig=<ID=chr1,length=1000000>
##INFO=<ID=AF,Number=A,Type=Float,Description="x">
#CHROM	POS	ID	REF	ALT	QUAL	FILTER	INFO
chr1	262140	rs1	A	C	.	.	AF=0.5
chr1	262145	.	AC	A,ACT,<DEL>	.	.	.
chr1	262150	.	AA	CC	.	.	.
chr1	999999	.	N	.	.	.	.
chr1	100	x;y	G	T	.	.	.
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets a and b of some reads, and sites as VCF and BCF."""
    made = tmp_path_factory.mktemp("two")
    for name, base in (("a", b"A"), ("b", b"C")):
        reads = [good(pos=262_100 + i, flag=16 * (i % 2), sequence=base * 50) for i in range(400)]
        (made / f"{name}.bam").write_bytes(bam(TEXT, [("chr1", 1_000_000), ("chr2", 5000)], reads))
        bams3.convert(made / f"{name}.bam", made / f"{name}.bams3", chunk_size="256K")
    (made / "sites.vcf").write_text(SITES)
    pysam.bcftools.view("-Ob", "-o", str(made / "sites.bcf"), str(made / "sites.vcf"), catch_stdout=False)
    return made


def written(folder: Path, out: Path, words: str, sites: str = "sites.vcf") -> bytes:
    """What the command writes for both datasets, or for those that the words name."""
    out.unlink(missing_ok=True)
    datasets = [] if ".bams3" in words else ["{0}/a.bams3", "{0}/b.bams3"]
    command = [word.format(folder) for word in [*words.split(), *datasets]]
    assert main(["alleles", "--sites", str(folder / sites), "-o", str(out), *command]) == 0
    return out.read_bytes()


def test_sites_of_a_bcf_are_those_of_the_vcf(folder: Path, tmp_path: Path) -> None:
    for words in ("", "--format vcf"):
        of_vcf = written(folder, tmp_path / "x", words)
        assert written(folder, tmp_path / "x", words, "sites.bcf") == of_vcf
        assert of_vcf.count(b"chr1\t") == 5 * (2 if not words else 1)


def records(path: Path) -> str:
    """The records of a VCF or BCF, and its header without what bcftools adds."""
    text = pysam.bcftools.view("--no-version", str(path))
    return "".join(line for line in text.splitlines(keepends=True) if "bcftools" not in line)


@pytest.mark.parametrize(
    ("words", "name", "begins"),
    [
        ("--format vcf", "x", b"##fileformat"),
        ("", "x.vcf", b"##fileformat"),
        ("-O v", "x.bcf", b"##fileformat"),
        ("-O z", "x", b"\x1f\x8b\x08\x04"),
        ("", "x.vcf.gz", b"\x1f\x8b\x08\x04"),
        ("--format vcf -O z", "x.vcf", b"\x1f\x8b\x08\x04"),
        ("-O b", "x", b"\x1f\x8b\x08\x04"),
        ("", "x.bcf", b"\x1f\x8b\x08\x04"),
        ("-O u", "x", b"\x1f\x8b\x08\x04"),  # of stored blocks
    ],
)
def test_vcf_and_bcf_have_the_same_records(
    folder: Path, tmp_path: Path, words: str, name: str, begins: bytes
) -> None:
    written(folder, tmp_path / "plain", "--format vcf")
    assert written(folder, tmp_path / name, words).startswith(begins)
    assert records(tmp_path / name) == records(tmp_path / "plain")


def test_a_bgzipped_vcf_can_be_indexed_and_its_old_index_goes(folder: Path, tmp_path: Path) -> None:
    written(folder, tmp_path / "x.vcf.gz", "")
    body = gzip.decompress((tmp_path / "x.vcf.gz").read_bytes())
    assert body == written(folder, tmp_path / "x.vcf", "")
    (tmp_path / "x.vcf.gz.csi").write_bytes(b"old")
    datasets = [str(folder / f"{name}.bams3") for name in "ab"]
    assert (
        main(["alleles", "--sites", str(folder / "sites.vcf"), "-o", str(tmp_path / "x.vcf.gz"), *datasets])
        == 0
    )
    assert not (tmp_path / "x.vcf.gz.csi").exists()


@pytest.mark.parametrize("words", ["", "--strands", "--strands {0}/a.bams3"])
def test_parquet_is_the_table(
    folder: Path, tmp_path: Path, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_package("pyarrow")
    from pyarrow import parquet

    monkeypatch.setattr("bams3.api.site_batches.ROWS", 4)
    rows = list(csv.DictReader(io.StringIO(written(folder, tmp_path / "x", words).decode()), delimiter="\t"))
    written(folder, tmp_path / "x.parquet", words)
    found = parquet.read_table(tmp_path / "x.parquet").to_pylist()
    for row in found:
        row["pos"] = row.pop("position") + 1
        for name in {"AD", "ADF", "ADR"} & row.keys():
            row[name] = ",".join("." if n is None else str(n) for n in row[name])
    assert [{name: str(row[name]) for name in row} for row in found] == rows
    assert {*found[0]} == {*rows[0]}


def test_parquet_of_no_sites(folder: Path, tmp_path: Path) -> None:
    need_package("pyarrow")
    from pyarrow import parquet

    (tmp_path / "none.bed").write_text("")
    assert main(
        ["alleles", "--sites", str(tmp_path / "none.bed"), "-o", str(tmp_path / "x.parquet"), str(folder / "a.bams3")]
    ) == 0  # fmt: skip
    assert parquet.read_table(tmp_path / "x.parquet").num_rows == 0


LAYOUTS = {
    "alleleCounter": [
        "#CHR	POS	Count_A	Count_C	Count_G	Count_T	Good_depth",
        "chr1	262140	40	0	0	0	40",
        "chr1	262145	45	0	0	0	45",
        "chr1	262150	50	0	0	0	50",
        "chr1	999999	0	0	0	0	0",
        "chr1	100	0	0	0	0	0",
    ],
    "CollectAllelicCounts": [
        "@HD	VN:1.6",
        "@SQ	SN:chr1	LN:1000000",
        "@SQ	SN:chr2	LN:5000",
        "@RG	ID:GATKCopyNumber	SM:a",
        "CONTIG	POSITION	REF_COUNT	ALT_COUNT	REF_NUCLEOTIDE	ALT_NUCLEOTIDE",
        "chr1	262140	40	0	A	N",
        "chr1	262145	45	0	A	N",
        "chr1	262150	50	0	A	N",
        "chr1	100	0	0	G	N",
    ],
    "bam-readcount": [
        "\t".join(
            (
                f"chr1	{pos}	A	{depth}	=:0:{zero}	A:{depth}:nan:nan:nan:{depth - reverse}:{reverse}",
                *(f"{base}:0:{zero}" for base in "CGTN"),
            )
        ).replace(f":{depth - reverse}:{reverse}\t", f":{depth - reverse}:{reverse}{':nan' * 7}\t")
        for zero in ["0.00:0.00:0.00:0:0:0.00:0.00:0.00:0:0.00:0.00:0.00"]
        for pos, depth, reverse in ((262140, 40, 20), (262145, 45, 22), (262150, 50, 25))
    ],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(folder: Path, tmp_path: Path, layout: str) -> None:
    text = written(folder, tmp_path / "x", f"--format {layout} {{0}}/a.bams3").decode()
    assert text.splitlines() == LAYOUTS[layout]


ERRORS = {
    "--format alleleCounter {0}/a.bams3 {0}/b.bams3": "--format alleleCounter holds one sample; run the",
    "--format tsv -O b {0}/a.bams3": "--format tsv and -O b contradict each other",
    "--format parquet {0}/a.bams3 {0}/a.bams3": "two datasets have the name a",
    "--format CollectAllelicCounts --sites {0}/x.bed {0}/a.bams3": "needs sites with REF and ALT",
    "-O b --sites {0}/x.bed {0}/a.bams3": "--format bcf needs sites with REF and ALT",
    "--sites {0}/damaged.bcf {0}/a.bams3": "damaged.bcf: it can't be read",
    "--sites {0}/text.bcf {0}/a.bams3": "text.bcf: it can't be read",
    "--sites {0}/other.bcf {0}/a.bams3": "other.bcf, record 1: {0}/a.bams3 has no contig 'chrZ'",
    "--format parquet --sites {0}/bytes.tsv {0}/a.bams3": "is not UTF-8, which Parquet needs",
}


@pytest.mark.parametrize("typed", ERRORS)
def test_errors(folder: Path, tmp_path: Path, typed: str, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("a.bams3", "b.bams3", "sites.vcf"):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / "x.bed").write_text("chr1\t5\t6\n")
    (tmp_path / "damaged.bcf").write_bytes((folder / "sites.bcf").read_bytes()[:-60])
    (tmp_path / "text.bcf").write_text("chr1\n")
    (tmp_path / "bytes.tsv").write_bytes(b"chr1\t5\tA\t<\xff>\n")
    (tmp_path / "other.vcf").write_text(SITES.replace("chr1", "chrZ"))
    pysam.bcftools.view(
        "-Ob", "-o", str(tmp_path / "other.bcf"), str(tmp_path / "other.vcf"), catch_stdout=False
    )
    words = [] if "--sites" in typed else ["--sites", str(tmp_path / "sites.vcf")]
    assert main(["alleles", *words, *typed.format(tmp_path).split()]) == 1
    error = capfd.readouterr().err.splitlines()
    assert len(error) == 1
    assert ERRORS[typed].format(tmp_path) in error[0]


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reads with indels whose mates have other names, since alleleCounter counts fragments; the dataset, a reference,
    and a VCF of sites, beside it.
    """
    made = tmp_path_factory.mktemp("single")
    indels.write(made, ("x",))
    path = made / "x.bam"
    path.rename(made / "paired.bam")
    with (
        pysam.AlignmentFile(str(made / "paired.bam")) as file,
        pysam.AlignmentFile(str(path), "wb", file) as out,
    ):
        for number, read in enumerate(file):
            read.query_name = str(number)
            read.flag |= 1024 * (number % 7 == 0) | 512 * (number % 11 == 0)
            out.write(read)
    pysam.index(str(path))
    pysam.samtools.dict("-o", str(made / "reference.dict"), str(made / "reference.fa"), catch_stdout=False)
    bams3.convert(path, path.with_suffix(".bams3"), chunk_size="256K")
    with pysam.FastaFile(str(made / "reference.fa")) as file:
        lines = [
            f"{contig}\t{at + 1}\t.\t{file.fetch(contig, at, at + 1)}\t.\t.\t.\t.\n"
            for contig, length in indels.CONTIGS.items()
            for at in range(5, length, 13)
        ]
    (made / "sites.vcf").write_text("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(lines))
    places = (line.split("\t")[:2] for line in lines)
    (made / "loci").write_text("".join(f"{contig}\t{position}\n" for contig, position in places))
    return path


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("-q 35 -Q 20 --rf 2 --ff 3852 -x", ""),
        ("-Q 0 -x -A --ff 0", "-m 0 -q 0 -f 0 -F 0"),
        ("-q 26 -Q 30 -x -A --ff 16", "-m 30 -q 26 -f 0 -F 16"),
    ],
)
def test_allele_counter(single: Path, tmp_path: Path, ours: str, theirs: str) -> None:
    need("alleleCounter")
    command = [
        "alleleCounter",
        "-l",
        single.parent / "loci",
        "-b",
        single,
        "-o",
        tmp_path / "theirs",
        *theirs.split(),
    ]
    subprocess.run(command, check=True, capture_output=True)
    found = written(
        single.parent, tmp_path / "ours", f"--format alleleCounter {ours} {single.with_suffix('.bams3')}"
    )
    assert found.decode() == (tmp_path / "theirs").read_text()
    assert found.count(b"\t0\n") < found.count(b"\n") / 2


def test_collect_allelic_counts(single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_fetched("gatk"):
        gatk_in(tmp_path)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    need("gatk")
    sites, out = single.parent / "sites.vcf", tmp_path / "theirs"
    command = ["gatk", "CollectAllelicCounts", "-I", single, "-R", single.parent / "reference.fa"]
    intervals = tmp_path / "x.interval_list"
    header = "".join(f"@SQ\tSN:{name}\tLN:{length}\n" for name, length in indels.CONTIGS.items())
    places = (line.split("\t")[:2] for line in sites.read_text().splitlines()[1:])
    intervals.write_text(header + "".join(f"{contig}\t{at}\t{at}\t+\t.\n" for contig, at in places))
    subprocess.run([*command, "-L", intervals, "-O", out], check=True, capture_output=True)
    options = "--format CollectAllelicCounts -q 30 -Q 20 --ff UNMAP,DUP -A -x"
    found = written(single.parent, tmp_path / "ours", f"{options} {single.with_suffix('.bams3')}").decode()
    assert found == re.sub(r"\t(M5|UR):\S+", "", out.read_text())
