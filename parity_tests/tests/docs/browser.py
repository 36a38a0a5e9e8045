"""Chromium for the tests of pages, and a page in a window of some width, with some settings of the
system."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.support.wait import WebDriverWait

T = TypeVar("T")
# Seconds that a page may take to show what a reader did, on a machine that may be busy.
PATIENT = 120.0

QUIET = ("gpu", "quic", "sync", "background-networking", "component-update")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    *(f"--disable-{name}" for name in QUIET),
)


@contextlib.contextmanager
def started(profile: Path) -> Iterator[Chrome]:
    chromium = shutil.which("chromium")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        raise FileNotFoundError(
            "tests of pages need Chromium and its driver: apt-get install chromium chromium-driver"
        )
    options = ChromeOptions()
    options.binary_location = chromium
    for option in (*OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Chrome(options, ChromeService(driver)) as chrome:
        yield chrome


def show(
    browser: Chrome, address: str, width: int = 1280, media: str = "", scheme: str = "light"
) -> None:
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    settings = {"media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", settings)
    browser.get_log("browser")
    browser.get(address)


def until(browser: Chrome, condition: Callable[[], T]) -> T:
    """What a condition returns as soon as that is true. A page may show later what a reader did."""
    return WebDriverWait(browser, PATIENT).until(lambda _: condition())
