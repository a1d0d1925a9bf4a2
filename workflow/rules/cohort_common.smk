import shutil

from bams3.extras import need

STATS = ["flagstat", "idxstats", "stats"]
MEASURES = [
    "mean.bed.gz",
    "median.bed.gz",
    "thresholds.bed.gz",
    "reads.tsv",
    "genome.bed.gz",
]
TABLES = ["tsv", "parquet"]


def cohort_thresholds():
    return [int(depth) for depth in config["cohort"]["thresholds"].split(",")]


def check_limits():
    """Raises an error for a limit of a breadth that is not measured."""
    for name in config["cohort"].get("limits", {}):
        depth = name.removeprefix("breadth_").removesuffix("x")
        if (
            depth != name
            and depth.isdecimal()
            and int(depth) not in cohort_thresholds()
        ):
            raise ConfigurationError(
                f"config: cohort: limits: {name}: it is not measured; add {depth} to `thresholds`"
            )


def matrix_names():
    """The names of the matrices."""
    breadths = [f"breadth_{depth}x" for depth in sorted(cohort_thresholds())]
    return ["mean", "median", *breadths, "reads"]


def cohort_bed():
    """The BED file of the cohort's regions, unless these are windows."""
    regions = config.get("cohort", {}).get("regions", 0)
    return [] if isinstance(regions, int) else copied(regions)


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


if "cohort" in config:
    check_limits()
    check_packages()
