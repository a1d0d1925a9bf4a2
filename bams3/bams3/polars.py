"""Datasets as Polars LazyFrames: `import bams3.polars; bams3.polars.scan("NA12878.bams3")`."""

from bams3.api.polars import scan

__all__ = ["scan"]
