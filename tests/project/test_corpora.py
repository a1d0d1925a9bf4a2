"""What a file is judged to be by tests/corpora."""

from pathlib import Path

import hostile
import pytest
from corpora.judge import EQUAL, LOSS, REFUSED, files_of, judge

UNSORTED = [hostile.good(0, pos, name=name) for pos, name in ((900, b"b"), (5, b"a"))]
HEAD = "@SQ\tSN:chr1\tLN:1000\n"
READ = "r\t{}\t{}\t5\t60\t4M\t*\t0\t0\tACGT\tIIII\n"
FILES = {
    "sorted.bam": (hostile.bam(hostile.TEXT, hostile.CONTIGS, UNSORTED[::-1]), EQUAL),
    "unsorted.bam": (hostile.bam(hostile.TEXT, hostile.CONTIGS, UNSORTED), EQUAL),
    "no-marker.bam": (hostile.bam(hostile.TEXT, hostile.CONTIGS, UNSORTED[::-1])[:-28], LOSS),
    "text.sam": ((HEAD + READ.format(0, "chr1")).encode(), EQUAL),
    "no-number.sam": ((HEAD + READ.format("x", "chr1")).encode(), REFUSED),
    "unknown-contig.sam": ((HEAD + READ.format(0, "chr9")).encode(), LOSS),
}


@pytest.mark.parametrize("name", FILES)
def test_files(tmp_path: Path, name: str) -> None:
    data, kind = FILES[name]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(data)
    (path,) = files_of(tmp_path / "in")
    assert judge(path, tmp_path).kind == kind


def test_differences_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.sam").write_bytes(FILES["text.sam"][0])
    monkeypatch.setattr(Path, "read_bytes", lambda path: path.name.encode())
    assert judge(tmp_path / "x.sam", tmp_path).kind == "differs"
