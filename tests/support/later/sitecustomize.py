"""Python imports this when it starts in the environment of a job: pandas is loaded when it is first used.

Snakemake imports the plugins of all executors when it starts, and SLURM's imports pandas, for a report that no test
asks for. That is a quarter of a start, and a run of the tests has hundreds.
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader


class Later:
    """A finder of pandas alone."""

    @staticmethod
    def find_spec(name: str, *_: object) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name) if name == "pandas" else None
        if spec and spec.loader:
            spec.loader = LazyLoader(spec.loader)
        return spec


sys.meta_path.insert(0, Later)
