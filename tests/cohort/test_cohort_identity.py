"""What `bams3 relate` found, in the QC table, in the matrix of the page, and in MultiQC's table."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from bams3.cohort.identity import read_findings, read_kinships, reasons, write_multiqc
from bams3.cohort.qc import write_qc
from bams3.errors import FormatError
from cohort_files import THRESHOLDS, make_cohort

FINDINGS = (
    "kind\tseverity\tsample_a\tsample_b\ttext\n"
    "same\thigh\tS0001\tS0002\tone person\n"
    "sex\thigh\tS0002\t\tmale\n"
    "related\tlow\tS0001\tS0004\tsiblings\n"
)
PAIRS = "sample_a\tsample_b\tkinship\trelation\n"


@pytest.fixture
def findings(tmp_path: Path) -> Path:
    path = tmp_path / "findings.tsv"
    path.write_text(FINDINGS)
    return path


def test_findings_are_reasons(findings: Path, tmp_path: Path) -> None:
    files = make_cohort(tmp_path, 4, scale=10_000)
    write_qc(tmp_path / "qc", files, tmp_path / "genome.parquet", THRESHOLDS, findings=findings)
    rows = {
        row["sample"]: (row["status"], row["reasons"])
        for row in pq.read_table(tmp_path / "qc.parquet").to_pylist()
    }
    assert rows == {
        "S0001": ("fail", "same S0002: one person; related S0004: siblings"),
        "S0002": ("fail", "same S0001: one person; sex: male"),
        "S0003": ("pass", ""),
        "S0004": ("outlier", "related S0001: siblings"),
    }


def test_relatives_stand_together(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(
        PAIRS + "a\tb\t-0.1\tunrelated\nd\tb\t0.25\tsiblings\na\tc\t\tunknown\ne\td\t0.2\tparent-child\n"
    )
    found = read_kinships(path, ["a", "b", "c", "d", "e"])
    assert found.samples == ["b", "d", "e", "a", "c"]
    assert found.related == [(0, 1, "siblings"), (1, 2, "parent-child")]
    assert np.nan_to_num(found.matrix, nan=-9).tolist() == [
        [0.5, 0.25, -9, -0.1, -9],
        [0.25, 0.5, 0.2, -9, -9],
        [-9, 0.2, 0.5, -9, -9],
        [-0.1, -9, -9, 0.5, -9],
        [-9, -9, -9, -9, 0.5],
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sample_a\tb\n", "not a table of bams3 relate: it has no column sample_b"),
        (PAIRS + "a\tb\n", "a line of 2 cells instead of 4"),
        (PAIRS + "a\tz\t0.1\tunrelated\n", "not a pair of this cohort: a, z"),
        (PAIRS + "a\tb\tmuch\tunrelated\n", "not a pair of this cohort: a, b"),
    ],
)
def test_damaged_pairs(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "pairs.tsv").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_kinships(tmp_path / "pairs.tsv", ["a", "b"])


def test_multiqc_has_a_row_for_each_sample(findings: Path, tmp_path: Path) -> None:
    columns = "sample\tsex\tknown\thet_rate\tmean_depth\tcontamination\tmore\n"
    (tmp_path / "samples.tsv").write_text(
        columns + "S0001\tmale\t9\t0.4\t30\t\tx\nS0003\tfemale\t8\t0.4\t31\t0.1\ty\n"
    )
    write_multiqc(str(tmp_path / "x_mqc.tsv"), tmp_path / "samples.tsv", findings)
    lines = [line for line in (tmp_path / "x_mqc.tsv").read_text().splitlines() if line[0] != "#"]
    assert lines == [
        "Sample\tfindings\tsex\tknown\thet_rate\tmean_depth\tcontamination",
        "S0001\tsame S0002: one person; related S0004: siblings\tmale\t9\t0.4\t30\t",
        "S0003\tnone\tfemale\t8\t0.4\t31\t0.1",
    ]
    assert reasons(read_findings(findings))["S0004"] == [(False, "related S0001: siblings")]
