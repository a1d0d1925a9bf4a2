"""Lossy conversion: what pysam makes of the records, stated wherever the dataset speaks of itself."""

import array
import json
import os
import re
import shutil
from pathlib import Path

import hostile
import pysam
import pytest
from bam_blocks import records_of
from bams3.bam.lossy import BINS, Loss
from bams3.cli import main
from bams3.dataset.manifest import Manifest
from bams3.dataset.reader import DatasetReader
from bams3.errors import DatasetError, FormatError
from bams3.sources.bam import open_source
from bams3.sources.consensus import MOST
from consensus import crowd
from consensus import simplified as by_the_rules
from engines import run_block
from listings import contents
from peers import DATA

import bams3

CASES = {
    "bin8": {"qualities": "bin8"},
    "illumina4": {"qualities": "illumina4"},
    "tags": {"drop_tags": ("XA", "MD", "MM", "ML", "RG", "ZZ")},
    "both": {"qualities": "illumina4", "drop_tags": ("NM", "MD")},
}


def expected(path, qualities=None, drop_tags=()):
    """The records as SAM text."""
    bins = sorted(BINS.get(qualities, {}).items(), reverse=True)
    table = bytes(
        next((value for lowest, value in bins if quality >= lowest), quality) for quality in range(256)
    )
    with pysam.AlignmentFile(path, check_sq=False) as bam:
        for read in bam.fetch(until_eof=True):
            if read.query_qualities is not None:
                read.query_qualities = array.array("B", bytes(read.query_qualities).translate(table))
            for tag in drop_tags:
                read.set_tag(tag, None)
            yield read.to_string()


def to_bam(dataset, folder):
    out = folder / "out.bam"
    assert main(["to-bam", str(dataset), "-o", str(out)]) == 0
    with pysam.AlignmentFile(out, check_sq=False) as bam:
        return [read.to_string() for read in bam.fetch(until_eof=True)], str(bam.header).splitlines()


PAIRS = [("illumina_wgs_NA12878", case) for case in CASES] + [
    ("nanopore_NA12878", "both"),
    ("pacbio_hifi_basemods_HG002", "tags"),
]


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_records_are_those_that_pysam_makes(name, case, tmp_path, caplog):
    source, dataset, options = DATA / f"{name}.bam", tmp_path / "d.bams3", CASES[case]
    manifest = bams3.convert(source, dataset, verify=True, **options)
    assert "the records of the dataset differ from those of the input" in caplog.text
    records, header = to_bam(dataset, tmp_path)
    assert records == list(expected(source, **options))
    stated = header[-1].partition("\tCL:bams3 convert ")[2].split()
    assert stated == [
        *(["--qualities", options["qualities"]] if "qualities" in options else []),
        *(["--drop-tags", ",".join(sorted(options["drop_tags"]))] if "drop_tags" in options else []),
    ]
    assert manifest == Manifest.from_bytes((dataset / "_metadata.json").read_bytes(), "it")
    assert manifest.lossy == Loss.of(options.get("qualities"), options.get("drop_tags", ()))


def test_batches_become_the_same_dataset(tmp_path):
    source, options = DATA / "illumina_chr22_NA12878.bam", CASES["both"]
    whole = bams3.convert(source, tmp_path / "whole.bams3", **options)
    for i in (2, 1):
        bams3.convert(source, tmp_path / "parts.bams3", batch=(i, 2), **options)
    assert bams3.merge(tmp_path / "parts.bams3") == whole


@pytest.mark.parametrize("seed", [0, 7, 10, 23])
def test_qualities_by_consensus(seed, tmp_path):
    """At the border of two chunks, by the rules of docs/lossy.md: whole, in parts, sorted, and from a dataset."""
    contigs, records, option = (
        [("chr1", 400_000), ("chr2", 400_000)],
        crowd(seed, border=1 << 18),
        "crumble-like",
    )
    source, shuffled = tmp_path / "x.bam", tmp_path / "y.bam"
    source.write_bytes(hostile.bam(b"", contigs, records))
    pysam.index(str(source))
    shuffled.write_bytes(hostile.bam(b"", contigs, sorted(records)))
    options = {"qualities": option, "chunk_size": "256K"}
    bams3.convert(source, tmp_path / "whole", workers=2, verify=True, **options)
    assert main(["verify", "--against", str(source), str(tmp_path / "whole")]) == 0
    with open_source(str(source)) as before:
        assert records_of(before.blocks()) == b"".join(records)
    assert main(["to-bam", str(tmp_path / "whole"), str(tmp_path / "out.bam")]) == 0
    with open_source(str(tmp_path / "out.bam")) as after:
        assert records_of(after.blocks()) == b"".join(by_the_rules(records, MOST))
    for windows in (["chr1:262145-400000", "_unplaced"], ["chr2"], ["chr1:1-262144"]):
        bams3.convert(source, tmp_path / "parts", windows=windows, **options)
    bams3.merge(tmp_path / "parts")
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    bams3.convert(source, tmp_path / "lossless", chunk_size="256K")
    assert main(["rewrite", "--qualities", option, str(tmp_path / "lossless"), str(tmp_path / "again")]) == 0
    assert contents(tmp_path / "again") == contents(tmp_path / "whole")
    bams3.convert(shuffled, tmp_path / "sorted", sort=True, **options)
    assert DatasetReader(tmp_path / "sorted").manifest.sums == DatasetReader(tmp_path / "whole").manifest.sums


@pytest.mark.parametrize("words", [["--region", "q"], ["-L", "x.bed"]])
def test_qualities_by_consensus_need_all_reads(words, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x.bed").write_text("q\t0\t12356\n")
    bams3.convert(DATA / "illumina_chr22_NA12878.bam", "d.bams3")
    assert main(["rewrite", "--qualities", "crumble-like", *words, "d.bams3", "e.bams3"]) == 1
    assert "needs all reads of each position: rewrite the whole dataset" in capfd.readouterr().err
    assert not Path("e.bams3").exists()


def test_a_batch_that_is_not_lossy_is_refused(tmp_path):
    source, dataset = DATA / "illumina_chr22_NA12878.bam", tmp_path / "parts.bams3"
    bams3.convert(source, dataset, batch=(1, 2), qualities="bin8")
    with pytest.raises(DatasetError, match="begun from another file or with another"):
        bams3.convert(source, dataset, batch=(2, 2))


def test_what_verifies_it_says_so(tmp_path, capfd):
    source, dataset = str(DATA / "illumina_wgs_NA12878.bam"), str(tmp_path / "d.bams3")
    receipt = tmp_path / "receipt.json"
    assert main(["convert", "--qualities", "bin8", "--drop-tags", "XA,MD", source, dataset]) == 0
    capfd.readouterr()
    assert main(["verify", dataset, "--against", source, "--receipt", str(receipt)]) == 0
    assert "is partly (qualities are binned (bin8); tags are dropped (MD, XA)) in" in capfd.readouterr().out
    assert json.loads(receipt.read_text())["lossy"] == {"qualities": "bin8", "dropped_tags": ["MD", "XA"]}
    assert main(["stats", dataset]) == 0
    assert "lossy       qualities are binned (bin8); tags are dropped (MD, XA)\n" in capfd.readouterr().out
    assert main(["stats", dataset, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["lossy"]["qualities"] == "bin8"
    other = str(DATA / "nanopore_NA12878.bam")
    assert main(["verify", dataset, "--against", other]) == 1
    assert "its header differs" in capfd.readouterr().err


REFUSED = {
    "a long CIGAR's": ("CG", "the tag CG can't be dropped"),
    "one letter": ("X", "'X' is not the name of a tag"),
    "a digit first": ("NM,1A", "'1A' is not the name of a tag"),
}


@pytest.mark.parametrize(("tags", "message"), REFUSED.values(), ids=REFUSED)
def test_tags_that_are_refused(tags, message, tmp_path, capfd):
    dataset = tmp_path / "d.bams3"
    assert main(["convert", "--drop-tags", tags, str(DATA / "nanopore_NA12878.bam"), str(dataset)]) == 1
    assert message in capfd.readouterr().err
    assert not dataset.exists()


def test_a_manifest_that_states_another_loss_is_refused(tmp_path):
    bams3.convert(DATA / "nanopore_NA12878.bam", tmp_path / "d.bams3", qualities="bin8")
    manifest = Manifest.from_bytes((tmp_path / "d.bams3/_metadata.json").read_bytes(), "it")
    for loss in (Loss("bin9"), Loss(), Loss("", ("CG",)), Loss("bin8", ("NM", "MD", "MD"))):
        with pytest.raises(FormatError, match="damaged"):
            Manifest.from_bytes(manifest._replace(lossy=loss).to_bytes(), "it")


def test_the_page(tmp_path):
    """Each command, as it stands there."""
    shutil.copy(DATA / "illumina_wgs_NA12878.bam", tmp_path / "NA12878.bam")
    page = (Path(__file__).parents[2] / "docs" / "lossy.md").read_text()
    ((commands, printed),) = re.findall(r"```sh\n(.*?)```\n```text\n(.*?)```", page, re.DOTALL)
    assert run_block(commands, tmp_path, dict(os.environ)) == printed
