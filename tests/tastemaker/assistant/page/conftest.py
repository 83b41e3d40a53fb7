"""A browser on the page."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tastemaker.assistant.catalogue import Catalogue
from tests.tastemaker.assistant.conftest import serving
from tests.tastemaker.assistant.page.hands import opened
from tests.tastemaker.assistant.page.server import Stand, build_stand_in

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.fixture(scope="module")  # an open browser keeps its loop running
def browser() -> Iterator[Any]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        assert not os.environ.get("CI"), "CI must have a browser"
        pytest.skip("no chromium or google-chrome on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        launched = play.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def stand(catalogue: Catalogue) -> Stand:
    return Stand(catalogue)


@pytest.fixture
def address(stand: Stand) -> Iterator[str]:
    with serving(build_stand_in(stand)) as url:
        yield url


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """A page of the stand-in, wide; see `opened`."""
    yield from opened(browser, address, width=1400)
