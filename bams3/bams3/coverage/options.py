"""Options of a coverage run. Defaults and forms of arguments are those of mosdepth."""

import os
from itertools import pairwise
from typing import Any, NamedTuple

from bams3.bam.flags import NOT_COUNTED, UNMAP
from bams3.errors import UsageError

UNBOUNDED = 2**63 - 1


class _Options(NamedTuple):
    by: int | str | None = None
    chrom: str | None = None
    exclude_flags: int = NOT_COUNTED
    include_flags: int = 0
    min_mapq: int = 0
    min_fragment: int = -1
    max_fragment: int = -1
    fast_mode: bool = False
    fragment_mode: bool = False
    use_median: bool = False
    per_base: bool = True
    quantize: tuple[int, ...] = ()
    thresholds: tuple[int, ...] = ()
    precision: int | None = None


class CoverageOptions(_Options):
    """The reads that count, how they count, and the files to write.

    Attributes
    ----------
    by
        A window size in bases (int, or a string of digits), or the path of a BED file.
    quantize
        The sorted bounds of the depth bins (see `parse_quantize`).
    thresholds
        Depths; for each region, the bases with at least each of these depths are counted.
    min_fragment, max_fragment
        Bounds of the fragment length ``abs(TLEN)``, both inclusive; a negative maximum means no maximum.
    precision
        The number of decimals; None means ``MOSDEPTH_PRECISION``, or 2.

    Raises
    ------
    UsageError
        If options contradict each other.
    """

    __slots__ = ()

    def __new__(cls, **options: Any) -> "CoverageOptions":
        """Create the options; those that are not given have their defaults."""
        self = super().__new__(cls, **options)
        self._check()
        return self

    def _check(self) -> None:
        if self.fast_mode and self.fragment_mode:
            raise UsageError("--fast-mode and --fragment-mode cannot be combined; give one of them")
        if 0 <= self.max_fragment < self.min_fragment:
            raise UsageError(
                f"--max-frag-len {self.max_fragment} is lower than --min-frag-len {self.min_fragment}"
            )
        if self.thresholds and self.by is None:
            raise UsageError("--thresholds counts bases per region; give --by as well")
        if self.window is not None and self.window < 1:
            raise UsageError(f"--by {self.by}: a window must have at least one base")

    @property
    def window(self) -> int | None:
        """The window size if ``by`` is a size, otherwise None."""
        if isinstance(self.by, int):
            return self.by
        return int(self.by) if self.by is not None and self.by.isdecimal() else None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a row group that `Tally` needs, in addition to those that a filter needs."""
        if self.fragment_mode:
            return "pos", "end", "flag", "next_pos", "tlen"
        extents = ("pos", "end", "flag")
        return extents if self.fast_mode else (*extents, "cigar_pool", "previous", "next_ref", "border_index")

    def reads_from(self, start: int) -> int:
        """The first position of which reads are needed to get the depth from `start` on. As in mosdepth, an unmapped
        read counts by its CIGAR, but in the index it has only one base. So if unmapped reads count, all reads before
        `start` are needed."""
        by_cigar = not (self.exclude_flags & UNMAP or self.fast_mode or self.fragment_mode)
        return 0 if by_cigar else start

    @property
    def unneeded(self) -> tuple[str, ...]:
        """The hot streams that counting does not need."""
        return () if self.min_mapq > 0 else ("mapq",)

    @property
    def decimals(self) -> int:
        """The number of decimals of means and proportions."""
        return default_precision() if self.precision is None else self.precision


def default_precision() -> int:
    """Return ``MOSDEPTH_PRECISION`` from the environment; 2 if it is unset or not a number from 0 to 32."""
    try:
        value = int(os.environ.get("MOSDEPTH_PRECISION", ""))
    except ValueError:
        return 2
    return value if 0 <= value <= 32 else 2


def parse_quantize(text: str) -> tuple[int, ...]:
    """Parse bounds of depth bins: ``"0:1:4:"`` means 0 to 1, 1 to 4 and 4 to infinity; ``"4"`` means ``":4:"``.

    Raises `UsageError` for anything but integers separated by colons.
    """
    spelled = text if ":" in text else f":{text}:"
    if spelled.startswith(":"):
        spelled = "0" + spelled
    if spelled.endswith(":"):
        spelled += str(UNBOUNDED)
    return tuple(sorted(_integers(spelled.split(":"), "--quantize", text)))


def parse_thresholds(text: str) -> tuple[int, ...]:
    """Parse comma-separated depths and sort them: ``"20,1,10"`` → 1, 10, 20. Raises `UsageError` for anything else."""
    return tuple(sorted(_integers(text.split(","), "--thresholds", text)))


def quantize_labels(bounds: tuple[int, ...]) -> list[str]:
    """Return the label of each bin: ``MOSDEPTH_Q<i>`` from the environment, or ``"low:high"`` (``"low:inf"``)."""
    labels = []
    for number, (low, high) in enumerate(pairwise(bounds)):
        label = f"{low}:{'inf' if high == UNBOUNDED else high}"
        labels.append(os.environ.get(f"MOSDEPTH_Q{number}") or label)
    return labels


def _integers(parts: list[str], option: str, text: str) -> list[int]:
    try:
        values = [int(part) for part in parts]
    except ValueError:
        raise UsageError(f"{option} {text!r} is not a list of integers") from None
    if not all(-UNBOUNDED <= value <= UNBOUNDED for value in values):
        raise UsageError(f"{option} {text!r}: a depth exceeds 64 bits")
    return values
