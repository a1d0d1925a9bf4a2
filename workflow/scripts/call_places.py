# ruff: noqa: F821 - Snakemake defines `snakemake`
"""Call variants of some places jointly: bcftools mpileup reads each sample's dataset through a pipe."""

import resource
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

given = snakemake.params
reference = snakemake.input.reference[0]
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a pipe a sample

with open(snakemake.log[0], "w") as log, TemporaryDirectory() as work, ExitStack() as stack:
    bed = Path(work, "places.bed")
    bed.write_text("".join("\t".join(map(str, place)) + "\n" for place in given.places))
    reads = []
    for dataset in given.datasets.values():
        command = ["bams3", "query", dataset, "-L", bed, "--parallel", "1", "-O", "ubam"]
        reads.append(stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)))
    paths = [f"/dev/fd/{process.stdout.fileno()}" for process in reads]
    # Samples have the sheet's names, whatever their read groups say.
    names = Path(work, "names")
    pairs = zip(paths, given.datasets, strict=True)
    names.write_text("".join(f"*\t{path}\t{name}\n?\t{path}\t{name}\n" for path, name in pairs))
    files = Path(work, "files")
    files.write_text("".join(f"{path}\n" for path in paths))
    pileup = subprocess.Popen(
        ["bcftools", "mpileup", "--no-version", "-f", reference, "-T", bed, "-G", names, "-b", files, "-Ou",
         *given.mpileup.split()],
        stdout=subprocess.PIPE, stderr=log, pass_fds=[process.stdout.fileno() for process in reads],
    )  # fmt: skip
    for process in reads:
        process.stdout.close()
    call = ["bcftools", "call", "--no-version", "-Ob", "-o", snakemake.output[0], *given.call.split()]
    called = subprocess.run(call, stdin=pileup.stdout, stderr=log)
    pileup.stdout.close()
    codes = [called.returncode, pileup.wait(), *(process.wait() for process in reads)]
if any(codes):
    contig, start, _ = given.places[0]
    sys.exit(f"{snakemake.rule}: from {contig}:{start + 1} on it failed; see {snakemake.log[0]}")
