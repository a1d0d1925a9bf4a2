"""bams3 export."""

from bams3.cli.bar import progress_beside
from bams3.cli.options import add_help, add_workers
from bams3.cli.parser import parser
from bams3.cli.reads import add_filters, add_regions, filter_of, regions_of
from bams3.select.schema import RECORD_FIELDS, SCHEMA, checked_fields

_EXAMPLE = f"""\
  bams3 export --parquet reads.parquet NA12878.bams3
  bams3 export --parquet chr20.parquet --fields rname,pos,mapq,[NM] -q 30 NA12878.bams3 chr20
fields: {" ".join(SCHEMA)};
tags as [NM]. Positions are 0-based, ends exclusive. docs/engines/arrow.md lists the types"""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser(
        command, "Export columns of the reads that overlap regions and pass filters to Parquet.", _EXAMPLE
    )
    options.add_argument("dataset", metavar="DATASET")
    add_regions(options)
    options.add_argument(
        "--parquet",
        required=True,
        metavar="FILE",
        help="the file to write: a path, a URI, or - for standard output",
    )
    options.add_argument(
        "--fields",
        default=",".join(RECORD_FIELDS),
        metavar="NAME,…",
        help="columns (default: SAM's columns and endpos)",
    )
    add_filters(options)
    add_workers(options)
    add_help(options)
    args = options.parse_args(argv)

    from bams3.buffer import keep_freed_memory
    from bams3.extras import need

    need("pyarrow", "export")
    from bams3.api.arrow import record_batches, write_parquet
    from bams3.dataset.opening import inputs_of, open_reader
    from bams3.output.files import open_output, refuse_inputs

    keep_freed_memory()
    names = checked_fields(args.fields.split(","))
    inputs, args.regions = inputs_of([args.dataset, *args.regions])
    refuse_inputs(args.parquet, *inputs, args.regions_file)
    dataset = open_reader(inputs)
    regions = regions_of(dataset, args.regions, args.regions_file)
    batches = record_batches(dataset, regions, filter_of(args), names, args.workers)
    with progress_beside(args.parquet, "read") as progress, open_output(args.parquet) as file:
        write_parquet(batches, file, progress)
    return 0
