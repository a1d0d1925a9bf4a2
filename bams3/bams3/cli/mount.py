"""bams3 mount."""

from collections.abc import Callable
from functools import partial
from typing import Any

from bams3.cli.options import add_decoding, add_help, decode_for_long
from bams3.cli.parser import parser
from bams3.errors import UsageError

_EXAMPLE = """\
  bams3 mount NA12878.bams3 mnt -- samtools view -c mnt/NA12878.bam chr20:1M-2M
  bams3 mount s3://bucket/cohort mnt -- bash -c 'mosdepth -n S1 mnt/S1.bam'
  bams3 mount NA12878.bams3 mnt"""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser(
        command,
        "Show datasets in a folder as read-only BAM files with an index, while COMMAND runs or, without a command,\n"
        "until Ctrl-C or umount. Nothing is converted; only what is read is decoded.",
        _EXAMPLE,
    )
    options.usage = "bams3 mount [OPTION …] SOURCE … MOUNTPOINT [-- COMMAND [ARGUMENT …]]"
    options.add_argument(
        "sources", metavar="SOURCE", nargs="+", help="datasets, or folders or prefixes of datasets"
    )
    options.add_argument(
        "mountpoint", metavar="MOUNTPOINT", help="an empty folder, or a new one, which is removed at the end"
    )
    add_decoding(options, "512, or half of the available memory if that is less")
    add_help(options)
    end = argv.index("--") if "--" in argv else len(argv)
    args = options.parse_args(argv[:end])
    words = argv[end + 1 :]
    if end < len(argv) and not words:
        options.error("give a command after --")
    return _mount(args, words)


def _mount(args: Any, words: list[str]) -> int:
    from bams3.extras import need

    try:
        need("mfusepy", "mount")
    except OSError:
        raise UsageError("mount needs libfuse; install the system package fuse3") from None
    from bams3.bridge import mount
    from bams3.bridge.command import run_served, serve_until_stopped

    with mount.mountpoint(args.mountpoint) as folder:

        def serve(ready: Callable[[], None]) -> None:
            mount.serve(_files(args), folder, ready)

        end = partial(mount.unmount, folder)
        if words:
            return run_served(serve, end, words)
        started = f"{folder}: mounted until Ctrl-C or umount"
        serve_until_stopped(serve, end, lambda: print(started, flush=True))
    return 0


def _files(args: Any) -> Any:
    from bams3.bridge.decoder import Decoder, bytes_for_one
    from bams3.bridge.shelf import datasets_of, files
    from bams3.parallel.workers import worker_count

    decode_for_long()
    return files(
        datasets_of(args.sources), Decoder(args.memory or bytes_for_one(), worker_count(args.workers))
    )
