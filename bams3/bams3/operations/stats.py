"""Statistics of a dataset from its counts, in the formats of samtools flagstat and idxstats, and others."""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bams3.dataset.layout import UNPLACED
from bams3.dataset.manifest import Counts, lossy_to_json
from bams3.dataset.reader import DatasetReader
from bams3.shown import field

if TYPE_CHECKING:
    from bams3.bam.regions import Region

# Lines of samtools flagstat, each with the number of the line that its percentage refers to.
_FLAGSTAT_LINES = (
    ("in total (QC-passed reads + QC-failed reads)", None),
    ("primary", None),
    ("secondary", None),
    ("supplementary", None),
    ("duplicates", None),
    ("primary duplicates", None),
    ("mapped", 0),
    ("primary mapped", 1),
    ("paired in sequencing", None),
    ("read1", None),
    ("read2", None),
    ("properly paired", 8),
    ("with itself and mate mapped", None),
    ("singletons", 8),
    ("with mate mapped to a different chr", None),
    ("with mate mapped to a different chr (mapQ>=5)", None),
)


def counts_in(dataset: DatasetReader, regions: Iterable[Region], workers: int = 1) -> Counts:
    """Read the records that overlap any of `regions`, and return their counts."""
    from bams3.bam.regions import RegionTable
    from bams3.select.query import RecordFilter, query

    total = Counts.zero()
    for reference_id, starts, ends in RegionTable.of(regions).merged():
        within = RegionTable(array("i", [reference_id]) * len(starts), starts, ends)
        for block in query(dataset, within, RecordFilter(), workers):
            total.add(Counts.of_block(block, reference_id))
    return total


def flagstat(counts: Counts, style: str = "default") -> str:
    """Return the text of `samtools flagstat -O` with a style: "default", "tsv" or "json"."""
    return _FLAGSTAT_STYLES[style](counts)


def _flagstat_default(counts: Counts) -> str:
    lines = []
    for number, (label, whole) in enumerate(_FLAGSTAT_LINES):
        passed, failed = counts.passed[number], counts.failed[number]
        line = f"{passed} + {failed} {label}"
        if whole is not None:
            line += f" ({_percent(passed, counts.passed[whole])} : {_percent(failed, counts.failed[whole])})"
        lines.append(line + "\n")
    return "".join(lines)


def _flagstat_tsv(counts: Counts) -> str:
    lines = []
    for number, (label, whole) in enumerate(_FLAGSTAT_LINES):
        passed, failed, name = counts.passed[number], counts.failed[number], label.removeprefix("in ")
        lines.append(f"{passed}\t{failed}\t{name}\n")
        if whole is not None:
            percents = _percent(passed, counts.passed[whole]), _percent(failed, counts.failed[whole])
            lines.append("\t".join((*percents, f"{name} %\n")))
    return "".join(lines)


def _flagstat_json(counts: Counts) -> str:
    from bams3.dataset.counts import FLAGSTAT

    groups = []
    for title, numbers in (("QC-passed reads", counts.passed), ("QC-failed reads", counts.failed)):
        fields = []
        for name, number, (_, whole) in zip(FLAGSTAT, numbers, _FLAGSTAT_LINES, strict=True):
            fields.append(f'  "{name}": {number}')
            if whole is not None:
                percent = _percent(number, numbers[whole]).removesuffix("%") if numbers[whole] else "null"
                fields.append(f'  "{name} %": {percent}')
        groups.append(f' "{title}": {{ \n' + ", \n".join(fields) + " \n }")
    return "{\n" + ",\n".join(groups) + "\n}\n"


_FLAGSTAT_STYLES = {"default": _flagstat_default, "tsv": _flagstat_tsv, "json": _flagstat_json}


def _percent(part: int, whole: int) -> str:
    return f"{100 * quotient(part, whole):.2f}%" if whole else "N/A"


def quotient(part: int, whole: int) -> float:
    """Divide in C's float, as samtools does: this decides how percentages halfway between two are rounded."""
    return _as_float(_as_float(part) / _as_float(whole))


def _as_float(number: float) -> float:
    return float(struct.unpack("f", struct.pack("f", number))[0])


def idxstats(dataset: DatasetReader, counts: Counts | None = None) -> str:
    """Return the text of `samtools idxstats`: name, length, mapped and unmapped records of every reference.

    `counts`, here and below: the counts of some of the dataset's records; by default, those of all records.
    """
    by_reference = (counts or dataset.counts).by_reference
    lines = []
    for reference_id, (name, length) in enumerate(dataset.references):
        mapped, unmapped = by_reference.get(reference_id, (0, 0))
        lines.append(f"{field(name)}\t{length}\t{mapped}\t{unmapped}\n")
    lines.append(f"*\t0\t0\t{sum(by_reference.get(UNPLACED, (0, 0)))}\n")
    return "".join(lines)


def as_dict(dataset: DatasetReader, counts: Counts | None = None) -> dict[str, Any]:
    """Return all counts as a document for JSON, with the names of flagstat's JSON output.

    Without `counts`, the document also has the number of chunks, the size in bytes and the chunk size of the dataset.
    """
    from bams3.dataset.counts import FLAGSTAT

    manifest = dataset.manifest
    storage = {"chunks": manifest.chunks, "bytes": manifest.bytes, "chunk_size": manifest.chunk_size}
    whole = counts is None
    counts = counts or dataset.counts
    document: dict[str, Any] = {
        "records": counts.passed[0] + counts.failed[0],
        **(storage if whole else {}),
        "flagstat": {
            "QC-passed reads": dict(zip(FLAGSTAT, counts.passed, strict=True)),
            "QC-failed reads": dict(zip(FLAGSTAT, counts.failed, strict=True)),
        },
        "references": [
            {"name": name, "length": length, "mapped": mapped, "unmapped": unmapped}
            for reference_id, (name, length) in enumerate(dataset.references)
            for mapped, unmapped in [counts.by_reference.get(reference_id, (0, 0))]
        ],
        "unplaced": sum(counts.by_reference.get(UNPLACED, (0, 0))),
    }
    if manifest.truncated:
        document["truncated"] = True
    return document | lossy_to_json(manifest.lossy)


def to_json(dataset: DatasetReader, counts: Counts | None = None) -> str:
    """Return all counts as JSON text; see `as_dict`."""
    return json.dumps(as_dict(dataset, counts), indent=2) + "\n"


def summary(dataset: DatasetReader, counts: Counts | None = None) -> str:
    """Return a short, readable summary."""
    manifest = dataset.manifest
    whole = counts is None
    counts = counts or dataset.counts
    records = counts.passed[0] + counts.failed[0]
    with_reads = sum(1 for reference_id in counts.by_reference if reference_id >= 0)
    per_read = f" ({manifest.bytes / manifest.records:.1f} a read)" if manifest.records else ""
    mapped = counts.passed[6] + counts.failed[6]
    truncated = "source      truncated: it had no end-of-file marker\n" if manifest.truncated else ""
    lossy = f"lossy       {manifest.lossy}\n" if manifest.lossy else ""
    of_reads = (
        f"records     {records}\n"
        f"mapped      {mapped} ({_percent(mapped, records)})\n"
        f"references  {len(manifest.references)}, {with_reads} with reads\n"
    )
    if not whole:
        return of_reads
    return (
        f"{of_reads}chunks      {manifest.chunks} of {manifest.chunk_size} bp\n"
        f"bytes       {manifest.bytes}{per_read}\n"
        f"{truncated}{lossy}"
    )
