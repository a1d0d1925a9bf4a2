"""Packages that only some of what bams3 does needs: the extras of its installation."""

from importlib import import_module

from bams3.errors import UsageError

EXTRAS = {"boto3": "remote", "obstore": "remote", "plotly": "cohort", "pyarrow": "arrow", "pyspark": "spark"}
"""The extra that brings a package."""


def need(package: str, what: str) -> None:
    """Raises UsageError where a package is not installed; `what` needs it."""
    try:
        import_module(package)
    except ImportError:
        raise UsageError(f"{what} needs {package}: pip install 'bams3[{EXTRAS[package]}]'") from None
