"""Duplicates: the records that samtools markdup leaves, with each option, of crowded reads and real ones; errors."""

import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
from bam_blocks import records_of
from bams3.bam.records import RecordBlock, walk
from bams3.duplicates.options import Markdup
from bams3.duplicates.source import MarkedSource
from bams3.duplicates.statistics import as_json
from bams3.errors import SourceError, UsageError
from bams3.operations import convert as converting
from bams3.operations.convert import convert
from bams3.operations.markdup import markdup
from bams3.parallel.workers import Workers
from conversions import fails
from duplicate_bams import (
    CONTIGS,
    TEXT,
    choices,
    combined,
    crowds,
    marked_by_samtools,
    marked_here,
    mate,
    on_one_strand,
    without_bins,
)
from engines import run_bams3 as run
from hypothesis import given, settings
from hypothesis import strategies as st
from listings import contents
from peers import DATA

BAM = DATA / "illumina_chr22_NA12878.bam"
CHAINS = {12, 13, 14, 15}
"""Those for which samtools follows a chain of duplicates. If mates have the same strand, it may follow one whose reads
it has written already, to wherever that leads."""
SUPPLEMENTARY = 16


@given(crowds(), choices, st.booleans())
@settings(max_examples=300, deadline=None)
def test_the_records_are_those_of_samtools(
    tmp_path_factory: pytest.TempPathFactory, made: hostile.Bam, chosen: list[int], supplementary: bool
) -> None:
    chosen = list({*chosen, SUPPLEMENTARY}) if supplementary else chosen
    folder = tmp_path_factory.getbasetemp()
    path, numbers = folder / "crowd.bam", folder / "crowd.json"
    records = [record for record in made.records if not (CHAINS & set(chosen) and on_one_strand(record))]
    path.write_bytes(made._replace(records=records).data())
    words, options = combined(chosen)
    expected = marked_by_samtools(path, *words, "--json", "-f", str(numbers))
    if expected is None:
        with pytest.raises(SourceError, match="--read-coords"):
            marked_here(path, options)
        return
    found: list[Any] = []
    assert marked_here(path, options, finished=lambda *of: found.extend(of)) == expected
    command = json.loads(numbers.read_text())["COMMAND"]
    assert as_json(command, *found[:2]) == numbers.read_text()


@pytest.mark.parametrize("chosen", [[], [0], [3, 5], [7, 8], [12, 16]], ids=str)
def test_of_many_reads_in_many_blocks(tmp_path: Path, chosen: list[int]) -> None:
    """The queue and the table grow, and reads leave them all the time."""
    rng = random.Random(1)
    made = [mate(rng.randrange(3000), rng.randrange(9), rng.randrange(4), b"%d" % at) for at in range(20_000)]
    made.sort(key=hostile.coordinate)
    path = tmp_path / "x.bam"
    path.write_bytes(hostile.bam(TEXT, CONTIGS, made))
    words, options = combined(chosen[:1] if 8 in chosen else chosen)
    expected = marked_by_samtools(path, *words)
    with Workers(2) as pool:
        assert marked_here(path, options, pool.map) == expected
    found = MarkedSource(Blocks(made, 7), options).blocks()
    assert without_bins(records_of(found)) == expected


class Blocks:
    """A source of some records, in blocks of so many."""

    truncated = once = False
    path = "x.bam"

    def __init__(self, made: list[bytes], size: int) -> None:
        from bams3.bam.header import Header

        self.header = Header(TEXT, tuple(CONTIGS))
        self.made, self.size = made, size

    def blocks(self, mapper: Any = map, *, ordered: bool = True) -> Iterator[RecordBlock]:
        for at in range(0, len(self.made), self.size):
            yield walk(b"".join(self.made[at : at + self.size]), len(CONTIGS))[0]


def test_blocks_without_duplicates_are_passed_on() -> None:
    source = Blocks([mate(at, 0, 0, b"x") for at in range(0, 900, 9)], 10)
    given_ = list(source.blocks())
    source.blocks = lambda *_, **__: iter(given_)  # type: ignore[method-assign, assignment]
    found = list(MarkedSource(source, Markdup()).blocks())  # type: ignore[arg-type]
    assert all(ours is theirs for ours, theirs in zip(found, given_, strict=True))


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real reads, some of them twice, by name as an aligner prints them and samtools fixmate leaves them."""
    folder = tmp_path_factory.mktemp("aligned")
    with pysam.AlignmentFile(BAM) as file, pysam.AlignmentFile(folder / "x.bam", "wb", template=file) as out:
        for number, read in enumerate(file):
            out.write(read)
            if number % 5 == 0:
                read.query_name = f"{read.query_name}x"
                out.write(read)
    pysam.collate("-o", str(folder / "y.bam"), str(folder / "x.bam"), catch_stdout=False)
    pysam.fixmate("-m", "--no-PG", str(folder / "y.bam"), str(folder / "z.bam"), catch_stdout=False)
    return folder / "z.bam"


@pytest.mark.parametrize("chosen", [[], [3], [0, 4]], ids=str)
def test_a_dataset_is_that_of_samtools(tmp_path: Path, aligned: Path, chosen: list[int]) -> None:
    words, options = combined(chosen)
    pysam.sort("--no-PG", "-o", str(tmp_path / "s.bam"), str(aligned), catch_stdout=False)
    pysam.markdup("--no-PG", *words, str(tmp_path / "s.bam"), str(tmp_path / "m.bam"), catch_stdout=False)
    assert pysam.view("-c", "-f", "DUP", str(tmp_path / "m.bam")).strip() != "0" or options.remove
    convert(tmp_path / "m.bam", tmp_path / "expected", drop_tags=["MD", "ms"])
    convert(tmp_path / "s.bam", tmp_path / "sorted", drop_tags=["MD", "ms"], markdup=options, verify=True)
    convert(aligned, tmp_path / "shuffled", sort=True, memory="1M", drop_tags=["MD", "ms"], markdup=options)
    for name in ("sorted", "shuffled"):
        assert contents(tmp_path / name) == contents(tmp_path / "expected"), name


@pytest.mark.parametrize("name", ["x.txt", "x.json"])
def test_statistics_are_those_of_samtools(tmp_path: Path, aligned: Path, name: str) -> None:
    pysam.sort("--no-PG", "-o", str(tmp_path / "s.bam"), str(aligned), catch_stdout=False)
    words = ["-f", str(tmp_path / name), *(["--json"] if name == "x.json" else [])]
    marked_by_samtools(tmp_path / "s.bam", "-d", "100", "--use-read-groups", *words)
    given_ = ["--optical-distance", "100", "--use-read-groups", "--markdup-stats", tmp_path / f"our.{name}"]
    done = run("convert", "--markdup", *given_, tmp_path / "s.bam", tmp_path / "d")
    assert done.returncode == 0
    assert " times, a name had no coordinates; " in done.stderr
    expected, found = ((tmp_path / file).read_text() for file in (name, f"our.{name}"))
    assert re.search(r"ESTIMATED_LIBRARY_SIZE\W+[1-9]", expected)
    command = re.compile(r"(?<=COMMAND)(\W+)(samtools|bams3) [^\n\"]*")
    assert command.sub("", found) == command.sub("", expected)
    assert "bams3 convert --markdup --optical-distance 100 " in found


def pair(**tags: bytes | int) -> bytes:
    made = [
        hostile.tag(name, "Z" if isinstance(value, bytes) else "i", value) for name, value in tags.items()
    ]
    return hostile.good(0, 100, flag=99, name=b"r1", next_ref=0, next_pos=300, tags=made)


REFUSED = {
    "no MC": ([pair(ms=5)], "read r1 has no tag MC; use bams3 convert --sort --fixmate"),
    "MC a number": ([pair(MC=5)], "read r1 has a tag MC that is not text"),
    "MC cut": ([pair(MC=b"5M1", ms=5)], "read r1 has a tag MC that is not a CIGAR"),
    "no ms": (
        [pair(MC=b"50M"), pair(MC=b"50M", ms=5)],
        "read r1 has no tag ms; use bams3 convert --sort --fixmate",
    ),
    "ms of -1": (
        [pair(MC=b"50M", ms=5), pair(MC=b"50M", ms=-1)],
        "read r1 has no tag ms; use bams3 convert --sort --fixmate",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_not_been_through_fixmate_is_refused(tmp_path: Path, case: str) -> None:
    made, message = REFUSED[case]
    path = tmp_path / "x.bam"
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, made))
    with pytest.raises(SourceError, match=f"x.bam: {message}"):
        convert(path, tmp_path / "d", markdup=Markdup())
    assert case == "MC cut" or marked_by_samtools(path) is None
    assert not [found for found in (tmp_path / "d").rglob("*") if found.is_file()]


def test_tags_that_no_comparison_needs_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "x.bam"
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, [pair(MC=b"50M"), hostile.good(0, 100)]))
    expected = marked_by_samtools(path)
    assert expected is not None
    assert marked_here(path, Markdup()) == expected


@pytest.mark.parametrize(
    "options",
    [{"mode": "x"}, {"length": -1}, {"length": 1 << 31}, {"optical_distance": -5},
     {"barcode_tag": "RX1"},
     {"barcode_tag": "RX", "barcode_pattern": "(.)"}, {"barcode_pattern": "("}],
    ids=str,
)  # fmt: skip
def test_options_are_checked(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        convert(BAM, tmp_path / "d", markdup=Markdup(**options))
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("chosen", [[], [3], [11, 12, 16]], ids=str)
def test_a_dataset_is_marked(tmp_path: Path, aligned: Path, chosen: list[int]) -> None:
    """As it would have been on its way; with the options of samtools."""
    words, options = combined(chosen)
    convert(aligned, tmp_path / "d", sort=True, chunk_size="256K", level=3)
    convert(aligned, tmp_path / "expected", sort=True, chunk_size="256K", level=3, markdup=options)
    done = run("markdup", *words, "-s", "--workers", "2", tmp_path / "d", tmp_path / "marked")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("COMMAND: bams3 markdup ")
    assert contents(tmp_path / "marked") == contents(tmp_path / "expected")
    markdup(tmp_path / "expected", tmp_path / "again", options, verify=True)
    assert contents(tmp_path / "again") == contents(tmp_path / "expected")


def test_what_has_not_changed_is_copied(
    tmp_path: Path, aligned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(aligned, tmp_path / "d", sort=True, markdup=Markdup())
    monkeypatch.setattr(converting, "compress_row_group", None)
    markdup(tmp_path / "d", tmp_path / "again")
    assert contents(tmp_path / "again") == contents(tmp_path / "d")


def single(
    ref: int, pos: int, name: bytes, flag: int = 0, *, quality: int = 20, tags: tuple[bytes, ...] = ()
) -> bytes:
    return hostile.record(
        ref=ref, pos=pos, flag=flag, cigar=[] if flag & 4 else [(4, 0)], sequence=b"ACGT", quality=bytes([quality] * 4),
        name=name, tags=tags,
    )  # fmt: skip


OTHERS = hostile.tag("SA", "Z", b"x")


def test_other_alignments_are_found_wherever_they_are(tmp_path: Path) -> None:
    """Before and behind their duplicate, in other windows, on another contig, without a place."""
    contigs = [("one", 3 << 20), ("two", 3 << 20)]
    text = b"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:one\tLN:3145728\n@SQ\tSN:two\tLN:3145728\n"
    far = [(0, 5), (0, (2 << 20) + 5), (1, 5), (1, (1 << 20) + 5)]
    made = [single(*at, name, flag) for at in far for flag in (256, 2048) for name in (b"a", b"b", b"c")]
    border = 0, (1 << 20) - 3
    made += [single(*border, b"a", quality=40, tags=(OTHERS,)), single(*border, b"b", tags=(OTHERS,))]
    made += [single(*border, b"c"), *(single(-1, -1, name, 4) for name in (b"a", b"b", b"c"))]
    path = tmp_path / "x.bam"
    path.write_bytes(hostile.bam(text, contigs, sorted(made, key=hostile.coordinate)))
    pysam.markdup("--no-PG", "-S", str(path), str(tmp_path / "m.bam"), catch_stdout=False)
    assert pysam.view("-c", "-f", "DUP", str(tmp_path / "m.bam")).strip() == "11"
    convert(path, tmp_path / "d")
    convert(tmp_path / "m.bam", tmp_path / "expected")
    markdup(tmp_path / "d", tmp_path / "marked", Markdup(supplementary=True), tmp_dir=str(tmp_path))
    assert contents(tmp_path / "marked") == contents(tmp_path / "expected")


def test_other_alignments_of_what_is_optical_after_all(tmp_path: Path) -> None:
    """Near a better duplicate, but not near the original."""
    names = [(b"i:1:f:1:1:900:900", 40), (b"i:1:f:1:1:10:10", 30), (b"i:1:f:1:1:12:10", 20)]
    made = [single(0, 100, name, quality=quality, tags=(OTHERS,)) for name, quality in names]
    made += [single(0, 200, name, 2048) for name, _ in names]
    path = tmp_path / "x.bam"
    path.write_bytes(hostile.bam(TEXT, CONTIGS, made))
    expected = marked_by_samtools(path, "-S", "-d", "3")
    assert expected is not None
    assert expected.count(b"dtZSQ") == 2
    assert marked_here(path, Markdup(supplementary=True, optical_distance=3)) == expected


def test_the_folder_of_temporary_files_is_checked(tmp_path: Path) -> None:
    convert(BAM, tmp_path / "d")
    given_ = ["markdup", "--tmp-dir", tmp_path / "no", tmp_path / "d", tmp_path / "marked"]
    assert "--tmp-dir is an option of --mark-supplementary" in fails(run(*given_))
    assert "not a folder" in fails(run(*given_, "-S"))
    assert not (tmp_path / "marked").exists()


def test_contigs_that_share_chunks(tmp_path: Path) -> None:
    contigs = [(f"c{number}", 500) for number in range(5000)]
    made = [hostile.good(ref, 100, name=b"%d" % number) for ref in (3, 4, 2500) for number in range(3)]
    path = tmp_path / "x.bam"
    path.write_bytes(hostile.bam(b"", contigs, made))
    convert(path, tmp_path / "d")
    convert(path, tmp_path / "expected", markdup=Markdup())
    markdup(tmp_path / "d", tmp_path / "marked")
    assert contents(tmp_path / "marked") == contents(tmp_path / "expected")


@pytest.mark.parametrize("is_begun", [True, False])
def test_what_a_killed_run_left_is_replaced(
    tmp_path: Path, aligned: Path, is_begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(aligned, tmp_path / "d", sort=True)
    markdup(tmp_path / "d", tmp_path / "expected")
    if is_begun:
        monkeypatch.setattr("bams3.dataset.parts.commit", None)
        with pytest.raises(TypeError):
            markdup(tmp_path / "d", tmp_path / "marked")
        monkeypatch.undo()
    else:
        markdup(tmp_path / "d", tmp_path / "marked", Markdup(remove=True))
    assert "use --overwrite" in fails(run("markdup", tmp_path / "d", tmp_path / "marked"))
    assert run("markdup", "--overwrite", tmp_path / "d", tmp_path / "marked").returncode == 0
    assert contents(tmp_path / "marked") == contents(tmp_path / "expected")


def test_an_error_leaves_nothing(tmp_path: Path, aligned: Path) -> None:
    convert(aligned, tmp_path / "d", sort=True, drop_tags=["ms"])
    assert re.search(
        f"markdup: {tmp_path}/d: read .* has no tag ms; use bams3 convert --sort --fixmate",
        fails(run("markdup", tmp_path / "d", tmp_path / "marked")),
    )
    assert not [found for found in (tmp_path / "marked").rglob("*") if found.is_file()]
    convert(aligned, tmp_path / "other", sort=True)
    assert "is a complete dataset" in fails(run("markdup", tmp_path / "d", tmp_path / "other"))
    assert "this is the input" in fails(run("markdup", "--overwrite", tmp_path / "d", tmp_path / "d"))
    chunk = next(tmp_path.rglob("*.chunk"))
    assert "a part of a dataset" in fails(run("markdup", chunk, tmp_path / "marked"))
    assert "no @PG line is added" in fails(run("markdup", "--no-PG", tmp_path / "d", tmp_path / "marked"))
    assert "-T is not supported" in fails(run("markdup", "-T", tmp_path / "d", tmp_path / "marked"))


@pytest.mark.parametrize(
    ("out", "says"),
    [("x.bam", "this is an input"), ("new", "this is the dataset to write"), ("no/x.txt", "does not exist"),
     ("d/x.txt", "lies in the dataset")],
)  # fmt: skip
def test_where_statistics_may_not_be_written(tmp_path: Path, aligned: Path, out: str, says: str) -> None:
    """Known before the work begins."""
    path = Path(shutil.copy(aligned, tmp_path / "x.bam"))
    convert(path, tmp_path / "d", sort=True)
    before = contents(tmp_path)
    given_ = ["convert", "--sort", "--markdup", "--markdup-stats", tmp_path / out, path]
    assert says in fails(run(*given_, tmp_path / "new"))
    if out != "x.bam":
        assert says in fails(run("markdup", "-f", tmp_path / out, tmp_path / "d", tmp_path / "new"))
    assert contents(tmp_path) == before


WORDS = {
    "--remove-duplicates": "need --markdup; add it",
    "--barcode-name": "need --markdup; add it",
    "--markdup --batch 1/2": "--markdup cannot be combined",
    "--markdup --barcode-rgx [": "'[' is not a regular expression",
    f"--markdup --barcode-rgx (a{'+' * 46})": "has too many repetitions of repetitions",
    "--markdup --barcode-rgx (((a{99}){99}){99})": "has too many repetitions of repetitions",
}


@pytest.mark.parametrize("words", WORDS)
def test_options_that_do_not_fit(tmp_path: Path, words: str) -> None:
    assert WORDS[words] in fails(run("convert", *words.split(), BAM, tmp_path / "d"))
    assert not (tmp_path / "d").exists()
