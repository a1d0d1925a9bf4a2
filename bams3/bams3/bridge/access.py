"""Access control: tokens, stored as SHA-256, and the datasets and regions that each of them grants."""

import hashlib
import re
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bams3.bam.regions import Region, merge_regions, parse_regions
from bams3.errors import UsageError

COLUMNS = ["user", "sha256", "datasets", "regions"]
STEADY = 1.0  # seconds before the file is checked again


class Grant(NamedTuple):
    """What a user may see. `datasets` has names, or patterns with `*`; `regions` has region strings, or `.` for all
    records."""

    user: str
    datasets: Sequence[str]
    regions: Sequence[str]

    @property
    def is_whole(self) -> bool:
        """Whether all records of the datasets may be seen."""
        return "." in self.regions

    def allows(self, name: str) -> bool:
        """Whether anything of a dataset may be seen."""
        return any(
            re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL)
            for pattern in self.datasets
        )

    def places(self, references: Sequence[tuple[str, int]]) -> list[Region] | None:
        """Return the regions that may be seen, merged; None means all records.

        `references` has (name, length in bp). Regions on contigs that are not there grant nothing.
        """
        if self.is_whole:
            return None
        found = []
        for text in self.regions:
            with suppress(UsageError):
                found += parse_regions([text], references)
        return merge_regions(found)

    @property
    def id(self) -> str:
        """A text that is unique to this grant, and does not reveal what is granted."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:32]


EVERYONE = Grant("-", ("*",), (".",))
"""The grant of everyone if there are no tokens."""


class Tokens:
    """The tokens of a tab-separated file with the header line `COLUMNS`. It is read again when it changes."""

    def __init__(self, path: str) -> None:
        """Raises UsageError if the file is not valid, OSError if it can't be read."""
        self._path = Path(path)
        self._lock = threading.Lock()
        self._read, self._looked, self._state = {}, 0.0, (0, 0)  # type: ignore[var-annotated]
        self.grants()

    def grants(self) -> dict[str, Grant]:
        """Return the current grants, by the SHA-256 of their tokens. Raises UsageError and OSError."""
        with self._lock:
            if time.monotonic() - self._looked >= STEADY:
                found = self._path.stat()
                state = found.st_mtime_ns, found.st_size
                if state != self._state:
                    self._read = _grants(self._path)
                self._state, self._looked = state, time.monotonic()
            return self._read

    def grant(self, token: str) -> Grant | None:
        """Return the grant of a token, or None if the token is unknown."""
        return self.grants().get(hashlib.sha256(token.encode()).hexdigest())


def _grants(path: Path) -> dict[str, Grant]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    rows = [(number, line.split("\t")) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows or rows[0][1] != COLUMNS:
        raise UsageError(f"{path}: the first line must be {' '.join(COLUMNS)}, separated by tabs")
    found: dict[str, Grant] = {}
    for number, row in rows[1:]:
        if len(row) != len(COLUMNS) or not all(map(str.strip, row)):
            raise UsageError(f"{path}, line {number}: give {len(COLUMNS)} values, separated by tabs")
        user, digest, datasets, regions = row
        digest = digest.strip().lower()
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise UsageError(
                f"{path}, line {number}: the second value must be the SHA-256 of a token, 64 "
                "hexadecimal digits"
            )
        if digest in found:
            raise UsageError(f"{path}, line {number}: another line has the same token; keep one of them")
        found[digest] = Grant(user.strip(), tuple(datasets.split()), tuple(regions.split()))
    return found
