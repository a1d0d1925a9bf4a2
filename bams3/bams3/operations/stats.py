"""Statistics of a dataset from its counts alone, in the formats of samtools flagstat and idxstats, and others."""

import json
from typing import Any

from bams3.dataset.layout import UNPLACED
from bams3.dataset.manifest import Counts
from bams3.dataset.reader import DatasetReader
from bams3.shown import field

# Lines of samtools flagstat (1.16), each with the number of the line that its percentage refers to.
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


def flagstat(counts: Counts) -> str:
    """Return the text of `samtools flagstat`."""
    lines = []
    for number, (label, whole) in enumerate(_FLAGSTAT_LINES):
        passed, failed = counts.passed[number], counts.failed[number]
        line = f"{passed} + {failed} {label}"
        if whole is not None:
            line += f" ({_percent(passed, counts.passed[whole])} : {_percent(failed, counts.failed[whole])})"
        lines.append(line + "\n")
    return "".join(lines)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}%" if whole else "N/A"


def idxstats(dataset: DatasetReader) -> str:
    """Return the text of `samtools idxstats`: name, length, mapped and unmapped records of every reference."""
    by_reference = dataset.counts.by_reference
    lines = []
    for reference_id, (name, length) in enumerate(dataset.references):
        mapped, unmapped = by_reference.get(reference_id, (0, 0))
        lines.append(f"{field(name)}\t{length}\t{mapped}\t{unmapped}\n")
    lines.append(f"*\t0\t0\t{sum(by_reference.get(UNPLACED, (0, 0)))}\n")
    return "".join(lines)


def as_dict(dataset: DatasetReader) -> dict[str, Any]:
    """Return all counts of a dataset as JSON; the names are those of flagstat's JSON output."""
    from bams3.dataset.counts import FLAGSTAT

    manifest, counts = dataset.manifest, dataset.counts
    document: dict[str, Any] = {
        "records": manifest.records,
        "chunks": manifest.chunks,
        "bytes": manifest.bytes,
        "chunk_size": manifest.chunk_size,
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
    return document


def to_json(dataset: DatasetReader) -> str:
    """The same as JSON."""
    return json.dumps(as_dict(dataset), indent=2) + "\n"


def summary(dataset: DatasetReader) -> str:
    """Return a short summary as text for people."""
    manifest, counts = dataset.manifest, dataset.counts
    with_reads = sum(1 for reference_id in counts.by_reference if reference_id >= 0)
    per_read = f" ({manifest.bytes / manifest.records:.1f} a read)" if manifest.records else ""
    mapped = counts.passed[6] + counts.failed[6]
    truncated = "source      truncated: it had no end-of-file marker\n" if manifest.truncated else ""
    return (
        f"records     {manifest.records}\n"
        f"mapped      {mapped} ({_percent(mapped, manifest.records)})\n"
        f"references  {len(manifest.references)}, {with_reads} with reads\n"
        f"chunks      {manifest.chunks} of {manifest.chunk_size} bp\n"
        f"bytes       {manifest.bytes}{per_read}\n"
        f"{truncated}"
    )
