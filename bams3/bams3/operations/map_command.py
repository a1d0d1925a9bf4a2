"""Run a user's command on each chunk, with the chunk's records as input; its output goes to a file or to the caller."""

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
from threading import Lock, get_ident
from typing import IO, Any, BinaryIO, NamedTuple

from bams3 import temporary
from bams3.bam.records import RecordBlock
from bams3.chunk.entry import ChunkEntry
from bams3.dataset.generations import split_path
from bams3.dataset.hashed_paths import is_hashed
from bams3.dataset.layout import UNPLACED, chunk_path, unplaced_path
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, UsageError, message_of
from bams3.named import NamedFile
from bams3.operations.placeholders import for_a_shell, line_for_bash, mentions, variable, words_with
from bams3.output.alignments import Format, write_alignments
from bams3.output.files import local_folder
from bams3.parallel.workers import Workers
from bams3.shown import shown

GRACE = 5.0
"""Number of seconds between SIGTERM and SIGKILL, in which commands may exit."""


class ChunkJob(NamedTuple):
    """A chunk to run a command on. `number`: counts from 1."""

    number: int
    dataset: DatasetReader
    entry: ChunkEntry

    @property
    def chunk(self) -> str:
        """Path or URI of the chunk."""
        return self.dataset.chunk_uri(self.entry)


class Outcome(NamedTuple):
    """The outcome of a job's last attempt.

    Attributes
    ----------
    error
        Why it failed; None if it succeeded.
    started
        When it began, as Unix time.
    seconds
        How long it took.
    sent, received
        Number of bytes written to standard input, and read from standard output.
    code
        Exit code; negative if a signal with this number ended the command.
    output
        The command's standard output, unless it went to the job's file. The receiver of the outcome reads and closes
        it.
    """

    job: ChunkJob
    error: str | None
    started: float
    seconds: float
    sent: int
    received: int
    code: int
    output: BinaryIO | None


class CommandInput:
    """The standard input of a command, which may exit without reading it. `bytes`: number of bytes written."""

    def __init__(self, child: "subprocess.Popen[bytes]", pipe: IO[bytes]) -> None:
        self._child, self._pipe, self.bytes = child, pipe, 0
        self.closed = False

    def write(self, data: Any) -> None:
        """Write data. Raises BrokenPipeError if the command has stopped reading."""
        self._pipe.write(data)
        self.bytes += memoryview(data).nbytes

    def is_read(self) -> bool:
        """Wait until the command has read everything written so far; False if it exited first."""
        self._pipe.flush()
        pause = 0.0005
        while int.from_bytes(fcntl.ioctl(self._pipe, termios.FIONREAD, bytes(4)), sys.byteorder):
            if self._child.poll() is not None:
                return False
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
        return True


Sender = Callable[[ChunkJob, CommandInput], None]
"""Writes the records of a job's chunk."""


def alignments(format: Format, *, with_header: bool = True) -> Sender:
    """Return a sender that writes records in one of the formats of `write_alignments`."""

    def records(job: ChunkJob, pipe: CommandInput) -> Iterator[RecordBlock]:
        if pipe.is_read():  # many commands do not read their input; nothing is decoded for them
            for group in job.dataset.chunk(job.entry).row_groups:
                group.load()
                yield group.block()

    def send(job: ChunkJob, pipe: Any) -> None:
        write_alignments(records(job, pipe), job.dataset.header, pipe, format=format, with_header=with_header)

    return send


class ChunkCommand:
    """A command that is run on chunks, each time in a new process group.

    The placeholders {chunk}, {region}, {sample} and {output} in its words are replaced (see `placeholders`); other
    braces are left alone. The environment variables BAMS3_CHUNK and so on have the same values. A command of one word
    is a line for bash.

    The standard input of the command is what `sender` writes. With `directory`, there is a file for each chunk, named
    after the chunk and ending in `suffix`. It holds the command's standard output; but if the command mentions
    {output}, the command writes this file itself, and may write others next to it. Files appear only if the command
    succeeds, and replace only files that are named after the chunk.
    """

    def __init__(
        self, command: Sequence[str], *, sender: Sender | None = None, directory: str | None = None,
        suffix: str = "", sample: str | None = None, retries: int = 0, log: BinaryIO | None = None,
    ) -> None:  # fmt: skip
        """Prepare a command.

        `sample`: used in place of the dataset's name. `retries`: number of attempts after the first one. `log`:
        receives the standard error of the commands, and their standard output unless it goes to the chunk's file.
        Raises UsageError if the command is not found or misuses a placeholder, or if {output} is used without
        `directory`.
        """
        if not command[0].strip():
            raise UsageError("the command is empty; give one, with its arguments")
        if os.path.basename(suffix) != suffix:
            raise UsageError(f"suffix {suffix}: must not contain /, since it ends the name of each file")
        self._is_line = len(command) == 1
        self._command = (
            ["bash", "-euo", "pipefail", "-c", line_for_bash(command[0])] if self._is_line else command
        )
        self._prints = not mentions(command, "output")
        self._names_sample = any("{sample}" in word for word in command)
        if not self._prints and directory is None:
            raise UsageError("{output}: give a directory for the files that commands write (--output-dir)")
        if shutil.which(self._command[0]) is None:
            raise UsageError(f"{self._command[0]}: command not found")
        self._sender = sender
        self._directory = None if directory is None else local_folder(directory)
        self._suffix, self._sample = suffix, sample
        self._retries, self._log = retries, log
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self._lock = Lock()
        self._starter = 0  # the thread that starts a command at this moment

    def on_each(self, jobs: Iterable[ChunkJob], workers: int = 1) -> Iterator[Outcome]:
        """Run the command for each job, up to `workers` of them at the same time, and yield the outcomes.

        Outcomes that have an `output` come in order, others as soon as they are ready. Closing the iterator ends the
        running commands.
        """
        ordered = self._log is None and (self._directory is None or not self._prints)
        if self._directory is not None:
            os.makedirs(self._directory, exist_ok=True)
        with Workers(workers) as pool:
            try:
                yield from pool.map(self._run, jobs, ordered=ordered)
            finally:
                self._stop()

    def file_of(self, job: ChunkJob) -> str | None:
        """Return the path of a job's file in the directory; None without a directory."""
        if self._directory is None:
            return None
        name = "-".join(_plain_path(job).removesuffix(".chunk").split("/")[1:])
        return os.path.join(self._directory, f"{name}{self._suffix}")

    def line_of(self, job: ChunkJob) -> str:
        """Return the command of a job as a line for a shell. It ends with a comment: the location of the chunk, and the
        checksums of its footer and of the header.
        """
        values = self._values(job, self.file_of(job))
        words = self._command
        with suppress(UsageError):  # a refused command is shown as the user gave it
            words = self._words(values)
        checksums = f"{job.entry.footer_crc32:08x} {job.dataset.manifest.header_crc32:08x}"
        return f"{for_a_shell(words, _variables(values))} # {shown(job.chunk)} {checksums}"

    def _values(self, job: ChunkJob, output: str | None) -> dict[str, str]:
        """Return the values of the placeholders; no path among them can be mistaken for an option."""
        values = {
            "chunk": _no_option(job.chunk), "region": job.dataset.region(job.entry),
            "sample": self._sample or job.dataset.name,
        }  # fmt: skip
        return values if output is None else values | {"output": _no_option(output)}

    def _words(self, values: Mapping[str, str]) -> Sequence[str]:
        """Return the words to execute. Raises UsageError."""
        if self._names_sample and values["sample"].startswith("-"):
            raise UsageError(
                f"sample {values['sample']}: the name would be taken for an option; use the variable BAMS3_SAMPLE"
            )
        if any("\0" in value for value in values.values()):
            raise UsageError(f"{values['region']}: a name that contains a NUL can't be passed to a command")
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
                printed: Any = files.enter_context(NamedFile(path, "xb", self.file_of(job)))
            else:
                printed = self._log or TemporaryFile(dir=temporary.folder())  # noqa: SIM115
            error, sent = None, 0
            with self._child(words, _variables(values), printed) as child:
                try:
                    sent = self._send(job, child)
                except (Bams3Error, OSError) as failure:
                    error = message_of(failure)
                code = child.wait()
            received = os.fstat(printed.fileno()).st_size
            error = error or _why(code)
            if error is None:
                try:
                    appear()
                except (Bams3Error, OSError) as failure:
                    error = message_of(failure)
        output = None if printed.closed or printed is self._log else printed
        return Outcome(job, error, started, time.time() - started, sent, received, code, output)

    @contextmanager
    def _appearing(self, job: ChunkJob) -> Iterator[tuple[str | None, Any]]:
        """Yield the temporary path of the job's file, and a function that moves it into place."""
        target = self.file_of(job)
        if target is None:
            yield None, lambda: None
            return
        directory, name = os.path.split(target)
        stem = name.removesuffix(self._suffix)
        with TemporaryDirectory(prefix=f".{name}.", dir=directory, ignore_cleanup_errors=True) as folder:

            def appear() -> None:
                every = sorted(os.listdir(folder), key=name.__eq__)  # the file itself last
                if not every:
                    raise UsageError(
                        "the command succeeded, but did not write {output}; write it, even if empty, or leave {output} "
                        "out to keep what the command prints"
                    )
                for made in every:
                    if not made.startswith(stem) and os.path.lexists(os.path.join(directory, made)):
                        raise UsageError(
                            f"{os.path.join(directory, made)}: already exists, and may belong to someone else, "
                            "since its name does not begin with the chunk's; remove it"
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
            self._starter = get_ident()
            child = subprocess.Popen(
                words, stdin=stdin, stdout=output, stderr=self._log, env=environment, process_group=0
            )
            self._running.add(child)
            self._starter = 0
        if self._stopped:
            raise KeyboardInterrupt
        yield child
        # Not reached after an exception: the command may still run, and `_stop` ends it.
        self._running.discard(child)

    def _send(self, job: ChunkJob, child: "subprocess.Popen[bytes]") -> int:
        """Write the records to the command; return the number of bytes."""
        if self._sender is None or child.stdin is None:
            return 0
        pipe = CommandInput(child, child.stdin)
        with suppress(BrokenPipeError), child.stdin:
            self._sender(job, pipe)
        return pipe.bytes

    def interrupt(self, number: int, *_: object) -> None:
        """Handle a signal: end the running commands, start no more, and raise KeyboardInterrupt.

        The exception is raised later if this thread is just starting a command, which would otherwise keep running
        without a reference to it. It is raised only once, so that nothing interrupts the ending of the commands.
        """
        first, self._stopped = not self._stopped, True
        for child in list(self._running):
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
        if first and self._starter != get_ident():
            raise KeyboardInterrupt(number)

    def _stop(self) -> None:
        """End the running commands and their child processes."""
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


def _plain_path(job: ChunkJob) -> str:
    """Return the path that the chunk would have if it had no generation and were not hashed."""
    path, entry = split_path(job.entry.path)[0], job.entry
    if not is_hashed(path):
        return path
    if entry.reference_id == UNPLACED:
        return unplaced_path(entry.start)
    return chunk_path(job.dataset.references[entry.reference_id][0], entry.start, entry.end)


def _variables(values: Mapping[str, str]) -> dict[str, str]:
    """Return the values as environment variables."""
    return {variable(name): value for name, value in values.items()}


def _no_option(path: str) -> str:
    """Return a path to the same file that no command can mistake for an option."""
    return f"./{path}" if path.startswith("-") else path


def _why(code: int) -> str | None:
    """Return why a command failed; None if it succeeded."""
    if code < 0:
        return f"ended by signal {-code}"
    return f"exit code {code}" if code else None
