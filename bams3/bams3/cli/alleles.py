"""bams3 alleles."""

from typing import Any

from bams3.cli.options import add_help, add_workers
from bams3.cli.parser import parser
from bams3.cli.reads import add_pileup, pileup_of
from bams3.errors import UsageError
from bams3.extras import need

_EXAMPLE = """\
  bams3 alleles --sites common.vcf.gz NA12878.bams3 NA12891.bams3 > counts.tsv
  bams3 alleles --sites common.bcf -q 20 -Q 20 -o counts.bcf NA12878.bams3 NA12891.bams3
output: a line for each site (in the order of the file) and sample, with positions from 1 (docs/alleles.md)"""
_FORMATS = (
    "tsv", "vcf", "vcf.gz", "bcf", "ubcf", "parquet", "bam-readcount", "alleleCounter", "CollectAllelicCounts",
)  # fmt: skip
_NAMES = {"vcf": "vcf", "vcf.gz": "vcf.gz", "vcf.bgz": "vcf.gz", "bcf": "bcf", "parquet": "parquet"}
"""The format of a file by the ending of its name."""
_WITHOUT_ALLELES = ("tsv", "parquet", "alleleCounter", "bam-readcount")


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser(
        command,
        "Count the bases at known sites, and the reads with each allele, in one or more datasets, as mpileup does.",
        _EXAMPLE,
    )
    options.add_argument("datasets", metavar="DATASET", nargs="+", help="datasets, each of one sample")
    options.add_argument(
        "--sites", "-T", "--targets-file", required=True, metavar="FILE",
        help="file of sites: a VCF or BCF (.vcf, .bcf), a BED file (.bed), or otherwise a table of contig, position "
        "(from 1) and, optionally, REF and ALT; it may be gzipped",
    )  # fmt: skip
    options.add_argument(
        "--format", choices=_FORMATS, metavar="NAME",
        help="a table (tsv); a VCF with DP, AD, ADF and ADR (vcf, vcf.gz), or BCF (bcf; ubcf: uncompressed); Parquet "
        "(parquet); or the layout of bam-readcount, alleleCounter or CollectAllelicCounts (default: implied by the "
        "name of FILE, otherwise tsv)",
    )  # fmt: skip
    options.add_argument(
        "-O", "--output-type", choices="vzbu", dest="output_type",
        help="the same as a letter, as in bcftools: VCF (v; z: bgzipped) or BCF (b; u: uncompressed)",
    )  # fmt: skip
    options.add_argument(
        "--strands", action="store_true", help="count each strand separately (table and Parquet only)"
    )
    add_pileup(options)
    options.add_argument(
        "-Q", "--min-BQ", "--min-baseq", type=int, default=0, metavar="N",
        help="count only bases of quality N or more (default 0: qualities are not read, which is faster)",
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
    from bams3.operations.alleles import VARIANT_FORMATS, write_alleles
    from bams3.output.files import open_output, refuse_inputs
    from bams3.parallel.workers import Workers

    refuse_inputs(args.output, *args.datasets, args.sites)
    format = _format_of(args)
    sites = SiteFile(args.sites)
    if format not in _WITHOUT_ALLELES and not sites.has_alleles:
        raise UsageError(
            f"--format {format} needs sites with REF and ALT, but {args.sites} is not a VCF or BCF; give one"
        )
    if format == "parquet":
        need("pyarrow", "--format parquet")
    keep_freed_memory()
    datasets = [open_reader([path]) for path in args.datasets]
    options = pileup_of(args)
    indexes = VARIANT_FORMATS.get(format, ())
    with Workers(args.workers) as workers, open_output(args.output, indexes=indexes) as file:
        if format == "parquet":
            from bams3.api.arrow import write_parquet
            from bams3.api.site_batches import site_batches

            found = site_batches(datasets, sites, options, args.min_BQ, workers, strands=args.strands)
            write_parquet(found, file)
        else:
            write_alleles(
                file, datasets, sites, options, args.min_BQ, workers, format=format, strands=args.strands
            )


def _format_of(args: Any) -> str:
    """Return the format that the options ask for or, by default, that of the output's name."""
    if args.output_type:
        format = {"v": "vcf", "z": "vcf.gz", "b": "bcf", "u": "ubcf"}[args.output_type]
        if args.format not in (None, format, format.removesuffix(".gz"), format.removeprefix("u")):
            raise UsageError(
                f"--format {args.format} and -O {args.output_type} contradict each other; give one of them"
            )
        return format
    by_name = (format for end, format in _NAMES.items() if args.output.endswith(f".{end}"))
    return args.format or next(by_name, "tsv")
