"""bams3 fastq."""

from typing import Any

from bams3.cli.bar import progress_bar
from bams3.cli.options import add_help, add_workers, flag_bits
from bams3.cli.parser import EachBit, explain, parser
from bams3.cli.reads import add_regions, regions_of
from bams3.errors import UsageError

_EXAMPLE = """\
  bams3 fastq -1 r1.fq.gz -2 r2.fq.gz -0 /dev/null -s /dev/null -n NA12878.bams3
  bams3 fastq -o pairs.fq -s single.fq NA12878.bams3 chr20:1M-2M
  bams3 fastq NA12878.bams3 chrM | bwa mem -p ref.fa -

order: that of samtools collate: mates are together, and pairs are shuffled, as aligners expect. The reads wait for
their mates in temporary files in TMPDIR; about a million of them are in memory at a time."""

_FILES = {
    "-1": "first reads of pairs",
    "-2": "second reads of pairs",
    "-0": "reads that are marked as neither first nor second, or as both",
    "-s": "reads whose mates are not among the reads; with -s, only pairs go to -1, -2 and -o",
}
_PASSED = {
    "-n": "leave names unchanged: no /1 and /2",
    "-N": "always add /1 or /2 to the name",
    "-O": "write the qualities of the OQ tag, where there is one",
    "-t": "append the tags RG, BC and QT to the name line",
}
"""Options of samtools fastq that have no value. All except the first two need tags."""
_EXPLAINED = dict.fromkeys(
    (
        "-i",
        "--index-format",
        "--i1",
        "--i2",
        "--barcode-tag",
        "--quality-tag",
        "-v",
        "-d",
        "--tag",
        "-D",
        "--tag-file",
    ),
    "use samtools: bams3 query -u DATASET | samtools collate -O - | samtools fastq … -",
)
_NOT_PRIMARY = 0x900


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser(
        "fastq",
        "Write the reads of a dataset, or those that overlap regions, as FASTQ, with samtools fastq's options. Mates\n"
        "are written together. Without -1, -2, -0 and -o, everything goes to standard output.",
        _EXAMPLE,
    )
    options.add_argument("dataset", metavar="DATASET", help="a dataset, or chunks of one")
    add_regions(options)
    for name, description in _FILES.items():
        options.add_argument(name, dest=name, metavar="FILE", help=description)
    options.add_argument(
        "-o", dest="both", metavar="FILE", help="reads of pairs, alternating: -1 and -2 in one file"
    )
    for name, description in _PASSED.items():
        options.add_argument(name, dest=name, action="store_true", help=description)
    options.add_argument(
        "-T", dest="tags", metavar="TAG,…", help="append these tags to the name line; * or none: all"
    )
    for names, bits, description in (
        (("-f", "--require-flags"), 0, "only reads with all of these FLAG bits"),
        (("-F", "--exclude-flags"), _NOT_PRIMARY, "only reads with none of these FLAG bits (default 0x900)"),
        (("--rf", "--include-flags"), 0, "only reads with any of these FLAG bits"),
        (("-G",), 0, "leave out reads with all of these FLAG bits"),
    ):
        options.add_argument(
            *names, dest=names[0], action=EachBit if bits == 0 else "store", type=flag_bits, default=bits,
            metavar="FLAG", help=description,
        )  # fmt: skip
    options.add_argument(
        "-c", dest="level", type=int, default=1, choices=range(10), metavar="N",
        help="compression level of files that end in .gz, 0 to 9 (default 1)",
    )  # fmt: skip
    explain(options, _EXPLAINED)
    add_workers(options)
    add_help(options)
    _fastq(options.parse_args(argv))
    return 0


def _fastq(args: Any) -> None:
    from bams3.bam.header import Header
    from bams3.buffer import keep_freed_memory
    from bams3.dataset.layout import HEADER, INDEX
    from bams3.dataset.opening import inputs_of, open_reader
    from bams3.output.fastq import write_fastq
    from bams3.output.files import refuse_inputs
    from bams3.parallel.workers import Workers, watched
    from bams3.select.query import RecordFilter, query, reads

    keep_freed_memory()
    inputs, texts = inputs_of([args.dataset, *args.regions])
    files = _files_of(args)
    for name in files.values():
        refuse_inputs(name, *inputs, args.regions_file)
    dataset = open_reader(inputs, prefetch=(INDEX, HEADER))
    regions = regions_of(dataset, texts, args.regions_file)
    given = vars(args)
    words = [name for name in _PASSED if given[name]] + (["-T", args.tags] if args.tags is not None else [])
    with_tags = bool({"-O", "-t", "-T"}.intersection(words))
    flags = [word for name in ("-f", "-F", "--rf", "-G") for word in (name, str(given[name]))]
    chosen = RecordFilter(given["-f"], given["-F"])
    with Workers(args.workers) as shared, progress_bar("read") as progress:
        blocks = (query if with_tags else reads)(dataset, regions, chosen, shared)
        write_fastq(
            watched(blocks, len, progress), dataset.header if with_tags else Header(b"", ()), files, [*words, *flags],
            shared, records=dataset.manifest.records, level=args.level,
        )  # fmt: skip


def _files_of(args: Any) -> dict[str, str]:
    """Return the file for each option of samtools. Raises UsageError if two options share a file, unless for mates."""
    files = {name: vars(args)[name] for name in _FILES if vars(args)[name] is not None}
    if args.both is not None:
        if "-1" in files or "-2" in files:
            raise UsageError("-o is short for -1 and -2 with the same file; give one or the other")
        files |= {"-1": args.both, "-2": args.both}
    own = [file for name, file in files.items() if file not in ("-", "/dev/null") and name in ("-0", "-s")]
    pairs = {files.get("-1"), files.get("-2")}
    if len(set(own)) < len(own) or pairs.intersection(own):
        raise UsageError("-0 or -s has the same FILE as another option; give each option a different one")
    return files
