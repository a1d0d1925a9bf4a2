"""Which tags have texts that resemble other texts, and which texts these are (see `related`)."""

RELATED_TAGS: dict[str, tuple[str, str]] = {
    "CR": ("", ""), "CB": ("CR", ""), "UR": ("", "CR"), "UB": ("UR", ""), "RX": ("", ""), "BX": ("RX", ""),
    "MI": ("", "RX"), "BC": ("", ""), "TR": ("", ""), "OX": ("", ""),
    **dict.fromkeys(("CY", "UY", "QX", "QT", "TQ", "BZ"), ("", "")),
}  # fmt: skip
"""Tags of type Z that `related` encodes. Each has two other tags, or "": the tag that it is a correction of, and a tag
that groups records: if it is equal in two records, this tag is likely to be equal, too."""


def with_related(tag: str) -> list[str]:
    """A tag, followed by the other tags that are needed to decode it."""
    related = [tag]
    for each in related:
        related += [other for other in RELATED_TAGS.get(each, ()) if other and other not in related]
    return related
