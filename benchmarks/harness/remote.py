"""Measurement of commands that read from a server: requests and time, with a proxy that delays each request."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

BENCHMARKS = Path(__file__).resolve().parent.parent
sys.path.append(str(BENCHMARKS.parent / "tests"))

from servers import free_port  # noqa: E402

ROUNDS = 5


async def _serve(port: int, host: str, upstream: int, latency: float) -> None:
    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
        while data := await reader.read(1 << 18):
            await asyncio.sleep(delay)
            writer.write(data)
            await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, upstream)
        await asyncio.gather(
            pass_on(reader, back, latency), pass_on(there, writer, 0), return_exceptions=True
        )

    server = await asyncio.start_server(connected, "127.0.0.1", port, backlog=256)
    await server.serve_forever()


def _proxy(*arguments: object) -> None:
    asyncio.run(_serve(*arguments))  # type: ignore[arg-type]


@contextmanager
def delayed(url: str, latency: float) -> Iterator[str]:
    """Context manager: yield the URL of a proxy process that passes on requests after `latency` seconds."""
    target, port = urlsplit(url), free_port()
    child = multiprocessing.Process(
        target=_proxy, args=(port, target.hostname, target.port, latency), daemon=True
    )
    child.start()
    time.sleep(0.5)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.join()


def bams3(*arguments: object, **environment: str) -> str:
    """Run a command, and return what it prints."""
    command = [sys.executable, "-m", "bams3", *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | environment, check=True, capture_output=True, text=True)
    return done.stdout


def timed(action: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the median of the wall time of an action, in seconds."""
    spent = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        spent.append(time.perf_counter() - start)
    return median(spent)


def log_of(*arguments: object) -> list[list[str]]:
    """Return the requests of a command: method, key, range, bytes, milliseconds and status of each."""
    with tempfile.NamedTemporaryFile() as log:
        bams3(*arguments, BAMS3_LOG_REQUESTS=log.name)
        return [line.split("\t") for line in Path(log.name).read_text().splitlines()]
