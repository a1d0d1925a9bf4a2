"""A self-contained interactive HTML page for a cohort: data, plotly.js and styles are embedded."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from bams3.cohort.about import About, facts
from bams3.cohort.columns import FIRST, meant
from bams3.cohort.depth import distribution
from bams3.cohort.headings import Heading, heading, ordered
from bams3.cohort.identity import read_findings, read_kinships
from bams3.cohort.matrix import read_matrix, read_whole_matrix
from bams3.cohort.regions import PLACE
from bams3.output.files import open_output
from bams3.shown import escaped, shown

MOST_REGIONS = 1000
"""Maximum number of regions in the heat map; if there are more, those that vary most between samples are shown."""

LONGEST_NAME = 200
"""Maximum characters shown of the name of a region or a contig; the tables hold the full name."""

_ORDER = {status: place for place, status in enumerate(("fail", "outlier", "pass"))}
_PARTS = ("page.css", "page.js", "plots.js", "table.js", "kinship.js")


def write_page(
    path: str | Path,
    samples: str | Path,
    genome: str | Path,
    mean: str | Path,
    distributions: Mapping[str, str],
    about: About | None = None,
    identity: Mapping[str, str] | None = None,
) -> None:
    """Write the page. It is reproducible: nothing in it depends on the time or on absolute paths.

    Parameters
    ----------
    path
        The HTML file.
    samples
        The QC table in Parquet.
    genome, mean
        Matrices of bins and of regions in Parquet.
    distributions
        Each sample's depth distribution from mosdepth: of the targets, if there are any.
    about
        The facts at the top of the page.
    identity
        The tables `findings` and `pairs` of `bams3 relate`.
    """
    about = about or About()
    table = parquet.read_table(samples)
    rows = sorted(table.to_pylist(), key=lambda row: (_ORDER[row["status"]], row["sample"]))
    names = [row["sample"] for row in rows]
    order = [table["sample"].to_pylist().index(name) for name in names]
    bins, depth = read_whole_matrix(genome)
    regions, means, of = _most_variable(mean)
    shares = _distributions([distributions[name] for name in names])
    has_targets = meant("mean_coverage", has_targets=True) in table.column_names
    data = {
        "title": shown(about.title),
        "facts": facts(about, table.column_names, of, len(rows)),
        "multiqc": about.multiqc,
        "server": about.server,
        "bigwigs": about.bigwigs,
        "columns": table.column_names,
        "rows": [list(row.values()) for row in rows],
        "headings": _headings(table),
        "bins": {"contig": [*map(_name, bins[0])], "start": bins[1], "end": bins[2]},
        "regions": {
            "contig": [*map(_name, regions[0])],
            "start": regions[1],
            "end": regions[2],
            "name": [*map(_name, regions[3])],
        },
        "regionsOf": of,
        "covered": "targets" if has_targets else "genome",
        "depth": _packed(depth[:, order].T),
        "means": _packed(means[:, order].T),
        "shares": _packed(shares),
        "depths": shares.shape[1],
        "identity": _identity(identity, names) if identity else None,
    }
    with open_output(str(path)) as file:
        file.write(_html(data).encode())


def _name(name: str) -> str:
    return escaped(name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…")


def _headings(table: pa.Table) -> list[dict[str, Any]]:
    """The columns in the order in which they are shown: index in the table, and heading (None for text)."""
    texts = [field.name for field in table.schema if not _is_number(field.type)]
    own = [name for name in texts if name not in FIRST]
    made = []
    for name in ordered(table.column_names, own):
        is_text = name in texts
        text, unit, decimals = (None if is_text else heading(name)) or Heading(name, "", 4)
        if name in FIRST:
            text = name.title()
        number = table.column_names.index(name)
        made.append(
            {"column": number, "text": shown(text), "unit": unit, "decimals": None if is_text else decimals}
        )
    return made


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _most_variable(path: str | Path) -> tuple[list[list[Any]], np.ndarray, int]:
    """The `MOST_REGIONS` rows of a matrix that vary most between samples, in order, and its total number of rows."""
    places: list[list[Any]] = [[] for _ in PLACE]
    values = np.empty((0, len(parquet.read_schema(path)) - len(PLACE)))
    count = 0
    for found, block in read_matrix(path):
        count += len(block)
        places = [have + more for have, more in zip(places, found, strict=True)]
        values = np.concatenate([values, block])
        if len(values) > MOST_REGIONS:
            spread = values.std(axis=1) / (values.mean(axis=1) + 1)
            kept = np.sort(np.argsort(-spread, kind="stable")[:MOST_REGIONS])
            values, places = values[kept], [[column[i] for i in kept] for column in places]
    return places, values, count


def _identity(tables: Mapping[str, str], samples: list[str]) -> dict[str, Any]:
    """The findings, and the kinships of all pairs: NaN if unknown, and 0 if negative."""
    kinships = read_kinships(tables["pairs"], samples)
    return {
        "findings": [[shown(cell) for cell in finding] for finding in read_findings(tables["findings"])],
        "samples": kinships.samples,
        "kinship": _packed(np.maximum(kinships.matrix, 0)),
        "related": kinships.related,
    }


def _distributions(paths: list[str]) -> np.ndarray:
    """Share of bases at or above each depth, shape (samples, depths), up to a depth that few bases of any sample
    reach."""
    found = [distribution(path) for path in paths]
    deepest = max((depth for shares in found for depth, share in shares.items() if share >= 0.01), default=0)
    matrix = np.zeros((len(found), deepest + 2))
    for row, shares in zip(matrix, found, strict=True):
        for depth, share in shares.items():
            if depth < len(row):
                row[depth] = share
    return matrix


def _packed(values: np.ndarray) -> str:
    """Half-precision floats (about four digits), row by row, gzipped, in base64."""
    halves = np.minimum(values, 65504).astype("<f2").tobytes()
    return base64.b64encode(gzip.compress(halves, 6, mtime=0)).decode()


def _html(data: dict[str, Any]) -> str:
    from plotly.offline import get_plotlyjs

    folder = files("bams3.cohort") / "page"
    page = (folder / "page.html").read_text(encoding="utf-8")
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace(
        "<", "\\u003c"
    )
    parts = {name: (folder / name).read_text(encoding="utf-8") for name in _PARTS}
    for name, part in {**parts, "plotly.js": get_plotlyjs(), "data": text}.items():
        before, after = page.split(f"/*{name}*/")
        page = before + part + after
    return page
