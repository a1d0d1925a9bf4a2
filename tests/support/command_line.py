"""The command line in this process, and small inputs for it."""

from collections.abc import Callable
from pathlib import Path

import pysam
import pytest
from bams3.cli import main

import bams3

Run = Callable[..., tuple[int, str, str]]


def in_process(capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process: (exit code, what it wrote to stdout, to stderr)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            code = int(stop.code or 0)
        return (code, *capfd.readouterr())

    return call


def write_small(folder: Path) -> Path:
    """Write small.bam, its index and small.bams3 into a folder: a read at each 500,000th base of four contigs."""
    contigs = {"chr1": 3_000_000, "chr2": 2_000_000, "chr3": 1_000_000, "HLA-A*01:01": 500}
    header = pysam.AlignmentHeader.from_dict(
        {
            "HD": {"VN": "1.6", "SO": "coordinate"},
            "SQ": [{"SN": n, "LN": length} for n, length in contigs.items()],
        }
    )
    flags = [0, 16, 1024, 99, 147, 256, 512, 2048]
    path = folder / "small.bam"
    with pysam.AlignmentFile(path, "wb", header=header) as file:
        number = 0
        for name, length in contigs.items():
            for position in range(100, length, 500_000):
                flag, mapq = flags[number % len(flags)], 10 * (number % 7)
                text = (
                    f"r{number}\t{flag}\t{name}\t{position}\t{mapq}\t4M\t*\t0\t0\tACGT\tIIII\tNM:i:{number}"
                )
                file.write(pysam.AlignedSegment.fromstring(text, header))
                number += 1
        file.write(pysam.AlignedSegment.fromstring("lost\t4\t*\t0\t0\t*\t*\t0\t0\tAC\tII", header))
    pysam.index(str(path))
    bams3.convert(path, path.with_suffix(".bams3"))
    return path.parent
