"""Runs a bams3 command and prints how many bytes it read from its storage.

python benchmarks/harness/bytes_read.py coverage -n -o PREFIX DATASET
"""

from __future__ import annotations

import sys

from bams3.cli import main
from bams3.storage.local import LocalStorage


class Counter:
    """Counts the bytes that `LocalStorage` hands out."""

    def __init__(self) -> None:
        self.bytes = 0
        LocalStorage.get = self._counting(LocalStorage.get)
        LocalStorage.get_range = self._counting(LocalStorage.get_range)

    def _counting(self, read):
        def counted(*arguments):
            data = read(*arguments)
            self.bytes += len(data)
            return data

        return counted


if __name__ == "__main__":
    counter = Counter()
    code = main(sys.argv[1:])
    print(counter.bytes)
    sys.exit(code)
