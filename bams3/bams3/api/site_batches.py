"""Counts at known sites as Arrow record batches. Requires pyarrow (the extra `arrow`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bams3.alleles.counts import SITE_WIDTH, SYMBOLS
from bams3.errors import UsageError
from bams3.operations.alleles import Block, counted, samples_of

if TYPE_CHECKING:
    import pyarrow

    from bams3.alleles.known import SiteFile
    from bams3.alleles.pileup import PileOptions
    from bams3.dataset.reader import DatasetReader
    from bams3.parallel.workers import Workers

ROWS = 1 << 16
"""Approximate number of rows of a batch."""


def site_batches(
    datasets: Sequence[DatasetReader], sites: SiteFile, options: PileOptions, min_quality: int, workers: Workers,
    *, strands: bool = False,
) -> pyarrow.RecordBatchReader:  # fmt: skip
    """Return the counts of each dataset at sites, with a row for each site and sample.

    The columns are those of the table that `operations.alleles.write_alleles` writes, but positions are 0-based. AD, or
    ADF and ADR, are lists, with null for alleles that are not counted.
    """
    import pyarrow as pa

    samples = samples_of(datasets)
    text, count = pa.dictionary(pa.int32(), pa.string()), pa.int32()
    schema = pa.schema(
        [
            ("contig", text), ("position", pa.int64()), ("ref", pa.string()), ("alt", pa.string()), ("sample", text),
            ("depth", count), *((symbol, count) for symbol in (SYMBOLS if strands else "ACGTN*")),
            *((name, pa.list_(count)) for name in (("ADF", "ADR") if strands else ("AD",))),
        ]
    )  # fmt: skip

    def batches() -> Iterator[pyarrow.RecordBatch]:
        step = max(1, ROWS // len(samples))
        for block in counted(datasets, sites, options, min_quality, workers):
            count = len(block.sites.position)
            for first in range(0, count, step):
                columns = _columns(block, samples, first, min(first + step, count), strands)
                yield pa.record_batch(columns, schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _columns(block: Block, samples: list[str], first: int, last: int, strands: bool) -> list[Any]:
    """Return the columns of some sites. Each site has consecutive rows, one for each sample."""
    import numpy as np
    import pyarrow as pa

    sites, number = block.sites, len(samples)
    whole = [
        np.frombuffer(counts.sites, np.int32).reshape(-1, SITE_WIDTH)[first:last] for counts in block.counts
    ]
    table = np.stack(whole, axis=1).reshape(-1, SITE_WIDTH)
    half = SYMBOLS.index("a")
    bases = SYMBOLS.index("*")
    shown = list(table.T)
    if not strands:
        reverse = [*range(half, bases), bases + 1]
        shown = [table[:, i] + table[:, k] for i, k in zip((*range(half), bases), reverse, strict=True)]
    starts = np.array(block.alleles.starts()[first : last + 1])
    depths = [block.alleles.depths(*counts, first, last) for counts in block.counts]
    forward, backward = (np.stack([np.array(of[i]) for of in depths]) for i in (0, 1))
    lists = (forward, backward) if strands else (np.where(forward < 0, -1, forward + backward),)
    begins = sites.text_ends[first - 1] if first else 0
    words = [
        _text(sites.text[start:end]).split("\t")
        for start, end in pairwise([begins, *sites.text_ends[first:last]])
    ]
    contig = np.repeat(np.array(sites.contig[first:last]), number)
    sample = np.tile(np.arange(number, dtype=np.int32), last - first)
    return [
        pa.DictionaryArray.from_arrays(contig, _names(sites.contigs)),
        np.repeat(np.array(sites.position[first:last]), number),
        pa.array([ref for _, ref, _ in words for _ in samples], pa.string()),
        pa.array([alt for _, _, alt in words for _ in samples], pa.string()),
        pa.DictionaryArray.from_arrays(sample, _names(samples)),
        table[:, :bases].sum(axis=1, dtype=np.int32),
        *shown,
        *(_lists(starts - starts[0], of_samples) for of_samples in lists),
    ]


def _lists(starts: Any, of_samples: Any) -> pyarrow.ListArray:
    """Convert the counts of all alleles, with a row for each sample, to a list for each site and sample."""
    import numpy as np
    import pyarrow as pa

    lengths = np.diff(starts)
    number = len(of_samples)
    site = np.tile(np.repeat(np.arange(len(lengths)), lengths), number)
    values = of_samples.reshape(-1)[np.argsort(site, kind="stable")]
    ends = np.cumsum(np.repeat(lengths, number), dtype=np.int32)
    offsets = np.concatenate([np.zeros(1, np.int32), ends])
    return pa.ListArray.from_arrays(offsets, pa.array(values, pa.int32(), mask=values < 0))


def _names(names: Sequence[str]) -> pyarrow.Array:
    import pyarrow as pa

    return pa.array([_text(name.encode("utf-8", "surrogateescape")) for name in names], pa.string())


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{data!r} is not UTF-8, which Parquet needs; choose another format") from None
