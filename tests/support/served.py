"""Servers of datasets: `bams3 serve` as a process, and its application alone."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

HANG = 60
"""Seconds that only a hang reaches."""


@dataclass
class Server:
    """A running server: its URL, its process, and the file of its log."""

    url: str
    process: subprocess.Popen[str]
    log: Any

    def lines(self) -> list[str]:
        """The lines of the log so far."""
        self.log.seek(0)
        return self.log.read().splitlines()

    def stop(self) -> int:
        """End it as a service manager does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(HANG)


@contextmanager
def serving(*words: object, **environment: str) -> Iterator[Server]:
    """`bams3 serve` at a free port; it is killed in the end unless it was stopped."""
    command = ["bams3", "serve", "--port", "0", *map(str, words)]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | environment
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            server = Server(line.partition("/:")[0], process, log)
            assert line, server.lines()
            yield server
        finally:
            process.kill()
