"""A proxy before another server, which records requests, holds them back, and makes faults at chosen ones."""

import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate
from urllib.parse import unquote_to_bytes, urlsplit

Headers = list[tuple[str, str]]

# Kind of fault → status, headers and body of an answer that the proxy makes up.
ANSWERS: dict[str, tuple[int, Headers, bytes]] = {
    "503": (503, [], b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"),
    "500": (500, [], b"<Error><Code>InternalError</Code><Message>An internal error.</Message></Error>"),
    "429": (429, [], b""),
    "409": (409, [], b"<Error><Code>ConditionalRequestConflict</Code><Message>A conflict.</Message></Error>"),
    "403": (403, [], b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"),
    "501": (501, [], b"<Error><Code>NotImplemented</Code><Message>Not implemented</Message></Error>"),
    "expired": (
        400,
        [],
        b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>",
    ),
    "moved": (301, [("x-amz-bucket-region", "eu-west-1")], b"<Error><Code>PermanentRedirect</Code></Error>"),
}

# Kind of fault → what the proxy does to a request.
KINDS = {
    "503": "answers SlowDown without asking the server",
    "500": "answers InternalError without asking the server",
    "429": "answers Too Many Requests without asking the server",
    "409": "answers that another conditional write is under way, without asking the server",
    "403": "answers AccessDenied without asking the server",
    "501": "answers NotImplemented without asking the server",
    "expired": "answers that the credentials have expired, from then on",
    "moved": "answers that the bucket is in eu-west-1",
    "refused": "closes the connection without asking the server",
    "lost": "asks the server, and closes the connection without an answer",
    "reset": "resets the connection in the middle of the body",
    "short": "closes the connection in the middle of the body",
    "stall": "stops in the middle of the body",
    "cut": "gives half of the body as if it were all",
    "corrupt": "flips a bit in the body",
    "whole": "gives the whole object, with 200, where a range was asked for",
    "etag": "gives another ETag",
    "no etag": "gives no ETag",
    "late": "from then on, lists lack what was written since",
}
LASTING = ("expired", "late")
"""Kinds of faults that do not pass."""
LISTED = re.compile(rb"(?s)<Contents>(?:(?!</Contents>).)*?<Key>([^<]*)</Key>.*?</Contents>")
HANG = 20
"""Seconds that only a client reaches that does not do what it should."""
PASSING = ("503", "500", "429", "refused", "lost", "reset", "short", "stall", "cut")


@dataclass
class Request:
    """What was asked (names of headers in lower case), the status that the client saw (0: none), and when the
    request came and the server had answered it."""

    method: str
    path: str
    headers: dict[str, str]
    status: int = 0
    received: int = 0
    begun: float = field(default_factory=time.monotonic)
    ended: float = 0


@dataclass
class Faults:
    """The proxy's state: set it while the proxy runs.

    `kind` of fault at the `at`-th request from now (0: the next; counted among those with `method`, if given),
    and at `times` requests in all; one of `LASTING` at all from there on. Requests of paths that contain `mute` get no
    answer. See `gather` for the rest.
    """

    url: str = ""
    kind: str = ""
    at: int = 0
    times: int = 1
    method: str = ""
    mute: str = ""
    groups: tuple[int, ...] = ()
    came: int = 0
    written: set[bytes] = field(default_factory=set)
    missed: bool = False
    requests: list[Request] = field(default_factory=list)
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    another: threading.Condition = field(default_factory=threading.Condition)

    def listed(self, request: Request, data: bytes) -> bytes:
        """What a store that lists late answers."""
        path, _, query = request.path.partition("?")
        if request.method in ("PUT", "POST"):
            self.written.add(unquote_to_bytes(path).partition(b"/")[2].partition(b"/")[2])
        if "list-type" not in query:
            return data
        return LISTED.sub(lambda each: b"" if each[1] in self.written else each[0], data)

    def gather(self, *groups: int) -> None:
        """From now on the first requests go on in groups of these sizes: each when its whole group is there. So
        requests are under way at the same time whose client does not wait for one before it sends the next, however
        slow it is. `missed`: some waited in vain."""
        with self.another:
            self.groups, self.came, self.missed, self.most_at_once = groups, 0, False, 0

    def meet(self) -> None:
        """Wait for the requests of the same group."""
        with self.another:
            self.came += 1
            own = self.came
            self.another.notify_all()
            last = next((last for last in accumulate(self.groups) if own <= last), 0)
            self.missed |= not self.another.wait_for(lambda: self.came >= last, HANG)

    def arm(self, kind: str, at: int = 0, times: int = 1, method: str = "") -> None:
        """Make faults from now on, and forget the requests so far."""
        with self.lock:
            self.kind, self.at, self.times, self.method = kind, at, times, method
            self.requests.clear()
            self.written.clear()

    def disarm(self) -> list[Request]:
        """Make no more faults; gives the requests since `arm`."""
        with self.lock:
            self.kind = ""
            return list(self.requests)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """A request is being served."""
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        yield
        with self.lock:
            self.at_once -= 1

    def take(self, request: Request) -> str:
        """Record a request; the kind of fault to make at it, or ""."""
        with self.lock:
            self.requests.append(request)
            if not self.kind or self.method not in ("", request.method):
                return ""
            if self.at:
                self.at -= 1
                return ""
            if not self.times and self.kind not in LASTING:
                return ""
            self.times = max(self.times - 1, 0)
            return self.kind


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    upstream: str
    faults: Faults

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers)
        kind = self.faults.take(request)
        with self.faults.counted():
            self.faults.meet()
        if self.faults.mute and self.faults.mute in self.path:
            return self.hear_out()
        if kind == "refused":
            return self.abandon()
        if kind in ANSWERS:
            request.status, extra, data = ANSWERS[kind]
            return self.answer(request.status, extra, data)
        status, answered, data = self.ask(body, drop_range=kind == "whole")
        request.ended = time.monotonic()
        if kind == "lost":
            return self.abandon()
        request.status, request.received = status, len(data)
        if kind == "etag":
            answered = [(name, '"other"' if name.lower() == "etag" else value) for name, value in answered]
        if kind == "no etag":
            answered = [(name, value) for name, value in answered if name.lower() != "etag"]
        if kind == "late":
            data = self.faults.listed(request, data)
        if kind == "corrupt" and data:
            data = bytes([data[0] ^ 1]) + data[1:]
        if kind == "cut":
            data = data[: len(data) // 2]
        broken = kind in ("reset", "short", "stall")
        self.answer(status, answered, data[: len(data) // 2] if broken else data, len(data))
        if broken:
            self.wfile.flush()
            if kind == "stall":
                self.hear_out()
            self.abandon(reset=kind == "reset")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

    def ask(self, body: bytes, drop_range: bool) -> tuple[int, Headers, bytes]:
        target = urlsplit(self.upstream)
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection",) and not (drop_range and name.lower() == "range"):
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            data = answer.read()
            length = [("Content-Length", answer.headers["Content-Length"])] if self.command == "HEAD" else []
            skipped = ("connection", "transfer-encoding", "content-length", "keep-alive")
            headers = [(n, v) for n, v in answer.getheaders() if n.lower() not in skipped]
            return answer.status, headers + [(n, v) for n, v in length if v], data
        finally:
            connection.close()

    def answer(self, status: int, headers: Headers, data: bytes, length: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name == "Content-Length" for name, _ in headers) and status not in (204, 304):
            self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    def hear_out(self) -> None:
        """Say nothing more until the client gives up."""
        self.close_connection = True
        self.connection.settimeout(HANG)
        with suppress(OSError):
            while self.connection.recv(1 << 16):
                pass

    def abandon(self, reset: bool = False) -> None:
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Nothing: `Faults.requests` has it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """A client that went away is what is tested."""


@contextmanager
def faulty(upstream: str) -> Iterator[Faults]:
    """A proxy before the server at a URL."""
    faults = Faults()
    handler = type("Handler", (_Handler,), {"upstream": upstream, "faults": faults})
    with _Server(("127.0.0.1", 0), handler) as server:
        faults.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield faults
        finally:
            server.shutdown()
            thread.join()
