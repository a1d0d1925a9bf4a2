"""rewrite: to the byte what convert makes of the same records, whatever was copied."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
from bams3.bam.lossy import Loss
from bams3.cli import main
from bams3.dataset import layout
from bams3.dataset.manifest import Manifest
from bams3.dataset.reader import DatasetReader
from bams3.errors import UsageError
from bams3.operations import convert as converting
from bams3.operations.convert import convert
from bams3.operations.rewrite import rewrite
from bams3.operations.verify import verify
from engines import run_block
from hypothesis import given, settings
from hypothesis import strategies as st
from listings import contents
from peers import DATA

PAGE = Path(__file__).parents[2] / "docs" / "rewriting.md"
GOLDEN = ("records", "edges", "small", "contigs", "shared")
BAM = DATA / "illumina_wgs_NA12878.bam"
CONTIGS = [("a", 500), ("b", 1), ("c", 900), ("long", 3_000_000), ("d", 70), ("e", 1000), ("f", 5)]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "d.bams3"
    convert(BAM, path)
    return path


@pytest.fixture(scope="module")
def joins() -> Iterator[None]:
    """So few contigs are many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "MANY_CONTIGS", 1)
        patch.setattr(layout, "SHARED_ROW_GROUP", 3)
        yield


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The row groups that are not copied."""
    made: list[Any] = []
    for name in ("compress_row_group", "compress_joined"):
        monkeypatch.setattr(converting, name, _noting(made, getattr(converting, name)))
    return made


def _noting(made: list[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: made.append(given) or function(*given)


def query_of(path: Path, out: Path, *words: str) -> Path:
    """The BAM that `bams3 query` makes of a dataset."""
    assert main(["query", "-h", "-O", "bam", "-o", str(out), str(path), *words]) == 0
    return out


@pytest.mark.parametrize(
    "options", [{}, {"chunk_size": "256K"}, {"level": 3}, {"level": 4, "chunk_size": "8M"}], ids=str
)
@pytest.mark.parametrize("name", GOLDEN)
def test_golden_datasets(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    old = DATA / "golden" / f"{name}.bams3"
    assert main(["to-bam", str(old), str(tmp_path / "x.bam")]) == 0
    told = Manifest.from_bytes((old / "_metadata.json").read_bytes(), name)
    convert(
        tmp_path / "x.bam",
        tmp_path / "wanted",
        **{"chunk_size": told.chunk_size, "level": told.level} | options,
    )
    rewrite(old, tmp_path / "got", verify=True, **options)
    assert contents(tmp_path / "got") == contents(tmp_path / "wanted")


CASES: dict[str, tuple[dict[str, Any], int]] = {
    "nothing": ({}, 0),
    "the same level": ({"level": 5, "chunk_size": "1M"}, 0),
    "level": ({"level": 1}, 4),
    "smaller windows": ({"chunk_size": "256K"}, 4),
    "larger windows": ({"chunk_size": "8M"}, 4),
    "tags": ({"drop_tags": ("MD", "NM", "RG")}, 4),
    "qualities": ({"qualities": "bin8", "chunk_size": "2M"}, 4),
}


@pytest.mark.parametrize(("options", "at_least"), CASES.values(), ids=CASES)
def test_options(
    dataset: Path, options: dict[str, Any], at_least: int, tmp_path: Path, encoded: list[Any]
) -> None:
    manifest = rewrite(dataset, tmp_path / "got", workers=2, **options)
    assert bool(encoded) == bool(at_least)
    assert len(encoded) >= at_least
    assert manifest == convert(BAM, tmp_path / "wanted", **options)
    assert contents(tmp_path / "got") == contents(tmp_path / "wanted")


REGIONS = {
    "whole chunks": (["chr4", "chrX"], 0),
    "a cut through a chunk": (["chrX:101.05M-101.06M", "chr4"], 1),
    "one read": (["chrX:101049902-101049902"], 1),
    "no read": (["chr1"], 0),
    "the unplaced": (["_unplaced"], 0),
    "everything": (["."], 0),
}


@pytest.mark.parametrize(("regions", "at_least"), REGIONS.values(), ids=REGIONS)
def test_regions(
    dataset: Path, regions: list[str], at_least: int, tmp_path: Path, encoded: list[Any]
) -> None:
    rewrite(dataset, tmp_path / "got", regions=regions)
    assert len(encoded) <= 10 * at_least
    assert bool(encoded) == bool(at_least)
    convert(query_of(dataset, tmp_path / "x.bam", *regions), tmp_path / "wanted")
    assert contents(tmp_path / "got") == contents(tmp_path / "wanted")


def test_intervals_of_a_bed_file(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "x.bed").write_text(
        "chrX\t101049000\t101049100\nchrX\t101060000\t101060001\nchr12\t0\t71500000\n"
    )
    bed = ["-L", str(tmp_path / "x.bed")]
    assert main(["rewrite", "--chunk-size", "512K", *bed, str(dataset), str(tmp_path / "got")]) == 0
    convert(query_of(dataset, tmp_path / "x.bam", *bed), tmp_path / "wanted", chunk_size="512K")
    assert contents(tmp_path / "got") == contents(tmp_path / "wanted")


def test_chunks_of_a_dataset(dataset: Path, tmp_path: Path) -> None:
    """They are read as the part of it that they are, with the contigs that they mention."""
    chunks = sorted(map(str, dataset.rglob("*.chunk")))[:2]
    rewrite(chunks, tmp_path / "got")
    assert main(["to-bam", *chunks, str(tmp_path / "x.bam")]) == 0
    convert(tmp_path / "x.bam", tmp_path / "wanted")
    assert contents(tmp_path / "got") == contents(tmp_path / "wanted")


def test_object_storage(dataset: Path, bucket: str, tmp_path: Path, encoded: list[Any]) -> None:
    rewrite(dataset, f"{bucket}/d.bams3")
    rewrite(f"{bucket}/d.bams3/", f"{bucket}/e.bams3", workers=2)
    rewrite(f"{bucket}/e.bams3", tmp_path / "back")
    assert encoded == []
    assert contents(tmp_path / "back") == contents(dataset)
    rewrite(f"{bucket}/e.bams3", tmp_path / "back", overwrite=True, chunk_size="256K")
    assert contents(tmp_path / "back") == contents(_converted(tmp_path / "wanted", chunk_size="256K"))


def _converted(out: Path, **options: Any) -> Path:
    convert(BAM, out, **options)
    return out


# Hostile records

CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "chunk_size": st.sampled_from(["256K", "1M", "8M"]),
        "level": st.sampled_from([1, 5, 9]),
        "drop_tags": st.sampled_from([("NM", "RG"), ("SA",), ("MC", "MD")]),
        "qualities": st.just("illumina4"),
    },
)


@settings(max_examples=int(os.environ.get("BAMS3_EXAMPLES", "25")))
@given(
    bam=hostile.bams(), options=CHOICES, size=st.sampled_from(["256K", "1M"]), workers=st.sampled_from([1, 2])
)
def test_hostile_bams(bam: hostile.Bam, options: dict[str, Any], size: str, workers: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in.bam").write_bytes(bam.data())
        convert(folder / "in.bam", folder / "d", chunk_size=size, workers=1)
        convert(folder / "in.bam", folder / "wanted", workers=1, **{"chunk_size": size} | options)
        rewrite(folder / "d", folder / "got", workers=workers, **options)
        assert contents(folder / "got") == contents(folder / "wanted")


@settings(max_examples=20)
@given(
    records=st.lists(hostile.records(CONTIGS, (b"r", b"s")), max_size=15),
    sizes=st.tuples(*[st.sampled_from(["256K", "8M"])] * 2),
    regions=st.sampled_from([[], ["a", "c", "long:1-2M"], ["b", "."], ["e:200", "_unplaced"]]),
)
def test_contigs_that_share_chunks(
    records: list[bytes], sizes: tuple[str, str], regions: list[str], joins: None
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records.sort(key=hostile.coordinate)
        (folder / "in.bam").write_bytes(hostile.bam(b"", CONTIGS, records))
        convert(folder / "in.bam", folder / "d", chunk_size=sizes[0], workers=1)
        made = query_of(folder / "d", folder / "x.bam", *regions)
        convert(made, folder / "wanted", chunk_size=sizes[1], workers=1)
        rewrite(folder / "d", folder / "got", chunk_size=sizes[1], regions=regions, workers=1)
        assert contents(folder / "got") == contents(folder / "wanted")


def test_contigs_that_did_not_share_chunks(tmp_path: Path, joins: None, encoded: list[Any]) -> None:
    """As in datasets of earlier versions: chunks of their own are copied, others are joined."""
    records = [hostile.good(contig, at) for contig in (0, 2, 3, 6) for at in (0, 3)]
    (tmp_path / "in.bam").write_bytes(hostile.bam(b"", CONTIGS, [*records, hostile.record(ref=-1)]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "MANY_CONTIGS", 100)
        convert(tmp_path / "in.bam", tmp_path / "plain")
    convert(tmp_path / "in.bam", tmp_path / "wanted")
    encoded.clear()
    rewrite(tmp_path / "plain", tmp_path / "got")
    assert len(encoded) == 2
    assert contents(tmp_path / "got") == contents(tmp_path / "wanted")


# What is dropped


def _read_groups(tags: list[bytes]) -> list[bytes]:
    return [tag[3:-1] for tag in tags if tag[:3] == b"RGZ"]


LOSSES: dict[str, tuple[dict[str, Any], str, Callable[[list[bytes]], list[bytes] | None]]] = {
    "keep": (
        {"keep_tags": ("RG", "NM", "ZZ")},
        "rewrite --keep-tags NM,RG,ZZ",
        lambda tags: [tag for tag in tags if tag[:2] in (b"NM", b"RG", b"CG")],
    ),
    "read groups": (
        {"drop_read_groups": ("b", "a")},
        "rewrite --drop-rg a --drop-rg b",
        lambda tags: None if {*_read_groups(tags)} & {b"a", b"b"} else tags,
    ),
    "both": (
        {"drop_read_groups": ("a",), "drop_tags": ("RG",)},
        "rewrite --drop-tags RG --drop-rg a",
        lambda tags: None if b"a" in _read_groups(tags) else [tag for tag in tags if tag[:2] != b"RG"],
    ),
}
HEADER = b"@HD\tVN:1.6\tSO:coordinate\n%b@RG\tID:ab\tSM:s\n"
GROUPS = {"a": b"@RG\tSM:s\tID:a\r\n", "b": b"@RG\tID:b\n"}
_tags = hostile.tag_lists() | st.lists(
    st.builds(hostile.tag, st.just("RG"), st.just("Z"), st.sampled_from([b"a", b"b", b"ab", b""])), max_size=3
)


@settings(max_examples=30)
@given(every=st.lists(_tags, max_size=8), what=st.sampled_from(sorted(LOSSES)))
def test_what_is_dropped(every: list[list[bytes]], what: str) -> None:
    options, stated, kept = LOSSES[what]
    every.append([hostile.tag("CG", "Z", b"a text")])
    dropped = options.get("drop_read_groups", ())
    rest = b"".join(line for name, line in GROUPS.items() if name not in dropped)
    header = HEADER % rest + f"@PG\tID:bams3\tPN:bams3\tCL:bams3 {stated}\n".encode()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for out, text, tag_lists in (
            ("in", HEADER % b"".join(GROUPS.values()), every),
            ("x", header, [stay for tags in every if (stay := kept(tags)) is not None]),
        ):
            records = [hostile.record(ref=0, pos=9, flag=0, sequence=b"A", tags=tags) for tags in tag_lists]
            (folder / f"{out}.bam").write_bytes(hostile.bam(text, CONTIGS, records))
            convert(folder / f"{out}.bam", folder / out, workers=1)
        manifest = rewrite(folder / "in", folder / "got", workers=1, **options)
        assert manifest.lossy == Loss.of(
            None, options.get("drop_tags", ()), options.get("keep_tags", ()), dropped
        )
        found, wanted = contents(folder / "got"), contents(folder / "x")
        stated = Manifest.from_bytes(wanted.pop("_metadata.json"), "x")._replace(lossy=manifest.lossy)
        assert found.pop("_metadata.json") == stated.to_bytes()
        assert found == wanted
        assert list(verify(DatasetReader(folder / "got"), folder / "in.bam")) == []


def test_read_groups_as_samtools_drops_them(tmp_path: Path) -> None:
    with pysam.AlignmentFile(BAM) as bam:
        names = [group["ID"] for group in bam.header.to_dict()["RG"]]
        read_groups = [read.get_tag("RG") if read.has_tag("RG") else None for read in bam]
    dropped = [name for name in names if name in read_groups][:1]
    rewrite(_converted(tmp_path / "d"), tmp_path / "got", drop_read_groups=dropped)
    dataset = DatasetReader(tmp_path / "got")
    assert dataset.manifest.records == sum(name not in dropped for name in read_groups)
    assert dataset.header.text.count(b"@RG\t") == len(names) - len(dropped)


def test_a_loss_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What a dataset says of itself, its copy says too; a further loss adds to it."""
    convert(DATA / "illumina_chr22_NA12878.bam", tmp_path / "d", qualities="bin8", drop_tags=("XA",))
    rewrite(tmp_path / "d", tmp_path / "same")
    assert contents(tmp_path / "same") == contents(tmp_path / "d")
    caplog.clear()
    words = ["rewrite", "--drop-tags", "OQ", str(tmp_path / "d"), str(tmp_path / "e")]
    assert main(words) == 0
    assert "tags are dropped (OQ): the records of the new dataset differ from" in caplog.text
    assert DatasetReader(tmp_path / "e").manifest.lossy == Loss("bin8", ("OQ", "XA"))
    with pytest.raises(
        UsageError, match="the qualities have already been changed, by bin8; convert the original file"
    ):
        rewrite(tmp_path / "e", tmp_path / "f", qualities="crumble-like")


def test_a_truncated_source_stays_one(tmp_path: Path) -> None:
    (tmp_path / "in.bam").write_bytes((DATA / "illumina_chr22_NA12878.bam").read_bytes()[:-28])
    convert(tmp_path / "in.bam", tmp_path / "d", allow_truncated=True)
    assert rewrite(tmp_path / "d", tmp_path / "e", level=1).truncated
    rewrite(tmp_path / "d", tmp_path / "f")
    assert contents(tmp_path / "f") == contents(tmp_path / "d")


def test_the_page(dataset: Path, bucket: str, tmp_path: Path) -> None:
    """Each command, as it stands there."""
    shutil.copytree(dataset, tmp_path / "NA12878.bams3")
    blocks = re.findall(r"```sh\n(.*?)```\n(?:```text\n(.*?)```)?", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 6
    for commands, printed in blocks:
        commands = commands.replace("s3://bucket", bucket)
        assert run_block(commands, tmp_path, dict(os.environ)) == printed
    assert contents(tmp_path / "back.bams3") == contents(dataset)
