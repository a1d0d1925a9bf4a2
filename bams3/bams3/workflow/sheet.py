"""The sample sheet: a text table, as written by people and by spreadsheet programs."""

import codecs
import csv
import re
from collections.abc import Iterator

from bams3.workflow.errors import ConfigurationError

COLUMNS = ("sample", "alignments", "index", "dataset")
"""The columns that the workflow uses; all others are kept unchanged."""

_HOW = "a sheet is text with tabs between columns"


def decoded(data: bytes, path: str) -> str:
    """Decode a sheet, without the byte order mark that spreadsheet programs write. Raises ConfigurationError."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if data.startswith(b"PK\x03\x04"):
        raise ConfigurationError(f"{path}: a spreadsheet file; save it as tab-separated text")
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}:{line}: not UTF-8; {_HOW}, saved as UTF-8") from None


def heading(text: str, path: str) -> tuple[int, list[str]]:
    """Return the number of the heading line, and its column names ("" for empty ones). Raises ConfigurationError."""
    for number, line, cells in _lines(text, path):
        _check_heading(cells, line, f"{path}:{number}")
        return number, cells
    raise ConfigurationError(f"{path}: no samples; write a line of column names, then a line for each sample")


def rows(text: str, path: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (1-based line number, cells by column) of each row, without empty cells.

    Blank lines, comments (#), spaces around cells and tabs at the end of a line are ignored. Lines end in LF, CRLF
    or CR; a cell may be in double quotes. Raises ConfigurationError with the line number.
    """
    first, names = heading(text, path)
    for number, _, cells in _lines(text, path):
        if number == first:
            continue
        if len(cells) > len(names) or any(
            cell and not name for cell, name in zip(cells, names, strict=False)
        ):
            raise ConfigurationError(
                f"{path}:{number}: more cells than column names; name each column, or remove the cell"
            )
        yield number, {name: cell for name, cell in zip(names, cells, strict=False) if cell}


def _lines(text: str, path: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the 1-based number, the text and the cells of each line that has content."""
    for number, line in enumerate(re.split("\r\n|\r|\n", text), 1):
        cells = _cells(line, f"{path}:{number}")
        if not next((cell for cell in cells if cell), "#").startswith("#"):
            yield number, line, cells


def _cells(line: str, where: str) -> list[str]:
    """Return the cells of a line, without surrounding spaces and without empty cells at the end."""
    try:
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter="\t", strict=True), [])]
    except csv.Error:
        raise ConfigurationError(
            f'{where}: a quoted cell must end on the same line, before a tab; double a " inside it'
        ) from None
    if any("\t" in cell for cell in cells):
        raise ConfigurationError(f"{where}: a tab within a cell; use a space")
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _check_heading(cells: list[str], line: str, where: str) -> None:
    if len(cells) == 1 and "sample" in re.split("[,; ]", cells[0].lower()) and cells[0].lower() != "sample":
        between = {",": "commas", ";": "semicolons"}.get(re.sub("[^,; ]", "", line.strip())[0], "spaces")
        raise ConfigurationError(f"{where}: {between} between columns; {_HOW}: save it as tab-separated text")
    for column in COLUMNS:
        if similar := next((cell for cell in cells if cell != column and cell.lower() == column), None):
            raise ConfigurationError(f"{where}: column {similar!r}: spell it {column!r}")
    if "sample" not in cells or not {"alignments", "dataset"} & set(cells):
        raise ConfigurationError(
            f"{where}: the first line must name the columns: sample, and alignments or dataset; "
            f"it starts with {cells[0]!r}"
        )
    if twice := next((cell for cell in cells if cell and cells.count(cell) > 1), None):
        raise ConfigurationError(f"{where}: two columns are named {twice!r}; rename one")
