"""The page of a cohort in a real browser, offline: Debian's Chromium, driven by Playwright."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bams3._version import __version__
from bams3.cohort import page as cohort_page
from cohort_files import make_cohort
from cohort_pages import ABOUT, column, page_of, show, written

PLOTS = ("genome", "distribution", "components", "regions", "sex")


def lines(page, plot: str) -> list[str]:
    """The names of the samples whose lines a plot has."""
    names = page.evaluate(f"document.getElementById('{plot}').data.map((trace) => trace.name ?? '')")
    return [name for name in names if name.startswith("S0")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_failing_samples_come_first(opened: Callable, small: Path, scheme: str) -> None:
    page = opened(small, scheme)
    assert page.inner_text("#summary") == "12 samples: 1 failed, 1 outlier, 10 passed"
    assert column(page, 1)[:3] == ["S0003", "S0005", "S0001"]
    assert column(page, 2) == ["fail", "outlier", *["pass"] * 10]
    show(page, *PLOTS)
    assert lines(page, "genome") == lines(page, "distribution") == ["S0003", "S0005", "S0001", "S0002"]
    assert page.evaluate("document.getElementById('regions').data[0].z.length") == 12


def test_a_value_beyond_its_limit_is_marked_in_its_cell(opened: Callable, small: Path) -> None:
    page = opened(small)
    cells = page.evaluate(
        """[...document.querySelectorAll("#samples tbody td.fail, #samples tbody td.outlier")].map((cell) => [
          cell.parentNode.cells[0].textContent,
          document.querySelector("#samples thead tr").cells[cell.cellIndex].textContent,
          cell.className,
          cell.title,
          cell.parentNode.querySelector(".reasons").textContent,
        ])"""
    )
    marked = {(sample, heading): rest for sample, heading, *rest in cells if heading != "Status"}
    kind, title, reasons = marked["S0003", "Mean coverage ×"]
    assert kind == "fail"
    assert title.endswith(" < 20")
    assert reasons.startswith(title)
    kind, title, reasons = marked["S0005", "Profile distance"]
    assert kind == "outlier"
    assert title.endswith(" deviations")
    assert title in reasons
    assert {sample for sample, _ in marked} == {"S0003", "S0005"}
    page.click("#samples tbody tr:nth-child(2)")
    assert page.locator("[aria-selected]").count() == page.locator("[role=grid] [aria-selected]").count() == 0


def test_choosing_sorting_finding(opened: Callable, small: Path) -> None:
    page = opened(small)
    show(page, "genome")
    page.click("#clear")
    assert lines(page, "genome") == []
    page.click("#samples tbody tr:nth-child(2)")
    page.locator("#samples tbody tr:nth-child(1)").press("Enter")
    assert lines(page, "genome") == ["S0005", "S0003"]
    page.click("#samples tbody tr:nth-child(2)")
    assert lines(page, "genome") == ["S0003"]
    depth = page.locator("#samples th", has_text="mean coverage")
    for order in ("descending", "ascending"):
        depth.click()
        assert depth.get_attribute("aria-sort") == order
        values = list(map(float, column(page, 3)))
        assert values == sorted(values, reverse=order == "descending")
        assert len(set(values)) > 5
    page.fill("#find", "distance")
    assert column(page, 1) == ["S0005"]


def test_zooming(opened: Callable, small: Path) -> None:
    page = opened(small)
    show(page, "genome")
    bins = "document.getElementById('genome').data.at(-1).x.length"
    everything = page.evaluate(bins)
    page.select_option("#contig", "chr8")
    assert 100 < page.evaluate(bins) < everything / 10
    page.check("#relative")
    depth = page.evaluate(
        "Array.from(document.getElementById('genome').data.find(({name}) => name === 'S0005').y)"
    )
    assert sum(depth[-50:]) / 50 == pytest.approx(1.5, abs=0.1)
    box = page.locator("#genome .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 50, steps=5)
    page.mouse.up()
    page.wait_for_function("document.getElementById('genome').layout.xaxis.range[0] > 0")


def test_colours_follow_the_button(opened: Callable, small: Path) -> None:
    page = opened(small)
    show(page, "genome")
    colour = "document.getElementById('genome').data.at(-1).line.color"
    before = page.evaluate(colour)
    page.click("#theme")
    assert page.get_attribute("html", "data-theme") == "dark"
    assert page.evaluate(colour) != before


def test_table_begins_with_coverage(opened: Callable, small: Path, tmp_path: Path) -> None:
    folder = small.parents[1]
    for file in [*folder.glob("*.dist"), *folder.glob("*.parquet")]:
        (tmp_path / file.name).symlink_to(file)
    table = pq.read_table(folder / "samples.parquet")
    names = table["sample"].to_pylist()
    cells = pa.array(["<i>A</i>", None] * (len(names) // 2), pa.string())
    (tmp_path / "samples.parquet").unlink()
    pq.write_table(table.add_column(3, "<u>batch</u>_1", cells), tmp_path / "samples.parquet")
    page = opened(written(tmp_path, names))
    page.set_viewport_size({"width": 1400, "height": 900})
    buttons = page.locator("#samples th button")
    titles = [button.get_attribute("title") for button in buttons.all()]
    breadths = [f"breadth_{depth}x" for depth in (1, 10, 20, 30)]
    assert titles[:8] == ["sample", "status", "<u>batch</u>_1", "mean_coverage", *breadths]
    assert titles[8] == "reasons"
    assert buttons.nth(2).text_content() == "<u>batch</u>_1"
    assert buttons.nth(4).text_content() == "Breadth ≥ 1× %"
    assert set(column(page, 3)) == {"<i>A</i>", "\u2013"}
    assert buttons.nth(8).bounding_box()["x"] + 200 < 1300
    assert "mean coverage 1" in column(page, 9)[0]
    assert column(page, 5)[0] == "100.00"


def told(page) -> dict[str, str]:
    return dict(zip(page.locator("dt").all_inner_texts(), page.locator("dd").all_inner_texts(), strict=True))


def test_samples_are_links_to_the_server(small_page: Any) -> None:
    links, names = small_page.locator("#samples tbody a"), column(small_page, 1)
    assert links.all_inner_texts() == names
    assert links.first.get_attribute("href") == f"http://host:8080/?dataset={names[0]}"


def test_samples_have_links_to_their_bigwigs(opened: Callable, tmp_path: Path) -> None:
    """Where the page is not beside their folder, it has none."""
    names = list(make_cohort(tmp_path, 2))
    path = written(tmp_path, names, ABOUT._replace(server="", bigwigs="../coverage/"))
    links = opened(path).locator("#samples tbody a")
    assert {link.get_attribute("href") for link in links.all()} == {
        f"../coverage/{name}.bw" for name in names
    }
    assert set(links.all_inner_texts()) == {"bigWig"}
    alone = path.rename(path.with_name("alone.html"))
    assert opened(alone).locator("#samples tbody a").count() == 0


def test_head(small_page: Any, opened: Callable, small: Path) -> None:
    assert small_page.inner_text("h1") == small_page.title() == ABOUT.title
    found = told(small_page)
    assert found.pop("Written").startswith("2001-09-0")
    assert found == {
        "Contigs": "2 of 2,500,000 bp, as in GRCh38.dict",
        "Reference": "GRCh38.fa",
        "Regions": "784 windows of 4,000,000 bp",
        "Breadths": "at 20×, 30×",
        "Limits": "Mean coverage: at least 20×, at most 60.5×; Breadth ≥ 20×: at least 95 %; "
        "Reads: at least 20,000,000",
        "Outliers": "beyond 3.5 robust deviations from the median",
        "Made by": f"bams3 {__version__}",
        "See also": "MultiQC's report",
    }
    link = small_page.locator("dd a")
    assert link.get_attribute("href") == ABOUT.multiqc
    alone = small.with_name("alone.html")
    alone.write_bytes(small.read_bytes())
    assert opened(alone).locator("dd a").count() == 0


@pytest.mark.parametrize(
    ("samples", "hint"),
    [
        (2, "Two components need at least three samples; there are only two."),
        (
            5,
            "Two components need at least two autosomal bins that the median sample covers; there are fewer.",
        ),
    ],
)
def test_why_there_are_no_components(opened: Callable, tmp_path: Path, samples: int, hint: str) -> None:
    names = list(make_cohort(tmp_path, samples, scale=100_000, regions=100_000_000))
    table = pq.read_table(tmp_path / "samples.parquet")
    assert ("pc2" in table.column_names) == (samples > 2)
    kept = [name for name in table.column_names if name not in ("pc2", "pc3")]
    pq.write_table(table.select(kept), tmp_path / "samples.parquet")
    page = opened(written(tmp_path, names))
    page.locator("#components").scroll_into_view_if_needed()
    page.wait_for_function("document.getElementById('components').textContent")
    assert page.inner_text("#components") == hint


BOXES = """(place) => {
  const boxes = (name) => [...document.querySelectorAll(`#${place} .${name}`)].map((of) => of.getBoundingClientRect());
  const kinds = ["modebar", "legend", "nsewdrag", "colorbar", "xtick", "ytick", "xtitle"];
  return Object.fromEntries(kinds.map((name) => [name, boxes(name).filter(({ width }) => width).map(
    ({ left, right, top, bottom }) => [left, right, top, bottom])]));
}"""


def overlap(one: list[float], other: list[float]) -> bool:
    left, right, top, bottom = one
    return left < other[1] and other[0] < right and top < other[3] and other[2] < bottom


def test_layout(opened: Callable, small: Path) -> None:
    """Nothing covers anything, is wider than the window, or empty."""
    page = opened(small)
    show(page, "genome")
    buttons = page.locator("#genome .modebar-btn").all()
    assert [button.get_attribute("data-title").split()[0] for button in buttons] == [
        "Download", "Zoom", "Pan", "Zoom", "Zoom", "Reset",
    ]  # fmt: skip
    for sample in range(5, 9):  # eight at once
        page.click(f"#samples tbody tr:nth-child({sample})")
    for width in (1400, 1000, 400):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_selector(f"html[data-drawn='{width}']")
        show(page, *PLOTS)
        for plot in PLOTS:
            boxes = page.evaluate(BOXES, plot)
            (tools,), legends, (inside,) = boxes["modebar"], boxes["legend"], boxes["nsewdrag"]
            ticks = [*boxes["xtick"], *boxes["ytick"], *boxes["xtitle"]]
            assert len(legends) == (plot != "regions")
            assert len(ticks) > 3
            covered = [*legends, inside, *boxes["colorbar"], *ticks]
            assert not any(overlap(tools, box) for box in covered), (plot, width)
            assert not any(overlap(legend, box) for legend in legends for box in ticks), (plot, width)
            assert inside[3] - inside[2] > 120, (plot, width)
        wide, high, end = page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.scrollHeight,"
            " document.querySelector('main').lastElementChild.getBoundingClientRect().bottom + scrollY]"
        )
        assert wide == width
        assert high - end < 40


@pytest.mark.parametrize("name", ["samples", "genome", "regions", "distribution"])
def test_tables_are_downloaded(small_page: Any, small: Path, name: str) -> None:
    with small_page.expect_download() as download:
        small_page.click(f"[data-table={name}]")
    assert download.value.suggested_filename == f"{name}.tsv"
    rows = [line.split("\t") for line in Path(download.value.path()).read_text().splitlines()]
    if name == "distribution":
        assert rows[0][:2] == ["depth", "S0003"]
        return
    file = {"regions": "mean"}.get(name, name)
    wanted = [line.split("\t") for line in (small.parents[1] / f"{file}.tsv").read_text().splitlines()]
    if name == "samples":
        assert sorted(rows[1:])[0][:4] == sorted(wanted[1:])[0][:4]
        assert len(rows) == len(wanted) == 13
        return
    first = rows[0].index("S0003")
    of = wanted[0].index("S0003")
    assert [row[:3] for row in rows] == [row[:3] for row in wanted]
    found = [float(row[first]) for row in rows[1:]]
    assert found == pytest.approx([float(row[of]) for row in wanted[1:]], rel=1e-3)


def test_regions_that_differ_most_are_shown(
    opened: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohort_page, "MOST_REGIONS", 20)
    page = opened(page_of(tmp_path, 6, scale=1000))
    show(page, "regions")
    assert "the 20 of 7" in page.inner_text("#regions-hint")
    ticks = page.evaluate("document.getElementById('regions').layout.xaxis.ticktext")
    assert len(ticks) == 20
    assert [tick.split(":")[0] for tick in ticks] == ["chrX"] * 5 + ["chrY"] * 15


HOSTILE = [
    '"', "</script><script>alert(1)</script>", "<b>x</b>", "a<br>b &lt; &amp;c", "<a href='https://x'>x</a>",
    "%{y}<extra>", "🧬 é 中", "=1+1", "001", "$x$", "/*data*/", "\\n", "x" * 100_000,
]  # fmt: skip


def test_names_are_shown_as_they_are(opened: Callable, tmp_path: Path) -> None:
    files = make_cohort(tmp_path, 3, scale=1000, regions=240_000_000)
    means, genome = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("mean", "genome"))
    count = min(len(means), len(HOSTILE))
    means = means[:count].set_column(3, "name", pa.array(HOSTILE[:count]))
    contigs = dict(zip(dict.fromkeys(genome["contig"].to_pylist()), HOSTILE, strict=False))
    renamed = [contigs.get(name, name) for name in genome["contig"].to_pylist()]
    pq.write_table(means, tmp_path / "mean.parquet")
    pq.write_table(genome.set_column(0, "contig", pa.array(renamed)), tmp_path / "genome.parquet")
    path = written(tmp_path, list(files))
    assert path.stat().st_size < 8_000_000
    page = opened(path)
    show(page, "genome", "regions")
    shown = [*HOSTILE[:-1], "x" * 39 + "…"]
    assert count == len(HOSTILE)
    assert page.locator("#regions .xtick text").all_text_contents() == shown
    assert page.locator("#genome .xtick text").all_text_contents()[:13] == shown
    options = page.locator("#contig option").all_text_contents()
    assert options[1:14] == [*HOSTILE[:-1], "x" * 199 + "…"]
    page.select_option("#contig", index=3)
    assert page.locator("#genome .xtitle").text_content() == "<b>x</b>, Mb"


def test_hundreds_of_samples(opened: Callable, tmp_path: Path) -> None:
    path = page_of(tmp_path, 300)
    assert path.stat().st_size < 7_500_000  # 5 MB without samples
    page = opened(path)
    assert len(column(page, 1)) == 50
    show(page, *PLOTS)
    page.select_option("#most", "all")
    assert page.evaluate("document.getElementById('regions').data[0].z.length") == 300
    page.click("#more")
    assert len(column(page, 1)) == 300
