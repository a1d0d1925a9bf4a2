"""The version of the package, which pyproject.toml also reads."""

__version__ = "0.1.0"
