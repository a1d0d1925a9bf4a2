"""A stream of as many reads as are wanted, and a conversion of it, whose memory and files must not grow.

    make soak SOAK="--convert 200000000"

The reads of one contig are repeated, each time at later positions and under other names. No BAM is ever on disk.
"""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

import numpy as np
from bams3.bam.header import Header
from bams3.bam.records import walk
from bams3.dataset.reader import DatasetReader

from soak.watch import Sample, sample, verdict

LAST = (1 << 31) - 1
POSITION, NAME_LENGTH, MATE, NEXT_POSITION, NAME = 8, 12, 24, 28, 36
LETTERS = 6  # of a name that say which repetition it is of


class Repeated:
    """The reads of the contig that has most of a BAM, repeated."""

    def __init__(self, path: Path) -> None:
        with gzip.open(path) as file:  # `gzip.decompress` copies the rest of a file at each of its blocks
            data = file.read()
        head = Header.from_bam(data)
        block, _ = walk(data[len(head.to_bam()) :], len(head.references))
        records, offsets = np.frombuffer(block.data, np.uint8), np.asarray(block.offsets)
        reference = _integers(records, offsets[:-1] + 4)
        mate = _integers(records, offsets[:-1] + MATE)
        mapped = reference[reference >= 0]
        most = np.bincount(mapped).argmax()
        lengths = np.diff(offsets)
        chosen = (reference == most) & (mate == most) & (records[offsets[:-1] + NAME_LENGTH] > LETTERS)
        self._records = records[np.repeat(chosen, lengths)].copy()
        ends = np.cumsum(lengths[chosen])
        self._starts = np.concatenate([[0], ends[:-1]])
        self.count = len(ends)
        _store(self._records, self._starts + 4, 0)
        _store(self._records, self._starts + MATE, 0)
        self._positions = _integers(self._records, self._starts + POSITION)
        self._mates = _integers(self._records, self._starts + NEXT_POSITION)
        self._first = min(self._positions.min(), self._mates.min())
        self.span = int(max(self._positions.max(), self._mates.max()) - self._first) + 1
        self.text = head.text
        self.name = head.references[most][0]

    def header(self) -> bytes:
        """For a contig as long as BAM allows."""
        lines = [line for line in self.text.split(b"\n") if line and not line.startswith(b"@SQ")]
        text = b"\n".join([*lines, b"@SQ\tSN:%b\tLN:%d\n" % (self.name.encode(), LAST)])
        name = self.name.encode() + b"\0"
        return b"BAM\1" + struct.pack("<i", len(text)) + text + struct.pack("<ii", 1, len(name)) + name + struct.pack(
            "<i", LAST
        )  # fmt: skip

    def write(self, out: BinaryIO, reads: int) -> int:
        """Write uncompressed BAM with at least so many reads; returns how many."""
        out.write(self.header())
        for number in range(-(-reads // self.count)):
            shift = number * self.span - self._first
            _store(self._records, self._starts + POSITION, self._positions + shift)
            _store(self._records, self._starts + NEXT_POSITION, self._mates + shift)
            for letter in range(LETTERS):
                self._records[self._starts + NAME + letter] = ord("A") + number // 16**letter % 16
            out.write(self._records.tobytes())
        return -(-reads // self.count) * self.count


def _integers(data: np.ndarray, at: np.ndarray) -> np.ndarray:
    return (
        sum(data[at + byte].astype(np.int64) << 8 * byte for byte in range(4))
        .astype(np.int32)
        .astype(np.int64)
    )


def _store(data: np.ndarray, at: np.ndarray, values: np.ndarray | int) -> None:
    for byte in range(4):
        data[at + byte] = np.asarray(values) >> 8 * byte & 0xFF


def soak(bam: Path, reads: int, every: float, folder: Path) -> int:
    """Convert such a stream below a folder, and read it again; returns 1 if something grew or is missing."""
    repeated, dataset = Repeated(bam), folder / "stream.bams3"
    command = ["bams3", "convert", "--level", "1", "--verify", "-@", "1", "-", str(dataset)]
    started, samples = time.monotonic(), list[Sample]()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=sys.stderr) as process:
        assert process.stdin is not None
        over = threading.Event()

        def watch() -> None:
            samples.append(sample(process.pid, 0))
            while not over.wait(every):
                samples.append(sample(process.pid, time.monotonic() - started))

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            written = repeated.write(process.stdin, reads)
            over.set()
            process.stdin.close()
        finally:
            over.set()
            watching.join()
    if process.returncode:
        print(f"convert: exit code {process.returncode}")
        return 1
    flat, line = verdict(samples)
    found = DatasetReader(dataset).manifest.records
    print(f"convert: {'flat' if flat else 'GROWS'}: {line}")
    print(f"{found:,} of {written:,} reads are in the dataset, after {time.monotonic() - started:.0f} s")
    return int(not flat or found != written)
