"""Optional dependencies: the packages that only some features need, and the extras that install them."""

from importlib import import_module

from bams3.errors import UsageError

EXTRAS = {
    "boto3": "remote",
    "mfusepy": "mount",
    "obstore": "remote",
    "plotly": "cohort",
    "polars": "polars",
    "pyBigWig": "bigwig",
    "pyarrow": "arrow",
    "pyspark": "spark",
    "starlette": "serve",
    "uvicorn": "serve",
}
"""Package → the extra that installs it."""


def need(package: str, what: str) -> None:
    """Raise UsageError if a package that the feature `what` needs is not installed."""
    try:
        import_module(package)
    except ImportError:
        raise UsageError(f"{what} needs {package}: pip install 'bams3[{EXTRAS[package]}]'") from None
