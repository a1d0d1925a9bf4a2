"""SAM and CRAM through htslib, turned into the same blocks of BAM records; and sorting.

samtools writes BAM that is not compressed into a pipe, and our own reader takes it from there.
"""

import gzip
import os
import re
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, cast

from bams3.errors import SourceError
from bams3.sources import Counts, Mapper
from bams3.sources.bgzf import BlockReader
from bams3.sources.files import STDIN, exists, open_input
from bams3.sources.records import RecordBlock
from bams3.sources.stream import read_header, record_blocks

SAMTOOLS = [sys.executable, "-m", "bams3.sources.samtools"]
SORT_MEMORY = "192M"
LOG_PREFIX = re.compile(r"^(\[[EW]::\w+\]|samtools \w+:) *", re.MULTILINE)


class HtslibSource:
    """A SAM file, plain or compressed, or a CRAM file (`kind` says which). See `Source`.

    `file`, if given, is what to read instead of opening `path`: standard input, from its start.
    """

    def __init__(
        self,
        path: str,
        kind: str,
        *,
        file: BinaryIO | None = None,
        index: str | None = None,
        reference: str | None = None,
    ) -> None:
        self.path = path
        self._kind = kind
        self._index = index
        self._reference = reference
        self._running: list[_View] = []
        view = self._view([path], file=file)
        self.header, rest = read_header(view)
        self._unread: tuple[_View, bytes] | None = (view, rest)

    def blocks(self, mapper: Mapper = map) -> Iterator[RecordBlock]:
        if self._unread:
            (view, rest), self._unread = self._unread, None
        elif self.path == STDIN:
            raise SourceError("standard input can be read only once; give a file")
        else:
            view = self._view([self.path])
            rest = read_header(view)[1]
        yield from self._records(view, rest, mapper)

    def window(self, reference_id: int, start: int, end: int, mapper: Mapper = map) -> Iterator[RecordBlock]:
        if start == 0 and self._lacks_positions(reference_id):
            # htslib finds these in no region of a CRAM, so all of the file is searched.
            yield from self._region(None, mapper, "-e", f"refid == {reference_id} && pos <= {end}")
        else:
            # The region is what overlaps; of that, what starts in the window.
            region = f"{{{self.header.references[reference_id][0]}}}:{start + 1}-{end}"
            yield from self._region(region, mapper, "-e", f"pos > {start} && pos <= {end}")

    def unplaced(self, mapper: Mapper = map) -> Iterator[RecordBlock]:
        yield from self._region("*", mapper)

    def counts(self) -> Counts | None:
        return None  # CRAI does not count records

    def sizes(self, windows: Sequence[tuple[int, int, int]]) -> list[int]:
        return [0] * len(windows)

    def close(self) -> None:
        for view in self._running:
            view.close()
        self._running.clear()

    def __enter__(self) -> "HtslibSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lacks_positions(self, reference_id: int) -> bool:
        """Whether, by the CRAI, some records of a reference have no position: a slice begins at POS 0."""
        path = self._index or f"{self.path}.crai"
        if self._kind != "CRAM" or not exists(path):
            return False
        with open_input(path) as file:
            data = file.read()
        try:
            lines = gzip.decompress(data).splitlines() if data[:2] == b"\x1f\x8b" else data.splitlines()
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{path}: {error}; make it again with samtools index") from None
        slices = (line.split(b"\t")[:2] for line in lines)
        return [b"%d" % reference_id, b"0"] in slices

    def _region(self, region: str | None, mapper: Mapper, *options: str) -> Iterator[RecordBlock]:
        if self._kind != "CRAM" or self.path == STDIN:
            raise SourceError(
                f"{self.path}: SAM and standard input can't be read by window; give a BAM or CRAM file"
            )
        files = ["-X", self.path, self._index] if self._index and region else [self.path]
        view = self._view([*options, *files, *([region] if region else [])])
        yield from self._records(view, read_header(view)[1], mapper)

    def _records(self, view: "_View", rest: bytes, mapper: Mapper) -> Iterator[RecordBlock]:
        try:
            yield from record_blocks(view, self.header, rest, mapper)
        finally:
            view.close()
            self._running.remove(view)

    def _view(self, arguments: list[str], *, file: BinaryIO | None = None) -> "_View":
        reference = ["-T", self._reference] if self._reference else []
        view = _View(self.path, [*reference, *arguments], file)
        self._running.append(view)
        return view


class SamtoolsProcess:
    """A running samtools: `stdin` (if asked for), `stdout`, and what it says."""

    def __init__(self, arguments: list[str], *, with_input: bool = True) -> None:
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [*SAMTOOLS, *arguments],
            stdin=subprocess.PIPE if with_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._messages,
        )
        self.stdin = cast(BinaryIO, self._process.stdin)
        self.stdout = cast(BinaryIO, self._process.stdout)

    def check(self, what: str) -> None:
        """Once its output has ended: raise SourceError with samtools' first messages if it failed."""
        if self._process.wait():
            self._messages.seek(0)
            raise SourceError(f"{what}: {_reason(self._messages.read())}")

    def close(self) -> None:
        """End the process, whether or not all of its output was wanted."""
        self._process.kill()
        self._process.wait()
        self.stdout.close()
        self._messages.close()


class _View:
    """A Reader of the BAM that `samtools view` makes of a file; `file` is its standard input, if given."""

    def __init__(self, name: str, arguments: list[str], file: BinaryIO | None) -> None:
        self.name = name
        command = ["view", "-u", "-h", "--no-PG", *arguments]
        self._process = SamtoolsProcess(command, with_input=file is not None)
        if file:
            threading.Thread(target=_copy, args=(file, self._process.stdin), daemon=True).start()
        self._blocks = BlockReader(self._process.stdout, name=name)

    def pieces(self, mapper: Mapper = map) -> Iterator[bytes]:
        try:
            yield from self._blocks.pieces(mapper)
        except SourceError:
            self._check()  # samtools knows better why its output is cut short
            raise
        self._check()

    def close(self) -> None:
        """End the process, whether or not all of its output was wanted."""
        self._process.close()

    def _check(self) -> None:
        self._process.check(f"{self.name}: htslib can't read it")


def _copy(file: BinaryIO, pipe: BinaryIO) -> None:
    try:
        with pipe:
            while part := file.read(1 << 16):
                pipe.write(part)
    except BrokenPipeError:
        pass  # samtools ended early, and says why


def sort(path: str, out: str, *, reference: str | None = None, threads: int = 1) -> None:
    """Sort alignments of any format by coordinate into a BAM file. Raises SourceError if htslib can't."""
    options = [
        "--no-PG",
        "-@",
        str(threads - 1),
        "-m",
        SORT_MEMORY,
        "-l",
        "1",
        "-O",
        "bam",
        "-T",
        f"{out}.tmp",
    ]
    if reference:
        options += ["--reference", reference]
    done = subprocess.run([*SAMTOOLS, "sort", *options, "-o", out, path], stderr=subprocess.PIPE)
    if done.returncode:
        raise SourceError(f"{path}: samtools can't sort it: {_reason(done.stderr)}")


@contextmanager
def sorted_copy(path: str, *, reference: str | None = None, threads: int = 1) -> Iterator[str]:
    """Context: the path of a temporary BAM file with the records of `path`, sorted by coordinate."""
    with tempfile.TemporaryDirectory(prefix="bams3-sort-") as folder:
        out = os.path.join(folder, "sorted.bam")
        sort(path, out, reference=reference, threads=threads)
        yield out


def _reason(messages: bytes) -> str:
    """One line of what samtools wrote to its standard error: the first two messages say most."""
    lines = LOG_PREFIX.sub("", messages.decode("utf-8", "replace")).splitlines()
    return "; ".join([line for line in lines if line][:2]) or "it crashed"
