"""BGZF in and out."""

import gzip
import io
import random
import struct

import hostile
import pytest
from bams3.errors import SourceError
from bams3.output.bgzf import MAX_INPUT, BlockWriter, compress_block
from bams3.sources.bgzf import EOF_MARKER, PORTION_SIZE, BlockReader, is_bgzf

RANDOM = random.Random(1)
DATA = bytes(RANDOM.choices(b"ACGT", k=300_000)) + RANDOM.randbytes(200_000) + bytes(100_000)


def read(data: bytes, *voffsets: int) -> bytes:
    return b"".join(BlockReader(io.BytesIO(data), *voffsets, name="x.bam").portions())


def written(data: bytes, level: int, portion: int = 100_000) -> bytes:
    out = io.BytesIO()
    with BlockWriter(out, level) as writer:
        for start in range(0, len(data), portion):
            writer.write(data[start : start + portion])
    return out.getvalue()


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("data", [b"", b"x", DATA], ids=["empty", "one", "many"])
def test_what_is_written_is_read(level: int, data: bytes) -> None:
    file = written(data, level)
    assert gzip.decompress(file) == data
    assert read(file) == data
    assert file.endswith(EOF_MARKER)
    assert file == written(data, level, 999)  # blocks don't depend on how it was written


def test_levels_compress() -> None:
    text = DATA[:300_000]
    stored, fast, small = (len(written(text, level)) for level in (0, 1, 9))
    assert small < fast < stored < len(text) + 500


def test_a_block_has_its_limits() -> None:
    noise = RANDOM.randbytes(MAX_INPUT)
    for level in range(10):
        assert len(compress_block(noise, level)) <= 65536
    with pytest.raises(ValueError, match="65280"):
        compress_block(bytes(MAX_INPUT + 1), 1)


def test_from_any_virtual_offset_to_any_other() -> None:
    blocks = [DATA[start : start + 5000] for start in range(0, 50_000, 5000)]
    compressed = [hostile.bgzf_block(block) for block in blocks]
    file = b"".join(compressed) + EOF_MARKER
    offsets = [sum(map(len, compressed[:i])) for i in range(len(compressed) + 1)]
    for _ in range(200):
        start, end = sorted(RANDOM.choices(range(50_001), k=2))
        begin_voffset, end_voffset = (offsets[at // 5000] << 16 | at % 5000 for at in (start, end))
        assert read(file, begin_voffset, end_voffset) == DATA[start:end]
    assert read(file, offsets[3] << 16 | 5000, offsets[5] << 16) == DATA[20_000:25_000]  # the end of a block
    assert read(file, offsets[7] << 16 | 1) == DATA[35_001:50_000]


def test_portions_grow_and_go_on_after_the_last_one() -> None:
    reader = BlockReader(io.BytesIO(written(DATA * 10, 1)))
    first = next(reader.portions())
    assert len(first) == MAX_INPUT
    portions = [first, *reader.portions()]
    assert b"".join(portions) == DATA * 10
    assert max(map(len, portions)) < PORTION_SIZE + MAX_INPUT
    assert list(map(len, portions)).count(MAX_INPUT) < 10
    assert list(reader.portions()) == []


class Trickle(io.BytesIO):
    """Gives a few bytes at a time, as a pipe may."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 7))


def test_a_pipe_may_give_a_few_bytes_at_a_time() -> None:
    file = written(DATA[:20_000], 1)
    assert b"".join(BlockReader(Trickle(file)).portions()) == DATA[:20_000]


class Counting(io.BytesIO):
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.furthest = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.furthest = max(self.furthest, self.tell())
        return data


def test_nothing_far_beyond_the_end_is_read() -> None:
    file = Counting(written(RANDOM.randbytes(3_000_000), 0))
    list(BlockReader(file, 0, 200_000 << 16).portions())
    assert 200_000 <= file.furthest <= 200_000 + 65536


def with_extra(block: bytes, before: bytes, after: bytes = b"") -> bytes:
    """A BGZF block with more subfields in its extra field."""
    more = len(before) + len(after)
    size = struct.unpack_from("<H", block, 16)[0] + more
    head = block[:10] + struct.pack("<H", 6 + more) + before + b"BC\2\0" + struct.pack("<H", size)
    return head + after + block[18:]


def test_the_size_may_be_anywhere_in_the_extra_field() -> None:
    block = with_extra(hostile.bgzf_block(b"hello"), b"XX\3\0abc", b"YY\0\0")
    assert is_bgzf(block)
    assert read(block + EOF_MARKER) == b"hello"


BLOCK = hostile.bgzf_block(b"hello" * 100)
BROKEN = {
    "empty": (b"", "compressed offset 0: the file ends without BGZF's end-of-file marker"),
    "no marker": (BLOCK * 2, f"compressed offset {len(BLOCK) * 2}: the file ends without"),
    "garbage after the marker": (BLOCK + EOF_MARKER + bytes(20), f"offset {len(BLOCK) + 28}: no BGZF block"),
    "cut header": (BLOCK + BLOCK[:17], "within a block's header"),
    "cut block": (
        BLOCK + BLOCK[:-1],
        f"offset {len(BLOCK)}: the file is truncated within the block",
    ),
    "bad magic": (b"\x1f\x8c\x08\x04" + BLOCK[4:], "no BGZF block"),
    "then plain gzip": (BLOCK + gzip.compress(b"x"), f"offset {len(BLOCK)}: plain gzip instead"),
    "plain gzip": (BLOCK[:12] + b"XX" + BLOCK[14:] + EOF_MARKER, "plain gzip"),
    "size too small": (BLOCK[:16] + b"\x10\0" + BLOCK[18:] + EOF_MARKER, "shorter than its header"),
    "bad CRC": (BLOCK[:-8] + bytes(4) + BLOCK[-4:] + EOF_MARKER, "CRC32"),
    "bad length": (BLOCK[:-4] + struct.pack("<I", 499) + EOF_MARKER, "CRC32 or length"),
    "length out of bounds": (BLOCK[:-4] + struct.pack("<I", 65537) + EOF_MARKER, "65537 bytes"),
    "bad deflate": (BLOCK[:18] + b"\xff" * 5 + BLOCK[23:] + EOF_MARKER, "cannot be inflated"),
    "extra field past the end": (BLOCK[:10] + b"\xff\xff" + BLOCK[12:], "truncated"),
}


@pytest.mark.parametrize(("file", "message"), BROKEN.values(), ids=BROKEN)
def test_damage_is_refused_with_name_and_place(file: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=r"^x\.bam, compressed offset \d+: ") as caught:
        read(file)
    assert message in str(caught.value)


@pytest.mark.parametrize("voffsets", [(501,), (0, 501), (0, 1 << 32), (1 << 32,)])
def test_virtual_offsets_beyond_the_data_are_refused(voffsets: tuple[int, ...]) -> None:
    with pytest.raises(SourceError):
        read(BLOCK + EOF_MARKER, *voffsets)


def test_every_single_cut_is_noticed() -> None:
    file = BLOCK + hostile.bgzf_block(b"end") + EOF_MARKER
    for end in range(len(file)):
        with pytest.raises(SourceError):
            read(file[:end])
