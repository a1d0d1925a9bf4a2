"""What one sample's sites tell of it: mixtures of known share, and sexes that X and Y agree on or not."""

import math
from dataclasses import replace

import numpy as np
import pytest
from bams3.identity.counts import Allele
from bams3.identity.genotypes import Calling, balance, genotypes
from bams3.identity.sample import measure
from bams3.identity.sites import AUTOSOME, X, Y
from families import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"), seed=2, autosomal=3000)


@pytest.mark.parametrize(
    ("share", "depth"), [(0, 30), (0.02, 30), (0.05, 10), (0.05, 300), (0.2, 30), (0.45, 30)]
)
def test_mixtures(world: World, share: float, depth: int) -> None:
    one, other = world.stranger("female"), world.stranger("male")
    sample, _ = measure("x", world.reads(one, depth, other=other, share=share), world.sites, Calling())
    assert sample.contamination == pytest.approx(share, abs=0.01)


def test_a_mixture_of_relatives_seems_smaller(world: World) -> None:
    father, mother = world.stranger("male"), world.stranger("female")
    child = world.child(father, mother, "male")
    sample, _ = measure("x", world.reads(child, other=father, share=0.2), world.sites, Calling())
    assert 0.05 < sample.contamination < 0.15


SEXES = {
    "male": ("male", {}, "male"),
    "female": ("female", {}, "female"),
    "XXY": ("male", {"x": "female"}, "unknown"),
    "X0": ("female", {"x": "male"}, "unknown"),
    "a woman with Y": ("female", {"y": "male"}, "unknown"),
}


@pytest.mark.parametrize("case", SEXES)
def test_sex(world: World, case: str) -> None:
    sex, changes, expected = SEXES[case]
    person = world.stranger(sex)
    others = {part: getattr(world.stranger(of), part) for part, of in changes.items()}
    sample, _ = measure("x", world.reads(replace(person, **others)), world.sites, Calling())
    assert sample.sex == expected


# Panels without X and Y, with one of them, with few sites: what speaks decides.
@pytest.mark.parametrize(
    ("kept", "expected"),
    [((AUTOSOME,), "unknown"), ((AUTOSOME, X), "male"), ((AUTOSOME, Y), "male"), ((X, Y), "unknown")],
)
def test_sex_of_part_of_the_sites(world: World, kept: tuple[int, ...], expected: str) -> None:
    chosen = np.isin(world.sites.kind, kept)
    columns = {name: getattr(world.sites, name)[chosen] for name in ("ref", "alt", "kind", "frequency")}
    sites = replace(world.sites, **columns)
    counts = Allele(*(column[chosen] for column in world.reads(world.stranger("male"))))
    sample, known = measure("x", counts, sites, Calling())
    assert sample.sex == expected
    assert len(known) == sample.sites == (3000 if AUTOSOME in kept else 0)
    assert math.isnan(sample.mean_depth) == (AUTOSOME not in kept)


@pytest.mark.parametrize(
    ("ref", "alt", "other", "expected"),
    [
        (7, 0, 0, 0), (6, 0, 0, -1), (0, 7, 0, 2), (4, 3, 0, 1), (93, 7, 0, 0), (92, 8, 0, -1), (81, 19, 0, -1),
        (80, 20, 0, 1), (20, 80, 0, 1), (8, 92, 0, -1), (7, 93, 0, 2), (24, 0, 1, 0), (23, 0, 1, -1), (0, 0, 0, -1),
        (0, 0, 50, -1),
    ],
)  # fmt: skip
def test_genotypes_are_by_balance(ref: int, alt: int, other: int, expected: int) -> None:
    counts = Allele(*(np.array([number]) for number in (ref, alt, other)))
    assert genotypes(balance(counts, 7), 0.2).tolist() == [expected]
