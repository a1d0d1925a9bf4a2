"""What samtools and bams3 make of a file."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ENDINGS = (".bam", ".sam", ".cram", ".sam.gz", ".sam.bgz")
EQUAL, REFUSED, LOSS = "equal", "refused by both", "refused as it would be changed"
_LOSSES = (
    "htslib would change or lose data",
    "without CRAM's end-of-file marker",
    "without BGZF's end-of-file marker",
    "its mate's position",
    "too long for BAM",
    "the last line does not end with a newline",
    "its CIGAR has an operation other than",
)
"""What samtools passes with a warning, or reads from a BAM that no SAM text could have: docs/format.md says so."""
_SAMTOOLS = "import pysam, sys; pysam.samtools.{}(*sys.argv[1:], catch_stdout=False)"
_SORTED = "not sorted"
LONGEST = 120
"""Seconds for a command."""


class Verdict(NamedTuple):
    """`kind`: `EQUAL`, `REFUSED`, `LOSS`, or what is wrong; `why`: what samtools or bams3 said."""

    kind: str
    why: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong."""
        return self.kind in (EQUAL, REFUSED, LOSS)


def files_of(folder: Path) -> list[Path]:
    """The alignment files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.name.endswith(ENDINGS) and path.is_file())


def reference_of(path: Path) -> Path | None:
    """The FASTA beside a CRAM, as htslib's tests name it: `ce#5.cram` has `ce.fa`."""
    names = (path.stem, path.stem.split("#")[0], path.stem.split(".")[0])
    found = [path.with_name(f"{name}{ending}") for name in names for ending in (".fa", ".fasta")]
    return next((each for each in found if path.suffix == ".cram" and each.exists()), None)


def judge(path: Path, folder: Path) -> Verdict:
    """Convert a file in an empty folder, and compare what comes back with what samtools reads."""
    reference = reference_of(path)
    with_reference: list[str] = []
    bam, told, dataset = folder / "told.bam", folder / "told.sam", folder / "d.bams3"
    code, samtools = _run("samtools", "view", "--no-PG", "-u", "-o", str(bam), str(path))
    if code and reference:
        with_reference = ["-T", str(reference)]
        code, samtools = _run("samtools", "view", "--no-PG", "-u", *with_reference, "-o", str(bam), str(path))
    if not code:
        code, samtools = _run("samtools", "sort", "--no-PG", "-O", "sam", "-o", str(told), str(bam))
    done, said = _run("bams3", "convert", "-@", "1", "--sort", *with_reference, str(path), str(dataset))
    *_, why = (said or samtools).strip().splitlines() or [""]
    if "Traceback" in said or done not in (0, 1, 2):
        return Verdict("bams3 broke", said)
    if code and done:
        opens = (dataset / "_metadata.json").exists()
        return Verdict("refused, but left a dataset" if opens else REFUSED, why)
    if done:
        return Verdict(LOSS if any(text in why for text in _LOSSES) else "only bams3 refuses", why)
    if code:
        return Verdict("only samtools refuses", samtools.strip())
    back = folder / "back.sam"
    done, said = _run("bams3", "query", "-h", "-o", str(back), str(dataset))
    if done or back.read_bytes() != told.read_bytes():
        return Verdict("differs", said or _difference(told.read_bytes(), back.read_bytes()))
    return _judge_bytes(path, folder) if path.suffix == ".bam" else Verdict(EQUAL)


def _judge_bytes(path: Path, folder: Path) -> Verdict:
    """A BAM that is sorted comes back bit for bit."""
    dataset, back = folder / "bytes.bams3", folder / "back.bam"
    done, said = _run("bams3", "convert", "-@", "1", str(path), str(dataset))
    if done:
        return Verdict(EQUAL if _SORTED in said else "only sorted", said.strip())
    done, said = _run("bams3", "to-bam", str(dataset), str(back))
    if done or inflated(path) != inflated(back):
        return Verdict("other bytes", said)
    return Verdict(EQUAL)


def inflated(path: Path) -> bytes:
    """The bytes of a BAM, which may not be compressed."""
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def _difference(told: bytes, found: bytes) -> str:
    pairs = zip(told.split(b"\n"), found.split(b"\n"), strict=False)
    return next(
        (f"{one[:200]!r} became {other[:200]!r}" for one, other in pairs if one != other), "other length"
    )


def _run(program: str, command: str, *words: str) -> tuple[int, str]:
    """Run bams3, or the samtools that it brings along; returns the exit code and standard error. No reference is
    fetched from elsewhere."""
    start: Sequence[str] = (
        ["-m", "bams3", command] if program == "bams3" else ["-c", _SAMTOOLS.format(command)]
    )
    environment = os.environ | {"REF_PATH": "/nowhere/%s", "REF_CACHE": "/nowhere/%s"}
    with suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            [sys.executable, *start, *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=LONGEST, check=False,
        )  # fmt: skip
        said = done.stderr.decode(errors="replace")
        if program == "samtools":
            said = re.sub(r"(?s)Traceback.*?SamtoolsError: ", "", said)
        return done.returncode, said
    return -1, "takes too long"
