"""The options of what marks duplicates: convert --markdup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bams3.duplicates.options import BARCODE_IN_NAME, ORDERS, Markdup
from bams3.errors import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser


def add_markdup(options: ArgumentParser) -> None:
    """Add the options of `markdup_of`."""
    marking = options.add_argument_group("duplicates (docs/from-the-aligner.md)")
    marking.add_argument(
        "--markdup", action="store_true",
        help="mark duplicates, as samtools markdup does; IN has been through samtools fixmate -m",
    )  # fmt: skip
    marking.add_argument(
        "--markdup-mode", choices=("t", "s"), metavar="t|s",
        help="compare the ends of templates (t, the default), or where the sequences of reads begin (s)",
    )  # fmt: skip
    marking.add_argument(
        "--max-read-length", type=int, metavar="N", help="length of the longest read (default: 300)"
    )
    marking.add_argument(
        "--remove-duplicates", action="store_true", help="leave duplicates out instead of marking them"
    )
    marking.add_argument(
        "--clear-duplicates", action="store_true", help="forget what earlier programs marked as duplicates"
    )
    marking.add_argument(
        "--include-fails", action="store_true", help="compare reads that failed quality checks, too"
    )
    marking.add_argument(
        "--use-read-groups", action="store_true", help="duplicates must be of the same read group"
    )
    barcode = marking.add_mutually_exclusive_group()
    barcode.add_argument(
        "--barcode-tag", metavar="TAG", help="duplicates must have the same value of this tag"
    )
    barcode.add_argument(
        "--barcode-name", action="store_true",
        help="duplicates must have the same barcode in their names: the eighth part, between colons",
    )  # fmt: skip
    barcode.add_argument(
        "--barcode-rgx", metavar="REGEX",
        help="the same, with a regular expression (POSIX, extended) whose first group is the barcode",
    )  # fmt: skip
    marking.add_argument(
        "--optical-distance", type=int, metavar="N",
        help="note in the tag dt which duplicates were read this near each other on the flow cell (SQ; others: LB)",
    )  # fmt: skip
    marking.add_argument(
        "--read-coords", metavar="REGEX",
        help="where names have the coordinates for that: an expression with groups (default: Illumina's names)",
    )  # fmt: skip
    marking.add_argument(
        "--coords-order", choices=ORDERS, metavar="txy|xy|...",
        help="what the groups are: x, y, and a part that must be equal (t); default: txy",
    )  # fmt: skip
    marking.add_argument(
        "--no-multi-dup", action="store_true", help="do not compare the duplicates of a read with each other"
    )
    marking.add_argument(
        "--duplicate-of", action="store_true", help="note in the tag do which read a read is a duplicate of"
    )
    marking.add_argument(
        "--duplicate-count", action="store_true", help="note in the tag dc how many reads a read stands for"
    )
    marking.add_argument(
        "--markdup-stats",
        metavar="FILE",
        help="write how many duplicates of which kind there are (.json: as JSON)",
    )


def markdup_of(args: Any, command: str) -> Markdup | None:
    """Return what the options of `add_markdup` say; `command`: as statistics name it. Raises UsageError for options that
    need --markdup."""
    given = {
        "mode": args.markdup_mode,
        "length": args.max_read_length,
        "remove": args.remove_duplicates,
        "clear": args.clear_duplicates,
        "include_fails": args.include_fails,
        "read_groups": args.use_read_groups,
        "barcode_tag": args.barcode_tag,
        "barcode_pattern": args.barcode_rgx or (BARCODE_IN_NAME if args.barcode_name else None),
        "optical_distance": args.optical_distance,
        "coordinates": args.read_coords,
        "order": args.coords_order,
        "originals": args.duplicate_of,
        "copies": args.duplicate_count,
        "statistics": args.markdup_stats,
    }
    given = {name: value for name, value in given.items() if value not in (None, False)}
    given |= {"chains": False} if args.no_multi_dup else {}
    if not args.markdup and given:
        raise UsageError("the options for duplicates need --markdup; add it, or leave them out")
    return Markdup(**given, command=command) if args.markdup else None
