"""Errors for row groups that turn out to be damaged while depth is counted."""

from typing import Any

from bams3.errors import FormatError


def same_length(n: int, *columns: Any) -> None:
    """Raise `FormatError` unless every column has ``n`` values."""
    for column in columns:
        if len(column) != n:
            raise FormatError(
                f"a row group of {n} records has a column of {len(column)} values: the chunk is damaged; restore it or "
                "convert it again"
            )


def damaged(what: str) -> FormatError:
    """Return the error for a damaged row group; `what` completes "a row group's …"."""
    return FormatError(f"a row group's {what}: the chunk is damaged; restore it or convert it again")
