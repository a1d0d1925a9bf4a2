"""samtools in a process of its own: where its modules come from, and what it says if the system fails."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pysam
import pytest
from bams3.sources import samtools

SAM = "@SQ\tSN:c\tLN:1000\nr\t0\tc\t1\t60\t4M\t*\t0\t0\tACGT\tIIII\n"


def test_modules_of_the_working_directory_are_not_imported(tmp_path: Path) -> None:
    (tmp_path / "in.sam").write_text(SAM)
    for name in ("pysam", "zlib", "os"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    (tmp_path / "bams3").mkdir()
    (tmp_path / "bams3/__init__.py").write_text("raise SystemExit('imported')")
    command = "import sys; sys.path.remove(''); from bams3.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", command, "convert", "in.sam", "d.bams3"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_error_of_the_system_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def view(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/x")

    monkeypatch.setattr(pysam, "view", view)
    assert samtools.main("view", "in.bam") == "/tmp/x: No space left on device"
