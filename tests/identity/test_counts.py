"""Sites of a VCF, what real reads say there, and the files that keep it."""

import subprocess
from pathlib import Path

import numpy as np
import pysam
import pytest
from bams3.cli import main
from bams3.dataset.opening import open_reader
from bams3.identity.counts import Quality, count
from bams3.identity.sites import AUTOSOME, OTHER, X, Y, read_sites
from bams3.parallel.workers import Workers
from peers import DATA, need

import bams3

HEAD = "##fileformat=VCFv4.2\n{}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def vcf(path: Path, lines: list[str], head: str = "") -> Path:
    rows = ("\t".join([*line.split(), *["."] * (8 - len(line.split()))]) for line in lines)
    path.write_text(HEAD.format(head) + "".join(f"{row}\n" for row in rows))
    return path


def test_records_that_are_no_sites_are_left_out(tmp_path: Path) -> None:
    lines = [
        "chr1 10 . A C . . AF=0.25;AC=1",
        "chr1 11 . A C,G . . AF=0.1,0.2",
        "chr1 12 . AT A",
        "chr1 13 . A .",
        "chr1 14 . A <DEL>",
        "chr1 15 . g t . . AF=x",
        "chr1 16 . A T . . AF=1",
        "chr1 17 . A C",
        "chr1 17 . A G",
        "chr1 18 . N G",
        "chr1 19 . A A",
        "chr2 17 . C A . . MAF=0.3;AF=0.75",
    ]
    notes: list[str] = []
    path = vcf(tmp_path / "x.vcf", lines)
    sites = read_sites(str(path), notes.append)
    assert list(sites.places.position) == [9, 14, 15, 16]
    assert [sites.places.contigs[contig] for contig in sites.places.contig] == ["chr1"] * 3 + ["chr2"]
    assert sites.ref.tolist() == [0, 2, 0, 1]
    assert sites.alt.tolist() == [1, 3, 3, 0]
    assert np.nan_to_num(sites.frequency, nan=-1).tolist() == [0.25, -1, -1, 0.75]
    assert notes == [
        f"{path}: 8 of 12 records are left out: 1 with several ALT alleles, 5 that are not SNVs, "
        "2 that share a position"
    ]


@pytest.mark.parametrize("prefix", ["", "chr"])
def test_kinds_of_sites(tmp_path: Path, prefix: str) -> None:
    head = f"##contig=<ID={prefix}X,length=156040895,assembly=GRCh38>\n##contig=<ID={prefix}Y,length=1>\n"
    places = [
        "22 5",
        "X 10000",
        "X 10001",
        "X 2781479",
        "X 2781480",
        "X 156030895",
        "Y 10001",
        "MT 3",
        "M 3",
        "X_alt 3",
    ]
    path = vcf(tmp_path / "x.vcf", [f"{prefix}{place} . A C" for place in places], head)
    kinds = [AUTOSOME, X, OTHER, OTHER, X, OTHER, Y, OTHER, OTHER, AUTOSOME]
    assert read_sites(str(path), print).kind.tolist() == kinds


def test_a_bcf_has_the_sites_of_its_vcf(tmp_path: Path) -> None:
    info = '##INFO=<ID=AF,Number=A,Type=Float,Description="f">\n'
    head = f"{info}##contig=<ID=chrX,length=156040895>\n##contig=<ID=chr2>\n"
    lines = ["chrX 10001 . A C . . AF=0.25", "chrX 2781480 . G C", "chr2 17 . C A . . AF=0.75"]
    path = vcf(tmp_path / "x.vcf", lines, head)
    need("bcftools")
    subprocess.run(["bcftools", "view", "-Ob", "-o", tmp_path / "x.bcf", path], check=True)
    of_vcf, of_bcf = (read_sites(str(tmp_path / name), print) for name in ("x.vcf", "x.bcf"))
    assert of_bcf.key == of_vcf.key
    assert of_bcf.kind.tolist() == of_vcf.kind.tolist() == [OTHER, X, AUTOSOME]
    assert np.nan_to_num(of_bcf.frequency, nan=-1).tolist() == [0.25, -1, 0.75]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.vcf", HEAD.format(""), "no sites; give a VCF of common SNVs"),
        ("x.vcf", HEAD.format("") + "chr1\t5\t.\tA\tAT\n", "no SNV with one REF and one ALT"),
        ("x.vcf", HEAD.format("") + "chr1\tfive\t.\tA\tT\n", "line 3: not a site"),
        ("x.bcf", "", "it can't be read: "),
        ("x.bed", "chr1\t4\t5\n", "no SNV with one REF and one ALT"),
        ("x.bed", "chr1\t0\t2147483647\n", "more than 262144 sites"),  # which would take all memory
    ],
)
def test_files_without_sites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    assert main(["relate", "--sites", str(tmp_path / name), str(tmp_path / "x.bams3")]) == 1
    assert f"{name}" in (said := capsys.readouterr().err)
    assert message in said


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A dataset, and a VCF of sites where its reads lie; each second one has the base of most reads as ALT."""
    folder = tmp_path_factory.mktemp("real")
    bams3.convert(DATA / "illumina_wgs_NA12878.bam", folder / "NA12878.bams3")
    places = [("chr12", 71_530_700, 10), ("chr4", 115_922_400, 40), ("chrX", 101_031_600, 60)]
    lines = [
        f"{contig} {start + 61 * number} . {'AC'[number % 2]} {'GT'[number % 2]} . . AF=0.4"
        for contig, start, count in places
        for number in range(count)
    ]
    return folder / "NA12878.bams3", vcf(folder / "x.vcf", lines)


def test_counts_are_those_of_pysam(real: tuple[Path, Path]) -> None:
    dataset, path = real
    sites = read_sites(str(path), print)
    with Workers(2) as workers:
        found = count(open_reader([dataset]), sites, Quality(), workers)
    last = dict(
        zip(map(sites.places.contigs.__getitem__, sites.places.contig), sites.places.position, strict=True)
    )
    with pysam.AlignmentFile(DATA / "illumina_wgs_NA12878.bam") as bam:
        reads = [
            read
            for read in bam
            if not read.flag & 1796
            and read.mapping_quality >= 1
            and read.reference_start <= last[read.reference_name]
        ]
    expected = np.zeros((len(sites), 3), int)
    rows = {
        (sites.places.contigs[c], p): i
        for i, (c, p) in enumerate(zip(sites.places.contig, sites.places.position, strict=True))
    }
    for read in reads:
        for base, position in read.get_aligned_pairs(matches_only=True):
            if (row := rows.get((read.reference_name, position))) is not None:
                letter = "ACGTN".find(read.query_sequence[base])
                expected[row, 0 if letter == sites.ref[row] else 1 if letter == sites.alt[row] else 2] += 1
    assert np.stack(found, axis=1).tolist() == expected.tolist()
    assert (expected.sum(axis=0) > 100).all()


def test_kept_counts_stand_for_the_dataset(real: tuple[Path, Path], tmp_path: Path) -> None:
    dataset, path = real
    words = ["relate", "--sites", str(path)]
    assert main([*words, "--count", "-o", str(tmp_path / "NA12878.counts"), str(dataset)]) == 0
    tables = []
    for sample in (dataset, tmp_path / "NA12878.counts"):
        assert main([*words, "-o", str(tmp_path / "x"), str(sample)]) == 0
        tables.append((tmp_path / "x.samples.tsv").read_text())
    assert tables[0] == tables[1]
    assert tables[0].splitlines()[1].startswith("NA12878\t")


KEPT = "#bams3 counts 1\tsites={key}\tmin-MQ=1\tmin-BQ=0\n"
DAMAGED = [
    ("", "not a file of counts"),
    ("#bams3 counts 2\t", "counted by another version"),
    (KEPT.replace("{key}", "0" * 32) + "1\t2\t3\n" * 2, "counted at other sites"),
    (KEPT.replace("MQ=1", "MQ=0") + "1\t2\t3\n" * 2, "counted at other sites"),
    (KEPT, "not three numbers for each of 2 sites"),
    (KEPT + "1\t2\t3\n", "not three numbers"),
    (KEPT + "1\t2\t3\n" * 3, "not three numbers"),
    (KEPT + "1\t2\t3\n1\t2\n", "not three numbers"),
    (KEPT + "1\t2\t3\n1\t2\t-3\n", "not three numbers"),
    (KEPT + "1\t2\t3\n1\t2\t3", "not three numbers"),
    (KEPT + "1\t2\t3\n1\t2\t1234567890\n", "not three numbers"),
    (KEPT + "1\t2\t3\n" * 1000, "not three numbers"),
]


@pytest.mark.parametrize(("text", "message"), DAMAGED)
def test_damaged_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    path = vcf(tmp_path / "x.vcf", ["chr1 5 . A C", "chr1 6 . A C"])
    (tmp_path / "a.counts").write_text(text.replace("{key}", read_sites(str(path), print).key))
    words = ["relate", "--sites", str(path), "-o", str(tmp_path / "x"), str(tmp_path / "a.counts")]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path}/a.counts: {message}" in said
    assert said.count("\n") == 1


MISUSES = [
    ("--count {dataset}", "--count needs one dataset, and -o NAME.counts"),
    ("--count -o x.counts {dataset} {dataset}", "--count needs one dataset"),
    ("-o {folder}/x {dataset} {folder}/NA12878.counts", "two samples have the name NA12878"),
    ("-o {folder}/none/x {dataset}", "does not exist; create it first"),
    ("-o {folder}/x {folder}/none.counts", "none.counts"),
    ("--sites {folder}/other.vcf -o {folder}/x {dataset}", "has none of its contigs, such as 12"),
    ("--min-balance 0.6 {dataset}", "give a share from 0.1 to 0.5"),
    ("--min-depth -1 {dataset}", ""),
]


@pytest.mark.parametrize(("words", "message"), MISUSES)
def test_misuse(
    real: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    dataset, path = real
    vcf(tmp_path / "other.vcf", ["12 5 . A C"])
    given = words.format(dataset=dataset, folder=tmp_path).split()
    assert main(["relate", "--sites", str(path), *given]) in (1, 2)
    assert message in (said := capsys.readouterr().err)
    assert "Traceback" not in said
    assert {file.name for file in tmp_path.iterdir()} == {"other.vcf"}
