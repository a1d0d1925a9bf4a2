"""Mending templates: what samtools fixmate -m and samtools sort make, byte for byte."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
import templates
from bam_blocks import Records, records_of
from bams3.errors import SourceError
from bams3.sources.bam import open_source
from bams3.sources.fixmate import FixmateSource
from bams3.sources.sorting import SortedSource
from hypothesis import given, settings
from hypothesis import strategies as st

REFUSED = b"refused"


def by_samtools(path: Path, made: Sequence[bytes]) -> bytes:
    path.write_bytes(hostile.bam(b"", templates.CONTIGS, made))
    try:
        pysam.samtools.fixmate("-m", "-u", "--no-PG", str(path), f"{path}.mended")
        pysam.samtools.sort("-u", "--no-PG", "-o", f"{path}.sorted", f"{path}.mended", catch_stdout=False)
    except pysam.SamtoolsError:
        return REFUSED
    with open_source(f"{path}.sorted") as source:
        return records_of(source.blocks())


def by_us(made: Sequence[bytes], block: int) -> bytes:
    try:
        return records_of(
            SortedSource(FixmateSource(Records(made, templates.CONTIGS, block)), 1 << 30).blocks()
        )
    except SourceError:
        return REFUSED


@given(templates.templates(), st.integers(1, 9))
@settings(max_examples=400, deadline=None)
def test_templates_are_mended_as_by_samtools(
    tmp_path_factory: pytest.TempPathFactory, made: list[bytes], block: int
) -> None:
    assert by_us(made, block) == by_samtools(tmp_path_factory.getbasetemp() / "x.bam", made)
