"""Marking of duplicates, and what is said of them: statistics, and names that could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bams3.duplicates.source import MarkedSource, Marking
from bams3.duplicates.statistics import as_json, as_text
from bams3.output.files import open_output
from bams3.sources.messages import show

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.duplicates.options import Markdup
    from bams3.duplicates.source import Finished
    from bams3.sources.inputs import Source


def marked(source: Source, options: Markdup, folder: str | None = None) -> Source:
    """Return a source whose duplicates are marked; statistics are written when all of it has been read. `folder`: of
    temporary files."""
    return MarkedSource(source, options, _finished(source.path, options), folder)


def marking(path: str, header: Header, options: Markdup, folder: str | None = None) -> Marking:
    """The same for blocks of what `path` names."""
    return Marking(header, options, _finished(path, options), path=path, folder=folder)


def _finished(path: str, options: Markdup) -> Finished:
    def finished(groups: Sequence[str], numbers: Sequence[Sequence[int]], barcodes: int, spots: int) -> None:
        if options.statistics:
            write = as_json if options.json else as_text
            with open_output(options.statistics) as file:
                file.write(write(options.command, groups, numbers).encode("utf-8", "surrogateescape"))
        if barcodes:
            show(path, f"{barcodes} reads have a name or a tag from which no barcode can be read")
        if spots:
            show(path, f"{spots} times, a name has no coordinates; its read is not an optical duplicate")

    return finished
