"""Targets in the QC table: what they cover, what is said of them, what columns and limits are called."""

from pathlib import Path

import pytest
from bams3.cohort import columns
from bams3.cohort.depth import of_targets, size_of
from bams3.cohort.qc import write_qc
from bams3.cohort.regions import write_regions, write_targets
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.quality import check_limits, own_columns
from cohort_files import THRESHOLDS, make_cohort
from pyarrow import parquet

CONTIGS = [("b", 250), ("a", 100), ("c", 50)]


@pytest.mark.parametrize(
    ("bed", "targets"),
    [
        ("b\t0\t10\nb\t20\t30\n", "b 0 10;b 20 30"),
        ("b\t5\t9\nb\t0\t10\nb\t9\t12\nb\t0\t10\n", "b 0 12"),
        ("b\t0\t10\nb\t10\t20\nb\t21\t22\n", "b 0 20;b 21 22"),
        ("a\t90\t150\nb\t1\t2\nb\t260\t270\n", "b 1 2;a 90 100"),
        ("a\t7\t7\nb\t1\t2\n", "b 1 2"),
    ],
    ids=["apart", "overlapping", "touching", "past the end", "empty"],
)
def test_targets_have_each_base_once(tmp_path: Path, bed: str, targets: str) -> None:
    given, regions, found = (tmp_path / name for name in ("in.bed", "regions.bed", "targets.bed"))
    given.write_text(bed)
    write_regions(str(regions), str(given), CONTIGS)
    write_targets(str(found), str(regions), CONTIGS)
    assert found.read_text().replace("\t", " ").splitlines() == targets.split(";")
    assert size_of(found) == sum(
        int(end) - int(start) for _, start, end in map(str.split, targets.split(";"))
    )


# Of targets by how deep their bases are: what mosdepth says of them, and the mean, the median, breadths of 10, 400
# and 500, and fold-80. mosdepth has no line of a depth above 300 that no base has, nor of contigs without reads.
DEPTHS = {
    "even": ([10] * 10, (10.0, 10, 1.0, 0.0, 0.0, 1.0)),
    "uneven": ([0, 4, 8, 10, 10, 12, 20, 20, 30, 36], (15.0, 12, 0.7, 0.0, 0.0, 1.875)),
    "a fifth is empty": ([0, 0, 5, 5, 5, 5, 5, 5, 5, 5], (4.0, 5, 0.0, 0.0, 0.0, 0.8)),
    "more is empty": ([0, 0, 0, 5, 5, 5, 5, 5, 5, 5], (3.5, 5, 0.0, 0.0, 0.0, None)),
    "deep": ([350, 350, 450, 450, 450, 450, 450, 450, 450, 550], (440.0, 450, 1.0, 0.8, 0.1, 440 / 450)),
    "no reads": ([0] * 10, (0.0, 0, 0.0, 0.0, 0.0, None)),
}  # fmt: skip


@pytest.mark.parametrize("told", [True, False], ids=["all told", "a contig without reads"])
@pytest.mark.parametrize("case", DEPTHS)
def test_what_is_said_of_targets(tmp_path: Path, case: str, told: bool) -> None:
    """`told`: mosdepth has all bases; else those without a read are on a contig of their own."""
    depths, wanted = DEPTHS[case]
    bases = depths if told and any(depths) else [depth for depth in depths if depth]
    levels = [*range(300, -1, -1)] if bases else []
    levels = sorted({*levels, *(depth for depth in bases if depth > 300)}, reverse=True)
    shares = {level: sum(depth >= level for depth in bases) / len(bases) for level in levels}
    heading = "chrom\tlength\tbases\tmean\tmin\tmax\n"
    mean = sum(bases) / (len(bases) or 1)
    texts = {
        "summary": f"{heading}total\t100\t{2 * sum(bases)}\t1.00\t0\t9\n",
        "targets_summary": f"{heading}total_region\t{len(bases)}\t{sum(bases)}\t{mean:.6f}\t0\t9\n",
        "targets_dist": "total\t900\t0.50\ntotal\t0\t1.00\n"  # a contig that is called so
        + "".join(f"total\t{level}\t{share:.6f}\n" for level, share in shares.items() if share >= 8e-5),
        "targets_reads": "80\n20\n" if bases else "0\n0\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    found = of_targets({name: str(tmp_path / name) for name in texts}, len(depths), (10, 400, 500))
    names = ["target_mean_coverage", "target_median_coverage"]
    names += ["target_breadth_10x", "target_breadth_400x", "target_breadth_500x", "fold_80"]
    assert [found.pop(name) for name in names] == pytest.approx(list(wanted), abs=1e-4)
    rates = {"on_target_read_rate": 0.25, "on_target_base_rate": 0.5}
    assert found == (rates if bases else dict.fromkeys(rates))


def test_limits_and_outliers_are_of_the_targets(tmp_path: Path) -> None:
    """S0003, whose genome is shallow, is as deep as the others there; S0007 is not, and S0008 not at all."""
    files = make_cohort(tmp_path, 12, scale=1000)
    (tmp_path / "targets.bed").write_text("chr1\t0\t100\n")
    for number, (name, paths) in enumerate(files.items()):
        depth = {"S0007": 40, "S0008": 2}.get(name, 100 + number % 3)
        texts = {
            "targets_summary": f"chrom\tlength\tbases\tmean\tmin\tmax\ntotal_region\t100\t{100 * depth}\t1.00\t0\t9\n",
            "targets_dist": f"total\t{depth}\t1.000000\ntotal\t0\t1.000000\n",
            "targets_reads": "1000\n700\n",
        }
        for kind, text in texts.items():
            (tmp_path / f"{name}.{kind}").write_text(text)
            paths[kind] = str(tmp_path / f"{name}.{kind}")
    limits = {"mean_coverage": {"min": 30}, "genome_mean_coverage": {"min": 5}}
    genome, targets = tmp_path / "genome.parquet", tmp_path / "targets.bed"
    write_qc(tmp_path / "out", files, genome, THRESHOLDS, limits=limits, targets=targets)
    table = parquet.read_table(tmp_path / "out.parquet")
    rows = {row["sample"]: row for row in table.to_pylist()}
    told = {name: (row["status"], row["reasons"].split(" -")[0]) for name, row in rows.items()}
    assert {name: what for name, what in told.items() if what[0] != "pass"} == {
        "S0005": ("outlier", rows["S0005"]["reasons"]),
        "S0007": ("outlier", "target_mean_coverage"),
        "S0008": ("fail", "target_mean_coverage 2 < 30; target_mean_coverage"),
    }
    assert rows["S0003"]["genome_mean_coverage"] < 20 < rows["S0003"]["target_mean_coverage"]


NONE = "the QC table has no such column; "
MEANT = NONE + "did you mean {}?"


@pytest.mark.parametrize(
    ("name", "windows", "targets"),
    [
        ("mean_coverage", None, None),
        ("breadth_20x", None, None),
        ("mapped_rate", None, None),
        ("y_ratio", None, None),
        ("median_coverage", "this column needs targets; set", None),
        ("target_breadth_20x", "this column needs targets; set", None),
        ("fold_80", "this column needs targets; set", None),
        ("on_target_read_rate", "this column needs targets; set", None),
        ("genome_mean_coverage", "without targets, the column is called mean_coverage", None),
        ("genome_median_coverage", NONE, NONE),
        ("breadth_25x", "not measured; add 25 to", "not measured; add 25 to"),
        ("genome_breadth_25x", "not measured; add 25 to", "not measured; add 25 to"),
        ("breadth_020x", MEANT.format("breadth_20x"), MEANT.format("breadth_20x")),
        ("mean_covrage", MEANT.format("mean_coverage"), MEANT.format("mean_coverage")),
        ("Mean_Coverage", MEANT.format("mean_coverage"), MEANT.format("mean_coverage")),
        ("duplicates_rate", MEANT.format("duplicate_rate"), MEANT.format("duplicate_rate")),
        ("sample", NONE, NONE),
        ("?", NONE + "choose one of reads, mapped_rate, ", NONE + "choose one of reads, mapped_rate, "),
    ],
)
def test_limits(name: str, windows: str | None, targets: str | None) -> None:
    for has_targets, message in ((False, windows), (True, targets)):
        if message is None:
            check_limits({name: {}}, (1, 20), has_targets)
            assert columns.meant(name, has_targets) in columns.numbers((1, 20), has_targets)
            continue
        with pytest.raises(ConfigurationError) as raised:
            check_limits({"reads": {"min": 5, "max": 5}, name: {"min": 5}}, (1, 20), has_targets)
        assert str(raised.value).startswith(f"config: cohort: limits: {name}: {message}")


def test_limits_that_nothing_is_within() -> None:
    with pytest.raises(ConfigurationError) as raised:
        check_limits({"reads": {"min": 5, "max": 4.5}}, (), has_targets=False)
    assert str(raised.value) == "config: cohort: limits: reads: `min` 5 is above `max` 4.5; swap them"


TAKEN = {
    *columns.FIRST,
    *columns.numbers((7,), True),
    *columns.numbers((30,), False),
    "pc3",
    "median_coverage",
}


@pytest.mark.parametrize("name", sorted(TAKEN))
def test_a_column_that_the_table_has_is_refused(name: str) -> None:
    heading = f"sample\talignments\t{name}" if name != "sample" else "sample\tsample\talignments"
    with pytest.raises(ConfigurationError) as raised:
        own_columns(f"# mine\n\n{heading}\nS1\ta.bam\tx\n", "s.tsv", [])
    assert str(raised.value).startswith("s.tsv:3: ")
    assert name in str(raised.value)


def test_other_columns_have_a_cell_for_each_sample() -> None:
    text = "sex\tsample\talignments\t\tmean_depth\tReads\nF\tS1\ta.bam\t\t3\n\tS2\tb.bam\n"
    rows = [{"sample": "S1", "sex": "F", "mean_depth": "3"}, {"sample": "S2"}]
    found = own_columns(text, "s.tsv", rows)
    assert found == {"sex": ["F", None], "mean_depth": ["3", None], "Reads": [None, None]}
