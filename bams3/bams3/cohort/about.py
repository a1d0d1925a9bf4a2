"""The facts at the top of a cohort's page: what it was computed from, and how its samples were judged."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from bams3._version import __version__
from bams3.cohort.columns import meant
from bams3.cohort.headings import Heading, heading
from bams3.cohort.qc import LEAST_SAMPLES, OUTLYING, Limits
from bams3.shown import shown


class About(NamedTuple):
    """What the top of the page says about the cohort. Paths are shown by their file names."""

    title: str = "Cohort"
    reference: str = ""
    """A FASTA file."""
    contigs_from: str = "header"
    """The source of the contigs: a .fai or .dict file, or `header`."""
    contigs: Sequence[tuple[str, int]] = ()
    """The contigs that are measured, with their lengths (bp)."""
    regions: str | int = ""
    """A BED file, or the size of windows (bp)."""
    thresholds: Sequence[int] = ()
    limits: Limits = MappingProxyType({})
    multiqc: str = ""
    """Path of MultiQC's report, relative to the page."""
    server: str = ""
    """URL of `bams3 serve`, which has the samples' datasets by name."""
    bigwigs: str = ""
    """The folder of the samples' bigWig files, relative to the page."""


def facts(about: About, columns: Sequence[str], regions: int, samples: int) -> list[tuple[str, str]]:
    """The facts as pairs of label and text."""
    told = []
    if about.contigs:
        length = sum(length for _, length in about.contigs)
        number = len(about.contigs)
        named = shown(about.contigs[0][0]) if number == 1 else f"{number:,}"
        where = "in the alignments" if about.contigs_from == "header" else f"in {_file(about.contigs_from)}"
        told.append(("Contigs", f"{named} of {length:,} bp, as {where}"))
    if about.reference:
        told.append(("Reference", _file(about.reference)))
    if str(about.regions).isdecimal():
        told.append(("Regions", f"{regions:,} windows of {int(about.regions):,} bp"))
    elif about.regions:
        told.append(("Targets", f"{regions:,} in {_file(str(about.regions))}"))
    if about.thresholds:
        told.append(("Breadths", "at " + ", ".join(f"{depth}×" for depth in sorted({*about.thresholds}))))
    limits = [_limit(name, bounds, columns) for name, bounds in about.limits.items()]
    told.append(("Limits", "; ".join(limits) or "none"))
    far = f"beyond {OUTLYING} robust deviations from the median"
    told.append(("Outliers", far if samples >= LEAST_SAMPLES else f"needs {LEAST_SAMPLES} samples or more"))
    return [*told, ("Made by", f"bams3 {__version__}")]


def _file(path: str) -> str:
    return shown(path.rstrip("/").rpartition("/")[2])


def _limit(name: str, bounds: Mapping[str, float], columns: Sequence[str]) -> str:
    of_targets = meant(name, has_targets=True)
    text, unit, _ = heading(of_targets if of_targets in columns else name) or Heading(name, "", 0)
    words = {"min": "at least", "max": "at most"}
    factor = 100 if unit == "%" else 1
    told = [f"{words[bound]} {value * factor:,.10g}{_UNITS[unit]}" for bound, value in bounds.items()]
    return f"{text}: {', '.join(told)}"


_UNITS = {"": "", "×": "×", "%": " %", "bp": " bp"}
