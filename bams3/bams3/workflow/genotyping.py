"""The loci that are genotyped: those in the manifest, and which of them lie in targets."""

from collections.abc import Collection, Iterable, Mapping

from bams3.operations.targets import Interval, Targets
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.reference import Contigs

Locus = tuple[str, str, int]
"""Sample, contig, and 1-based position."""


def read_loci(lines: Iterable[str], path: str, samples: Collection[str], contigs: Contigs) -> list[Locus]:
    """Return the locus in each line of a manifest. Raises ConfigurationError for an unknown sample or position."""
    lengths = dict(contigs)
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(("#", "sample\t")):
            continue
        sample, contig, position, *_ = [*line.split("\t"), "", ""]
        if sample not in samples:
            raise ConfigurationError(
                f"{path}:{number}: sample {sample} is not in the sheet; add it there, or remove the line"
            )
        if not position.isdecimal() or not 1 <= int(position) <= lengths.get(contig, 0):
            raise ConfigurationError(
                f"{path}:{number}: {contig}:{position} is not a position of a contig of the samples (positions "
                "begin at 1)"
            )
        found.append((sample, contig, int(position)))
    return found


def intervals_of(sample: str, by_sample: Mapping[str, list[Interval]], path: str) -> list[Interval]:
    """Return the loci of a sample, from `intervals_by_sample`. Raises ConfigurationError if it has none.

    `path`: the manifest.
    """
    if sample not in by_sample:
        raise ConfigurationError(
            f"{path}: no locus of sample {sample} lies in a target; add one, or choose another target"
        )
    return by_sample[sample]


def intervals_by_sample(loci: Iterable[Locus], targets: Targets | None) -> dict[str, list[Interval]]:
    """Return (contig, start, end) of the loci that lie in a target, by sample, for samples that have any."""
    found: dict[str, list[Interval]] = {}
    for sample, contig, position in loci:
        place = (contig, position - 1, position)
        if targets is None or targets.any_within([place]):
            found.setdefault(sample, []).append(place)
    return {sample: sorted(places) for sample, places in found.items()}
