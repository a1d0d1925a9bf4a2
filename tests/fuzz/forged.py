"""Metadata that lie with right checksums: readers answer right or refuse, and verify complains."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import forge
from bams3.operations.convert import convert

from fuzz.mutate import lies
from fuzz.targets import Target

CHUNK = "data/chr1/000000000-000262144.chunk"
FORGED = {
    forge.MANIFEST: forge.COUNTS | forge.OTHERS,
    forge.INDEX: forge.OTHERS,  # counts may come from the index alone
    CHUNK: forge.COUNTS | forge.OTHERS,
}
"""What is changed, and the readers that find out."""


class Forged:
    """Changes documents of a dataset, below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pristine = folder / "pristine.bams3"
        (folder / "x.bam").write_bytes(forge.bam())
        convert(folder / "x.bam", self._pristine, chunk_size="256K", workers=1)
        self._right = forge.answers(self._pristine, forge.COUNTS | forge.OTHERS)

    @property
    def target(self) -> Target:
        """For a campaign: inputs are (what is changed, seed)."""
        return Target(0.01, lambda _, chance: (chance.choice(list(FORGED)), chance.random()), self.read)

    def read(self, made: tuple[str, float]) -> None:
        """Raises AssertionError for a wrong answer."""
        path, seed = made
        chance = random.Random(seed)
        with tempfile.TemporaryDirectory(dir=self._folder) as place:
            dataset = Path(shutil.copytree(self._pristine, Path(place) / "d.bams3"))
            document = forge.read(dataset, path)
            before = json.dumps(document)
            forge.rewrite(dataset, path, lambda _: lies(document, chance))
            told = forge.answers(dataset, FORGED[path])
            assert [name for name in told if told[name] != self._right[name]] == [], before
            true = json.dumps(document) == before or (
                path == forge.MANIFEST and _is_earlier(document, before)
            )
            assert true or forge.complains(dataset), json.dumps(document)


def _is_earlier(document: Any, before: str) -> bool:
    """Whether a manifest lacks only its sums, as those of earlier versions do."""
    whole = json.loads(before)
    return isinstance(document, dict) and document == {key: whole[key] for key in whole if key != "sums"}
