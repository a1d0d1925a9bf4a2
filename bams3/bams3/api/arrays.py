"""The fields of a row group as Arrow arrays. Kernels make their buffers, which Arrow uses without a copy."""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bams3.api.columns import array
from bams3.codec import located
from bams3.codec.tag_columns import FLOATS, INTEGERS, TEXTS, TagColumn, kinds
from bams3.errors import FormatError, UsageError
from bams3.select import vectors
from bams3.select.schema import SCHEMA, tag_of, tag_values

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.chunk.row_group import RowGroup

DICTIONARY = pa.dictionary(pa.int32(), pa.string())
_ELEMENTS = {
    pa.int8(): "c", pa.uint8(): "C", pa.int16(): "s", pa.uint16(): "S", pa.int32(): "i", pa.uint32(): "I",
    pa.float32(): "f",
}  # fmt: skip
_TYPES = {
    INTEGERS: pa.int64(), FLOATS: pa.float64(), TEXTS: pa.string(),
    **{kind: pa.list_(element) for element, kind in _ELEMENTS.items()},
}  # fmt: skip
"""Arrow type for each kind of values of a tag."""


def type_in(group: "RowGroup", tag: str) -> pa.DataType | None:
    """Return the type of a tag's values in a row group, or None if there are none.

    If there are several types, it is the common type of arrays, or otherwise the first type.
    """
    with located(group.name):
        types = [_TYPES[kind] for kind in kinds(group.tags(tag), tag)]
    if len(types) > 1 and all(map(pa.types.is_list, types)):
        elements = [kind.value_type.to_pandas_dtype() for kind in types]
        return pa.list_(pa.from_numpy_dtype(np.result_type(*elements)))
    return types[0] if types else None


class ArrowFields:
    """Makes Arrow arrays of the fields of row groups, with one dictionary of contigs for all of them."""

    def __init__(self, header: "Callable[[], Header]") -> None:
        """`header` is called only if the header is needed."""
        self._header = header

    def batch(self, group: "RowGroup", schema: pa.Schema) -> pa.RecordBatch:
        """Return all records of a row group.

        Raises UsageError if values do not fit the schema, and FormatError if the row group is damaged.
        """
        with located(group.name):
            arrays = [self._array(group, field.name, field.type) for field in schema]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _array(self, group: "RowGroup", name: str, kind: pa.DataType) -> pa.Array:
        if tag := tag_of(name):
            return _tag(group, tag, kind)
        if name in _MADE:
            return _MADE[name](group)
        if name == "rname":
            return self._contig_names(np.frombuffer(group.reference_ids, np.int32))
        if name == "mrname":
            return self._contig_names(np.frombuffer(group.next_ref, np.int32))
        if name == "library":
            return self._libraries(group)
        return _numbers(np.asarray(SCHEMA[name].values(group, self._header), SCHEMA[name].dtype), kind)

    @cached_property
    def _contigs(self) -> pa.Array:
        """The names of all contigs, and "*"."""
        of_header = SCHEMA["rname"].of_header
        assert of_header
        return _texts("rname", of_header([*range(len(self._header().references)), -1], self._header()))

    def _contig_names(self, reference_ids: np.ndarray) -> pa.Array:
        missing = len(self._contigs) - 1
        if reference_ids.max(initial=-1) >= missing:
            raise FormatError(
                f"a record refers to reference {reference_ids.max()}, but the header has only {missing}"
            )
        indices = np.where(reference_ids < 0, np.int32(missing), reference_ids)
        return pa.DictionaryArray.from_arrays(_numbers(indices, pa.int32()), self._contigs)

    def _libraries(self, group: "RowGroup") -> pa.Array:
        of_header = SCHEMA["library"].of_header
        assert of_header
        if not {TEXTS}.issuperset(kinds(group.tags("RG"), "RG")):  # values other than text name no read group
            return column("library", array("library", of_header(group.tag("RG"), self._header())), DICTIONARY)
        read_groups = _tag(group, "RG", DICTIONARY)
        names = of_header([*read_groups.dictionary.to_pylist(), None], self._header())
        libraries = _texts("library", names).dictionary_encode()
        indices = libraries.indices.take(read_groups.indices.fill_null(len(names) - 1))
        return pa.DictionaryArray.from_arrays(indices, libraries.dictionary)


def column(name: str, values: Any, kind: pa.DataType | None = None) -> pa.Array:
    """Convert a column of `bams3.api.columns` to an Arrow array; None becomes null.

    Raises UsageError if the values do not fit into one column, or not into one of this type.
    """
    if kind is not None and values.dtype == object and pa.types.is_primitive(kind):
        other = float if pa.types.is_integer(kind) else int
        if other in set(map(type, values)):  # Arrow would truncate floats or widen integers
            raise UsageError(f"{name} does not fit an Arrow column: it has integers and floats")
    try:
        return pa.array(_alike(values), kind)
    except (pa.ArrowException, OverflowError, TypeError, UnicodeError) as error:
        raise UsageError(f"{name} does not fit an Arrow column: {error}") from error


def _alike(column: np.ndarray) -> Any:
    """Return the column with all its arrays in one dtype: SAM writers choose the narrowest type for each record."""
    dtypes = (
        {value.dtype for value in column if isinstance(value, np.ndarray)} if column.dtype == object else ()
    )
    if len(dtypes) < 2:
        return column
    common = np.result_type(*dtypes)
    return [value.astype(common) if isinstance(value, np.ndarray) else value for value in column]


def _texts(name: str, texts: list[str]) -> pa.Array:
    """Return texts that have one character per byte. Raises UsageError if they are not UTF-8."""
    data = "".join(texts).encode("latin-1")
    return _checked(name, _strings(np.cumsum([0, *map(len, texts)], dtype=np.int32), data))


def _checked(name: str, texts: pa.Array) -> pa.Array:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise UsageError(f"{name} does not fit an Arrow column: {error}") from error
    return texts


def _strings(offsets: Any, text: Any, valid: pa.Buffer | None = None) -> pa.Array:
    count = len(offsets) - 1
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text), valid)


def _lists(offsets: Any, values: Any, valid: pa.Buffer | None, kind: pa.DataType) -> pa.Array:
    elements = pa.Array.from_buffers(kind.value_type, offsets[-1], [None, pa.py_buffer(values)])
    return pa.Array.from_buffers(kind, len(offsets) - 1, [valid, pa.py_buffer(offsets)], children=[elements])


def booleans(mask: bytearray) -> pa.BooleanArray:
    """Return a boolean array: whether each byte is 1."""
    bits = np.packbits(np.frombuffer(mask, np.bool_), bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(mask), [None, pa.py_buffer(bits)])


def _numbers(values: Any, kind: pa.DataType) -> pa.Array:
    """Return an array of numbers with the buffer `values`. Unlike `pyarrow.array`, this does not import pandas."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _bits(valid: bytearray) -> pa.Buffer | None:
    """Return the validity of each record as bits; None if all are valid."""
    return booleans(valid).buffers()[1] if 0 in valid else None


def _cigars(group: "RowGroup") -> pa.Array:
    indices, ends, text = vectors.cigars(group.cigar_start, group.cigar_count, group.cigar_pool)
    dictionary = _strings(ends, text)
    return pa.DictionaryArray.from_arrays(_numbers(indices, pa.int32()), dictionary)


def _quality_lists(group: "RowGroup") -> pa.Array:
    ends, valid = vectors.quality_lists(group.qual, group.l_seq)
    offsets, values = np.asarray(ends), np.frombuffer(group.qual, np.uint8)
    lengths, known = np.diff(offsets), np.frombuffer(valid, np.bool_)
    if lengths[~known].any():  # Parquet takes no null that has values
        values = values[known.repeat(lengths)]
        offsets = np.cumsum([0, *lengths * known], dtype=np.int32)
    return _lists(offsets, values, _bits(valid), pa.list_(pa.uint8()))


_MADE: "dict[str, Callable[[RowGroup], pa.Array]]" = {
    "qname": lambda group: _strings(*vectors.texts(*group.names)),
    "cigar": _cigars,
    "seq": lambda group: _strings(*vectors.sequences(group.seq, group.l_seq)),
    "qual": lambda group: _strings(*vectors.qualities(group.qual, group.l_seq)),
    "qualities": _quality_lists,
}


def _tag(group: "RowGroup", tag: str, kind: pa.DataType) -> pa.Array:
    name = f"[{tag}]"
    tags = group.tags(tag)
    found = kinds(tags, tag)
    if not found:
        return pa.nulls(group.records, kind)
    if found != [_kind_of(kind)]:  # the values need a conversion, which may fail
        return column(name, array(name, tag_values(group, tag)), kind)
    values = TagColumn(tags, tag, found[0])
    valid = _bits(values.valid)
    if pa.types.is_list(kind):
        return _lists(values.offsets, values.values, valid, kind)
    if not len(values.offsets):
        return pa.Array.from_buffers(kind, group.records, [valid, pa.py_buffer(values.values)])
    texts = _checked(name, _strings(values.offsets, values.values, valid))
    return texts.dictionary_encode() if pa.types.is_dictionary(kind) else texts


def _kind_of(kind: pa.DataType) -> str:
    """Return the kind of tag values that a column of this type holds without conversion."""
    if pa.types.is_list(kind):
        return _ELEMENTS.get(kind.value_type, "")
    return INTEGERS if pa.types.is_integer(kind) else FLOATS if pa.types.is_floating(kind) else TEXTS
