"""`bams3 checksum`: the output of `samtools checksum`, from the sums in a dataset's manifest or from its records."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from bams3.bam.flags import NAMES
from bams3.dataset.prefetch import plan_all
from bams3.dataset.sums import DEFAULT, KEPT, MODULUS, Summed, Sums, together
from bams3.errors import SourceError, UsageError
from bams3.parallel.workers import in_order, watched
from bams3.shown import field

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.bam.records import RecordBlock
    from bams3.dataset.reader import DatasetReader

_HEADINGS = ("flag+seq", "+name", "+qual", "+aux", "+chr/pos", "+cigar", "+mate")
_BAMSEQCHKSUM = "###\tset\tcount\t\tb_seq\tname_b_seq\tb_seq_qual\tb_seq_tags(BC,FI,QT,RT,TC)"
_SIZE = 1 << 16  # bytes that are copied at a time

Flags = tuple[int, int] | None
"""Selection of records: FLAG bits that must all be unset, and FLAG bits that must all be set."""


class Style(NamedTuple):
    """How sums are printed.

    `pos`, `cigar`, `mate`: print these columns. `passed`, `failed`: print a row for the records that passed or failed
    QC. `empty`: also print rows without records. `tabs`: separate the columns by tabs. `bamseqchksum`: use the format
    of biobambam's bamseqchksum.
    """

    pos: bool = False
    cigar: bool = False
    mate: bool = False
    passed: bool = False
    failed: bool = False
    empty: bool = False
    tabs: bool = False
    bamseqchksum: bool = False


def sums_of(
    dataset: DatasetReader,
    summed: Summed = DEFAULT,
    workers: int = 1,
    progress: Callable[[int], Any] | None = None,
) -> Sums:
    """Return the sums of a dataset: those in its manifest if they fit `summed`; otherwise, all records are read.

    `workers` threads read row groups, and `progress` is called with the number of records of each. Raises FormatError
    if the dataset is damaged.
    """
    if summed == DEFAULT and dataset.manifest.sums is not None:
        return dataset.manifest.sums
    total = Sums.zero()
    groups = zip(dataset.all_row_groups())
    jobs = watched(dataset.fetched(groups, plan_all), lambda job: job[0].records, progress)
    for sums in in_order(lambda job: Sums.of_row_group(job[0], summed), jobs, workers):
        total.add(sums)
    return total


def report(name: str, sums: Sums, summed: Summed = DEFAULT, style: Style | None = None) -> str:
    """Return the text that `samtools checksum` prints for a file called `name` that has these sums."""
    style = style or Style()
    style = style._replace(passed=True, empty=True, tabs=True) if style.bamseqchksum else style
    lines = [_BAMSEQCHKSUM] if style.bamseqchksum else _heading(name, summed, style)
    lines += _rows("all", sums.total(), style)
    if style.empty or None in sums.groups:
        lines += _rows("" if style.bamseqchksum else "-", sums.rows(None), style)
    for group in sums.names():
        lines += _rows(field(group.decode("utf-8", "surrogateescape")), sums.rows(group), style)
    return "\n".join(lines) + "\n"


def _heading(name: str, summed: Summed, style: Style) -> list[str]:
    flags = ",".join(flag for flag, bit in NAMES.items() if summed.mask & bit)
    tags = ",".join(tag.decode("ascii") for tag in summed.tags)
    said = {"Checksum 1.0 for file": field(name), "Aux tags": tags, "BAM flags": flags}
    widths = (0, 20, 20)
    return [
        *(
            f"# {what}:\t{value}" if style.tabs else f"{f'# {what}:':<{width}} {value}"
            for width, (what, value) in zip(widths, said.items(), strict=True)
        ),
        "",
        _line("# Group", "QC", "count", [*_chosen(_HEADINGS, style), "combined"], style),
    ]


def _rows(group: str, rows: tuple[list[int], list[int]], style: Style) -> Iterator[str]:
    """Yield the lines of a read group."""
    passed, failed = rows
    for qc, row in (("all", together(passed, failed)), ("pass", passed), ("fail", failed)):
        wanted = {"all": True, "pass": style.passed, "fail": style.failed}[qc]
        if wanted and (row[0] or style.empty):
            values = _chosen(row[1:], style)
            if not style.bamseqchksum:
                values.append(_combined(row, values))
            width = 0 if style.tabs else 8
            yield _line(group, qc, str(row[0]), [f"{value:0{width}x}" for value in values], style)


def _chosen(values: Sequence[Any], style: Style) -> list[Any]:
    """Return the values that are printed, from those of seq, name, qual, aux, pos, cigar and mate."""
    wanted = (True, True, True, True, style.pos, style.cigar, style.mate)
    return [value for value, chosen in zip(values, wanted, strict=True) if chosen]


def _combined(row: list[int], values: list[int]) -> int:
    """Return the combined sum of a row. As in samtools, it has the sequences' sum twice, and not the qualities' sum."""
    count, seq, name, _, *others = row[0], *values
    combined = 1
    for value in (count >> 32, count & 0xFFFFFFFF, seq, name, seq, *others):
        combined = combined * ((value & MODULUS) % MODULUS or 1) % MODULUS
    return combined


def _line(group: str, qc: str, count: str, values: list[str], style: Style) -> str:
    if style.tabs:
        return "\t".join([group, qc, count, *[""] * style.bamseqchksum, *values])
    group += " " * (10 - len(group.encode("utf-8", "surrogateescape")))
    return f"{group} {qc:<4} {count:>12}  " + "  ".join(f"{value:<8}" for value in values)


def described(rows: tuple[list[int], list[int]]) -> dict[str, int | str]:
    """Return the number of records and their default sums, formatted and named as samtools does."""
    row = together(*rows)
    values = row[1:KEPT]
    sums = dict(zip((*_HEADINGS[: KEPT - 1], "combined"), (*values, _combined(row, values)), strict=True))
    return {"count": row[0], **{name: f"{value:08x}" for name, value in sums.items()}}


def merged(options: Sequence[str], sources: Sequence[str]) -> Iterator[bytes]:
    """Yield the output of `samtools checksum --merge` for files. If it fails, raises SourceError with its message.
    Raises UsageError for a folder."""
    from bams3.sources.process import SamtoolsProcess

    for source in sources:
        if os.path.isdir(source):  # samtools would find nothing in it
            raise UsageError(f"{source}: not an output of checksum -o; write one, and merge that")
    command = ["checksum", *options, "-o", "/dev/stdout", "--", *sources]
    with closing(SamtoolsProcess(command, sources[0], "samtools checksum failed")) as process:
        while part := process.stdout.read(_SIZE):
            yield part
        process.check()


def of_file(path: str, options: Sequence[str], flags: Flags, workers: int) -> bytes:
    """Return the output of `samtools checksum` for a BAM, CRAM or SAM file, whose records may be read in any order.

    `flags`: as in `of_records`. Raises SourceError if the file can't be read or samtools fails.
    """
    from bams3.sources.bam import open_source

    with open_source(path) as source:
        blocks = source.blocks(partial(in_order, workers=workers), ordered=False)
        return _by_samtools(blocks, source.header, options, flags, source.path)


def of_records(
    dataset: DatasetReader, options: Sequence[str], flags: Flags, workers: int,
    progress: Callable[[int], Any] | None = None,
) -> bytes:  # fmt: skip
    """Return the output of `samtools checksum` for the records of a dataset, which are piped to it in their order.

    `flags`: which records are summed; their tags are checked first, because samtools hangs at some invalid names. None
    if tags need no check, because samtools selects from all of them. Raises SourceError if a tag has such a name, or
    if samtools fails.
    """
    from bams3.select.query import RecordFilter, query

    blocks = watched(query(dataset, None, RecordFilter(), workers), len, progress)
    return _by_samtools(blocks, dataset.header, options, flags, dataset.uri)


def everything(dataset: DatasetReader, workers: int) -> list[tuple[str | None, dict[str, int | str]]]:
    """Return the rows of `samtools checksum -a`, by column name: for all records, then for each read group.

    The read group None stands for the records without one. The sums depend on the order of the records, so samtools
    computes them, as in `of_records`.
    """
    # -v: the first two rows are always those for all records, and for the records without a read group.
    lines = (
        of_records(dataset, ["-a", "-T", "-v"], None, workers).decode("utf-8", "surrogateescape").split("\n")
    )
    heading, *rows = (line.split("\t") for line in lines[lines.index("") + 1 : -1])
    return [
        (
            None if number == 1 else group,
            {"count": int(count)}
            | {name: f"{int(value, 16):08x}" for name, value in zip(heading[3:], values, strict=True)},
        )
        for number, (group, _, count, *values) in enumerate(rows)
        if number == 0 or int(count)
    ]


def _by_samtools(
    blocks: Iterable[RecordBlock], header: Header, options: Sequence[str], flags: Flags, name: str
) -> bytes:
    from bams3.output.alignments import bam_bytes
    from bams3.sources.process import SamtoolsProcess

    feed = bam_bytes(blocks if flags is None else _with_known_tags(blocks, flags, name), header)
    command = ["checksum", *options, "-o", "/dev/stdout", "-"]
    with closing(SamtoolsProcess(command, name, "samtools checksum failed", feed)) as process:
        said = b"".join(iter(lambda: process.stdout.read(_SIZE), b""))
        process.check()
    heading, end, lines = said.partition(b"\n")
    if heading.startswith(b"# Checksum"):
        heading = heading.removesuffix(b"-") + field(name).encode("utf-8", "surrogateescape")
    return heading + end + lines


def _with_known_tags(
    blocks: Iterable[RecordBlock], flags: tuple[int, int], name: str
) -> Iterator[RecordBlock]:
    """Yield the blocks unchanged. Raises SourceError for a tag at which samtools checksum would hang."""
    from bams3.bam.sums import first_odd_tag

    count = 0
    for block in blocks:
        if found := first_odd_tag(block, *flags):
            number, read, tag = found
            raise SourceError(
                f"{name}: record {count + number + 1} ({read.decode('ascii', 'backslashreplace')}): samtools checksum "
                f"refuses its tag {tag.decode('ascii', 'backslashreplace')!r}, a name that SAM does not allow; "
                "use -a or -t '*,…', which leave it out"
            )
        count += len(block)
        yield block
