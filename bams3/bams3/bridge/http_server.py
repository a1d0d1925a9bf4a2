"""A server process: where it listens, and how it ends."""

import asyncio
import ipaddress
import logging
import signal
import socket
import ssl
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from bams3.bridge.http_log import ClientLeftError
from bams3.errors import UsageError

CLIENTS = 1000  # clients at once; others are told to try again
_LONGEST_HEAD = 1 << 18  # bytes of a request before its body; URLs in tickets contain regions
PATIENCE = 30.0  # seconds that the head of a request may take
_UNSENT = 1 << 17  # unsent bytes in the system; few, as htslib requests whole files and takes only headers
_WAITING = 512  # connections that are not accepted yet


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. If `port` is 0, it is any free port. Raises UsageError."""
    if not 0 <= port < 1 << 16:  # the system would use a different port
        raise UsageError(f"--port {port}: give a number from 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # connections that are accepted inherit it
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
            opened.bind(address)
            opened.listen(_WAITING)
        except OSError:
            opened.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(
            f"can't listen on {host}, port {port}: {why}; give another --host or --port"
        ) from None
    return opened


def is_local(opened: socket.socket) -> bool:
    """Whether a socket can be reached only from this machine."""
    return ipaddress.ip_address(opened.getsockname()[0]).is_loopback


def url_of(opened: socket.socket, scheme: str) -> str:
    """The URL of the server at a socket."""
    host, port, *_ = opened.getsockname()
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


def run(
    app: ASGIApp, opened: socket.socket, ready: Callable[[], None], certificate: str = "", key: str = ""
) -> None:
    """Serve until SIGINT or SIGTERM. Responses that have begun are finished, unless SIGINT comes twice.

    `ready` is called as soon as requests are answered. `certificate` and `key` are PEM files for TLS. Must be called in
    the main thread. Raises UsageError if certificate or key are invalid, and OSError if they can't be read.
    """
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # the application writes the log
    config = uvicorn.Config(
        app, http=Patient, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
        limit_concurrency=CLIENTS, h11_max_incomplete_event_size=_LONGEST_HEAD,
        ssl_certfile=certificate or None, ssl_keyfile=key or None,
    )  # fmt: skip
    try:
        config.load()
    except ssl.SSLError as error:
        raise UsageError(
            f"{certificate}: not a certificate in PEM format for the key in {key}: {error.reason}"
        ) from None
    server = _Server(config, ready)

    def stop(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            runner.run(server.serve([opened]))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Patient(H11Protocol):
    """HTTP that closes the connection if the head of a request takes too long.

    A response to a client that has left ends with ClientLeftError.
    """

    app: ASGIApp
    _limit: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._answer: ASGIApp = self.app
        self.app = self._answered

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            await send(message)
            if message.get("more_body") and self.transport.is_closing():
                raise ClientLeftError

        await self._answer(scope, receive, sent)

    def connection_made(self, transport: Any) -> None:
        """Start the timer for a request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Stop the timer once the whole head of a request is there."""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        super().connection_lost(exc)
        self._stop()

    def _wait(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._limit is None:
            self._limit = self.loop.call_later(PATIENCE, self.transport.close)

    def _stop(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that ends without waiting long for clients with idle TLS connections."""

    async def create_server(self, *arguments: Any, **options: Any) -> Any:
        if options.get("ssl"):
            options["ssl_shutdown_timeout"] = 1.0
        return await super().create_server(*arguments, **options)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()
