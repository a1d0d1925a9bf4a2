"""Conversion of the values of row groups to numpy arrays, the columns of a table."""

from typing import TYPE_CHECKING, Any

from bams3.select.schema import HEADER_FIELDS, decoded, dtype_of

if TYPE_CHECKING:
    import numpy as np

_ARRAY_DTYPES = {"c": "i1", "C": "u1", "s": "<i2", "S": "<u2", "i": "<i4", "I": "<u4", "f": "<f4"}
_QUAL_TEXT = {quality: quality + 33 for quality in range(256 - 33)}


def array(name: str, values: Any) -> "np.ndarray":
    """Return a field of a row group as a column of `Table`: text as in SAM, array tags as numpy arrays."""
    import numpy as np

    if (dtype := dtype_of(name)) != "O":
        return np.asarray(values, dtype)
    if name == "seq":
        values = [text or "*" for text in values]
    elif name == "qual":
        values = [text.translate(_QUAL_TEXT) if text and text[0] != "\xff" else "*" for text in values]
    elif name == "qualities":
        values = [None if value is None else np.frombuffer(value, np.uint8) for value in values]
    elif name[0] == "[":
        values = [
            _elements(value)
            if isinstance(value, bytes)
            else decoded(value)
            if isinstance(value, str)
            else value
            for value in values
        ]
    elif name in HEADER_FIELDS:
        values = [decoded(text) for text in values]
    return np.fromiter(values, object, len(values))


def _elements(value: bytes) -> "np.ndarray":
    """Return the elements of an array tag; `value` is as in BAM: subtype, count, elements."""
    import numpy as np

    return np.frombuffer(value[5:], _ARRAY_DTYPES[chr(value[0])])
