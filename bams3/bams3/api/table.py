"""The result of `query` in the Python interface: columns of records, as numpy arrays or as an Arrow table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bams3.api.columns import array
from bams3.select.schema import dtype_of

if TYPE_CHECKING:
    import pyarrow


class Table(dict[str, Any]):
    """Columns by name: numpy arrays of shape (records,). `pandas.DataFrame(table)` works directly.

    Numbers have integer dtypes that do not depend on the records. Text is str in arrays of dtype object, as in SAM,
    with `*` for missing values. Tags are also in arrays of dtype object: int, float, str, a numpy array for an array
    tag, or None if a record lacks the tag.
    """

    records: int
    """Number of records: the length of every column."""

    def __init__(self, columns: Iterable[tuple[str, Any]], records: int | None = None) -> None:
        """Make a table of columns. `records` is the number of records; it is needed only if there are no columns."""
        super().__init__(columns)
        self.records = len(next(iter(self.values()))) if records is None else records

    def __reduce__(self) -> tuple[Any, ...]:
        return Table, (list(self.items()), self.records)

    def to_arrow(self) -> "pyarrow.Table":
        """Convert to a pyarrow.Table; None becomes null (requires pyarrow: the extra `arrow`).

        Returns
        -------
        pyarrow.Table
            With the types of `Dataset.to_batches`. Numbers are not copied.

        Raises
        ------
        UsageError
            If the values of a tag have types that do not fit into one column.
        """
        from bams3.extras import need

        need("pyarrow", "to_arrow")
        import pyarrow

        from bams3.api.arrays import column
        from bams3.api.arrow import type_of

        return pyarrow.table({name: column(name, values, type_of(name)) for name, values in self.items()})


def table(groups: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> Table:
    """Concatenate the columns `fields` of row groups. `groups` has, for each row group, its columns by name."""
    import numpy as np

    columns = {name: [np.empty(0, dtype_of(name))] for name in fields}
    for group in groups:
        for name, arrays in columns.items():
            arrays.append(array(name, group[name]))
    return Table((name, np.concatenate(arrays)) for name, arrays in columns.items())
