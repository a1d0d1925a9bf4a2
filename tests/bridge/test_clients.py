"""Programs that read BAM files give of a mounted dataset what they give of the BAM."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pysam
from bams3.bridge.virtual_bam import VirtualBam
from bams3.dataset.reader import DatasetReader
from mounts import fuse, limit, mounted  # noqa: F401
from peers import need
from virtual_bams import fetched, index_counts, places


@dataclass(frozen=True)
class Client:
    """A command, in bash, and the largest genome in bp for which it takes little time and memory."""

    command: str
    largest: float = float("inf")

    @property
    def tool(self) -> str:
        return self.command.split()[0]


CLIENTS = [
    Client("samtools view -h --no-PG {bam}"),
    Client("samtools view -c {bam} {region}"),
    Client("samtools idxstats {bam}"),
    Client("samtools flagstat {bam}"),
    Client("samtools stats -@ 2 {bam} {region}"),
    Client("samtools depth -a -r {region} {bam}"),
    Client("bcftools mpileup --no-version --no-reference -r {region} {bam}"),
    Client("mosdepth x {bam} && zcat x.per-base.bed.gz && cat x.mosdepth.*", largest=1e7),
    Client("bedtools bamtobed -cigar -i {bam}"),
    Client("bedtools genomecov -bga -ibam {bam}", largest=1e7),
    Client("freebayes -f {reference} -r {region} {bam} | grep -v ^##fileDate", largest=1e5),
    Client("featureCounts -F SAF {kind} -a {regions} -o counts {bam} && cat counts counts.summary"),
]


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


def clients_agree(original: Path, dataset: Path, tmp_path: Path) -> None:
    for client in CLIENTS:
        need(client.tool)
    words, size = inputs(original, tmp_path)
    with mounted(dataset, at=tmp_path / "mnt") as folder:
        shown = folder / original.name
        found = os.stat(shown)
        assert found.st_size == VirtualBam(DatasetReader(dataset)).size
        assert found.st_mtime == int((dataset / "_metadata.json").stat().st_mtime * 1e9) / 1e9
        assert sorted(os.listdir(folder)) == [original.name, f"{original.name}.bai"]
        for client in CLIENTS:
            if size <= client.largest:
                of_mount, of_bam = (
                    printed(client.command, bam, words, tmp_path) for bam in (shown, original)
                )
                assert of_mount == of_bam, client.command
        at = places(original, 20)
        assert fetched(shown, at) == fetched(original, at)
        assert index_counts(shown) == index_counts(original)


def inputs(bam: Path, folder: Path) -> tuple[dict[str, str], int]:
    """What commands mention, from the first mapped read on; and the size of the genome in bp."""
    with pysam.AlignmentFile(str(bam)) as file:
        first = next(read for read in file if not read.is_unmapped)
        contig, start = first.reference_name, first.reference_start + 1
        length, size = file.get_reference_length(contig), sum(file.lengths)
    names = {name: str(folder / name) for name in ("reference", "regions")}
    if size <= 1e5:
        pysam.consensus("-a", "-f", "fasta", "-o", names["reference"], str(bam))
    middle = (start + length) // 2
    Path(names["regions"]).write_text(
        f"a\t{contig}\t1\t{middle}\t+\nb\t{contig}\t{middle + 1}\t{length}\t-\n"
    )
    kind = "-p" if first.is_paired else "-L"
    return {"region": f"{contig}:{start}-{start + 500}", "kind": kind, **names}, size


def printed(command: str, bam: Path, words: dict[str, str], folder: Path) -> bytes:
    line = command.format(bam=bam, **words)
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout
    return done.stdout.replace(os.fsencode(bam), b"BAM")
