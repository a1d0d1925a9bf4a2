"""Receipts: files that state that a dataset holds every record of a source, so that the source can be deleted."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from os.path import isdir
from typing import TYPE_CHECKING, Any

from bams3.dataset.layout import METADATA
from bams3.dataset.manifest import Manifest, lossy_to_json
from bams3.errors import DatasetError, SourceError, UsageError
from bams3.operations.checksum import described, everything, sums_of
from bams3.output.files import open_output, refuse_inputs, refuse_place
from bams3.shown import shown, without_secrets
from bams3.storage import is_remote, open_object
from bams3.storage.local import open_regular

if TYPE_CHECKING:
    from bams3.dataset.reader import DatasetReader

_PORTION = 1 << 20  # bytes that are read at a time


class Receipt:
    """A receipt that states that a dataset was compared with a source.

    Create the object before the comparison, and call `write` after it. `path`: where the receipt is written.
    `reference`: the FASTA file of a CRAM source. Raises UsageError if the receipt may not be written to `path` or the
    source can't be read again, and OSError if the source can't be read.
    """

    def __init__(self, path: str, dataset: DatasetReader, source: str, reference: str | None = None) -> None:
        refuse_inputs(path, dataset.uri, source, reference)
        refuse_place(path)
        place, name = open_object(path)
        if not is_remote(path) and not isdir(place.root):
            raise UsageError(f"{path}: the directory {place.root} does not exist; create it first")
        if place.exists(name):
            raise UsageError(f"{path}: already exists, and a receipt is never replaced; choose another name")
        if not is_remote(source):
            if source == "-":
                raise UsageError(
                    "-: a receipt names the file that was compared; give a path instead of standard input"
                )
            open_regular(source.removeprefix("file://")).close()
        self._path, self._dataset, self._source = path, dataset, source
        self._stamp = _stamp(source)

    def write(self, workers: int = 1) -> str:
        """Write the receipt, and return a summary of it in one line.

        Raises SourceError if the source, or DatasetError if the dataset, has changed since this object was created.
        """
        document = self._document(workers)
        text = json.dumps(document, indent=2) + "\n"
        with open_output(self._path, overwrite=False) as file:
            file.write(text.encode("ascii"))
        return self._line(document)

    def _document(self, workers: int) -> dict[str, Any]:
        import pysam

        from bams3._version import __version__

        manifest = self._dataset.manifest
        source, identity = self._identified(), self._id()
        sums = sums_of(self._dataset, workers=workers)
        groups: list[bytes | None] = [None] if None in sums.groups else []
        (_, total), *others = everything(self._dataset, workers)
        return {
            "receipt": 1,
            "time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "dataset": {
                "name": self._dataset.uri, "id": identity, "chunks": manifest.chunks, "bytes": manifest.bytes,
            },
            "source": source,
            "header_id": manifest.header_id,
            **lossy_to_json(manifest.lossy),
            "records": manifest.records,
            "sums": {
                "all": described(sums.total()),
                "read_groups": [
                    {"id": name and name.decode("utf-8", "surrogateescape"), **described(sums.rows(name))}
                    for name in [*groups, *sums.names()]
                ],
            },
            "all_sums": {"all": total, "read_groups": [{"id": name, **row} for name, row in others]},
            "versions": {
                "bams3": __version__, "format": manifest.version, "samtools": pysam.__samtools_version__,  # type: ignore[attr-defined]
            },
        }  # fmt: skip

    def _id(self) -> str:
        """Return the SHA-256 of the manifest. It covers the index and the header, and the index covers the chunks."""
        data = self._dataset.storage.get(METADATA)
        if Manifest.from_bytes(data, self._dataset.uri) != self._dataset.manifest:
            raise DatasetError(f"{self._dataset.uri}: it changed while it was compared; verify it again")
        return hashlib.sha256(data).hexdigest()

    def _identified(self) -> dict[str, Any]:
        """Return what identifies the source.

        A remote object has its ETag instead of an MD5, so it is not read again.
        """
        size, version = self._stamp
        known: dict[str, Any] = {"name": without_secrets(self._source), "size": size}
        if is_remote(self._source):
            known["etag"] = version.strip('"')
        else:
            known["md5"] = _md5(self._source.removeprefix("file://"))
        if self._dataset.manifest.truncated:
            known["truncated"] = True
        if _stamp(self._source) != self._stamp:
            raise SourceError(f"{self._source}: it changed while it was compared; verify the dataset again")
        return known

    def _line(self, document: dict[str, Any]) -> str:
        dataset, source, versions = document["dataset"], document["source"], document["versions"]
        kind = "etag" if "etag" in source else "md5"
        lossy = self._dataset.manifest.lossy
        held = f"is partly ({lossy}) in" if lossy else "is in"
        return shown(
            f"{source['name']} ({source['size']} bytes, {kind} {source[kind]}) {held} {dataset['name']} "
            f"(id {dataset['id'][:16]}): header {document['header_id'][:16]}, {document['records']} records, "
            f"checksum {document['sums']['all']['combined']}; bams3 {versions['bams3']}, samtools "
            f"{versions['samtools']}, {document['time']}; receipt: {self._path}"
        )


def _stamp(source: str) -> tuple[int, str]:
    """Return the length of a source, and its ETag or time of modification."""
    place, name = open_object(source)
    return place.stamp(name)


def _md5(path: str) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with open_regular(path) as file:
        while portion := file.read(_PORTION):
            digest.update(portion)
    return digest.hexdigest()
