"""A description of one chunk, read from its footer."""

import json
from collections import Counter
from typing import Any

from bams3.chunk.reader import open_chunk
from bams3.shown import escaped


def to_json(uri: Any) -> str:
    """Return the whole footer as JSON. Raises FormatError."""
    footer = open_chunk(uri).footer
    groups = [
        group.to_json() | {"streams": {name: entry._asdict() for name, entry in group.streams.items()}}
        for group in footer.row_groups
    ]
    document = footer._asdict() | {"row_groups": groups}
    return json.dumps(document, indent=2) + "\n"


def summary(uri: Any) -> str:
    """Return a readable description of the window, the row groups and the sizes of streams. Raises FormatError."""
    chunk = open_chunk(uri)
    footer = chunk.footer
    names = {reference: name for reference, name, _ in footer.references}
    window = (
        f"{names.get(footer.reference_id, footer.reference_id)}:{footer.start + 1}-{footer.end}"
        if footer.reference_id >= 0
        else "reads with no position"
    )
    read_groups = sorted({name for group in footer.row_groups for name in group.read_groups})
    lines = [
        f"window      {window}",
        f"records     {footer.records}",
        f"bytes       {chunk.size} ({sum(zone.hot for zone in footer.zones)} for counting and depth)",
        f"dataset     {footer.dataset}",
        f"references  {' '.join(names[reference] for reference in sorted(names)) or '-'}",
        f"read groups {' '.join(read_groups) or '-'}",
        f"encodings   {' '.join(f'{field}={name}' for field, name in footer.encodings.items())}",
        "",
        "row group  records  first       last        furthest    mapq    ",
    ]
    for number, zone in enumerate(footer.zones):
        lines.append(
            f"{number:<10} {zone.records:<8} {zone.min_pos + 1:<11} {zone.max_pos + 1:<11} {zone.max_end:<11} "
            f"{zone.min_mapq}-{zone.max_mapq}"
        )
    stored, raw = Counter[str](), Counter[str]()
    codecs: dict[str, set[str]] = {}
    for group in footer.row_groups:
        for name, entry in group.streams.items():
            stored[name] += entry.stored
            raw[name] += entry.raw
            codecs.setdefault(name, set()).add(entry.codec)
    lines += ["", "stream                 stored        raw           codec"]
    for name, size in stored.most_common():
        lines.append(f"{name:<22} {size:<13} {raw[name]:<13} {','.join(sorted(codecs[name]))}")
    return "\n".join(map(escaped, lines)) + "\n"
