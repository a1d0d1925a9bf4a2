"""Inputs to merge, and the BAM that samtools merge makes of them."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import hostile
import pysam
from hypothesis import strategies as st

CONTIGS = [("c1", 600_000), ("c2", 3_000_000), ("c3", 40)]
POSITIONS = [0, 1, 1, 7, 262_143, 262_144, 599_999]
GROUPS = [b"a", b"b", b"a-1234ABCD"]


class Input(NamedTuple):
    """A BAM, and whether it is given as a dataset."""

    text: bytes
    references: list[tuple[str, int]]
    records: list[bytes]
    is_dataset: bool = False

    def data(self) -> bytes:
        return hostile.bam(self.text, self.references, self.records)


def write_inputs(folder: Path, inputs: Sequence[Input]) -> list[Path]:
    """Write the BAMs of the inputs."""
    paths = [folder / f"in{number}.bam" for number in range(len(inputs))]
    for path, each in zip(paths, inputs, strict=True):
        path.write_bytes(each.data())
    return paths


def samtools_merge(target: Path, inputs: Sequence[Path], *options: str, seed: int = 0) -> Path:
    """Write what samtools merge makes of BAMs."""
    words = ["--no-PG", "-f", "-s", str(seed), *options, str(target), *map(str, inputs)]
    pysam.samtools.merge(*words, catch_stdout=False)  # type: ignore[attr-defined]
    return target


def tags_last(record: bytes) -> bytes:
    """The record with RG and then PG behind all other tags, as samtools merge leaves them; without its bin, which
    htslib computes anew."""
    tags = tags_of(record)
    moved = [tag for tag in tags if tag[:2] not in (b"RG", b"PG")]
    for name in (b"RG", b"PG"):
        moved += [tag for tag in tags if tag[:2] == name]
    return record[:14] + record[16 : len(record) - sum(map(len, tags))] + b"".join(moved)


def tags_of(record: bytes) -> list[bytes]:
    """The tags of a record, none of which is an array."""
    name, cigar, sequence = record[12], *struct.unpack_from("<H2xi", record, 16)
    at, found = 36 + name + 4 * cigar + (sequence + 1) // 2 + sequence, []
    while at < len(record):
        kind = record[at + 2 : at + 3]
        width = {b"A": 1, b"c": 1, b"C": 1, b"s": 2, b"S": 2}.get(kind, 4)
        end = record.index(b"\0", at + 3) + 1 if kind in b"ZH" else at + 3 + width
        found.append(record[at:end])
        at = end
    return found


def header(
    references: Sequence[tuple[str, int]], groups: Sequence[bytes], programs: Sequence[bytes]
) -> bytes:
    lines = [b"@HD\tVN:1.6\tSO:coordinate"]
    lines += [b"@SQ\tSN:%s\tLN:%d" % (name.encode(), length) for name, length in references]
    lines += [b"@RG\tID:%s\tSM:s\tPG:%s" % (group, (*programs, b"none")[0]) for group in groups]
    before = b""
    for program in programs:
        lines.append(b"@PG\tID:%s%s" % (program, before))
        before = b"\tPP:" + program
    return b"\n".join(lines) + b"\n"


@st.composite
def records(draw: st.DrawFn, references: Sequence[tuple[str, int]], groups: Sequence[bytes]) -> bytes:
    """A record at one of few places; its tags end with RG and PG, if it has them."""
    ref = draw(st.integers(-1, len(references) - 1))
    pos = draw(st.sampled_from(POSITIONS))
    mate = draw(st.integers(-1, len(references) - 1))
    tags = [hostile.tag("NM", "C", draw(st.integers(0, 3)))]
    if draw(st.booleans()):
        tags.append(hostile.tag("RG", "Z", draw(st.sampled_from([*groups, b"unknown"]))))
    if draw(st.booleans()):
        tags.append(hostile.tag("PG", "Z", draw(st.sampled_from([b"p", b"q"]))))
    if ref < 0:
        return hostile.record(name=draw(st.sampled_from([b"r", b"s"])), tags=tags)
    flag = draw(st.sampled_from([0, 16, 4, 83, 163, 1024]))
    return hostile.good(  # samtools merge computes the bin anew, which that of hostile.good would be, too
        ref, pos, flag=flag, cigar=[] if flag & 4 else [(50, 0)], name=draw(st.sampled_from([b"r", b"s"])),
        next_ref=mate, next_pos=draw(st.sampled_from(POSITIONS)), tags=tags,
    )  # fmt: skip


@st.composite
def inputs(draw: st.DrawFn) -> list[Input]:
    """Some BAMs and datasets with contigs in about the same order, and ids that collide."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        chosen = draw(st.lists(st.sampled_from(CONTIGS), min_size=1, unique=True))
        chosen = draw(st.sampled_from([chosen, CONTIGS, sorted(chosen)]))
        groups = draw(st.lists(st.sampled_from(GROUPS), unique=True, max_size=2))
        programs = draw(st.lists(st.sampled_from([b"p", b"q"]), unique=True))
        made = draw(st.lists(records(chosen, groups), max_size=12))
        text = header(chosen, groups, programs)
        found.append(Input(text, chosen, sorted(made, key=hostile.coordinate), draw(st.booleans())))
    return found
