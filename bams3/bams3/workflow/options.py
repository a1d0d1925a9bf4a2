"""Settings as words of a command line, and the files that a command writes with them."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from bams3.errors import Bams3Error
from bams3.operations.placeholders import line_for_bash
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.internals import Run
from bams3.workflow.samples import Row, needs_reference

QUERY_FLAGS = {
    "require_flags": "-f",
    "exclude_flags": "-F",
    "min_mapq": "-q",
    "read_group": "-r",
    "filter": "--filter",
}
DEPTH_SETTINGS = [
    "chrom", "fast_mode", "fragment_mode", "flag", "include_flag", "mapq", "read_groups", "min_frag_len",
    "max_frag_len",
]  # fmt: skip
BIGWIG_FLAGS = {
    "bin": "--bin",
    "normalize": "--normalize",
    "effective_genome_size": "--effective-genome-size",
}
REPORT_SETTINGS = ["quantize", "thresholds", "no_per_base", "use_median"]


def words_of(settings: Mapping[str, Any], flags: Mapping[str, str]) -> list[Any]:
    """Settings of a section as command line words; `flags`: the option of each setting."""
    words = []
    for key, flag in flags.items():
        value = settings.get(key, False)
        if value is not False:
            words += [flag] if value is True else [flag, value]
    return words


def coverage_words(settings: Mapping[str, Any], keys: list[str]) -> list[Any]:
    """Settings of coverage as command line words; the options have their names."""
    return words_of(settings, {key: f"--{key.replace('_', '-')}" for key in keys})


def coverage_files(settings: Mapping[str, Any]) -> list[str]:
    """The endings of the files that a coverage run writes: mosdepth's."""
    beds = {
        "per-base": not settings.get("no_per_base"),
        "regions": "by" in settings,
        "quantized": "quantize" in settings,
        "thresholds": "thresholds" in settings,
    }
    files = ["mosdepth.summary.txt", "mosdepth.global.dist.txt"]
    files += ["mosdepth.region.dist.txt"] if "by" in settings else []
    return files + [f"{bed}.bed.gz{end}" for bed, made in beds.items() if made for end in ("", ".csi")]


def bed_of(regions: Any) -> str:
    """The BED file of some regions; "" of windows, which are a number, and of none."""
    path = str(regions or "")
    return "" if path.isdecimal() else path


def by_words(regions: Any) -> list[Any]:
    """The regions of coverage as command line words."""
    return ["--by", regions] if regions else []


def convert_words(settings: Mapping[str, Any]) -> list[Any]:
    """Settings of convert as command line words."""
    words = ["--chunk-size", settings["chunk_size"], "--level", settings["level"]]
    return [*words, "--hash-paths"] if settings["hash_paths"] else words


def source_words(row: Row, reference: str) -> list[str]:
    """Where else a conversion reads, as command line words: the index, and of a CRAM the reference."""
    words = ["--index", row["index"]] if "index" in row else []
    return words + (["-T", reference] if needs_reference(row, reference) else [])


def check_command(settings: Mapping[str, Any], run: Run) -> None:
    """Raises ConfigurationError for a command of `process` in which a placeholder would not be one word, or that bash
    can't read.
    """
    try:
        line = line_for_bash(settings.get("command", ""))
    except Bams3Error as error:
        raise ConfigurationError(f"config: process: command: {error}") from None
    if line and run.plans and shutil.which("bash"):
        read = subprocess.run(["bash", "-n", "-c", line], stderr=subprocess.PIPE)
        if read.returncode:
            told = read.stderr.decode(errors="replace").splitlines() or ["a syntax error"]
            raise ConfigurationError(f"config: process: command: {told[0]}")


def check_environment(settings: Mapping[str, Any], run: Run) -> None:
    """Raise ConfigurationError if the conda environment file of `process` does not exist."""
    path = settings.get("environment")
    if path and run.plans and not os.path.isfile(path):
        raise ConfigurationError(
            f"config: process: environment: {path}: no such file; give a conda environment file (.yaml)"
        )
