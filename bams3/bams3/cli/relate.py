"""bams3 relate."""

import argparse
import sys
from typing import Any

from bams3.cli.options import add_help, add_workers
from bams3.cli.parser import parser
from bams3.errors import UsageError
from bams3.shown import shown

_EXAMPLE = """\
  bams3 relate --sites common.vcf.gz -o cohort --samples samples.tsv NA12878.bams3 NA12891.bams3 NA12892.bams3
  bams3 relate --sites common.vcf.gz --count -o NA12878.counts NA12878.bams3     # one sample by itself
  bams3 relate --sites common.vcf.gz -o cohort *.counts
output: the findings, one per line, the most severe first; PREFIX.pairs.tsv, PREFIX.samples.tsv, PREFIX.findings.tsv
(docs/identity.md)"""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser(
        command,
        "Check the identity of samples, from common sites: the kinship of all pairs, and their sex and contamination.",
        _EXAMPLE,
    )
    options.add_argument(
        "samples",
        metavar="DATASET|COUNTS",
        nargs="+",
        help="datasets, or files written by --count (.counts)",
    )
    options.add_argument(
        "--sites", "-s", required=True, metavar="VCF",
        help="VCF (may be gzipped) or BCF of a few thousand common SNVs with one ALT; contamination is estimated if "
        "they have INFO/AF",
    )  # fmt: skip
    options.add_argument(
        "--samples", dest="sheet", metavar="SHEET",
        help="table of the expected identities: the column sample, and any of subject, sex, father and mother",
    )  # fmt: skip
    options.add_argument(
        "-o", "--output", metavar="PREFIX", help="prefix of the names of the tables (default: relate)"
    )
    options.add_argument(
        "--count", action="store_true",
        help="count one dataset, and write the counts to the file given by -o (.counts)",
    )  # fmt: skip
    options.add_argument(
        "-q", "--min-MQ", "--min-mapq", type=_natural, default=1, metavar="N",
        help="only reads with MAPQ N or more (default 1)",
    )  # fmt: skip
    options.add_argument(
        "-Q", "--min-BQ", "--min-baseq", type=_natural, default=0, metavar="N",
        help="only bases of quality N or more (default 0: qualities are not read, which is faster)",
    )  # fmt: skip
    options.add_argument(
        "--min-depth",
        type=_natural,
        default=7,
        metavar="N",
        help="genotypes need N reads or more (default 7)",
    )
    options.add_argument(
        "--min-balance", type=_balance, default=0.2, metavar="SHARE",
        help="minimum share of the rarer allele at a heterozygous site (default 0.2)",
    )  # fmt: skip
    add_workers(options)
    add_help(options)
    _run(options.parse_args(argv))
    return 0


def _natural(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number, 0 or more")
    return int(text)


def _balance(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0
    if not 0.1 <= found <= 0.5:
        raise argparse.ArgumentTypeError(f"{text!r}: give a share from 0.1 to 0.5")
    return found


def _run(args: Any) -> None:
    from bams3.buffer import keep_freed_memory
    from bams3.identity.counts import SUFFIX, Quality
    from bams3.identity.genotypes import Calling
    from bams3.identity.people import People, read_people
    from bams3.identity.sites import read_sites
    from bams3.operations.relate import count_sample, relate, report, sample_name
    from bams3.output.files import refuse_inputs
    from bams3.parallel.workers import Workers

    quality = Quality(args.min_MQ, args.min_BQ)
    notes: list[str] = []
    keep_freed_memory()
    if args.count:
        if len(args.samples) > 1 or not (args.output or "").endswith(SUFFIX):
            raise UsageError(
                "--count needs one dataset, and -o NAME.counts, where NAME is the name of the sample"
            )
        refuse_inputs(args.output, *args.samples, args.sites)
        with Workers(args.workers) as workers:
            count_sample(args.samples[0], args.output, read_sites(args.sites, notes.append), quality, workers)
        _tell(notes)
        return
    names = [sample_name(path) for path in args.samples]
    people = read_people(args.sheet, names) if args.sheet else People(names)
    sites = read_sites(args.sites, notes.append)
    with Workers(args.workers) as workers:
        findings = relate(
            f"{args.output or 'relate'}.", args.samples, sites, people, workers, quality=quality,
            calling=Calling(args.min_depth, args.min_balance),
            inputs=[path for path in (args.sites, args.sheet) if path],
        )  # fmt: skip
    _tell(notes)
    report(findings, len(names), len(sites), lambda text: print(shown(text)))


def _tell(notes: list[str]) -> None:
    """Print notes. This is called after success, so that the error of a failed command is the only line."""
    for note in notes:
        print(f"bams3 relate: {shown(note)}", file=sys.stderr)
