"""The commands that meet faults, on inputs of a few chunks."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pysam
from bams3.dataset import plan
from fuzz.commands import make_pristine, run, write_by_name

plan.new_key = map("{:064x}".format, count()).__next__  # so a result is the same in every run
STDOUT = "stdout"
FEW = ("--chunk-size", "256K", "-@", "1")


@dataclass(frozen=True)
class Case:
    """A command: its words, in a folder that has the files `needs`, and the files or datasets that it `makes`.

    `then`: options of which one helps if a failed run can't simply be run again. `prints`: standard output is checked.
    `adds`: it adds to what is there, so it is not run again once that is done.
    """

    name: str
    words: tuple[str, ...]
    needs: tuple[str, ...]
    makes: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
    prints: bool = False
    adds: bool = False


def case(name: str, words: str, needs: str, makes: str = "", then: str = "") -> Case:
    """A case from texts; a word may have spaces, as `_`."""
    split = tuple(word.replace("_", " ") for word in words.split())
    needed, made, options = (tuple(text.split()) for text in (needs, makes, then))
    return Case(name, split, needed, made, options, prints=not makes, adds=split[0] == "append")


_BAM = "x.bam x.bam.bai"
_CONVERT = "convert --chunk-size 256K -@ 1"
_BEGUN = "--resume --overwrite"

CASES = {
    each.name: each
    for each in (
        case("convert", f"{_CONVERT} x.bam new.bams3", _BAM, "new.bams3", _BEGUN),
        case("convert-verify", f"{_CONVERT} --verify x.bam new.bams3", _BAM, "new.bams3", _BEGUN),
        case("convert-threads", "convert --chunk-size 256K -@ 2 x.bam new.bams3", _BAM, "new.bams3", _BEGUN),
        case("convert-sam", f"{_CONVERT} x.sam new.bams3", "x.sam", "new.bams3", _BEGUN),
        case(
            "convert-lossy", f"{_CONVERT} --qualities crumble-like --drop-tags NM x.bam new.bams3", _BAM, "new.bams3",
            _BEGUN,
        ),
        case("hashed", f"{_CONVERT} --hash-paths x.bam new.bams3", _BAM, "new.bams3", _BEGUN),
        case("append-hashed", "append -c -p -@ 1 hidden.bams3 few.bam", "hidden.bams3 few.bam", "hidden.bams3"),
        case("batch", f"{_CONVERT} --batch 2/2 x.bam half.bams3", f"{_BAM} half.bams3", "half.bams3", "--resume"),
        case("merge", "merge parts.bams3", "parts.bams3", "parts.bams3"),
        case("resume", f"{_CONVERT} --resume x.bam begun.bams3", f"{_BAM} begun.bams3", "begun.bams3", _BEGUN),
        case("sort", f"{_CONVERT} --sort --memory 20K --tmp-dir . any.bam new.bams3", "any.bam", "new.bams3", _BEGUN),
        case(
            "names", f"{_CONVERT} --sort --fixmate --markdup --memory 4K --tmp-dir . names.sam new.bams3", "names.sam",
            "new.bams3", _BEGUN,
        ),
        case("markdup", "markdup -@ 1 -S --tmp-dir . -f numbers.txt mended.bams3 new.bams3", "mended.bams3",
             "new.bams3 numbers.txt", "--overwrite"),
        case("markdup-batch", "markdup -@ 1 --batch 2/2 mended.bams3 marks.bams3", "mended.bams3 marks.bams3",
             "marks.bams3", "--overwrite"),
        case("markdup-merge", "merge --markdup-stats numbers.txt marked.bams3", "marked.bams3",
             "marked.bams3 numbers.txt"),
        case("overwrite", f"{_CONVERT} --overwrite x.bam old.bams3", f"{_BAM} old.bams3", "old.bams3"),
        case(
            "batch-overwrite", f"{_CONVERT} --overwrite --batch 1/1 --level 1 x.bam d.bams3", f"{_BAM} d.bams3",
            "d.bams3",
        ),
        case("append", "append -c -p -@ 1 lane.bams3 few.bam", "lane.bams3 few.bam", "lane.bams3"),
        case(
            "merge-inputs", "merge -c -p --chunk-size 256K -@ 1 lane.bams3 few.bam new.bams3", "lane.bams3 few.bam",
            "new.bams3", _BEGUN,
        ),
        case(
            "merge-batch", "merge -c -p --chunk-size 256K -@ 1 --batch 2/2 lane.bams3 few.bam shared.bams3",
            "lane.bams3 few.bam few.bam.bai shared.bams3", "shared.bams3", "--resume",
        ),
        case("merge-batches", "merge merged.bams3", "merged.bams3", "merged.bams3"),
        case("rewrite", "rewrite -@ 1 d.bams3 new.bams3", "d.bams3", "new.bams3", "--overwrite"),
        case(
            "rewrite-lossy", "rewrite -@ 1 --overwrite --qualities crumble-like d.bams3 old.bams3",
            "d.bams3 old.bams3", "old.bams3",
        ),
        case("repair", "repair broken.bams3", "broken.bams3", "broken.bams3"),
        case("to-bam", "to-bam -@ 1 --write-index d.bams3 back.bam", "d.bams3", "back.bam back.bam.csi", "--overwrite"),
        case("to-bam-overwrite", "to-bam -@ 1 --overwrite d.bams3 x.bam", f"{_BAM} d.bams3", "x.bam x.bam.bai"),
        case("query", "query -@ 1 -o reads.sam d.bams3 chr1:1-200000", "d.bams3", "reads.sam"),
        case("query-cram", "query -@ 1 -x RG -o reads.cram d.bams3 chr1:1-200000", "d.bams3", "reads.cram"),
        case("query-stdout", "query -@ 1 d.bams3 chr1", "d.bams3"),
        case("count", "query -c d.bams3 chr1:1-200000", "d.bams3"),
        case("fastq", "fastq -@ 1 -1 r1.fq.gz -2 r2.fq -0 /dev/null -s s.fq d.bams3", "d.bams3", "r1.fq.gz r2.fq s.fq"),
        case(
            "coverage", "coverage --by bed -q 0:1: -T 1,2 -o depth d.bams3", "d.bams3 bed",
            " ".join(
                f"depth.{name}"
                for name in (
                    "mosdepth.global.dist.txt", "mosdepth.region.dist.txt", "mosdepth.summary.txt", "per-base.bed.gz",
                    "per-base.bed.gz.csi", "quantized.bed.gz", "quantized.bed.gz.csi", "regions.bed.gz",
                    "regions.bed.gz.csi", "thresholds.bed.gz", "thresholds.bed.gz.csi",
                )
            ),
        ),
        case("bigwig", "coverage --bigwig depth.bw d.bams3", "d.bams3", "depth.bw"),
        case("depth", "depth -o depth.txt d.bams3", "d.bams3", "depth.txt"),
        case("pileup", "pileup -o pileup.txt d.bams3 chr1:1-5000", "d.bams3", "pileup.txt"),
        case("export", "export -@ 1 --parquet reads.parquet d.bams3", "d.bams3", "reads.parquet"),
        case(
            "map", "map -@ 1 --output-dir made --suffix .txt --joblog log d.bams3 -- cat_>/dev/null;_echo_{region}",
            "d.bams3", "made",
        ),
        case("alleles", "alleles -@ 1 --sites sites.vcf -o alleles.vcf.gz d.bams3", "d.bams3 sites.vcf",
             "alleles.vcf.gz"),
        case("relate-count", "relate -@ 1 --sites common.vcf --count -o s.counts d.bams3", "d.bams3 common.vcf",
             "s.counts"),
        case("relate", "relate -@ 1 --sites common.vcf -o who x.counts d.bams3", "d.bams3 common.vcf x.counts",
             "who.samples.tsv who.pairs.tsv"),
        case("receipt", "verify -@ 1 --against x.bam --receipt receipt.json d.bams3", f"{_BAM} d.bams3",
             "receipt.json"),
        case("verify", "verify -@ 1 d.bams3", "d.bams3"),
        case("stats", "stats d.bams3", "d.bams3"),
        case("checksum", "checksum -@ 1 d.bams3", "d.bams3"),
    )
}  # fmt: skip


def make_inputs(folder: Path) -> None:
    """Everything that a case needs."""
    make_pristine(folder)
    sam = pysam.samtools.view("-h", str(folder / "x.bam"))
    (folder / "x.sam").write_text(sam)
    head, body = [
        [line for line in sam.splitlines() if (line[0] == "@") == is_head] for is_head in (True, False)
    ]
    with (
        pysam.AlignmentFile(folder / "x.bam") as source,
        pysam.AlignmentFile(folder / "any.bam", "wb", source) as file,
    ):
        for record in reversed(list(source.fetch(until_eof=True))):
            file.write(record)
    (folder / "old.sam").write_text("\n".join([*head, *body[::2]]) + "\n")
    with_group = [*head, "@RG\tID:a\tSM:s"]
    (folder / "lane.sam").write_text("\n".join([*with_group, *body[::2]]) + "\n")
    assert run("convert", *FEW, folder / "lane.sam", folder / "lane.bams3") == 0
    assert run("rewrite", "--hash-paths", folder / "lane.bams3", folder / "hidden.bams3") == 0
    some = [line for line in body if line.split("\t")[2] == "chr1" and int(line.split("\t")[3]) < 200_000]
    (folder / "few.sam").write_text("\n".join([*with_group, *some]) + "\n")
    pysam.samtools.view(
        "-b", "--no-PG", "-o", str(folder / "few.bam"), str(folder / "few.sam"), catch_stdout=False
    )
    pysam.index(str(folder / "few.bam"))  # type: ignore[attr-defined]
    for batch, dataset in (("1/2", "shared"), ("1/2", "merged"), ("2/2", "merged")):
        words = ("-c", "-p", *FEW, "--batch", batch, folder / "lane.bams3", folder / "few.bam")
        assert run("merge", *words, folder / f"{dataset}.bams3") == 0
    write_by_name(folder / "names.sam")
    assert run("convert", *FEW, "--sort", "--fixmate", folder / "names.sam", folder / "mended.bams3") == 0
    for batch, dataset in (("1/2", "marks"), ("1/2", "marked"), ("2/2", "marked")):
        words = ("-@", "1", "--batch", batch, folder / "mended.bams3", folder / f"{dataset}.bams3")
        assert run("markdup", *words) == 0
    (folder / "bed").write_text("chr1\t100\t90000\tone\nchr1\t200000\t260000\ttwo\n")
    assert run("convert", *FEW, folder / "old.sam", folder / "old.bams3") == 0
    assert run("convert", *FEW, "--batch", "1/2", folder / "x.bam", folder / "half.bams3") == 0
    shutil.copytree(folder / "half.bams3", folder / "begun.bams3")
    for part in (folder / "begun.bams3/_parts").glob("*-of-*"):
        part.unlink()
    shutil.copytree(folder / "d.bams3", folder / "broken.bams3")
    shutil.rmtree(folder / "broken.bams3/_index")
    (folder / "broken.bams3/_metadata.json").unlink()


def stable(path: str, data: bytes) -> bytes:
    """What a file must have in every run: without times, and without the options of a command."""
    if path in (STDOUT, "receipt.json"):
        return re.sub(rb"\d{4}-\d\d-\d\dT[\d:]+(Z|\+00:00)", b"", data)
    if path == "numbers.txt":
        return re.sub(rb"(?m)^COMMAND: .*", b"", data)
    if path == "log":
        return re.sub(rb"(?m)^(\d+\t:\t)\S+\t +\S+", rb"\1", data)
    return data
