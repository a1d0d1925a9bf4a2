"""All targets that need no folder of their own."""

from fuzz import changes, targets, texts, uses

TARGETS = targets.TARGETS | {"uses": uses.TARGET, "changes": changes.TARGET} | texts.TARGETS
