"""rANS: what goes in comes out, as docs/format.md says it; and nonsense is refused."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
from bams3.codec.rans import Model, decode, encode, use_tiles
from bams3.errors import FormatError
from hypothesis import given
from hypothesis import strategies as st
from reader import entropy as reader

ORDERS = (0, 1)
RNG = np.random.default_rng(1)


def skewed(length: int, symbols: int, sharpness: float = 1.0) -> bytes:
    weights = np.exp(-sharpness * np.arange(symbols))
    return RNG.choice(symbols, length, p=weights / weights.sum()).astype(np.uint8).tobytes()


def walk(length: int, highest: int) -> bytes:
    return (
        np.clip(np.cumsum(RNG.integers(-1, 2, length)) % (highest + 1), 0, highest).astype(np.uint8).tobytes()
    )


DATA = {
    "one": b"x",
    "constant": b"\0" * 5000,
    "constant 255": b"\xff" * 40_000,
    "alternating": b"ab" * 20_000,
    "one of another": b"\0" * 30_000 + b"\xff" + b"\0" * 3000,
    "every byte": bytes(range(256)) * 3,
    "random": RNG.bytes(70_000),
    "random, short": RNG.bytes(300),
    "skewed": skewed(50_001, 40),
    "very skewed": skewed(50_001, 40, 6),
    "walk": walk(100_003, 40),
    "walk over all bytes": walk(100_003, 255),
    "text": b"".join(b"chr%d:%d," % (i % 23, i * i) for i in range(3000)),
    **{
        f"{n} bytes": skewed(n, 9, 0.3)
        for n in (1023, 1024, 16383, 16384, 16385, 16384 + 1023, 32 * 1024 + 31)
    },
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
def test_round_trip_as_specified(data: bytes, order: int) -> None:
    model = Model(data, order)
    stored = bytes(model.encode())
    assert bytes(decode(stored, len(data), order)) == data
    assert reader.rans(stored, len(data), order) == data
    assert abs(model.size - len(stored)) < 40 + len(stored) / 100


@pytest.fixture(params=[1, 2], ids=["AVX2", "AVX-512"])
def tiles(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tiles of this width are used; after the test, the widest ones again."""
    if use_tiles(request.param) < request.param:
        pytest.skip("this CPU has no such instructions")
    yield
    use_tiles(2)


def decoded(stored: bytes, length: int, order: int) -> bytes | None:
    try:
        return bytes(decode(stored, length, order))
    except FormatError:
        return None


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("data", [data for data in DATA.values() if len(data) >= 16384])
def test_tiles_do_what_single_symbols_do(data: bytes, order: int) -> None:
    stored = bytes(encode(data, order))
    damaged = [stored, stored[:-2], stored[:-1], stored + b"\0\0", stored[: len(stored) // 2]]
    for at in RNG.integers(2, len(stored), 20):
        damaged.append(stored[:at] + bytes([stored[at] ^ 1 << at % 8]) + stored[at + 1 :])
    by_tiles = [decoded(each, len(data), order) for each in damaged]
    use_tiles(0)
    assert bytes(encode(data, order)) == stored
    assert [decoded(each, len(data), order) for each in damaged] == by_tiles
    assert by_tiles[:5] == [data, None, None, None, None]


@pytest.mark.parametrize("order", ORDERS)
def test_every_short_length(order: int) -> None:
    for length in range(1, 200):
        for data in (RNG.bytes(length), skewed(length, 3), b"\7" * length):
            assert bytes(decode(encode(data, order), length, order)) == data


@given(data=st.binary(min_size=1) | st.text("ab", min_size=1).map(str.encode), repeats=st.integers(1, 3000))
@pytest.mark.parametrize("order", ORDERS)
def test_round_trip(order: int, data: bytes, repeats: int) -> None:
    data *= min(repeats, 1 + 100_000 // len(data))
    assert bytes(decode(encode(data, order), len(data), order)) == data


def test_sizes_are_near_the_entropy() -> None:
    data = skewed(100_000, 16, 0.4)
    counts = np.bincount(np.frombuffer(data, np.uint8))
    entropy = -(counts * np.log2(counts / len(data), where=counts > 0, out=np.zeros(len(counts)))).sum() / 8
    assert len(encode(data, 0)) < 1.005 * entropy + 150
    assert len(encode(walk(100_000, 40), 1)) < 100_000 * np.log2(3) / 8 * 1.01 + 600


def test_tables_of_few_symbols_are_small() -> None:
    """A short stream costs what its content costs, not what the coder needs."""
    assert len(encode(b"\0" * 150 + b"\1" * 150, 0)) < 37.5 + 16
    assert len(encode(walk(2000, 40), 1)) < 2000 * np.log2(3) / 8 + 250


def nonsense(stored: bytes, chance: random.Random) -> bytes:
    out = bytearray(stored)
    kind = chance.randrange(5)
    if kind == 0:
        return bytes(out[: chance.randrange(len(out))])
    if kind == 1:
        return bytes(out) + chance.randbytes(chance.randrange(1, 80))
    if kind == 2:
        return chance.randbytes(chance.randrange(len(out)))
    for _ in range(chance.choice((1, 3, 50))):
        near = chance.choice((2, 40, len(out)))  # the table comes first
        out[chance.randrange(min(near, len(out)))] = chance.randrange(256)
    return bytes(out)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "name", ["random, short", "skewed", "walk", "text", "1024 bytes", "constant", "very skewed"]
)
def test_nonsense_is_refused_or_decodes(name: str, order: int) -> None:
    """FormatError, or as many bytes as were asked for; mostly FormatError, since the states have to come out right."""
    chance = random.Random(name)
    stored, length = bytes(encode(DATA[name], order)), len(DATA[name])
    refused = 0
    for _ in range(300):
        changed = nonsense(stored, chance)
        asked = (
            length
            if chance.random() < 0.7
            else chance.choice((0, 1, length - 1, length + 1, 2 * length, 1 << 20))
        )
        try:
            assert len(decode(changed, asked, chance.choice((order, order, 1 - order)))) == asked
        except FormatError:
            refused += 1
    assert refused > 250
