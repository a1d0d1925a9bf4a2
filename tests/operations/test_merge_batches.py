"""bams3 merge --batch: the dataset of a merge in one go, wherever the borders are; what batches must agree on."""

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
from bams3.dataset.merged import Merged, RecordTotals
from bams3.dataset.parts import Part, read_part
from bams3.dataset.plan import read_plan
from bams3.errors import Bams3Error, DatasetError, SourceError
from bams3.operations.convert import convert
from bams3.operations.merge import merge, merge_inputs
from bams3.storage import open_storage
from conversions import KILLED, fails
from engines import run_bams3 as run
from hypothesis import given, settings
from hypothesis import strategies as st
from listings import contents
from merging import CONTIGS, Input, header, inputs, write_inputs
from servers.faults import PASSING, Faults

SIZE: dict[str, Any] = {"chunk_size": "256K", "level": 1, "workers": 1}
RG = hostile.tag("RG", "Z", b"a")


def as_given(paths: list[Path], given: list[Input], sizes: list[str]) -> list[Path]:
    """The paths of the inputs: indexed BAMs, and datasets of these chunk sizes."""
    found = []
    for path, each, size in zip(paths, given, sizes, strict=True):
        if each.is_dataset:
            convert(path, path.with_suffix(".bams3"), **SIZE | {"chunk_size": size})
        else:
            pysam.index(str(path))
        found.append(path.with_suffix(".bams3") if each.is_dataset else path)
    return found


def in_batches(given: list[Any], target: Path, of: int, **options: Any) -> None:
    for number in range(of, 0, -1):
        assert merge_inputs(given, target, batch=(number, of), **options) is None
    merge(target)


@settings(max_examples=20, deadline=None)
@given(
    inputs(), st.sets(st.sampled_from(["combine_read_groups", "combine_programs", "read_group_of_file"])),
    st.integers(1, 6), st.lists(st.sampled_from(["256K", "256K", "512K"]), min_size=4, max_size=4),
)  # fmt: skip
def test_the_dataset_is_that_of_one_go(
    given: list[Input], switches: set[str], of: int, sizes: list[str]
) -> None:
    options = SIZE | dict.fromkeys(switches, True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = as_given(write_inputs(folder, given), given, sizes[: len(given)])
        try:
            merge_inputs(paths, folder / "whole", **options)
            in_batches(paths, folder / "parts", of, **options)
        except SourceError as error:
            assert "its contigs are not in the order" in str(error)  # noqa: PT017
            return
        assert contents(folder / "parts") == contents(folder / "whole")


PLACES = [(0, 7), (0, 262_144), (1, 1), (1, 800_000), (1, 2_000_000), (-1, -1)]


def bam_of(
    folder: Path, name: str, places: list[tuple[int, int]], *, tags: list[bytes] | None = None
) -> Path:
    path = folder / f"{name}.bam"
    records = [hostile.good(*place, tags=[RG] if tags is None else tags) for place in places]
    path.write_bytes(hostile.bam(header(CONTIGS, [b"a"], [b"p"]), CONTIGS, records))
    pysam.index(str(path))
    return path


def dataset_of(folder: Path, name: str, places: list[tuple[int, int]], **options: Any) -> Path:
    convert(bam_of(folder, name, places), folder / f"{name}.bams3", **SIZE | options)
    return folder / f"{name}.bams3"


@pytest.fixture(scope="module")
def given_(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Datasets, of which chunks are copied, read, or both, and a BAM in one of their windows."""
    folder = tmp_path_factory.mktemp("given")
    return [
        dataset_of(folder, "one", PLACES),
        dataset_of(folder, "two", [(1, 1), (2, 0)]),
        bam_of(folder, "file", [(0, 9), (1, 800_001)]),
        dataset_of(folder, "other", [(1, 5)], chunk_size="8M"),
    ]


@pytest.mark.parametrize(
    ("options", "of"),
    [
        ({"combine_read_groups": True, "combine_programs": True}, 3),
        ({"combine_read_groups": True, "combine_programs": True, "hash_paths": True}, 2),
        ({"seed": 7}, 2),
        ({"read_group_of_file": True}, 9),
    ],
    ids=str,
)
def test_options(
    tmp_path: Path, given_: list[Path], options: dict[str, Any], of: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bams3.dataset.plan.new_key", lambda: "0" * 64)
    merge_inputs(given_, tmp_path / "whole", **SIZE, **options)
    in_batches(given_, tmp_path / "parts", of, **SIZE, **options)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_a_chunk_and_an_input_of_one_contig(tmp_path: Path, given_: list[Path]) -> None:
    lone = given_[0] / "data/c2/000786432-001048576.chunk"
    inputs_ = [given_[1], lone, given_[2]]
    merge_inputs(inputs_, tmp_path / "whole", **SIZE)
    in_batches(inputs_, tmp_path / "parts", 4, **SIZE)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def words(given: list[Path], target: Path, batch: str) -> list[str]:
    paths = map(str, [*given, target])
    return ["merge", "--chunk-size", "256K", "--level", "1", "-@", "1", "-cp", "--batch", batch, *paths]


@pytest.mark.parametrize("file", [1, 3, 5])
def test_killed_and_begun_again(tmp_path: Path, given_: list[Path], file: int) -> None:
    target, whole = tmp_path / "x", tmp_path / "whole"
    merge_inputs(given_, whole, combine_read_groups=True, combine_programs=True, **SIZE)
    killed = words(given_, target, "1/2")
    assert subprocess.run([sys.executable, "-c", KILLED, str(file), *killed]).returncode == -9
    again = ["--resume", "--overwrite"][file % 4 == 1]
    assert run(*words(given_, target, "2/2")).returncode == 0
    assert run(*killed, again).returncode == 0
    assert run("merge", str(target)).returncode == 0
    assert contents(target) == contents(whole)


def test_what_it_refuses(tmp_path: Path, given_: list[Path]) -> None:
    target = tmp_path / "x"
    bare = tmp_path / "bare.bam"
    bare.write_bytes(given_[2].read_bytes())
    assert "reading by window needs an index" in fails(run(*words([*given_, bare], target, "1/2")))
    assert "standard input can be read only once" in fails(run(*words([*given_, Path("-")], target, "1/2")))
    turned = tmp_path / "turned.bam"
    turned.write_bytes(hostile.bam(header(CONTIGS[::-1], [], []), CONTIGS[::-1], []))
    pysam.index(str(turned))
    assert "leave --batch out" in fails(run(*words([*given_, turned], target, "1/2")))
    assert not target.exists()
    assert run(*words(given_, target, "1/2")).returncode == 0
    assert "run bams3 merge with the --batch that covers" in fails(run("merge", target))
    assert "takes no option but" in run("merge", "--batch", "1/2", target).stderr


def test_batches_that_disagree(tmp_path: Path, given_: list[Path]) -> None:
    """One of other inputs or options is refused, and so is one that another plan has replaced."""
    target = tmp_path / "x"
    more = dataset_of(tmp_path, "more", [(0, 8)])
    others: list[tuple[list[Path], dict[str, Any]]] = [
        (given_, {"seed": 1}),
        (given_[::-1], {}),
        ([*given_[:-1], more], {}),
        (given_, {"level": 2}),
    ]
    merge_inputs(given_, target, batch=(1, 2), **SIZE)
    for paths, options in others:
        with pytest.raises(DatasetError, match="begun from another file"):
            merge_inputs(paths, target, batch=(2, 2), **SIZE | options)
    merge_inputs(given_, target, batch=(2, 2), overwrite=True, **SIZE, seed=1)
    with pytest.raises(DatasetError, match="of another source or with other options"):
        merge(target)
    with pytest.raises(DatasetError, match="begun from another file"):
        convert(given_[2], target, windows=["c3"], **SIZE)


def test_records_that_an_index_does_not_have(tmp_path: Path, given_: list[Path]) -> None:
    """An index of a file with fewer reads leaves some out, which the merge finds."""
    file = bam_of(tmp_path, "file", [(0, 9), (1, 5), (2, 3)])
    older = bam_of(tmp_path, "older", [(0, 9), (1, 5), (2, 3), (2, 4)])
    Path(f"{file}.bai").write_bytes(Path(f"{older}.bai").read_bytes())
    target = tmp_path / "x"
    with pytest.raises((DatasetError, SourceError), match=r"the indexes of the inputs say|another file"):
        in_batches([given_[0], file], target, 2, **SIZE)
    assert not (target / "_metadata.json").exists()


FORGED: list[dict[str, Any]] = [
    {"merging": "0" * 64}, {"merging": ""}, {"merging": 5}, {"changed": "counts"}, {"datasets": "sums"},
]  # fmt: skip


def test_a_forged_part_is_refused(tmp_path: Path, given_: list[Path]) -> None:
    merge_inputs(given_, tmp_path / "d", batch=(1, 2), **SIZE)
    storage = open_storage(str(tmp_path / "d"))
    plan, path = read_plan(storage), "_parts/000001-of-000002.json"
    part = read_part(storage, plan, path)
    assert part.merged is not None
    forged: list[Merged | None] = [None]
    for change in FORGED:
        ((name, value),) = change.items()
        if name != "merging":
            totals: RecordTotals = getattr(part.merged, name)
            counts, sums = RecordTotals.from_json(totals.to_json())
            if value == "counts":
                counts.passed[0] += 1
            else:
                sums.groups[b"a"] = ([-1, *[1] * 7], [0, *[1] * 7])
            value = RecordTotals(counts, sums)
        forged.append(part.merged._replace(**{name: value}))
    for part.merged in forged:
        with pytest.raises(DatasetError, match="damaged part file"):
            Part.from_bytes(part.to_bytes(plan), plan, "x")


def test_parts_that_do_not_add_up(tmp_path: Path, given_: list[Path]) -> None:
    target = tmp_path / "d"
    for number in (1, 2):
        merge_inputs(given_, target, batch=(number, 2), **SIZE)
    storage = open_storage(str(target))
    path = "_parts/000001-of-000002.json"
    plan = read_plan(storage)
    part = read_part(storage, plan, path)
    assert part.merged is not None
    fewer, more = (RecordTotals.from_json(part.merged.datasets.to_json()) for _ in range(2))
    more.add(fewer)
    for datasets, says in (
        (RecordTotals.zero(), "more records of some dataset"),
        (more, "the chunks hold 11 records"),
    ):
        storage.put(path, replace(part, merged=part.merged._replace(datasets=datasets)).to_bytes(plan))
        with pytest.raises(DatasetError, match=says):
            merge(target)
    storage.put(path, part.to_bytes(plan))
    merge(target)


@pytest.mark.parametrize(("kind", "every"), [("503", 40), ("lost", 40), ("403", 30)])
def test_batches_in_a_bucket(
    tmp_path: Path, given_: list[Path], bucket: str, faults: Faults, kind: str, every: int
) -> None:
    """Whatever faults there are: one line at most, and then the command can be tried again."""
    inputs_, options = [], SIZE | {"combine_read_groups": True, "combine_programs": True}
    for path in given_[:2]:
        for name, data in contents(path).items():
            open_storage(f"{bucket}/{path.name}").put(name, data)
        inputs_.append(f"{bucket}/{path.name}")
    merge_inputs(given_[:3], tmp_path / "whole", **options)
    for at in range(3, 80, every):
        target = f"{bucket}/{at}.bams3"
        merge_inputs([*inputs_, given_[2]], target, batch=(1, 2), **options)
        faults.arm(kind, at=at)
        for step in (
            lambda again, to=target: merge_inputs(
                [*inputs_, given_[2]], to, batch=(2, 2), overwrite=again, **options
            ),
            lambda _, to=target: merge(to),
        ):
            failed: Exception | None = None
            try:
                step(False)
            except (Bams3Error, OSError) as error:
                failed = error
            if failed:
                assert kind not in PASSING
                assert "\n" not in str(failed)
                step(True)
        faults.disarm()
        merge(target)  # removes what could not be removed after the commit
        storage = open_storage(target)
        assert {path: storage.get(path) for path in storage.list()} == contents(tmp_path / "whole")
