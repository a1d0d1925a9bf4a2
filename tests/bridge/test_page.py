"""The page of a server in a real browser: Debian's Chromium, driven by Playwright; it asks nobody but the server."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import hostile
import httpx2
import numpy as np
import pytest
from bams3.bridge.decoder import Decoder
from bams3.bridge.library import Library
from bams3.bridge.track import bin_size, depth_track
from bams3.cli import main
from bams3.dataset.reader import DatasetReader
from bams3.errors import DatasetError
from bams3.operations.convert import convert
from peers import DATA, need
from served import serving

from bams3 import open as open_dataset

MARKUP = "%3Cimg%20src=x%20onerror=alert(1)%3E"
TOKENS = {"all": ".", "part": "q:1-100"}  # and the regions of each
NAMES = ["illumina_chr22_NA12878", "nanopore_NA12878"]
BLANK = """() => {
    const canvas = document.querySelector("#depth");
    return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.every((value) => !value);
}"""
"""Whether nothing is drawn."""
IGV = Path(__file__).parents[2] / "bams3/bams3/bridge/page/igv/igv.esm.min.js"


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    for name in NAMES:
        convert(DATA / f"{name}.bam", folder / f"{name}.bams3", chunk_size="256K")
    assert (
        main(["coverage", "--bigwig", str(folder / f"{NAMES[0]}.bw"), str(folder / f"{NAMES[0]}.bams3")]) == 0
    )
    return folder


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of datasets: `named`, of contigs with odd names, and `empty`."""
    folder = tmp_path_factory.mktemp("odd")
    text = hostile.TEXT.replace(b"chr1", b"HLA-A*01:01").replace(b"chr2", b"a,b")
    contigs = [("HLA-A*01:01", 1_000_000), ("a,b", 5000)]
    for name, records in {"named": [hostile.good(0), hostile.good(1)], "empty": []}.items():
        (folder / f"{name}.bam").write_bytes(hostile.bam(text, contigs, records))
        convert(folder / f"{name}.bam", folder / f"{name}.bams3")
    return folder


@pytest.fixture(scope="module")
def url(datasets: Path, odd: Path) -> Iterator[str]:
    with serving("--bigwigs", datasets, datasets, odd) as server:
        yield server.url


@pytest.fixture
def opened(url: str, browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page, which may ask only the server, and must not complain."""
    complaints: list[str] = []
    with browser.new_context(viewport={"width": 1200, "height": 900}) as context:

        def open_page(
            query: str = "", *, without_igv: bool = False, complaining: bool = False, at: str = url
        ) -> Any:
            page = context.new_page()
            page.set_default_timeout(60_000)
            if without_igv:
                page.route("**/igv.esm.min.js", lambda route: route.fulfill(status=404))
            if not (complaining or without_igv):
                page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on(
                "request",
                lambda asked: (
                    None if asked.url.startswith((at, "data:", "blob:")) else complaints.append(asked.url)
                ),
            )
            page.goto(f"{at}/{query}")
            return page

        yield open_page
    assert [said for said in complaints if "No sequence for" not in said] == []  # igv.js has no reference


@pytest.fixture
def igv() -> None:
    if not IGV.exists():
        need("npm")
        pytest.fail("run make igv first")


@pytest.mark.usefixtures("igv")
def test_reads_and_depth_of_a_deep_link(opened: Callable[..., Any], url: str) -> None:
    page = opened(f"?dataset={NAMES[0]}&locus=q:6000-7000")
    page.wait_for_selector("#depth[data-done=true]")
    assert int(page.get_attribute("#depth", "data-bins")) > 0
    page.wait_for_selector("#igv canvas", state="attached")
    assert page.input_value("#dataset") == NAMES[0]
    assert page.input_value("#locus") == "q:6,000-7,000"
    page.wait_for_selector(
        ".igv-track-label[title*='bigWig'], .igv-track-label:has-text('bigWig')", state="attached"
    )
    assert page.get_attribute("#wig", "href") == f"{url}/bigwig/{NAMES[0]}.bw"


@pytest.mark.usefixtures("igv")
@pytest.mark.parametrize(
    ("locus", "shown"),
    [
        ("HLA-A*01:01:51-150", "HLA-A*01:01:51-150"),
        ("{HLA-A*01:01}:-1.5k", "HLA-A*01:01:1-1,500"),
        ("HLA-A*01:01:0.9995M-", "HLA-A*01:01:999,500-1,000,000"),
        ("a,b:", "a,b:1-5,000"),
    ],
)
def test_regions_are_written_as_in_samtools(opened: Callable[..., Any], locus: str, shown: str) -> None:
    """Of contigs with any names; igv.js shows the same, and the address leads there again."""
    expect = pytest.importorskip("playwright.sync_api").expect
    page = opened(f"?{urlencode({'dataset': 'named', 'locus': locus})}")
    page.wait_for_selector("#igv canvas", state="attached")
    for _ in range(2):
        expect(page.locator(".igv-search-input")).to_have_value(shown, timeout=60_000)
        assert page.input_value("#locus") == shown
        page.reload()


@pytest.mark.usefixtures("igv")
def test_nothing_stays_of_an_earlier_dataset(opened: Callable[..., Any]) -> None:
    page = opened(f"?dataset={NAMES[0]}")
    page.wait_for_selector("#igv canvas", state="attached")
    page.select_option("#dataset", "named")
    page.wait_for_url("**/?dataset=named&locus=*")
    page.wait_for_selector(f".igv-track-label:has-text('{NAMES[0]}')", state="detached")
    page.wait_for_selector(".igv-track-label:has-text('named')", state="attached")
    assert page.locator(".igv-search-input").count() == 1
    assert not page.evaluate(BLANK)
    page.select_option("#dataset", "empty")
    page.wait_for_selector("#reading:has-text('No read has a position')")
    assert page.evaluate(BLANK)
    assert page.locator("#igv canvas").count() == 0
    assert (page.input_value("#locus"), page.url.partition("?")[2]) == ("", "dataset=empty")


def test_a_click_goes_there_and_the_address_follows(opened: Callable[..., Any]) -> None:
    page = opened(without_igv=True)
    page.wait_for_selector("#depth[data-done=true]")
    box = page.locator("#depth").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#no-igv:not([hidden])")
    assert "locus=" in page.url
    assert "mean depth" in page.inner_text("#reading")
    assert page.get_attribute("#link", "href").endswith(f"/bam/{page.input_value('#dataset')}.bam")
    page.select_option("#dataset", NAMES[1])
    page.wait_for_url(f"**/?dataset={NAMES[1]}&*")
    page.wait_for_selector("#bigwig", state="hidden")


def test_a_bigwig_file(datasets: Path, url: str) -> None:
    file = (datasets / f"{NAMES[0]}.bw").read_bytes()
    answers = [
        httpx2.get(f"{url}/bigwig/{name}", headers={"range": "bytes=4-99"})
        for name in (f"{NAMES[0]}.bw", f"{NAMES[1]}.bw", f"{NAMES[0]}.bam", "nothing.bw", "..%2Fx.bw")
    ]
    assert [answer.status_code for answer in answers] == [206, 404, 404, 404, 404]
    assert answers[0].content == file[4:100]
    assert [httpx2.get(f"{url}/datasets/{name}").json()["bigwig"] for name in NAMES] == [True, False]


def test_a_bigwig_file_that_is_replaced(datasets: Path, tmp_path: Path) -> None:
    (tmp_path / "S1.bw").write_bytes(b"x" * 100)
    content = Library([str(datasets)], Decoder(workers=1), str(tmp_path)).bigwig("S1")
    assert content is not None
    assert content.read(90, 20) == b"x" * 10
    (tmp_path / "S1.bw").write_bytes(b"y" * 99)
    with pytest.raises(DatasetError, match="replaced"):
        content.read(0, 10)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?dataset=nothing", "404: no such dataset"),
        (f"?dataset={NAMES[0]}&locus=chrQ:1-2", "no such contig"),
        (f"?dataset={MARKUP}", "404: no such dataset"),
        (f"?dataset={NAMES[0]}&locus={MARKUP}:1-2", "no such contig"),
        (f"?dataset={NAMES[0]}&locus=q:99999999-", "past the end of the contig, which has "),
        (f"?dataset={NAMES[0]}&locus=q:2000-1000", "the start is past the end"),
        (f"?dataset={NAMES[0]}&locus=q:x-2", "write a region as in chr1:1,000-2,000 or chr1:1M-2M"),
    ],
)
def test_what_is_not_there_is_said(opened: Callable[..., Any], query: str, said: str) -> None:
    page = opened(query, complaining=True)
    page.on("dialog", lambda dialog: pytest.fail(f"a script of a name ran: {dialog.message}"))
    page.wait_for_selector("#error:not([hidden])")
    assert said in page.inner_text("#error")
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.usefixtures("igv")
def test_a_token_opens_the_page(opened: Callable[..., Any], datasets: Path, tmp_path: Path) -> None:
    rows = [("user", "sha256", "datasets", "regions")]
    rows += [
        (name, hashlib.sha256(name.encode()).hexdigest(), NAMES[0], what) for name, what in TOKENS.items()
    ]
    file = tmp_path / "tokens.tsv"
    file.write_text("".join("\t".join(row) + "\n" for row in rows))
    with serving("--tokens", file, datasets) as server:
        page = opened(complaining=True, at=server.url)
        for token, said in [("wrong", "unknown token"), ("part", "some regions")]:
            page.fill("#token", token)
            page.click("#access button")
            page.wait_for_selector(f"#error:has-text('{said}')")
        page.fill("#token", "all")
        page.click("#access button")
        page.wait_for_selector("#igv canvas", state="attached")
        assert page.locator("#access").is_hidden()
        assert page.locator("#dataset option").all_inner_texts() == NAMES[:1]
        page.close()  # before the server ends: igv.js would ask elsewhere for what it does not get


@pytest.mark.parametrize("bins", [1, 7, 1000])
def test_depth_is_that_of_the_dataset(datasets: Path, url: str, bins: int) -> None:
    dataset = open_dataset(datasets / f"{NAMES[1]}.bams3")
    contig, length = next(
        pair for pair in zip(dataset.references, dataset.lengths, strict=True) if dataset.count(pair[0])
    )
    answer = httpx2.get(f"{url}/datasets/{NAMES[1]}/depth", params={"contig": contig, "bins": bins})
    size, *lines = map(json.loads, answer.text.splitlines())
    assert size == bin_size(length, bins)
    drawn = np.zeros(-(-length // size))
    for start, means in lines:
        drawn[start // size : start // size + len(means)] = means
    depth = dataset.coverage(contig)
    expected = [depth[at : at + size].mean() for at in range(0, length, size)]
    np.testing.assert_allclose(drawn, expected, atol=0.006)


@pytest.mark.parametrize(
    "query", ["", "?contig=chrQ", "?contig=q&bins=0", "?contig=q&bins=1e9", "?contig=q&bins=x"]
)
def test_a_bad_question_about_depth(url: str, query: str) -> None:
    answer = httpx2.get(f"{url}/datasets/{NAMES[0]}/depth{query}")
    assert (answer.status_code, "give a contig" in answer.text) == (400, True)


def test_a_track_is_the_same_in_parallel(datasets: Path) -> None:
    dataset = DatasetReader(datasets / f"{NAMES[1]}.bams3")
    found = next(entry.reference_id for entry in dataset.index)
    alone = list(depth_track(dataset, found, 1 << 18))
    assert alone
    assert alone == list(depth_track(dataset, found, 1 << 18, 3))
