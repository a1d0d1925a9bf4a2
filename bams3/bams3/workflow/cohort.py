"""The stage for the whole cohort: its files, and whether they can be made. `settings` is the section `cohort`."""

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
"""The files from which the matrices are made."""
DEPTHS = ["summary.txt", "dist.txt"]
TARGETS = ["targets_summary.txt", "targets_dist.txt", "targets_reads.txt"]
TABLES = ["tsv", "parquet"]


def thresholds_of(settings: Mapping[str, Any]) -> list[int]:
    """Return the thresholds of depth. Raises ConfigurationError for a depth that is listed twice."""
    found = [int(depth) for depth in settings["thresholds"].split(",")]
    for depth in found:
        if found.count(depth) > 1:
            raise ConfigurationError(f"config: cohort: thresholds: {depth} is listed twice; remove one")
    return found


def bed_of(settings: Mapping[str, Any]) -> str:
    """Return the BED file of the cohort's regions; "" if these are windows."""
    return options.bed_of(settings.get("regions"))


def matrix_names(thresholds: Iterable[int]) -> list[str]:
    """Return the names of the matrices."""
    breadths = [f"breadth_{depth}x" for depth in sorted(thresholds)]
    return ["mean", "median", *breadths, "reads"]


def depth_files(has_targets: bool) -> list[str]:
    """Return the endings of the files that are kept for the QC table from the measurements of a sample."""
    return [*DEPTHS, *(TARGETS if has_targets else [])]


def has_multiqc(installs: bool) -> bool:
    """Tell whether MultiQC can be run: it is installed here, where it runs, or Snakemake will install it."""
    return bool(shutil.which("multiqc") or installs)


def results(settings: Mapping[str, Any], with_multiqc: bool) -> list[str]:
    """Return the files of the stage that do not belong to a single sample."""
    names = ["samples", "genome", *matrix_names(thresholds_of(settings))]
    tables = [f"<results>/cohort/{name}.{kind}" for name in names for kind in TABLES]
    multiqc = ["<results>/multiqc/multiqc_report.html"] if with_multiqc else []
    return [*tables, "<results>/cohort/report.html", *multiqc]


def about(config: Mapping[str, Any], measured: Contigs, with_multiqc: bool) -> dict[str, Any]:
    """Return what the page states about the cohort.

    The jobs that make its input depend on all of it that affects the page.
    """
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
    """Raise ConfigurationError for a contig whose name can't be used in regions."""
    try:
        check_contigs(contigs)
    except Bams3Error as error:
        raise ConfigurationError(f"config: cohort: {error}") from None


def check_packages() -> None:
    """Raise ConfigurationError if the packages for the page are missing here, where its job runs."""
    try:
        for package in ("pyarrow", "plotly"):
            need(package, "config: cohort")
    except Bams3Error as error:
        raise ConfigurationError(error) from None
