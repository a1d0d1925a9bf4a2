"""bams3 alleles."""

from typing import Any

from bams3.cli.options import add_help, add_workers, parser
from bams3.cli.reads import add_pileup, pileup_of
from bams3.errors import UsageError

_EXAMPLE = """\
  bams3 alleles --sites common.vcf.gz NA12878.bams3 NA12891.bams3 > counts.tsv
  bams3 alleles --sites common.vcf.gz --format vcf -q 20 -Q 20 NA12878.bams3 | bcftools view -Ob > counts.bcf
output: a line for each site, in the order of the file, and each sample; positions from 1 (docs/alleles.md)"""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser(
        command,
        "Count the bases of the reads at known sites, as bcftools mpileup does, in one or more datasets.",
        _EXAMPLE,
    )
    options.add_argument("datasets", metavar="DATASET", nargs="+", help="datasets: a sample each")
    options.add_argument(
        "--sites", "-T", "--targets-file", required=True, metavar="FILE",
        help="the sites: a VCF (.vcf); a BED file (.bed); else lines of contig, position (from 1), and optionally REF "
        "and ALT; each may be gzipped",
    )  # fmt: skip
    options.add_argument(
        "--format", choices=("tsv", "vcf"), default="tsv",
        help="a table (tsv, the default), or a VCF with DP, AD, ADF and ADR",
    )  # fmt: skip
    options.add_argument("--strands", action="store_true", help="in the table, count each strand by itself")
    add_pileup(options)
    options.add_argument(
        "-Q", "--min-BQ", "--min-baseq", type=int, default=0, metavar="N",
        help="only bases of quality N or more; 0, the default, reads no qualities, which is faster",
    )  # fmt: skip
    options.add_argument(
        "-o", "--output", default="-", metavar="FILE", help="output file (default: standard output)"
    )
    add_workers(options)
    add_help(options)
    _print(options.parse_args(argv))
    return 0


def _print(args: Any) -> None:
    from bams3.alleles.known import SiteFile
    from bams3.buffer import keep_freed_memory
    from bams3.dataset.opening import open_reader
    from bams3.operations.alleles import write_alleles
    from bams3.output.files import open_output, refuse_inputs
    from bams3.parallel.workers import Workers

    refuse_inputs(args.output, *args.datasets, args.sites)
    sites = SiteFile(args.sites)
    if args.format == "vcf" and not sites.has_alleles:
        raise UsageError(f"--format vcf needs sites with REF and ALT: {args.sites} is not a VCF")
    keep_freed_memory()
    datasets = [open_reader([path]) for path in args.datasets]
    options = pileup_of(args)
    with Workers(args.workers) as workers, open_output(args.output) as file:
        write_alleles(
            file,
            datasets,
            sites,
            options,
            args.min_BQ,
            workers,
            strands=args.strands,
            vcf=args.format == "vcf",
        )
