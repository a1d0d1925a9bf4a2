"""What all benchmarks share: the places of files, the peers, and checks that results are equal."""

from __future__ import annotations

import gzip
import itertools
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from harness.data import Alignments
from harness.process import BAMS3, Command, output

PEERS = ("samtools", "mosdepth", "sambamba")


class MismatchError(Exception):
    """bams3 and a peer gave different results."""


@dataclass(frozen=True)
class Bench:
    """`rounds`: how often each process runs. `scratch`: folder for files."""

    rounds: int
    scratch: Path

    def dataset(self, alignments: Alignments) -> Path:
        """Return the path of a BAM's dataset, which a benchmark in `harness.convert` writes."""
        return self.scratch / f"{alignments.bam.stem}.bams3"

    def conversion(self, alignments: Alignments, workers: int = 1, *options: str) -> Command:
        """Return the command `bams3 convert` that writes `dataset`."""
        dataset = self.dataset(alignments)
        return Command(
            [BAMS3, "convert", "--workers", str(workers), *options, alignments.bam, dataset], dataset
        )

    def records(self, alignments: Alignments) -> int:
        """Return the number of records in the dataset's manifest."""
        return json.loads(output(BAMS3, "stats", "--json", self.dataset(alignments)))["records"]

    def files(self, name: str) -> list[Path]:
        """Return paths for the results of bams3 and its peers."""
        return [self.scratch / f"{who}.{name}" for who in ("bams3", *PEERS)]


def has(peer: str) -> bool:
    """Tell whether a peer is installed."""
    return shutil.which(peer) is not None


def same(what: str, ours: object, theirs: object) -> None:
    """Raise MismatchError unless both are equal."""
    if ours != theirs:
        raise MismatchError(f"{what}: bams3 says {str(ours)[:300]!r}, its peer {str(theirs)[:300]!r}")


def same_when_inflated(what: str, ours: Path, theirs: Path) -> None:
    """Raise MismatchError unless two gzipped files hold the same bytes."""
    with gzip.open(ours) as one, gzip.open(theirs) as other:
        _same_bytes(what, one, other)


def same_when_read(what: str, ours: Path, theirs: Path) -> None:
    """Raise MismatchError unless two files hold the same bytes."""
    with open(ours, "rb") as one, open(theirs, "rb") as other:
        _same_bytes(what, one, other)


def _same_bytes(what: str, one: BinaryIO, other: BinaryIO, portion: int = 1 << 20) -> None:
    for number in itertools.count():
        ours, theirs = one.read(portion), other.read(portion)
        if ours != theirs:
            raise MismatchError(
                f"{what}: not the same bytes in [{number * portion}, {(number + 1) * portion})"
            )
        if not ours:
            return
