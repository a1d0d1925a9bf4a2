"""Checks that the files and names in a configuration fit the contigs and read groups of the samples.

All checks are made before the first job runs. Definite mistakes raise ConfigurationError; possible ones give a warning.
"""

import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from bams3.errors import Bams3Error
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.reference import Contigs, some

Warn = Callable[[str], None]
Interval = tuple[str, int, int]


def check_regions(texts: Iterable[str], contigs: Contigs, where: str) -> None:
    """Check region strings: their syntax, their contigs, and that they begin within the contigs."""
    from bams3.bam.regions import parse_regions
    from bams3.errors import UsageError

    with _told(where):
        for text in texts:
            for region in parse_regions([text], contigs):
                length = contigs[region.reference_id][1] if region.reference_id >= 0 else 0
                if region.reference_id >= 0 and region.start > max(length - 1, 0):
                    raise UsageError(
                        f"region {text!r}: the start is past the end of the contig ({length} bp)"
                    )


def check_filter(text: str, where: str) -> None:
    """Check a filter expression."""
    from bams3.select.filters import Expression

    with _told(where):
        Expression(text)


def check_contigs(names: Iterable[str], contigs: Contigs, where: str) -> None:
    """Check that the samples have all of these contigs."""
    known = dict(contigs)
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"{where}: the samples have no contig {name}; they have {some(known)}{_like(name, known)}"
            )


def check_query_bed(data: bytes, path: str, contigs: Contigs, where: str, warn: Warn) -> None:
    """Check a BED file for `bams3 query`."""
    from bams3.bam.regions import bed_table

    with _told(where):
        table = bed_table(path, opener=lambda _: io.BytesIO(data))
    names = (table.contigs[contig] for contig in table.contig)
    check_intervals(zip(names, table.starts, table.ends, strict=True), contigs, f"{where}: {path}", warn)


def check_coverage_bed(
    data: bytes, path: str, contigs: Contigs, where: str, warn: Warn, *, only: str | None = None, strict: bool = False
) -> None:  # fmt: skip
    """Check a BED file for `bams3 coverage`.

    `only`: the contig that is measured, if it is only one. `strict`: whether a line that would be skipped is an error.
    """
    from bams3.coverage.intervals import read_intervals

    notes: list[str] = []
    with _told(where):
        found = read_intervals(path, notes.append, lambda _: io.BytesIO(data))
    if notes and strict:
        raise ConfigurationError(f"{where}: {notes[0]}; remove the line or fix it")
    if notes:
        warn(
            f"{where}: {notes[0]}" + (f", and {len(notes) - 1} more lines like it" if len(notes) > 1 else "")
        )
    intervals = (
        (name, start, end)
        for name, of_contig in found.items()
        for start, end in zip(of_contig.starts, of_contig.ends, strict=True)
    )
    check_intervals(intervals, contigs, f"{where}: {path}", warn)
    if only and only not in found:
        raise ConfigurationError(
            f"{where}: {path}: no interval of {only}, the only contig that is measured (`chrom`)"
        )


def check_intervals(intervals: Iterable[Interval], contigs: Contigs, where: str, warn: Warn) -> None:
    """Check the intervals of a file (0-based, half-open): some must be on contigs of the samples, and within them."""
    lengths = dict(contigs)
    seen: dict[str, None] = {}
    unknown = 0
    for contig, start, end in intervals:
        if contig not in seen:
            seen[contig] = None
        length = lengths.get(contig, -1)
        if length < 0:
            unknown += 1
        elif end > length:
            raise ConfigurationError(
                f"{where}: {contig} {start} {end}: {contig} has {length} bp in the samples; "
                "fix the line, or use the file for their genome build"
            )
    if not seen:
        raise ConfigurationError(f"{where}: no intervals; use a file that has some")
    if others := _others(seen, lengths, where):
        warn(
            f"{where}: {unknown} intervals are ignored because the samples lack their contigs: {some(others)}"
        )


def check_ploidy(data: bytes, path: str, contigs: Contigs, where: str, warn: Warn) -> None:
    """Check ploidies for bcftools call: contig, from, to (1-based), sex, ploidy; `*` stands for all other contigs."""
    names: dict[str, None] = {}
    for number, line in enumerate(data.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith(b"#"):
            continue
        bounds = words[1:3]
        is_default = words[0] == b"*"
        if len(words) < 5 or not words[4].isdigit() or not (is_default or all(map(bytes.isdigit, bounds))):
            raise ConfigurationError(
                f"{where}: {path}:{number}: expected contig, from, to (1-based), sex and ploidy, separated by spaces"
            )
        if not is_default:
            names[words[0].decode(errors="surrogateescape")] = None
            if not 1 <= int(bounds[0]) <= int(bounds[1]):
                raise ConfigurationError(
                    f"{where}: {path}:{number}: from and to are 1-based, and from must not exceed to"
                )
    if others := _others(names, dict(contigs), f"{where}: {path}"):
        warn(f"{where}: {path}: lines are ignored because the samples lack their contigs: {some(others)}")


def read_groups(header: bytes) -> set[str]:
    """Return the IDs of the read groups in a header."""
    return {
        tag[3:].decode(errors="surrogateescape")
        for line in header.split(b"\n")
        if line.startswith(b"@RG\t")
        for tag in line.rstrip(b"\r\0").split(b"\t")
        if tag.startswith(b"ID:")
    }


def check_read_groups(wanted: Sequence[str], groups: Mapping[str, set[str]], where: str, warn: Warn) -> None:
    """Check that each of the chosen read groups is in some sample."""
    known = set().union(*groups.values())
    for name in wanted:
        if name not in known:
            has = f"they have {some(sorted(known))}" if known else "they have none"
            raise ConfigurationError(f"{where}: no sample has a read group {name!r}; {has}")
    without = [sample for sample, own in groups.items() if own.isdisjoint(wanted)]
    if without:
        warn(
            f"{where}: {len(without)} of {len(groups)} samples have none of the read groups {some(wanted)}: "
            f"{some(without)}"
        )


def read_names(data: bytes) -> list[tuple[str, str]]:
    """Return the names of samples in a file for bcftools, each with the word after it.

    This is a new name, a sex, a ploidy, or "". In a file of families (PED), the names in a line are those of a child
    and its parents.
    """
    lines = [line.decode(errors="surrogateescape").split() for line in data.splitlines()]
    lines = [words for words in lines if words and not words[0].startswith("#")]
    if lines and all(len(words) > 4 for words in lines):
        return [(name, "") for words in lines for name in words[1:4] if name != "0"]
    return [(words[0], "".join(words[1:2])) for words in lines]


def check_names(names: Iterable[str], samples: Collection[str], where: str, warn: Warn) -> None:
    """Check names of chosen samples: at least one must be in the sheet."""
    names = list(dict.fromkeys(names))
    others = [name for name in names if name not in samples]
    if len(others) == len(names):
        has = f"it has {some(others)}" if others else "it has none"
        raise ConfigurationError(
            f"{where}: none of its names is a sample of the sheet: {has}, the sheet has {some(samples)}; "
            "use names from the sheet"
        )
    if others:
        warn(f"{where}: names of samples that are not in the sheet are ignored: {some(others)}")


def _others(names: Iterable[str], known: Mapping[str, int], where: str) -> list[str]:
    """Return the unknown contigs of a file. Raises ConfigurationError if all contigs are unknown."""
    names = list(names)
    others = [name for name in names if name not in known]
    if others and len(others) == len(names):
        raise ConfigurationError(
            f"{where}: the samples have none of its contigs: it has {some(others)}, they have {some(known)}"
            f"{_like(others[0], known)}; use a file with their names"
        )
    return others


def _like(name: str, known: Iterable[str]) -> str:
    """Return a hint for a name that differs only by the prefix `chr`; "" for others."""
    other = name.removeprefix("chr") if name.startswith("chr") else f"chr{name}"
    return f" ({other} instead of {name})" if other in known else ""


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Context manager: prefix errors with a key of the configuration."""
    try:
        yield
    except Bams3Error as error:
        raise ConfigurationError(f"{where}: {error}") from None
