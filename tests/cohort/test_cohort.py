"""What a cohort's samples give together: regions, matrices, the QC table, profiles."""

import random
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from bams3.cohort import matrix
from bams3.cohort.matrix import Measure, measures, read_matrix, write_matrices
from bams3.cohort.profiles import profiles
from bams3.cohort.qc import write_qc
from bams3.cohort.regions import MOST_BINS, bin_size, is_autosome, write_bins, write_regions
from bams3.errors import FormatError, UsageError
from cohort_files import HUMAN, LIMITS, NAMES, THRESHOLDS, make_cohort

CONTIGS = [("b", 250), ("a", 100)]
NO_REGIONS = (
    "in.bed: no regions on the contigs that are measured; use a BED file that has some, or a window size"
)
HUMAN_CONTIGS = [*zip(NAMES, HUMAN, strict=True), ("chrM", 16569), ("chrUn_1", 5000)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort of twelve."""
    folder = tmp_path_factory.mktemp("cohort")
    make_cohort(folder, 12, scale=1000)
    return folder


@pytest.mark.parametrize(
    ("by", "lines"),
    [
        (100, ["b 0 100 b:1-100", "b 100 200 b:101-200", "b 200 250 b:201-250", "a 0 100 a:1-100"]),
        ("c\t1\t2\na\t5\t9\nb\t7\t8\tx\nb\t2\t9\t\n", ["b 2 9 b:3-9", "b 7 8 x", "a 5 9 a:6-9"]),
    ],
    ids=["windows", "bed"],
)
def test_regions(tmp_path: Path, by: int | str, lines: list[str]) -> None:
    if isinstance(by, str):
        (tmp_path / "in.bed").write_text(by)
        by = str(tmp_path / "in.bed")
    write_regions(str(tmp_path / "out.bed"), by, CONTIGS)
    assert (tmp_path / "out.bed").read_text().replace("\t", " ").splitlines() == lines


@pytest.mark.parametrize(
    ("bed", "message"),
    [
        ("c\t1\t2\n", NO_REGIONS),
        ("", NO_REGIONS),
        (
            "a\t1\n",
            "in.bed:1: line skipped; it has fewer than 3 tab-separated columns; remove the line or fix it",
        ),
    ],
)
def test_regions_that_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bed: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.bed").write_text(bed)
    with pytest.raises(UsageError) as raised:
        write_regions("out.bed", "in.bed", CONTIGS)
    assert str(raised.value) == message
    assert not Path("out.bed").exists()


@pytest.mark.parametrize(
    ("contigs", "size", "named"),
    [
        (HUMAN_CONTIGS, 1_000_000, NAMES),
        ([("plasmid", 90_000), ("chromosome", 5_000_000)], 2000, ["plasmid", "chromosome"]),
        ([(f"s{i}", 1000 + i) for i in range(10_000)], 20_000, [f"s{i}" for i in range(6500, 10_000)]),
        ([("tiny", 3)], 1, ["tiny"]),
    ],
    ids=["human", "bacterium", "scaffolds", "tiny"],
)
def test_bins(tmp_path: Path, contigs: list[tuple[str, int]], size: int, named: list[str]) -> None:
    write_bins(str(tmp_path / "bins.bed"), contigs)
    rows = [line.split("\t") for line in (tmp_path / "bins.bed").read_text().splitlines()]
    assert bin_size(sum(length for _, length in contigs)) == size
    assert list(dict.fromkeys(row[0] for row in rows)) == named
    assert len(rows) <= MOST_BINS
    assert sum(int(row[2]) - int(row[1]) for row in rows) == sum(dict(contigs)[name] for name in named)


@pytest.mark.parametrize(
    ("names", "autosomes"),
    [
        (["chr1", "chr10", "chrX", "chrM", "chrUn_1", "HLA-A"], ["chr1", "chr10"]),
        (["1", "2L", "X", "MT"], ["1", "2L"]),
        (["scaffold_1", "X", "chrM"], ["scaffold_1"]),
    ],
)
def test_autosomes(names: list[str], autosomes: list[str]) -> None:
    assert [name for name in names if is_autosome(name, names)] == autosomes


@pytest.mark.parametrize("at_once", [1, 50, 1 << 22])
def test_matrices_hold_what_the_files_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(matrix, "VALUES_AT_ONCE", at_once)
    write_regions(str(tmp_path / "regions.bed"), 10, CONTIGS)
    places = [line.split("\t") for line in (tmp_path / "regions.bed").read_text().splitlines()]
    rng = random.Random(1)
    files: dict[str, dict[str, str]] = {}
    wanted: dict[str, list[list[float]]] = {name: [[] for _ in places] for name in measures((10, 1))}
    for sample in ("S1", "s, 2", "S3"):
        texts = {
            "mean": "",
            "median": "",
            "thresholds": "#chrom\tstart\tend\tregion\t1X\t10X\n",
            "reads": "#c\n",
        }
        for i, place in enumerate(places):
            mean, median, reads = (
                f"{rng.random() * 40:.2f}",
                f"{rng.randrange(40)}.00",
                str(rng.randrange(10**7)),
            )
            bases = [rng.randrange(int(place[2]) - int(place[1]) + 1) for _ in range(2)]
            values = {"mean": [mean], "median": [median], "thresholds": [*map(str, bases)], "reads": [reads]}
            for kind, cells in values.items():
                texts[kind] += "\t".join([*place, *cells]) + "\n"
            shares = [number / (int(place[2]) - int(place[1])) for number in bases]
            for name, value in zip(wanted, [mean, median, *shares, reads], strict=True):
                wanted[name][i].append(float(value))
        files[sample] = {kind: str(tmp_path / f"{sample}.{kind}") for kind in texts}
        for kind, text in texts.items():
            Path(files[sample][kind]).write_text(text)
    write_matrices(tmp_path, tmp_path / "regions.bed", files, measures((10, 1)))
    assert list(wanted) == ["mean", "median", "breadth_1x", "breadth_10x", "reads"]
    for name, rows in wanted.items():
        blocks = list(read_matrix(tmp_path / f"{name}.parquet"))
        assert np.concatenate([values for _, values in blocks]).tolist() == rows
        lines = [line.split("\t") for line in (tmp_path / f"{name}.tsv").read_text().splitlines()]
        assert lines[0] == ["contig", "start", "end", "name", *files]
        assert [line[:4] for line in lines[1:]] == places
        assert [[float(cell) for cell in line[4:]] for line in lines[1:]] == rows
    assert pq.read_schema(tmp_path / "reads.parquet").field("S1").type == "int64"
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


@pytest.mark.parametrize("text", ["b\t0\t99\tx\t1\n", "", "b\t0\n"], ids=["other", "empty", "cut"])
def test_files_of_other_regions_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "regions.bed").write_text("b\t0\t100\tx\n")
    (tmp_path / "mean").write_text(text)
    files = {"S1": {"mean": str(tmp_path / "mean")}}
    with pytest.raises(FormatError, match=r"mean: .*again"):
        write_matrices(tmp_path, tmp_path / "regions.bed", files, {"mean": Measure("mean")})


def test_quality(folder: Path) -> None:
    table = pq.read_table(folder / "samples.parquet")
    rows = {row["sample"]: row for row in table.to_pylist()}
    assert {name: row["status"] for name, row in rows.items() if row["status"] != "pass"} == {
        "S0003": "fail",
        "S0005": "outlier",
    }
    assert rows["S0003"]["reasons"].startswith("mean_coverage 11.78 < 20; mean_coverage -")
    assert rows["S0005"]["reasons"].startswith("profile_distance +")
    assert rows["S0001"]["x_ratio"] == pytest.approx(1, abs=0.01)
    assert rows["S0002"]["x_ratio"] == pytest.approx(0.5, abs=0.01)
    assert rows["S0002"]["y_ratio"] == pytest.approx(0.5, abs=0.01)
    assert (rows["S0001"]["mapq30_rate"], rows["S0001"]["mq0_rate"]) == (0.97, 0.03)
    assert rows["S0003"]["breadth_10x"] == pytest.approx(0.8, abs=0.05)
    greatest = max(rows.values(), key=lambda row: abs(row["pc1"]))
    assert greatest["sample"] == "S0005"
    lines = (folder / "samples.tsv").read_text().splitlines()
    assert lines[0].split("\t") == table.column_names
    assert [line.split("\t")[0] for line in lines[1:]] == list(rows)


def test_no_reads_is_no_pass(folder: Path, tmp_path: Path) -> None:
    """Nor is a value that has a limit and is missing; a contig without reads has a depth of 0."""
    kinds = ("flagstat", "stats", "summary", "dist")
    files = {
        f"S{i + 1:04d}": {kind: str(folder / f"S{i + 1:04d}.{kind}") for kind in kinds} for i in range(12)
    }
    empty = {
        "flagstat": "0 + 0 primary\n0 + 0 primary duplicates\n0 + 0 primary mapped (N/A : N/A)\n"
        "0 + 0 paired in sequencing\n0 + 0 properly paired (N/A : N/A)\n",
        "summary": "chrom\tlength\tbases\tmean\tmin\tmax\ntotal\t0\t0\t0.00\t0\t0\n",
    }
    for kind, text in empty.items():
        (tmp_path / kind).write_text(text)
        files["S0001"][kind] = str(tmp_path / kind)
    for name in ("S0006", "S0007"):  # no line of chrY; and no pair
        lines = Path(files[name]["summary"]).read_text().splitlines(keepends=True)
        (tmp_path / name).write_text("".join(line for line in lines if not line.startswith("chrY")))
        files[name]["summary"] = str(tmp_path / name)
    stats = Path(files["S0007"]["stats"]).read_text()
    (tmp_path / "stats").write_text(re.sub(r"(oriented pairs:\t)\d+", r"\g<1>0", stats))
    files["S0007"]["stats"] = str(tmp_path / "stats")
    limits = {"mapped_rate": {"min": 0.5}, "insert_size_mean": {"min": 10, "max": 1000}}
    write_qc(tmp_path / "out", files, folder / "genome.parquet", THRESHOLDS, limits=limits, contigs=NAMES)
    rows = {row["sample"]: row for row in pq.read_table(tmp_path / "out.parquet").to_pylist()}
    assert (rows["S0001"]["status"], rows["S0001"]["reasons"].split("; ")[:2]) == (
        "fail", ["no reads", "mapped_rate is missing"],
    )  # fmt: skip
    assert rows["S0007"]["reasons"].startswith("insert_size_mean is missing")
    assert (rows["S0006"]["y_ratio"], rows["S0006"]["status"]) == (0, "pass")


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("flagstat", "nothing\n", "no line 'primary'; is it the text output of samtools flagstat?"),
        (
            "stats",
            "SN\treads mapped:\t1\n",
            "no line 'inward oriented pairs'; is it the text output of samtools stats?",
        ),
    ],
)
def test_files_that_are_not_samtools(
    folder: Path, tmp_path: Path, kind: str, text: str, message: str
) -> None:
    files = {
        f"S{i + 1:04d}": {
            kind: str(folder / f"S{i + 1:04d}.{kind}") for kind in ("flagstat", "stats", "summary", "dist")
        }
        for i in range(12)
    }
    (tmp_path / "damaged").write_text(text)
    files["S0004"][kind] = str(tmp_path / "damaged")
    with pytest.raises(FormatError) as raised:
        write_qc(tmp_path / "samples", files, folder / "genome.parquet", THRESHOLDS, limits=LIMITS)
    assert str(raised.value) == f"{tmp_path}/damaged: {message}"


@pytest.mark.parametrize(("bins", "samples", "components"), [(40, 1, 0), (40, 2, 1), (40, 9, 3), (0, 3, 0)])
def test_profiles_of_few(bins: int, samples: int, components: int) -> None:
    found = profiles(np.random.default_rng(1).uniform(20, 30, (bins, samples)))
    assert found.components.shape == (samples, components)
    assert found.distance.shape == (samples,)


def test_components_are_those_of_the_covariance() -> None:
    depth = np.random.default_rng(1).uniform(20, 30, (50, 6))
    logs = np.log2(depth / np.median(depth, axis=0))
    centred = logs - logs.mean(axis=1, keepdims=True)
    wanted = np.sort(np.linalg.eigvalsh(centred.T @ centred / len(logs)))[::-1][:3]
    found = (profiles(depth).components ** 2).sum(axis=0)
    assert found == pytest.approx(wanted)
