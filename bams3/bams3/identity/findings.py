"""Findings: samples that are not what a sample sheet says, or that can't be identified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bams3.identity.pairs import ERRORS, LEAST_SITES, PARENT_IBS0, SAME, SECOND, Pairs, relation
from bams3.identity.people import PARENTS, People
from bams3.identity.sample import Sample

CONTAMINATED = 0.03
"""Contamination from which there is a finding: the usual threshold for VerifyBamID."""
SEVERITY = ("not-same", "same", "not-parent", "sex", "not-related", "contaminated", "related", "unclear")
"""Kinds of findings, the most severe first."""
GRAVE = SEVERITY[:6]
"""Kinds that mean that a sample is not what the sheet says, or is not of one person. Other kinds should be examined."""
_WORDS = {
    "parent-child": "parent and child",
    "siblings": "siblings",
    "second-degree": "relatives of the second degree",
}


class Finding(NamedTuple):
    """A finding about one or two samples.

    `second`: the second sample; "" if there is only one. `text`: a sentence about the first sample, without a full
    stop.
    """

    kind: str
    first: str
    second: str
    text: str

    def __str__(self) -> str:
        samples = f"{self.first}, {self.second}" if self.second else self.first
        return f"{self.kind}: {samples}: {self.text}"


def of_sample(sample: Sample, people: People) -> Iterator[Finding]:
    """Yield the findings about one sample."""
    expected = people.of[sample.sample].sex
    if expected and sample.sex != "unknown" and sample.sex != expected:
        yield Finding("sex", sample.sample, "", f"{sample.sex} by its X and Y, {expected} in the sheet")
    if sample.contamination >= CONTAMINATED:
        text = f"{sample.contamination:.1%} of its reads come from another person"
        yield Finding("contaminated", sample.sample, "", text)
    if sample.known < LEAST_SITES:
        text = f"only {sample.known} of {sample.sites} sites have a genotype, too few to identify the sample"
        yield Finding("unclear", sample.sample, "", text)


class Relatives:
    """Finds pairs of samples whose relationship is not that of the sheet.

    Relatives are identified by the sample of each subject that has the most heterozygous sites, because a tumour that
    has lost one copy of the genome seems less related to the parent from whom this copy came.
    """

    def __init__(self, samples: Sequence[Sample], people: People) -> None:
        """`samples`: the samples, in the order of `Pairs`."""
        self._names = [sample.sample for sample in samples]
        self._people = people
        self._kinships = people.kinships()
        self._subjects = [people.of[name].name for name in self._names]
        # Only members of one family, and samples of one subject, are expected to share more than strangers do.
        self._with: dict[str, set[str]] = {name: {name} for name in self._subjects}
        for pair in self._kinships:
            for one in pair:
                self._with.setdefault(one, {one}).update(pair)
        self._samples: dict[str, list[int]] = {}
        for number, name in enumerate(self._subjects):
            self._samples.setdefault(name, []).append(number)
        self._best = {max(numbers, key=lambda i: samples[i].het) for numbers in self._samples.values()}

    def expected(self, first: int, second: int) -> float:
        """Return the kinship of two samples, given by their numbers, that is expected from the sheet."""
        one, other = self._subjects[first], self._subjects[second]
        return 0.5 if one == other else self._kinships.get(frozenset((one, other)), 0.0)

    def of(self, pairs: Pairs) -> Iterator[Finding]:
        """Yield the findings about some pairs."""
        kinship, error, ibs0_rate = pairs.kinship, pairs.error, pairs.ibs0_rate
        related = np.flatnonzero((kinship >= SECOND) & (kinship >= ERRORS * error))
        begin, end = int(pairs.second[0]), int(pairs.second[-1])
        relatives = {
            number - begin
            for subject in self._with[self._subjects[pairs.first]]
            for number in self._samples.get(subject, ())
            if begin <= number <= end
        }
        for i in sorted(relatives.union(related.tolist())):
            pair = (pairs.first, int(pairs.second[i]))
            told = self._of_pair(*pair, float(kinship[i]), float(error[i]), float(ibs0_rate[i]))
            if told:
                kind, text = told
                numbers = f"kinship {kinship[i]:.3f}, IBS0 {ibs0_rate[i]:.2%} of {pairs.sites[i]} sites"
                numbers = f"{pairs.sites[i]} sites" if kind == "unclear" else numbers
                one, other = (self._names[number] for number in pair)
                yield Finding(kind, one, other, f"{text} ({numbers})")

    def _of_pair(
        self, first: int, second: int, kinship: float, error: float, ibs0_rate: float
    ) -> tuple[str, str] | None:
        """Return the kind and the text of a finding about two samples; None if there is none."""
        one, other = self._subjects[first], self._subjects[second]
        expected = self.expected(first, second)
        is_told = kinship >= ERRORS * error
        if np.isnan(kinship):
            return ("unclear", "too few sites have a genotype in both to compare them") if expected else None
        if one == other:
            return (
                ("not-same", f"not the same person, but both are of {one} in the sheet")
                if kinship < SAME
                else None
            )
        if kinship >= SAME and is_told:
            return "same", "the same person or twins" + self._but(f"{one} and {other} are two people")
        if not {first, second} <= self._best:
            return None
        if parent := self._parent(one, other):
            is_parent = kinship >= SECOND and ibs0_rate <= PARENT_IBS0
            return None if is_parent else ("not-parent", f"not parent and child, but {parent}")
        if expected >= SECOND and kinship < expected / 4 and kinship + ERRORS * error < expected:
            return "not-related", "not related" + self._but(f"{one} and {other} are")
        # Relatives in the sheet may share more than expected, by chance or through ancestors that are not in the sheet.
        if kinship >= SECOND and is_told and expected < SECOND / 2:
            found = _WORDS[relation(kinship, error, ibs0_rate)]
            return "related", found + self._but(f"{one} and {other} are not related")
        return None

    def _but(self, what: str) -> str:
        return f", but {what} in the sheet" if self._people.has_sheet else ""

    def _parent(self, one: str, other: str) -> str:
        """Return which of two subjects is the other's parent in the sheet, as text; "" if neither is."""
        for child, parent in ((one, other), (other, one)):
            for role, name in zip(PARENTS, self._people.parents(child), strict=True):
                if name == parent:
                    return f"{parent} is the {role} of {child} in the sheet"
        return ""


def by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings, the most severe first; findings of the same kind keep their order."""
    return sorted(findings, key=lambda finding: SEVERITY.index(finding.kind))
