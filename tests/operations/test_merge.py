"""bams3 merge IN... OUT: the dataset that samtools merge and convert make of the same inputs, and how it fails."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import hostile
import pytest
from bams3.bam.lossy import Loss
from bams3.dataset.manifest import Manifest
from bams3.dataset.reader import DatasetReader
from bams3.errors import DatasetError, SourceError, UsageError
from bams3.operations import merge_input
from bams3.operations import merging as code
from bams3.operations.convert import convert
from bams3.operations.merge import merge_inputs
from bams3.operations.rewrite import rewrite
from conversions import KILLED, fails
from engines import BAMS3, run_block
from engines import run_bams3 as run
from hypothesis import given, settings
from hypothesis import strategies as st
from listings import contents
from merging import CONTIGS, Input, header, inputs, samtools_merge, tags_last, write_inputs
from peers import DATA
from sam_files import read_bam

SIZE: dict[str, Any] = {"chunk_size": "256K", "level": 1, "workers": 1}
RG = hostile.tag("RG", "Z", b"a")


def _as_given(paths: list[Path], given: list[Input]) -> list[Path]:
    """The paths of the inputs, of which some become datasets."""
    found = []
    for path, each in zip(paths, given, strict=True):
        if each.is_dataset:
            convert(path, path.with_suffix(".bams3"), **SIZE)
        found.append(path.with_suffix(".bams3") if each.is_dataset else path)
    return found


@settings(max_examples=25, deadline=None)
@given(inputs(), st.sets(st.sampled_from(["-c", "-p"])), st.integers(0, 2**40))
def test_the_dataset_is_that_of_samtools_merge(given: list[Input], options: set[str], seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_inputs(folder, given)
        samtools_merge(folder / "expected.bam", paths, *options, seed=seed)
        chosen: dict[str, Any] = {"combine_read_groups": "-c" in options, "combine_programs": "-p" in options}
        chosen |= SIZE | {"seed": seed}
        try:
            convert(folder / "expected.bam", folder / "expected", **SIZE)
        except SourceError:  # its contigs have another order than the header that comes of it
            with pytest.raises(SourceError, match=r"its contigs are not in the order.* pipe the output"):
                merge_inputs(_as_given(paths, given), folder / "merged", **chosen)
            return
        merge_inputs(_as_given(paths, given), folder / "merged", **chosen)
        assert contents(folder / "merged") == contents(folder / "expected")


ONE = hostile.good(0, 5, tags=[RG])
HEADERS: dict[str, list[tuple[bytes, list[tuple[str, int]]]]] = {
    "no headers": [(b"", CONTIGS), (b"", CONTIGS)],
    "@HD in the second only": [(b"@CO\tx\n", CONTIGS), (b"@HD\tVN:1.5\tSO:unknown\tSS:x\n", CONTIGS)],
    "@SQ of other lengths and tags": [
        (b"@SQ\tSN:c1\tM5:x\tLN:7\tAN:c7,c2\n", [("c1", 600_000)]),
        (b"@SQ\tSN:c2\tLN:9\n@SQ\tSN:c1\tLN:9\n", [("c2", 9)]),
    ],
    "contigs in another order": [
        (header(CONTIGS, [], []), CONTIGS),
        (header(CONTIGS[::-1], [], []), CONTIGS[::-1]),
    ],
    "@HD of contigs in another order": [
        (b"@HD\tVN:1.6\tSO:coordinate\tGO:none\tSS:coordinate:x\tzz:1\n", CONTIGS),
        (b"", CONTIGS[::-1]),
    ],
    "colliding ids": [(header(CONTIGS, [b"a", b"b"], [b"p", b"q"]), CONTIGS)] * 3,
    "an id twice": [
        (b"@RG\tID:a\tSM:1\n@RG\tID:a\tSM:2\n@PG\tID:p\tCL:1\n@PG\tID:p\tCL:2\n", CONTIGS),
        (b"@RG\tSM:1\tID:a\n@PG\tID:p\tPP:p\n", CONTIGS),
    ],
    "comments, unknown lines and NULs": [
        (b"@CO\ta\tb\n@XY\tab:c\n@CO\t\n\0\0", CONTIGS),
        (b"@CO\ta\tb\n@PG\tID:x\tPP:lost", CONTIGS),
    ],
}


@pytest.mark.parametrize("options", [(), ("-c",), ("-p",), ("-c", "-p"), ("-r",)], ids=" ".join)
@pytest.mark.parametrize("name", HEADERS)
def test_headers(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    given = [Input(text, references, [ONE]) for text, references in HEADERS[name]]
    if any(references != CONTIGS for _, references in HEADERS[name]):
        given = [each._replace(records=[]) for each in given]
    paths = write_inputs(tmp_path, given)
    merge_inputs(
        paths, tmp_path / "merged", combine_read_groups="-c" in options, combine_programs="-p" in options,
        read_group_of_file="-r" in options, seed=9, **SIZE,
    )  # fmt: skip
    expected, block = read_bam(samtools_merge(tmp_path / "m.bam", paths, *options, seed=9))
    reader = DatasetReader(tmp_path / "merged")
    assert (reader.header.text, reader.header.references) == (expected.text, expected.references)
    run("to-bam", tmp_path / "merged", tmp_path / "back.bam")
    assert read_bam(tmp_path / "back.bam")[1].data == block.data


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"@RG\tSM:x\n", "has no ID"),
        (b"@PG\tID:x\tbad\n", "not valid"),
        (b"@SQ\n", "not valid"),
        (b"no header\n", "not valid"),
        (b"@SQ\tSN:c9\tLN:x\n", "no valid LN"),
        (b"@SQ\tLN:9\n", "no SN"),
    ],
)
def test_a_header_that_samtools_refuses(tmp_path: Path, text: bytes, says: str) -> None:
    paths = write_inputs(tmp_path, [Input(text, CONTIGS, [])])
    with pytest.raises(SourceError, match=rf"in0\.bam: a (line of the )?header.*{says}"):
        merge_inputs(paths, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_real_files(tmp_path: Path) -> None:
    """Tags keep their places; samtools moves RG and PG behind the others."""
    bams = [DATA / "illumina_chr22_NA12878.bam"] * 2
    _, block = read_bam(samtools_merge(tmp_path / "m.bam", bams, seed=3))
    convert(bams[0], tmp_path / "one.bams3")
    merge_inputs([tmp_path / "one.bams3", bams[1]], tmp_path / "merged", seed=3)
    run("to-bam", tmp_path / "merged", tmp_path / "back.bam")
    _, merged = read_bam(tmp_path / "back.bam")
    expected, found = (
        [bytes(each.data[start:end]) for start, end in zip(each.offsets, each.offsets[1:], strict=False)]
        for each in (block, merged)
    )
    assert len(found) == len(expected)
    for record, wanted in zip(found, expected, strict=True):
        assert tags_last(record) == tags_last(wanted)


def _copies(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the chunks whose records are decoded."""
    decoded: list[str] = []
    read = code.block_of

    def seen(group: Any, references: int) -> Any:
        decoded.append(group.chunk.name)
        return read(group, references)

    for module in (code, merge_input):
        monkeypatch.setattr(module, "block_of", seen)
    return decoded


def _dataset(
    folder: Path, name: str, places: list[tuple[int, int]], text: bytes = b"", **options: Any
) -> Path:
    tags = options.pop("tags", [RG])
    (folder / f"{name}.bam").write_bytes(
        hostile.bam(
            text or header(CONTIGS, [b"a"], [b"p"]),
            CONTIGS,
            [hostile.good(*place, tags=tags) for place in places],
        )
    )
    convert(folder / f"{name}.bam", folder / f"{name}.bams3", **(SIZE | options))
    return folder / f"{name}.bams3"


PLACES = [(0, 7), (0, 262_144), (1, 1), (1, 800_000), (-1, -1)]


@pytest.mark.parametrize(
    ("options", "more", "decoded"),
    [
        ({}, [(1, 1), (1, 2_999_999)], ["one.bams3/data/c2/000000000-000262144.chunk"]),
        ({}, [(-1, -1)], ["one.bams3/data/_unplaced/000000.chunk"]),
        ({"level": 5}, [(2, 0)], None),
        ({"chunk_size": "512K"}, [(2, 0)], None),
        ({"tags": [hostile.tag("RG", "Z", b"lost")]}, [(2, 0)], None),
        ({"tags": [hostile.tag("PG", "Z", b"lost")]}, [(2, 0)], None),
        ({"tags": [hostile.tag("PG", "Z", b"p")]}, [(2, 0)], []),
    ],
)
def test_chunks_of_one_input_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], more: Any, decoded: Any
) -> None:
    one = _dataset(tmp_path, "one", PLACES, **options)
    two = _dataset(tmp_path, "two", more)
    samtools_merge(tmp_path / "m.bam", [tmp_path / "one.bam", tmp_path / "two.bam"], "-c", "-p")
    convert(tmp_path / "m.bam", tmp_path / "expected", **SIZE)
    found = _copies(monkeypatch)
    merge_inputs([one, two], tmp_path / "merged", combine_read_groups=True, combine_programs=True, **SIZE)
    assert contents(tmp_path / "merged") == contents(tmp_path / "expected")
    if decoded is None:
        chunks = {str(path) for path in one.rglob("*.chunk")}
        assert {name for name in found if "one.bams3" in name} == chunks
    else:
        assert [name for name in found if "one.bams3" in name] == [str(tmp_path / name) for name in decoded]


def test_a_new_id_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = _dataset(tmp_path, "one", PLACES), _dataset(tmp_path, "two", [(2, 0)])
    found = _copies(monkeypatch)
    merge_inputs([one, two], tmp_path / "merged", **SIZE)
    assert [Path(name).parent.name for name in found] == ["c3"]


def test_a_chunk_stands_for_a_dataset(tmp_path: Path) -> None:
    one = _dataset(tmp_path, "one", PLACES)
    chunk = one / "data/c1/000262144-000524288.chunk"
    merge_inputs([chunk, chunk], tmp_path / "merged", combine_read_groups=True)
    assert DatasetReader(tmp_path / "merged").manifest.records == 2


def test_tags_without_a_line_are_left_out(tmp_path: Path) -> None:
    one = _dataset(tmp_path, "one", [(0, 7)], tags=[hostile.tag("RG", "Z", b"lost"), RG])
    done = run("merge", one, one, tmp_path / "merged")
    assert (
        "reads with RG:Z:lost, such as r, lose this tag: the header has no @RG line with this ID"
        in done.stderr
    )
    assert done.returncode == 0
    assert DatasetReader(tmp_path / "merged").manifest.records == 2


def test_contigs_of_another_length_are_reported(tmp_path: Path) -> None:
    one, two = _dataset(tmp_path, "one", PLACES), tmp_path / "two.bam"
    longer = [(name, length + 9) for name, length in CONTIGS]
    two.write_bytes(hostile.bam(header(longer, [b"a"], [b"p"]), longer, [ONE]))
    for words in (["merge", one, two, tmp_path / "x"], ["append", one, two]):
        done = run(*words, "-cp")
        assert "two.bam: contig c1 has 600009 bp, but 600000 bp in an input before this one" in done.stderr
        assert (done.returncode, done.stderr.count("\n")) == (0, 1)


def test_losses_are_stated(tmp_path: Path) -> None:
    options: list[dict[str, Any]] = [{"qualities": "bin8", "drop_tags": ["XX"]}, {"drop_tags": ["AA"]}, {}]
    given = [_dataset(tmp_path, str(n), [(0, n)], **each) for n, each in enumerate(options)]
    manifest = merge_inputs(given, tmp_path / "merged", **SIZE)
    assert manifest.lossy == Loss("bin8", ("AA", "XX"))
    other = _dataset(tmp_path, "other", [(0, 1)], qualities="illumina4")
    with pytest.raises(UsageError, match="qualities are changed in different ways"):
        merge_inputs([given[0], other], tmp_path / "not")


def test_losses_of_rewriting_are_stated(tmp_path: Path) -> None:
    one = _dataset(tmp_path, "one", [(0, 1)])
    rewrite(one, tmp_path / "kept", keep_tags=["RG", "NM"])
    rewrite(one, tmp_path / "without", drop_read_groups=["a"])
    rewrite(one, tmp_path / "others", keep_tags=["NM"])
    manifest = merge_inputs([one, tmp_path / "kept", tmp_path / "without"], tmp_path / "merged", **SIZE)
    assert manifest.lossy == Loss("", (), ("NM", "RG"), ("a",))
    with pytest.raises(UsageError, match="different tags were kept"):
        merge_inputs([tmp_path / "kept", tmp_path / "others"], tmp_path / "not")


def test_what_it_refuses(tmp_path: Path) -> None:
    one = _dataset(tmp_path, "one", PLACES)
    before = contents(one)
    with pytest.raises(UsageError, match="both an input and the output"):
        merge_inputs([one, one], one, overwrite=True)
    with pytest.raises(UsageError, match="which is an input"):
        merge_inputs([next(one.rglob("*.chunk")), tmp_path / "one.bam"], one, overwrite=True)
    assert "-f is not supported: OUT is the last argument" in fails(run("merge", "-f", tmp_path / "x", one))
    two = _dataset(tmp_path, "two", [(0, 7)])
    with pytest.raises(DatasetError, match="is a complete dataset; use --overwrite"):
        merge_inputs([one], two)
    merge_inputs([one], two, overwrite=True, **SIZE)
    assert contents(two) == before == contents(one)
    assert "missing: No such file" in fails(run("merge", tmp_path / "missing", one, tmp_path / "x"))
    assert "not a bams3 dataset" in fails(run("merge", one / "data", one, tmp_path / "x"))
    assert not (tmp_path / "x").exists()


def test_more_inputs_than_files_may_be_open(tmp_path: Path) -> None:
    """Unless the hard limit is too low."""
    _dataset(tmp_path, "one", PLACES[:1])
    words = ["merge", "-cp", *70 * [str(tmp_path / "one.bam")], str(tmp_path / "x")]
    for limit, status in (("-Hn", 1), ("-Sn", 0)):
        limited = ["sh", "-c", f'ulimit -Sn 70; ulimit {limit} 70; exec "$@"', "sh"]
        done = subprocess.run([*limited, *BAMS3, *words], capture_output=True, text=True)
        assert done.returncode == status, done.stderr
    assert DatasetReader(tmp_path / "x").manifest.records == 70


def test_damage_is_found(tmp_path: Path) -> None:
    one, two = _dataset(tmp_path, "one", PLACES), _dataset(tmp_path, "two", [(0, 7)])
    for path in one.rglob("*.chunk"):
        data = bytearray(path.read_bytes())
        data[20] ^= 1
        path.write_bytes(data)
        assert "one.bams3/data" in fails(
            run("merge", one, two, tmp_path / "x", "--chunk-size", "256K", "--level", "1")
        )
        assert not (tmp_path / "x" / "_metadata.json").exists()
        data[20] ^= 1
        path.write_bytes(data)


@pytest.mark.parametrize("file", [1, 3, 5, 7, 9])
def test_killed_and_begun_again(tmp_path: Path, file: int) -> None:
    one, two = _dataset(tmp_path, "one", PLACES), _dataset(tmp_path, "two", PLACES[1:3])
    merge_inputs([one, two], tmp_path / "undisturbed", **SIZE)
    words = ["merge", "--chunk-size", "256K", "--level", "1", str(one), str(two), str(tmp_path / "x")]
    assert subprocess.run([sys.executable, "-c", KILLED, str(file), *words]).returncode == -9
    assert not (tmp_path / "x" / "_metadata.json").exists()
    assert run(*words, ["--resume", "--overwrite"][file % 4 == 1]).returncode == 0
    assert contents(tmp_path / "x") == contents(tmp_path / "undisturbed")


def test_a_manifest_that_does_not_fit_its_chunks(tmp_path: Path) -> None:
    """Counts of what is copied are those of the whole without what is decoded."""
    one, two = _dataset(tmp_path, "one", PLACES), _dataset(tmp_path, "two", PLACES[:1])
    other = _dataset(tmp_path, "other", [PLACES[0], PLACES[0]])
    for path in ("data/c1/000000000-000262144.chunk",):
        (one / path).write_bytes((other / path).read_bytes())
    assert "one.bams3" in fails(run("merge", one, two, tmp_path / "x", "--chunk-size", "256K"))
    assert isinstance(Manifest.from_bytes((one / "_metadata.json").read_bytes(), "x"), Manifest)


def test_the_page(tmp_path: Path, commands: dict[str, str]) -> None:
    """The commands of docs/growing.md, in its order."""
    root = Path(__file__).parents[2]
    (tmp_path / "bams3").symlink_to(root)
    text = (root / "docs" / "growing.md").read_text()
    own = text.partition("## Append in an object store")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```\n(?:```text\n(.*?)^```$)?", own, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    for block, printed in blocks:
        assert run_block(block, tmp_path, commands) == printed
