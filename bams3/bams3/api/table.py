"""What `query` of the Python interface gives: columns of records, as numpy and Arrow have them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bams3.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

# The fields of `query`, and the dtypes of their columns; tags, such as "[NM]", are "O".
DTYPES = {
    "qname": "O", "flag": "u2", "rname": "O", "pos": "i4", "endpos": "i4", "mapq": "u1", "cigar": "O",
    "mrname": "O", "mpos": "i4", "tlen": "i4", "seq": "O", "qual": "O", "ncigar": "u4", "qlen": "i8", "rlen": "i8",
    "refid": "i8", "mrefid": "i4", "library": "O", "sclen": "i8", "hclen": "i8",
}  # fmt: skip
RECORD_FIELDS = tuple(DTYPES)[:12]
"""Those that a record of SAM has, and `endpos`."""
_ARRAY_DTYPES = {"c": "i1", "C": "u1", "s": "<i2", "S": "<u2", "i": "<i4", "I": "<u4", "f": "<f4"}
_QUAL_TEXT = {quality: quality + 33 for quality in range(256 - 33)}


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
            return pyarrow.string() if DTYPES.get(name) == "O" else None

        return pyarrow.table({name: column(name, values, type_of(name)) for name, values in self.items()})


def checked_fields(fields: str | Sequence[str]) -> tuple[str, ...]:
    """The names of fields, each once. Raises UsageError for one that there is not."""
    names = (fields,) if isinstance(fields, str) else tuple(dict.fromkeys(fields))
    for name in names:
        if name not in DTYPES and not (len(name) == 4 and name[0] == "[" and name[3] == "]"):
            raise UsageError(f"unknown field {name!r}: the fields are {' '.join(DTYPES)} and tags as [NM]")
    return names


def table(parts: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> Table:
    """The columns `fields` of row groups, one after the other; `parts` are of each its columns by name."""
    import numpy as np

    pieces = {name: [np.empty(0, DTYPES.get(name, "O"))] for name in fields}
    for part in parts:
        for name, column in pieces.items():
            column.append(array(name, part[name]))
    return Table((name, np.concatenate(column)) for name, column in pieces.items())


def array(name: str, values: Any) -> "np.ndarray":
    """A column of a row group as `Table` has it: texts as SAM has them, array tags as arrays."""
    import numpy as np

    if DTYPES.get(name, "O") != "O":
        return np.asarray(values, DTYPES[name])
    if name == "seq":
        values = [text or "*" for text in values]
    elif name == "qual":
        values = [text.translate(_QUAL_TEXT) if text and text[0] != "\xff" else "*" for text in values]
    elif name[0] == "[":
        values = [_elements(value) if isinstance(value, bytes) else value for value in values]
    return np.fromiter(values, object, len(values))


def _elements(value: bytes) -> "np.ndarray":
    """The elements of an array tag; `value` as BAM has it: subtype, number, elements."""
    import numpy as np

    return np.frombuffer(value[5:], _ARRAY_DTYPES[chr(value[0])])


def alike(column: "np.ndarray") -> Any:
    """The column; the arrays in it brought to one dtype, for each record's writer chose the narrowest."""
    import numpy as np

    dtypes = (
        {value.dtype for value in column if isinstance(value, np.ndarray)} if column.dtype == object else ()
    )
    if len(dtypes) < 2:
        return column
    common = np.result_type(*dtypes)
    return [value.astype(common) if isinstance(value, np.ndarray) else value for value in column]
