"""Requests that want more than a client may have: other files, another server, two in one, a line of the log."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from served import HANG, Server, serving


@pytest.fixture(scope="module")
def server(small: Path) -> Iterator[Server]:
    with serving(small.with_suffix(".bams3")) as started:
        yield started


def answer(server: Server, request: bytes) -> bytes:
    """All that the server says until it closes the connection."""
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port), HANG) as connection:
        found = b""
        with suppress(ConnectionError):  # the server may close it before it has read all
            connection.sendall(request)
            while piece := connection.recv(1 << 16):
                found += piece
        return found


def get(path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    "path",
    [
        "/bam/../../../../etc/passwd", "/bam/..%2f..%2fetc%2fpasswd", "/bam/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd",
        "/page/../http_page.py", "/page/..%2fhttp_page.py", "/page/%2e%2e/http_page.py", "/page//etc/passwd",
        "/page/..%5chttp_page.py", "/bam/..%00.bam", "/bam/%ff.bam", "/datasets/..%2f..", "/datasets/%2fetc/depth",
        "/bam/http%3A%2F%2F127.0.0.1%2Fx.bam", "/bam/s3%3A%2F%2Fbucket%2Fx.bam", "/reads/http%3A%2F%2F127.0.0.1%2Fx",
        "/reads/..%2f..%2fin", "/bam/file%3A%2F%2F%2Fetc%2Fpasswd",
    ],
)  # fmt: skip
def test_paths_that_lead_elsewhere(server: Server, path: str) -> None:
    head, _, body = answer(server, get(path)).partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1\.1 40[04] ", head), head
    assert b"root:" not in body
    assert b"import " not in body


POST = "POST /reads/in HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
NEXT = "GET /datasets HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "request_head",
    [
        f"{POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{NEXT}",
        f"{POST}Content-Length: 2\r\nContent-Length: 40\r\n\r\n{{}}{NEXT}",
        f"{POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{NEXT}",
        f"{POST}Content-Length : 2\r\n\r\n{{}}{NEXT}",
        f"{POST}Content-Length: +2\r\n\r\n{{}}{NEXT}",
        f"GET /datasets HTTP/1.1\r\nHost: localhost\r\n X: y\r\nHost: other\r\n\r\n{NEXT}",
        f"GET /data sets HTTP/1.1\r\nHost: localhost\r\n\r\n{NEXT}",
    ],
    ids=[
        "the request gives the length of its body twice",
        "two lengths",
        "an unknown coding",
        "a blank",
        "a sign",
        "two hosts",
        "a target",
    ],
)
def test_requests_that_could_be_two(server: Server, request_head: str) -> None:
    """One is answered, or refused; what follows it is no request."""
    found = answer(server, request_head.encode())
    assert found.count(b"HTTP/1.1 ") == 1
    assert (
        re.match(rb"HTTP/1\.1 4\d\d ", found)
        or b"Transfer-Encoding: chunked\r\nContent" in request_head.encode()
    )


def test_a_head_without_end(server: Server) -> None:
    """The connection may be closed before the answer arrives."""
    assert answer(server, get("/datasets", "X: " + "x" * (1 << 19)))[:12] in (b"", b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "path", ["/bam/a%0A127.0.0.1%09-%09GET.bam", "/bam/%1b[2J.bam", "/bam/%0d%0ax", "/x%E2%80%AE"]
)
def test_a_request_is_one_line_of_the_log(server: Server, path: str) -> None:
    before = len(server.lines())
    answer(server, get(path, "User-Agent: a\tb\x1b[2J"))
    (line,) = server.lines()[before:]
    assert line.isprintable() or not re.search(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u202e]", line)
