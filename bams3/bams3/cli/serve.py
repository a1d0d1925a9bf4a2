"""bams3 serve."""

import os
import sys
from typing import Any

from bams3.cli.options import add_decoding, add_help, decode_for_long
from bams3.cli.parser import parser
from bams3.errors import UsageError
from bams3.storage import is_remote

_EXAMPLE = """\
  bams3 serve NA12878.bams3
  samtools view http://127.0.0.1:8080/bam/NA12878.bam chr20:1M-2M
  samtools view 'http://127.0.0.1:8080/reads/NA12878?referenceName=chr20&start=0&end=2000000'
  bams3 serve --host 0.0.0.0 --public s3://bucket/1000genomes"""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser(
        command,
        "Serve datasets as BAM files with an index over HTTP and by htsget, read-only, until Ctrl-C or SIGTERM.\n"
        "Nothing is converted; only what is read is decoded. Requests are logged to standard error.",
        _EXAMPLE,
    )
    options.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="+",
        help="datasets, or folders or prefixes of datasets; new ones that appear there are served, too",
    )
    options.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1: only this machine)"
    )
    options.add_argument(
        "--port",
        type=int,
        default=8080,
        metavar="N",
        help="port to listen on (default 8080; 0: any free one)",
    )
    options.add_argument(
        "--public",
        action="store_true",
        help="let everyone who can reach the address, and any web page, read the datasets",
    )
    options.add_argument(
        "--tokens", metavar="FILE",
        help="let clients read what their bearer tokens grant according to this table (docs/bridge.md)",
    )  # fmt: skip
    options.add_argument(
        "--certificate", default="", metavar="PEM", help="serve https:// with this certificate"
    )
    options.add_argument("--key", default="", metavar="PEM", help="the private key of the certificate")
    options.add_argument(
        "--bigwigs", metavar="FOLDER",
        help="offer the bigWig file NAME.bw in this folder or prefix along with the dataset NAME (a folder such as the "
        "workflow's results/coverage)",
    )  # fmt: skip
    add_decoding(options, "a quarter of the available memory, from 512 to 4096, but at most half of it")
    add_help(options)
    args = options.parse_args(argv)
    if args.public and args.tokens:
        raise UsageError("--public and --tokens cannot be combined; give one of them")
    if bool(args.certificate) != bool(args.key):
        raise UsageError("--certificate and --key belong together; give both")
    if args.bigwigs and not (is_remote(args.bigwigs) or os.path.isdir(args.bigwigs)):
        raise UsageError(
            f"--bigwigs {args.bigwigs}: no such folder; give the folder that has the files NAME.bw"
        )
    return _serve(args)


def _serve(args: Any) -> int:
    from bams3.extras import need

    for package in ("starlette", "uvicorn"):
        need(package, "serve")
    from bams3.bridge.access import Tokens
    from bams3.bridge.decoder import Decoder, bytes_for_many
    from bams3.bridge.http_app import application
    from bams3.bridge.http_server import is_local, listen, run, url_of
    from bams3.bridge.library import Library
    from bams3.parallel.workers import worker_count

    decode_for_long()
    workers = worker_count(args.workers)
    tokens = Tokens(args.tokens) if args.tokens else None
    library = Library(args.sources, Decoder(args.memory or bytes_for_many(), workers), args.bigwigs)
    app = application(library, workers, for_all=args.public, tokens=tokens)
    with listen(args.host, args.port) as opened:
        if not (is_local(opened) or args.public or tokens):
            raise UsageError(
                f"--host {args.host}: others could read the datasets; give --tokens, or --public if they may"
            )
        if tokens and not (is_local(opened) or args.certificate):
            print(
                "bams3 serve: note: tokens and reads are not encrypted: give --certificate, or use a proxy with TLS",
                file=sys.stderr,
            )
        url, count = url_of(opened, "https" if args.certificate else "http"), len(library.names())

        def ready() -> None:
            print(f"{url}: {count} datasets, until Ctrl-C", flush=True)

        run(app, opened, ready, args.certificate, args.key)
    return 0
