"""Repair: what was lost or damaged beside the chunks comes back, equal to what it was, or is named as not known."""

import shutil
from collections.abc import Callable
from pathlib import Path

import hostile
import pytest
from bams3.cli import main
from bams3.dataset.layout import HEADER, INDEX, METADATA
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error
from bams3.operations.convert import convert
from bams3.operations.repair import repair
from bams3.operations.verify import verify
from bams3.storage import open_storage
from fuzz.mutate import edit_footer
from peers import real_bams

TEXT = b"@HD\tVN:1.6\n@SQ\tSN:chr1\tLN:1000000\n@SQ\tSN:x\tLN:9\n@SQ\tSN:chr2\tLN:5000\n@RG\tID:a\tSM:s\n@CO\tlost\n"
CONTIGS = [("chr1", 1_000_000), ("x", 9), ("chr2", 5000)]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small chunks, without the whole header."""
    folder = tmp_path_factory.mktemp("repair")
    records = [hostile.good(0, pos, tags=[hostile.tag("RG", "Z", b"a")]) for pos in range(0, 900_000, 9000)]
    records.append(hostile.good(2, 7))
    records += [hostile.record(ref=-1, pos=-1, flag=4, sequence=b"A", quality=None)] * 2
    (folder / "in.bam").write_bytes(hostile.bam(TEXT, CONTIGS, records))
    convert(folder / "in.bam", folder / "d.bams3", chunk_size="256K")
    return folder / "d.bams3"


@pytest.fixture
def dataset(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "d.bams3"))


def held(dataset: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(dataset)): path.read_bytes() for path in dataset.rglob("*") if path.is_file()
    }


LOST = {
    "nothing": (), "index": (INDEX,), "header": (HEADER,), "manifest": (METADATA,), "both": (INDEX, METADATA),
    "all": (INDEX, METADATA, HEADER),
}  # fmt: skip


@pytest.mark.parametrize("how", ["lost", "damaged"])
@pytest.mark.parametrize("case", LOST)
def test_with_the_header_all_comes_back(dataset: Path, original: Path, case: str, how: str) -> None:
    before = held(dataset)
    for path in LOST[case]:
        if how == "lost":
            (dataset / path).unlink()
        else:
            (dataset / path).write_bytes(before[path][:-3] + b"???")
    rebuilt = repair(dataset, header=original.parent / "in.bam").rebuilt
    assert set(rebuilt) == set(LOST[case])
    assert held(dataset) == before


@pytest.mark.parametrize("where", ["local", "bucket"])
@pytest.mark.parametrize("real", real_bams()[:2], ids=lambda path: path.name)
def test_only_data_was_copied(real: Path, where: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Chunks of real size have the whole header."""
    convert(real, tmp_path / "d.bams3")
    root = str(tmp_path / "copy") if where == "local" else f"{request.getfixturevalue('bucket')}/copy"
    copy, before = open_storage(root), held(tmp_path / "d.bams3")
    for path, data in before.items():
        if path.startswith("data/"):
            copy.put(path, data)
    assert main(["query", "-c", root]) == 1
    repaired = repair(root)
    assert {path: copy.get(path) for path in copy.list()} == before
    assert not list(verify(DatasetReader(root)))
    assert len(repaired.unknown) == 3


def test_what_chunks_do_not_know(dataset: Path, original: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for path in LOST["all"]:
        (dataset / path).unlink()
    assert main(["repair", str(dataset)]) == 0
    assert "note: not known: the whole header" in capfd.readouterr().err
    opened, before = DatasetReader(str(dataset)), DatasetReader(str(original))
    assert opened.header.references == (CONTIGS[0], ("unknown_1", 0), CONTIGS[2])
    assert b"@RG\tID:a\tSM:s\n" in opened.header.text
    assert b"lost" not in opened.header.text
    assert (opened.index, opened.counts) == (before.index, before.counts)
    assert not list(verify(opened))
    assert repair(dataset).rebuilt == []
    (dataset / METADATA).unlink()
    assert repair(dataset, header=original.parent / "in.bam").rebuilt == [HEADER, METADATA]
    assert held(dataset) == held(original)


@pytest.mark.parametrize("case", ["header", "both"])
def test_a_lost_header_is_no_loss_of_records(dataset: Path, case: str) -> None:
    """As far as the chunks know it, it comes back, and the dataset can be read."""
    for path in {HEADER, *LOST[case]}:
        (dataset / path).unlink()
    assert set(repair(dataset).rebuilt) == {HEADER, METADATA, *LOST[case]}
    assert not list(verify(DatasetReader(str(dataset))))


def _of_another(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "o.bam").write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, [hostile.good(0, 999_000)]))
    convert(tmp_path / "o.bam", tmp_path / "o.bams3", chunk_size="256K")
    name = "data/chr1/000786432-001048576.chunk"
    shutil.copy(tmp_path / "o.bams3" / name, dataset / name)
    (dataset / METADATA).unlink()


def _moved(dataset: Path, tmp_path: Path) -> None:
    (dataset / "data/chr1/000000000-000262144.chunk").rename(dataset / "data/chr1/x.chunk")
    (dataset / METADATA).unlink()


def _damaged(dataset: Path, tmp_path: Path) -> None:
    path = dataset / "data/chr1/000000000-000262144.chunk"
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 1
    path.write_bytes(data)
    (dataset / METADATA).unlink()


def _forged(dataset: Path, tmp_path: Path) -> None:
    edit_footer(
        dataset / "data/chr2/000000000-000262144.chunk", lambda f: f["references"][0].__setitem__(2, 4999)
    )
    (dataset / METADATA).unlink()


REFUSED: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "a chunk of another dataset": (_of_another, "not from the same dataset as"),
    "a missing chunk": (lambda d, _: (d / "data/chr2/000000000-000262144.chunk").unlink(), "restore the missing"),
    "a chunk that was renamed": (_moved, "not on the dataset's grid"),
    "damage": (_damaged, "checksum"),
    "references that disagree": (_forged, "references"),
    "no chunks": (lambda d, _: shutil.rmtree(d / "data"), "there are no chunks"),
    "no chunk": (lambda d, _: (d / "data/chr1/y.chunk").write_text("x"), "not a bams3 chunk"),
    "a link": (lambda d, tmp: (shutil.rmtree(d / "_index"), (d / "_index").symlink_to(tmp)), "_index: a symbolic link"),
    "not finished": (lambda d, _: ((d / "_parts").mkdir(), (d / "_parts/plan.json").write_text("{}")), "merge"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_belong_together_is_refused(dataset: Path, tmp_path: Path, case: str) -> None:
    """And nothing is written."""
    change, message = REFUSED[case]
    change(dataset, tmp_path)
    (dataset / INDEX).unlink(missing_ok=True)
    before = held(dataset)
    with pytest.raises(Bams3Error, match=message):
        repair(dataset)
    assert held(dataset) == before


def test_another_header_is_refused(dataset: Path, tmp_path: Path) -> None:
    (dataset / METADATA).unlink()
    (tmp_path / "o.bam").write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, []))
    with pytest.raises(Bams3Error, match="not that of the dataset"):
        repair(dataset, header=tmp_path / "o.bam")


def test_results_beside_chunks_stay(dataset: Path) -> None:
    (dataset / "data/chr1/000000000-000262144.result").write_text("5\n")
    (dataset / INDEX).unlink()
    assert repair(dataset).rebuilt == [INDEX]
    assert (dataset / "data/chr1/000000000-000262144.result").read_text() == "5\n"
