"""Joint variant calling with bcftools at some intervals in many datasets; bcftools reads each dataset through a pipe.

A call depends on more than the reads at its position: bcftools recalibrates the base qualities of a read once, at the
first indel that it finds in the read, and it merges the qualities of overlapping mates. So bcftools also processes the
positions covered by the reads at the borders of an interval, and by the reads that overlap those. Calls outside the
interval are dropped. A gVCF block belongs to the interval in which it begins, so it may need reads far beyond it.
"""

import os
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bams3 import temporary
from bams3.bam.regions import Region
from bams3.dataset.opening import open_readers
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error
from bams3.operations import bcf
from bams3.operations.bcftools import CALL, MPILEUP, Options, check_contigs, options
from bams3.operations.targets import Interval, Targets
from bams3.operations.varying import is_safe, varying
from bams3.output.alignments import bam_bytes, bgzf, feeding
from bams3.output.files import open_output
from bams3.parallel.limits import allow_files
from bams3.parallel.workers import in_order
from bams3.select.query import RecordFilter, columns, query

OTHER_FILES = 100
"""Number of files that a process may have open besides its pipes."""

LEVEL = 2  # BGZF compression level
AT_ONCE = 32  # datasets that are searched at the same time
LEAD = 1000
"""Number of positions before an interval that bcftools also processes, because it takes BQBZ and MQSBZ of an indel from
the last position with a mismatch."""


def call_jointly(
    datasets: Mapping[str, str], intervals: Sequence[Interval], reference: str, out: str, log: Any, *,
    targets: Sequence[Interval] | None = None, mpileup: str = "", call: str = "",
    files: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Run `bcftools mpileup | bcftools call` on all datasets, and write the records that begin in the intervals.

    Each dataset has a thread that feeds its pipe and holds 10 to 25 MB of decoded records.

    Parameters
    ----------
    datasets
        Path or URI of each dataset, by sample name. These names replace those of the read groups.
    intervals
        (contig, start, end), 0-based and half-open, in order.
    reference
        Path of a FASTA file that has a `.fai` index.
    out
        Path or URI of the BCF file to write.
    log
        Open file for the messages of bcftools.
    targets
        Intervals like `intervals`. If given, the result is that of `bcftools mpileup -T targets`.
    mpileup, call
        Additional options of either command, quoted as in a shell.
    files
        Actual paths of files that these options name, by the name in the options, where they differ.

    Raises
    ------
    UsageError
        If an option may not be set, a contig has a name that bcftools can't read, or the limit on open files is too
            low.
    Bams3Error
        If a dataset is damaged or bcftools fails.
    """
    chosen = options(MPILEUP, mpileup), options(CALL, call)
    allow_files(2 * len(datasets) + OTHER_FILES)
    readers = dict(zip(datasets, open_readers(datasets.values(), prefetch=()), strict=True))
    called = None if targets is None else Targets(targets)
    check_contigs(next(iter(readers.values())).references)
    looked_at = _around(list(readers.values()), intervals, called, has_blocks=_has_blocks(*chosen))
    if called is not None:
        looked_at = [found for place in looked_at for found in called.within(*place)]
    visited: Iterable[Interval] = looked_at
    if is_safe(*chosen):
        visited = varying(list(readers.values()), looked_at, reference)
    pileup_words, call_words = (
        list(given.words(lambda path: os.path.abspath((files or {}).get(path, path)))) for given in chosen
    )
    with open_output(out) as file, TemporaryDirectory(dir=temporary.folder()) as work, ExitStack() as feeds:
        pipes = {sample: os.pipe() for sample in datasets}
        fds = {sample: read for sample, (read, _) in pipes.items()}
        command = _pileup_command(Path(work), fds, visited)
        pileup, caller = _started(command, reference, fds.values(), pileup_words, call_words, log)
        for sample, (_, writable) in pipes.items():
            pipe = open(writable, "wb", buffering=0)  # noqa: SIM115 (feeding closes it)
            feeds.enter_context(feeding(pipe, _bam(readers[sample], looked_at)))
        in_order = not chosen[1].has("i")  # with -i, sites without reads come after all others
        is_done = _write(caller.stdout, file, _bounds(next(iter(readers.values())), intervals), in_order)
        if is_done:
            pileup.kill()
        codes = [caller.wait(), pileup.wait()]
        feeds.close()
        if any(codes) and not is_done:
            raise Bams3Error("bcftools failed")


def _started(
    command: list[str], reference: str, readable: Collection[int], mpileup: list[str], call: list[str], log: Any
) -> tuple["subprocess.Popen[bytes]", "subprocess.Popen[bytes]"]:  # fmt: skip
    """Start `bcftools mpileup`, which inherits the `readable` ends of the pipes, and `bcftools call` on its output."""
    # bcftools writes the path of the reference into the header. Run in its folder, it writes the file name alone.
    folder, fasta = os.path.split(os.path.abspath(reference))
    pileup = subprocess.Popen(
        [*command, "-f", fasta, *mpileup], cwd=folder, stdout=subprocess.PIPE, stderr=log, pass_fds=readable
    )
    caller = subprocess.Popen(
        ["bcftools", "call", "--no-version", "-Ou", *call],
        stdin=pileup.stdout, stdout=subprocess.PIPE, stderr=log,
    )  # fmt: skip
    pileup.stdout.close()  # type: ignore[union-attr]
    for read in readable:
        os.close(read)
    return pileup, caller


def _has_blocks(mpileup: Options, call: Options) -> bool:
    return call.has("g") or (mpileup.has("g") and not call.has("v"))


def _around(
    readers: Sequence[DatasetReader], intervals: Sequence[Interval], called: Targets | None, *, has_blocks: bool
) -> list[Interval]:  # fmt: skip
    """Return the intervals, the first and the last extended by what bcftools must process around them."""
    lengths = dict(readers[0].references)

    def is_called(*place: Any) -> bool:
        return called is None or called.any_within([place])

    around = list(intervals)
    contig, start, end = around[0]
    if start > 0 and is_called(contig, 0, start):
        around[0] = (contig, _reach(readers, contig, max(0, start - LEAD), end)[0], end)
    contig, start, end = around[-1]
    if end < lengths[contig] and is_called(contig, end, lengths[contig]):
        reached = lengths[contig] if has_blocks else _reach(readers, contig, start, end)[1]
        around[-1] = (contig, start, min(reached, lengths[contig]))
    return around


def _reach(readers: Sequence[DatasetReader], contig: str, start: int, end: int) -> tuple[int, int]:
    """Return the extent of the reads at the two ends of an interval, and of the reads at the ends of that extent."""
    reference_id = [name for name, _ in readers[0].references].index(contig)

    def reads(reader: DatasetReader) -> tuple[int, int]:
        ends = [Region(reference_id, at, at + 1) for at in sorted({start, end - 1})]
        found = list(columns(reader, ends, RecordFilter(), ("pos", "endpos")))
        first = min((int(table["pos"].min()) for table in found), default=start)
        return first, max((int(table["endpos"].max()) for table in found), default=end)

    for _ in range(2):
        reached = list(in_order(reads, readers, min(AT_ONCE, len(readers))))
        start = max(0, min(start, *(first for first, _ in reached)))
        end = max(end, *(last for _, last in reached))
    return start, end


def _bounds(reader: DatasetReader, intervals: Sequence[Interval]) -> tuple[bcf.Position, bcf.Position]:
    """Return the first position of the intervals and the end of the last one, each as (contig index, position)."""
    number = {name: i for i, (name, _) in enumerate(reader.references)}
    (first, start, _), (last, _, end) = intervals[0], intervals[-1]
    return (number[first], start), (number[last], end)


def _write(stream: Any, file: Any, bounds: tuple[bcf.Position, bcf.Position], in_order: bool) -> bool:
    """Write the records of a stream that begin within bounds; return True if reading stopped early, past the bounds."""
    with stream:
        records = bcf.BcfReader(stream)
        for part in bgzf(records.within(*bounds, in_order=in_order), LEVEL, 1):
            file.write(part)
    return records.is_done


def _pileup_command(work: Path, fds: Mapping[str, int], intervals: Iterable[Interval]) -> list[str]:
    """Return the `bcftools mpileup` command that reads these file descriptors, and write its list files to `work`."""
    path_of = {sample: f"/dev/fd/{fd}" for sample, fd in fds.items()}
    lists: dict[str, Iterable[str]] = {
        "-T": (f"{contig}\t{start}\t{end}" for contig, start, end in intervals),
        "-G": (f"{group}\t{path}\t{sample}" for sample, path in path_of.items() for group in "*?"),
        "-b": path_of.values(),
    }
    command = ["bcftools", "mpileup", "--no-version", "-Ou"]
    for option, lines in lists.items():
        file = work / f"{option[1:]}.bed"  # the extension .bed makes positions 0-based
        with file.open("w", encoding="utf-8", errors="surrogateescape") as made:
            made.writelines(f"{line}\n" for line in lines)
        command += [option, str(file)]
    return command


def _bam(dataset: DatasetReader, intervals: Iterable[Interval]) -> Iterable[Any]:
    """Yield the reads of a dataset that overlap the intervals, as uncompressed BAM."""
    ids = {name: i for i, (name, _) in enumerate(dataset.references)}
    regions = [Region(ids[contig], start, end) for contig, start, end in intervals]
    yield from bam_bytes(query(dataset, regions, RecordFilter()), dataset.header)
