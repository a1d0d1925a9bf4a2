"""The options of what marks duplicates: convert --markdup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bams3.errors import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from bams3.duplicates.options import Markdup


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


def markdup_of(args: Any) -> Markdup | None:
    """Return what the options of `add_markdup` say. Raises UsageError for those that need --markdup."""
    given = {
        "mode": args.markdup_mode,
        "length": args.max_read_length,
        "remove": args.remove_duplicates,
        "clear": args.clear_duplicates,
        "include_fails": args.include_fails,
        "read_groups": args.use_read_groups,
        "barcode_tag": args.barcode_tag,
        "barcode_pattern": args.barcode_rgx,
    }
    given = {name: value for name, value in given.items() if value not in (None, False)}
    if not args.markdup:
        if given or args.barcode_name:
            raise UsageError("the options for duplicates need --markdup; add it, or leave them out")
        return None
    from bams3.duplicates.options import BARCODE_IN_NAME, Markdup

    if args.barcode_name:
        given["barcode_pattern"] = BARCODE_IN_NAME
    return Markdup(**given)
