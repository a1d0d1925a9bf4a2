"""Debian's Chromium, driven by Playwright."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from peers import need


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser without a window."""
    need("chromium")
    if os.environ.get("CI"):
        import playwright.sync_api as playwright
    else:
        playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield chromium
        chromium.close()
