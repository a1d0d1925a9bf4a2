"""The stage for the whole cohort: its files, and whether they can be made. `settings`: `cohort` in the config."""

import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from bams3.cohort.regions import check_contigs
from bams3.errors import Bams3Error
from bams3.extras import need
from bams3.workflow import options
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.reference import Contigs

STATS = ["flagstat", "idxstats", "stats"]
MEASURES = ["mean.bed.gz", "median.bed.gz", "thresholds.bed.gz", "reads.tsv", "genome.bed.gz"]
"""What the matrices are made of."""
DEPTHS = ["summary.txt", "dist.txt"]
TARGETS = ["targets_summary.txt", "targets_dist.txt", "targets_reads.txt"]
TABLES = ["tsv", "parquet"]


def thresholds_of(settings: Mapping[str, Any]) -> list[int]:
    """Raises ConfigurationError for a depth that is there twice."""
    found = [int(depth) for depth in settings["thresholds"].split(",")]
    for depth in found:
        if found.count(depth) > 1:
            raise ConfigurationError(f"config: cohort: thresholds: {depth} is listed twice; remove one")
    return found


def bed_of(settings: Mapping[str, Any]) -> str:
    """The BED file of the cohort's regions; "" of windows."""
    return options.bed_of(settings.get("regions"))


def matrix_names(thresholds: Iterable[int]) -> list[str]:
    """The names of the matrices."""
    breadths = [f"breadth_{depth}x" for depth in sorted(thresholds)]
    return ["mean", "median", *breadths, "reads"]


def depth_files(has_targets: bool) -> list[str]:
    """What is kept of a sample's measures for the QC table."""
    return [*DEPTHS, *(TARGETS if has_targets else [])]


def has_multiqc(installs: bool) -> bool:
    """Can MultiQC be run: is it installed here, where it runs, or will Snakemake install it?"""
    return bool(shutil.which("multiqc") or installs)


def results(settings: Mapping[str, Any], with_multiqc: bool) -> list[str]:
    """The files of the stage that are not of a sample."""
    names = ["samples", "genome", *matrix_names(thresholds_of(settings))]
    tables = [f"<results>/cohort/{name}.{kind}" for name in names for kind in TABLES]
    multiqc = ["<results>/multiqc/multiqc_report.html"] if with_multiqc else []
    return [*tables, "<results>/cohort/report.html", *multiqc]


def about(config: Mapping[str, Any], measured: Contigs, with_multiqc: bool) -> dict[str, Any]:
    """What the page says of the cohort. What of this changes what it shows is known by the jobs that made its input."""
    settings = config["cohort"]
    return {
        "reference": config["reference"],
        "contigs_from": config["contigs"],
        "contigs": measured,
        "regions": settings["regions"],
        "thresholds": thresholds_of(settings),
        "limits": settings.get("limits", {}),
        "multiqc": "../multiqc/multiqc_report.html" if with_multiqc else "",
    }


def check_contig_names(contigs: Contigs) -> None:
    """Raises ConfigurationError for a contig that no regions can be of."""
    try:
        check_contigs(contigs)
    except Bams3Error as error:
        raise ConfigurationError(f"config: cohort: {error}") from None


def check_packages() -> None:
    """Raises ConfigurationError where the page can't be made: what it needs is not here, where its job runs."""
    try:
        for package in ("pyarrow", "plotly"):
            need(package, "config: cohort")
    except Bams3Error as error:
        raise ConfigurationError(error) from None
