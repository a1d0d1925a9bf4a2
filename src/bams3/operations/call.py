"""Variants of some places in many datasets, called jointly by bcftools, which reads each dataset through a pipe."""

import os
import shlex
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, UsageError
from bams3.operations.export import bam_bytes, feeding
from bams3.operations.outputs import opened
from bams3.operations.query import RecordFilter, query
from bams3.regions import Region

OTHER_FILES = 100
"""That a process has open besides its pipes."""

Place = tuple[str, int, int]


def call_jointly(
    datasets: Mapping[str, str], places: Sequence[Place], reference: str, out: str, log: Any, *,
    mpileup: str = "", call: str = "",
) -> None:  # fmt: skip
    """Write the BCF of `bcftools mpileup | bcftools call` of all datasets (sample → path or URI) to `out`.

    `places`: (contig, start, end), 0-based half-open, in order. `reference`: a FASTA with its `.fai`. Samples have
    the names given, whatever their read groups say. `mpileup`, `call`: more options of each, as a shell has them.
    `log`: an open file for what bcftools says. A thread feeds each dataset's pipe, so that memory is what all have
    decoded at a time: some 10 to 25 MB each.

    Raises UsageError where that many pipes can't be open, Bams3Error where a dataset is damaged or bcftools fails.
    """
    _allow_files(2 * len(datasets) + OTHER_FILES)
    # What bcftools is told of the reference stands in its header: a name, wherever that is.
    folder, fasta = os.path.split(os.path.abspath(reference))
    with opened(out) as file, TemporaryDirectory() as work, ExitStack() as feeds:
        pipes = {sample: os.pipe() for sample in datasets}
        readable = [read for read, _ in pipes.values()]
        pileup = subprocess.Popen(
            [*_pileup_command(Path(work), dict(zip(datasets, readable, strict=True)), places), "-f", fasta,
             *shlex.split(mpileup)],
            cwd=folder, stdout=subprocess.PIPE, stderr=log, pass_fds=readable,
        )  # fmt: skip
        caller = subprocess.Popen(
            ["bcftools", "call", "--no-version", "-Ob", *shlex.split(call)],
            stdin=pileup.stdout, stdout=file, stderr=log,
        )  # fmt: skip
        pileup.stdout.close()  # type: ignore[union-attr]
        for read in readable:
            os.close(read)
        for sample, (_, writable) in pipes.items():
            pipe = open(writable, "wb", buffering=0)  # noqa: SIM115 (feeding closes it)
            feeds.enter_context(feeding(pipe, _bam(datasets[sample], places)))
        codes = [caller.wait(), pileup.wait()]
        feeds.close()
        if any(codes):
            raise Bams3Error("bcftools failed")


def _pileup_command(work: Path, fds: Mapping[str, int], places: Iterable[Place]) -> list[str]:
    """`bcftools mpileup` of what comes through the file descriptors of the samples; `work`: where its lists are."""
    path_of = {sample: f"/dev/fd/{fd}" for sample, fd in fds.items()}
    lists = {
        "-T": [f"{contig}\t{start}\t{end}" for contig, start, end in places],
        "-G": [f"{group}\t{path}\t{sample}" for sample, path in path_of.items() for group in "*?"],
        "-b": path_of.values(),
    }
    command = ["bcftools", "mpileup", "--no-version", "-Ou"]
    for option, lines in lists.items():
        file = work / f"{option[1:]}.bed"  # by this name, places count from 0
        file.write_bytes("".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))
        command += [option, str(file)]
    return command


def _bam(uri: str, places: Iterable[Place]) -> Iterable[Any]:
    """A dataset's reads that overlap the places, as BAM before compression; a generator, so a thread can open it."""
    dataset = DatasetReader(uri)
    ids = {name: i for i, (name, _) in enumerate(dataset.references)}
    regions = [Region(ids[contig], start, end) for contig, start, end in places]
    yield from bam_bytes(query(dataset, regions, RecordFilter()), dataset.header)


def _allow_files(number: int) -> None:
    """Raise the limit of open files as far as is needed. Raises UsageError where it can't be."""
    import resource

    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and number > most:
        raise UsageError(
            f"{number} files would have to be open, but the limit is {most}; raise it (ulimit -Hn)"
        )
    if soft != resource.RLIM_INFINITY and number > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, most))
