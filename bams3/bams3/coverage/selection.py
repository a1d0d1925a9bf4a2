"""Which reads count according to mosdepth's options."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from bams3.bam.flags import UNMAP
from bams3.coverage.damage import same_length
from bams3.coverage.options import CoverageOptions

Accept: TypeAlias = "Callable[[Any], bytes]"
"""Maps a row group to one byte for each record: 1 if it may count, 0 if not."""


def beyond_flags(group: Any, options: CoverageOptions, accept: Accept | None) -> bytearray | None:
    """One byte for each record of a row group: 1 if it meets all conditions except those on FLAG, which `Tally` checks.

    None if there are no such conditions. Raises FormatError if columns contradict each other.
    """
    by_length = options.min_fragment > 0 or options.max_fragment >= 0
    if accept is None and options.min_mapq <= 0 and not by_length:
        return None

    from bams3.select.kernels import keep_fragments, keep_mapq

    mask = bytearray(b"\1" * group.records if accept is None else accept(group))
    same_length(group.records, mask)
    if options.min_mapq > 0:
        same_length(group.records, group.mapq)
        keep_mapq(mask, group.mapq, options.min_mapq)
    if by_length:
        same_length(group.records, group.tlen)
        keep_fragments(mask, group.tlen, options.min_fragment, options.max_fragment)
    return mask


def counting(group: Any, options: CoverageOptions, accept: Accept | None) -> bytearray:
    """One byte for each record of a row group: 1 if it counts. Unmapped reads never count. Raises FormatError as
    above."""
    from bams3.select.kernels import keep_any_flag, keep_flags

    mask = beyond_flags(group, options, accept) or bytearray(b"\1" * group.records)
    same_length(group.records, group.flag)
    keep_flags(mask, group.flag, 0, options.exclude_flags | UNMAP)
    if options.include_flags:
        keep_any_flag(mask, group.flag, options.include_flags)
    return mask


def read_group_filter(names: Iterable[str]) -> Accept:
    """Return an `Accept` for the reads of some read groups (tag RG). It excludes reads without the tag."""
    chosen = frozenset(names)
    return lambda group: bytes(name in chosen for name in group.tag("RG"))
