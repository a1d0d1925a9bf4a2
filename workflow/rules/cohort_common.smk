import shutil

from bams3.cohort.regions import check_contigs
from bams3.extras import need

STATS = ["flagstat", "idxstats", "stats"]
MEASURES = [
    "mean.bed.gz",
    "median.bed.gz",
    "thresholds.bed.gz",
    "reads.tsv",
    "genome.bed.gz",
]  # inputs of the matrices
DEPTHS = ["summary.txt", "dist.txt"]
TARGETS = ["targets_summary.txt", "targets_dist.txt", "targets_reads.txt"]
TABLES = ["tsv", "parquet"]


def cohort_thresholds():
    return [int(depth) for depth in config["cohort"]["thresholds"].split(",")]


def check_contig_names():
    """Raises an error for a contig that no regions can be of."""
    try:
        check_contigs(contigs)
    except Bams3Error as error:
        raise ConfigurationError(f"config: cohort: {error}")


def matrix_names():
    """The names of the matrices."""
    breadths = [f"breadth_{depth}x" for depth in sorted(cohort_thresholds())]
    return ["mean", "median", *breadths, "reads"]


def cohort_bed():
    """The BED file of the cohort's regions, unless these are windows."""
    regions = config.get("cohort", {}).get("regions", 0)
    return [] if isinstance(regions, int) else copied(regions)


def has_targets():
    """Are the regions of the cohort those of a BED file, which the table of quality tells of?"""
    return bool(cohort_bed())


def targets_bed():
    """What the targets cover, each base once."""
    return "<results>/cohort/targets.bed" if has_targets() else []


def depths():
    """What is kept of a sample's measures for the table of quality."""
    return [*DEPTHS, *(TARGETS if has_targets() else [])]


def measured_contigs():
    """The contigs that coverage is measured on."""
    only = config.get("coverage", {}).get("chrom")
    return [(name, length) for name, length in contigs if only in (None, name)]


def of_samples(path):
    """A file of each sample of the cohort, in the order of the sheet."""
    return expand(path, sample=samples if "cohort" in config else [])


def has_multiqc():
    """Can MultiQC be run: is it installed here, where it runs, or will Snakemake install it?"""
    return bool(
        shutil.which("multiqc") or workflow.deployment_settings.deployment_method
    )


def page_about():
    """What the page says of the cohort. What of this changes what it shows is known by the jobs that made its input."""
    return {
        "reference": config["reference"],
        "grid": config["grid"],
        "contigs": measured_contigs(),
        "regions": config["cohort"]["regions"],
        "thresholds": cohort_thresholds(),
        "limits": config["cohort"].get("limits", {}),
        "multiqc": "../multiqc/multiqc_report.html" if has_multiqc() else "",
    }


def cohort_results():
    if "cohort" not in config:
        return []
    tables = expand(
        "<results>/cohort/{table}.{format}",
        table=["samples", "genome", *matrix_names()],
        format=TABLES,
    )
    multiqc = ["<results>/multiqc/multiqc_report.html"] if has_multiqc() else []
    return [*tables, "<results>/cohort/report.html", *multiqc]


def check_packages():
    """Raises an error where the page can't be made: what it needs is not here, where its job runs."""
    if workflow.is_main_process and not workflow.deployment_settings.deployment_method:
        try:
            for package in ("pyarrow", "plotly"):
                need(package, "config: cohort")
        except Bams3Error as error:
            raise ConfigurationError(error)


own_columns = {}
if "cohort" in config:
    check_packages()
    check_contig_names()
    quality.check_limits(
        config["cohort"].get("limits", {}), cohort_thresholds(), has_targets()
    )
    own_columns = quality.own_columns(
        sheet_text(config["samples"]), config["samples"], samples.values()
    )
