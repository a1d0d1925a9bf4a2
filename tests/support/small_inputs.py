"""Small SAM files, and samtools as a source of others."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bams3.dataset.reader import DatasetReader

Samtools = Callable[..., bytes]


RECORDS = 240


LINES = [
    f"r{i}\t0\tc\t{i + 1}\t60\t8M\t*\t0\t0\tACGTACGT\t{'I5?#'[i % 4] * 8}\tXY:Z:{i * i}".encode()
    for i in range(RECORDS)
]


SAM = b"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:c\tLN:1000\n" + b"".join(line + b"\n" for line in LINES)


HEAD = b"@SQ\tSN:c\tLN:1000\n"


def run(*arguments: object, stdin: bytes = b"") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bams3", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True)
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


def records_of(uri: Path) -> int:
    return DatasetReader(str(uri)).manifest.records
