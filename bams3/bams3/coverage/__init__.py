"""Depth of coverage, identical to mosdepth's."""

from bams3.coverage.options import CoverageOptions, parse_quantize, parse_thresholds
from bams3.coverage.write import depth_of, read_group_filter, region_values, write_coverage

__all__ = [
    "CoverageOptions",
    "depth_of",
    "parse_quantize",
    "parse_thresholds",
    "read_group_filter",
    "region_values",
    "write_coverage",
]
