"""A source whose duplicates are marked, and what is said of them: statistics, and names that could not be read."""

from __future__ import annotations

from collections.abc import Sequence

from bams3.duplicates.options import Markdup
from bams3.duplicates.source import MarkedSource
from bams3.duplicates.statistics import as_json, as_text
from bams3.output.files import open_output
from bams3.sources.inputs import Source
from bams3.sources.messages import show


def marked(source: Source, options: Markdup) -> Source:
    """Return a source whose duplicates are marked; statistics are written when all of it has been read."""

    def finished(groups: Sequence[str], numbers: Sequence[Sequence[int]], barcodes: int, spots: int) -> None:
        if options.statistics:
            write = as_json if options.statistics.endswith(".json") else as_text
            with open_output(options.statistics) as file:
                file.write(write(options.command, groups, numbers).encode("utf-8", "surrogateescape"))
        if barcodes:
            show(source.path, f"{barcodes} reads have a name or a tag from which no barcode can be read")
        if spots:
            show(
                source.path, f"{spots} times, a name has no coordinates; its read is not an optical duplicate"
            )

    return MarkedSource(source, options, finished)
