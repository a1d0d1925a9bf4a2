"""Which tags have texts that are like others, and like which (`related`)."""

RELATED_TAGS: dict[str, tuple[str, str]] = {
    "CR": ("", ""), "CB": ("CR", ""), "UR": ("", "CR"), "UB": ("UR", ""), "RX": ("", ""), "BX": ("RX", ""),
    "MI": ("", "RX"), "BC": ("", ""), "TR": ("", ""), "OX": ("", ""),
    **dict.fromkeys(("CY", "UY", "QX", "QT", "TQ", "BZ"), ("", "")),
}  # fmt: skip
"""Tags of type Z whose texts are stored by what they are like: each with the tag that it corrects, and the tag of
which equal texts make equal ones likely."""


def with_related(tag: str) -> list[str]:
    """A tag, and those that its texts can only be decoded with."""
    related = [tag]
    for each in related:
        related += [other for other in RELATED_TAGS.get(each, ()) if other and other not in related]
    return related
