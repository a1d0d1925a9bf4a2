"""Servers of datasets: `bams3 serve` as a process, and its application alone."""

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bams3.bridge.decoder import Decoder
from bams3.bridge.http_app import application
from bams3.bridge.library import Library
from starlette.testclient import TestClient

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


def client(*sources: object, **options: Any) -> TestClient:
    """A client of the application alone, at this machine."""
    library = Library([str(source) for source in sources], Decoder(workers=2))
    return TestClient(application(library, 2, **options), "http://localhost")


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


def rest_of(taken: socket.socket) -> bytes:
    """All that a server sends."""
    return b"".join(iter(lambda: taken.recv(1 << 20), b""))
