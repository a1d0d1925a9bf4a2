"""Pairs of genotypes as bits against their definitions, and kinship against that of KING."""

import numpy as np
import pytest
from bams3.identity import pairs as module
from bams3.identity.genotypes import bits
from bams3.identity.pairs import compare, relation
from bams3.parallel.workers import Workers
from hypothesis import example, given, settings
from hypothesis import strategies as st


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    samples=st.integers(1, 7),
    sites=st.sampled_from([0, 1, 63, 64, 65, 300]),
    words=st.sampled_from([1, 5, 1 << 18]),
    workers=st.integers(1, 2),
)
@example(seed=0, samples=3, sites=300, words=1, workers=1)
def test_counts_are_those_of_genotypes(seed: int, samples: int, sites: int, words: int, workers: int) -> None:
    table = np.random.default_rng(seed).integers(-1, 3, (samples, sites)).astype(np.int8)
    with pytest.MonkeyPatch.context() as patch, Workers(workers) as pool:
        patch.setattr(module, "_WORDS", words)
        found = list(compare(np.stack([bits(row) for row in table]), pool))
    seen = []
    for pairs in found:
        for number, second in enumerate(pairs.second.tolist()):
            both = (table[pairs.first] >= 0) & (table[second] >= 0)
            one, other = table[pairs.first][both], table[second][both]
            expected = (
                len(one), (one == 1).sum(), (other == 1).sum(), ((one == 1) & (other == 1)).sum(),
                (abs(one - other) == 2).sum(), (one == other).sum(),
            )  # fmt: skip
            assert tuple(int(column[number]) for column in pairs[2:]) == tuple(map(int, expected))
            fewer = min(int(expected[1]), int(expected[2]))
            if len(one) < module.LEAST_SITES or not fewer:
                assert np.isnan(pairs.kinship[number])
            else:  # where both have as many, these are KING's estimators within and between families
                assert pairs.kinship[number] == pytest.approx((expected[3] - 2 * expected[4]) / (2 * fewer))
                assert pairs.error[number] == pytest.approx(
                    (expected[3] + 4 * expected[4]) ** 0.5 / (2 * fewer)
                )
            seen.append((pairs.first, second))
    assert seen == [(i, j) for i in range(samples) for j in range(i + 1, samples)]


@pytest.mark.parametrize(
    ("kinship", "error", "ibs0", "expected"),
    [
        (0.5, 0.01, 0, "same"),
        (0.36, 0.01, 0.01, "same"),
        (0.35, 0.01, 0, "parent-child"),
        (0.18, 0.01, 0.006, "siblings"),
        (0.17, 0.01, 0, "second-degree"),
        (0.05, 0.01, 0.03, "third-degree"),
        (0.04, 0.01, 0.05, "unrelated"),
        (-0.3, 0.01, 0.1, "unrelated"),
        (0.0, 0.05, 0.1, "unknown"),
        (0.15, 0.05, 0.1, "unknown"),
        (float("nan"), float("nan"), float("nan"), "unknown"),
    ],
)
def test_relations(kinship: float, error: float, ibs0: float, expected: str) -> None:
    assert relation(kinship, error, ibs0) == expected
