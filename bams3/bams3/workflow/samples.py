"""The samples: the rows of the sheet, the files of each sample, and whether the files exist."""

import os
from collections.abc import Collection, Mapping
from typing import Any

from bams3.bam.header import Header
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error
from bams3.sources.bam import open_source
from bams3.workflow import configuration, identity, sheet
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.names import check_names
from bams3.workflow.places import Places, check_name, check_regular, is_local

FILES = ["alignments", "index", "dataset"]  # columns of the sheet

Row = Mapping[str, str]
"""A row of the sheet without its empty cells, and with the locations of its files."""


class Samples(dict[str, Row]):
    """The rows of a sheet by sample name."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def __missing__(self, name: str) -> Row:
        """Raise ConfigurationError: a target on the command line may be a file of another sample."""
        raise ConfigurationError(f"sample {name} is not in {self._path}; add it there, or correct the name")


def read_samples(
    text: str, path: str, columns: dict[str, Any], places: Places, reserved: Collection[str]
) -> Samples:
    """Return the rows of a sheet by sample name. `columns`: its schema. `reserved`: names that no sample may have."""
    by_name = Samples(path)
    lines: dict[str, int] = {}
    for line, row in sheet.rows(text, path):
        where = f"{path}:{line}: sample {row.get('sample', '(no name)')}"
        configuration.check(row, columns, where)
        if ("alignments" in row) == ("dataset" in row):
            raise ConfigurationError(f"{where}: give either alignments or an existing dataset")
        if row["sample"] in by_name:
            raise ConfigurationError(f"{where}: another sample has this name, too; rename one of them")
        files = {column: places.located(row[column]) for column in FILES if column in row}
        if "dataset" in files:
            files["dataset"] = files["dataset"].rstrip("/")
        for file in files.values():
            check_name(file, f"{where}: {file}")
        by_name[row["sample"]] = row | files
        lines[row["sample"]] = line
    check_names(lines, path, reserved)
    if not by_name:
        raise ConfigurationError(f"{path}: no samples; add a line for each")
    return by_name


def file_of(row: Row) -> str:
    """Return the file whose existence shows that a sample exists: its alignments, or the manifest of its dataset."""
    return row["alignments"] if "alignments" in row else f"{row['dataset']}/_metadata.json"


def is_there(row: Row) -> bool:
    """Tell whether the files of a sample exist. If they do not, a workflow that uses this one may yet make them."""
    path = file_of(row)
    return not is_local(path) or os.path.exists(path)


def index_of(row: Row, is_module: bool) -> str | None:
    """Return the index of a sample's alignments: the given one, or one next to the file; None if it does not exist.

    The existence of files in object storage, and of files that may be made before they are needed, is not checked.
    """
    alignments = row["alignments"]
    stem = alignments.rsplit(".", 1)[0]
    beside = [f"{name}{suffix}" for suffix in (".bai", ".csi", ".crai") for name in (alignments, stem)]
    candidates = [row["index"]] if "index" in row else beside
    return next(
        (path for path in candidates if not is_local(path) or os.path.exists(path)),
        candidates[0] if is_module else None,
    )


def index_told(row: Row, is_module: bool) -> str | None:
    """Return the index of a sample's alignments, if its location is known before it is read; else None."""
    return index_of(row, is_module) if is_local(row["alignments"]) else row.get("index")


def check_files(row: Row, reference: str, places: Places) -> None:
    """Raise ConfigurationError if the file, the index or the dataset of a sample does not exist."""
    name = row["sample"]
    if "dataset" in row:
        if not is_there(row) and not places.run.is_module:
            what = (
                "is a file, not a bams3 dataset; give BAM and CRAM files in the column `alignments`"
                if os.path.isfile(row["dataset"])
                else "is not a bams3 dataset (no _metadata.json)"
                if os.path.exists(row["dataset"])
                else "does not exist"
            )
            raise ConfigurationError(f"sample {name}: {row['dataset']} {what}")
    elif is_local(row["alignments"]):
        if not is_there(row) and not places.run.is_module:
            raise ConfigurationError(f"sample {name}: {row['alignments']}: no such file")
        if os.path.isdir(row["alignments"]):
            raise ConfigurationError(
                f"sample {name}: {row['alignments']}: a folder, not a BAM or CRAM file; give a dataset in the column "
                "`dataset`"
            )
        check_regular(row["alignments"], f"sample {name}: {row['alignments']}")
        if not index_of(row, places.run.is_module):
            header_of(row, reference)  # for a file of another kind, this is the better error
            tried = row.get("index", f"{row['alignments']}.bai, .csi or .crai")
            raise ConfigurationError(
                f"sample {name}: no index ({tried}); create it with: samtools index {row['alignments']}"
            )
        if needs_reference(row, reference):
            places.check_there(reference, f"config: {reference}")
    elif row["alignments"].endswith(".cram"):
        raise ConfigurationError(
            f"sample {name}: a CRAM in object storage can't be read in batches; copy it to a local file, or convert "
            "it to BAM"
        )
    if "index" in row:
        places.check_there(row["index"], f"sample {name}: {row['index']}")


def needs_reference(row: Row, reference: str) -> bool:
    """Tell whether a sample needs the reference, which only CRAM does. The result for a BAM does not depend on it."""
    return bool(reference) and identity.is_cram(row["alignments"])


def header_of(row: Row, reference: str, with_text: bool = False) -> Header:
    """Return the header of a sample's alignments; for a dataset, the contigs and, if `with_text`, the text."""
    try:
        if "dataset" in row:
            dataset = DatasetReader(row["dataset"])
            return dataset.header if with_text else Header(b"", tuple(dataset.references))
        with open_source(row["alignments"], reference=reference or None) as source:
            return source.header
    except Bams3Error as error:
        raise ConfigurationError(f"sample {row['sample']}: {error}") from None


def bytes_of(row: Row, places: Places) -> int:
    """Return the size of a sample in bytes: that of its alignments, or of the chunks of its dataset."""
    if not is_there(row):
        raise ConfigurationError(
            f"sample {row['sample']}: {file_of(row)} does not exist yet; set `chunks_per_batch` to a number"
        )
    try:
        if "dataset" in row:
            return DatasetReader(row["dataset"]).manifest.bytes
        return places.stamp(row["alignments"])[0]
    except Bams3Error as error:
        raise ConfigurationError(f"sample {row['sample']}: {error}") from None
    except OSError as error:
        raise ConfigurationError(f"sample {row['sample']}: {row['alignments']}: {error.strerror}") from None


def dataset_place(row: Row, places: Places) -> str:
    """Return the location of a sample's dataset: the given one, or the one that this workflow makes."""
    return row.get("dataset", places.result(f"<results>/datasets/{row['sample']}.bams3"))


def metadata_file(row: Row, places: Places) -> Any:
    """Return the file whose existence shows that a dataset is complete, if Snakemake can check it."""
    return places.in_place(f"{dataset_place(row, places)}/_metadata.json")


def source_files(row: Row, places: Places) -> list[Any]:
    """Return a sample's alignments, if Snakemake can check them, and their index, if a rule makes it."""
    index = index_told(row, places.run.is_module)
    files = [row["alignments"], index if index and places.is_made(index) else None]
    return [file for path in files if path and (file := places.in_place(path))]
