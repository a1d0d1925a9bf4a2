"""What convert says while it works: how many reads there are, and that there are very many contigs."""

import shutil
from pathlib import Path

import pysam
import pytest
from bams3.operations.convert import convert


def test_a_total_is_known_from_an_index(real_bam: Path, tmp_path: Path):
    """Its reads are counted once more as they are done; without an index there is no total."""
    done: list[int] = []
    expected: list[int] = []
    convert(real_bam, tmp_path / "a", progress=done.append, expect=expected.append)
    assert expected == [sum(done)] == [pysam.AlignmentFile(str(real_bam)).count(until_eof=True)]
    alone = shutil.copy(real_bam, tmp_path / "alone.bam")
    convert(alone, tmp_path / "b", expect=expected.append)
    convert(real_bam, tmp_path / "c", batch=(1, 2), expect=expected.append)
    assert len(expected) == 1


@pytest.mark.parametrize(("contigs", "warned"), [(19_999, False), (20_000, True)])
def test_many_contigs(contigs: int, warned: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    text = "@HD\tVN:1.6\tSO:coordinate\n" + "".join(f"@SQ\tSN:c{i}\tLN:9\n" for i in range(contigs))
    (tmp_path / "in.sam").write_text(text)
    convert(tmp_path / "in.sam", tmp_path / "out")
    assert (f"{contigs} contigs; each one with reads becomes a folder" in caplog.text) == warned
