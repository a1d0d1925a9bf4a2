"""Headings of the columns of a cohort, their order, and the facts of the page's head."""

import pytest
from bams3.cohort.about import About, facts
from bams3.cohort.headings import heading, ordered

WINDOWS = [
    "sample",
    "status",
    "reasons",
    "sex",
    "reads",
    "mean_coverage",
    "x_ratio",
    "breadth_1x",
    "breadth_10x",
    "pc1",
]

TARGETS = [
    "sample", "status", "reasons", "sex", "batch", "reads", "genome_mean_coverage", "genome_breadth_1x", "fold_80",
    "target_breadth_1x", "target_mean_coverage", "target_median_coverage", "on_target_read_rate", "pc1",
]  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "own", "wanted"),
    [
        (
            WINDOWS,
            ["sex"],
            "sample status sex mean_coverage breadth_1x breadth_10x reasons reads x_ratio pc1",
        ),
        (
            TARGETS,
            ["sex", "batch"],
            "sample status sex batch target_mean_coverage target_median_coverage target_breadth_1x reasons fold_80 "
            "on_target_read_rate genome_mean_coverage genome_breadth_1x reads pc1",
        ),
        (["sample", "status", "reasons", "reads"], [], "sample status reasons reads"),
    ],
)
def test_order_of_columns(columns: list[str], own: list[str], wanted: str) -> None:
    assert ordered(columns, own) == wanted.split()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("mean_coverage", ("Mean coverage", "×")),
        ("target_median_coverage", ("Target median coverage", "×")),
        ("genome_breadth_20x", ("Genome breadth ≥ 20×", "%")),
        ("duplicate_rate", ("Duplicates", "%")),
        ("insert_size_sd", ("Insert size, SD", "bp")),
        ("pc12", ("Component 12", "")),
        ("target_reads", None),
        ("batch", None),
    ],
)
def test_headings(name: str, wanted: tuple[str, str] | None) -> None:
    found = heading(name)
    assert (found and tuple(found[:2])) == wanted


@pytest.mark.parametrize(
    ("about", "wanted"),
    [
        (About(), {"Limits": "none", "Outliers": "needs 8 samples or more"}),
        (About(regions="s3://lab/exome.bed"), {"Targets": "1,234 in exome.bed"}),
        (About(regions="5000"), {"Regions": "1,234 windows of 5,000 bp"}),
        (About(contigs=[("chr<7>", 9)]), {"Contigs": "chr<7> of 9 bp, as in the alignments"}),
        (About(reference="a\nb.fa"), {"Reference": "a\\nb.fa"}),
        (About(limits={"breadth_5x": {"max": 0.07}}), {"Limits": "Target breadth ≥ 5×: at most 7 %"}),
    ],
)
def test_facts(about: About, wanted: dict[str, str]) -> None:
    found = dict(facts(about, ["target_breadth_5x"], 1234, 7))
    assert wanted.items() <= found.items()
