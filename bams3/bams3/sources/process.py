"""samtools as a child process that gets its input from a feed, and whose messages are watched."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from threading import Lock
from typing import Any, BinaryIO, cast

from bams3 import temporary
from bams3.errors import SourceError
from bams3.named import named
from bams3.sources.messages import Messages, show
from bams3.sources.pipes import Feeder

SAMTOOLS = [sys.executable, "-P", "-m", "bams3.sources.samtools"]
"""Without -P, modules in the working directory would replace packages."""


class SamtoolsProcess:
    """A running samtools process, with its `stdout` and its messages.

    Parameters
    ----------
    arguments
        The command and its options.
    name, what
        The beginning of errors, such as "x.sam" and "htslib cannot read it".
    feed
        Data that a thread writes to standard input.
    refused
        Makes the error for a message that means that data are lost.
    allow_truncated
        Whether a missing end-of-file marker is accepted.
    """

    def __init__(
        self, arguments: list[str], name: str, what: str, feed: Iterable[Any] | None = None, *,
        refused: Callable[[str], SourceError] | None = None, allow_truncated: bool | None = None,
    ) -> None:  # fmt: skip
        self._name, self._what = name, what
        self._refused = refused or self._error
        self._messages = Messages(allow_truncated)
        self._written = tempfile.TemporaryFile(dir=temporary.folder())  # noqa: SIM115
        self._heard = 0
        self._lost: SourceError | None = None
        self._lock = Lock()
        self._stopped = False
        self._process = subprocess.Popen(
            [*SAMTOOLS, *arguments],
            stdin=subprocess.DEVNULL if feed is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._written,
            bufsize=0,
            close_fds=not any(
                "/dev/fd/" in word for word in arguments
            ),  # samtools must inherit the descriptors of <(…) in a shell
        )
        self.stdout = cast(BinaryIO, self._process.stdout)
        self._feeder = None if feed is None else Feeder(self._process.stdin, self._heeded(feed))

    @property
    def truncated(self) -> bool:
        """Whether samtools reported that its input lacks the end-of-file marker, and this is allowed."""
        return self._messages.truncated

    def check(self, *, cut: bool = False) -> None:
        """Check the exit code and the messages at the end of the output, and show warnings.

        `cut`: the output ended too early, so the messages state the reason, whatever the exit code. Raises the error of
        the input, or SourceError for the exit code or the messages.
        """
        failed = self._process.wait()
        if self._feeder and (self._stopped or not failed):
            self._feeder.join()
        if self._feeder and self._feeder.failure:
            raise self._feeder.failure
        self.heed(last=True)
        wrong = self._messages.reason() if failed or (cut and self._messages) else self._messages.error()
        if not wrong and self._feeder and self._feeder.unread:
            wrong = "there are data after the point where samtools stops reading"
        if wrong:
            raise self._error(wrong)
        for warning in self._messages.warnings():
            show(self._name, warning)

    def close(self) -> None:
        """End the process, whether or not all of its output has been read."""
        self._process.kill()
        self._process.wait()
        self.stdout.close()
        with suppress(OSError):  # nothing is lost
            self._written.close()

    def _heeded(self, feed: Iterable[Any]) -> Iterator[Any]:
        """Yield the feed; stop as soon as it fails or samtools reports that data are lost."""
        try:
            for part in feed:
                yield part
                self.heed()
        except Exception:
            self._stopped = True
            self._process.kill()
            raise

    def heed(self, *, last: bool = False) -> None:
        """Read the messages since the last call.

        Raises SourceError if samtools has ever reported that data are lost.
        """
        with self._lock:
            while not self._lost and (part := self._more()):
                self._heard += len(part)
                self._take(part)
            if last and not self._lost:
                self._take(b"", last=True)
        if self._lost:
            raise self._lost

    def _more(self) -> bytes:
        with named(temporary.folder()):
            return os.pread(self._written.fileno(), 1 << 16, self._heard)

    def _take(self, said: bytes, *, last: bool = False) -> None:
        lost = self._messages.take(said, last=last)
        if lost:
            self._lost = self._refused(lost)

    def _error(self, said: str) -> SourceError:
        return SourceError(f"{self._name}: {self._what}: {said}")
