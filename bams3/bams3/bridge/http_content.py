"""Responses whose bytes are read in threads, portion by portion, as the client takes them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from email.utils import formatdate
from functools import partial
from secrets import token_hex
from typing import TypeVar

import anyio
from anyio import CapacityLimiter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from bams3.bridge.http_log import ClientLeftError
from bams3.bridge.http_ranges import Range, ranges_of, status_of_conditions
from bams3.bridge.library import Content

FIRST, LARGEST = 1 << 16, 1 << 20  # bytes of a portion: the first one, and at most
SOME = 1 << 18  # bytes of a portion, at most, while less than twice as much has been sent
PAUSE = 0.01  # seconds for clients to leave that request a whole file but take only its head: htslib does so twice
THREADS = 64  # threads that wait for bytes
SHARE = 8  # threads that one user may have at once

Result = TypeVar("Result")
Portion = bytes | memoryview
Do = Callable[[Callable[[], Portion]], Awaitable[Portion]]


class Work:
    """Runs blocking calls in threads, so that the event loop never waits. At most `workers` of them decode at once.

    A `user` (as in the file of tokens) has at most `SHARE` calls running; further ones wait.
    """

    def __init__(self, workers: int) -> None:
        self._limiter, self._decoding = CapacityLimiter(THREADS), CapacityLimiter(workers)
        self._shares: dict[str, CapacityLimiter] = {}

    async def do(self, action: Callable[[], Result], user: str | None = None) -> Result:
        """Run an action in a thread, and return its result."""
        return await self._done(action, self._limiter, user)

    async def decode(self, action: Callable[[], Result], user: str | None = None) -> Result:
        """Like `do`, for an action that decodes in its thread."""
        return await self._done(action, self._decoding, user)

    async def _done(self, action: Callable[[], Result], limiter: CapacityLimiter, user: str | None) -> Result:
        async with self._share(user):
            result: Result = await anyio.to_thread.run_sync(action, limiter=limiter)
        return result

    def _share(self, user: str | None) -> AbstractAsyncContextManager[None]:
        if user is None:
            return nullcontext()
        share: AbstractAsyncContextManager[None] = self._shares.setdefault(user, CapacityLimiter(SHARE))
        return share


class Streamed(StreamingResponse):
    """A response whose portions are made as the client takes them. Sending fails if the client has left, so no task has
    to wait for that."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, or as much of it as the client takes."""
        # If this error went on, Starlette would make a second response of it, in a thread.
        with suppress(ClientLeftError):
            await self.stream_response(send)


async def answer(request: Request, content: Content, media_type: str, work: Work) -> Response:
    """Return the response to a GET or HEAD request for content, with its ranges and conditions.

    The first portion is read before the response begins. Raises what `content.read` raises.
    """
    headers = {
        "accept-ranges": "bytes",
        "etag": f'"{content.etag}"',
        "last-modified": formatdate(content.modified, usegmt=True),
        "cache-control": "private, no-cache",  # may be cached, but must be revalidated
    }
    if (status := status_of_conditions(request.headers, content.etag, content.modified)) != 200:
        return Response(status_code=status, headers=headers)
    is_get = request.method == "GET"
    ranges = ranges_of(request.headers, content.size, content.etag) if is_get else None
    if ranges == []:
        return Response(status_code=416, headers=headers | {"content-range": f"bytes */{content.size}"})
    if ranges is None:
        ranges, status = [(0, content.size)], 200
    else:
        status = 206
    do = partial(work.do, user=request.scope.get("user"))
    if len(ranges) > 1:
        return await _multipart(ranges, content, media_type, headers, do)
    ((start, end),) = ranges
    if status == 206:
        headers["content-range"] = f"bytes {start}-{end - 1}/{content.size}"
    headers["content-length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    whole = content.at_hand(start, end - start) if end - start <= FIRST else b""
    if len(whole) == end - start:
        return Response(bytes(whole), status, headers, media_type)
    body = await begun(_portions(content, start, end, do))
    return Streamed(body, status, headers, media_type)


async def begun(portions: AsyncIterator[Portion]) -> AsyncIterator[Portion]:
    """Return the same portions after the first one has been made, so that its error is raised here."""
    first = await anext(portions, None)

    async def again() -> AsyncIterator[Portion]:
        if first is not None:
            yield first
        async for portion in portions:
            yield portion

    return again()


async def _portions(content: Content, start: int, end: int, do: Do) -> AsyncIterator[Portion]:
    """Yield the bytes [start, end). Only the last portion may end where a row group ends: htslib before 1.19 skips
    bytes up to a row group, and fails if exactly these bytes have arrived."""
    length, held, begin = FIRST, b"", start
    while start < end:
        until = content.head if start < content.head else end
        wanted = start, min(length, until - start, end - start)
        if begin < start:
            await asyncio.sleep(0)  # let others be served, and notice if the client has left
        read = memoryview(content.at_hand(*wanted) or await do(partial(content.read, *wanted)))
        start += len(read)
        last = len(read) - (start < end)
        yield b"".join((held, read[:last]))
        held = bytes(read[last:])
        if begin < content.head == start < end:
            await asyncio.sleep(PAUSE)
            yield b""  # this fails if the client has left
        # Portions grow slowly, so few bytes are wasted on a client that leaves early.
        length = min(2 * length, max(SOME, (start - begin) // 2), LARGEST)


async def _multipart(
    ranges: list[Range], content: Content, media_type: str, headers: dict[str, str], do: Do
) -> Response:
    boundary = token_hex(16)
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {media_type}\r\n"
        f"Content-Range: bytes {start}-{end - 1}/{content.size}\r\n\r\n".encode()
        for start, end in ranges
    ]
    tail = f"\r\n--{boundary}--\r\n".encode()
    length = sum(end - start for start, end in ranges) + sum(map(len, heads)) + len(tail)

    async def parts() -> AsyncIterator[Portion]:
        for head, (start, end) in zip(heads, ranges, strict=True):
            portions = await begun(_portions(content, start, end, do))
            yield head
            async for portion in portions:
                yield portion
        yield tail

    kind = f"multipart/byteranges; boundary={boundary}"
    return Streamed(
        await begun(parts()), 206, headers | {"content-length": str(length), "content-type": kind}
    )
