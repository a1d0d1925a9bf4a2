"""Where Snakemake looks for `--logger bams3`: it finds plugins by the names of modules."""

from bams3.progress.handler import LogHandler

__all__ = ["LogHandler"]
