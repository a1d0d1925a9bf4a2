"""Python imports this when it starts in the environment of a job: Snakemake there does without pandas.

Snakemake imports the plugins of all executors when it starts, and SLURM's imports pandas, for a report that no test
asks for. If there is a pandas, Snakemake also asks of each parameter of a job whether it is a table of it. That is a
third of a start, and a run of the tests has hundreds. What a job runs, has pandas as it is.
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

if sys.orig_argv[1:3] == ["-m", "snakemake"]:
    pandas = ModuleType("pandas")
    pandas.__spec__ = ModuleSpec("pandas", None)
    for name in ("DataFrame", "Series", "Index"):
        setattr(pandas, name, type(name, (), {}))
    sys.modules["pandas"] = pandas
