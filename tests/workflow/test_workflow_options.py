"""Settings as words of a command line, and the command of `process`."""

from typing import Any

import pytest
from bams3.workflow import options
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.internals import Run


@pytest.mark.parametrize(
    ("settings", "words", "files"),
    [
        ({}, [], "summary global per-base"),
        ({"by": 5, "no_per_base": True}, ["--no-per-base"], "summary global region regions"),
        ({"mapq": 0, "fast_mode": False, "no_per_base": False}, ["--mapq", 0], "summary global per-base"),
        ({"by": "x.bed", "thresholds": "1", "quantize": "0:"}, ["--quantize", "0:", "--thresholds", "1"],
         "summary global region per-base regions quantized thresholds"),
    ],
)  # fmt: skip
def test_options_of_coverage_and_what_they_write(
    settings: dict[str, Any], words: list[Any], files: str
) -> None:
    assert options.coverage_words(settings, options.DEPTH_SETTINGS + options.REPORT_SETTINGS) == words
    names = {
        "summary": ["mosdepth.summary.txt"],
        "global": ["mosdepth.global.dist.txt"],
        "region": ["mosdepth.region.dist.txt"],
    }
    wanted = [names.get(name, [f"{name}.bed.gz", f"{name}.bed.gz.csi"]) for name in files.split()]
    assert options.coverage_files(settings) == [file for of_name in wanted for file in of_name]


@pytest.mark.parametrize(
    ("by", "bed"), [(None, ""), (500, ""), ("500", ""), ("x.bed", "x.bed"), ("5.bed", "5.bed")]
)
def test_regions_are_windows_or_a_bed_file(by: Any, bed: str) -> None:
    assert options.bed_of(by) == bed


def refusal(settings: dict[str, Any], run: Run) -> str:
    """What is said of a command; "" if nothing is wrong."""
    try:
        options.check_command(settings, run)
    except ConfigurationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("if true; then echo {region}; fi", ""),
        ("echo '{region}'", "config: process: command: {region} stands in quotes"),
        ("if true; echo {region}", "config: process: command: bash: -c: line "),
        ("echo {region} | (", "config: process: command: bash: -c: line "),
    ],
)
def test_a_command_is_one_that_bash_reads(command: str, message: str) -> None:
    assert refusal({"command": command}, Run()).startswith(message)
    assert bool(refusal({"command": command}, Run())) == bool(message)
    if "quotes" not in message:
        assert refusal({"command": command}, Run(plans=False)) == ""


def test_without_a_command_there_is_nothing_wrong_with_it() -> None:
    assert refusal({}, Run()) == ""
