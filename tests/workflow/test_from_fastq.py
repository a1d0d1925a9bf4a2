"""The workflow of examples/from_fastq: the datasets that it makes of FASTQ are those of bwa and samtools, and a lane or
a sample more or less makes it run what is new."""

import csv
import gzip
import re
import runpy
import shutil
import subprocess
import sys
from collections import Counter
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pysam
import pytest
import yaml
from bams3.cli import main
from bams3.errors import SourceError
from forked import run_snakemake
from pages import blocks_of, run
from peers import need
from workflows import ROOT

import bams3

EXAMPLE = ROOT / "examples" / "from_fastq"
(BRINGING,) = (block.code for block in blocks_of(EXAMPLE / "README.md"))
SETTINGS = {"bases": 100_000, "gigabytes_per_batch": 0.00006}
"""Two batches a lane, of more than one set of pairs."""
STAGES = {"coverage": {"no_per_base": True}, "alleles": {"sites": {"known": "sites.tsv"}}}

Sheet = list[dict[str, str]]


@pytest.fixture(scope="module")
def brought(
    simulated_cohort: Path, commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder in which the example runs, with all files that its page brings there."""
    for program in ("bwa", "samtools"):
        need(program)
    home = tmp_path_factory.mktemp("home")
    (home / "bams3" / "demo").mkdir(parents=True)
    (home / "bams3" / "demo" / "data").symlink_to(simulated_cohort)
    (home / "bams3" / "examples").symlink_to(ROOT / "examples")
    (lab := home / "lab").mkdir()
    code = re.sub("^(pip|snakemake) .*", "", BRINGING, flags=re.MULTILINE)
    run(code, "bash", lab, commands | {"HOME": str(home)})
    shutil.copy(simulated_cohort / "sites.tsv", lab)
    return lab


@pytest.fixture(scope="module")
def finished(brought: Path, commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, in which a lane is missing."""
    lab = Path(shutil.copytree(brought, tmp_path_factory.mktemp("finished") / "lab"))
    config = yaml.safe_load((lab / "config.yaml").read_text()) | SETTINGS
    del config["bams3"]["coverage"], config["bams3"]["cohort"]
    config["bams3"] |= STAGES
    (lab / "config.yaml").write_text(yaml.safe_dump(config))
    write(lab, "lanes", [row for row in rows(lab, "lanes") if row != rows(brought, "lanes")[1]])
    snakemake(lab, commands)
    return lab


@pytest.fixture
def lab(finished: Path, tmp_path: Path) -> Path:
    """A copy of this."""
    return Path(shutil.copytree(finished, tmp_path / "lab", symlinks=True))


def rows(lab: Path, sheet: str) -> Sheet:
    with (lab / f"{sheet}.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def write(lab: Path, sheet: str, lines: Sheet) -> None:
    with (lab / f"{sheet}.tsv").open("w") as file:
        writer = csv.DictWriter(file, lines[0], delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def snakemake(lab: Path, environment: dict[str, str], *arguments: str, fails: bool = False) -> str:
    """What the page's command prints, with further arguments."""
    command = ["-s", str(EXAMPLE / "Snakefile"), "--cores", "1", *arguments]
    done = run_snakemake(lab, environment, *command)
    assert bool(done.returncode) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def planned(lab: Path, environment: dict[str, str]) -> dict[str, int]:
    """How many jobs of each rule a run would have."""
    text = snakemake(lab, environment, "--dry-run", "--quiet", "rules")
    return {
        rule: int(count)
        for rule, count in re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE)
        if rule != "total"
    }


def samtools_chain(lab: Path, lanes: Sheet, folder: Path) -> list[str]:
    """The lines of the BAM that bwa and samtools make of a sample, from whole FASTQ files."""
    libraries: dict[str, list[str]] = {}
    for lane in lanes:
        name = f"{folder}/{lane['lane']}"
        group = f"@RG\\tID:{lane['sample']}.{lane['lane']}\\tSM:{lane['sample']}\\tLB:{lane['library']}"
        group += f"\\tPL:{lane['platform']}\\tPU:{lane['lane']}"
        words = ["bwa", "mem", "-K", str(SETTINGS["bases"]), "-R", group, "results/index/reference"]
        with open(f"{name}.sam", "wb") as file:
            subprocess.run([*words, lane["fastq_1"], lane["fastq_2"]], cwd=lab, stdout=file, check=True)
        samtools("fixmate", "-m", f"{name}.sam", f"{name}.fixed.bam")
        samtools("sort", "-o", f"{name}.bam", f"{name}.fixed.bam")
        libraries.setdefault(lane["library"], []).append(f"{name}.bam")
    for library, bams in libraries.items():
        samtools("merge", "-cp", "-o", f"{folder}/merged.bam", "-f", *bams)
        samtools("markdup", f"{folder}/merged.bam", f"{folder}/{library}.marked.bam")
    samtools(
        "merge", "-cp", "-o", f"{folder}/all.bam", *(f"{folder}/{name}.marked.bam" for name in libraries)
    )
    return lines_of(folder / "all.bam")


def samtools(command: str, *arguments: str) -> None:
    getattr(pysam, command)("--no-PG", *arguments, catch_stdout=False)


def lines_of(bam: Path) -> list[str]:
    """Header and records as text, without @PG lines; tags in alphabetical order, since `samtools merge` moves some."""
    lines = pysam.view("-h", "--no-PG", str(bam)).splitlines()
    fields = (line.split("\t") for line in lines if not line.startswith("@PG"))
    return ["\t".join(row if row[0][0] == "@" else [*row[:11], *sorted(row[11:])]) for row in fields]


def check(lab: Path, sample: str, folder: Path) -> list[str]:
    """Compare a sample with what bwa and samtools make; its lines."""
    main(["to-bam", str(lab / "results" / "datasets" / f"{sample}.bams3"), str(folder / "ours.bam")])
    lanes = [row for row in rows(lab, "lanes") if row["sample"] == sample]
    found = lines_of(folder / "ours.bam")
    assert found == samtools_chain(lab, lanes, folder)
    return found


def test_a_sample_of_two_libraries(finished: Path, tmp_path: Path) -> None:
    found = check(finished, "S2", tmp_path)
    groups = {field for line in found for field in line.split("\t") if field.startswith("RG:Z:")}
    assert groups == {"RG:Z:S2.L001", "RG:Z:S2.L002"}
    assert len(list(finished.glob("results/aligned/S2/*/*.bams3"))) == 4
    assert not (finished / "results" / "fastq").exists() or not list(finished.glob("results/fastq/*/*"))


def test_the_module_runs_on_the_datasets(finished: Path, commands: dict[str, str]) -> None:
    results = finished / "results"
    with gzip.open(results / "alleles" / "known.tsv.gz", "rt") as table:
        assert {"S1", "S2"} <= set(re.findall(r"\bS\d\b", table.read()))
    assert {path.name for path in results.glob("coverage/*.summary.txt")} == {
        f"{sample}.mosdepth.summary.txt" for sample in ("S1", "S2")
    }
    assert planned(finished, commands) == {}


SAMPLE = {
    "merge_libraries": 1,
    "bams3_coverage_batch": 1,
    "bams3_gather_coverage": 1,
    "bams3_count_alleles": 1,
}
"""What is made of a sample that changes."""
LIBRARY = {"merge_batches": 1, "mark_duplicates": 1}
LANE = {"split": 1, "align": 2}
TABLES = {"bams3_gather_alleles": 1, "all": 1}


def lane_more(lab: Path, brought: Path) -> None:
    write(lab, "lanes", rows(brought, "lanes"))


def sample_more(lab: Path, brought: Path) -> None:
    write(lab, "lanes", [*rows(lab, "lanes"), rows(brought, "lanes")[1] | {"sample": "S3"}])
    write(lab, "samples", [*rows(lab, "samples"), {"sample": "S3", "dataset": "results/datasets/S3.bams3"}])


def sample_less(lab: Path, brought: Path) -> None:
    for sheet in ("lanes", "samples"):
        write(lab, sheet, [row for row in rows(lab, sheet) if row["sample"] != "S2"])


@pytest.mark.parametrize(
    ("change", "jobs"),
    [
        (lane_more, LANE | LIBRARY | SAMPLE | TABLES),
        (sample_more, LANE | LIBRARY | SAMPLE | TABLES),
        (sample_less, TABLES),
    ],
)
def test_a_change_of_the_sheets(
    brought: Path, lab: Path, commands: dict[str, str], change: Any, jobs: dict[str, int]
) -> None:
    change(lab, brought)
    assert planned(lab, commands) == jobs


def test_a_lane_more(brought: Path, lab: Path, commands: dict[str, str], tmp_path: Path) -> None:
    """Its sample is as if all lanes had been there, with duplicates across them."""
    lane_more(lab, brought)
    text = snakemake(lab, commands, "--", "results/datasets/S1.bams3/_metadata.json")
    ran = Counter(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", text, re.MULTILINE))
    assert ran == LANE | LIBRARY | {"merge_libraries": 1}
    marked = Counter(
        line.split("\t")[0] for line in check(lab, "S1", tmp_path) if line[0] != "@" and is_marked(line)
    )
    alone = Counter()
    for lane in (1, 2):
        pysam.markdup(str(tmp_path / f"L00{lane}.bam"), str(tmp_path / "alone.bam"))
        alone.update(line.split("\t")[0] for line in lines_of(tmp_path / "alone.bam") if is_marked(line))
    assert len(marked) > len(alone) > 0


def is_marked(line: str) -> bool:
    return line[0] != "@" and bool(int(line.split("\t")[1]) & 1024)


def test_minimap2(brought: Path, tmp_path: Path, commands: dict[str, str]) -> None:
    """It is a choice of the configuration, with words of its own."""
    need("minimap2")
    aligned = "results/aligned/S1/L001/000001-of-000001.bams3"
    lab = Path(shutil.copytree(brought, tmp_path / "lab"))
    snakemake(lab, commands, "--config", "aligner=minimap2", "options=['-Y', '-N', 5]", "--", aligned)
    (program,) = bams3.open(lab / aligned).header["PG"]
    assert program["CL"].startswith("minimap2 -ax sr -K 1000000 -R ")
    assert " -Y -N 5 " in program["CL"]


def test_the_shipped_configuration(brought: Path, commands: dict[str, str]) -> None:
    """It asks for coverage and the cohort's tables."""
    jobs = planned(brought, commands)
    assert jobs["bams3_gather_coverage"] == jobs["bams3_measure_regions"] == 2
    assert jobs["bams3_cohort_page"] == jobs["index"] == 1


@pytest.mark.parametrize(
    ("file", "before", "after", "message"),
    [
        ("lanes.tsv", "ILLUMINA", "Illumina", "lanes.tsv: row 1: platform: 'Illumina': use one of CAPILLARY, "),
        ("lanes.tsv", "L001_R2", "L009_R2", "lanes.tsv: row 1: fastq/S1_L009_R2.fastq.gz: no such file"),
        ("samples.tsv", "S2.bams3", "S9.bams3", "sample S2 has lanes; give it a row in samples.tsv, with the dat"),
    ],
)  # fmt: skip
def test_an_error_is_one_clear_line(
    lab: Path, commands: dict[str, str], file: str, before: str, after: str, message: str
) -> None:
    text = (lab / file).read_text()
    assert before in text
    (lab / file).write_text(text.replace(before, after))
    shown = snakemake(lab, commands, "--dry-run", fails=True).splitlines()
    assert any(line.startswith(f"Error: {message}") for line in shown), shown


READS = [10 + number % 7 for number in range(400)]
"""Lengths of reads."""


def fastq(path: Path, lengths: list[int]) -> str:
    """A FASTQ file, not compressed within its gzip format."""
    text = "".join(
        f"@r{number}\n{'A' * length}\n+\n{'I' * length}\n" for number, length in enumerate(lengths)
    )
    path.write_bytes(gzip.compress(text.encode(), 0))
    return str(path)


def split(
    folder: Path, first: str, second: str, monkeypatch: pytest.MonkeyPatch, batches: int, bases: int
) -> None:
    """Run the script of the rule `split`."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    job = SimpleNamespace(
        input=[first, second], output=[str(folder / "out")], log=[str(folder / "log")], rule="split",
        params=SimpleNamespace(batches=batches, bases=bases),
    )  # fmt: skip
    runpy.run_path(str(EXAMPLE / "split_fastq.py"), {"snakemake": job})


def batch_files(folder: Path, batches: int, end: int) -> list[list[bytes]]:
    """The lines of each batch."""
    names = [f"{batch:06d}-of-{batches:06d}_{end}.fastq.gz" for batch in range(1, batches + 1)]
    return [gzip.decompress((folder / "out" / name).read_bytes()).splitlines() for name in names]


@pytest.mark.parametrize(("batches", "bases"), [(1, 100), (3, 1), (3, 1000), (4, 10**6), (7, 333)])
def test_batches_are_sets_of_pairs_that_bwa_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int, bases: int
) -> None:
    """In order, nothing is lost, and each but the last ends where bwa has had so many bases."""
    files = [fastq(tmp_path / f"{end}.gz", READS) for end in (1, 2)]
    split(tmp_path, *files, monkeypatch, batches, bases)
    ends, taken = {len(READS)}, 0
    for number, length in enumerate(READS, 1):
        taken += 2 * length
        if taken >= bases:
            ends.add(number)
            taken = 0
    for end, file in enumerate(files, 1):
        found = batch_files(tmp_path, batches, end)
        assert list(chain(*found)) == gzip.decompress(Path(file).read_bytes()).splitlines()
        assert {sum(map(len, found[:batch])) // 4 for batch in range(1, batches + 1)} <= ends
    assert len(list((tmp_path / "out").iterdir())) == 2 * batches


def test_batches_are_about_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [fastq(tmp_path / f"{end}.gz", [150] * 20_000) for end in (1, 2)]
    split(tmp_path, *files, monkeypatch, 3, 30_000)
    sizes = [len(lines) // 4 for lines in batch_files(tmp_path, 3, 1)]
    assert sum(sizes) == 20_000
    assert min(sizes) > 3000


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda first, second: fastq(second, READS[:-1]), "2.gz: fewer reads than in the other file"),
        (lambda first, second: fastq(first, READS[:-1]), "1.gz: fewer reads than in the other file"),
        (lambda first, second: second.write_bytes(second.read_bytes()[:-9]), "2.gz: truncated, damaged"),
        (lambda first, second: first.write_bytes(b"@r\nA\n+\nI\n"), "1.gz: truncated, damaged"),
        (
            lambda first, second: first.write_bytes(first.read_bytes()[:10] + b"\xff"),
            "1.gz: truncated, damaged",
        ),
        (lambda first, second: first.write_bytes(gzip.compress(b"@r\nA\n+\n")), "1.gz: truncated, damaged"),
        (
            lambda first, second: second.write_bytes(gzip.compress(b"@r\nA\nA\n+\n")),
            "2.gz: not FASTQ with four",
        ),
    ],
)
def test_fastq_that_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Any, message: str
) -> None:
    files = [tmp_path / f"{end}.gz" for end in (1, 2)]
    for file in files:
        fastq(file, READS)
    damage(*files)
    with pytest.raises(SourceError, match=f"^{tmp_path}/{re.escape(message)}"):
        split(tmp_path, *map(str, files), monkeypatch, 3, 1000)
