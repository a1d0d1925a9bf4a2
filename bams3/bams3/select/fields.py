"""Access to the fields of records by name, for filter expressions and the Python interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bams3.select.schema import SCHEMA, tag_of, tag_values, unknown

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.chunk.row_group import RowGroup


class FilterColumns(Mapping[str, Any]):
    """The fields of a row group for `Expression.evaluate`, each decoded on first use.

    `header` is only called for HEADER_FIELDS. Raises UsageError for an unknown field.
    """

    def __init__(self, group: RowGroup, header: Callable[[], Header]) -> None:
        self._group = group
        self._header = header
        self._decoded: dict[str, Any] = {}

    def __getitem__(self, field: str) -> Any:
        if field not in self._decoded:
            self._decoded[field] = self._decode(field)
        return self._decoded[field]

    def __iter__(self) -> Iterator[str]:
        return iter(SCHEMA)

    def __len__(self) -> int:
        return len(SCHEMA)

    def _decode(self, name: str) -> Any:
        import numpy as np

        if tag := tag_of(name):
            return tag_values(self._group, tag)
        if name not in SCHEMA:
            raise unknown(name)
        field = SCHEMA[name]
        values = field.values(self._group, self._header)
        return values if field.dtype == "O" else np.asarray(values)
