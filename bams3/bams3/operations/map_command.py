"""A user's command on each chunk, which reads its records; what it writes is in a file for each, or handed back."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Lock
from typing import IO, Any, BinaryIO, NamedTuple

from bams3.bam.records import RecordBlock
from bams3.chunk.entry import ChunkEntry
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, UsageError
from bams3.operations.placeholders import for_a_shell, line_for_bash, mentions, variable, words_with
from bams3.output.alignments import Format, write_alignments
from bams3.output.files import refuse_folder
from bams3.parallel.workers import Workers
from bams3.shown import shown

GRACE = 5.0
"""Seconds that commands have to end by themselves when they are told to."""


class ChunkJob(NamedTuple):
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

    job: ChunkJob
    error: str | None
    started: float
    seconds: float
    sent: int
    received: int
    code: int
    output: BinaryIO | None


class Input:
    """The standard input of a command, which it need not read. `bytes`: that were written."""

    def __init__(self, child: "subprocess.Popen[bytes]", pipe: IO[bytes]) -> None:
        self._child, self._pipe, self.bytes = child, pipe, 0
        self.closed = False

    def write(self, data: Any) -> None:
        """Raises BrokenPipeError where the command reads no more."""
        self._pipe.write(data)
        self.bytes += memoryview(data).nbytes

    def is_read(self) -> bool:
        """Wait until the command has read what was written; False if it ended before."""
        self._pipe.flush()
        pause = 0.0005
        while int.from_bytes(fcntl.ioctl(self._pipe, termios.FIONREAD, bytes(4)), sys.byteorder):
            if self._child.poll() is not None:
                return False
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
        return True


Sender = Callable[[ChunkJob, Input], None]
"""Writes the records of a job's chunk."""


def alignments(format: Format, *, with_header: bool = True) -> Sender:
    """Records as a format of `write_alignments`."""

    def records(job: ChunkJob, pipe: Input) -> Iterator[RecordBlock]:
        if pipe.is_read():  # many commands read nothing: nothing is decoded for them
            for group in job.dataset.chunk(job.entry).row_groups:
                group.load()
                yield group.block()

    def send(job: ChunkJob, pipe: Any) -> None:
        write_alignments(records(job, pipe), job.dataset.header, pipe, format=format, with_header=with_header)

    return send


class ChunkCommand:
    """A command that is run on chunks, each time in a process group of its own.

    In its words {chunk}, {region}, {sample} and {output} are replaced (see `placeholders`), and other braces stay;
    BAMS3_CHUNK and so on are in its environment. A command of one word is a line for bash. It reads what `sender`
    writes. In `directory` every chunk has a file, named after it and ending in `suffix`, that appears when the command
    has succeeded: {output}, with what lies beside it, or else what is printed. It replaces files named after the chunk,
    and no others.
    """

    def __init__(
        self, command: Sequence[str], *, sender: Sender | None = None, directory: str | None = None,
        suffix: str = "", sample: str | None = None, retries: int = 0, log: BinaryIO | None = None,
    ) -> None:  # fmt: skip
        """`sample`: in place of the dataset's name; `retries`: tries after the first; `log`: gets what commands say, on
        standard error or, unless that is the chunk's file, standard output. Raises UsageError.
        """
        self._is_line = len(command) == 1
        self._command = (
            ["bash", "-euo", "pipefail", "-c", line_for_bash(command[0])] if self._is_line else command
        )
        self._prints = not mentions(command, "output")
        self._names_sample = any("{sample}" in word for word in command)
        if not self._prints and directory is None:
            raise UsageError("{output}: give a directory for what commands write (--output-dir)")
        if shutil.which(self._command[0]) is None:
            raise UsageError(f"{self._command[0]}: there is no such command")
        self._sender = sender
        self._directory, self._suffix, self._sample = directory, suffix, sample
        self._retries, self._log = retries, log
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self._lock = Lock()

    def on_each(self, jobs: Iterable[ChunkJob], workers: int = 1) -> Iterator[Outcome]:
        """Run it for so many jobs at once. Outcomes come in order if they have an output, otherwise as they are ready.

        Leaving the iterator ends the commands that run.
        """
        ordered = self._log is None and (self._directory is None or not self._prints)
        if self._directory is not None:
            refuse_folder(self._directory)
            os.makedirs(self._directory, exist_ok=True)
        with Workers(workers) as pool:
            try:
                yield from pool.map(self._run, jobs, ordered=ordered)
            finally:
                self._stop()

    def file_of(self, job: ChunkJob) -> str | None:
        """The file of a job in the directory."""
        if self._directory is None:
            return None
        name = "-".join(job.entry.path.removesuffix(".chunk").split("/")[1:])
        return os.path.join(self._directory, f"{name}{self._suffix}")

    def line_of(self, job: ChunkJob) -> str:
        """What is run for a job: a line for a shell, which ends with the chunk as a comment."""
        values = self._values(job, self.file_of(job))
        words = self._command
        with suppress(UsageError):  # what is refused stands there as it was given
            words = self._words(values)
        return f"{for_a_shell(words, _variables(values))} # {shown(job.chunk)}"

    def _values(self, job: ChunkJob, output: str | None) -> dict[str, str]:
        """Of the placeholders; none of a file can be taken for an option."""
        values = {
            "chunk": _no_option(job.chunk), "region": job.dataset.region(job.entry),
            "sample": self._sample or job.dataset.name,
        }  # fmt: skip
        return values if output is None else values | {"output": _no_option(output)}

    def _words(self, values: Mapping[str, str]) -> Sequence[str]:
        """The words to execute. Raises UsageError."""
        if self._names_sample and values["sample"].startswith("-"):
            raise UsageError(
                f"sample {values['sample']}: it would be taken for an option; give the variable BAMS3_SAMPLE its place"
            )
        if any("\0" in value for value in values.values()):
            raise UsageError(f"{values['region']}: no command can be told a name with a NUL in it")
        return self._command if self._is_line else words_with(values, self._command)

    def _run(self, job: ChunkJob) -> Outcome:
        for _ in range(self._retries):
            outcome = self._try(job)
            if outcome.error is None:
                return outcome
            if outcome.output:
                outcome.output.close()
        return self._try(job)

    def _try(self, job: ChunkJob) -> Outcome:
        started = time.time()
        with self._appearing(job) as (path, appear), ExitStack() as files:
            values = self._values(job, path)
            try:
                words = self._words(values)
            except UsageError as refusal:
                return Outcome(job, str(refusal), started, 0, 0, 0, 0, None)
            if path and self._prints:
                printed: Any = files.enter_context(open(path, "wb"))
            else:
                printed = self._log or TemporaryFile()  # noqa: SIM115
            error, sent = None, 0
            with self._child(words, _variables(values), printed) as child:
                try:
                    sent = self._send(job, child)
                except (Bams3Error, OSError) as failure:
                    error = str(failure)
                code = child.wait()
            received = os.fstat(printed.fileno()).st_size
            error = error or _why(code)
            if error is None:
                try:
                    appear()
                except (Bams3Error, OSError) as failure:
                    error = str(failure)
        output = None if printed.closed or printed is self._log else printed
        return Outcome(job, error, started, time.time() - started, sent, received, code, output)

    @contextmanager
    def _appearing(self, job: ChunkJob) -> Iterator[tuple[str | None, Any]]:
        """Where the job's file is to be written, and what to call when it is whole."""
        target = self.file_of(job)
        if target is None:
            yield None, lambda: None
            return
        directory, name = os.path.split(target)
        stem = name.removesuffix(self._suffix)
        with TemporaryDirectory(prefix=f".{name}.", dir=directory) as folder:

            def appear() -> None:
                every = sorted(os.listdir(folder), key=name.__eq__)  # the file itself last
                for made in every:
                    if not made.startswith(stem) and os.path.lexists(os.path.join(directory, made)):
                        raise UsageError(
                            f"{os.path.join(directory, made)}: exists, and is not named after the chunk"
                        )
                for made in every:
                    os.replace(os.path.join(folder, made), os.path.join(directory, made))

            yield os.path.join(folder, name), appear

    @contextmanager
    def _child(
        self, words: Sequence[str], variables: Mapping[str, str], output: BinaryIO
    ) -> Iterator[subprocess.Popen[bytes]]:
        environment = os.environ | variables
        stdin = subprocess.PIPE if self._sender else subprocess.DEVNULL
        with self._lock:
            if self._stopped:
                raise InterruptedError("stopped")
            child = subprocess.Popen(
                words, stdin=stdin, stdout=output, stderr=self._log, env=environment, process_group=0
            )
            self._running.add(child)
        yield child
        self._running.discard(child)  # not after an exception: it may run on, and is to be stopped

    def _send(self, job: ChunkJob, child: "subprocess.Popen[bytes]") -> int:
        """Write the records; the number of bytes."""
        if self._sender is None or child.stdin is None:
            return 0
        pipe = Input(child, child.stdin)
        with suppress(BrokenPipeError), child.stdin:
            self._sender(job, pipe)
        return pipe.bytes

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


def _variables(values: Mapping[str, str]) -> dict[str, str]:
    """The values as environment variables."""
    return {variable(name): value for name, value in values.items()}


def _no_option(path: str) -> str:
    """The same file, by a path that no command takes for an option."""
    return f"./{path}" if path.startswith("-") else path


def _why(code: int) -> str | None:
    """Why a command failed, if it did."""
    if code < 0:
        return f"ended by signal {-code}"
    return f"exit code {code}" if code else None
