"""Coverage of mosdepth and of bams3, side by side."""

import gzip
import subprocess
from pathlib import Path

import pysam
from bams3.coverage import (
    CoverageOptions,
    parse_quantize,
    parse_thresholds,
    write_coverage,
)
from coverage_groups import row_groups
from peers import need


def mosdepth(bam: str, prefix: Path, arguments: list[str]) -> dict[str, bytes]:
    """Run mosdepth; returns the content of its files by suffix."""
    need("mosdepth")
    prefix.parent.mkdir()
    subprocess.run(["mosdepth", *arguments, str(prefix), bam], check=True, capture_output=True)
    return contents(prefix)


def ours(
    bam: str, prefix: Path, size: int = 1000, notes: list | None = None, accept=None, **options
) -> dict[str, bytes]:
    prefix.parent.mkdir()
    with pysam.AlignmentFile(bam) as file:
        references = list(zip(file.references, file.lengths, strict=True))
    write_coverage(
        str(prefix),
        references,
        lambda reference_ids: (row_groups(bam, reference_id, size) for reference_id in reference_ids),
        coverage_options(**options),
        accept=accept,
        warn=(notes if notes is not None else []).append,
    )
    return contents(prefix)


def coverage_options(quantize="", thresholds="", **options) -> CoverageOptions:
    if isinstance(quantize, str):
        quantize = parse_quantize(quantize) if quantize else ()
    if isinstance(thresholds, str):
        thresholds = parse_thresholds(thresholds) if thresholds else ()
    return CoverageOptions(quantize=quantize, thresholds=thresholds, **options)


def contents(prefix: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(prefix.parent.iterdir()):
        assert path.name.startswith(prefix.name)
        data = path.read_bytes()
        if path.suffix != ".csi":
            found[path.name.removeprefix(prefix.name)] = (
                gzip.decompress(data) if path.suffix == ".gz" else data
            )
        else:
            found[path.name.removeprefix(prefix.name)] = b""
    return found
