"""Conversion of settings to command-line arguments, and the files that a command writes with them."""

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
    """Return settings of a section as command-line arguments. `flags`: the option for each setting."""
    words = []
    for key, flag in flags.items():
        value = settings.get(key, False)
        if value is not False:
            words += [flag] if value is True else [flag, value]
    return words


def coverage_words(settings: Mapping[str, Any], keys: list[str]) -> list[Any]:
    """Return settings of coverage as command-line arguments. The options have the names of the settings."""
    return words_of(settings, {key: f"--{key.replace('_', '-')}" for key in keys})


def coverage_files(settings: Mapping[str, Any]) -> list[str]:
    """Return the endings of the files that `bams3 coverage` writes, which are those of mosdepth."""
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
    """Return the BED file of some regions; "" for windows (given as a number), and if there are no regions."""
    path = str(regions or "")
    return "" if path.isdecimal() else path


def by_words(regions: Any) -> list[Any]:
    """Return the regions of coverage as command-line arguments."""
    return ["--by", regions] if regions else []


def convert_words(settings: Mapping[str, Any]) -> list[Any]:
    """Return settings of convert as command-line arguments."""
    words = ["--chunk-size", settings["chunk_size"], "--level", settings["level"]]
    return [*words, "--hash-paths"] if settings["hash_paths"] else words


def source_words(row: Row, reference: str) -> list[str]:
    """Return the other inputs of a conversion as command-line arguments: the index and, for CRAM, the reference."""
    words = ["--index", row["index"]] if "index" in row else []
    return words + (["-T", reference] if needs_reference(row, reference) else [])


def check_command(settings: Mapping[str, Any], run: Run) -> None:
    """Raise ConfigurationError if bash can't parse the command of `process`, or a placeholder in it is not one word."""
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
