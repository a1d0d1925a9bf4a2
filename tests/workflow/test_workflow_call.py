"""The workflow's joint calling, and genotyping: the same as bcftools calls of the BAMs."""

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import indels
import pysam
import pytest
from bams3.operations.call import call_jointly
from bams3.operations.targets import Targets, read_targets
from bams3.workflow import calling
from bams3.workflow.errors import ConfigurationError
from peers import need
from workflows import CONFIG, planned, run, snakemake

from bams3 import convert

CALL = CONFIG | {
    "reference": "reference.fa",
    "call": {"window": 130_000, "mpileup": "-q 20 -a AD", "call": "-mv"},
}


def bcftools(*arguments: object, **options: object) -> str:
    command = ["bcftools", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


@pytest.fixture(scope="module")
def called(cohort: Path, commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("bcftools")
    directory = Path(shutil.copytree(cohort, tmp_path_factory.mktemp("called") / "project"))
    run(directory, commands, CALL, "call")
    return directory


def test_calls_equal_those_of_the_bams(called: Path, tmp_path: Path) -> None:
    calls = called / "results" / "call" / "calls.vcf.gz"
    bams = [called / "S1.bam", called / "S2.bam"]
    pileup = ["mpileup", "-f", called / "reference.fa", "-q", 20, "-a", "AD", "-Ou", "-o", tmp_path / "x.bcf"]
    bcftools(*pileup, *bams)
    wanted = bcftools("call", "-mv", tmp_path / "x.bcf")
    found = bcftools("view", calls)
    assert records(found) == records(wanted)
    assert len(records(found)) > 50
    assert bcftools("view", "-H", "-r", "chr2", calls).count("\n") == found.count("\nchr2\t")


def test_windows_are_jobs(called: Path, tmp_path: Path, commands: dict[str, str]) -> None:
    project = Path(shutil.copytree(called, tmp_path / "project"))
    assert planned(project, CALL, "call") == {}
    (project / "results" / "call" / "calls.vcf.gz").unlink()
    assert planned(project, CALL, "call") == {"call_window": 6, "gather_calls": 1}


def test_what_fails_is_told(called: Path, tmp_path: Path, commands: dict[str, str]) -> None:
    project = Path(shutil.copytree(called, tmp_path / "project"))
    shutil.rmtree(project / "results" / "call", ignore_errors=True)
    (chunk, *_) = sorted((project / "results/datasets/S2.bams3/data/chr2").glob("*.chunk"))
    chunk.unlink()
    failed = snakemake(project, commands, CALL, "--keep-going", "call")
    assert failed.returncode != 0
    log = "logs/call_window/000005.log"
    told = r"call_window: calling failed from chr2:1 on: .*: the chunk is missing.*; see " + log
    for text in (failed.stderr, (project / log).read_text()):
        assert re.search(told, text)
        assert "Traceback" not in text
    assert not (project / "results/call/calls.vcf.gz").exists()


SAMPLES = ("S1", "S2", "S3")
PLOIDY = "chr1 1 15000 M 1\nchr1 1 15000 F 1\nchr2 5000 12000 M 1\nchr2 5000 12000 F 0\n"

# How many samples, the options of mpileup and call, and the file of targets.
WAYS = {
    "variants": (3, "-q 20 -a AD,DP,SP", "-mv -a GQ", ""),
    "a sample": (1, "", "-mv", ""),
    "all sites": (2, "", "-m", ""),
    "targets": (3, "", "-m", "targets.bed"),
    "sites": (2, "", "-mA", "sites.tsv"),
    "gVCF blocks": (2, "-a DP", "-m -g 0,5,10", ""),
    "long gVCF blocks": (1, "-a DP", "-m -g 0", ""),
    "gVCF blocks of targets": (2, "-a DP", "-m -g 0", "targets.bed"),
    "gVCF blocks of mpileup": (3, "--gvcf 0,8", "-m", ""),
    "gVCF blocks of both": (2, "-g 0,5,10", "-m --gvcf=5", ""),
    "ploidy": (2, "", "-mv --ploidy-file ploidy.txt -S sexes.txt", ""),
    "alleles": (2, "", "-m -C alleles -i -T alleles.tsv", ""),
    "the former caller": (2, "-D", "-cv", ""),
}


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples with indels all over, also at borders of windows, as BAMs and datasets."""
    need("bcftools")
    folder = tmp_path_factory.mktemp("dense")
    indels.write(folder, SAMPLES)
    for name in SAMPLES:
        convert(folder / f"{name}.bam", folder / f"{name}.bams3", chunk_size="256K")
    starts = [
        (contig, start) for contig, length in indels.CONTIGS.items() for start in range(300, length, 1100)
    ]
    (folder / "targets.bed").write_text("".join(f"{contig}\t{at}\t{at + 700}\n" for contig, at in starts))
    (folder / "sites.tsv").write_text(
        "".join(f"{contig}\t{at}\n{contig}\t{at + 9}\t{at + 80}\n" for contig, at in starts)
    )
    sequences = pysam.FastaFile(str(folder / "reference.fa"))
    with open(folder / "alleles.tsv", "w") as file:
        for contig, at in starts:
            base = sequences.fetch(contig, at - 1, at)
            file.write(f"{contig}\t{at}\t{base},{'A' if base != 'A' else 'C'}\n")
    (folder / "ploidy.txt").write_text(PLOIDY)
    (folder / "sexes.txt").write_text("S1 M\nS2 F\n")
    return folder


def records(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("##")]


@pytest.mark.parametrize("way", WAYS)
def test_windows_of_10_kb_equal_plain_bcftools(
    dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    count, mpileup, call, name = WAYS[way]
    monkeypatch.chdir(dense)
    names = SAMPLES[:count]
    options = [*mpileup.split(), *(["-T", name] if name else [])]
    bams = [f"{sample}.bam" for sample in names]
    bcftools("mpileup", "-f", "reference.fa", *options, "-Ou", "-o", tmp_path / "x.bcf", *bams)
    wanted = records(bcftools("call", *call.split(), tmp_path / "x.bcf"))
    places = read_targets(Path(name).read_bytes(), name) if name else None
    jobs = calling.jobs(indels.CONTIGS.items(), 10_000, Targets(places) if places else None)
    with open(tmp_path / "log", "w") as log:
        for number, window in jobs.items():
            call_jointly(
                {sample: f"{sample}.bams3" for sample in names}, window, "reference.fa",
                str(tmp_path / f"{number}.bcf"), log, targets=places, mpileup=mpileup, call=call,
            )  # fmt: skip
    found = records(bcftools("concat", "--no-version", *(tmp_path / f"{number}.bcf" for number in jobs)))
    assert found == wanted
    assert len(found) > 30
    assert [list(window) for window in jobs.values()][1] == [("chr1", 10_000, 20_000)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "x.bed",
            "chr1\t99\t200\nchr1 150 300 name\nchr1\t500\t500\n# no\ntrack x\nchr1\t300\t400\nz\t0\t1\n",
        ),
        ("x.tsv", "chr1\t100\t200\nchr1\t201\nchr1\t202\t400\nz 1 1\n"),
        (
            "x.vcf",
            "##x\n" + "".join(f"chr1\t{i}\t500\tA\tC\n" for i in range(400, 99, -1)) + "z\t1\t.\tA\tC\n",
        ),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_targets_as_bcftools_reads_them(name: str, text: str, packed: bool) -> None:
    data = gzip.compress(text.encode()) if packed else text.encode()
    assert read_targets(data, name + ".gz" * packed) == [("chr1", 99, 400), ("z", 0, 1)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.bed", "chr1\t5\n", "x.bed:1: not a target"),
        ("x.bed", "chr1\t0\t5\nchr1\t9\t5\n", "x.bed:2: not a target"),
        ("x.bed", "chr1\tfrom\tto\n", "start and end (0-based)"),
        ("x.tsv", "chr1\t0\n", "x.tsv:1: not a target; a line must have contig, position (1-based)"),
        ("x.tsv", "chr1\n", "x.tsv:1: not a target"),
        ("x.bed", "1\t0\t5\n", "x.bed: the samples have none of its contigs"),
        ("x.bed", "chr1\t890\t950\n", "x.bed: chr1 890 950: chr1 has 900 bp"),
        ("x.bed", "", "x.bed: no intervals"),
        ("x.bed.gz", "\x1f\x8bno", "x.bed.gz: "),
    ],
)
def test_targets_that_are_none(name: str, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"config: call: targets: .*{re.escape(message)}"):
        calling.targets_of("call", text.encode("latin-1"), name, [("chr1", 900)], print)


def test_targets_and_files_of_options(called: Path, tmp_path: Path, commands: dict[str, str]) -> None:
    """Only windows with targets are jobs; relative paths are taken from where Snakemake runs."""
    project = Path(shutil.copytree(called, tmp_path / "project"))
    (project / "my").mkdir()
    shutil.copy(project / "reference.fa", project / "my")
    shutil.copy(project / "reference.fa.fai", project / "my")
    (project / "my" / "t.bed").write_text("chr2\t140000\t180000\nchr1\t20000\t60000\n")
    (project / "my" / "ploidy.txt").write_text("chr1 1 40000 M 1\nchr1 1 40000 F 1\n")
    with pysam.AlignmentFile(str(project / "S1.bam")) as file:
        covered = [next(file.fetch("chr1", start)).reference_end for start in (50_000, 70_000)]
    (project / "loci.tsv").write_text("".join(f"S1\tchr1\t{at}\n" for at in covered) + "S2\tchr2\t90000\n")
    call = "-m -g 0 --ploidy-file my/ploidy.txt"
    config = CONFIG | {
        "reference": "my/reference.fa",
        "call": {"window": 150_000, "mpileup": "-a DP", "call": call, "targets": "my/t.bed"},
        "genotype": {"manifest": "loci.tsv", "targets": "my/t.bed"},
    }
    jobs = {"call_window": 3, "gather_calls": 1, "genotype_sample": 1, "gather_genotypes": 1}
    assert planned(project, config, "call", "genotype") == jobs
    run(project, commands, config, "call", "genotype")
    bams = [project / "S1.bam", project / "S2.bam"]
    pileup = ["mpileup", "-f", project / "reference.fa", "-T", project / "my/t.bed", "-a", "DP", "-Ou", *bams]
    bcftools(*pileup, "-o", tmp_path / "x.bcf")
    wanted = records(bcftools("call", *call.split(), tmp_path / "x.bcf", cwd=project))
    assert records(bcftools("view", project / "results/call/calls.vcf.gz")) == wanted
    assert len(wanted) > 100
    rows = [
        line.split("\t") for line in (project / "results/genotype/genotypes.tsv").read_text().splitlines()
    ]
    assert [row[3] != "." for row in rows[1:]] == [True, False, False]


GENOTYPE = CONFIG | {"reference": "reference.fa", "genotype": {"manifest": "loci.tsv"}}


def test_genotypes_equal_those_of_the_bams(called: Path, tmp_path: Path, commands: dict[str, str]) -> None:
    project = Path(shutil.copytree(called, tmp_path / "project"))
    found = bcftools("view", "-H", "-v", "snps", called / "results/call/calls.vcf.gz").splitlines()
    places = [tuple(line.split("\t")[:2]) for line in found[::3]][::-1]
    loci = [(sample, *place) for place in places for sample in ("S2", "S1")]
    loci.append(("S1", "chr2", "1"))
    lines = ["\t".join(locus) + "\n" for locus in (("sample", "contig", "position"), *loci)]
    (project / "loci.tsv").write_text("".join(lines))
    (project / "places.bed").write_text("".join(f"{c}\t{int(p) - 1}\t{p}\n" for c, p in places[::-1]))
    run(project, commands, GENOTYPE, "genotype")
    heading, *rows = [
        line.split("\t") for line in (project / "results/genotype/genotypes.tsv").read_text().splitlines()
    ]
    assert heading == ["sample", "contig", "position", "ref", "alt", "genotype", "depth"]
    assert [tuple(row[:3]) for row in rows] == loci
    assert rows[-1][3:] == [".", ".", ".", "0"]
    text = ""
    for sample in ("S1", "S2"):
        pileup = ["mpileup", "-I", "-f", project / "reference.fa", "-R", project / "places.bed", "-Ou"]
        bcftools(*pileup, "-o", tmp_path / "x.bcf", project / f"{sample}.bam")
        bcftools("call", "-m", "-Ob", "-o", tmp_path / "y.bcf", tmp_path / "x.bcf")
        form = rf"{sample}\t%CHROM\t%POS\t%REF\t%ALT[\t%TGT]\t%INFO/DP\n"
        text += bcftools("query", "-f", form, tmp_path / "y.bcf")
    covered = [row for row in rows if row[3] != "."]
    assert sorted(covered) == sorted(line.split("\t") for line in text.splitlines())
    assert len(covered) > 40
    assert len({row[5] for row in rows}) > 4
