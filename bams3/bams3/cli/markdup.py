"""bams3 markdup, and the options that it shares with convert --markdup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bams3.cli.bar import progress_bar
from bams3.cli.options import OF_A_BAM, add_help, add_workers, fraction
from bams3.cli.parser import explain, parser
from bams3.duplicates.options import BARCODE_IN_NAME, ORDERS, Markdup
from bams3.errors import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser

_EXAMPLE = """\
  bams3 markdup -f duplicates.txt sample.bams3 marked.bams3
  bams3 markdup -r -d 2500 --barcode-tag RX sample.bams3 deduplicated.bams3
  bams3 markdup --batch 3/8 sample.bams3 marked.bams3   # one of eight jobs; then: bams3 merge marked.bams3"""

_INSTEAD = OF_A_BAM | {
    "-u": "the output is a dataset, of the same level; bams3 rewrite --level changes it",
    "-T": "use --tmp-dir, which takes a folder",
    "--move-umi-to-tag": "names are not changed; run samtools markdup on a BAM, and convert the result",
}


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser(command, "Mark the duplicates in a dataset, and write a new dataset.", _EXAMPLE)
    options.add_argument(
        "source",
        metavar="DATASET",
        help="a dataset whose reads have been through fixmate (convert --fixmate)",
    )
    options.add_argument("dataset", metavar="OUT", help="the dataset to write, at another path or URI")
    options.add_argument(
        "--batch", type=fraction, metavar="i/n|array/n",
        help="mark the duplicates of batch i of n, or of the array job's batch, compared with all reads; finish with "
        "bams3 merge OUT",
    )  # fmt: skip
    add_workers(options)
    options.add_argument(
        "--verify", action="store_true", help="read the new chunks back before the dataset is complete"
    )
    options.add_argument(
        "--overwrite", action="store_true",
        help="replace OUT if it is a dataset; with --batch, mark that batch again",
    )  # fmt: skip
    duplicates = options.add_argument_group("duplicates (docs/from-the-aligner.md)")
    _add_options(duplicates, letters=True)
    duplicates.add_argument(
        "--tmp-dir",
        metavar="DIR",
        help="with -S: the folder for a temporary file (default: $TMPDIR, or /tmp)",
    )
    duplicates.add_argument(
        "-s", dest="stats", action="store_true", help="write the statistics of -f to standard error"
    )
    duplicates.add_argument("--json", action="store_true", help="write the statistics as JSON")
    explain(options, _INSTEAD)
    add_help(options)
    args = options.parse_args(argv)

    from bams3.buffer import keep_freed_memory
    from bams3.operations.markdup import markdup

    if (args.stats or args.json) and not args.markdup_stats:
        args.markdup_stats = "/dev/stderr"
    keep_freed_memory()
    with progress_bar("read") as bar:
        markdup(
            args.source, args.dataset, markdup_of(args, " ".join(["bams3", command, *argv]), json=args.json),
            workers=args.workers, overwrite=args.overwrite, verify=args.verify, progress=bar, tmp_dir=args.tmp_dir,
            batch=args.batch,
        )  # fmt: skip
    return 0


def add_markdup(options: ArgumentParser) -> None:
    """Add --markdup, and the options of `markdup_of`."""
    group = options.add_argument_group("duplicates (docs/from-the-aligner.md)")
    group.add_argument(
        "--markdup", action="store_true",
        help="mark duplicates, as samtools markdup does; needs --fixmate, or an IN that has been through fixmate",
    )  # fmt: skip
    _add_options(group)


_SWITCHES = (
    ("-r", "--remove-duplicates", "leave duplicates out instead of marking them"),
    ("-c", "--clear-duplicates", "remove the marks of earlier programs first"),
    (
        "-S",
        "--mark-supplementary",
        "also mark other alignments of a duplicate, and its unmapped mate; all reads are kept on disk until the end",
    ),
    ("", "--include-fails", "also compare reads that failed quality checks"),
    ("", "--use-read-groups", "duplicates must be of the same read group"),
    ("", "--no-multi-dup", "do not compare the duplicates of a read with each other"),
    ("-t", "--duplicate-of", "write the name of the read that a read duplicates to its tag do"),
    ("", "--duplicate-count", "write the number of reads that a read represents to its tag dc"),
)
_VALUES: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("-m", "--markdup-mode", {"choices": ("t", "s"), "metavar": "t|s"},
     "compare the ends of templates (t, the default), or where the sequences of reads begin (s)"),
    ("-l", "--max-read-length", {"type": int, "metavar": "N"}, "length of the longest read (default: 300)"),
    ("-d", "--optical-distance", {"type": int, "metavar": "N"},
     "write SQ to the tag dt of duplicates that are at most N apart on the flow cell, and LB to that of the others"),
    ("", "--read-coords", {"metavar": "REGEX"},
     "regular expression whose groups are the coordinates in a name (default: Illumina's names)"),
    ("", "--coords-order", {"choices": ORDERS, "metavar": "txy|xy|..."},
     "what the groups are: x, y, and a part that must be equal (t); default: txy"),
    ("-f", "--markdup-stats", {"metavar": "FILE"},
     "write the number of duplicates of each kind (.json: as JSON)"),
)  # fmt: skip
_BARCODES: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("--barcode-tag", {"metavar": "TAG"}, "duplicates must have the same value of this tag"),
    ("--barcode-name", {"action": "store_true"},
     "duplicates must have the same barcode in their names: the eighth field, separated by colons"),
    ("--barcode-rgx", {"metavar": "REGEX"},
     "the same, with a regular expression (POSIX, extended) whose first group is the barcode"),
)  # fmt: skip


def _add_options(options: Any, *, letters: bool = False) -> None:
    """Add the options for marking. `letters`: whether to add the one-letter options of samtools, too."""
    for letter, name, what in _SWITCHES:
        options.add_argument(*_names(letter, name, letters), action="store_true", help=what)
    for letter, name, fields, what in _VALUES:
        options.add_argument(*_names(letter, name, letters), help=what, **fields)
    barcode = options.add_mutually_exclusive_group()
    for name, fields, what in _BARCODES:
        barcode.add_argument(name, help=what, **fields)


def _names(letter: str, name: str, letters: bool) -> list[str]:
    return [letter, name] if letter and letters else [name]


def markdup_of(args: Any, command: str, *, json: bool = False) -> Markdup:
    """Return the `Markdup` that the options describe.

    `command`: the command line that the statistics state. `json`: write them as JSON, whatever the name of their file.
    """
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
        "supplementary": args.mark_supplementary,
        "statistics": args.markdup_stats,
    }
    given = {name: value for name, value in given.items() if value not in (None, False)}
    given |= {"chains": False} if args.no_multi_dup else {}
    return Markdup(**given, json=json or str(args.markdup_stats).endswith(".json"), command=command)


def wanted_markdup(args: Any, command: str) -> Markdup | None:
    """Do the same for the options of `add_markdup`; None without --markdup.

    Raises UsageError for options that need it.
    """
    options = markdup_of(args, command)
    if not args.markdup and options != Markdup(json=options.json, command=command):
        raise UsageError("the options for duplicates need --markdup; add it, or leave them out")
    return options if args.markdup else None
