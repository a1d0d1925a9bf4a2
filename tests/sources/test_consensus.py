"""Qualities of bases that agree with a clear consensus: what the rules say, whatever the blocks and the neighbours."""

from collections.abc import Sequence

import hostile
import pytest
from bam_blocks import records_of
from bams3.bam.records import walk
from bams3.sources import consensus
from consensus import crowd
from consensus import simplified as by_the_rules
from hypothesis import given, settings


def ours(records: Sequence[bytes], block: int, contigs: int = 2) -> bytes:
    pieces = [b"".join(records[at : at + block]) for at in range(0, len(records), block)]
    blocks = [walk(piece, contigs)[0] for piece in pieces]
    return b"".join(records_of(each.blocks) for each in consensus.simplified(blocks, map))


def test_the_rules() -> None:
    for seed in range(25):
        records = crowd(seed)
        made = ours(records, 1 + seed * 7)
        assert made == b"".join(by_the_rules(records, consensus.MOST)), seed
        assert ours([made], 1) == made, "a second time, nothing changes"


@settings(max_examples=25)
@given(hostile.bams())
def test_any_records(bam: hostile.Bam) -> None:
    if bam.records:
        made = b"".join(by_the_rules(bam.records, consensus.MOST))
        assert ours(bam.records, 3, len(bam.references)) == made


@pytest.mark.parametrize("most", [1, 3000, 12_000])
def test_windows_with_too_many_reads(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consensus, "MOST", most)
    for seed in range(4):
        records = crowd(seed)
        assert ours(records, 20) == b"".join(by_the_rules(records, most))
