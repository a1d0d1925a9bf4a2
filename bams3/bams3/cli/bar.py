"""The progress bar of a command, on a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any


class _Bar:
    """A progress bar, which advances when it is called."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def __call__(self, done: int) -> None:
        self._bar.update(done)

    def expect(self, total: int) -> None:
        """Set the total, which was not known before."""
        self._bar.total = total


@contextmanager
def progress_bar(unit: str, total: int | None = None) -> Iterator[_Bar | None]:
    """Context manager: yield a progress bar that is shown after two seconds; None without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=unit, unit_scale=True, delay=2, leave=False) as bar:
        yield _Bar(bar)


def progress_beside(output: str, unit: str, total: int | None = None) -> Any:
    """Return a progress bar, unless `output` (a path, or -) goes to the terminal, too."""
    return nullcontext() if output == "-" and sys.stdout.isatty() else progress_bar(unit, total)
