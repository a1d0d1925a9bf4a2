"""Depth of coverage, as mosdepth and as samtools define it, and reads in bins, as bamCoverage counts them."""

from bams3.coverage.options import CoverageOptions, parse_quantize, parse_thresholds
from bams3.coverage.selection import read_group_filter
from bams3.coverage.write import depth_of, region_values, write_coverage

__all__ = [
    "CoverageOptions",
    "depth_of",
    "parse_quantize",
    "parse_thresholds",
    "read_group_filter",
    "region_values",
    "write_coverage",
]
