"""Range requests and conditional requests, as RFC 9110 has them."""

from email.utils import formatdate, parsedate_to_datetime
from itertools import accumulate
from typing import Any

import anyio
import pytest
from bams3.bridge import http_content
from bams3.bridge.virtual_bam import VirtualBam
from starlette.testclient import TestClient

# Range, and what is given: slices of the file; None: all of it; []: 416. {n}: its size, {m}: one less.
RANGES: list[tuple[str, list[slice] | None]] = [
    ("bytes=0-0", [slice(0, 1)]),
    ("bytes=0-99", [slice(0, 100)]),
    ("bytes=5000-", [slice(5000, None)]),
    ("bytes=100000-2000000", [slice(100_000, 2_000_001)]),
    ("bytes=-28", [slice(-28, None)]),
    ("bytes=-999999999", [slice(0, None)]),
    ("bytes=100-999999999", [slice(100, None)]),
    ("bytes={m}-", [slice(-1, None)]),
    ("bytes={m}-{m}", [slice(-1, None)]),
    ("Bytes= 7-9 ", [slice(7, 10)]),
    ("bytes=0-1,5-9", [slice(0, 2), slice(5, 10)]),
    ("bytes=9-9, 0-4 ,-3", [slice(9, 10), slice(0, 5), slice(-3, None)]),
    ("bytes=0-9,0-9", [slice(0, 10)] * 2),
    ("bytes=0-1,{n}-", [slice(0, 2)]),
    ("bytes=,0-1,", [slice(0, 2)]),
    ("bytes={n}-", []),
    ("bytes={n}-999999999999", []),
    ("bytes=-0", []),
    ("bytes=" + ",".join(["0-0"] * 65), []),
    ("bytes=9-5", None),
    ("bytes=0-1,9-5", None),
    ("bytes=a-b", None),
    ("bytes=-", None),
    ("bytes=1", None),
    ("bytes=--5", None),
    ("bytes=٣-", None),
    ("bytes=0-99999999999999999999999", None),
    ("bytes 0-1", None),
    ("lines=0-1", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "slices"), RANGES, ids=[text[:24] for text, _ in RANGES])
def test_ranges(
    http: TestClient, bam: VirtualBam, data: bytes, text: str, slices: list[slice] | None
) -> None:
    text = text.format(n=len(data), m=len(data) - 1)
    given = http.get("/bam/d.bam", headers={"range": text.encode()})
    assert (given.headers["accept-ranges"], given.headers["etag"]) == ("bytes", f'"{bam.etag}"')
    if slices is None:
        assert (given.status_code, given.content) == (200, data)
        return
    if not slices:
        assert (given.status_code, given.content) == (416, b"")
        assert given.headers["content-range"] == f"bytes */{len(data)}"
        return
    assert given.status_code == 206
    assert int(given.headers["content-length"]) == len(given.content)
    wanted = [(range(len(data))[portion], data[portion]) for portion in slices]
    assert parts(given, len(data)) == wanted


def parts(given: Any, size: int) -> list[tuple[range, bytes]]:
    """Which bytes an answer with 206 has, and the bytes."""
    kind, _, boundary = given.headers["content-type"].partition("; boundary=")
    if kind == "application/octet-stream":
        return [(placed(given.headers["content-range"], size), given.content)]
    assert kind == "multipart/byteranges"
    first, *found, last = given.content.split(f"\r\n--{boundary}".encode())
    assert (first, last) == (b"", b"--\r\n")
    split = [part.split(b"\r\n\r\n", 1) for part in found]
    assert all(head.startswith(b"\r\nContent-Type: application/octet-stream\r\n") for head, _ in split)
    return [(placed(head.decode().partition("Content-Range: ")[2], size), body) for head, body in split]


def placed(text: str, size: int) -> range:
    place, _, whole = text.removeprefix("bytes ").partition("/")
    first, _, last = place.partition("-")
    assert int(whole) == size
    return range(int(first), int(last) + 1)


# Headers, and the status of a request with "Range: bytes=0-9" and without it. {e}: the ETag, in quotes; {date}: the
# time of the content; {before}, {after}: a second before and after it.
CONDITIONS = [
    ({}, 206, 200),
    ({"if-range": "{e}"}, 206, 200),
    ({"if-range": '"other"'}, 200, 200),
    ({"if-range": "W/{e}"}, 200, 200),
    ({"if-range": "{date}"}, 200, 200),  # of a second, in which a dataset can be replaced
    ({"if-none-match": "{e}"}, 304, 304),
    ({"if-none-match": "W/{e}"}, 304, 304),
    ({"if-none-match": '"other", {e}'}, 304, 304),
    ({"if-none-match": "*"}, 304, 304),
    ({"if-none-match": '"other"'}, 206, 200),
    ({"if-match": "{e}"}, 206, 200),
    ({"if-match": "*"}, 206, 200),
    ({"if-match": "W/{e}"}, 412, 412),
    ({"if-match": '"other"'}, 412, 412),
    ({"if-match": '"other"', "if-none-match": "{e}"}, 412, 412),
    ({"if-modified-since": "{date}"}, 304, 304),
    ({"if-modified-since": "{after}"}, 304, 304),
    ({"if-modified-since": "{before}"}, 206, 200),
    ({"if-modified-since": "{date}", "if-none-match": '"other"'}, 206, 200),
    ({"if-modified-since": "yesterday"}, 206, 200),
    ({"if-unmodified-since": "{date}"}, 206, 200),
    ({"if-unmodified-since": "{before}"}, 412, 412),
    ({"if-unmodified-since": "{before}", "if-match": "{e}"}, 206, 200),
    ({"if-unmodified-since": "Fri, 99 Feb 99999 00:00:00 GMT"}, 206, 200),
]


@pytest.mark.parametrize(("headers", "ranged", "plain"), CONDITIONS)
def test_conditions(http: TestClient, data: bytes, headers: dict[str, str], ranged: int, plain: int) -> None:
    seen = http.head("/bam/d.bam").headers
    date = parsedate_to_datetime(seen["last-modified"]).timestamp()
    dates = {
        name: formatdate(date + more, usegmt=True)
        for name, more in [("date", 0), ("before", -1), ("after", 1)]
    }
    headers = {name: text.format(e=seen["etag"], **dates) for name, text in headers.items()}
    for more, wanted in [({"range": "bytes=0-9"}, ranged), ({}, plain)]:
        given = http.get("/bam/d.bam", headers=headers | more)
        assert given.status_code == wanted
        assert given.content == {200: data, 206: data[:10]}.get(wanted, b"")
        assert given.headers["etag"] == seen["etag"]


@pytest.mark.parametrize(("start", "end"), [(0, 400_000), (5, 300_001), (0, 1), (4095, 4096), (7, 7)])
def test_no_portion_ends_where_a_row_group_does(start: int, end: int) -> None:
    data, borders = bytes(range(251)) * 1600, {4096, 65_536, 163_840}

    class Content:
        head = 4096

        def at_hand(self, at: int, length: int) -> bytes:
            return self.read(at, length) if at % 3 else b""

        def read(self, at: int, length: int) -> bytes:
            return data[at : min([at + length, *(border for border in borders if border > at)])]

    async def do(action: Any) -> Any:
        return action()

    async def portions() -> list[bytes]:
        return [bytes(portion) async for portion in http_content._portions(Content(), start, end, do)]  # type: ignore[arg-type]

    found = anyio.run(portions)
    assert b"".join(found) == data[start:end]
    assert not {start + size for size in accumulate(map(len, found))} & borders - {end}


@pytest.mark.parametrize(("start", "waits"), [(0, True), (5, True), (100_000, False), (150_000, False)])
def test_clients_can_leave_before_records_are_decoded(
    start: int, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who ask for the whole file get its head, and then there is a pause."""
    log: list[int] = []

    def read(at: int, length: int) -> bytes:
        log.append(at + length)
        return bytes(length)

    async def sleep(seconds: float) -> None:
        log.extend([-1] if seconds else [])

    async def do(action: Any) -> Any:
        return action()

    async def take() -> int:
        content = http_content.Content(400_000, "", 0, read, head=100_000)
        return sum([len(portion) async for portion in http_content._portions(content, start, 400_000, do)])

    monkeypatch.setattr(http_content.asyncio, "sleep", sleep)
    assert anyio.run(take) == 400_000 - start
    assert log.count(-1) == waits
    assert not waits or log[log.index(-1) - 1] == 100_000
