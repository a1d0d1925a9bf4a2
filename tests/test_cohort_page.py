"""The page of a cohort in a real browser, offline: Debian's Chromium, driven by Playwright."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cohort_files import make_cohort
from conftest import need

from bams3.cohort import page as cohort_page
from bams3.cohort.page import write_page

if os.environ.get("CI"):
    import playwright.sync_api as playwright
else:
    playwright = pytest.importorskip("playwright.sync_api")

PLOTS = ("genome", "distribution", "components", "regions", "sex")


def page_of(folder: Path, samples: int, **options: int) -> Path:
    files = make_cohort(folder, samples, **options)
    distributions = {name: paths["dist"] for name, paths in files.items()}
    path = folder / "report.html"
    write_page(
        path, folder / "samples.parquet", folder / "genome.parquet", folder / "mean.parquet", distributions
    )
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(tmp_path_factory.mktemp("small"), 12, scale=1000)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    need("chromium")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser) -> Iterator[Callable]:
    """Opens a page that may ask for nothing, and must not complain."""
    complaints: list[str] = []
    contexts = []

    def open_page(path: Path, scheme: str = "light"):
        context = browser.new_context(
            color_scheme=scheme, offline=True, viewport={"width": 1280, "height": 900}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                complaints.append(request.url)
                if not request.url.startswith(("file:", "data:", "blob:"))
                else None
            ),
        )
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def show(page, *plots: str) -> None:
    for plot in plots:
        page.locator(f"#{plot}").scroll_into_view_if_needed()
        page.wait_for_selector(f"#{plot} .main-svg", state="attached")


def lines(page, plot: str) -> list[str]:
    """The names of the samples whose lines a plot has."""
    names = page.evaluate(f"document.getElementById('{plot}').data.map((trace) => trace.name ?? '')")
    return [name for name in names if name.startswith("S0")]


def column(page, number: int) -> list[str]:
    return page.locator(f"#samples tbody tr td:nth-child({number})").all_inner_texts()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_failing_samples_come_first(opened: Callable, small: Path, scheme: str) -> None:
    page = opened(small, scheme)
    assert page.inner_text("#summary") == "12 samples: 1 fail, 1 outliers, 10 pass"
    assert column(page, 1)[:3] == ["S0003", "S0005", "S0001"]
    assert column(page, 2) == ["fail", "outlier", *["pass"] * 10]
    show(page, *PLOTS)
    assert lines(page, "genome") == lines(page, "distribution") == ["S0003", "S0005", "S0001", "S0002"]
    assert page.evaluate("document.getElementById('regions').data[0].z.length") == 12


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
        values = list(map(float, column(page, 12)))
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


@pytest.mark.parametrize("name", ["samples", "genome", "regions", "distribution"])
def test_tables_are_downloaded(opened: Callable, small: Path, name: str) -> None:
    page = opened(small)
    with page.expect_download() as download:
        page.click(f"[data-table={name}]")
    assert download.value.suggested_filename == f"{name}.tsv"
    rows = [line.split("\t") for line in Path(download.value.path()).read_text().splitlines()]
    if name == "distribution":
        assert rows[0][:2] == ["depth", "S0003"]
        return
    file = {"regions": "mean"}.get(name, name)
    wanted = [line.split("\t") for line in (small.parent / f"{file}.tsv").read_text().splitlines()]
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
    distributions = {name: paths["dist"] for name, paths in files.items()}
    tables = [tmp_path / f"{name}.parquet" for name in ("samples", "genome", "mean")]
    write_page(tmp_path / "report.html", *tables, distributions)
    assert (tmp_path / "report.html").stat().st_size < 8_000_000
    page = opened(tmp_path / "report.html")
    show(page, "genome", "regions")
    shown = [*HOSTILE[:-1], "x" * 39 + "…"]
    assert count == len(HOSTILE)
    assert page.locator("#regions .xtick text").all_text_contents() == shown
    assert page.locator("#genome .xtick text").all_text_contents()[:13] == shown
    options = page.locator("#contig option").all_text_contents()
    assert options[1:14] == [*HOSTILE[:-1], "x" * 199 + "…"]
    page.select_option("#contig", index=3)
    assert page.locator("#genome .xtitle").text_content() == "<b>x</b>, Mb"


def test_a_thousand_samples(opened: Callable, tmp_path: Path) -> None:
    path = page_of(tmp_path, 1000)
    assert path.stat().st_size < 20_000_000
    page = opened(path)
    assert len(column(page, 1)) == 50
    show(page, *PLOTS)
    page.select_option("#most", "all")
    assert page.evaluate("document.getElementById('regions').data[0].z.length") == 1000
    page.click("#more")
    assert len(column(page, 1)) == 1000
