"""Stream codecs: each stream takes one that suits it, comes back as it was, and nonsense is refused."""

import random

import numpy as np
import pytest
from bams3.codec import byte_model
from bams3.codec.streams import LEVELS, MAX_RAW_LENGTH, PROFILES, compress, decompress, deflate
from bams3.errors import FormatError
from hypothesis import given
from hypothesis import strategies as st
from reader.codecs import inflate

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
    hot=st.booleans(),
)
def test_round_trip(data: bytes, repeats: int, width: int, level: int, hot: bool) -> None:
    data = data * width * min(repeats, 1 + 50_000 // len(data))
    codec, stored = compress(Integers(data, width), level, hot=hot)
    assert bytes(decompress("x", codec, stored, len(data))) == data


def skips(count: int) -> bytes:
    """Tags MM: numbers of skipped bases, each of which often follows from the two before."""
    chance = random.Random(4)
    numbers = [0, 0]
    for _ in range(count):
        follows = chance.random() < 0.7
        numbers.append((3 * numbers[-1] + 5 * numbers[-2] + 1) % 17 if follows else chance.randrange(17))
    return b"C+m?,%s;" % b",".join(b"%d" % number for number in numbers)


SKIPS = skips(6000)


def test_cold_streams_of_the_highest_level_are_modelled() -> None:
    codec, stored = compress(SKIPS, 9, hot=False)
    assert codec == "mixed"
    assert len(stored) < 0.9 * len(compress(SKIPS, 9)[1])
    assert compress(SKIPS, 8, hot=False)[0] != "mixed" != compress(SKIPS, 9)[0]


@given(st.one_of(st.binary(min_size=2), st.text("ab,0", min_size=2).map(str.encode)), st.integers(1, 60))
def test_modelled_bytes_are_as_specified(data: bytes, repeats: int) -> None:
    data *= min(repeats, 1 + 600 // len(data))
    if len(set(data)) > 1:
        stored = bytes(byte_model.encode(data))
        assert bytes(byte_model.decode(stored, len(data))) == data
        assert inflate("mixed", stored, len(data)) == data


def test_damage_of_modelled_bytes_is_refused_or_decodes_to_as_many() -> None:
    chance = random.Random(1)
    stored, refused = bytes(byte_model.encode(SKIPS)), 0
    for _ in range(200):
        out = bytearray(stored)
        if chance.random() < 0.3:
            out = out[: chance.randrange(len(out))]
        for _ in range(chance.randrange(1, 5)):
            if out:
                out[chance.randrange(chance.choice((min(40, len(out)), len(out))))] = chance.randrange(256)
        try:
            assert len(byte_model.decode(bytes(out), len(SKIPS))) == len(SKIPS)
        except FormatError:
            refused += 1
    assert refused > 150


PLANE = bytes([1]) + (1).to_bytes(4, "little") + b"\0"  # constant


@pytest.mark.parametrize(
    ("codec", "stored", "length", "says"),
    [
        ("brotli", b"x", 1, "unknown codec 'brotli'"),
        ("raw", b"xy", 1, "2 bytes instead of the 1"),
        ("raw", b"", 0, "invalid length of 0"),
        ("constant", b"", 5, "0 stored bytes instead of one"),
        ("constant", b"xy", 5, "2 stored bytes instead of one"),
        ("constant", b"x", MAX_RAW_LENGTH + 1, "invalid length"),
        ("constant", b"x", -1, "invalid length"),
        ("zstd", b"nonsense", 8, "inflate"),
        ("zstd", deflate(b"abc", 1), 4, "inflates to 3"),
        ("zstd", deflate(b"abc" * 50, 1)[:-3], 150, "cannot be inflated"),
        ("zstd", deflate(b"abc" * 50, 1) + b"\0", 150, "cannot be inflated"),
        ("rans0", b"", 5, "truncated"),
        ("rans1", b"\xff\xff" + bytes(50), 5, "truncated"),
        ("mixed", b"", 5, "truncated"),
        ("mixed", b"\0ab", 5, "truncated"),
        ("mixed", b"\2abc\1", 5, "truncated"),
        ("mixed", b"\2abc\1\1" + bytes(9), 5, "not a tree"),
        ("mixed", b"\1ab\1" + bytes(9), 5, "does not decode to exactly 5 bytes"),
        ("mixed", b"\1ab\1\xff", MAX_RAW_LENGTH >> 8, "does not decode to exactly"),
        ("planes", b"", 4, "do not match"),
        ("planes", b"\1" + PLANE, 4, "do not match"),
        ("planes", b"\x09" + 9 * PLANE, 9, "do not match"),
        ("planes", b"\2" + 2 * PLANE, 5, "do not match"),
        ("planes", b"\2" + PLANE, 4, "truncated"),
        ("planes", b"\2" + PLANE + PLANE[:5], 4, "truncated"),
        ("planes", b"\2" + 2 * PLANE + b"x", 4, "after its planes"),
        ("planes", b"\2" + PLANE + b"\6" + PLANE[1:], 4, "truncated"),
        ("planes", b"\2" + PLANE + b"\0" + PLANE[1:], 4, "1 bytes instead of the 2"),
    ],
)
def test_nonsense_is_one_line(codec: str, stored: bytes, length: int, says: str) -> None:
    with pytest.raises(FormatError, match=f"^stream 'x'.*({says})[^\n]*$"):
        decompress("x", codec, stored, length)
