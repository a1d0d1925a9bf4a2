"""The logic of the rules by itself: samples and their files, contigs, batches, loci."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bams3.dataset.layout import Grid
from bams3.operations.targets import Targets
from bams3.workflow import (
    batches,
    cohort,
    configuration,
    contigs,
    genotyping,
    options,
    people,
    places,
    samples,
)
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.internals import Run
from bams3.workflow.places import Places
from workflows import ROOT

CONTIGS = [("chr1", 1000), ("chr2", 500)]
COLUMNS = configuration.schema(str(ROOT / "workflow" / "schemas" / "samples.schema.yaml"))
MODULE = Run(is_module=True)
JOB = Run(plans=False)
FOUR = Grid([("chr1", 3 << 18)], 1 << 18)
"""Four windows."""
STORED = Run(provider="s3", prefix="s3://b/x")


def error_of(what: Callable[[], object]) -> str:
    """What is said of it, in one line; "" if nothing is wrong."""
    try:
        what()
    except ConfigurationError as error:
        return str(error)
    return ""


def says(found: str, expected: str) -> bool:
    """Does it begin so? Nothing is expected of nothing."""
    return found.startswith(expected) and "\n" not in found if expected else not found


def read(text: str, reserved: tuple[str, ...] = (), run: Run | None = None) -> dict[str, Any]:
    return samples.read_samples(text, "s.tsv", COLUMNS, Places(run or Run()), reserved)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("S1\ta.bam\nS1\tb.bam\n", "s.tsv:3: sample S1: another sample has this name, too; rename one of them"),
        ("S1\ta.bam\na/b\tb.bam\n", "s.tsv:3: sample a/b: sample: 'a/b' does not fit: a unique name of letters"),
        (f"{'S' * 201}\ta.bam\n", f"s.tsv:2: sample {'S' * 201}: sample: '{'S' * 201}' does not fit: a unique name"),
        ("S1\ta.bam\nS1.bam\tb.bam\n", "s.tsv:3: sample S1.bam: a file of sample S1 has that name"),
        ("name\ta.bam\n", "s.tsv:2: sample name: the matrices of the cohort have a column with that name"),
        ("S1\n", "s.tsv:2: sample S1: give either alignments or an existing dataset"),
        ("S1\ta.bam\t\td.bams3\n", "s.tsv:2: sample S1: give either alignments or an existing dataset"),
        ("\ta.bam\n", "s.tsv:2: sample (no name): `sample` is missing; add it"),
        ("S1\ta.bam\tx\t\ty\n", "s.tsv:2: more cells than column names"),
        ("S1\thttps://h/x.bam?X-Amz-Signature=s\n", "s.tsv:2: sample S1: alignments: contains a secret"),
        ("S1\ta{x}.bam\n", "s.tsv:2: sample S1: a{x}.bam: Snakemake does not allow { in a path; rename the file"),
        ("S1\t\t\ta<b>\n", "s.tsv:2: sample S1: a<b>: Snakemake does not allow <b> in a path; rename the file"),
        ("", "s.tsv: no samples; add a line for each"),
        ("S1\ta.bam\nS2\t\t\td.bams3\n", ""),
    ],
)  # fmt: skip
def test_rows_of_the_sheet(rows: str, message: str) -> None:
    assert says(error_of(lambda: read(f"sample\talignments\tindex\tdataset\n{rows}", ("name",))), message)


def test_files_are_below_the_prefix_of_the_default_storage() -> None:
    text = "sample\talignments\tindex\tdataset\nA\ta.bam\t/b.bai\nB\ts3://c/d.bam\nC\t\t\td.bams3\n"
    assert read(text, run=STORED) == {
        "A": {"sample": "A", "alignments": "s3://b/x/a.bam", "index": "/b.bai"},
        "B": {"sample": "B", "alignments": "s3://c/d.bam"},
        "C": {"sample": "C", "dataset": "s3://b/x/d.bams3"},
    }


# Files that are there, a row, the run, and what is said of the row's files.
HERE = "a.bam a.bam.bai c.cram c.crai d.bams3/_metadata.json"
FILES: list[tuple[str, dict[str, str], Run, str]] = [
    (HERE, {"alignments": "a.bam"}, Run(), ""),
    (HERE, {"alignments": "c.cram"}, Run(), ""),
    (HERE, {"dataset": "d.bams3"}, Run(), ""),
    (HERE, {"dataset": "s3://b/d.bams3"}, Run(), ""),
    (HERE, {"dataset": "e.bams3"}, Run(), "sample S1: e.bams3 does not exist"),
    ("e.bams3/x", {"dataset": "e.bams3"}, Run(), "sample S1: e.bams3 is not a bams3 dataset (no _metadata.json)"),
    (HERE, {"dataset": "e.bams3"}, MODULE, ""),
    (HERE, {"alignments": "b.bam"}, Run(), "sample S1: b.bam: no such file"),
    (HERE, {"alignments": "b.bam"}, MODULE, ""),
    (HERE, {"alignments": "d.bams3"}, Run(), "sample S1: d.bams3: a folder, not a BAM or CRAM file; give a dataset in"),
    (HERE, {"dataset": "a.bam"}, Run(), "sample S1: a.bam is a file, not a bams3 dataset; give BAM and CRAM files in"),
    ("r.fq", {"alignments": "r.fq"}, Run(), "sample S1: r.fq: neither BAM, CRAM nor SAM"),
    ("a.bam", {"alignments": "a.bam"}, Run(), "sample S1: no index (a.bam.bai, .csi or .crai); create it with: "),
    ("a.bam", {"alignments": "a.bam"}, MODULE, ""),
    (HERE, {"alignments": "a.bam", "index": "x.bai"}, Run(), "sample S1: no index (x.bai); create it with: "),
    (HERE, {"alignments": "a.bam", "index": "d.bams3"}, Run(), "sample S1: d.bams3: not a regular file"),
    (HERE, {"alignments": "x\x1b[2J.bam"}, Run(), "sample S1: x\\x1b[2J.bam: no such file"),
    (HERE, {"alignments": "s3://b/x.cram"}, Run(), "sample S1: a CRAM in object storage can't be read in batches"),
    (HERE, {"alignments": "s3://b/x.bam"}, Run(), ""),
    (f"{HERE} r.fa", {"alignments": "c.cram"}, Run(), ""),
]  # fmt: skip


def write(folder: Path, names: str) -> None:
    for name in names.split():
        (folder / name).parent.mkdir(exist_ok=True)
        contents = {".cram": b"CRAM", ".bam": b"@HD\tVN:1.6\n"}.get(Path(name).suffix, b"x")
        (folder / name).write_bytes(contents)


@pytest.mark.parametrize(("there", "row", "run", "message"), FILES)
def test_files_of_a_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str, row: dict[str, str], run: Run, message: str
) -> None:
    write(tmp_path, there)
    monkeypatch.chdir(tmp_path)
    reference = "r.fa" if "r.fa" in there else ""
    assert says(
        error_of(lambda: samples.check_files({"sample": "S1", **row}, reference, Places(run))), message
    )


@pytest.mark.parametrize(("run", "message"), [(Run(), "config: r.fa: no such file"), (MODULE, ""), (JOB, "")])
def test_a_cram_needs_its_reference_where_jobs_are_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, message: str
) -> None:
    write(tmp_path, HERE)
    monkeypatch.chdir(tmp_path)
    row = {"sample": "S1", "alignments": "c.cram"}
    assert says(error_of(lambda: samples.check_files(row, "r.fa", Places(run))), message)
    assert options.source_words(row, "r.fa") == ["-T", "r.fa"]
    assert options.source_words(row | {"index": "x"}, "") == ["--index", "x"]


@pytest.mark.parametrize(
    ("there", "row", "is_module", "index"),
    [
        ("a.bam a.bam.bai a.bai", {}, False, "a.bam.bai"),
        ("a.bam a.bai a.bam.csi", {}, False, "a.bai"),
        ("a.bam a.csi", {}, False, "a.csi"),
        ("a.bam", {}, False, None),
        ("a.bam", {}, True, "a.bam.bai"),
        ("a.bam a.bam.bai", {"index": "x.bai"}, False, None),
        ("a.bam a.bam.bai", {"index": "x.bai"}, True, "x.bai"),
        ("a.bam", {"index": "s3://b/x.bai"}, False, "s3://b/x.bai"),
    ],
)
def test_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str, row: dict[str, str], is_module: bool, index: str
) -> None:  # fmt: skip
    write(tmp_path, there)
    monkeypatch.chdir(tmp_path)
    assert samples.index_of({"alignments": "a.bam", **row}, is_module) == index
    remote = {"alignments": "s3://b/a.bam", **row}
    assert samples.index_told(remote, is_module) == row.get("index")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (CONTIGS, ""),
        ([("chr1", 1000), ("chr9", 500)], "it has chr9 (500 bp) instead of chr2 (500 bp)"),
        ([("chr1", 999), ("chr2", 500)], "it has chr1 (999 bp) instead of chr1 (1000 bp)"),
        (CONTIGS[:1], "it has 1 contigs instead of 2"),
        (CONTIGS[::-1], "it has chr2 (500 bp) instead of chr1 (1000 bp)"),
    ],
)
def test_contigs_of_a_sample(found: list[tuple[str, int]], message: str) -> None:
    begin = "sample S1: its contigs are not those of `contigs`: "
    said = error_of(lambda: contigs.check_contigs({"sample": "S1"}, found, CONTIGS))
    assert said == (begin + message if message else "")


MADE = [({"alignments": "a.bam"}, "a.bam"), ({"dataset": "d.bams3"}, "d.bams3/_metadata.json")]
"""Samples that a workflow is yet to make, and what is then not there."""


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.fai", "chr1\t1000\t6\t60\t61\nchr2\t500\n", ""),
        ("x.dict", "@HD\tVN:1.6\n@SQ\tSN:chr1\tLN:1000\n@SQ\tSN:chr2\tLN:500\n", ""),
        (
            "x.tsv",
            "sample\talignments\n",
            "x.tsv: neither a .fai nor a .dict; `contigs` in the config must be one of these",
        ),
        ("x.dict", "@SQ\tSN:chr1\n", "x.dict: neither a .fai nor a .dict"),
        (
            "x.fai",
            None,
            "x.fai: No such file or directory; `contigs` in the config must be a .fai, a .dict, or `header`",
        ),
    ],
)
def test_contigs_of_all_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str | None, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path(name).write_text(text)
    first = {"sample": "S1", "alignments": "a.bam"}
    found: list[tuple[str, int]] = []
    assert says(
        error_of(lambda: found.extend(contigs.read_contigs(name, first, "", Places(MODULE)))), message
    )
    assert found == ([] if message else CONTIGS)


@pytest.mark.parametrize(("files", "missing"), MADE)
def test_contigs_are_not_those_of_what_is_yet_to_be_made(files: dict[str, str], missing: str) -> None:
    said = error_of(lambda: contigs.read_contigs("header", {"sample": "S1", **files}, "", Places(MODULE)))
    assert said == f"sample S1: {missing} does not exist yet; set `contigs` to a .fai or a .dict"


def test_windows_and_kinds_of_indexes() -> None:
    assert len(contigs.windows_of([("chr1", 500_000), ("chr2", 250_000)], "256K")) == 4
    assert error_of(lambda: contigs.windows_of(CONTIGS, "3M")).startswith("config: convert: ")
    assert [contigs.index_kind([("a", 5), ("b", length)]) for length in (2**29 - 1, 2**29)] == ["bai", "csi"]
    assert contigs.measured(CONTIGS, None) == CONTIGS
    assert contigs.measured(CONTIGS, "chr2") == CONTIGS[1:]


@pytest.mark.parametrize(
    ("size", "settings", "count"),
    [
        (3_999_999, {}, 1),
        (4_000_000, {}, 1),
        (4_000_001, {}, 2),
        (4_000_001, {"chunks_per_batch": 1}, 4),
        (0, {}, 1),
        (10**12, {}, 4),  # one for each window
        (10**12, {"chunks_per_batch": 3}, 2),
        (10**12, {"chunks_per_batch": 9}, 1),
    ],
)
def test_batches_are_sized_by_bytes(tmp_path: Path, size: int, settings: dict[str, Any], count: int) -> None:
    with (tmp_path / "a.bam").open("wb") as file:
        file.truncate(size)
    row = {"sample": "S1", "alignments": str(tmp_path / "a.bam")}
    found = batches.batches_of(
        row, {"chunks_per_batch": "auto", "gigabytes_per_batch": 0.004} | settings, FOUR, Places(Run())
    )
    assert found == [f"{number:06d}-of-{count:06d}" for number in range(1, count + 1)]
    assert [batches.batch_words(batch) for batch in found][-1] == f"{count}/{count}"


@pytest.mark.parametrize(("files", "missing"), MADE)
def test_a_sample_that_is_yet_to_be_made_has_no_bytes(files: dict[str, str], missing: str) -> None:
    settings = {"chunks_per_batch": "auto", "gigabytes_per_batch": 1}
    said = error_of(lambda: batches.batches_of({"sample": "S1", **files}, settings, FOUR, Places(MODULE)))
    assert said == f"sample S1: {missing} does not exist yet; set `chunks_per_batch` to a number"


def test_paths_are_written_as_snakemake_writes_them() -> None:
    found = read(
        "sample\talignments\tindex\tdataset\nS1\t./a<//b.bam\t.//c\nS2\t\t\t./d.bams3//\nS3\ts3://b//c.bam\n"
    )
    files = [
        row[column]
        for row in found.values()
        for column in ("alignments", "index", "dataset")
        if column in row
    ]
    assert files == ["a</b.bam", "c", "d.bams3", "s3://b//c.bam"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("S1\tchr1\t1000", ""),
        ("S9\tchr1\t5", "loci.tsv:2: sample S9 is not in the sheet; add it there, or remove the line"),
        (
            "S1\tchr1\t0",
            "loci.tsv:2: chr1:0 is not a position of a contig of the samples (positions begin at 1)",
        ),
        ("S1\tchr1\t1001", "loci.tsv:2: chr1:1001 is not a position"),
        ("S1\tchr7\t1", "loci.tsv:2: chr7:1 is not a position"),
        ("S1\tchr7", "loci.tsv:2: chr7: is not a position"),
    ],
)
def test_loci(line: str, message: str) -> None:
    lines = ["sample\tcontig\tposition", line, "", "# none", "S1\tchr2\t7\tnote", "S1\tchr1\t3"]
    found: list[Any] = []
    said = error_of(lambda: found.extend(genotyping.read_loci(lines, "loci.tsv", ["S1"], CONTIGS)))
    assert says(said, message)
    if not message:
        assert found == [("S1", "chr1", 1000), ("S1", "chr2", 7), ("S1", "chr1", 3)]
        in_order = {"S1": [("chr1", 2, 3), ("chr1", 999, 1000), ("chr2", 6, 7)]}
        assert genotyping.intervals_by_sample(found, None) == in_order
        assert genotyping.intervals_by_sample(found, Targets([("chr2", 0, 7)])) == {"S1": [("chr2", 6, 7)]}
        assert genotyping.intervals_by_sample(found, Targets([("chr2", 7, 8)])) == {}


def test_what_a_file_is_known_by(tmp_path: Path) -> None:
    """None where it is not there, where a rule makes it, and in a process that does not plan."""
    path = str(tmp_path / "x")
    assert Places(Run()).known(path, lambda _: (1, "a")) == (1, "a")
    assert Places(Run()).known(path, Places(Run()).stamp) is None
    assert Places(Run()).known(None, lambda _: (1, "a")) is None
    assert Places(JOB).known(path, lambda _: (1, "a")) is None
    assert Places(Run(makes=lambda file: file == path)).known(path, lambda _: (1, "a")) is None


@pytest.mark.parametrize(
    ("path", "located"),
    [("a/b", "s3://b/x/a/b"), ("/a/b", "/a/b"), ("s3://c/d", "s3://c/d"), ("https://h/d", "https://h/d")],
)
def test_places_in_object_storage(path: str, located: str) -> None:
    class Storage:
        """What Snakemake calls `storage`."""

        @staticmethod
        def s3(place: str, retrieve: bool) -> tuple[str, bool]:
            return place, retrieve

    found = Places(STORED, Storage)
    assert found.located(path) == located
    if located.startswith("s3:"):
        assert found.in_place(path) == (located, False)
    else:
        assert found.in_place(path) == ([] if "://" in path else path)


def test_a_file_that_is_not_there_is_told_unless_a_rule_may_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert error_of(lambda: Places(Run()).stored("x", "it is X")) == "x: no such file; it is X"
    assert Places(MODULE).stored("x", "") is None
    Path("x").write_bytes(b"X")
    assert Places(Run()).stored("x", "") == b"X"
    assert Places(Run(makes=lambda _: True)).stored("x", "") is None
    Path("pipe").mkdir()
    assert error_of(lambda: Places(Run()).stored("pipe", "")).startswith("config: pipe: not a regular file")
    assert error_of(lambda: places.read("y", "it is Y")) == "y: No such file or directory; it is Y"
    Path("x").write_bytes(b"\xff")
    assert places.read_lines("x", "it is X") == [Path("x").read_bytes().decode(errors="surrogateescape")]


def test_the_stage_of_the_cohort() -> None:
    settings = {"regions": "x.bed", "thresholds": "10,1"}
    assert cohort.matrix_names(cohort.thresholds_of(settings)) == [
        "mean",
        "median",
        "breadth_1x",
        "breadth_10x",
        "reads",
    ]
    given = (settings, {"regions": 5}, {"regions": "5"}, {})
    assert [cohort.bed_of(regions) for regions in given] == ["x.bed", "", "", ""]
    said = error_of(lambda: cohort.thresholds_of({"thresholds": "1,10,01"}))
    assert said == "config: cohort: thresholds: 1 is listed twice; remove one"
    found = cohort.results(settings, with_multiqc=False)
    assert found[0] == "<results>/cohort/samples.tsv"
    assert found[-1] == "<results>/cohort/report.html"
    assert cohort.results(settings, with_multiqc=True) == [*found, "<results>/multiqc/multiqc_report.html"]
    said = error_of(lambda: cohort.check_contig_names([("#1", 9)]))
    assert said.startswith("config: cohort: contig '#1': its name cannot be used in a BED file")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"sex": "F", "father": "B", "subject": "a"}, ""),
        ({"sex": "hen"}, "s.tsv: sample A: sex 'hen'; write male, female or unknown"),
        ({"Sex": "F"}, "s.tsv: column 'Sex': spell it 'sex'"),
        ({"mother": "B"}, "s.tsv: B, the mother of A, is male elsewhere in the sheet"),
        ({"father": "A"}, "s.tsv: subjects are their own ancestors: A → A"),
    ],
)
def test_people_are_checked(row: dict[str, str], message: str) -> None:
    rows = [{"sample": "A", "dataset": "a.bams3", **row}, {"sample": "B", "sex": "M", "batch": "1"}]
    assert error_of(lambda: people.check(rows, "s.tsv")) == message
    known = {column: cell for column, cell in row.items() if column != "Sex"}
    assert people.rows(rows) == [{"sample": "A", **known}, {"sample": "B", "sex": "M"}]
