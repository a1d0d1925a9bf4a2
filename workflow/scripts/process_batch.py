# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Run the configured command on each chunk of a batch, as `bams3 map` does. It is a bash command line that reads SAM.

In it, {chunk} is the chunk's path, {region} its window (`chr1:1-1048576` or `_unplaced`), {sample} the sample's name,
and {output} the file to write.
"""

import os
import sys

if (
    python := os.environ.pop("BAMS3_PYTHON", sys.executable)
) != sys.executable:  # that of a conda environment
    os.execv(python, [python, *sys.argv])

from bams3.workflow.log import open_log

log = open_log(snakemake)

from bams3.dataset.layout import parse_fraction
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error
from bams3.operations.map_command import ChunkCommand, ChunkJob, alignments
from bams3.workflow.batches import remove_others

# Programs that the command calls are found in its environment first, and then next to this Python, where bams3 is.
os.environ["PATH"] += os.pathsep + os.path.dirname(sys.executable)
remove_others(snakemake.params.folder, snakemake.wildcards.batch)
dataset = DatasetReader(snakemake.params.dataset)
batch = dataset.batch(*parse_fraction(snakemake.params.batch))
command = ChunkCommand(
    [snakemake.params.settings["command"]],
    sender=alignments("sam"),
    directory=snakemake.output[0],
    suffix=snakemake.params.settings["suffix"],
    sample=snakemake.wildcards.sample,
    log=log,
)
for outcome in command.on_each(ChunkJob(number, batch, entry) for number, entry in enumerate(batch.index, 1)):
    if outcome.error:
        raise Bams3Error(
            f"the command failed on {outcome.job.chunk} ({outcome.error}); see {snakemake.log[0]}"
        )
