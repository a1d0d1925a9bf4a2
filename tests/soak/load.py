"""Clients of a server and of a mounted folder, which compare each answer with the file that it must equal."""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pysam
from bams3.bridge.virtual_bam import VirtualBam
from bams3.dataset.reader import DatasetReader
from virtual_bams import STEP, fetched, places

LONGEST = 1 << 20  # bytes of a range
PLACES = 300
Read = tuple[int, int, str]


class Truth:
    """The BAM that a dataset stands for, in a file, and which reads it has at some places."""

    def __init__(self, dataset: Path, folder: Path) -> None:
        bam = VirtualBam(DatasetReader(dataset))
        self.name = dataset.stem
        self._path = folder / "truth.bam"
        with self._path.open("wb") as out:
            out.writelines(bam.read(at, STEP) for at in range(0, bam.size, STEP))
        self.index = bam.index("bai")
        self._path.with_name("truth.bam.bai").write_bytes(self.index)
        self._file = os.open(self._path, os.O_RDONLY)
        self.size = bam.size
        with pysam.AlignmentFile(str(self._path)) as file:
            self.contigs = file.references
        self.places = places(self._path, PLACES)
        self.reads = fetched(self._path, self.places)

    def bytes_at(self, start: int, length: int) -> bytes:
        """A part of the file."""
        return os.pread(self._file, length, start)

    def span(self, chance: random.Random) -> tuple[int, int]:
        """(start, length) of some part of it."""
        start = chance.randrange(self.size)
        return start, min(chance.choice((1, 4096, 65_536, LONGEST)), self.size - start)


def same(found: object, wanted: object, what: str) -> None:
    """Raises AssertionError unless they are equal."""
    if found != wanted:
        raise AssertionError(f"{what}: another answer")


class Server:
    """A client of `bams3 serve`: ranges, indexes, htsget, and requests that it gives up."""

    def __init__(self, url: str, truth: Truth) -> None:
        self._place, self._truth = urlsplit(url), truth

    def ask(self, chance: random.Random) -> None:
        """One request of some kind."""
        kinds: tuple[Callable[[random.Random], None], ...] = (
            self.range,
            self.htsget,
            self.index,
            self.give_up,
        )
        chance.choices(kinds, (6, 3, 1, 1))[0](chance)

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._place.netloc, timeout=60)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def range(self, chance: random.Random) -> None:
        start, length = self._truth.span(chance)
        found = self.get(f"/bam/{self._truth.name}.bam", Range=f"bytes={start}-{start + length - 1}")
        same(found, (206, self._truth.bytes_at(start, length)), f"bytes {start}+{length} by HTTP")

    def index(self, _: random.Random) -> None:
        same(self.get(f"/bam/{self._truth.name}.bam.bai"), (200, self._truth.index), "the index by HTTP")

    def htsget(self, chance: random.Random) -> None:
        number = chance.randrange(len(self._truth.places))
        reference, start, end = self._truth.places[number]
        contig = self._truth.contigs[reference]
        status, body = self.get(f"/reads/{self._truth.name}?referenceName={contig}&start={start}&end={end}")
        same(status, 200, "a ticket")
        with tempfile.NamedTemporaryFile(suffix=".bam") as file:
            for each in json.loads(body)["htsget"]["urls"]:
                file.write(self._data(each))
            file.flush()
            with pysam.AlignmentFile(file.name) as reads:
                found = [
                    (read.pos, read.flag, read.query_name)
                    for read in reads
                    if overlaps(read, reference, start, end)
                ]
        same(found, self._truth.reads[number], f"{contig}:{start}-{end} (0-based) by htsget")

    def _data(self, told: dict[str, Any]) -> bytes:
        if told["url"].startswith("data:"):
            return base64.b64decode(told["url"].partition("base64,")[2])
        place = urlsplit(told["url"])
        status, data = self.get(f"{place.path}?{place.query}", **told.get("headers", {}))
        if status not in (200, 206):
            raise AssertionError(f"a block of a ticket: status {status}")
        return data

    def give_up(self, _: random.Random) -> None:
        """Ask for the whole file, and close the connection when it begins."""
        with socket.create_connection((self._place.hostname, self._place.port), timeout=60) as opened:
            request = f"GET /bam/{self._truth.name}.bam HTTP/1.1\r\nHost: {self._place.netloc}\r\n\r\n"
            opened.sendall(request.encode())
            begin = opened.recv(12)
            if len(begin) < 12:
                raise ConnectionError("the answer ended before its status")
            same(begin, b"HTTP/1.1 200", "the whole file by HTTP")


def read_at(file: int, start: int, length: int) -> bytes:
    """All of these bytes that there are: a read may give some of them before it gives an error."""
    found = b""
    while len(found) < length and (more := os.pread(file, length - len(found), start + len(found))):
        found += more
    return found


def overlaps(read: Any, reference: int, start: int, end: int) -> bool:
    """Whether htslib finds a read there."""
    last = read.reference_end or read.reference_start + 1
    return (
        read.reference_id == reference
        and read.reference_start < end
        and max(last, read.reference_start + 1) > start
    )


class Mount:
    """A reader of a mounted folder: parts of the file, and its reads by the index."""

    def __init__(self, folder: Path, truth: Truth) -> None:
        self._path, self._truth = folder / f"{truth.name}.bam", truth

    def ask(self, chance: random.Random) -> None:
        """Open the file, and read of it in some way."""
        if chance.random() < 0.3:
            number = chance.randrange(len(self._truth.places))
            found = fetched(self._path, [self._truth.places[number]])
            same(found, [self._truth.reads[number]], f"{self._truth.places[number]} of the mounted file")
            return
        with self._path.open("rb", buffering=0) as file:
            for _ in range(8):
                start, length = self._truth.span(chance)
                same(
                    read_at(file.fileno(), start, length),
                    self._truth.bytes_at(start, length),
                    f"bytes {start}+{length} of the mounted file",
                )
