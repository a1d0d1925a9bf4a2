"""Object stores on the loopback interface for tests: moto, Swift, nginx, and a proxy that makes faults.

Each is a context manager that starts a server on a free port, and stops it whatever happens.
"""

import os
import random
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from servers.awaited import until

_claims: list[socket.socket] = []


def free_port() -> int:
    """A port that nobody listens on, of those that the system gives to no client; no other process of the tests gets
    it as long as this one lives."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(10_000, max(first, 20_000))
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0bams3-tests-port-{port}")
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
        else:
            _claims.append(claim)
            return port


def script(path: Path, text: str) -> None:
    """Make a program that is a script of bash."""
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@contextmanager
def process(command: Sequence[object], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process and its children, with what they print in a file."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            [*map(str, command)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )  # fmt: skip
    try:
        yield child
    finally:
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


@contextmanager
def answering(url: str, log: Path, *children: subprocess.Popen[bytes]) -> Iterator[str]:
    """Waits until a server answers."""

    def answers() -> bool:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    until(
        answers,
        lambda: all(child.poll() is None for child in children),
        lambda: f"{url} does not answer: {log.read_text()[-2000:]}",
    )
    yield url


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    """moto's S3: the semantics of AWS, in memory, any credentials. Gives its URL."""
    import sys

    port = free_port()
    log = folder / "moto.log"
    with ExitStack() as stack:
        server = stack.enter_context(
            process([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port], log)
        )
        yield stack.enter_context(answering(f"http://127.0.0.1:{port}", log, server))


@contextmanager
def nginx(folder: Path, root: Path) -> Iterator[str]:
    """nginx over a directory: GET and ranges. Gives its URL."""
    port, log = free_port(), folder / "nginx.log"
    user = "user root;" if os.getuid() == 0 else ""
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"""{user} daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {log};
        events {{ worker_connections 1024; }}
        http {{ {temporary} access_log off; sendfile on; keepalive_requests 1000000;
                server {{ listen 127.0.0.1:{port}; root {root}; }} }}"""
    )
    with ExitStack() as stack:
        server = stack.enter_context(process(["nginx", "-e", log, "-c", configuration], folder / "nginx.out"))
        yield stack.enter_context(answering(f"http://127.0.0.1:{port}", folder / "nginx.out", server))
