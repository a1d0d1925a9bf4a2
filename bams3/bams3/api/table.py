"""What `query` of the Python interface gives: columns of records, as numpy and Arrow have them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bams3.api.columns import array
from bams3.select.schema import SCHEMA, dtype_of

if TYPE_CHECKING:
    import pyarrow


class Table(dict[str, Any]):
    """Columns by name: numpy arrays, shape (records,). A pandas.DataFrame can be made of it as it stands.

    Numbers have integer dtypes that do not depend on the records. Text is str in arrays of dtype object, as
    SAM writes it: `*` for what is missing. Tags are in arrays of dtype object too: int, float, str, a numpy
    array for an array, or None where a record lacks the tag.
    """

    @property
    def records(self) -> int:
        """Number of records: the length of every column."""
        return len(next(iter(self.values()), ()))

    def to_arrow(self) -> "pyarrow.Table":
        """As a pyarrow.Table, None as null (needs pyarrow: the extra `arrow`).

        Numbers are not copied. Raises UsageError where a tag's values are of types that do not go into one column.
        """
        from bams3.extras import need

        need("pyarrow", "to_arrow")
        import pyarrow

        from bams3.api.arrow import column

        def type_of(name: str) -> pyarrow.DataType | None:
            return pyarrow.string() if name in SCHEMA and SCHEMA[name].is_text else None

        return pyarrow.table({name: column(name, values, type_of(name)) for name, values in self.items()})


def table(parts: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> Table:
    """The columns `fields` of row groups, one after the other; `parts` are of each its columns by name."""
    import numpy as np

    pieces = {name: [np.empty(0, dtype_of(name))] for name in fields}
    for part in parts:
        for name, column in pieces.items():
            column.append(array(name, part[name]))
    return Table((name, np.concatenate(column)) for name, column in pieces.items())
