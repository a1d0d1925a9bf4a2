"""bams3 checksum."""

import argparse
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from bams3.cli.bar import progress_beside
from bams3.cli.options import add_help, add_workers, flag_bits
from bams3.cli.parser import explain, parser
from bams3.errors import UsageError

_EXAMPLE = """\
  bams3 checksum NA12878.bams3
  bams3 checksum -q -PCM NA12878.bams3 NA12878.bam
  bams3 checksum -a -o NA12878.chk NA12878.bams3
output: as samtools checksum prints it: the number of reads and their checksums, in total and for each read group"""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    args = _options().parse_args(argv)

    from bams3.output.files import open_output, refuse_inputs

    refuse_inputs(args.output, *args.sources)
    _check_tags(args.tags)
    with open_output(args.output) as file:
        for part in _reports(args):
            file.write(part)
    return 0


class _Noted(argparse.Action):
    """An option of samtools checksum. Its value is stored and, in case samtools has to run, also its arguments."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, True if self.nargs == 0 else values)
        namespace.words = [*namespace.words, option_string, *([] if self.nargs == 0 else [str(values)])]


class _All(_Noted):
    """The option -a, which stands for several others. Options after it take precedence."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        super().__call__(parser, namespace, values, option_string)
        namespace.exclude_flags, namespace.require_flags, namespace.tags = 0, 0, "*,cF,MD,NM"


def _options() -> argparse.ArgumentParser:
    options = parser(
        "checksum",
        "Print the checksums that samtools checksum prints, with its options. They do not depend on the reads' order.\n"
        "A dataset stores the default checksums: they are printed without reading the records, and bams3 verify\n"
        "checks them.",
        _EXAMPLE,
    )
    options.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="+",
        help="datasets or chunks, or BAM, SAM or CRAM files, which samtools reads; paths or URIs",
    )
    options.set_defaults(words=[])

    def value(*names: str, default: Any, metavar: str, help: str, type: Any = str) -> None:
        options.add_argument(*names, action=_Noted, type=type, default=default, metavar=metavar, help=help)

    def switch(*names: str, help: str, action: Any = _Noted) -> None:
        options.add_argument(*names, action=action, nargs=0, default=False, help=help)

    value(
        "-F", "--exclude-flags", type=flag_bits, default=0x900, metavar="FLAG",
        help="leave out reads with any of these FLAG bits (default: SECONDARY,SUPPLEMENTARY)",
    )  # fmt: skip
    value(
        "-f",
        "--require-flags",
        type=flag_bits,
        default=0,
        metavar="FLAG",
        help="only reads with all of these FLAG bits",
    )
    value(
        "-b", "--flag-mask", type=flag_bits, default=0xC1, metavar="FLAG",
        help="FLAG bits that the checksums include (default: PAIRED,READ1,READ2)",
    )  # fmt: skip
    switch("-c", "--no-rev-comp", help="do not reverse and complement reads on the reverse strand")
    value(
        "-t", "--tags", default="BC,FI,QT,RT,TC", metavar="TAG,…",
        help="tags that the checksums include (default: BC,FI,QT,RT,TC); *,TAG,…: all but these",
    )  # fmt: skip
    switch("-P", "--check-pos", help="also print a checksum of positions")
    switch("-C", "--check-cigar", help="also print a checksum of mapping qualities and CIGARs")
    switch("-M", "--check-mate", help="also print a checksum of mates' positions and template lengths")
    switch("-q", "--show-qc", help="also print lines for the reads that passed QC, and for those that failed")
    switch("-v", "--verbose", help="also print lines with a count of 0")
    switch("-T", "--tabs", help="separate columns by tabs")
    switch("-B", "--bamseqchksum", help="print in the format of bamseqchksum")
    options.add_argument(
        "-o", "--output", default="-", metavar="FILE", help="output file (default: standard output)"
    )
    _add_passed(options, value, switch)
    add_workers(options)
    add_help(options)
    return options


def _add_passed(options: Any, value: Any, switch: Any) -> None:
    """Add the options for which samtools itself has to process the reads in order, or the files."""
    switch(
        "-O",
        "--in-order",
        help="print checksums that depend on the order of the reads (samtools computes them from all reads)",
    )
    value(
        "-z",
        "--sanitize",
        default=None,
        metavar="WHAT,…",
        help="correct inconsistent fields first, as samtools does",
    )
    switch(
        "-a",
        "--all",
        action=_All,
        help="include everything: -PCMOc -b 0xfff -f0 -F0 -z all,cigarx -t '*,cF,MD,NM'",
    )
    switch("-m", "--merge", help="merge outputs of checksum -o, which are given as SOURCE")
    first = "use samtools for the first reads: bams3 query -u DATASET | samtools checksum -N N -"
    explain(options, {"-N": first, "--count": first})


def _check_tags(text: str) -> None:
    """Raise UsageError unless this is a list of names of tags."""
    names = text.split(",")
    names = names[1:] if names[0] == "*" else names
    if not all(len(name) == 2 and "0" <= min(name) <= max(name) <= "z" for name in names):
        raise UsageError(f"-t {text}: give names of tags, such as BC,QT, or *,MD,NM for all but these")


def _reports(args: Any) -> Iterator[bytes]:
    """Yield the report of each source."""
    from bams3.dataset.opening import is_other_file, open_readers
    from bams3.operations.checksum import merged, of_file

    if args.merge:
        yield from merged(args.words, args.sources)
        return
    for alignments, sources in groupby(args.sources, key=is_other_file):
        if not alignments:
            for dataset in open_readers(sources):
                yield from _of_dataset(dataset, args)
        for source in sources if alignments else ():
            yield of_file(source, args.words, _flags(args), args.workers)


def _flags(args: Any) -> tuple[int, int] | None:
    """Return the FLAG bits that select the records; None if samtools selects from tags with any names."""
    return None if args.tags.startswith("*") else (args.exclude_flags, args.require_flags)


def _of_dataset(dataset: Any, args: Any) -> Iterator[bytes]:
    from bams3.dataset.sums import Summed
    from bams3.operations.checksum import Style, of_records, report, sums_of

    with progress_beside(args.output, "read", dataset.manifest.records) as progress:
        if args.all or args.in_order or args.sanitize or args.tags.startswith("*"):
            yield of_records(dataset, args.words, _flags(args), args.workers, progress)
            return
        summed = Summed(
            args.exclude_flags, args.require_flags, args.flag_mask, not args.no_rev_comp,
            tuple(tag.encode() for tag in args.tags.split(",")), args.check_pos or args.check_cigar or args.check_mate,
        )  # fmt: skip
        style = Style(
            args.check_pos, args.check_cigar, args.check_mate, args.show_qc, args.show_qc, args.verbose, args.tabs,
            args.bamseqchksum,
        )  # fmt: skip
        sums = sums_of(dataset, summed, args.workers, progress)
    yield report(dataset.uri, sums, summed, style).encode("utf-8", "surrogateescape")
