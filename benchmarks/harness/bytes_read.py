"""Run a bams3 command, and print how many bytes it read from its storage.

python benchmarks/harness/bytes_read.py coverage -n -o PREFIX DATASET
"""

from __future__ import annotations

import sys

from bams3.cli import main
from bams3.storage.local import LocalStorage


class Counter:
    """Counts the bytes that `LocalStorage` returns."""

    def __init__(self) -> None:
        self.bytes = 0
        LocalStorage.get = self._counting(LocalStorage.get, len)
        LocalStorage.get_ranges = self._counting(LocalStorage.get_ranges, lambda found: sum(map(len, found)))

    def _counting(self, read, size):
        def counted(*arguments):
            found = read(*arguments)
            self.bytes += size(found)
            return found

        return counted


if __name__ == "__main__":
    counter = Counter()
    code = main(sys.argv[1:])
    print(counter.bytes)
    sys.exit(code)
