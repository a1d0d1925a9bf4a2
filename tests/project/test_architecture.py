"""Imports go one way, as docs/architecture.md draws it, in Python and in Cython alike."""

import ast
import os
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "bams3" / "bams3"
ROOMS = [
    "storage", "bam", "sources", "duplicates", "codec", "chunk", "dataset", "parallel", "select", "output", "coverage",
    "alleles", "identity", "bridge", "operations", "cohort", "workflow", "progress", "api", "cli",
]  # fmt: skip
"""From what knows nothing of the others to what uses them; a room imports from rooms before it."""
CYTHON_IMPORT = re.compile(r"^\s*(?:from (bams3[\w.]*) c?import|c?import (bams3[\w.]*))", re.MULTILINE)


def modules() -> dict[str, Path]:
    files = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".pyx", ".pxd")]
    return {str(path.relative_to(PACKAGE)): path for path in files}


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports, wherever in it."""
    if path.suffix != ".py":
        return {a or b for a, b in CYTHON_IMPORT.findall(path.read_text())}
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] == "bams3"}


def room_of(module: str) -> str | None:
    """None of a module at the root, which all rooms may use."""
    room = module.removeprefix("bams3.").split(".")[0]
    return room if room in ROOMS else None


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_before_it(room: str) -> None:
    allowed = ROOMS[: ROOMS.index(room) + 1]
    wrong = [
        f"{name} imports {target}"
        for name, path in modules().items()
        if Path(name).parts[0] == room
        for target in sorted(imported(path))
        if (its := room_of(target)) and its not in allowed
    ]
    assert not wrong


def test_every_folder_is_a_room() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(ROOMS)


def test_modules_do_not_import_each_other_in_circles() -> None:
    files = modules()
    names = {f"bams3.{name.rsplit('.', 1)[0].replace('/', '.')}".removesuffix(".__init__") for name in files}
    graph: dict[str, set[str]] = {name: set() for name in names}
    for name, path in files.items():
        module = f"bams3.{name.rsplit('.', 1)[0].replace('/', '.')}".removesuffix(".__init__")
        parents = {module.rsplit(".", i)[0] for i in range(1, module.count(".") + 1)}
        graph[module] |= (imported(path) & names) - {module} - parents
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_test_files_do_not_import_each_other() -> None:
    files = {path.stem: path for path in (ROOT / "tests").rglob("test_*.py")}
    found = {
        f"{path.name} imports {name}"
        for path in files.values()
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if name.rpartition(".")[2] in files
    }
    assert not found


# What Snakemake documents, or has as an interface of its plugins; all else stands in workflow.internals.
SNAKEMAKE = re.compile(r"snakemake\.(utils\.\w+|logging\.logger|io\.local)|snakemake_interface_\w+\..*")
INTERNALS = re.compile(r"\bworkflow\.(?!source_path\b|rst\b)[a-z_]+|getattr\(workflow")


def test_internals_of_snakemake_are_used_in_one_module() -> None:
    used = [
        f"{name}: {node.module}.{alias.name}"
        for name, path in modules().items()
        if path.suffix == ".py" and name != "workflow/internals.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("snakemake")
        for alias in node.names
        if not SNAKEMAKE.fullmatch(f"{node.module}.{alias.name}")
    ]
    for path in (ROOT / "workflow").rglob("*"):
        if path.name == "Snakefile" or path.suffix == ".smk":
            code = re.sub(r"#.*|bams3\.workflow", "", path.read_text())
            used += [f"{path.name}: {found[0]}" for found in INTERNALS.finditer(code)]
    assert not used


def test_the_source_root_never_shadows_the_installed_package() -> None:
    assert not (ROOT / "bams3" / "__init__.py").exists()
    code = "import bams3; print(bams3.__file__)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    assert Path(found.stdout.strip()).name == "__init__.py"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "benchmarks").glob("**/run.py")), ids=lambda path: path.parent.name
)
def test_benchmarks_find_what_they_import(path: Path) -> None:
    """They are run as programs, which have other folders to import from than tests."""
    command = [sys.executable, "-c", "import runpy, sys; runpy.run_path(sys.argv[1], run_name='tried')", path]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
