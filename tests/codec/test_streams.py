"""Stream codecs: each stream takes one that suits it, comes back as it was, and nonsense is refused."""

import itertools
import random
from array import array

import numpy as np
import pytest
from bams3.codec import qualities, quality_model
from bams3.codec.rans import decode, encode
from bams3.codec.streams import LEVELS, MAX_RAW_LENGTH, PROFILES, compress, decompress, deflate
from bams3.errors import FormatError
from hypothesis import given
from hypothesis import strategies as st
from reader.entropy import RangeDecoder

RNG = np.random.default_rng(2)


class Integers(bytes):
    """Bytes with the width of the integers that they are."""

    width: int

    def __new__(cls, data: bytes, width: int) -> "Integers":
        made = super().__new__(cls, data)
        made.width = width
        return made


def skewed(length: int) -> bytes:
    return RNG.geometric(0.3, length).clip(0, 40).astype(np.uint8).tobytes()


def followed(often: float) -> bytes:
    """Symbols of which some are `often` followed by one of their own: the less often, the less order 1 gains."""
    rng = np.random.default_rng(5)
    data = rng.geometric(0.04, 26_000).clip(1, 120).astype(np.uint8)
    data[1:] = np.where(rng.random(len(data) - 1) < often, (data[:-1] // 8 * 8 + 3) % 120, data[1:])
    return data.tobytes()


PHRASE = RNG.bytes(500)
STREAMS = {
    "a few bytes": (b"abcabd", {"raw"}),
    "one value": (b"\7" * 1000, {"constant"}),
    "one byte": (b"\7", {"constant"}),
    "noise": (RNG.bytes(5000), {"raw"}),
    "skewed": (skewed(5000), {"rans0"}),
    "each after the other": (bytes(np.cumsum(RNG.integers(1, 3, 50_000)).astype(np.uint8) % 17), {"rans1"}),
    "often after their own": (followed(0.6), {"rans1"}),
    "too seldom for tables": (followed(0.3), {"rans0"}),
    "phrases": (PHRASE * 20, {"zstd"}),
    "long phrases": (PHRASE * 200, {"zstd"}),
    "small integers": (Integers(RNG.integers(0, 500, 3000).astype("<u4").tobytes(), 4), {"planes"}),
    "many small integers": (Integers(RNG.integers(0, 500, 30_000).astype("<u8").tobytes(), 8), {"planes"}),
    "few integers": (Integers(bytes(range(12)), 4), {"raw"}),
    "repeated integers": (Integers(PHRASE * 8, 4), {"zstd"}),
    "noise of integers": (Integers(RNG.bytes(400), 8), {"raw"}),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", STREAMS)
def test_each_stream_takes_what_suits_it(name: str, level: int) -> None:
    data, codecs = STREAMS[name]
    codec, stored = compress(data, level)
    assert codec in codecs or level < 5
    assert len(stored) <= len(data) + (codec == "planes") * 41
    assert bytes(decompress("x", codec, stored, len(data))) == data


def test_a_higher_level_is_smaller() -> None:
    text = b"".join(b"A%d:%d:chr%d\0" % (i // 40, i * 7919 % 1000, i * i % 23) for i in range(3000))
    fast, default, small = (len(compress(text, level)[1]) for level in PROFILES.values())
    assert fast > default > small


@given(
    data=st.binary(min_size=1),
    repeats=st.integers(1, 2000),
    width=st.sampled_from((1, 2, 4, 8)),
    level=st.sampled_from(LEVELS),
)
def test_round_trip(data: bytes, repeats: int, width: int, level: int) -> None:
    data = data * width * min(repeats, 1 + 50_000 // len(data))
    codec, stored = compress(Integers(data, width), level)
    assert bytes(decompress("x", codec, stored, len(data))) == data


PLANE = bytes([1]) + (1).to_bytes(4, "little") + b"\0"  # constant


@pytest.mark.parametrize(
    ("codec", "stored", "length", "says"),
    [
        ("brotli", b"x", 1, "unknown codec 'brotli'"),
        ("raw", b"xy", 1, "2 bytes instead of the 1"),
        ("raw", b"", 0, "invalid length of 0"),
        ("constant", b"", 5, "unknown codec|instead of"),
        ("constant", b"xy", 5, "unknown codec|instead of"),
        ("constant", b"x", MAX_RAW_LENGTH + 1, "invalid length"),
        ("constant", b"x", -1, "invalid length"),
        ("zstd", b"nonsense", 8, "inflate"),
        ("zstd", deflate(b"abc", 1), 4, "inflates to 3"),
        ("zstd", deflate(b"abc" * 50, 1)[:-3], 150, "cannot be inflated"),
        ("rans0", b"", 5, "truncated"),
        ("rans1", b"\xff\xff" + bytes(50), 5, "truncated"),
        ("planes", b"", 4, "do not match"),
        ("planes", b"\1" + PLANE, 4, "do not match"),
        ("planes", b"\x09" + 9 * PLANE, 9, "do not match"),
        ("planes", b"\2" + 2 * PLANE, 5, "do not match"),
        ("planes", b"\2" + PLANE, 4, "truncated"),
        ("planes", b"\2" + PLANE + PLANE[:5], 4, "truncated"),
        ("planes", b"\2" + 2 * PLANE + b"x", 4, "after its planes"),
        ("planes", b"\2" + PLANE + b"\5" + PLANE[1:], 4, "truncated"),
        ("planes", b"\2" + PLANE + b"\0" + PLANE[1:], 4, "1 bytes instead of the 2"),
    ],
)
def test_nonsense_is_one_line(codec: str, stored: bytes, length: int, says: str) -> None:
    with pytest.raises(FormatError, match=f"^stream 'x'.*({says})[^\n]*$"):
        decompress("x", codec, stored, length)


class Block:
    """As much of a RecordBlock as the encoder of qualities looks at: reads of some qualities and flags."""

    def __init__(self, reads: list[tuple[int, bytes]]) -> None:
        self.reads = reads
        records = [
            bytes(12) + b"\1" + bytes(5) + flag.to_bytes(2, "little") + len(quality).to_bytes(4, "little") + bytes(13)
            + bytes((len(quality) + 1) // 2) + quality
            for flag, quality in reads
        ]  # fmt: skip
        self.data = b"".join(records)
        self.offsets = array("q", itertools.accumulate(map(len, records), initial=0))
        self.l_seq = array("i", [len(quality) for _, quality in reads])
        self.flag = array("H", [flag for flag, _ in reads])


class Streams(dict):
    def __missing__(self, name: str) -> bytes:
        return b""


def quality_reads(count: int, length: int, values: bytes) -> list[tuple[int, bytes]]:
    """Qualities that vary little within a read and fall with the cycle."""
    reads = []
    for _ in range(count):
        noise = np.cumsum(RNG.integers(-1, 2, length)) / 6 - np.arange(length) / 40
        quality = bytes(values[k] for k in (len(values) - 1 + noise).clip(0, len(values) - 1).astype(int))
        flag = int(RNG.choice((99, 147, 83, 163, 4)))
        reads.append((flag, quality[::-1] if flag & 16 else quality))
    return reads


QUALITIES = {
    "none": [],
    "no bases": [(4, b"")] * 3,
    "missing": [(4, b"\xff" * 50)] * 30,
    "two values": quality_reads(200, 100, b"\2\x25"),
    "four values": quality_reads(200, 150, b"\2\x0c\x17\x25"),
    "eight values": quality_reads(300, 150, bytes(range(2, 42, 5))),
    "sixteen values": quality_reads(300, 101, bytes(range(2, 42, 2))[:16]),
    "seventeen values": quality_reads(300, 101, bytes(range(2, 42, 2))[:17]),
    "forty values": quality_reads(300, 101, bytes(range(2, 42))),
    "all values": [(0, bytes(range(256)) * 2), (16, bytes(range(255, -1, -1)))],
    "noise of 64 values": [(flag, RNG.integers(0, 64, 300).astype(np.uint8).tobytes()) for flag in range(0, 256, 7)],
    "of all lengths": [(flag, (b"\2\x25\x0c" * 99)[:length]) for flag in (0, 16, 128, 144) for length in range(290)],
    "a rare value": [(0, b"\x25" * 20_000 + b"\2"), (16, b"\x25" * 20_000)],
}  # fmt: skip


@pytest.mark.parametrize("level", [5, 7])
@pytest.mark.parametrize("name", QUALITIES)
def test_qualities(name: str, level: int) -> None:
    block = Block(QUALITIES[name])
    streams = Streams(qualities.encode(block, level))
    decoded = qualities.decode(Streams({k: bytes(v) for k, v in streams.items()}), block.l_seq, block.flag)
    assert bytes(decoded) == b"".join(quality for _, quality in block.reads)


@given(
    values=st.lists(st.integers(0, 255), min_size=2, max_size=64, unique=True),
    reads=st.lists(
        st.tuples(st.integers(0, 0xFFFF), st.lists(st.integers(0, 63), max_size=40)), min_size=1, max_size=40
    ),
    level=st.sampled_from((5, 7)),
)
def test_any_qualities(values: list[int], reads: list[tuple[int, list[int]]], level: int) -> None:
    block = Block([(flag, bytes(values[k % len(values)] for k in read)) for flag, read in reads])
    streams = Streams(qualities.encode(block, level))
    assert bytes(qualities.decode(streams, block.l_seq, block.flag)) == b"".join(
        quality for _, quality in block.reads
    )


@pytest.mark.parametrize("name", ["four values", "eight values", "forty values"])
def test_the_model_is_taken_where_it_is_smaller(name: str) -> None:
    block = Block(QUALITIES[name])
    sizes = [
        sum(len(compress(stream, level)[1]) for stream in qualities.encode(block, level).values())
        for level in (5, 7)
    ]
    assert sizes[1] < 0.95 * sizes[0]
    assert "qual.model" in qualities.encode(block, 7)
    assert "qual.model" not in qualities.encode(block, 6)
    assert "qual.model" not in qualities.encode(Block(QUALITIES["noise of 64 values"]), 9)


def modelled(reads: list[tuple[int, bytes]]) -> tuple[Block, bytes, bytes]:
    """A block, its distinct qualities, and what the model makes of it."""
    block = Block(reads)
    plain = b"".join(quality for _, quality in reads)
    values = bytes(sorted(set(plain)))
    indices = plain.translate(bytes.maketrans(values, bytes(range(len(values)))))
    symbols = decode(encode(indices, 0), len(indices), 0)
    return block, values, bytes(quality_model.encode(symbols, len(values), block.l_seq, block.flag))


def test_the_model_as_specified() -> None:
    """A decoder that follows the text of docs/format.md."""
    reads = [*quality_reads(30, 60, bytes(range(2, 42, 3))), *QUALITIES["of all lengths"][::97]]
    block, values, stored = modelled(reads)
    count = len(values)
    splits = iter(stored[: count - 1])

    def tree(low: int, high: int) -> tuple | int:
        if high - low == 1:
            return low
        node = next(splits)
        return node, tree(low, node), tree(node, high)

    root, coder = tree(0, count), RangeDecoder(stored[count - 1 :])
    stretched = [round(256 * np.log((k + 0.5) / (4095.5 - k))) for k in range(4096)]
    predictions: dict[object, tuple[int, int]] = {}
    weights: dict[object, list[int]] = {}
    decoded = []
    for length, flag in zip(block.l_seq, block.flag, strict=True):
        read: list[int] = []
        changes = 0
        for cycle in range(length):
            q1, q2, q3 = [0, 0, 0, *read][:-4:-1]
            contexts = (
                ("a", q1, q2),
                ("b", min(cycle, 255), flag & 128),
                ("c", q1, max(q2, q3), min(changes // 8, 7)),
            )
            at = root
            while isinstance(at, tuple):
                states = [predictions.get((context, at[0]), (1 << 21, 0)) for context in contexts]
                w = weights.setdefault((q1, at[0]), [26214] * 3)
                s = [stretched[p >> 10] for p, _ in states]
                mixed = max(-2816, min(2816, sum(a * b for a, b in zip(w, s, strict=True)) >> 16))
                p = round(65536 / (1 + np.exp(-mixed / 256)))
                bit = coder.split((coder.width >> 16) * p)
                error = (0 if bit else 65535) - p
                for k, (context, (prob, seen)) in enumerate(zip(contexts, states, strict=True)):
                    w[k] += error * s[k] + 32768 >> 16
                    step = 327680 // (5 * seen + 8)
                    prob += ((0 if bit else (1 << 22) - 1) - prob) * step >> 16
                    predictions[context, at[0]] = prob, min(seen + 1, 255)
                at = at[1 + bit]
            changes += min(abs(at - q1), 3) if read else 0
            read.append(at)
        quality = bytes(values[k] for k in read)
        decoded.append((flag, quality[::-1] if flag & 16 else quality))
    assert coder.at == len(stored) - count + 1 + 3
    assert decoded == reads


def test_nonsense_of_the_model_is_refused() -> None:
    chance = random.Random(1)
    block, values, stored = modelled(quality_reads(20, 80, bytes(range(2, 42, 3))))
    refused = 0
    for _ in range(500):
        out = bytearray(stored)
        kind = chance.randrange(4)
        if kind == 0:
            out = out[: chance.randrange(len(out))]
        elif kind == 1:
            out += chance.randbytes(chance.randrange(1, 9))
        else:
            for _ in range(chance.choice((1, 5))):
                out[chance.randrange(chance.choice((13, len(out))))] = chance.randrange(256)
        known = chance.choice((values, values, values[:-1], values[:1], b"", values * 5))
        try:
            decoded = quality_model.decode(bytes(out), known, block.l_seq, block.flag)
        except FormatError:
            refused += 1
        else:
            assert len(decoded) == sum(block.l_seq)
    assert refused > 350
