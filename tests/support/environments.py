"""Environments made of a wheel of this tree and what it asks for, and nothing else.

They are made of what is installed here: nothing is fetched. `make dist` installs the wheel by pip.
"""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PathDistribution, distribution
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from servers import script
from workflows import ROOT

import bams3


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this tree, with the kernels that are built here."""
    folder = tmp_path_factory.mktemp("wheel")
    library = folder / "lib"

    def build(*commands: object) -> None:
        words = [
            sys.executable,
            "-c",
            "from setuptools import setup; setup()",
            "--quiet",
            *map(str, commands),
        ]
        subprocess.run(words, cwd=ROOT, check=True, capture_output=True)

    egg = ("egg_info", "--egg-base", folder)
    build(*egg, "build_py", "--build-lib", library)
    source = Path(bams3.__file__).parent
    for kernel in source.rglob("*.so"):
        shutil.copy(kernel, library / "bams3" / kernel.relative_to(source))
    wheel = ("bdist_wheel", "--skip-build", "--dist-dir", folder, "--bdist-dir", folder / "bdist")
    build(*egg, "build", "--build-lib", library, *wheel)
    (made,) = folder.glob("*.whl")
    return made


def closure(own: Distribution, extras: str) -> Iterator[Distribution]:
    """All that pip would install for a distribution with extras, which commas separate."""
    asked = [Requirement(f"bams3[{extras}]")]
    seen: dict[str, set[str]] = {}
    while asked:
        wanted = asked.pop()
        name = canonicalize_name(wanted.name)
        if name in seen and wanted.extras <= seen[name]:
            continue
        found = own if name == "bams3" else distribution(name)
        if name not in seen:
            yield found
        seen[name] = all_of_it = seen.get(name, set()) | wanted.extras
        for each in map(Requirement, found.requires or []):
            if each.marker is None or any(each.marker.evaluate({"extra": one}) for one in {"", *all_of_it}):
                asked.append(each)


def environment(folder: Path, wheel: Path, extras: str) -> dict[str, str]:
    """Makes a virtual environment, or adds to one, with the wheel and what extras of it ask for.

    Returns the variables that its commands run with."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (metadata,) = packages.glob("bams3-*.dist-info")
    for each in closure(PathDistribution(metadata), extras):
        for file in each.files or [] if each.name != "bams3" else []:
            if ".." in file.parts or file.suffix == ".pyc":
                continue
            (packages / file).parent.mkdir(parents=True, exist_ok=True)
            if not (packages / file).exists():
                source = Path(str(each.locate_file(file)))
                (packages / file).symlink_to(source)
                if file.suffix == ".py" and (compiled := Path(cache_from_source(source))).exists():
                    (packages / file).with_name("__pycache__").mkdir(exist_ok=True)
                    Path(cache_from_source(packages / file)).symlink_to(compiled)
        for command in each.entry_points.select(group="console_scripts"):
            code = f"import sys; from {command.module} import {command.attr} as run; sys.exit(run())"
            script(folder / "bin" / command.name, f"exec '{folder}/bin/python' -c '{code}' \"$@\"")
    kept = {name: os.environ[name] for name in os.environ if name.startswith(("AWS_", "JAVA_"))}
    return kept | {"PATH": f"{folder}/bin:/usr/bin:/bin", "HOME": str(folder)}
