"""Duplicates marked in batches: what all reads together give, wherever the borders are; refusals."""

import random
import struct
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
from bam_blocks import records_of
from bams3.bam.header import Header
from bams3.bam.records import RecordBlock, walk
from bams3.dataset import parts
from bams3.dataset.parts import Part, read_part
from bams3.dataset.plan import read_plan
from bams3.duplicates.batch import Batch
from bams3.duplicates.options import Markdup
from bams3.duplicates.source import Marking
from bams3.errors import DatasetError, SourceError, UsageError
from bams3.operations.convert import convert
from bams3.operations.markdup import markdup, merge_marked
from bams3.operations.merge import merge
from bams3.storage import open_storage
from conversions import fails
from duplicate_bams import CONTIGS, TEXT, choices, combined, crowds, mate
from engines import run_bams3 as run
from forked import run_snakemake
from hypothesis import given, settings
from hypothesis import strategies as st
from listings import contents
from pages import blocks_of

import bams3

HEADER = Header(TEXT, tuple(CONTIGS))
FAR = 5000
"""No read of a crowd reaches so far."""
WINDOW = 1 << 18
PAGE = Path(__file__).parents[2] / "docs" / "from-the-aligner.md"
LONG = [("one", 5 * WINDOW - 9), ("two", 2 * WINDOW), ("three", 100)]
LONG_TEXT = b"@HD\tVN:1.6\tSO:coordinate\n" + b"".join(
    b"@SQ\tSN:%s\tLN:%d\n" % (name.encode(), length) for name, length in LONG
)


def block(made: Sequence[bytes]) -> RecordBlock:
    return walk(b"".join(made), len(CONTIGS))[0]


def reference_id(record: bytes) -> int:
    found: int = struct.unpack_from("<i", record, 4)[0]
    return found


def moved(record: bytes, far: int) -> bytes:
    """A read of contig "one" further on, with its mate."""
    pos, next_pos = (struct.unpack_from("<i", record, at)[0] for at in (8, 28))
    return (
        record[:8]
        + struct.pack("<i", pos + far)
        + record[12:28]
        + struct.pack("<i", next_pos + far)
        + record[32:]
    )


@given(crowds(20), choices, st.lists(st.integers(0, 20), min_size=3, max_size=3))
@settings(max_examples=200, deadline=None)
def test_a_batch_is_marked_as_all_reads_are(made: hostile.Bam, chosen: list[int], cuts: list[int]) -> None:
    """If it begins with what the one before it knows; and the first one, which looks back to the start, does."""
    options = combined(chosen)[1]._replace(supplementary=False)
    first, second, third = sorted(cuts)
    ends = [0, first, second, third, len(made.records)]
    blocks = [block(made.records[start:end]) for start, end in pairwise(ends)]
    contigs = [reference_id(made.records[end]) if end < len(made.records) else 0 for end in ends]
    told: list[Any] = []
    marking = Marking(HEADER, options, lambda *of: told.append(of))
    try:
        whole = [records_of([each]) for each in marking.marked(blocks, map)]
    except SourceError:
        return
    batches = [Batch(marking) for _ in blocks]
    for number, batch in enumerate(batches):
        for start in range(number + 1):
            known = batch.begin(blocks[start:number], contigs[number], map)
            if known == (batches[number - 1].after if number else batch.before):
                marked = batch.marked(
                    blocks[number : number + 1], blocks[number + 1 :], contigs[number + 1], map
                )
                assert records_of(marked) == whole[number], (number, start)
                batch.numbers()
                break
        else:
            raise AssertionError("a batch that looks at all earlier reads knows less than the one before it")
    numbers = [of[1] for of in told]
    assert numbers[0] == [
        [sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*numbers[1:], strict=True)
    ]
    assert [sum(of[at] for of in told[1:]) for at in (2, 3)] == list(told[0][2:])


@given(crowds(), crowds(), choices, st.integers(0, 14))
@settings(max_examples=50, deadline=None)
def test_reads_that_are_far_away_do_not_matter(
    made: hostile.Bam, other: hostile.Bam, chosen: list[int], cut: int
) -> None:
    near, far = ([record for record in each.records if reference_id(record) == 0] for each in (made, other))
    batch = Batch(Marking(HEADER, combined(chosen)[1]._replace(supplementary=False)))
    later = block([moved(record, FAR) for record in far[:cut]])
    try:
        known = batch.begin([block(near), later], 0, map)
    except SourceError:
        return
    assert batch.begin([later], 0, map) == known or not len(later)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reads around the borders of windows, of which one needs several row groups, and some on the other contigs."""
    rng = random.Random(1)
    places = [(0, at) for at in range(WINDOW, 5 * WINDOW, WINDOW)] * 300 + [(1, WINDOW + 50), (2, 20)] * 200
    made = []
    for ref, at in places:
        name, kind, clipped = b"%d" % rng.randrange(99), rng.randrange(4), rng.randrange(4)
        made.append(mate(at + rng.randrange(-9, 9), rng.randrange(9), kind, name, ref, clipped))
    made += [mate(rng.randrange(2 * WINDOW), 3, 3, b"x") for _ in range(9000)]
    made += [hostile.good(-1, -1, flag=4, name=b"u", cigar=[])] * 3
    return dataset_of(tmp_path_factory.mktemp("crowded"), made)


def dataset_of(folder: Path, made: list[bytes]) -> Path:
    path = folder / "x.bam"
    path.write_bytes(hostile.bam(LONG_TEXT, LONG, sorted(made, key=hostile.coordinate)))
    pysam.index(str(path))
    convert(path, folder / "d", chunk_size="256K")
    return folder / "d"


@pytest.mark.parametrize(
    ("chosen", "of"), [([], 2), ([0, 3], 4), ([4, 7, 10], 9), ([2, 12, 15], 5), ([6, 10, 13], 12)], ids=str
)
def test_a_dataset_in_batches_is_the_same(tmp_path: Path, crowded: Path, chosen: list[int], of: int) -> None:
    options = combined(chosen)[1]
    markdup(
        crowded,
        tmp_path / "whole",
        options._replace(statistics=str(tmp_path / "x.json"), json=True, command="x"),
    )
    numbers = list(range(1, of + 1))
    random.Random(of).shuffle(numbers)
    for number in numbers:
        assert (
            markdup(crowded, tmp_path / "parts", options, batch=(number, of), verify=True, workers=2) is None
        )
    with pytest.raises(UsageError, match="missing"):
        merge_marked(tmp_path / "parts", str(tmp_path / "missing/y.json"), "x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "put_manifest", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            merge_marked(tmp_path / "parts", str(tmp_path / "y.json"), "x")
    for _ in range(2):  # the second time, the batches are gone
        merge_marked(tmp_path / "parts", str(tmp_path / "y.json"), "x")
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    assert (tmp_path / "y.json").read_text() == (tmp_path / "x.json").read_text()


def test_a_read_that_reaches_further_is_found(tmp_path: Path) -> None:
    """Behind it, no read leaves the queue; one with as long a clip is a duplicate of another one far before it."""
    far = hostile.record(
        ref=0, pos=9, flag=16, cigar=[(4, 0), (4 * WINDOW, 5)], sequence=b"ACGT", quality=b"\x1e" * 4
    )
    kept = mate(1000, 0, 3, b"a")
    late = hostile.record(
        ref=0,
        pos=3 * WINDOW,
        flag=0,
        cigar=[(3 * WINDOW - 1000, 5), (4, 0)],
        sequence=b"ACGT",
        quality=b"\x14" * 4,
        name=b"b",
    )
    source = dataset_of(
        tmp_path, [far, kept, *(mate(at, 0, 3, b"x") for at in range(0, 5 * WINDOW, 9999)), late]
    )
    markdup(source, tmp_path / "whole")
    assert [read.query_name for read in bams3.open(tmp_path / "whole").fetch() if read.is_duplicate] == ["b"]
    for number in (5, 4, 3, 2, 1):
        markdup(source, tmp_path / "parts", batch=(number, 5))
    for number in (3, 4, 5):
        found = fails(run("merge", tmp_path / "parts"))
        assert f"repeat it (bams3 markdup --overwrite --batch {number}/5)" in found
        markdup(source, tmp_path / "parts", batch=(number, 5), overwrite=True)
    merge(tmp_path / "parts")
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    for number in (1, 2, 3, 4, 5):
        markdup(source, tmp_path / "in order", batch=(number, 5))
    merge(tmp_path / "in order")
    assert contents(tmp_path / "in order") == contents(tmp_path / "whole")


def test_what_does_not_fit_a_batch_is_refused(tmp_path: Path, crowded: Path) -> None:
    begun = tmp_path / "begun"
    given_ = ["markdup", "--batch", "1/2", crowded, begun]
    assert "--mark-supplementary cannot be combined with --batch" in fails(run(*given_, "-S"))
    assert "with bams3 merge --markdup-stats" in fails(run(*given_, "-f", tmp_path / "x"))
    assert not begun.exists()
    assert run(*given_).returncode == 0
    assert "an incomplete dataset" in fails(run("stats", begun))
    assert "run bams3 markdup with the --batch that covers" in fails(run("merge", begun))
    with pytest.raises(DatasetError, match="begun from another file"):
        markdup(crowded, begun, Markdup(remove=True), batch=(2, 2))
    with pytest.raises(DatasetError, match="begun from another file"):
        convert(crowded.parent / "x.bam", begun, chunk_size="256K", windows=["three"])
    markdup(crowded, begun, batch=(1, 2), overwrite=True)
    markdup(crowded, begun, batch=(2, 2))
    merge(begun)
    with pytest.raises(DatasetError, match="complete dataset"):
        markdup(crowded, begun, batch=(2, 2))
    markdup(crowded, begun, Markdup(remove=True), batch=(2, 2), overwrite=True)
    markdup(crowded, begun, Markdup(remove=True), batch=(1, 2), overwrite=True)
    merge(begun)
    markdup(crowded, tmp_path / "whole", Markdup(remove=True))
    assert contents(begun) == contents(tmp_path / "whole")
    markdup(crowded, begun, batch=(1, 2), overwrite=True)
    markdup(crowded, begun, Markdup(remove=True), batch=(2, 2), overwrite=True)
    with pytest.raises(DatasetError, match="of another source or with other options"):
        merge(begun)
    markdup(crowded, begun, Markdup(remove=True), batch=(1, 2), overwrite=True)
    merge(begun)
    assert contents(begun) == contents(tmp_path / "whole")
    with pytest.raises(DatasetError, match="it is complete, so its batches"):
        merge_marked(begun, str(tmp_path / "x"))


def test_numbers_of_duplicates_need_batches(tmp_path: Path, crowded: Path) -> None:
    convert(crowded.parent / "x.bam", tmp_path / "d", chunk_size="256K", windows=["three"])
    with pytest.raises(UsageError, match="not begun by bams3 markdup --batch"):
        merge_marked(tmp_path / "d", str(tmp_path / "x"))
    assert "is for merge DATASET" in run("merge", "--markdup-stats", "x", "a", "b", "c").stderr


def test_the_rules_of_the_page(tmp_path: Path, crowded: Path, commands: dict[str, str]) -> None:
    (rules,) = (
        block.code
        for block in blocks_of(PAGE)
        if block.elsewhere == "tests/duplicates/test_markdup_batches.py"
    )
    (tmp_path / "Snakefile").write_text(rules)
    (tmp_path / "S1.bams3").symlink_to(crowded)
    done = run_snakemake(
        tmp_path, commands, "-c", "1", "--quiet", "all", "--", "S1.marked.bams3/_metadata.json"
    )
    assert done.returncode == 0, done.stderr
    markdup(crowded, tmp_path / "whole")
    assert contents(tmp_path / "S1.marked.bams3") == contents(tmp_path / "whole")


FORGED: list[dict[str, Any]] = [
    {"number": 0}, {"number": 3}, {"number": True}, {"before": "0" * 63}, {"after": 5}, {"numbers": []},
    {"numbers": [[0] * 11]}, {"numbers": [[-1] * 12]}, {"numbers": [5]}, {"marking": "0" * 64}, {"marking": ""},
]  # fmt: skip


def test_a_forged_part_is_refused(tmp_path: Path, crowded: Path) -> None:
    markdup(crowded, tmp_path / "d", batch=(1, 2))
    storage = open_storage(str(tmp_path / "d"))
    plan = read_plan(storage)
    part = read_part(storage, plan, "_parts/000001-of-000002.json")
    assert part.marked is not None
    for marked in (None, *(part.marked._replace(**changes) for changes in FORGED)):
        part.marked = marked
        with pytest.raises(DatasetError, match="damaged part file"):
            Part.from_bytes(part.to_bytes(plan), plan, "x")
