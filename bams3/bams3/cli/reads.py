"""Options that select reads, as in samtools and mosdepth, and regions."""

import argparse
from typing import Any

from bams3.bam.flags import NOT_COUNTED
from bams3.cli.options import flag_bits
from bams3.cli.parser import EachBit, Options
from bams3.errors import UsageError


def add_filters(arguments: Options) -> None:
    """Add the options that select reads, as in samtools view; `filter_of` evaluates them."""
    arguments.add_argument(
        "-f", "--require-flags", action=EachBit, type=flag_bits, default=0, metavar="FLAG",
        help="only reads with all of these FLAG bits",
    )  # fmt: skip
    arguments.add_argument(
        "-F", "--exclude-flags", action=EachBit, type=flag_bits, default=0, metavar="FLAG",
        help="only reads with none of these FLAG bits",
    )  # fmt: skip
    arguments.add_argument(
        "-q", "--min-MQ", type=int, default=0, metavar="N", help="only reads with MAPQ N or more"
    )
    arguments.add_argument(
        "-r", "--read-group", action="append", metavar="ID",
        help="only reads of this read group or without a read group; repeat it for several read groups",
    )  # fmt: skip
    arguments.add_argument(
        "-e", "--filter", "--expr", metavar="EXPR", help="only reads that match this samtools filter expression"
    )  # fmt: skip


def filter_of(args: Any) -> Any:
    """Return the `RecordFilter` that the options of `add_filters` describe."""
    from bams3.select.query import RecordFilter

    groups = None if vars(args).get("-R") else args.read_group  # samtools joins both
    return RecordFilter(
        args.require_flags,
        args.exclude_flags,
        args.min_MQ,
        groups and tuple(groups),
        _expression(args.filter),
    )


def _expression(text: str | None) -> Any:
    if text is None:
        return None
    from bams3.select.filters import Expression

    return Expression(text)


def add_least(arguments: argparse.ArgumentParser, letter: str, of: str) -> None:
    """Add the option for the least base quality (`of`: "BQ") or mapping quality ("MQ")."""
    what = {"BQ": "bases of quality", "MQ": "reads with MAPQ"}[of]
    arguments.add_argument(
        letter, f"--min-{of}", f"--min-{of.lower()}", type=int, default=0, metavar="N",
        help=f"count only {what} N or more",
    )  # fmt: skip


def add_wanted(arguments: Options, *names: str, of: str) -> None:
    """Add an option for FLAG bits, of which reads must have "any" or "all" (`of`)."""
    arguments.add_argument(
        *names, type=flag_bits, default=0, metavar="FLAG", help=f"only reads with {of} of these FLAG bits"
    )


def add_pileup_flags(arguments: Options) -> None:
    """Add the options for FLAG bits that the pileup commands of samtools have."""
    add_wanted(arguments, "--rf", "--incl-flags", of="any")
    arguments.add_argument(
        "--ff", "--excl-flags", "--ns", "--skip-any-set", type=flag_bits, default=NOT_COUNTED, metavar="FLAG",
        help="only reads with none of these FLAG bits (default: UNMAP, SECONDARY, QCFAIL, DUP)",
    )  # fmt: skip


def add_pileup(arguments: Options) -> None:
    """Add the options for the reads of a pileup, as in samtools and bcftools mpileup; `pileup_of` evaluates them."""
    arguments.add_argument(
        "-q", "--min-MQ", "--min-mapq", type=int, default=0, metavar="N", help="only reads with MAPQ N or more"
    )  # fmt: skip
    add_pileup_flags(arguments)
    arguments.add_argument(
        "-A", "--count-orphans", action="store_true", help="also use reads that are paired, but not properly"
    )
    arguments.add_argument(
        "-x", "--ignore-overlaps", "--ignore-overlaps-removal", "--disable-overlap-removal", dest="keep_overlaps",
        action="store_true", help="leave the qualities of overlapping mates unchanged, so that both count",
    )  # fmt: skip


def pileup_of(args: Any, **more: Any) -> Any:
    """Return the `PileOptions` that the options of `add_pileup` describe; `more`: its other fields."""
    from bams3.alleles.pileup import PileOptions

    return PileOptions(
        exclude=args.ff, any_of=args.rf, min_mapq=args.min_MQ, orphans=args.count_orphans,
        overlaps=not args.keep_overlaps, **more,
    )  # fmt: skip


def add_depth(arguments: argparse.ArgumentParser) -> Options:
    """Add mosdepth's options for depth, which `depth_of` evaluates; return the group of the options for reads."""
    arguments.add_argument(
        "-b", "--by", metavar="BED|N", help="summarize the regions of a BED file, or windows of N bp"
    )
    arguments.add_argument(
        "-m", "--use-median", action="store_true", help="write the median of each region instead of the mean"
    )
    reads = arguments.add_argument_group("which reads count, and how")
    reads.add_argument(
        "-F", "--flag", type=flag_bits, default=NOT_COUNTED, metavar="FLAG",
        help="exclude reads with any of these FLAG bits (default 1796)",
    )  # fmt: skip
    reads.add_argument(
        "-i", "--include-flag", type=flag_bits, default=0, metavar="FLAG",
        help="count only reads with any of these FLAG bits",
    )  # fmt: skip
    reads.add_argument(
        "-x", "--fast-mode", action="store_true", help="ignore CIGAR operations and count overlapping mates twice"
    )  # fmt: skip
    reads.add_argument(
        "-Q", "--mapq", type=int, default=0, metavar="N", help="count only reads with MAPQ N or more"
    )
    reads.add_argument(
        "-l", "--min-frag-len", type=int, default=-1, metavar="N", help="minimum fragment length in bp"
    )
    reads.add_argument(
        "-u", "--max-frag-len", type=int, default=-1, metavar="N", help="maximum fragment length in bp"
    )
    return reads


def depth_of(args: Any) -> dict[str, Any]:
    """Return the arguments of `CoverageOptions` that the options of `add_depth` set."""
    return {
        "by": args.by, "exclude_flags": args.flag, "include_flags": args.include_flag, "min_mapq": args.mapq,
        "min_fragment": args.min_frag_len, "max_fragment": args.max_frag_len, "fast_mode": args.fast_mode,
        "use_median": args.use_median,
    }  # fmt: skip


def add_regions(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments for regions and for a BED file of regions; `regions_of` evaluates them."""
    arguments.add_argument("regions", metavar="REGION", nargs="*", help="regions (default: everything)")
    arguments.add_argument(
        "-L", "--regions-file", metavar="BED", help="only reads that overlap the intervals of a BED file"
    )


def regions_of(dataset: Any, texts: list[str], bed: str | None) -> Any:
    """Parse the regions from the command line or a BED file; None means everything."""
    from bams3.bam.regions import parse_regions, read_bed

    if not texts and bed is None:
        return None
    if bed is None:
        return parse_regions(texts, dataset.references)
    intervals = read_bed(bed, dataset.references)
    if not texts:
        return intervals
    raise UsageError("regions and -L cannot be combined; give one of them")
