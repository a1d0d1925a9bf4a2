"""The workflow's stage for the whole cohort: values against samtools and mosdepth, MultiQC, the report, reruns."""

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from peers import need
from workflows import CONFIG, SNAKEFILE, planned, run, write_sheet

SAMPLES = ("S1", "S2")
BED = 'chr2\t100\t60000\tla"te,<b>é\nchr1\t100000\t100500\nchr1\t0\t249000\tearly\n'
COHORT = {"regions": "regions.bed", "thresholds": "1,2", "limits": {"breadth_2x": {"min": 0.9}}}
CONFIG = CONFIG | {"coverage": {"no_per_base": True, "mapq": 10}, "cohort": COHORT}
REGIONS = [
    "chr1\t0\t249000\tearly",
    "chr1\t100000\t100500\tchr1:100001-100500",
    'chr2\t100\t60000\tla"te,<b>é',
]
MEASURES = ["mean", "median", "breadth_1x", "breadth_2x", "reads"]


@pytest.fixture(scope="module")
def commands(commands: dict[str, str], multiqc: Path) -> dict[str, str]:
    """With MultiQC itself."""
    return commands | {"PATH": commands["PATH"].removeprefix(f"{multiqc}:")}


@pytest.fixture(scope="module")
def finished(cohort: Path, commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which the stage has run, and what it is made of."""
    directory = Path(shutil.copytree(cohort, tmp_path_factory.mktemp("finished") / "project"))
    (directory / "regions.bed").write_text(BED)
    run(directory, commands, CONFIG, "cohort")
    return directory


def table(path: Path) -> list[dict[str, str]]:
    heading, *lines = [line.split("\t") for line in path.read_text().splitlines()]
    return [dict(zip(heading, line, strict=True)) for line in lines]


def matrix(project: Path, name: str) -> dict[str, list[float]]:
    rows = table(project / "results" / "cohort" / f"{name}.tsv")
    places = ["\t".join(row[column] for column in ("contig", "start", "end", "name")) for row in rows]
    assert places == REGIONS
    return {sample: [float(row[sample]) for row in rows] for sample in SAMPLES}


@pytest.mark.parametrize("sample", SAMPLES)
def test_matrices_equal_mosdepth(finished: Path, tmp_path: Path, sample: str) -> None:
    need("mosdepth")

    def mosdepth(name: str, *options: str) -> list[list[str]]:
        command = ["mosdepth", "-n", "-Q", "10", "--by", "regions.bed", *options, str(tmp_path / "x")]
        subprocess.run([*command, f"{sample}.bam"], cwd=finished, check=True)
        text = gzip.decompress((tmp_path / f"x.{name}.bed.gz").read_bytes()).decode()
        return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]

    def last(rows: list[list[str]]) -> list[float]:
        return [float(row[-1]) for row in rows]

    assert matrix(finished, "mean")[sample] == last(mosdepth("regions"))
    assert matrix(finished, "median")[sample] == last(mosdepth("regions", "--use-median"))
    bases = mosdepth("thresholds", "--thresholds", "1,2")
    for column, name in ((4, "breadth_1x"), (5, "breadth_2x")):
        shares = [int(row[column]) / (int(row[2]) - int(row[1])) for row in bases]
        assert matrix(finished, name)[sample] == pytest.approx(shares, rel=1e-12)
        assert max(shares) > 0


@pytest.mark.parametrize("sample", SAMPLES)
def test_reads_equal_samtools(finished: Path, samtools: Callable[..., bytes], sample: str) -> None:
    regions = [f"{contig}:{int(start) + 1}-{end}" for contig, start, end, _ in map(str.split, REGIONS)]
    options = ("view", "-c", "-F", 1796, "-q", 10, finished / f"{sample}.bam")
    counts = [int(samtools(*options, region)) for region in regions]
    assert matrix(finished, "reads")[sample] == counts
    assert min(counts) > 0


@pytest.mark.parametrize("sample", SAMPLES)
def test_quality_equals_samtools_and_mosdepth(
    finished: Path, tmp_path: Path, samtools: Callable[..., bytes], sample: str
) -> None:
    need("mosdepth")
    (row,) = (row for row in table(finished / "results/cohort/samples.tsv") if row["sample"] == sample)
    bam = finished / f"{sample}.bam"
    counts = json.loads(samtools("flagstat", "-O", "json", bam))["QC-passed reads"]
    lines = samtools("stats", bam).decode().splitlines()
    stats = {line.split("\t")[1].rstrip(":"): line.split("\t")[2] for line in lines if line.startswith("SN")}
    subprocess.run(["mosdepth", "-n", "-Q", "10", tmp_path / "x", bam], check=True)
    total = (tmp_path / "x.mosdepth.summary.txt").read_text().splitlines()[-1].split("\t")
    shares = [line.split("\t") for line in (tmp_path / "x.mosdepth.global.dist.txt").read_text().splitlines()]
    reads30 = [int(samtools("view", "-c", *options, "-F", 3844, bam)) for options in (["-q", 30], [])]
    wanted = {
        "reads": counts["primary"],
        "mapped_rate": counts["primary mapped"] / counts["primary"],
        "properly_paired_rate": counts["properly paired"] / counts["paired in sequencing"],
        "duplicate_rate": counts["primary duplicates"] / counts["primary"],
        "mq0_rate": int(stats["reads MQ0"]) / int(stats["reads mapped"]),
        "mapq30_rate": reads30[0] / reads30[1],
        "insert_size_mean": float(stats["insert size average"]),
        "insert_size_sd": float(stats["insert size standard deviation"]),
        "genome_mean_coverage": float(total[3]),
        **{
            f"genome_breadth_{depth}x": float(
                next(share for name, at, share in shares if (name, at) == ("total", depth))
            )
            for depth in ("1", "2")
        },
    }
    assert {name: float(row[name]) for name in wanted} == pytest.approx(wanted, abs=1e-6)
    assert (row["status"], row["reasons"].split(" ")[0]) == ("fail", "target_breadth_2x")


def test_tables_are_parquet_too(finished: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for name in [*MEASURES, "genome", "samples"]:
        path = finished / "results" / "cohort" / name
        rows = table(path.with_suffix(".tsv"))
        stored = parquet.read_table(path.with_suffix(".parquet"))
        assert stored.column_names == list(rows[0])
        for column in stored.column_names:
            texts = [row[column] for row in rows]
            values = stored[column].to_pylist()
            if isinstance(values[0], str):
                assert texts == values
            else:
                assert [float(text) if text else None for text in texts] == values


def test_multiqc_reads_the_files(finished: Path, tmp_path: Path) -> None:
    need("multiqc")
    results = finished / "results"
    command = [
        "multiqc",
        "--no-version-check",
        "--strict",
        "-o",
        tmp_path,
        results / "stats",
        results / "coverage",
    ]
    subprocess.run(command, check=True, capture_output=True)
    found = json.loads((tmp_path / "multiqc_data" / "multiqc_data.json").read_text())
    data = found["report_saved_raw_data"]
    for kind in ("samtools_stats", "samtools_flagstat", "samtools_idxstats", "mosdepth_cov_dist"):
        assert sorted(data[f"multiqc_{kind}" if f"multiqc_{kind}" in data else kind]) == list(SAMPLES), kind
    stats = data["multiqc_samtools_stats"]["S1"]
    (row,) = (row for row in table(results / "cohort/samples.tsv") if row["sample"] == "S1")
    assert stats["raw_total_sequences"] == int(row["reads"])
    assert stats["insert_size_average"] == float(row["insert_size_mean"])
    assert (results / "multiqc/multiqc_report.html").stat().st_size > 10_000


def test_only_what_a_new_sample_needs_runs(finished: Path, tmp_path: Path, commands: dict[str, str]) -> None:
    assert planned(finished, CONFIG, "cohort") == {}
    project = Path(shutil.copytree(finished, tmp_path / "project"))
    for end in ("bam", "bam.bai"):
        shutil.copy(project / f"S1.{end}", project / f"S3.{end}")
    write_sheet(project, *((name, f"{name}.bam") for name in (*SAMPLES, "S3")))
    jobs = planned(project, CONFIG, "cohort")
    once = {
        "convert_batch": 2,
        "merge_parts": 1,
        "coverage_batch": 2,
        "gather_coverage": 1,
    }
    once |= {"read_stats": 1, "measure_regions": 1, "cohort_matrices": 1, "cohort_qc": 1, "cohort_page": 1}
    assert {name: count for name, count in jobs.items() if name != "multiqc"} == once


def test_the_report_needs_no_network(finished: Path, commands: dict[str, str], tmp_path: Path) -> None:
    """Made where there is none."""
    command = [sys.executable, "-m", "snakemake", "-s", str(SNAKEFILE), "--cores", "1", "cohort"]
    alone = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        alone = []
    report = [*alone, *command, "--report", str(tmp_path / "report.html")]
    done = subprocess.run(report, cwd=finished, env=commands, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "report.html").read_text()
    assert "and summaries of the cohort" in text
    assert "coverage along the genome, depth, similarity of coverage" in text
    assert "A row per sample" in text
