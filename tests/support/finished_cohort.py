"""A cohort that is finished without a job having run: its outputs are there, and Snakemake has recorded them as if it
had made them. The names of rules, by what they are of, make the jobs of a plan."""

import copy
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pysam
import yaml
from workflows import ROOT, pretend, write_sheet

from bams3 import convert

QUERY = {"bed": "query.bed", "exclude_flags": 1024}
CONFIG = {
    "samples": "samples.tsv",
    "contigs": "contigs.fai",
    "reference": "reference.fa",
    "convert": {"chunk_size": "256K", "chunks_per_batch": 2},
    "query": QUERY,
    "coverage": {"by": "coverage.bed", "thresholds": "1,5", "bigwig": {}},
    "alleles": {"sites": {"known": "sites.tsv"}, "min_mapq": 5},
    "process": {"command": "true", "suffix": ".txt"},
    "cohort": {"regions": "cohort.bed", "thresholds": "1,5"},
    "identity": {"sites": "sites.vcf"},
    "call": {"targets": "call.bed", "mpileup": "-S names.txt"},
    "genotype": {"manifest": "loci.tsv", "targets": "genotype.bed", "call": "-mS sexes.txt"},
}

COLUMNS = "sample alignments index dataset"
ROWS = {
    "S1": ("S1.bam", "", ""),
    "S2": ("S2.bam", "S2.bam.bai", ""),
    "C3": ("C3.cram", "", ""),
    "D4": ("", "", "D4.bams3"),
}

# Rules by what they are of. A plan is a set of `rule sample`, or `rule` where it is of all samples.
SAMPLES = list(ROWS)
LOCI = ["S1", "D4"]  # those with loci to genotype
CONVERSION = ["convert_batch", "merge_parts"]
PAGE = {"cohort_qc", "cohort_page"}
TABLES = PAGE | {"cohort_matrices"}
REGIONS = TABLES | {"cohort_regions"}
COUNTS = ["count_alleles known"]
CALLS = {"call_window", "gather_calls"}
RELATED = {"relate_samples", "multiqc"} | PAGE


def jobs(rules: Iterable[str], *samples: str) -> set[str]:
    return {f"{rule} {sample}" for rule in rules for sample in samples or SAMPLES}


def reread(*samples: str) -> set[str]:
    """All that is made of datasets."""
    of_samples = ["query_batch", "gather_query", "process_batch", "coverage_batch", "gather_coverage"]
    of_samples += ["write_bigwig", "read_stats", "measure_regions", "count_sites", *COUNTS]
    found = jobs(of_samples, *samples) | TABLES | CALLS | RELATED | {"gather_alleles known"}
    of_loci = [sample for sample in samples or SAMPLES if sample in LOCI]
    return found | (jobs(["genotype_sample"], *of_loci) | {"gather_genotypes"} if of_loci else set())


def converted(*samples: str) -> set[str]:
    return jobs(CONVERSION, *samples) | reread(*samples)


QUERIES = jobs(["query_batch", "gather_query"])
DEPTHS = jobs(["coverage_batch", "gather_coverage", "write_bigwig", "measure_regions"]) | TABLES | {"multiqc"}
COVERAGE = jobs(["gather_coverage"]) | {"multiqc"}
MEASURED = REGIONS | jobs(["measure_regions"])
IDENTITY = jobs(["count_sites"]) | RELATED
ALLELES = jobs(COUNTS) | {"gather_alleles known"}
GENOTYPES = jobs(["genotype_sample"], *LOCI) | {"gather_genotypes"}
MADE = converted("S1", "S2", "C3")
BATCHES = MADE | reread("D4") - jobs(["read_stats", "genotype_sample", "count_sites", *COUNTS], "D4")


def write_inputs(cohort: Path, folder: Path) -> Path:
    """Write a BAM, one with its index named, a CRAM, a dataset, and each kind of file that a configuration names."""
    shutil.copytree(cohort, folder)
    reference = str(folder / "reference.fa")
    pysam.view(
        "-C", "-T", reference, "-o", str(folder / "C3.cram"), str(folder / "S1.bam"), catch_stdout=False
    )
    pysam.index(str(folder / "C3.cram"))
    convert(folder / "S1.bam", folder / "D4.bams3", chunk_size="256K")
    shutil.copy(folder / "reference.fa.fai", folder / "contigs.fai")
    for name, first in (("query", 100), ("coverage", 200), ("cohort", 300)):
        (folder / f"{name}.bed").write_text(f"chr1\t{first}\t90000\nchr2\t0\t50000\n")
    (folder / "call.bed").write_text("chr1\t400\t90000\nchr2\t0\t50000\n")
    (folder / "genotype.bed").write_text("chr1\t0\t90000\nchr2\t0\t70000\n")
    (folder / "loci.tsv").write_text("S1\tchr1\t50000\nD4\tchr2\t60000\n")
    (folder / "sites.vcf").write_text("#CHROM\tPOS\tID\tREF\tALT\nchr1\t5000\t.\tA\tC\n")
    (folder / "sites.tsv").write_text("chr1\t50000\nchr2\t60000\tA\tC\n")
    (folder / "tools.yaml").write_text("dependencies: [bcftools]\n")
    (folder / "names.txt").write_text("".join(f"{name}\n" for name in ROWS))
    (folder / "sexes.txt").write_text("".join(f"{name} F\n" for name in ROWS))
    write_rows(folder, ROWS)
    for path in folder.rglob("*"):
        seconds = path.stat().st_mtime - 3600
        os.utime(path, (seconds, seconds))
    return folder


def write_rows(folder: Path, rows: dict[str, tuple[str, ...]]) -> None:
    write_sheet(folder, *((name, *row) for name, row in rows.items()), columns=COLUMNS)


def finished(inputs: Path, folder: Path, config: dict[str, Any]) -> Path:
    """A project in which all of a configuration is done."""
    project = Path(shutil.copytree(inputs, folder / "project"))
    made = project / "results" / "datasets"
    for name in ("S1", "S2", "C3"):
        shutil.copytree(project / "D4.bams3", made / f"{name}.bams3")
    pretend(project, config)
    return project


def changed(key: str, value: Any) -> dict[str, Any]:
    """The configuration with another value for a key, `section.key`; None: without it."""
    *sections, name = key.split(".")
    config = section = copy.deepcopy(CONFIG)
    for each in sections:
        section = section.setdefault(each, {})
    section[name] = value
    if value is None:
        del section[name]
    return config


def rewrite(path: Path, data: bytes, *, older: bool = False) -> None:
    """Gives a file other bytes; `older`: with a date before its own, as `cp -p` of another file may."""
    date = path.stat().st_mtime - 1000
    path.write_bytes(data)
    if older:
        os.utime(path, (date, date))


def another_base(data: bytes) -> bytes:
    """A FASTA of which one base is another."""
    return data[:5000] + (b"A" if data[5000:5001] != b"A" else b"C") + data[5001:]


def schema_of(name: str) -> dict[str, Any]:
    """The schema of the `config`, or of the `samples`."""
    return yaml.safe_load((ROOT / "workflow" / "schemas" / f"{name}.schema.yaml").read_text())
