"""bams3 stores alignments as independent columnar chunks, one per genomic window.

>>> import bams3
>>> dataset = bams3.open("NA12878.bams3")
>>> depth = dataset.coverage("chr20", 0, 1_000_000)
"""

from typing import TYPE_CHECKING, Any

from bams3._version import __version__

__all__ = [
    "Bams3Error",
    "Chunk",
    "Dataset",
    "Markdup",
    "__version__",
    "append",
    "convert",
    "count_parallel",
    "markdup",
    "merge",
    "merge_inputs",
    "open",
    "query_parallel",
    "read_chunk",
    "rewrite",
]

if TYPE_CHECKING:
    from bams3.api.chunk import Chunk, read_chunk
    from bams3.api.dataset import Dataset, count_parallel, open, query_parallel
    from bams3.duplicates.options import Markdup
    from bams3.errors import Bams3Error
    from bams3.operations.append import append
    from bams3.operations.convert import convert
    from bams3.operations.markdup import markdup
    from bams3.operations.merge import merge, merge_inputs
    from bams3.operations.rewrite import rewrite

_HOMES = {
    "Bams3Error": "bams3.errors",
    "Chunk": "bams3.api.chunk",
    "Dataset": "bams3.api.dataset",
    "Markdup": "bams3.duplicates.options",
    "append": "bams3.operations.append",
    "convert": "bams3.operations.convert",
    "count_parallel": "bams3.api.dataset",
    "markdup": "bams3.operations.markdup",
    "merge": "bams3.operations.merge",
    "merge_inputs": "bams3.operations.merge",
    "open": "bams3.api.dataset",
    "query_parallel": "bams3.api.dataset",
    "read_chunk": "bams3.api.chunk",
    "rewrite": "bams3.operations.rewrite",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, to keep start-up fast."""
    if name not in _HOMES:
        near = {known.replace("_", ""): known for known in _HOMES}.get(name.lower())
        hint = f"; did you mean {near}?" if near else ""
        raise AttributeError(f"module 'bams3' has no attribute {name!r}{hint}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
