"""The stage that counts alleles at known sites. `settings` is the section `alleles` of the configuration."""

import gzip
import io
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Any, BinaryIO, cast

from bams3.alleles.known import SITES, SiteFile
from bams3.alleles.pileup import PileOptions
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error
from bams3.operations.alleles import write_alleles
from bams3.output.bgzf import BlockWriter
from bams3.output.files import open_output
from bams3.parallel.limits import allow_files
from bams3.parallel.workers import Workers
from bams3.workflow.agreement import check_contigs
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.places import Places
from bams3.workflow.reference import Contigs

LEVEL = 2  # BGZF compression level
LINES = 1 << 8
"""Number of lines of each sample that are read at a time."""
OTHER_FILES = 100
"""Number of files that a process may have open besides the samples' tables."""


def options_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings other than files. A table depends only on these, its sites and its dataset."""
    return {key: value for key, value in settings.items() if key != "sites"}


def check_sites(sites: Mapping[str, str], contigs: Contigs, places: Places) -> None:
    """Check files of sites.

    Raises ConfigurationError for a line that is not a site, or for a contig that the samples do not have.
    """
    for name, path in sites.items():
        where = f"config: alleles: sites: {name}"
        if (data := places.stored(path, f"check {where}")) is None:
            continue
        try:
            file = SiteFile(path, lambda _, data=data: io.BytesIO(data))  # type: ignore[misc]
            names = {contig: None for block in file.blocks(SITES, []) for contig in block.contigs}
        except Bams3Error as error:
            raise ConfigurationError(f"{where}: {error}") from None
        check_contigs(names, contigs, f"{where}: {path}")


def write_counts(
    out: str, dataset: str, sample: str, sites: str, options: Mapping[str, Any], threads: int
) -> None:
    """Write the counts of a dataset at the sites of a file: the table of `bams3 alleles`, compressed as BGZF."""
    piled = PileOptions(
        exclude=options.get("exclude_flags", PileOptions().exclude), any_of=options.get("incl_flags", 0),
        min_mapq=options.get("min_mapq", 0), orphans=options.get("count_orphans", False),
        overlaps=not options.get("ignore_overlaps_removal", False),
    )  # fmt: skip
    with Workers(threads) as workers, open_output(out) as file, BlockWriter(file, LEVEL) as table:
        write_alleles(
            cast(BinaryIO, table), [DatasetReader(dataset)], SiteFile(sites), piled, options.get("min_baseq", 0),
            workers, strands=options.get("strands", False), names=[sample],
        )  # fmt: skip


def join_counts(out: str, tables: Sequence[str]) -> None:
    """Join tables of samples for the same sites into the table that `bams3 alleles` writes for all of them.

    It has a line for each site and sample. Raises Bams3Error if the tables have different sites.
    """
    allow_files(len(tables) + OTHER_FILES)
    with ExitStack() as files, open_output(out) as file, BlockWriter(file, LEVEL) as joined:
        opened = [io.BufferedReader(files.enter_context(gzip.open(table))) for table in tables]
        blocks = [[table.readline()] for table in opened]  # the headings
        if len({heading for (heading,) in blocks}) > 1:
            raise _differ(tables)
        joined.write(blocks[0][0])
        while any(blocks := [list(islice(table, LINES)) for table in opened]):
            if len({len(block) for block in blocks}) > 1:
                raise _differ(tables)
            joined.write(b"".join(line for lines in zip(*blocks, strict=True) for line in lines))


def _differ(tables: Sequence[str]) -> Bams3Error:
    return Bams3Error(
        f"{tables[0]}: the tables of the samples differ in their columns or sites; delete them and run again"
    )
