"""Programs that read BAM files give of a mounted dataset what they give of the BAM."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pysam
import pytest
from bams3.bridge.virtual_bam import VirtualBam
from bams3.dataset.reader import DatasetReader
from bams3.operations.convert import convert
from mounts import fuse, limit, mounted  # noqa: F401
from pages import taken_by
from peers import DATA, need
from served import serving
from virtual_bams import fetched, index_counts, places

CHR22 = DATA / "illumina_chr22_NA12878.bam"
(PAGE,) = taken_by(__file__, "docs/bridge.md")
# The command of the page, of a region.
CALLING = (
    PAGE.strip().partition(" -- ")[2].replace("mnt/NA12878.bam", "{bam}").replace("ref.fa", "{reference}")
    .replace("calls.vcf.gz", "x.vcf -L {region} -ERC GVCF")
)  # fmt: skip


@dataclass(frozen=True)
class Client:
    """A command, in bash.

    `largest`: the largest genome in bp for which it takes little time and memory; `urls`: it reads BAM files at URLs.
    """

    command: str
    largest: float = float("inf")
    urls: bool = False

    @property
    def tool(self) -> str:
        return self.command.split()[0]


CLIENTS = [
    Client("samtools view -h --no-PG {bam}"),
    Client("samtools view -c {bam} {region}"),
    Client("samtools idxstats {bam}"),
    Client("samtools flagstat {bam}"),
    Client("samtools stats -@ 2 {bam} {region}"),
    Client("samtools depth -a -r {region} {bam}", urls=True),
    Client("bcftools mpileup --no-version --no-reference -r {region} {bam}", urls=True),
    Client("mosdepth x {bam} && zcat x.per-base.bed.gz && cat x.mosdepth.*", largest=1e7, urls=True),
    Client("bedtools bamtobed -cigar -i {bam}"),
    Client("bedtools genomecov -bga -ibam {bam}", largest=1e7),
    Client("freebayes -f {reference} -r {region} {bam} | grep -v ^##fileDate", largest=1e5),
    Client("featureCounts -F SAF {kind} -a {regions} -o counts {bam} && cat counts counts.summary"),
    Client("megadepth {bam} --coverage --longreads", largest=1e7, urls=True),
    Client("delly call -g {reference} {bam} | grep -v ^##fileDate", largest=1e5),
    Client(
        "sniffles -t 1 -i {bam} -v x.vcf --allow-overwrite > log && grep -v '^##\\(fileDate\\|command\\)' x.vcf",
        largest=1e5,
    ),
    Client("bamCoverage -b {bam} -of bedgraph -bs 50 -p 1 -o x.bedgraph && cat x.bedgraph", largest=1e5),
]

# Those that take seconds to start, and the BAM that they read; None: one of many row groups.
SLOW = [
    (Client("PicardCommandLine BamIndexStats I={bam} VALIDATION_STRINGENCY=SILENT"), None),
    (Client("PicardCommandLine ValidateSamFile I={bam} MODE=SUMMARY INDEX_VALIDATION_STRINGENCY=EXHAUSTIVE"
            " || test $? -lt 4"), None),
    (Client(f"{CALLING} && grep -v ^##GATKCommandLine x.vcf"), CHR22),
]  # fmt: skip


def test_real_bams(real_bam: Path, real_dataset: Path, tmp_path: Path) -> None:
    clients_agree(real_bam, real_dataset, tmp_path)


def test_many_row_groups(source: Path, local: Path, tmp_path: Path) -> None:
    clients_agree(source, Path(shutil.copytree(local, tmp_path / "in.bams3")), tmp_path)


def test_many_readers_at_once(source: Path, local: Path, tmp_path: Path) -> None:
    regions = [f"chr1:{start}-{start + 5000}" for start in range(1, 900_000, 60_000)]
    with mounted(local, at=tmp_path / "mnt") as folder:
        readers = [
            [
                subprocess.Popen(["samtools", "view", bam, region], stdout=subprocess.PIPE)
                for region in regions
            ]
            for bam in (folder / "d.bam", source)
        ]
        of_mount, of_bam = ([reader.communicate()[0] for reader in some] for some in readers)
    assert of_mount == of_bam
    assert all(of_bam)


@pytest.mark.parametrize(
    ("client", "of"), SLOW, ids=[" ".join(client.command.split()[:2]) for client, _ in SLOW]
)
def test_those_that_start_slowly(
    client: Client, of: Path | None, source: Path, gatk: None, tmp_path: Path
) -> None:
    need(client.tool)
    original = Path(shutil.copy(of or source, tmp_path))
    pysam.index(str(original))
    dataset = original.with_suffix(".bams3")
    convert(original, dataset, chunk_size="512K")
    words, _ = inputs(original, tmp_path)
    with mounted(dataset, at=tmp_path / "mnt") as folder:
        agrees(client, original, [folder / original.name], words, tmp_path)


def clients_agree(original: Path, dataset: Path, tmp_path: Path) -> None:
    for client in CLIENTS:
        need(client.tool)
    words, size = inputs(original, tmp_path)
    with mounted(dataset, at=tmp_path / "mnt") as folder, serving(dataset) as server:
        shown = folder / original.name
        found = os.stat(shown)
        assert found.st_size == VirtualBam(DatasetReader(dataset)).size
        assert found.st_mtime == int((dataset / "_metadata.json").stat().st_mtime * 1e9) / 1e9
        assert sorted(os.listdir(folder)) == [original.name, f"{original.name}.bai"]
        for client in (client for client in CLIENTS if size <= client.largest):
            url = f"{server.url}/bam/{original.name}"
            agrees(client, original, [shown, url][: 1 + client.urls], words, tmp_path)
        at = places(original, 20)
        assert fetched(shown, at) == fetched(original, at)
        assert index_counts(shown) == index_counts(original)


def agrees(
    client: Client, original: Path, others: Sequence[Path | str], words: dict[str, str], folder: Path
) -> None:
    """Check that a client gives of other BAM files what it gives of the original."""
    wanted = printed(client.command, original, words, folder)
    for bam in others:
        assert printed(client.command, bam, words, folder) == wanted, (client.command, bam)


def inputs(bam: Path, folder: Path) -> tuple[dict[str, str], int]:
    """What commands mention, from the first mapped read on; and the size of the genome in bp."""
    with pysam.AlignmentFile(str(bam)) as file:
        first = next(read for read in file if not read.is_unmapped)
        contig, start = first.reference_name, first.reference_start + 1
        length, size = file.get_reference_length(contig), sum(file.lengths)
    names = {name: str(folder / name) for name in ("reference", "regions")}
    if size <= 1e5:
        names["reference"] += ".fa"
        found = pysam.consensus("-a", "--show-ins", "no", "--show-del", "yes", "-f", "fasta", str(bam))
        Path(names["reference"]).write_text(found.replace("*", "N"))
        pysam.faidx(names["reference"])
        Path(names["reference"]).with_suffix(".dict").write_text(pysam.dict(names["reference"]))
    middle = (start + length) // 2
    Path(names["regions"]).write_text(
        f"a\t{contig}\t1\t{middle}\t+\nb\t{contig}\t{middle + 1}\t{length}\t-\n"
    )
    kind = "-p" if first.is_paired else "-L"
    return {"region": f"{contig}:{start}-{start + 500}", "kind": kind, **names}, size


def printed(command: str, bam: Path | str, words: dict[str, str], folder: Path) -> bytes:
    line = command.format(bam=bam, **words)
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout
    return done.stdout.replace(os.fsencode(bam), b"BAM")
