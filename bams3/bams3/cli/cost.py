"""bams3 cost."""

from typing import Any

from bams3.cli.options import add_help
from bams3.cli.parser import parser
from bams3.cli.reads import add_filters, filter_of
from bams3.errors import UsageError

_EXAMPLE = """\
  bams3 cost NA12878.bams3 query chr20:1M-2M
  bams3 cost NA12878.bams3 count -L exons.bed -q 30
  bams3 cost --per-gb 0 NA12878.bams3 coverage   # from a machine in the store's region
count REGION… estimates bams3 query -c; count -L BED estimates bams3 count --regions BED.
output: requests, bytes received, US dollars
The estimate reads the manifest and the index and, for count with -r or -e, the footers of chunks."""

_OPERATIONS = ("query", "count", "coverage")


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    from bams3.dataset.opening import inputs_of
    from bams3.operations import cost

    options = parser(
        command,
        "Estimate the requests, bytes and price of an operation on a dataset in an object store.",
        _EXAMPLE,
    )
    options.add_argument("dataset", metavar="DATASET")
    options.add_argument("operation", metavar="OPERATION", help="query, count or coverage")
    options.add_argument(
        "regions",
        metavar="REGION",
        nargs="*",
        help="regions (for coverage: whole contigs); default: everything",
    )
    options.add_argument("-L", "--regions-file", metavar="BED", help="regions from a BED file")
    add_filters(options)
    options.add_argument(
        "--per-million-requests", type=float, default=cost.PER_MILLION_REQUESTS, metavar="USD",
        help="price per million requests (default %(default)s)",
    )  # fmt: skip
    options.add_argument(
        "--per-gb",
        type=float,
        default=cost.PER_GB,
        metavar="USD",
        help="price per 10^9 bytes (default %(default)s)",
    )
    add_help(options)
    args = options.parse_intermixed_args(argv)
    inputs, words = inputs_of([args.dataset, args.operation, *args.regions])
    if not words or words[0] not in _OPERATIONS:
        options.error(f"OPERATION must be one of {', '.join(_OPERATIONS)}")
    args.dataset, args.operation, args.regions = inputs, words[0], words[1:]
    found = _cost(args)
    price = found.usd(args.per_million_requests, args.per_gb)
    print(f"requests\t{found.requests}\nbytes\t{found.bytes}\nUSD\t{price:.6f}")
    return 0


def _cost(args: Any) -> Any:
    from bams3.bam.regions import parse_regions, read_bed
    from bams3.dataset.opening import open_reader
    from bams3.operations.cost import count_cost, count_each_cost, coverage_cost, query_cost

    if args.regions and args.regions_file:
        raise UsageError("regions and -L cannot be combined; give one of them")
    dataset = open_reader(args.dataset)
    if args.operation == "coverage":
        ids = {name: reference_id for reference_id, (name, _) in enumerate(dataset.references)}
        if args.regions_file or not ids.keys() >= set(args.regions):
            raise UsageError(
                "coverage takes names of whole contigs of the dataset; give none for all contigs"
            )
        return coverage_cost(dataset, [ids[name] for name in args.regions] or ids.values())
    record_filter = filter_of(args)
    intervals = read_bed(args.regions_file, dataset.references) if args.regions_file else None
    regions = parse_regions(args.regions, dataset.references) if args.regions else intervals
    if args.operation == "query":
        return query_cost(dataset, regions, record_filter)
    if intervals is not None:
        return count_each_cost(dataset, intervals, record_filter)
    return count_cost(dataset, regions, record_filter)
