"""BAM records as bytes."""

from __future__ import annotations

import functools
import itertools
import struct

import numpy as np

NIBBLES = np.array([1, 2, 4, 8, 15], np.uint8)
PAIRED, PROPER, UNMAPPED, MATE_UNMAPPED, REVERSE, MATE_REVERSE = 1, 2, 4, 8, 16, 32
READ1, READ2, SECONDARY, DUPLICATE, SUPPLEMENTARY = 64, 128, 256, 1024, 2048
FIXED = np.dtype(
    [
        ("block_size", "<i4"),
        ("ref", "<i4"),
        ("pos", "<i4"),
        ("l_name", "u1"),
        ("mapq", "u1"),
        ("bin", "<u2"),
        ("n_cigar", "<u2"),
        ("flag", "<u2"),
        ("l_seq", "<i4"),
        ("next_ref", "<i4"),
        ("next_pos", "<i4"),
        ("tlen", "<i4"),
    ]
)


def reg2bin(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the BAI bin of each [start, end), computed as in the SAM specification."""
    bins = np.zeros(len(start), np.int64)
    for shift, first in ((26, 1), (23, 9), (20, 73), (17, 585), (14, 4681)):
        same = start >> shift == (end - 1) >> shift
        bins[same] = first + (start[same] >> shift)
    return bins


@functools.cache
def integer(tag: bytes, value: int) -> bytes:
    """Return an integer tag of the smallest type, which htslib would choose."""
    kind, layout = next(
        k for k in ((b"C", "<B"), (b"S", "<H"), (b"I", "<I")) if value < 256 ** struct.calcsize(k[1])
    )
    return tag + kind + struct.pack(layout, value)


@functools.lru_cache(1 << 16)
def int32(tag: bytes, value: int) -> bytes:
    """Return an integer tag with 32 bits, as samtools fixmate writes it."""
    return tag + b"i" + struct.pack("<i", value)


def text(tag: bytes, value: bytes) -> bytes:
    return tag + b"Z" + value + b"\0"


def pack(codes: np.ndarray) -> np.ndarray:
    """Return a matrix of bases (reads x bases) as 4-bit bases, two per byte."""
    nibbles = NIBBLES[codes]
    if nibbles.shape[1] % 2:
        nibbles = np.pad(nibbles, ((0, 0), (0, 1)))
    return nibbles[:, ::2] << 4 | nibbles[:, 1::2]


def rows_of(matrix: np.ndarray) -> list[bytes]:
    """Return each row of a matrix (or each element of a structured array) as bytes."""
    matrix = np.ascontiguousarray(matrix)
    width = matrix.nbytes // len(matrix)
    return matrix.reshape(len(matrix), -1).view(np.dtype((np.void, width))).ravel().tolist()


def assemble(fixed: np.ndarray, *columns: list[bytes]) -> bytes:
    """Join records from their fixed parts (dtype FIXED, whose block_size is set here) and names, CIGARs, … tags."""
    sizes = [np.fromiter(map(len, column), np.int64, len(fixed)) for column in columns]
    fixed["block_size"] = FIXED.itemsize - 4 + sum(sizes)
    return b"".join(itertools.chain.from_iterable(zip(rows_of(fixed), *columns, strict=True)))
