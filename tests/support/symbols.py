"""Lines of samtools mpileup, as numbers of symbols."""

from collections import Counter
from collections.abc import Iterator


def entries(text: str) -> Iterator[tuple[str, str]]:
    """What a line shows of each read: its symbol, and the insertions and deletions behind it (`+AC`, `-nn`)."""
    at, symbol, indels = 0, "", ""
    while at < len(text):
        if text[at] in "+-":
            digits = text[at + 1 : at + 1 + next(k for k in range(9) if not text[at + 1 + k].isdigit())]
            end = at + 1 + len(digits) + int(digits)
            indels += text[at] + text[at + 1 + len(digits) : end]
            at = end
            continue
        if symbol and text[at] != "$":
            yield symbol, indels
            symbol = indels = ""
        if text[at] == "^":
            at += 2
        symbol = text[at] if text[at] != "$" else symbol
        at += 1
    if symbol:
        yield symbol, indels


def symbol_counts(lines: str) -> dict[tuple[str, int], Counter[str]]:
    """How often each symbol stands on each line, by contig and position from 1.

    N stands for all bases but A C G T, on both strands: = has none.
    """
    found = {}
    for line in lines.splitlines():
        contig, position, _, depth, symbols, *_ = line.split("\t")
        counts = Counter(symbol for symbol, _ in entries(symbols)) if depth != "0" else Counter()
        for symbol in set(counts) - set("ACGTNacgt*#><"):
            counts["N"] += counts.pop(symbol)
        found[contig, int(position)] = counts
    return found
