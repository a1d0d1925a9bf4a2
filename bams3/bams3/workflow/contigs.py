"""The contigs that all samples have, and the windows into which they are divided."""

from collections.abc import Sequence
from typing import Any

from bams3.dataset import layout
from bams3.errors import Bams3Error
from bams3.workflow import reference
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.places import Places, read
from bams3.workflow.reference import Contigs
from bams3.workflow.samples import Row, check_files, file_of, header_of, is_there

LARGEST_IN_BAI = 2**29 - 1


def read_contigs(source: str, first: Row, fasta: str, places: Places) -> list[tuple[str, int]]:
    """Return (name, length in bp) of the contigs that all samples have, from a .fai, a .dict, or the first sample."""
    if source == "header":
        check_files(first, fasta, places)
        if not is_there(first):
            raise ConfigurationError(
                f"sample {first['sample']}: {file_of(first)} does not exist yet; set `contigs` to a .fai or a .dict"
            )
        return list(header_of(first, fasta).references)
    data = read(source, "`contigs` in the config must be a .fai, a .dict, or `header`")
    try:
        if source.endswith(".dict"):
            return list(reference.read_dictionary(data, source).references)
        return [(entry.name, entry.length) for entry in reference.read_fai(data, source)]
    except ConfigurationError:
        raise ConfigurationError(
            f"{source}: neither a .fai nor a .dict; `contigs` in the config must be one of these, or `header`"
        ) from None


def check_contigs(row: Row, found: Sequence[tuple[str, int]], contigs: Contigs) -> None:
    """Raise ConfigurationError if the contigs of a sample are not those of the cohort."""
    if list(found) == list(contigs):
        return
    pairs = zip(found, contigs, strict=False)
    differs = next((f"{a[0]} ({a[1]} bp) instead of {b[0]} ({b[1]} bp)" for a, b in pairs if a != b), None)
    detail = differs or f"{len(found)} contigs instead of {len(contigs)}"
    raise ConfigurationError(
        f"sample {row['sample']}: its contigs are not those of `contigs`: it has {detail}"
    )


def windows_of(contigs: Contigs, chunk_size: Any) -> layout.Grid:
    """Return the windows of a dataset."""
    try:
        return layout.Grid(contigs, layout.parse_size(chunk_size))
    except Bams3Error as error:
        raise ConfigurationError(f"config: convert: {error}") from None


def longest(contigs: Contigs) -> int:
    """Return the length of the longest contig in bp."""
    return max((length for _, length in contigs), default=0)


def index_kind(contigs: Contigs) -> str:
    """Return the kind of index that covers all positions: bai if it does, otherwise csi."""
    return "bai" if longest(contigs) <= LARGEST_IN_BAI else "csi"


def measured(contigs: Contigs, only: str | None) -> list[tuple[str, int]]:
    """Return the contigs on which coverage is measured: all, or only one."""
    return [(name, length) for name, length in contigs if only in (None, name)]
