"""What a release is made of says the same everywhere."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import bams3

jinja2 = pytest.importorskip("jinja2")
ROOT = Path(__file__).parents[2]
CONDA_NAMES = {"isal": "python-isal"}


@pytest.fixture(scope="module")
def recipe() -> Any:
    text = (ROOT / "recipe" / "meta.yaml").read_text()
    known = {"PYTHON": "python", "compiler": str, "pin_subpackage": lambda name, **_: name}
    return yaml.safe_load(jinja2.Template(text).render(known))


def test_the_recipe_needs_what_the_package_needs(recipe: Any) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [f"python {project['requires-python']}"]
    for requirement in project["dependencies"]:
        name, version = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()  # type: ignore[union-attr]
        wanted.append(f"{CONDA_NAMES.get(name, name)} {version}".strip())
    assert recipe["requirements"]["run"] == wanted


def test_the_recipe_has_the_version(recipe: Any) -> None:
    assert recipe["package"] == {"name": "bams3", "version": bams3.__version__}
