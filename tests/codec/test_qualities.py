"""Qualities: at every level they come back as they were, the models are as specified, and nonsense is refused."""

import itertools
import random
from array import array

import numpy as np
import pytest
from bams3.codec import base_model, base_tables, qualities, quality_model
from bams3.codec.cigars import Cigars
from bams3.codec.rans import decode, encode
from bams3.codec.reference import Reference
from bams3.codec.streams import compress
from bams3.codec.surroundings import Surroundings
from bams3.errors import FormatError
from hypothesis import given
from hypothesis import strategies as st
from reader import bases, columns
from row_groups import Streams, aligned_reads, with_qualities
from row_groups import columns as columns_of
from row_groups import encode as encode_records

RNG = np.random.default_rng(2)


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

    def surroundings(self) -> Surroundings:
        """Those of reads of no known base, which are not aligned."""
        count, pos = len(self.reads), array("i", [-1] * len(self.reads))
        known = Cigars(Streams({"cigar": (b"\0" + b"\1" * count)[:count], "cigar.count": b"\0"}), count)
        reference = Reference.of_block(self, pos, self.l_seq, known)
        return Surroundings.of_block(self, pos, self.l_seq, known, reference)


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
    "many of two values": [(0, b"\x25" * 140_001 + b"\2"), (16, b"\x25" * 140_001)],
    "many of four values": [(0, b"\2\x0c\x17\x25\x25\x17\2" * 40_001)],
    "many of sixteen values": [(0, RNG.integers(20, 35, 140_000).astype(np.uint8).tobytes()), (4, b"\5" * 140_001)],
    "a rare value": [(0, b"\x25" * 20_000 + b"\2"), (16, b"\x25" * 20_000)],
    "values that come late": [(0, b"\2\x0c\x17" * 9_001 + b"\x25" * 70), (16, b"\2\x0c" * 9_000 + b"\x41")],
}  # fmt: skip


@pytest.mark.parametrize("level", [5, 7, 9])
@pytest.mark.parametrize("name", QUALITIES)
def test_qualities(name: str, level: int) -> None:
    block = Block(QUALITIES[name])
    streams = Streams(qualities.encode(block, level, block.surroundings))
    decoded = qualities.decode(
        Streams({k: bytes(v) for k, v in streams.items()}), block.l_seq, block.flag, block.surroundings
    )
    assert bytes(decoded) == b"".join(quality for _, quality in block.reads)


@pytest.mark.parametrize("name", QUALITIES)
def test_packed_many_at_a_time(name: str) -> None:
    """The streams are the same as without."""
    if not qualities.use_wide(True):
        pytest.skip("this CPU has no AVX2")
    block = Block(QUALITIES[name])
    many = qualities.encode(block, 1, block.surroundings)
    qualities.use_wide(False)
    each = qualities.encode(block, 1, block.surroundings)
    qualities.use_wide(True)
    assert {key: bytes(value) for key, value in many.items()} == {
        key: bytes(value) for key, value in each.items()
    }


@given(
    values=st.lists(st.integers(0, 255), min_size=2, max_size=64, unique=True),
    reads=st.lists(
        st.tuples(st.integers(0, 0xFFFF), st.lists(st.integers(0, 63), max_size=40)), min_size=1, max_size=40
    ),
    level=st.sampled_from((5, 7, 9)),
)
def test_any_qualities(values: list[int], reads: list[tuple[int, list[int]]], level: int) -> None:
    block = Block([(flag, bytes(values[k % len(values)] for k in read)) for flag, read in reads])
    streams = Streams(qualities.encode(block, level, block.surroundings))
    assert bytes(qualities.decode(streams, block.l_seq, block.flag, block.surroundings)) == b"".join(
        quality for _, quality in block.reads
    )


@pytest.mark.parametrize(("level", "stream"), [(7, "qual.model"), (9, "qual.contexts")])
@pytest.mark.parametrize("name", ["four values", "eight values", "forty values"])
def test_a_model_is_taken_where_it_is_smaller(name: str, level: int, stream: str) -> None:
    block = Block(QUALITIES[name])
    sizes = [
        sum(
            len(compress(stream, level)[1])
            for stream in qualities.encode(block, level, block.surroundings).values()
        )
        for level in (6, level)
    ]
    assert sizes[1] < 0.95 * sizes[0]
    assert stream in qualities.encode(block, level, block.surroundings)
    assert stream not in qualities.encode(block, 6, block.surroundings)
    noise = Block(QUALITIES["noise of 64 values"])
    assert stream not in qualities.encode(noise, level, noise.surroundings)


@pytest.mark.parametrize(
    ("level", "stream", "reads"),
    [
        (7, "qual.model", aligned_reads(3, 200, with_md=0.5, errors=0.08)),
        (9, "qual.contexts", aligned_reads(3, 200, with_md=0.5, errors=0.08)),
        (5, "qual.tables", aligned_reads(3, 10, with_md=0.5, errors=0.08, times=40)),
    ],
)
def test_the_models_as_specified(level: int, stream: str, reads: list[bytes]) -> None:
    """A decoder that follows the text of docs/format.md; reads have every kind of operation."""
    records = with_qualities(reads)
    streams = encode_records(records, level=level)
    assert stream in streams
    group = columns_of(streams, records)
    sequences = bases.Sequences(streams, list(group.pos), columns.cigars(streams))
    assert b"".join(bases.qualities(streams, sequences, list(group.flag))) == bytes(group.qual)
    assert bytes(group.block().data) == b"".join(records)


def test_surroundings_help_qualities_that_depend_on_them() -> None:
    records = with_qualities(aligned_reads(5, 300, errors=0.0))
    streams = {level: encode_records(records, level=level) for level in (7, 9)}
    assert len(streams[9]["qual.contexts"]) < 0.7 * len(streams[7]["qual.model"])


MODELS = {"quality_model": quality_model, "base_model": base_model, "base_tables": base_tables}


class Modelled:
    """What a model makes of the qualities of reads."""

    def __init__(self, model: str, reads: list[tuple[int, bytes]]) -> None:
        block = Block(reads)
        self.plain = b"".join(quality for _, quality in reads)
        self.values = bytes(sorted(set(self.plain)))
        indices = self.plain.translate(bytes.maketrans(self.values, bytes(range(len(self.values)))))
        symbols = decode(encode(indices, 0), len(indices), 0)
        around = () if model == "quality_model" else (block.surroundings(),)
        self.module, self.known = MODELS[model], (block.l_seq, block.flag, *around)
        self.stored = bytes(self.module.encode(symbols, len(self.values), *self.known))

    def decoded(self, stored: bytes, values: bytes) -> bytes:
        return bytes(self.module.decode(stored, values, *self.known))


@pytest.mark.parametrize("model", MODELS)
@given(
    reads=st.lists(
        st.tuples(st.integers(0, 0xFFFF), st.lists(st.integers(0, 63), max_size=40).map(bytes)), max_size=40
    )
)
def test_any_qualities_modelled(model: str, reads: list[tuple[int, bytes]]) -> None:
    modelled = Modelled(model, [*reads, (16, b"\1\2")])
    assert modelled.decoded(modelled.stored, modelled.values) == modelled.plain


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("values", [2, 17, 51, 64])
def test_numbers_of_values(model: str, values: int) -> None:
    modelled = Modelled(model, [*quality_reads(40, 300, bytes(range(values))), (0, bytes(range(values)))])
    assert len(modelled.values) == values
    assert modelled.decoded(modelled.stored, modelled.values) == modelled.plain


@pytest.mark.parametrize("model", ["base_model", "base_tables"])
def test_models_of_more_values(model: str) -> None:
    modelled = Modelled(model, [(0, bytes(range(128)) * 9), (16, bytes(range(0, 128, 3)))])
    assert modelled.decoded(modelled.stored, modelled.values) == modelled.plain


@pytest.mark.parametrize("model", MODELS)
def test_nonsense_of_a_model_is_refused(model: str) -> None:
    chance = random.Random(1)
    modelled = Modelled(model, quality_reads(20, 80, bytes(range(2, 42, 3))))
    stored, values, refused = modelled.stored, modelled.values, 0
    for _ in range(300):
        out = bytearray(stored)
        kind = chance.randrange(4)
        if kind == 0:
            out = out[: chance.randrange(len(out))]
        elif kind == 1:
            out += chance.randbytes(chance.randrange(1, 9))
        else:
            for _ in range(chance.choice((1, 5))):
                out[chance.randrange(chance.choice((13, 90, len(out))))] = chance.randrange(256)
        known = chance.choice((values, values, values[:-1], values[:1], b"", values * 10))
        try:
            assert len(modelled.decoded(bytes(out), known)) == len(modelled.plain)
        except FormatError:
            refused += 1
    assert refused > 200
