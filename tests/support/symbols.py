"""Lines of samtools mpileup, as numbers of symbols."""

from collections import Counter


def bare(text: str) -> str:
    """The symbols of a line, without ends of reads, insertions and deletions."""
    kept, at = "", 0
    while at < len(text):
        if text[at] == "^":
            at += 2
        elif text[at] in "+-":
            digits = text[at + 1 : at + 1 + next(k for k in range(9) if not text[at + 1 + k].isdigit())]
            at += 1 + len(digits) + int(digits)
        else:
            kept += text[at] if text[at] != "$" else ""
            at += 1
    return kept


def symbol_counts(lines: str) -> dict[tuple[str, int], Counter[str]]:
    """How often each symbol stands on each line, by contig and position from 1.

    N stands for all bases but A C G T, on both strands: = has none.
    """
    found = {}
    for line in lines.splitlines():
        contig, position, _, depth, symbols, *_ = line.split("\t")
        counts = Counter(bare(symbols)) if depth != "0" else Counter()
        for symbol in set(counts) - set("ACGTNacgt*#><"):
            counts["N"] += counts.pop(symbol)
        found[contig, int(position)] = counts
    return found
