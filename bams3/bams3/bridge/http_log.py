"""The log of a server: a line for each request, and a line for each failure, without secrets."""

import asyncio
import sys
import time
import traceback
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bams3.errors import Bams3Error, message_of
from bams3.shown import shown

STALLED = 120.0  # seconds that a client may take for one portion


def say(line: str) -> None:
    """Write a line to standard error."""
    print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {shown(line)}", file=sys.stderr, flush=True)


class _StalledError(Exception):
    """A client no longer takes any bytes."""


class ClientLeftError(Exception):
    """A client has closed the connection before the end of an answer."""


class Log:
    """The outermost layer of the application. A response that can't be completed is cut off, so that the client
    notices.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status, sent = time.monotonic(), 0, 0

        async def noted(message: Message) -> None:
            nonlocal status, sent
            status = message.get("status", status)
            try:
                async with asyncio.timeout(STALLED) as limit:
                    await send(message)
            except TimeoutError:
                if limit.expired():
                    raise _StalledError from None
                raise
            sent += len(message.get("body", b""))

        what = f"{scope['method']} {scope['path']}"
        try:
            await self._app(scope, receive, noted)
        except ClientLeftError:
            pass
        except _StalledError:
            say(f"{what}: closed: the client read nothing for {STALLED:.0f} s")
        except (Bams3Error, OSError) as error:
            say(f"{what}: failed: {message_of(error)}")
        except MemoryError:
            say(f"{what}: failed: out of memory; reduce --memory or --workers")
        except Exception as error:  # a bug in this program
            say(f"{what}: failed: {error!r}")
            traceback.print_exception(error)
        finally:
            client = (scope.get("client") or ["-"])[0]
            user = scope.get("user") or "-"
            say(f"{client} {user} {what} {status} {sent} {1000 * (time.monotonic() - begun):.0f}ms")
