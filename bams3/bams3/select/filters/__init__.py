"""Filter expressions of samtools (`mapq >= 30 && !flag.dup && [NM] < 5`), evaluated on columns."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bams3.codec import ZoneMap
from bams3.select.filters import zones
from bams3.select.filters.parser import parse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Expression"]


class Expression:
    """A parsed expression. Raises UsageError for an invalid one; the message has the column of the mistake.

    `fields`: the names of the columns that the expression reads. Each column has one name: `mpos` for `pnext`, `mrname`
    for `rnext`, `flag` for `flag.dup`. Tags are written `[NM]`.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._node, self.fields = parse(text)

    def evaluate(self, columns: Mapping[str, Any], n: int) -> "NDArray[np.bool_]":
        """Return which of n records match, as bool of shape (n,). `columns` must have n values for each of `fields`:

        - integers, in arrays of any width: `flag mapq tlen refid mrefid`; `pos mpos` (0-based start, -1 for
          none); `endpos` (0-based exclusive end); `ncigar qlen rlen` (from the CIGAR); `sclen hclen` (bases
          clipped at both ends);
        - lists of text, a character a byte (Latin-1): `qname rname mrname cigar seq` as SAM writes them, but
          `seq` empty for none; `qual` raw, not shifted by 33; `library` of the read group, empty for none;
        - `[XX]`: list of int, float, str (types Z, H and A) or None where a record lacks the tag; or an array
          where all records have a number.

        Raises UsageError if the type of a tag does not fit the expression.
        """
        from bams3.select.filters.evaluate import evaluate

        return evaluate(self._node, columns, n)

    def may_match(self, zone: ZoneMap) -> bool:
        """Return False only if, according to its zone map, no record of a row group can match."""
        return zones.may_match(self._node, zone)
