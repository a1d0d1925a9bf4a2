"""Who is who, on the page of a cohort in a real browser."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cohort_pages import show, written

PAIRS = "sample_a\tsample_b\tsites\tkinship\trelation\n"
FINDINGS = "kind\tseverity\tsample_a\tsample_b\ttext\n"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_who_is_who(opened: Callable, small: Path, tmp_path: Path, scheme: str) -> None:
    folder = small.parents[1]
    for file in [*folder.glob("*.dist"), *folder.glob("*.parquet")]:
        (tmp_path / file.name).symlink_to(file)
    names = sorted(path.stem for path in folder.glob("*.dist"))
    kinships = {
        ("S0002", "S0011"): (0.49, "same"),
        ("S0002", "S0004"): (0.26, "siblings"),
        ("S0001", "S0002"): ("", "unknown"),
    }
    rows = [
        (one, other, *kinships.get((one, other), (-0.01, "unrelated")))
        for i, one in enumerate(names)
        for other in names[i + 1 :]
    ]
    (tmp_path / "pairs.tsv").write_text(
        PAIRS + "".join(f"{a}\t{b}\t9\t{k}\t{what}\n" for a, b, k, what in rows)
    )
    grave = [f"same\thigh\tS0002\tS0011\t<i>one</i> person {number}\n" for number in range(24)]
    (tmp_path / "findings.tsv").write_text(FINDINGS + "".join(grave) + "unclear\tlow\tS0001\t\tfew sites\n")
    page = opened(written(tmp_path, names), scheme)
    assert page.locator("main > section").first.get_attribute("id") == "identity-section"
    items = page.locator("#findings li")
    assert items.count() == 20
    assert items.first.inner_text().split("\n") == ["same", "S0002, S0011", "<i>one</i> person 0"]
    page.click("#more-findings")
    assert items.count() == 25
    assert items.last.locator("span").get_attribute("class") == "outlier"
    show(page, "kinship")
    cell = "(value) => value === null || Number.isNaN(value) ? -1 : Math.round(100 * value)"
    matrix = f"document.getElementById('kinship').data[0].z.map((row) => Array.from(row, {cell}))"
    assert page.evaluate(matrix) == [[50, 26, 49], [26, 50, 0], [49, 0, 50]]
    page.select_option("#kin", "all")
    page.wait_for_function("document.getElementById('kinship').data[0].z.length === 12")
    assert sum(row.count(-1) for row in page.evaluate(matrix)) == 2
    page.click("#clear")
    place = page.locator("#kinship .nsewdrag").first
    box = place.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 1.5 / 12, box["y"] + box["height"] * 0.5 / 12)
    page.wait_for_function(
        "document.getElementById('kinship-hint').textContent.includes('kinship 0.260, siblings')"
    )
    page.mouse.click(box["x"] + box["width"] * 1.5 / 12, box["y"] + box["height"] * 0.5 / 12)
    page.wait_for_function("document.querySelectorAll('#samples tr.picked').length === 2")


def test_a_page_without_who_is_who(opened: Callable, small: Path) -> None:
    assert not opened(small).locator("#identity-section").is_visible()
