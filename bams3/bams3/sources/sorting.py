"""Sorting of a source by coordinate, as `samtools sort` does, in bounded memory.

Records are put into buckets by their position. Worker threads sort a bucket while the ones before it are encoded. When
the buckets take more memory than allowed, they are sorted and written to a temporary file, which is called a run. At
the end, runs and buckets are merged while their records are encoded; the sorted records are not written to a file
first.
"""

from collections.abc import Iterator
from itertools import chain

from bams3.bam.header import Header
from bams3.bam.records import RecordBlock
from bams3.sources.buckets import Buckets, last_key_in_order
from bams3.sources.inputs import LateDisorderError, Mapper, Source
from bams3.sources.runs import FRAME, Load, SortedRun, call, frames_of, merge
from bams3.sources.wrapped import WrappedSource

BLOCK = 1 << 20  # approximate number of bytes in a block of sorted records
MOST_RUNS = 256
"""Greatest number of runs. When it is reached, they are merged into one, because each takes memory and an open file."""
MOST_BUCKETS = 1 << 12
LEAST_PAGE, MOST_PAGE = 1 << 12, 1 << 16  # bytes by which a bucket grows


class SortedSource(WrappedSource):
    """A source, sorted by coordinate. See `Source`. It can't be read by window.

    If the source can be read again, its records are first passed on in input order, which takes no extra time as long
    as they are sorted. If a record turns out to be out of order, `blocks` raises LateDisorderError, and sorts when it
    is called again.

    `memory`: bytes of memory that records may take before they are written to temporary files in `folder`.
    """

    def __init__(self, source: Source, memory: int, folder: str | None = None) -> None:
        super().__init__(source)
        self.header = sorted_header(source.header)
        self._memory, self._folder = memory, folder
        self._in_order = not source.once

    def blocks(self, mapper: Mapper = map, *, ordered: bool = True) -> Iterator[RecordBlock]:
        incoming = self._source.blocks(mapper, ordered=False)
        if self._in_order:
            key, passed = 0, False
            for block in incoming:
                key = last_key_in_order(block, key)
                if key < 0:
                    self._in_order = False
                    if passed:
                        raise LateDisorderError(f"{self.path}: not sorted by coordinate")
                    incoming = chain([block], incoming)
                    break
                yield block
                passed = True
        if not self._in_order:
            yield from self._sorted(incoming, mapper)

    def _sorted(self, blocks: Iterator[RecordBlock], mapper: Mapper) -> Iterator[RecordBlock]:
        most = min(max(self._memory // FRAME, 1), MOST_BUCKETS)
        page = min(max(self._memory // most // 16, LEAST_PAGE), MOST_PAGE)
        buckets = Buckets([length for _, length in self.header.references], most, page)
        runs: list[SortedRun] = []
        try:
            for block in blocks:
                buckets.add(block)
                if buckets.size > self._memory:
                    frames = frames_of(buckets.take(), 0, FRAME, mapper)
                    runs.append(self._run((frame.load for frame in frames), mapper))
                if len(runs) == MOST_RUNS:
                    joined = self._run(merge(runs, mapper), mapper)
                    while runs:
                        runs.pop().close()
                    runs.append(joined)
            frames = frames_of(buckets.take(), len(runs), FRAME if runs else BLOCK, mapper)
            yield from mapper(call, merge(runs, mapper, frames) if runs else (frame.load for frame in frames))
        finally:
            for run in runs:
                run.close()

    def _run(self, records: Iterator[Load], mapper: Mapper) -> SortedRun:
        run = SortedRun(self._folder, self.path)
        run.write(records, mapper)
        return run


def sorted_header(header: Header) -> Header:
    """Return the header as `samtools sort` writes it: its first line has SO:coordinate, and neither GO nor SS."""
    lines = header.text.split(b"\n")
    first = next((line for line in lines if line.startswith(b"@HD\t")), None)
    if first is not None:
        lines.remove(first)
    fields = (first or b"@HD\tVN:1.6").split(b"\t")
    for name, new in ((b"SO:", [b"SO:coordinate"]), (b"GO:", []), (b"SS:", [])):
        at = next((at for at, field in enumerate(fields) if field.startswith(name)), len(fields))
        fields[at : at + 1] = new  # only the first one, as samtools does
    return Header(b"\n".join([b"\t".join(fields), *lines]), header.references)
