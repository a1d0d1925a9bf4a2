"""What convert says while it works: how much is done, and that there are very many contigs."""

import os
from pathlib import Path
from typing import Any

import pytest
from bams3.errors import SourceError
from bams3.operations.convert import convert
from peers import DATA

BAM = DATA / "illumina_chr22_NA12878.bam"


@pytest.mark.parametrize("options", [{}, {"sort": True}, {"batch": (1, 1)}], ids=str)
def test_how_much_is_read_of_how_much(tmp_path: Path, options: dict[str, Any]):
    done: list[int] = []
    expected: list[int] = []
    convert(BAM, tmp_path / "out", progress=done.append, expect=expected.append, **options)
    assert expected == [sum(done)]
    assert min(done) >= 0
    assert 0.95 < expected[0] / BAM.stat().st_size <= 1


def test_a_pipe_has_no_total(tmp_path: Path):
    done: list[int] = []
    reading, writing = os.pipe()
    os.write(writing, BAM.read_bytes()[:4000])
    os.close(writing)
    with pytest.raises(SourceError, match="truncated"):
        convert(f"/dev/fd/{reading}", tmp_path / "out", progress=done.append, expect=done.append)
    os.close(reading)
    assert sum(done) == 4000


@pytest.mark.parametrize(
    ("contigs", "length", "warned"), [(19_999, 200_000, False), (20_000, 200_000, True), (20_000, 9, False)]
)
def test_many_contigs(
    contigs: int, length: int, warned: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    lines = (f"@SQ\tSN:c{i}\tLN:{length}\n" for i in range(contigs))
    text = "@HD\tVN:1.6\tSO:coordinate\n" + "".join(lines)
    (tmp_path / "in.sam").write_text(text)
    convert(tmp_path / "in.sam", tmp_path / "out")
    assert (f"{contigs} long contigs; each of them that has reads becomes a folder" in caplog.text) == warned
