"""CRC-32 is zlib's, however many bytes; checksums of reads are the same with and without carry-less multiplication."""

import random
import zlib
from collections.abc import Iterator

import hostile
import pytest
from bams3.bam.records import walk
from bams3.bam.sums import sums_of, use_folding
from bams3.crc32 import crc32
from bams3.dataset.sums import DEFAULT

BYTES = random.Random(7).randbytes(5000)
LENGTHS = [*range(70), 95, 127, 128, 129, 150, 151, 4095, 4096, 4097, 4100, 4111, 4112, 4113, 4999]


@pytest.fixture
def tables() -> Iterator[None]:
    """Tables are used; after the test, multiplication again."""
    if not use_folding(True):
        pytest.skip("this CPU has no carry-less multiplication")
    yield
    use_folding(True)


@pytest.mark.parametrize("start", [0, 1, 15])
def test_is_that_of_zlib(start: int) -> None:
    for length in LENGTHS:
        portion = memoryview(BYTES)[start : start + length]
        assert crc32(portion) == zlib.crc32(portion), length


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("flag", [0, 16])
def test_sums_by_multiplication_and_by_tables(flag: int) -> None:
    for length in LENGTHS:
        bases = bytes(b"=ACMGRSVTWYHKDBN"[byte & 15] for byte in BYTES[:length])
        record = hostile.record(
            name=b"r" * (length % 254 + 1),
            flag=flag,
            sequence=bases,
            quality=BYTES[length : 2 * length].ljust(length, b"\7"),
        )
        block = walk(record, 1)[0]
        assert use_folding(True)
        by_multiplication = sums_of(block, *DEFAULT)
        assert not use_folding(False)
        assert sums_of(block, *DEFAULT) == by_multiplication, length
