"""A user's command on each chunk, which reads its records; what it writes is in a file for each, or handed back."""

import fcntl
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Lock
from typing import IO, Any, BinaryIO, Literal, NamedTuple

from bams3.dataset.manifest import ChunkEntry
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, UsageError
from bams3.operations.export import Format, write_alignments
from bams3.operations.workers import Workers
from bams3.sources.records import RecordBlock

InputFormat = Literal["sam", "bam", "none"]
_WRITTEN_AS: dict[InputFormat, Format] = {"sam": "sam", "bam": "ubam"}  # a pipe needs no compression

GRACE = 5.0
"""Seconds that commands have to end by themselves when they are told to."""


class Job(NamedTuple):
    """A chunk to run a command on; `number`: from 1."""

    number: int
    dataset: DatasetReader
    entry: ChunkEntry

    @property
    def chunk(self) -> str:
        """Its path or URI."""
        return self.dataset.chunk_uri(self.entry)


class Outcome(NamedTuple):
    """How the last try of a job ended.

    `error`: why it failed; `started`: Unix time; `seconds`: how long it took; `sent`, `received`: bytes on standard
    input and output; `code`: its exit code, or minus the signal that ended it; `output`: what it printed, if that is
    not in the job's file: to be read and closed.
    """

    job: Job
    error: str | None
    started: float
    seconds: float
    sent: int
    received: int
    code: int
    output: BinaryIO | None


class ChunkCommand:
    """A command that is run on chunks, each time in a process group of its own.

    In its words {chunk}, {region}, {sample} and {output} are replaced, and other braces stay. A command of one word is
    a line for bash, where what they are replaced by is quoted. It gets the records as `input_format`, with the header
    unless `with_header` is false. In `directory` every chunk has a file, named after it and ending in `suffix`, that
    appears when the command has succeeded: {output}, with what lies beside it, or else what is printed.
    """

    def __init__(
        self, command: Sequence[str], *, input_format: InputFormat = "none", with_header: bool = True,
        directory: str | None = None, suffix: str = "", sample: str | None = None, retries: int = 0,
        log: BinaryIO | None = None,
    ) -> None:  # fmt: skip
        """`sample`: in place of the dataset's name; `retries`: tries after the first; `log`: gets what commands say, on
        standard error or, unless that is the chunk's file, standard output. Raises UsageError.
        """
        self._line = command[0] if len(command) == 1 else None
        self._command = command
        self._prints = not any("{output}" in word for word in command)
        if not self._prints and directory is None:
            raise UsageError("{output}: give a directory for what commands write (--output-dir)")
        if self._line is None and "{" not in command[0] and shutil.which(command[0]) is None:
            raise UsageError(f"{command[0]}: there is no such command")
        self._format, self._with_header = input_format, with_header
        self._directory, self._suffix, self._sample = directory, suffix, sample
        self._retries, self._log = retries, log
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self._lock = Lock()

    def on_each(self, jobs: Iterable[Job], workers: int = 1) -> Iterator[Outcome]:
        """Run it for so many jobs at once. Outcomes come in order if they have an output, otherwise as they are ready.

        Leaving the iterator ends the commands that run.
        """
        ordered = self._log is None and (self._directory is None or not self._prints)
        if self._directory is not None:
            os.makedirs(self._directory, exist_ok=True)
        with Workers(workers) as pool:
            try:
                yield from pool.map(self._run, jobs, ordered=ordered)
            finally:
                self._stop()

    def file_of(self, job: Job) -> str | None:
        """The file of a job in the directory."""
        if self._directory is None:
            return None
        name = "-".join(job.entry.path.removesuffix(".chunk").split("/")[1:])
        return os.path.join(self._directory, f"{name}{self._suffix}")

    def line_of(self, job: Job) -> str:
        """What is run for a job: a line for a shell, which ends with the chunk as a comment."""
        words = self._words(job, self.file_of(job))
        text = shlex.join(words) if self._line is None else words[-1]
        return f"{' '.join(text.split())} # {job.chunk}"

    def _words(self, job: Job, output: str | None) -> list[str]:
        """The words to execute."""
        values = {
            "chunk": job.chunk, "region": job.dataset.region(job.entry),
            "sample": self._sample or job.dataset.uri.rpartition("/")[2].removesuffix(".bams3"),
        }  # fmt: skip
        values |= {"output": output or ""}
        if self._line is not None:
            values = {name: shlex.quote(value) for name, value in values.items()}
        words = [
            re.sub(r"\{(chunk|region|sample|output)\}", lambda found: values[found[1]], word)
            for word in self._command
        ]
        return words if self._line is None else ["bash", "-euo", "pipefail", "-c", *words]

    def _run(self, job: Job) -> Outcome:
        for _ in range(self._retries):
            outcome = self._try(job)
            if outcome.error is None:
                return outcome
            if outcome.output:
                outcome.output.close()
        return self._try(job)

    def _try(self, job: Job) -> Outcome:
        started = time.time()
        with self._appearing(job) as (path, appear), ExitStack() as files:
            if path and self._prints:
                printed: Any = files.enter_context(open(path, "wb"))
            else:
                printed = self._log or TemporaryFile()  # noqa: SIM115
            error, sent = None, 0
            with self._child(self._words(job, path), printed) as child:
                try:
                    sent = self._send(job, child)
                except (Bams3Error, OSError) as failure:
                    error = str(failure)
                code = child.wait()
            received = os.fstat(printed.fileno()).st_size
            error = error or _why(code)
            if error is None:
                appear()
        output = None if printed.closed or printed is self._log else printed
        return Outcome(job, error, started, time.time() - started, sent, received, code, output)

    @contextmanager
    def _appearing(self, job: Job) -> Iterator[tuple[str | None, Any]]:
        """Where the job's file is to be written, and what to call when it is whole."""
        target = self.file_of(job)
        if target is None:
            yield None, lambda: None
            return
        directory, name = os.path.split(target)
        with TemporaryDirectory(prefix=f".{name}.", dir=directory) as folder:

            def appear() -> None:
                for made in sorted(os.listdir(folder), key=name.__eq__):  # the file itself last
                    os.replace(os.path.join(folder, made), os.path.join(directory, made))

            yield os.path.join(folder, name), appear

    @contextmanager
    def _child(self, words: list[str], output: BinaryIO) -> Iterator[subprocess.Popen[bytes]]:
        stdin = subprocess.DEVNULL if self._format == "none" else subprocess.PIPE
        with self._lock:
            if self._stopped:
                raise InterruptedError("stopped")
            child = subprocess.Popen(words, stdin=stdin, stdout=output, stderr=self._log, process_group=0)
            self._running.add(child)
        yield child
        self._running.discard(child)  # not after an exception: it may run on, and is to be stopped

    def _send(self, job: Job, child: "subprocess.Popen[bytes]") -> int:
        """Write the records to the standard input of a command, which need not read them; the number of bytes."""
        if child.stdin is None or self._format == "none":
            return 0
        pipe: Any = _Counted(child.stdin)
        with suppress(BrokenPipeError), child.stdin:
            write_alignments(
                self._records(job, child), job.dataset.header, pipe, format=_WRITTEN_AS[self._format],
                with_header=self._with_header,
            )  # fmt: skip
        return pipe.bytes

    @staticmethod
    def _records(job: Job, child: "subprocess.Popen[bytes]") -> Iterator[RecordBlock]:
        """The records, decoded once the command has read what was sent before: many commands read nothing."""
        assert child.stdin
        child.stdin.flush()
        pause = 0.0005
        while _unread(child.stdin):
            if child.poll() is not None:
                return
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
        for group in job.dataset.chunk(job.entry).row_groups:
            group.load()
            yield group.block()

    def _stop(self) -> None:
        """End the commands that run, and those that they started."""
        with self._lock:
            self._stopped = True
        running = list(self._running)
        for how in (signal.SIGTERM, signal.SIGKILL):
            for child in running:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, how)
            deadline = time.monotonic() + GRACE
            for child in running:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(max(0, deadline - time.monotonic()))


def _unread(pipe: IO[bytes]) -> int:
    """Bytes in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


class _Counted:
    """A pipe, with the number of bytes that were written."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe, self.bytes = pipe, 0

    def write(self, data: Any) -> None:
        self._pipe.write(data)
        self.bytes += len(data)


def _why(code: int) -> str | None:
    """Why a command failed, if it did."""
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"exit code {code}" if code else None
