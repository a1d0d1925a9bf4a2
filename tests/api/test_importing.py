"""What importing the package loads, and what it offers."""

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bams3.api import dataset as api

import bams3

# What is imported is asked in a process of its own.


SLOW = {"numpy", "pysam", "zstandard", "pyarrow"}
NOT_FOR_READING = {
    "bams3.bam.reduce", "bams3.codec.byte_model", "bams3.dataset.own", "bams3.dataset.parts",
    "bams3.parallel.uploads", "bams3.sources.bgzf",
    "concurrent.futures", "copy", "dataclasses", "logging", "shutil", "tempfile", "threading",
}  # fmt: skip


def imported(code: str, *arguments: object, of: set[str] = SLOW) -> set[str]:
    """Which of some modules a program has loaded in the end."""
    program = f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return of & set(done.stderr.split())


def test_importing_loads_nothing_slow() -> None:
    assert imported("import bams3") == set()
    assert imported("import bams3; bams3.open, bams3.read_chunk") <= {"zstandard"}


@pytest.mark.parametrize(
    "command",
    [
        ["stats"],
        ["stats", "--flagstat"],
        ["coverage", "-n", "-o"],
        ["query", "-c"],
        ["query", "-c", "-q", "9", "-F", "DUP"],
    ],
    ids=" ".join,
)
def test_light_commands_load_neither_numpy_nor_pysam(odd: Path, tmp_path: Path, command: list[str]) -> None:
    prefix = [tmp_path / "x"] if command[-1] == "-o" else []
    code = "from bams3.cli import main\nassert main(sys.argv[1:]) == 0"
    loaded = imported(code, *command, *prefix, odd.with_suffix(".bams3"))
    assert not loaded & {"numpy", "pysam"}, loaded


def test_counting_loads_little(odd: Path) -> None:
    code = "from bams3.cli import main\nassert main(sys.argv[1:]) == 0"
    dataset = odd.with_suffix(".bams3")
    assert not imported(code, "query", "-c", "--workers", 1, dataset, of=NOT_FOR_READING)
    assert imported(code, "query", "-o", dataset.with_suffix(".sam"), dataset, of=NOT_FOR_READING)


def public_functions() -> Iterator[tuple[str, Any]]:
    for name in bams3.__all__:
        thing = getattr(bams3, name)
        if inspect.isfunction(thing):
            yield name, thing
    for kind in (api.Dataset, api.Chunk, api.Table, api.ChunkInfo):
        yield kind.__name__, kind
        for name, member in vars(kind).items():
            function = getattr(member, "fget", getattr(member, "func", member))
            if not name.startswith("_") and inspect.isfunction(function):
                yield f"{kind.__name__}.{name}", function


@pytest.mark.parametrize(
    ("name", "thing"), [*public_functions()], ids=lambda value: value if isinstance(value, str) else ""
)
def test_public_names_are_typed_and_documented(name: str, thing: Any) -> None:
    assert thing.__doc__
    if inspect.isfunction(thing):
        signature = inspect.signature(thing)
        assert signature.return_annotation is not signature.empty
        for parameter in list(signature.parameters.values()):
            assert parameter.name == "self" or parameter.annotation is not parameter.empty, parameter
