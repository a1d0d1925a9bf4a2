"""What tells that a row group is damaged, where depth is counted."""

from typing import Any

from bams3.errors import FormatError


def same_length(n: int, *columns: Any) -> None:
    """Raise `FormatError` unless every column has ``n`` values."""
    for column in columns:
        if len(column) != n:
            raise FormatError(
                f"a row group of {n} records has a column of {len(column)} values: the chunk is damaged"
            )


def damaged(what: str) -> FormatError:
    """The error for a row group of which `what` is true."""
    return FormatError(f"a row group's {what}: the chunk is damaged")
