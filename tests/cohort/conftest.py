"""A page, and a browser that opens pages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cohort_pages import page_of


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(tmp_path_factory.mktemp("small"), 12, scale=1000)


@pytest.fixture
def opened(browser) -> Iterator[Callable]:
    """Opens a page that may ask for nothing, and must not complain."""
    with opening(browser) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def kept_page(browser, small: Path) -> Iterator[Any]:
    """The page of `small`."""
    with opening(browser) as open_page:
        yield open_page(small)


@pytest.fixture
def small_page(kept_page: Any) -> Any:
    """The page of `small`, for tests that change nothing in it: opening one takes seconds."""
    kept_page.bring_to_front()  # Chromium draws no other page
    return kept_page


@contextmanager
def opening(browser) -> Iterator[Callable]:
    """What `opened` gives."""
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
        page.bring_to_front()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
