"""The plugin for `--logger bams3`. Snakemake finds plugins by the names of their modules."""

from bams3.progress.handler import LogHandler

__all__ = ["LogHandler"]
