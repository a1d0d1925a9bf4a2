from bams3.workflow import cohort, quality
from bams3.workflow.cohort import MEASURES, STATS, TABLES
from bams3.workflow.contigs import measured


def cohort_thresholds():
    return cohort.thresholds_of(config["cohort"])


def matrix_names():
    return cohort.matrix_names(cohort_thresholds() if "cohort" in config else [])


def cohort_bed():
    """The BED file of the cohort's regions, unless these are windows."""
    bed = cohort.bed_of(config.get("cohort", {}))
    return places.copied(bed) if bed else []


def has_targets():
    """Whether the regions of the cohort are those of a BED file, on which the QC table reports."""
    return bool(cohort.bed_of(config.get("cohort", {})))


def targets_bed():
    """The intervals that the targets cover, each base once."""
    return "<results>/cohort/targets.bed" if has_targets() else []


def depths():
    return cohort.depth_files(has_targets())


def measured_contigs():
    return measured(contigs, config.get("coverage", {}).get("chrom"))


def of_samples(path):
    """A file of each sample of the cohort, in the order of the sheet."""
    return expand(path, sample=samples if "cohort" in config else [])


def has_multiqc():
    return cohort.has_multiqc(places.run.installs)


def page_about():
    return cohort.about(config, measured_contigs(), has_multiqc())


def cohort_results():
    return cohort.results(config["cohort"], has_multiqc()) if "cohort" in config else []


own_columns = {}
if "cohort" in config:
    if places.run.plans:
        cohort.check_packages()
    cohort.check_contig_names(contigs)
    limits = config["cohort"].get("limits", {})
    quality.check_limits(limits, cohort_thresholds(), has_targets())
    own_columns = quality.own_columns(sheet_text, config["samples"], samples.values())
