"""Depth of coverage, equal to mosdepth's."""

from bams3.coverage.options import CoverageOptions, parse_quantize, parse_thresholds
from bams3.coverage.write import depth_array, write_coverage

__all__ = ["CoverageOptions", "depth_array", "parse_quantize", "parse_thresholds", "write_coverage"]
