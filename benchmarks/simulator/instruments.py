"""Names and qualities of short reads, like those of sequencing instruments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Instrument:
    """A model of an instrument's base qualities.

    The badness of a read at a cycle is a normal number that depends on the cycle before (`correlation`). The level of
    the read (`level`), the first cycles, and the last ones (`rise`) add to it. `limits` divide it into `values`, best
    first.

    The parameters were fitted to reads from HiSeq X and NovaSeq instruments with binned qualities: to the bytes per
    read after compression with zlib, and to the entropies of a quality (alone; given the one before; given that and the
    cycle). These are 42 bytes and 1.9, 1.75, 1.65 bits for HiSeq X, and 16 bytes and 0.55, 0.53, 0.52 bits for NovaSeq.
    """

    name: str
    flow_cell: str
    values: tuple[int, ...]
    limits: tuple[float, ...]
    correlation: float
    level: float
    rise: float
    capped: int  # number of cycles at the start of a read that never have the best value


INSTRUMENTS = {
    "hiseq": Instrument(
        "K00188", "HFKWNBBXX", (41, 38, 34, 28, 23, 16, 7, 2), (0.42, 1.27, 1.92, 2.22, 2.42, 2.95, 4.2),
        correlation=0.35, level=0.4, rise=1.1, capped=5,
    ),
    "novaseq": Instrument(
        "A00297", "HT275DSXX", (37, 25, 11, 2), (1.55, 2.3, 4.2), correlation=0.3, level=0.35, rise=0.5, capped=0,
    ),
}  # fmt: skip


def qualities(rng: np.random.Generator, count: int, length: int, instrument: Instrument) -> np.ndarray:
    """Return random qualities, uint8 of shape (count, length), with the first cycle first."""
    badness = rng.standard_normal((length, count), np.float32)
    fresh = np.float32((1 - instrument.correlation**2) ** 0.5)
    for cycle in range(1, length):
        badness[cycle] *= fresh
        badness[cycle] += instrument.correlation * badness[cycle - 1]
    badness += instrument.level * rng.standard_normal(count, np.float32)
    cycle = np.arange(length, dtype=np.float32)
    badness += (np.exp(-cycle / 3) + instrument.rise * (cycle / length) ** 2)[:, None]
    bins = np.zeros((length, count), np.uint8)
    for limit in instrument.limits:
        bins += badness >= limit
    bins[: instrument.capped] = np.maximum(bins[: instrument.capped], 1)
    return np.array(instrument.values, np.uint8)[bins.T]


def pair_names(rng: np.random.Generator, count: int, instrument: Instrument, run: int) -> list[bytes]:
    """Return distinct names of one run in random order: instrument:run:flow cell:lane:tile:x:y and a NUL."""
    sites = np.unique(rng.integers(0, 4 * 2 * 678 << 30, count + count // 100 + 100))
    sites = rng.permutation(sites)[:count]
    lane, tile = sites >> 30 & 3, sites >> 32
    tile = (tile % 2 + 1) * 1000 + (tile // 2 % 6 + 1) * 100 + tile // 12 % 78 + 1
    x, y = 1000 + (sites & 0x7FFF), 1000 + (sites >> 15 & 0x7FFF)
    fields = zip((lane + 1).tolist(), tile.tolist(), x.tolist(), y.tolist(), strict=True)
    head = f"{instrument.name}:{run}:{instrument.flow_cell}"
    return [f"{head}:{a}:{b}:{c}:{d}\0".encode() for a, b, c, d in fields]
