"""bams3 checksum prints what samtools checksum prints, byte for byte."""

import shutil
import struct
from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
from bams3.bam.records import walk
from bams3.dataset.reader import DatasetReader
from bams3.dataset.sums import MODULUS, Summed, Sums
from bams3.operations.checksum import Style, report, sums_of
from command_line import Run, in_process
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_records import write_odd
from peers import DATA
from remote_bams import upload

import bams3

REAL = [
    DATA / f"{name}.bam"
    for name in ("illumina_chr22_NA12878", "nanopore_NA12878", "pacbio_hifi_basemods_HG002")
]


def theirs(*words: object) -> str:
    return str(pysam.samtools.checksum(*map(str, words)))  # type: ignore[attr-defined]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return in_process(capfd)


@pytest.fixture(scope="module", params=[*REAL, "odd"], ids=lambda path: Path(path).stem)
def bam(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BAM, with its dataset beside it."""
    folder = tmp_path_factory.mktemp("checksum")
    if request.param == "odd":
        return write_odd(folder)
    path = folder / request.param.name
    path.symlink_to(request.param)
    bams3.convert(path, path.with_suffix(".bams3"), level=1)
    return path


OPTIONS = [
    "", "-q", "-v", "-q -v -T", "-B", "-B -q -P", "-T -P", "-C -M", "-P -C -M -F 0", "-F0 -f16 -c",
    "-f READ1 -F DUP -v", "-b 0xfff -c -F 0", "-b 0", "-t NM,MD,RG,NM,MM", "-t zz,BA,MX,XF,EM",
    "--show-qc --check-pos --flag-mask 1 --tags RG",
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS)
def test_equals_samtools(bam: Path, options: str, run: Run) -> None:
    dataset = bam.with_suffix(".bams3")
    expected = theirs(*options.split(), bam).replace(str(bam), str(dataset))
    assert run("checksum", *options.split(), dataset) == (0, expected, "")


@pytest.mark.parametrize("options", ["-a", "-OO -F 0 -q", "-z all", "-t *,MD -T"])
def test_what_samtools_does(tmp_path: Path, options: str, run: Run) -> None:
    bam = write_odd(tmp_path)
    dataset = bam.with_suffix(".bams3")
    expected = theirs(*options.split(), bam)
    both = expected.replace(str(bam), str(dataset)) + expected
    assert run("checksum", *options.split(), dataset, bam) == (0, both, "")


def test_chunks_add_up(bam: Path, run: Run, tmp_path: Path) -> None:
    dataset = bam.with_suffix(".bams3")
    chunks = sorted(dataset.glob("data/*/*.chunk"))
    expected = theirs("-P", "-q", bam)
    code, text, _ = run("checksum", "-P", "-q", *chunks)
    assert (code, text.splitlines()[1:]) == (0, expected.splitlines()[1:])
    parts = [tmp_path / str(number) for number in range(len(chunks))]
    for part, chunk in zip(parts, chunks, strict=True):
        assert run("checksum", "-P", "-q", "-o", part, chunk) == (0, "", "")
    merged = run("checksum", "-q", "-m", *parts)[1]
    assert merged.splitlines()[4:] == expected.splitlines()[4:]


# Records that real files lack


def with_tags(record: bytes, tags: list[bytes]) -> bytes:
    """A record with other tags."""
    name, cigar, l_seq = record[12], *struct.unpack_from("<H2xi", record, 16)
    body = record[4 : 36 + name + 4 * cigar + (l_seq + 1) // 2 + l_seq] + b"".join(tags)
    return struct.pack("<I", len(body)) + body


# Other names, which SAM does not allow, send samtools into an endless loop.
names = st.sampled_from(["BC", "QT", "TC", "RG", "RG", "NM", "zz", "00"])
tag_lists = st.lists(
    st.builds(lambda name, pair: hostile.tag(name, *pair), names, hostile.tag_values()), max_size=4
)
summed = st.builds(
    Summed,
    st.sampled_from([0, 0x900, 16]), st.sampled_from([0, 1]), st.sampled_from([0xC1, 0, 0xFFF]), st.booleans(),
    st.sampled_from([(b"BC", b"QT"), (b"zz", b"NM", b"RG", b"zz"), (b"00",)]), st.just(True),
)  # fmt: skip


def words_of(what: Summed) -> list[Any]:
    tags = ",".join(tag.decode() for tag in what.tags)
    words = ["-F", what.excluded, "-f", what.required, "-b", what.mask, "-t", tags, "-q", "-v", "-PCM"]
    return words if what.turned else [*words, "-c"]


STYLE = Style(True, True, True, True, True, True)


@given(hostile.bams(), st.data())
@settings(max_examples=40)
def test_hostile_records(
    tmp_path_factory: pytest.TempPathFactory, made: hostile.Bam, data: st.DataObject
) -> None:
    records = [with_tags(record, data.draw(tag_lists)) for record in made.records]
    path = tmp_path_factory.getbasetemp() / "hostile.bam"
    path.write_bytes(made._replace(records=records).data())
    what = data.draw(summed)
    block = walk(b"".join(records), len(made.references))[0]
    total = Sums.of_block(block[: len(block) // 2], what)
    total.add(Sums.of_block(block[len(block) // 2 :], what))
    assert report(str(path), total, what, STYLE) == theirs(*words_of(what), path)


def test_more_operations_than_a_record_can_count(tmp_path: Path, run: Run) -> None:
    cigar = [(1, i % 2) for i in range(70_001)]
    tags = [hostile.tag("RG", "Z", b"a"), hostile.tag("NM", "S", 7)]
    long = hostile.record(ref=0, pos=9, flag=16, cigar=cigar, sequence=b"ACGTN" * 14_000 + b"A", tags=tags)
    (tmp_path / "x.bam").write_bytes(hostile.bam(b"", [("c", 10**6)], [long]))
    bams3.convert(tmp_path / "x.bam", tmp_path / "x.bams3")
    options = ["-C", "-t", "CG,NM"]
    expected = theirs(*options, tmp_path / "x.bam").replace("x.bam", "x.bams3")
    assert run("checksum", *options, tmp_path / "x.bams3") == (0, expected, "")


def test_many_read_groups() -> None:
    names = [b"%d" % (i * i % 1009) for i in range(3000)]
    records = [hostile.record(tags=[hostile.tag("RG", "Z", name)], sequence=b"A") for name in names]
    sums = Sums.of_block(walk(b"".join(records), 0)[0])
    assert {name: passed[0] for name, (passed, _) in sums.groups.items()} == {
        name: names.count(name) for name in set(names)
    }


# Files at URIs


@pytest.mark.parametrize("ending", ["bam", "sam", "sam.gz", "cram"])
def test_files_in_a_bucket(bucket: str, tmp_path: Path, ending: str, run: Run) -> None:
    """Sorted by name, which a conversion would refuse."""
    path = tmp_path / f"named.{ending}"
    options = ["--output-fmt-option", "no_ref=1"] if ending == "cram" else []
    pysam.sort(
        "-n", "-O", ending.split(".")[0], *options, "-o", str(path), str(DATA / "illumina_chr22_NA12878.bam")
    )
    uri = upload(bucket, path)
    for words in ["-q"], ["-a"]:
        assert run("checksum", *words, uri) == (0, theirs(*words, path).replace(str(path), uri), "")


def test_files_of_a_web_server(web_server: tuple[str, Path], run: Run) -> None:
    """A signature in a URL is not printed; a dataset is still one, and a chunk a chunk, whatever it is called."""
    url, root = web_server
    bam = Path(shutil.copy(REAL[0], root / "x.bam"))
    bams3.convert(bam, root / "x.bams3")
    (chunk,) = (root / "x.bams3").glob("data/*/*.chunk")
    shutil.copy(chunk, root / "chunk")
    expected = theirs(bam)
    signed = f"{url}/x.bam?key=secret"
    assert run("checksum", "-@2", signed) == (0, expected.replace(str(bam), f"{url}/x.bam"), "")
    both = [run("checksum", f"{url}/{name}")[1].splitlines()[1:] for name in ("x.bams3", "chunk")]
    assert both == [expected.splitlines()[1:]] * 2


def test_damaged_files_in_a_bucket(bucket: str, tmp_path: Path, run: Run) -> None:
    """Without its marker, with a damaged block, of another kind, or missing."""
    data = REAL[0].read_bytes()
    flipped = data[:50_000] + bytes([data[50_000] ^ 1]) + data[50_001:]
    for content, said in (
        (data[:-28], "end-of-file marker"), (data[:90_000], "truncated"), (flipped, "block"),
        (b"no alignments", "neither BAM, CRAM nor SAM"), (None, "not a bams3 dataset"),
    ):  # fmt: skip
        uri = f"{bucket}/in/none.bam"
        if content is not None:
            (tmp_path / "x.bam").write_bytes(content)
            uri = upload(bucket, tmp_path / "x.bam")
        code, text, errors = run("checksum", uri)
        assert (code, text) == (1, "")
        assert errors.startswith(f"bams3 checksum: {uri}")
        assert said in errors
        assert errors.count("\n") == 1


# Tags with names that SAM does not allow, at which samtools checksum never ends

ODD = hostile.tag("a ", "i", 5)
NOT_ODD = [hostile.tag("0z", "C", 5), hostile.tag("RG", "Z", b"g")]


def odd_bam(path: Path, odd: tuple[bytes, ...] = (ODD,)) -> Path:
    """A BAM that is not sorted; of its three records, the last is secondary, and has an odd tag as the second does."""
    records = [
        hostile.good(0, 900, name=b"first", tags=NOT_ODD),
        hostile.good(0, 500, name=b"second", flag=16, tags=[*NOT_ODD, *odd]),
        hostile.good(0, 900, name=b"third", flag=0x100, tags=odd),
    ]
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records, block=200))
    return path


# Options, and the record that is refused, if any.
WITH_ODD_TAGS = {
    "": "record 2 (second)", "-OO -q": "record 2 (second)", "-F 16": "record 3 (third)", "-f 256 -F 0": "record 3",
    "-F 0x110": "", "-f 32": "", "-a": "", "-t *,NM": "", "-a -t RG": "record 2 (second)",
}  # fmt: skip


@pytest.mark.parametrize("options", WITH_ODD_TAGS)
def test_tags_with_odd_names(tmp_path: Path, options: str, run: Run) -> None:
    bam, refused = odd_bam(tmp_path / "odd.bam"), WITH_ODD_TAGS[options]
    code, text, errors = run("checksum", *options.split(), bam)
    if refused:
        assert (code, text, errors.count("\n")) == (1, "", 1)
        assert f"{bam}: {refused}" in errors
        assert "tag 'a '" in errors
    else:
        assert (code, text, errors) == (0, theirs(*options.split(), bam), "")


def test_a_dataset_with_odd_tags(tmp_path: Path, run: Run) -> None:
    """Its own sums leave them out; what samtools has to do is refused."""
    dataset = tmp_path / "x.bams3"
    bams3.convert(odd_bam(tmp_path / "x.bam"), dataset, sort=True)
    wanted = theirs("-q", odd_bam(tmp_path / "y.bam", ()))
    assert run("checksum", "-q", dataset)[1].splitlines()[1:] == wanted.splitlines()[1:]
    assert f"{dataset}: record 1 (second)" in run("checksum", "-O", dataset)[2]
    assert run("checksum", "-a", dataset)[0] == 0


# Sums that a dataset has


def test_stored_sums_cost_no_reading(small_dataset: str, tmp_path: Path, run: Run) -> None:
    copy = Path(shutil.copytree(small_dataset, tmp_path / "copy.bams3"))
    expected = run("checksum", "-q", copy)
    shutil.rmtree(copy / "data")
    assert run("checksum", "-q", copy) == expected
    assert run("checksum", "-q", "-b", "1", copy)[0] == 1


def test_a_conversion_that_goes_on_sums_what_was_there(tmp_path: Path) -> None:
    source = DATA / "illumina_chr22_NA12878.bam"
    whole = bams3.convert(source, tmp_path / "whole.bams3")
    bams3.convert(source, tmp_path / "parts.bams3", batch=(1, 1))
    assert bams3.convert(source, tmp_path / "parts.bams3", resume=True) == whole
    assert whole.sums


GROUP = [[2, 3, 4, 5, 6], [1, 7, 8, 9, 9]]
WRONG: dict[str, Any] = {
    "another number": [["a", [1, 3, 4, 5, 6], [1, 7, 8, 9, 9]]],
    "too large": [["a", [2, 3, 4, 5, MODULUS], GROUP[1]]],
    "zero": [["a", [2, 0, 4, 5, 6], GROUP[1]]],
    "text": [["a", [2, "3", 4, 5, 6], GROUP[1]]],
    "negative": [["a", [3, 3, 4, 5, 6], GROUP[1]], ["b", [-1, 1, 1, 1, 1], [0, 1, 1, 1, 1]]],
    "sums of nothing": [["a", *GROUP], ["b", [0, 1, 1, 1, 1], [0, 1, 1, 1, 1]]],
    "products of nothing": [["a", [3, 3, 4, 5, 6], [0, 1, 1, 1, 2]], ["b", [0, 1, 1, 1, 1], [1, 1, 1, 1, 1]]],
    "order": [["b", [1, 3, 4, 5, 6], GROUP[1]], ["a", [1, 1, 1, 1, 1], [0, 1, 1, 1, 1]]],
    "twice": [["a", [1, 3, 4, 5, 6], [0, 1, 1, 1, 1]], ["a", *GROUP]],
    "too many": [["a", [2, 3, 4, 5, 6, 7], GROUP[1]]],
    "no list": {"a": GROUP},
}


@pytest.mark.parametrize("what", WRONG)
def test_impossible_sums(what: str) -> None:
    Sums.from_json([["a", *GROUP]]).check(2, 1)
    with pytest.raises((ValueError, TypeError)):
        Sums.from_json(WRONG[what]).check(2, 1)


# What is refused


REFUSED = {
    "-t N": "give names of tags", "-t *,N!": "give names of tags", "-N 5": "samtools checksum -N N -",
    "-z nothing": "Unrecognised keyword nothing", "-o {dataset}/data/x": "must not contain other files",
    "-m": "not an output of checksum -o",
}  # fmt: skip


@pytest.mark.parametrize("options", REFUSED)
def test_what_is_refused(small_dataset: str, options: str, run: Run) -> None:
    code, text, errors = run("checksum", *options.format(dataset=small_dataset).split(), small_dataset)
    assert (code, text) == (1, "")
    assert REFUSED[options] in errors
    assert errors.count("\n") == 1


@pytest.fixture(scope="module")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("small") / "small.bams3"
    bams3.convert(DATA / "illumina_chr22_NA12878.bam", path, level=1)
    return str(path)


def test_a_file_that_is_neither(tmp_path: Path, run: Run) -> None:
    (tmp_path / "text").write_text("no alignments")
    code, text, errors = run("checksum", tmp_path / "text")
    assert (code, text) == (1, "")
    assert errors.startswith(f"bams3 checksum: {tmp_path}/text: ")
    assert errors.count("\n") == 1
    assert "must not be overwritten" in run("checksum", "-o", tmp_path / "text", tmp_path / "text")[2]


def test_damage_is_an_error(small_dataset: str, tmp_path: Path, run: Run) -> None:
    chunk = next(Path(small_dataset).glob("data/*/*.chunk"))
    damaged = bytearray(chunk.read_bytes())
    damaged[200] ^= 1
    (tmp_path / "damaged.chunk").write_bytes(damaged)
    code, text, errors = run("checksum", tmp_path / "damaged.chunk")
    assert (code, text) == (1, "")
    assert "checksum" in errors


def test_progress(small_dataset: str) -> None:
    seen: list[int] = []
    dataset = DatasetReader(small_dataset)
    sums_of(dataset, Summed(excluded=0), progress=seen.append)
    assert sum(seen) == dataset.manifest.records
