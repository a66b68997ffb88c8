"""A real browser for tests: the machine's own Chromium, headless, with a profile that nobody else has."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import BrowserContext, async_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# Everything is on this machine: a page that is not there by then never comes.
_PATIENCE_S = 15


def executable() -> str:
    """Where the browser is. Without one a test is skipped by name here, and fails in CI, which installs one."""
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    missing = f"NO BROWSER: none of {', '.join(_NAMES)} is here; `apt-get install chromium` brings one"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


@asynccontextmanager
async def browsing() -> AsyncIterator[BrowserContext]:
    path = executable()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path)
        context = await browser.new_context()
        context.set_default_timeout(1000 * _PATIENCE_S)
        yield context
        await browser.close()
