"""Known sites: where they are, and counts of the bases and alleles that the reads of a dataset have there."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from bams3.alleles import variants
from bams3.alleles.counts import SITE_WIDTH, SYMBOLS, add_counts, chosen, count_group, count_pile, renumbered
from bams3.alleles.pileup import PiledRegions, PileOptions, bed_intervals, piles
from bams3.alleles.sites import BED, TABLE, VCF, SiteReader
from bams3.bam.flags import PROPER_PAIR
from bams3.bam.regions import RegionTable
from bams3.dataset.prefetch import plan_hot
from bams3.errors import UsageError
from bams3.inflate import PORTION, Opener, of_disk, whole_lines
from bams3.parallel.workers import Workers, in_order
from bams3.select.query import streams_plan
from bams3.warned import warn

if TYPE_CHECKING:
    from bams3.alleles.piles import Pile
    from bams3.chunk.row_group import RowGroup
    from bams3.dataset.reader import DatasetReader

SITES = 1 << 18
"""The most sites that are counted at a time."""
_ENDINGS = {".bed": BED, ".bed.gz": BED, ".vcf": VCF, ".vcf.gz": VCF, ".vcf.bgz": VCF, ".bcf": VCF}
_OF_BCF = ["bcftools.view", "--drop-genotypes", "--no-version", "-"]
_LINES = {
    BED: "contig, start and end (0 <= start <= end)",
    VCF: "CHROM, POS (1 or more), ID, REF (letters) and ALT",
    TABLE: "contig, position (1 or more), and optionally REF (letters) and ALT; name a file of intervals NAME.bed, "
    "and a VCF NAME.vcf",
}


class Sites(NamedTuple):
    """Some of the sites of a file, in its order.

    Attributes
    ----------
    contigs
        Names of contigs.
    contig
        Index of each site's contig in `contigs`, array('i').
    position
        0-based position of each site, array('q').
    text, text_ends
        ID, REF and ALT of each site, separated by tabs, "." for what the file lacks; and where they end, array('q').
    ref
        The base that `=` in a read stands for at each site, as a row of counts, one byte.
    """

    contigs: list[str]
    contig: array[int]
    position: array[int]
    text: bytes
    text_ends: array[int]
    ref: bytes

    @classmethod
    def of(cls, places: Iterable[tuple[str, int]]) -> Sites:
        """Sites without alleles, from contigs and 0-based positions."""
        numbers: dict[str, int] = {}
        contig, position = array("i"), array("q")
        for name, at in places:
            contig.append(numbers.setdefault(name, len(numbers)))
            position.append(at)
        ends = array("q", range(5, 5 * len(contig) + 1, 5))
        return cls(list(numbers), contig, position, b".\t.\t." * len(contig), ends, b"\xff" * len(contig))

    def alleles(self) -> variants.Alleles:
        """REF and ALT of each site, as they are counted."""
        return variants.Alleles(self.position, self.text, self.text_ends)


class SiteCounts(NamedTuple):
    """Counts: array('i') with SITE_WIDTH counts for each site, and with two for each pattern of the sites' alleles."""

    sites: array[int]
    patterns: array[int]


class SiteFile:
    """A file of sites: a VCF or BCF (`.vcf`, `.bcf`), a BED file (`.bed`), or a table of contig, position (1-based),
    and optionally REF and ALT.

    It may be gzipped. `has_alleles` is whether each site must have REF and ALT.
    """

    def __init__(self, path: str, opener: Opener = of_disk) -> None:
        self.path, self._opener = path, opener
        self.kind = next((kind for ending, kind in _ENDINGS.items() if path.endswith(ending)), TABLE)
        self.has_alleles = self.kind == VCF

    def blocks(self, most: int, datasets: Sequence[DatasetReader]) -> Iterator[Sites]:
        """Yield the sites in blocks of `most`.

        Raises UsageError if the file cannot be read, for lines that are not sites, and for contigs that a whole dataset
        among `datasets` lacks. (Chunks without their dataset may lack contigs.) Warns of sites past the end.
        """
        reader = SiteReader()
        reader.kind = self.kind
        reader.lengths = dict(pair for dataset in datasets for pair in dataset.references)
        names = [
            (dataset, {name for name, _ in dataset.references}) for dataset in datasets if dataset.is_whole
        ]
        checked = 0
        try:
            with closing(self.texts()) as texts:
                for text in texts:
                    if not reader.feed(text):
                        raise UsageError(
                            f"{self._line(reader.lines)}: not a site; expected {_LINES[self.kind]}"
                        )
                    for name, line in zip(
                        reader.contigs[checked:], reader.first_lines[checked:], strict=True
                    ):
                        self._check(name, line, names)
                    checked = len(reader.contigs)
                    while reader.count >= most:
                        yield Sites(reader.contigs, *reader.take(most))
        except OSError as error:
            raise UsageError(f"cannot read {self.path}: {error.strerror or error}") from None
        if reader.past:
            warn(
                f"{self._line(reader.first_past)}: past the end of the contig (number of such sites: {reader.past}); "
                "the file may be for another reference genome"
            )
        if reader.count:
            yield Sites(reader.contigs, *reader.take(most))

    def texts(self, *, header: bool = False) -> Generator[bytes, None, None]:
        """Yield the text of the file, some whole lines at a time. For BCF, this is what bcftools prints: the records,
        after the header lines if `header`. Raises OSError and SourceError."""
        with self._opener(self.path) as file:
            if not self.path.endswith(".bcf"):
                yield from whole_lines(file)
                return
            from bams3.sources.process import SamtoolsProcess

            command = _OF_BCF if header else [*_OF_BCF, "--no-header"]
            feed = iter(lambda: file.read(PORTION), b"")
            with closing(SamtoolsProcess(command, self.path, "it can't be read", feed)) as bcftools:
                yield from whole_lines(bcftools.stdout)
                bcftools.check()

    def _line(self, number: int) -> str:
        return f"{self.path}, {'record' if self.path.endswith('.bcf') else 'line'} {number}"

    def _check(self, contig: str, line: int, names: Iterable[tuple[DatasetReader, set[str]]]) -> None:
        for dataset, its_names in names:
            if contig not in its_names:
                raise UsageError(
                    f"{self._line(line)}: {dataset.uri} has no contig {contig!r}; use a file of sites "
                    "for the same reference genome"
                )


class _OfContig(NamedTuple):
    """The sites of a contig: their sorted positions, the rows of their REFs, and their indices among all sites. And the
    patterns of their alleles: their sorted last positions, their first positions, and their indices among all patterns.
    """

    positions: array[int]
    refs: bytes
    numbers: array[int]
    lasts: array[int] = array("q")
    firsts: array[int] = array("q")
    patterns: array[int] = array("q")

    def within(self, start: int, stop: int) -> _OfContig:
        """The sites and patterns at [start, stop)."""
        first, last = bisect_left(self.positions, start), bisect_left(self.positions, stop)
        begin, end = bisect_left(self.lasts, start), bisect_left(self.lasts, stop)
        return _OfContig(
            self.positions[first:last], self.refs[first:last], self.numbers[first:last],
            self.lasts[begin:end], self.firsts[begin:end], self.patterns[begin:end],
        )  # fmt: skip

    @property
    def end(self) -> int:
        """The position after all of them."""
        return max((self.positions[-1], *self.lasts[-1:])) + 1


_Found = tuple[_OfContig, "array[int] | None", "array[int] | None"]
"""Some sites, and the counts of these sites and of their patterns."""


def count_sites(
    dataset: DatasetReader, sites: Sites, options: PileOptions, min_quality: int, workers: Workers
) -> array[int]:
    """Count the bases that the reads of a dataset have at sites: array('i') with SITE_WIDTH counts for each site.

    Only row groups that reach a site are read, and their qualities only if `min_quality` is more than 0. The depth
    limit of `options` is ignored. Raises FormatError if the dataset is damaged, and UsageError where htslib would fail.
    """
    return count_alleles(dataset, sites, None, options, min_quality, workers).sites


def count_alleles(
    dataset: DatasetReader, sites: Sites, alleles: variants.Alleles | None, options: PileOptions, min_quality: int,
    workers: Workers,
) -> SiteCounts:  # fmt: skip
    """Like `count_sites`, but also count the reads that have the sites' alleles."""
    by_contig = _by_contig(dataset, sites, alleles)
    counts = SiteCounts(
        array("i", bytes(4 * SITE_WIDTH)) * len(sites.position), array("i", bytes(8)) * len(alleles or ())
    )

    def of_pile(job: tuple[Pile, _OfContig]) -> _Found:
        pile, some = job
        return (
            some,
            count_pile(pile, some.positions, some.refs, min_quality) if some.numbers else None,
            variants.count_pile(pile, alleles, some.patterns, some.lasts, min_quality)
            if alleles and some.patterns
            else None,
        )

    def of_group(job: tuple[RowGroup, _OfContig]) -> _Found:
        group, some = job
        mask = bytearray(b"\1") * group.records
        options.select(mask, group, dataset)
        return (
            some,
            count_group(group, mask, some.positions, some.refs, min_quality) if some.numbers else None,
            variants.count_group(group, mask, alleles, some.patterns, some.lasts, min_quality)
            if alleles and some.patterns
            else None,
        )

    in_piles, in_groups = _by_need(dataset, by_contig, options, min_quality)
    groups = dataset.fetched(_of_groups(dataset, in_groups, options), plan_hot)
    needed = {"l_seq", "seq"} | ({"qual"} if min_quality > 0 else set())
    made = chain(
        in_order(of_pile, _of_piles(dataset, in_piles, options, workers), workers) if in_piles else (),
        in_order(of_group, dataset.fetched(groups, streams_plan(needed)), workers),
    )
    for some, of_sites, of_patterns in made:
        if of_sites:
            add_counts(counts.sites, some.numbers, of_sites)
        if of_patterns:
            add_counts(counts.patterns, some.patterns, of_patterns)
    return counts


def _by_contig(
    dataset: DatasetReader, sites: Sites, alleles: variants.Alleles | None
) -> dict[int, _OfContig]:
    """The sites by reference id, without those on contigs that the dataset lacks."""
    ids = {name: reference_id for reference_id, (name, _) in enumerate(dataset.references)}
    known = array("i", (ids.get(name, -1) for name in sites.contigs))
    contig = renumbered(sites.contig, known)
    found = {
        reference_id: _OfContig(positions, chosen(sites.ref, numbers), numbers)
        for reference_id, positions, _, numbers in RegionTable(
            contig, sites.position, sites.position
        ).by_reference()
        if reference_id >= 0
    }
    if alleles:
        contig, firsts, lasts = alleles.places(contig)
        for reference_id, *places in RegionTable(contig, lasts, firsts).by_reference():
            if reference_id >= 0:
                found[reference_id] = _OfContig(*found[reference_id][:3], *places)
    return found


def _by_need(
    dataset: DatasetReader, by_contig: dict[int, _OfContig], options: PileOptions, min_quality: int
) -> tuple[dict[int, _OfContig], dict[int, _OfContig]]:
    """Divide the contigs into those where the qualities of overlapping mates must be changed first, and the others.

    This is not needed without a minimum quality, because both mates count then, nor for reads that are not in a proper
    pair, because these have no overlapping mates.
    """

    def is_needed(contig: int, sites: _OfContig) -> bool:
        groups = dataset.row_groups(contig, sites.positions[0], sites.end)
        return any(group.zone.flags_any & PROPER_PAIR for group in groups)

    if not options.overlaps or min_quality <= 0:
        return {}, by_contig
    needed = {contig: sites for contig, sites in by_contig.items() if is_needed(contig, sites)}
    return needed, {contig: sites for contig, sites in by_contig.items() if contig not in needed}


def _of_groups(
    dataset: DatasetReader, by_contig: dict[int, _OfContig], options: PileOptions
) -> Iterator[tuple[RowGroup, _OfContig]]:
    for contig, sites in by_contig.items():
        for group in dataset.row_groups(contig, sites.positions[0], sites.end):
            some = sites.within(group.zone.min_pos, group.zone.max_end)
            if (some.numbers or some.patterns) and options.record_filter.verdict(group) is not False:
                yield group, some


def _of_piles(
    dataset: DatasetReader, by_contig: dict[int, _OfContig], options: PileOptions, workers: Workers
) -> Iterator[tuple[Pile, _OfContig]]:
    table = RegionTable(array("i"), array("q"), array("q"))
    for contig, sites in by_contig.items():
        for starts, lasts in ((sites.positions, sites.positions), (sites.firsts, sites.lasts)):
            table.reference_ids.extend(array("i", [contig]) * len(starts))
            table.starts.extend(starts)
            table.ends.extend(array("q", (last + 1 for last in lasts)))
    places = PiledRegions(bed=bed_intervals(table))
    for pile in piles(dataset, places, options._replace(max_depth=0), workers, once=True):
        some = by_contig[pile.reference_id].within(pile.start, pile.stop) if pile.covers else None
        if some and (some.numbers or some.patterns):
            yield pile, some
        del pile  # see `piles`


def count_arrays(
    dataset: DatasetReader, blocks: Iterable[Sites], options: PileOptions, min_quality: int, workers: Workers
) -> dict[str, Any]:
    """Count the bases of the reads of a dataset at all sites. Returns numpy arrays and lists of str, by name."""
    import numpy as np

    contig: list[str] = []
    alleles: list[list[str]] = []
    position, counts = [np.empty(0, np.int64)], [np.empty((0, SITE_WIDTH), np.int32)]
    first_allele = [np.zeros(1, np.int64)]
    depths: dict[str, list[Any]] = {"ADF": [np.empty(0, np.int32)], "ADR": [np.empty(0, np.int32)]}
    for sites in blocks:
        of_sites = sites.alleles()
        contig += map(sites.contigs.__getitem__, sites.contig)
        position.append(np.array(sites.position))
        starts = (0, *sites.text_ends)
        alleles += (
            sites.text[start:end].decode("utf-8", "surrogateescape").split("\t")
            for start, end in pairwise(starts)
        )
        found = count_alleles(dataset, sites, of_sites, options, min_quality, workers)
        counts.append(np.array(found.sites, np.int32).reshape(-1, SITE_WIDTH))
        first_allele.append(np.array(of_sites.starts()[1:]) + first_allele[-1][-1])
        for name, part in zip(depths, of_sites.depths(*found, 0, len(sites.position)), strict=True):
            depths[name].append(np.array(part))
    table = np.concatenate(counts)
    return {
        "contig": contig,
        "position": np.concatenate(position),
        "ref": [ref for _, ref, _ in alleles],
        "alt": [alt for _, _, alt in alleles],
        "depth": table[:, : SYMBOLS.index("*")].sum(axis=1, dtype=np.int32),
        **dict(zip(SYMBOLS, table.T, strict=True)),
        "first_allele": np.concatenate(first_allele),
        **{name: np.concatenate(parts) for name, parts in depths.items()},
    }
