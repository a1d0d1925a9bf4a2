"""Pages of simulated cohorts, and what a browser shows of them."""

import os
from pathlib import Path

from bams3.cohort.about import About
from bams3.cohort.page import write_page
from cohort_files import make_cohort

ABOUT = About(
    title="<b>Hearts</b> & more",
    reference="s3://lab/GRCh38.fa",
    contigs_from="contigs/GRCh38.dict",
    contigs=[("chr1", 2_000_000), ("chr2", 500_000)],
    regions=4_000_000,
    thresholds=(30, 20),
    limits={"mean_coverage": {"min": 20, "max": 60.5}, "breadth_20x": {"min": 0.95}, "reads": {"min": 2e7}},
    multiqc="../multiqc/multiqc_report.html",
    server="http://host:8080/",
)


def page_of(folder: Path, samples: int, **options: int) -> Path:
    files = make_cohort(folder, samples, **options)
    return written(folder, list(files))


def written(folder: Path, samples: list[str], about: About = ABOUT) -> Path:
    """The page of what is in the folder."""
    path = folder / "cohort" / "report.html"
    path.parent.mkdir(exist_ok=True)
    tables = [folder / f"{name}.parquet" for name in ("samples", "genome", "mean")]
    identity = {name: str(folder / f"{name}.tsv") for name in ("findings", "pairs")}
    has_identity = Path(identity["pairs"]).exists()
    write_page(
        path,
        *tables,
        {name: str(folder / f"{name}.dist") for name in samples},
        about,
        identity if has_identity else None,
    )
    os.utime(path, (0, 1e9))
    return path


def show(page, *plots: str) -> None:
    for plot in plots:
        page.locator(f"#{plot}").scroll_into_view_if_needed()
        page.wait_for_selector(f"#{plot} .main-svg", state="attached")


def column(page, number: int) -> list[str]:
    return page.locator(f"#samples tbody tr td:nth-child({number})").all_inner_texts()
